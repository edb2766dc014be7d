"""Two contents under one id: a desk says which holds. Neither is ever lost, and the decision can be taken back.

The duty is declared here, opened by the ledger's fact when a second content comes (`record`), and owned by the unit
whose record it was.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any
from uuid import UUID

from bihuan.access.decide import decide, require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused
from bihuan.ledger import kinds
from bihuan.ledger.facts import CONTRADICTED, CONTRADICTION_SETTLED, ContradictionSettled, Decision
from bihuan.ledger.kinds import FactKind
from bihuan.loops import handle, withdraw
from bihuan.loops.declare import After, By, LoopKind, always
from bihuan.loops.record import Done, record
from bihuan.loops.statement import run
from bihuan.loops.writes import act_known

CONTRADICTION = LoopKind(
    "ledger.contradiction",
    title="核对两次不一样的记录",
    opens={CONTRADICTED: always},
    owner=By(lambda desk, context: desk or context.city_desk, reads=("desk",)),
    due=After("received_at", lambda pack: pack.lead.settle_within),
    closes={CONTRADICTION_SETTLED: always},
    ladder=lambda pack: pack.lead.help_after,
    grace=lambda pack: pack.lead.grace,
)


@dataclasses.dataclass(frozen=True)
class Content:
    """One of the two: what was said, by whom, from which device, when it happened and when it was heard."""

    kind: str
    event: int
    subject: UUID
    region: int | None
    happened_at: datetime
    received_at: datetime
    officer: str
    unit: str
    device: int | None
    details: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Settled:
    """The decision that stands."""

    fact: UUID
    decision: str
    made: UUID | None
    reason: str
    at: datetime
    officer: str
    unit: str


@dataclasses.dataclass(frozen=True)
class Question:
    """A question in sight. `first_stands`: the first record was not withdrawn meanwhile (by a correction, or by such a decision)."""

    name: str
    record: UUID
    subject: UUID
    first: Content
    second: Content
    first_stands: bool
    settled: Settled | None


def _not_found() -> Refused:
    return Refused("contradiction_not_found", "没有这一条，或不归您管。", "There is no such question, or it is not yours.")


def _parts(name: str) -> tuple[UUID, str]:
    fact, _, short = name.partition(":")
    try:
        return UUID(fact), short
    except ValueError as error:
        raise _not_found() from error


def _typed(kind: FactKind) -> str:
    """SQL of the details in `content`, each of its declared type."""
    return ", ".join(
        f"ARRAY(SELECT jsonb_array_elements_text(c.content->'{f.name}'))"
        if f.sql_type == "text[]"
        else f"(c.content->>'{f.name}')::{f.sql_type}"
        for f in kind.fields
    )


_FIRST = """
SELECT f.kind, f.event, f.subject, f.region, f.happened_at, f.received_at, coalesce(o.name, ''), coalesce(u.name, ''), f.device
FROM fact f LEFT JOIN officer o ON o.id = f."by" LEFT JOIN unit u ON u.id = f.unit WHERE f.id = %s"""
_SECOND = """
SELECT coalesce(nullif(c.kind, ''), f.kind), (c.content->>'event')::int, (c.content->>'subject')::uuid, c.region,
       (c.content->>'happened_at')::timestamptz, c.received_at, coalesce(o.name, ''), coalesce(u.name, ''), c.device, c.id
FROM conflict c JOIN fact f ON f.id = c.fact LEFT JOIN officer o ON o.id = c."by" LEFT JOIN unit u ON u.id = c.unit
WHERE c.fact = %s AND left(encode(c.digest, 'hex'), 16) = %s"""
_SETTLED = """
SELECT s.fact, s.decision, s.made, s.reason, f.received_at, coalesce(o.name, ''), coalesce(u.name, '')
FROM contradiction_settled s JOIN fact f ON f.id = s.fact LEFT JOIN officer o ON o.id = f."by" LEFT JOIN unit u ON u.id = f.unit
WHERE s.question = %s AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = s.fact) ORDER BY f.received_at DESC LIMIT 1"""
# What says now what the record said first: itself, or, where it was withdrawn, the last that took its place and stands.
_STANDS = """
WITH RECURSIVE line AS (
  SELECT f.id, 0 AS steps FROM fact f WHERE f.id = %s
  UNION ALL SELECT f.id, steps + 1 FROM line JOIN fact f ON f.corrects = line.id
  WHERE steps < 100 AND f.kind NOT LIKE 'loops.%%' AND f.kind NOT LIKE 'ledger.%%')
