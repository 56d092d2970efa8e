"""Write parameters so that `kedro run --params=…` reads the same values."""

import contextlib
import json
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException


def join_params(params: dict[str, Any]) -> str:
    """Return an option `--params=…`, not quoted for a shell.

    Args:
        params: Values by dotted key: numbers, texts, booleans or None. Lists of several values
            can't be written, since Kedro splits the option at commas.

    Example:
        >>> join_params({"ingest.size": 128, "ingest.source.path": "/my, images"})
        '--params=ingest.size=128,ingest.source.path="/my\\\\u002c images"'
    """
    return "--params=" + ",".join(f"{key}={quote_param(value)}" for key, value in params.items())


def quote_param(value: Any) -> str:
    """Write a value so that Kedro reads the same value and type from the command line."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    # Text is quoted if it would be read as a number, or as a reference that can't be resolved.
    with contextlib.suppress(yaml.YAMLError, ValueError, OmegaConfBaseException):
        if "," not in value and OmegaConf.from_dotlist([f"value={value}"]).value == value:
            return value
    # Kedro splits at commas, also within quotation marks, before the escape is decoded.
    return json.dumps(value, ensure_ascii=False).replace(",", "\\u002c")
