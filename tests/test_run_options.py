"""How the options of `kedro run` are read and checked."""

import click
import pytest
from click.testing import CliRunner

from ganvas.base_params import flatten
from ganvas.cli import run
from ganvas.command_line import join_params
from ganvas.errors import GanvasError
from ganvas.run_options import read_params, split_params
from projects import error_sentence

OPTIONS = {option.name: option for option in run.params}


def read(text: str) -> dict:
    return flatten(read_params(click.Context(run), OPTIONS["params"], text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.epochs=3, train.flip=true", {"train.epochs": 3, "train.flip": True}),
        ("train.augment.policy=[color, cutout]", {"train.augment.policy": ["color", "cutout"]}),
        ("ingest.dataset=007", {"ingest.dataset": "007"}),
        ("ingest.dataset=2024.10", {"ingest.dataset": "2024.10"}),
        ("ingest.dataset=on", {"ingest.dataset": "on"}),
        ("ingest.dataset=null", {"ingest.dataset": None}),
        ("ingest.dataset='null'", {"ingest.dataset": "null"}),
        ("ingest.source.path=/my #1: x", {"ingest.source.path": "/my #1: x"}),
        (
            'ingest.source.path="/a, b",train.seed=1',
            {"ingest.source.path": "/a, b", "train.seed": 1},
        ),
        ("ingest.source.path=/a[1,train.seed=1", {"ingest.source.path": "/a[1", "train.seed": 1}),
        ("sample.classes=[on, 1e3]", {"sample.classes": ["on", "1e3"]}),
        ("network.label=[", {"network.label": "["}),
        ("ingest.source.path={a}", {"ingest.source.path": "{a}"}),
        # Labels are text, of any column.
        ("ingest.only={year: [1990, 007, on]}", {"ingest.only.year": ["1990", "007", "on"]}),
        ("ingest.only.Smiling=yes,ingest.most=9", {"ingest.only.Smiling": "yes", "ingest.most": 9}),
        ("ingest.only={a b: [1]}", {"ingest.only": {"a b": ["1"]}}),
        ("ingest.only={a: null},ingest.seed=1", {"ingest.only.a": None, "ingest.seed": 1}),
        (
            "ingest.join={year: {old: [1, 2], 3: 4}},ingest.most={year: 5}",
            {
                "ingest.join.year.old": ["1", "2"],
                "ingest.join.year.3": "4",
                "ingest.most.year": 5,
            },
        ),
    ],
)
def test_values_are_read_as_they_are_meant(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    "value", ["007", "on", "a, b", "[x]", "it's", '"', "#1", "é", "", "null", 7]
)
def test_what_is_written_is_read_again(value):
    option = join_params({"ingest.source.path": value, "train.seed": 3})
    expected = str(value)
    assert read(option.removeprefix("--params=")) == {
        "ingest.source.path": expected,
        "train.seed": 3,
    }


@pytest.mark.parametrize(
    "params",
    [
        {"ingest.only": {"Fine art, old": ["A, B", "1990"], "x": None}},
        {"ingest.only.year": ["1990"], "ingest.most.year": 5},
        {"ingest.join.style": {"Old masters": ["yes"], "{": ["a", "b"]}},
        {"ingest.join.style.other": "007", "ingest.rare": 3},
    ],
)
def test_groups_of_labels_are_read_as_they_are_written(params):
    assert read(join_params(params).removeprefix("--params=")) == params


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "a..b=1", "train[x]=1", "train.epochs=???"])
def test_what_is_no_key_with_a_value_is_refused(text):
    with pytest.raises(GanvasError, match=r"--params can't have .*: write KEY=VALUE,KEY=VALUE"):
        read(text)


@pytest.mark.parametrize(
    "value", ["{", "[", "*x", "@", "%", "`", "!!python/object:os.system", "9" * 5000]
)
def test_what_is_no_yaml_is_refused(value):
    with pytest.raises(
        GanvasError, match=r"--params can't have 'train\.epochs=.*: a value is no YAML"
    ):
        read(f"train.epochs={value}")


