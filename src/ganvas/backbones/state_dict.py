"""Tensors from files of PyTorch, read without PyTorch and without running what a file says.

Such a file is a pickle, and a pickle may call any function of any module. This reader knows the
few names that tensors need and puts functions of its own in their place; every other name is
refused before anything is imported.
"""

import pickle
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganvas.errors import GanvasError

# What torch.save writes at the start of a file of the format before 1.6.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

# The older format is little-endian on every machine; the zip format tells, see _read_zip.
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
    """Read a state dict that `torch.save` wrote, in its zip format or in the one before 1.6.

    Args:
        path: The file, mostly named *.pth or *.pt.

    Returns:
        The tensors by their names, in the file's order, with the shapes they have in PyTorch.
        The arrays are read-only views of the file's content, so tensors that share memory in the
        file share it here too.

    Raises:
        GanvasError: The file is damaged, asks for a name that tensors don't need, or holds
            something else than tensors.
    """
    content = path.read_bytes()
    read = _read_zip if content.startswith(b"PK") else _read_legacy
    try:
        return read(content)
    except _RefusedError as refusal:
        raise GanvasError(f"The weights in '{path}' are refused: {refusal}.") from refusal
    # A damaged pickle raises whatever the step it breaks happens to raise.
    except Exception as error:
        raise GanvasError(
            f"'{path}' is no complete state dict of PyTorch ({type(error).__name__}: {error}): "
            "install or download it again."
        ) from error


class _RefusedError(Exception):
    """A file holds what this reader doesn't admit; says what."""


class _Storage(NamedTuple):
    """A stretch of memory that tensors look into, by its key in the file."""

    kind: str
    key: str


class _View(NamedTuple):
    """A tensor whose storage isn't read yet; all numbers count items, not bytes."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Entries(dict[str, Any]):
    """Stands for OrderedDict, without the attributes (`_metadata`) that PyTorch hangs on one."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Knows the names that tensors need, and no other."""

    def __init__(self, file: BytesIO):
        super().__init__(file)
        # Bound methods, as a pickle could set attributes of plain functions and classes.
        self._names = {
            ("collections", "OrderedDict"): _Entries,
            ("torch._utils", "_rebuild_tensor_v2"): self._rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): self._rebuild_parameter,
        }

    def find_class(self, module: str, name: str) -> Any:
        """Give what a pickle asks for by name, if tensors need it; pickles may run no other code.

        Raises:
            _RefusedError: It is something else.
        """
        # A storage stays a mere string: persistent_load looks up what it means.
        if module == "torch" and name in DTYPES:
            return name
        try:
            return self._names[module, name]
        except KeyError:
            raise _RefusedError(
                f"they ask for '{module}.{name}', which no tensor of a known type needs"
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
            raise _RefusedError(f"a tensor looks into {storage!r}, which is no storage")
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
        # PyTorch never compresses; what is compressed could swell without bound.
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise _RefusedError("they are compressed, as PyTorch never does")
        views = _check_views(_Unpickler(BytesIO(archive.read(pickled))).load())
        keys = {view.storage.key for view in views.values()}
        storages = {key: memoryview(archive.read(f"{root}data/{key}")) for key in keys}
    return {name: _look_into(storages, view) for name, view in views.items()}


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
    return {name: _look_into(storages, view) for name, view in views.items()}


def _check_views(loaded: Any) -> dict[str, _View]:
    if not isinstance(loaded, dict):
        raise _RefusedError(f"they are a {type(loaded).__name__}, not names with tensors")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, _View):
            raise _RefusedError(f"under {name!r} lies a {type(value).__name__}, not a tensor")
    return loaded


def _look_into(storages: dict[str, memoryview], view: _View) -> np.ndarray:
    items = np.frombuffer(storages[view.storage.key], DTYPES[view.storage.kind])
    pairs = list(zip(view.size, view.stride, strict=True))
    if min((view.offset, *view.size, *view.stride)) < 0:
        raise ValueError("a tensor has a negative size, stride or offset")
    if 0 in view.size:
        return np.empty(view.size, items.dtype)
    # NumPy's own check misses strides that overflow and buffers that are empty.
    if view.offset + sum((size - 1) * stride for size, stride in pairs) >= len(items):
        raise ValueError("a tensor reaches beyond its storage")
    # PyTorch lets the stride of a single item be anything.
    strides = [stride * items.itemsize if size > 1 else 0 for size, stride in pairs]
    return np.lib.stride_tricks.as_strided(
        items[view.offset :], view.size, strides, writeable=False
    )
