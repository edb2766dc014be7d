"""What each source is worth, and how many none of them found: four lists of people of whom the truth is known."""

from __future__ import annotations

import random
import re

import pytest
from tests.flows.test_pages import BANQIAO, HEAD, client, page
from tests.flows.test_times import figures_of, opened, void
from tests.morning import take_in

from bihuan.access import queries as access
from bihuan.boards import report
from bihuan.kernel.refused import Refused
from bihuan.leads.facts import Tried

SOURCES = {"data": 0.6, "unit": 0.3, "community": 0.45, "telecom": 0.5}
NAMES = {"data": "数据推送", "unit": "单位上报", "community": "社区排查", "telecom": "运营商提醒"}
PEOPLE = 320


def lists(seed: int) -> tuple[dict[str, bytes], dict[int, set[str]]]:
    """Who is on which list is drawn by chance, each list for itself; of the telecom there are numbers only."""
    drawn = random.Random(seed)
    on = {n: {s for s, share in SOURCES.items() if drawn.random() < share} for n in range(PEOPLE)}
    texts = {}
    for source in SOURCES:
        mine = [n for n in on if source in on[n]]
        if source == "telecom":
            texts[source] = "号码,进入时间,漫出地编码,驻留区县\n" + "".join(f"1370000{n:04d},202208271530,310100,320703\n" for n in mine)
        else:
            texts[source] = HEAD + "".join(f"{name(n)},,1370000{n:04d},上海市,2022-08-27 15:30,{BANQIAO.format(n=n)}\n" for n in mine)
    return {source: text.encode() for source, text in texts.items()}, on


