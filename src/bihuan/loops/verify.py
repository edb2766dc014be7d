"""`verify`: recomputes what must always hold of duties, and names each one that breaks it.

Set-based: a check is one statement over everything, and rows come back only for what does not hold. All checks see one
instant (REPEATABLE READ, read only). Other floors add theirs with `register`. Runs as the worker's role, which sees all.

A duty is the same for the aliases of one person: "of the person" below means the cluster as it is now.
"""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.ledger import seals
from bihuan.ledger import verify as ledger
from bihuan.ledger.gaps import GAPS_MAX, Found, Gap
from bihuan.ledger.heads import Kept
from bihuan.ledger.kinds import FactKind
from bihuan.ledger.models import Ending
from bihuan.loops import conflicts, declare, facts
from bihuan.loops.sql import digest
from bihuan.loops.touched import once_offered, touched
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

# How late the clock's own work may be before it counts as not done: it runs each minute, and may be at work now.
CLOCK_LATE = timedelta(minutes=2)

Check = Callable[[datetime], "Found | list[Gap]"]
_registered: dict[str, Check] = {}


def register(name: str, fn: Check) -> None:
    """Add a check of another floor: fn(now) -> its gaps (or `Found` with how much it looked at). Names are stable."""
    if _registered.setdefault(name, fn) is not fn:
        raise TypeError(f"check {name} is registered twice")


@dataclasses.dataclass(frozen=True)
class _Sql:
    """One check as a statement: rows (loop, subject, unit, fact, what) of what does not hold.

    `of`: what it looks at, a key of `_COUNTS`. `zh` and `en` may name {loop}, {unit}, {fact}, {what}.
    """

    name: str
    of: str
    zh: str
    en: str
    sql: str


_COUNTS = {
    "open": "SELECT count(*) FROM loop WHERE closed_at IS NULL",
    "closed": "SELECT count(*) FROM loop WHERE closed_at IS NOT NULL",
    "loops": "SELECT count(*) FROM loop",
    "facts": "SELECT count(*) FROM fact",
    "movements": "SELECT count(*) FROM movement",
    "timers": "SELECT count(*) FROM timer",
    "offers": "SELECT count(*) FROM loop WHERE offered_to IS NOT NULL",
}

_MOVING = [
    kind.name for kind in (facts.OFFERED, facts.ACCEPTED, facts.RETURNED, facts.EXPIRED, facts.REASSIGNED, facts.WAIVED, facts.MERGED)
]

# Parameters: now, late (now less what the clock may lag), day.
_OWNING = "('opened', 'accepted', 'reassigned')"
_LAST_OWNER = f"SELECT DISTINCT ON (loop) loop, to_unit, what FROM movement WHERE what IN {_OWNING} ORDER BY loop, id DESC"
_VOIDED = "EXISTS (SELECT 1 FROM handled h WHERE h.voids = {fact})"

# What is done with a duty is a fact and a movement, or neither.
_HANDLED_WITHOUT_MOVEMENT = """
FROM fact f JOIN handled h ON h.fact = f.id AND h.loop IS NOT NULL
WHERE f.kind = ANY(%(moving)s) AND NOT EXISTS (SELECT 1 FROM movement m WHERE m.at_fact = f.id AND m.loop = h.loop)"""

