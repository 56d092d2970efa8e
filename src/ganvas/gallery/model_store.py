"""Trained models on disk and the pretrained one of the package, loaded on demand."""

import json
import logging
import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from pydantic import BaseModel, ValidationError

import ganvas
from ganvas.class_requests import add_rare_values, find_labels
from ganvas.gallery.batching import (
    TIMEOUT,
    BatchedGenerator,
    BusyError,
    RequestTimeoutError,
    acquire,
)
from ganvas.gallery.data_files import MAX_JSON, find_archive_fault, read_start
from ganvas.gallery.recent_images import MAX_BLOCK, Block, RecentImages
from ganvas.image_shape import CHANNEL_COUNTS, describe_size
from ganvas.label_columns import (
    ClassTable,
    LabelColumn,
    find_fault,
    name_all,
    read_class_list,
)
from ganvas.model_versions import is_in_future, newest_version, read_recorded_version
from ganvas.networks import sampling
from ganvas.networks.batches import batch_size
from ganvas.plain_text import one_line

logger = logging.getLogger(__name__)

# Links can request old versions, so the number of models in memory is bounded.
MAX_LOADED = 4
# Pixels of all images of a request together: 16 images of 1024×1024, or 64 of 512×512.
MAX_REQUEST_PIXELS = 2**24
# Longer side in pixels of images that pages show as they are; of larger ones they show thumbnails.
SMALL = 128
# tools/make_pretrained.py writes it.
PRETRAINED = Path(ganvas.__file__).parent / "pretrained" / "sample"
PRETRAINED_NAME = "sample/pretrained"
# Characters of a name of a model, version or class, more than file systems allow for a path.
MAX_NAME = 1000
# Requests that wait for a model to be loaded, fewer than the server's threads, so that those for
# loaded models and for other pages are still answered.
MAX_LOADING = 12


class UnreadableModelError(Exception):
    """A saved version can't be loaded; the message is the reason, in one line."""


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


class ClassList(BaseModel):
    """The content of `class_list.json`, see `ganvas.label_columns.write_class_list`."""

    names: list[str]
    column: str | None
    labels: list[dict[str, Any]] | None = None
    rows: list[list[float]] | None = None


