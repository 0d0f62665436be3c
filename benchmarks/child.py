"""One system, measured once, in this process: `python -m benchmarks.child CLAIM SYSTEM SCALE`.

The answer is one line on standard output that starts with `ANSWER` and goes on in JSON: either an amount and its
seconds, or why there is none. Whatever a library prints besides is ignored. Started by `rounds.py`; by hand it helps
to see what a system does (`python -m benchmarks.child transport limit '{"quick": true}'`).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from dataclasses import asdict

from benchmarks.claim import Scale, load_claim

ANSWER = "benchmark answer: "


def answer(claim: str, system: str, scale: Scale) -> dict[str, object]:
    """Measure, and say what came of it as plain JSON data."""
    try:
        measured = load_claim(claim).system(system).run(scale)
    except ModuleNotFoundError as error:
        return {"missing": error.name or str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}
    return asdict(measured)


def main(arguments: list[str]) -> None:
    """Measure what the command line names, and print the answer."""
    claim, system, scale = arguments
    # Peers warn about forks, deprecated numpy names and the like; a benchmark is not the place to hear it.
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    text = json.dumps(answer(claim, system, Scale(**json.loads(scale))))
    # A fresh line first: a library may have left one half printed.
    print(f"\n{ANSWER}{text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
