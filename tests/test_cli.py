"""`kedro train FOLDER`, and the installed command `ganvas`."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.cli.utils import _split_params
from PIL import Image

import ganvas.cli
from ganvas.base_params import flatten
from ganvas.cli import cli
from projects import DCGAN, TINY, error_sentence, list_passed

# TINY without what the command chooses.
SIZES = {
    key: value
    for key, value in (TINY | DCGAN).items()
    if not key.startswith("ingest.") and key not in ("network.label", "train.epochs")
}
PARAMS = "--params=" + ",".join(f"{key}={value}" for key, value in SIZES.items())


def train(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(KedroCLI(project_path=project), ["train", *arguments])


def put(folder: Path, count: int, red: int = 0) -> None:
    """Save images to a folder."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (40, 30), (red, number * 9, 60)).save(folder / f"{number}.png")


def printed_command(result: Result) -> str:
    """Return the command that the user can run instead."""
    (line,) = re.findall(r"^  (kedro run .*)$", result.output, re.MULTILINE)
    return line


def params_of(command: str) -> dict:
    (option,) = [word for word in shlex.split(command) if word.startswith("--params=")]
    return flatten(_split_params(None, None, option.removeprefix("--params=")))


@pytest.mark.slow
def test_a_folder_is_trained_on_by_the_command_that_is_printed(project, monkeypatch):
    for number, name in enumerate(("cats", "dogs")):
        put(project / "my art, 2024" / "Été" / name, 12, red=number * 200)
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    result = train(project, "../my art, 2024/", "--size", "32", "--steps", "3", PARAMS)
    assert result.exit_code == 0, result.output

    # The choices, in words and as parameters.
    assert f"Found 24 images in {project}/my art, 2024/Été, all below" in result.output
    assert "Classes: the 2 subfolders" in result.output
    chosen = params_of(printed_command(result))
    assert chosen["ingest.source.path"] == f"{project}/my art, 2024/Été"
    assert chosen["ingest.size"] == 32 and chosen["train.max_steps"] == 3
    # A parameter of the user takes the place of one that would be chosen.
    assert chosen["train.batch_size"] == 8 and "Batches of" not in result.output

    # The same command is recorded with the run, and nothing else ran.
    (report,) = project.glob("data/08_reporting/*/*/report.html")
    assert report.parent.relative_to(project / "data/08_reporting").parts == (
        "my-art-2024-32",
        "dcgan_by_class",
    )
    summary = json.loads((report.parent / "training.json").read_text())
    assert params_of(summary["command"]) == chosen
    assert summary["steps"] == 3 and summary["images"] == 24
    assert not (project / "elsewhere" / "data").exists()

    # Run as it was printed, it finds everything done.
    (option,) = [word for word in shlex.split(printed_command(result)) if "--params" in word]
    again = CliRunner().invoke(KedroCLI(project_path=project), ["run", option])
    assert again.exit_code == 0, again.output
    assert json.loads((report.parent / "training.json").read_text())["steps"] == 3


@pytest.mark.exhaustive
@pytest.mark.slow
def test_folders_of_one_name_have_data_of_their_own(project):
    put(project / "a" / "art", 20)
    put(project / "b" / "art", 21)
    for folder, dataset in {"a": "art-32", "b": "art-32-2"}.items():
        limits = ["--size=32", "--steps=1", f"{PARAMS},train.dry_run=true"]
        result = train(project, f"{project}/{folder}/art", *limits)
        assert result.exit_code == 0, result.output
        assert params_of(printed_command(result))["ingest.dataset"] == dataset
    assert sorted(path.name for path in (project / "data/03_primary").iterdir()) == [
        "art-32",
        "art-32-2",
    ]
    for name, count in {"art-32": 20, "art-32-2": 21}.items():
        manifest = project / "data/03_primary" / name / "collection" / "manifest.json"
        folder = "a" if count == 20 else "b"
        assert json.loads(manifest.read_text())["source"] == f"{project}/{folder}/art"


