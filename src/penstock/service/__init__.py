"""The data service: a pipeline runs here, its batches are used there.

    serve(dataset, "tcp://…")  ── over ZeroMQ, with credit, numbers and acknowledgements ──►  connect("tcp://…")

    protocol   what is said                    ledger     the accounts of both sides, without sockets

    serving    serve()                         client     connect(), and the source that it makes
    server     what its user holds             link       its sockets and thread, for one iteration
    loop       its sockets, in one thread      talk       what is said and heard there
    following  modes mirror and shard          inlets     what it wants, and what has arrived
    dealing    mode share
    lanes      the pipeline being read         local      shared memory, where both are on one host
    routes     where it goes                   asking     figures of a server, for people and Prometheus
    door       who gets in; keys: the files that say it        reception  servers that come to a consumer
    guests     what is said and heard there    taking     the loop that trains, where it waits
    bell       how threads are woken           explaining why a server is not there, in words

Nothing here imports ZeroMQ before it is needed.
"""
