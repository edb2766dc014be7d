"""The door through which facts enter: a hundred thousand leads at once against a bare COPY, one answer against the ORM.

Many: `record_many` of reported leads, with all that follows (duties, movements, timers, counts, visibility), against
COPY of exactly the rows that it made into the same tables with the same indexes, by a superuser whom no policy binds.

One: an answer that closes a verification and opens the duty to sample, each in a transaction of its own as the
application's role, with scope and switch of role as a request pays them. The ORM reads the duty and writes the same
rows: fact, details, duty closed, duty opened, movements, and timers, counts, visibility. It need not look for aliases of
the person, nor know an id that was sent before. The trial's act fitted into five calls; beside the same rows, five
writes that leave out timers, counts and visibility are shown too.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import time
from datetime import date, datetime, timedelta
from uuid import UUID

import polars as pl
import psycopg

from bench.harness import Report, Sizes, quiet
from bench.server import superuser

ROWS, ROUNDS = 100_000, 3
ONE = 200  # single records of each way a round
TURN = 10  # of them before the next way has its turn
EPISODE = "2022-08-27"
TABLES = ("fact", "lead_reported", "loop", "movement", "timer", "tally_delta", "visible")

_PERSONS = """
INSERT INTO subject (id, kind) SELECT overlay(md5(i::text) placing '8' from 13)::uuid, 'person' FROM generate_series(1, %(rows)s) AS i;
INSERT INTO cluster (subject, root) SELECT id, id FROM subject WHERE kind = 'person';
"""


def run(report: Report, sizes: Sizes) -> None:
    from bihuan.access import queries as access
    from bihuan.site import demo, setup

    with superuser() as server, setup.acting("app"):
        post = access.post_of(demo.CONSOLE)
        with psycopg.ClientCursor(server) as cursor:
            cursor.execute(_PERSONS, {"rows": sizes.rows})
        subjects = [s for (s,) in server.execute("SELECT id::text FROM subject WHERE kind = 'person' ORDER BY md5(id::text)").fetchall()]
        server.execute("VACUUM (ANALYZE) subject, cluster, unit, region_scope")
        leads = _leads(server, subjects)
        _many(Report("warm"), server, post, leads)
        made = _copied_out(server)
        report.notes["rows made of the leads"] = sum(data.count(b"\n") for data in made.values())
        for no in range(sizes.rounds):
            report.say(f"round {no + 1}")
            if no % 2:
                _copy(report, server, made)
            opened = _many(report, server, post, leads)
            report.must("every lead opens its duty", opened == sizes.rows)
            if not no % 2:
                _copy(report, server, made)
            many, copied = (report.samples[name][-1] for name in ("record_many s", "COPY s"))
            report.ratio("many_to_copy", copied, many)
            report.add("leads a second", sizes.rows / many)
        _many(Report("again"), server, post, leads)
        server.execute("VACUUM (ANALYZE)")
        _one(report, server, post, subjects, sizes)


def _leads(server: psycopg.Connection, subjects: list[str]) -> pl.DataFrame:
    """Reported leads as the lists make them, each of another person, spread over the villages."""
    from bihuan.kernel import clock, ids

    villages = [u for (u,) in server.execute("SELECT id FROM unit WHERE kind = 'village' ORDER BY id").fetchall()]
    n, now, act = len(subjects), clock.now(), ids.new_id()
    desks = [villages[i * 7919 % len(villages)] for i in range(n)]
    return pl.DataFrame(
        {
            "subject": subjects, "source": "data", "origin": "上海市", "origin_region": None, "origin_class": "unclassified",
            "arrived_at": [now - timedelta(minutes=i % 2880) for i in range(n)], "arrived_precision": "minute", "community": desks,
            "county": None, "desk": desks, "episode": EPISODE, "report_key": range(n), "file": 1, "sheet": "", "row": range(2, n + 2),
            "id": [str(ids.derived_id(act, "row", i)) for i in range(n)], "region": None, "happened_at": now,
        },
        schema_overrides={"origin_region": pl.Int64, "county": pl.Int64, "region": pl.Int64},
    )  # fmt: skip


def _emptied(server: psycopg.Connection) -> None:
    server.execute("TRUNCATE " + ", ".join(TABLES))
    quiet(server)


def _many(report: Report, server: psycopg.Connection, post, leads: pl.DataFrame) -> int:
    from django.db import transaction

    from bihuan.access import scope
    from bihuan.kernel import ids
    from bihuan.leads.facts import LEAD_REPORTED
    from bihuan.loops.record import record_many
    from bihuan.site import demo

    _emptied(server)
    act = ids.new_id()
    with report.timed("record_many s"), scope.acting(scope.of(post)), transaction.atomic():
        done = record_many(LEAD_REPORTED, leads, event=demo.event(), by=post, act=act)
    return len(done.opened)


def _copied_out(server: psycopg.Connection) -> dict[str, bytes]:
    found = {}
    for table in TABLES:
        source = f"(SELECT * FROM {table})" if table == "fact" else table  # a partitioned table is not copied by its name
        with server.cursor() as cursor, cursor.copy(f"COPY {source} TO STDOUT") as copy:
            found[table] = b"".join(bytes(block) for block in copy)
    return found


def _copy(report: Report, server: psycopg.Connection, made: dict[str, bytes]) -> None:
    _emptied(server)
    with report.timed("COPY s"), server.transaction(), server.cursor() as cursor:
        for table, data in made.items():
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for begin in range(0, len(data), 2**20):
                    copy.write(data[begin : begin + 2**20])


def _one(report: Report, server: psycopg.Connection, post, subjects: list[str], sizes: Sizes) -> None:
    """Answers one by one; the ways take turns, so that what disturbs the machine disturbs them all."""
    ways = {"record": _record, "ORM": _orm, "ORM, five writes only": _orm_five}
    people = iter(subjects)
    each = min(ONE, len(subjects) // (3 * (sizes.rounds + 1)))
    for way in ways.values():
        for _ in range(min(20, each)):  # plans are made, modules are loaded
            _timed(way, post, next(people))
    for _ in range(sizes.rounds):
        took: dict[str, list[float]] = {name: [] for name in ways}
        for done in range(0, each, TURN):
            for name, way in ways.items():
                took[name] += [_timed(way, post, next(people)) for _ in range(min(TURN, each - done))]
        for name in ways:
            report.add(f"{name} ms", statistics.median(took[name]) * 1000)
        report.ratio("one_to_orm", report.samples["ORM ms"][-1], report.samples["record ms"][-1])
        report.ratio("one_to_five_orm_writes", report.samples["ORM, five writes only ms"][-1], report.samples["record ms"][-1])
    open_, closed = server.execute(
        "SELECT count(*) FILTER (WHERE kind = 'leads.sample' AND closed_at IS NULL), count(*) FILTER (WHERE outcome = 'met') FROM loop"
    ).fetchone()
    report.must("every answer closed one duty and opened the next", open_ == closed == 3 * (each * sizes.rounds + min(20, each)))


def _timed(way, post, subject: str) -> float:
    from django.db import transaction

    from bihuan.access import scope
    from bihuan.kernel import clock

    now = clock.now()  # the demonstration's clock asks the database now and then; that is no part of either way
    started = time.perf_counter()
    with scope.acting(scope.of(post)), transaction.atomic():
        way(post, UUID(subject), now)
    return time.perf_counter() - started


def _details(now: datetime, unit: int):
    from bihuan.leads.facts import Found, LeadVerified, MedicalNeed

    return LeadVerified(
        episode=EPISODE, outcome=Found.HERE, here_since=date(2022, 8, 27), destination="", reason="", medical_need=MedicalNeed.NONE,
        origin_class="unclassified", assigned_at=now, unit=unit, liaison=None,
    )  # fmt: skip


def _record(post, subject: UUID, now: datetime) -> None:
    from bihuan.kernel import ids
    from bihuan.leads.facts import LEAD_VERIFIED
    from bihuan.loops.record import record
    from bihuan.site import demo

    record(
        LEAD_VERIFIED, event=_event(demo), subject=subject, details=_details(now, post.unit_id), by=post, id=ids.new_id(), happened_at=now
    )  # noqa: E501


_known: dict[str, int] = {}


def _event(demo) -> int:
    if "event" not in _known:
        _known["event"] = demo.event()
    return _known["event"]


def _orm(post, subject: UUID, now: datetime, in_full: bool = True) -> None:
    """The same by the framework's own means, as one writes it who does not think of round trips."""
    from bihuan.access.door import engine
    from bihuan.kernel import ids
    from bihuan.leads.models import LeadVerified
    from bihuan.ledger.models import Fact
    from bihuan.loops.models import Loop, Movement, Outcome, What
    from bihuan.site import demo

    event, fact, details = _event(demo), ids.new_id(), vars(_details(now, post.unit_id))
    digest = hashlib.sha256(json.dumps([str(v) for v in (event, subject, now, *details.values())]).encode()).digest()
    with engine():
        Fact.objects.create(
            id=fact, act=fact, event=event, kind="leads.lead_verified", subject=subject, region=None, happened_at=now, received_at=now,
            effective_at=now, by=post.officer_id, unit=post.unit_id, purpose="", digest=digest, salt=os.urandom(16),
        )  # fmt: skip
        LeadVerified.objects.create(fact=fact, **details)
        verify = Loop.objects.get(event=event, kind="leads.verify", subject=subject, key=EPISODE, closed_at=None)
        verify.closed_at, verify.closed_by, verify.outcome = now, fact, Outcome.MET
        verify.save(update_fields=["closed_at", "closed_by", "outcome"])
        due_at = now + timedelta(hours=3)
        sample = Loop.objects.create(
            event=event, region=verify.region, scope=verify.scope, owner=post.unit_id, due_at=due_at, opened_at=now, subject=subject,
            opened_by=fact, kind="leads.sample", key=EPISODE, pack=verify.pack,
        )  # fmt: skip
        Movement.objects.bulk_create(
            [
                Movement(loop=verify.id, at_fact=fact, what=What.CLOSED, from_unit=verify.owner, received_at=now),
                Movement(loop=sample.id, at_fact=fact, what=What.OPENED, to_unit=sample.owner, received_at=now, due_at=due_at),
            ]
        )
        if in_full:
            _rest(event, verify, sample, now)


def _rest(event: int, verify, sample, now: datetime) -> None:
    from bihuan.kernel import clock
    from bihuan.loops.models import TallyDelta, Timer
    from bihuan.subjects.models import Visible

    day = now.astimezone(clock.SHANGHAI).date()
    Timer.objects.filter(loop=verify.id).delete()
    Timer.objects.create(loop=sample.id, bucket=sample.due_at, level=1)
    TallyDelta.objects.bulk_create(
        [
            TallyDelta(event=event, unit=verify.owner, kind=verify.kind, day=day, closed=1),
            TallyDelta(event=event, unit=sample.owner, kind=sample.kind, day=day, opened=1),
        ]
    )
    Visible.objects.bulk_create([Visible(subject=sample.subject, scope=sample.scope, unit=sample.owner)], ignore_conflicts=True)


def _orm_five(post, subject: UUID, now: datetime) -> None:
    _orm(post, subject, now, in_full=False)
