"""Read PyTorch state dicts without PyTorch and without executing code, and assign them in Keras.

A PyTorch file is a pickle, and a pickle may call any function of any module. This reader allows
only the few names that tensors need and replaces them by its own functions; any other name is
refused before anything is imported.
"""

import pickle
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from keras import Layer, layers

from ganvas.errors import GanvasError

# First number of a file in torch.save's format before 1.6.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

# The older format is always little-endian; the zip format names its byte order.
DTYPES = {
    "BoolStorage": np.dtype("?"),
    "ByteStorage": np.dtype("u1"),
    "CharStorage": np.dtype("i1"),
    "ShortStorage": np.dtype("<i2"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
    "HalfStorage": np.dtype("<f2"),
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
}


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict written by `torch.save`, in its zip format or in the one before 1.6.

    Args:
        path: The file, usually named *.pth or *.pt.

    Returns:
        Arrays by tensor name, in the file's order, with PyTorch's shapes. They are read-only
        views of the file's content, so tensors that share memory in the file still share it.

    Raises:
        GanvasError: The file is damaged, refers to a name that tensors don't need, or contains
            other objects than tensors.

    Example:
        >>> weights = read_state_dict(Path("efficientnet_lite0.pth"))
        >>> weights["_conv_stem.weight"].shape
        (32, 3, 3, 3)
    """
    content = path.read_bytes()
    read = _read_zip if content.startswith(b"PK") else _read_legacy
    try:
        return read(content)
    except _RefusedError as refusal:
        raise GanvasError(f"The weights in '{path}' are refused: {refusal}.") from refusal
    # A damaged pickle can raise anything.
    except Exception as error:
        raise GanvasError(
            f"'{path}' is no complete PyTorch state dict ({type(error).__name__}: {error}): "
            "install or download it again."
        ) from error


class _RefusedError(Exception):
    """The file contains something that this reader doesn't allow."""


class _Storage(NamedTuple):
    """A block of memory that tensors are views of, by its key in the file."""

    kind: str
    key: str


class _View(NamedTuple):
    """A tensor whose storage isn't read yet; offset and strides count items, not bytes."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Entries(dict[str, Any]):
    """Replaces OrderedDict, and ignores the attribute `_metadata` that PyTorch sets on it."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Unpickler that resolves only the names that tensors need."""

    def __init__(self, file: BytesIO):
        super().__init__(file)
        # Bound methods, since a pickle could set attributes of plain functions and classes.
        self._names = {
            ("collections", "OrderedDict"): _Entries,
            ("torch._utils", "_rebuild_tensor_v2"): self._rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): self._rebuild_parameter,
        }

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of a name in the pickle, or raise `_RefusedError`."""
        # A storage type stays a string, which persistent_load checks.
        if module == "torch" and name in DTYPES:
            return name
        try:
            return self._names[module, name]
        except KeyError:
            raise _RefusedError(
                f"they refer to '{module}.{name}', which no tensor of a known type needs"
            ) from None

    def persistent_load(self, reference: Any) -> _Storage:
        tag, kind, key, _device, _count, *view = reference
        if tag != "storage" or kind not in DTYPES or not isinstance(key, str) or any(view):
            raise _RefusedError(f"they refer to {reference!r}, which is no plain storage")
        return _Storage(kind, key)

    def _rebuild_tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, *_gradient: Any
    ) -> _View:
        if not isinstance(storage, _Storage):
            raise _RefusedError(f"a tensor refers to {storage!r}, which is no storage")
        return _View(storage, offset, size, stride)

    def _rebuild_parameter(self, data: Any, *_gradient: Any) -> Any:
        return data


def _read_zip(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 1]
        pickled = next(name for name in names if name.endswith("/data.pkl"))
        root = pickled.removesuffix("data.pkl")
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise _RefusedError("their bytes are in big-endian order")
        # PyTorch never compresses, and compressed data could expand without bound.
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise _RefusedError("they are compressed, as PyTorch never does")
        views = _check_views(_Unpickler(BytesIO(archive.read(pickled))).load())
        keys = {view.storage.key for view in views.values()}
        storages = {key: memoryview(archive.read(f"{root}data/{key}")) for key in keys}
    return {name: _as_array(storages, view) for name, view in views.items()}


def _read_legacy(content: bytes) -> dict[str, np.ndarray]:
    file = BytesIO(content)
    if _Unpickler(file).load() != LEGACY_MAGIC:
        raise ValueError("the first number isn't PyTorch's")
    for _header in ("protocol version", "system"):
        _Unpickler(file).load()
    views = _check_views(_Unpickler(file).load())
    kinds = {view.storage.key: view.storage.kind for view in views.values()}
    storages = {}
    for key in _Unpickler(file).load():
        start = file.tell() + 8
        count = int.from_bytes(file.read(8), "little")
        end = start + count * DTYPES[kinds[key]].itemsize
        if end > len(content):
            raise EOFError("the file ends too early")
        storages[key] = memoryview(content)[start:end]
        file.seek(end)
    return {name: _as_array(storages, view) for name, view in views.items()}


def _check_views(loaded: Any) -> dict[str, _View]:
    if not isinstance(loaded, dict):
        raise _RefusedError(f"they are a {type(loaded).__name__}, not names with tensors")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, _View):
            raise _RefusedError(f"{name!r} is a {type(value).__name__}, not a tensor")
    return loaded


def _as_array(storages: dict[str, memoryview], view: _View) -> np.ndarray:
    items = np.frombuffer(storages[view.storage.key], DTYPES[view.storage.kind])
    pairs = list(zip(view.size, view.stride, strict=True))
    if min((view.offset, *view.size, *view.stride)) < 0:
        raise ValueError("a tensor has a negative size, stride or offset")
    if 0 in view.size:
        return np.empty(view.size, items.dtype)
    # NumPy's own check misses overflowing strides and empty buffers.
    if view.offset + sum((size - 1) * stride for size, stride in pairs) >= len(items):
        raise ValueError("a tensor reaches beyond its storage")
    # In PyTorch the stride of an axis of length 1 is arbitrary.
    strides = [stride * items.itemsize if size > 1 else 0 for size, stride in pairs]
    return np.lib.stride_tricks.as_strided(
        items[view.offset :], view.size, strides, writeable=False
    )


def assign_weights(
    network: str,
    named_layers: Iterable[tuple[str, Layer]],
    weights: dict[str, np.ndarray],
    ignored: tuple[str, ...] = (),
) -> None:
    """Set the weights of Keras layers from a state dict, all of which must be used.

    Args:
        network: Name of the network in error messages.
        named_layers: Dense, convolution and batch normalization layers with their PyTorch names.
        weights: The state dict.
        ignored: Suffixes of names that are left unused, besides `.num_batches_tracked`.

    Raises:
        ValueError: A weight is missing, left over, or of another shape.
    """
    ignored = (".num_batches_tracked", *ignored)
    unused = {name: array for name, array in weights.items() if not name.endswith(ignored)}
    try:
        for name, layer in named_layers:
            layer.set_weights(_pop_weights(unused, name, layer))
    except KeyError as error:
        raise ValueError(f"{network} lacks the weights {error}") from error
    if unused:
        raise ValueError(f"{network} has no layer for the weights {', '.join(unused)}")


def _pop_weights(weights: dict[str, np.ndarray], name: str, layer: Layer) -> list[np.ndarray]:
    """Remove one layer's weights, and return them in Keras's order and axes."""
    if isinstance(layer, layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [weights.pop(f"{name}.{part}") for part in parts]
    kernel = weights.pop(f"{name}.weight").transpose(kernel_axes(layer))
    return [kernel, weights.pop(f"{name}.bias")] if layer.use_bias else [kernel]


def kernel_axes(layer: Layer) -> tuple[int, ...]:
    """Return the permutation of axes from a PyTorch kernel to that of a Keras layer."""
    if isinstance(layer, layers.Dense):
        return (1, 0)
    # PyTorch's are (out, in, H, W) and, for depthwise convolutions, (channels, 1, H, W).
    return (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
