"""`verify`: recomputes what must always hold of duties, and names each one that breaks it.

Set-based: a check is one statement over everything, and rows come back only for what does not hold. All checks see one
instant (REPEATABLE READ, read only). Other floors add theirs with `register`. Runs as the worker's role, which sees all.
The questions stand in `checks` (a statement each), `owed` (what the declarations ask) and `balances` (accounts).
"""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.ledger import seals
from bihuan.ledger import verify as ledger
from bihuan.ledger.gaps import GAPS_MAX, Found, Gap
from bihuan.ledger.heads import Kept
from bihuan.loops import balances, checks, conflicts, owed
from bihuan.loops.sql import digest
from bihuan.loops.statement import run, sealed

Check = Callable[[datetime], "Found | list[Gap]"]
_registered: dict[str, Check] = {}


def register(name: str, fn: Check) -> None:
    """Add a check of another floor: fn(now) -> its gaps (or `Found` with how much it looked at). Names are stable."""
    if _registered.setdefault(name, fn) is not fn:
        raise TypeError(f"check {name} is registered twice")


def content_changed(now: datetime | None = None, seal=None) -> Found:
    """The details are not what was reported: their digest, computed anew, is not the fact's. `seal`: up to this one only."""
    gaps: list[Gap] = []
    n = 0
    condition, parameters = sealed(seal, "f")
    reported = ledger.reported()
    for table, kinds in ledger.tables().items():
        for kind in kinds:
            n += 1
            if kind.name not in reported:
                continue
            columns = "".join(f", d.{field.name}" for field in kind.fields)
            found = run(
                f"""
                SELECT s0.id, s0.subject FROM (
                  SELECT f.id, f.event, f.subject, f.happened_at, f.digest AS said{columns} FROM fact f JOIN {table} d ON d.fact = f.id
                  WHERE f.kind = %(kind)s AND {condition}) s0
                WHERE s0.said <> {digest(kind, "s0")} LIMIT {GAPS_MAX}
                """,
                {"kind": kind.name, **parameters},
            )
            for fact, subject in found:
                gaps.append(
                    Gap("content_changed", kind.name, f"办理记录 {fact} 的内容在记录后被改动", f"fact {fact} ({kind.name}): its content was changed after it was recorded",
                        subject=subject, fact=fact)
                )  # fmt: skip
    return Found(n, gaps)


_START = datetime(1, 1, 2, tzinfo=clock.SHANGHAI)  # before any event


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


def _accounts(intervals: dict[str, list[balances.Balance]]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, of in intervals.items():
        sums = dataclasses.asdict(balances.total(of))
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
    parameters = checks.parameters_at(now)
    counts = dict(zip(checks.COUNTS, run(f"SELECT {', '.join(f'({sql})' for sql in checks.COUNTS.values())}")[0], strict=True))
    found: dict[str, list[Found]] = {}
    for check in checks.CHECKS:
        found.setdefault(check.name, []).append(checks.gaps_of(check, parameters, counts[check.of]))
    for name, fn in (("duty_missing", owed.duty_missing), ("duty_double", owed.duty_double), ("content_changed", content_changed)):
        found[name] = [fn(now)]
    found["details_missing"] = [ledger.details_missing()]
    found["seal_broken"] = [ledger.seal_broken(kept=kept)]
    intervals = {"event": balances.balances(_START, now, live=True), "day": balances.balances(parameters["day_start"], now, live=True)}
    found["balance"] = [Found(len(of), balances.gaps_of(of, name)) for name, of in intervals.items()]
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
    names = checks.parameters_at(clock.now())
    rows = run(
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
    intervals = {"event": balances.balances(_START, until, seal=seal), "day": balances.balances(day_start, until, seal=seal)}
    condition, parameters = sealed(seal, "sf")
    broken = run(
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
    fired = run(f"SELECT count(*) FROM fired f JOIN fact sf ON sf.id = f.fact AND {condition}", parameters)[0][0]
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
    unmoved = run(
        f"SELECT h.loop, f.id, f.kind {checks.HANDLED_WITHOUT_MOVEMENT} AND f.id IN (SELECT sf.id FROM fact sf WHERE {condition}) LIMIT {GAPS_MAX}",
        {**parameters, "moving": checks.MOVING},
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
    gaps += [gap for name, of in intervals.items() for gap in balances.gaps_of(of, name)]
    gaps += _without_fact(condition, parameters)
    content, chain = content_changed(seal=seal), ledger.seal_broken(kept=kept)
    n_loops = balances.total(intervals["event"]).opened
    checked = {"balance": len(intervals["event"]), "owner_moved": n_loops, "movement_missing": n_loops}
    checked |= {"closed_without_fact": n_loops, "content_changed": content.n, "seal_broken": chain.n}
    return Report(
        at=at, seal=(seal.epoch, seal.no), checked=checked, gaps=gaps + content.gaps + chain.gaps, notes={"fired": fired}, balance=_accounts(intervals),
    )  # fmt: skip
