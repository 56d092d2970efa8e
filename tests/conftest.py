"""Fixtures that several tests need: a project of their own, tiny networks, a few images."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import Result
from kedro.framework.cli.cli import KedroCLI

from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.training.callbacks import HistoryLogger
from projects import make_project, run_kedro


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that run Kedro as slow; others that take most of a second are marked in place."""
    for item in items:
        if {"kedro_run", "trained"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def pytest_configure() -> None:
    """Run tests alike from a shell, in its background and from make."""
    # A shell has processes in the background ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Commands are written in the form of make where make runs them.
    os.environ.pop("MAKELEVEL", None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty clone of the project, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, KedroCLI]:
    """An empty clone and its commands for a module; Kedro takes a second or more to make them."""
    project = make_project(tmp_path_factory.mktemp("project"))
    return project, KedroCLI(project_path=project)


@pytest.fixture
def shared_project(commands: tuple[Path, KedroCLI], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty clone of a module's tests, which is the working directory."""
    monkeypatch.chdir(commands[0])
    return commands[0]


@pytest.fixture
def cli(shared_project: Path, commands: tuple[Path, KedroCLI]) -> KedroCLI:
    """Kedro's commands in the empty clone."""
    return commands[1]


@pytest.fixture
def kedro_run(project: Path) -> Callable[..., Result]:
    """`run_kedro` in the empty clone."""
    return functools.partial(run_kedro, project)


@pytest.fixture
def divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set weights to NaN at each epoch's end, so that the second epoch diverges."""
    log_epoch = HistoryLogger.on_epoch_end

    def log_epoch_and_break(self, epoch, logs=None):
        log_epoch(self, epoch, logs)
        kernel = self.model.discriminator.trainable_weights[0]
        kernel.assign(np.full(kernel.shape, np.nan, np.float32))

    monkeypatch.setattr(HistoryLogger, "on_epoch_end", log_epoch_and_break)


@pytest.fixture
def eager() -> Iterator[None]:
    """Run training steps without tracing them first, which takes longer than a few tiny steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def images() -> np.ndarray:
    """Twenty smooth random images, uint8 of shape (20, 32, 32, 3)."""
    coarse = np.random.default_rng(3).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture
def networks() -> tuple[keras.Model, keras.Model]:
    """A generator and a discriminator for 32×32 pixels, as narrow as they go."""
    keras.utils.set_random_seed(0)
    params = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    generator, discriminator, *_ = build_dcgan(params, (32, 32, 3))
    return generator, discriminator
