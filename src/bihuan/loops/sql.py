"""The one statement of `record`: append facts and let them open, close and extend duties.

It is the same for one fact and for a hundred thousand; only the source `s0` differs (parameters, or a staged table).
What the declarations answered comes as arrays by `combo`, the number of a distinct combination of what they read.
Counts and movements are made from duties really opened or closed, never from what was asked.
"""

from __future__ import annotations

import functools

from bihuan.ledger.kinds import FactKind
from bihuan.ledger.kinds import kind as fact_kind
from bihuan.loops import declare

HEADER = (
    ("id", "uuid"), ("act", "uuid"), ("event", "int"), ("subject", "uuid"), ("region", "int"), ("happened_at", "timestamptz"),
    ("effective_at", "timestamptz"), ("device", "int"), ("device_seq", "bigint"), ("purpose", "text"), ("corrects", "uuid"),
    ("combo", "int"),
)  # fmt: skip


# The salt of a fact's leaf in the seal. To draw a hundred thousand costs as much as to write the facts: a batch draws one
# secret, which nobody keeps, and hashes it with each id.
_SALT = "uuid_send(gen_random_uuid())"
_SALTS = "substr(sha256((SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) || uuid_send(id)), 1, 16)"


def digest(kind: FactKind, row: str) -> str:
    """SQL of the SHA-256 over what was reported: kind, event, subject, time and details. Not when it was heard, nor by whom.

    Over the values as the server sends them in binary, each of its declared type: no setting of a session (time zone,
    style of dates) is in it, a null is not an empty text, and it costs half of what a text form does.
    """
    parts = [f"'{kind.name}'::text", f"{row}.event::int", f"{row}.subject::uuid", f"{row}.happened_at::timestamptz"]
    parts += [f"{row}.{field.name}::{field.sql_type}" for field in kind.fields]
    return f"sha256(record_send(ROW({', '.join(parts)})))"


def source_of_one(kind: FactKind) -> str:
    """`s0` as one row of parameters."""
    columns = [f"%({name})s::{sql_type} AS {name}" for name, sql_type in HEADER]
    columns += [f"%(d_{field.name})s::{field.sql_type} AS {field.name}" for field in kind.fields]
    return "SELECT " + ", ".join(columns)


def _resolved(kind: FactKind) -> str:
    """`r`: the rows with the key of their duties and the root of their person."""
    key = f"s0.{kind.key}" if kind.key else "''::text"
    return f"""SELECT s0.*, {key} AS loop_key, coalesce(c.root, s0.subject) AS root, c.root IS NULL AS alone,
         EXISTS (SELECT 1 FROM fact f WHERE f.id = s0.id) AS known
  FROM s0 LEFT JOIN cluster c ON c.subject = s0.subject"""


# `m`: every alias of the person of each row; one that was never linked nor listed stands for itself.
_MEMBERS = """SELECT r.id, r.event, r.loop_key, r.combo, c.subject FROM r JOIN cluster c ON c.root = r.root
  UNION ALL SELECT id, event, loop_key, combo, subject FROM r WHERE r.alone"""

# `x`: duties whose deadline a fact moves, each by the rules under which it was opened. Few kinds of fact do that; for the
# others the planner is told that there are none.
_EXTENDED = """UPDATE loop l SET due_at = hit.due_at
  FROM (SELECT DISTINCT ON (m.event, m.subject, m.loop_key, xd.kind, xd.pack)
               m.id AS fact, m.event, m.subject, m.loop_key, xd.kind, xd.pack, xd.due_at, xd.rungs
        FROM m JOIN xd USING (combo) JOIN f USING (id) ORDER BY m.event, m.subject, m.loop_key, xd.kind, xd.pack, xd.due_at DESC) hit
  WHERE l.subject = hit.subject AND l.kind = hit.kind AND l.key = hit.loop_key AND l.event = hit.event AND l.pack = hit.pack
    AND l.closed_at IS NULL
  RETURNING l.id, l.event, l.owner, l.kind, l.due_at, hit.fact, hit.rungs"""
# A duty just opened has no timer yet; one whose deadline moves may have (`xt`: as the clock left it, waited for before it is set).
_TIMERS_AGAIN = """
  UNION ALL SELECT x.id, x.rungs[1], 1, x.rungs[2:] FROM x WHERE x.rungs IS NOT NULL AND (SELECT count(*) FROM xt) >= 0
  ON CONFLICT (loop) DO UPDATE SET bucket = excluded.bucket, level = 1, later = excluded.later"""
_NONE_EXTENDED = """SELECT NULL::bigint AS id, NULL::int AS event, NULL::int AS owner, NULL::text AS kind, NULL::timestamptz AS due_at,
         NULL::uuid AS fact, NULL::timestamptz[] AS rungs WHERE false"""

