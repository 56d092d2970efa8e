import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.pipelines.ingest import nodes, pipeline
from ganvas.table_schemas import check_artists, check_history, check_index, check_rejected
from projects import error_sentence

REPORTING = "data/08_reporting/sample/dcgan"
METRICS = {"loss_d": 1.4, "real_score": 1.0, "fake_score": 0.0, "seconds": 2.5}


def valid_tables():
    years = pd.array([1471, None, 1900], dtype="Int64")
    return {
        check_artists: pd.DataFrame(
            {"name": list("ABC"), "files": [0, 1, 2], "first_year": years, "last_year": years}
        ),
        check_index: pd.DataFrame(
            {
                "path": ["a.jpg", "b.jpg", " "],
                "hash": [f"{number:032x}" for number in (10, 11, 12)],
                "split": ["train", "validation", "test"],
            }
        ),
        check_rejected: pd.DataFrame({"path": ["a", "b", "NA"], "reason": ["x", "x", "y"]}),
        check_history: pd.DataFrame(
            {"epoch": [1, 2, 3], "loss_g": [0.7, -1.5, 2], **METRICS, "images_per_second": 9.0}
        ),
    }


@pytest.mark.parametrize("check", list(valid_tables()))
def test_a_valid_table_passes(check):
    assert check(valid_tables()[check]) is None


@pytest.mark.parametrize("check", [check_artists, check_index, check_rejected])
def test_a_table_may_be_empty(check):
    check(valid_tables()[check].head(0))
    check(valid_tables()[check].head(0).astype(object))


INVALID = [
    (check_artists, "name", "", "name can't be empty: each row must have one"),
    (check_artists, "name", None, "name can't be empty"),
    (check_artists, "name", "A", "name can't be 'A': row 1 has it already"),
    (check_artists, "first_year", 0, "(B): first_year can't be 0: it must be a year from 1 to"),
    (check_artists, "first_year", 2101, "first_year can't be 2101"),
    (check_artists, "last_year", 2101, "last_year can't be 2101: it must be a year from 1 to 2100"),
    (check_artists, "last_year", 1800, "last_year can't be 1800: it must not lie before first_"),
    (check_artists, "files", -1, "(B): files can't be -1: it must be a whole number from 0 on"),
    (check_artists, "files", 1.5, "files can't be 1.5"),
    (check_artists, "files", None, "files can't be empty"),
    (check_index, "path", "", "path can't be empty"),
    (check_index, "path", "a.jpg", "path can't be 'a.jpg': row 1 has it already"),
    (check_index, "hash", "1" * 31, f"(b.jpg): hash can't be '{'1' * 31}': it must be 32"),
    (check_index, "hash", "g" * 32, "hash can't be 'gg"),
    (check_index, "hash", None, "hash can't be empty"),
    (check_index, "hash", f"{10:032x}", "(b.jpg): hash can't be '0000000000000000000000000000000a"),
    (check_index, "split", "tset", "(b.jpg): split can't be 'tset': it must be train, validation"),
    (check_index, "split", None, "split can't be empty"),
    (check_rejected, "path", "", "path can't be empty"),
    (check_rejected, "path", "a", "path can't be 'a': row 1 has it already"),
    (check_rejected, "reason", "", "(b): reason can't be empty"),
    (check_history, "epoch", 3, "epoch can't be 3: epochs must count 1, 2, 3"),
    (check_history, "epoch", "two", "epoch can't be 'two'"),
    (check_history, "loss_g", "high", "loss_g can't be 'high': it must be a finite number"),
    (check_history, "loss_d", float("nan"), "loss_d can't be empty: it must be a finite number"),
    (check_history, "loss_d", float("inf"), "loss_d can't be inf: it must be a finite number"),
    (check_history, "real_score", 1.01, "real_score can't be 1.01: it must be a number from 0 to"),
    (check_history, "fake_score", -0.1, "fake_score can't be -0.1"),
    (check_history, "fake_score", float("nan"), "fake_score can't be empty"),
    (check_history, "seconds", -1.0, "seconds can't be -1.0: it must be a finite number from 0"),
    (check_history, "images_per_second", float("inf"), "images_per_second can't be inf"),
]


@pytest.mark.parametrize(("check", "column", "value", "words"), INVALID)
def test_an_invalid_value_is_an_error_that_names_its_row(check, column, value, words):
    table = valid_tables()[check].astype(object)
    if column == "last_year":
        table.loc[1, "first_year"] = 1900
    table.loc[1, column] = value
    with pytest.raises(GanvasError) as caught:
        check(table, "my table")
    message = str(caught.value)
    assert message.startswith("Row 2 of my table") and words in message
    assert message.endswith(".") and "\n" not in message


@pytest.mark.parametrize("check", list(valid_tables()))
def test_a_missing_column_is_an_error(check):
    table = valid_tables()[check]
    with pytest.raises(GanvasError, match=f"lacks the column {table.columns[1]}: it must have"):
        check(table.drop(columns=table.columns[1]))


def test_a_history_without_epochs_is_an_error():
    with pytest.raises(GanvasError, match="has no row"):
        check_history(valid_tables()[check_history].head(0))


def test_a_long_value_is_truncated():
    table = valid_tables()[check_index].assign(split="x" * 500)
    with pytest.raises(GanvasError) as caught:
        check_index(table)
    assert len(str(caught.value)) < 250 and "x…'" in str(caught.value)


def test_an_invalid_history_is_an_error_on_load(project, kedro_run):
    assert kedro_run("--pipelines=__default__", train__epochs=1).exit_code == 0
    file = project / REPORTING / "history.csv"
    pd.read_csv(file).astype(object).assign(loss_g="0,7").to_csv(file, index=False)
    assert error_sentence(kedro_run("--pipelines=report")) == (
        f"Error: {file} can't be used. Row 1 of history: loss_g can't be '0,7': it must be a "
        "finite number. Correct it, or delete it and create it again by `kedro run "
        "--pipelines=train` with the same --env and --params."
    )


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [("artists", "files", -1), ("image_index", "split", "tset"), ("rejected", "reason", "")],
)
def test_an_invalid_table_is_not_saved(project, kedro_run, monkeypatch, name, column, value):
    list_images, show = nodes.list_images, nodes.show_tables

    def list_wrong(folder, params):
        listing = list_images(folder, params)
        return listing._replace(artists=listing.artists.assign(**{column: value}))

    def show_wrong(collection):
        index, _ = show(collection)
        rejected = pd.DataFrame({"path": ["a.jpg"], "reason": ["small"]})
        tables = {"image_index": index, "rejected": rejected}
        return tuple((tables | {name: tables[name].assign(**{column: value})}).values())

    if name == "artists":
        monkeypatch.setattr(nodes, "list_images", list_wrong)
    else:
        monkeypatch.setattr(pipeline, "show_tables", show_wrong)
    message = error_sentence(kedro_run("--pipelines=ingest"))
    assert message.startswith(f"Error: Row 1 of {name} (") and column in message
    assert not list((project / "data").glob(f"0[23]*/sample/{name}.*"))
