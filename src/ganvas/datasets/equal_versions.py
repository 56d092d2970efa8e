"""Keep one version of equal models: a finished run that is run again saves the same ones."""

import json
import logging
import re
import shutil
import tempfile
import zipfile
from contextlib import ExitStack
from typing import IO, Any

from kedro.io import CatalogProtocol
from kedro.io.core import get_filepath_str

from ganvas.datasets.atomic import AtomicSave
from ganvas.datasets.catalog import TRAINED
from ganvas.datasets.model_arrays import ModelArraysDataset
from ganvas.model_versions import is_in_future

logger = logging.getLogger(__name__)

# Members of a .keras file; the first has the time at which it was saved.
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
# Keys of a model's configuration with names of layers.
NAMED = {"name", "keras_history", "input_layers", "output_layers"}
COUNTER = re.compile(r"_\d+$")


def drop_equal_version(catalog: CatalogProtocol[Any, Any], version: str) -> str:
    """Remove the models that were just saved if they equal those of the last training.

    The earlier version is the one that training.json names, and stays as it is. So a process that
    is killed in between leaves it complete and still named.

    Args:
        catalog: The catalog, whose datasets have saved the version.
        version: The version that was saved.

    Returns:
        The earlier version if it has equal models, and these datasets load it from now on; else
        the version that was saved.
    """
    datasets = [catalog.get(name) for name in TRAINED]
    saved = [item for item in datasets if isinstance(item, AtomicSave) and item._version]
    if len(saved) < len(TRAINED):
        return version
    earlier = saved[0].read_recorded()
    # A name in the future is of a clock that was ahead; the new one says when it was saved.
    if earlier in (None, version) or is_in_future(earlier):
        return version
    try:
        # The class list first, which is small.
        if not all(_are_equal(dataset, earlier, version) for dataset in reversed(saved)):
            return version
    except Exception as error:  # each store raises its own errors
        logger.debug("Version %s can't be compared with the new one: %s", earlier, error)
        return version
    for name in catalog:
        # A version saved by an earlier version of Ganvas has none of them.
        if isinstance(arrays := catalog.get(name), ModelArraysDataset):
            arrays.move(version, earlier)
    # The class list first: the gallery lists the versions that have one.
    for dataset in reversed(saved):
        try:
            dataset._fs.rm(_folder(dataset, version), recursive=True)
        except Exception as error:  # each store raises its own errors
            logger.warning("%s can't be removed (%s).", _folder(dataset, version), error)
        dataset.release()
    logger.info(
        "The models are equal to those of version %s, which stays the newest; they are not kept "
        "twice.",
        earlier,
    )
    return earlier


def _are_equal(dataset: AtomicSave, first: str, second: str) -> bool:
    """Return whether two versions of a class list, or of a model, are equal."""
    paths = [_file(dataset, version) for version in (first, second)]
    with dataset._fs.open(paths[0], "rb") as one, dataset._fs.open(paths[1], "rb") as other:
        if not paths[0].endswith(".keras"):
            return bool(one.read() == other.read())
        return are_equal_models(one, other)


def are_equal_models(one: IO[bytes], other: IO[bytes]) -> bool:
    """Return whether two `.keras` files have the same layers and the same weights, bit by bit.

    When they were saved, and the numbers that Keras appends to names of layers, may differ: they
    depend on what else the process has built.

    Raises:
        Exception: A file is no model.
    """
    # With which Keras writes weights.
    import h5py

    with zipfile.ZipFile(one) as one_zip, zipfile.ZipFile(other) as other_zip, ExitStack() as stack:
        names = {name for name in one_zip.namelist() if name != METADATA}
        if names != {name for name in other_zip.namelist() if name != METADATA}:
            return False
        configs = [json.loads(archive.read(CONFIG)) for archive in (one_zip, other_zip)]
        if normalize_config(configs[0]) != normalize_config(configs[1]):
            return False
        for name in names - {CONFIG, WEIGHTS}:
            if one_zip.read(name) != other_zip.read(name):
                return False
        arrays = []
        for archive in (one_zip, other_zip):
            # Reading arrays jumps, which is slow within an archive.
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            with archive.open(WEIGHTS) as member:
                shutil.copyfileobj(member, unpacked)
            arrays.append(_list_arrays(stack.enter_context(h5py.File(unpacked, "r"))))
        return arrays[0].keys() == arrays[1].keys() and all(
            _same_array(array, arrays[1][name]) for name, array in arrays[0].items()
        )


def normalize_config(config: Any) -> Any:
    """Replace numbers in a model's configuration that depend on what else its process has built.

    Example:
        >>> normalize_config({"layers": [{"name": "dense_7"}], "output_layers": ["dense_7", 0, 0]})
        {'layers': [{'name': 'dense 0'}], 'output_layers': ['dense 0', 0, 0]}
    """
    numbers: dict[Any, int] = {}

    def number(value: Any) -> Any:
        index = numbers.setdefault(value, len(numbers))
        return f"{COUNTER.sub('', value)} {index}" if isinstance(value, str) else index

    def walk(value: Any, is_name: bool) -> Any:
        if isinstance(value, dict):
            return {
                key: number(item) if key == "shared_object_id" else walk(item, key in NAMED)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [walk(item, is_name) for item in value]
        return number(value) if is_name and isinstance(value, str) else value

    return walk(config, False)


def _list_arrays(file: Any) -> dict[str, Any]:
    """List the arrays of an HDF5 file by their paths, which have no names of layers."""
    names: list[str] = []
    file.visit(names.append)
    return {name: file[name] for name in names if hasattr(file[name], "dtype")}


def _same_array(one: Any, other: Any) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    # By their bytes, since NaN is not equal to itself.
    return bool(one[()].tobytes() == other[()].tobytes())


def _file(dataset: AtomicSave, version: str) -> str:
    return get_filepath_str(dataset._get_versioned_path(version), dataset._protocol)


def _folder(dataset: AtomicSave, version: str) -> str:
    path = dataset._get_versioned_path(version).parent
    # Never more than a folder of one version.
    assert path.name == version
    return get_filepath_str(path, dataset._protocol)
