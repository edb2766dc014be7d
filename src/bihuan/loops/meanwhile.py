"""What happened to a duty while somebody was looking at an older page: who did what, and when.

An act on what has changed since is not done, and its maker is told by whom it was overtaken. Only to a unit that holds the
place of the duty in its range, or through whose hands it went: to others a refusal does not tell that anything exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from bihuan.access.door import engine
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.loops import facts

# The last change of each duty that a unit may know of: by movements, and by assignments, which move nothing.
_LAST = """
SELECT DISTINCT ON (l.id) l.id, l.closed_at IS NOT NULL, coalesce(m.what, 'assigned'), f.received_at, w.name, o.name, t.name, a.name
FROM loop l
JOIN LATERAL (
  SELECT at_fact, what, to_unit, NULL::int AS officer, id FROM movement WHERE loop = l.id
  UNION ALL
  SELECT h.fact, NULL, NULL, h.officer, 0 FROM handled h JOIN fact af ON af.id = h.fact AND af.kind = %(assigned)s WHERE h.loop = l.id
) m ON true
JOIN fact f ON f.id = m.at_fact LEFT JOIN unit w ON w.id = f.unit LEFT JOIN officer o ON o.id = f."by"
LEFT JOIN unit t ON t.id = m.to_unit LEFT JOIN officer a ON a.id = m.officer
WHERE l.id = ANY(%(loops)s) AND (
  (l.scope >= %(lo)s AND l.scope < %(hi)s) OR %(unit)s IN (l.owner, l.offered_to)
  OR EXISTS (SELECT 1 FROM movement p WHERE p.loop = l.id AND %(unit)s IN (p.from_unit, p.to_unit)))
ORDER BY l.id, f.received_at DESC, f.xid::text::bigint DESC, m.id DESC
"""
_WHAT = {
    "opened": ("又需要办", "it is owed again"),
    "offered": ("移交给{to}", "offered it to {to}"),
    "accepted": ("接收", "accepted it"),
    "returned": ("退回", "returned it"),
    "expired": ("移交过时", "its offer ran out"),
    "reassigned": ("改派给{to}", "reassigned it to {to}"),
    "extended": ("改了时限", "moved its deadline"),
    "closed": ("办结", "closed it"),
    "withdrawn": ("作废", "withdrew it"),
    "assigned": ("分派给{officer}", "assigned it to {officer}"),
}


def tag(owner: int, assignee: int | None, offered_to: int | None) -> str:
    """What a page says of a duty when it was shown, to be sent back with the act: who holds it, who works on it, who is asked."""
    return f"{owner}.{assignee or 0}.{offered_to or 0}"


def refusal(by: Any, loops: Sequence[int], not_here: Callable[[], Refused]) -> Refused:
    """Why an act on these duties cannot be done: they were closed or went elsewhere meanwhile; else `not_here`.

    One statement in every case: how long an answer takes must not tell either.
    """
    rows = _last(by, loops)
    if not rows:
        return not_here()
    loop, closed, *what = rows[0]
    zh, en = _told(*what)
    if closed:
        return Refused(
            "duty_closed", f"这件事已经办结，这一次没有办：{zh}。{_others(loops)}", f"It is closed; nothing was done now: {en}.", str(loop)
        )
    return Refused(
        "duty_changed",
        f"这件事刚有变动，这一次没有办：{zh}。请刷新后看看，要办再办一次。{_others(loops)}",
        f"It has just changed; nothing was done now: {en}. Reload the page, then act again if it is still needed.",
        str(loop),
    )


def _last(by: Any, loops: Sequence[int]) -> list[tuple]:
    lo, hi = by.scope
    values = {"loops": list(loops), "lo": lo, "hi": hi, "unit": by.unit_id, "assigned": facts.ASSIGNED.name}
    with engine(), connection.cursor() as cursor:
        cursor.execute(_LAST, values)
        return cursor.fetchall()


def require_seen(by: Any, duties: Iterable[Any], seen: Mapping[int, str] | None, not_here: Callable[[], Refused]) -> None:
    """Refuses (`duty_changed`) what is no longer as the page showed it. `seen`: duty -> `tag`; None = nobody looked."""
    changed = [d.id for d in duties if seen and d.id in seen and seen[d.id] != tag(d.owner, d.assignee, d.offered_to)]
    if changed:
        raise refusal(by, changed, not_here)


def withdrawn(records: Sequence[Any]) -> tuple[str, str]:
    """Who withdrew one of these records, and when."""
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.received_at, u.name, o.name FROM handled h JOIN fact f ON f.id = h.fact LEFT JOIN unit u ON u.id = f.unit"
            ' LEFT JOIN officer o ON o.id = f."by" WHERE h.voids = ANY(%s) ORDER BY f.received_at DESC LIMIT 1',
            (list(records),),
        )
        row = cursor.fetchone()
    return _told("withdrawn", *row, None, None) if row else ("", "")


def resting(by: Any, records: Sequence[Any]) -> tuple[str, str]:
    """What was done after these records: by whom, when."""
    zh, en = withdrawn(records)
    if zh:
        return zh, en
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT loop FROM movement WHERE at_fact = ANY(%s) ORDER BY loop", (list(records),))
        loops = [loop for (loop,) in cursor.fetchall()]
    rows = _last(by, loops)
    return _told(*rows[0][2:]) if rows else ("", "")


def _told(what: str, at: Any, unit: str | None, officer: str | None, to: str | None, assignee: str | None) -> tuple[str, str]:
    local, now = at.astimezone(clock.SHANGHAI), clock.now().astimezone(clock.SHANGHAI)
    when = f"{local:%H:%M}" if local.date() == now.date() else f"{local:%m-%d %H:%M}"
    zh, en = _WHAT[what]
    names = {"to": to or "—", "officer": assignee or "—"}
    who = " ".join(part for part in (unit, officer) if part)
    return f"{who or '系统'} {when} 已{zh.format(**names)}", f"{who or 'the clock'} {en.format(**names)} at {when}"


def _others(loops: Sequence[int]) -> str:
    return "同时选中的其他几件也没有办。" if len(loops) > 1 else ""
