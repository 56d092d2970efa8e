"""What a user's folder holds, before a run."""

import os
from pathlib import Path

import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion.inspect_folder import expand_path, inspect_folder


def put(folder: Path, count: int, suffix: str = ".png") -> Path:
    """Save small images to a folder, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = Image.new("RGB", (12, 10), (number * 5, 100, 50))
        image.save(folder / f"{number}{suffix}", format="PNG")
    return folder


def test_images_are_counted_by_sub_folder_and_other_files_by_suffix(tmp_path):
    put(tmp_path, 1)
    put(tmp_path / "cats" / "2024", 12)
    put(tmp_path / "dogs", 9)
    for name in ("a.txt", "b.TXT", "README", "c.pdf", ".DS_Store", ".hidden.png"):
        (tmp_path / name).write_text("no image")
    contents = inspect_folder(tmp_path)
    assert contents.path == tmp_path and contents.source == "folder"
    assert contents.images == 22 and contents.folders == {"": 1, "cats": 12, "dogs": 9}
    assert contents.others == {".txt": 2, "": 1, ".pdf": 1}


def test_the_only_sub_folder_is_read_instead(tmp_path):
    put(tmp_path / "archive" / "images" / "cats", 10)
    put(tmp_path / "archive" / "images" / "dogs", 10)
    (tmp_path / "archive" / "license.txt").write_text("free")
    contents = inspect_folder(tmp_path)
    assert contents.path == tmp_path / "archive" / "images"
    assert contents.folders == {"cats": 10, "dogs": 10}


def test_links_to_folders_are_followed_and_circles_end(tmp_path):
    put(tmp_path / "real", 20)
    (tmp_path / "real" / "more").symlink_to(put(tmp_path / "elsewhere", 3))
    (tmp_path / "real" / "circle").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    contents = inspect_folder(tmp_path / "link")
    assert contents.path == tmp_path / "link"
    assert contents.folders == {"": 20, "more": 3} and not contents.others


def test_files_without_a_suffix_are_images_if_all_are(tmp_path):
    put(tmp_path, 20, suffix="")
    assert inspect_folder(tmp_path).images == 20


@pytest.mark.parametrize(
    ("files", "source", "folders"),
    [
        (["artists.csv"], "artworks", {"Ada": 11, "Ben": 11}),
        (["style_train.csv", "style_val.csv", "style_class.txt"], "wikiart", {"images": 22}),
        # A list is missing, so it is not WikiArt as published.
        (["style_train.csv", "style_val.csv"], "folder", {"Ada": 11, "Ben": 11}),
    ],
)
def test_known_layouts_are_recognized(tmp_path, files, source, folders):
    put(tmp_path / "images" / "Ada", 11)
    put(tmp_path / "images" / "Ben", 11)
    for name in files:
        (tmp_path / name).write_text("")
    contents = inspect_folder(tmp_path)
    assert (contents.source, contents.folders) == (source, folders)
    assert (contents.path == tmp_path) == (source != "folder")


def test_celeba_is_recognized(tmp_path):
    put(tmp_path / "img_align_celeba", 20)
    contents = inspect_folder(tmp_path)
    assert contents.source == "celeba" and contents.path == tmp_path and contents.images == 20


def make_unreadable(folder: Path) -> None:
    put(folder, 20).chmod(0)


def make_other(folder: Path) -> None:
    folder.mkdir()
    for name in ("a.jxl", "b.jxl", "README"):
        (folder / name).write_text("no image")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, r"There is no folder .*/art: pass the folder that holds your images"),
        (
            Path.touch,
            r"art is a file, neither a folder nor an archive: pass the folder .*, such as /",
        ),
        (Path.mkdir, r"art is empty: put at least 20 images there"),
        (make_other, r"no image in .*art, only other files \(2 \.jxl, 1 without a suffix\): JPEG"),
        (lambda folder: put(folder, 1), r"art holds 1 image: at least 20 are needed"),
        (lambda folder: put(folder, 19), r"art holds 19 images: at least 20 are needed"),
        pytest.param(
            make_unreadable,
            r"art can't be read \(Permission denied\): allow your user",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read all"),
        ),
    ],
)
def test_mistakes_are_refused_in_a_sentence(tmp_path, make, sentence):
    make(tmp_path / "art")
    with pytest.raises(GanvasError, match=sentence):
        inspect_folder(tmp_path / "art")


def test_paths_are_made_absolute_with_their_links(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert expand_path("link/") == tmp_path / "link"
    assert expand_path("link/../real") == tmp_path / "real"
    assert expand_path("real/../link") == tmp_path / "link"
    assert expand_path("real/..") == tmp_path
    assert expand_path(".") == tmp_path
    assert expand_path("~/my art") == Path("/home/ada/my art")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("s3://bucket/art", r"is a URL.*ingest\.source\.path=s3://bucket/art"),
        ("/art/${x}", r"contains \$\{, which parameters can't hold: rename"),
        ("/art/\udcff", r"'/art/\\udcff' is not valid UTF-8"),
        ("~nobody-of-this-name/art", "there is no such user"),
    ],
)
def test_paths_that_parameters_cannot_hold_are_refused(text, sentence):
    with pytest.raises(GanvasError, match=sentence):
        expand_path(text)
