"""Match the names in tables of labels with the files that they mean."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

import pandas as pd

from ganvas.errors import GanvasError
from ganvas.ingestion.file_formats import image_suffixes
from ganvas.ingestion.file_index import join_skipped, make_skipped, to_nfc

# Internal columns of tables of labels: the list that names an image, and the path of the file in
# NFC. Parentheses keep them apart from label columns.
LIST_COLUMN, KEY_COLUMN = "(list)", "(key)"
# Names that decide which folders differ, and files compared with each: 200,000 × 1,000 would take
# minutes.
MAX_NAMES, MAX_FILES = 500, 1000
# A folder is meant if it explains this share of the names that could be explained.
CLEAR, MAJORITY = 0.9, 0.5


def assign_labels(
    files: pd.DataFrame, listed: pd.DataFrame, lists: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join files with the labels of the lists that name them.

    Paths are compared in Unicode form NFC, since macOS may decompose the names of files. Where no
    file has a name, what it may mean is tried: see `match_names`.

    Args:
        files: One row a file: path and more columns.
        listed: One row a line of a list: path, LIST_COLUMN (name of the list) and label columns.
        lists: Names of the lists, for reasons.

    Returns:
        The files with their labels; and a table of skipped files: files that no list names or
        that have several labels, and listed files that do not exist.

    Raises:
        GanvasError: A name may mean several files.
    """
    labels = [column for column in listed.columns if column not in ("path", LIST_COLUMN)]
    names = ", ".join(lists)
    keys = files["path"].map(to_nfc).rename(KEY_COLUMN)
    listed = listed.assign(**{KEY_COLUMN: listed["path"].map(to_nfc)})
    matches = match_names(listed[KEY_COLUMN], keys, names)
    listed[KEY_COLUMN] = listed[KEY_COLUMN].map(lambda name: matches.get(name, name)).astype("str")
    repeated = listed[listed[KEY_COLUMN].duplicated(keep=False)]
    repeated = repeated.drop_duplicates([KEY_COLUMN, *labels])
    listed = listed.drop_duplicates(KEY_COLUMN)
    ambiguous = _is_in(keys, repeated.loc[repeated[KEY_COLUMN].duplicated(), KEY_COLUMN])
    labeled = _is_in(keys, listed[KEY_COLUMN]) & ~ambiguous
    records = files.join(keys)[labeled].join(listed.set_index(KEY_COLUMN)[labels], on=KEY_COLUMN)
    missing = listed[~_is_in(listed[KEY_COLUMN], keys)]
    skipped = join_skipped(
        make_skipped(files.loc[ambiguous, "path"], f"named twice with different labels in {names}"),
        make_skipped(files.loc[~labeled & ~ambiguous, "path"], f"no label: not in {names}"),
        make_skipped(missing["path"], "named in " + missing[LIST_COLUMN] + " but not found"),
    )
    return records.drop(columns=KEY_COLUMN).reset_index(drop=True), skipped


def _is_in(texts: pd.Series, values: pd.Series) -> pd.Series:
    return texts.map(set(values).__contains__).astype(bool)  # Series.isin is slow for strings


def describe_mismatch(listed: Iterable[str], files: pd.DataFrame, table: str) -> str:
    """Return a sentence with a name of a list and the path of a file, none of which match.

    Args:
        listed: Names in the list.
        files: Column path.
        table: Name of the list.
    """
    images = [path for path in files["path"] if _may_be_image(path)]
    name = next(iter(listed), None)
    if name is None:
        return f"{table} names no image"
    found = f"such as '{images[0]}'" if images else "of which none is an image"
    return f"{table} names '{name}', and not the files there, {found}"


def match_names(names: Iterable[str], paths: Iterable[str], table: str) -> dict[str, str]:
    """Find the file that each name means.

    Exact paths take precedence. Names without a file may have backslashes, a leading `./`, spaces
    around them, other upper and lower case, or another ending of an image or none. If still most
    have none, they may be absolute, or begin with other folders than the files do.

    Args:
        names: Names in a list, in NFC.
        paths: Paths of the files, in NFC.
        table: Name of the list, for errors.

    Returns:
        The path for each name that means one.

    Raises:
        GanvasError: A name may mean several files.

    Example:
        >>> match_names(["C:\\\\art\\\\Cats\\\\1"], ["images/cats/1.jpg"], "labels.csv")
        {'C:\\\\art\\\\Cats\\\\1': 'images/cats/1.jpg'}
    """
    unique = dict.fromkeys(names)
    free = dict.fromkeys(paths)
    matches = {name: name for name in unique if name in free}
    if len(matches) == len(unique):
        return matches
    images = set(filter(_may_be_image, free))
    for normalize in (_clean, _fold, _drop_ending):
        index = defaultdict(list)
        # A file that is named exactly is meant by no other name.
        taken = set(matches.values())
        for path in free:
            # Without endings, a text beside an image would be meant as well as the image.
            if path not in taken and (normalize is not _drop_ending or path in images):
                index[normalize(path)].append(path)
        for name in [name for name in unique if name not in matches]:
            candidates = index.get(normalize(name), [])
            if len(candidates) == 1:
                matches[name] = candidates[0]
            # An image with another ending is not meant if there are several.
            elif candidates and (
                normalize is not _drop_ending or _drop_ending(name) == _fold(name)
            ):
                raise _ambiguous(table, name, candidates)
    missing = [name for name in unique if name not in matches]
    if len(missing) <= len(matches):
        return matches
    others = sorted(images - set(matches.values()))
    for normalize in (_fold, _drop_ending):
        moved = _match_folders(missing, others, normalize, table)
        if len(moved) > len(matches):
            return matches | moved
    return matches


