"""Places and units change during an outbreak: open duties follow, each by a Movement, and none is without an owner.

The regions' part (codes, validity, parents) is planned and refused by `regions.changes`; both parts are one transaction.
Runs as the worker's role: changing the map of command is not an officer's page.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from uuid import UUID

from django.db import connection, transaction

from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.loops import facts, handle
from bihuan.loops.writes import BULK_MAX, end_offers, lock
from bihuan.regions import changes


@dataclasses.dataclass(frozen=True)
class Changed:
    """How many open duties got another scope code, and how many another owner."""

    n_rescoped: int
    n_reassigned: int


def recode(*, by, region: int, new_scope: int | str, act: UUID, from_on: date | None = None) -> Changed:
    """Put a region (with all below it) under another jurisdiction from a day on: a village moved, a zone made.

    Open duties of its places carry the new code; those owned by a desk that no longer answers for the place go to the
    one that does. Refuses what `regions.changes.recode` refuses; `from_on` in the future is refused there.
    """
    require(by, Permission.UNIT_CHANGE)
    with transaction.atomic(durable=True):
        _nothing_opens()
        done = changes.recode(region, new_scope, from_on or clock.today())
        codes = {place: new for place, _, new in done.regions}
        with engine(), connection.cursor() as cursor:
            cursor.execute(
                """
                WITH w AS (SELECT * FROM unnest(%s::int[], %s::bigint[]) AS w(region, scope)),
                u AS (UPDATE loop l SET scope = w.scope FROM w WHERE l.region = w.region AND l.closed_at IS NULL AND l.scope <> w.scope
                      RETURNING l.id, l.subject, l.scope, l.owner, l.offered_to)
                INSERT INTO visible (subject, scope, unit)
                SELECT DISTINCT coalesce(c2.subject, u.subject), u.scope, u.owner
                FROM u LEFT JOIN cluster c ON c.subject = u.subject LEFT JOIN cluster c2 ON c2.root = c.root
                ON CONFLICT (subject, scope, unit) DO NOTHING
                """,
                (list(codes), list(codes.values())),
            )
            cursor.execute("SELECT count(*) FROM loop WHERE region = ANY(%s) AND closed_at IS NULL", (list(codes),))
            n_rescoped = cursor.fetchone()[0]
            cursor.execute(
                "SELECT id, owner FROM loop WHERE region = ANY(%s) AND owner = ANY(%s) AND closed_at IS NULL",
                (list(codes), list(done.desks)),
            )
            unit_of = {loop: done.desks[owner] for loop, owner in cursor.fetchall()}
        moved = _route(unit_of, by, act, "区划调整")
    return Changed(n_rescoped, moved)


def close_unit(*, by, unit: int, successor: int, act: UUID, on: date | None = None) -> Changed:
    """End a unit; its successor owns its open duties from this moment, and is asked what it was asked.

    Refuses what `regions.changes.close_unit` refuses: a unit or post with open duties cannot end without a successor.
    """
    require(by, Permission.UNIT_CHANGE)
    with transaction.atomic(durable=True):
        _nothing_opens()
        done = changes.close_unit(unit, successor, on or clock.today())
        with engine(), connection.cursor() as cursor:
            cursor.execute("SELECT id FROM loop WHERE offered_to = %s AND closed_at IS NULL ORDER BY id FOR UPDATE", (unit,))
            offered = [i for (i,) in cursor.fetchall()]
            if offered:
                duties = lock(offered)
                end_offers(duties, facts.RETURNED, "returned", by, act, "接收单位已撤销")
            cursor.execute("SELECT id FROM loop WHERE owner = %s AND closed_at IS NULL", (unit,))
            unit_of = {i: done.successor for (i,) in cursor.fetchall()}
        moved = _route(unit_of, by, act, "单位撤销，由接续单位承办")
    return Changed(0, moved)


def _nothing_opens() -> None:
    """Nobody opens a duty while a place gets another code or a unit ends; what is being opened at this moment is waited for."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE loop IN SHARE ROW EXCLUSIVE MODE")


def _route(unit_of: dict[int, int], by, act: UUID, reason: str) -> int:
    moved = 0
    loops = sorted(unit_of)
    for start in range(0, len(loops), BULK_MAX):
        part = {loop: unit_of[loop] for loop in loops[start : start + BULK_MAX]}
        moved += handle.route(part, by=by, act=act, reason=reason, place=False, force=True)[0]
    return moved
