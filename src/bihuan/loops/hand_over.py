"""The duties that are assigned to an officer by name are passed on when he or she leaves. The unit owns them all along."""

from __future__ import annotations

from uuid import UUID

from django.db import connection, transaction

from bihuan.access import holdings
from bihuan.access.door import engine
from bihuan.loops import facts
from bihuan.loops.writes import BULK_MAX, append, lock


def count(officer: int, unit: int | None) -> int:
    with transaction.atomic(), engine(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM loop WHERE assignee = %s AND closed_at IS NULL AND (%s::int IS NULL OR owner = %s)", [officer, unit, unit]
        )
        return cursor.fetchone()[0]


def holders() -> list[tuple[int, int]]:
    with transaction.atomic(), engine(), connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT assignee, owner FROM loop WHERE assignee IS NOT NULL AND closed_at IS NULL ORDER BY 1, 2")
        return cursor.fetchall()


def pass_on(*, by, officer: int, unit: int, to: int | None, act: UUID) -> int:
    """Assign an officer's open duties of a unit to another (None: to nobody in particular), with a fact each.

    Whoever ends posts decides who may; here nothing is refused. Repeated, it finds nothing left and changes nothing.
    """
    passed = 0
    with engine():
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT id FROM loop WHERE assignee = %s AND owner = %s AND closed_at IS NULL ORDER BY id LIMIT %s",
                    [officer, unit, BULK_MAX],
                )
                duties = lock(loop for (loop,) in cursor.fetchall())
                if not duties:
                    return passed
                append(facts.ASSIGNED, duties, by, act, {"unit": [d.owner for d in duties], "officer": to})
                cursor.execute("UPDATE loop SET assignee = %s WHERE id = ANY(%s)", [to, [duty.id for duty in duties]])
                passed += len(duties)


def install() -> None:
    holdings.register("duties", holdings.Holding(count, pass_on, holders))
