"""A village moves to a zone, a desk ends: open duties follow, the accounts balance, nobody is without an owner."""

from __future__ import annotations

import pytest
from tests.morning import count, take_in

from bihuan.access import queries as access
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused
from bihuan.loops import jurisdiction

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
ROWS = [
    "王小梅,,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会3号楼",
    "李强,,13800000002,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会4号楼",
    "赵远,,13800000003,上海市,2022-08-27 10:00,连云港市连云区",
]


@pytest.fixture
def lists(city):
    take_in("a.csv", (HEAD + "\n".join(ROWS) + "\n").encode(), "community")


def unit(db, name: str) -> int:
    return count(db, "SELECT id FROM unit WHERE name = %s", name)


def balanced(db) -> bool:
    held = dict(db.execute("SELECT owner, count(*) FROM loop WHERE closed_at IS NULL GROUP BY 1").fetchall())
    summed = db.execute(
        """SELECT unit, sum(n)::int FROM (
             SELECT to_unit AS unit, 1 AS n FROM movement WHERE what IN ('opened', 'accepted', 'reassigned')
             UNION ALL SELECT from_unit, -1 FROM movement WHERE what IN ('closed', 'accepted', 'reassigned')) m
           GROUP BY 1 HAVING sum(n) <> 0"""
    ).fetchall()
    return held == dict(summed)


def test_a_township_goes_to_a_zone(lists, as_role, acting):
    console = access.post_of("console")
    with as_role("superuser") as db:
        region = count(db, "SELECT id FROM region WHERE division_code = 320703005000")
        county, zone = unit(db, "连云区疫情防控指挥部办公室"), unit(db, "徐圩新区疫情防控指挥部办公室")
    with acting("work"):
        done = jurisdiction.recode(by=console, region=region, new_scope=320790005000, act=ids.new_id())
    assert done.n_rescoped == 2
    with as_role("superuser") as db:
        scopes = [s for (s,) in db.execute("SELECT scope FROM loop ORDER BY scope").fetchall()]
        assert scopes == [320703000000000, 320790005001000, 320790005001000]
        lines = db.execute("SELECT above_id FROM unit_line WHERE unit_id = %s AND steps = 2", (unit(db, "板桥社区居委会"),)).fetchone()[0]
        assert lines == zone
        assert count(db, "SELECT count(*) FROM loop WHERE owner = %s", county) == 1
        assert balanced(db)


def test_a_village_ends_and_its_successor_answers(lists, as_role, acting):
    console = access.post_of("console")
    with as_role("superuser") as db:
        ending, heir = unit(db, "板桥社区居委会"), unit(db, "跃进社区居委会")
    with acting("work"):
        with pytest.raises(Refused):
            jurisdiction.close_unit(by=console, unit=ending, successor=ending, act=ids.new_id())
        assert jurisdiction.close_unit(by=console, unit=ending, successor=heir, act=ids.new_id()).n_reassigned == 2
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM loop WHERE owner = %s AND closed_at IS NULL", heir) == 2
        assert count(db, "SELECT count(*) FROM movement WHERE what = 'reassigned'") == 2
        assert balanced(db)
    take_in("b.csv", (HEAD + "陈新,,13800000009,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会9号楼\n").encode(), "community")
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM loop WHERE owner = %s AND closed_at IS NULL", heir) == 3


def test_only_those_who_may_change_the_map(lists, acting):
    with acting("work"), pytest.raises(Refused) as refused:
        jurisdiction.close_unit(by=access.post_of("cun"), unit=1, successor=2, act=ids.new_id())
    assert refused.value.code == "not_permitted"
