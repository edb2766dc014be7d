"""The demonstration's clock: frozen, running, moved; and a real installation's, which cannot be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy import installation

MORNING = clock.parse_local("2022-08-28 08:00")
SECOND = timedelta(seconds=1)


@pytest.fixture
def demo(db, acting):
    with acting("work"):
        installation.set_up(mode="demo", at=MORNING)
        yield


def test_before_set_up_the_clock_is_real(db) -> None:
    assert abs(clock.now() - clock.real_now()) < SECOND


def test_frozen_then_running_then_moved(demo) -> None:
    assert clock.now() == clock.now() == MORNING
    assert installation.advance(timedelta(hours=1)) == clock.now() == MORNING + timedelta(hours=1)
    installation.thaw()
    running = clock.now()
    assert timedelta(0) <= running - (MORNING + timedelta(hours=1)) < 5 * SECOND
    assert clock.now() > running
    installation.thaw()  # again: harmless
    assert clock.now() - running < 5 * SECOND
    installation.advance(timedelta(hours=2))
    assert timedelta(hours=2) <= clock.now() - running < timedelta(hours=2) + 5 * SECOND
    stood = installation.freeze()
    assert installation.freeze() == stood == clock.now()
    assert clock.today().isoformat() == "2022-08-28"


def test_it_never_goes_back(demo) -> None:
    with pytest.raises(Refused, match="clock_goes_back"):
        installation.advance(timedelta(hours=-1))
    assert clock.now() == MORNING


def test_setting_up_again_keeps_the_clock(demo) -> None:
    installation.advance(timedelta(hours=1))
    installation.set_up(mode="demo", at=MORNING)
    assert clock.now() == MORNING + timedelta(hours=1)


def test_the_clock_is_readable_in_a_failed_transaction(demo) -> None:
    from django.db import ProgrammingError, connection, transaction

    installation.forget()
    with transaction.atomic():
        with connection.cursor() as cursor, pytest.raises(ProgrammingError):
            cursor.execute("SELECT 1 FROM no_such_table")
        assert clock.now() == MORNING
        transaction.set_rollback(True)


def test_a_real_installations_clock_cannot_be_moved(db, acting) -> None:
    with acting("work"):
        installation.set_up(mode="live")
        for move in (installation.freeze, installation.thaw, lambda: installation.advance(timedelta(hours=1))):
            with pytest.raises(Refused, match="clock_is_real"):
                move()
    assert abs(clock.now() - clock.real_now()) < SECOND


def test_nothing_to_move(db, acting) -> None:
    with acting("work"), pytest.raises(Refused, match="installation_missing"):
        installation.freeze()
