"""Choose the newest of Kedro's versions, whose names are the times at which they were saved."""

import json
import logging
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

logger = logging.getLogger(__name__)

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
# Clocks of machines that share data differ.
TOLERANCE = timedelta(hours=1)
# Bytes of a summary, which has a few KB.
MAX_SUMMARY = 2**24
# Of each version in the future a process warns once.
_warned: set[tuple[PurePath, str, bool]] = set()


def newest_version(folder: PurePath, versions: Collection[str], recorded: str | None = None) -> str:
    """Return the newest version, and warn of versions whose names are in the future.

    The largest name is not always the newest version: a clock may have been ahead.

    Args:
        folder: Folder of the versions, such as `06_models/sample/dcgan/generator.keras`.
        versions: Names of the versions, at least one.
        recorded: Version that the last training has saved, as in training.json; None: not known.

    Returns:
        The recorded version if it exists, else the largest name that is not in the future. Names
        in the future and names that are no times are returned only if there are no others.

    Example:
        >>> versions = ["2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"]
        >>> newest_version(Path("generator.keras"), versions)
        '2026-01-02T00.00.00.000Z'
    """
    chosen = choose_version(versions, recorded)
    for version in sorted(filter(is_in_future, versions)):
        _warn(folder / version, version == chosen)
    return chosen


def choose_version(versions: Collection[str], recorded: str | None = None) -> str:
    """Return the newest version as `newest_version` does, without warnings."""
    if recorded is not None and recorded in versions:
        return recorded
    return max(versions, key=lambda version: (_rank(version), version))


def is_in_future(version: str) -> bool:
    """Return whether a version's name is a time later than this machine's clock."""
    latest = f"{datetime.now(UTC) + TOLERANCE:%Y-%m-%dT%H.%M.%S.999Z}"
    return bool(TIMESTAMP.fullmatch(version)) and version > latest


def read_recorded_version(summary: Path) -> str | None:
    """Return the version that a training has saved, from its training.json; None if not known."""
    try:
        # Reading a pipe would block forever.
        if not summary.is_file() or summary.stat().st_size > MAX_SUMMARY:
            return None
        version = json.loads(summary.read_text("utf-8")).get("version")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return version if isinstance(version, str) else None


def _rank(version: str) -> int:
    if not TIMESTAMP.fullmatch(version):
        return 0
    return 1 if is_in_future(version) else 2


def _warn(path: PurePath, is_used: bool) -> None:
    # The files of a training are in folders side by side, with the same version.
    training = (path.parents[1], path.name, is_used)
    if training in _warned:
        return
    _warned.add(training)
    if is_used:
        logger.warning(
            "%s is used, although its name is a time in the future: check the clock of the machine "
            "that saved it.",
            path,
        )
    else:
        logger.warning(
            "%s is not used, since its name is a time in the future: check the clock of the "
            "machine that saved it. To use it, rename this folder of generator.keras, "
            "discriminator.keras and class_list.json to the time at which it was saved.",
            path,
        )
