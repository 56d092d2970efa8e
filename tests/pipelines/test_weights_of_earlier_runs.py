"""Going on with other parameters: what a new run logs, and the command that it names."""

import logging
import re
import shlex
import shutil
from unittest import mock

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI

from ganvas.sample_collection import build_collection
from projects import PLAIN, cached_draw_image


def run_command(project, command: str):
    """Run a command as it is written, but train alone."""
    program, *words = shlex.split(command)
    assert program == "kedro"
    with mock.patch.object(build_collection, "draw_image", cached_draw_image):
        return CliRunner().invoke(KedroCLI(project_path=project), [*words, "--pipelines=train"])


@pytest.mark.exhaustive
def test_the_command_of_the_warning_starts_from_the_weights_of_the_earlier_run(
    project, kedro_run, caplog
):
    # Learning rates that leave the weights as they are.
    rates = {"train__generator_learning_rate": 1e-12, "train__discriminator_learning_rate": 1e-12}
    params = {"train__epochs": 1, **rates}
    assert kedro_run("--pipelines=train", **params).exit_code == 0
    models = project / "data/06_models" / PLAIN
    (run,) = models.glob("checkpoints/*/")
    # A later run is the newest, and less similar.
    kedro_run("--pipelines=train", **params, train__flip="true", train__ema_decay=0.5)
    caplog.clear()
    assert kedro_run("--pipelines=train", **params, train__batch_size=4).exit_code == 0
    (warning,) = [r for r in caplog.records if "new run" in r.message]
    assert warning.levelno == logging.WARNING
    assert f"kept in {run}" in warning.message or f"{run.relative_to(project)}" in warning.message
    assert "has others: train.batch_size 8, then 4." in warning.message
    command = re.search(r"stop this run and enter: (kedro run .*)$", warning.message)[1]
    source = run.relative_to(project).as_posix()
    assert f"train.weights_from={source}" in command and "train.batch_size=4" in command

    with caplog.at_level(logging.INFO):
        assert run_command(project, command).exit_code == 0
    assert f"Starting a new run from the weights of {source}" in caplog.text
    files = sorted(models.glob("generator.keras/*/generator.keras"))
    first, last = (keras.saving.load_model(file, compile=False) for file in (files[0], files[-1]))
    assert len(files) == 4
    for ours, theirs in zip(last.trainable_weights, first.trainable_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)
    # The same command again resumes that run, which has no need of the earlier one any more.
    shutil.rmtree(run)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert run_command(project, command).exit_code == 0
    assert "This training is finished" in caplog.text and "Starting a new run" not in caplog.text
