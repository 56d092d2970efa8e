"""Configuration that a slip has broken is described in one sentence."""

import itertools
import re
import shutil
from pathlib import Path

import pytest

from ganvas import settings
from ganvas.config_files import find_problem
from ganvas.config_loader import _check_catalog
from ganvas.errors import GanvasError
from projects import load_config, make_project

OPEN = "has a { or [ in line 1 that is not closed, or a comma is missing after a value."
NO_NAMES = "must hold names with values, as in 'train: {epochs: 3}': it holds none."
CHARACTERS = "holds characters that are no text: save it again as UTF-8 in your editor."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("train: {epochs: 3", OPEN),
        ("a: [1, 2", OPEN),
        ("train:\n\tepochs: 3", "has a tab at the beginning of line 2: indent by spaces."),
        ("train:\n  epochs: 3\n resume: true", "is not valid YAML in line 3: compare its"),
        ("ingest: {dataset: 'abc}", "has a quotation mark in line 1 that is not closed."),
        ("ingest:\n  dataset: a: b", "has a second colon in line 2: put text that contains one"),
        ("- a\n- b", NO_NAMES),
        ("5", NO_NAMES),
        ("ingest: {dataset: é}".encode("latin1"), "is not UTF-8 text in line 1: save it as UTF-8"),
        ("train: {epochs: 3}".encode("utf-16"), "is not UTF-8 text in line 1: save it as UTF-8"),
        (b"train: \0", CHARACTERS),
        ("train: {epochs: 3}\ntrain: {epochs: 4}", "has 'train' in line 1 and again in line 2: "),
        ("train:\n  epochs: 3\n  epochs: 4", "has 'epochs' in line 2 and again in line 3: leave"),
        ("null: 2", "has a name in line 1 that is no text: put a word before the colon."),
        ("[1, 2]: 2", "has a name in line 1 that is no text: put a word before the colon."),
        ("train: !foo {}", "has the tag !foo in line 1: leave it out."),
        ("train: !!python/object:os.system {}", "has the tag python/object:os.system in line 1"),
        ("train: *x", "refers in line 1 to an anchor that it doesn't have: check the name after"),
        ("a: 1\n---\nb: 2", "has several documents, separated by ---: leave one of them."),
        ("a: " + "[" * 900 + "]" * 900, "is nested too deeply"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_broken_file_is_described_with_its_line(tmp_path, content, problem):
    file = tmp_path / "parameters.yml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    found = find_problem(file)
    assert found is not None and f"{found}.".startswith(problem)
    assert "\n" not in found


def make_conf(folder: Path, **files: str) -> Path:
    """Write a small configuration, files of conf/local by their kind; return its folder."""
    for env in ("base", "local", "gpu"):
        (folder / "conf" / env).mkdir(parents=True)
    (folder / "conf/base/parameters.yml").write_text("train: {epochs: 2}\ningest: {size: 64}")
    for name, content in files.items():
        (folder / f"conf/local/{name}.yml").write_text(content)
    return folder


@pytest.mark.parametrize("kind", ["parameters", "catalog", "credentials", "globals"])
@pytest.mark.parametrize("content", ["a: {b: 3", "- a", "a: 1\na: 2"])
def test_the_file_that_keeps_a_configuration_from_loading_is_named(tmp_path, kind, content):
    make_conf(tmp_path)
    folder = tmp_path / "conf" / ("base" if kind == "globals" else "local")
    (folder / f"{kind}_mine.yml" if kind != "globals" else folder / "globals.yml").write_text(
        content
    )
    with pytest.raises(GanvasError) as error:
        loader = settings.CONFIG_LOADER_CLASS(
            str(tmp_path / "conf"), env=None, **settings.CONFIG_LOADER_ARGS
        )
        loader._load(kind)
    assert re.match(rf"{folder}/{kind}\w*.yml (has|must)", str(error.value))


@pytest.mark.parametrize("content", ["", "# a comment", "---", b"\xef\xbb\xbftrain: {epochs: 3}\n"])
def test_an_empty_file_and_a_byte_order_mark_are_no_mistakes(tmp_path, content):
    file = make_conf(tmp_path) / "conf/local/parameters.yml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    assert find_problem(file) is None
    epochs = load_config("parameters", None, project=tmp_path)["train"]["epochs"]
    assert epochs == (3 if isinstance(content, bytes) else 2)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    file = tmp_path / "parameters.yml"
    # A folder can't be read as a file, by root either.
    file.mkdir()
    assert find_problem(file) == "can't be read (Is a directory): allow your user to read it"


def test_no_file_of_the_project_has_a_problem(tmp_path):
    files = list((make_project(tmp_path) / "conf").rglob("*.yml"))
    assert len(files) > 20 and not [file for file in files if find_problem(file)]


@pytest.mark.parametrize("kind", ["parameters", "credentials"])
def test_a_key_in_two_files_is_named_with_both(tmp_path, kind):
    folder = make_conf(tmp_path) / "conf" / "local"
    for name in ("", "_b"):
        (folder / f"{kind}{name}.yml").write_text("train: {epochs: 3}")
    loader = settings.CONFIG_LOADER_CLASS(
        str(tmp_path / "conf"), env=None, **settings.CONFIG_LOADER_ARGS
    )
    with pytest.raises(GanvasError) as error:
        loader._load(kind)
    key = {"parameters": "train.epochs", "credentials": "train"}[kind]
    assert str(error.value) == (
        f"'{key}' is set in {folder}/{kind}.yml and in {folder}/{kind}_b.yml: leave it in one of "
        "them."
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("${nope}", "there is no 'nope' in the same configuration."),
        ("${nope:3}", "there is no resolver 'nope': parameters have by_profile, globals"),
        ("${oc.env:HOME}", "there is no resolver 'oc.env': parameters have"),
        ("${", "it is not closed, or holds signs that it can't"),
        ("${train.epochs}", "it refers to itself."),
        ("${by_profile:1}", "by_profile takes two values, for CPU and GPU"),
    ],
)
def test_a_reference_that_leads_nowhere_is_explained(tmp_path, value, reason):
    file = make_conf(tmp_path) / "conf/local/parameters.yml"
    file.write_text(f"train: {{epochs: '{value}'}}")
    with pytest.raises(GanvasError) as error:
        load_config("parameters", None, project=tmp_path)
    assert str(error.value).startswith(
        f"'train.epochs' in conf has a reference ${{…}} that can't be resolved: {reason}"
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (5, "must have a type, and most types need a filepath: indent them below it, or"),
        (None, "must have a type, and most types need a filepath"),
        ({"filepath": "a"}, "must have a type that is text, such as json.JSONDataset."),
        ({"type": 5}, "must have a type that is text"),
        (
            {"type": "json.JSONDataset", "filepath": 5},
            "must have a filepath that is text: quote it.",
        ),
    ],
)
def test_an_entry_of_the_catalog_without_a_type_is_named(entry, reason):
    with pytest.raises(GanvasError) as error:
        _check_catalog({"metrics": entry})
    assert str(error.value).startswith(f"The entry 'metrics' of the catalog in conf {reason}")


