"""What an officer holds by name, and how it is passed on when he or she leaves.

Floors above register what they let officers hold (the duties assigned to them, later a stock or a key). Nobody's post
ends by hand while it holds something and no successor is named; where a post ends by its date, the unit's desk takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Holding:
    """`count(officer, unit)`: how many things an officer holds in a unit (None: anywhere).

    `pass_on(by=, officer=, unit=, to=, act=)` gives all of them to another officer of the unit, or to nobody in
    particular (None: the unit's desk); safe to repeat; how many. `holders()`: (officer, unit) of all that is held.
    `pass_on` runs inside a transaction.
    """

    count: Callable[[int, int | None], int]
    pass_on: Callable[..., int]
    holders: Callable[[], Iterable[tuple[int, int]]]


_HOLDINGS: dict[str, Holding] = {}


def register(name: str, holding: Holding) -> None:
    _HOLDINGS[name] = holding


def count(officer: int, unit: int | None = None) -> int:
    return sum(holding.count(officer, unit) for holding in _HOLDINGS.values())


def pass_on(*, by, officer: int, unit: int, to: int | None, act: UUID) -> int:
    return sum(holding.pass_on(by=by, officer=officer, unit=unit, to=to, act=act) for holding in _HOLDINGS.values())


def holders() -> set[tuple[int, int]]:
    return {pair for holding in _HOLDINGS.values() for pair in holding.holders()}
