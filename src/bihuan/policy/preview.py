"""What an adoption would touch, before anybody signs it: where rules change, and, from the floors above, whom.

Which duties and persons exist is known above this floor: a module registers how it counts them (`register`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from bihuan.kernel.refused import Refused
from bihuan.policy import pack as packs
from bihuan.policy import queries
from bihuan.policy.models import Adoption, Proposal
from bihuan.policy.queries import Adopted, Plan
from bihuan.regions.queries import scope_range


@dataclass(frozen=True, slots=True)
class Cell:
    """Scope codes `lo` until before `hi`, and the packs there on the day, without and with the adoption."""

    lo: int
    hi: int
    before: packs.Pack
    after: packs.Pack


@dataclass(frozen=True, slots=True)
class Touched:
    """Open duties of one kind, of persons from one class of origin, that the change touches in one way.

    `effect`: ends (the new rules do not ask it), shorter or longer (its time differs), rule (what is asked of such
    persons differs). Deadlines that are set do not move.
    """

    kind: str
    title: str
    origin_class: str
    effect: str
    n_duties: int
    n_persons: int


Counter = Callable[[int, Sequence[Cell]], list[Touched]]
_counter: list[Counter] = []


def register(counter: Counter) -> None:
    """The one function that counts what lies open: (event, cells) -> rows, within the reader's scope."""
    _counter[:] = [counter]


def touched(event: int, found: Sequence[Cell]) -> list[Touched]:
    return _counter[0](event, found) if _counter and found else []


def cells(*, event: int, region: int, pack: str, version: str, on: date) -> list[Cell]:
    """The ranges under the region in which the pack would change on that day.

    A county with a base of its own keeps it when its city adopts another; so a region falls into ranges.
    """
    lo, hi = scope_range(region, on)
    overlay = packs.is_overlay(pack)

    def replaced(row: Adopted) -> bool:
        return (row.lo, row.hi) == (lo, hi) and row.overlay == overlay and (not overlay or row.pack == pack)

    added = Adopted(0, pack, version, overlay, lo, hi)
    return _changed(event, region, on, lambda rows: [*(row for row in rows if not replaced(row)), added])


def cells_of(row: Proposal) -> list[Cell]:
    """The same for what a proposal would do: adopt, or end an adoption."""
    if row.ends is None:
        return cells(event=row.event_id, region=row.region_id, pack=row.pack, version=row.version, on=row.from_on)
    return cells_without(row.ends, row.from_on)


def cells_without(ends: Adoption, on: date) -> list[Cell]:
    """The same for the end of an adoption on that day; withdrawn before it began, what it had ended goes on."""
    lo, hi = scope_range(ends.region_id, on)
    goes_on = [Adopted(row.id, row.pack, row.version, row.overlay, lo, hi) for row in queries.goes_on_without(ends, on)]
    return _changed(ends.event_id, ends.region_id, on, lambda rows: [*(row for row in rows if row.id != ends.id), *goes_on])


def _changed(event: int, region: int, on: date, change: Callable[[Sequence[Adopted]], list[Adopted]]) -> list[Cell]:
    lo, hi = scope_range(region, on)
    queries.forget()
    before = queries.plan(event, on)
    rows = sorted(change(before.adopted), key=lambda row: (row.lo - row.hi, row.id))
    after = Plan(event, on, tuple(rows))
    edges = sorted({lo, hi, *(edge for row in rows for edge in (row.lo, row.hi) if lo < edge < hi)})
    found = []
    for start, end in zip(edges, edges[1:], strict=False):
        old, new = _pack(before, start), _pack(after, start)
        if old is not None and new is not None and old.key != new.key:
            found.append(Cell(start, end, old, new))
    return found


def _pack(plan: Plan, scope: int) -> packs.Pack | None:
    try:
        return plan.pack_for(scope)
    except Refused as refused:
        if refused.code != "no_pack_in_force":
            raise
        return None
