"""The newest version is that of the last training, not the largest name."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ganvas.model_versions import is_in_future, newest_version, read_recorded_version

OLD, NEW = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
FUTURE = "2099-01-01T00.00.00.000Z"


def choose(versions: list[str], recorded: str | None = None, folder: Path = Path("m/g.keras")):
    return newest_version(folder, versions, recorded)


def test_the_newest_version_is_the_latest_time_that_is_not_in_the_future():
    assert choose([NEW, OLD]) == NEW
    assert choose([OLD, FUTURE, NEW]) == NEW
    # Names that are no times sort after digits.
    assert choose([OLD, "best"]) == OLD
    assert choose(["best"]) == "best"
    assert choose([FUTURE]) == FUTURE
    assert choose(["best", FUTURE]) == FUTURE


def test_the_recorded_version_is_the_newest_if_it_exists():
    assert choose([OLD, NEW, FUTURE], recorded=OLD) == OLD
    assert choose([OLD, FUTURE], recorded=FUTURE) == FUTURE
    assert choose([OLD, NEW], recorded="2026-01-03T00.00.00.000Z") == NEW


def test_a_clock_that_is_some_minutes_ahead_is_not_in_the_future():
    now = datetime.now(UTC)
    for minutes, expected in ((-5, False), (10, False), (120, True)):
        name = f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H.%M.%S.000Z}"
        assert is_in_future(name) is expected


def test_a_version_in_the_future_is_told_once_with_its_path(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        for name in ("generator.keras", "class_list.json", "generator.keras"):
            choose([OLD, FUTURE], folder=tmp_path / name)
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / 'generator.keras' / FUTURE} is not used")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        choose([FUTURE], folder=tmp_path / "generator.keras")
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / 'generator.keras' / FUTURE} is used, although")


def test_the_recorded_version_is_read_from_training_json(tmp_path):
    file = tmp_path / "training.json"
    assert read_recorded_version(file) is None
    for text, expected in (
        (json.dumps({"version": NEW}), NEW),
        ("{}", None),
        ('{"version": 3}', None),
        ("[1]", None),
        ('{"version": "2026', None),
        ("", None),
    ):
        file.write_text(text)
        assert read_recorded_version(file) == expected