_CHECKS = (
    _Sql(
        "owner_unknown", "open",
        "待办 {loop} 的承办单位 {unit} 不存在或已撤销", "duty {loop}: its owner, unit {unit}, does not exist or has ended",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, NULL FROM loop l LEFT JOIN unit u ON u.id = l.owner AND u.valid @> %(day)s::date
        WHERE l.closed_at IS NULL AND u.id IS NULL
        """,
    ),
    _Sql(
        "owner_moved", "loops",
        "待办 {loop} 的承办单位 {unit} 与移交记录不符：{what}", "duty {loop}: its owner, unit {unit}, is not what its movements say: {what}",
        f"""
        WITH held AS (
          SELECT loop, id, what, from_unit, to_unit, at_fact,
                 lag(to_unit) OVER (PARTITION BY loop ORDER BY id) AS before, lag(what) OVER (PARTITION BY loop ORDER BY id) AS after_what
          FROM movement WHERE what IN ('opened', 'accepted', 'reassigned', 'closed'))
        SELECT l.id, l.subject, l.owner, NULL::uuid, 'movements end at unit ' || coalesce(m.to_unit::text, 'none')
        FROM loop l LEFT JOIN ({_LAST_OWNER}) m ON m.loop = l.id WHERE m.to_unit IS DISTINCT FROM l.owner
        UNION ALL
        SELECT h.loop, l.subject, l.owner, h.at_fact, h.what || ' from unit ' || coalesce(h.from_unit::text, 'none') || ', held by '
               || coalesce(h.before::text, 'none')
        FROM held h JOIN loop l ON l.id = h.loop
        WHERE (h.what <> 'opened' AND (h.from_unit IS DISTINCT FROM h.before OR h.after_what = 'closed')) OR (h.what = 'opened' AND h.from_unit IS NOT NULL)
        """,
    ),
    _Sql(
        "movement_missing", "loops",
        "待办 {loop} 的移交记录不完整：{what}", "duty {loop}: its movements are not whole: {what}",
        """
        WITH m AS (
          SELECT loop, count(*) FILTER (WHERE what = 'opened') AS opened, count(*) FILTER (WHERE what = 'closed') AS closed,
                 (array_agg(at_fact) FILTER (WHERE what = 'opened'))[1] AS opened_by, (array_agg(at_fact) FILTER (WHERE what = 'closed'))[1] AS closed_by
          FROM movement GROUP BY loop)
        SELECT coalesce(l.id, m.loop), l.subject, l.owner, coalesce(l.opened_by, m.opened_by),
               CASE WHEN l.id IS NULL THEN 'the duty itself is gone'
                    WHEN coalesce(m.opened, 0) <> 1 THEN 'opened ' || coalesce(m.opened, 0) || ' times'
                    WHEN m.opened_by <> l.opened_by THEN 'opened by another fact'
                    WHEN l.closed_at IS NULL THEN 'open, with a movement that closed it'
                    WHEN m.closed <> 1 THEN 'closed, ' || m.closed || ' movements that say so'
                    ELSE 'closed by another fact' END
        FROM loop l FULL JOIN m ON m.loop = l.id
        WHERE l.id IS NULL OR coalesce(m.opened, 0) <> 1 OR m.opened_by <> l.opened_by
           OR m.closed <> CASE WHEN l.closed_at IS NULL THEN 0 ELSE 1 END OR m.closed_by IS DISTINCT FROM l.closed_by
        """,
    ),
    _Sql(
        "movement_missing",
        "movements",
        "待办 {loop} 的移交记录不完整：{what}",
        "duty {loop}: its movements are not whole: {what}",
        f"""
        SELECT h.loop, f.subject, f.unit, f.id, 'none for ' || f.kind {_HANDLED_WITHOUT_MOVEMENT}
        """,
    ),
    _Sql(
        "opened_without_fact", "loops",
        "待办 {loop} 没有立得住的来由：{what}", "duty {loop}: what opened it does not stand: {what}",
        f"""
        SELECT l.id, l.subject, l.owner, l.opened_by,
               CASE WHEN f.id IS NULL THEN 'the fact is gone' WHEN f.kind IN (%(voided)s, %(succeeded)s) THEN 'a successor without forerunner'
                    WHEN o.fact IS NULL THEN f.kind || ' opens no ' || l.kind ELSE 'the fact was withdrawn' END
        FROM loop l LEFT JOIN fact f ON f.id = l.opened_by
        LEFT JOIN unnest(%(opens_loop)s::text[], %(opens_fact)s::text[]) AS o(loop, fact) ON o.loop = l.kind AND o.fact = f.kind
        WHERE f.id IS NULL
           OR (f.kind IN (%(voided)s, %(succeeded)s) AND NOT EXISTS (
                 SELECT 1 FROM movement m WHERE m.loop = l.id AND m.what = 'opened' AND m.forerunner IS NOT NULL))
           OR (f.kind NOT IN (%(voided)s, %(succeeded)s) AND o.fact IS NULL)
           OR (l.closed_at IS NULL AND {_VOIDED.format(fact="l.opened_by")})
        """,
    ),
    _Sql(
        "closed_without_fact", "closed",
        "待办 {loop} 的办结没有立得住的依据：{what}", "duty {loop}: what closed it does not stand: {what}",
        f"""
        WITH c AS (
          SELECT l.id, l.event, l.kind, l.key, l.subject, l.owner, l.outcome, l.closed_by, f.id AS fact, f.kind AS fact_kind,
                 coalesce(cl.root, l.subject) AS root, coalesce(cf.root, f.subject) AS fact_root, a.fact AS accepted,
                 {_VOIDED.format(fact="l.closed_by")} AS withdrawn
          FROM loop l LEFT JOIN fact f ON f.id = l.closed_by
          LEFT JOIN cluster cl ON cl.subject = l.subject LEFT JOIN cluster cf ON cf.subject = f.subject
          LEFT JOIN unnest(%(closes_loop)s::text[], %(closes_fact)s::text[]) AS a(loop, fact) ON a.loop = l.kind AND a.fact = f.kind
          WHERE l.closed_at IS NOT NULL),
        bad AS (
          SELECT *, CASE WHEN fact IS NULL THEN 'the fact is gone'
                         WHEN outcome = 'met' AND accepted IS NULL THEN kind || ' is not met by ' || fact_kind
                         WHEN outcome = 'waived' AND fact_kind <> %(waived)s THEN 'waived without a waiver'
                         WHEN outcome = 'void' AND fact_kind NOT IN (%(voided)s, %(merged)s) THEN 'void without a withdrawal'
                         WHEN withdrawn THEN 'the fact was withdrawn, and nobody owes it again'
                         WHEN outcome = 'met' AND fact_root <> root THEN 'the fact is about another person, and nobody owes it again' END AS what
          FROM c)
        SELECT b.id, b.subject, b.owner, b.closed_by, b.what FROM bad b
        WHERE b.what IS NOT NULL AND (b.what NOT LIKE '%%owes it again' OR NOT (
          EXISTS (SELECT 1 FROM movement m WHERE m.forerunner = b.id)
          OR EXISTS (SELECT 1 FROM loop o LEFT JOIN cluster co ON co.subject = o.subject
                     WHERE o.id <> b.id AND o.event = b.event AND o.kind = b.kind AND o.key = b.key
                       AND coalesce(co.root, o.subject) = b.root AND (o.closed_at IS NULL OR o.outcome <> 'void'))))
        """,
    ),
    _Sql(
        "deadline_moved", "loops",
        "待办 {loop} 的时限被改动：{what}", "duty {loop}: its deadline is not what its movements say: {what}",
        """
        SELECT l.id, l.subject, l.owner, m.at_fact, 'movements say ' || coalesce(to_char(m.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'none')
        FROM loop l
        JOIN (SELECT DISTINCT ON (loop) loop, due_at, at_fact FROM movement WHERE what IN ('opened', 'extended') ORDER BY loop, id DESC) m
          ON m.loop = l.id
        WHERE m.due_at IS DISTINCT FROM l.due_at
        """,
    ),
    _Sql(
        "timer_missing", "open",
        "待办 {loop} 没有下一次提醒", "duty {loop}: its next call for help is not set",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, NULL
        FROM loop l
        JOIN LATERAL (SELECT max(r.level) AS level FROM rung r WHERE r.pack = l.pack AND r.kind = l.kind) top ON true
        WHERE l.closed_at IS NULL AND l.due_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.loop = l.id)
          AND (top.level IS NULL OR NOT EXISTS (SELECT 1 FROM fired f WHERE f.loop = l.id AND f.level = top.level AND f.bucket >= l.due_at))
        """,
    ),
    _Sql(
        "timer_stale", "timers",
        "待办 {loop} 的提醒不对：{what}", "duty {loop}: its next call for help is wrong: {what}",
        """
        SELECT t.loop, l.subject, l.owner, NULL::uuid,
               CASE WHEN l.id IS NULL THEN 'the duty is gone' WHEN l.closed_at IS NOT NULL THEN 'the duty is closed'
                    WHEN l.due_at IS NULL THEN 'the duty has no deadline' WHEN r.level IS NULL THEN 'level ' || t.level || ' is not on its ladder'
                    ELSE 'before its time' END
        FROM timer t LEFT JOIN loop l ON l.id = t.loop LEFT JOIN rung r ON r.pack = l.pack AND r.kind = l.kind AND r.level = t.level
        WHERE l.id IS NULL OR l.closed_at IS NOT NULL OR l.due_at IS NULL OR r.level IS NULL OR t.bucket < l.due_at + r.after
        """,
    ),
    _Sql(
        "fired_missing", "open",
        "待办 {loop} 到时没有请上级协助：{what}", "duty {loop}: nobody was asked for help in time: {what}",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, 'level ' || t.level || ' is overdue'
        FROM timer t JOIN loop l ON l.id = t.loop WHERE l.closed_at IS NULL AND t.bucket < %(late)s
        UNION ALL
        SELECT l.id, l.subject, l.owner, NULL::uuid, 'level ' || r.level || ' was passed over'
        FROM loop l JOIN rung r ON r.pack = l.pack AND r.kind = l.kind JOIN timer t ON t.loop = l.id AND t.level > r.level
        WHERE l.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM fired f WHERE f.loop = l.id AND f.level = r.level AND f.bucket >= l.due_at)
        UNION ALL
        SELECT f.loop, NULL, f.unit, f.fact, 'level ' || f.level || ' fired, its fact is gone'
        FROM fired f LEFT JOIN fact a ON a.id = f.fact WHERE a.id IS NULL
        """,
    ),
    _Sql(
        "offer_stale", "offers",
        "待办 {loop} 的移交早已过时，仍未收回", "duty {loop}: its offer ran out and was not taken back",
        "SELECT id, subject, owner, NULL::uuid, NULL FROM loop WHERE closed_at IS NULL AND offered_until < %(late)s",
    ),
    _Sql(
        "offer_wrong", "open",
        "待办 {loop} 的移交状态与移交记录不符：{what}", "duty {loop}: whom it is offered to is not what its movements say: {what}",
        """
        SELECT l.id, l.subject, l.owner, m.at_fact, 'offered to ' || coalesce(l.offered_to::text, 'nobody') || ', last movement ' || m.what
        FROM loop l JOIN (SELECT DISTINCT ON (loop) loop, what, to_unit, at_fact FROM movement WHERE what <> 'extended' ORDER BY loop, id DESC) m
          ON m.loop = l.id
        WHERE l.closed_at IS NULL AND l.offered_to IS DISTINCT FROM CASE WHEN m.what = 'offered' THEN m.to_unit END
        """,
    ),
    _Sql(
        "tally_wrong", "movements",
        "单位 {unit} 的统计数不对：{what}", "unit {unit}: its counts are wrong: {what}",
        f"""
        WITH said AS (
          SELECT event, unit, kind, sum(opened) AS opened, sum(closed) AS closed, sum(moved_in) AS moved_in, sum(moved_out) AS moved_out, sum(late) AS late
          FROM (SELECT event, unit, kind, opened, closed, moved_in, moved_out, late FROM tally
                UNION ALL SELECT event, unit, kind, opened, closed, moved_in, moved_out, late FROM tally_delta) t
          WHERE event <> ALL(%(ended)s) GROUP BY 1, 2, 3),
        flows AS (
          SELECT l.event, l.kind, x.unit, sum(x.opened) AS opened, sum(x.closed) AS closed, sum(x.moved_in) AS moved_in, sum(x.moved_out) AS moved_out,
                 0 AS late
          FROM movement m JOIN loop l ON l.id = m.loop
          CROSS JOIN LATERAL (VALUES
            (m.to_unit, CASE WHEN m.what = 'opened' THEN 1 ELSE 0 END, 0, CASE WHEN m.what IN ('accepted', 'reassigned') THEN 1 ELSE 0 END, 0),
            (m.from_unit, 0, CASE WHEN m.what = 'closed' THEN 1 ELSE 0 END, 0, CASE WHEN m.what IN ('accepted', 'reassigned') THEN 1 ELSE 0 END))
            AS x(unit, opened, closed, moved_in, moved_out)
          WHERE m.what IN ('opened', 'closed', 'accepted', 'reassigned') AND x.unit IS NOT NULL AND l.event <> ALL(%(ended)s) GROUP BY 1, 2, 3
          UNION ALL
          SELECT l.event, l.kind, l.owner, 0, 0, 0, 0, count(*) FROM loop l
          WHERE l.closed_at IS NULL AND l.due_at IS NOT NULL AND EXISTS (SELECT 1 FROM rung r WHERE r.pack = l.pack AND r.kind = l.kind)
            AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.loop = l.id AND t.level = 1) GROUP BY 1, 2, 3),
        is_so AS (
          SELECT event, unit, kind, sum(opened) AS opened, sum(closed) AS closed, sum(moved_in) AS moved_in, sum(moved_out) AS moved_out, sum(late) AS late
          FROM flows GROUP BY 1, 2, 3)
        SELECT NULL::bigint, NULL::uuid, coalesce(s.unit, i.unit), NULL::uuid,
               concat_ws(', ', coalesce(s.kind, i.kind),
                 {", ".join(f"CASE WHEN coalesce(s.{n}, 0) <> coalesce(i.{n}, 0) THEN '{n} ' || coalesce(s.{n}, 0) || ', is ' || coalesce(i.{n}, 0) END"
                            for n in ("opened", "closed", "moved_in", "moved_out", "late"))})
        FROM said s FULL JOIN is_so i ON (i.event, i.unit, i.kind) = (s.event, s.unit, s.kind)
        WHERE (coalesce(s.opened, 0), coalesce(s.closed, 0), coalesce(s.moved_in, 0), coalesce(s.moved_out, 0), coalesce(s.late, 0))
           <> (coalesce(i.opened, 0), coalesce(i.closed, 0), coalesce(i.moved_in, 0), coalesce(i.moved_out, 0), coalesce(i.late, 0))
        """,
    ),
    _Sql(
        "tally_wrong", "movements",
        "单位 {unit} 今日的统计数不对：{what}", "unit {unit}: its counts of today are wrong: {what}",
        """
        WITH said AS (
          SELECT event, unit, kind, sum(opened) AS opened, sum(closed) AS closed
          FROM (SELECT event, unit, kind, day, opened, closed FROM tally UNION ALL SELECT event, unit, kind, day, opened, closed FROM tally_delta) t
          WHERE day = %(day)s AND event <> ALL(%(ended)s) GROUP BY 1, 2, 3),
        is_so AS (
          SELECT l.event, l.kind, coalesce(m.to_unit, m.from_unit) AS unit, count(*) FILTER (WHERE m.what = 'opened') AS opened,
                 count(*) FILTER (WHERE m.what = 'closed') AS closed
          FROM movement m JOIN loop l ON l.id = m.loop
          WHERE m.what IN ('opened', 'closed') AND l.event <> ALL(%(ended)s) AND m.received_at >= %(day_start)s AND m.received_at < %(day_start)s + interval '1 day' GROUP BY 1, 2, 3)
        SELECT NULL::bigint, NULL::uuid, coalesce(s.unit, i.unit), NULL::uuid,
               coalesce(s.kind, i.kind) || ', opened ' || coalesce(s.opened, 0) || ', is ' || coalesce(i.opened, 0) || ', closed '
               || coalesce(s.closed, 0) || ', is ' || coalesce(i.closed, 0)
        FROM said s FULL JOIN is_so i ON (i.event, i.unit, i.kind) = (s.event, s.unit, s.kind)
        WHERE coalesce(s.opened, 0) <> coalesce(i.opened, 0) OR coalesce(s.closed, 0) <> coalesce(i.closed, 0)
        """,
    ),
    _Sql(
        "scope_wrong", "open",
        "待办 {loop} 的辖区代码与其地区不符：{what}", "duty {loop}: its scope is not that of its region: {what}",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, l.scope || ', is ' || coalesce(s.scope::text, 'none')
        FROM loop l LEFT JOIN region_scope s ON s.region_id = l.region AND s.valid @> %(day)s::date
        WHERE l.closed_at IS NULL AND s.scope IS DISTINCT FROM l.scope
        """,
    ),
    _Sql(
        "visible_missing", "open",
        "单位 {unit} 看不到其待办 {loop} 的对象", "unit {unit} cannot see whom its duty {loop} is about",
        """
        SELECT l.id, l.subject, w.unit, NULL::uuid, NULL
        FROM loop l CROSS JOIN LATERAL (SELECT l.owner AS unit UNION ALL SELECT l.offered_to WHERE l.offered_to IS NOT NULL) w
        WHERE l.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM visible v WHERE v.subject = l.subject AND v.unit = w.unit)
        """,
    ),
    _Sql(
        "subject_missing", "facts",
        "{what} 的对象不存在", "{what}: whom it is about does not exist",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, 'duty ' || l.id FROM loop l LEFT JOIN subject s ON s.id = l.subject WHERE s.id IS NULL
        UNION ALL
        SELECT NULL, f.subject, f.unit, f.id, f.kind FROM fact f LEFT JOIN subject s ON s.id = f.subject
        WHERE s.id IS NULL AND NOT EXISTS (SELECT 1 FROM unit u WHERE subject_of_unit(u.id) = f.subject)
        """,
    ),
)  # fmt: skip


def _rows(sql: str, parameters: dict) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def _declared(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    found = list(pairs)
    return [loop for loop, _ in found], [fact for _, fact in found]


def _parameters(now: datetime) -> dict[str, Any]:
    day = now.astimezone(clock.SHANGHAI).date()
    loops = declare.kinds().values()
    opens_loop, opens_fact = _declared((loop.name, fact.name) for loop in loops for fact in loop.opens)
    closes_loop, closes_fact = _declared((loop.name, fact.name) for loop in loops for fact in loop.closes)
    return {
        "now": now, "late": now - CLOCK_LATE, "day": day, "day_start": clock.day_start(day),
        "opens_loop": opens_loop, "opens_fact": opens_fact, "closes_loop": closes_loop, "closes_fact": closes_fact,
        "voided": facts.VOIDED.name, "succeeded": facts.SUCCEEDED.name, "waived": facts.WAIVED.name, "merged": facts.MERGED.name,
        "moving": _MOVING, "ended": list(Ending.objects.filter(begun_at__isnull=False).values_list("event", flat=True)),
    }  # fmt: skip


def _run(check: _Sql, parameters: dict, n: int) -> Found:
    gaps = []
    for loop, subject, unit, fact, what in _rows(f"SELECT * FROM ({check.sql}) x LIMIT {GAPS_MAX}", parameters):
        names = {"loop": loop, "unit": unit, "fact": fact, "what": what}
        gaps.append(
            Gap(
                check.name,
                what or check.name,
                check.zh.format(**names),
                check.en.format(**names),
                loop=loop,
                subject=subject,
                unit=unit,
                fact=fact,
            )
        )
    return Found(n, gaps)


# --- checks that need the declarations ------------------------------------------------------------------------------


def _combos(kind: FactKind, loop: declare.LoopKind, when: declare.When) -> tuple[str, list[str]]:
    """SQL of a combination's name, and the names of those for which the declaration says yes.

    The facts of a kind are few combinations of what the declaration reads: it is asked once for each, with the pack of
    the day on which the fact was heard and the place that it names.
    """
    reads = "".join(f", d.{name}" for name in when.reads)
    day = "(f.received_at AT TIME ZONE 'Asia/Shanghai')::date"
    name = f"jsonb_build_array(f.event, f.region, {day}{reads})::text"
    rows = _rows(
        f"SELECT {name}, f.event, f.region, {day}, max(f.received_at){reads} FROM fact f JOIN {kind.table} d ON d.fact = f.id"
        f" WHERE f.kind = %(kind)s GROUP BY f.event, f.region, {day}{reads}",
        {"kind": kind.name},
    )
    from bihuan.loops.record import event_region

    yes = []
    for combo, event, region, on, at, *values in rows:
        home = event_region(event)
        pack = packs.in_force(event, regions.scope_of(region or home, on), on)
        context = declare.Context(pack=pack, now=at, event=event, city_desk=regions.city_desk(home, on))
        if when.fn(*values, context):
            yes.append(combo)
    return name, yes


def _duty_missing(now: datetime) -> Found:
    """A standing fact that opens a duty of its kind, and nobody owes it, has met it, or is excused from it.

    A duty that ended as void counts only where another duty stands for it. An occurrence may have been named anew by a
    fact of another opening kind (a person was parted from another): then that fact's duty counts.
    """
    gaps: list[Gap] = []
    n = 0
    there = ledger.tables()
    for loop in declare.kinds().values():
        for kind, when in loop.opens.items():
            if kind.table not in there:
                continue
            name, yes = _combos(kind, loop, when)
            if not yes:
                continue
            # Without a key a duty is owed once at a time: it must have been open when the fact was heard, or opened then.
            key, in_time = (f"d.{kind.key}", "true") if kind.key else ("''", "(l.closed_at IS NULL OR l.closed_at >= w.received_at)")
            found = _rows(
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


def _duty_double(now: datetime) -> Found:
    """Two open duties of one person, kind and key. Where both were worked on, a person settles it: that is no gap."""
    rows = _rows(
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
    return Found(_rows(_COUNTS["open"], {})[0][0], gaps)


def _sealed(seal, fact: str) -> tuple[str, dict[str, Any]]:
    """SQL condition with named parameters: the fact was closed by this seal or an earlier one. None: all facts."""
    if seal is None:
        return "true", {}
    condition, values = seals.sealed_by(seal, fact)
    for no in range(len(values)):
        condition = condition.replace("%s", f"%(seal{no})s", 1)
    return condition, {f"seal{no}": value for no, value in enumerate(values)}


def content_changed(now: datetime | None = None, seal=None) -> Found:
    """The details are not what was reported: their digest, computed anew, is not the fact's. `seal`: up to this one only."""
    gaps: list[Gap] = []
    n = 0
    condition, parameters = _sealed(seal, "f")
    for table, kinds in ledger.tables().items():
        for kind in kinds:
            columns = "".join(f", d.{field.name}" for field in kind.fields)
            found = _rows(
                f"""
                SELECT s0.id, s0.subject FROM (
                  SELECT f.id, f.event, f.subject, f.happened_at, f.digest AS said{columns} FROM fact f JOIN {table} d ON d.fact = f.id
                  WHERE f.kind = %(kind)s AND {condition}) s0
                WHERE s0.said <> {digest(kind, "s0")} LIMIT {GAPS_MAX}
                """,
                {"kind": kind.name, **parameters},
            )
            n += 1
            for fact, subject in found:
                gaps.append(
                    Gap("content_changed", kind.name, f"办理记录 {fact} 的内容在记录后被改动", f"fact {fact} ({kind.name}): its content was changed after it was recorded",
                        subject=subject, fact=fact)
                )  # fmt: skip
    return Found(n, gaps)


# --- balances -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Balance:
    """One unit (None: all of them) in an interval: held_start + opened + moved_in = held_end + closed + moved_out."""

    unit: int | None
    held_start: int
    opened: int
    moved_in: int
    held_end: int
    closed: int
    moved_out: int

    @property
    def holds(self) -> bool:
        return self.held_start + self.opened + self.moved_in == self.held_end + self.closed + self.moved_out


_FLOWS = """
WITH m AS (
  SELECT m.what, m.from_unit, m.to_unit, m.received_at, m.loop, m.id FROM movement m JOIN loop l ON l.id = m.loop {sealed}
  WHERE m.what IN ('opened', 'closed', 'accepted', 'reassigned') AND m.received_at <= %(until)s AND (%(event)s::int IS NULL OR l.event = %(event)s)),
x AS (
  SELECT to_unit AS unit, received_at >= %(since)s AS inside, CASE WHEN what = 'opened' THEN 1 ELSE 0 END AS opened, 0 AS closed,
         CASE WHEN what <> 'opened' THEN 1 ELSE 0 END AS moved_in, 0 AS moved_out FROM m WHERE what <> 'closed'
  UNION ALL
  SELECT from_unit, received_at >= %(since)s, 0, CASE WHEN what = 'closed' THEN 1 ELSE 0 END, 0, CASE WHEN what <> 'closed' THEN 1 ELSE 0 END
  FROM m WHERE what <> 'opened'),
flows AS (
  SELECT unit, coalesce(sum(opened + moved_in - closed - moved_out) FILTER (WHERE NOT inside), 0) AS held_start,
         coalesce(sum(opened) FILTER (WHERE inside), 0) AS opened, coalesce(sum(moved_in) FILTER (WHERE inside), 0) AS moved_in,
         coalesce(sum(closed) FILTER (WHERE inside), 0) AS closed, coalesce(sum(moved_out) FILTER (WHERE inside), 0) AS moved_out
  FROM x GROUP BY unit),
held AS ({held})
SELECT coalesce(f.unit, h.unit), coalesce(f.held_start, 0), coalesce(f.opened, 0), coalesce(f.moved_in, 0), coalesce(h.n, 0), coalesce(f.closed, 0),
       coalesce(f.moved_out, 0)
FROM flows f FULL JOIN held h ON h.unit = f.unit ORDER BY 1
"""
_HELD_NOW = (
    "SELECT owner AS unit, count(*) AS n FROM loop WHERE closed_at IS NULL AND (%(event)s::int IS NULL OR event = %(event)s) GROUP BY owner"
)
# Each duty once, with whoever held it last: another way to the number than adding up the flows.
_HELD_THEN = """
SELECT unit, count(*) AS n FROM (
  SELECT DISTINCT ON (loop) loop, what, to_unit AS unit FROM m ORDER BY loop, id DESC) last WHERE what <> 'closed' GROUP BY unit"""


def balances(since: datetime, until: datetime, event: int | None = None, *, live: bool = False, seal=None) -> list[Balance]:
    """Every unit's account of an interval, from movements. `held_end` is counted another way than the flows: with `live`
    from the duties open now (until = now), else from each duty's last holder. `seal`: only what it and earlier ones closed.
    """
    sealed, parameters = "", {"since": since, "until": until, "event": event}
    if seal is not None:
        condition, values = _sealed(seal, "sf")
        parameters |= values
        sealed = f"JOIN fact sf ON sf.id = m.at_fact AND {condition}"
    sql = _FLOWS.format(sealed=sealed, held=_HELD_NOW if live else _HELD_THEN)
    return [Balance(*map(int, row)) for row in _rows(sql, parameters)]


def total(of: list[Balance]) -> Balance:
    """All units as one: what moved between them is in and out alike."""
    return Balance(None, *(sum(getattr(b, f.name) for b in of) for f in dataclasses.fields(Balance)[1:]))


def _balance_gaps(of: list[Balance], interval: str) -> list[Gap]:
    gaps = []
    for b in of:
        if b.holds and min(b.held_start, b.held_end) >= 0:
            continue
        what = f"{interval}: {b.held_start} + {b.opened} + {b.moved_in}, {b.held_end} + {b.closed} + {b.moved_out}"
        gaps.append(
            Gap(
                "balance",
                what,
                f"单位 {b.unit} 的账不平：期初{b.held_start} + 新增{b.opened} + 转入{b.moved_in} ≠ 期末{b.held_end} + 办结{b.closed} + 转出{b.moved_out}",
                f"unit {b.unit} does not balance: held {b.held_start} + opened {b.opened} + in {b.moved_in}"
                f" is not held {b.held_end} + closed {b.closed} + out {b.moved_out}",
                unit=b.unit,
            )  # fmt: skip
        )
    return gaps


_START = datetime(1, 1, 2, tzinfo=clock.SHANGHAI)  # before any event


# --- the whole ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Report:
    """`checked`: name -> how much was looked at. `notes`: what is no gap but somebody should know."""

    at: datetime
    seal: tuple[int, int] | None
    checked: dict[str, int]
    gaps: list[Gap]
    notes: dict[str, int]
    balance: dict[str, dict[str, Any]]

    @property
    def ok(self) -> bool:
        return not self.gaps

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok, "at": self.at.astimezone(clock.SHANGHAI).isoformat(), "seal": list(self.seal) if self.seal else None,
            "checked": self.checked, "gaps": [gap.as_json() for gap in self.gaps], "notes": self.notes, "balance": self.balance,
        }  # fmt: skip