@dataclass
class LoadedModel:
    """A generator in memory, with its classes.

    Attributes:
        saved: The version that was loaded.
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        classes: Its classes.
        batcher: Runs the generator for concurrent requests.
        recent: Images that it generated last; see `image`.
        kept: What other modules keep with the model while it is loaded, by their keys.
    """

    saved: ModelVersion
    generator: keras.Model
    classes: ClassTable
    batcher: BatchedGenerator
    recent: RecentImages = field(init=False)
    kept: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        # A block of large images is a whole batch.
        self._block_size = min(batch_size(self.height, self.width), MAX_BLOCK)
        block_bytes = self._block_size * self.height * self.width * self.channels
        self.recent = RecentImages(self._generate_block, block_bytes)
        self.classes = add_rare_values(self.classes)
        self._names = name_all(self.classes)
        # Of names that are repeated, the first one counts.
        self._labels = {name: label for label, name in reversed(list(enumerate(self._names)))}

    @property
    def class_names(self) -> list[str]:
        """Names of its classes; with several label columns, of the most frequent combinations."""
        return self.classes.names

    @property
    def label_column(self) -> str | None:
        """The label column of the classes, or the joint name of several; None without classes."""
        return self.classes.column

    @property
    def label_columns(self) -> list[LabelColumn]:
        """The label columns with their values and their blocks of weights; empty without classes.

        With one column the values are the classes.
        """
        return self.classes.columns

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the generated images."""
        return self.height, self.width, self.channels

    @property
    def height(self) -> int:
        """Height of the generated images in pixels."""
        return int(self.generator.output_shape[1])

    @property
    def width(self) -> int:
        """Width of the generated images in pixels."""
        return int(self.generator.output_shape[2])

    @property
    def channels(self) -> int:
        """Channels of the generated images: 1 for gray, 3 for RGB, 4 for RGB with alpha."""
        return int(self.generator.output_shape[3])

    @property
    def size_text(self) -> str:
        """Width and height of the generated images as pages write them."""
        return describe_size(self.height, self.width)

    @property
    def is_small(self) -> bool:
        """Whether pages show the images themselves, and not thumbnails of them."""
        return max(self.height, self.width) <= SMALL

    @property
    def max_images(self) -> int:
        """How many images a request may have, whatever else limits it."""
        return max(MAX_REQUEST_PIXELS // (self.height * self.width), 1)

    def image(
        self, seed: int, number: int, class_name: str | None = None, truncation: float = 1.0
    ) -> np.ndarray:
        """Return one image, uint8 (H, W, C); its neighbors are generated with it and kept.

        Raises:
            BusyError, RequestTimeoutError: The generator has too many requests.
            NotFoundError: The model has no class of that name.
        """
        self.class_index(class_name)
        position = number % self._block_size
        return self.recent.get(Block(seed, truncation, class_name, number - position))[position]

    def _generate_block(self, block: Block) -> np.ndarray:
        stop = block.first + self._block_size
        labels = [self.class_index(block.class_name, k) for k in range(block.first, stop)]
        latents = sampling.sample_latents(self.generator, stop, block.seed)[block.first :]
        return self.batcher.generate(latents, self.one_hot(np.array(labels)), block.truncation)

    @property
    def class_noun(self) -> str:
        """What pages call a class: its label column, or a combination of several."""
        several = len(self.label_columns) > 1
        return "combination of labels" if several else self.label_column or "class"

    def class_index(self, class_name: str | None, number: int = 0) -> int:
        """Return the index of a class; without a name, `number` modulo the number of classes.

        With several label columns, a name may have values of some of them alone, such as
        `Smiling=yes`: then those combinations that have them come in turn, by `number`.

        Raises:
            NotFoundError: The model has no class of that name.
        """
        if class_name is None:
            return number % max(len(self.class_names), 1)
        if class_name in self._labels:
            return self._labels[class_name]
        found = find_labels(self.classes, class_name)
        if not len(found):
            classes = ", ".join(self.class_names) or "no classes"
            if len(self.label_columns) > 1:
                values = "; ".join(
                    f"{x.column} ({', '.join(x.values)})" for x in self.label_columns
                )
                classes = f"combinations of the values of {values}, such as {self.class_names[0]}"
            raise NotFoundError(
                f"'{self.saved.name}' has no class '{class_name}': it has {classes}."
            )
        return int(found[number % len(found)])

    def class_name(self, label: int) -> str | None:
        """Return the name of a class index; None without classes."""
        return self._names[label] if self._names else None

    def sample_latent(self, seed: int, number: int) -> np.ndarray:
        """Return latent `number` of a seed, as `kedro run --pipelines=sample` draws it: (Z,)."""
        return sampling.sample_latents(self.generator, number + 1, seed)[number]

    def one_hot(self, labels: np.ndarray) -> np.ndarray:
        """Return the rows of weights of class indices (n,), float32 (n, K).

        They are one-hot, or with several label columns one-hot in each block of weights.
        """
        return self.classes.weigh(labels)


class ModelStore:
    """Trained models below a folder, which is listed again at each call, and the pretrained one.

    Args:
        folder: The project's `data/06_models`.

    Example:
        >>> store = ModelStore(Path("data/06_models"))
        >>> store.load("sample/projected_by_genre").image_shape
        (64, 64, 3)
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: OrderedDict[ModelVersion, LoadedModel] = OrderedDict()
        # Versions that failed to load, with their files' state, so that repaired ones are found.
        self._refused: dict[tuple[ModelVersion, _Stamp], str] = {}
        self._logged: set[tuple[str, str]] = set()
        # Held while models are looked up, and while one is loaded, which takes seconds.
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self._slots = threading.BoundedSemaphore(MAX_LOADING)

    def newest(self) -> dict[str, ModelVersion]:
        """Return the newest readable version of each model by name, the most recent first.

        The pretrained model comes last, whenever it was trained.
        """
        by_name: dict[str, dict[str, ModelVersion]] = {}
        for saved in self._scan().readable:
            by_name.setdefault(saved.name, {})[saved.version] = saved
        newest = [self._newest_of(versions) for versions in by_name.values()]
        newest.sort(key=lambda saved: saved.version, reverse=True)
        newest.sort(key=lambda saved: (saved.pretrained, is_in_future(saved.version)))
        return {saved.name: saved for saved in newest}

    def _newest_of(self, versions: dict[str, ModelVersion]) -> ModelVersion:
        """Return the newest of the versions of one model."""
        saved = next(iter(versions.values()))
        if saved.pretrained:
            return saved
        summary = self._folder.parent / "08_reporting" / saved.name / "training.json"
        folder = saved.folder / "generator.keras"
        return versions[newest_version(folder, versions, read_recorded_version(summary))]

    def left_out(self) -> dict[str, str]:
        """Return why saved versions can't be used, by model and version."""
        return self._scan().left_out

    def load(self, name: str | None = None, version: str | None = None) -> LoadedModel:
        """Load a model, by default the newest version of the most recently trained one.

        Versions that can't be loaded are left out from then on, and the next one is taken.

        Raises:
            NotFoundError: There is no such model or version, or it can't be read.
            BusyError, RequestTimeoutError: Too many other models are being loaded.
        """
        while True:
            saved = self._choose(name, version)
            stamp = _stamp(saved)
            try:
                return self._load_cached(saved)
            except UnreadableModelError as error:
                # The next choice is another one, or there is none.
                self._refused[saved, stamp] = str(error)

    def _choose(self, name: str | None, version: str | None) -> ModelVersion:
        newest = self.newest()
        name = name or next(iter(newest), PRETRAINED_NAME)
        if name not in newest:
            raise NotFoundError(
                f"There is no model '{name}': there are {', '.join(newest) or 'none'}."
                + self._explain(name)
            )
        if version is None:
            return newest[name]
        versions = {saved.version: saved for saved in self._scan().readable if saved.name == name}
        if version not in versions:
            raise NotFoundError(
                f"'{name}' has no version '{version}': there are {', '.join(versions)}."
                + self._explain(_title(name, version))
            )
        return versions[version]

    def _explain(self, title: str) -> str:
        """Return why versions whose titles begin like this are left out; empty if none are."""
        reasons = [
            f"{key}: {reason}" for key, reason in self.left_out().items() if key.startswith(title)
        ]
        return f" Left out: {'; '.join(reasons[:3])}." if reasons else ""

    def _scan(self) -> "_Versions":
        # A run saves its class list last: once that exists, the generator does too.
        files = sorted(self._folder.glob("*/*/class_list.json/*/class_list.json"))
        versions = [
            ModelVersion("/".join(file.parts[-5:-3]), file.parts[-2], file.parents[2])
            for file in files
        ]
        readable, left_out = [], {}
        for saved in [*versions, find_pretrained()]:
            stamp = _stamp(saved)
            # Without a generator it is being saved, or was deleted.
            if stamp is None:
                continue
            reason = self._refused.get((saved, stamp)) or _find_fault(saved, stamp)
            if reason:
                left_out[_title(saved.name, saved.version)] = reason
            else:
                readable.append(saved)
        for item in left_out.items():
            if item not in self._logged:
                self._logged.add(item)
                logger.warning("The gallery leaves out %s: %s.", *item)
        return _Versions(readable, left_out)

    def _load_cached(self, saved: ModelVersion) -> LoadedModel:
        if model := self._find_loaded(saved):
            return model
        with (
            acquire(self._slots, 0, BusyError),
            acquire(self._loading, TIMEOUT, RequestTimeoutError),
        ):
            # Another request may have loaded it meanwhile.
            if model := self._find_loaded(saved):
                return model
            model = _load(saved)
            with self._lock:
                self._loaded[saved] = model
                while len(self._loaded) > MAX_LOADED:
                    self._loaded.popitem(last=False)
            return model

    def _find_loaded(self, saved: ModelVersion) -> LoadedModel | None:
        with self._lock:
            if saved in self._loaded:
                self._loaded.move_to_end(saved)
            return self._loaded.get(saved)


