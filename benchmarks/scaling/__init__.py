"""How far the data service carries: a model of it, the measurements that the model needs, and a check of its figures.

    python -m benchmarks.scaling              the tables of docs/scaling.md, from the costs that are written down there
    python -m benchmarks.scaling --measure    measure the costs on this machine first, and compare model and service

model    servers, workers, networks and consumers as queues      measured  the real service over loopback
tables   what is told of it, as tables                           picture   the same, drawn
rules    … in words, with their figures
"""
