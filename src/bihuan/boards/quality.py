"""What each source is worth: whom it alone found, its errors, its delay, what it shares; and how many none of them found.

Two figures that are never one: those on the books whom nobody answers for (脱管, a list of names: `leads.times.untaken`) and
those whom no source found (漏管, an estimate). A figure and its list are one condition on `w` (leads.times).
"""

# ruff: noqa: E501  a statement reads better unbroken

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bihuan.boards.times import condition
from bihuan.epi import capture
from bihuan.leads.facts import Found, LeadSource, Tried
from bihuan.leads.queries import rows
from bihuan.leads.standing import SEEN
from bihuan.leads.times import Cut, untaken

# A telephone's number alone is nobody yet: whom such a source alone found is on no list of persons, and may be somebody known.
NUMBERS_ONLY = frozenset({LeadSource.TELECOM_REMINDER})
# Declared because another source reminded them: by design not found apart from it.
PROMPTED = frozenset({LeadSource.SELF_DECLARATION})

# What a number about one source counts, of the arrivals that it reported.
WHATS = {
    "found": "TRUE",
    "alone": "cardinality(w.sources) = 1",
    "first": "w.source = %(source)s",
    "delay": "w.arrived_at <= %(at)s",
    "answered": "w.found IS NOT NULL",
    "wrong_number": "w.wrong_number",
    "not_here": "w.found = ANY(%(not_here)s)",
    "needless": "w.found = %(needless)s",
}
_GIVEN = {"not_here": [Found.GONE_ON.value, Found.WILL_NOT_COME.value], "needless": Found.NOTHING_REQUIRED.value}
assert Tried.WRONG_NUMBER == "wrong_number"  # leads.times reads it by this word

_COUNTS = ", ".join(f"count(*) FILTER (WHERE {sql.replace('%(source)s', 's.source')}) AS n_{what}" for what, sql in WHATS.items())
_NAMES = ", ".join(f"n_{what}" for what in WHATS)
_QUALITY = f"""
, mine AS MATERIALIZED (SELECT * FROM w WHERE w.owner = ANY(%(owners)s))
SELECT NULL AS source, w.sources, w.is_number, count(*) AS n_found, {", ".join(f"NULL::bigint AS n_{what}" for what in WHATS if what != "found")}, NULL::interval[] AS delay
FROM mine w GROUP BY w.sources, w.is_number
UNION ALL
SELECT s.source, NULL, NULL, {_NAMES}, delay FROM (
  SELECT s.source, {_COUNTS},
    percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY greatest(s.first_at - w.arrived_at, interval '0')) FILTER (WHERE w.arrived_at <= %(at)s) AS delay
  FROM mine w, unnest(w.sources, w.firsts) AS s(source, first_at) GROUP BY s.source) s
"""
_FILES = """
SELECT f.id, f.source, f.name, f.received_at, f.n_rows, f.rejected, u.name AS unit FROM intake_file f LEFT JOIN unit u ON u.id = f.unit
WHERE f.event = %(event)s AND f.kind = 'leads' AND f.state = 'done' AND (%(since)s::timestamptz IS NULL OR f.received_at >= %(since)s) AND f.received_at <= %(at)s
ORDER BY f.source, f.id DESC LIMIT 1000
"""


@dataclasses.dataclass(frozen=True)
class Source:
    """One source's people, by WHATS; `median` and `ninth`: from the arrival to this source's own first report."""

    source: str
    counts: Mapping[str, int]
    median: timedelta | None
    ninth: timedelta | None


@dataclasses.dataclass(frozen=True)
class Together:
    """How many arrivals exactly these sources reported; `is_number`: of whom nothing is known but a telephone number."""

    sources: tuple[str, ...]
    is_number: bool
    n: int


@dataclasses.dataclass(frozen=True)
class Quality:
    by_source: Mapping[str, Source]
    together: Sequence[Together]

    def shared(self, one: str, other: str) -> int:
        """Arrivals that both reported (those of `one`, where they are the same)."""
        return sum(t.n for t in self.together if one in t.sources and other in t.sources)


