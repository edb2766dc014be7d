"""The checks of `verify` that ask the declarations: whether each duty that a fact opens is owed, and by one only.

A duty is the same for the aliases of one person: "of one person" below means the cluster as it is now.
"""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

from datetime import datetime

from bihuan.ledger import verify as ledger
from bihuan.ledger.gaps import GAPS_MAX, Found, Gap
from bihuan.ledger.kinds import FactKind
from bihuan.loops import declare, facts
from bihuan.loops.checks import COUNTS
from bihuan.loops.decisions import event_region
from bihuan.loops.statement import run
from bihuan.loops.touched import once_offered, touched
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions


def _combos(kind: FactKind, loop: declare.LoopKind, when: declare.When) -> tuple[str, list[str]]:
    """SQL of a combination's name, and the names of those for which the declaration says yes.

    The facts of a kind are few combinations of what the declaration reads: it is asked once for each, with the pack of
    the day on which the fact was heard and the place that it names.
    """
    reads = "".join(f", d.{name}" for name in when.reads)
    day = "(f.received_at AT TIME ZONE 'Asia/Shanghai')::date"
    name = f"jsonb_build_array(f.event, f.region, {day}{reads})::text"
    rows = run(
        f"SELECT {name}, f.event, f.region, {day}, max(f.received_at){reads} FROM fact f JOIN {kind.table} d ON d.fact = f.id"
        f" WHERE f.kind = %(kind)s GROUP BY f.event, f.region, {day}{reads}",
        {"kind": kind.name},
    )
    yes = []
    for combo, event, region, on, at, *values in rows:
        home = event_region(event)
        pack = packs.in_force(event, regions.scope_of(region or home, on), on)
        context = declare.Context(pack=pack, now=at, event=event, city_desk=regions.city_desk(home, on))
        if when.fn(*values, context):
            yes.append(combo)
    return name, yes


def duty_missing(now: datetime) -> Found:
    """A standing fact that opens a duty of its kind, and nobody owes it, has met it, or is excused from it.

    A duty that ended as void counts only where another duty stands for it. An occurrence may have been named anew by a
    fact of another opening kind (a person was parted from another): then that fact's duty counts.
    """
    gaps: list[Gap] = []
    n = 0
    there = ledger.reported().keys() & {kind.name for kinds in ledger.tables().values() for kind in kinds}
    for loop in declare.kinds().values():
        for kind, when in loop.opens.items():
            if kind.name not in there:
                continue
            name, yes = _combos(kind, loop, when)
            if not yes:
                continue
            # Without a key a duty is owed once at a time: it must have been open when the fact was heard, or opened then.
            key, in_time = (f"d.{kind.key}", "true") if kind.key else ("''", "(l.closed_at IS NULL OR l.closed_at >= w.received_at)")
            found = run(
                f"""
                WITH w AS MATERIALIZED (
                  SELECT f.id, f.event, f.subject, f.received_at, coalesce(c.root, f.subject) AS root, {key} AS key
                  FROM fact f JOIN {kind.table} d ON d.fact = f.id LEFT JOIN cluster c ON c.subject = f.subject
                  WHERE f.kind = %(fact)s AND {name} = ANY(%(yes)s) AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)),
                l AS MATERIALIZED (
                  SELECT l.id, l.event, coalesce(c.root, l.subject) AS root, l.key, l.closed_at, o.kind AS opened_kind
                  FROM loop l LEFT JOIN cluster c ON c.subject = l.subject LEFT JOIN fact o ON o.id = l.opened_by
                  LEFT JOIN fact e ON e.id = l.closed_by
                  WHERE l.kind = %(loop)s AND (l.closed_at IS NULL OR l.outcome <> 'void' OR e.kind = %(merged)s))
                SELECT w.id, w.subject, w.key, (SELECT count(*) FROM w) FROM w
                WHERE NOT EXISTS (SELECT 1 FROM l WHERE l.event = w.event AND l.root = w.root AND l.key = w.key AND {in_time})
                  AND NOT EXISTS (SELECT 1 FROM l WHERE l.event = w.event AND l.root = w.root AND l.opened_kind <> %(fact)s
                                  AND l.opened_kind = ANY(%(opens)s))
                LIMIT {GAPS_MAX}
                """,
                {"fact": kind.name, "loop": loop.name, "yes": yes, "merged": facts.MERGED.name, "opens": [k.name for k in loop.opens]},
            )
            n += len(yes)
            for fact, subject, occurrence, _ in found:
                gaps.append(
                    Gap("duty_missing", f"{kind.name} without {loop.name}", f"办理记录 {fact} 应当产生“{loop.title}”，但没有人承办",
                        f"fact {fact} opens {loop.name}{f' ({occurrence})' if occurrence else ''}, and nobody owes it", subject=subject, fact=fact)
                )  # fmt: skip
    return Found(n, gaps)


def duty_double(now: datetime) -> Found:
    """Two open duties of one person, kind and key. Where both were worked on, a person settles it: that is no gap."""
    rows = run(
        f"""
        SELECT array_agg(l.id ORDER BY l.id), (array_agg(l.subject ORDER BY l.id))[1], (array_agg(l.owner ORDER BY l.id))[1], l.kind, l.key
        FROM loop l LEFT JOIN cluster c ON c.subject = l.subject
        WHERE l.closed_at IS NULL GROUP BY l.event, l.kind, l.key, coalesce(c.root, l.subject) HAVING count(*) > 1 LIMIT {GAPS_MAX}
        """,
        {},
    )
    doubled = [loop for row in rows for loop in row[0]]
    worked_on = touched(doubled) | once_offered(doubled) if rows else set()
    gaps = []
    for loops, subject, owner, kind, key in rows:
        if all(loop in worked_on for loop in loops):
            continue
        second = next((loop for loop in loops[1:] if loop not in worked_on), loops[1])
        others = ", ".join(str(loop) for loop in loops if loop != second)
        gaps.append(
            Gap("duty_double", f"{kind} {key}".strip(), f"同一人有两件同样的待办：{second} 与 {others}", f"one person, two open duties of a kind: {second} and {others}",
                loop=second, subject=subject, unit=owner)
        )  # fmt: skip
    return Found(run(COUNTS["open"])[0][0], gaps)
