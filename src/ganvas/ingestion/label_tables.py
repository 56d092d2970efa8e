"""Read tables of labels as spreadsheets and other tools write them: CSV, JSON and lists."""

import csv
import json
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ganvas.errors import GanvasError
from ganvas.ingestion.file_reading import read_file
from ganvas.ingestion.rejection import Rejection

logger = logging.getLogger(__name__)

# Marks at the start of a text, the longer ones first.
ENCODINGS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
WORKBOOKS = {b"PK\x03\x04": "an Excel workbook", b"\xd0\xcf\x11\xe0": "an Excel workbook"}
WORKBOOKS |= {b"PAR1": "a Parquet file"}
# Comma first: the others are used where they make more fields of the first line.
SEPARATORS = ",;\t|"
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
# Characters of a line that a message contains.
MAX_LENGTH = 80
# Bytes from which UTF-16 without a mark is recognized, which has a zero in most pairs.
SAMPLE = 400


def read_lines(file: Path) -> list[str]:
    """Read the lines of a text in UTF-8, UTF-16, UTF-32 or code page 1252.

    Lines end in line feeds, with or without carriage returns, or in carriage returns alone.
    `str.splitlines` also splits at U+0085, which occurs in wrongly decoded names.

    Raises:
        GanvasError: The file is no text, or its encoding is another one.
    """
    text = _decode(file, _read_bytes(file))
    if "\n" not in text:
        return text.split("\r")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _read_bytes(file: Path) -> bytes:
    """Read a file, without waiting for a pipe or a device of a table's name."""
    if file.is_file() and not file.stat().st_size:
        return b""
    try:
        return read_file(file)
    except Rejection as rejection:
        raise GanvasError(
            f"{file} can't be read as a table ({rejection}): put a table in its place."
        ) from rejection


def _decode(file: Path, content: bytes) -> str:
    for mark, what in WORKBOOKS.items():
        if content.startswith(mark):
            raise GanvasError(f"{file} is {what}, not a text: save its table as CSV in UTF-8.")
    encoding = next((ENCODINGS[mark] for mark in ENCODINGS if content.startswith(mark)), None)
    encoding = encoding or _guess_utf16(content) or "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start]
        number = max(before.count(b"\n"), before.count(b"\r")) + 1
        wrong = f"Line {number} of {file} is not {encoding.upper()}: save it as UTF-8."
        if encoding != "utf-8":
            raise GanvasError(wrong) from error
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise GanvasError(wrong) from error
        begin = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        logger.warning(
            "%s is not UTF-8 and was read as code page 1252, in which line %d is '%s': save it as "
            "UTF-8 if that is wrong.",
            file,
            number,
            re.split("[\r\n]", text[begin:], maxsplit=1)[0][:MAX_LENGTH],
        )
    if "\0" in text:
        raise GanvasError(f"{file} is not a text: save its table as CSV in UTF-8.")
    return text


def _guess_utf16(content: bytes) -> str | None:
    """Return the encoding of UTF-16 without a mark, in which each second byte is mostly 0."""
    low, high = content[:SAMPLE:2], content[1:SAMPLE:2]
    if 2 * high.count(0) > len(high) and not low.count(0):
        return "utf-16-le"
    if 2 * low.count(0) > len(low) and not high.count(0):
        return "utf-16-be"
    return None


