"""Duties changing hands or ending without being met: `offer`, `accept`, `return_`, `assign`, `reassign`, `waive`, `void`, `undo`.

A transfer has two phases: offered, then accepted; until accepted the giver owns the duty. Only a superior, recoding,
a unit's end or better knowledge of an untouched duty reassigns without asking. All functions take many duties at once,
lock them in order of id, and cost the same number of statements for one duty as for ten thousand. Each act carries the
id that its maker gave it: repeated, it changes nothing and answers the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import polars as pl
from django.db import connection

from bihuan.access.decide import decide, require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.ledger.kinds import FactKind
from bihuan.ledger.kinds import kind as fact_kind
from bihuan.loops import declare, facts, meanwhile
from bihuan.loops.record import Done, record, record_many, rings
from bihuan.policy import pack as packs

BULK_MAX = 10_000
HELD_MAX = 500  # persons: each is a lock in the server's memory; an undone list of more is not taken back beside single answers


@dataclasses.dataclass(frozen=True)
class Handled:
    """How many duties an act moved; `repeated` when the same act had been done before; `n_left`: what an undo had to leave."""

    n: int
    act: UUID
    repeated: bool = False
    n_left: int = 0


@dataclasses.dataclass(frozen=True)
class _Duty:
    """An open duty, locked."""

    id: int
    event: int
    kind: str
    subject: UUID
    key: str
    region: int
    scope: int
    owner: int
    assignee: int | None
    offered_to: int | None
    offered_until: Any
    pack: str


_COLUMNS = ", ".join(f.name for f in dataclasses.fields(_Duty))


def _rows(sql: str, parameters: Sequence | Mapping = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def _lock(loops: Iterable[int]) -> list[_Duty]:
    """Open duties by id, locked in order of id. Those already closed are left out."""
    wanted = sorted(set(loops))
    if len(wanted) > BULK_MAX:
        raise Refused("bulk_too_large", f"一次最多处理{BULK_MAX}件，请分批。", f"At most {BULK_MAX} at a time; please split.")
    found = _rows(f"SELECT {_COLUMNS} FROM loop WHERE id = ANY(%s) AND closed_at IS NULL ORDER BY id FOR UPDATE", (wanted,))
    return [_Duty(*row) for row in found]


def _act_known(act: UUID) -> bool:
    """Was this act done before? The same act sent twice at once waits here for the first."""
    _rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", (str(act),))
    with engine():  # whoever gave the duty away may no longer see it
        return bool(_rows("SELECT 1 FROM fact WHERE act = %s LIMIT 1", (act,)))


def _append(kind: FactKind, duties: Sequence[_Duty], by, act: UUID, details: Mapping[str, Any]) -> dict[int, UUID]:
    """One fact a duty; returns the fact of each. `details` are the same for all, or lists in the order of `duties`."""
    made = {duty.id: ids.derived_id(act, kind.name, duty.id) for duty in duties}
    for event in sorted({duty.event for duty in duties}):
        some = [(no, duty) for no, duty in enumerate(duties) if duty.event == event]
        columns = {f.name: [_pick(details.get(f.name), no) for no, _ in some] for f in kind.fields}
        columns["loop"] = [duty.id for _, duty in some]
        if "reason" in columns:
            columns["reason"] = [reason or "" for reason in columns["reason"]]
        schema = {f.name: pl.String if f.sql_type in ("text", "uuid") else pl.Int64 for f in kind.fields}
        frame = pl.DataFrame(
            {
                "id": [str(made[duty.id]) for _, duty in some],
                "subject": [str(duty.subject) for _, duty in some],
                "region": [duty.region for _, duty in some],
                **{name: [str(v) if isinstance(v, UUID) else v for v in values] for name, values in columns.items()},
            },
            schema_overrides=schema,
        )
        record_many(kind, frame, event=event, by=by, act=act)
    return made


def _pick(value: Any, no: int) -> Any:
    return value[no] if isinstance(value, list) else value


# --- the two set-based writes: duties move, duties end ------------------------------------------------------------

_MOVE = """
WITH w AS (SELECT * FROM unnest(%(loop)s::bigint[], %(fact)s::uuid[], %(unit)s::int[]) AS w(loop, fact, unit)),
lt AS (SELECT t.loop, t.level FROM timer t JOIN w USING (loop) FOR UPDATE OF t),
old AS (SELECT l.id, l.owner FROM loop l JOIN w ON w.loop = l.id),
u AS (
  UPDATE loop l SET owner = w.unit, assignee = NULL, offered_to = NULL, offered_until = NULL,
         region = coalesce(p.region, l.region), scope = coalesce(p.scope, l.scope)
  FROM w LEFT JOIN (SELECT u.id AS unit, u.region_id AS region, r.scope FROM unit u
                    JOIN region_scope r ON r.region_id = u.region_id AND r.valid @> %(day)s::date
                    WHERE %(place)s) p ON p.unit = w.unit
  WHERE l.id = w.loop AND l.closed_at IS NULL AND l.owner <> w.unit
  RETURNING l.id, l.event, l.kind, l.subject, l.scope, l.owner AS to_unit, w.fact,
            CASE WHEN l.due_at IS NOT NULL AND EXISTS (SELECT 1 FROM rung r WHERE r.pack = l.pack AND r.kind = l.kind)
                      AND NOT EXISTS (SELECT 1 FROM lt WHERE lt.loop = l.id AND lt.level = 1) THEN 1 ELSE 0 END AS late),