@pytest.mark.parametrize(
    ("folder", "env", "sentence"),
    [
        ("conf", None, "There is no folder {0}/conf of configuration: run the command in the"),
        ("conf/base", None, "{0}/conf has no folder base, which holds all parameters and the"),
        (
            "conf/gpu",
            "gpu",
            "There is no environment 'gpu' in {0}/conf: --env takes base, ",
        ),
        ("conf/gpu", "local,gpu", "--env can't be 'local,gpu': conf/base lies under all presets"),
        ("conf/gpu", "..", "There is no environment '..' in {0}/conf: --env takes base, "),
    ],
)
def test_a_folder_that_is_missing_is_named(tmp_path, folder, env, sentence):
    shutil.rmtree(make_conf(tmp_path) / folder)
    with pytest.raises(GanvasError) as error:
        load_config("parameters", env, project=tmp_path)
    assert str(error.value).startswith(sentence.format(tmp_path))


def test_an_archive_that_is_damaged_is_named(tmp_path):
    (tmp_path / "conf.zip").write_text("no archive")
    with pytest.raises(
        GanvasError, match=r"conf\.zip can't be read: set --conf-source to a folder"
    ):
        settings.CONFIG_LOADER_CLASS(str(tmp_path / "conf.zip"), **settings.CONFIG_LOADER_ARGS)


@pytest.mark.parametrize("text", ["007", "2024", "2024.10", "1e3", "on", "2024-01-31", "0x1F"])
def test_a_name_in_a_file_keeps_its_letters(tmp_path, text):
    file = make_conf(tmp_path) / "conf/local/parameters.yml"
    file.write_text(
        f"ingest: {{dataset: {text}, only: {{year: [{text}, 1], a: null, b: {text}}}, join: {{c: "
        f"{{{text}: [{text}]}}}}}}\nsample: {{classes: [{text}, b]}}"
    )
    loaded = load_config("parameters", None, project=tmp_path)
    assert loaded["ingest"]["dataset"] == text
    assert loaded["sample"]["classes"] == [text, "b"]
    assert loaded["ingest"]["only"] == {"year": [text, "1"], "a": None, "b": text}
    # Also the new name of joined labels, which is a key.
    assert loaded["ingest"]["join"] == {"c": {text: [text]}}
    joined = load_config("parameters", None, {"ingest": {"join": {"c": {text: ["x"]}}}}, tmp_path)
    assert joined["ingest"]["join"] == {"c": {text: ["x"]}}
    given = {"ingest": {"only": {"year": ["2000"]}}}
    overridden = load_config("parameters", None, given, tmp_path)["ingest"]["only"]
    assert overridden == {"year": ["2000"], "a": None, "b": text}


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a [1, 2, 3, 4]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
            for old, new in itertools.pairwise("abcdefghijklmnopqrst")
        ),
    ],
    ids=["list", "group", "exponential"],
)
@pytest.mark.parametrize("kind", ["parameters", "globals"])
def test_aliases_without_end_are_refused_at_once(tmp_path, kind, content):
    file = make_conf(tmp_path) / f"conf/local/{kind}.yml"
    file.write_text(content)
    with pytest.raises(GanvasError, match=r"has anchors and aliases that stand for more than"):
        load_config(kind, None, project=tmp_path)


def test_aliases_may_repeat_a_value(tmp_path):
    file = make_conf(tmp_path) / "conf/local/parameters.yml"
    file.write_text("train: {epochs: &n 5}\nsample: {count: *n}")
    assert load_config("parameters", None, project=tmp_path)["sample"]["count"] == 5
