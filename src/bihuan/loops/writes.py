"""The writes by which duties change: locked, told by a fact each, offered, moved, ended, succeeded.

All take many duties at once, lock them in order of id, and cost the same number of statements for one duty as for ten
thousand. Who may, and what is refused, is decided by the acts that call them: `handle`, `withdraw`, `clusters`,
`jurisdiction`, `hand_over`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import polars as pl

from bihuan.access.door import engine
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.ledger.kinds import FactKind
from bihuan.ledger.kinds import kind as fact_kind
from bihuan.loops import declare, facts
from bihuan.loops.decisions import rings
from bihuan.loops.record import record_many
from bihuan.loops.statement import run
from bihuan.policy import pack as packs

BULK_MAX = 10_000


@dataclasses.dataclass(frozen=True)
class Handled:
    """How many duties an act moved; `repeated` when the same act had been done before; `n_left`: what an undo had to leave."""

    n: int
    act: UUID
    repeated: bool = False
    n_left: int = 0


@dataclasses.dataclass(frozen=True)
class Duty:
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


_COLUMNS = ", ".join(f.name for f in dataclasses.fields(Duty))


def lock(loops: Iterable[int]) -> list[Duty]:
    """Open duties by id, locked in order of id. Those already closed are left out."""
    wanted = sorted(set(loops))
    if len(wanted) > BULK_MAX:
        raise Refused("bulk_too_large", f"一次最多处理{BULK_MAX}件，请分批。", f"At most {BULK_MAX} at a time; please split.")
    found = run(f"SELECT {_COLUMNS} FROM loop WHERE id = ANY(%s) AND closed_at IS NULL ORDER BY id FOR UPDATE", (wanted,))
    return [Duty(*row) for row in found]


def act_known(act: UUID) -> bool:
    """Was this act done before? The same act sent twice at once waits here for the first."""
    run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", (str(act),))
    with engine():  # whoever gave the duty away may no longer see it
        return bool(run("SELECT 1 FROM fact WHERE act = %s LIMIT 1", (act,)))


def append(kind: FactKind, duties: Sequence[Duty], by, act: UUID, details: Mapping[str, Any]) -> dict[int, UUID]:
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


# --- duties move, end, are owed again -----------------------------------------------------------------------------

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


def move(fact_of: Mapping[int, UUID], unit_of: Mapping[int, int], what: str, *, place: bool) -> int:
    """Owners change at once; `place` also moves the duty's region and scope to the new owner's."""
    loops = sorted(fact_of)
    parameters = {"loop": loops, "fact": [fact_of[i] for i in loops], "unit": [unit_of[i] for i in loops], "what": what}
    with engine():
        return run(_MOVE, {**parameters, "place": place, **_when()})[0][0]


def close(fact_of: Mapping[int, UUID], outcome: str) -> int:
    """End duties by facts already recorded: `waived`, `void`, or `met` by one that took another's place."""
    loops = sorted(fact_of)
    with engine():
        return run(_CLOSE, {"loop": loops, "fact": [fact_of[i] for i in loops], "outcome": outcome, **_when()})[0][0]


def succeed(fact_of: Mapping[int, UUID], *, as_it_was: bool = False) -> list[int]:
    """Open successors of closed duties: same kind, subject, key and last owner; due at the later of the old deadline and
    now + the kind's grace, quiet hours folded in, or `as_it_was`. None where the cluster owes the duty already. Returns
    the new duties' ids."""
    wanted, when = sorted(fact_of), _when()
    if not wanted:
        return []
    with engine():
        found = run("SELECT id, kind, pack, due_at FROM loop WHERE id = ANY(%s) ORDER BY id", (wanted,))
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
        return list(run(_SUCCEED, {**parameters, **when})[0][0])


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
    rows = run(
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
        said |= dict(run(f"SELECT fact, {columns[name]} FROM {fact_kind(name).table} WHERE fact = ANY(%s)", (facts_of,)))
    return {loop: said.get(fact) for loop, fact, _ in rows}


# --- duties are offered -------------------------------------------------------------------------------------------


def put_offers(duties: Sequence[Duty], unit_of: Mapping[int, int], by, act: UUID, reason: str) -> None:
    """Each duty is offered to a unit, for as long as its pack says."""
    made = append(facts.OFFERED, duties, by, act, {"unit": [unit_of[d.id] for d in duties], "reason": reason})
    now = clock.now()
    until = {}
    for duty in duties:
        pack = packs.by_key(duty.pack)
        until[duty.id] = now + declare.kind(duty.kind).offered_for(pack)
    loops = [duty.id for duty in duties]
    with engine():
        run(
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


def end_offers(duties: Sequence[Duty], kind: FactKind, what: str, by, act: UUID, reason: str) -> None:
    """Offers end without being taken: `kind` and `what` say how (returned, expired)."""
    made = append(kind, duties, by, act, {"unit": [d.offered_to for d in duties], "reason": reason})
    loops = [duty.id for duty in duties]
    with engine():
        run(
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
