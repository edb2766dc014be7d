"""The clock and desks at one duty in the same instant, two desks at two aliases of one person, rules and places that changed
in between: accounts, calls for help and owners are those of one after the other, and `verify` finds nothing."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest
from django.db import connection, transaction

from bihuan.access.action import action
from bihuan.kernel import clock as product_clock
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused
from bihuan.loops import handle, jurisdiction, verify, withdraw
from bihuan.loops.declare import After
from bihuan.loops.models import Fired, Loop
from bihuan.loops.record import record, record_many
from bihuan.loops.tick import tick
from bihuan.policy import actions as policy
from bihuan.policy import pack as packs
from bihuan.site import roles, setup

_spec = importlib.util.spec_from_file_location("toy", Path(__file__).parents[1] / "properties" / "toy.py")
if "toy" not in sys.modules:
    sys.modules["toy"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["toy"])
toy = sys.modules["toy"]

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def founded(template: str, tmp_path_factory, request) -> Iterator[tuple]:
    database_from = next(p.database_from for p in request.config.pluginmanager.get_plugins() if hasattr(p, "database_from"))
    with ExitStack() as stack:
        stack.enter_context(toy.declared())
        clock = stack.enter_context(toy.standing_clock())
        name = stack.enter_context(database_from(template))
        with setup.acting("work"):
            town = toy.found_town(tmp_path_factory.mktemp("town"), lambda: psycopg.connect(roles.dsn("owner", name)))
        yield name, town, clock, database_from


@pytest.fixture
def town(founded) -> Iterator:
    """A small city of its own for each test, at ten in the morning. Everything is found in order at the end."""
    name, town, clock, database_from = founded
    clock.at = toy.BEGAN
    with database_from(name), setup.acting("work"):
        yield town
        assert verify.verify().gaps == []


def act(by, fn: Callable, **arguments):
    @action
    def run(*, by):
        return fn(by=by, **arguments)

    answer = run(by=by)
    assert not isinstance(answer, Refused), answer
    return answer


def say(town, kind, subject, details, *, by=None, id=None):
    by = by or town.village()
    return act(by, lambda by: record(kind, event=town.event, subject=subject, details=details, by=by, id=id))


def seen(town, episode: str = "e1"):
    return toy.Seen(episode, "low", town.village().unit_id)


def duty(kind=toy.CHECK) -> Loop:
    return Loop.objects.get(kind=kind.name, closed_at=None)


class Beside(threading.Thread):
    """Something done on a connection of its own, meanwhile; `join` raises what it raised."""

    def __init__(self, fn: Callable) -> None:
        super().__init__()
        self.fn, self.error = fn, None
        self.start()

    def run(self) -> None:
        try:
            self.fn()
        except BaseException as error:  # noqa: BLE001  handed to the test
            self.error = error
        finally:
            connection.close()

    def waits(self) -> None:
        """Until it waits for a lock of somebody else (or has ended)."""
        with server() as db:
            while self.is_alive():
                n = db.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                ).fetchone()[0]
                if n >= self.n_waiting:
                    return
                time.sleep(0.01)

    n_waiting = 1

    def join(self, timeout: float = 30) -> None:
        super().join(timeout)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error


@contextmanager
def server() -> Iterator[psycopg.Connection]:
    with psycopg.connect(roles.dsn("superuser", connection.settings_dict["NAME"]), autocommit=True) as db:
        yield db


@contextmanager
def clock_in_the_middle(loop: Loop) -> Iterator[None]:
    """A pass of the clock has taken what was due and has not ended; it ends when somebody else waits for it."""
    with server() as db, db.transaction(force_rollback=True):
        db.execute(
            "INSERT INTO fired (bucket, unit, level, loop, fact, owner) VALUES (%s, 1, 1, %s, gen_random_uuid(), 1)", [loop.due_at, loop.id]
        )
        passing = Beside(tick)
        passing.waits()
        yield
    passing.join()


def at_the_clock(loop: Loop, fn: Callable) -> None:
    """`fn` is done while the clock is in the middle of a pass over that duty."""
    with clock_in_the_middle(loop):
        other = Beside(fn)
        other.n_waiting = 2
        other.waits()
    other.join()


@pytest.fixture
def late(town, founded):
    """A duty whose deadline has just come."""
    say(town, toy.SEEN, toy.people(1)[0], seen(town))
    founded[2].advance(HOUR)
    return duty()


def test_an_answer_while_the_clock_asks_for_help(town, late) -> None:
    at_the_clock(late, lambda: say(town, toy.TOLD, late.subject, toy.Told("e1", "here", None)))
    assert Fired.objects.filter(loop=late.id).count() == 1


def test_a_new_deadline_while_the_clock_asks_for_help(town, late) -> None:
    later = product_clock.now() + HOUR
    at_the_clock(late, lambda: say(town, toy.TOLD, late.subject, toy.Told("e1", "later", later)))
    assert duty().due_at == later + HOUR


def test_a_waiver_while_the_clock_asks_for_help(town, late) -> None:
    at_the_clock(late, lambda: act(town.city, handle.waive, loops=[late.id], reason="已出境", act=ids.new_id()))


def test_a_move_while_the_clock_asks_for_help(town, late) -> None:
    to = town.village(2).unit_id
    at_the_clock(late, lambda: act(town.city, handle.reassign, loops=[late.id], to_unit=to, reason="查明", act=ids.new_id()))


def test_help_is_asked_of_the_desk_above_who_owns_it_by_then(town, late) -> None:
    """The duty is on its way to another county when its deadline comes."""
    to = town.village(2).unit_id
    with transaction.atomic():
        handle.reassign(by=town.city, loops=[late.id], to_unit=to, reason="查明", act=ids.new_id())
        passing = Beside(tick)
        passing.waits()
    passing.join()
    assert set(Fired.objects.values_list("owner", flat=True)) == {to}


def test_two_aliases_of_one_person_are_named_at_once(town) -> None:
    a, b, somebody = toy.people(3)
    say(town, toy.SEEN, somebody, seen(town))  # the ladder of these rules is written down by now
    act(town.city, lambda by: toy.set_clusters(town.event, {b: a}, by=by))
    with transaction.atomic():
        record(toy.SEEN, event=town.event, subject=a, details=seen(town), by=town.village())
        other = Beside(lambda: say(town, toy.SEEN, b, seen(town)))
        other.waits()
    other.join()
    assert Loop.objects.filter(closed_at=None, subject__in=(a, b)).count() == 1


def test_a_duty_is_opened_while_its_place_gets_another_code(town) -> None:
    with transaction.atomic():
        record(toy.SEEN, event=town.event, subject=toy.people(1)[0], details=seen(town), by=town.village())
        region = duty().region
        other = Beside(lambda: jurisdiction.recode(by=town.city, region=region, new_scope=320706009009, act=ids.new_id()))
        other.waits()
    other.join()
    assert duty().scope == 320706009009000


def test_what_is_owed_again_lies_where_the_place_lies_now(town, founded) -> None:
    """A village goes to another township; afterwards an answer given before is withdrawn."""
    say(town, toy.SEEN, toy.people(1)[0], seen(town))
    before = duty()
    told = say(town, toy.TOLD, before.subject, toy.Told("e1", "here", None))
    founded[2].advance(24 * HOUR)
    jurisdiction.recode(by=town.city, region=before.region, new_scope=320706009009, act=ids.new_id())
    act(town.city, withdraw.void, fact=told.fact, reason="打错人", act=ids.new_id())
    again = duty()
    assert (again.region, again.owner) == (before.region, before.owner)
    assert again.scope == 320706009009000


def test_a_duty_keeps_the_rules_under_which_it_was_opened(town, founded, monkeypatch) -> None:
    """Its deadline is put off after stricter rules came into force, with less time and another ladder."""
    stricter = "huaian138"
    within = After("received_at", lambda pack: HOUR if stricter in pack.key else 4 * HOUR)
    rungs = (packs.Rung(timedelta(0), 1), packs.Rung(HOUR, 2), packs.Rung(2 * HOUR, 3))
    monkeypatch.setitem(toy.CHECK.__dict__, "due", within)
    monkeypatch.setitem(toy.CHECK.__dict__, "ladder", lambda pack: rungs if stricter in pack.key else rungs[:1])
    say(town, toy.SEEN, toy.people(1)[0], seen(town))
    before, event = duty(), policy.Event.objects.get(id=town.event)
    policy.adopt(
        event=event.id, region=event.region_id, pack="overlays/jiangsu/huaian/138", version="2022", from_on=product_clock.today(),
        basis="t", by=1, approved_by=2,
    )  # fmt: skip
    assert stricter in packs.in_force(town.event, before.scope, product_clock.today()).key
    say(town, toy.TOLD, before.subject, toy.Told("e1", "later", product_clock.now() + HOUR))
    assert (duty().pack, duty().due_at) == (before.pack, product_clock.now() + 5 * HOUR)
    founded[2].advance(12 * HOUR)
    assert tick().n_fired == 1


def test_one_batch_says_the_same_twice_and_something_else_under_one_id(town) -> None:
    person, other = toy.people(2)
    same, both = (str(ids.new_id()) for _ in range(2))
    rows = [(same, "low"), (same, "low"), (both, "low"), (both, "high"), (both, "low")]
    frame = pl.DataFrame(
        {"id": [i for i, _ in rows], "subject": [str(person)] * 2 + [str(other)] * 3, "episode": ["e1"] * 5, "risk": [r for _, r in rows],
         "desk": [town.village().unit_id] * 5}
    )  # fmt: skip
    done = act(town.city, lambda by: record_many(toy.SEEN, frame, event=town.event, by=by, act=ids.new_id()))
    assert (done.n_new, done.n_known, done.n_conflict, len(done.opened)) == (2, 2, 1, 2)


@pytest.mark.parametrize("off", [timedelta(days=-3), timedelta(hours=-8), timedelta(days=3), toy.BEGAN - datetime(1970, 1, 1, tzinfo=UTC)])
def test_no_deadline_and_no_order_comes_from_a_devices_clock(town, off) -> None:
    """Two devices, one of them with an absurd clock, also in the ids that it makes: what counts is when it was heard."""
    person = toy.people(1)[0]
    wrong = product_clock.now() - off
    id = ids.derived_id(ids.lowest_id(wrong), "device", 7)

    def send(by, kind=toy.SEEN, details=None, **more):
        return record(kind, event=town.event, subject=person, details=details or seen(town), by=by, device=7, device_seq=1, **more)

    done = act(town.village(), send, id=id, happened_at=wrong)
    loop = Loop.objects.get(id=done.opened[0])
    assert loop.due_at == product_clock.now() + HOUR
    say(town, toy.TOLD, person, toy.Told("e1", "here", None))
    assert (Loop.objects.get(id=loop.id).outcome, duty(toy.FOLLOW).due_at) == ("met", product_clock.now() + 3 * HOUR)
    assert act(town.village(), send, id=id, happened_at=wrong).repeated
    with server() as db:
        assert db.execute("SELECT happened_at, received_at, device, device_seq FROM fact WHERE id = %s", [id]).fetchone() == (
            wrong, product_clock.now(), 7, 1,
        )  # fmt: skip
