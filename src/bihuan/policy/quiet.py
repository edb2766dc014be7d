"""Quiet hours: the part of a night in which a clock stands still. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from bihuan.kernel.clock import SHANGHAI

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` until before `end`, Asia/Shanghai, every day; `end` lies on the next day where it is earlier.

    Classes in `except_classes` are called at night too: their clocks do not pause.
    """

    start: time
    end: time
    except_classes: frozenset[str]

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("quiet hours must begin and end at different times")

    @property
    def length(self) -> timedelta:
        return (_of_day(self.end) - _of_day(self.start)) % _DAY

    def holds(self, at: datetime) -> bool:
        """Whether an aware moment lies in the quiet hours."""
        return self._since_start(at) < self.length

    def fold(self, due_at: datetime, opened_at: datetime, origin_class: str | None = None) -> datetime:
        """When a clock that runs from `opened_at` to `due_at` rings, if it stands still in quiet hours.

        The first moment at which as much time outside quiet hours has passed since the opening as lies between the two.
        It never lies inside quiet hours: a clock that has nothing left when they begin rings at their beginning, one
        that opens inside them starts at their end. Both moments are aware; the answer has the zone of `due_at`.
        """
        if origin_class is not None and origin_class in self.except_classes:
            return due_at
        start = opened_at.astimezone(due_at.tzinfo)
        if self.holds(start):
            start += self.length - self._since_start(start)
        left = due_at - opened_at.astimezone(due_at.tzinfo)
        if left <= timedelta(0):
            return start
        awake = _DAY - self.length
        whole_days = (left - _INSTANT) // awake  # of exactly n waking days the last one ends at the evening, not next morning
        left -= whole_days * awake
        start += whole_days * _DAY
        until_evening = _DAY - self._since_start(start)
        return start + left if left <= until_evening else start + left + self.length

    def _since_start(self, at: datetime) -> timedelta:
        """Time since the last beginning of quiet hours. China has had no summer time since 1991: every day has 24 hours."""
        local = at.astimezone(SHANGHAI)
        return (_of_day(local.timetz()) - _of_day(self.start)) % _DAY


def _of_day(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
