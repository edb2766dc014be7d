"""The clock at a million duties: an idle minute, and a minute in which a tenth of them falls due.

Idle: the same look at one million and at four million open duties, in turn. Mass: ours asks the desks above for help
for a hundred thousand duties; the plain way moves level and next moment of as many rows of a copy of the same table, with
the same indexes and one more to find what is due, and appends one event row each, addressed to the same desk. It keeps
no counts.

A minute like that comes once in a while: the pages that it touches were last written long ago, and the first touch after
a checkpoint writes them whole. So the promise is about a minute just after a checkpoint; the same with all pages already
written since is shown beside it.
"""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta

import psycopg

from bench.harness import Report, Sizes, quiet
from bench.server import copy_of_city, pointed_at, superuser

ROWS, ROUNDS = 1_000_000, 3
MORE = 4  # times as many duties in the larger city
DUE = 10  # one duty in so many falls due in the measured minute
LOOKS = 200  # idle looks a round
ROUNDS_MAX = DUE // 2  # each round has two minutes of its own

_DROP_INDEXES = """
SELECT format('ALTER TABLE loop DROP CONSTRAINT %I', conname) FROM pg_constraint WHERE conrelid = 'loop'::regclass AND contype = 'u'
UNION ALL SELECT format('DROP INDEX %I', indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'loop'::regclass AND NOT indisprimary
"""
_INDEXES = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'loop'::regclass AND NOT indisprimary"

# Duties of villages and townships, spread over the table as they come; nine of ten lie far ahead, the rest of them in
# equal parts in the minutes of the rounds.
_FILL = """
WITH place AS (
  SELECT array_agg(u.id) AS units, array_agg(u.region_id) AS regions, array_agg(s.scope) AS scopes, count(*)::int AS n
  FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND upper_inf(s.valid)
  WHERE u.kind IN ('village', 'desk') AND upper_inf(u.valid)),
made AS (
  SELECT i, (1 + (hashint8(i)::bigint + 2147483648) %% n)::int AS at, md5(i::text)::uuid AS subject,
         CASE WHEN (i * 31) %% %(due)s < %(rounds)s THEN %(from)s::timestamptz + make_interval(mins => ((i * 31) %% %(due)s)::int + 1)
              ELSE %(from)s::timestamptz + make_interval(hours => 48 + (i %% 240)::int) END AS due_at
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i, place),
l AS (
  INSERT INTO loop (event, region, scope, owner, due_at, opened_at, subject, opened_by, kind, key, pack)
  SELECT %(event)s, regions[at], scopes[at], units[at], due_at, %(from)s, subject, subject, %(kind)s, '2022-08-27', %(pack)s
  FROM made, place RETURNING id, due_at)
INSERT INTO timer (loop, bucket, level, later) SELECT id, due_at + %(after)s, 1, ARRAY[due_at + %(then)s] FROM l
"""

# The plain way: level and next moment stand in the duty, under an index by which the due ones are found.
_PLAIN_TABLES = """
CREATE TABLE plain_loop (LIKE loop INCLUDING ALL);
ALTER TABLE plain_loop ADD COLUMN level smallint NOT NULL DEFAULT 0, ADD COLUMN next_at timestamptz;
INSERT INTO plain_loop SELECT *, 0, due_at FROM loop;
CREATE INDEX plain_loop_next ON plain_loop (next_at) WHERE closed_at IS NULL;
CREATE TABLE plain_event (id uuid PRIMARY KEY, loop bigint NOT NULL, level smallint NOT NULL, owner int NOT NULL, unit int NOT NULL,
  happened_at timestamptz NOT NULL, received_at timestamptz NOT NULL);
CREATE INDEX plain_event_loop ON plain_event (loop, happened_at);
CREATE INDEX plain_event_unit ON plain_event (unit, happened_at);
"""
_PLAIN = """
WITH due AS (
  UPDATE plain_loop l SET level = r.level, next_at = l.due_at + up.after
  FROM rung r LEFT JOIN rung up ON up.pack = r.pack AND up.kind = r.kind AND up.level = r.level + 1
  WHERE l.closed_at IS NULL AND l.next_at <= %(now)s AND r.pack = l.pack AND r.kind = l.kind AND r.level = l.level + 1
  RETURNING l.id, l.owner, l.level, l.due_at + r.after AS at, r.steps_up)
INSERT INTO plain_event (id, loop, level, owner, unit, happened_at, received_at)
SELECT uuidv7(), due.id, due.level, due.owner, ul.above_id, due.at, %(now)s
FROM due JOIN unit_line ul ON ul.unit_id = due.owner AND ul.steps = due.steps_up
"""


