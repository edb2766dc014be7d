"""How an event's personal data are destroyed: what each module says of its tables, and what the ledger keeps of it.

A module registers rows (a table and which of them) in the order in which they may go; whoever carries it out counts them
first and deletes them in batches, so that it can be interrupted anywhere and goes on. The ledger's own part: where the
leaves of destroyed facts stand, under a hash that is itself a sealed fact, so that nobody can delete another fact and call
it destroyed; and the sums by which the accounts still balance.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Iterator

from django.db import connection, transaction

from bihuan.kernel.refused import Refused
from bihuan.ledger import kinds, seals
from bihuan.ledger.facts import KEPT
from bihuan.ledger.gaps import Gap
from bihuan.ledger.models import DestroyedLeaf, Ending, Seal
from bihuan.ledger.models import DestructionBegun as Begun

BATCH_ROWS = 20_000


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of `table` (alias t) that go with an event: `where` is SQL with %(event)s. No foreign key may be left behind."""

    table: str
    where: str = "t.event = %(event)s"


@dataclasses.dataclass(frozen=True)
class Part:
    """What a module destroys. `prepare(event)` runs before the first row goes; `hashes(event)` gives lines for the certificate.

    `forget(event, certificate)` destroys keys and returns what is gone by name; it runs before any row goes, so that an
    interruption leaves nothing readable.
    """

    module: str
    order: int
    rows: tuple[Rows, ...]
    prepare: Callable[[int], None] | None = None
    forget: Callable[[int, str], dict[str, int]] | None = None
    hashes: Callable[[int], dict[str, str]] | None = None


_parts: dict[str, Part] = {}


def register(part: Part) -> None:
    """Called once by each module when it starts. What depends on other rows has the smaller `order`: facts go last (1000)."""
    if _parts.setdefault(part.module, part) is not part:
        raise TypeError(f"the destruction of {part.module} is registered twice")


def parts() -> list[Part]:
    return sorted(_parts.values(), key=lambda part: part.order)


def plan() -> list[Rows]:
    """All rows in the order in which they go: the modules', then contents of facts by kind, then the facts."""
    of_event = "SELECT f.id FROM fact f WHERE f.event = %(event)s AND f.kind <> ALL(%(kept)s)"
    details = sorted({kind.table for kind in kinds.kinds().values() if kind.name not in KEPT} & {*connection.introspection.table_names()})
    return [
        *(rows for part in parts() for rows in part.rows),
        *(Rows(table, f"t.fact IN ({of_event} AND f.kind = ANY(%(kinds_of_{table})s))") for table in details),
        Rows("conflict", f"t.fact IN ({of_event})"),
        Rows("fact", "t.event = %(event)s AND t.kind <> ALL(%(kept)s)"),
    ]  # fmt: skip


def _parameters(event: int) -> dict:
    of_table: dict[str, list[str]] = {}
    for kind in kinds.kinds().values():
        of_table.setdefault(f"kinds_of_{kind.table}", []).append(kind.name)
    return {"event": event, "kept": list(KEPT), **of_table}


def count(event: int) -> dict[str, int]:
    """Table -> rows that would go, those of one table added up. Reads only; worker's role."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT {no}, '{rows.table}', (SELECT count(*) FROM {rows.table} t WHERE {rows.where})" for no, rows in enumerate(plan())
            )
            + " ORDER BY 1",
            _parameters(event),
        )
        for _, table, n in cursor.fetchall():
            found[table] = found.get(table, 0) + n
    return found


def delete(rows: Rows, event: int, seal: Seal, batch: int = BATCH_ROWS) -> Iterator[int]:
    """Delete in batches, each its own transaction; gives the size of each. As the tables' owner: nobody else may.

    `seal`: facts that came behind it were not listed; they stay and are found when it is certified.
    """
    where, values = rows.where, _parameters(event)
    if rows.table == "fact":
        condition, sealed = seals.sealed_by(seal, "t")
        for no, value in enumerate(sealed):
            condition = condition.replace("%s", f"%(sealed{no})s", 1)
            values[f"sealed{no}"] = value
        where = f"{where} AND {condition}"
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            row = "id" if rows.table == "fact" else "ctid"  # a place on the disk is one partition's only
            some = f"SELECT t.{row} FROM {rows.table} t WHERE {where} LIMIT {int(batch)}"
            cursor.execute(f"DELETE FROM {rows.table} WHERE {row} = ANY(ARRAY({some}))", values)
            n = cursor.rowcount
        if n:
            yield n
        if n < batch:
            return


# --- what the ledger keeps of it -------------------------------------------------------------------------------------


def is_destroyed(event: int) -> bool:
    """Whether the destruction of an event's data has begun: nothing may be added to it, no key made for it."""
    return Ending.objects.filter(event=event, begun_at__isnull=False).exists()


def list_leaves(ending: int, event: int) -> tuple[int, str]:
    """Write down where the event's leaves stand: how many, and their hash. Inside the transaction of the fact that says so.

    Refuses (`records_unsealed`) while records of the event wait for their seal, and (`ledger_broken`) a fact that is not
    the one that was sealed.
    """
    last = seals.head()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM fact WHERE event = %s AND kind <> ALL(%s)", [event, list(KEPT)])
        n_facts = cursor.fetchone()[0]
    if last is None:
        raise Refused("records_unsealed", "还没有封存，请一分钟后再试。", "Nothing is sealed yet: try again in a minute.")
    n = 0
    try:
        for epoch, no, positions in seals.positions_of(event, KEPT):
            n += len(positions)
            DestroyedLeaf.objects.create(epoch=epoch, no=no, ending=ending, positions=struct.pack(f"!{len(positions)}I", *positions))
    except ValueError as error:
        raise Refused(
            "ledger_broken",
            f"封存链与记录不符，先查明原因：{error}",
            f"The chain and the records differ; find out why first: {error}",
        ) from error
    if n != n_facts:
        raise Refused(
            "records_unsealed",
            f"还有 {n_facts - n} 条记录没有封存，请一分钟后再试。",
            f"{n_facts - n} records are not sealed yet: try again in a minute.",
        )
    return n, positions_digest(ending)


def positions_digest(ending: int) -> str:
    found = hashlib.sha256()
    rows = DestroyedLeaf.objects.filter(ending=ending).order_by("epoch", "no").values_list("epoch", "no", "positions")
    for epoch, no, positions in rows.iterator():
        found.update(struct.pack("!qqI", epoch, no, len(bytes(positions))) + bytes(positions))
    return found.hexdigest()


def endings() -> tuple[list[int], list[Gap]]:
    """Endings whose list of leaves is the one that a sealed fact tells of; a gap for each that is not."""
    good: list[int] = []
    gaps: list[Gap] = []
    said = {begun.ending: begun for begun in Begun.objects.all()}
    listed = set(DestroyedLeaf.objects.values_list("ending", flat=True).distinct())
    for ending in sorted(said.keys() | listed):
        begun = said.get(ending)
        if begun is not None and begun.positions == positions_digest(ending):
            good.append(ending)
            continue
        gaps.append(
            Gap(
                "seal_broken",
                f"ending {ending}: leaves",
                f"第{ending}号销毁所列的封存位置与记录不符",
                f"the list of destroyed leaves of ending {ending} is not the one on record",
                fact=begun.fact if begun else None,
            )
        )
    return good, gaps
