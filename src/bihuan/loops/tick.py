"""The clock: takes the rungs that fell due and asks the desks above for help. Escalation never changes the owner.

All set-based; two ticks at once are harmless (the second finds the lock taken and returns); a tick killed in the
middle did nothing and is done by the next one.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.loops.facts import HELP_ASKED
from bihuan.loops.sql import digest

_LOCK = 0x62696875  # "bihu": one clock at a time in a database


@dataclasses.dataclass(frozen=True)
class Ticked:
    """What a tick did: rungs fired, facts appended; `busy` when another clock was at work."""

    n_fired: int = 0
    n_facts: int = 0
    busy: bool = False


# Ids of the facts are computed from the tick's number: version 7, the tick's time, a hash of number and addressee.
_ID = """(lpad(to_hex((extract(epoch FROM %(now)s::timestamptz) * 1000)::bigint), 12, '0')
  || '7' || substr(h, 1, 3) || 'a' || substr(h, 4, 15))::uuid"""

# First the timers alone: whoever is about to close, move or put off such a duty has its timer, and is waited for; whoever
# comes later waits here. So the statement after it sees each duty as it is by then. A timer with a further rung is set to
# it in place: who waits for the row then finds the new one.
_DUE = "CREATE TEMPORARY TABLE due (loop bigint, bucket timestamptz, level smallint) ON COMMIT DROP"
_TAKE = """
WITH last AS (DELETE FROM timer WHERE bucket <= %(now)s AND later = '{}' RETURNING loop, bucket, level),
next AS (
  UPDATE timer SET bucket = later[1], level = level + 1, later = later[2:] WHERE bucket <= %(now)s AND later <> '{}'
  RETURNING loop, old.bucket, old.level)
INSERT INTO pg_temp.due SELECT * FROM last UNION ALL SELECT * FROM next
"""

_TICK = f"""
WITH hit AS MATERIALIZED (
  SELECT d.loop, d.bucket, d.level, l.owner, l.kind, l.event, ul.above_id AS unit, date_trunc('minute', d.bucket) AS minute
  FROM pg_temp.due d JOIN loop l ON l.id = d.loop AND l.closed_at IS NULL
  JOIN rung r ON r.pack = l.pack AND r.kind = l.kind AND r.level = d.level
  JOIN unit_line ul ON ul.unit_id = l.owner AND ul.steps = r.steps_up),
g AS MATERIALIZED (
  SELECT *, {_ID} AS fact FROM (
    SELECT event, unit, level, minute, count(*)::int AS n_loops,
           md5(concat_ws('/', %(no)s::text, event, unit, level, extract(epoch FROM minute))) AS h
    FROM hit GROUP BY event, unit, level, minute) x),
s0 AS (
  SELECT g.fact AS id, g.event, subject_of_unit(g.unit) AS subject, g.minute AS happened_at,
         NULL::bigint AS loop, g.unit::bigint AS unit, NULL::bigint AS officer, g.n_loops::bigint AS n_loops,
         g.level::bigint AS level, NULL::bigint AS stands, NULL::uuid AS voids, ''::text AS reason FROM g),
fa AS (
  INSERT INTO fact (id, act, event, kind, subject, happened_at, received_at, effective_at, "by", unit, purpose, digest, salt)
  SELECT id, id, event, '{HELP_ASKED.name}', subject, happened_at, %(now)s, happened_at, 0, unit, '',
         {digest(HELP_ASKED, "s0")}, uuid_send(gen_random_uuid()) FROM s0 RETURNING id),
de AS (INSERT INTO handled (fact, unit, n_loops, level, reason) SELECT id, unit, n_loops, level, reason FROM s0),
fi AS (
  INSERT INTO fired (bucket, unit, level, loop, fact, owner)
  SELECT h.bucket, h.unit, h.level, h.loop, g.fact, h.owner FROM hit h JOIN g USING (event, unit, level, minute)
  ORDER BY h.loop),  -- an index takes what comes in its order twice as fast
ta AS (
  INSERT INTO tally_delta (event, unit, kind, day, opened, closed, moved_in, moved_out, late)
  SELECT event, owner, kind, %(day)s, 0, 0, 0, 0, count(*) FROM hit WHERE level = 1 GROUP BY event, owner, kind)
SELECT (SELECT count(*) FROM hit), (SELECT count(*) FROM fa)
"""


def tick(now: datetime | None = None) -> Ticked:
    """Fire every rung due by `now` (product time, default the clock's), further rungs of the same duty included.

    Runs as the worker's role, in a transaction of its own.
    """
    now = now or clock.now()
    parameters = {"now": now, "day": now.astimezone(clock.SHANGHAI).date()}
    n_fired = n_facts = 0
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # Probe first, ordered: an idle minute costs one look at the index, whatever the statistics say.
        cursor.execute("SELECT 1 FROM timer WHERE bucket <= %(now)s ORDER BY bucket LIMIT 1", parameters)
        if cursor.fetchone() is None:
            return Ticked()
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,))
        if not cursor.fetchone()[0]:
            return Ticked(busy=True)
        cursor.execute(_DUE)
        while True:
            cursor.execute(_TAKE, parameters)
            cursor.execute("ANALYZE pg_temp.due")
            cursor.execute(
                "INSERT INTO tick (id, no) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET no = tick.no + 1 RETURNING no",
            )
            no = cursor.fetchone()[0]
            cursor.execute(_TICK, {**parameters, "no": no})
            fired, appended = cursor.fetchone()
            n_fired, n_facts = n_fired + fired, n_facts + appended
            cursor.execute("TRUNCATE pg_temp.due")
            cursor.execute("SELECT 1 FROM timer WHERE bucket <= %(now)s ORDER BY bucket LIMIT 1", parameters)
            if cursor.fetchone() is None:
                return Ticked(n_fired, n_facts)


def vacuum_timers() -> None:
    """After a minute in which many rungs fired: dead entries would slow each idle probe until autovacuum comes."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) timer")