def _accounts(intervals: dict[str, list[Balance]]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, of in intervals.items():
        sums = dataclasses.asdict(total(of))
        del sums["unit"]
        found[name] = {**sums, "n_units": len(of), "holds": all(b.holds for b in of)}
    return found


def verify(at: datetime | None = None) -> Report:
    """All checks at one instant; with `at` those that facts and movements up to the last seal before it can answer.

    Refuses nothing; takes seconds per million duties. Worker's role.
    """
    kept = ledger.kept_heads()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _then(at, kept) if at is not None else _now(kept)


def _now(kept: Kept) -> Report:
    now = clock.now()
    parameters = _parameters(now)
    counts = {name: _rows(sql, {})[0][0] for name, sql in _COUNTS.items()}
    found: dict[str, list[Found]] = {}
    for check in _CHECKS:
        found.setdefault(check.name, []).append(_run(check, parameters, counts[check.of]))
    for name, fn in (("duty_missing", _duty_missing), ("duty_double", _duty_double), ("content_changed", content_changed)):
        found[name] = [fn(now)]
    found["details_missing"] = [ledger.details_missing()]
    found["seal_broken"] = [ledger.seal_broken(kept=kept)]
    intervals = {"event": balances(_START, now, live=True), "day": balances(parameters["day_start"], now, live=True)}
    found["balance"] = [Found(len(of), _balance_gaps(of, name)) for name, of in intervals.items()]
    for name, fn in _registered.items():
        answer = fn(now)
        found[name] = [answer if isinstance(answer, Found) else Found(len(answer), answer)]
    return Report(
        at=now, seal=None, checked={name: max(f.n for f in some) for name, some in found.items()},
        gaps=[gap for some in found.values() for f in some for gap in f.gaps],
        notes={"conflict_open": conflicts.n_open(), "unsealed": seals.unsealed()}, balance=_accounts(intervals),
    )  # fmt: skip


def _without_fact(condition: str, parameters: dict) -> list[Gap]:
    """Duties opened or closed up to a seal by a fact of a kind that they do not take: declarations hold for the past too."""
    names = _parameters(clock.now())
    rows = _rows(
        f"""
        WITH m AS (SELECT m.loop, m.what, m.forerunner, m.at_fact, sf.kind FROM movement m JOIN fact sf ON sf.id = m.at_fact AND {condition}
                   WHERE m.what IN ('opened', 'closed'))
        SELECT m.loop, m.at_fact, m.kind || CASE m.what WHEN 'opened' THEN ' opens no ' ELSE ' does not close ' END || l.kind,
               CASE m.what WHEN 'opened' THEN 'opened_without_fact' ELSE 'closed_without_fact' END
        FROM m JOIN loop l ON l.id = m.loop
        WHERE (m.what = 'opened' AND m.kind NOT IN (%(voided)s, %(succeeded)s) AND NOT EXISTS (
                 SELECT 1 FROM unnest(%(opens_loop)s::text[], %(opens_fact)s::text[]) AS o(loop, fact) WHERE o.loop = l.kind AND o.fact = m.kind))
           OR (m.what = 'opened' AND m.kind IN (%(voided)s, %(succeeded)s) AND m.forerunner IS NULL)
           OR (m.what = 'closed' AND m.kind NOT IN (%(voided)s, %(merged)s, %(waived)s) AND NOT EXISTS (
                 SELECT 1 FROM unnest(%(closes_loop)s::text[], %(closes_fact)s::text[]) AS c(loop, fact) WHERE c.loop = l.kind AND c.fact = m.kind))
        LIMIT {GAPS_MAX}
        """,
        {**names, **parameters},
    )
    return [
        Gap(check, what, f"待办 {loop} 的来由或办结依据不对：{what}", f"duty {loop}: what opened or closed it is not what it takes: {what}",
            loop=loop, fact=fact)
        for loop, fact, what, check in rows
    ]  # fmt: skip


def _then(at: datetime, kept: Kept) -> Report:
    """As of the last seal before `at`: accounts, holders, and whole histories. Deadlines and timers are of now only."""
    seal = seals.cutoff(at)
    if seal is None:
        return Report(at=at, seal=None, checked={}, gaps=[], notes={"before_first_seal": 1}, balance={})
    until = seal.sealed_at
    day_start = clock.day_start(until.astimezone(clock.SHANGHAI).date())
    intervals = {"event": balances(_START, until, seal=seal), "day": balances(day_start, until, seal=seal)}
    condition, parameters = _sealed(seal, "sf")
    broken = _rows(
        f"""
        WITH m AS (SELECT m.loop, m.id, m.what, m.from_unit, m.to_unit, m.at_fact FROM movement m JOIN fact sf ON sf.id = m.at_fact AND {condition}
                   WHERE m.what IN ('opened', 'accepted', 'reassigned', 'closed')),
        h AS (SELECT *, lag(to_unit) OVER w AS before, lag(what) OVER w AS after_what FROM m WINDOW w AS (PARTITION BY loop ORDER BY id))
        SELECT loop, at_fact, what FROM h
        WHERE (what = 'opened') <> (after_what IS NULL) OR (what <> 'opened' AND (from_unit IS DISTINCT FROM before OR after_what = 'closed'))
        LIMIT {GAPS_MAX}
        """,
        parameters,
    )
    fired = _rows(f"SELECT count(*) FROM fired f JOIN fact sf ON sf.id = f.fact AND {condition}", parameters)[0][0]
    gaps = [
        Gap(
            "owner_moved",
            what,
            f"待办 {loop} 的移交记录前后不接：{what}",
            f"duty {loop}: its movements do not follow one another: {what}",
            loop=loop,
            fact=fact,
        )
        for loop, fact, what in broken
    ]
    unmoved = _rows(
        f"SELECT h.loop, f.id, f.kind {_HANDLED_WITHOUT_MOVEMENT} AND f.id IN (SELECT sf.id FROM fact sf WHERE {condition}) LIMIT {GAPS_MAX}",
        {**parameters, "moving": _MOVING},
    )
    gaps += [
        Gap(
            "movement_missing",
            f"none for {kind}",
            f"待办 {loop} 的移交记录不完整：{kind}",
            f"duty {loop}: its movements are not whole: none for {kind}",
            loop=loop,
            fact=fact,
        )
        for loop, fact, kind in unmoved
    ]
    gaps += [gap for name, of in intervals.items() for gap in _balance_gaps(of, name)]
    gaps += _without_fact(condition, parameters)
    content, chain = content_changed(seal=seal), ledger.seal_broken(kept=kept)
    n_loops = total(intervals["event"]).opened
    checked = {"balance": len(intervals["event"]), "owner_moved": n_loops, "movement_missing": n_loops}
    checked |= {"closed_without_fact": n_loops, "content_changed": content.n, "seal_broken": chain.n}
    return Report(
        at=at, seal=(seal.epoch, seal.no), checked=checked, gaps=gaps + content.gaps + chain.gaps, notes={"fired": fired}, balance=_accounts(intervals),
    )  # fmt: skip
