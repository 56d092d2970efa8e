"""Read images that another program has generated: a folder, an archive or an .npz file.

Unlike a collection they are not packed: images that are equal all count, since a generator that
makes the same image twice must not seem better for it.
"""

import logging
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ganvas.arrays import allocate, limit_count
from ganvas.channels import WHITE
from ganvas.disk_space import explain_disk_error
from ganvas.errors import GanvasError
from ganvas.ingestion.archives import find_images, is_archive, unpack, was_unpacked
from ganvas.ingestion.color_conversion import MODES, Color, convert_color
from ganvas.ingestion.cropping import Crop, crop_image, to_image, to_pixels
from ganvas.ingestion.decode import MIN_SIDE, SWAPPING, Align, find_rotation
from ganvas.ingestion.executors import ExecutorOptions, run_tasks
from ganvas.ingestion.file_formats import image_suffixes
from ganvas.ingestion.file_index import first_folder, keep_image_files, scan
from ganvas.ingestion.pack_worker import (
    CHUNK_SIZE,
    ChunkTask,
    DecodeOptions,
    make_chunk,
    read_chunk_array,
    read_chunk_results,
)
from ganvas.progress import track

logger = logging.getLogger(__name__)

# Arrays of an .npz file that are taken for its images, the first that there is: arr_0 is what NumPy
# calls an array without a name, as in the reference batches of published diffusion models.
ARRAY_NAMES = ("images", "arr_0")
# Bytes of an .npz file that are read at once.
BLOCK_BYTES = 2**25
# Files that are decoded before a process would have started.
THREADED_FILES = 256
# Pillow's modes of one channel.
GRAY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L", "F")
ARRAY_SHAPE = "(N, H, W, C), C = 1, 3 or 4"
FORMATS = "a folder of images, a ZIP or TAR archive, or an .npz file"
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


class ImageSet(NamedTuple):
    """Images of one size.

    Attributes:
        images: uint8 of shape (N, H, W, C).
        index: One row an image: path (in an .npz file its number) and class, the first folder; ""
            without one.
        rejected: One row a file that was rejected or skipped: path, reason.
    """

    images: np.ndarray
    index: pd.DataFrame  # type: ignore[assignment]  # hides tuple.index
    rejected: pd.DataFrame


class FolderSource(NamedTuple):
    """The listed files of a folder.

    Attributes:
        folder: The folder.
        paths: The files below it that may be images, sorted.
        skipped: Table of the others.
        size: Width and height of the first file that can be opened and is large enough to be used,
            upright; (0, 0) if there is none.
        channels: Its channels: 1 of gray images, 4 of those with alpha, 3 of others.
    """

    folder: Path
    paths: list[str]
    skipped: pd.DataFrame
    size: tuple[int, int]
    channels: int

    @property
    def total(self) -> int:
        """Number of images."""
        return len(self.paths)


