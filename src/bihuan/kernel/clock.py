"""The product's one clock.

Product time is what officers live by: real time in a real city, a movable time in the demonstration. Everything that
is recorded, due or shown uses `now()`; sign-in codes, sessions, jobs and id generation use `real_now()`.
SQL never asks the server for the time: it is given `now()` as a parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

# (offset, frozen_at): product time is frozen_at while the demonstration is down, else real time + offset.
Source = Callable[[], "tuple[timedelta, datetime | None]"]


def _no_offset() -> tuple[timedelta, datetime | None]:
    return timedelta(0), None


_source: Source = _no_offset


def set_source(source: Source) -> None:
    """Tell the clock where the installation keeps its offset. Called once at start-up by `policy`."""
    global _source
    _source = source


def real_now() -> datetime:
    """The machine's time, aware, UTC."""
    return datetime.now(UTC)


def now() -> datetime:
    """Product time, aware, UTC."""
    offset, frozen_at = _source()
    return frozen_at if frozen_at is not None else real_now() + offset


def today() -> date:
    """The product's day in Asia/Shanghai."""
    return now().astimezone(SHANGHAI).date()


def day_start(day: date) -> datetime:
    """The first instant of a day of Asia/Shanghai, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)


def parse_local(text: str) -> datetime:
    """An ISO time as people write it; without a zone it is Asia/Shanghai. Returned in UTC. ValueError when unreadable."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=SHANGHAI)
    return moment.astimezone(UTC)