def test_commas_in_lists_separate_no_parameters():
    assert split_params("a=[1, 2],b={x: 1, y: 2},c='1,2',d=1,") == [
        *("a=[1, 2]", "b={x: 1, y: 2}", "c='1,2'", "d=1")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--tags=training", "There is no tag 'training' in report: there are report."),
        ("--from-inputs=metric", "no dataset 'metric' in report: perhaps you mean metrics"),
        ("--namespaces=reports", "no namespace 'reports' in report (did you mean 'report'?)"),
        ("--nodes=[", "--nodes can't have '[': it has a bracket that is not closed."),
        (
            "--runner=SequentialRuner",
            "'SequentialRuner' (did you mean 'SequentialRunner'?): use SequentialRunner",
        ),
        ("--runner=os.system", "There is no runner 'os.system': use SequentialRunner"),
        (
            "--runner-params=foo=1",
            "--runner-params can't be foo=1: SequentialRunner takes is_async",
        ),
        (
            "--load-versions=generator",
            "--load-versions can't have 'generator': write DATASET:VERSION",
        ),
        ("--load-versions=generator:../x", "can't have 'generator:../x': write DATASET:VERSION"),
        (
            "--load-versions=nope:2024",
            "--load-versions has nope, but there are versions of generator",
        ),
        ("--pipeline=train", "--pipeline and --pipelines can't be set both: leave --pipeline out."),
        ("--pipelines=evaluate_images,evaluate", "evaluate both a generator and other images"),
        ("--env=..", "There is no environment '..' in "),
        ("--conf-source=pyproject.toml", "There is no folder "),
        ("--conf-source=bad.zip", "bad.zip can't be read: set --conf-source to a folder, or to a"),
        ("--config=bad.zip", "bad.zip has no options below 'run:'"),
        (
            "--config=conf/base/parameters_train.yml",
            "has no options below 'run:': write them there",
        ),
        ("--config=open.yml", "open.yml has a { or [ in line 1 that is not closed"),
        (
            "--config=name.yml",
            "name.yml has 'tag' (did you mean 'tags'?), which is no option of run",
        ),
        ("--config=flag.yml", "flag.yml has is_async: maybe, which must be true or false."),
        ("--config=empty.yml", "empty.yml has pipelines without a value: write one, or leave"),
        ("--runner=..", "There is no runner '..': use SequentialRunner"),
    ],
)
def test_a_wrong_option_is_one_sentence(shared_project, cli, option, sentence):
    files = {
        "bad.zip": "a: no archive",
        "open.yml": "run: {",
        "name.yml": "run: {tag: x}",
        "flag.yml": "run: {is_async: maybe}",
        "empty.yml": "run: {pipelines: }",
    }
    for name, content in files.items():
        (shared_project / name).write_text(content)
    result = CliRunner().invoke(cli, ["run", "--pipelines=report", option])
    assert sentence in error_sentence(result)


def test_a_file_of_options_may_have_lists_and_nested_parameters(shared_project):
    (shared_project / "run.yml").write_text(
        "run:\n  pipelines: [train, report]\n  tags: [painting]\n"
        "  params: {train.epochs: 3, train: {seed: 4}}\n"
    )
    with run.make_context("run", ["--config=run.yml"]) as context:
        assert context.params["pipelines"] == ["train", "report"]
        assert context.params["tags"] == ["painting"]
        assert context.params["params"] == {"train": {"epochs": 3, "seed": 4}}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "train .", "viz run", "catalog describe-datasets"])
@pytest.mark.parametrize("option", ["--env", "--pipelines", "--pipeline", "--name"])
def test_an_empty_option_is_refused(cli, command, option):
    words = [*command.split(), f"{option}="]
    result = CliRunner().invoke(cli, words)
    if "No such option" not in result.output:
        assert error_sentence(result).startswith(f"Error: {option} is empty, perhaps because a")


@pytest.mark.slow
def test_nodes_can_be_chosen_by_the_tag_of_their_stage(cli):
    result = CliRunner().invoke(cli, ["run", "--tags=report"])
    assert "There is no class_list yet" in error_sentence(result)
