"""The configuration in conf, as the project's settings load it, and the colors of Kedro-Viz."""

import json

import pytest
import yaml

from ganvas import settings
from ganvas.base_params import Params, check_params
from ganvas.networks import NETWORKS, build
from ganvas.pipeline_registry import register_pipelines
from ganvas.pipelines.evaluate.nodes import HISTORY_TITLES
from ganvas.project_params import ProjectParams
from projects import ROOT, load_config

LAYERS = {"raw", "intermediate", "primary", "models", "model output", "reporting"}


def keys_of_model(model: type[Params]) -> dict:
    """The nested keys of a model; None for values."""
    return {
        name: keys_of_model(field.annotation)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Params)
        else None
        for name, field in model.model_fields.items()
    }


def keys_of(tree: object) -> dict | None:
    return {key: keys_of(value) for key, value in tree.items()} if isinstance(tree, dict) else None


def test_base_lists_every_parameter():
    assert keys_of(load_config("parameters")) == keys_of_model(ProjectParams)


def test_every_network_can_be_selected_by_its_name_alone():
    for name in NETWORKS:
        parameters = load_config("parameters", params={"network": {"name": name}})
        assert check_params(ProjectParams, parameters).network.name == name


# Trainable parameters of generator and discriminator in the sources, at 64 pixels; of ArtGAN with
# 27 classes.
COUNTS = {
    "artworks": (3_576_704, 2_765_568),
    "celeba": (3_576_704, 2_765_568),
    "wikiart": (13_248_515, 11_626_396),
    "faces": (18_885_760, 17_232_768),
    "keras_faces": (3_979_651, 404_801),
}


@pytest.mark.slow
@pytest.mark.parametrize("env", COUNTS)
def test_the_networks_of_a_preset_are_those_of_its_source(env):
    preset = check_params(ProjectParams, load_config("parameters", env))
    networks = build(preset.network, (64, 64, 3), 27 if env == "wikiart" else 0)
    trainable = [
        sum(weight.numpy().size for weight in network.trainable_weights) for network in networks[:2]
    ]
    assert tuple(trainable) == COUNTS[env]


@pytest.mark.parametrize(
    ("env", "learning_rate", "batch_size", "optimizer", "decay"),
    [
        ("artworks", 2e-4, 64, "adam", {"beta_1": 0.5, "beta_2": 0.999}),
        ("celeba", 2e-4, 64, "adam", {"beta_1": 0.5, "beta_2": 0.999}),
        ("wikiart", 1e-3, 128, "rmsprop", {"rho": 0.9}),
        ("faces", 2e-4, 128, "adam", {"beta_1": 0.5, "beta_2": 0.999}),
        ("keras_faces", 1e-4, 32, "adam", {"beta_1": 0.9, "beta_2": 0.999}),
    ],
)
def test_a_preset_trains_as_its_source_does(env, learning_rate, batch_size, optimizer, decay):
    train = check_params(ProjectParams, load_config("parameters", env)).train
    assert train.generator_learning_rate == train.discriminator_learning_rate == learning_rate
    assert train.batch_size == batch_size
    assert train.optimizer.name == optimizer
    assert getattr(train.optimizer, optimizer).model_dump() == decay


def test_the_default_run_ends_by_its_steps():
    train = check_params(ProjectParams, load_config("parameters")).train
    assert train.max_steps and train.epochs is None and train.max_minutes is None


@pytest.mark.parametrize("env", [*COUNTS, "gpu"])
def test_a_preset_with_its_own_number_of_epochs_has_no_other_limit(env):
    train = check_params(ProjectParams, load_config("parameters", env)).train
    assert train.epochs and train.max_steps is None and train.max_minutes is None


def test_published_results_are_metrics_that_evaluation_computes():
    published = {
        env: {
            result["metric"]: result["value"]
            for result in load_config("parameters", env)["report"]["published"]
        }
        for env in ("artworks", "wikiart")
    }
    assert published["artworks"] == dict(
        zip(HISTORY_TITLES, (4.3852, 0.0655, 0.9508, 0.0121), strict=True)
    )
    assert published["wikiart"] == {"parzen_log_likelihood": 1041}
    assert load_config("parameters", "wikiart")["evaluate"]["parzen"] == 10_000


def test_every_dataset_has_a_layer():
    for name, entry in load_config("catalog").items():
        assert entry["metadata"]["kedro-viz"]["layer"] in LAYERS, name


def test_telemetry_is_off_for_everyone():
    assert yaml.safe_load((ROOT / ".telemetry").read_text()) == {"consent": False}
    assert "kedro-telemetry" in settings.DISABLE_HOOKS_FOR_PLUGINS


def test_kedro_viz_has_a_color_for_exactly_the_nodes_and_datasets():
    styles = json.loads((ROOT / ".viz" / "styles.json").read_text())
    nodes = {node for pipeline in register_pipelines().values() for node in pipeline.nodes}
    assert set(styles) == {node._name for node in nodes} | set(load_config("catalog"))
    stages = {node.namespace: styles[node._name] for node in nodes}
    for node in nodes:
        assert all(styles[name] == stages[node.namespace] for name in (node._name, *node.outputs))
