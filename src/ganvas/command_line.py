"""Write commands and parameters so that the user can run them, with the same values."""

import contextlib
import json
import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

INDENT = "  "
# Kedro resolves references to other parameters, ${…}, unless a backslash precedes them.
REFERENCE = re.compile(r"(\\*)\$\{")


def join_params(params: dict[str, Any]) -> str:
    """Return an option `--params=…`, not quoted for a shell.

    A list of several values is written as YAML with a line for each, since Kedro splits the option
    at commas. Shells keep the lines within quotation marks.

    Args:
        params: Values by dotted key: numbers, texts, booleans, None, lists and dictionaries.

    Example:
        >>> join_params({"ingest.size": 128, "ingest.source.path": "/my, images"})
        '--params=ingest.size=128,ingest.source.path="/my\\\\u002c images"'
        >>> print(join_params({"train.augment.policy": ["color", "cutout"]}))
        --params=train.augment.policy=
        - "color"
        - "cutout"
    """
    return "--params=" + ",".join(f"{key}={quote_param(value)}" for key, value in params.items())


def quote_param(value: Any) -> str:
    """Write a value so that Kedro reads the same value and type from the command line."""
    if isinstance(value, dict | list | tuple):
        lines = list(_write_block(value))
        return "".join(f"\n{line}" for line in lines) if len(lines) > 1 else lines[0]
    if not isinstance(value, str):
        return _write_scalar(value)
    # Text is quoted if it would be read as a number, or as a reference that can't be resolved.
    with contextlib.suppress(yaml.YAMLError, ValueError, OmegaConfBaseException):
        is_plain = value.isprintable() and "," not in value
        if is_plain and OmegaConf.from_dotlist([f"value={value}"]).value == value:
            return value
    return _write_scalar(value)


def escape_references(value: Any) -> Any:
    """Return a value, nested or not, whose texts Kedro reads without resolving `${…}`.

    Example:
        >>> escape_references({"path": "/art/${year}"})
        {'path': '/art/\\\\${year}'}
    """
    if isinstance(value, dict):
        return {key: escape_references(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escape_references(item) for item in value]
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: match[1] * 2 + "\\${", value)
    return value


def _write_block(value: Any) -> Iterator[str]:
    """Yield the lines of a value as YAML without commas."""
    items: Iterable[tuple[str, Any]]
    if isinstance(value, dict) and value:
        items = ((f"{_write_scalar(key)}:", item) for key, item in value.items())
    elif isinstance(value, list | tuple) and value:
        items = (("-", item) for item in value)
    else:
        empty: dict[type, str] = {dict: "{}", list: "[]", tuple: "[]"}
        yield empty.get(type(value)) or _write_scalar(value)
        return
    for head, item in items:
        lines = list(_write_block(item))
        if isinstance(item, dict | list | tuple) and item:
            yield head
            yield from (INDENT + line for line in lines)
        else:
            yield f"{head} {lines[0]}"


def _write_scalar(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = json.dumps(value, ensure_ascii=False, default=str)
    # Kedro splits at commas, also within quotation marks, before the escape is decoded. YAML
    # replaces line separators within quotation marks, and refuses other control characters.
    return "".join(x if x.isprintable() and x != "," else _escape(x) for x in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def write_command(command: str, *options: str) -> str:
    """Write a command in the form that the user types: of make, of Kedro or of the package.

    The environment of make is not active in the user's shell, where `kedro` may be unknown.

    Args:
        command: run or gallery.
        *options: Its options, not quoted for a shell.

    Example:
        >>> write_command("run", "--pipelines=sample", "--params=sample.count=8")
        'kedro run --pipelines=sample --params=sample.count=8'
    """
    if "MAKELEVEL" not in os.environ:
        program = "kedro" if find_kedro_project(Path.cwd()) else "ganvas"
        return shlex.join([program, command, *options])
    words = ["make", command]
    if options:
        # The Makefile writes OPTIONS into a line for the shell, and reads $$ as $.
        words.append("OPTIONS=" + shlex.join(options).replace("$", "$$"))
    return shlex.join(words)
