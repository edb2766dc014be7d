"""Accounts from movements: what each unit held, got and gave in an interval adds up, for any instant of the past."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

import dataclasses
from datetime import datetime

from bihuan.ledger.gaps import Gap
from bihuan.loops.statement import run, sealed


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
    joined, parameters = "", {"since": since, "until": until, "event": event}
    if seal is not None:
        condition, values = sealed(seal, "sf")
        parameters |= values
        joined = f"JOIN fact sf ON sf.id = m.at_fact AND {condition}"
    sql = _FLOWS.format(sealed=joined, held=_HELD_NOW if live else _HELD_THEN)
    return [Balance(*map(int, row)) for row in run(sql, parameters)]


def total(of: list[Balance]) -> Balance:
    """All units as one: what moved between them is in and out alike."""
    return Balance(None, *(sum(getattr(b, f.name) for b in of) for f in dataclasses.fields(Balance)[1:]))


def gaps_of(of: list[Balance], interval: str) -> list[Gap]:
    """The accounts that do not balance, or are below nothing."""
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
