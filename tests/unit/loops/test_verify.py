"""`verify` finds nothing in a city at work, and names each gap that somebody with all rights plants by SQL."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken
from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest
from django.db import connection

from bihuan.kernel import ids
from bihuan.ledger import heads, seals
from bihuan.loops import checks, handle, tallies, verify, withdraw
from bihuan.loops.record import record, record_many
from bihuan.loops.tick import tick
from bihuan.site import roles, setup

_spec = importlib.util.spec_from_file_location("toy", Path(__file__).parents[2] / "properties" / "toy.py")
if "toy" not in sys.modules:
    sys.modules["toy"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["toy"])
toy = sys.modules["toy"]

HOUR = timedelta(hours=1)


def act(by, fn: Callable, **arguments):
    """One action of an officer."""
    from bihuan.access.action import action
    from bihuan.kernel.refused import Refused

    @action
    def run(*, by):
        return fn(by=by, **arguments)

    answer = run(by=by)
    assert not isinstance(answer, Refused), answer
    return answer


def loop_of(kind, subject) -> int:
    from bihuan.loops.models import Loop

    return Loop.objects.get(kind=kind.name, subject=subject, closed_at=None).id


def live_a_day(town, clock) -> None:
    """Everything happens once: late, extended, offered, accepted, returned, run out, moved, met, waived, withdrawn, joined."""
    from bihuan.loops.models import Loop

    event, (v0, v1, v2), city = town.event, (town.village(n) for n in range(3)), town.city
    p = toy.people(10)
    rows = pl.DataFrame(
        {"subject": [str(s) for s in p[:8]], "episode": ["e1"] * 8, "risk": ["low"] * 6 + ["high", "none"],
         "desk": [(v0, v1, v2)[n % 3].unit_id for n in range(8)]}
    )  # fmt: skip
    act(city, lambda by: record_many(toy.SEEN, rows, event=event, by=by, act=ids.new_id()))

    def tell(by, subject, answer, next_at=None, id=None):
        details = toy.Told("e1", answer, next_at)
        return act(by, lambda by: record(toy.TOLD, event=event, subject=subject, details=details, by=by, id=id or ids.new_id()))

    told = tell(v0, p[0], "here")
    assert tell(v0, p[0], "here", id=told.fact).repeated
    assert tell(v0, p[0], "nobody", id=told.fact).conflict
    tell(v1, p[1], "later", clock.at + 2 * HOUR)
    act(v0, lambda by: record(toy.MET, event=event, subject=p[0], details=toy.Met(False), by=by))
    act(v2, handle.offer, loops=[loop_of(toy.CHECK, p[2])], to_unit=v0.unit_id, reason="在我村", act=ids.new_id())
    act(v0, handle.accept, loops=[loop_of(toy.CHECK, p[2])], act=ids.new_id())
    act(v0, handle.offer, loops=[loop_of(toy.CHECK, p[3])], to_unit=v1.unit_id, reason="在东哨", act=ids.new_id())
    act(v1, handle.offer, loops=[loop_of(toy.CHECK, p[4])], to_unit=v0.unit_id, reason="在西墅", act=ids.new_id())
    act(v0, handle.return_, loops=[loop_of(toy.CHECK, p[4])], reason="不在", act=ids.new_id())
    seals.seal_minute()
    clock.advance(3 * HOUR)
    act(city, handle.expire_offers)
    assert tick().n_fired
    act(city, handle.waive, loops=[loop_of(toy.CHECK, p[4])], reason="已出境", act=ids.new_id())
    act(city, withdraw.void, fact=told.fact, reason="打错人", act=ids.new_id())
    act(city, withdraw.void, fact=Loop.objects.get(id=loop_of(toy.CHECK, p[5])).opened_by, reason="重名", act=ids.new_id())
    act(city, handle.reassign, loops=[loop_of(toy.CHECK, p[6])], to_unit=v1.unit_id, reason="查明住址", act=ids.new_id(), place=True)
    act(v1, handle.assign, loops=[loop_of(toy.CHECK, p[6])], officer=v1.officer_id, act=ids.new_id())
    act(city, lambda by: toy.set_clusters(event, {p[3]: p[2]}, by=by))
    tallies.fold()
    seals.seal_minute()
    clock.advance(HOUR)
    tell(v0, p[2], "here")
    details = toy.Seen("e2", "low", v0.unit_id)
    for n in (8, 9):
        act(v0, lambda by, n=n: record(toy.SEEN, event=event, subject=p[n], details=details, by=by))
    act(v0, handle.offer, loops=[loop_of(toy.CHECK, p[9])], to_unit=v1.unit_id, reason="在东哨", act=ids.new_id())
    tick()


@pytest.fixture(scope="module")
def city(template: str, tmp_path_factory, request) -> Iterator[tuple]:
    """The name of a database with such a city, its town, and the clock that stands for all tests of this file."""
    database_from = next(p.database_from for p in request.config.pluginmanager.get_plugins() if hasattr(p, "database_from"))
    with ExitStack() as stack:
        stack.enter_context(toy.declared())
        clock = stack.enter_context(toy.standing_clock())
        name = stack.enter_context(database_from(template))
        with setup.acting("work"):
            town = toy.found_town(tmp_path_factory.mktemp("town"), lambda: psycopg.connect(roles.dsn("owner", name)))
            live_a_day(town, clock)
        yield name, town, clock, database_from


@pytest.fixture
def found(city) -> Iterator[Callable]:
    """`found(sql)` plants SQL as the superuser in a copy of the city and returns (its row, the gaps found)."""
    name, _, _, database_from = city
    with database_from(name) as copy, setup.acting("work"):

        def plant(*statements: str) -> tuple:
            row = None
            with psycopg.connect(roles.dsn("superuser", copy), autocommit=True) as db:
                for statement in statements:
                    cursor = db.execute(statement)
                    row = cursor.fetchone() if cursor.description else row
            return row, verify.verify().gaps

        yield plant


def test_a_city_at_work_has_no_gap(found) -> None:
    assert found()[1] == []
    report = verify.verify().as_json()
    assert report["ok"]
    day = report["balance"]["event"]
    assert day["held_start"] + day["opened"] + day["moved_in"] == day["held_end"] + day["closed"] + day["moved_out"]
    assert day["moved_in"] == 2
    assert report["notes"]["conflict_open"] == 1
    assert report["checked"]["owner_unknown"] > 5


OPEN = "(SELECT id FROM loop WHERE closed_at IS NULL AND kind = 'toy.check' AND offered_to IS NULL ORDER BY id LIMIT 1)"
UNTOUCHED = OPEN.replace("ORDER BY id", "ORDER BY id DESC")
MET = "(SELECT id FROM loop WHERE outcome = 'met' AND kind = 'toy.check' ORDER BY id DESC LIMIT 1)"

# name -> (statements; the last one returns what must be named, the check, and which id of the gap names it)
PLANTED = {
    "a duty is deleted": ([f"DELETE FROM loop WHERE id = {OPEN} RETURNING id"], "movement_missing", "loop"),
    "its facts then cry": ([f"DELETE FROM loop WHERE id = {OPEN} RETURNING opened_by"], "duty_missing", "fact"),
    "an owner changes": ([f"UPDATE loop SET owner = owner + 1 WHERE id = {OPEN} RETURNING id"], "owner_moved", "loop"),
    "an owner is nobody": ([f"UPDATE loop SET owner = 999999 WHERE id = {OPEN} RETURNING id"], "owner_unknown", "loop"),
    "a unit ends": (
        ["UPDATE unit SET valid = daterange(lower(valid), '2022-08-28') WHERE id = (SELECT owner FROM loop WHERE closed_at IS NULL ORDER BY id LIMIT 1) RETURNING id"],
        "owner_unknown", "unit",
    ),
    "a duty is closed by nothing": (
        [f"UPDATE loop SET closed_at = opened_at, closed_by = gen_random_uuid(), outcome = 'met' WHERE id = {OPEN} RETURNING id"], "closed_without_fact", "loop",
    ),
    "a duty is closed by what does not meet it": (
        [f"UPDATE loop SET closed_at = opened_at, closed_by = opened_by, outcome = 'met' WHERE id = {OPEN} RETURNING id"], "closed_without_fact", "loop",
    ),
    "a duty is opened again": ([f"UPDATE loop SET closed_at = NULL, closed_by = NULL, outcome = NULL WHERE id = {MET} RETURNING id"], "movement_missing", "loop"),
    "a fact is deleted": (["DELETE FROM fact WHERE id = (SELECT fact FROM toy_told LIMIT 1) RETURNING id"], "details_missing", "fact"),
    "the fact that opened a duty is deleted": (
        [f"DELETE FROM fact WHERE id = (SELECT opened_by FROM loop WHERE id = {OPEN})", f"SELECT {OPEN}"], "opened_without_fact", "loop",
    ),
    "a sealed fact is deleted": (["DELETE FROM fact WHERE id = (SELECT id FROM fact ORDER BY xid::text::bigint LIMIT 1)", "SELECT NULL"], "seal_broken", None),
    "a sealed fact is changed": (
        ["UPDATE fact SET unit = unit + 1 WHERE id = (SELECT id FROM fact ORDER BY xid::text::bigint LIMIT 1) RETURNING id"], "seal_broken", "fact",
    ),
    "details are deleted": (["DELETE FROM toy_seen WHERE fact = (SELECT fact FROM toy_seen LIMIT 1) RETURNING fact"], "details_missing", "fact"),
    "details are changed": (["UPDATE toy_seen SET desk = desk + 1 WHERE fact = (SELECT fact FROM toy_seen LIMIT 1) RETURNING fact"], "content_changed", "fact"),
    "details gain a time": (
        ["UPDATE toy_told SET next_at = next_at + interval '1 second' WHERE next_at IS NOT NULL RETURNING fact"], "content_changed", "fact",
    ),
    "a movement is deleted": (
        ["DELETE FROM movement WHERE id = (SELECT id FROM movement WHERE what = 'opened' LIMIT 1) RETURNING loop"], "movement_missing", "loop",
    ),
    "an acceptance is deleted": (["DELETE FROM movement WHERE what = 'accepted' RETURNING loop"], "owner_moved", "loop"),
    "a closing movement is doubled": (
        ["INSERT INTO movement (loop, at_fact, what, from_unit, received_at) SELECT loop, at_fact, what, from_unit, received_at FROM movement"
         " WHERE what = 'closed' LIMIT 1 RETURNING loop"], "movement_missing", "loop",
    ),
    "a movement is turned": (
        ["UPDATE movement SET from_unit = from_unit + 1 WHERE id = (SELECT id FROM movement WHERE what = 'closed' LIMIT 1) RETURNING loop"], "owner_moved", "loop",
    ),
    "a timer is deleted": (["DELETE FROM timer WHERE loop = (SELECT loop FROM timer LIMIT 1) RETURNING loop"], "timer_missing", "loop"),
    "a timer comes too early": (["UPDATE timer SET bucket = bucket - interval '1 day' WHERE loop = (SELECT max(loop) FROM timer) RETURNING loop"], "timer_stale", "loop"),
    "a timer for what is closed": ([f"INSERT INTO timer (loop, bucket, level) SELECT {MET}, '2023-01-01', 1 RETURNING loop"], "timer_stale", "loop"),
    "the clock has not run": (["UPDATE timer SET bucket = bucket - interval '1 day' WHERE loop = (SELECT max(loop) FROM timer) RETURNING loop"], "fired_missing", "loop"),
    "a call for help is deleted": (
        ["DELETE FROM fired WHERE loop = (SELECT t.loop FROM timer t JOIN loop l ON l.id = t.loop AND l.closed_at IS NULL WHERE t.level > 1 LIMIT 1) AND level = 1"
         " RETURNING loop"], "fired_missing", "loop",
    ),
    "a second duty": (
        ["ALTER TABLE loop DISABLE TRIGGER ALL", "DROP INDEX loop_one_open",
         "INSERT INTO loop (event, region, scope, owner, due_at, opened_at, subject, opened_by, kind, key, pack)"
         f" SELECT event, region, scope, owner, due_at, opened_at, subject, opened_by, kind, key, pack FROM loop WHERE id = {UNTOUCHED} RETURNING id"],
        "duty_double", "loop",
    ),
    "a deadline is put off": ([f"UPDATE loop SET due_at = due_at + interval '1 hour' WHERE id = {OPEN} RETURNING id"], "deadline_moved", "loop"),
    "a deadline is taken away": ([f"UPDATE loop SET due_at = NULL WHERE id = {OPEN} RETURNING id"], "deadline_moved", "loop"),
    "a count is changed": (["UPDATE tally SET closed = closed + 1 WHERE unit = (SELECT unit FROM tally LIMIT 1) RETURNING unit"], "tally_wrong", "unit"),
    "a late one is not counted": (["UPDATE tally SET late = late - 1 WHERE late > 0 RETURNING unit"], "tally_wrong", "unit"),
    "a sight is taken": (
        ["DELETE FROM visible v USING loop l WHERE l.subject = v.subject AND l.owner = v.unit AND l.closed_at IS NULL RETURNING l.id"], "visible_missing", "loop",
    ),
    "a subject is deleted": ([f"DELETE FROM subject WHERE id = (SELECT subject FROM loop WHERE id = {OPEN}) RETURNING id"], "subject_missing", "subject"),
    "a scope is wrong": ([f"UPDATE loop SET scope = scope + 1000000 WHERE id = {OPEN} RETURNING id"], "scope_wrong", "loop"),
    "an offer was forgotten": (["UPDATE loop SET offered_until = opened_at - interval '1 day' WHERE offered_to IS NOT NULL RETURNING id"], "offer_stale", "loop"),
    "an offer nobody made": (
        [f"UPDATE loop SET offered_to = owner + 1, offered_until = '2023-01-01' WHERE id = {OPEN} RETURNING id"], "offer_wrong", "loop",
    ),
    "an account does not balance": (
        ["DELETE FROM movement WHERE what = 'accepted'", "SELECT owner FROM loop WHERE closed_at IS NULL LIMIT 0"], "balance", None,
    ),
    "a successor vanishes": (
        ["WITH s AS (SELECT loop, forerunner FROM movement WHERE forerunner IS NOT NULL LIMIT 1), a AS (DELETE FROM loop l USING s WHERE l.id = s.loop),"
         " m AS (DELETE FROM movement m USING s WHERE m.loop = s.loop) SELECT forerunner FROM s"], "closed_without_fact", "loop",
    ),
    "a fact of an unknown kind": (
        ["INSERT INTO fact SELECT gen_random_uuid(), act, subject, happened_at, received_at, effective_at, pg_current_xact_id(), device_seq, event, region, \"by\","
         " unit, device, corrects, 'toy.unheard', purpose, digest, salt FROM fact LIMIT 1 RETURNING id"], "details_missing", "fact",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_gap_is_named(found, name: str) -> None:
    statements, check, names = PLANTED[name]
    row, gaps = found(*statements)
    of_check = [gap for gap in gaps if gap.check == check]
    assert of_check, f"{name}: {[(gap.check, gap.what) for gap in gaps]}"
    assert all(gap.zh and gap.en for gap in of_check)
    if names is not None:
        assert row, "nothing was planted"
        assert row[0] in [getattr(gap, names) for gap in of_check], (name, row, of_check)


def test_as_of_a_time_is_as_of_the_last_seal_before_it(found, city) -> None:
    _, _, clock, _ = city
    report = verify.verify(clock.at - HOUR)
    assert report.ok
    assert report.seal is not None
    then, now = report.balance["event"], verify.verify().balance["event"]
    assert then["opened"] < now["opened"], "what came after the seal is not counted"
    assert verify.verify(clock.at - HOUR).balance == report.balance
    assert verify.verify(toy.BEGAN - HOUR).notes == {"before_first_seal": 1}
    # The figures of a time do not change with what happens later; they do when history is rewritten.
    _, _ = found("DELETE FROM movement WHERE what = 'accepted'")
    assert "movement_missing" in {gap.check for gap in verify.verify(clock.at - HOUR).gaps}


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("content_changed", "UPDATE toy_seen SET risk = 'none' WHERE fact = (SELECT f.id FROM fact f JOIN toy_seen t ON t.fact = f.id"
                            " WHERE t.risk <> 'none' ORDER BY f.received_at, f.id LIMIT 1)"),
        ("opened_without_fact", "UPDATE movement SET at_fact = (SELECT id FROM fact WHERE kind = 'toy.told' ORDER BY id LIMIT 1)"
                                " WHERE id = (SELECT min(id) FROM movement WHERE what = 'opened')"),
        ("closed_without_fact", "UPDATE movement SET at_fact = (SELECT id FROM fact WHERE kind = 'toy.seen' ORDER BY id LIMIT 1)"
                                " WHERE id = (SELECT min(id) FROM movement WHERE what = 'closed')"),
    ],
)  # fmt: skip
def test_what_is_rewritten_is_found_as_of_a_time_too(found, city, check: str, change: str) -> None:
    at = city[2].at - HOUR
    assert verify.verify(at).ok
    found(change)
    assert check in {gap.check for gap in verify.verify(at).gaps}


def test_a_minute_sealed_while_the_accounts_are_verified_is_no_gap(found, monkeypatch) -> None:
    """The worker seals and notes the head beside the database; the snapshot of the one who verifies does not know that seal."""
    began = checks.parameters_at

    def seals_meanwhile(now):
        def seal() -> None:
            assert seals.seal_minute(now) is not None
            heads.bring()
            connection.close()

        answer = began(now)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # the snapshot is taken
        with ThreadPoolExecutor(1) as other:
            other.submit(seal).result()
        return answer

    monkeypatch.setattr(checks, "parameters_at", seals_meanwhile)
    assert found()[1] == []


def test_other_floors_add_checks(found, monkeypatch) -> None:
    from bihuan.ledger.gaps import Gap

    monkeypatch.setattr(verify, "_registered", {})
    verify.register("toy_check", lambda now: [Gap("toy_check", "x", "甲", "x")])
    assert [gap.check for gap in found()[1]] == ["toy_check"]
