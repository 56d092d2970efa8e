"""Inspect a user's folder before a run: its layout, its number of images and its subfolders."""

import stat
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import pandas as pd

from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.ingestion.artworks import ARTISTS
from ganvas.ingestion.channel_detection import FoundChannels, detect_channels
from ganvas.ingestion.file_index import SURROGATES, find_child, first_folder, keep_image_files, scan
from ganvas.ingestion.wikiart import LIST_NAME

# With fewer, evaluation has fewer than ten images on each side of a comparison.
MIN_IMAGES = 20
# Suffixes named in a message, at most.
MAX_SUFFIXES = 3


class FolderContents(NamedTuple):
    """What a folder holds, found by the names of its files.

    Attributes:
        path: The folder to read: the one that was inspected, or the only one within it.
        source: Layout, a name of `ingest.source.name`.
        images: Number of files that are images by their suffixes or first bytes.
        folders: Number of images below each folder; "" for those in no folder. The folders of
            artworks are those in `images/`.
        others: Number of other files by suffix, the most frequent first.
        found: Channels that suit a sample of the images.
    """

    path: Path
    source: Literal["artworks", "wikiart", "celeba", "folder"]
    images: int
    folders: dict[str, int]
    others: dict[str, int]
    found: FoundChannels = FoundChannels("rgb", "")


def expand_path(text: str) -> Path:
    """Return an absolute path, with `~` and `..` resolved and links kept.

    Raises:
        GanvasError: The path can't be a parameter.
    """
    if "://" in text:
        raise GanvasError(
            f"{text} is a URL, whose images can't be counted beforehand: use kedro run with "
            f"--params=ingest.source.name=folder,ingest.dataset=NAME,ingest.source.path={text}."
        )
    if "${" in text or "\0" in text or SURROGATES.search(text):
        reason = "contains ${" if "${" in text else "is not valid UTF-8"
        raise GanvasError(
            f"{text!a} {reason}, which parameters can't hold: rename the folder, or pass a "
            "link to it."
        )
    try:
        parts = Path(text).expanduser().absolute().parts
    except RuntimeError as error:
        raise GanvasError(
            f"{text} can't be found, since there is no such user: pass the whole path."
        ) from error
    # What precedes the last `..` is resolved, since a link there may lead elsewhere.
    end = len(parts) - parts[::-1].index("..") if ".." in parts else 0
    return Path(*parts[:end]).resolve() / Path(*parts[end:]) if end else Path(*parts)


def inspect_folder(folder: Path) -> FolderContents:
    """Find out which source reads a folder, and count its images.

    Args:
        folder: Images in any layout; those of Best Artworks of All Time, of WikiArt with its
            lists, and of CelebA are recognized.

    Raises:
        GanvasError: It is no folder, can't be read, or holds fewer than `MIN_IMAGES` images.

    Example:
        >>> inspect_folder(Path("/home/ada/art")).folders
        {'monet': 73, 'renoir': 66}
    """
    try:
        _check_folder(folder)
        source = _detect_source(folder)
        files, _ = scan(folder, find_child(folder, "images").name if source == "artworks" else "")
        images, others = _split_files(folder, files)
    except OSError as error:
        raise GanvasError(
            f"{folder} can't be read ({error.strerror}): allow your user to read the folder and "
            "what is in it."
        ) from error
    if images.empty:
        raise GanvasError(_describe_missing_images(folder, others))
    if len(images) < MIN_IMAGES:
        plural = "s" * (len(images) > 1)
        raise GanvasError(
            f"{folder} holds {len(images)} image{plural}{describe_others(others)}: at least "
            f"{MIN_IMAGES} are needed, and some hundreds for images that vary."
        )
    path, counts = _count_by_folder(folder, images, descend=source in ("folder", "artworks"))
    path = path if source == "folder" else folder
    found = detect_channels(folder, images.tolist())
    return FolderContents(path, source, len(images), counts, others, found)


def _check_folder(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GanvasError(
            f"There is no folder {folder}: pass the folder that holds your images."
        ) from error
    if stat.S_ISDIR(mode):
        return
    raise GanvasError(
        f"{folder} is a file, neither a folder nor an archive: pass the folder that holds your "
        f"images, such as {folder.parent}."
    )


def _detect_source(folder: Path) -> Literal["artworks", "wikiart", "celeba", "folder"]:
    if find_child(folder, ARTISTS).is_file() and find_child(folder, "images").is_dir():
        return "artworks"
    if find_child(folder, "img_align_celeba").is_dir():
        return "celeba"
    lists = {path.stem for path in folder.iterdir() if LIST_NAME.fullmatch(path.name)}
    return "wikiart" if {"style_train", "style_val", "style_class"} <= lists else "folder"


def _split_files(folder: Path, files: pd.DataFrame) -> tuple[pd.Series, dict[str, int]]:
    """Return the paths of images, and the number of other files by suffix."""
    images = keep_image_files(files, folder)[0]["path"]
    chosen = files["path"].map(set(images).__contains__).astype(bool)  # Series.isin is slow
    suffixes = Counter(PurePosixPath(path).suffix.lower() for path in files.loc[~chosen, "path"])
    return images, dict(suffixes.most_common())


def _count_by_folder(folder: Path, images: pd.Series, descend: bool) -> tuple[Path, dict[str, int]]:
    """Count images by the first folder of their paths, below the only folder that there is."""
    counts = first_folder(images).value_counts().sort_index()
    while descend and len(counts) == 1 and counts.index[0]:
        top = images.iloc[0].partition("/")[0]
        if any(not path.startswith(f"{top}/") for path in images):
            break  # one name in two Unicode forms
        folder, images = folder / top, images.str.slice(len(top) + 1)
        counts = first_folder(images).value_counts().sort_index()
    return folder, {str(name): int(count) for name, count in counts.items()}


def describe_others(others: dict[str, int]) -> str:
    """Return the other files by suffix, as an addition to a sentence; "" for none.

    Example:
        >>> describe_others({".txt": 3, "": 1})
        ' besides other files (3 .txt, 1 without a suffix)'
    """
    if not others:
        return ""
    names = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in others.items()]
    more = ", …" * (len(names) > MAX_SUFFIXES)
    return f" besides other files ({', '.join(names[:MAX_SUFFIXES])}{more})"


def _describe_missing_images(folder: Path, others: dict[str, int]) -> str:
    if not others:
        return f"{folder} is empty: put at least {MIN_IMAGES} images there, such as JPEG or PNG."
    found = describe_others(others).removeprefix(" besides other files ")
    return (
        f"There is no image in {folder}, only other files {found}: JPEG, PNG, WebP, AVIF, TIFF, "
        "BMP and GIF are read, and HEIC with pillow-heif, which is installed by "
        f"{install_command('heif')}; convert others first."
    )
