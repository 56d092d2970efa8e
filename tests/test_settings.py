import json
import shlex
from pathlib import Path

import pytest
import tensorflow as tf
import yaml
from kedro.framework.cli.utils import _split_params

from ganvas import settings
from ganvas.base_params import Params, check_params
from ganvas.errors import GanvasError
from ganvas.networks import NETWORKS, build
from ganvas.pipeline_registry import register_pipelines
from ganvas.pipelines.evaluate.nodes import HISTORY_TITLES
from ganvas.project_params import ProjectParams

CONF = Path(__file__).parents[1] / "conf"
LAYERS = {"raw", "intermediate", "primary", "models", "model output", "reporting"}


def load(kind: str, env: str) -> dict:
    return settings.CONFIG_LOADER_CLASS(str(CONF), env=env, **settings.CONFIG_LOADER_ARGS)[kind]


def keys(model: type[Params]) -> dict:
    """The tree of a model's keys."""
    fields = model.model_fields.items()
    return {
        name: keys(field.annotation)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Params)
        else None
        for name, field in fields
    }


def keys_of(tree: object) -> dict | None:
    return {key: keys_of(value) for key, value in tree.items()} if isinstance(tree, dict) else None


def test_base_shows_every_parameter():
    raw = load("parameters", "base")
    assert keys_of(raw) == keys(ProjectParams)


def test_sizes_follow_the_device():
    sizes = {}
    for profile in ("auto", "cpu", "gpu"):
        loader = settings.CONFIG_LOADER_CLASS(
            str(CONF),
            env="base",
            runtime_params={"profile": profile},
            **settings.CONFIG_LOADER_ARGS,
        )
        chosen = check_params(ProjectParams, loader["parameters"])
        sizes[profile] = (chosen.train.batch_size, chosen.network.projected.input_upscale)
    assert sizes["cpu"] == (16, 1) and sizes["gpu"] == (64, 2)
    assert sizes["auto"] == sizes["gpu" if tf.config.list_physical_devices("GPU") else "cpu"]


@pytest.mark.parametrize(("given", "sizes"), [({}, (64, 2)), ({"profile": "cpu"}, (16, 1))])
def test_sizes_follow_the_device_of_an_environment_too(given, sizes):
    loader = settings.CONFIG_LOADER_CLASS(
        str(CONF), env="gpu", runtime_params=given, **settings.CONFIG_LOADER_ARGS
    )
    chosen = check_params(ProjectParams, loader["parameters"])
    assert (chosen.train.batch_size, chosen.network.projected.input_upscale) == sizes


def test_a_network_is_switched_by_its_name_alone():
    for name in NETWORKS:
        loader = settings.CONFIG_LOADER_CLASS(
            str(CONF),
            env="base",
            runtime_params={"network": {"name": name}},
            **settings.CONFIG_LOADER_ARGS,
        )
        assert check_params(ProjectParams, loader["parameters"]).network.name == name


@pytest.mark.parametrize(
    ("env", "dataset", "source", "network"),
    [
        ("artworks", "artworks", "data/01_raw/artworks", "dcgan"),
        ("wikiart", "wikiart", "data/01_raw/wikiart", "artgan"),
        ("celeba", "celeba", "data/01_raw/celeba", "dcgan"),
        ("faces", "faces", "data/01_raw/faces", "dcgan"),
        ("keras_faces", "keras_faces", "data/01_raw/faces", "dcgan"),
        ("r3gan", "sample", "data/01_raw/sample", "r3gan"),
    ],
)
def test_an_environment_leads_to_folders_of_its_own(env, dataset, source, network):
    preset = check_params(ProjectParams, load("parameters", env))
    mirror = f"data/01_raw/{dataset}"
    expected = {"dataset": dataset, "source": source, "network": network, "mirror": mirror}
    assert preset.choices() == expected


# What generator and discriminator learn in the sources, at 64 pixels; ArtGAN's with 27 classes.
COUNTS = {
    "artworks": (3_576_704, 2_765_568),
    "celeba": (3_576_704, 2_765_568),
    "wikiart": (13_248_515, 11_626_396),
    "faces": (18_885_760, 17_232_768),
    "keras_faces": (3_979_651, 404_801),
}


@pytest.mark.parametrize("env", COUNTS)
def test_a_presets_networks_are_those_of_its_source(env):
    preset = check_params(ProjectParams, load("parameters", env))
    pair = build(preset.network, (64, 64, 3), 27 if env == "wikiart" else 0)
    trainable = [
        sum(weight.numpy().size for weight in network.trainable_weights) for network in pair[:2]
    ]
    assert tuple(trainable) == COUNTS[env]


@pytest.mark.parametrize(
    ("env", "rate", "batch", "optimizer", "decay"),
    [
        ("artworks", 2e-4, 64, "adam", {"beta_1": 0.5, "beta_2": 0.999}),
        ("celeba", 2e-4, 64, "adam", {"beta_1": 0.5, "beta_2": 0.999}),
        ("wikiart", 1e-3, 128, "rmsprop", {"rho": 0.9}),
        ("faces", 2e-4, 128, "adam", {"beta_1": 0.5, "beta_2": 0.999}),
        ("keras_faces", 1e-4, 32, "adam", {"beta_1": 0.9, "beta_2": 0.999}),
    ],
)
def test_a_preset_trains_as_its_source_did(env, rate, batch, optimizer, decay):
    train = check_params(ProjectParams, load("parameters", env)).train
    assert train.generator_learning_rate == train.discriminator_learning_rate == rate
    assert train.batch_size == batch and train.max_minutes is None
    assert train.optimizer.name == optimizer
    assert getattr(train.optimizer, optimizer).model_dump() == decay


