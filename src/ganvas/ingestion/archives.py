"""Unpack archives of images: ZIP, and TAR with any compression that Python reads."""

import calendar
import errno
import hashlib
import json
import logging
import lzma
import os
import posixpath
import shutil
import stat
import struct
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

from ganvas.atomic_files import replace_folder
from ganvas.disk_space import explain_disk_error
from ganvas.errors import GanvasError
from ganvas.plain_text import escape_controls
from ganvas.progress import track

logger = logging.getLogger(__name__)

# Folder of unpacked archives, beside those of downloaded images.
UNPACKED = ".unpacked"
# Records which archive a folder was unpacked from.
MARKER = ".unpacked.json"
SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
OTHER_SUFFIXES = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
# Files of more bytes are no images that could be decoded.
MAX_FILE = 2**30
# An archive that grows to more than this, and this many times its size, holds no images.
MAX_BYTES, MAX_RATIO = 2 * 2**30, 200
# Left free on the disk, for the packed collection and others.
RESERVE = 2**28
# Of CelebA: the source is the folder that holds one of these.
LAYOUT_FOLDERS = ("img_align_celeba", "img_celeba")
# Folders within each other; deeper ones are a mistake of the program that made the archive.
MAX_DEPTH = 64
# Names that this system can't have: too long, or of a file and of a folder.
UNUSABLE_NAMES = {errno.ENAMETOOLONG, errno.EEXIST, errno.EISDIR, errno.ENOTDIR}
# The end of 9999; tables have no later times.
MAX_MODIFIED = 253402300799.0
ENCRYPTED = 0x1
UTF8_NAME = 0x800
# Bytes of the path that a link has as its content.
MAX_TARGET = 4096
# Characters of a name that a message contains.
MAX_NAME = 80


class _Member(NamedTuple):
    """A file in an archive: name, bytes, modification time in Unix seconds, and content.

    The content is a path in the archive for a link to another file, None to skip the file.
    """

    name: str
    size: int
    modified: float
    content: IO[bytes] | str | None


def is_archive(path: Path) -> bool:
    """Return whether a path is an archive by its content, or by its ending if it is damaged."""
    # Unlike Path.is_file, it is false for a path that the system can't have.
    if not os.path.isfile(path):  # noqa: PTH113
        return False
    by_name = path.name.lower().endswith((*SUFFIXES, *OTHER_SUFFIXES))
    return by_name or zipfile.is_zipfile(path) or _is_tar(path)


