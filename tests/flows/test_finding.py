"""Finding people: by name, pinyin, number in one's range; outside it only whom to ask, recorded and bounded."""

# ruff: noqa: E501  a sentence reads better unbroken

from __future__ import annotations

import re

import pytest
from tests.flows.test_pages import client, hidden
from tests.morning import take_in

from bihuan.access import queries as access
from bihuan.kernel import ids

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
HERE = "单小梅,11010519491231002X,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会3号楼\n"
THERE = "李强,,13800000002,上海市,2022-08-27 10:00,连云港市灌云县杨集镇镇东村委会4号楼\n"
PART = {"HX-Request": "true", "HX-Target": "found"}
ENDED = "赵敏,E12345678,13800000003,上海市,2022-08-27 10:00,连云港市灌云县杨集镇镇东村委会5号楼\n"


@pytest.fixture
def people(city):
    take_in("a.csv", (HEAD + HERE + THERE + ENDED).encode(), "community")


@pytest.fixture
def lists_of_eight(city) -> list[str]:
    """Leads of 板桥社区."""
    from tests.flows.test_pages import BANQIAO, leads_of, row
    from tests.flows.test_pages import HEAD as COLUMNS

    take_in("a.csv", (COLUMNS + "".join(row(n, BANQIAO) for n in range(1, 9))).encode(), "community")
    return leads_of(client("cun"))


def found(login: str, q: str) -> str:
    answer = client(login).post("/people", {"q": q}, headers=PART)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_village_finds_its_own_in_every_way_and_nothing_of_another_range(people):
    for q in ("单", "单小", "小梅", "sxm", "shanxiao", "SXM", "13800000001", "138 0000 0001", "11010519491231002x"):
        html = found("cun", q)
        assert "单*梅" in html, q
        assert "单小梅" not in html, q
        assert "11010519491231002" not in html, q
    for q in ("李强", "lq", "13800000002", "E12345678", "%", "_", "1380000", "13800000009"):
        html = found("cun", q).replace(f'value="{q}"', "")
        assert not re.search(r"李|赵|镇东|杨集|灌云|/leads/", html), q


def test_an_address_with_a_number_in_it_is_not_searched(people):
    assert "/leads/" in client("cun").get("/people?q=单小").content.decode()
    assert "/leads/" not in client("cun").get("/people?q=13800000001").content.decode()


def ask(login: str, q: str, purpose: str = "call", act: str = "") -> str:
    answer = client(login).post("/people/elsewhere", {"q": q, "purpose": purpose, "act": act or str(ids.new_id())}, headers=PART)
    return answer.content.decode()


def test_outside_the_range_only_who_answers_is_told_and_the_search_is_kept(people, as_role):
    html = ask("cun", "13800000002")
    assert "镇东村委会" in html
    assert not re.search(r"李|/leads/", html)
    assert "镇东村委会" in ask("cun", "e12345678", "medical")
    assert "哪里都没有这个号码" in ask("cun", "13899999999")
    with as_role("superuser") as db:
        kept = db.execute(
            "SELECT s.number, s.found, f.purpose, f.unit FROM sought s JOIN fact f ON f.id = s.fact ORDER BY s.asked_at, s.fact"
        ).fetchall()
    unit = access.post_of("cun").unit_id
    assert kept == [("phone", True, "call", unit), ("document", True, "medical", unit), ("phone", False, "call", unit)]
    # The person's own desk sees who looked.
    with as_role("superuser") as db:
        (lead,) = db.execute("SELECT d.id FROM lead d JOIN person p ON p.subject = d.subject WHERE p.name = '李强'").fetchone()
    assert "板桥社区" in client("shi").get(f"/leads/{lead}").content.decode()
    assert client("cun").get(f"/leads/{lead}").status_code == 404


def test_what_such_a_search_needs(people, as_role):
    assert "请写明查看的用途" in ask("cun", "13800000002", "")
    assert "只能用完整的手机号或证件号码" in ask("cun", "李强")
    assert client("baosong").post("/people/elsewhere", {"q": "13800000002", "purpose": "call", "act": str(ids.new_id())}).status_code == 403
    act = str(ids.new_id())
    assert all("镇东村委会" in ask("cun", "13800000002", act=act) for _ in range(2))
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM sought").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM conflict").fetchone() == (0,)
    # Somebody in sight is shown, not asked about.
    assert "单*梅" in ask("cun", "13800000001")


