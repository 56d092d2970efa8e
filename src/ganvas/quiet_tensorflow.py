"""Import TensorFlow without the lines that it writes at its start."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

# TensorFlow's C++ writes to the file descriptor, whatever `sys.stderr` is.
STDERR = 2
# A line of level error or fatal, as in "E0000 00:00:1795682314.855283   28289 file.cc:52] ...", but
# for those that TensorFlow 2.18 and earlier write whenever there is a GPU.
ERROR_LINE = re.compile(rb"^[EF]\d{4} (?!.*Unable to register cu)")
# Device files of NVIDIA's and AMD's GPUs, and of GPUs in the Windows Subsystem for Linux.
DEVICE_FILES = ("nvidia*", "nvhost*", "kfd", "dxg")


def may_have_gpu() -> bool:
    """Return whether there is a GPU's device file, or a plugin of TensorFlow for other devices.

    It takes no time, while TensorFlow, which knows what can be used, takes seconds to import.
    """
    if any(next(Path("/dev").glob(pattern), None) for pattern in DEVICE_FILES):
        return True
    return any((Path(folder) / "tensorflow-plugins").is_dir() for folder in sys.path)


def import_tensorflow_quietly() -> None:
    """Make the next import of TensorFlow in this process a quiet one, whoever imports it."""
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(MetaPathFinder):
    """Finds TensorFlow as Python does, and runs its import under `_only_errors`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                del loader.exec_module
                with _only_errors():
                    execute(module)

            loader.exec_module = execute_quietly
        return spec


@contextmanager
def _only_errors() -> Iterator[None]:
    """Hold back what is written to standard error; write errors, or after an error all of it.

    Without a standard error, as in some services, nothing is held back.
    """
    with suppress(Exception):
        sys.stderr.flush()
    try:
        saved = os.dup(STDERR)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDERR)
        try:
            yield
        except BaseException as error:
            # Not after Ctrl-C.
            _restore(saved, held, everything=isinstance(error, Exception))
            raise
        _restore(saved, held, everything=False)


def _restore(saved: int, held: Any, everything: bool) -> None:
    with suppress(Exception):
        sys.stderr.flush()
    os.dup2(saved, STDERR)
    os.close(saved)
    held.seek(0)
    for line in held:
        if everything or ERROR_LINE.match(line):
            os.write(STDERR, line)
