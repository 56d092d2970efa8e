"""The configuration loader: profiles, catalog paths and the command of a run."""

import shlex

import pytest
import tensorflow as tf
from kedro.framework.cli.utils import _split_params

from ganvas.base_params import check_params, flatten
from ganvas.config_loader import by_device
from ganvas.errors import GanvasError
from ganvas.project_params import ProjectParams
from ganvas.redaction import redact
from projects import load_config, make_project, write_parameters


def sizes(env: str, params: dict) -> tuple[int, int]:
    """Two parameters whose values depend on the profile."""
    chosen = check_params(ProjectParams, load_config("parameters", env, params))
    return chosen.train.batch_size, chosen.network.projected.input_upscale


def test_sizes_depend_on_the_profile():
    assert sizes("base", {"profile": "cpu"}) == (16, 1)
    assert sizes("base", {"profile": "gpu"}) == (64, 2)
    expected = (64, 2) if tf.config.list_physical_devices("GPU") else (16, 1)
    assert sizes("base", {"profile": "auto"}) == expected


@pytest.mark.parametrize(("params", "expected"), [({}, (64, 2)), ({"profile": "cpu"}, (16, 1))])
def test_sizes_depend_on_the_profile_of_an_environment(params, expected):
    assert sizes("gpu", params) == expected


@pytest.mark.parametrize("env", ["base", "artworks"])
def test_catalog_paths_depend_on_the_parameters(env):
    params = {"ingest": {"dataset": "mine", "source": {"path": "/elsewhere"}}}
    catalog = load_config("catalog", env, params)
    network = {"base": "projected_by_genre", "artworks": "dcgan"}[env]
    assert catalog["generator"]["filepath"] == f"data/06_models/mine/{network}/generator.keras"
    assert catalog["raw_images"]["filepath"] == "/elsewhere"


@pytest.mark.parametrize(
    ("env", "params", "expected"),
    [
        (None, {}, "kedro run"),
        ("local", {}, "kedro run"),
        ("celeba", {"train": {"epochs": 3}}, "kedro run --env=celeba --params=train.epochs=3"),
        (
            None,
            {"network": {"label": None}, "train": {"flip": True, "ema_decay": 0.5}},
            "kedro run --params=network.label=null,train.flip=true,train.ema_decay=0.5",
        ),
        (
            None,
            {"ingest": {"source": {"path": "/my images"}}},
            "kedro run '--params=ingest.source.path=/my images'",
        ),
        (
            None,
            {"ingest": {"dataset": "2024", "source": {"path": "/my #1"}}},
            """kedro run '--params=ingest.dataset="2024",ingest.source.path="/my #1"'""",
        ),
        (
            None,
            {"ingest": {"source": {"path": "/red, green = blue"}}},
            # Kedro would cut the path at a comma.
            r"""kedro run '--params=ingest.source.path="/red\u002c green = blue"'""",
        ),
    ],
)
def test_the_command_of_a_run_reproduces_its_parameters(
    tmp_path, monkeypatch, env, params, expected
):
    # A copy, without what conf/local may hold.
    project = make_project(tmp_path)
    monkeypatch.chdir(project)
    command = load_config("catalog", env, params, project)["command"]["data"]
    assert command == expected
    options = [word.partition("=")[2] for word in shlex.split(command) if "--params" in word]
    assert _split_params(None, None, options[0] if options else "") == params


def test_the_command_of_a_run_has_the_parameters_of_conf_local(tmp_path, monkeypatch):
    project = make_project(tmp_path)
    monkeypatch.chdir(project)
    local = {
        "profile": "gpu",
        "train.seed": 4,
        "train.flip": False,  # as in conf/base
        "train.max_steps": 50,
        "ingest.dataset": "mine",
        "ingest.source.path": "/red, green",
        "train.augment.policy": ["cutout", "color"],
        "report.published": [
            {"metric": "frechet_distance", "value": 12.5, "source": "Ann, 2020: 5k images"},
            {"metric": "recall", "value": 1, "source": "null"},
        ],
    }
    write_parameters(project / "conf/local/parameters.yml", local)
    params = {"train": {"max_steps": 70, "epochs": 2}}
    command = load_config("catalog", None, params, project)["command"]["data"]
    (option,) = [word.partition("=")[2] for word in shlex.split(command) if "--params" in word]
    chosen = _split_params(None, None, option)
    assert flatten(chosen) == {
        "profile": "gpu",
        "train.seed": 4,
        "train.max_steps": 70,
        "train.epochs": 2,
        "ingest.dataset": "mine",
        "ingest.source.path": "/red, green",
        "train.augment.policy": ["cutout", "color"],
        "report.published": local["report.published"],
    }
    # The same parameters without conf/local.
    expected = load_config("parameters", None, params, project)
    assert load_config("parameters", "base", chosen, project) == expected


def test_the_command_of_a_run_has_no_password(tmp_path, monkeypatch):
    project = make_project(tmp_path)
    monkeypatch.chdir(project)
    params = {
        "tracking": {"uri": "http://ann:hunter2@host:5000"},
        "ingest": {"source": {"name": "folder", "path": "s3://AKIA:hunter2/x@bucket/art"}},
    }
    command = load_config("catalog", None, params, project)["command"]["data"]
    assert command == (
        "kedro run '--params=tracking.uri=http://***@host:5000,"
        "ingest.source.name=folder,ingest.source.path=s3://***@bucket/art'"
    )


def test_no_parameter_is_taken_for_a_password():
    parameters = load_config("parameters")
    assert redact(flatten(parameters)) == flatten(parameters)


def test_the_old_name_of_by_profile_is_refused_with_the_new_one():
    with pytest.raises(
        GanvasError, match=r"\$\{by_device:16,64\} .* called \$\{by_profile:16,64\}"
    ):
        by_device(16, 64)


def test_parameters_of_another_augmentation_are_refused_where_they_were_chosen(tmp_path):
    project = make_project(tmp_path)
    # conf/base and presets have them.
    for name in ("ada", "adaptive_diffaugment", "none"):
        load_config("catalog", None, {"train": {"augment": {"name": name}}}, project)
    load_config("catalog", "fastgan", {"train": {"augment": {"name": "ada"}}}, project)
    write_parameters(project / "conf/local/parameters.yml", {"train.augment.policy": ["cutout"]})
    load_config("catalog", None, None, project)
    with pytest.raises(GanvasError, match=r"'train\.augment\.policy' has no effect"):
        load_config("catalog", None, {"train": {"augment": {"name": "ada"}}}, project)
