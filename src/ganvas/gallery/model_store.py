"""Trained models on disk, and those of them that are loaded."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ganvas.gallery.batching import BatchedGenerator
from ganvas.networks.sampling import count_classes, one_hot, sample_latents

# Old versions are asked for by links, so what is loaded must not grow without end.
LOADED = 4


class UnknownModelError(LookupError):
    """There is no such model, version or class; the message says which there are."""


@dataclass(frozen=True)
class Version:
    """One saved version of a model.

    Attributes:
        model: `<dataset>/<network>`, as the folders are called.
        version: Kedro's name of the version.
        folder: `06_models/<dataset>/<network>`.
    """

    model: str
    version: str
    folder: Path

    def file(self, name: str) -> Path:
        """Give the place of a versioned file."""
        return self.folder / name / self.version / name


@dataclass
class LoadedModel:
    """A model that is loaded.

    Attributes:
        saved: Which one.
        generator: The network itself.
        names: Its classes; empty: none.
        column: What they are classes of; None: no classes.
        batcher: Paints for all who ask.
    """

    saved: Version
    generator: keras.Model
    names: list[str]
    column: str | None
    batcher: BatchedGenerator

    @property
    def side(self) -> int:
        """Height and width of its pictures."""
        return int(self.generator.output_shape[1])

    def number(self, name: str | None) -> int:
        """Give a class's number; of none the first's.

        Raises:
            UnknownModelError: There is no such class.
        """
        if name is None:
            return 0
        if name not in self.names:
            told = f"paints {', '.join(self.names)}" if self.names else "paints without classes"
            raise UnknownModelError(f"'{self.saved.model}' {told}, not '{name}'.")
        return self.names.index(name)

    def latent(self, seed: int, number: int, truncation: float) -> np.ndarray:
        """Give the latent of one number of a seed, as `kedro run --pipelines=sample` draws it."""
        return sample_latents(self.generator, number + 1, seed, truncation)[number]

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """Give rows of weights of classes' numbers (n,), float32 (n, K)."""
        return one_hot(labels, count_classes(self.generator))


class Models:
    """What is found below a folder of models; looked for anew at each question."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: OrderedDict[Version, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def newest(self) -> dict[str, Version]:
        """Give the newest version of each model, the most recently trained first."""
        # Of several of one name the last stays.
        newest = {each.model: each for each in self._find()}
        return dict(sorted(newest.items(), key=lambda item: item[1].version, reverse=True))

    def choose(self, model: str | None, version: str | None = None) -> LoadedModel:
        """Load a model; without a name the most recently trained one.

        Raises:
            UnknownModelError: There is none of that name.
        """
        newest = self.newest()
        if not newest:
            raise UnknownModelError("There is no trained generator yet: run `make run` first.")
        model = model or next(iter(newest))
        if model not in newest:
            raise UnknownModelError(f"There is no model '{model}': there are {', '.join(newest)}.")
        if version is None:
            return self._open(newest[model])
        versions = {each.version: each for each in self._find() if each.model == model}
        if version not in versions:
            there = ", ".join(versions)
            raise UnknownModelError(f"'{model}' has no version '{version}': there are {there}.")
        return self._open(versions[version])

    def _find(self) -> list[Version]:
        # Of a run's files the list of classes is saved last: with it the generator is there too.
        files = sorted(self._folder.glob("*/*/class_list.json/*/class_list.json"))
        found = [
            Version("/".join(file.parts[-5:-3]), file.parts[-2], file.parents[2]) for file in files
        ]
        return [each for each in found if each.file("generator.keras").is_file()]

    def _open(self, version: Version) -> LoadedModel:
        with self._lock:
            if version not in self._loaded:
                self._loaded[version] = _load(version)
            self._loaded.move_to_end(version)
            studio = self._loaded[version]
            while len(self._loaded) > LOADED:
                self._loaded.popitem(last=False)
        return studio


def _load(version: Version) -> LoadedModel:
    generator = keras.models.load_model(version.file("generator.keras"), compile=False)
    classes = json.loads(version.file("class_list.json").read_text())
    return LoadedModel(
        version, generator, classes["names"], classes["column"], BatchedGenerator(generator)
    )
