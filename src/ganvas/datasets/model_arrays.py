"""Arrays that belong to a version of a generator, such as its encoder, as Kedro datasets."""

import io
from pathlib import PurePosixPath
from typing import Any

import fsspec
import numpy as np
from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import AbstractVersionedDataset, get_filepath_str, get_protocol_and_path

from ganvas.datasets.atomic import AtomicSave
from ganvas.datasets.versions import NewestVersion
from ganvas.saved_arrays import read_arrays, write_arrays

Arrays = dict[str, np.ndarray]


class _ArraysDataset(AbstractVersionedDataset[Arrays, Arrays]):
    """A dictionary of arrays in one .npz file.

    Args:
        filepath: Path or URL of the file.
        credentials: Credentials of the file system.
        metadata: For plugins such as Kedro-Viz.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.metadata = metadata
        self._protocol, path = get_protocol_and_path(filepath)
        options = {"auto_mkdir": True} if self._protocol == "file" else {}
        self._fs = fsspec.filesystem(self._protocol, **(credentials or {}), **options)
        super().__init__(PurePosixPath(path), None, self._fs.exists, self._fs.glob)

    @property
    def path(self) -> str:
        """Path of the file as its file system takes it."""
        return get_filepath_str(self._filepath, self._protocol)

    def load(self) -> Arrays:
        """Read the arrays."""
        with self._fs.open(self.path, "rb") as file:
            return read_arrays(io.BytesIO(file.read()))

    def save(self, data: Arrays) -> None:
        """Write the arrays."""
        content = io.BytesIO()
        write_arrays(content, data)
        path = get_filepath_str(self._get_save_path(), self._protocol)
        with self._fs.open(path, "wb") as file:
            file.write(content.getvalue())

    def remove(self) -> None:
        """Remove the file if it exists."""
        if self._exists():
            self._fs.rm(self.path)
            self._invalidate_cache()

    def _exists(self) -> bool:
        self._invalidate_cache()
        return bool(self._fs.exists(self.path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol}

    def _invalidate_cache(self) -> None:
        self._fs.invalidate_cache(str(PurePosixPath(self.path).parent))


class AtomicArraysDataset(AtomicSave, _ArraysDataset):
    """A dictionary of arrays in one .npz file, with atomic saves."""


class ModelArraysDataset(AbstractDataset[Arrays, Arrays]):
    """A dictionary of arrays that belongs to a version of the generator, in one .npz file.

    It has no versions of its own: it is saved beside the generator that the run has loaded, as
    `<filepath>/<version of the generator>/<name of filepath>`, where a later save replaces it. A
    generator without such a file has no arrays, {}, and saving {} removes the file.

    `GanvasCatalog` sets the generator.

    Args:
        filepath: Path or URL of the folder of all versions, such as `06_models/…/encoder.npz`.
        credentials: Credentials of the file system.
        metadata: For plugins such as Kedro-Viz.

    Attributes:
        generator: The dataset of the generator.
        is_saved_with_generator: Whether the node that saves the arrays saves the generator, too,
            which may then be saved later.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath, self._credentials = filepath, credentials
        self.metadata = metadata
        self.generator: NewestVersion | None = None
        self.is_saved_with_generator = False

    def load(self) -> Arrays:
        """Return the arrays; {} if there are none for this version, or no generator."""
        version = self._version_of_generator()
        if version is None:
            return {}
        file = self._file(version)
        return file.load() if file._exists() else {}

    def save(self, data: Arrays) -> None:
        """Save the arrays beside the generator's version; {} removes those of it.

        Raises:
            DatasetError: There is no generator.
        """
        if self.is_saved_with_generator and self.generator is not None:
            version = self.generator.resolve_save_version()
        else:
            version = self._version_of_generator()
        if version is None:
            raise DatasetError(f"There is no generator that {self._filepath} would belong to.")
        if data:
            self._file(version).save(data)
        else:
            self._file(version).remove()

    def move(self, version: str, earlier: str) -> None:
        """Move the arrays of a version to an earlier one; those that it has stay."""
        source, target = self._file(version), self._file(earlier)
        if source._exists():
            if not target._exists():
                target.save(source.load())
            source._fs.rm(str(PurePosixPath(source.path).parent), recursive=True)

    def _version_of_generator(self) -> str | None:
        """Return the version of the generator that a run loads; None if there is none."""
        if self.generator is None or not self.generator.exists():
            return None
        return self.generator.resolve_load_version()

    def _file(self, version: str) -> AtomicArraysDataset:
        name = self._filepath.rpartition("/")[2]
        path = f"{self._filepath}/{version}/{name}"
        return AtomicArraysDataset(filepath=path, credentials=self._credentials)

    def _exists(self) -> bool:
        # What a generator without arrays loads is {}.
        return True

    def _describe(self) -> dict[str, Any]:
        path = self._filepath
        if version := self._version_of_generator():
            path = f"{path}/{version}/{path.rpartition('/')[2]}"
        return {"filepath": path}