class NpzSource(NamedTuple):
    """The array of images of an .npz file.

    Attributes:
        file: The file.
        member: Name of the array's file in it.
        shape: (N, H, W, C); C is 1, 3 or 4.
        start: First byte of the array in its file.
    """

    file: Path
    member: str
    shape: tuple[int, int, int, int]
    start: int

    @property
    def total(self) -> int:
        """Number of images."""
        return self.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of an image."""
        return self.shape[2], self.shape[1]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape[3]


Source = FolderSource | NpzSource


class SetOptions(NamedTuple):
    """How to read the images.

    Attributes:
        shape: Shape (H, W, C) of the results.
        crop: Part of an image to keep, as ingestion does.
        max_pixels: Maximum number of pixels of an image to decode.
        max_rejected_share: Stop if more than this share of the images can't be decoded.
        workers: Decoding processes; None: one per core.
        background: Color behind transparent parts and padding.
        align: Whether to align faces in files first.
    """

    shape: tuple[int, int, int]
    crop: Crop
    max_pixels: float
    max_rejected_share: float
    workers: int | None
    background: Color = WHITE
    align: Align = "none"


def open_images(path: Path, cache: Path, key: str) -> Source:
    """Find out what images there are as `open_image_set`, or take a single image."""
    if path.is_file() and path.suffix.lower() in image_suffixes():
        skipped = pd.DataFrame({"path": [], "reason": []}, dtype="str")
        size, channels = _find_shape(path.parent, [path.name])
        return FolderSource(path.parent, [path.name], skipped, size, channels)
    return open_image_set(path, cache, key)


def open_image_set(path: Path, cache: Path, key: str) -> Source:
    """Find out what images there are, without decoding them.

    Args:
        path: A folder, a ZIP or TAR archive, or an .npz file.
        cache: Folder of unpacked archives.
        key: Parameter that names the path, for messages.

    Raises:
        GanvasError: It is none of these, is damaged, or has no images.
    """
    if path.suffix.lower() == ".npz" and path.is_file():
        return _open_npz(path, key)
    if not path.exists() and not was_unpacked(path, cache):
        raise GanvasError(f"{key} is {path}, which does not exist: set it to {FORMATS}.")
    if path.exists() and not path.is_dir() and not is_archive(path):
        hint = f"set it to {FORMATS}"
        if path.suffix.lower() == ".npy":
            hint = "save the array as .npz by np.savez(FILE, images=images)"
        raise GanvasError(f"{key} is the file {path}, which is no archive: {hint}.")
    try:
        folder = path if path.is_dir() else find_images(unpack(path, cache))
        return _open_folder(folder, key)
    except GanvasError as error:
        # Ingestion reads the same kinds of files, by another parameter.
        raise GanvasError(str(error).replace("ingest.source.path", key)) from error
    except OSError as error:
        raise GanvasError(explain_disk_error(error, path, "listed")) from error


def read_image_set(source: Source, positions: np.ndarray, options: SetOptions) -> ImageSet:
    """Decode images as ingestion does, align them if set, and crop and resize them to a shape.

    Args:
        source: What `open_image_set` has found.
        positions: Which of its images, sorted ints of shape (n,).
        options: How to read them.

    Raises:
        GanvasError: The file is damaged, or too many images are.
    """
    if isinstance(source, NpzSource):
        images = allocate((len(positions), *options.shape))
        for number, pixels in enumerate(_stream(source, positions)):
            images[number] = _fit(pixels, options)
        paths = pd.Series(positions.astype(str), dtype="str")
        index = pd.DataFrame({"path": paths, "class": ""}, dtype="str")
        return ImageSet(images, index, pd.DataFrame({"path": [], "reason": []}, dtype="str"))
    return _decode(source, [source.paths[position] for position in positions], options)


def _open_folder(folder: Path, key: str) -> FolderSource:
    files, skipped = scan(folder)
    records, unsuitable = keep_image_files(files, folder)
    if records.empty:
        arrays = [path for path in files["path"] if path.lower().endswith(".npz")]
        hint = f"set it to {folder / arrays[0]}" if arrays else f"set it to {FORMATS}"
        raise GanvasError(f"{key} is {folder}, which has no image: {hint}.")
    skipped = pd.concat([skipped, unsuitable], ignore_index=True)
    paths = records["path"].tolist()
    return FolderSource(folder, paths, skipped, *_find_shape(folder, paths))


def _find_shape(folder: Path, paths: list[str]) -> tuple[tuple[int, int], int]:
    """Return size and channels of the first file that can be opened and is no icon."""
    for path in paths[:CHUNK_SIZE]:
        try:
            with Image.open(folder / path) as image:
                # Decoding rejects smaller ones, so they must not decide the size of all others.
                if min(image.size) >= MIN_SIDE:
                    is_gray = image.mode in GRAY_MODES
                    channels = 4 if image.has_transparency_data else 1 if is_gray else 3
                    # Cameras store upright photos lying, with an EXIF orientation.
                    is_lying = find_rotation(image) in SWAPPING
                    return image.size[::-1] if is_lying else image.size, channels
        # Pillow raises all kinds of errors on damaged files; decoding explains them.
        except Exception:
            continue
    return (0, 0), 3


def _open_npz(file: Path, key: str) -> NpzSource:
    """Read the headers of the arrays, and no array; those that hold pickles stay closed.

    Raises:
        GanvasError: The file is damaged, or no array has the shape and type of images.
    """
    headers = _read_headers(file)
    names = {name.removesuffix(".npy"): name for name in headers}
    named = [names[name] for name in ARRAY_NAMES if name in names]
    shaped = [name for name, header in headers.items() if _is_of_images(header)]
    if not named and len(shaped) != 1:
        found = ", ".join(f"{name} {headers[full][0]}" for name, full in names.items())
        raise GanvasError(
            f"{file} has the arrays {found or 'none'}: save the images in it as 'images', uint8 of "
            f"shape {ARRAY_SHAPE}, by np.savez."
        )
    member = (named or shaped)[0]
    shape, fortran, dtype, start, length = headers[member]
    where = f"The array '{member.removesuffix('.npy')}' of {file}"
    needs = f"images must be uint8 of shape {ARRAY_SHAPE}"
    if dtype.kind not in "uif":
        raise GanvasError(f"{where} is of type {dtype}, and {needs}: save the images' pixels.")
    if dtype != np.uint8:
        hint = "scale them to 0 to 255, and save images.round().clip(0, 255).astype('uint8')"
        raise GanvasError(f"{where} is of type {dtype}, and {needs}: {hint}.")
    if len(shape) == 4 and shape[1] in MODES and shape[3] not in MODES:
        hint = "save images.transpose(0, 2, 3, 1)"
        raise GanvasError(f"{where} has the shape {shape}, and {needs}: {hint}.")
    if len(shape) == 3 and shape[2] == 3 and min(shape[:2]) >= MIN_SIDE:
        hint = "a single image is no set of images; save several by np.stack"
        raise GanvasError(f"{where} has the shape {shape}, and {needs}: {hint}.")
    if len(shape) == 3 and min(shape[1:]) >= MIN_SIDE:
        hint = "add the one channel of gray images by images[..., None]"
        raise GanvasError(f"{where} has the shape {shape}, and {needs}: {hint}.")
    if len(shape) != 4 or shape[3] not in MODES:
        hint = "channels are one of gray, three of RGB, or four of RGB with straight alpha"
        raise GanvasError(f"{where} has the shape {shape}, and {needs}: {hint}.")
    if not shape[0] or min(shape[1:3]) < MIN_SIDE:
        hint = f"there must be images of {MIN_SIDE}×{MIN_SIDE} pixels or more"
        raise GanvasError(f"{where} has the shape {shape}: {hint}.")
    if fortran:
        raise GanvasError(
            f"{where} is saved in Fortran's order: save np.ascontiguousarray(images)."
        )
    # A header that promises more than there is would have memory reserved for it.
    if length != start + int(np.prod(shape, dtype=object)):
        raise _damaged(file)
    return NpzSource(file, member, shape, start)


Header = tuple[tuple[int, ...], bool, np.dtype, int, int]


def _read_headers(file: Path) -> dict[str, Header]:
    """Return shape, order, type, first byte and length of the file of each array by its name."""
    headers: dict[str, Header] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                with archive.open(member) as stream:
                    version = np.lib.format.read_magic(stream)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, fortran, dtype = read(stream)
                    start = stream.tell()
                headers[member.filename] = (shape, fortran, dtype, start, member.file_size)
    except PermissionError as error:
        raise GanvasError(explain_disk_error(error, file, "read")) from error
    except (*DAMAGED, NotImplementedError) as error:
        raise _damaged(file) from error
    return headers


def _is_of_images(header: Header) -> bool:
    shape, _, dtype, *_ = header
    return dtype == np.uint8 and len(shape) == 4 and shape[3] in MODES


def _damaged(file: Path) -> GanvasError:
    return GanvasError(f"{file} is damaged, encrypted or incomplete: save or copy it again.")


def _stream(source: NpzSource, positions: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the images at sorted positions; the array is read block by block, never as a whole."""
    shape = source.shape[1:]
    length = int(np.prod(shape))
    step = max(1, BLOCK_BYTES // length)
    wanted = iter(track(positions, f"Reading {source.file.name}"))
    try:
        with zipfile.ZipFile(source.file) as archive, archive.open(source.member) as stream:
            _read_exactly(stream, source.start)
            position = next(wanted, None)
            for first in range(0, source.total, step):
                if position is None:
                    return
                count = min(step, source.total - first)
                block = np.frombuffer(_read_exactly(stream, count * length), np.uint8)
                images = block.reshape(count, *shape)
                while position is not None and position < first + count:
                    yield images[position - first]
                    position = next(wanted, None)
    except DAMAGED as error:
        raise _damaged(source.file) from error


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError(f"{len(content)} of {length} bytes")
    return content


def _fit(pixels: np.ndarray, options: SetOptions) -> np.ndarray:
    # Of transparent ones, hidden colors become that of the background.
    if pixels.shape == options.shape and options.shape[2] != 4:
        return pixels
    height, width, channels = options.shape
    image = convert_color(to_image(pixels), None, channels, options.background)
    return to_pixels(crop_image(image, (width, height), options.crop, options.background))


def _decode(source: FolderSource, paths: list[str], options: SetOptions) -> ImageSet:
    decode_options = DecodeOptions(
        source.folder.resolve(),
        options.shape,
        options.crop,
        options.align,
        options.max_pixels,
        options.background,
    )
    images = allocate((len(paths), *options.shape))
    chunk = limit_count(CHUNK_SIZE, options.shape)
    count, tables = 0, []
    with tempfile.TemporaryDirectory() as folder:
        tasks = [
            ChunkTask(
                Path(folder) / f"{start:09d}.npz",
                tuple(paths[start : start + chunk]),
                decode_options,
            )
            for start in range(0, len(paths), chunk)
        ]
        threads = len(paths) <= THREADED_FILES
        running = run_tasks(make_chunk, tasks, ExecutorOptions(None, options.workers, threads))
        for _ in track(running, f"Reading {source.folder.name}", total=len(tasks)):
            pass
        for task in tasks:
            decoded = read_chunk_array(task.target, "images")
            images[count : count + len(decoded)] = decoded
            count += len(decoded)
            tables.append(read_chunk_results(task))
    results = pd.concat(tables, ignore_index=True)
    good = (results["reason"] == "").to_numpy()
    bad = results.loc[~good, ["path", "reason"]]
    if len(bad) > options.max_rejected_share * len(results) or not good.any():
        examples = "; ".join(f"{row.path}: {row.reason}" for row in bad.head(3).itertuples())
        raise GanvasError(
            f"{len(bad)} of {len(results)} images of {source.folder} can't be used ({examples}): "
            f"at most a share of {options.max_rejected_share:g} is allowed; fix them or raise "
            "ingest.max_rejected_share."
        )
    index = pd.DataFrame({"path": results.loc[good, "path"]}).reset_index(drop=True)
    index["class"] = first_folder(index["path"])
    rejected = pd.concat([bad, source.skipped], ignore_index=True)
    return ImageSet(images[:count], index, rejected)
