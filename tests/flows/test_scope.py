"""Nobody sees or changes what is not theirs; the database says so too."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection, transaction
from tests.morning import take_in

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.kernel import ids
from bihuan.leads import actions
from bihuan.leads.facts import Found
from bihuan.leads.models import Lead
from bihuan.loops.models import Loop

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
HERE = "王小梅,,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会3号楼\n"
THERE = "李强,,13800000002,上海市,2022-08-27 10:00,连云港市灌云县杨集镇镇东村委会4号楼\n"
SCOPED = (
    "fact", "loop", "movement", "lead", "lead_reported", "person", "identity", "handled", "timer", "fired", "link", "intake_file", "intake_row",  # noqa: E501
)  # fmt: skip


@pytest.fixture
def lists(city):
    take_in("a.csv", (HEAD + HERE + THERE).encode(), "community")


def seen(login: str) -> dict[str, int]:
    post = access.post_of(login)
    with scope.acting(scope.of(post)), transaction.atomic():
        return {"loops": Loop.objects.count(), "leads": Lead.objects.count(), "persons": _count("person"), "facts": _count("fact"),
                "details": _count("lead_reported"), "moves": _count("movement")}  # fmt: skip


def _count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def test_each_level_sees_its_own(lists):
    assert set(seen("shi").values()) == {2}
    for login in ("xian", "zhen", "cun"):
        assert set(seen(login).values()) == {1}, login


def test_a_sender_sees_its_files_and_no_person(lists):
    sender = seen("baosong")
    assert sender["leads"] == sender["persons"] == sender["loops"] == 0


@pytest.mark.parametrize("login", ["xitong", "anquan", "shenji", "baosong"])
def test_who_works_with_nobody_reads_nobody_of_the_unit_that_he_sits_in(login, city, as_role):
    """The administrators sit in the city's desk, and a sender may: its persons, duties and facts stay closed to them, by the database."""
    take_in("a.csv", (HEAD + "赵不明,,13800000003,上海市,2022-08-27 10:00,\n").encode(), "community")
    desk = access.post_of("shi").unit_id
    with as_role("superuser") as db:
        db.execute("UPDATE post SET unit = %s WHERE officer = (SELECT id FROM officer WHERE login = %s)", (desk, login))
        assert db.execute("SELECT count(*) FROM loop WHERE owner = %s AND kind = 'leads.verify'", (desk,)).fetchone() == (1,)
    assert set(seen("shi").values()) >= {1}
    assert access.post_of(login).unit_id == desk
    assert set(seen(login).values()) == {0}
    with scope.acting(scope.of(access.post_of(login))), transaction.atomic():
        assert [t for t in ("identity", "fired", "unmasked", "link", "doubt", "duty_list", "bulk_act", "conflict") if _count(t)] == []


def test_without_a_scope_the_answer_is_an_error_not_an_empty_list(lists):
    for _ in range(2):  # a fresh connection, and one that had a scope before
        with pytest.raises(Exception, match="no scope was set"), transaction.atomic():
            Loop.objects.count()
        seen("cun")


def test_another_villages_duty_is_not_there_for_any_act(lists, as_role):
    zhen = access.post_of("zhen")
    with as_role("superuser") as db:
        (lead, loop) = db.execute(
            "SELECT d.id, l.id FROM lead d JOIN loop l ON l.subject = d.subject JOIN region r ON r.id = l.region WHERE r.division_code / 1000000 = 320723"  # noqa: E501
        ).fetchone()
        fact = db.execute(
            "SELECT fact FROM lead_reported r JOIN fact f ON f.id = r.fact JOIN lead d ON d.subject = f.subject WHERE d.id = %s", (lead,)
        ).fetchone()[0]
        before = db.execute("SELECT count(*) FROM fact").fetchone()
    codes = [
        actions.verify(by=zhen, lead=lead, outcome=Found.WILL_NOT_COME, fact_id=ids.new_id()).code,
        actions.start_call(by=zhen, lead=lead, fact_id=ids.new_id()).code,
        actions.assign(by=zhen, loops=[loop], officer=None, act=ids.new_id()).code,
        actions.offer(by=zhen, loops=[loop], to_unit=zhen.unit_id, reason="x", act=ids.new_id()).code,
        actions.reassign(by=zhen, loops=[loop], to_unit=zhen.unit_id, reason="x", act=ids.new_id()).code,
        actions.void(by=zhen, fact=fact, reason="x", act=ids.new_id()).code,
    ]
    assert codes == ["lead_not_found", "lead_not_found", "duty_not_found", "duty_not_found", "duty_not_found", "fact_not_found"]
    missing = ids.new_id()
    assert actions.verify(by=zhen, lead=missing, outcome=Found.WILL_NOT_COME, fact_id=ids.new_id()).code == "lead_not_found"
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM fact").fetchone() == before


@pytest.mark.parametrize("table", SCOPED)
def test_the_applications_role_alone_changes_nothing(table, lists, as_role):
    with as_role("superuser") as db:
        owner = db.execute(
            "SELECT relrowsecurity FROM pg_class WHERE relname = %s AND relnamespace = 'public'::regnamespace", (table,)
        ).fetchone()
    assert owner == (True,), "row-level security is on"
    if table.startswith("intake_"):
        return
    for statement in (
        f"DELETE FROM {table}",
        f"UPDATE {table} SET {_a_column(as_role, table)} = {_a_column(as_role, table)}",
        f"INSERT INTO {table} DEFAULT VALUES",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role("app") as db:  # noqa: PT012
            db.execute("SET LOCAL bihuan.lo = 0; SET LOCAL bihuan.hi = 999999999999999; SET LOCAL bihuan.unit = 1")
            db.execute(statement)


def _a_column(as_role, table: str) -> str:
    with as_role("superuser") as db:
        return db.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position LIMIT 1", (table,)
        ).fetchone()[0]


def test_partitions_cannot_be_read_past_the_policy(lists, as_role):
    with as_role("superuser") as db:
        partitions = [
            name for (name,) in db.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'fact'::regclass").fetchall()
        ]
    assert len(partitions) >= 3
    for name in partitions:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role("app") as db:
            db.execute(f"SELECT count(*) FROM {name}")


def test_an_act_that_fails_leaves_no_role_behind(lists):
    cun = access.post_of("cun")
    actions.verify(by=cun, lead=ids.new_id(), outcome=Found.WILL_NOT_COME, fact_id=ids.new_id())
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user")
        assert cursor.fetchone() == ("bihuan_app", "bihuan_app")