SELECT id FROM line WHERE NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = line.id) ORDER BY steps DESC, id DESC LIMIT 1"""


def _content(row: tuple, details: tuple) -> Content:
    names = [f.name for f in kinds.kind(row[0]).fields]
    return Content(*row, dict(zip(names, details, strict=True)))


def question(name: str) -> Question:
    """Both contents, and what was decided. Row-level security decides whether the record is in sight (`contradiction_not_found`)."""
    fact, short = _parts(name)
    first, second = run(_FIRST, [fact]), run(_SECOND, [fact, short])
    if not first or not second:
        raise _not_found()
    kind = kinds.kind(first[0][0])
    said = run(f"SELECT {', '.join(f.name for f in kind.fields)} FROM {kind.table} WHERE fact = %s", [fact])
    *head, conflict = second[0]
    came = run(f"SELECT {_typed(kinds.kind(head[0]))} FROM conflict c WHERE c.id = %s", [conflict])
    settled = run(_SETTLED, [name])
    return Question(
        name, fact, first[0][2], _content(first[0], said[0]), _content(tuple(head), came[0]),
        first_stands=not run("SELECT 1 FROM handled WHERE voids = %s", [fact]), settled=Settled(*settled[0]) if settled else None,
    )  # fmt: skip


def settle(*, by, question: str, decision: str, reason: str, act: UUID) -> Done:
    """Say which of the two holds; inside an action, safe to repeat with the same `act`.

    `first`: the record stays as it is. `second`: it is withdrawn, and what came second is recorded as what takes its place
    (duties follow as by `correct`). `both`: what came second is recorded as a record of its own, under an id that follows
    from the act. Refuses: an unknown decision (`decision_missing`), no reason (`reason_missing`), what is not in sight
    (`contradiction_not_found`), what is settled already (`duty_closed`), a record of duties changing hands or of persons
    joined, which is undone by the opposite act (`not_voidable`).
    """
    require(by, Permission.FACT_VOID)
    if decision not in set(Decision):
        raise Refused("decision_missing", "请选哪一次是对的。", "Please say which of the two holds.", "decision")
    if not reason.strip():
        raise Refused("reason_missing", "请写明依据什么定的。", "Please give the reason.", "reason")
    if act_known(act):
        return Done(ids.derived_id(act, CONTRADICTION_SETTLED.name, question), repeated=True)
    asked = _asked(question)
    loops = run(
        "SELECT id FROM loop WHERE kind = %s AND key = %s ORDER BY closed_at IS NULL DESC, id DESC LIMIT 1", [CONTRADICTION.name, question]
    )
    if not loops:
        raise _not_found()
    duty = handle.found(by, [loops[0][0]], Permission.FACT_VOID)[0]
    second, made, opened, closed = asked.second, None, (), ()
    if decision != Decision.FIRST:
        if second.kind.startswith(("loops.", "identity.", "ledger.")):
            raise Refused("not_voidable", "移交、合并类记录请用相反操作撤回。", "Such a record is undone by the opposite act.")
        stands = run(_STANDS, [asked.record]) if decision == Decision.SECOND else []
        for (record_id,) in stands:
            withdraw.void(by=by, fact=record_id, reason=reason, act=act)
        made = ids.derived_id(act, second.kind, asked.record, decision)
        done = _say(second, made, by, act, corrects=asked.record if decision == Decision.SECOND else None)
        opened, closed = done.opened, done.closed
    details = ContradictionSettled(question, Decision(decision), made, reason.strip())
    done = record(
        CONTRADICTION_SETTLED, event=duty.event, subject=duty.subject, details=details, by=by, act=act, region=duty.region,
        id=ids.derived_id(act, CONTRADICTION_SETTLED.name, question),
    )  # fmt: skip
    return Done(done.fact, tuple(sorted({*opened, *done.opened})), tuple(sorted({*closed, *done.closed})))


def take_back(*, by, question: str, reason: str, act: UUID) -> Done:
    """Withdraw the decision that stands; the question is asked again. Inside an action, safe to repeat with the same `act`.

    What it had recorded is withdrawn with it; where it had taken the first record's place, that one is said again.
    Refuses: what is not in sight or lies elsewhere (`contradiction_not_found`), nothing decided (`nothing_decided`), no reason.
    """
    require(by, Permission.FACT_VOID)
    if not reason.strip():
        raise Refused("reason_missing", "请写明为什么撤回。", "Please give the reason.", "reason")
    if act_known(act):
        return Done(act, repeated=True)
    asked = _asked(question)
    lo, hi = by.scope
    with engine():
        held = run(
            "SELECT owner, scope, event, subject, region FROM loop WHERE kind = %s AND key = %s ORDER BY id FOR UPDATE",
            [CONTRADICTION.name, question],
        )
        settled = run(_SETTLED, [question])
    if not held or not any(decide(Role(by.role), Permission.FACT_VOID, lo, hi, by.unit_id, scope, owner) for owner, scope, *_ in held):
        raise _not_found()
    if not settled:
        raise Refused("nothing_decided", "这一条还没有定，不用撤回。", "Nothing was decided yet.")
    *_, event, subject, region = held[-1]
    said = Settled(*settled[0])
    withdraw.withdraw(said.fact, event=event, subject=subject, region=region, reason=reason, by=by, act=act)
    if said.made is not None and not run("SELECT 1 FROM handled WHERE voids = %s", [said.made]):
        second = asked.second
        withdraw.withdraw(said.made, event=second.event, subject=second.subject, region=second.region, reason=reason, by=by, act=act)
        if said.decision == Decision.SECOND:
            _say(asked.first, ids.derived_id(act, asked.first.kind, asked.record), by, act, corrects=said.made)
    return Done(act)


def _asked(name: str) -> Question:
    """The question, whoever may see it: whether the actor may is decided by its duty. The record itself has to be in sight."""
    if not run("SELECT 1 FROM fact WHERE id = %s", [_parts(name)[0]]):
        raise _not_found()
    with engine():
        return question(name)


def _say(content: Content, id: UUID, by, act: UUID, *, corrects: UUID | None) -> Done:
    kind = kinds.kind(content.kind)
    return record(
        kind, event=content.event, subject=content.subject, details=kind.details(**content.details), by=by, id=id, act=act,
        happened_at=content.happened_at, region=content.region, corrects=corrects,
    )  # fmt: skip


def n_open() -> int:
    """Second contents about which nothing is decided. No gap: both contents are kept, and somebody owes the answer."""
    return run(
        """
        SELECT count(*) FROM conflict c WHERE NOT EXISTS (
          SELECT 1 FROM contradiction_settled s WHERE s.question = c.fact || ':' || left(encode(c.digest, 'hex'), 16)
          AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = s.fact))
        """,
        [],
    )[0][0]
