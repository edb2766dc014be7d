"""「干不完」: a village says so with one tap, the township owes an answer within the hour, and nobody is blamed for asking."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from html import unescape
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from psycopg.types.range import DateRange
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.access.models import Officer, Post
from bihuan.access.permissions import Role
from bihuan.kernel import ids
from bihuan.kernel.refused import Refused
from bihuan.leads import support
from bihuan.loops import explain, verify

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
BANQIAO = "连云港市连云区板桥街道板桥社区居委会{n}号楼"
SEEN = ("loop", "fact", "support_asked", "support_ended", "movement")
OPEN = "SELECT id FROM loop WHERE kind = 'leads.support' AND closed_at IS NULL ORDER BY id"


@pytest.fixture
def lists(city):
    people = "".join(f"赵小{n},,1380000{n:04d},上海市,2022-08-27 10:00,{BANQIAO.format(n=n)}\n" for n in range(1, 4))
    take_in("a.csv", (HEAD + people).encode(), "community")


@pytest.fixture
def post_at(city, acting):
    """`post_at("杨集镇", 4, Role.TOWNSHIP_DESK)`: an officer at another desk; its login."""

    def made(region: str, level: int, role: Role) -> str:
        with acting("work"), connection.cursor() as cursor:
            cursor.execute(
                "SELECT u.id FROM unit u JOIN region r ON r.id = u.region_id WHERE r.name LIKE %s AND r.level = %s"
                " AND u.kind IN ('desk', 'village') ORDER BY u.id LIMIT 1",
                (f"{region}%", level),
            )
            (unit,) = cursor.fetchone()
            officer = Officer.objects.create(login=f"other-{unit}", name="别处的人", password="!")
            Post.objects.create(officer=officer, unit_id=unit, role=role, valid=DateRange(date(2022, 8, 20), None))
        return officer.login

    return made


def page(login: str, url: str, language: str = "zh-hans") -> str:
    return unescape(signed_in(login, language).get(url).content.decode())


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def section(login: str, language: str = "zh-hans") -> str:
    """What my work says of asking for help."""
    html = page(login, "/duties", language)
    found = re.search(r'<section class="card support.*?</section>', html, re.S)
    return words(found[0]) if found else ""


def send(login: str, url: str, **said: str) -> Any:
    return signed_in(login).post(url, {"act": str(ids.new_id()), **said})


def ask(login: str = "cun", reason: str = "hands", note: str = "") -> None:
    answer = send(login, "/support", reason=reason, note=note)
    assert answer.status_code == 302, words(answer.content.decode())


def open_asks(as_role) -> list[int]:
    with as_role("work") as db:
        return [loop for (loop,) in db.execute(OPEN).fetchall()]


def balanced(acting) -> None:
    with acting("work"):
        found = verify.verify()
    assert found.ok, found


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, words(unescape(answer.content.decode()))


def test_a_village_asks_the_township_answers_and_the_village_reads_it(lists, as_role, acting):
    assert "干不完" in section("cun")
    assert "忙不过来不是过错" in section("cun")
    ask(note="东边六户今晚去不了")
    assert "8:00 向板桥街道" in section("cun").replace("办事处", "")
    assert "人手不够" in section("cun")
    assert "9:00 前答复" in section("cun")

    mine = page("zhen", "/duties")
    (loop,) = open_asks(as_role)
    assert f'href="/support/{loop}"' in mine
    assert "求助：人手不够" in mine
    assert "板桥社区" in mine
    assert f'href="/support/{loop}"' in page("zhen", "/duties?kind=leads.support")
    assert "等我拍板" not in mine, "a duty is work, no signature"
    html = page("zhen", f"/support/{loop}")
    assert "人手不够 ：东边六户今晚去不了" in words(html)
    held = dict(re.findall(r'<a class="figure" href="([^"]+)"><span class="name">.*?<span class="value number">(\d+)</span>', html, re.S))
    unit = access.post_of("cun").unit_id
    assert held == {f"/duties?state=all&holder={unit}": "3", f"/duties?state=late&holder={unit}": "0"}
    for url, n in held.items():
        assert page("zhen", url).count('class="order number"') == int(n), "the number is its list"

    answer = send("zhen", f"/support/{loop}", how="hands_sent", note="小周、小吴，10点到")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/duties")
    told = section("cun")
    assert "派人来 ：小周、小吴，10点到" in told
    assert re.search(r"8:00 .*板桥街道", told.split("10点到")[1]), "when, and who"
    assert "干不完" in told, "one may ask again"
    assert "派人 ：小周、小吴，10点到" in words(page("zhen", f"/support/{loop}"))
    balanced(acting)


def test_whose_duty_it_is_and_by_when_stands_in_the_rules(lists, as_role, forward):
    ask(reason="far")
    with as_role("work") as db:
        row = db.execute("SELECT owner, due_at - opened_at, subject = subject_of_unit(%s) FROM loop WHERE kind = 'leads.support'",
                         (access.post_of("cun").unit_id,)).fetchone()  # fmt: skip
    assert row == (access.post_of("zhen").unit_id, timedelta(minutes=60), True)
    assert [(e.does, e.duty) for e in explain.effects("leads.support_asked")] == [("opens", "leads.support")]
    assert [(e.does, e.duty) for e in explain.effects("leads.support_ended")] == [("closes", "leads.support")]


def test_no_answer_in_time_asks_one_level_higher(lists, as_role, acting, forward, post_at):
    county = post_at("连云区", 3, Role.COUNTY_DESK)
    ask(reason="unreached")
    forward(61)
    (loop,) = open_asks(as_role)
    assert f'href="/support/{loop}"' in page(county, "/duties?state=helped")
    assert f'href="/support/{loop}"' in page("zhen", "/duties"), "it is still the township's"
    assert re.search(r"说好 9:00 前答复，还没有；已请.*连云区.*来帮", section("cun"))
    assert send(county, f"/support/{loop}", how="agreed", note="县里来车接").status_code == 302
    assert re.search(r"已电话商量 ：县里来车接 9:01 .*连云区", section("cun"))
    balanced(acting)


def test_an_ask_at_night_is_answered_in_the_morning(lists, as_role, forward):
    forward(14 * 60)
    ask()
    assert "8月29日 8:30 前答复" in section("cun"), "nobody is woken"


def test_asking_twice_is_asking_once(lists, as_role):
    ask()
    status, said = refused(send("cun", "/support", reason="other"))
    assert status == 409
    assert "已经求助过了，正在等答复，不用再点" in said
    assert support.ask(by=access.post_of("cun"), reason="far", note="", act=ids.new_id()).code == "support_asked"
    act = str(ids.new_id())
    for _ in range(2):
        assert signed_in("zhen").post("/support", {"act": act, "reason": "hands"}).status_code == 302
    assert "这一页刚才已经保存过" in refused(signed_in("zhen").post("/support", {"act": act, "reason": "far"}))[1]
    assert len(open_asks(as_role)) == 2
    assert "正在等答复" not in page("cun", "/duties")


def test_two_of_a_village_press_at_once(lists, as_role):
    village, together = access.post_of("cun"), threading.Barrier(4)

    def press(reason: str) -> Any:
        try:
            together.wait(10)
            return support.ask(by=village, reason=reason, note="", act=ids.new_id())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(press, ["hands", "far", "unreached", "other"]))
    assert sorted(getattr(a, "code", "asked") for a in answers) == ["asked", *["support_asked"] * 3]
    assert len(open_asks(as_role)) == 1


def test_no_longer_needed(lists, as_role, acting):
    ask()
    (loop,) = open_asks(as_role)
    assert send("cun", "/support/back").status_code == 302
    assert open_asks(as_role) == []
    assert "已不需要" in section("cun")
    status, said = refused(send("zhen", f"/support/{loop}", how="agreed", note="晚了"))
    assert status == 422
    assert "这件事已经办结，这一次没有办" in said
    assert support.take_back(by=access.post_of("cun"), act=ids.new_id()).code == "support_not_open"
    assert refused(send("cun", "/support/back"))[0] == 409
    ask(reason="other")
    balanced(acting)


def test_undone_for_ten_seconds_like_everything(lists, as_role, acting):
    act = ids.new_id()
    village = signed_in("cun")
    village.post("/support", {"act": str(act), "reason": "hands"})
    assert f'action="/undo/{act}"' in village.get("/duties").content.decode()
    village.post(f"/undo/{act}")
    assert open_asks(as_role) == []
    assert "向板桥" not in section("cun"), "as if never asked"
    ask(reason="far")
    (loop,) = open_asks(as_role)
    act, desk = ids.new_id(), signed_in("zhen")
    desk.post(f"/support/{loop}", {"act": str(act), "how": "cannot", "note": "都出去了"})
    assert "这次不能支援 ：都出去了" in section("cun")
    desk.post(f"/undo/{act}")
    (again,) = open_asks(as_role)
    assert "天黑路远" in section("cun")
    assert "前答复" in section("cun")
    assert "天黑路远" in page("zhen", f"/support/{again}")
    balanced(acting)


def test_what_is_incomplete_is_said_and_nothing_typed_is_lost(lists, as_role):
    assert "请点一个原因" in refused(send("cun", "/support", reason="lazy"))[1]
    ask()
    (loop,) = open_asks(as_role)
    for how, sentence in (
        ("", "请选一个答复。"),
        ("not_needed", "请选一个答复。"),
        ("hands_sent", "请写派几个人、派谁、几点到。"),
        ("agreed", "请写一句电话里怎么商量的。"),
        ("cannot", "不能支援，请写明为什么。"),
    ):
        status, said = refused(send("zhen", f"/support/{loop}", how=how, note="  "))
        assert (status, sentence in said) == (422, True), how
    kept = send("zhen", f"/support/{loop}", how="", note="等小周回来").content.decode()
    assert 'value="等小周回来"' in kept
    assert len(open_asks(as_role)) == 1
    answer = send("zhen", f"/support/{loop}", how="taken_over")
    assert answer.headers["Location"] == f"/duties?state=all&holder={access.post_of('cun').unit_id}"
    mine = page("zhen", answer.headers["Location"])
    assert mine.count('class="order number"') == 3
    assert 'formaction="/duties/reassign"' in mine
    assert "由他们代办" in section("cun")


def test_a_township_asks_its_county_and_the_city_asks_nobody(lists, as_role, post_at):
    ask("zhen", note="三个村一起喊")
    (loop,) = open_asks(as_role)
    assert "三个村一起喊" in page(post_at("连云区", 3, Role.COUNTY_DESK), f"/support/{loop}")
    assert "三个村一起喊" in page("shi", f"/support/{loop}"), "who stands above sees it"
    assert section("shi") == ""
    assert support.ask(by=access.post_of("shi"), reason="hands", note="", act=ids.new_id()).code == "nobody_above"


def rows_seen(login: str) -> dict[str, int]:
    with scope.acting(scope.of(access.post_of(login))), transaction.atomic(), connection.cursor() as cursor:
        found = {}
        for table in SEEN:
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[table] = cursor.fetchone()[0]
        return found


def test_only_who_asks_and_those_above_see_it(city, as_role, post_at):
    others = [post_at("杨集镇", 4, Role.TOWNSHIP_DESK), post_at("墟沟街道", 4, Role.TOWNSHIP_DESK), "xian"]
    county = post_at("连云区", 3, Role.COUNTY_DESK)
    sister = post_at(sisters("zhen")[0], 5, Role.VILLAGE_WORKER)
    before = {login: rows_seen(login) for login in (*others, sister)}
    ask(note="夜里的话")
    (loop,) = open_asks(as_role)
    assert send("zhen", f"/support/{loop}", how="agreed", note="明早一起去").status_code == 302
    ask(reason="far")
    (loop,) = open_asks(as_role)
    for login in (*others, sister):
        assert rows_seen(login) == before[login], login
        assert signed_in(login).get(f"/support/{loop}").status_code == 404
        assert send(login, f"/support/{loop}", how="agreed", note="我来").status_code == 404
        assert "夜里的话" not in page(login, "/duties")
        assert "/support/" not in page(login, "/duties?state=all").replace('action="/support"', "")
    for login in ("zhen", county, "shi"):
        assert {name: rows_seen(login)[name] for name in ("support_asked", "support_ended")} == {"support_asked": 2, "support_ended": 1}
    own = rows_seen("cun")
    assert {name: own[name] for name in ("loop", "support_asked", "support_ended")} == {"loop": 0, "support_asked": 2, "support_ended": 1}
    assert signed_in("cun").get(f"/support/{loop}").status_code == 404, "nobody answers itself"
    assert len(open_asks(as_role)) == 1


def test_it_is_counted_like_other_duties_and_listed_like_them(lists, as_role):
    ask()
    (loop,) = open_asks(as_role)
    mine = page("zhen", "/duties")
    assert "本单位：在办 1 件" in mine, "the paragraph for a chat group counts it"
    shown = page("zhen", "/overview")
    held = re.search(r'href="(/overview/\d+/list\?what=held&of=own)"[^>]*>(\d+)<', shown)
    assert held[2] == "1"
    assert f"/support/{loop}" in page("zhen", held[1])
    desk = signed_in("zhen")
    made = desk.post("/lists", {"act": str(ids.new_id()), "which": "all", "state": "mine"})
    assert made.status_code == 302
    html = unescape(desk.get(made.headers["Location"]).content.decode())
    assert "答复求助：1 件" in html
    paper = desk.post(made.headers["Location"] + "/paper", {"act": str(ids.new_id()), "purpose": "visit", "note": ""})
    assert "求助：人手不够" in unescape(paper.content.decode())
    told = desk.post(made.headers["Location"] + "/plan", {"act": str(ids.new_id()), "verb": "not_reached"})
    assert "这件事不是这一类" in unescape(desk.get(told.headers["Location"]).content.decode())


def test_the_statements_are_the_same_however_many_ask(lists, as_role, post_at):
    def n(url: str) -> int:
        made = signed_in("zhen")
        made.get(url)
        with CaptureQueriesContext(connection) as captured:
            made.get(url)
        return len(captured)

    ask()
    before = n("/duties")
    others = [post_at(name, 5, Role.VILLAGE_WORKER) for name in sisters("zhen")[:3]]
    for login in others:
        ask(login)
    assert len(open_asks(as_role)) == 1 + len(others) == 4
    assert n("/duties") == before
    (first, *_, last) = open_asks(as_role)
    assert n(f"/support/{first}") == n(f"/support/{last}")


def sisters(login: str) -> list[str]:
    """Names of villages under a township, without the one that has an officer."""
    with scope.acting(scope.of(access.post_of(login))), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.name FROM unit u JOIN region r ON r.id = u.region_id"
            " WHERE u.parent_id = %s AND u.kind = 'village' AND u.id <> %s ORDER BY u.id",
            (access.post_of(login).unit_id, access.post_of("cun").unit_id),
        )
        return [name for (name,) in cursor.fetchall()]


def test_english(lists, as_role):
    ask(reason="unreached")
    (loop,) = open_asks(as_role)
    assert "Ask for help" in section("cun", "en")
    assert "Too many do not answer" in section("cun", "en")
    html = words(page("zhen", f"/support/{loop}", "en"))
    for text in ("Answer who asks for help", "Send hands", "Agreed by telephone", "Cannot help", "In hand"):
        assert text in html
    refusal = support.ask(by=access.post_of("cun"), reason="far", note="", act=ids.new_id())
    assert isinstance(refusal, Refused)
    assert refusal.en == "You have asked already; the answer is on its way."


def test_the_database_lets_the_application_write_none_of_it(lists, as_role):
    with as_role("app") as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("INSERT INTO support_ended (fact, how, note) VALUES (gen_random_uuid(), 'agreed', '')")