# Modification times and sizes of a version's files; None without a generator.
_Stamp = tuple[tuple[int, int], ...] | None


class _Versions(NamedTuple):
    """The saved versions that can be read, and the reasons of the others by their titles."""

    readable: list[ModelVersion]
    left_out: dict[str, str]


def _title(name: str, version: str) -> str:
    return one_line(f"{name}, version {version}")


def _stamp(saved: ModelVersion) -> _Stamp:
    try:
        states = [saved.file(name).stat() for name in ("generator.keras", "class_list.json")]
    except OSError:
        return None
    return tuple((state.st_mtime_ns, state.st_size) for state in states)


@lru_cache(maxsize=4096)
def _find_fault(saved: ModelVersion, _state: _Stamp) -> str:
    """Return why a version can't be loaded, as far as a quick look shows; empty if it may be.

    The state of its files is part of the cache key.
    """
    for name in (saved.name, saved.version):
        if one_line(name) != name:
            return "the name of its folder is not UTF-8 or has control characters"
    try:
        _read_classes(saved)
        return find_archive_fault(saved.file("generator.keras"))
    except UnreadableModelError as error:
        return str(error)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        return f"generator.keras is damaged ({_describe(error)})"


def _describe(error: Exception) -> str:
    """Return the first line of an error's message, of at most 200 characters and without a path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line for line in map(one_line, str(error).splitlines()) if line]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".: ")


def _read_classes(saved: ModelVersion) -> ClassTable:
    """Read the class list of a version, with each name as one line."""
    try:
        classes = ClassList.model_validate_json(read_start(saved.file("class_list.json"), MAX_JSON))
    except OSError as error:
        raise UnreadableModelError(f"class_list.json can't be read ({_describe(error)})") from error
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, details["loc"])) or "the whole"
        raise UnreadableModelError(
            f"class_list.json is damaged ({field}: {one_line(details['msg'])})"
        ) from error
    content = classes.model_dump(exclude_none=True) | {"column": classes.column}
    if classes.labels is not None or classes.rows is not None:
        fault = find_fault(classes.names, content.get("labels"), content.get("rows"))
        if fault:
            raise UnreadableModelError(f"class_list.json is damaged ({one_line(fault)})")
    texts = [
        text for label in content.get("labels", []) for text in (label["column"], *label["values"])
    ]
    if any(len(name) > MAX_NAME for name in [*classes.names, classes.column or "", *texts]):
        raise UnreadableModelError(
            f"class_list.json has a name of more than {MAX_NAME:,} characters"
        )
    return read_class_list(_as_lines(content))


def _as_lines(content: Any) -> Any:
    """Return a JSON value with each text in it as one line."""
    if isinstance(content, str):
        return one_line(content)
    if isinstance(content, list):
        return list(map(_as_lines, content))
    if isinstance(content, dict):
        return {key: _as_lines(value) for key, value in content.items()}
    return content


@cache
def find_pretrained() -> ModelVersion:
    """Return the pretrained generator of the sample collection, which comes with the package."""
    manifest = json.loads((PRETRAINED / "manifest.json").read_text())
    return ModelVersion(PRETRAINED_NAME, manifest["version"], PRETRAINED, pretrained=True)


def _load(saved: ModelVersion) -> LoadedModel:
    classes = _read_classes(saved)
    # Keras, HDF5 and TensorFlow raise errors of many types for damaged or unknown content.
    try:
        generator = keras.models.load_model(saved.file("generator.keras"), compile=False)
        # The first batch also compiles the model.
        latents = sampling.sample_latents(generator, 1, seed=0)
        images = sampling.generate_images(generator, latents, sampling.cycle_classes(generator, 1))
        count = sampling.count_classes(generator)
    except MemoryError:
        raise
    except Exception as error:
        # The message may name folders of this machine, which visitors need not know.
        logger.warning("%s can't be loaded: %s.", saved.file("generator.keras"), _describe(error))
        raise UnreadableModelError(
            f"generator.keras can't be loaded ({type(error).__name__})"
        ) from error
    if images.ndim != 4 or images.shape[-1] not in CHANNEL_COUNTS.values():
        raise UnreadableModelError(
            "generator.keras is no generator of images of 1, 3 or 4 channels"
        )
    if count != classes.num_weights:
        raise UnreadableModelError(
            f"generator.keras has {count} classes, and class_list.json {classes.num_weights}"
        )
    batcher = BatchedGenerator(generator, columns=len(classes.columns))
    return LoadedModel(saved, generator, classes, batcher)