m AS (INSERT INTO movement (loop, at_fact, what, from_unit, to_unit, received_at)
      SELECT u.id, u.fact, %(what)s, old.owner, u.to_unit, %(now)s FROM u JOIN old USING (id)),
t AS (INSERT INTO tally_delta (event, unit, kind, day, opened, closed, moved_in, moved_out, late)
      SELECT event, unit, kind, %(day)s, 0, 0, sum(i), sum(o), sum(late) FROM (
        SELECT event, kind, to_unit AS unit, 1 AS i, 0 AS o, late FROM u
        UNION ALL SELECT event, kind, old.owner, 0, 1, -late FROM u JOIN old USING (id)) x GROUP BY event, unit, kind),
v AS (INSERT INTO visible (subject, scope, unit)
      SELECT DISTINCT coalesce(c2.subject, u.subject), u.scope, u.to_unit
      FROM u LEFT JOIN cluster c ON c.subject = u.subject LEFT JOIN cluster c2 ON c2.root = c.root
      ON CONFLICT (subject, scope, unit) DO NOTHING)
SELECT count(*) FROM u
"""

_CLOSE = """
WITH w AS (SELECT * FROM unnest(%(loop)s::bigint[], %(fact)s::uuid[]) AS w(loop, fact)),
cl AS (
  UPDATE loop l SET closed_at = %(now)s, closed_by = w.fact, outcome = %(outcome)s, offered_to = NULL, offered_until = NULL
  FROM w WHERE l.id = w.loop AND l.closed_at IS NULL
  RETURNING l.id, l.event, l.owner, l.kind, l.due_at, l.closed_by),
td AS (DELETE FROM timer t USING cl WHERE t.loop = cl.id RETURNING t.loop, t.level),
m AS (INSERT INTO movement (loop, at_fact, what, from_unit, received_at) SELECT id, closed_by, 'closed', owner, %(now)s FROM cl),
t AS (INSERT INTO tally_delta (event, unit, kind, day, opened, closed, moved_in, moved_out, late)
      SELECT event, owner, kind, %(day)s, 0, count(*), 0, 0,
             -count(*) FILTER (WHERE cl.due_at IS NOT NULL AND td.level IS DISTINCT FROM 1)
      FROM cl LEFT JOIN td ON td.loop = cl.id GROUP BY event, owner, kind)
SELECT count(*) FROM cl
"""

# A successor is owed where a duty ended by what no longer stands, and nobody else in the cluster owes it already.
_SUCCEED = """
WITH w AS (SELECT loop, fact, due_at, rungs::timestamptz[] AS rungs
           FROM unnest(%(loop)s::bigint[], %(fact)s::uuid[], %(due)s::timestamptz[], %(rungs)s::text[]) AS w(loop, fact, due_at, rungs)),
o AS (
  INSERT INTO loop (event, region, scope, owner, due_at, opened_at, subject, opened_by, kind, key, pack)
  -- of several duties of one person that ended together, one is owed again
  SELECT DISTINCT ON (l.event, l.kind, l.key, coalesce(c.root, l.subject))
         l.event, l.region, coalesce(rs.scope, l.scope), coalesce(un.successor_id, l.owner),
         w.due_at, %(now)s, l.subject, w.fact, l.kind, l.key, l.pack
  FROM w JOIN loop l ON l.id = w.loop JOIN unit un ON un.id = l.owner LEFT JOIN cluster c ON c.subject = l.subject
  LEFT JOIN region_scope rs ON rs.region_id = l.region AND rs.valid @> %(day)s::date  -- the place may have been recoded since
  WHERE l.closed_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM loop other LEFT JOIN cluster c2 ON c2.subject = other.subject
    WHERE other.closed_at IS NULL AND other.event = l.event AND other.kind = l.kind AND other.key = l.key
      AND (other.subject = l.subject OR c2.root = c.root))
  ORDER BY l.event, l.kind, l.key, coalesce(c.root, l.subject), l.id
  ON CONFLICT (event, kind, subject, key) WHERE closed_at IS NULL DO NOTHING
  RETURNING id, event, owner, kind, scope, due_at, subject, opened_by, key),
