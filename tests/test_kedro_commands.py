"""Commands of Kedro, of Kedro-Viz and of Ganvas with wrong values: 300 at random, and some more."""

import random
import re
from unittest import mock

import click
import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI
from kedro.runner import AbstractRunner

import ganvas.cli
from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.metrics import extractor_names
from ganvas.project_params import ProjectParams
from ganvas.run_options import read_params
from projects import error_sentence, load_config

pytestmark = pytest.mark.slow
# No traceback, class of Python or address of Pydantic may be in an output.
FOREIGN = re.compile(
    r"Traceback|pydantic|nput should|NoneType|<class|object at 0|[A-Za-z](Error|Exception|Params)\b"
)
NAMES = ["train", "report", "generator", "local", "gpu", "SequentialRunner", "ingest.size", "conf"]
PIECES = [
    *("", " ", ",", ":", "=", ".", "..", "/", "\\", "-", "--", "_", "'", '"', "`", "#", "%", "@"),
    *("{", "}", "[", "]", "(", ")", "${", "${x}", "*", "&", "!", "|", ">", "?", "~", "<<", "???"),
    *(
        "0",
        "1",
        "-1",
        "1e400",
        ".nan",
        "null",
        "true",
        "on",
        "007",
        "1:2",
        "9" * 400,
        "é",
        "画",
        "😀",
    ),
    *("\t", "\n", "\r", "\x1b[31m", "\u2028", "a" * 300, "None", "nope", "x y"),
]
OPTIONS = {
    "run": [
        *("pipelines", "pipeline", "tags", "nodes", "from-nodes", "to-nodes", "from-inputs", "env"),
        *(
            "to-outputs",
            "namespaces",
            "runner",
            "runner-params",
            "load-versions",
            "config",
            "params",
        ),
        *("conf-source",),
    ],
    "train .": ["name", "size", "labels", "steps", "minutes", "env", "params", "conf-source"],
    "gallery": ["port"],
    "viz run": ["host", "port", "load-file", "pipeline", "env", "params"],
    "catalog describe-datasets": ["env", "pipeline"],
    "catalog list-patterns": ["env"],
    "catalog resolve-patterns": ["env", "pipeline"],
    "registry describe": [""],
    "registry list": [""],
    "ipython": ["env"],
    "jupyter lab": ["env"],
}


def invent(rng: random.Random) -> str:
    """A value that is mostly wrong: pieces, or a name with a letter changed."""
    if rng.random() < 0.3:
        name = rng.choice(NAMES)
        at = rng.randrange(len(name))
        return name[:at] + rng.choice("aexz_.=") + name[at + rng.randrange(2) :]
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 5)))


def all_keys(tree: dict, prefix: str = "") -> list[str]:
    inner = [(prefix + key, value) for key, value in tree.items()]
    return [
        found
        for key, value in inner
        for found in [key, *(all_keys(value, f"{key}.") if isinstance(value, dict) else [])]
    ]


def merge(tree: dict, other: dict) -> dict:
    both = {
        key: merge(tree[key], other[key])
        for key in tree.keys() & other.keys()
        if isinstance(tree[key], dict) and isinstance(other[key], dict)
    }
    return tree | other | both


def check_command(cli: KedroCLI, words: list[str], value: str) -> None:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    assert result.exit_code in (0, 1, 2), words
    output = result.output.replace(value, "") if len(value) > 2 else result.output
    assert not FOREIGN.search(output), (words, output)


def check_parameter(base: dict, text: str) -> None:
    options = {option.name: option for option in ganvas.cli.run.params}
    try:
        given = read_params(click.Context(ganvas.cli.run), options["params"], text)
        check_params(ProjectParams, merge(base, given))
    except GanvasError as error:
        value = text.partition("=")[2]
        message = str(error).replace(value, "") if len(value) > 2 else str(error)
        assert not FOREIGN.search(message), (text, message)
        assert len(message) < 2500, text


