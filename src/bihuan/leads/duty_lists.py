"""Lists that keep their order: chosen, printed or taken out under a number, and come back by it.

A list holds the numbers of duties and nothing else. Its own number and those of its rows end in a check letter, so that a
slip of the pen or of the eye is noticed: any one wrong digit and any two that changed places give another letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.kernel.text import halfwidth
from bihuan.leads import queries
from bihuan.leads.bulk import kept_until
from bihuan.leads.models import DutyList
from bihuan.loops.writes import BULK_MAX

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXY"  # 23, a prime: none that is read as a digit (I, O, Z)


def code(number: int) -> str:
    """A number with its check letter: 132 -> 132T."""
    return f"{number}{_LETTERS[number % len(_LETTERS)]}"


def number_of(text: str) -> int | None:
    """The number of a code as people type it; None where the letter does not belong to the digits."""
    found = re.fullmatch(r"\s*(\d{1,18})\s*([A-Za-z])\s*", halfwidth(text))
    return int(found[1]) if found and code(int(found[1]))[-1] == found[2].upper() else None


@action
def freeze(*, by, chosen: Sequence[int] | queries.Filter, title: str, act: UUID) -> int:
    """Keep which duties a filter shows at this moment (or those picked), the first deadline first; returns the list's number.

    Safe to repeat with the same `act`. Refuses: nothing there, more than 10,000.
    """
    require(by, Permission.LEAD_READ)
    known = DutyList.objects.filter(act=act).values_list("id", flat=True).first()
    if known is not None:
        return known
    now = clock.now()
    if isinstance(chosen, queries.Filter):
        where, given = chosen.sql(by.unit_id, now)
    else:
        where, given = "l.id = ANY(%(ids)s)", {"ids": list(chosen)}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT l.id FROM loop l WHERE l.closed_at IS NULL AND ({where}) ORDER BY l.due_at NULLS LAST, l.id LIMIT {BULK_MAX + 1}",
            given,
        )
        loops = [loop for (loop,) in cursor.fetchall()]
        if not loops:
            raise Refused("nothing_chosen", "请先选中要办的人。", "Please choose some lines first.")
        if len(loops) > BULK_MAX:
            raise Refused("bulk_too_large", f"一次最多处理{BULK_MAX}件，请分批。", f"At most {BULK_MAX} at a time; please split.")
        cursor.execute(
            "INSERT INTO duty_list (act, unit, officer, title, loops, made_at, ends_at) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (act, by.unit_id, by.officer_id, title[:200], loops, now, kept_until(loops, now)),
        )
        return cursor.fetchone()[0]


def list_of(number: int) -> DutyList:
    """A list of the reader's unit. Refuses `list_not_found`: another unit's, none at all, or one whose time is over."""
    found = DutyList.objects.filter(id=number, ends_at__gt=clock.now()).first()
    if found is None:
        raise Refused(
            "list_not_found",
            "没有这份清单，或保存期已过，或不是本单位的。",
            "There is no such list, or its time is over, or it is not yours.",
        )
    return found


def recent(limit: int = 20) -> list[dict[str, Any]]:
    """The unit's own lists, the latest first."""
    return queries.rows(
        "SELECT d.id, d.title, d.made_at, d.ends_at, cardinality(d.loops) AS n, o.name AS officer FROM duty_list d"
        " JOIN officer o ON o.id = d.officer WHERE d.ends_at > %s ORDER BY d.id DESC LIMIT %s",
        [clock.now(), limit],
    )


# Plans that another than `officer` asks to be signed, and that still may be.
UNSIGNED = "b.state = 'proposed' AND b.officer <> %(officer)s AND b.ends_at > %(now)s"


def waiting(by) -> list[dict[str, Any]]:
    """Plans that wait for a second signature, which this post may give: not one's own."""
    if not by.may(Permission.DUTY_WAIVE):
        return []
    return queries.rows(
        "SELECT b.act, cardinality(b.loops) AS n, b.made_at, o.name AS officer, b.said FROM bulk_act b JOIN officer o ON o.id = b.officer"
        f" WHERE {UNSIGNED} ORDER BY b.made_at LIMIT 50",
        {"officer": by.officer_id, "now": clock.now()},
    )


def counts(loops: Sequence[int]) -> dict[str, Any]:
    """How many of a list are open, by kind of duty, and how many are not (or not in sight any more)."""
    kinds = queries.rows(
        "SELECT kind, count(*) AS n FROM loop WHERE id = ANY(%s) AND closed_at IS NULL GROUP BY kind ORDER BY n DESC", [list(loops)]
    )
    is_open = sum(kind["n"] for kind in kinds)
    return {"open": is_open, "ended": len(loops) - is_open, "kinds": {kind["kind"]: kind["n"] for kind in kinds}}


def units_found(unit: int, q: str) -> list[dict[str, Any]]:
    """Units of the same level to which one's own may offer: neighbours under the same desk, or those whose name holds `q`."""
    return queries.rows(
        "SELECT u.id, u.name, p.name AS parent_name FROM unit me JOIN region mr ON mr.id = me.region_id"
        " JOIN unit u ON u.kind IN (me.kind, 'liaison') AND u.id <> me.id AND u.valid @> %(on)s::date"
        " JOIN region r ON r.id = u.region_id AND (r.level = mr.level OR u.kind = 'liaison') LEFT JOIN unit p ON p.id = u.parent_id"
        " WHERE me.id = %(unit)s AND CASE WHEN %(q)s = '' THEN u.parent_id = me.parent_id ELSE u.name LIKE %(like)s ESCAPE '!' END"
        " ORDER BY u.parent_id <> me.parent_id, u.name LIMIT 200",
        {"unit": unit, "q": q, "like": "%" + q.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%", "on": clock.today()},
    )


def holders(loops: Sequence[int], unit: int) -> dict[str, int]:
    """How many open duties of a list are a unit's own, and how many are offered to it."""
    return queries.rows(
        "SELECT count(*) FILTER (WHERE owner = %(unit)s) AS own, count(*) FILTER (WHERE offered_to = %(unit)s) AS offered"
        " FROM loop WHERE id = ANY(%(loops)s) AND closed_at IS NULL",
        {"loops": list(loops), "unit": unit},
    )[0]
