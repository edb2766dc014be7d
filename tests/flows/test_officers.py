"""Accounts and posts: the township's roster, the security administrator's pages, and what happens to what somebody held."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client, override_settings
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import actions, jobs
from bihuan.access import queries as access
from bihuan.access.models import Device, Officer, Post, SecurityLog
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.loops import handle
from bihuan.loops.verify import verify

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
LINE = "{name},,138{n:08d},上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会{n}号楼\n"
HELD = "SELECT assignee, count(*) FROM loop WHERE closed_at IS NULL GROUP BY 1 ORDER BY 1"

PASSED = """
SELECT h.officer, count(*) FROM fact f JOIN handled h ON h.fact = f.id WHERE f.kind = 'loops.assigned' AND f.by = %s GROUP BY 1"""


@pytest.fixture(autouse=True)
def quick_hashes():
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


client = signed_in


def page(made: Client, url: str, status: int = 200) -> str:
    answer = made.get(url)
    assert answer.status_code == status, (url, answer.status_code)
    return unescape(answer.content.decode())


@pytest.fixture
def assigned(city, as_role) -> list[int]:
    """Three duties of 板桥社区, assigned by name to 李村和; a colleague works beside him."""
    names = ("王小梅", "赵大海", "钱立新")
    take_in("a.csv", (HEAD + "".join(LINE.format(name=name, n=n) for n, name in enumerate(names, 1))).encode(), "community")
    village = access.post_of("cun")
    with as_role("work") as db:
        loops = [loop for (loop,) in db.execute("SELECT id FROM loop WHERE owner = %s ORDER BY id", [village.unit_id]).fetchall()]
    made = actions.enter_worker(by=access.post_of("zhen"), name="周村助", phone="10000000002", unit=village.unit_id)
    assert not isinstance(made, Refused)
    from bihuan.access.action import action

    done = action(handle.assign)(by=village, loops=loops, officer=village.officer_id, act=ids.new_id())
    assert done.n == 3
    return loops


def test_a_township_enters_a_worker_gives_a_code_and_the_worker_is_at_work(city):
    desk, village = client("zhen"), access.post_of("cun").unit
    form = {"name": "周村助", "phone": "100 0000 0002", "unit": village.name, "until": "2022-09-04"}
    assert desk.post("/roster/enter", form).headers["Location"] == "/roster?q=10000000002"
    assert "名册上没有找到" not in page(desk, "/roster?q=10000000002")
    assert desk.post("/roster/enter", form).status_code == 409  # the number is on the roster already
    worker = Officer.objects.get(phone="10000000002")
    shown = desk.post("/roster/code", {"officer": worker.id}).content.decode()
    code = re.search(r"data-code>(\d{3}) (\d{3})<", shown)
    phone = Client(headers={"host": "localhost"})
    assert phone.post("/sign-in", {"login": "10000000002", "password": code[1] + code[2]}).status_code == 302
    assert village.name in page(phone, "/duties")
    assert SecurityLog.objects.filter(what="code_made", about=worker.id, officer=access.post_of("zhen").officer_id).exists()
    # Another county's desk does not know these people; a desk is on nobody's roster.
    other = client("xian")
    assert other.post("/roster/code", {"officer": worker.id}).status_code == 404
    assert page(other, "/roster").count("10000000002") == 0
    assert desk.post("/roster/code", {"officer": access.post_of("zhen").officer_id}).status_code == 404
    assert client("cun").get("/roster").status_code == 403
    assert desk.post("/roster/enter", {**form, "phone": "10000000003", "unit": "镇东村委会"}).status_code == 409


def test_a_post_does_not_end_before_somebody_takes_what_it_holds(assigned, as_role):
    desk, worker, helper = client("zhen"), access.post_of("cun"), Officer.objects.get(phone="10000000002")
    shown = page(desk, f"/roster/{worker.id}")
    assert "手上还有 3 件没办完" in shown
    act = re.search(r'name="act" value="([^"]+)"', shown)[1]
    refused = desk.post(f"/roster/{worker.id}/end", {"act": act})
    assert refused.status_code == 409
    assert "post_holds" in refused.content.decode()
    stranger = access.post_of("shi").officer_id
    assert desk.post(f"/roster/{worker.id}/end", {"act": act, "successor": stranger}).status_code == 409
    assert access.post_of("cun").id == worker.id
    mobile = client("cun")
    page(mobile, "/duties")
    for _ in range(2):
        assert desk.post(f"/roster/{worker.id}/end", {"act": act, "successor": helper.id}).status_code == 302
    assert mobile.get("/duties").headers["Location"].startswith("/sign-in")
    with as_role("work") as db:
        assert db.execute(HELD).fetchall() == [(helper.id, 3)]
        assert db.execute(PASSED, [access.post_of("zhen").officer_id]).fetchall() == [(helper.id, 3)]
    assert SecurityLog.objects.filter(what="post_ended", about=worker.officer_id).count() == 1


def test_an_account_ends_at_once_with_everything_that_it_opened(assigned, as_role, acting):
    admin, worker = client("anquan"), access.post_of("cun").officer
    mobile = client("cun")
    page(mobile, "/duties")
    Device.objects.create(
        id=ids.new_id(), officer=worker, key_hash=b"x", pin="x", name="手机", made_at=clock.real_now(), seen_at=clock.real_now(),
        until=clock.real_now().replace(year=2099),
    )  # fmt: skip
    shown = page(admin, f"/officers/{worker.id}")
    act = re.search(r'name="act" value="([^"]+)"', shown)[1]
    assert admin.post(f"/officers/{worker.id}/end", {"act": act}).status_code == 409
    assert admin.post(f"/officers/{worker.id}/end", {"act": act, "successor": "desk"}).status_code == 302
    assert mobile.get("/duties").headers["Location"].startswith("/sign-in")
    assert Device.objects.get().revoked_why == "left"
    with as_role("work") as db:
        assert db.execute(HELD).fetchall() == [(None, 3)]
    with acting("work"):
        assert verify().ok
    assert admin.post(f"/officers/{worker.id}/restore", {}).status_code in (200, 302)
    assert Officer.objects.get(id=worker.id).is_active
    assert not Post.objects.filter(officer=worker, valid__contains=clock.today()).exists()


def test_what_is_held_by_somebody_whose_turn_is_over_goes_to_the_desk(assigned, as_role, acting):
    with as_role("superuser") as db:
        db.execute("UPDATE post SET valid = daterange(lower(valid), '2022-08-28') WHERE id = %s", [access.post_of("cun").id])
    with acting("work"):
        assert jobs.hand_over_ended() == 3
        assert jobs.hand_over_ended() == 0
    with as_role("work") as db:
        assert db.execute(HELD).fetchall() == [(None, 3)]


def test_the_security_administrator_opens_an_account_that_must_change_its_password(city):
    admin, unit = client("anquan"), access.post_of("xian").unit
    form = {"login": "sun.xian", "name": "孙县新", "phone": "", "role": "county_desk", "unit": unit.name, "until": ""}
    assert admin.post("/officers/new", {**form, "login": "Sun Xian!"}).status_code == 409
    shown = admin.post("/officers/new", form).content.decode()
    password = re.search(r"data-password>([0-9a-f-]+)<", shown)[1]
    assert "login_taken" in admin.post("/officers/new", form).content.decode()
    new = Client(headers={"host": "localhost"})
    assert new.post("/sign-in", {"login": "sun.xian", "password": password}).status_code == 302
    assert new.get("/duties").headers["Location"].startswith("/account/password")
    mine = "a sentence of my own"
    assert new.post("/account/password", {"old": password, "new": mine, "again": mine}).status_code == 302
    assert new.get("/duties").status_code == 200
    officer = Officer.objects.get(login="sun.xian").id
    # Two branches in one hand, in words and with nothing done.
    refused = admin.post(f"/officers/{officer}/post", {"role": "auditor", "unit_id": unit.id})
    assert refused.status_code == 409
    assert "administrators_apart" in refused.content.decode()
    assert Post.objects.filter(officer=officer).count() == 1


def test_nobody_acts_upon_the_own_account_and_only_the_security_administrator_upon_others(city):
    admin, own, other = client("anquan"), access.post_of("anquan").officer_id, access.post_of("shi").officer_id
    for what in ("password", "factors", "lock", "end", "post"):
        data = {"act": str(ids.new_id()), "role": "city_desk", "unit_id": access.post_of("shi").unit_id, "successor": "desk"}
        answer = admin.post(f"/officers/{own}/{what}", data)
        assert answer.status_code == 409, what
        assert "not_oneself" in answer.content.decode(), what
    assert Post.objects.filter(officer=own).count() == 1
    for login in ("shi", "zhen", "cun", "xitong", "shenji", "baosong"):
        made = client(login)
        assert made.get("/officers").status_code == 403, login
        assert made.get(f"/officers/{other}").status_code == 403, login
        assert made.post(f"/officers/{other}/password", {}).status_code == 403, login
        assert made.get("/system").status_code == (200 if login == "xitong" else 403), login
        assert made.get("/security-log").status_code == (200 if login == "shenji" else 403), login


def test_a_forgotten_password_a_lost_factor_and_a_lock_out_are_mended(city):
    admin, desk = client("anquan"), client("zhen")
    officer = access.post_of("zhen").officer
    Officer.objects.filter(id=officer.id).update(password=make_password("old words of mine"))
    for _ in range(5):
        Client(headers={"host": "localhost"}).post("/sign-in", {"login": "zhen", "password": "wrong"})
    assert "吴镇宁" in page(admin, "/officers?view=locked")
    assert admin.post(f"/officers/{officer.id}/lock").status_code == 302
    assert "吴镇宁" not in page(admin, "/officers?view=locked")
    password = re.search(r"data-password>([0-9a-f-]+)<", admin.post(f"/officers/{officer.id}/password").content.decode())[1]
    assert desk.get("/duties").headers["Location"].startswith("/sign-in")
    assert Client(headers={"host": "localhost"}).post("/sign-in", {"login": "zhen", "password": password}).status_code == 302
    assert admin.post(f"/officers/{officer.id}/factors").status_code == 302
    shown = page(client("shenji"), "/security-log?login=zhen")
    for words in ("解除暂停登录", "重设密码", "第二步验证被清除", "试错太多"):
        assert words in shown
    assert password not in shown


def test_the_first_accounts_of_a_city_are_made_at_the_server(city, tmp_path):
    """`city officer` and `city factors`, as the operator types them."""
    import json
    import os
    import subprocess
    import sys
    from pathlib import Path

    repo = Path(__file__).resolve().parents[2]

    def bihuan(*arguments: str) -> dict:
        environment = os.environ | {"PYTHONPATH": str(repo / "src"), "BIHUAN_DATABASE": city}
        command = [sys.executable, "-m", "bihuan", "city", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        return json.loads(done.stdout.splitlines()[0])

    desk = str(access.post_of("shi").unit_id)
    made = bihuan("officer", "second.an", "security_admin", desk, "--name", "卫安全")
    assert len(made["password"]) == 14
    assert Officer.objects.get(login="second.an").must_change
    assert bihuan("officer", "x", "king", desk, "--name", "某")["refused"]["code"] == "role_unknown"
    village = str(access.post_of("cun").unit_id)
    assert bihuan("officer", "cun2", "village_worker", village, "--name", "周村助", "--phone", "10000000002")["password"] == ""
    assert bihuan("factors", "shi")["ok"]
    assert not Officer.objects.filter(login="shi", totp__isnull=False).exists()
    assert SecurityLog.objects.filter(what="factors_removed").count() == 1


def test_pages_of_accounts_are_complete_in_english(city, as_role):
    """No Chinese is left but names of people and units, and the word for the other language."""
    with as_role("superuser") as db:
        names = [n for (n,) in db.execute("SELECT name FROM unit UNION SELECT name FROM region UNION SELECT name FROM officer").fetchall()]
    names = sorted({*names, "中文"}, key=len, reverse=True)
    officer, turn = access.post_of("cun").officer_id, access.post_of("cun").id
    actions.give_code(by=access.post_of("zhen"), officer=officer)
    asked = {
        "zhen": [
            "/account",
            "/account/password",
            "/account/second-factor",
            "/second-factor",
            "/roster",
            f"/roster/{turn}",
            "/account/device",
        ],
        "anquan": ["/officers", "/officers?view=ended", "/officers/new", f"/officers/{officer}"],
        "shenji": ["/security-log"],
        "xitong": ["/system"],
    }
    left = {}
    for login, urls in asked.items():
        made = client(login, "en")
        pages = {url: page(made, url) for url in urls}
        if login == "zhen":
            pages["code"] = unescape(made.post("/roster/code", {"officer": officer}).content.decode())
            made.post("/lock")
            pages["/unlock"] = page(made, "/unlock")
            pages["/sign-in"] = page(Client(headers={"host": "localhost", "accept-language": "en"}), "/sign-in")
        for url, html in pages.items():
            said = re.sub(r"<script.*?</script>", "", html, flags=re.S)
            text = re.sub(r"<[^>]+>", " ", said) + " ".join(re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', said))
            for name in names:
                text = text.replace(name, " ")
            if found := re.findall(r"[一-鿿][一-鿿，。；：、（）]*", text):
                left[url] = sorted(set(found))[:8]
    assert left == {}
