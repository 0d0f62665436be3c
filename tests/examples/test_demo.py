"""The demo that everybody runs first: it runs, and it proves what it says."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")
pytest.importorskip("tqdm")

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
PROOFS = (
    r"two epochs, 12 batches: the same bytes in line, on 2 threads and on 2 processes",
    r"stopped after 3 batches, resumed in a new process with 3 workers: the same bytes \(state: \d+ B\)",
    r"worker \d+ killed after batch 1: all 6 batches, the same bytes, one worker replaced",
    r"photos\[0\], computed alone, is the first batch of them all",
)
READERS = (
    "plain loop, 1 process",
    "Penstock, in line",
    "plain loop, 2 processes",
    "Penstock, 2 threads",
    "Penstock, 2 processes",
)


def demo(*arguments, folder):
    """Run it as a person would, in `folder`."""
    return subprocess.run([sys.executable, DEMO, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run with few photographs, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo("--folder", "photos", "--count", "400", "--output", "batch.png", folder=folder)


def test_the_demo_succeeds(run):
    """Nothing it claims turned out untrue, and nothing but progress was said on standard error."""
    _, ended = run
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(re.fullmatch(r"  \S.* +\d+ in [\d.]+ s", line) for line in ended.stderr.splitlines()), ended.stderr


@pytest.mark.parametrize("proof", PROOFS)
def test_every_proof_is_printed(run, proof):
    """The reader sees each proof, in the words that the documents quote."""
    _, ended = run
    assert re.search(rf"^  true: {proof}$", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr


@pytest.mark.parametrize("reader", READERS)
def test_every_way_of_reading_has_its_line_in_the_table(run, reader):
    """Images and megabytes per second stand beside each name."""
    _, ended = run
    assert re.search(rf"^  {reader}.* +[\d,]+ +[\d,]+ +[\d,]+\b", ended.stdout, re.MULTILINE), ended.stdout


def test_the_picture_shows_sixty_four_images(run):
    """It is an image file that can be read, large enough for eight rows of eight."""
    folder, _ = run
    picture = cv2.imread(str(folder / "batch.png"))
    assert picture is not None
    assert min(picture.shape[:2]) > 8 * 120


def test_nothing_but_photographs_and_the_picture_is_left(run):
    """No scratch folder, no position file."""
    folder, _ = run
    assert sorted(path.name for path in folder.iterdir()) == ["batch.png", "photos"]


def test_a_claim_that_does_not_hold_ends_the_demo(monkeypatch, capsys):
    """The exit status is an error, the sentence says which claim, and nothing is called true."""
    monkeypatch.syspath_prepend(DEMO.parent)
    with pytest.raises(SystemExit, match="should be true and is not: the moon is cheese"):
        import_module("demo").prove("the moon is cheese", holds=False)
    assert capsys.readouterr().out == ""


def test_too_few_photographs_are_refused(tmp_path):
    """The error says how many it takes."""
    ended = demo("--count", "100", folder=tmp_path)
    assert ended.returncode != 0
    assert "--count must be 384 or more" in ended.stderr