def fuzz(cli: KedroCLI, number: int, seed: int) -> None:
    """Try wrong options and wrong parameters; no node runs, and nothing is served."""
    rng, base = random.Random(seed), load_config("parameters")
    keys = all_keys(base)
    commands = [(command, name) for command, names in OPTIONS.items() for name in names]
    for _ in range(number // 8):
        (command, name), value = rng.choice(commands), invent(rng)
        words = [*command.split(), f"--{name}={value}" if name else value]
        check_command(cli, words, value)
    for _ in range(number - number // 8):
        key = rng.choice(keys) if rng.random() < 0.8 else invent(rng)
        check_parameter(base, f"{key}={invent(rng)}")


@pytest.fixture
def idle(monkeypatch):
    """Let no command reach what it would do: run nodes, open a server or another program."""
    monkeypatch.setattr(AbstractRunner, "run", lambda *args, **options: {})
    monkeypatch.setattr(extractor_names, "_is_application", lambda name: False)
    with (
        mock.patch("kedro_viz.launchers.cli.run.run.callback", lambda **options: None),
        mock.patch("kedro.framework.cli.project.call"),
        mock.patch("kedro.framework.cli.jupyter.python_call"),
        mock.patch("kedro.framework.cli.jupyter._create_kernel"),
    ):
        yield


def test_three_hundred_wrong_values_are_described_in_words(cli, idle):
    fuzz(cli, number=300, seed=24)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("catalog describe-datasets --pipeline=nope", "There is no pipeline 'nope': --pipelines"),
        ("catalog list-patterns --env=nope", "There is no environment 'nope' in "),
        ("viz run --pipeline=tran", "There is no pipeline 'tran' (did you mean 'train'?): "),
        ("viz run --env=nope", "There is no environment 'nope' in "),
        ("viz run --params=train.epochs=x", "Parameter 'train.epochs' can't be 'x': it must be a"),
        ("viz run --params=a=[", "--params can't have 'a=[': a value is no YAML"),
        ("viz run --port=99999", "--port can't be 99999: it must be from 1 to 49151"),
        ("viz run --host=no.such.host.invalid", "--host can't be 'no.such.host.invalid': it must"),
        ("viz run --load-file=nope", "--load-file=nope doesn't exist: pass what --save-file has"),
        ("ipython --env=nope", "There is no environment 'nope' in "),
        ("jupyter lab --env=nope", "There is no environment 'nope' in "),
        ("registry describe nope", "'nope' pipeline not found. Existing pipelines: [__default__"),
        (
            "run --to-nodes=ingest.list_source --from-nodes=report.write_report",
            "No node is left to",
        ),
    ],
)
def test_a_wrong_value_is_one_sentence(cli, command, sentence):
    result = CliRunner().invoke(cli, command.split())
    assert sentence in error_sentence(result)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("type: nope.Foo, filepath: a", "its type is none that can be imported"),
        ("type: json.JSONDatset, filepath: a", "its type is none that can be imported"),
        ("type: json.JSONDataset", "its type doesn't take these keys and values, or needs others"),
        ("type: json.JSONDataset, filepath: a, foo: 1", "its type doesn't take these keys"),
    ],
)
def test_an_entry_of_the_catalog_that_can_not_be_used_is_named(shared_project, cli, entry, reason):
    (shared_project / "conf/local/catalog.yml").write_text(f"comparison: {{{entry}}}")
    (shared_project / "data/08_reporting/leaderboard").mkdir(parents=True, exist_ok=True)
    (shared_project / "data/08_reporting/leaderboard/a.json").write_text("{}")
    (shared_project / "data/08_reporting/leaderboard/a.png").touch()
    result = CliRunner().invoke(cli, ["run", "--pipelines=compare"])
    (shared_project / "conf/local/catalog.yml").unlink()
    expected = f"Error: The entry 'comparison' of the catalog in conf can't be used: {reason}"
    assert error_sentence(result).startswith(expected)


def test_the_help_of_all_commands_is_not_indented(cli):
    output = CliRunner().invoke(cli, ["--help"]).output
    lines = output.partition("Train an image generator")[2].partition("Options:")[0].splitlines()
    assert lines[1].strip() == "generates."
    assert "  ganvas train ~/art   train on your images, evaluate, and write a report" in lines
    assert not any(line.startswith("   ") or "     " in line.strip() for line in lines[1:3])
    commands = output.partition("Project specific commands from ganvas")[2].splitlines()[2:5]
    assert all(line.endswith(".") and "..." not in line for line in commands)
