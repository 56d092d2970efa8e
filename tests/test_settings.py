from pathlib import Path

import pytest
import yaml

from ganvas import settings
from ganvas.configuration import Configuration
from ganvas.params import Params, check_params

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
    assert keys_of(raw) == keys(Configuration)


@pytest.mark.parametrize("env", ["artworks", "wikiart", "celeba"])
def test_an_environment_names_its_source_and_keeps_what_it_does_not_change(env):
    base = check_params(Configuration, load("parameters", "base"))
    preset = check_params(Configuration, load("parameters", env))
    assert preset.ingest.source.name == preset.choices()["dataset"] == env
    assert preset.choices()["source"] == f"data/01_raw/{env}"
    assert preset.network.dcgan.generator_width == 64
    assert preset.train.optimiser == base.train.optimiser
    assert preset.train.batch_size == 64 and preset.train.generator_learning_rate == 2e-4


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
    assert catalog["generator"]["filepath"] == "data/06_models/mine/dcgan/generator.keras"
    assert catalog["raw_pictures"]["filepath"] == "/elsewhere"
