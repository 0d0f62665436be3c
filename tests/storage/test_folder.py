"""Folders of files, and lists of files in texts: paths and labels, the same everywhere, shared by workers."""

from __future__ import annotations

import os
import pickle

import cloudpickle
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.testing import check_dataset


def touch(folder, *names):
    """Make files with their names as contents."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.fixture
def photos(tmp_path):
    """A folder of classes, one of them empty, with things that belong to nobody."""
    folder = tmp_path / "photos"
    touch(folder, "dog/10.jpg", "dog/9.jpg", "cat/1.JPG", "cat/deep/2.png", "cat/.hidden.jpg", "dog/Thumbs.db")
    (folder / "ant").mkdir()
    return folder


def relative(found, folder):
    """Return items with paths within a folder."""
    return [
        (os.path.relpath(item[0], folder), item[1]) if isinstance(item, tuple) else os.path.relpath(item, folder)
        for item in found
    ]


def test_classes_are_numbered_by_name(photos):
    """A class per folder, numbered in the order of names; an empty folder keeps its number; hidden files stay out."""
    dataset = ps.open(photos)
    expected = [("cat/1.JPG", 1), ("cat/deep/2.png", 1), ("dog/10.jpg", 2), ("dog/9.jpg", 2)]
    assert relative(dataset, photos) == expected
    assert dataset.classes == ("ant", "cat", "dog")
    assert dataset.shuffle().map(len).batch(2).classes == ("ant", "cat", "dog")
    assert relative(ps.open(photos, "folder", labels="name"), photos)[0] == ("cat/1.JPG", "cat")
    assert relative(ps.open(photos, "folder", labels="none"), photos)[0] == "cat/1.JPG"


def test_contract(photos):
    """Every promise of a description holds, in processes, too."""
    dataset = ps.open(photos).shuffle().batch(2, collate=list)
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))


def test_workers_do_not_list_again(photos, tmp_path):
    """The list travels: what is read does not change when files come and go."""
    dataset = ps.open(photos)
    before = list(dataset)
    shipped = cloudpickle.dumps(dataset)
    touch(photos, "dog/1.jpg")
    copy = pickle.loads(shipped)
    assert list(copy) == before
    assert copy == dataset
    assert ps.open(photos) != dataset


def test_any_files(tmp_path):
    """A folder of files is a sequence of paths; endings choose."""
    touch(tmp_path, "b.wav", "a.txt", "a.WAV")
    dataset = ps.open(tmp_path, "folder")
    assert relative(dataset, tmp_path) == ["a.WAV", "a.txt", "b.wav"]
    assert relative(ps.open(tmp_path, "folder", extensions=[".wav"]), tmp_path) == ["a.WAV", "b.wav"]
    with pytest.raises(AttributeError, match="labels"):
        dataset.classes


def test_state_moves_with_the_folder(photos, tmp_path):
    """A state fits the same files elsewhere, and no others."""
    with ps.open(photos).shuffle().loader() as loader:
        next(iter(loader))
        state = loader.state_dict()
        rest = relative(ps.open(photos).shuffle(), photos)
    photos.rename(tmp_path / "moved")
    with ps.open(tmp_path / "moved").shuffle().loader() as loader:
        loader.load_state_dict(state)
        assert relative(loader, tmp_path / "moved") == rest[1:]
    touch(tmp_path / "moved", "dog/3.jpg")
    with ps.open(tmp_path / "moved").shuffle().loader() as loader, pytest.raises(ps.errors.StateError):
        loader.load_state_dict(state)


def test_links_in_circles_end(photos):
    """A link to a folder above is not followed for ever."""
    (photos / "dog" / "up").symlink_to(photos)
    assert len(ps.open(photos, "folder")) < 1000


def test_what_is_wrong_with_folders(photos, tmp_path):
    """A folder that cannot be read as one says why, and what helps."""
    with pytest.raises(StoreError, match=r"no files that end in '\.gif'"):
        ps.open(photos, "folder", extensions=[".gif"])
    with pytest.raises(ArgumentTypeError, match="extensions"):
        ps.open(photos, "folder", extensions=".jpg")
    with pytest.raises(ArgumentError, match="Did you mean 'number'"):
        ps.open(photos, "folder", labels="numbers")
    touch(photos, "loose.jpg")
    with pytest.raises(StoreError, match=r"loose.jpg.*no class"):
        ps.open(photos, "folder")
    touch(tmp_path, "file")
    with pytest.raises(StoreError, match="no folder"):
        ps.open(tmp_path / "file", "folder")


def write(path, text, encoding="utf-8"):
    """Write a list."""
    path.write_text(text, encoding=encoding)
    return path


def test_a_list_of_paths(tmp_path):
    """Lines are paths, relative to the list; empty ones are left out."""
    path = write(tmp_path / "train.lst", "a.jpg\n\n/abs/b.jpg\r\ns3://bucket/c.jpg\n")
    assert list(ps.open(path)) == [str(tmp_path / "a.jpg"), "/abs/b.jpg", "s3://bucket/c.jpg"]
    assert ps.open(path, root="/data")[0] == "/data/a.jpg"
    check_dataset(ps.open(path).batch(2, collate=list), executors=(ps.Processes(1),), epochs=(0,))


def test_paths_and_labels(tmp_path):
    """What follows the last blank is the label: a number as it is, a name by its place among the names."""
    path = write(tmp_path / "train.txt", "my cat.jpg 7\nb.jpg -2\n")
    assert relative(ps.open(path, "list"), tmp_path) == [("my cat.jpg", 7), ("b.jpg", -2)]
    path = write(tmp_path / "names.txt", "a.jpg dog\nb.jpg cat\nc.jpg dog\n")
    dataset = ps.open(path, "list")
    assert relative(dataset, tmp_path) == [("a.jpg", 1), ("b.jpg", 0), ("c.jpg", 1)]
    assert dataset.classes == ("cat", "dog")
    assert relative(ps.open(path, "list", labels="name"), tmp_path)[0] == ("a.jpg", "dog")
    assert relative(ps.open(path, "list", labels="none"), tmp_path)[0] == "a.jpg dog"


def test_csv(tmp_path):
    """A table with quotes; columns by name or by number."""
    path = write(tmp_path / "t.csv", 'id,class,file\n1,cat,"a,1.jpg"\n2,dog,b.jpg\n')
    dataset = ps.open(path, "list", column="file", label="class")
    assert relative(dataset, tmp_path) == [("a,1.jpg", 0), ("b.jpg", 1)]
    assert dataset.classes == ("cat", "dog")
    bare = write(tmp_path / "bare.tsv", "a b.jpg\t3\nc.jpg\t4\n")
    assert relative(ps.open(bare, "list"), tmp_path) == [("a b.jpg", 3), ("c.jpg", 4)]
    assert relative(ps.open(bare, "list", column=0, label=1, labels="name"), tmp_path)[0] == ("a b.jpg", "3")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "empty"),
        ("a.jpg 1\nb.jpg\n", {}, "line 2 has no label"),
        ("a,b\n1\n", {"separator": ",", "column": 1}, "line 2 has 1 columns"),
        ("a.jpg\n", {"labels": "name"}, "no labels"),
        ("a.jpg\n", {"column": 1}, "separator"),
        ("a\0.jpg\n", {}, "line 1|NUL"),
        ("file,class\nx,y\n", {"separator": ",", "column": "fil"}, "Did you mean 'file'"),
        ('"' + "x" * 200_000, {"separator": ","}, "field larger"),
    ],
)
def test_what_is_wrong_with_lists(tmp_path, text, options, words):
    """A list that cannot be read names the line, or the remedy."""
    path = write(tmp_path / "x.lst", text)
    with pytest.raises((StoreError, ArgumentError), match=words):
        ps.open(path, **options)


def test_a_list_in_another_encoding(tmp_path):
    """Bytes that are no text of the encoding are refused; the right one reads them."""
    path = write(tmp_path / "x.lst", "größe.jpg\n", "latin-1")
    with pytest.raises(StoreError, match="decode"):
        ps.open(path)
    assert relative(ps.open(path, encoding="latin-1"), tmp_path) == ["größe.jpg"]


def test_hidden_files_beside_the_classes(tmp_path):
    """What systems and tools leave beside the folders of the classes does not hide what the folder is."""
    for name in ("cat/1.jpg", "dog/2.jpg", ".gitignore", ".cache/x", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [label for _, label in ps.open(tmp_path)] == [0, 1]
    (tmp_path / "loose.jpg").touch()
    with pytest.raises(ps.errors.ArgumentError, match=r"It is a folder.*format='folder'"):
        ps.open(tmp_path)
