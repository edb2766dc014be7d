"""What links between aliases do to duties: one duty per (event, cluster, kind, key), whatever joins or parts.

Called by `identity` after it changed which aliases are one person. Set-based; the work grows with the aliases changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from uuid import UUID

from bihuan.access.door import engine
from bihuan.kernel import clock, ids
from bihuan.loops import facts
from bihuan.loops.record import record
from bihuan.loops.statement import literal, run
from bihuan.loops.touched import once_offered, touched
from bihuan.loops.withdraw import other_facts
from bihuan.loops.writes import SUCCEEDED, append, close, lock, succeed


@dataclasses.dataclass(frozen=True)
class Relinked:
    """Duties that ended because another stands for the person, duties owed again, and pairs both worked on."""

    merged: tuple[int, ...]
    succeeded: tuple[int, ...]
    both_worked_on: tuple[tuple[int, int], ...]


# A duty that was met and is owed again (its record was withdrawn, or persons were parted) stands for nothing any more.
_TWINS = f"""
SELECT l.id, l.event, l.kind, l.key, coalesce(c.root, l.subject) AS root, l.closed_at IS NOT NULL
FROM loop l JOIN cluster c ON c.subject = l.subject
WHERE c.root IN (SELECT root FROM cluster WHERE subject = ANY(%(aliases)s::uuid[]))
  AND (l.closed_at IS NULL OR (l.key <> '' AND l.outcome <> 'void' AND NOT {SUCCEEDED}))
ORDER BY l.event, l.kind, l.key, root, l.closed_at IS NULL, l.opened_at, l.id
"""

# On either side, who moved and the persons to whom they belonged before: those about whom anything was ever to be done.
_BOTH_SIDES = """
SELECT m.subject FROM cluster m WHERE m.root IN (
  SELECT c.root FROM cluster c WHERE c.subject = ANY(%(aliases)s::uuid[]) OR c.subject = ANY(%(was)s::uuid[]))
  AND EXISTS (SELECT 1 FROM loop l WHERE l.subject = m.subject)
"""

# Duties of these aliases that were closed by a fact about an alias that is no longer the same person.
_PARTED = """
SELECT l.id, false AS untouched FROM loop l
JOIN fact f ON f.id = l.closed_by
LEFT JOIN cluster cl ON cl.subject = l.subject LEFT JOIN cluster cf ON cf.subject = f.subject
WHERE (l.subject = ANY(%(aliases)s::uuid[]) OR f.subject = ANY(%(aliases)s::uuid[])) AND l.outcome IN ('met', 'waived')
  AND coalesce(cl.root, l.subject) <> coalesce(cf.root, f.subject)
UNION
SELECT l.id, true FROM loop l
JOIN handled h ON h.fact = l.closed_by
JOIN fact f ON f.id = l.closed_by AND f.kind = %(merged)s
JOIN loop keeper ON keeper.id = h.stands
LEFT JOIN cluster cl ON cl.subject = l.subject LEFT JOIN cluster ck ON ck.subject = keeper.subject
WHERE (l.subject = ANY(%(aliases)s::uuid[]) OR keeper.subject = ANY(%(aliases)s::uuid[])) AND l.outcome = 'void'
  AND coalesce(cl.root, l.subject) <> coalesce(ck.root, keeper.subject)
ORDER BY 1
"""

# Who may see whom follows: what is joined is seen by both sides' desks, what is parted by its own again. `was`: the
# person to whom a moved alias belonged before. What a desk saw for reasons of its own (it once held a duty about the
# person, at this place or at its own) is never taken away.
_SEEN_AGAIN = """
WITH w AS (SELECT * FROM unnest(%(aliases)s::uuid[], %(was)s::uuid[]) AS w(subject, was)),
roots AS (SELECT c.root FROM w JOIN cluster c ON c.subject = w.subject UNION SELECT c.root FROM w JOIN cluster c ON c.subject = w.was),
a AS (SELECT c.subject, c.root, coalesce(w.was, c.root) AS was FROM roots JOIN cluster c USING (root) LEFT JOIN w USING (subject)),
held AS (
  SELECT DISTINCT a.subject, a.root, a.was, l.scope, x.unit, r.scope AS home FROM a JOIN loop l ON l.subject = a.subject
  CROSS JOIN LATERAL (
    SELECT l.owner AS unit, false AS at_home
    UNION SELECT m.to_unit, m.what IN ('opened', 'reassigned') FROM movement m
    WHERE m.loop = l.id AND m.what IN ('opened', 'offered', 'accepted', 'reassigned')) x
  JOIN unit u ON u.id = x.unit LEFT JOIN region_scope r ON x.at_home AND r.region_id = u.region_id AND r.valid @> %(on)s::date),
gone AS (
  DELETE FROM visible v USING a WHERE v.subject = a.subject
  AND NOT EXISTS (SELECT 1 FROM held h WHERE h.root = a.root AND h.unit = v.unit AND v.scope IN (h.scope, h.home))
  AND EXISTS (SELECT 1 FROM held h WHERE h.was = a.was AND h.root <> a.root AND h.unit = v.unit))