# A duty is opened at the unit that jurisdiction names; one that has ended is answered for by its successor.
_OPENINGS = """SELECT o.combo, o.kind, u.id AS owner, o.due_at, o.pack, o.rungs::timestamptz[] AS rungs, u.region_id AS region, s.scope
  FROM unnest(%(od_combo)s::int[], %(od_kind)s::text[], %(od_owner)s::int[], %(od_due)s::timestamptz[],
              %(od_pack)s::text[], %(od_rungs)s::text[]) AS o(combo, kind, owner, due_at, pack, rungs)
  JOIN unit named ON named.id = o.owner
  JOIN unit u ON u.id = CASE WHEN named.valid @> %(day)s::date THEN named.id ELSE coalesce(named.successor_id, named.id) END
  JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(day)s::date"""

# `owed`: what the person of each row owes already, or did. By itself, so that it is looked up once and not once a row:
# a new city has no statistics, and the planner then takes a thousand rows for one.
_OWED = """SELECT m.id, l.kind FROM m JOIN loop l ON l.subject = m.subject AND l.key = m.loop_key AND l.event = m.event
  WHERE l.closed_at IS NULL OR (m.loop_key <> '' AND l.outcome <> 'void')"""

# `wanted`: the duties to open, one per person, kind and key, where nobody owes it and it was not met before.
_WANTED = """SELECT DISTINCT ON (r.event, od.kind, r.root, r.loop_key)
         r.event, od.region, od.scope, od.owner, od.due_at, r.subject, r.id AS fact, od.kind, r.loop_key, od.pack, od.rungs
  FROM r JOIN od USING (combo)
  WHERE NOT r.known  -- a row said again must not stand in a new one's place
    AND NOT EXISTS (SELECT 1 FROM owed WHERE owed.id = r.id AND owed.kind = od.kind)
  ORDER BY r.event, od.kind, r.root, r.loop_key, od.due_at, r.id"""


@functools.cache
def staging_statements(name: str) -> tuple[str, ...]:
    """For a batch: `r`, `m` and `wanted` become tables with statistics, so that the planner knows how large they are.

    Of the columns by which they are joined: to look at every text of every row costs as much as to write them.
    """
    kind = fact_kind(name)
    return (
        f"CREATE TEMPORARY TABLE staged_r ON COMMIT DROP AS WITH s0 AS (SELECT * FROM pg_temp.staged_fact) {_resolved(kind)}",
        "ANALYZE pg_temp.staged_r (id, root, loop_key, combo, known, alone)",
        f"CREATE TEMPORARY TABLE staged_m ON COMMIT DROP AS WITH r AS (SELECT * FROM pg_temp.staged_r) {_MEMBERS}",
        "ANALYZE pg_temp.staged_m (id, event, subject, loop_key, combo)",
        "CREATE TEMPORARY TABLE staged_wanted ON COMMIT DROP AS WITH r AS (SELECT * FROM pg_temp.staged_r),"
        f" m AS (SELECT * FROM pg_temp.staged_m), owed AS MATERIALIZED ({_OWED}), od AS MATERIALIZED ({_OPENINGS}) {_WANTED}",
        "ANALYZE pg_temp.staged_wanted (fact, kind)",
    )


UNSTAGE = "DROP TABLE IF EXISTS pg_temp.staged_fact, pg_temp.staged_r, pg_temp.staged_m, pg_temp.staged_wanted"


def _appended(kind: FactKind, staged: bool) -> str:
    """`f` and `d`: the rows `r` as facts with their details, but for those that are known."""
    names = [field.name for field in kind.fields]
    return f"""f AS (
  INSERT INTO fact (id, act, event, kind, subject, region, happened_at, received_at, effective_at, "by", unit,
                    device, device_seq, purpose, corrects, digest, salt)
  SELECT id, act, event, '{kind.name}', subject, region, happened_at, %(now)s::timestamptz, effective_at, %(by)s::int,
         %(unit)s::int, device, device_seq, purpose, corrects, {digest(kind, "r")}, {_SALTS if staged else _SALT}
  FROM r ON CONFLICT (id) DO NOTHING RETURNING id),
d AS (INSERT INTO {kind.table} (fact{"".join(", " + n for n in names)})
  SELECT r.id{"".join(", r." + n for n in names)} FROM r JOIN f USING (id))"""


@functools.cache
def append_statement(name: str) -> str:
    """For a staged batch that touches no duty (links of a list, acts already carried out): the facts alone. Answers how many are new.

    Parameters: now, by, unit.
    """
    return f"WITH r AS NOT MATERIALIZED (SELECT * FROM pg_temp.staged_fact), {_appended(fact_kind(name), True)} SELECT count(*) FROM f"


