"""Facts about who is who. Opaque ids only: no name, number or phone ever stands in a fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bihuan.ledger.kinds import FactKind


@dataclass(frozen=True)
class Linked:
    """Alias `a` is the same person as alias `b`. `rule`: name_phone, phone or officer (then with a reason)."""

    a: UUID
    b: UUID
    rule: str
    reason: str = ""


@dataclass(frozen=True)
class Unlinked:
    """The link of `a` with `b` under `rule` no longer holds; `officer`: an officer says that they are different."""

    a: UUID
    b: UUID
    rule: str
    reason: str = ""


@dataclass(frozen=True)
class Doubted:
    """The subject may be the same person as `other`: an officer must decide.

    `question` = subject:other:n, n counting how often the pair was asked about before. It is the duty's key: each
    question is one duty, also where links make several of them questions about one person. `likeness`: why it is asked:
    name_phone, work, or what is near (`near.Near.why`).
    """

    other: UUID
    question: str
    likeness: str = ""


@dataclass(frozen=True)
class Settled:
    """The question whether the subject is `other` is answered; `same` is None where another answer settled it too."""

    other: UUID
    question: str
    same: bool | None


@dataclass(frozen=True)
class PutOff:
    """Nobody can tell yet whether the subject is `other`; `ask`: the unit that is asked to find out. The duty stays."""

    other: UUID
    question: str
    ask: int | None
    note: str


@dataclass(frozen=True)
class Unmasked:
    """Somebody read the full identity of the subject. `reading`: full, or call (the phone, to ring it)."""

    reading: str


@dataclass(frozen=True)
class Sought:
    """Somebody looked for a person outside the own range, by a whole phone or document, for the fact's purpose.

    The subject is the person where one was found, else the unit that looked. `post` and `asked_at`: for the hourly bound.
    """

    number: str  # phone, document
    found: bool
    post: int
    asked_at: datetime


@dataclass(frozen=True)
class SearchStopped:
    """A post looked for more people outside its range within an hour than is allowed; the subject is its unit. An alarm."""

    post: int
    n_searches: int
    asked_at: datetime


LINKED = FactKind("identity.linked", Linked)
UNLINKED = FactKind("identity.unlinked", Unlinked)
DOUBTED = FactKind("identity.doubted", Doubted, key="question")
SETTLED = FactKind("identity.settled", Settled, key="question")
PUT_OFF = FactKind("identity.put_off", PutOff, key="question")
UNMASKED = FactKind("identity.unmasked", Unmasked)
SOUGHT = FactKind("identity.sought", Sought)
SEARCH_STOPPED = FactKind("identity.search_stopped", SearchStopped)


def pair_of(question: str) -> tuple[UUID, UUID]:
    """The two aliases that a question (the key of a duty to settle) is about."""
    a, b, _ = question.split(":")
    return UUID(a), UUID(b)
