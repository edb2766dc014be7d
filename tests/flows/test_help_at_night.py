"""Whose help is asked at night: nobody's, except for the highest class. All rungs, also of a duty that is owed again."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from tests.morning import EVENT, count

from bihuan.access import queries as access
from bihuan.access.action import action
from bihuan.kernel import clock, ids
from bihuan.leads.facts import LEAD_REPORTED, LeadReported, LeadSource
from bihuan.loops import handle, withdraw
from bihuan.loops.record import record
from bihuan.loops.tick import tick

RUNGS = "SELECT array_prepend(t.bucket, t.later) FROM timer t JOIN loop l ON l.id = t.loop WHERE l.closed_at IS NULL"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2022-08-{text}").replace(tzinfo=clock.SHANGHAI)


@pytest.fixture
def evening(city, acting, as_role):
    """Half past eight in the evening; `reported(class)` opens a duty to verify, due an hour later."""
    from bihuan.policy import installation

    with as_role("superuser") as db:
        db.execute("UPDATE installation SET frozen_at = %s", [at("28 20:30")])
    installation.forget()
    post = access.post_of("console")

    @action
    def report(*, by, origin_class: str, fact: UUID) -> object:
        told = LeadReported(
            source=LeadSource.UNIT_REPORT, origin="上海市", origin_region=None, origin_class=origin_class, arrived_at=None,
            arrived_precision="none", community=access.post_of("cun").unit_id, county=None, desk=access.post_of("cun").unit_id,
            episode="e", report_key=fact.int % 2**62, file=None, sheet="", row=None,
        )  # fmt: skip
        subject = ids.new_id()
        from bihuan.access.door import engine

        with engine():
            from django.db import connection

            connection.cursor().execute("INSERT INTO subject (id, kind) VALUES (%s, 'person')", [subject])
        return record(LEAD_REPORTED, event=EVENT, subject=subject, details=told, by=by, id=fact)

    def reported(origin_class: str) -> UUID:
        fact = ids.new_id()
        done = report(by=post, origin_class=origin_class, fact=fact)
        assert len(done.opened) == 1, done
        return fact

    reported.by = post
    return reported


def rungs(as_role) -> list[datetime]:
    with as_role("superuser") as db:
        return [moment.astimezone(clock.SHANGHAI) for moment in db.execute(RUNGS).fetchone()[0]]


def test_the_second_rung_waits_for_the_morning(evening, as_role, acting):
    evening("low")
    assert rungs(as_role) == [at("28 21:30"), at("29 08:30")]
    with acting("work"):
        assert tick(at("28 23:59")).n_fired == 1
        assert rungs(as_role) == [at("29 08:30")]
        assert tick(at("29 08:29")).n_fired == 0
        assert tick(at("29 08:30")).n_fired == 1
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM timer") == 0
        assert db.execute("SELECT level, bucket FROM fired ORDER BY 1").fetchall() == [(1, at("28 21:30")), (2, at("29 08:30"))]


def test_the_highest_class_is_helped_at_night(evening, as_role, acting):
    evening("high")
    assert rungs(as_role) == [at("28 21:30"), at("28 22:30")]
    with acting("work"):
        assert tick(at("28 22:30")).n_fired == 2


@pytest.mark.parametrize(("origin_class", "again"), [("low", [at("29 08:00"), at("29 09:00")]), ("high", [at("28 22:00"), at("28 23:00")])])
def test_a_duty_owed_again_keeps_the_hours_of_its_class(evening, as_role, origin_class, again):
    """Waived at nine, and the waiver taken back: an hour of grace, at night only for the highest class."""
    from bihuan.policy import installation

    evening(origin_class)
    with as_role("superuser") as db:
        (loop,) = db.execute("SELECT id FROM loop").fetchone()
        db.execute("UPDATE installation SET frozen_at = %s", [at("28 21:00")])
    installation.forget()
    act = ids.new_id()
    assert action(handle.waive)(by=evening.by, loops=[loop], reason="误报", act=act).n == 1
    assert action(withdraw.undo)(by=evening.by, act=act).n == 1
    assert rungs(as_role) == again
    with as_role("superuser") as db:
        due_at = db.execute("SELECT due_at FROM loop WHERE closed_at IS NULL").fetchone()[0]
    assert due_at == again[0]
    assert timedelta(0) <= due_at - at("28 21:00")
