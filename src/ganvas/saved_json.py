"""Read JSON files that Ganvas has written, and that anything may have changed since."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from ganvas.errors import GanvasError

T = TypeVar("T")
# A name that can't lead out of the folder in which it is used.
FOLDER_NAME = r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,254}$"
FolderName = Annotated[str, Field(pattern=FOLDER_NAME)]


def read_json(file: Path, kind: type[T], advice: str) -> T:
    """Read a JSON file and check its types.

    Args:
        file: File to read.
        kind: Type of the content, such as `dict[str, str]` or a Pydantic model.
        advice: What to do with a file that can't be used.

    Raises:
        GanvasError: The file is no JSON, or its content is of another type.
        OSError: The file can't be read.

    Example:
        >>> read_json(Path("out/marker.json"), dict[str, str], "delete it")
    """
    try:
        return TypeAdapter(kind).validate_json(file.read_bytes())
    except ValidationError as error:
        reason = describe_invalid(error)
        raise GanvasError(f"{file} is damaged ({reason}): {advice}.") from error


def describe_invalid(error: ValidationError) -> str:
    """Return what the first wrong value is, without Pydantic's own words."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "it is no complete JSON"
    place = ".".join(map(str, first["loc"]))
    value = repr(first["input"])
    short = value if len(value) <= 60 else f"{value[:60]}…"
    if first["type"] == "missing":
        return f"it has no {place}"
    return f"its {place or 'content'} can't be {short}"
