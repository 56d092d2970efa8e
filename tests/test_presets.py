"""Presets: several of them combine, between conf/base and conf/local."""

import itertools
import shlex
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ganvas.base_params import check_params, flatten
from ganvas.config_loader import GanvasConfigLoader
from ganvas.errors import GanvasError
from ganvas.hooks import GanvasHooks
from ganvas.presets import split_names
from ganvas.project_params import ProjectParams
from projects import load_config, make_loader, read_option, write_parameters

TRAINING = {"fastgan", "gpu", "r3gan", "stylegan2"}
PRESETS = sorted({"artworks", "celeba", "faces", "keras_faces", "wikiart"} | TRAINING)


def add_preset(project: Path, name: str, params: dict[str, object]) -> None:
    (project / "conf" / name).mkdir(exist_ok=True)
    write_parameters(project / "conf" / name / "parameters.yml", params)


def read(env: str | None, project: Path | None = None, **params) -> dict[str, object]:
    """All parameters by their dotted keys."""
    return flatten(load_config("parameters", env, params, project))


def section(params: dict[str, object], *names: str) -> dict[str, object]:
    return {key: value for key, value in params.items() if key.startswith(names)}


def test_all_presets_are_tested(project):
    folders = {folder.name for folder in (project / "conf").iterdir() if folder.is_dir()}
    assert folders == {"base", "local", *PRESETS}


def test_each_pair_of_presets_is_valid_and_has_the_data_of_one_and_the_network_of_one(monkeypatch):
    # Each folder is read once for all pairs: reading takes longer than merging.
    folders, read_folder = {}, GanvasConfigLoader._read_folder

    def read_once(loader, key, name):
        if (key, name) not in folders:
            folders[key, name] = read_folder(loader, key, name)
        return folders[key, name]

    monkeypatch.setattr(GanvasConfigLoader, "_read_folder", read_once)
    # The profile of conf/gpu is for all networks.
    alone = {name: read(name, profile="cpu") for name in PRESETS}
    for first, second in itertools.permutations(PRESETS, 2):
        both = load_config("parameters", f"{first},{second}", {"profile": "cpu"})
        check_params(ProjectParams, both)
        both = flatten(both)
        # A later known system replaces an earlier one; a training preset leaves the images.
        data = first if second in TRAINING else second
        assert section(both, "ingest.") == section(alone[data], "ingest."), (first, second)
        expected = section(alone[second], "train.", "network.")
        assert section(both, "train.", "network.") == expected, (first, second)
        assert both["report.published"] == alone[second]["report.published"], (first, second)


def test_the_default_network_is_trained_in_its_gpu_size_on_wikiart():
    both, gpu = read("wikiart,gpu"), read("gpu")
    assert both == gpu | {"ingest.source.name": "wikiart", "evaluate.parzen": 10000}
    assert both["network.name"] == "projected" and both["train.batch_size"] == 64
    assert both["train.optimizer.name"] == "adam" and both["train.schedule.name"] == "constant"


def test_r3gan_has_the_schedules_of_its_authors_code():
    """Those of its configuration FFHQ-64, from the first to the last value, over 2e7 images."""
    published = {
        "rate": (2e-4, 5e-5),
        "gamma": (2, 0.2),
        "beta_2": (0.9, 0.99),
        "ema": (0, 500_000),
    }
    preset = read("r3gan")
    assert preset["train.schedule.name"] == "cosine"
    assert preset["train.schedule.images"] == 2e7
    for key, name in (("factor", "rate"), ("penalty_factor", "gamma")):
        first, last = published[name]
        assert preset[f"train.schedule.{key}"] == pytest.approx(last / first)
    betas = preset["train.optimizer.adam.beta_2"], preset["train.schedule.beta_2"]
    assert betas == published["beta_2"]
    assert preset["train.ema_images"] == published["ema"][1] and not preset["train.ema_decay"]