def test_who_tries_numbers_has_to_wait_and_the_desks_above_can_read_it(people, as_role, monkeypatch):
    from django.conf import settings

    monkeypatch.setattr(settings, "SEARCHES_PER_HOUR", 3)
    answers = [ask("cun", f"1380000{n:04}") for n in range(100, 106)]
    assert ["请过一会儿再查" in html for html in answers] == [False] * 3 + [True] * 3
    assert "镇东" not in ask("cun", "13800000002")
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM sought").fetchone() == (3,)
        assert db.execute("SELECT n_searches FROM search_stopped").fetchall() == [(3,)]
    from django.db import connection, transaction

    from bihuan.access import scope

    for login, n in (("shi", 1), ("cun", 1), ("zhen", 1), ("baosong", 0)):
        post = access.post_of(login)
        with scope.acting(scope.of(post, read_only=True)), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM search_stopped")
            assert cursor.fetchone() == (n,), login


def test_the_box_works_without_scripts_and_by_part(people):
    made = client("cun")
    page = made.get("/people").content.decode()
    assert 'method="post"' in page
    assert hidden(page, "csrfmiddlewaretoken")
    part = made.post("/people", {"q": "sxm"}, headers=PART).content.decode()
    assert part.lstrip().startswith('<div id="found"')
    assert "单*梅" in part


def test_one_act_is_one_search_whatever_is_sent_with_it(people, as_role, monkeypatch):
    """Who sends the same id with another number each time is counted and stopped all the same."""
    from django.conf import settings

    monkeypatch.setattr(settings, "SEARCHES_PER_HOUR", 3)
    act = str(ids.new_id())
    answers = [ask("cun", f"1380000{n:04}", act=act) for n in range(100, 106)]
    assert ["请过一会儿再查" in html for html in answers] == [False] * 3 + [True] * 3
    with as_role("superuser") as db:
        assert db.execute("SELECT count(*) FROM sought").fetchone() == (3,)


def shows_a_number(answer) -> bool:
    return "1380000" in re.sub(r"[^0-9A-Za-z<>]", "", answer.content.decode())


def reads(as_role) -> list[tuple]:
    with as_role("superuser") as db:
        return db.execute(
            "SELECT f.subject::text, f.purpose FROM unmasked u JOIN fact f ON f.id = u.fact ORDER BY f.received_at"
        ).fetchall()


def test_no_identity_is_read_under_an_id_that_was_used_before(lists_of_eight, as_role):
    """The same form sent twice is one reading; another person, or the id of another act, is not the same form."""
    village, leads = client("cun"), lists_of_eight
    first = str(ids.new_id())
    for _ in range(2):
        answer = village.post(f"/leads/{leads[0]}/unmask", {"act": first, "purpose": "visit"})
        assert shows_a_number(answer)
    assert len(reads(as_role)) == 1
    answer = village.post(f"/leads/{leads[1]}/unmask", {"act": first, "purpose": "visit"})
    assert answer.status_code == 409
    assert not shows_a_number(answer)
    answered = str(ids.new_id())
    village.post(f"/leads/{leads[2]}/act", {"fact_id": answered, "outcome": "not_reached"})
    answer = village.post(f"/leads/{leads[1]}/unmask", {"act": answered, "purpose": "visit"})
    assert answer.status_code == 409
    assert not shows_a_number(answer)
    assert len(reads(as_role)) == 1


def test_reading_one_after_another_needs_the_second_factor_then_stops_and_is_noticed(lists_of_eight, as_role, monkeypatch):
    from django.conf import settings
    from tests.signed_in import signed_in

    monkeypatch.setattr(settings, "READS_ALONE_PER_HOUR", 2)
    monkeypatch.setattr(settings, "READS_PER_HOUR", 4)
    leads = lists_of_eight

    def read(who, n: int):
        return who.post(f"/leads/{leads[n]}/unmask", {"act": str(ids.new_id()), "purpose": "visit"})

    alone, fresh = signed_in("cun", fresh=False), signed_in("cun")
    assert [read(alone, n).status_code for n in range(2)] == [200, 200]
    asked = read(alone, 2)
    assert (asked.status_code, asked.headers["Location"][:14]) == (302, "/second-factor")
    assert [read(fresh, n).status_code for n in (2, 3)] == [200, 200]
    stopped = read(fresh, 4)
    assert stopped.status_code == 429
    assert "请过一会儿" in stopped.content.decode()
    assert not shows_a_number(stopped)
    read(fresh, 4)
    assert len(reads(as_role)) == 4
    with as_role("superuser") as db:
        assert db.execute("SELECT about, detail FROM security_log WHERE what = 'reads_stopped'").fetchall() == [
            (access.post_of("cun").officer_id, "4")
        ]
        assert db.execute("SELECT status, n FROM denied WHERE address LIKE '%%unmask'").fetchall() == [(429, 2)]
    assert "读取完整信息太多" in signed_in("shenji").get("/security-log").content.decode()
    assert read(signed_in("zhen"), 4).status_code == 200, "another post is another count"
