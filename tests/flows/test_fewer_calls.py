"""少打电话: a village is told how many calls the lists have in common, and nothing where there is nothing to say."""

from __future__ import annotations

import re
from html import unescape

import psycopg
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import queries as access
from bihuan.kernel import clock
from bihuan.leads import queries

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
BANQIAO = "连云港市连云区板桥街道板桥社区居委会{n}号楼"


def a_list(name: str, source: str, numbers: range, at: str = "10:00") -> None:
    lines = (f"王小{n},,138{n:08d},上海市,2022-08-27 {at},{BANQIAO.format(n=n)}\n" for n in numbers)
    take_in(name, (HEAD + "".join(lines)).encode(), source)


def told(login: str = "cun") -> str:
    found = re.search(r'<p class="note good saved">.*?<span>(.*?)</span>', unescape(signed_in(login).get("/duties").content.decode()), re.S)
    return found[1] if found else ""


def test_rows_persons_and_calls_are_those_of_the_village(city):
    a_list("a.csv", "community", range(1, 6))
    assert told() == "", "one list names nobody twice"
    a_list("b.csv", "data", range(2, 5), "10:30")
    a_list("c.csv", "unit", range(4, 5), "11:00")
    assert told() == "3 种名单里有您村 9 行，其实是 5 个人，少打 4 个电话。"
    assert told("zhen") == "", "who calls nobody is spared nothing"


def test_it_is_one_look_into_an_index(city, as_role):
    a_list("a.csv", "community", range(1, 300))
    a_list("b.csv", "data", range(1, 300), "10:30")
    unit = access.post_of("cun").unit_id
    with as_role("superuser") as db:
        db.execute("ANALYZE lead")
        db.execute("SET enable_seqscan = off")
        plan = "\n".join(
            line
            for (line,) in psycopg.ClientCursor(db).execute(
                "EXPLAIN " + queries.SAVED_CALLS, {"unit": unit, "since": clock.day_start(clock.today())}
            )
        )
    assert "lead_desk" in plan, plan
    assert plan.count("on lead") == 1, plan
