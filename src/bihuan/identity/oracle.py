"""What linking means, as a pure function over all evidence and all decisions. The SQL of `links` is tested against it.

Links depend on the evidence as a set, never on the order in which it came; only officers' decisions add to it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from bihuan.identity.evidence import DOCUMENT, NAME_PHONE, PHONE, kind_of


@dataclasses.dataclass(frozen=True)
class Held:
    """An alias was reported with this name and phone. `phone` may be any value that is equal for equal phones."""

    alias: UUID
    name_key: str
    phone: bytes | str


@dataclasses.dataclass(frozen=True)
class Decision:
    """An officer's standing word on a pair."""

    a: UUID
    b: UUID
    same: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """`links`: automatic ones (alias, better alias). `roots`: alias -> root of its person. `doubts`: unsure pairs (of roots)."""

    links: frozenset[tuple[UUID, UUID]]
    roots: dict[UUID, UUID]
    doubts: frozenset[tuple[UUID, UUID]]


class Groups:
    """Disjoint sets of aliases; the root is the smallest."""

    def __init__(self, aliases: Iterable[UUID] = ()) -> None:
        self.parent: dict[UUID, UUID] = {a: a for a in aliases}

    def root(self, alias: UUID) -> UUID:
        parent = self.parent.setdefault(alias, alias)
        while parent != self.parent[parent]:
            self.parent[alias] = parent = self.parent[parent]
        return parent

    def join(self, a: UUID, b: UUID) -> None:
        low, high = sorted((self.root(a), self.root(b)))
        self.parent[high] = low

    def members(self) -> dict[UUID, list[UUID]]:
        by_root: dict[UUID, list[UUID]] = defaultdict(list)
        for alias in self.parent:
            by_root[self.root(alias)].append(alias)
        return by_root


def outcome(aliases: Iterable[UUID], held: Iterable[Held], minor: dict[UUID, bool], decisions: Iterable[Decision] = ()) -> Outcome:
    """Apply the rules.

    `minor`: what the documents tell (absent: unknown, which counts as adult).
    1. A name with a phone is the one document that was reported with both. Several such documents (that officers have
       not joined): no link, each pair is a doubt. An officer who has already joined it to a document settled it.
    2. A phone is its one adult holder (among persons after rule 1). None, or several: it stays alone.
    3. Officers: "same" joins; "different" takes the pair out of rules 1 and 2.
    """
    aliases, held, decisions = list(aliases), list(held), list(decisions)
    judged = Groups(aliases)
    for decision in decisions:
        if decision.same:
            judged.join(decision.a, decision.b)
    persons = Groups(aliases)
    for decision in decisions:
        if decision.same:
            persons.join(decision.a, decision.b)
    groups = judged.members()
    different = [(d.a, d.b) for d in decisions if not d.same]
    apart = {pair for a, b in different for pair in ((judged.root(a), judged.root(b)), (judged.root(b), judged.root(a)))}
    documents, holders, own = defaultdict(set), defaultdict(set), defaultdict(set)
    for h in held:
        own[h.alias].add(h)
        if kind_of(h.alias) == DOCUMENT:
            documents[h.name_key, h.phone].add(h.alias)
        if kind_of(h.alias) != PHONE:
            holders[h.phone].add(h.alias)

    links: set[tuple[UUID, UUID]] = set()
    doubts: set[tuple[UUID, UUID]] = set()
    for root, members in groups.items():  # rule 1
        if kind_of(root) != NAME_PHONE:
            continue
        candidates = {
            (n, d)
            for n in members
            if kind_of(n) == NAME_PHONE
            for h in own[n]
            for d in documents[h.name_key, h.phone]
            if (root, judged.root(d)) not in apart
        }
        found = {judged.root(d) for _, d in candidates}
        if len(found) == 1:
            links |= {(n, min(d for m, d in candidates if m == n)) for n, _ in candidates}
        elif found:
            doubts |= {(root, d) for d in found}
    for a, b in links:
        persons.join(a, b)

    first = persons.members()
    age_known = {root: [minor[m] for m in members if m in minor] for root, members in first.items()}
    is_minor = {root: bool(known) and all(known) for root, known in age_known.items()}
    by_phone: set[tuple[UUID, UUID]] = set()
    for root, members in groups.items():  # rule 2
        if kind_of(root) != PHONE:
            continue
        shut_out = {persons.root(y) for x, y in apart if x == root}
        holding = {
            (p, h.alias)
            for p in members
            for mine in own[p]
            for h in (Held(alias, "", mine.phone) for alias in holders[mine.phone])
            if not is_minor[persons.root(h.alias)] and persons.root(h.alias) not in shut_out
        }
        if len({persons.root(h) for _, h in holding}) == 1:
            by_phone |= {(p, min(h for q, h in holding if q == p)) for p, _ in holding}
    for a, b in by_phone:
        persons.join(a, b)
    return Outcome(frozenset(links | by_phone), {a: persons.root(a) for a in persons.parent}, frozenset(doubts))
