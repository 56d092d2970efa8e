import logging
from types import SimpleNamespace

import pytest

from ganvas import progress
from ganvas.progress import format_duration, track


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (3599.6, "1 h"),
        (3600 + 29.6 * 60, "1 h 30 min"),
        (86399, "1 d"),
        (5 * 86400 + 7300, "5 d 2 h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds, expected):
    assert format_duration(seconds) == expected


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_log_has_a_line_every_ten_seconds_with_the_time_left(clock, caplog):
    with caplog.at_level(logging.INFO):
        for _ in track([4] * 8, "Packing"):
            clock.now += 4
    assert caplog.messages == ["Packing: 38%, 20 s left", "Packing: 75%, 8.0 s left"]


def test_without_a_known_number_the_log_counts(clock, caplog):
    with caplog.at_level(logging.INFO):
        for _ in track(iter([6, 6, 6]), "Downloading"):
            clock.now += 6
    assert caplog.messages == ["Downloading: 2 done in 12 s"]