n AS (SELECT o.*, w.loop AS forerunner, w.rungs FROM o JOIN w ON w.fact = o.opened_by
      JOIN loop l ON l.id = w.loop AND l.kind = o.kind AND l.subject = o.subject AND l.key = o.key),
ti AS (INSERT INTO timer (loop, bucket, level, later)
       SELECT id, rungs[1], 1, rungs[2:] FROM n WHERE due_at IS NOT NULL AND cardinality(rungs) > 0),
m AS (INSERT INTO movement (loop, at_fact, what, to_unit, received_at, due_at, forerunner)
      SELECT id, opened_by, 'opened', owner, %(now)s, due_at, forerunner FROM n),
t AS (INSERT INTO tally_delta (event, unit, kind, day, opened, closed, moved_in, moved_out, late)
      SELECT event, owner, kind, %(day)s, count(*), 0, 0, 0, 0 FROM n GROUP BY event, owner, kind),
v AS (INSERT INTO visible (subject, scope, unit)
      SELECT DISTINCT coalesce(c2.subject, n.subject), n.scope, n.owner
      FROM n LEFT JOIN cluster c ON c.subject = n.subject LEFT JOIN cluster c2 ON c2.root = c.root
      ON CONFLICT (subject, scope, unit) DO NOTHING)
SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM n
"""


# Whether duty l has a successor already: a later duty of its alias that names it.
SUCCEEDED = """EXISTS (SELECT 1 FROM loop s JOIN movement m ON m.loop = s.id AND m.forerunner = l.id
  WHERE s.subject = l.subject AND s.kind = l.kind AND s.id > l.id)"""


def _when() -> dict[str, Any]:
    now = clock.now()
    return {"now": now, "day": now.astimezone(clock.SHANGHAI).date()}


def _move(fact_of: Mapping[int, UUID], unit_of: Mapping[int, int], what: str, *, place: bool) -> int:
    """Owners change at once; `place` also moves the duty's region and scope to the new owner's."""
    loops = sorted(fact_of)
    parameters = {"loop": loops, "fact": [fact_of[i] for i in loops], "unit": [unit_of[i] for i in loops], "what": what}
    with engine():
        return _rows(_MOVE, {**parameters, "place": place, **_when()})[0][0]


def close(fact_of: Mapping[int, UUID], outcome: str) -> int:
    """End duties by facts already recorded: `waived`, `void`, or `met` by one that took another's place."""
    loops = sorted(fact_of)
    with engine():
        return _rows(_CLOSE, {"loop": loops, "fact": [fact_of[i] for i in loops], "outcome": outcome, **_when()})[0][0]


def succeed(fact_of: Mapping[int, UUID], *, as_it_was: bool = False) -> list[int]:
    """Open successors of closed duties: same kind, subject, key and last owner; due at the later of the old deadline and
    now + the kind's grace, quiet hours folded in, or `as_it_was`. None where the cluster owes the duty already. Returns
    the new duties' ids."""
    wanted, when = sorted(fact_of), _when()
    if not wanted:
        return []
    with engine():
        found = _rows("SELECT id, kind, pack, due_at FROM loop WHERE id = ANY(%s) ORDER BY id", (wanted,))
        classes = _night_classes({i: kind for i, kind, *_ in found})
    loops, due, rungs = [], [], []
    for i, kind, key, due_at in found:
        declared, pack = declare.kind(kind), packs.by_key(key)
        if due_at is not None and not as_it_was:
            least = when["now"] + declared.grace(pack)
            folded = pack.quiet.fold(least, when["now"], classes.get(i)) if pack.quiet else least
            due_at = max(due_at, folded)
        loops.append(i)
        due.append(due_at)
        rungs.append(rings(declared.ladder(pack), pack, due_at, classes.get(i)) if due_at is not None else None)
    parameters = {"loop": loops, "fact": [fact_of[i] for i in loops], "due": due, "rungs": rungs}
    with engine():
        return list(_rows(_SUCCEED, {**parameters, **when})[0][0])