def _may_be_image(path: str) -> bool:
    suffix = PurePosixPath(path).suffix.lower()
    return not suffix or suffix in image_suffixes()


def _clean(name: str) -> str:
    parts = [part.strip() for part in name.replace("\\", "/").split("/")]
    return "/".join(part for part in parts if part not in ("", "."))


def _fold(name: str) -> str:
    return _clean(name).casefold()


def _drop_ending(name: str) -> str:
    name = _fold(name)
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix in image_suffixes() else name


class _Folders(NamedTuple):
    """Folders in which a name and a file differ, while all after them is the same."""

    of_name: str
    of_file: str


def _match_folders(
    names: list[str], paths: list[str], normalize: Callable[[str], str], table: str
) -> dict[str, str]:
    """Match names that begin with other folders than the files do, in the same way for all."""
    files: dict[str, list[list[str]]] = defaultdict(list)
    for path in paths:
        parts = normalize(path).split("/")
        files[parts[-1]].append(parts)
    step = max(1, len(names) // MAX_NAMES)
    pairs = {name: _differing_folders(normalize(name).split("/"), files) for name in names[::step]}
    begins = Counter(begin for found in pairs.values() for begin in {pair[0] for pair in found})
    begin, count = begins.most_common(1)[0] if begins else ("", 0)
    inside = f"{begin}/" if begin else ""
    # A missing file may have the name of one in another folder.
    alike = sum(f"{other}/".startswith(inside) * number for other, number in begins.items())
    if count <= MAJORITY * begins.total() or alike < CLEAR * begins.total():
        return {}
    votes = Counter(
        pair.of_file for found in pairs.values() for pair in found if pair.of_name == begin
    )
    rests = {
        name: text.removeprefix(inside)
        for name in names
        if (text := normalize(name)).startswith(inside)
    }
    by_end = _index_ends(paths, {rest.count("/") + 1 for rest in rests.values()}, normalize)
    found = {name: by_end[rest] for name, rest in rests.items() if rest in by_end}
    # All names may lie in the source itself, or in one folder of it, ...
    most = max(votes.values())
    folder = "" if votes[""] >= CLEAR * most else votes.most_common(1)[0][0]
    in_folder = {}
    for name, candidates in found.items():
        whole = f"{folder}/{rests[name]}".strip("/")
        same = [path for path in candidates if normalize(path) == whole]
        if len(same) == 1:
            in_folder[name] = same[0]
    # ... or each in a folder of its own, if there is only one file of its name.
    # Of several names of one file, that with most folders means it.
    by_length = sorted(found, key=lambda name: rests[name].count("/"))
    owners = {found[name][0]: name for name in by_length if len(found[name]) == 1}
    single = {name: path for path, name in owners.items()}
    several = {name: paths for name, paths in found.items() if len(paths) > 1}
    twice = [name for name in several if name in in_folder] if folder else []
    # Names with folders, such as absolute ones, say where a file lies.
    share = MAJORITY if begin and not folder else CLEAR
    if len(in_folder) >= share * len(single) and len(twice) <= (1 - CLEAR) * len(in_folder):
        return in_folder
    if several:
        name = next(iter(several))
        raise _ambiguous(table, name, several[name])
    return single


def _differing_folders(parts: list[str], files: dict[str, list[list[str]]]) -> set[_Folders]:
    """Return how the files with the longest common end differ from a name."""
    found: dict[int, set[_Folders]] = defaultdict(set)
    for other in files.get(parts[-1], [])[:MAX_FILES]:
        same = 0
        for a, b in zip(reversed(parts), reversed(other), strict=False):
            if a != b:
                break
            same += 1
        found[same].add(_Folders("/".join(parts[:-same]), "/".join(other[:-same])))
    return found[max(found)] if found else set()


def _index_ends(
    paths: list[str], lengths: Collection[int], normalize: Callable[[str], str]
) -> dict[str, list[str]]:
    """Index paths by their last parts, of the given numbers of parts."""
    index: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        parts = normalize(path).split("/")
        for length in lengths:
            if length <= len(parts):
                index["/".join(parts[-length:])].append(path)
    return index


def _ambiguous(table: str, name: str, paths: list[str]) -> GanvasError:
    return GanvasError(
        f"{table} names '{name}', which may be {paths[0]} or {paths[1]}: write the path of each "
        "file below the folder of the source there."
    )
