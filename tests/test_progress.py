import pytest

from ganvas.progress import format_duration


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
