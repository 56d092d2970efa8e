"""Choosing images by their labels, and joining labels."""

import logging
import random
import re
import unicodedata

import pandas as pd
import pytest
from pydantic import ValidationError

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceListing
from ganvas.ingestion.selection import SelectionParams, choose_images

SKIPPED = pd.DataFrame({"path": ["notes.txt"], "reason": ["no image"]})


def listing(**columns):
    """A listing with the values of each column, one file an image; the artists are counted."""
    count = len(next(iter(columns.values())))
    files = {"path": [f"{n:03d}.jpg" for n in range(count)], "bytes": range(100, 100 + count)}
    records = pd.DataFrame(files | {"modified_ns": 1} | columns)
    records = records.astype(dict.fromkeys(["path", *columns], "str"))
    artists = pd.DataFrame({"name": ["Ann", "Ben", "Zoe"], "files": [2, 1, 0], "born": [1, 2, 3]})
    return SourceListing(records, SKIPPED, artists)


def choose(source, **params):
    return choose_images(source, SelectionParams(**params))


def counts(chosen, column="genre"):
    return chosen.records[column].value_counts().to_dict()


GENRES = ["portrait"] * 6 + ["landscape"] * 4 + ["marina"] * 2 + ["still life"] + [""]


def test_by_default_all_images_are_chosen():
    source = listing(genre=GENRES)
    assert choose(source) is source and source.choice == {}
    assert choose(source, seed=3, only={"genre": None}) is source


def test_values_of_a_column_are_combined_with_or_and_columns_with_and():
    source = listing(genre=["a", "b", "c", "a", ""], style=["x", "x", "x", "y", "x"])
    chosen = choose(source, only={"genre": ["a", "b"]})
    assert chosen.records["path"].tolist() == ["000.jpg", "001.jpg", "003.jpg"]
    assert chosen.records.index.tolist() == [0, 1, 2] and chosen.skipped is SKIPPED
    chosen = choose(source, only={"genre": ["a", "b"], "style": "x"})
    assert chosen.records["path"].tolist() == ["000.jpg", "001.jpg"]
    assert chosen.choice["left_out"] == {"only": 3}


def test_labels_are_compared_whatever_system_has_written_them():
    source = listing(genre=[unicodedata.normalize("NFD", "Été"), "a\nb", "yes"])
    chosen = choose(source, only={"genre": ["Été", "a b", True]})
    assert chosen.records["genre"].equals(source.records["genre"])


def test_numbers_are_labels():
    assert len(choose(listing(century=["1990", "1800"]), only={"century": [1990]}).records) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"only": {"gener": ["a"]}},
            "ingest.only has the label column 'gener' (did you mean 'genre'?), which does not "
            "exist: the images have the columns genre, style.",
        ),
        (
            {"only": {"bytes": ["100"]}},
            "ingest.only has the label column 'bytes', which does not exist: the images have the "
            "columns genre, style.",
        ),
        (
            {"only": {"genre": ["portrait", "landscap"]}},
            "ingest.only has 'landscap' (did you mean 'landscape'?), which no image has in the "
            "column genre: its values are portrait, landscape, marina, still life.",
        ),
        # A value that is misspelled in the second column, beside one that is not.
        (
            {"only": {"genre": ["marina"], "style": ["s12", "s99"]}},
            "ingest.only has 's99' (did you mean 's9'?), which no image has in the column style: "
            "its values are s0, s1, s10, s11, s12, s13, s2, s3, s4, s5 and 4 more.",
        ),
        (
            {"only": {"genre": ["marina"], "style": ["s0"]}},
            "ingest.only leaves no image of 14: none has one of the given values in each of the "
            "columns genre, style; leave out a column, or add values.",
        ),
        (
            {"join": {"genre": {"sea": ["marine"]}}},
            "ingest.join has 'marine' (did you mean 'marina'?), which no image has in the column "
            "genre: its values are portrait, landscape, marina, still life.",
        ),
        (
            {"most": 5},
            "ingest.most is 5, but the images have several label columns (genre, style): write for "
            "which, such as ingest.most.genre=5.",
        ),
        (
            {"fewest": {"genre": 9}},
            "ingest.fewest leaves no image of 13: the most frequent value of genre is 'portrait' "
            "with 6 images, less than 9.",
        ),
        (
            {"fewest": {"genre": 5}, "rare": {"genre": 2}},
            "ingest.fewest is 5 and ingest.rare 2 for the column genre, so values of 2 to 4 images "
            "would be left out, and rarer ones kept as 'other': set ingest.fewest to at most 2, or "
            "one of them to null.",
        ),
    ],
)
def test_what_does_not_exist_is_one_sentence_with_what_does(params, message):
    genres = GENRES[:-1] if "fewest" in params and "rare" not in params else GENRES
    source = listing(genre=genres, style=[f"s{n}" for n in range(len(genres))])
    with pytest.raises(GanvasError, match=f"^{re.escape(message)}$"):
        choose(source, **params)


@pytest.mark.parametrize("name", ["rare", "fewest"])
def test_images_without_labels_have_no_rare_ones(name):
    with pytest.raises(GanvasError, match=f"ingest.{name} is 2, but the images have no labels"):
        choose(listing(genre=["", ""]), **{name: 2})
    with pytest.raises(GanvasError, match="does not exist: the images have no labels"):
        choose(
            SourceListing(listing(genre=["a"]).records.drop(columns="genre"), SKIPPED, SKIPPED),
            **{name: {"genre": 2}},
        )


