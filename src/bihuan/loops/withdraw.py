"""Records withdrawn, put right, or taken back: `void`, `correct`, `withdraw`, `undo`, and what follows for duties.

Nothing is rewritten: a withdrawal is a fact that names the record, which stays in the ledger and no longer stands. A duty
that it closed gets a successor, one that it opened ends as void. Each act carries the id that its maker gave it: repeated,
it changes nothing and answers the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import polars as pl

from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.ledger.kinds import FactKind
from bihuan.ledger.kinds import kind as fact_kind
from bihuan.loops import declare, facts, meanwhile
from bihuan.loops.record import Done, record, record_many
from bihuan.loops.statement import run
from bihuan.loops.writes import SUCCEEDED, Handled, act_known, append, close, end_offers, lock, move, succeed
from bihuan.policy import pack as packs

HELD_MAX = 500  # persons: each is a lock in the server's memory; an undone list of more is not taken back beside single answers


def void(*, by, fact: UUID, reason: str, act: UUID) -> Done:
    """Withdraw a record: it stays in the ledger and no longer stands.

    In the same transaction each duty that it closed gets a successor, and each that it opened ends as void. Refuses:
    no such record in sight (`fact_not_found`), already withdrawn (`already_voided`), a record of the clock or of
    duties changing hands (`not_voidable`: those are undone by the opposite act), no reason.
    """
    require(by, Permission.FACT_VOID)
    if not reason.strip():
        raise Refused("reason_missing", "请写明作废原因。", "Please give the reason.", "reason")
    # Read without the engine: row-level security decides whether the record is in sight.
    row = run("SELECT event, kind, subject, region, act FROM fact WHERE id = %s", (fact,))
    if not row:
        raise Refused("fact_not_found", "没有这条办理记录，或不归您管。", "There is no such record, or it is not yours.")
    event, kind, subject, region, of_act = row[0]
    if kind.startswith(("loops.", "identity.")):
        raise Refused("not_voidable", "移交、合并类记录请用相反操作撤回。", "Such a record is undone by the opposite act.")
    void_id = ids.derived_id(act, facts.VOIDED.name, fact)
    with engine():
        _one_withdrawal_of(of_act)
        earlier = run("SELECT fact FROM handled WHERE voids = %s", (fact,))
        _hold([subject])
    if earlier and earlier[0][0] != void_id:
        zh, en = meanwhile.withdrawn([fact])
        raise Refused("already_voided", f"这条记录已经作废：{zh}。", f"This record was already withdrawn: {en}.")
    return withdraw(fact, event=event, subject=subject, region=region, reason=reason, by=by, act=act)


def _one_withdrawal_of(act: UUID) -> None:
    """Records of one act are withdrawn one at a time, whether one by one or all by an undo."""
    run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", (str(act),))


def _hold(subjects: Sequence[UUID]) -> None:
    """Nothing is said of these persons by a single record until we are done: what follows from a withdrawal is judged by all
    that stands, and an answer that is being saved at that moment must be there, or not begun. Their duties first, as every
    act on a duty does; then each of their aliases, whichever of them a record holds as the person's first.
    """
    aliases = run(
        """
        WITH a AS (SELECT DISTINCT x AS subject FROM unnest(%s::uuid[]) s CROSS JOIN LATERAL (
          SELECT s AS x UNION SELECT c2.subject FROM cluster c JOIN cluster c2 ON c2.root = c.root WHERE c.subject = s) y)
        SELECT subject FROM a ORDER BY subject
        """,
        (list(subjects),),
    )
    if len(aliases) > HELD_MAX:
        return
    run("SELECT id FROM loop WHERE subject = ANY(%s) ORDER BY id FOR UPDATE", ([alias for (alias,) in aliases],))
    locks = sorted(int.from_bytes(alias.bytes[8:], "big", signed=True) for (alias,) in aliases)
    run("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) k", (locks,))


def withdraw(fact: UUID, *, event: int, subject: UUID, region: int | None, reason: str, by, act: UUID) -> Done:
    """The record of a withdrawal and what follows from it. Permission was decided by the caller. Safe to repeat."""
    done = _withdrawal(fact, event, subject, region, reason, by, act)
    if done.repeated:
        return done
    opened, closed = undo_effects({fact: done.fact})
    return Done(done.fact, tuple(opened), tuple(closed))


def _withdrawal(fact: UUID, event: int, subject: UUID, region: int | None, reason: str, by, act: UUID) -> Done:
    return record(
        facts.VOIDED, event=event, subject=subject, details=facts.Handled(voids=fact, reason=reason), by=by,
        id=ids.derived_id(act, facts.VOIDED.name, fact), act=act, region=region, corrects=fact,
    )  # fmt: skip


def correct(*, by, fact: UUID, details: Any, reason: str, act: UUID, happened_at=None) -> Done:
    """Replace a record's content: the old one is withdrawn as by `void`, the new one names it. One transaction.

    The duties that the old one closed are owed again for an instant, and the new one closes those that it accepts.
    `details`: of the same kind of fact. Refuses what `void` refuses.
    """
    row = run("SELECT event, kind, subject, region, happened_at FROM fact WHERE id = %s", (fact,))
    withdrawn = void(by=by, fact=fact, reason=reason, act=act)
    event, kind, subject, region, happened = row[0]
    new_id = ids.derived_id(act, kind, fact)
    done = record(
        fact_kind(kind), event=event, subject=subject, details=details, by=by, id=new_id, act=act, region=region,
        happened_at=happened_at or happened, corrects=fact,
    )  # fmt: skip
    return dataclasses.replace(done, opened=tuple(sorted({*withdrawn.opened, *done.opened} - set(done.closed))))


def undo_effects(void_of: Mapping[UUID, UUID]) -> tuple[list[int], list[int]]:
    """What follows from facts that stand no longer (fact -> the fact that withdraws it), set-based.

    Duties still open that they opened end as void; duties that they closed get successors. Where another standing fact
    says the same (two desks had both called), it takes the place: it opens the duty, or closes the successor.
    """
    with engine():
        born = run(
            "SELECT id, opened_by FROM loop WHERE opened_by = ANY(%s) AND closed_at IS NULL ORDER BY id FOR UPDATE", (list(void_of),)
        )
        # One that is owed again already, since persons were parted, has its successor: nobody is asked twice.
        ended = run(f"SELECT id, closed_by FROM loop l WHERE closed_by = ANY(%s) AND NOT {SUCCEEDED} ORDER BY id", (list(void_of),))
    if born:
        close({i: void_of[fact] for i, fact in born}, "void")
    opened = succeed({i: void_of[fact] for i, fact in ended})
    others = other_facts([i for i, _ in born], "opens", void_of)
    opened += succeed(others)
    met = other_facts(opened, "closes", void_of)
    if met:
        close(met, "met")
    return [i for i in opened if i not in met], [i for i, _ in born]


def other_facts(loops: Sequence[int], does: str, but: Iterable[UUID]) -> dict[int, UUID]:
    """For each duty with a key the first other standing fact about its person and key that opens (or closes) its kind.

    Without a key nobody can say that an earlier fact is about the same occurrence.
    """
    if not loops:
        return {}
    kinds = {kind.name: getattr(kind, does) for kind in declare.kinds().values()}
    accepted = [(kind, fact.name) for kind, facts_of in kinds.items() for fact in facts_of]
    with engine():
        found = run(
            """
            SELECT l.id, l.kind, l.key, l.event, l.scope, f.id, f.kind
            FROM loop l LEFT JOIN cluster c ON c.subject = l.subject
            JOIN fact f ON f.event = l.event
             AND f.subject IN (SELECT l.subject UNION SELECT c2.subject FROM cluster c2 WHERE c2.root = c.root)
            JOIN unnest(%s::text[], %s::text[]) AS w(kind, fact) ON w.kind = l.kind AND w.fact = f.kind
            WHERE l.id = ANY(%s) AND l.key <> '' AND f.id <> ALL(%s) AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
            ORDER BY l.id, f.received_at, f.id
            """,
            ([a[0] for a in accepted], [a[1] for a in accepted], list(loops), list(but)),
        )
        said = {(kind, fact): _said(fact_kind(kind), fact) for *_, fact, kind in found}
    now = clock.now()
    chosen: dict[int, UUID] = {}
    for loop, kind, key, event, scope, fact, kind_of_fact in found:
        declared = fact_kind(kind_of_fact)
        row = said[kind_of_fact, fact]
        if loop in chosen or (declared.key and row[declared.key] != key):
            continue
        when = kinds[kind][declared]
        context = declare.Context(packs.in_force(event, scope, now.astimezone(clock.SHANGHAI).date()), now, event, 0)
        if when.fn(*(row[name] for name in when.reads), context):
            chosen[loop] = fact
    return chosen


def _said(kind: FactKind, fact: UUID) -> dict[str, Any]:
    names = [field.name for field in kind.fields]
    return dict(zip(names, run(f"SELECT {', '.join(names)} FROM {kind.table} WHERE fact = %s", (fact,))[0], strict=True))


def undo(*, by, act: UUID, leave_resting: bool = False) -> Handled:
    """Take back one's own act while nothing rests on it (the page offers it for some seconds).

    Records are withdrawn as by `void`; an offer is withdrawn, a duty goes back to the officer or unit that had it.
    Refuses: not one's own act (`act_not_found`), or something rests on it (`rests_on_it`). With `leave_resting` the duties
    on which something rests are left as they are and counted, and only an act of nothing else is refused.
    """
    undo_act = ids.derived_id(act, "undo")
    if act_known(undo_act):
        return Handled(0, undo_act, repeated=True)
    rows = run(
        'SELECT id, kind, subject, event, region FROM fact WHERE act = %s AND "by" = %s AND unit = %s', (act, by.officer_id, by.unit_id)
    )
    if not rows:
        raise Refused("act_not_found", "没有可撤销的操作。", "There is nothing of yours to undo.")
    with engine():
        _one_withdrawal_of(act)
        if not any(row[1].startswith("loops.") for row in rows):
            _hold(sorted({row[2] for row in rows}))
        # Locked first: what is being built on it at this moment is waited for, and then rests on it.
        given = [row[0] for row in rows]
        touched_by = "SELECT loop FROM movement WHERE at_fact = ANY(%(f)s) UNION SELECT loop FROM handled WHERE fact = ANY(%(f)s)"
        run(f"SELECT id FROM loop WHERE id IN ({touched_by}) ORDER BY id FOR UPDATE", {"f": given})
        resting = {
            fact
            for (fact,) in run(
                """
                SELECT own.at_fact FROM movement own WHERE own.at_fact = ANY(%(f)s) AND EXISTS (
                  SELECT 1 FROM movement later WHERE later.loop = own.loop AND later.id > own.id AND later.at_fact <> own.at_fact)
                UNION SELECT voids FROM handled WHERE voids = ANY(%(f)s)
                """,
                {"f": given},
            )
        }
    standing = [row for row in rows if row[0] not in resting]
    if resting and not (leave_resting and standing):
        zh, en = meanwhile.resting(by, sorted(resting))
        raise Refused(
            "rests_on_it",
            f"后面已有办理（{zh}），不能撤销；请用作废并写明原因。",
            f"Something rests on it ({en}); withdraw it with a reason instead.",
        )
    n_left, rows = len(rows) - len(standing), standing
    fact_ids = [row[0] for row in rows]
    kinds = {row[1] for row in rows}
    if any(kind.startswith("identity.") for kind in kinds):
        raise Refused("not_voidable", "这个操作不能撤销。", "This act cannot be undone.")
    if not any(kind.startswith("loops.") for kind in kinds):
        undo_effects(_withdraw_all(rows, by, undo_act))
        return Handled(len(rows), undo_act, n_left=n_left)
    if len(kinds) != 1:
        raise Refused("not_voidable", "这个操作不能撤销。", "This act cannot be undone.")
    with engine():
        loops = [i for (i,) in run("SELECT loop FROM handled WHERE fact = ANY(%s)", (fact_ids,))]
        duties = lock(loops)
    kind = kinds.pop()
    if kind == facts.OFFERED.name:
        end_offers([d for d in duties if d.offered_to is not None], facts.RETURNED, "returned", by, undo_act, "撤销")
    elif kind == facts.ASSIGNED.name:
        with engine():
            before = dict(run(_ASSIGNED_BEFORE, {"loops": [d.id for d in duties], "facts": fact_ids}))
        again = [before.get(d.id) for d in duties]
        append(facts.ASSIGNED, duties, by, undo_act, {"unit": [d.owner for d in duties], "officer": again, "reason": "撤销"})
        with engine():
            run(
                "UPDATE loop l SET assignee = w.officer FROM unnest(%s::bigint[], %s::int[]) AS w(loop, officer) WHERE l.id = w.loop",
                ([d.id for d in duties], again),
            )
    elif kind in (facts.ACCEPTED.name, facts.REASSIGNED.name):
        with engine():
            back = dict(run("SELECT loop, from_unit FROM movement WHERE at_fact = ANY(%s)", (fact_ids,)))
            homes = dict(run("SELECT id, region_id FROM unit WHERE id = ANY(%s)", ([d.owner for d in duties],)))
        made = append(facts.REASSIGNED, duties, by, undo_act, {"unit": [back[d.id] for d in duties], "reason": "撤销"})
        # The place goes back with the duty where it had come along.
        moved = {d.id for d in duties if kind == facts.REASSIGNED.name and homes[d.owner] == d.region}
        for place in (True, False):
            part = {i: fact for i, fact in made.items() if (i in moved) is place}
            if part:
                move(part, back, "reassigned", place=place)
    elif kind == facts.WAIVED.name:
        undo_effects(_withdraw_all(rows, by, undo_act))
        return Handled(len(loops), undo_act, n_left=n_left)
    else:
        raise Refused("not_voidable", "这个操作不能撤销。", "This act cannot be undone.")
    return Handled(len(duties), undo_act, n_left=n_left)


# Whom a duty was given to before these facts, while its present unit held it: a move clears the name.
_ASSIGNED_BEFORE = """
SELECT DISTINCT ON (h.loop) h.loop, h.officer FROM handled h JOIN fact f ON f.id = h.fact
WHERE h.loop = ANY(%(loops)s) AND f.kind IN ('loops.assigned', 'loops.accepted', 'loops.reassigned') AND NOT f.id = ANY(%(facts)s)
ORDER BY h.loop, f.received_at DESC, f.id DESC
"""


def _withdraw_all(rows: Sequence[tuple], by, act: UUID) -> dict[UUID, UUID]:
    """Withdrawals of one's own facts (id, kind, subject, event, region), set-based: fact -> the fact that withdraws it.

    All of an act are withdrawn before anything follows: none of them takes another's place.
    """
    made = {row[0]: ids.derived_id(act, facts.VOIDED.name, row[0]) for row in rows}
    for event in sorted({row[3] for row in rows}):
        some = [row for row in rows if row[3] == event]
        frame = pl.DataFrame(
            {
                "id": [str(made[row[0]]) for row in some],
                "subject": [str(row[2]) for row in some],
                "region": [row[4] for row in some],
                "corrects": [str(row[0]) for row in some],
                "voids": [str(row[0]) for row in some],
            },
            schema_overrides={"region": pl.Int64},
        )
        empty = {f.name: pl.lit(None, pl.Int64) for f in facts.VOIDED.fields if f.name not in ("voids", "reason")}
        record_many(facts.VOIDED, frame.with_columns(**empty, reason=pl.lit("撤销")), event=event, by=by, act=act)
    return made
