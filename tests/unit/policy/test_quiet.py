"""Quiet hours against a clock that is stepped minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bihuan.kernel.clock import SHANGHAI
from bihuan.policy.quiet import QuietHours

NIGHT = QuietHours(time(21, 30), time(7, 30), frozenset({"high"}))
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2022-08-{text}").replace(tzinfo=SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("opened", "hours", "due"),
    [
        ("28 08:00", 1, "28 09:00"),  # by day nothing changes
        ("28 21:00", 1, "29 08:00"),  # half an hour in the evening, half in the morning
        ("28 20:30", 1, "28 21:30"),  # used up when the night begins
        ("28 21:30", 1, "29 08:30"),  # begins with the night
        ("29 03:00", 1, "29 08:30"),  # a list that comes in the small hours
        ("29 07:30", 1, "29 08:30"),
        ("28 21:00", 3, "29 10:00"),
        ("28 08:00", 24, "29 18:00"),  # 13.5 h today, 10.5 h tomorrow
        ("28 07:30", 14, "28 21:30"),  # a whole waking day ends in the evening
        ("28 07:30", 28, "29 21:30"),
        ("28 23:00", 0, "29 07:30"),
    ],
)
def test_examples(opened: str, hours: int, due: str) -> None:
    start = at(opened)
    assert NIGHT.fold(start + timedelta(hours=hours), start) == at(due)


def test_the_highest_class_is_called_at_night() -> None:
    start = at("29 03:00")
    assert NIGHT.fold(start + timedelta(hours=1), start, "high") == start + timedelta(hours=1)
    assert NIGHT.fold(start + timedelta(hours=1), start, "low") == at("29 08:30")


def test_hours_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="different"):
        QuietHours(time(9), time(9), frozenset())


minutes_of_day = st.integers(0, 24 * 60 - 1)
windows = st.builds(  # between a minute and twenty hours long
    lambda start, length: QuietHours(time(*divmod(start, 60)), time(*divmod((start + length) % (24 * 60), 60)), frozenset()),
    minutes_of_day,
    st.integers(1, 20 * 60),
)
moments = st.integers(0, 3 * 24 * 60).map(lambda minutes: at("28 00:00") + minutes * MINUTE)


def _stepped(quiet: QuietHours, opened: datetime, minutes: int) -> datetime:
    """The oracle: count the minutes outside quiet hours one by one."""
    now = opened
    while quiet.holds(now):
        now += MINUTE
    while minutes:
        if not quiet.holds(now):
            minutes -= 1
        now += MINUTE
    return now


@settings(deadline=None)
@given(windows, moments, st.integers(1, 6 * 60))
def test_equals_the_clock_stepped_by_the_minute(quiet: QuietHours, opened: datetime, minutes: int) -> None:
    assert quiet.fold(opened + minutes * MINUTE, opened) == _stepped(quiet, opened, minutes)


@given(windows, moments, st.integers(0, 10 * 24 * 60), st.integers(0, 10 * 24 * 60))
def test_never_early_never_at_night_and_in_order(quiet: QuietHours, opened: datetime, shorter: int, longer: int) -> None:
    shorter, longer = sorted((shorter, longer))
    first = quiet.fold(opened + shorter * MINUTE, opened)
    second = quiet.fold(opened + longer * MINUTE, opened)
    assert opened + shorter * MINUTE <= first <= second
    assert not (quiet.holds(first) and quiet.holds(first - timedelta(microseconds=1)))
