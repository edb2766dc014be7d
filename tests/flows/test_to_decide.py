"""等我拍板: what waits for this very officer, and nothing that waits for others."""

from __future__ import annotations

import re
from datetime import date
from html import unescape

from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import queries as access
from bihuan.kernel import ids
from bihuan.leads import actions, to_decide
from bihuan.policy import actions as policy
from bihuan.policy.models import Event

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
BANQIAO = "连云港市连云区板桥街道板桥社区居委会{n}号楼"
NOTHING = "现在没有等您拍板的事。"


def document(body: str) -> str:
    return (
        body + "10X98765432"[sum(int(d) * w for d, w in zip(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11]
    )


def one_phone_two_documents() -> None:
    text = HEAD + "".join(
        f"王小梅,{d},13800000077,上海市,2022-08-27 10:00,{BANQIAO.format(n=7)}\n"
        for d in (document("32070319900101101"), document("32070319650505205"), "")
    )
    take_in("a.csv", text.encode(), "community")


def propose(login: str = "console"):
    return policy.propose(
        event=1, region=Event.objects.get(pk=1).region_id, basis="文号", act=ids.new_id(), by=access.post_of(login),
        pack="covid19/cn_20", version="2022-11-11", from_on=date(2022, 11, 11),
    )  # fmt: skip


def shown(login: str, url: str = "/overview", language: str = "zh-hans") -> list[tuple[str, str]]:
    """(address, sentence) of each line of the tile; none where nothing waits."""
    html = unescape(signed_in(login, language).get(url).content.decode())
    tile = re.search(r'<section class="card decide.*?</section>', html, re.S)
    if tile is None:
        assert (NOTHING in html) == (url == "/overview" and language == "zh-hans")
        return []
    assert html.index('class="card decide') < html.index('class="figures"' if url == "/overview" else 'id="work"'), "first of the page"
    found = re.findall(r'<li><p class="grow">(.*?)</p><a class="button small" href="([^"]+)"', tile[0], re.S)
    return [(there, re.sub("<[^>]+>", "", text)) for text, there in found]


def test_a_quiet_sentence_where_nothing_waits(city):
    for login in ("shi", "xian", "zhen"):
        assert shown(login) == []
    assert shown("zhen", "/duties") == []


def test_a_proposal_waits_for_the_other_officer_and_for_nobody_else(city):
    row = propose()
    for url in ("/overview", "/duties"):
        ((there, text),) = shown("shi", url)
        assert there == f"/rules/proposals/{row.id}"
        assert "连云港市要换防控规定，别人已提出，等您签第二个名" in text
        assert shown("console", url) == [], "nobody signs twice"
        assert shown("xian", url) == [], "a county does not adopt"
    assert signed_in("shi").get(there).status_code == 200
    assert "waits for your signature" in shown("shi", "/overview", "en")[0][1]
    assert policy.refuse(by=access.post_of("shi"), proposal=row.id, note="再看看").outcome == "refused"
    assert shown("shi") == []


def test_whoever_may_not_decide_is_not_asked(city):
    one_phone_two_documents()
    (pairs,) = shown("shi")
    assert pairs[0] == "/duties?kind=identity.settle"
    n = int(re.match(r"(\d+) 对名单像是同一个人，等您定是不是。", pairs[1])[1])
    html = signed_in("shi").get(pairs[0]).content.decode()
    assert len(set(re.findall(r"/people/same/[0-9a-f-]+/[0-9a-f-]+", html))) == n, "the number is its list"
    assert shown("shi", "/duties") == [], "the list beside it shows them"
    assert shown("xian") == shown("zhen") == []


def test_what_is_offered_waits_for_whom_it_is_offered_to(city, as_role):
    take_in("a.csv", (HEAD + f"赵小梅,,13800000001,上海市,2022-08-27 10:00,{BANQIAO.format(n=3)}\n").encode(), "community")
    with as_role("work") as db:
        (loop,) = db.execute("SELECT id FROM loop WHERE kind = 'leads.verify'").fetchone()
    done = actions.give_back(by=access.post_of("cun"), loops=[loop], reason="太多了", act=ids.new_id())
    assert done.n == 1
    assert shown("zhen") == [("/duties?state=offered", "别的单位移交来 1 件，等您接收；接收之前仍由对方管。")]
    assert shown("shi") == shown("xian") == []
    other = signed_in("shi").get(f"/overview/{access.post_of('zhen').unit_id}").content.decode()
    assert "等我拍板" not in other, "another desk's page asks its reader nothing"
    assert NOTHING not in other


def test_the_statements_are_the_same_however_much_waits(city):
    def n() -> int:
        made = signed_in("shi")
        made.get("/overview")
        with CaptureQueriesContext(connection) as captured:
            made.get("/overview")
        return len(captured)

    before = n()
    one_phone_two_documents()
    propose()
    assert n() == before
    assert before <= 20, before


def test_at_most_five_lines_and_the_rest_counted(monkeypatch, city):
    whats = [*to_decide._WORDS]
    found = [{"what": w, "n": 2, "first": "1", "name": "某", "since": None, "duties": 3} for w in whats]
    monkeypatch.setattr(to_decide, "asked", lambda *_: found)
    monkeypatch.setattr(to_decide.late, "n_waiting", lambda: 4)
    waits = to_decide.waiting(access.post_of("shi"))
    assert waits.n == 2 * len(whats) + 4
    assert len(waits.lines) == to_decide.LINES_MAX
    assert waits.n == sum(line.n for line in waits.lines) + waits.more
