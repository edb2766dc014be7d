"""What must hold of the ledger itself: details to each fact, known kinds, an unbroken chain of seals."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

from pathlib import Path

from django.db import connection

from bihuan.ledger import destruction, heads, kinds, seals
from bihuan.ledger.gaps import GAPS_MAX, Found, Gap


def _rows(sql: str, parameters: dict | None = None) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or {})
        return cursor.fetchall()


def tables() -> dict[str, list[kinds.FactKind]]:
    """Typed tables that are there, each with the kinds whose details it holds."""
    found: dict[str, list[kinds.FactKind]] = {}
    for kind in kinds.kinds().values():
        found.setdefault(kind.table, []).append(kind)
    there = {
        name for (name,) in _rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')")
    }
    return {table: kinds for table, kinds in found.items() if table in there}


def reported() -> dict[str, int]:
    """The kinds of which there are facts, each with how many: a check that goes kind by kind goes by these alone."""
    return dict(_rows("SELECT kind, count(*) FROM fact GROUP BY kind"))


def details_missing() -> Found:
    """A fact without its typed row, a typed row without its fact, a fact whose kind nobody declares."""
    gaps: list[Gap] = []
    of_table, n_of = tables(), reported()
    names = {kind.name for declared in of_table.values() for kind in declared}
    filled = {name for (name,) in _rows(" UNION ALL ".join(f"(SELECT '{table}' FROM {table} LIMIT 1)" for table in of_table))}
    for table, declared in of_table.items():
        own = [kind.name for kind in declared]
        if table not in filled and n_of.keys().isdisjoint(own):
            continue
        lost = _rows(
            f"SELECT f.id, f.kind, f.subject FROM fact f LEFT JOIN {table} d ON d.fact = f.id"
            f" WHERE f.kind = ANY(%(own)s) AND d.fact IS NULL LIMIT {GAPS_MAX}",
            {"own": own},
        )
        for fact, kind, subject in lost:
            gaps.append(
                Gap("details_missing", f"{kind} without details", f"办理记录 {fact}（{kind}）没有内容", f"fact {fact} ({kind}) has no details",
                    subject=subject, fact=fact)
            )  # fmt: skip
        strange = _rows(
            f"SELECT d.fact FROM {table} d LEFT JOIN fact f ON f.id = d.fact AND f.kind = ANY(%(own)s) WHERE f.id IS NULL LIMIT {GAPS_MAX}",
            {"own": own},
        )
        for (fact,) in strange:
            gaps.append(
                Gap("details_missing", f"{table} without fact", f"{table} 中有内容而没有办理记录 {fact}", f"{table} has details, but fact {fact} is gone",
                    fact=fact)
            )  # fmt: skip
    strangers = sorted(n_of.keys() - names)
    unknown = strangers and _rows(f"SELECT id, kind, subject FROM fact WHERE kind = ANY(%(kinds)s) LIMIT {GAPS_MAX}", {"kinds": strangers})
    for fact, kind, subject in unknown:
        gaps.append(
            Gap("details_missing", f"{kind} is not declared", f"办理记录 {fact} 的种类 {kind} 未登记", f"fact {fact}: nobody declares its kind {kind}",
                subject=subject, fact=fact)
        )  # fmt: skip
    return Found(sum(n_of.values()), gaps)


def kept_heads(against: Path | None = None) -> heads.Kept:
    """The heads that a keeper has (`against`), or those that the installation keeps beside its database.

    Read before the snapshot is taken in which the chain is verified: a seal that is made meanwhile is in neither.
    """
    path = against or heads.own_file()
    return heads.read(path) if against or path.exists() else heads.Kept()


def seal_broken(epoch: int | None = None, kept: heads.Kept | None = None) -> Found:
    """See `seals.verify_chain`; counts seals. `kept`: what `kept_heads` read before."""
    kept = kept or kept_heads()
    witnessed = {at: line.chain for at, line in kept.lines.items() if not kept.is_lost(at)}
    ended, strange = destruction.endings()
    gaps = heads.gaps(kept) + seals.verify_chain(epoch, witnessed, ended) + strange
    return Found(_rows("SELECT count(*) FROM seal")[0][0], gaps)
