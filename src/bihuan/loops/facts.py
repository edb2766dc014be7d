"""Facts of duties changing hands, and of records being withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bihuan.ledger.kinds import FactKind


@dataclass(frozen=True)
class Handled:
    """What was done with a duty. `unit`: to whom; `officer`: assignee; `voids`: the fact withdrawn; `stands`: the duty that stands for it;
    `n_loops`, `level`: a batch of the clock."""

    loop: int | None = None
    unit: int | None = None
    officer: int | None = None
    n_loops: int | None = None
    level: int | None = None
    stands: int | None = None
    voids: UUID | None = None
    reason: str = ""


def _kind(name: str) -> FactKind:
    return FactKind(f"loops.{name}", Handled, table="handled")


OFFERED = _kind("offered")
ACCEPTED = _kind("accepted")
RETURNED = _kind("returned")  # the one asked declines, or the giver withdraws; the giver still owns it
EXPIRED = _kind("expired")
REASSIGNED = _kind("reassigned")
ASSIGNED = _kind("assigned")
WAIVED = _kind("waived")
VOIDED = _kind("voided")  # a record is withdrawn; `voids` names it
MERGED = _kind("merged")  # a link found two duties for one person: this one ends, another stands
SUCCEEDED = _kind("succeeded")  # a duty that ended through a link that was undone is owed again
HELP_ASKED = _kind("help_asked")  # by the clock: one per (unit, level, minute); the list is `fired`
