"""The checks of `verify` that are one statement each: owners, movements, facts behind, the clock, offers, counts, sight."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from bihuan.kernel import clock
from bihuan.ledger.gaps import GAPS_MAX, Found, Gap
from bihuan.ledger.models import Ending
from bihuan.loops import declare, facts
from bihuan.loops.statement import run

# How late the clock's own work may be before it counts as not done: it runs each minute, and may be at work now.
CLOCK_LATE = timedelta(minutes=2)


@dataclasses.dataclass(frozen=True)
class Sql:
    """One check as a statement: rows (loop, subject, unit, fact, what) of what does not hold.

    `of`: what it looks at, a key of `COUNTS`. `zh` and `en` may name {loop}, {unit}, {fact}, {what}.
    """

    name: str
    of: str
    zh: str
    en: str
    sql: str


COUNTS = {
    "open": "SELECT count(*) FROM loop WHERE closed_at IS NULL",
    "closed": "SELECT count(*) FROM loop WHERE closed_at IS NOT NULL",
    "loops": "SELECT count(*) FROM loop",
    "facts": "SELECT count(*) FROM fact",
    "movements": "SELECT count(*) FROM movement",
    "timers": "SELECT count(*) FROM timer",
    "offers": "SELECT count(*) FROM loop WHERE offered_to IS NOT NULL",
}

MOVING = [
    kind.name for kind in (facts.OFFERED, facts.ACCEPTED, facts.RETURNED, facts.EXPIRED, facts.REASSIGNED, facts.WAIVED, facts.MERGED)
]

# Parameters: now, late (now less what the clock may lag), day.
_OWNING = "('opened', 'accepted', 'reassigned')"
_LAST_OWNER = f"SELECT DISTINCT ON (loop) loop, to_unit, what FROM movement WHERE what IN {_OWNING} ORDER BY loop, id DESC"
_VOIDED = "EXISTS (SELECT 1 FROM handled h WHERE h.voids = {fact})"

# What is done with a duty is a fact and a movement, or neither.
HANDLED_WITHOUT_MOVEMENT = """
FROM fact f JOIN handled h ON h.fact = f.id AND h.loop IS NOT NULL
WHERE f.kind = ANY(%(moving)s) AND NOT EXISTS (SELECT 1 FROM movement m WHERE m.at_fact = f.id AND m.loop = h.loop)"""

CHECKS = (
    Sql(
        "owner_unknown", "open",
        "待办 {loop} 的承办单位 {unit} 不存在或已撤销", "duty {loop}: its owner, unit {unit}, does not exist or has ended",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, NULL FROM loop l LEFT JOIN unit u ON u.id = l.owner AND u.valid @> %(day)s::date
        WHERE l.closed_at IS NULL AND u.id IS NULL
        """,
    ),
    Sql(
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
    Sql(
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
    Sql(
        "movement_missing",
        "movements",
        "待办 {loop} 的移交记录不完整：{what}",
        "duty {loop}: its movements are not whole: {what}",
        f"""
        SELECT h.loop, f.subject, f.unit, f.id, 'none for ' || f.kind {HANDLED_WITHOUT_MOVEMENT}
        """,
    ),
    Sql(
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
    Sql(
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
    Sql(
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
    Sql(
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
    Sql(
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
    Sql(
        "fired_missing", "open",
        "待办 {loop} 到时没有请上级协助：{what}", "duty {loop}: nobody was asked for help in time: {what}",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, 'level ' || t.level || ' is overdue'
        FROM timer t JOIN loop l ON l.id = t.loop
        WHERE l.closed_at IS NULL AND t.bucket < %(late)s
          AND NOT EXISTS (  -- owed again just now, when its deadline had passed already: the clock comes by
            SELECT 1 FROM movement m
            WHERE m.loop = t.loop AND m.what IN ('opened', 'extended') AND m.received_at >= %(late)s AND m.due_at < m.received_at)
        UNION ALL
        SELECT l.id, l.subject, l.owner, NULL::uuid, 'level ' || r.level || ' was passed over'
        FROM loop l JOIN rung r ON r.pack = l.pack AND r.kind = l.kind JOIN timer t ON t.loop = l.id AND t.level > r.level
        WHERE l.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM fired f WHERE f.loop = l.id AND f.level = r.level AND f.bucket >= l.due_at)
        UNION ALL
        SELECT f.loop, NULL, f.unit, f.fact, 'level ' || f.level || ' fired, its fact is gone'
        FROM fired f LEFT JOIN fact a ON a.id = f.fact WHERE a.id IS NULL
        """,
    ),
    Sql(
        "offer_stale", "offers",
        "待办 {loop} 的移交早已过时，仍未收回", "duty {loop}: its offer ran out and was not taken back",
        "SELECT id, subject, owner, NULL::uuid, NULL FROM loop WHERE closed_at IS NULL AND offered_until < %(late)s",
    ),
    Sql(
        "offer_wrong", "open",
        "待办 {loop} 的移交状态与移交记录不符：{what}", "duty {loop}: whom it is offered to is not what its movements say: {what}",
        """
        SELECT l.id, l.subject, l.owner, m.at_fact, 'offered to ' || coalesce(l.offered_to::text, 'nobody') || ', last movement ' || m.what
        FROM loop l JOIN (SELECT DISTINCT ON (loop) loop, what, to_unit, at_fact FROM movement WHERE what <> 'extended' ORDER BY loop, id DESC) m
          ON m.loop = l.id
        WHERE l.closed_at IS NULL AND l.offered_to IS DISTINCT FROM CASE WHEN m.what = 'offered' THEN m.to_unit END
        """,
    ),
    Sql(
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
    Sql(
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
    Sql(
        "scope_wrong", "open",
        "待办 {loop} 的辖区代码与其地区不符：{what}", "duty {loop}: its scope is not that of its region: {what}",
        """
        SELECT l.id, l.subject, l.owner, NULL::uuid, l.scope || ', is ' || coalesce(s.scope::text, 'none')
        FROM loop l LEFT JOIN region_scope s ON s.region_id = l.region AND s.valid @> %(day)s::date
        WHERE l.closed_at IS NULL AND s.scope IS DISTINCT FROM l.scope
        """,
    ),
    Sql(
        "visible_missing", "open",
        "单位 {unit} 看不到其待办 {loop} 的对象", "unit {unit} cannot see whom its duty {loop} is about",
        """
        SELECT l.id, l.subject, w.unit, NULL::uuid, NULL
        FROM loop l CROSS JOIN LATERAL (SELECT l.owner AS unit UNION ALL SELECT l.offered_to WHERE l.offered_to IS NOT NULL) w
        WHERE l.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM visible v WHERE v.subject = l.subject AND v.unit = w.unit)
        """,
    ),
    Sql(
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


def _declared(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    found = list(pairs)
    return [loop for loop, _ in found], [fact for _, fact in found]


def parameters_at(now: datetime) -> dict[str, Any]:
    """What the statements of `CHECKS` may name."""
    day = now.astimezone(clock.SHANGHAI).date()
    loops = declare.kinds().values()
    opens_loop, opens_fact = _declared((loop.name, fact.name) for loop in loops for fact in loop.opens)
    closes_loop, closes_fact = _declared((loop.name, fact.name) for loop in loops for fact in loop.closes)
    return {
        "now": now, "late": now - CLOCK_LATE, "day": day, "day_start": clock.day_start(day),
        "opens_loop": opens_loop, "opens_fact": opens_fact, "closes_loop": closes_loop, "closes_fact": closes_fact,
        "voided": facts.VOIDED.name, "succeeded": facts.SUCCEEDED.name, "waived": facts.WAIVED.name, "merged": facts.MERGED.name,
        "moving": MOVING, "ended": list(Ending.objects.filter(begun_at__isnull=False).values_list("event", flat=True)),
    }  # fmt: skip


def gaps_of(check: Sql, parameters: dict, n: int) -> Found:
    """What does not hold; `n`: how much was looked at."""
    gaps = []
    for loop, subject, unit, fact, what in run(f"SELECT * FROM ({check.sql}) x LIMIT {GAPS_MAX}", parameters):
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