def run(report: Report, sizes: Sizes) -> None:
    from django.db import connection

    from bihuan.site import demo

    if sizes.rounds > ROUNDS_MAX:
        raise ValueError(f"at most {ROUNDS_MAX} rounds: a tenth of the duties falls due in each of two minutes a round")
    begins = demo.BEGINS_AT
    small = connection.settings_dict["NAME"]
    with copy_of_city("more") as large:
        for name, rows in ((small, sizes.rows), (large, sizes.rows * MORE)):
            report.say(f"{rows:,} open duties")
            with pointed_at(name), superuser() as server:
                report.add(f"filling {'more ' if name == large else ''}s", _fill(server, rows, sizes.rounds, begins))
        for _ in range(sizes.rounds):
            of_small = report.add("idle tick at 1x ms", _idle(small, begins))
            of_large = report.add("idle tick at 4x ms", _idle(large, begins))
            report.ratio("idle_4m_to_1m", of_large, of_small)
    with superuser() as server:
        report.say("a copy of the duties for the plain way")
        server.execute(_PLAIN_TABLES)
        server.execute("VACUUM (ANALYZE) plain_loop")
        for no in range(sizes.rounds):
            report.say(f"round {no + 1}")
            for warm in ("", "warm "):
                minute = begins + timedelta(minutes=1 + 2 * no + bool(warm))
                for way in (_plain, _ours) if no % 2 else (_ours, _plain):
                    way(report, server, minute, warm)
                took = {name: report.samples[f"{warm}{name} s"][-1] for name in ("plain", "tick")}
                report.ratio("speed_to_update_warm" if warm else "speed_to_update", took["plain"], took["tick"])
            due = report.samples["due in the minute"][-1]
            report.must("both ways reach the same duties", due == report.samples["reached by the plain way"][-1])
            report.add("duties a second", due / report.samples["tick s"][-1])
        server.execute("DROP TABLE plain_loop, plain_event")


def _fill(server: psycopg.Connection, rows: int, rounds: int, begins: datetime) -> float:
    """Open duties of verification with their timers, by the rules in force; indexes are made after the rows."""
    from django.db import transaction

    from bihuan.access.door import engine
    from bihuan.leads.loops import VERIFY
    from bihuan.loops.decisions import event_region, write_ladders
    from bihuan.policy import pack as packs
    from bihuan.regions import queries as regions
    from bihuan.site import demo

    started = time.perf_counter()
    event, on = demo.event(), begins.date()
    pack = packs.in_force(event, regions.scope_of(event_region(event), on), on)
    ladder = tuple(VERIFY.ladder(pack))
    with transaction.atomic(), engine():
        write_ladders({(pack.key, VERIFY.name): ladder})
    values = {
        "event": event,
        "kind": VERIFY.name,
        "pack": pack.key,
        "after": ladder[0].after,
        "then": ladder[1].after,
        "from": begins,
        "due": DUE,
        "rounds": 2 * rounds,
    }
    indexes = [line for (line,) in server.execute(_INDEXES).fetchall()]
    with server.transaction():
        for (line,) in server.execute(_DROP_INDEXES).fetchall():
            server.execute(line)
        for first in range(1, rows + 1, 500_000):
            server.execute(_FILL, {**values, "first": first, "last": min(rows, first + 499_999)})
        for line in indexes:
            server.execute(line)
    server.execute("VACUUM (ANALYZE) loop, timer, unit, unit_line, rung")
    quiet(server)
    return time.perf_counter() - started


def _idle(database: str, begins: datetime) -> float:
    """Milliseconds of a tick that finds nothing due: the median of many looks."""
    from bihuan.loops.tick import tick

    with pointed_at(database):
        took = []
        for no in range(LOOKS + 20):  # the first ones meet a new connection
            started = time.perf_counter()
            fired = tick(begins - timedelta(minutes=1)).n_fired
            if no >= 20:
                took.append(time.perf_counter() - started)
            assert not fired
    return statistics.median(took) * 1000


def _ours(report: Report, server: psycopg.Connection, minute: datetime, warm: str) -> None:
    from bihuan.loops.tick import tick, vacuum_timers

    if not warm:
        quiet(server)
    with report.timed(f"{warm}tick s"):
        done = tick(minute)
    report.add("due in the minute", done.n_fired)
    report.add("facts of the tick", done.n_facts)
    report.add("idle just after the minute ms", _look(minute))
    vacuum_timers()
    report.add("idle after vacuum ms", _look(minute))
    server.execute("VACUUM timer")


def _look(minute: datetime) -> float:
    from bihuan.loops.tick import tick

    took = []
    for _ in range(20):
        started = time.perf_counter()
        tick(minute)
        took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000


def _plain(report: Report, server: psycopg.Connection, minute: datetime, warm: str) -> None:
    if not warm:
        quiet(server)
    with report.timed(f"{warm}plain s"):
        reached = server.execute(_PLAIN, {"now": minute}).rowcount
    report.add("reached by the plain way", reached)
    server.execute("VACUUM plain_loop")
