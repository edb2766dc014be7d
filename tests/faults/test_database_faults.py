"""A row that somebody holds, a connection that is cut, two who wait for each other, a full disk: told with a code, saved once later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from uuid import UUID

import psycopg
import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import OperationalError, connection
from django.test import RequestFactory
from psycopg_pool import PoolTimeout
from tests.attacks.world import client
from tests.morning import count, take_in

from bihuan.access import action as actions
from bihuan.access import queries as access
from bihuan.access.door import engine
from bihuan.kernel import ids
from bihuan.site import away, roles

LIST = "姓名,证件号码,手机号,来源地,到达时间,现住址\n" + "".join(
    f"王小{n},,1380000000{no},上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会{no}号楼\n" for no, n in enumerate("梅兰竹")
)
TRIED = "SELECT count(*) FROM contact_tried"


@pytest.fixture
def call(city, as_role) -> Callable:
    """`call()` sends one and the same answer of a call; `call.loop` is its duty."""
    take_in("a.csv", LIST.encode(), "community")
    with as_role("superuser") as db:
        loop, lead = db.execute("SELECT l.id, d.id FROM loop l JOIN lead d USING (subject, key) ORDER BY 1 LIMIT 1").fetchone()
    browser, form = client("console"), {"fact_id": str(ids.new_id()), "outcome": "not_reached"}

    def send():
        return browser.post(f"/leads/{lead}/act", form)

    send.loop = loop
    return send


def server() -> psycopg.Connection:
    return psycopg.connect(roles.dsn("superuser", connection.settings_dict["NAME"]))


def is_told(answer, code: str) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert code in answer.content.decode()


def test_a_row_that_somebody_holds(call, as_role, monkeypatch) -> None:
    monkeypatch.setattr(actions, "_LOCK_TIMEOUT", "SET LOCAL lock_timeout = '20ms'")
    with closing(server()) as holder:
        holder.execute("SELECT FROM loop WHERE id = %s FOR UPDATE", [call.loop])
        is_told(call(), "database_busy")
        holder.rollback()
    with as_role("superuser") as db:
        assert count(db, TRIED) == 0
    for _ in range(2):
        assert call().status_code == 302
    with as_role("superuser") as db:
        assert count(db, TRIED) == 1


def test_a_connection_that_is_cut(call, as_role) -> None:
    connection.ensure_connection()
    mine = connection.connection.info.backend_pid
    with closing(server()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [mine])
    is_told(call(), "database_away")
    connection.close()  # as at the end of each request; the tests' client keeps it
    assert call().status_code == 302
    with as_role("superuser") as db:
        assert count(db, TRIED) == 1


def test_two_who_wait_for_each_other_both_get_through(call) -> None:
    """A deadlock: the database gives one of them up, and that one is done again by itself."""
    meet = threading.Barrier(2)
    came: list[int] = []

    @actions.action
    def lock(*, by, order: tuple[int, int]) -> str:
        came.append(order[0])
        with engine(), connection.cursor() as cursor:
            cursor.execute("SELECT FROM loop WHERE id = %s FOR UPDATE", [order[0]])
            if len(came) <= 2:
                meet.wait(60)
            cursor.execute("SELECT FROM loop WHERE id = %s FOR UPDATE", [order[1]])
        return "done"

    post, done = access.post_of("console"), []

    def run(order: tuple[int, int]) -> None:
        try:
            done.append(lock(by=post, order=order))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(order,)) for order in ((call.loop, call.loop + 1), (call.loop + 1, call.loop))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert done == ["done", "done"]
    assert len(came) == 3, "one of them was given up and began again"


def wrapped(error: Exception) -> Exception:
    """As Django hands on an error of the driver."""
    outer = OperationalError(str(error))
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (psycopg.errors.DiskFull("no space left on device"), "storage_full"),
        (psycopg.errors.DeadlockDetected("deadlock"), "database_busy"),
        (psycopg.errors.SerializationFailure("concurrent update"), "database_busy"),
        (PoolTimeout("no connection within 10 s"), "database_busy"),
        (psycopg.errors.AdminShutdown("terminating connection"), "database_away"),
        (psycopg.OperationalError("the database system is in recovery mode"), "database_away"),
    ],
)
def test_each_fault_has_its_code(error, code) -> None:
    assert away.reason_of(wrapped(error)).code == code


def test_other_errors_stay_what_they_are() -> None:
    assert away.reason_of(KeyError("x")) is None
    assert away.reason_of(wrapped(psycopg.errors.UniqueViolation("twice")).__cause__) is None


def test_a_session_that_could_not_be_stored_is_no_bad_request() -> None:
    """The act was saved, the session after it was not: not "this was not understood and not saved"."""
    request = RequestFactory().get("/")
    lost, gone = SessionInterrupted("deleted"), SessionInterrupted("deleted")
    lost.__context__ = UpdateError()
    lost.__context__.__context__ = wrapped(psycopg.errors.AdminShutdown("terminating connection"))
    gone.__context__ = UpdateError()
    assert away.bad_request(request, lost).status_code == 503
    assert away.bad_request(request, gone).status_code == 400


def test_an_act_sent_twice_at_the_same_instant_is_done_once(call, as_role) -> None:
    """Through the door itself, without the page that holds the second click: the second says that it was done."""
    from bihuan.loops import handle

    post, act = access.post_of("console"), ids.new_id()
    meet, answers = threading.Barrier(2), []

    def waive() -> None:
        try:
            meet.wait(60)
            answers.append(actions.action(handle.waive)(by=post, loops=[call.loop], reason="误报", act=act))
        finally:
            connection.close()

    threads = [threading.Thread(target=waive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(answer.repeated for answer in answers) == [False, True]
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM movement WHERE loop = %s AND what = 'closed'", call.loop) == 1
    assert isinstance(act, UUID)
