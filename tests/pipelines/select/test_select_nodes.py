"""Any epoch of a run is sampled, evaluated, reported and exported."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI

from projects import DCGAN, PLAIN, TINY, error_sentence, make_project, run_kedro

pytestmark = pytest.mark.slow
MODELS, REPORTS = f"data/06_models/{PLAIN}", f"data/08_reporting/{PLAIN}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run of five epochs that keeps every one, as it was after its third and its fifth."""
    project = make_project(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        for epochs in (3, 5):
            result = run_kedro(
                project,
                "--pipelines=train",
                train__epochs=epochs,
                train__checkpoint__keep_every=1,
                # Those of `every` are saved between two others.
                train__checkpoint__interval=9,
                train__ema_decay=0.5,
                train__generator_learning_rate=0.002,
            )
            assert result.exit_code == 0, result.output
        yield project


def weights(version: Path) -> list[np.ndarray]:
    import keras

    return keras.models.load_model(version / version.parent.name).get_weights()


def versions(name: str) -> list[Path]:
    return sorted(Path(MODELS, name).iterdir())


def read(name: str) -> dict:
    return json.loads(Path(REPORTS, name).read_text())


def checkpoints() -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in Path(MODELS, "checkpoints").glob("*/*.npz")}


def test_an_earlier_epoch_is_made_the_newest_model_and_back(project):
    before, of_five = checkpoints(), versions("generator.keras")[1]
    stages = "--pipelines=select,sample,evaluate,report"
    selected = run_kedro(project, stages, select__epoch=3, train__ema_decay=0.5)
    assert selected.exit_code == 0, selected.output
    chosen = versions("generator.keras")[-1]
    for name in ("generator.keras", "discriminator.keras"):
        expected, actual = (weights(versions(name)[number]) for number in (0, -1))
        for one, other in zip(expected, actual, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not all(map(np.array_equal, weights(of_five), weights(chosen)))
    summary, history = read("training.json"), pd.read_csv(Path(REPORTS, "history.csv"))
    assert (summary["chosen_epoch"], summary["epochs"], summary["ended_by"]) == (3, 3, "chosen")
    assert summary["message"] == "Epoch 3 of 5 was chosen, by select.epoch=3."
    assert summary["version"] == chosen.name
    assert summary["images_seen"] == 8 * summary["steps"] and history["epoch"].to_list() == [
        1,
        2,
        3,
    ]
    # As it was trained, not as this command has it.
    assert summary["parameters"]["train"]["generator_learning_rate"] == 0.002
    command = summary["command"]
    assert "train.generator_learning_rate=0.002" in command and "train.epochs=3" in command
    assert "select" not in command
    for page in ("report.html", "../../../06_models/sample/dcgan/model_card.md"):
        text = Path(REPORTS, page).read_text()
        assert "epoch 3 of 5" in text and "Epoch 3 of 5 was chosen, by select.epoch" in text
        assert f"train.max_steps={summary['steps']}" in text
    (entry,) = Path("data/08_reporting/leaderboard").glob("*.json")
    assert entry.stem.endswith("-epoch-3")
    page = Path(REPORTS, "epochs.html").read_text()
    assert page.count("<section") == 5 and page.count('src="data:image/webp') == 5
    assert "the report beside this page is of epoch 3" in page and "select.epoch=5" in page
    assert len(list(Path(f"data/07_model_output/{PLAIN}/samples").glob("*.png"))) > 1
    # Selecting has changed no checkpoint, and the run's own models come back.
    assert checkpoints() == before
    back = run_kedro(project, "--pipelines=select", select__epoch="last", train__ema_decay=0.5)
    assert back.exit_code == 0, back.output
    for one, other in zip(weights(of_five), weights(versions("generator.keras")[-1]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "chosen_epoch" not in read("training.json") and read("training.json")["epochs"] == 5


def test_an_epoch_that_is_not_there_is_one_sentence(project):
    def select(**params) -> str:
        given = {"train__ema_decay": 0.5} | params
        return error_sentence(run_kedro(project, "--pipelines=select", **given))

    sentence = select(select__epoch=9)
    assert "There is no epoch 9 yet, since the run has 5 complete ones: kept are 1 to 5" in sentence
    assert "No kept epoch of this run has a kernel_distance" in select(select__epoch="best")
    sentence = select(select__epoch=3, train__seed=8)
    assert "no checkpoints of a run with these parameters" in sentence
    assert "train.seed 0, then 8" in sentence
    sentence = select(select__epoch="worst")
    assert "'select.epoch' can't be 'worst'" in sentence
    both = run_kedro(project, "--pipelines=train,select")
    assert "can't have select and train at once" in error_sentence(both)
    fewer = run_kedro(project, "--pipelines=train", train__epochs=3, train__ema_decay=0.5)
    assert "--pipelines=select,evaluate,report --params=select.epoch=3" in error_sentence(fewer)


def test_kedro_epochs_lists_and_marks_the_epochs_of_the_run(project):
    params = TINY | DCGAN | {"train.ema_decay": 0.5}
    text = ",".join(f"{key}={value}" for key, value in params.items())

    def epochs(*options: str):
        command = ["epochs", f"--params={text}", *options]
        return CliRunner().invoke(KedroCLI(project_path=project), command)

    listed = epochs("--mark=2", "--mark=4").output
    rows = [line.split() for line in listed.splitlines() if line.endswith("kB")]
    assert [row[0] for row in rows[-5:]] == ["1", "2", "3", "4", "5"]
    assert "every, marked" in listed and "last, every, marked" in listed
    assert "  kedro run --pipelines=select,evaluate,report --params=" in listed
    assert listed.rstrip().endswith(",select.epoch=N")
    assert "marked" not in epochs("--unmark=2", "--unmark=4").output.partition("To use")[0]
    assert error_sentence(epochs("--unmark=2")).startswith("Error: Epoch 2 is not marked")
    assert "at once" in error_sentence(epochs("--mark=1", "--unmark=1"))


def test_a_run_of_a_sweep_over_learning_rates_is_found_by_its_own_command(project):
    (record,) = Path(MODELS, "checkpoints").glob("*/run.json")
    swept = shutil.copytree(record.parent, record.parent.with_name("of-a-sweep")) / record.name
    values = {"sweep": {"train.generator_learning_rate": 0.004}}
    swept.write_text(json.dumps(json.loads(record.read_text()) | values))

    def listed(rate: float) -> str:
        params = TINY | DCGAN | {"train.ema_decay": 0.5, "train.generator_learning_rate": rate}
        text = ",".join(f"{key}={value}" for key, value in params.items())
        command = ["epochs", f"--params={text}"]
        return CliRunner().invoke(KedroCLI(project_path=project), command).output

    assert str(swept.parent) in listed(0.004)
    # As a run would resume outside of the sweep.
    assert str(record.parent) in listed(0.002) and str(record.parent) in listed(0.001)
    shutil.rmtree(swept.parent)
