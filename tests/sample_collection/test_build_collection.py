"""The sample collection: layout, seeds, atomicity and distinct styles."""

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.sample_collection import STYLES, draw_collection, draw_image

COLUMNS = ["id", "name", "years", "genre", "nationality", "bio", "wikipedia", "paintings"]


def files_of(folder: Path) -> dict[str, str]:
    """Map the relative path of each file in a folder to a hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def failing_midway(works, total):
    """Raise an error after five images."""
    for k, work in enumerate(works):
        if k == 5:
            raise RuntimeError("the power went out")
        yield work


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "works"
    draw_collection(folder, count=18, seed=3)
    return folder


def test_artists_table_has_the_columns_of_the_original(collection):
    artists = pd.read_csv(collection / "artists.csv", keep_default_na=False)
    assert list(artists.columns) == COLUMNS
    assert artists["id"].tolist() == list(range(8))
    assert artists["name"].is_unique
    assert artists["years"].str.fullmatch(r"\d{4} - \d{4}").all()
    # An artist may have several genres; the first one is the style.
    assert artists["genre"].str.split(",").str[0].tolist() == list(STYLES)
    assert (artists["wikipedia"] == "").all()
    assert (artists["nationality"] != "").all()
    invented = r"invented|fictional|imaginary|made-up"
    assert artists["bio"].str.contains(invented).all()
    assert (artists["bio"].str.count(r"[.:?!](?: |$)") >= 2).all()


def test_files_match_the_counts_of_the_table(collection):
    artists = pd.read_csv(collection / "artists.csv")
    # 18 images for eight styles: the first two get one more.
    assert artists["paintings"].tolist() == [3, 3, 2, 2, 2, 2, 2, 2]
    expected = {"artists.csv"}
    for name, paintings in zip(artists["name"], artists["paintings"], strict=True):
        stem = name.replace(" ", "_")
        for k in range(1, paintings + 1):
            expected |= {f"images/{stem}/{stem}_{k}.jpg", f"resized/{stem}_{k}.jpg"}
    assert set(files_of(collection)) == expected


def test_names_are_nfc_normalized_and_one_has_an_accent(collection):
    names = [path.name for path in (collection / "images").iterdir()]
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
    assert sum(not name.isascii() for name in names) == 1


def test_images_are_rgb_jpegs_of_the_documented_sizes(collection):
    for folder, size in (("images", 160), ("resized", 64)):
        for path in (collection / folder).rglob("*.jpg"):
            with Image.open(path) as image:
                assert (image.format, image.mode) == ("JPEG", "RGB")
                assert image.size == (size, size)
                # No chroma subsampling: every channel is sampled at every pixel.
                assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_resized_images_show_the_full_images(collection):
    for path in (collection / "images").rglob("*_1.jpg"):
        with Image.open(path) as image, Image.open(collection / "resized" / path.name) as small:
            scaled = image.resize((64, 64), Image.Resampling.LANCZOS)
            difference = np.asarray(scaled, float) - np.asarray(small, float)
        assert np.abs(difference).mean() < 8


def test_bytes_depend_on_the_seed(collection, tmp_path):
    draw_collection(tmp_path / "again", count=18, seed=3)
    assert files_of(tmp_path / "again") == files_of(collection)
    draw_collection(tmp_path / "other", count=18, seed=4)
    ours, others = files_of(collection), files_of(tmp_path / "other")
    assert ours.keys() == others.keys()
    assert [name for name in ours if ours[name] == others[name]] == ["artists.csv"]


def test_image_does_not_depend_on_the_count(collection, tmp_path):
    draw_collection(tmp_path / "fewer", count=8, seed=3)
    fewer, more = files_of(tmp_path / "fewer"), files_of(collection)
    del fewer["artists.csv"]
    assert len(fewer) == 16
    assert all(more[name] == digest for name, digest in fewer.items())


@pytest.mark.parametrize("style", STYLES)
def test_image_depends_on_style_index_and_seed_alone(style):
    image = draw_image(style, 7, seed=1)
    assert image.shape == (160, 160, 3)
    assert image.dtype == np.uint8
    other = draw_image(style, 8, seed=1)
    assert not np.array_equal(image, other)
    assert not np.array_equal(image, draw_image(style, 7, seed=2))
    assert np.array_equal(image, draw_image(style, 7, seed=1))


@pytest.mark.parametrize("style", STYLES)
def test_size_changes_the_level_of_detail_not_the_content(style):
    large, small = draw_image(style, 2, seed=5, size=128), draw_image(style, 2, 5, size=64)
    halved = large.reshape(16, 8, 16, 8, 3).mean(axis=(1, 3))
    assert np.abs(halved - small.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))).mean() < 8


def test_an_unknown_style_is_named_in_the_error():
    with pytest.raises(ValueError, match="no style 'Fauvism'"):
        draw_image("Fauvism", 1, seed=0)


@pytest.mark.parametrize("count", [-1, 0, 7])
def test_a_count_below_the_number_of_styles_is_an_error_and_writes_nothing(tmp_path, count):
    with pytest.raises(ValueError, match=f"at least 8 images.* {count} here"):
        draw_collection(tmp_path / "works", count=count)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_changed(tmp_path):
    (tmp_path / "works").mkdir()
    (tmp_path / "works" / "mine.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError, match="exists already"):
        draw_collection(tmp_path / "works", count=8)
    assert set(files_of(tmp_path)) == {"works/mine.txt"}


def test_an_error_while_drawing_leaves_no_partial_collection(tmp_path):
    with pytest.raises(RuntimeError, match="power"):
        draw_collection(tmp_path / "works", count=8, progress=failing_midway)
    assert not (tmp_path / "works").exists()
    draw_collection(tmp_path / "works", count=8)
    assert [path.name for path in tmp_path.iterdir()] == ["works"]


def test_leftovers_of_a_killed_process_are_removed_those_of_a_running_one_stay(tmp_path):
    script = (
        "import os, sys\n"
        "from ganvas.sample_collection import draw_collection\n"
        "def killed(works, total):\n"
        "    for k, work in enumerate(works):\n"
        "        if k == 3:\n"
        "            os._exit(9)\n"
        "        yield work\n"
        "draw_collection(sys.argv[1], count=8, progress=killed)\n"
    )
    process = subprocess.run([sys.executable, "-c", script, tmp_path / "works"], check=False)
    assert process.returncode == 9
    leftovers = list(tmp_path.iterdir())
    assert len(leftovers) == 1
    assert leftovers[0].name.startswith(".works.partial-")
    # The parent process is certainly running.
    running = tmp_path / f".works.partial-{os.getppid()}"
    running.mkdir()
    unrelated = tmp_path / ".works.partial-notes"
    unrelated.mkdir()
    draw_collection(tmp_path / "works", count=8)
    left = {path.name for path in tmp_path.iterdir()}
    if os.name == "posix":
        assert running.name in left
    assert left - {running.name} == {"works", unrelated.name}


def test_of_two_concurrent_processes_the_slower_accepts_only_the_same_collection(tmp_path):
    def overtaken(seed):
        def progress(works, total):
            yield from works
            draw_collection(tmp_path / "fast", count=8, seed=seed)
            (tmp_path / "fast").rename(tmp_path / "works")

        return progress

    draw_collection(tmp_path / "works", count=8, seed=1, progress=overtaken(1))
    assert [path.name for path in tmp_path.iterdir()] == ["works"]
    (tmp_path / "works").rename(tmp_path / "first")
    with pytest.raises(OSError):
        draw_collection(tmp_path / "works", count=8, seed=1, progress=overtaken(2))
    assert {path.name for path in tmp_path.iterdir()} == {"first", "works"}


def test_progress_wraps_every_image(tmp_path):
    seen = []

    def progress(works, total):
        for done, work in enumerate(works, start=1):
            yield work
            seen.append((done, total))

    draw_collection(tmp_path / "deep" / "er" / "works", count=9, progress=progress)
    assert seen == [(k, 9) for k in range(1, 10)]