def quality(cut: Cut, units: Sequence[int]) -> Quality:
    """Everything of the page that is counted of people, in one statement."""
    sql, given = cut.sql()
    found = rows(sql + _QUALITY, given | _GIVEN | {"owners": list(units)})
    by_source = {}
    for row in found:
        if row["source"] is not None:
            half, nine = row["delay"] or (None, None)
            by_source[row["source"]] = Source(row["source"], {what: row[f"n_{what}"] for what in WHATS}, half, nine)
    together = [Together(tuple(row["sources"]), row["is_number"], row["n_found"]) for row in found if row["source"] is None]
    return Quality(by_source, sorted(together, key=lambda t: (-t.n, t.sources, t.is_number)))


def listed(
    cut: Cut,
    units: Sequence[int],
    *,
    what: str = "",
    source: str = "",
    shared: str = "",
    exactly: Sequence[str] = (),
    is_number: bool | None = None,
) -> tuple[str, dict[str, Any]]:
    """The condition behind a number: `what` of `source`; those whom `shared` reported too; those whom `exactly` these reported."""
    where: list[str] = []
    if source:
        where += ["%(source)s = ANY(w.sources)", WHATS[what or "found"]]
    if shared:
        where.append("%(shared)s = ANY(w.sources)")
    if exactly:
        where.append("w.sources = %(exactly)s::text[]")
    if is_number is not None:
        where.append("w.is_number" if is_number else "NOT w.is_number")
    given = _GIVEN | {"source": source, "shared": shared, "exactly": sorted(exactly)}
    return condition(cut, units, " AND ".join(f"({part})" for part in where) or "TRUE", given)


def lost(event: int, units: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """The duties `l` of these units that are late and that no desk has taken over; of now, and of the whole event."""
    where, given = untaken(event)
    return f"({where}) AND l.owner = ANY(%(owners)s)", {**given, "owners": list(units)}


def files(cut: Cut) -> list[dict[str, Any]]:
    """The lists that came in, of those the reader may see; by source, the latest first."""
    return rows(_FILES, {"event": cut.event, "since": cut.since, "at": cut.at})


def as_counted(*counted: Mapping[str, int]) -> list[Together]:
    """The same of the whole event as the worker last counted it (`queries.glance`), for a page that many ask for all day."""
    return [
        Together(tuple(what.removeprefix(f"{SEEN}:").removeprefix("#").split("+")), what.startswith(f"{SEEN}:#"), n)
        for part in counted
        for what, n in part.items()
        if what.startswith(f"{SEEN}:")
    ]


@dataclasses.dataclass(frozen=True)
class Missed:
    """How many none found. `used`: the sources of the estimate; `loose`: left out, for they share too few people with the others.

    `n_numbers`: telephone numbers without a person, left out. `reason`: why nothing can be said, a word of `CannotTell`.
    """

    used: tuple[str, ...]
    loose: tuple[str, ...]
    n_numbers: int
    estimate: capture.Estimate | None
    reason: str


def usual(there: Collection[str]) -> list[str]:
    """The sources of an estimate that nobody has chosen: those that find people by themselves."""
    return [s.value for s in LeadSource if s in there and s not in PROMPTED]


def missed(together: Sequence[Together], chosen: Sequence[str]) -> Missed:
    """The estimate from these sources. Those that share too few people with the others are left out, as long as two remain."""
    used, loose = tuple(chosen), []
    n_numbers = sum(t.n for t in together if t.is_number)
    while True:
        counts: dict[capture.History, int] = {}
        for t in together:
            history = tuple(source in t.sources for source in used)
            if not t.is_number and any(history):
                counts[history] = counts.get(history, 0) + t.n
        unseen = {tuple(s == source for s in used) for source in used if source in NUMBERS_ONLY}
        for history in unseen:
            counts.pop(history, None)
        try:
            return Missed(used, tuple(loose), n_numbers, capture.estimate(counts, unseen=unseen), "")
        except capture.CannotTell as cannot:
            if cannot.reason != "little_overlap" or len(used) - len(cannot.lists) < 2:
                return Missed(used, tuple(loose), n_numbers, None, cannot.reason)
            loose += [used[n] for n in cannot.lists]
            used = tuple(source for source in used if source not in loose)
