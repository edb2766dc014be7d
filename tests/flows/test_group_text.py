"""复制到群: what a chat group is told has units, numbers and times, and nobody; it says what the page says."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.kernel import clock
from bihuan.leads import group_text

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
PEOPLE = [
    ("赵小梅", "320723199001011237", "13800000001", "连云港市连云区板桥街道板桥社区居委会3号楼201"),
    ("钱大海", "", "13800000002", "连云港市连云区板桥街道板桥社区居委会5号楼"),
    ("欧阳海燕", "", "13800000003", "连云港市灌云县杨集镇镇东村委会7号楼"),
    ("孙板桥", "", "13800000004", "连云港市连云区"),
]
PAGES = [
    ("shi", "/overview"),
    ("xian", "/overview"),
    ("zhen", "/overview"),
    ("shi", "/duties"),
    ("xian", "/duties"),
    ("zhen", "/duties"),
    ("shi", "/duties?state=all"),
]


def text_on(login: str, url: str, language: str = "zh-hans") -> str:
    html = signed_in(login, language).get(url).content.decode()
    found = re.search(r'<textarea id="group-text" readonly[^>]*>(.*?)</textarea>', html, re.S)
    assert found, (login, url)
    return unescape(found[1])


@pytest.fixture
def lists(city):
    take_in("a.csv", (HEAD + "".join(f"{n},{d},{p},上海市,2022-08-27 10:00,{a}\n" for n, d, p, a in PEOPLE)).encode(), "community")


def nobody_in(text: str, as_role) -> None:
    """No name, not even masked; no run of digits as long as a telephone's or a document's; no door."""
    with as_role("superuser") as db:
        names = [n for (n,) in db.execute("SELECT name FROM person WHERE name <> ''").fetchall()]
        officers = [n for (n,) in db.execute("SELECT name FROM officer").fetchall()]
        phones = [p for (p,) in db.execute("SELECT phone FROM unit WHERE phone <> ''").fetchall()]
    assert len(names) == len(PEOPLE)
    for word in (*names, *officers, *phones, *(w for person in PEOPLE for w in person if w), "号楼", "*"):
        assert word not in text, word
    assert not re.search(r"\d{7,}", text)


@pytest.mark.parametrize(("login", "url"), PAGES)
def test_nobody_is_named(lists, as_role, forward, login, url):
    for minutes in (0, 125):
        forward(minutes or 1)
        text = text_on(login, url)
        nobody_in(text, as_role)
        assert "截至 8月28日 " in text
        assert "群里不发姓名" in text
        nobody_in(text_on(login, url, "en"), as_role)


def test_it_says_what_the_page_says(lists, forward):
    forward(1)
    text = text_on("zhen", "/overview")
    assert "板桥街道" in text
    assert "在管 2 件，今日新增 2，今日办结 0，超时 0。" in text
    assert re.search(r"板桥社区居委会：在管 2 件，今日新增 2，今日办结 0，超时 0。", text), text
    assert "下一个到点：09:00。" in text
    assert "个单位没有在管的" in text
    forward(120)
    late = text_on("zhen", "/overview")
    assert "板桥社区居委会：在管 2 件，今日新增 2，今日办结 0，超时 2。" in late
    assert "有超时的 1 个单位请先办" in late
    assert "下一个到点" not in late
    assert "范围内全部：在办 2 件，超时 2；请我们协助 2 件。" in text_on("zhen", "/duties")


def test_a_list_under_its_number_too(lists, as_role):
    desk = signed_in("shi")
    html = unescape(desk.get("/duties?state=all").content.decode())
    act = re.search(r'name="act" value="([^"]+)"><input type="hidden" name="which"', html)[1]
    url = desk.post("/lists", {"act": act, "which": "all", "state": "all"}).headers["Location"]
    text = text_on("shi", url)
    nobody_in(text, as_role)
    assert "共 4 件：还要办 4，已办结或已转走 0。" in text
    assert "核查：4 件" in text


def test_a_village_is_asked_nothing_of_the_kind(lists):
    assert "group-text" not in signed_in("cun").get("/duties").content.decode()


_n = st.integers(min_value=0, max_value=5000)


@given(st.lists(st.tuples(_n, _n, _n, _n), max_size=120))
def test_every_unit_that_has_anything_is_said_or_counted(numbers):
    units = [group_text.UnitLine(f"第{no}村", *n) for no, n in enumerate(numbers)]
    sums = group_text.UnitLine("", *(sum(n[i] for n in numbers) for i in range(4)))
    text = group_text.overview("某镇", sums, units, gap=0, next_at=None, now=datetime(2022, 8, 28, 8, tzinfo=clock.SHANGHAI))
    busy = [u for u in units if u.held or u.new or u.closed or u.late]
    said = re.findall(r"^(第\d+村)：", text, re.M)
    more = re.search(r"另有 (\d+) 个单位在办", text)
    assert len(said) + int(more[1] if more else 0) == len(busy)
    assert len(said) == len(set(said)) <= group_text.UNITS_MAX
    late = {u.unit for u in units if u.late}
    assert late >= set(said) or late <= set(said), "the late ones come first"
