"""Trained models on disk and the pretrained one of the package, loaded on demand."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np

import ganvas
from ganvas.gallery.batching import BatchedGenerator
from ganvas.networks import sampling

# Links can request old versions, so the number of models in memory is bounded.
MAX_LOADED = 4
# tools/make_pretrained.py writes it.
PRETRAINED = Path(ganvas.__file__).parent / "pretrained" / "sample"
PRETRAINED_NAME = "sample/pretrained"


class NotFoundError(LookupError):
    """No such model, version, class or file; the message says what exists."""


@dataclass(frozen=True)
class ModelVersion:
    """A saved version of a model.

    Attributes:
        name: `<dataset>/<network>`, as its folders are named.
        version: Kedro's version string.
        folder: `06_models/<dataset>/<network>`, or the pretrained model's folder.
        pretrained: Whether it comes with the package.
    """

    name: str
    version: str
    folder: Path
    pretrained: bool = False

    @property
    def dataset(self) -> str:
        """The dataset that the model was trained on."""
        return self.name.partition("/")[0]

    def file(self, filename: str) -> Path:
        """Return the path of a versioned file."""
        if self.pretrained:
            return self.folder / filename
        return self.folder / filename / self.version / filename


@dataclass
class LoadedModel:
    """A generator in memory, with its classes.

    Attributes:
        saved: The version that was loaded.
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        class_names: Names of its K classes; empty for an unconditional generator.
        label_column: The label column of the classes; None without classes.
        batcher: Runs the generator for concurrent requests.
    """

    saved: ModelVersion
    generator: keras.Model
    class_names: list[str]
    label_column: str | None
    batcher: BatchedGenerator

    @property
    def image_size(self) -> int:
        """Height and width of the generated images in pixels."""
        return int(self.generator.output_shape[1])

    def class_index(self, class_name: str | None, number: int = 0) -> int:
        """Return the index of a class; without a name, `number` modulo the number of classes.

        Raises:
            NotFoundError: The model has no class of that name.
        """
        if class_name is None:
            return number % max(len(self.class_names), 1)
        if class_name not in self.class_names:
            classes = ", ".join(self.class_names) or "no classes"
            raise NotFoundError(
                f"'{self.saved.name}' has no class '{class_name}': it has {classes}."
            )
        return self.class_names.index(class_name)

    def sample_latent(self, seed: int, number: int, truncation: float = 1.0) -> np.ndarray:
        """Return latent `number` of a seed, as `kedro run --pipelines=sample` draws it: (Z,)."""
        return sampling.sample_latents(self.generator, number + 1, seed, truncation)[number]

    def one_hot(self, labels: np.ndarray) -> np.ndarray:
        """Encode class indices (n,) as one-hot labels, float32 (n, K)."""
        return sampling.one_hot(labels, sampling.count_classes(self.generator))


class ModelStore:
    """Trained models below a folder, which is listed again at each call, and the pretrained one.

    Args:
        folder: The project's `data/06_models`.

    Example:
        >>> store = ModelStore(Path("data/06_models"))
        >>> store.load("sample/projected_by_genre").image_size
        64
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: OrderedDict[ModelVersion, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def newest(self) -> dict[str, ModelVersion]:
        """Return the newest version of each model by name, the most recently trained first.

        The pretrained model comes last, whenever it was trained.
        """
        # Versions are sorted, so the last one of a name wins.
        newest = {saved.name: saved for saved in self._list_versions()}
        by_age = sorted(newest.items(), key=lambda item: item[1].version, reverse=True)
        return dict(sorted(by_age, key=lambda item: item[1].pretrained))

    def load(self, name: str | None = None, version: str | None = None) -> LoadedModel:
        """Load a model, by default the newest version of the most recently trained one.

        Raises:
            NotFoundError: There is no such model or version.
        """
        newest = self.newest()
        name = name or next(iter(newest))
        if name not in newest:
            raise NotFoundError(f"There is no model '{name}': there are {', '.join(newest)}.")
        if version is None:
            return self._load_cached(newest[name])
        versions = {saved.version: saved for saved in self._list_versions() if saved.name == name}
        if version not in versions:
            raise NotFoundError(
                f"'{name}' has no version '{version}': there are {', '.join(versions)}."
            )
        return self._load_cached(versions[version])

    def _list_versions(self) -> list[ModelVersion]:
        # A run saves its class list last: once that exists, the generator does too.
        files = sorted(self._folder.glob("*/*/class_list.json/*/class_list.json"))
        versions = [
            ModelVersion("/".join(file.parts[-5:-3]), file.parts[-2], file.parents[2])
            for file in files
        ]
        trained = [saved for saved in versions if saved.file("generator.keras").is_file()]
        return [*trained, find_pretrained()]

    def _load_cached(self, saved: ModelVersion) -> LoadedModel:
        with self._lock:
            if saved not in self._loaded:
                self._loaded[saved] = _load(saved)
            self._loaded.move_to_end(saved)
            model = self._loaded[saved]
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        return model


@cache
def find_pretrained() -> ModelVersion:
    """Return the pretrained generator of the sample collection, which comes with the package."""
    manifest = json.loads((PRETRAINED / "manifest.json").read_text())
    return ModelVersion(PRETRAINED_NAME, manifest["version"], PRETRAINED, pretrained=True)


def _load(saved: ModelVersion) -> LoadedModel:
    generator = keras.models.load_model(saved.file("generator.keras"), compile=False)
    classes = json.loads(saved.file("class_list.json").read_text())
    return LoadedModel(
        saved, generator, classes["names"], classes["column"], BatchedGenerator(generator)
    )