def test_published_figures_are_those_that_evaluation_measures():
    published = {
        env: {
            each["figure"]: each["value"] for each in load("parameters", env)["report"]["published"]
        }
        for env in ("artworks", "wikiart")
    }
    assert published["artworks"] == dict(
        zip(HISTORY_TITLES, (4.3852, 0.0655, 0.9508, 0.0121), strict=True)
    )
    assert published["wikiart"] == {"parzen_log_likelihood": 1041}
    assert load("parameters", "wikiart")["evaluate"]["parzen"] == 10_000


@pytest.mark.parametrize("labels", ["genre", "artist"])
def test_wikiart_by_other_labels_has_folders_of_its_own(labels):
    params = {"ingest": {"source": {"wikiart": {"labels": labels}}}}
    loader = settings.CONFIG_LOADER_CLASS(
        str(CONF), env="wikiart", runtime_params=params, **settings.CONFIG_LOADER_ARGS
    )
    chosen = check_params(ProjectParams, loader["parameters"]).choices()
    assert chosen["dataset"] == f"wikiart_by_{labels}"
    assert chosen["source"] == "data/01_raw/wikiart"


@pytest.mark.parametrize(
    ("source", "label", "folder"),
    [
        ("sample", "auto", "projected_by_genre"),
        ("folder", "auto", "projected"),
        ("sample", None, "projected"),
        ("sample", "artist", "projected_by_artist"),
        ("folder", "class", "projected_by_class"),
    ],
)
def test_the_sample_alone_is_painted_by_class_unasked(source, label, folder):
    raw = load("parameters", "base")
    raw["ingest"]["source"]["name"] = source
    raw["network"]["label"] = label
    assert check_params(ProjectParams, raw).choices()["network"] == folder


def test_every_dataset_has_a_layer():
    for name, entry in load("catalog", "base").items():
        assert entry["metadata"]["kedro-viz"]["layer"] in LAYERS, name


def test_telemetry_is_off_for_everyone():
    assert yaml.safe_load((CONF.parent / ".telemetry").read_text()) == {"consent": False}
    assert "kedro-telemetry" in settings.DISABLE_HOOKS_FOR_PLUGINS


@pytest.mark.parametrize("env", ["base", "artworks"])
def test_catalog_paths_follow_the_parameters(env):
    params = {"ingest": {"dataset": "mine", "source": {"path": "/elsewhere"}}}
    loader = settings.CONFIG_LOADER_CLASS(
        str(CONF), env=env, runtime_params=params, **settings.CONFIG_LOADER_ARGS
    )
    catalog = loader["catalog"]
    network = {"base": "projected_by_genre", "artworks": "dcgan"}[env]
    assert catalog["generator"]["filepath"] == f"data/06_models/mine/{network}/generator.keras"
    assert catalog["raw_images"]["filepath"] == "/elsewhere"


def test_a_network_that_was_looked_through_does_not_judge():
    raw = load("parameters", "base")
    check_params(ProjectParams, raw)
    judged = raw | {"evaluate": raw["evaluate"] | {"extractor": "efficientnet_lite0"}}
    with pytest.raises(GanvasError, match="whose word would mean nothing: take efficientnet_lite2"):
        check_params(ProjectParams, judged)
    raw["train"]["kid_validation"]["interval"] = 5
    with pytest.raises(
        GanvasError, match=r"by the same network: set train.kid_validation.interval=null"
    ):
        check_params(ProjectParams, raw)


def test_a_network_that_chose_among_epochs_does_not_judge_them():
    raw = load("parameters", "base")
    raw["network"]["name"] = "dcgan"
    raw["evaluate"]["extractor"] = "efficientnet_lite0"
    check_params(ProjectParams, raw)
    raw["train"]["kid_validation"]["interval"] = 5
    with pytest.raises(GanvasError, match="would judge its own choice: take efficientnet_lite2"):
        check_params(ProjectParams, raw)


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
    ],
)
def test_the_command_of_a_run_gives_the_same_parameters_again(env, params, expected):
    loader = settings.CONFIG_LOADER_CLASS(
        str(CONF), env=env, runtime_params=params, **settings.CONFIG_LOADER_ARGS
    )
    command = loader["catalog"]["command"]["data"]
    assert command == expected
    given = [word.partition("=")[2] for word in shlex.split(command) if "--params" in word]
    assert _split_params(None, None, given[0] if given else "") == params


def test_the_network_that_gives_fid_needs_its_file():
    raw = load("parameters", "base")
    raw["evaluate"]["extractor"] = "inception"
    with pytest.raises(GanvasError, match=r"in 'evaluate' don't go together: .*6726825d\.pth"):
        check_params(ProjectParams, raw)
    raw["evaluate"]["weights"] = "here.pth"
    assert check_params(ProjectParams, raw).evaluate.weights == "here.pth"
    raw["evaluate"]["extractor"] = "VGG"
    with pytest.raises(GanvasError, match=r"'evaluate.extractor' can't be 'VGG': allowed are "):
        check_params(ProjectParams, raw)


def test_kedro_viz_has_a_color_for_each_node_and_dataset_and_for_nothing_else():
    styles = json.loads((CONF.parent / ".viz" / "styles.json").read_text())
    nodes = {node for pipeline in register_pipelines().values() for node in pipeline.nodes}
    assert set(styles) == {node._name for node in nodes} | set(load("catalog", "base"))
    stages = {node.namespace: styles[node._name] for node in nodes}
    for node in nodes:
        assert all(styles[name] == stages[node.namespace] for name in (node._name, *node.outputs))