def test_what_is_replaced_is_said():
    loader = make_loader("wikiart,gpu")
    assert loader["catalog"]["generator"]["filepath"].startswith("data/06_models/wikiart/projected")
    assert loader.replacements == [
        "Preset gpu replaces all of train, network and report.published in wikiart, since its "
        "network is projected, not artgan."
    ]
    loader = make_loader("celeba,faces,r3gan")
    assert loader["parameters"]["ingest"]["dataset"] == "faces"
    assert loader.replacements == [
        "Preset faces replaces all of ingest, evaluate, train and network in celeba, since its "
        "images are those of faces, not of celeba.",
        "Preset r3gan replaces all of train and network in faces, since its network is r3gan, not "
        "dcgan.",
    ]
    loader = make_loader("wikiart")
    assert loader["parameters"]["train"]["epochs"] == 100 and loader.replacements == []


def test_what_is_replaced_is_logged_before_a_run(project, caplog):
    loader, hooks = make_loader("wikiart,r3gan"), GanvasHooks()
    assert loader["parameters"]
    hooks.after_context_created(SimpleNamespace(project_path=project, config_loader=loader))
    with caplog.at_level("INFO", "ganvas"):
        hooks.before_pipeline_run(Pipeline([]), DataCatalog(), {})
    assert "Preset r3gan replaces all of train, network and report.published" in caplog.text


@pytest.mark.parametrize(
    "params",
    [{"train.generator_learning_rate": 0.1}, {"network.name": "artgan", "train.flip": True}],
)
def test_a_preset_for_the_same_network_is_laid_over(project, params):
    add_preset(project, "mine", params)
    assert read("wikiart,mine", project) == read("wikiart", project) | params


def test_the_order_decides_and_a_preset_without_a_network_stays_below(project):
    add_preset(project, "short", {"train.epochs": 2, "train.flip": True})
    assert read("short,r3gan", project) == read("r3gan", project) | {
        "train.epochs": 2,
        "train.flip": True,
    }
    assert read("short,wikiart", project)["train.epochs"] == 100
    assert read("wikiart,short", project)["train.epochs"] == 2
    # What was set for ArtGAN, but not that which comes after R3GAN.
    assert read("wikiart,short,r3gan", project) == read("r3gan", project) | {
        "ingest.source.name": "wikiart",
        "evaluate.parzen": 10000,
    }


def test_a_preset_of_images_keeps_the_training_of_the_one_before(project):
    params = {"ingest.source.name": "folder", "ingest.source.path": "/art", "ingest.dataset": "007"}
    (project / "conf/mine").mkdir()
    (project / "conf/mine/parameters.yml").write_text(
        "ingest: {dataset: 007, source: {name: folder, path: /art}}"
    )
    both, faces = read("faces,mine", project), read("faces", project)
    assert section(both, "train.", "network.") == section(faces, "train.", "network.")
    assert section(both, "ingest.") == section(read(None, project), "ingest.") | params
    assert both["evaluate.faces"] == 0


def test_conf_local_lies_over_presets_and_is_part_of_the_command(project):
    local = {"train.epochs": 7, "network.name": "dcgan", "ingest.dataset": "007"}
    (project / "conf/local/parameters.yml").write_text(
        "train: {epochs: 7, batch_size: 128}\nnetwork: {name: dcgan}\n"
        "ingest: {dataset: 007}\nsample: {classes: [on]}"
    )
    for env in ("wikiart", "wikiart,gpu", "gpu , wikiart"):
        params = {"train": {"epochs": 9}}
        loaded = load_config("parameters", env, params, project)
        assert flatten(loaded) | local | {"train.epochs": 9} == flatten(loaded)
        command = load_config("catalog", env, params, project)["command"]["data"]
        run, environment, option = shlex.split(command)[1:]
        assert (run, environment) == ("run", f"--env={env.replace(' ', '')}")
        # On another machine, without conf/local.
        given = read_option(option.removeprefix("--params="))
        assert flatten(given) == local | {
            "train.epochs": 9,
            "sample.classes": ["on"],
            # As in wikiart.
            **({"train.batch_size": 128} if env == "wikiart,gpu" else {}),
        }
        assert load_config("parameters", environment[6:], given) == loaded
    assert read("base", project)["network.name"] == "projected"
    assert load_config("catalog", "base", {}, project)["command"]["data"] == "kedro run --env=base"
    assert read("local", project) == read(None, project) != read("base", project)


