"""The three times of a jurisdiction, and the lists that they count. A figure and its list are one condition on `w` (leads.times)."""

# ruff: noqa: E501  a statement reads better unbroken

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bihuan.leads.queries import rows
from bihuan.leads.times import STAGES, Cut

# What a number counts, of the arrivals `w` of a cut.
WHATS = {
    "persons": "TRUE",
    "known": "w.to_known IS NOT NULL",
    "foreseen": "w.foreseen",
    "ahead": "w.ahead",
    "no_time": "w.arrived_at IS NULL",
    "taken": "w.to_taken IS NOT NULL",
    "waits": "w.taken_at IS NULL",
    "settled": "w.to_settled IS NOT NULL",
    "open": "w.settled_at IS NULL",
}
_STAGE_SQL = ", ".join(f"percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY w.to_{stage}) AS to_{stage}" for stage in STAGES)
_COUNTS = ", ".join(f"count(*) FILTER (WHERE {condition}) AS n_{what}" for what, condition in WHATS.items())
_FIGURES = f"""
SELECT grouping(u.line, w.source) AS level, u.line, w.source, {_COUNTS}, {_STAGE_SQL}
FROM w JOIN unnest(%(units)s::int[], %(lines)s::int[]) AS u(unit, line) ON u.unit = w.owner
GROUP BY GROUPING SETS ((), (u.line), (w.source))
"""


@dataclasses.dataclass(frozen=True)
class Stage:
    """How long it took from the instant before: half were at most `median`, nine of ten at most `ninth`; `n` are counted."""

    n: int
    median: timedelta | None
    ninth: timedelta | None


@dataclasses.dataclass(frozen=True)
class Figures:
    """`counts` by WHATS, `stages` by STAGES."""

    counts: Mapping[str, int]
    stages: Mapping[str, Stage]


NOBODY = Figures(dict.fromkeys(WHATS, 0), {stage: Stage(0, None, None) for stage in STAGES})


def _figures(row: Mapping[str, Any]) -> Figures:
    counts = {what: row[f"n_{what}"] for what in WHATS}
    stages = {}
    for stage in STAGES:
        half, nine = row[f"to_{stage}"] or (None, None)
        stages[stage] = Stage(counts[stage], half, nine)
    return Figures(counts, stages)


@dataclasses.dataclass(frozen=True)
class Found:
    total: Figures
    by_line: Mapping[int, Figures]
    by_source: Mapping[str, Figures]


def figures(cut: Cut, line_of: Mapping[int, int]) -> Found:
    """Everything on the page in one statement. `line_of`: the line to which each unit counts; others count nowhere.

    By source: the one that reported somebody first, so that the sources add up to the total.
    """
    sql, given = cut.sql()
    found = rows(sql + _FIGURES, given | {"units": list(line_of), "lines": list(line_of.values())})
    total = next((_figures(row) for row in found if row["level"] == 3), NOBODY)
    return Found(
        total,
        {row["line"]: _figures(row) for row in found if row["level"] == 1},
        {row["source"]: _figures(row) for row in found if row["level"] == 2},
    )


def condition(cut: Cut, units: Sequence[int], of_w: str, given_of_w: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The duties `l` of those arrivals that `of_w` means, owned by these units."""
    sql, given = cut.sql()
    return f"l.id IN ({sql} SELECT w.duty FROM w WHERE w.owner = ANY(%(owners)s) AND ({of_w}))", {
        **given,
        **given_of_w,
        "owners": list(units),
    }


def listed(cut: Cut, units: Sequence[int], what: str, source: str) -> tuple[str, dict[str, Any]]:
    """The condition behind a number of the page; `source` "" = whoever reported first."""
    where = WHATS[what] + (" AND w.source = %(source)s" if source else "")
    return condition(cut, units, where, {"source": source})
