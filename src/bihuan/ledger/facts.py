"""Facts about the ledger itself. Those of a destruction stay when their event's records are gone: they say why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

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


class Decision(StrEnum):
    """What a desk says of two contents that came under one id."""

    FIRST = "first"  # the record stands as it is
    SECOND = "second"  # what came second is right: it takes the record's place
    BOTH = "both"  # both happened: what came second is a record of its own


@dataclass(frozen=True)
class Contradicted:
    """The id of the fact's `corrects` came again with other content. `question` names the two; `desk` settles it (None: the city's)."""

    question: str
    desk: int | None


@dataclass(frozen=True)
class ContradictionSettled:
    """A desk has said which of the two holds, and why. `made`: the record that says from now on what had come second."""

    question: str
    decision: Decision
    made: UUID | None
    reason: str


CONTRADICTED = FactKind("ledger.contradicted", Contradicted, key="question")
CONTRADICTION_SETTLED = FactKind("ledger.contradiction_settled", ContradictionSettled, key="question")
DESTRUCTION_BEGUN = FactKind("ledger.destruction_begun", DestructionBegun)
DESTRUCTION_CERTIFIED = FactKind("ledger.destruction_certified", DestructionCertified)
KEPT = (DESTRUCTION_BEGUN.name, DESTRUCTION_CERTIFIED.name)
