"""Names in tables of labels and the files that they mean."""

import time

import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.label_matching import describe_mismatch, match_names

FILES = ["cats/1.jpg", "cats/2.png", "cats/2.txt", "dogs/1.jpg", "dogs/Rex 3.JPG", "top.webp"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # exact names take precedence, and others do not take their files
        (["cats/1.jpg", "Cats/1.jpg"], {"cats/1.jpg": "cats/1.jpg"}),
        (["cats\\1.jpg"], {"cats\\1.jpg": "cats/1.jpg"}),
        (["./dogs//Rex 3.JPG "], {"./dogs//Rex 3.JPG ": "dogs/Rex 3.JPG"}),
        (["DOGS/rex 3.jpg"], {"DOGS/rex 3.jpg": "dogs/Rex 3.JPG"}),
        (["cats/2", "top"], {"cats/2": "cats/2.png", "top": "top.webp"}),
        (["cats/2.jpeg"], {"cats/2.jpeg": "cats/2.png"}),
        (
            ["/home/ada/art/cats/1.jpg", "/home/ada/art/dogs/1.jpg"],
            {"/home/ada/art/cats/1.jpg": "cats/1.jpg", "/home/ada/art/dogs/1.jpg": "dogs/1.jpg"},
        ),
        (["C:\\Art\\Cats\\1.jpg"], {"C:\\Art\\Cats\\1.jpg": "cats/1.jpg"}),
        (["art/cats/2", "art/top"], {"art/cats/2": "cats/2.png", "art/top": "top.webp"}),
        # only the names of the files, each in a folder of its own
        (["2.png", "Rex 3.JPG"], {"2.png": "cats/2.png", "Rex 3.JPG": "dogs/Rex 3.JPG"}),
        (["other.png"], {}),
        ([], {}),
    ],
)
def test_names_mean_files(names, expected):
    assert match_names(names, FILES, "labels.csv") == expected


def test_the_source_may_be_one_folder_too_high_or_too_low():
    names = ["cats/1.jpg", "dogs/1.jpg"]
    inside = [f"archive/Images/{path}" for path in FILES]
    assert match_names(names, inside, "t") == {name: f"archive/Images/{name}" for name in names}
    below = ["1.jpg", "2.png"]
    assert match_names(["cats/1.jpg", "cats/2.png"], below, "t") == {
        "cats/1.jpg": "1.jpg",
        "cats/2.png": "2.png",
    }


def test_a_file_that_is_missing_is_not_replaced_by_one_of_another_folder():
    files = ["a.jpg", "b.jpg", "c.jpg", "sub/d.jpg"]
    whole = [f"Z:/photos/{name}" for name in ("b.jpg", "c.jpg", "sub/a.jpg", "sub/d.jpg", "d.jpg")]
    found = match_names(whole, files, "t")
    assert found == {whole[0]: "b.jpg", whole[1]: "c.jpg", whole[3]: "sub/d.jpg"}
    assert match_names(["b.jpg", "c.jpg", "d.jpg"], files, "t").keys() == {"b.jpg", "c.jpg"}


def test_small_copies_in_a_folder_do_not_make_names_ambiguous():
    files = [f"{folder}{n}.jpg" for n in range(9) for folder in ("", "small/")]
    names = [f"/art/{n}.jpg" for n in range(9)]
    assert match_names(names, files, "t") == {f"/art/{n}.jpg": f"{n}.jpg" for n in range(9)}


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["a"], ["a.jpg", "a.png"]),
        (["A.JPG"], ["a.jpg", "A.jpg"]),
        (["cats/1.jpg", "cats/2.jpg"], [f"{s}/cats/{n}.jpg" for s in "xy" for n in (1, 2)]),
        (["1.jpg", "2.jpg"], ["cats/1.jpg", "dogs/1.jpg", "cats/2.jpg", "dogs/2.jpg"]),
    ],
)
def test_names_that_may_mean_two_files_are_refused(names, files):
    with pytest.raises(GanvasError, match=r"t names '.*', which may be .* or .*: write the path"):
        match_names(names, files, "t")


def test_a_folder_of_another_name_is_not_guessed():
    files = ["Other_Realism/a.jpg", "Other_Cubism/b.jpg"]
    assert match_names(["Realism/a.jpg", "Cubism/b.jpg"], files, "t") == {}
    table = pd.DataFrame({"path": files})
    assert describe_mismatch(["Realism/a.jpg"], table, "t") == (
        "t names 'Realism/a.jpg', and not the files there, such as 'Other_Realism/a.jpg'"
    )


def test_many_names_are_matched_in_seconds():
    files = [f"class{n % 500}/{n // 500}.jpg" for n in range(50_000)]
    started = time.monotonic()
    assert len(match_names([f"D:/x/{path}" for path in files], files, "t")) == len(files)
    assert time.monotonic() - started < 30
