"""Benchmarks: every claim about speed, measured beside its peers and its limit in one run.

    python -m benchmarks                     all claims, one after another
    python -m benchmarks transport           one claim
    python -m benchmarks transport --quick   small sizes: does it run, not how fast it is
    python -m benchmarks arrays --only limit,penstock-loader --repeats 9

A claim is one file in `benchmarks/claims`. It says what the work is, lists the systems that do it (ours, the peers',
and a hand-made loop that is the limit), and the part of the limit that we mean to reach. Everything else is here:

    claim.py       the words: Claim, System, Scale
    measuring.py   what runs inside a child: warm-up, then a timed stretch
    child.py       one system, once, in a process of its own; prints one line of JSON
    rounds.py      children in rounds over all systems; time-outs, crashes and missing peers become table rows
    table.py       medians, spreads, ratios, Markdown and the last line
    machine.py     what ran where: CPUs, Python, versions
    workloads/     work that several claims share, and the hand-made limits

Adding a claim touches one file: `claims/<name>.py`, holding one `CLAIM`.
"""