def read_table(file: Path, known: Collection[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line of each row that is not empty, and its fields.

    The first row has the names of the columns. Fields are separated by commas, semicolons, tabs or
    vertical bars. White space around fields is removed, and columns without a name too.

    Args:
        file: A CSV table. JSON is read too: `dataset.json` of StyleGAN, an object of labels by
            path, and objects in a list or, with the ending .jsonl, one a line.
        known: Names of columns, however spelled, by which the separator is recognized.

    Raises:
        GanvasError: The file is no text, or a row can't be read.

    Example:
        >>> list(read_table(Path("labels.csv"), ["path"]))  # Path;Kind
        [(1, ['path', 'Kind']), (2, ['a.png', 'cat'])]
    """
    by_ending = file.suffix.lower() in (".json", ".jsonl")
    rows = _read_json(file) if by_ending else _read_csv(file, known)
    columns: list[str] = []
    for number, row in rows:
        columns = columns or row
        if len(row) < len(columns) or any(row[len(columns) :]):
            names = [name for name in columns if name]
            raise GanvasError(
                f"Line {number} of {file} can't be read: it must have {len(names)} fields, "
                f"{', '.join(names)}, but has {len(row)}."
            )
        yield number, [field for field, name in zip(row, columns, strict=False) if name]


def find_column(columns: list[str], names: Sequence[str]) -> str | None:
    """Return the column that is called by the first of some names, however it is spelled.

    Example:
        >>> find_column(["Kind", "File Name"], ["path", "file_name"])
        'File Name'
    """
    spelled = {simplify_name(column): column for column in reversed(columns)}
    found = [spelled[simplify_name(name)] for name in names if simplify_name(name) in spelled]
    return found[0] if found else None


def simplify_name(name: str) -> str:
    """Return the name of a column without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def _read_csv(file: Path, known: Collection[str]) -> Iterator[tuple[int, list[str]]]:
    lines = read_lines(file)
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    named = re.fullmatch(r"sep=(.)[,;\s]*", lines[first], re.IGNORECASE)
    if named and len(lines) > first + 1:
        # Excel's own first line.
        first, separator = first + 1, named[1]
    else:
        separator = _find_separator(lines[first], known)
    # Strict, since an unclosed quotation mark would otherwise swallow all lines after it.
    rows = csv.reader(
        (f"{line}\n" for line in lines[first:]),
        delimiter=separator,
        skipinitialspace=True,
        strict=True,
    )
    while True:
        number = first + rows.line_num + 1
        try:
            row = [field.strip() for field in next(rows)]
        except StopIteration:
            return
        except csv.Error as error:
            raise GanvasError(
                f"Line {number} of {file} can't be read: a field that begins with a quotation mark "
                "must end with one, those within it must be doubled, and lines must end in line "
                "feeds."
            ) from error
        if any(row):
            yield number, row


def _find_separator(header: str, known: Collection[str]) -> str:
    """Return the separator that makes most known columns of the first line, then most columns."""
    names = {simplify_name(name) for name in known}

    def count(separator: str) -> tuple[int, int]:
        fields = [simplify_name(field.strip().strip('"')) for field in header.split(separator)]
        return len(names & set(fields)), len(fields)

    return max(SEPARATORS, key=count)


def _read_json(file: Path) -> Iterator[tuple[int, list[str]]]:
    lines = read_lines(file)
    numbered = file.suffix.lower() == ".jsonl"
    texts = dict(enumerate(lines, 1)) if numbered else {1: "\n".join(lines)}
    items: list[tuple[int, Any]] = []
    for number, text in texts.items():
        if text.strip():
            try:
                items.append((number, json.loads(text)))
            except (ValueError, RecursionError) as error:
                is_syntax = isinstance(error, json.JSONDecodeError)
                reason = error if is_syntax else "it is nested too deeply, or a number is too long"
                raise GanvasError(
                    f"Line {number} of {file} can't be read as JSON ({reason}): mend it there."
                ) from error
    content = items[0][1] if len(items) == 1 and not numbered else [item for _, item in items]
    if isinstance(content, dict) and "labels" in content:
        content = content["labels"]
    if isinstance(content, dict):
        content = list(content.items())
    if not isinstance(content, list) or not content:
        raise GanvasError(
            f"{file} has no labels: it must have a list 'labels' of paths with their classes, as "
            "StyleGAN's dataset.json, or objects with a file_name, as Hugging Face's "
            "metadata.jsonl."
        )
    numbers = [number for number, _ in items] if numbered else [1] * len(content)
    if all(isinstance(item, dict) for item in content):
        yield from _read_objects(content, numbers)
        return
    if any(isinstance(item, dict) for item in content):
        other = next(item for item in content if not isinstance(item, dict))
        raise GanvasError(
            f"{file} has the entry {json.dumps(other)[:MAX_LENGTH]}: each must be an object, as "
            "most are."
        )
    yield 1, ["path", "class"]
    for item in content:
        if not isinstance(item, list | tuple) or len(item) != 2 or not isinstance(item[0], str):
            raise GanvasError(
                f"{file} has the entry {str(item)[:MAX_LENGTH]}: each must be a path and a class."
            )
        yield 1, [item[0], _class_name(item[1], file)]


def _read_objects(
    objects: list[dict[str, Any]], numbers: list[int]
) -> Iterator[tuple[int, list[str]]]:
    """Yield a row for each object; lists and objects, such as boxes, are no labels."""
    values = {name: None for item in objects for name in item}
    nested = {
        name for item in objects for name, value in item.items() if isinstance(value, list | dict)
    }
    columns = [name for name in values if name not in nested]
    yield 1, list(map(_as_text, columns))
    for number, item in zip(numbers, objects, strict=True):
        yield number, [_as_text(item.get(name)) for name in columns]


def _class_name(value: Any, file: Path) -> str:
    """Return the name of a class: a number or text, or the position of the 1 of a vector."""
    if not isinstance(value, list | dict):
        return _as_text(value)
    if isinstance(value, dict) or value.count(1) != 1 or value.count(0) != len(value) - 1:
        raise GanvasError(
            f"{file} has the labels {str(value)[:MAX_LENGTH]}, which are no class: each image must "
            "have a number, or a list with one 1 among zeros."
        )
    return str(value.index(1))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return ("no", "yes")[value]
    # JSON can have halves of characters, which no file can.
    return LONE_SURROGATES.sub("\ufffd", str(value)).strip()
