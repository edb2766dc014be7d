"""What a kind of fact opens, closes and moves, as the declarations say; pages, the command line and the docs print it."""

from __future__ import annotations

import dataclasses

from bihuan.kernel.refused import Refused
from bihuan.ledger import kinds as ledger
from bihuan.loops import declare


@dataclasses.dataclass(frozen=True)
class Effect:
    """One line: the fact does this to that kind of duty. `reads`: the columns on which it depends."""

    does: str  # opens, closes, extends, works
    duty: str
    title: str
    reads: tuple[str, ...]


def effects(fact: str) -> list[Effect]:
    """All effects of a kind of fact, by its name. Refuses an unknown one (`fact_kind_unknown`), naming those there are."""
    if fact not in ledger.kinds():
        known = ", ".join(sorted(ledger.kinds()))
        raise Refused("fact_kind_unknown", f"没有这种办理记录：{fact}。有：{known}", f"There is no kind of fact {fact}. There are: {known}")
    kind = ledger.kind(fact)
    found = []
    for duty in declare.opened_by(kind):
        reads = {*duty.opens[kind].reads, *duty.owner.reads, *((duty.due.base,) if duty.due else ())}
        found.append(Effect("opens", duty.name, duty.title, tuple(sorted(reads))))
    found += [Effect("closes", d.name, d.title, d.closes[kind].reads) for d in declare.closed_by(kind)]
    found += [Effect("extends", d.name, d.title, (d.extends[kind],)) for d in declare.extended_by(kind)]
    found += [Effect("works", d.name, d.title, ()) for d in declare.kinds().values() if kind in d.works]
    return found


def table() -> list[tuple[str, str, str, str]]:
    """(fact, does, duty, reads) for every kind of fact that does anything, sorted."""
    return sorted((name, e.does, e.duty, ", ".join(e.reads)) for name in ledger.kinds() for e in effects(name))