def test_rare_values_are_left_out_and_images_without_a_label_stay():
    chosen = choose(listing(genre=GENRES), fewest=3)
    assert counts(chosen) == {"portrait": 6, "landscape": 4, "": 1}
    assert chosen.choice["left_out"] == {"fewest": 3}


def test_rare_values_of_several_columns_are_left_out_until_none_is_left():
    # Without z, x of the other column is rare too.
    source = listing(genre=["a", "a", "a", "z"], style=["y", "y", "x", "x"])
    assert counts(choose(source, fewest={"genre": 2, "style": 2})) == {"a": 2}


def test_rare_values_become_other_together_with_those_of_that_name():
    chosen = choose(listing(genre=[*GENRES, "other"]), rare={"genre": 3})
    assert counts(chosen) == {"portrait": 6, "landscape": 4, "other": 4, "": 1}
    assert chosen.choice["joined"] == {"genre": {"other": ["marina", "still life"]}}
    # They are one value for the next steps.
    chosen = choose(listing(genre=GENRES), rare=3, fewest=3, most=2)
    assert counts(chosen) == {"portrait": 2, "landscape": 2, "other": 2, "": 1}
    chosen = choose(listing(genre=GENRES), rare=2, fewest=2)
    assert "other" not in counts(chosen)


def test_labels_are_joined_before_images_are_chosen():
    chosen = choose(
        listing(genre=GENRES),
        join={"genre": {"outdoors": ["landscape", "marina"], "things": "still life"}},
        only={"genre": ["outdoors"]},
    )
    assert counts(chosen) == {"outdoors": 6}
    with pytest.raises(GanvasError, match="has 'marina', which no image has"):
        choose(listing(genre=GENRES), join={"genre": {"sea": ["marina"]}}, only={"genre": "marina"})


def test_a_label_can_not_be_joined_to_two():
    with pytest.raises(ValidationError, match="'a' would become 'x' and 'y'"):
        SelectionParams(join={"genre": {"x": ["a"], "y": ["b", "a"]}})


def test_at_most_so_many_images_of_each_label_are_taken():
    chosen = choose(listing(genre=GENRES), most=2)
    assert counts(chosen) == {"portrait": 2, "landscape": 2, "marina": 2, "still life": 1, "": 1}
    assert chosen.records["path"].is_monotonic_increasing
    assert chosen.choice["left_out"] == {"most": 6}
    assert (chosen.choice["listed"], chosen.choice["chosen"]) == (14, 8)


def test_limits_of_several_columns_hold_together():
    source = listing(genre=["a", "b"] * 20, style=["x", "y", "z", "z"] * 10)
    chosen = choose(source, most={"genre": 8, "style": 5})
    assert max(counts(chosen).values()) <= 8
    assert counts(chosen, "style") == {"x": 5, "y": 5, "z": 5}


def test_of_images_without_labels_so_many_are_taken_in_all():
    unlabeled = listing(genre=[""] * 30)
    assert len(choose(unlabeled, most=7).records) == 7
    none = unlabeled._replace(records=unlabeled.records.drop(columns="genre"))
    assert choose(none, most=7).records["path"].equals(choose(unlabeled, most=7).records["path"])


def test_a_larger_number_keeps_the_images_and_another_seed_takes_others():
    source = listing(genre=["a", "b"] * 50)
    taken = [set(choose(source, most=most).records["path"]) for most in (5, 6, 20, 50)]
    assert taken[0] < taken[1] < taken[2] < taken[3] == set(source.records["path"])
    assert set(choose(source, most=5, seed=1).records["path"]) != taken[0]


def test_the_images_taken_depend_on_neither_folders_nor_other_files():
    source = listing(genre=["a"] * 40)
    taken = set(choose(source, most=9).records["path"])
    records = source.records.assign(path="elsewhere/" + source.records["path"])
    order = random.Random(0).sample(range(40), 40)
    moved = source._replace(records=records.iloc[order].assign(modified_ns=9))
    assert set(choose(moved, most=9).records["path"]) == {f"elsewhere/{path}" for path in taken}
    fewer = source._replace(records=source.records[source.records["path"].isin(taken)])
    assert set(choose(fewer, most=9).records["path"]) == taken


def test_artists_are_those_who_have_images_left():
    source = listing(artist=["Ann", "Ann", "Ben"], genre=["a", "b", "b"])
    assert choose(source).artists["name"].tolist() == ["Ann", "Ben", "Zoe"]
    chosen = choose(source, only={"genre": ["a"]})
    assert chosen.artists.to_dict("list") == {"name": ["Ann"], "files": [1], "born": [1]}
    # Also if they are joined as labels.
    chosen = choose(source, join={"artist": {"both": ["Ann", "Ben"]}})
    assert counts(chosen, "artist") == {"both": 3}
    assert chosen.artists["files"].tolist() == [2, 1]


def test_one_line_says_how_many_images_are_chosen(caplog):
    caplog.set_level(logging.INFO)
    choose(listing(genre=GENRES * 100), only={"genre": ["portrait", "marina"]}, most=50, rare=300)
    assert caplog.messages == [
        "100 of 1,400 images are chosen: 600 left out by ingest.only, 700 left out by ingest.most, "
        "1 value of genre joined as 'other'."
    ]