@functools.cache
def record_statement(name: str, staged: bool) -> str:
    """Parameters: now, day, by, unit, and the arrays od_*, cd_*, xd_* (see `decisions.Decisions`)."""
    kind = fact_kind(name)
    extends = bool(declare.extended_by(kind))
    if staged:
        source = """r AS NOT MATERIALIZED (SELECT * FROM pg_temp.staged_r),
m AS NOT MATERIALIZED (SELECT * FROM pg_temp.staged_m),
wanted AS NOT MATERIALIZED (SELECT * FROM pg_temp.staged_wanted),"""
    else:
        source = f"""s0 AS ({source_of_one(kind)}),
r AS MATERIALIZED ({_resolved(kind)}),
m AS MATERIALIZED ({_MEMBERS}),
od AS MATERIALIZED ({_OPENINGS}),
owed AS MATERIALIZED ({_OWED}),
wanted AS MATERIALIZED ({_WANTED}),"""
    return f"""
WITH {source}
{_appended(kind, staged)},
cd AS (SELECT * FROM unnest(%(cd_combo)s::int[], %(cd_kind)s::text[]) AS c(combo, kind)),
xd AS (
  SELECT combo, kind, pack, due_at, rungs::timestamptz[] AS rungs
  FROM unnest(%(xd_combo)s::int[], %(xd_kind)s::text[], %(xd_pack)s::text[], %(xd_due)s::timestamptz[], %(xd_rungs)s::text[])
    AS x(combo, kind, pack, due_at, rungs)),
cl AS (
  UPDATE loop l SET closed_at = %(now)s, closed_by = hit.fact, outcome = 'met', offered_to = NULL, offered_until = NULL
  FROM (SELECT DISTINCT ON (m.event, m.subject, m.loop_key, cd.kind) m.id AS fact, m.event, m.subject, m.loop_key, cd.kind
        FROM m JOIN cd USING (combo) JOIN f USING (id) ORDER BY m.event, m.subject, m.loop_key, cd.kind, m.id) hit
  WHERE l.subject = hit.subject AND l.kind = hit.kind AND l.key = hit.loop_key AND l.event = hit.event AND l.closed_at IS NULL
  RETURNING l.id, l.event, l.owner, l.kind, l.due_at, l.closed_by),
td AS (DELETE FROM timer t USING cl WHERE t.loop = cl.id RETURNING t.loop, t.level),
o AS (
  INSERT INTO loop (event, region, scope, owner, due_at, opened_at, subject, opened_by, kind, key, pack)
  SELECT w.event, w.region, w.scope, w.owner, w.due_at, %(now)s, w.subject, w.fact, w.kind, w.loop_key, w.pack
  FROM wanted w JOIN f ON f.id = w.fact ORDER BY w.subject
  ON CONFLICT (event, kind, subject, key) WHERE closed_at IS NULL DO NOTHING
  RETURNING id, event, owner, kind, scope, due_at, pack, opened_by),
x AS ({_EXTENDED if extends else _NONE_EXTENDED}),
xt AS (SELECT t.loop, t.level FROM x JOIN timer t ON t.loop = x.id FOR UPDATE OF t),
xl AS (  -- extended duties that were counted late: their first rung had fired
  SELECT x.* FROM x WHERE NOT EXISTS (SELECT 1 FROM xt WHERE xt.loop = x.id AND xt.level = 1)),
ti AS (
  INSERT INTO timer (loop, bucket, level, later)
  SELECT o.id, w.rungs[1], 1, w.rungs[2:] FROM o JOIN wanted w ON w.fact = o.opened_by AND w.kind = o.kind
  WHERE o.due_at IS NOT NULL AND w.rungs IS NOT NULL{_TIMERS_AGAIN if extends else ""}),
mv AS (
  INSERT INTO movement (loop, at_fact, what, from_unit, to_unit, received_at, due_at)
  SELECT id, closed_by, 'closed', owner, NULL::int, %(now)s, NULL::timestamptz FROM cl
  UNION ALL SELECT id, opened_by, 'opened', NULL, owner, %(now)s, due_at FROM o
  UNION ALL SELECT id, fact, 'extended', owner, owner, %(now)s, due_at FROM x),
ta AS (
  INSERT INTO tally_delta (event, unit, kind, day, opened, closed, moved_in, moved_out, late)
  SELECT event, owner, kind, %(day)s::date, sum(opened), sum(closed), 0, 0, sum(late) FROM (
    SELECT event, owner, kind, 1 AS opened, 0 AS closed, 0 AS late FROM o
    UNION ALL
    SELECT cl.event, cl.owner, cl.kind, 0, 1,
           CASE WHEN cl.due_at IS NOT NULL AND td.level IS DISTINCT FROM 1 THEN -1 ELSE 0 END
    FROM cl LEFT JOIN td ON td.loop = cl.id
    UNION ALL SELECT event, owner, kind, 0, 0, -1 FROM xl) t
  GROUP BY event, owner, kind HAVING sum(opened) <> 0 OR sum(closed) <> 0 OR sum(late) <> 0),
vi AS (
  INSERT INTO visible (subject, scope, unit)
  SELECT m.subject, o.scope, o.owner FROM o JOIN m ON m.id = o.opened_by
  ON CONFLICT (subject, scope, unit) DO NOTHING)
SELECT (SELECT count(*) FROM f), (SELECT coalesce(array_agg(id ORDER BY id), '{{}}') FROM o),
       (SELECT coalesce(array_agg(id ORDER BY id), '{{}}') FROM cl)
"""