INSERT INTO visible (subject, scope, unit)
SELECT DISTINCT a.subject, h.scope, h.unit FROM a JOIN held h ON h.root = a.root AND h.was <> a.was
ON CONFLICT (subject, scope, unit) DO NOTHING
"""


def after_relink(event: int, aliases: Sequence[UUID], act: UUID, by, was: Sequence[UUID]) -> Relinked:
    """Restore "one duty per person, kind and key" after links changed; inside identity's action.

    `aliases` belong to another person than before; `was`: the root of that person, for each.

    Two open duties: the one worked on stays, else the older; the other ends as void and names it. Both worked on:
    both stay and are returned for a person to settle. A duty that was met stands for an open untouched one.

    When a link is gone: a duty that another stood for is owed again as if nothing had been, by the same unit, until the
    same minute. One that a fact about the other person had closed gets a successor with the kind's least time. Where
    the person's own facts meet such a duty already, nobody is asked again. Visibility follows the new clusters.
    """
    wanted = [str(a) for a in aliases]
    if not wanted:
        return Relinked((), (), ())
    before = [str(w) for w in was]
    with engine():
        # mostly nobody: the many are written by hand, not one by one by the driver
        sides = [str(s) for (s,) in run(_BOTH_SIDES, {"aliases": literal(wanted), "was": literal(before)})]
    if not sides:
        return Relinked((), (), ())
    succeeded = _owed_again(sides, by, act)
    merged, both = _one_each(sides, wanted, before, by, act)
    # Whose own facts answer already is not asked again.
    met = other_facts([loop for loop in succeeded if loop not in merged], "closes", ())
    if met:
        close(met, "met")
    with engine():
        run(_SEEN_AGAIN, {"aliases": wanted, "was": before, "on": clock.today()})
    return Relinked(tuple(merged), tuple(succeeded), tuple(both))


def _owed_again(aliases: list[str], by, act: UUID) -> list[int]:
    """Successors of duties that ended through a link that is gone. New duties by id."""
    with engine():
        parted = run(_PARTED, {"aliases": aliases, "merged": facts.MERGED.name})
        already = {i for (i,) in run(f"SELECT id FROM loop l WHERE id = ANY(%s) AND {SUCCEEDED}", ([i for i, _ in parted],))}
    made: list[int] = []
    for untouched in (True, False):
        due = [i for i, as_it_was in parted if as_it_was is untouched and i not in already]
        if due:
            made += _succeed_parted(due, by, act, untouched)
    return made


def _one_each(aliases: list[str], moved: list[str], was: list[str], by, act: UUID) -> tuple[list[int], list[tuple[int, int]]]:
    """Of several duties of one person, kind and key one stays. Returns those that ended, and pairs both worked on."""
    with engine():
        twins = run(_TWINS, {"aliases": aliases})
    groups: dict[tuple, list[tuple[int, bool]]] = {}
    for loop, event, kind, key, root, closed in twins:
        groups.setdefault((event, kind, key, root), []).append((loop, closed))
    several = [found for found in groups.values() if len(found) > 1 and any(not closed for _, closed in found)]
    open_ones = [loop for found in several for loop, closed in found if not closed]
    # An offer is work too: the duty would lose it, and a link that is undone could not give it back.
    worked_on = touched(open_ones, moved, was) | once_offered(open_ones)
    keeper_of: dict[int, int] = {}
    both: list[tuple[int, int]] = []
    for found in several:
        keeper = next((loop for loop, closed in found if closed), None)
        open_here = [loop for loop, closed in found if not closed]
        if keeper is None:
            keeper = next((loop for loop in open_here if loop in worked_on), open_here[0])
        for loop in open_here:
            if loop == keeper:
                continue
            if loop in worked_on:
                both.append((keeper, loop))
            else:
                keeper_of[loop] = keeper
    return merge(keeper_of, by=by, act=act), both


def merge(keeper_of: dict[int, int], *, by, act: UUID) -> list[int]:
    """End duties as void because another duty of the person stands for them; the fact names it."""
    if not keeper_of:
        return []
    with engine():
        duties = lock(keeper_of)
    made = append(facts.MERGED, duties, by, act, {"stands": [keeper_of[d.id] for d in duties], "reason": "合并"})
    close(made, "void")
    return sorted(made)


def _succeed_parted(loops: Sequence[int], by, act: UUID, untouched: bool) -> list[int]:
    with engine():
        rows = run("SELECT id, event, subject, region FROM loop WHERE id = ANY(%s) ORDER BY id", (list(loops),))
    made = {}
    for loop, event, subject, region in rows:
        made[loop] = ids.derived_id(act, facts.SUCCEEDED.name, loop)
        record(facts.SUCCEEDED, event=event, subject=subject, details=facts.Handled(loop=loop, reason="关联已拆开"), by=by,
               id=made[loop], act=act, region=region)  # fmt: skip
    return succeed(made, as_it_was=untouched)