def _night_classes(kind_of: Mapping[int, str]) -> dict[int, str | None]:
    """The class by which the pack's quiet hours know whose clock runs at night too, for each duty that has one.

    It stands in the fact that last set the clock of the duty or, for a successor, of the duty before it.
    """
    columns: dict[str, str] = {}
    for kind in set(kind_of.values()):
        declared = declare.kind(kind)
        for fact in (*declared.opens, *declared.extends) if declared.quiet else ():
            if declared.quiet in {field.name for field in fact.fields}:
                columns[fact.name] = declared.quiet
    if not columns:
        return {}
    rows = _rows(
        """
        WITH RECURSIVE line AS (
          SELECT i AS loop, i AS before, 0 AS steps FROM unnest(%(loops)s::bigint[]) i
          UNION ALL SELECT line.loop, m.forerunner, steps + 1 FROM line
          JOIN movement m ON m.loop = line.before AND m.what = 'opened' AND m.forerunner IS NOT NULL)
        SELECT DISTINCT ON (line.loop) line.loop, f.id, f.kind
        FROM line JOIN movement m ON m.loop = line.before AND m.what IN ('opened', 'extended')
        JOIN fact f ON f.id = m.at_fact AND f.kind = ANY(%(kinds)s) ORDER BY line.loop, steps, m.id DESC
        """,
        {"loops": list(kind_of), "kinds": list(columns)},
    )
    said: dict[UUID, str | None] = {}
    for name in {kind for *_, kind in rows}:
        facts_of = [fact for _, fact, kind in rows if kind == name]
        said |= dict(_rows(f"SELECT fact, {columns[name]} FROM {fact_kind(name).table} WHERE fact = ANY(%s)", (facts_of,)))
    return {loop: said.get(fact) for loop, fact, _ in rows}


# --- what officers do ---------------------------------------------------------------------------------------------


def _not_here() -> Refused:
    # The same words for "not yours" and "not there": a refusal must not tell that something exists.
    return Refused("duty_not_found", "没有这件待办，或已办结，或不归您管。", "There is no such open duty, or it is not yours.")


def _found(by, loops: Sequence[int], permission: Permission, seen: Mapping[int, str] | None = None) -> list[_Duty]:
    """The duties, locked. Refuses when the post may not touch one of them (its place is in range, or the unit holds or is
    offered it), when one is closed, or is no longer as the page showed it (`seen`); who had a part in it is told why.
    """
    require(by, permission)
    with engine():
        duties = _lock(loops)
    lo, hi = by.scope
    mine = set()
    for duty in duties:
        holder = by.unit_id if by.unit_id in (duty.owner, duty.offered_to) else None
        if decide(Role(by.role), permission, lo, hi, by.unit_id, duty.scope, holder):
            mine.add(duty.id)
    if missing := sorted(set(loops) - mine):
        raise meanwhile.refusal(by, missing, _not_here)
    meanwhile.require_seen(by, duties, seen, _not_here)
    return duties


def _owned(by, duties: Sequence[_Duty]) -> None:
    """Only the owner's desk, or a desk whose range holds the duty, gives it away."""
    lo, hi = by.scope
    for duty in duties:
        if duty.owner != by.unit_id and not lo <= duty.scope < hi:
            raise Refused("duty_not_held", "这件事现在不在您这里。", "You do not hold this duty.", str(duty.id))


def _living(unit: int) -> None:
    if not _rows("SELECT 1 FROM unit WHERE id = %s AND valid @> %s::date", (unit, clock.today())):
        raise Refused("unit_ended", "接收单位不存在或已撤销，请另选。", "The receiving unit does not exist or has ended.")


def _within(by, unit: int) -> None:
    """A unit outside the post's range and one that does not exist are one answer; who lies there is asked by `offer`."""
    lo, hi = by.scope
    if not _rows(
        "SELECT 1 FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(day)s::date"
        " WHERE u.id = %(unit)s AND u.valid @> %(day)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s",
        {"unit": unit, "day": clock.today(), "lo": lo, "hi": hi},
    ):
        raise Refused(
            "unit_not_found",
            "没有这个单位，或不归您管；要交给别处请用移交。",
            "There is no such unit in your range; offer the duty to others.",
        )