def name(n: int) -> str:
    return "王" + "甲乙丙丁戊己庚辛壬癸"[n // 100 % 10] + "甲乙丙丁戊己庚辛壬癸"[n // 10 % 10] + "子丑寅卯辰巳午未申酉"[n % 10]


@pytest.fixture
def known(city):
    files, on = lists(3)
    for source in SOURCES:
        take_in(f"{source}.csv", files[source], source)
    return on


def cell(html: str, row: str, column: int, table: str) -> int:
    """A number of a table by the name of its row."""
    part = re.search(rf'id="{table}".*?</table>', html, re.S)[0]
    line = re.search(rf'<th scope="row"[^>]*>{row}</th>(.*?)</tr>', part, re.S)[1]
    return int(re.sub(r"<[^>]+>", "", re.findall(r"<td.*?</td>", line, re.S)[column]).split()[0].replace(",", ""))


def test_what_each_found_alone_and_with_others_is_the_truth(known):
    html = page(client("shi"), "/sources")
    for source, label in NAMES.items():
        assert cell(html, label, 0, "by-source") == sum(source in on for on in known.values())
        assert cell(html, label, 1, "by-source") == sum(on == {source} for on in known.values())
        for column, other in enumerate(SOURCES):
            assert cell(html, label, column, "shared") == sum({source, other} <= on for on in known.values())
    exactly = "、".join(NAMES[s] for s in sorted(("data", "community")))
    assert cell(html, exactly, 0, "together") == sum(on == {"data", "community"} for on in known.values())


def test_those_whom_nobody_found_lie_in_the_interval_and_are_no_list(known):
    """The interval holds the true number; those of whom only a number came are beside it, never in it."""
    html = page(client("shi"), "/sources")
    missed = sum(not on for on in known.values())
    low, high = map(int, re.search(r"约 \d+ 人（(\d+)–(\d+)）", html).groups())
    assert 0 < low <= missed <= high < 3 * missed
    numbers = re.search(r'href="([^"]+)">(\d+)</a> 个只有号码', html)
    assert int(numbers[2]) == sum(on == {"telecom"} for on in known.values()) == opened(client("shi"), numbers[1])
    assert "不能与左边相加" in html
    found = int(re.search(r"一共写明了 (\d+) 个人", html)[1])
    assert found == sum(bool(on - {"telecom"}) for on in known.values())


def test_two_lists_or_too_little_in_common_are_told_in_a_sentence(known):
    desk = client("shi")
    assert "Chapman" in page(desk, "/sources?use=data&use=community")
    assert "只有一份写明是谁的名单，和只有号码的名单在一起不能估计" in page(desk, "/sources?use=data&use=telecom")
    assert "至少要有两个来源" in page(desk, "/sources?use=data")
    assert "没有这个来源" in page(desk, "/sources?use=gossip", 409)
    html = page(client("xian"), "/sources")  # 灌云县, where none of them is
    assert "这段时间没有报来的人" in html


def test_a_source_that_shares_nobody_is_left_out_by_name(city):
    files, _ = lists(4)
    for source in ("data", "unit", "community"):
        take_in(f"{source}.csv", files[source], source)
    alone = HEAD + "".join(f"李{name(n)[1:]},,1590000{n:04d},上海市,2022-08-27 15:30,{BANQIAO.format(n=n)}\n" for n in range(30))
    take_in("alone.csv", alone.encode(), "telecom")
    html = page(client("shi"), "/sources")
    assert "没有用 运营商提醒：与别的来源重合的人太少" in html
    assert re.search(r"约 \d+ 人（\d+–\d+）", html)


def test_errors_of_a_source_are_counted_where_a_call_found_them(known, forward):
    """A wrong number, somebody who went on, somebody of whom nothing is required: for every source that told of them."""
    village = client("cun")
    html = page(client("shi"), "/sources")
    url = next(u for u, n in figures_of(html) if "what=alone" in u and "source=data" in u)
    leads = list(dict.fromkeys(re.findall(r'href="/leads/([0-9a-f-]{36})"', page(client("shi"), url))))[:3]
    answers = ({"outcome": "wrong_number"}, {"outcome": "gone_on", "went_to": "南京市"}, {"outcome": "will_not_come"})
    for lead, answer in zip(leads, answers, strict=True):
        form = re.search(r'name="fact_id" value="([^"]+)"', page(village, f"/leads/{lead}/act"))[1]
        assert village.post(f"/leads/{lead}/act", {"fact_id": form, **answer}).status_code == 302
    after = page(client("shi"), "/sources")
    assert [cell(after, NAMES["data"], column, "by-source") for column in (6, 7, 8, 9)] == [2, 1, 2, 0]
    assert [cell(after, NAMES["unit"], column, "by-source") for column in (6, 7, 8, 9)] == [0, 0, 0, 0]


def test_rejected_rows_stand_beside_their_list(city):
    bad = HEAD + "王小明,32072319900101123X,13900000001,上海市,2022-08-27 10:00,连云港市连云区\n"
    bad += f"李大,,13900000002,上海市,2022-08-27 10:00,{BANQIAO.format(n=1)}\n"
    take_in("bad.csv", bad.encode(), "unit")
    html = page(client("shi"), "/sources")
    assert (cell(html, "单位上报", 4, "by-source"), cell(html, "单位上报", 5, "by-source")) == (2, 1)
    assert re.search(r'href="/intake/\d+\?outcome=rejected">1</a>', html)


def test_on_the_books_and_nobody_answers_is_a_list_of_names(known, forward):
    """Late and taken over by no desk: named. A desk that has begun takes them off, one that withdraws puts them back."""
    desk = client("shi")
    none = re.search(r'href="(/sources/\d+/lost)">.*?<span class="value number">([\d,]+)</span>', page(desk, "/sources"), re.S)
    assert none[2] == "0"
    forward(125)
    late = re.search(r'href="(/sources/\d+/lost)">.*?<span class="value number">([\d,]+)</span>', page(desk, "/sources"), re.S)
    n = int(late[2].replace(",", ""))
    assert n == sum(bool(on) for on in known.values()) == opened(desk, late[1])
    lead = re.search(r'href="/leads/([0-9a-f-]{36})"', page(client("cun"), "/duties"))[1]
    form = re.search(r'name="fact_id" value="([^"]+)"', page(client("cun"), f"/leads/{lead}/act"))[1]
    client("cun").post(f"/leads/{lead}/act", {"fact_id": form, "outcome": Tried.NOT_REACHED.value})
    assert opened(desk, late[1]) == n - 1
    void(lead, "leads.contact_tried")
    assert opened(desk, late[1]) == n


def test_the_overview_shows_both_figures_beside_each_other(known, forward):
    """Nobody who does not reconcile, and yet so many perhaps missed: as counted by the minute, the same as on the board."""
    desk = client("shi")
    forward(1)
    overview, board = page(desk, "/overview"), page(desk, "/sources?days=0")
    low, high = re.search(r"约 \d+ 人（(\d+)–(\d+)）", board).groups()
    tile = re.search(r'href="(/sources/\d+\?days=0)">.*?可能漏掉（估计）.*?<span class="value[^"]*">([^<]+)</span>', overview, re.S)
    assert tile[2] == f"{low}–{high} 人"
    assert page(desk, tile[1])
    assert "说不准" in page(client("xian"), "/overview")


def test_the_figures_are_given_to_machines(known, as_role):
    """`bihuan report` says what the page says, in the range of whoever asks."""
    found = report.report("sources", by=access.post_of("shi"), event=1)
    html = page(client("shi"), "/sources")
    assert found["missed"]["numbers"] == sum(on == {"telecom"} for on in known.values())
    assert found["missed"]["low"] <= sum(not on for on in known.values()) <= found["missed"]["high"]
    assert {s: row["alone"] for s, row in found["by_source"].items()} == {s: cell(html, NAMES[s], 1, "by-source") for s in SOURCES}
    times = report.report("times", by=access.post_of("shi"), event=1)
    assert times["total"]["counts"]["persons"] == sum(bool(on) for on in known.values())
    assert sum(unit["counts"]["persons"] for unit in times["by_unit"]) == times["total"]["counts"]["persons"]
    assert report.report("times", by=access.post_of("xian"), event=1)["total"]["counts"]["persons"] == 0
    with pytest.raises(Refused) as refused:
        report.report("times", by=access.post_of("xian"), event=1, unit=access.post_of("shi").unit_id)
    assert refused.value.code == "unit_not_found"
    with pytest.raises(Refused) as refused:
        report.report("sources", by=access.post_of("baosong"), event=1)
    assert refused.value.code == "not_permitted"
