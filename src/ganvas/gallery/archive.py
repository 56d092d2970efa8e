"""ZIP files of generated images, sent while they are written."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ganvas.gallery.encoding import encode_png

# Characters of a name, each of at most four bytes.
MAX_NAME = 50
# A fixed date, so that the same request returns the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)


class _Chunks(io.RawIOBase):
    """A stream that keeps what is written until it is taken; it can't seek."""

    def __init__(self) -> None:
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._content += content
        return len(content)

    def take(self) -> bytes:
        content = bytes(self._content)
        self._content.clear()
        return content


def stream_zip(images: Iterable[tuple[np.ndarray, dict[str, object]]]) -> Iterator[bytes]:
    """Yield a ZIP file of PNG files piece by piece, each image encoded when its turn comes.

    Args:
        images: Images, uint8 (H, W, C), with the metadata of `ganvas.gallery.generation`, which
            is written into each file and determines its name.
    """
    chunks = _Chunks()
    names: set[str] = set()
    # PNG files are compressed already.
    with zipfile.ZipFile(chunks, "w", zipfile.ZIP_STORED) as archive:
        for image, metadata in images:
            name = _unique(file_name(metadata), names)
            archive.writestr(zipfile.ZipInfo(name, DATE), encode_png(image, metadata))
            yield chunks.take()
    yield chunks.take()


def file_name(metadata: dict[str, object]) -> str:
    """Return the path of an image in a ZIP file, named as by `kedro run --pipelines=sample`.

    Example:
        >>> file_name({"model": "sample/dcgan", "seed": 1, "number": 2, "class": "Ink Waves"})
        'sample-dcgan/seed1_000002_Ink-Waves.png'
    """
    # A backslash would be a folder for Windows, and file systems limit names to 255 bytes.
    folder = re.sub(r"[^\w.-]+|^\.+", "-", str(metadata["model"]))[:MAX_NAME]
    suffix = ""
    if metadata["class"]:
        suffix = "_" + re.sub(r"[^\w-]+", "-", str(metadata["class"]))[:MAX_NAME]
    return f"{folder}/seed{metadata['seed']}_{metadata['number']:06d}{suffix}.png"


def _unique(name: str, taken: set[str]) -> str:
    """Append a number to the name of an image of another version or truncation."""
    stem, _, suffix = name.rpartition(".")
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.{suffix}"
    taken.add(name)
    return name
