"""How a module says which duties its facts open and close.

Everything declared is a small pure function of a few columns (`reads`) and of the context; the engine calls it once
per distinct combination of what it reads and joins the answers, whether the batch has one fact or a hundred thousand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bihuan.ledger.kinds import FactKind


@dataclasses.dataclass(frozen=True)
class Context:
    """What a declared function may know besides the columns it reads."""

    pack: Any  # policy.pack.Pack in force for (event, region) at the opening
    now: datetime
    event: int
    city_desk: int  # unit: the desk of the event's own region; the owner of what nobody else can be named for


@dataclasses.dataclass(frozen=True)
class When:
    """True where the duty opens (or closes): fn(*reads, ctx) -> bool."""

    fn: Callable[..., bool]
    reads: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class By:
    """The unit that owns the duty from its first instant: fn(*reads, ctx) -> unit id, never None."""

    fn: Callable[..., int]
    reads: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class After:
    """The deadline: the moment in column `base` plus a duration of the pack.

    `base` is a field of the details, or "received_at" (when the platform heard it). None from the pack = no deadline.
    """

    base: str
    duration: Callable[[Any], timedelta | None]


always = When(lambda ctx: True)


@dataclasses.dataclass(frozen=True)
class LoopKind:
    """A kind of duty.

    `opens`: fact kind -> When. `closes`: fact kind -> When. `works`: fact kinds that are work on it without closing it
    (a duty with such a fact of its owner is *touched*). `extends`: fact kind -> field of its details with the moment
    from which the deadline counts anew (null = unchanged). `ladder`: pack -> rungs (after the deadline, steps up).
    `grace`: pack -> least time that a successor gets. `offered_for`: pack -> how long an offer stands.
    `quiet`: field of the details that tells whose clock runs at night too (passed to the pack's quiet hours), or None.
    A kind whose key is not empty is done once per (cluster, key): when met, a further fact does not open it again.
    """

    name: str
    title: str
    opens: dict[FactKind, When]
    owner: By
    due: After | None
    closes: dict[FactKind, When]
    ladder: Callable[[Any], tuple] = lambda pack: ()
    grace: Callable[[Any], timedelta] = lambda pack: timedelta(0)
    offered_for: Callable[[Any], timedelta] = lambda pack: pack.lead.offered_for
    works: frozenset[FactKind] = frozenset()
    extends: dict[FactKind, str] = dataclasses.field(default_factory=dict)
    quiet: str | None = None

    def __post_init__(self) -> None:
        if not self.opens or not self.closes:
            raise TypeError(f"{self.name}: a duty needs a fact that opens it and one that closes it")
        if _KINDS.setdefault(self.name, self) is not self:
            raise TypeError(f"duty kind {self.name} is declared twice")

    __hash__ = object.__hash__


_KINDS: dict[str, LoopKind] = {}


def kinds() -> dict[str, LoopKind]:
    """All kinds of duties declared so far, by name."""
    return _KINDS


def kind(name: str) -> LoopKind:
    return _KINDS[name]


def opened_by(fact: FactKind) -> list[LoopKind]:
    return [k for k in _KINDS.values() if fact in k.opens]


def closed_by(fact: FactKind) -> list[LoopKind]:
    return [k for k in _KINDS.values() if fact in k.closes]


def extended_by(fact: FactKind) -> list[LoopKind]:
    return [k for k in _KINDS.values() if fact in k.extends]