def test_the_catalog_and_credentials_of_later_folders_override_earlier_ones(project):
    for number, folder in enumerate(("wikiart", "gpu", "local")):
        text = f"metrics: {{type: json.JSONDataset, filepath: {folder}}}\n"
        if number < 2:
            text += f"history: {{type: json.JSONDataset, filepath: {folder}}}\n"
        (project / f"conf/{folder}/catalog.yml").write_text(text)
        (project / f"conf/{folder}/credentials.yml").write_text(f"kaggle: {{token: {folder}}}")
        (project / f"conf/{folder}/globals.yml").write_text(f"place: {folder}")
    (project / "conf/local/parameters.yml").write_text("ingest: {dataset: '${globals:place}'}")
    loader = make_loader("wikiart,gpu", conf=project / "conf")
    catalog = loader["catalog"]
    assert catalog["metrics"] == {"type": "json.JSONDataset", "filepath": "local"}
    assert catalog["history"]["filepath"] == "gpu"
    assert loader["credentials"]["kaggle"] == {"token": "local"}
    assert loader["parameters"]["ingest"]["dataset"] == "local"
    base = make_loader("base", conf=project / "conf")
    assert base["credentials"]["kaggle"] == {"token": "local"}
    assert base["catalog"]["history"]["filepath"] != "gpu"


def test_references_and_profiles_are_resolved_in_each_preset(project):
    add_preset(
        project, "a", {"profile": "gpu", "train.epochs": 3, "sample.count": "${train.epochs}"}
    )
    add_preset(project, "b", {"train.batch_size": "${by_profile:4,32}"})
    params = read("a,b", project, train={"epochs": 5})
    assert params["train.batch_size"] == 32 and params["sample.count"] == 5
    assert read("a,b,faces", project, profile="cpu")["train.batch_size"] == 128
    assert make_loader("a,b", conf=project / "conf").preset_parameters() == {
        "profile": "gpu",
        "train.epochs": 3,
        "sample.count": 3,
        "train.batch_size": 32,
    }


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_presets_of_an_archive_combine(project, kind):
    archive = project / f"conf-ganvas.{kind}"
    files = [file for file in (project / "conf").rglob("*") if "local" not in file.parts]
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as target:
            for file in files:
                target.write(file, file.relative_to(project))
    else:
        with tarfile.open(archive, "w:gz") as target:
            for file in files:
                target.add(file, file.relative_to(project), recursive=False)
    loader = make_loader("wikiart,gpu", conf=archive)
    assert loader["catalog"]["command"]["data"].endswith(f"conf-ganvas.{kind} --env=wikiart,gpu")
    assert flatten(loader["parameters"]) == read("wikiart,gpu")
    with pytest.raises(
        GanvasError, match=r"no environment 'gpus' in .*: --env takes artworks, base"
    ):
        make_loader("wikiart,gpus", conf=archive)["parameters"]


def test_a_session_has_the_presets_of_the_variable(project, monkeypatch):
    monkeypatch.setenv("KEDRO_ENV", "wikiart,r3gan")
    bootstrap_project(project)
    with KedroSession.create(project) as session:
        context = session.load_context()
        # As Kedro-Viz and notebooks show them.
        assert context.params["network"].name == "r3gan"
        assert context.catalog.load("params:ingest").source.name == "wikiart"
        assert context.catalog.load("command") == "kedro run --env=wikiart,r3gan"


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ("gpu,", "--env can't be 'gpu,', which has an empty name, perhaps because a variable"),
        (" ", "--env can't be ' ', which has an empty name"),
        ("gpu,wikiart,gpu", "--env can't be 'gpu,wikiart,gpu', which has 'gpu' twice: leave it"),
        ("gpu,local", "and conf/local over them anyway, so leave 'local' out, as in --env=gpu."),
        ("base,gpu", "conf/base lies under all presets and conf/local over them anyway, so leave "),
        ("base,local", "so leave 'base' out."),
        ("gpu,nope", "There is no environment 'nope' in "),
        ("gpu wikiart", "wikiart, or several presets separated by commas."),
        ("gpu,../conf/wikiart", "There is no environment '../conf/wikiart' in "),
    ],
)
def test_wrong_names_are_one_sentence(env, sentence):
    with pytest.raises(GanvasError) as error:
        make_loader(env)["parameters"]
    assert sentence in str(error.value)


def test_spaces_around_names_are_ignored():
    assert split_names(" wikiart ,gpu") == ["wikiart", "gpu"]
    assert read(" wikiart ,gpu") == read("wikiart,gpu")
