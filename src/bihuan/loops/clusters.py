"""What links between aliases do to duties: one duty per (event, cluster, kind, key), whatever joins or parts.

Called by `identity` after it changed which aliases are one person. Set-based; the work grows with the aliases changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from uuid import UUID

from bihuan.access.door import engine
from bihuan.kernel import ids
from bihuan.loops import facts
from bihuan.loops.handle import _append, _lock, _rows, close, succeed, touched


@dataclasses.dataclass(frozen=True)
class Relinked:
    """Duties that ended because another stands for the person, duties owed again, and pairs both worked on."""

    merged: tuple[int, ...]
    succeeded: tuple[int, ...]
    both_worked_on: tuple[tuple[int, int], ...]


_TWINS = """
SELECT l.id, l.event, l.kind, l.key, coalesce(c.root, l.subject) AS root, l.closed_at IS NOT NULL
FROM loop l JOIN cluster c ON c.subject = l.subject
WHERE c.root IN (SELECT root FROM cluster WHERE subject = ANY(%(aliases)s::uuid[]))
  AND (l.closed_at IS NULL OR (l.key <> '' AND l.outcome <> 'void'))
ORDER BY l.event, l.kind, l.key, root, l.closed_at IS NULL, l.opened_at, l.id
"""

# Duties of these aliases that were closed by a fact about an alias that is no longer the same person.
_PARTED = """
SELECT l.id FROM loop l
JOIN fact f ON f.id = l.closed_by
LEFT JOIN cluster cl ON cl.subject = l.subject LEFT JOIN cluster cf ON cf.subject = f.subject
WHERE (l.subject = ANY(%(aliases)s::uuid[]) OR f.subject = ANY(%(aliases)s::uuid[])) AND l.outcome IN ('met', 'waived')
  AND coalesce(cl.root, l.subject) <> coalesce(cf.root, f.subject)
UNION
SELECT l.id FROM loop l
JOIN handled h ON h.fact = l.closed_by
JOIN fact f ON f.id = l.closed_by AND f.kind = %(merged)s
JOIN loop keeper ON keeper.id = h.stands
LEFT JOIN cluster cl ON cl.subject = l.subject LEFT JOIN cluster ck ON ck.subject = keeper.subject
WHERE (l.subject = ANY(%(aliases)s::uuid[]) OR keeper.subject = ANY(%(aliases)s::uuid[])) AND l.outcome = 'void'
  AND coalesce(cl.root, l.subject) <> coalesce(ck.root, keeper.subject)
ORDER BY 1
"""

_SEEN_AGAIN = """
WITH a AS (SELECT DISTINCT c2.subject, c2.root FROM cluster c JOIN cluster c2 ON c2.root = c.root
           WHERE c.subject = ANY(%(aliases)s::uuid[])),
want AS (
  SELECT DISTINCT a.subject, l.scope, x.unit FROM a JOIN a b ON b.root = a.root JOIN loop l ON l.subject = b.subject
  CROSS JOIN LATERAL (
    SELECT l.owner AS unit UNION SELECT l.offered_to WHERE l.offered_to IS NOT NULL
    UNION SELECT m.to_unit FROM movement m WHERE m.loop = l.id AND m.what IN ('opened', 'accepted', 'reassigned')) x),
gone AS (
  DELETE FROM visible v USING a WHERE v.subject = a.subject
  AND NOT EXISTS (SELECT 1 FROM want w WHERE (w.subject, w.scope, w.unit) = (v.subject, v.scope, v.unit)))
INSERT INTO visible (subject, scope, unit) SELECT subject, scope, unit FROM want ON CONFLICT (subject, scope, unit) DO NOTHING
"""


def after_relink(event: int, aliases: Sequence[UUID], act: UUID, by) -> Relinked:
    """Restore "one duty per person, kind and key" after links changed; inside identity's action.

    Two open duties: the one worked on stays, else the older; the other ends as void and names it. Both worked on:
    both stay and are returned for a person to settle. A duty that was met stands for an open untouched one. A duty
    that had closed through a link that is gone gets a successor. Visibility follows the new clusters.
    """
    wanted = [str(a) for a in aliases]
    if not wanted:
        return Relinked((), (), ())
    with engine():
        twins = _rows(_TWINS, {"aliases": wanted})
    groups: dict[tuple, list[tuple[int, bool]]] = {}
    for loop, loop_event, kind, key, root, closed in twins:
        groups.setdefault((loop_event, kind, key, root), []).append((loop, closed))
    several = {key: found for key, found in groups.items() if len(found) > 1 and any(not closed for _, closed in found)}
    worked_on = touched([loop for found in several.values() for loop, closed in found if not closed])
    keeper_of: dict[int, int] = {}
    both: list[tuple[int, int]] = []
    for found in several.values():
        keeper = next((loop for loop, closed in found if closed), None)
        open_ones = [loop for loop, closed in found if not closed]
        if keeper is None:
            keeper = next((loop for loop in open_ones if loop in worked_on), open_ones[0])
        for loop in open_ones:
            if loop == keeper:
                continue
            if loop in worked_on:
                both.append((keeper, loop))
            else:
                keeper_of[loop] = keeper
    merged = merge(keeper_of, by=by, act=act)
    with engine():
        parted = [i for (i,) in _rows(_PARTED, {"aliases": wanted, "merged": facts.MERGED.name})]
        already = {i for (i,) in _rows("SELECT forerunner FROM movement WHERE forerunner = ANY(%s)", (parted,))}
        due = [i for i in parted if i not in already]
    succeeded: list[int] = []
    if due:
        succeeded = _succeed_parted(due, by, act)
    with engine():
        _rows(_SEEN_AGAIN, {"aliases": wanted})
    return Relinked(tuple(merged), tuple(succeeded), tuple(both))


def merge(keeper_of: dict[int, int], *, by, act: UUID) -> list[int]:
    """End duties as void because another duty of the person stands for them; the fact names it."""
    if not keeper_of:
        return []
    with engine():
        duties = _lock(keeper_of)
    made = _append(facts.MERGED, duties, by, act, {"stands": [keeper_of[d.id] for d in duties], "reason": "合并"})
    close(made, "void")
    return sorted(made)


def _succeed_parted(loops: Sequence[int], by, act: UUID) -> list[int]:
    from bihuan.loops.record import record

    with engine():
        rows = _rows("SELECT id, event, subject, region FROM loop WHERE id = ANY(%s) ORDER BY id", (list(loops),))
    made = {}
    for loop, event, subject, region in rows:
        made[loop] = ids.derived_id(act, facts.SUCCEEDED.name, loop)
        record(facts.SUCCEEDED, event=event, subject=subject, details=facts.Handled(loop=loop, reason="关联已拆开"), by=by,
               id=made[loop], act=act, region=region)  # fmt: skip
    return succeed(made)
