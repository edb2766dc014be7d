"""The installation's row and its clock: `freeze`, `thaw`, `advance`, `clock_state`.

The clock is read on a connection of its own that is closed again: the caller may stand in a transaction that has
failed, that has another role, or that counts its statements. In a real installation there is nothing to read again
and again; in a demonstration a process asks at most once in `_FRESH_SECONDS`.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import psycopg
from django.db import connections, transaction

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy.models import Installation

_FRESH_SECONDS = 0.25  # how stale a process's clock may be after `demo advance` in another
_FRESH_SECONDS_LIVE = 60.0  # a real installation's clock never moves; only its making is noticed this late
_CONNECT_SECONDS = 2

State = tuple[timedelta, datetime | None]
_REAL: State = (timedelta(0), None)

_lock = threading.Lock()
_known: tuple[tuple[object, ...], float, State] | None = None  # database, good until (monotonic), state


def _database() -> tuple[object, ...]:
    settings = connections["default"].settings_dict  # without asking the server: tests and role switches change it
    return tuple(settings.get(part) or None for part in ("HOST", "PORT", "NAME", "USER", "PASSWORD"))


def _read(database: tuple[object, ...]) -> tuple[State, float]:
    host, port, name, user, password = database
    options = {key: value for key, value in connections["default"].settings_dict["OPTIONS"].items() if key.startswith("ssl")}
    with psycopg.connect(
        host=host, port=port, dbname=name, user=user, password=password, autocommit=True, connect_timeout=_CONNECT_SECONDS, **options
    ) as connection:
        try:
            row = connection.execute("SELECT mode, clock_offset, frozen_at FROM installation WHERE id = 1").fetchone()
        except psycopg.errors.UndefinedTable:  # before the first migration
            row = None
    if row is None:
        return _REAL, _FRESH_SECONDS
    return (row[1], row[2]), _FRESH_SECONDS_LIVE if row[0] == Installation.Mode.LIVE else _FRESH_SECONDS


def clock_state() -> State:
    """Offset and frozen instant, at most a quarter of a second old. Registered with `kernel.clock` at start-up.

    While the database is away the last known state goes on; a process that never saw one has real time.
    """
    global _known
    database = _database()
    known = _known
    if known is not None and known[0] == database and time.monotonic() < known[1]:
        return known[2]
    with _lock:
        known = _known
        if known is not None and known[0] == database and time.monotonic() < known[1]:
            return known[2]
        try:
            state, fresh = _read(database)
        except psycopg.OperationalError:
            state, fresh = (known[2] if known is not None and known[0] == database else _REAL), _FRESH_SECONDS
        _known = (database, time.monotonic() + fresh, state)
        return state


def forget() -> None:
    """Read the clock anew at the next question. Called after each change here; tests call it between databases."""
    global _known
    _known = None


def _demo() -> Installation:
    row = Installation.objects.select_for_update().filter(pk=1).first()
    if row is None:
        raise Refused("installation_missing", "本系统尚未初始化", "this installation has not been set up")
    if row.mode != Installation.Mode.DEMO:
        raise Refused("clock_is_real", "正式系统的时间不能调整", "the clock of a real installation cannot be moved")
    return row


def _now(row: Installation) -> datetime:
    return row.frozen_at if row.frozen_at is not None else clock.real_now() + row.clock_offset


def set_up(*, mode: str, city_id: int | None = None, at: datetime | None = None) -> None:
    """Make the row if it is missing. In a demonstration the clock begins, frozen, at `at`; an existing row is kept."""
    Installation.objects.get_or_create(
        pk=1,
        defaults={"mode": mode, "city_id": city_id, "clock_offset": timedelta(0), "frozen_at": at if mode == "demo" else None},
    )
    forget()


def freeze() -> datetime:
    """Stop product time where it stands, when the demonstration goes down. Harmless when it stands already."""
    with transaction.atomic():
        row = _demo()
        row.frozen_at = _now(row)
        row.save(update_fields=["frozen_at"])
    forget()
    return row.frozen_at


def thaw() -> datetime:
    """Let product time go on from where it stopped. Harmless when it runs already."""
    with transaction.atomic():
        row = _demo()
        at = _now(row)
        if row.frozen_at is not None:
            row.clock_offset, row.frozen_at = row.frozen_at - clock.real_now(), None
            row.save(update_fields=["clock_offset", "frozen_at"])
    forget()
    return at


def advance(by: timedelta) -> datetime:
    """Move the demonstration's clock forward and return the new product time. Refuses to go back: facts have happened."""
    if by < timedelta(0):
        raise Refused("clock_goes_back", "演示时间只能往前走", "the demonstration's clock goes forward only")
    with transaction.atomic():
        row = _demo()
        if row.frozen_at is not None:
            row.frozen_at += by
        else:
            row.clock_offset += by
        row.save(update_fields=["clock_offset", "frozen_at"])
    forget()
    return _now(row)
