"""One system in a process of its own, end to end: the limit of `overhead` needs no peer and no Penstock."""

from benchmarks.child import answer
from benchmarks.claim import Scale, load_claim
from benchmarks.rounds import run_child


def test_a_real_child_measures():
    """The command line, the process, and the answer fit together."""
    claim = load_claim("overhead")
    outcome = run_child(claim, claim.limit, Scale(quick=True, seconds=0.05))
    assert outcome.trouble == ""
    assert outcome.measured.rate > 1e5


def test_an_error_is_an_answer(capsys):
    """A name that is not there, as any other exception, comes back as text; the traceback goes to stderr."""
    found = answer("overhead", "nobody", Scale(quick=True))
    assert "overhead has no system 'nobody'" in found["error"]
    assert "Traceback" in capsys.readouterr().err
