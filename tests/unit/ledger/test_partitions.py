"""The months of the ledger, and who may read and write it."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from bihuan.kernel import ids
from bihuan.ledger import partitions

BEGAN = datetime(2022, 8, 28, tzinfo=UTC)
AHEAD = datetime(2031, 5, 20, tzinfo=UTC)


def where_is(db: psycopg.Connection, id) -> str:
    return db.execute("SELECT tableoid::regclass::text FROM fact WHERE id = %s", [id]).fetchone()[0]


def test_this_month_and_two_ahead_are_there_from_the_start(facts, as_role) -> None:
    from bihuan.kernel import clock

    assert partitions.ensure(clock.real_now()) == 0
    (fact,) = facts(1)
    with as_role("owner") as db:
        assert where_is(db, fact) == f"fact_{clock.real_now():%Y_%m}"


def test_rows_that_wait_move_into_their_month_and_keep_their_transaction(facts, as_role) -> None:
    early = ids.new_id(AHEAD)
    with as_role("work") as db:
        db.execute(facts.insert, {"ids": [early], "at": BEGAN})
    with as_role("owner") as db:
        assert where_is(db, early) == "fact_default"
        xid = db.execute("SELECT xid FROM fact WHERE id = %s", [early]).fetchone()
    assert partitions.ensure(AHEAD) == 3
    assert partitions.ensure(AHEAD) == 0
    with as_role("owner") as db:
        assert where_is(db, early) == "fact_2031_05"
        assert db.execute("SELECT xid FROM fact WHERE id = %s", [early]).fetchone() == xid


def test_a_partition_shows_nothing_by_its_own_name(facts, as_role) -> None:
    (fact,) = facts(1)
    partitions.ensure(AHEAD)
    with as_role("owner") as db:
        name = where_is(db, fact)
    for table in (name, "fact_2031_06", "fact_default"):
        with as_role("app") as db:
            try:
                assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
            except psycopg.errors.InsufficientPrivilege:
                db.rollback()


def test_the_scope_decides_who_reads_a_fact(facts, as_role) -> None:
    (fact,) = facts(1)
    with as_role("work") as db:
        db.execute("INSERT INTO visible (subject, scope, unit) SELECT subject, 320700000000000, 7 FROM fact WHERE id = %s", [fact])

    def seen(lo: int, hi: int, unit: int) -> int:
        with as_role("app") as db:
            db.execute(f"SET LOCAL bihuan.lo = {lo}; SET LOCAL bihuan.hi = {hi}; SET LOCAL bihuan.unit = {unit}")
            return db.execute("SELECT count(*) FROM fact").fetchone()[0]

    assert seen(0, 0, 1) == 1, "the unit that recorded it"
    assert seen(320700000000000, 320800000000000, 9) == 1, "a range that holds it"
    assert seen(0, 0, 7) == 1, "the unit that may see the subject"
    assert seen(320800000000000, 320900000000000, 9) == 0
    with as_role("app") as db, pytest.raises(psycopg.errors.InvalidTextRepresentation, match="no scope was set"):
        db.execute("SELECT count(*) FROM fact")


@pytest.mark.parametrize("table", ["fact", "conflict", "seal"])
def test_the_ledger_is_only_appended_to(facts, as_role, table: str) -> None:
    facts(1)
    for role in ("app", "work"):
        for statement in (f"UPDATE {table} SET unit = 2" if table != "seal" else "UPDATE seal SET upto = 2", f"DELETE FROM {table}"):
            with as_role(role) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement)
    with as_role("app") as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(facts.insert, {"ids": [ids.new_id()], "at": BEGAN})
    with as_role("app") as db:
        db.execute("SET LOCAL ROLE bihuan_engine")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"DELETE FROM {table}")
        db.rollback()
    with as_role("app") as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("SELECT ledger_ensure_partitions('2032-01-01', 1)")
