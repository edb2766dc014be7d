"""Two records that may be one person: asked about with reasons, put off, decided, taken back; both histories stay."""

from __future__ import annotations

import re

import pytest
from tests.flows.test_pages import client, hidden, page
from tests.morning import take_in

from bihuan.access import queries as access

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
LISTS = (
    "王小梅,11010519491231002X,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会3号楼\n",
    "王晓玫,,13800000001,上海市,2022-08-27 11:00,连云港市灌云县杨集镇镇东村委会4号楼\n",
)


@pytest.fixture
def url(city) -> str:
    """The page of the pair, found as an officer finds it: among the duties."""
    for no, row in enumerate(LISTS):
        take_in(f"{no}.csv", (HEAD + row).encode(), "community")
    found = re.findall(r'href="(/people/same/[0-9a-f-]+/[0-9a-f-]+)"', page(client("shi"), "/duties?kind=identity.settle"))
    assert len(set(found)) == 1
    return found[0]


def answer(desk, url: str, decision: str, **fields: str) -> str:
    sent = desk.post(url, {"fact_id": hidden(page(desk, url), "fact_id"), "decision": decision, **fields}, follow=True)
    return sent.content.decode()


def owed(as_role) -> list[tuple]:
    with as_role("work") as db:
        return db.execute(
            "SELECT l.subject, l.owner, l.due_at, t.bucket FROM loop l LEFT JOIN timer t ON t.loop = l.id"
            " WHERE l.kind = 'leads.verify' AND l.closed_at IS NULL ORDER BY 1"
        ).fetchall()


def test_a_near_pair_is_asked_put_off_decided_and_taken_back(url, as_role):
    desk, before = client("shi"), owed(as_role)
    assert len(before) == 2, "nothing is joined before somebody decides"
    shown = page(desk, url)
    for words in ("同一电话，姓名读音一样", "读音一样", "有一边没写", "板桥社区居委会", "镇东村委会", "社区排查报来"):
        assert words in shown, words
    assert "王小梅" not in shown
    village = access.post_of("cun").unit
    assert "请选请谁去核实" in answer(desk, url, "later")
    answer(desk, url, "later", ask=str(village.id), note="请当面问")
    shown = page(desk, url)
    assert "请板桥社区居委会核实" in shown
    assert "请当面问" in shown
    assert "/people/same/" in page(desk, "/duties?kind=identity.settle"), "the question stays"
    assert "已判定：是同一个人" in answer(desk, url, "same", why="typed")
    assert len(owed(as_role)) == 1
    assert "/people/same/" not in page(desk, "/duties?kind=identity.settle")
    shown = page(desk, url)
    assert "名字写错了" in shown
    assert "已判定：不是同一个人" in answer(desk, url, "different", why="family", note="是姐妹")
    assert owed(as_role) == before, "as if it had never been"
    assert "一家人共用电话；是姐妹" in page(desk, url)
    assert "/people/same/" not in page(desk, "/duties?kind=identity.settle"), "and it is not asked again"


def test_who_may_not_settle_sees_no_pair(url):
    for login in ("cun", "zhen", "baosong"):
        assert client(login).get(url).status_code == 403, login
