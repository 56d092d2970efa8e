"""Parameters as the text of --params."""

import random
import shlex

import pytest
from kedro.framework.cli.utils import _split_params

from ganvas.base_params import flatten
from ganvas.command_line import escape_references, join_params
from projects import load_config

TEXTS = [
    *("plain", "1e3", "0x1f", "007", "1_000", "12:30", "2026-01-01", ".5", ".inf", "1.", "null"),
    *(
        "~",
        "yes",
        "Off",
        "true",
        "",
        " ",
        " spaces ",
        "a=b: c",
        "#1",
        "a #b",
        "- a",
        "? a",
        "[1, 2]",
    ),
    *("{a: 1}", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", '"', "'", "it's", "a\\b", "\\"),
    *("/red, green", "/\"both', of them", "/two\nlines", "\ttab", "a\r", "\x00\x1b\x7f", "\x85"),
    *(
        "\u2028",
        "\u2029",
        "\ufeff",
        "/Été 絵画",
        "🎨",
        "\udcff",
        "${",
        "a}",
        "--params=a=1",
        "a: b",
    ),
]
SCALARS = [128, -1, 0, 0.5, 1e-4, 1e-05, 1e16, 1e300, -0.0, float("inf"), True, False, None]


def read(option: str) -> dict:
    """Parameters as Kedro reads them from the option that a shell passes on."""
    (word,) = shlex.split(shlex.join([option]))
    return _split_params(None, None, word.removeprefix("--params="))


@pytest.mark.parametrize("value", [*SCALARS, *(text for text in TEXTS if text != "${")])
def test_kedro_reads_the_value_that_was_written(value):
    params = {"ingest.dataset": "mine", "ingest.source.path": value, "train.seed": 3}
    written = flatten(read(join_params(params)))
    assert written == params and repr(written["ingest.source.path"]) == repr(value)


def make_value(rng: random.Random, depth: int) -> object:
    """A random value: a scalar, a text of odd parts, or a list or dictionary of such values."""
    kind = rng.random()
    if depth and kind < 0.3:
        return [make_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and kind < 0.5:
        keys = ["a", "b, c", "1", "x: y", "", "null", "ü\u2028"]
        return {key: make_value(rng, depth - 1) for key in rng.sample(keys, rng.randrange(4))}
    if kind < 0.6:
        return rng.choice(SCALARS)
    return "".join(rng.choices([text for text in TEXTS if "${" not in text], k=rng.randrange(1, 4)))


@pytest.mark.parametrize("seed", range(300))
def test_kedro_reads_any_value_that_was_written(seed):
    rng = random.Random(seed)
    # In a list, since a dictionary is a group of parameters.
    params = {f"group.key{number}": [make_value(rng, 3)] for number in range(3)}
    params |= {"group.other": rng.choice(TEXTS[:-10])}
    assert flatten(read(join_params(params))) == params


@pytest.mark.parametrize(
    "path", ["/${a}", "/\\${a.b}/\\\\${c}", "/$a/{b}", "/a\\b", "$${a}", "/${a, '${'"]
)
def test_a_reference_in_a_text_is_not_resolved(path):
    results = [{"metric": "fid", "value": 1, "source": path}]
    escaped = escape_references({"ingest.source.path": path, "report.published": results})
    parameters = load_config("parameters", params=read(join_params(escaped)))
    assert parameters["ingest"]["source"]["path"] == path
    assert parameters["report"]["published"] == results
