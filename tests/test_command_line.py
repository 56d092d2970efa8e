"""Parameters as the text of --params."""

import random
import shlex

import pytest
from kedro.framework.cli.utils import _split_params

from ganvas.base_params import flatten
from ganvas.command_line import escape_references, join_params, write_command
from projects import ROOT, list_passed, load_config, read_option

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
    """Parameters as the project's commands and Kedro's own read what a shell passes on."""
    (word,) = shlex.split(shlex.join([option]))
    text = word.removeprefix("--params=")
    parameters = read_option(text)
    assert parameters == _split_params(None, None, text)
    return parameters


@pytest.mark.parametrize("value", [*SCALARS, *(text for text in TEXTS if text != "${")])
def test_kedro_reads_the_value_that_was_written(value):
    # A number that a parameter of text is set to stays text.
    key = "ingest.source.path" if isinstance(value, str) else "train.max_minutes"
    params = {"ingest.dataset": "mine", key: value, "train.seed": 3}
    written = flatten(read(join_params(params)))
    assert written == params and repr(written[key]) == repr(value)


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


@pytest.mark.parametrize(
    "options",
    [
        ["--pipelines=sample"],
        ["--params=ingest.source.path=/my $5 'art'", "--env=gpu"],
        [join_params({"train.augment.policy": ["color", "cutout"], "train.seed": 1})],
        [],
    ],
)
def test_a_command_is_written_as_the_user_types_it(monkeypatch, tmp_path, options):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MAKELEVEL", raising=False)
    assert shlex.split(write_command("run", *options)) == ["kedro", "run", *options]
    monkeypatch.setenv("MAKELEVEL", "1")
    # What make passes on to Kedro, once the shell has read it.
    words = shlex.split(write_command("run", *options))
    assert words[:2] == ["make", "run"]
    assert list_passed(words, tmp_path) == ["run", *options]


def test_outside_a_project_the_command_is_that_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAKELEVEL", raising=False)
    assert write_command("gallery") == "ganvas gallery"