def test_the_printed_command_has_the_presets_of_the_variable(project, monkeypatch):
    monkeypatch.setenv("KEDRO_ENV", "celeba,gpu")
    # What it runs is tested above.
    monkeypatch.setattr(ganvas.cli.run, "callback", lambda **options: None)
    for name in ("a", "b"):
        put(project / "art" / name, 60)
    result = train(project, "art", "--size=128")
    assert result.exit_code == 0, result.output
    command = printed_command(result)
    assert shlex.split(command)[2] == "--env=celeba,gpu"
    # As with --env=gpu: conf/gpu names the network, which is the default.
    expected = {"network.label": "class", "train.batch_size": 32, "ingest.size": 128}
    assert params_of(command).items() >= expected.items()
    monkeypatch.setenv("KEDRO_ENV", "celeba")
    assert "network.label" not in params_of(printed_command(train(project, "art")))


def test_size_and_channels_are_parameters_of_the_run(project, monkeypatch):
    passed = []
    monkeypatch.setattr(ganvas.cli.run, "callback", lambda **options: passed.append(options))
    put(project / "art", 20)
    result = train(project, "art", "--size=64x96", "--channels=gray")
    assert result.exit_code == 0, result.output
    assert "Size: 64×96 pixels, 64 wide and 96 high.\nBatches" in result.output
    params = flatten(passed[0]["params"])
    assert params["ingest.size"] == [96, 64] and params["ingest.channels"] == "gray"
    assert params["ingest.dataset"] == "art-64x96-gray"


def test_channels_among_the_parameters_take_the_place_of_those_that_suit(project, monkeypatch):
    passed = []
    monkeypatch.setattr(ganvas.cli.run, "callback", lambda **options: passed.append(options))
    (project / "lines").mkdir()
    for number in range(20):
        Image.new("L", (40, 30), number).save(project / "lines" / f"{number}.png")
    assert train(project, "lines", "--params=ingest.channels=rgb").exit_code == 0
    params = flatten(passed[0]["params"])
    assert params["ingest.channels"] == "rgb" and params["ingest.dataset"] == "lines"
    result = train(project, "lines", "--channels=gray", "--params=ingest.channels=rgb")
    assert "--params can't have ingest.channels beside --channels" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "There is no folder .*/nowhere: pass the folder"),
        (["few"], "few holds 3 images: at least 20 are needed"),
        (["many", "--name", "my art"], "--name can't be 'my art'"),
        (["many", "--params=ingest.dataset=x"], "--params can't have ingest.dataset, which FOLDER"),
        (["many", "--size", "50"], "--size can't be '50': it must be a side such as 64, or WIDTH"),
        (["many", "--size", "1024x64"], "No network can be built for images of 1024×64 pixels"),
        (["many", "--labels=folders"], "--labels folders needs two or more subfolders"),
        (["many", "--labels=folder"], "--labels has folder, but .* has no table of labels"),
        (["many", "--env=nothing"], "There is no environment 'nothing' in"),
        (["many", "--params=train.epoch=3"], "Unknown parameter 'train.epoch'"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(project, arguments, sentence):
    put(project / "few", 3)
    put(project / "many", 20)
    result = train(project, *arguments)
    assert re.match(f"Error: .*{sentence}", error_sentence(result)), result.output
    assert not list(project.glob("data/*"))


def test_the_installed_command_lists_its_commands():
    result = CliRunner().invoke(cli, ["--help"], prog_name="ganvas")
    assert result.exit_code == 0
    commands = result.output.partition("Commands:")[2]
    assert re.findall(r"^  (\w+) ", commands, re.MULTILINE) == [
        "disk",
        "epochs",
        "gallery",
        "run",
        "sweep",
        "train",
    ]
    assert "ganvas train ~/art" in result.output
    version = CliRunner().invoke(cli, ["--version"], prog_name="ganvas")
    assert version.output.startswith("ganvas, version ")


@pytest.mark.parametrize(
    "arguments", [["--runner=ParallelRunner"], ["run", "-r", "ParallelRunner"]]
)
def test_options_alone_are_those_of_run(arguments):
    assert "--runner=ParallelRunner can't be used" in CliRunner().invoke(cli, arguments).output


@pytest.mark.parametrize("command", [["run"], ["train", "."], []], ids=str)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_params_option_is_refused(command, value):
    result = CliRunner().invoke(cli, [*command, f"--params={value}"])
    assert error_sentence(result).startswith("Error: --params is empty, perhaps because a variable")


@pytest.mark.parametrize(
    ("images", "command"), [("~/my art", ["train", "~/my art"]), (None, ["run"])]
)
def test_make_run_passes_the_folder_on(images, command, tmp_path):
    given = [f"IMAGES={images}"] if images else []
    assert list_passed(["make", "run", *given], tmp_path) == command
