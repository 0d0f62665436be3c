"""The folder of photographs which the demo and the benchmarks read."""

from hashlib import blake2b
from importlib import import_module
from pathlib import Path

import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def photos(monkeypatch):
    """The module, imported as the scripts beside it import it."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("photos")


def contents(folder):
    """Every file's name and a fingerprint of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): blake2b(path.read_bytes()).hexdigest() for path in files}


def test_the_photographs_are_as_large_as_those_of_imagenet(photos, tmp_path):
    """500 pixels wide or high, landscape and portrait, 110 KB on average."""
    folder = photos.make(tmp_path / "made", 240)
    files = sorted(folder.glob("*/*.jpg"))
    shapes = {cv2.imread(str(path)).shape[1::-1] for path in files}
    assert len(files) == 240
    assert shapes == set(photos.SHAPES)
    assert 0.93 < sum(path.stat().st_size for path in files) / len(files) / photos.MEAN_BYTES < 1.07


def test_every_photograph_has_its_source_and_terms_in_the_notice(photos, tmp_path):
    """Whoever passes the folder on can see on which terms."""
    folder = photos.make(tmp_path / "made", 8)
    notice = (folder / "NOTICE.txt").read_text(encoding="utf-8")
    for name in (path.name for path in folder.iterdir() if path.is_dir()):
        assert f"\n{name}: " in notice
    assert notice.count("terms: ") == notice.count("from:  ") == 8


def test_the_same_seed_makes_the_same_files(photos, tmp_path):
    """Bit for bit, whichever thread wrote them; another seed makes others."""
    made = contents(photos.make(tmp_path / "one", 24))
    assert made == contents(photos.make(tmp_path / "two", 24))
    assert made != contents(photos.make(tmp_path / "three", 24, seed=1))


def test_a_finished_folder_is_used_again(photos, tmp_path):
    """The second call writes nothing and reports no progress."""
    folder = photos.make(tmp_path / "made", 8)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    seen = []
    photos.make(folder, 8, lambda things, *_: seen.append(things) or things)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert seen == []


def test_a_damaged_folder_is_made_anew(photos, tmp_path):
    """A missing file is noticed, and so is a shortened one."""
    folder = photos.make(tmp_path / "made", 8)
    whole = contents(folder)
    next(folder.glob("*/*.jpg")).unlink()
    assert contents(photos.make(folder, 8)) == whole
    next(folder.glob("*/*.jpg")).write_bytes(b"")
    assert contents(photos.make(folder, 8)) == whole


def test_an_interrupted_call_leaves_nothing(photos, tmp_path):
    """Half a folder would be taken for a whole one by whoever globs it."""

    def interrupted(things, *_):
        yield next(iter(things))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photos.make(tmp_path / "made", 8, interrupted)
    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_folder_is_refused(photos, tmp_path):
    """Files that it did not make are not its own to delete."""
    (tmp_path / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(FileExistsError, match="did not make"):
        photos.make(tmp_path, 8)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"dear"


def test_a_missing_photograph_is_named(photos):
    """Nothing is fetched from anywhere: the error says what to install."""
    skin = photos.Photograph("skin", *photos.SKIMAGE, "data/skin.jpg", "", "")
    with pytest.raises(FileNotFoundError, match=r"scikit-image .* has no data/skin\.jpg"):
        skin.read()