def offer(*, by, loops: Sequence[int], to_unit: int, reason: str, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """Ask another unit to take duties over; the giver owns them until they are accepted (minutes from the pack).

    Refuses: a duty that is not open, not one's own, already offered (`already_offered`), or offered to its owner; a
    unit that has ended; an empty reason.
    """
    if _act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明移交原因。", "Please give the reason.", "reason")
    _living(to_unit)
    duties = _found(by, loops, Permission.DUTY_MOVE, seen)
    _owned(by, duties)
    for duty in duties:
        if duty.offered_to is not None:
            last = meanwhile.refusal(by, [duty.id], _not_here)
            raise Refused(
                "already_offered",
                f"这件事已在移交中，请等对方接收或先撤回。{last.zh}",
                f"This duty is already offered. {last.en}",
                str(duty.id),
            )
        if duty.owner == to_unit:
            raise Refused("offer_to_owner", "这件事本来就在该单位。", "That unit already owns this duty.", str(duty.id))
    _offer(duties, {duty.id: to_unit for duty in duties}, by, act, reason)
    return Handled(len(duties), act)


def _offer(duties: Sequence[_Duty], unit_of: Mapping[int, int], by, act: UUID, reason: str) -> None:
    made = _append(facts.OFFERED, duties, by, act, {"unit": [unit_of[d.id] for d in duties], "reason": reason})
    now = clock.now()
    until = {}
    for duty in duties:
        pack = packs.by_key(duty.pack)
        until[duty.id] = now + declare.kind(duty.kind).offered_for(pack)
    loops = [duty.id for duty in duties]
    with engine():
        _rows(
            """
            WITH w AS (SELECT * FROM unnest(%(loop)s::bigint[], %(fact)s::uuid[], %(unit)s::int[], %(until)s::timestamptz[])
                       AS w(loop, fact, unit, until)),
            u AS (UPDATE loop l SET offered_to = w.unit, offered_until = w.until FROM w
                  WHERE l.id = w.loop AND l.closed_at IS NULL
                  RETURNING l.id, l.owner, l.scope, l.subject, w.fact, w.unit),
            m AS (INSERT INTO movement (loop, at_fact, what, from_unit, to_unit, received_at)
                  SELECT id, fact, 'offered', owner, unit, %(now)s FROM u)
            INSERT INTO visible (subject, scope, unit)
            SELECT DISTINCT coalesce(c2.subject, u.subject), u.scope, u.unit
            FROM u LEFT JOIN cluster c ON c.subject = u.subject LEFT JOIN cluster c2 ON c2.root = c.root
            ON CONFLICT (subject, scope, unit) DO NOTHING
            """,
            {"loop": loops, "fact": [made[i] for i in loops], "unit": [unit_of[i] for i in loops],
             "until": [until[i] for i in loops], "now": now},
        )  # fmt: skip


def accept(*, by, loops: Sequence[int], act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """Take over duties offered to one's unit: from now on it owns them.

    Refuses: not offered to this unit (`not_offered`), or the offer has run out (`offer_expired`).
    """
    if _act_known(act):
        return Handled(len(loops), act, repeated=True)
    duties = _found(by, loops, Permission.DUTY_MOVE, seen)
    now = clock.now()
    for duty in duties:
        if duty.offered_to != by.unit_id:
            last = meanwhile.refusal(by, [duty.id], _not_here)
            raise Refused(
                "not_offered", f"这件事没有移交给您单位。{last.zh}", f"This duty is not offered to your unit. {last.en}", str(duty.id)
            )
        if duty.offered_until <= now:
            raise Refused("offer_expired", "移交已过时，请对方重新移交。", "The offer has run out; ask for it again.", str(duty.id))
    made = _append(facts.ACCEPTED, duties, by, act, {"unit": by.unit_id})
    n = _move(made, {duty.id: by.unit_id for duty in duties}, "accepted", place=False)
    return Handled(n, act)


def return_(*, by, loops: Sequence[int], reason: str, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """End an offer without taking it: the unit asked declines, or the giver withdraws. The giver still owns it."""
    if _act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明退回原因。", "Please give the reason.", "reason")
    duties = _found(by, loops, Permission.DUTY_MOVE, seen)
    for duty in duties:
        if duty.offered_to is None:
            last = meanwhile.refusal(by, [duty.id], _not_here)
            raise Refused("not_offered", f"这件事不在移交中。{last.zh}", f"This duty is not offered. {last.en}", str(duty.id))
    _end_offers(duties, facts.RETURNED, "returned", by, act, reason)
    return Handled(len(duties), act)


def _end_offers(duties: Sequence[_Duty], kind: FactKind, what: str, by, act: UUID, reason: str) -> None:
    made = _append(kind, duties, by, act, {"unit": [d.offered_to for d in duties], "reason": reason})
    loops = [duty.id for duty in duties]
    with engine():
        _rows(
            """
            WITH w AS (SELECT * FROM unnest(%(loop)s::bigint[], %(fact)s::uuid[], %(unit)s::int[]) AS w(loop, fact, unit)),
            u AS (UPDATE loop l SET offered_to = NULL, offered_until = NULL FROM w
                  WHERE l.id = w.loop AND l.closed_at IS NULL RETURNING l.id, l.owner, w.fact, w.unit)
            INSERT INTO movement (loop, at_fact, what, from_unit, to_unit, received_at)
            SELECT id, fact, %(what)s, owner, unit, %(now)s FROM u
            """,
            {"loop": loops, "fact": [made[i] for i in loops], "unit": [d.offered_to for d in duties], "what": what,
             "now": clock.now()},
        )  # fmt: skip


def expire_offers(*, by) -> int:
    """Offers that ran out end; the giver still owns the duty. Called by the clock with its own post."""
    with engine():
        late = [
            i for (i,) in _rows("SELECT id FROM loop WHERE closed_at IS NULL AND offered_until <= %s LIMIT %s", (clock.now(), BULK_MAX))
        ]
        duties = [duty for duty in _lock(late) if duty.offered_until is not None and duty.offered_until <= clock.now()]
    if duties:
        # The act is computed from what expires, so that two clocks at once make the same facts.
        first = duties[0]
        act = ids.derived_id(ids.lowest_id(first.offered_until), "expired", *(f"{d.id}@{d.offered_until.timestamp()}" for d in duties))
        _end_offers(duties, facts.EXPIRED, "expired", by, act, "")
    return len(duties)


def assign(*, by, loops: Sequence[int], officer: int | None, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """Name the officer of the owner's unit who works on duties (None: nobody in particular). The unit stays owner."""
    if _act_known(act):
        return Handled(len(loops), act, repeated=True)
    duties = _found(by, loops, Permission.DUTY_MOVE, seen)
    _owned(by, duties)
    if officer is not None:
        owners = {duty.owner for duty in duties}
        held = _rows(
            "SELECT count(DISTINCT unit) FROM post WHERE officer = %s AND unit = ANY(%s) AND valid @> %s::date",
            (officer, list(owners), clock.today()),
        )
        if held[0][0] < len(owners):
            raise Refused("officer_elsewhere", "该人员不在承办单位任职。", "That officer holds no post in the owner's unit.", "officer")
    _append(facts.ASSIGNED, duties, by, act, {"unit": [d.owner for d in duties], "officer": officer})
    with engine():
        _rows("UPDATE loop SET assignee = %s WHERE id = ANY(%s)", (officer, [duty.id for duty in duties]))
    return Handled(len(duties), act)


def reassign(
    *, by, loops: Sequence[int], to_unit: int, reason: str, act: UUID, seen: Mapping[int, str] | None = None, place: bool = False
) -> Handled:
    """Move duties at once, as a superior: the post's range must hold them and the receiving unit, and its own unit stands
    above a single village. Refuses a receiver out of range (`unit_not_found`): nobody is made to answer for another's people.
    """
    if _act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明改派原因。", "Please give the reason.", "reason")
    duties = _found(by, loops, Permission.DUTY_MOVE, seen)
    lo, hi = by.scope
    for duty in duties:
        if Role(by.role) not in (Role.CITY_DESK, Role.COUNTY_DESK, Role.TOWNSHIP_DESK) or not lo <= duty.scope < hi:
            raise Refused(
                "not_superior", "只有上级专班可以直接改派；请用移交。", "Only a superior desk reassigns; offer it instead.", str(duty.id)
            )
    _within(by, to_unit)
    moving = [duty for duty in duties if duty.owner != to_unit]
    if moving:
        route({duty.id: to_unit for duty in moving}, by=by, act=act, reason=reason, place=place, force=True)
    return Handled(len(moving), act)


def touched(loops: Sequence[int], moved: Sequence[str] = (), was: Sequence[str] = ()) -> set[int]:
    """Duties on which somebody has worked: assigned, accepted, or with a fact of a kind that is work on it.

    `moved`, `was`: aliases that have just come to another person, and whose they were. Work counts for a duty when it
    was about the person as known then: what was done for the one is not done for the other because they are joined.
    """
    if not loops:
        return set()
    works = [(kind.name, fact.name) for kind in declare.kinds().values() for fact in kind.works]
    with engine():
        rows = _rows(
            """
            WITH d AS MATERIALIZED (SELECT id, subject, kind, event, opened_at, assignee FROM loop WHERE id = ANY(%(loops)s)),
            w AS MATERIALIZED (SELECT * FROM unnest(%(kinds)s::text[], %(facts)s::text[]) AS w(kind, fact)),
            o AS MATERIALIZED (SELECT * FROM unnest(%(moved)s::uuid[], %(was)s::uuid[]) AS o(subject, was)),
            a AS MATERIALIZED (
              SELECT d.id, d.kind, d.event, d.opened_at, s.subject FROM d CROSS JOIN LATERAL (
                SELECT d.subject UNION SELECT c2.subject FROM cluster c JOIN cluster c2 ON c2.root = c.root WHERE c.subject = d.subject
                AND coalesce((SELECT was FROM o WHERE o.subject = c.subject), c.root)
                  = coalesce((SELECT was FROM o WHERE o.subject = c2.subject), c2.root)) s)
            SELECT id FROM d WHERE assignee IS NOT NULL
            UNION SELECT d.id FROM d WHERE EXISTS (SELECT 1 FROM movement m WHERE m.loop = d.id AND m.what = 'accepted')
            UNION SELECT a.id FROM a CROSS JOIN LATERAL (
              SELECT f.id FROM fact f WHERE f.subject = a.subject AND f.received_at >= a.opened_at AND f.event = a.event
                AND f.kind IN (SELECT w.fact FROM w WHERE w.kind = a.kind)
                AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id) OFFSET 0) f
            """,
            {"loops": list(loops), "moved": list(moved), "was": list(was), "kinds": [w[0] for w in works], "facts": [w[1] for w in works]},
        )
    return {i for (i,) in rows}


def once_offered(loops: Sequence[int]) -> set[int]:
    """Duties that somebody has offered to another unit, whatever became of it."""
    with engine():
        return {i for (i,) in _rows("SELECT DISTINCT loop FROM movement WHERE loop = ANY(%s) AND what = 'offered'", (list(loops),))}


def route(unit_of: Mapping[int, int], *, by, act: UUID, reason: str, place: bool = True, force: bool = False) -> tuple[int, int]:
    """Better knowledge of where a duty belongs: untouched duties are reassigned, touched ones offered.

    `unit_of`: duty -> the unit where it belongs. `force` reassigns touched ones too (recoding, a unit's end, a
    superior). `place` moves the duty's region along. Returns (reassigned, offered). Permission was decided by the
    caller; duties already there, closed, or already offered there are left alone.
    """
    with engine():
        duties = [d for d in _lock(unit_of) if d.owner != unit_of[d.id]]
    worked_on = set() if force else touched([duty.id for duty in duties])
    now = [duty for duty in duties if duty.id not in worked_on]
    later = [duty for duty in duties if duty.id in worked_on and duty.offered_to is None]
    if now:
        made = _append(facts.REASSIGNED, now, by, act, {"unit": [unit_of[d.id] for d in now], "reason": reason})
        _move(made, unit_of, "reassigned", place=place)
    if later:
        _offer(later, unit_of, by, act, reason)
    return len(now), len(later)


def waive(*, by, loops: Sequence[int], reason: str, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """End duties without what they ask for, signed by the post, with a reason."""
    if _act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明免办原因。", "Please give the reason.", "reason")
    duties = _found(by, loops, Permission.DUTY_WAIVE, seen)
    made = _append(facts.WAIVED, duties, by, act, {"reason": reason})
    return Handled(close(made, "waived"), act)


# --- withdrawing a record -----------------------------------------------------------------------------------------


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
    row = _rows("SELECT event, kind, subject, region, act FROM fact WHERE id = %s", (fact,))
    if not row:
        raise Refused("fact_not_found", "没有这条办理记录，或不归您管。", "There is no such record, or it is not yours.")
    event, kind, subject, region, of_act = row[0]
    if kind.startswith(("loops.", "identity.")):
        raise Refused("not_voidable", "移交、合并类记录请用相反操作撤回。", "Such a record is undone by the opposite act.")
    void_id = ids.derived_id(act, facts.VOIDED.name, fact)
    with engine():
        _one_withdrawal_of(of_act)
        earlier = _rows("SELECT fact FROM handled WHERE voids = %s", (fact,))
        _hold([subject])
    if earlier and earlier[0][0] != void_id:
        zh, en = meanwhile.withdrawn([fact])
        raise Refused("already_voided", f"这条记录已经作废：{zh}。", f"This record was already withdrawn: {en}.")
    return withdraw(fact, event=event, subject=subject, region=region, reason=reason, by=by, act=act)


def _one_withdrawal_of(act: UUID) -> None:
    """Records of one act are withdrawn one at a time, whether one by one or all by an undo."""
    _rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", (str(act),))


def _hold(subjects: Sequence[UUID]) -> None:
    """Nothing is said of these persons by a single record until we are done: what follows from a withdrawal is judged by all
    that stands, and an answer that is being saved at that moment must be there, or not begun. Their duties first, as every
    act on a duty does; then each of their aliases, whichever of them a record holds as the person's first.
    """
    aliases = _rows(
        """
        WITH a AS (SELECT DISTINCT x AS subject FROM unnest(%s::uuid[]) s CROSS JOIN LATERAL (
          SELECT s AS x UNION SELECT c2.subject FROM cluster c JOIN cluster c2 ON c2.root = c.root WHERE c.subject = s) y)
        SELECT subject FROM a ORDER BY subject
        """,
        (list(subjects),),
    )
    if len(aliases) > HELD_MAX:
        return
    _rows("SELECT id FROM loop WHERE subject = ANY(%s) ORDER BY id FOR UPDATE", ([alias for (alias,) in aliases],))
    locks = sorted(int.from_bytes(alias.bytes[8:], "big", signed=True) for (alias,) in aliases)
    _rows("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) k", (locks,))


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
    row = _rows("SELECT event, kind, subject, region, happened_at FROM fact WHERE id = %s", (fact,))
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
        born = _rows(
            "SELECT id, opened_by FROM loop WHERE opened_by = ANY(%s) AND closed_at IS NULL ORDER BY id FOR UPDATE", (list(void_of),)
        )
        # One that is owed again already, since persons were parted, has its successor: nobody is asked twice.
        ended = _rows(f"SELECT id, closed_by FROM loop l WHERE closed_by = ANY(%s) AND NOT {SUCCEEDED} ORDER BY id", (list(void_of),))
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
        found = _rows(
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
    return dict(zip(names, _rows(f"SELECT {', '.join(names)} FROM {kind.table} WHERE fact = %s", (fact,))[0], strict=True))


def undo(*, by, act: UUID, leave_resting: bool = False) -> Handled:
    """Take back one's own act while nothing rests on it (the page offers it for some seconds).

    Records are withdrawn as by `void`; an offer is withdrawn, a duty goes back to the officer or unit that had it.
    Refuses: not one's own act (`act_not_found`), or something rests on it (`rests_on_it`). With `leave_resting` the duties
    on which something rests are left as they are and counted, and only an act of nothing else is refused.
    """
    undo_act = ids.derived_id(act, "undo")
    if _act_known(undo_act):
        return Handled(0, undo_act, repeated=True)
    rows = _rows(
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
        _rows(f"SELECT id FROM loop WHERE id IN ({touched_by}) ORDER BY id FOR UPDATE", {"f": given})
        resting = {
            fact
            for (fact,) in _rows(
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
        loops = [i for (i,) in _rows("SELECT loop FROM handled WHERE fact = ANY(%s)", (fact_ids,))]
        duties = _lock(loops)
    kind = kinds.pop()
    if kind == facts.OFFERED.name:
        _end_offers([d for d in duties if d.offered_to is not None], facts.RETURNED, "returned", by, undo_act, "撤销")
    elif kind == facts.ASSIGNED.name:
        with engine():
            before = dict(_rows(_ASSIGNED_BEFORE, {"loops": [d.id for d in duties], "facts": fact_ids}))
        again = [before.get(d.id) for d in duties]
        _append(facts.ASSIGNED, duties, by, undo_act, {"unit": [d.owner for d in duties], "officer": again, "reason": "撤销"})
        with engine():
            _rows(
                "UPDATE loop l SET assignee = w.officer FROM unnest(%s::bigint[], %s::int[]) AS w(loop, officer) WHERE l.id = w.loop",
                ([d.id for d in duties], again),
            )
    elif kind in (facts.ACCEPTED.name, facts.REASSIGNED.name):
        with engine():
            back = dict(_rows("SELECT loop, from_unit FROM movement WHERE at_fact = ANY(%s)", (fact_ids,)))
            homes = dict(_rows("SELECT id, region_id FROM unit WHERE id = ANY(%s)", ([d.owner for d in duties],)))
        made = _append(facts.REASSIGNED, duties, by, undo_act, {"unit": [back[d.id] for d in duties], "reason": "撤销"})
        # The place goes back with the duty where it had come along.
        moved = {d.id for d in duties if kind == facts.REASSIGNED.name and homes[d.owner] == d.region}
        for place in (True, False):
            part = {i: fact for i, fact in made.items() if (i in moved) is place}
            if part:
                _move(part, back, "reassigned", place=place)
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