def unpack(archive: Path, cache: Path) -> Path:
    """Unpack the files of an archive, unless that was done before.

    Hidden files are left out, and with a warning those of more than a gigabyte, with a name that
    the system can't have, and links to other than files of the archive. Files keep the modification
    times that the archive has, so that images are not packed again when it is unpacked again.

    Args:
        archive: ZIP or TAR file.
        cache: Folder of unpacked archives. Each has a folder of the archive's name there.

    Returns:
        The folder of the files.

    Raises:
        GanvasError: The archive is encrypted or damaged, or has another format; a file would lie
            outside of the folder; or the files don't fit on the disk.

    Example:
        >>> unpack(Path("/home/ada/art.zip"), Path("data/01_raw/.unpacked")).name
        'art'
    """
    folder = _folder_of(archive, cache)
    recorded = _read_marker(folder)
    try:
        status = archive.stat()
    except OSError as error:
        if recorded is None:
            raise GanvasError(
                f"{archive} can't be read ({error.strerror}): set ingest.source.path to the "
                "archive or to a folder of images."
            ) from error
        logger.warning("%s is not there; the files that it had are used, in %s.", archive, folder)
        return folder
    expected = {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    if recorded is not None and expected.items() <= recorded.items():
        return folder
    partial = folder.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        partial.mkdir(parents=True)
        _extract(archive, partial, status.st_size)
        marker = expected | {"archive": str(archive.absolute())}
        (partial / MARKER).write_text(json.dumps(marker))
        replace_folder(folder, partial)
    except OSError as error:
        raise GanvasError(explain_disk_error(error, folder, "filled")) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def was_unpacked(archive: Path, cache: Path) -> bool:
    """Return whether the files of an archive, which may be gone, were unpacked before."""
    return _read_marker(_folder_of(archive, cache)) is not None


def find_images(folder: Path) -> Path:
    """Return the folder, or the only one in it, as most archives have one that holds all."""
    while True:
        inner = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if len(inner) != 1 or not inner[0].is_dir() or inner[0].name in LAYOUT_FOLDERS:
            return folder
        folder = inner[0]


def _folder_of(archive: Path, cache: Path) -> Path:
    key = hashlib.blake2b(os.fsencode(archive.absolute()), digest_size=4).hexdigest()
    name = archive.name
    for suffix in sorted((*SUFFIXES, *OTHER_SUFFIXES), key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
            break
    # A name of dots is that of another folder.
    return cache / key / (name if name.strip(".") else "archive")


def _read_marker(folder: Path) -> dict[str, int | str] | None:
    try:
        marker = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) else None


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return False


def _extract(archive: Path, folder: Path, size: int) -> None:
    """Write the files of an archive of a size in bytes to a new folder."""
    damaged = (
        f"{archive} is damaged or incomplete: copy or download it again, or unpack what there is "
        "to a folder."
    )
    with ExitStack() as stack:
        try:
            if zipfile.is_zipfile(archive):
                opened = stack.enter_context(zipfile.ZipFile(archive))
                members, total = _list_zip(archive, opened), len(opened.infolist())
            elif _is_tar(archive):
                tar = stack.enter_context(tarfile.open(archive))
                members, total = _list_tar(tar), None
            elif archive.name.lower().endswith(SUFFIXES):
                raise GanvasError(damaged)
            else:
                raise GanvasError(
                    f"{archive} is neither a ZIP nor a TAR archive: unpack it, and pass the folder "
                    "that it was unpacked to."
                )
            count = _write_files(archive, track(members, "Unpacking", total), folder, size)
        except NotImplementedError as error:
            raise GanvasError(
                f"{archive} is compressed by a method that can't be read ({error}): unpack it, and "
                "pass the folder that it was unpacked to."
            ) from error
        except (
            zipfile.BadZipFile,
            tarfile.TarError,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            ValueError,
            KeyError,
            # Of the zipfile module, for names and numbers that no program writes.
            IndexError,
            OverflowError,
            struct.error,
        ) as error:
            raise GanvasError(f"{damaged[:-1]} ({error}).") from error
        except OSError as error:
            # gzip and bz2 have no errors of their own; those of the system have a number.
            if error.errno is None:
                raise GanvasError(f"{damaged[:-1]} ({error}).") from error
            raise
    logger.info("%d files of %s were unpacked.", count, archive)


def _write_files(archive: Path, members: Iterator[_Member], folder: Path, size: int) -> int:
    written = count = 0
    links: dict[str, str] = {}
    left_out: dict[str, str] = {}

    def write(path: str, modified: float, bytes_: int, content: IO[bytes]) -> None:
        nonlocal written, count
        written += bytes_
        if written > max(MAX_BYTES, MAX_RATIO * size):
            raise GanvasError(
                f"{archive} unpacks to more than {MAX_RATIO} times its size, which no images do: "
                "unpack it yourself if you trust it, and pass the folder."
            )
        if bytes_ > shutil.disk_usage(folder).free - RESERVE:
            raise GanvasError(
                f"The disk of {folder.parent} has no space for the files of {archive}: free space "
                f"on it, at least as much as {archive.name} has when it is unpacked."
            )
        file = folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = file.open("wb")
        except OSError as error:
            if error.errno not in UNUSABLE_NAMES:
                raise
            left_out[path] = "its name is too long, or that of a file and of a folder"
            return
        with stream:
            shutil.copyfileobj(content, stream)
        os.utime(file, (modified, modified))
        count += 1

    for member in members:
        path = _check_name(archive, member.name)
        if path is None or member.content is None:
            continue
        if isinstance(member.content, str):
            links[path] = posixpath.normpath(member.content.replace("\\", "/"))
        elif path.count("/") > MAX_DEPTH:
            left_out[path] = f"it is in more than {MAX_DEPTH} folders within each other"
        elif member.size > MAX_FILE:
            left_out[path] = "it has more than 1 GB"
        else:
            write(path, member.modified, member.size, member.content)
    for path in links:
        target = _follow(links, path)
        file = folder / target
        # Only to files of the archive itself, which may have been left out.
        if target.startswith(("..", "/")) or target in left_out or not file.is_file():
            left_out[path] = "it is a link to what is no file of the archive"
            continue
        with file.open("rb") as content:
            status = file.stat()
            if not (folder / path).exists() or not file.samefile(folder / path):
                write(path, status.st_mtime, status.st_size, content)
    if left_out:
        path, reason = next(iter(left_out.items()))
        name = path if len(path) <= MAX_NAME else f"{path[:MAX_NAME]}…"
        logger.warning(
            "Left out of %s: '%s', since %s; %d in all.",
            *(archive, escape_controls(name), reason, len(left_out)),
        )
    return count


def _follow(links: dict[str, str], path: str) -> str:
    """Return the path that a link leads to through others; its own for a circle."""
    target, seen = links[path], {path}
    while target in links and target not in seen:
        seen.add(target)
        target = links[target]
    return path if target in seen else target


def _check_name(archive: Path, name: str) -> str | None:
    """Return the path of a file below the folder; None for a hidden one or a copy of macOS's."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise GanvasError(
            f"{archive} has the file {name!a}, which would lie outside of the folder that it "
            "is unpacked to: it may be hostile; unpack it yourself if you trust it."
        )
    if parts and parts[0][1:] == ":":
        del parts[0]  # the letter of a drive
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return None if hidden or not parts else "/".join(parts)


def _list_zip(archive: Path, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        name = info.filename
        if not info.flag_bits & UTF8_NAME:
            # Many programs write UTF-8 without saying so, which is decoded as code page 437.
            with suppress(UnicodeError):
                name = name.encode("cp437").decode("utf-8")
        if info.is_dir() or name.endswith("\\"):
            continue
        if info.flag_bits & ENCRYPTED:
            raise GanvasError(
                f"{archive} is encrypted: unpack it with its password, and pass the folder that it "
                "was unpacked to."
            )
        try:
            modified = calendar.timegm(datetime(*info.date_time).timetuple())
        except ValueError:
            modified = 0
        with opened.open(info) as content:
            if stat.S_ISLNK(info.external_attr >> 16) and info.file_size <= MAX_TARGET:
                target = os.fsdecode(content.read())
                yield _Member(name, 0, modified, _link_target(name, target))
            else:
                yield _Member(name, info.file_size, modified, content)


def _list_tar(opened: tarfile.TarFile) -> Iterator[_Member]:
    for info in opened:
        content: IO[bytes] | str | None = None
        if info.isfile():
            content = opened.extractfile(info)
        elif info.islnk():
            content = info.linkname
        elif info.issym():
            content = _link_target(info.name, info.linkname)
        # A time that is no number becomes 0.
        modified = min(max(0.0, float(info.mtime)), MAX_MODIFIED)
        yield _Member(info.name, info.size, modified, content)
    # The module takes a damaged header for the end, which is a block of zeros.
    stream = opened.fileobj
    assert stream is not None
    stream.seek(opened.offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if any(block):
        raise tarfile.ReadError(f"there is no file at byte {opened.offset:,}")
    if not block:
        logger.warning("The end of %s is missing: files may be missing too.", opened.name)


def _link_target(name: str, target: str) -> str:
    """Return the path in the archive of what a link is relative to its own place."""
    return posixpath.join(posixpath.dirname(name), target)
