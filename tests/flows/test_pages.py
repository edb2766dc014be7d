"""The pages through Django's test client: one act once, nobody else's people, figures and their lists, English."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import unquote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import queries as access
from bihuan.boards import checks
from bihuan.intake import jobs
from bihuan.kernel import clock, ids
from bihuan.loops.models import Reckoning

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
BANQIAO = "连云港市连云区板桥街道板桥社区居委会{n}号楼"
YANGJI = "连云港市灌云县杨集镇镇东村委会{n}号楼"
SURNAMES = "赵钱孙李周吴郑王冯陈"


def row(n: int, address: str, name: str = "") -> str:
    name = name or SURNAMES[n % 10] + "小" + "一二三四五六七八九十"[n // 10 % 10]
    return f"{name},,138{n:08d},上海市,2022-08-27 10:00,{address.format(n=n)}\n"


@pytest.fixture
def lists(city):
    """Five people in 板桥社区 (连云区), three in 镇东村 (灌云县)."""
    text = HEAD + "".join(row(n, BANQIAO) for n in range(1, 6)) + "".join(row(n, YANGJI) for n in range(11, 14))
    take_in("a.csv", text.encode(), "community")


client = signed_in


def page(made: Client, url: str, status: int = 200) -> str:
    answer = made.get(url)
    assert answer.status_code == status, (url, answer.status_code)
    return unescape(answer.content.decode())


def leads_of(made: Client, query: str = "") -> list[str]:
    return list(dict.fromkeys(re.findall(r'href="/leads/([0-9a-f-]{36})"', page(made, f"/duties{query}"))))


def hidden(html: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]+)"', html)[1]


def act_form(made: Client, lead: str, name: str = "act") -> str:
    return hidden(page(made, f"/leads/{lead}/{name}"), "fact_id")


AT_HOME = {"outcome": "at_home", "arrived_on": "2022-08-27", "treatment": "no"}


def world(as_role) -> dict[str, object]:
    """Everything that a repeated act must not change. Sessions and sign-in times are no part of it."""
    tables = [
        "fact",
        "conflict",
        "loop",
        "movement",
        "handled",
        "lead",
        "link",
        "doubt",
        "intake_file",
        "intake_row",
        "visible",
        "unmasked",
        "call_started",
    ]
    with as_role("superuser") as db:
        found: dict[str, object] = {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}
        found["open"] = db.execute(
            "SELECT id, owner, assignee, offered_to, due_at FROM loop WHERE closed_at IS NULL ORDER BY id"
        ).fetchall()
        found["tally"] = db.execute(
            "SELECT unit, sum(opened), sum(closed), sum(moved_in), sum(moved_out) FROM (SELECT unit, opened, closed, moved_in, moved_out FROM tally"
            " UNION ALL SELECT unit, opened, closed, moved_in, moved_out FROM tally_delta) t GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return found


def twice(made: Client, as_role, url: str, data: dict, status: int = 302) -> None:
    """The answer was lost and the form is sent again: the same answer, and nothing else changes. The first time something must."""
    before = world(as_role)
    first = made.post(url, data)
    assert first.status_code == status, (url, first.status_code, first.content.decode()[:2000])
    between = world(as_role)
    assert between != before, url
    again = made.post(url, data)
    assert again.status_code == status, (url, again.status_code)
    assert world(as_role) == between, url
    assert between["conflict"] == 0


# --- signing in ---------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_signing_in(lists):
    anonymous = Client(headers={"host": "localhost"})
    for url in ("/", "/duties", "/intake", "/overview", "/people", f"/leads/{ids.new_id()}", "/post"):
        answer = anonymous.get(url)
        assert answer.status_code == 302, url
        assert answer.headers["Location"].startswith("/sign-in"), url
    assert anonymous.post("/duties/accept", {}).status_code == 302
    assert anonymous.get("/sign-in").status_code == 200
    assert anonymous.get("/healthz").status_code == 200


def test_wrong_login_and_wrong_password_get_one_answer(lists):
    def refused(login: str) -> tuple[int, str]:
        answer = Client(headers={"host": "localhost"}).post("/sign-in", {"login": login, "password": "not the password"})
        return answer.status_code, re.sub(r'value="[^"]*"', "", answer.content.decode())

    known, unknown = refused("cun"), refused("nobody")
    assert known[0] == unknown[0] == 401
    strip = re.compile(r"csrf[^>]*>|hx-headers='[^']*'|data-now=\"[^\"]*\"|data-csrf=\"[^\"]*\"")
    assert strip.sub("", known[1]) == strip.sub("", unknown[1])


def test_an_ended_post_counts_from_the_next_click(lists, as_role):
    village = client("cun")
    page(village, "/duties")
    with as_role("superuser") as db:
        db.execute(
            "UPDATE post SET valid = daterange(lower(valid), '2022-08-28') WHERE officer = (SELECT id FROM officer WHERE login = 'cun')"
        )
    assert village.get("/duties").headers["Location"].startswith("/sign-in")
    assert village.get("/duties").headers["Location"].startswith("/sign-in")


def test_a_closed_account_counts_from_the_next_click(lists, as_role):
    village = client("cun")
    with as_role("superuser") as db:
        db.execute("UPDATE officer SET is_active = false WHERE login = 'cun'")
    assert village.get("/duties").status_code == 302


# --- one act once -------------------------------------------------------------------------------------------------


def test_acts_about_a_lead_sent_twice_are_one(lists, as_role):
    village, county = client("cun"), client("shi")
    first, second, third, fourth, fifth = leads_of(village)
    twice(village, as_role, f"/leads/{first}/call?act={ids.new_id()}", {}, 200)
    twice(village, as_role, f"/leads/{first}/act", {"fact_id": act_form(village, first), **AT_HOME})
    twice(village, as_role, f"/leads/{second}/act", {"fact_id": act_form(village, second), "direct": "not_reached"})
    twice(
        village,
        as_role,
        f"/leads/{third}/act",
        {"fact_id": act_form(village, third), "outcome": "not_here_yet", "expected_on": "2022-08-30"},
    )
    twice(village, as_role, f"/leads/{fourth}/act", {"fact_id": act_form(village, fourth), "outcome": "gone_on", "went_to": "徐州市"})
    twice(
        village, as_role, f"/leads/{fifth}/act", {"fact_id": act_form(village, fifth), "outcome": "not_agreed", "not_agreed_reason": "busy"}
    )
    twice(village, as_role, f"/leads/{first}/sample", {"fact_id": act_form(village, first, "sample"), "place": "上门", "tube": "T1"})
    twice(county, as_role, f"/leads/{first}/result", {"fact_id": act_form(county, first, "result"), "result": "negative"})
    twice(
        county,
        as_role,
        f"/leads/{fourth}/referral",
        {"fact_id": act_form(county, fourth, "referral"), "accepted": "yes", "answer": "徐州市指挥部 王某 10:00"},
    )
    twice(village, as_role, f"/leads/{first}/unmask", {"act": str(ids.new_id()), "purpose": "visit"}, 200)
    html = page(village, f"/leads/{second}/correct")
    entry = hidden(html, "entry")
    twice(village, as_role, f"/leads/{second}/correct", {"act": hidden(html, "act"), "entry": entry, "reason": "记错人了", "sure": "yes"})


def test_duties_that_change_hands_twice_change_once(lists, as_role):
    village, township = client("cun"), client("zhen")
    loops = re.findall(r'name="loop" value="(\d+)[".]', page(township, "/duties?state=all"))
    assert len(loops) == 5
    officer = str(access.post_of("zhen").officer_id)
    twice(village, as_role, "/duties/return", {"act": str(ids.new_id()), "loop": loops[:2], "reason": "not_ours"})
    assert len(re.findall(r'name="loop"', page(township, "/duties?state=offered"))) == 2
    twice(township, as_role, "/duties/accept", {"act": str(ids.new_id()), "loop": loops[0]})
    twice(township, as_role, "/duties/decline", {"act": str(ids.new_id()), "loop": loops[1], "reason": "not_ours"})
    twice(township, as_role, "/duties/assign", {"act": str(ids.new_id()), "loop": loops[0], "assignee": officer})
    twice(
        township,
        as_role,
        "/duties/reassign",
        {"act": str(ids.new_id()), "loop": loops[2:4], "to_unit": str(access.post_of("zhen").unit_id)},
    )
    undo = re.search(r'action="(/undo/[0-9a-f-]+)"', page(township, "/duties"))[1]
    twice(township, as_role, undo, {})


def test_a_double_click_is_one_act(lists, as_role):
    """Both requests are under way at once; the second waits for the first and changes nothing."""
    village = client("cun")
    lead = leads_of(village)[0]
    form = {"fact_id": act_form(village, lead), **AT_HOME}
    clients = [client("cun") for _ in range(4)]

    def press(made: Client) -> int:
        try:
            return made.post(f"/leads/{lead}/act", form).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(press, clients)) == [302] * 4
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM fact WHERE kind = 'leads.lead_verified'").fetchone()[0] == 1
        assert db.execute("SELECT count(*) FROM conflict").fetchone()[0] == 0


def test_undo_brings_the_call_back(lists):
    village = client("cun")
    lead = leads_of(village)[0]
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})
    html = page(village, "/duties")
    assert "安排采样" in html
    village.post(re.search(r'action="(/undo/[0-9a-f-]+)"', html)[1])
    html = page(village, "/duties")
    assert "安排采样" not in html
    assert html.count("打电话问问哪天到的") == 5


def test_a_used_page_with_another_answer_is_refused_not_lost(lists, as_role):
    village = client("cun")
    lead = leads_of(village)[0]
    fact_id = act_form(village, lead)
    assert village.post(f"/leads/{lead}/act", {"fact_id": fact_id, **AT_HOME}).status_code == 302
    before = world(as_role)
    answer = village.post(f"/leads/{lead}/act", {"fact_id": fact_id, "direct": "will_not_come"})
    assert answer.status_code == 409
    assert "act_used" in answer.content.decode()
    assert world(as_role) == before


def test_a_list_sent_twice_is_one_file_and_needs_the_statement(lists, as_role, acting):
    sender = client("baosong")
    act = hidden(page(sender, "/intake/upload"), "act")

    def form(**more: str) -> dict:
        return {"act": act, "source": "unit", "file": SimpleUploadedFile("单位.csv", (HEAD + row(21, BANQIAO)).encode()), **more}

    refused = sender.post("/intake/upload", form())
    assert refused.status_code == 422
    assert "classified_unsaid" in refused.content.decode()
    before = world(as_role)
    first = sender.post("/intake/upload", form(unclassified="yes"))
    again = sender.post("/intake/upload", form(unclassified="yes"))
    assert first.status_code == again.status_code == 302
    assert first.headers["Location"] == again.headers["Location"]
    assert world(as_role)["intake_file"] == before["intake_file"] + 1
    with acting("work"):
        jobs.process_waiting()
    html = page(sender, first.headers["Location"])
    assert re.findall(r'<span class="value number">([\d,]+)</span>', html) == ["1", "1", "0", "0", "0", "0"]
    assert "38000000" not in html  # a sender sees no person, not even its own rows' phones
    assert sender.get(f"{first.headers['Location']}/rows.csv").status_code == 200
    assert sender.get("/intake/1").status_code == 404
    assert sender.get("/duties").status_code == 403


def test_rejects_come_back_marked(lists, acting):
    desk = client("shi")
    act = hidden(page(desk, "/intake/upload"), "act")
    bad = HEAD + "王小明,32072319900101123X,13800000099,上海市,2022-08-27,连云港市连云区\n" + row(31, BANQIAO)
    where = desk.post(
        "/intake/upload", {"act": act, "source": "data", "unclassified": "yes", "file": SimpleUploadedFile("=坏.csv", bad.encode())}
    ).headers["Location"]
    with acting("work"):
        jobs.process_waiting()
    html = page(desk, f"{where}?outcome=rejected")
    assert "id_checksum" in html
    assert "B2" in html
    marked = desk.get(f"{where}/marked.xlsx")
    assert marked.status_code == 200
    assert marked.content[:2] == b"PK"
    assert "退回原因" in unquote(marked.headers["Content-Disposition"])


# --- nobody else's people -----------------------------------------------------------------------------------------


def test_a_township_finds_nothing_of_another_by_any_url(lists, as_role):
    township, county, city = client("zhen"), client("xian"), client("shi")
    foreign = leads_of(county, "?state=all")[0]
    with as_role("superuser") as db:
        loop = db.execute("SELECT l.id FROM loop l JOIN lead le ON le.subject = l.subject WHERE le.id = %s", (foreign,)).fetchone()[0]
        fact, act, subject = db.execute(
            "SELECT id, act, subject FROM fact WHERE subject = (SELECT subject FROM lead WHERE id = %s) LIMIT 1", (foreign,)
        ).fetchone()
        file = db.execute("SELECT id FROM intake_file").fetchone()[0]
    county_unit = access.post_of("xian").unit_id
    made = {"act": str(ids.new_id()), "fact_id": str(ids.new_id())}
    before = world(as_role)
    nowhere = page(township, f"/leads/{ids.new_id()}", 404)
    gets = ["", "/act", "/sample", "/correct"]
    assert {page(township, f"/leads/{foreign}{part}", 404) for part in gets} == {nowhere}  # "not yours" reads as "not there"
    assert township.get(f"/leads/{foreign}/referral").status_code == 403
    for url in (
        f"/intake/{file}",
        f"/intake/{file}/rows.csv",
        f"/intake/{file}/marked.xlsx",
        f"/intake/{file}/progress",
        f"/overview/{county_unit}",
        f"/overview/{county_unit}/figures",
        f"/overview/{county_unit}/list?what=held",
        f"/overview/{access.post_of('zhen').unit_id}/list?what=held&of={county_unit}",
    ):
        assert township.get(url).status_code == 404, url
    posts = {
        f"/leads/{foreign}/act": {**made, **AT_HOME},
        f"/leads/{foreign}/call?act={ids.new_id()}": {},
        f"/leads/{foreign}/unmask": {**made, "purpose": "visit"},
        f"/leads/{foreign}/correct": {**made, "entry": str(fact), "reason": "试", "sure": "yes"},
        f"/leads/{foreign}/sample": {**made},
        f"/undo/{act}": {},
        "/duties/accept": {**made, "loop": loop},
        "/duties/assign": {**made, "loop": loop},
        "/duties/return": {**made, "loop": loop, "reason": "not_ours"},
        "/duties/decline": {**made, "loop": loop, "reason": "not_ours"},
        "/duties/reassign": {**made, "loop": loop, "to_unit": access.post_of("zhen").unit_id},
    }
    for url, data in posts.items():
        assert township.post(url, data).status_code == 404, url
    assert township.get(f"/people/same/{subject}/{subject}").status_code == 403  # a township does not decide who is who
    name = "小二"
    assert foreign in page(city, f"/people?q={name}")
    assert foreign not in page(township, f"/people?q={name}")
    assert foreign not in page(township, f"/duties?state=all&q={name}")
    # An own lead's page does not withdraw another's record either.
    own = leads_of(client("cun"))[0]
    assert township.post(f"/leads/{own}/correct", {**made, "entry": str(fact), "reason": "试", "sure": "yes"}).status_code == 404
    assert world(as_role) == before


def test_below_the_county_no_positive_stands_beside_a_name(lists):
    village, desk = client("cun"), client("shi")
    lead = leads_of(village)[0]
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})
    village.post(f"/leads/{lead}/sample", {"fact_id": act_form(village, lead, "sample")})
    desk.post(f"/leads/{lead}/result", {"fact_id": act_form(desk, lead, "result"), "result": "initial_positive"})
    for login in ("cun", "zhen"):
        html = page(client(login), f"/leads/{lead}")
        assert "阳" not in re.sub(r"连云|朝阳", "", html)
        assert "请先别外出，等复核" in html
        assert client(login).get(f"/leads/{lead}/result").status_code in (302, 403)
    assert "初筛阳性" in page(desk, f"/leads/{lead}")


def test_telephones_stand_only_where_the_duty_lies(lists):
    village, township = client("cun"), client("zhen")
    lead = leads_of(village)[0]
    assert "tel:138" in page(village, "/duties")
    assert "tel:138" in page(village, f"/leads/{lead}/act")
    for url in ("/duties?state=all", f"/leads/{lead}/act", f"/leads/{lead}", "/people?q=小"):
        assert not re.search(r"138\d{8}", page(township, url)), url


def test_whoever_calls_holds_the_person_and_the_answer_is_seen_by_all(lists):
    village, township = client("cun"), client("zhen")
    lead = leads_of(village)[0]
    assert village.post(f"/leads/{lead}/call?act={ids.new_id()}").status_code == 200
    assert "板桥社区居委会正在打" in page(township, "/duties?state=all")
    held = township.post(f"/leads/{lead}/call?act={ids.new_id()}")
    assert held.status_code == 409
    assert held.json()["code"] == "call_held"
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})
    assert "08:00 已由板桥社区居委会核查，不必再打" in page(township, "/duties?state=all")
    assert township.get(f"/leads/{lead}/act").headers["Location"] == f"/leads/{lead}"


# --- figures ------------------------------------------------------------------------------------------------------


def links_of(html: str) -> list[tuple[str, str]]:
    pattern = (
        r'<a [^>]*href="(/overview/\d+/list[^"]+)"[^>]*>(?:<svg.*?</svg>)?(?:<span class="name">.*?<span class="value number">)?\s*([\d,]+)'
    )
    return re.findall(pattern, html, re.S)


@pytest.mark.parametrize("login", ["shi", "xian", "zhen"])
def test_every_figure_opens_exactly_its_list(lists, acting, login):
    from datetime import timedelta

    from bihuan.site import demo

    village = client("cun")
    for lead in leads_of(village)[:2]:
        village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})
    with acting("work"):
        demo.advance(timedelta(hours=2, minutes=5))
    desk = client(login)
    found = links_of(page(desk, "/overview"))
    assert len(found) > 20
    shown: dict[str, str] = {}
    for url, figure in found:
        if url not in shown:
            shown[url] = page(desk, url)
        total = re.search(r'<h1>.*?<span class="number">([\d,]+)</span></h1>', shown[url], re.S)[1]
        assert total == figure, url
        assert len(re.findall(r'class="order number"', shown[url])) == min(50, int(figure.replace(",", ""))), url
    late = next(figure for url, figure in found if url.endswith("what=late"))
    assert int(late) > 0


def test_statements_do_not_grow_with_the_rows(lists, acting):
    def n(login: str, url: str) -> int:
        made = client(login)
        page(made, url)
        with CaptureQueriesContext(connection) as captured:
            page(made, url)
        return len(captured)

    before = {
        (login, url): n(login, url)
        for login, url in (("cun", "/duties"), ("shi", "/duties?state=all"), ("shi", "/overview"), ("shi", "/overview/1/list?what=held"))
    }
    text = HEAD + "".join(row(n, BANQIAO) for n in range(100, 160))
    take_in("b.csv", text.encode(), "community")
    village = page(client("cun"), "/duties")
    assert village.count('class="order number"') == 50
    assert 'rel="next"' in village
    assert {key: n(*key) for key in before} == before
    assert before["shi", "/overview"] <= 20


def test_paging_shows_each_duty_once_in_order(lists):
    take_in("b.csv", (HEAD + "".join(row(n, BANQIAO) for n in range(100, 220))).encode(), "community")
    desk, url, seen = client("shi"), "/duties?state=all", []
    while url:
        html = page(desk, url)
        seen += re.findall(r'name="loop" value="(\d+)[".]', html)
        after = re.search(r'rel="next" href="([^"]+)"', html)
        url, last = (after[1], url) if after else ("", url)
    assert len(seen) == len(set(seen)) == 128
    back = re.search(r'rel="prev" href="([^"]+)"', page(desk, last))[1]
    assert re.findall(r'name="loop" value="(\d+)[".]', page(desk, back)) == seen[50:100]


# --- English ------------------------------------------------------------------------------------------------------


def test_english_pages_are_complete(lists, as_role, acting):
    """No Chinese in what the house says: only names, addresses and what officers and lists wrote are left."""
    village, desk = client("cun"), client("shi", "en")
    lead, other = leads_of(village)[:2]
    village.post(f"/leads/{lead}/act", {"fact_id": act_form(village, lead), **AT_HOME})
    village.post(f"/leads/{other}/act", {"fact_id": act_form(village, other), "outcome": "not_agreed", "not_agreed_reason": "busy"})
    village.post(
        "/duties/return",
        {
            "act": str(ids.new_id()),
            "loop": re.findall(r'name="loop" value="(\d+)[".]', page(client("zhen"), "/duties?state=all"))[:2],
            "reason": "too_many",
        },
    )
    bad = HEAD + "王小明,32072319900101123X,1,上海市,昨天,连云港市连云区\n" + row(31, BANQIAO)
    take_in("bad.csv", bad.encode(), "data")
    with as_role("superuser") as db:
        names = [
            n
            for (n,) in db.execute(
                "SELECT name FROM unit UNION SELECT name FROM region UNION SELECT name FROM officer UNION SELECT short_name FROM region"
            ).fetchall()
        ]
    names = sorted({n for n in names if n}, key=len, reverse=True)
    own = ["中文", "姓名", "证件号码", "手机号", "来源地", "到达时间", "现住址"]  # the other language's name; heads of the sender's columns
    english_village = client("cun", "en")
    urls = [
        (desk, u)
        for u in (
            "/duties",
            "/duties?state=all",
            "/duties?state=offered",
            "/overview",
            "/overview/1/list?what=held",
            "/overview/1/list?what=gap",
            "/times",
            "/times?days=0&at=2022-08-28T23:00",
            "/times/1/list?what=waits",
            "/sources",
            "/sources/1/list?source=community&what=alone",
            "/sources/1/list?number=1",
            "/sources/1/lost",
            "/intake",
            "/intake/upload",
            "/intake/2",
            "/intake/2?outcome=rejected",
            "/intake/2/mapping",
            "/people?q=小",
            f"/leads/{lead}",
            f"/leads/{other}",
            f"/leads/{other}/correct",
            "/post",
            f"/leads/{lead}/sample",
            f"/leads/{ids.new_id()}",
        )
    ] + [(english_village, u) for u in ("/duties", f"/leads/{other}/act", f"/leads/{lead}/sample")]
    left = {}
    for made, url in urls:
        html = unescape(made.get(url).content.decode())
        said = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.S)
        attributes = re.findall(r'(?:aria-label|title|placeholder|alt|data-[a-z-]+|value)="([^"]*)"', said)
        text = re.sub(r"<[^>]+>", " ", said) + " " + " ".join(a for a in attributes if not re.fullmatch(r"[\w一-鿿]*小", a))
        text = re.sub(r"[一-鿿]\*+[一-鿿]?|\d+号楼|小(?= )", " ", text)
        for name in own + names:
            text = text.replace(name, " ")
        if found := re.findall(r"[一-鿿][一-鿿，。；：、（）]*", text):
            left[url] = sorted(set(found))[:8]
    assert left == {}


def test_every_page_says_why_one_sees_the_person(lists):
    lead = leads_of(client("cun"))[0]
    assert "您能看到，是因为这个人的事在您单位" in page(client("cun"), f"/leads/{lead}")
    assert "您能看到，是因为这个人在您管的范围里" in page(client("zhen"), f"/leads/{lead}")


def test_full_data_is_shown_once_for_a_purpose_and_kept(lists):
    township = client("zhen")
    lead = leads_of(client("cun"))[0]
    html = page(township, f"/leads/{lead}")
    act = hidden(html, "act")
    assert township.post(f"/leads/{lead}/unmask", {"act": act, "purpose": "curiosity"}).status_code == 409
    shown = township.post(f"/leads/{lead}/unmask", {"act": act, "purpose": "visit"}).content.decode()
    assert re.search(r"138 ?\d{4} ?\d{4}|138\d{8}", shown)
    after = page(township, f"/leads/{lead}")
    assert not re.search(r"138\d{8}", after)
    assert "吴镇宁 · 上门" in after


def test_two_records_are_settled_once_and_can_be_taken_apart(city, as_role):
    """One name and phone with two documents: an officer of the city looks at both sides and decides."""
    text = HEAD + "".join(
        f"王小梅,{document},13800000077,上海市,2022-08-27 10:00,{BANQIAO.format(n=7)}\n"
        for document in (_id("320703199001011"), _id("320703196505052"), "")
    )
    take_in("a.csv", text.encode(), "community")
    desk = client("shi")
    html = page(desk, "/duties?kind=identity.settle")
    url = re.search(r'href="(/people/same/[0-9a-f-]+/[0-9a-f-]+)"', html)[1]
    form = page(desk, url)
    assert "王*梅" in form
    assert not re.search(r"\d{15,18}|138\d{8}", form)
    assert client("cun").get(url).status_code == 403
    twice(desk, as_role, url, {"fact_id": hidden(form, "fact_id"), "decision": "same", "note": "本人电话确认"})
    left = re.findall(r"/people/same/", page(desk, "/duties?kind=identity.settle"))
    assert len(left) < len(re.findall(r"/people/same/", html))
    twice(desk, as_role, url, {"fact_id": str(ids.new_id()), "decision": "different", "note": "看错了"})


def _id(body: str) -> str:
    """A made-up resident number: area, day of birth, order, and the check digit of GB 11643."""
    digits = body.ljust(17, "1")
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11]


def test_an_auditor_sees_whether_the_accounts_balance_and_nobody(city, acting):
    from tests.morning import take_in

    from bihuan.loops import jobs

    row = "姓名,证件号码,手机号,来源地,到达时间,现住址\n王小梅,,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会3号楼\n"
    take_in("a.csv", row.encode(), "community")
    auditor = client("shenji")
    assert auditor.get("/").headers["Location"] == "/accounts"
    assert "还没有核对过" in page(auditor, "/accounts")
    with acting("work"):
        jobs.reckon()
    shown = page(auditor, "/accounts")
    assert "账平" in shown
    assert "王小梅" not in shown
    # What was checked stands there in words; the names of the command line do not.
    assert set(Reckoning.objects.latest("id").report["checked"]) == set(checks.WORDS)
    assert "时限没有被私下改动" in shown
    assert "deadline_moved" not in shown


def test_a_gap_counts_under_the_check_that_found_it(city, acting):
    from bihuan.loops import jobs

    with acting("work"):
        jobs.reckon()
    report = Reckoning.objects.latest("id").report
    gap = {"check": "lead_missing", "zh": "有名单、没有线索（arrival 2022-08-27）", "en": "reported, but no lead"}
    with acting("owner"):
        Reckoning.objects.create(at=clock.now(), ok=False, n_gaps=1, report={**report, "gaps": [gap]})
    shown = page(client("shenji"), "/accounts")
    assert "1 处对不上" in shown
    first = re.search(r"<tbody><tr[^>]*>(.*?)</tr>", shown, re.S)[1]
    assert "每个待核查人员都说得出从哪份名单来" in first
    assert re.search(r'class="late">.*?1</b>', first, re.S)
    assert client("cun").get("/accounts").status_code == 403
