"""Facts about the ledger itself. They stay when their event's records are destroyed: they say why those are gone."""

from __future__ import annotations

from dataclasses import dataclass

from bihuan.ledger.kinds import FactKind


@dataclass(frozen=True)
class DestructionBegun:
    """From now on records of the event may be missing from the ledger: those at `positions`, and no others.

    `positions` is the SHA-256 of where their leaves stand in the seals; `sums` that of the event's counts by unit and kind.
    """

    ending: int
    n_facts: int
    positions: str
    sums: str


@dataclass(frozen=True)
class DestructionCertified:
    """All of it is gone. `certificate` is the SHA-256 of the certificate's JSON."""

    ending: int
    certificate: str


DESTRUCTION_BEGUN = FactKind("ledger.destruction_begun", DestructionBegun)
DESTRUCTION_CERTIFIED = FactKind("ledger.destruction_certified", DestructionCertified)
KEPT = (DESTRUCTION_BEGUN.name, DESTRUCTION_CERTIFIED.name)
