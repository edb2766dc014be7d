"""Signing in by level: a desk with password and authenticator, a village with a phone, a code and a PIN; and what ends it."""

from __future__ import annotations

import itertools
import re
from html import unescape

import psycopg
import pyotp
import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client, override_settings

from bihuan.access import devices, limits, second_factor
from bihuan.access import queries as access
from bihuan.access.models import Attempt, Device, Officer, SecurityLog, SignIn, Totp
from bihuan.kernel import clock, ids
from bihuan.policy import installation

PASSWORD = "three words from a drawer"
PHONE = "10000000001"
PIN = "402918"


@pytest.fixture(autouse=True)
def quick_hashes():
    """Tries cost nothing here; how much they cost a stranger is Django's."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def people(city):
    Officer.objects.update(password=make_password(PASSWORD))


@pytest.fixture
def real_city(people, as_role):
    """The same city, no demonstration: everything is asked for."""
    with as_role("superuser") as db:
        db.execute("UPDATE installation SET mode = 'live', clock_offset = '0', frozen_at = NULL")
    installation.forget()


def browser(agent: str = "Mozilla/5.0 (X11; Linux) Chrome/140", address: str = "10.1.1.1") -> Client:
    return Client(headers={"host": "localhost", "user-agent": agent}, REMOTE_ADDR=address)


def try_in(made: Client, login: str, password: str = PASSWORD, status: int = 302, **more: str) -> str:
    answer = made.post("/sign-in", {"login": login, "password": password, **more})
    assert answer.status_code == status, (answer.status_code, answer.content.decode()[-800:])
    return answer.headers.get("Location", "")


def signed_in(login: str = "zhen") -> Client:
    made = browser()
    try_in(made, login)
    assert made.get("/duties").status_code == 200
    return made


def secret_of(login: str) -> pyotp.TOTP:
    row = Totp.objects.get(officer__login=login)
    return pyotp.TOTP(second_factor.secrets.open_totp(row.secret, row.officer_id))


def officer(login: str) -> Officer:
    return Officer.objects.get(login=login)


# --- lock-outs ----------------------------------------------------------------------------------------------------------


def test_five_wrong_tries_lock_an_account_for_every_process_and_say_nothing_about_who_exists(people):
    said = {}
    for login in ("zhen", "nobody"):
        for n in range(limits.of("BIHUAN_LOCK_FAILURES")):
            # Another browser and another address each time: it is the account that is counted.
            try_in(browser(address=f"10.2.{n}.1"), login, "wrong", 401)
        answer = browser(address="10.3.0.1").post("/sign-in", {"login": login, "password": PASSWORD})
        assert answer.status_code == 429
        strip = re.compile(r"csrf[^>]*>|hx-headers='[^']*'|data-now=\"[^\"]*\"|data-csrf=\"[^\"]*\"|value=\"[^\"]*\"")
        said[login] = strip.sub("", answer.content.decode())
    assert said["zhen"] == said["nobody"]
    assert SecurityLog.objects.filter(what="account_locked").count() == 2


def test_a_lock_ends_by_itself_and_by_the_security_administrator(people, as_role):
    def fill() -> None:
        for _ in range(limits.of("BIHUAN_LOCK_FAILURES")):
            try_in(browser(), "zhen", "wrong", 401)
        try_in(browser(), "zhen", status=429)

    fill()
    with as_role("superuser") as db:
        db.execute("UPDATE attempt SET at = at - make_interval(mins => %s)", [limits.of("BIHUAN_LOCK_MINUTES")])
    try_in(browser(), "zhen")
    fill()
    second_factor.sessions.end_all(officer("zhen").id, "test")
    from bihuan.access import attempts

    assert attempts.locked_officers() == [officer("zhen").id]
    attempts.clear(officer("zhen").id)
    assert attempts.locked_officers() == []
    try_in(browser(), "zhen")


def test_a_stranger_who_tries_passwords_does_not_lock_the_desk_out_of_its_own_computer(people):
    desk = browser()
    try_in(desk, "zhen")
    desk.post("/sign-out")
    for _ in range(limits.of("BIHUAN_LOCK_FAILURES") + 1):
        browser(address="10.9.9.9").post("/sign-in", {"login": "zhen", "password": "guess"})
    try_in(browser(), "zhen", status=429)
    try_in(desk, "zhen")


def test_an_address_that_tries_many_accounts_is_locked_for_all_of_them(people, monkeypatch):
    monkeypatch.setenv("BIHUAN_LOCK_ADDRESS_FAILURES", "10")
    for n in range(10):
        try_in(browser(address="10.4.4.4"), f"guess{n}", "wrong", 401)
    try_in(browser(address="10.4.4.4"), "zhen", status=429)
    try_in(browser(address="10.5.5.5"), "zhen")
    # What was typed is kept in no readable form: people type passwords into the wrong field.
    assert b"guess" not in b"".join(bytes(a.account) for a in Attempt.objects.all())


# --- sessions -----------------------------------------------------------------------------------------------------------


def test_the_key_of_a_session_changes_with_signing_in(people):
    made = browser()
    made.get("/sign-in")
    session = made.session
    session["planted"] = "x"
    session.save()
    made.cookies["sessionid"] = planted = session.session_key
    try_in(made, "zhen")
    assert made.cookies["sessionid"].value != planted
    thief = browser()
    thief.cookies["sessionid"] = planted
    assert thief.get("/duties").headers["Location"].startswith("/sign-in")


def test_a_cookie_in_another_browser_ends_the_sign_in_and_is_noticed(people):
    desk = signed_in()
    thief = browser("Mozilla/5.0 (Android) Firefox/144")
    thief.cookies["sessionid"] = desk.cookies["sessionid"].value
    assert thief.get("/duties").headers["Location"].startswith("/sign-in")
    assert desk.get("/duties").headers["Location"].startswith("/sign-in")
    assert SecurityLog.objects.filter(what="session_elsewhere", about=officer("zhen").id).count() == 1
    # A browser that has updated itself is still the same browser.
    desk = signed_in()
    newer = browser("Mozilla/5.0 (X11; Linux) Chrome/141")
    newer.cookies["sessionid"] = desk.cookies["sessionid"].value
    assert newer.get("/duties").status_code == 200


def test_a_page_that_nobody_touches_locks_and_nothing_of_it_remains_for_the_next(people, as_role):
    desk = signed_in()
    idle = limits.of("BIHUAN_IDLE_MINUTES")
    with as_role("superuser") as db:
        db.execute("UPDATE sign_in SET seen_at = seen_at - make_interval(mins => %s)", [idle - 1])
    # A page that refreshes itself is no sign of life; a touch is.
    desk.get("/duties", headers={"Bihuan-Idle": "600"})
    with as_role("superuser") as db:
        db.execute("UPDATE sign_in SET seen_at = seen_at - interval '2 minutes'")
    assert desk.get("/duties").headers["Location"] == "/unlock?next=%2Fduties"
    assert desk.get("/duties", headers={"HX-Request": "true"}).headers["HX-Redirect"] == "/unlock"
    assert desk.post("/duties/accept", {}).headers["Location"] == "/unlock"
    shown = desk.get("/unlock").content.decode()
    assert "吴镇宁" in shown
    assert "板桥" not in shown
    assert desk.post("/unlock", {"secret": "wrong"}).status_code == 401
    assert desk.post("/unlock", {"secret": PASSWORD, "next": "/duties"}).headers["Location"] == "/duties"
    assert desk.get("/duties").status_code == 200
    desk.post("/lock", {"next": "/duties"})
    assert desk.get("/duties").headers["Location"].startswith("/unlock")
    answer = desk.post("/sign-out")
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    try_in(desk, "xian")
    assert "吴镇宁" not in desk.get("/duties").content.decode()


def test_a_lock_cannot_be_opened_by_guessing(people):
    desk = signed_in()
    desk.post("/lock")
    for _ in range(limits.of("BIHUAN_LOCK_FAILURES")):
        assert desk.post("/unlock", {"secret": "guess"}).status_code == 401
    assert desk.post("/unlock", {"secret": PASSWORD}).headers["Location"] == "/sign-in"
    assert desk.get("/duties").headers["Location"].startswith("/sign-in")


def test_a_shift_ends(people, as_role):
    desk = signed_in()
    with as_role("superuser") as db:
        db.execute("UPDATE sign_in SET began_at = began_at - make_interval(hours => %s)", [limits.of("BIHUAN_SESSION_HOURS")])
    assert desk.get("/duties").headers["Location"].startswith("/sign-in")
    assert SignIn.objects.get().ended_why == "too_long"


def test_a_new_password_ends_all_other_sign_ins(people):
    here, elsewhere = signed_in(), signed_in()
    form = {"old": PASSWORD, "new": "another drawer of words", "again": "another drawer of words"}
    assert here.post("/account/password", {**form, "old": "wrong"}).status_code == 409
    assert here.post("/account/password", {**form, "new": "short", "again": "short"}).status_code == 409
    assert here.post("/account/password", form).headers["Location"] == "/account"
    assert here.get("/duties").status_code == 200
    assert elsewhere.get("/duties").headers["Location"].startswith("/sign-in")
    try_in(browser(), "zhen", status=401)
    try_in(browser(), "zhen", "another drawer of words")


# --- village and grid ---------------------------------------------------------------------------------------------------


def test_a_village_signs_in_by_phone_and_code_then_by_its_device_and_pin(people):
    phone, worker = browser("Mozilla/5.0 (Linux; Android 9) MicroMessenger"), officer("cun")
    code, _ = devices.make_code(worker.id, access.post_of("zhen").id)
    try_in(phone, PHONE, "000000" if code != "000000" else "111111", 401)
    assert try_in(phone, PHONE, code, next="/duties") == "/account/device?next=%2Fduties"
    try_in(browser(), PHONE, code, 401)  # a code counts once
    for bad, again, why in (("123456", "123456", "pin_simple"), ("402", "402", "pin_digits"), (PIN, "402919", "pin_differs")):
        answer = phone.post("/account/device", {"pin": bad, "again": again})
        assert answer.status_code == 409
        assert why in answer.content.decode()
    assert phone.post("/account/device", {"pin": PIN, "again": PIN, "next": "/duties"}).headers["Location"] == "/duties"
    assert "板桥社区" in phone.get("/duties").content.decode()
    phone.post("/sign-out")

    shown = phone.get("/sign-in").content.decode()
    assert "李村和" in shown
    assert "id_password" not in shown
    assert phone.post("/sign-in", {"pin": "402919"}).status_code == 401
    assert phone.post("/sign-in", {"pin": PIN, "next": "/duties"}).headers["Location"] == "/duties"
    assert phone.get("/duties").status_code == 200
    # The PIN means nothing on any other device.
    assert browser().post("/sign-in", {"pin": PIN}).status_code == 401

    device = Device.objects.get()
    assert PIN not in device.pin
    assert phone.post(f"/account/devices/{device.id}/revoke").status_code == 302
    assert phone.get("/duties").headers["Location"].startswith("/sign-in")
    assert phone.post("/sign-in", {"pin": PIN}).status_code == 401


def test_wrong_pins_make_the_device_a_stranger_and_wrong_codes_kill_the_code(people):
    phone, worker = browser(), officer("cun")
    code, _ = devices.make_code(worker.id, 1)
    try_in(phone, PHONE, code)
    phone.post("/account/device", {"pin": PIN, "again": PIN})
    phone.post("/sign-out")
    for _ in range(limits.of("BIHUAN_PIN_FAILURES")):
        assert phone.post("/sign-in", {"pin": "402919"}).status_code == 401
    assert phone.post("/sign-in", {"pin": PIN}).status_code == 401
    assert Device.objects.get().revoked_why == "wrong_pins"
    code, _ = devices.make_code(worker.id, 1)
    assert not any(devices.use_code(worker.id, f"{n:06d}") for n in range(1_000_000, 1_000_005))
    assert not devices.use_code(worker.id, code)


def test_a_code_opens_posts_of_the_village_alone(people, as_role):
    """Somebody who also works at a desk cannot reach it by what a village signs in with."""
    worker, desk = officer("cun"), access.post_of("zhen")
    with as_role("superuser") as db:
        db.execute("UPDATE post SET officer = %s WHERE id = %s", [worker.id, desk.id])
    code, _ = devices.make_code(worker.id, 1)
    phone = browser()
    try_in(phone, PHONE, code)
    assert "李村和" in phone.get("/duties").content.decode()
    assert phone.post("/post", {"post": desk.id}).status_code == 403


# --- the second factor --------------------------------------------------------------------------------------------------


def test_in_a_real_city_a_password_alone_opens_nothing(real_city):
    desk = browser()
    try_in(desk, "shi")
    for url in ("/", "/duties", "/overview", "/account", "/account/second-factor", "/account/password", "/people"):
        assert desk.get(url).headers["Location"].startswith("/second-factor"), url
    assert desk.post("/account/second-factor", {"what": "begin"}).headers["Location"].startswith("/second-factor")
    shown = desk.get("/second-factor").content.decode()
    assert "demo-code" not in shown
    code = secret_of("shi").now()
    assert desk.post("/second-factor", {"code": "000000" if code != "000000" else "111111"}).status_code == 401
    assert desk.post("/second-factor", {"code": f"{code[:3]} {code[3:]}", "next": "/duties"}).headers["Location"] == "/duties"
    assert desk.get("/duties").status_code == 200
    # Whoever read it over the shoulder has nothing: a code counts once.
    other = browser()
    try_in(other, "shi")
    assert other.post("/second-factor", {"code": code}).status_code == 401
    assert other.get("/duties").headers["Location"].startswith("/second-factor")


def test_who_has_no_factor_binds_one_first_and_keeps_codes_on_paper(real_city):
    Totp.objects.all().delete()
    desk = browser()
    try_in(desk, "shi")
    assert desk.get("/duties").headers["Location"].startswith("/account/second-factor")
    desk.post("/account/second-factor", {"what": "begin"})
    shown = unescape(desk.get("/account/second-factor").content.decode())
    assert 'src="data:image/svg+xml' in shown
    secret = re.search(r"data-secret>([A-Z2-7 ]+)<", shown)[1].replace(" ", "")
    assert desk.get("/duties").headers["Location"].startswith("/account/second-factor")
    paper = desk.post("/account/second-factor", {"what": "confirm", "code": pyotp.TOTP(secret).now()}).content.decode()
    codes = re.findall(r'<li class="number">([a-z0-9-]+)</li>', paper)
    assert len(codes) == second_factor.RECOVERY_CODES
    assert desk.get("/duties").status_code == 200
    lost = browser()
    try_in(lost, "shi")
    assert lost.post("/second-factor", {"code": codes[0].upper()}).status_code == 302
    assert lost.get("/duties").status_code == 200
    again = browser()
    try_in(again, "shi")
    assert again.post("/second-factor", {"code": codes[0]}).status_code == 401


def test_a_fresh_second_factor_is_asked_for_and_leads_back(people, as_role):
    """In the demonstration too: the page itself says the code."""
    desk = signed_in("shi")
    assert desk.get("/account/second-factor").headers["Location"] == "/second-factor?next=%2Faccount%2Fsecond-factor"
    shown = desk.get("/second-factor?next=/account/second-factor").content.decode()
    code = re.search(r'id="demo-code">(\d{6})<', shown)[1]
    assert desk.post("/second-factor", {"code": code, "next": "/account/second-factor"}).headers["Location"] == "/account/second-factor"
    assert desk.get("/account/second-factor").status_code == 200
    with as_role("superuser") as db:
        db.execute("UPDATE sign_in SET second_at = second_at - make_interval(mins => %s)", [limits.of("BIHUAN_STEP_UP_MINUTES")])
    assert desk.get("/account/second-factor").headers["Location"].startswith("/second-factor")
    assert desk.post("/second-factor", {"code": code, "next": "//evil.example/"}).status_code == 401


def test_a_list_leaves_the_house_after_a_second_factor_alone(people, as_role):
    from tests.flows.test_bulk import frozen
    from tests.flows.test_pages import BANQIAO, HEAD, row
    from tests.morning import take_in
    from tests.signed_in import signed_in as at_work

    take_in("a.csv", (HEAD + row(1, BANQIAO)).encode(), "community")
    desk = at_work("zhen", fresh=False)
    url = frozen(desk, state="all")
    form = {"act": ids.new_id(), "purpose": "call"}
    asked = [(f"{url}/workbook", form), (f"{url}/workbook", {**form, "whole": "yes"}), (f"{url}/paper", form)]
    for address, data in asked:
        answer = desk.post(address, data, headers={"referer": f"http://localhost{url}"})
        assert answer.headers["Location"] == f"/second-factor?next={url.replace('/', '%2F')}&again=1", address
    with as_role("work") as db:
        assert db.execute("SELECT count(*) FROM list_taken").fetchone() == (0,)
    answer = desk.post(f"/second-factor?next={url}&again=1", {"code": secret_of("zhen").now(), "next": url}, follow=True)
    assert "再按一次" in answer.content.decode()
    assert desk.post(*asked[0]).status_code == 200


def test_the_page_says_why_one_sees_a_person_and_hides_everybody_else(people):
    from tests.flows.test_pages import BANQIAO, HEAD, leads_of, row
    from tests.morning import take_in
    from tests.signed_in import signed_in as at_work

    take_in("a.csv", (HEAD + row(1, BANQIAO)).encode(), "community")
    village = at_work("cun")
    lead = village.get(f"/leads/{leads_of(village)[0]}").content.decode()
    url = re.search(r'href="(/why/[0-9a-f-]{36})"', lead)[1]
    shown = {login: at_work(login).get(url) for login in ("cun", "zhen", "shi", "xian", "xitong")}
    assert {login: answer.status_code for login, answer in shown.items()} == {
        "cun": 200,
        "zhen": 200,
        "shi": 200,
        "xian": 404,
        "xitong": 403,
    }
    assert "在您单位办着" in shown["cun"].content.decode()
    assert "镇街专班" not in shown["shi"].content.decode()
    assert "县区专班 以上来办" in shown["cun"].content.decode()  # who may waive
    nobody = at_work("xian").get(f"/why/{ids.new_id()}")
    strip = re.compile(r"csrf[^>]*>|hx-headers='[^']*'|data-now=\"[^\"]*\"|data-csrf=\"[^\"]*\"")
    assert strip.sub("", nobody.content.decode()) == strip.sub("", shown["xian"].content.decode())


def test_every_record_says_why_one_sees_it_and_what_does_not_open_says_why_not(people):
    from tests.flows.test_bulk import frozen
    from tests.flows.test_pages import BANQIAO, HEAD, leads_of, row
    from tests.morning import take_in
    from tests.signed_in import signed_in as at_work

    take_in("a.csv", (HEAD + row(1, BANQIAO)).encode(), "community")
    city_desk, township, village = at_work("shi"), at_work("zhen"), at_work("cun")
    file = re.search(r'href="/intake/(\d+)"', city_desk.get("/intake").content.decode())[1]
    number = frozen(township, state="all").rpartition("/")[2]
    unit = access.post_of("zhen").unit_id
    pages = [
        (village, f"/leads/{leads_of(village)[0]}", r"/why/duty/\d+", "在您单位办着", "不可以"),
        (township, f"/lists/{number}", f"/why/list/{number}", "是您单位做的", "整份一起办"),
        (city_desk, f"/intake/{file}", f"/why/file/{file}", "它在连云港市", "下载标好的原表"),
        (township, f"/overview/{unit}", f"/why/unit/{unit}", "这就是您的单位", "念验证码"),
    ]
    for who, page, link, reason, act in pages[:1] + pages[2:]:
        url = re.search(rf'href="({link})"', who.get(page).content.decode())[1]
        shown = who.get(url).content.decode()
        assert reason in shown, url
        assert act in shown, url
        for stranger in ("xian", "baosong"):
            assert at_work(stranger).get(url).status_code == 404, (stranger, url)
    url = f"/why/list/{number}"
    assert f'href="{url}"' in township.get(f"/lists/{number}").content.decode()
    assert "整份一起登记结果" in township.get(url).content.decode()
    assert city_desk.get(url).status_code == 404, "another unit's list, as the list itself"
    # What does not open: the rules and whom to ask, and the same for what is not there.
    lost = at_work("xian").get(pages[0][1])
    assert lost.status_code == 404
    assert 'href="/why"' in lost.content.decode()
    rules = at_work("xian").get("/why").content.decode()
    assert "灌云县" in rules
    assert "不告诉是谁" in rules
    assert "这是规定，不是出错" in at_work("xitong").get("/why").content.decode()


def test_guessing_codes_is_locked(people):
    desk = signed_in("shi")
    for n in range(limits.of("BIHUAN_LOCK_FAILURES")):
        assert desk.post("/second-factor", {"code": f"{n:06d}"}).status_code == 401
    assert desk.post("/second-factor", {"code": secret_of("shi").now()}).status_code == 429


# --- administrators -----------------------------------------------------------------------------------------------------


def test_the_database_lets_nobody_combine_administrators(city, as_role):
    unit, someone = access.post_of("shi").unit_id, officer("shenji").id
    give = "INSERT INTO post (officer, unit, role, valid) VALUES (%s, %s, %s, daterange(%s, %s))"
    administrators = ("system_admin", "security_admin", "auditor")
    with as_role("superuser", autocommit=True) as db:
        for one, other in itertools.product((*administrators, "city_desk", "village_worker"), administrators):
            db.execute("DELETE FROM post WHERE officer = %s", [someone])
            db.execute(give, [someone, unit, one, "2023-01-01", "2023-02-01"])
            if one == other:
                db.execute(give, [someone, unit, other, "2023-01-01", "2023-02-01"])
                continue
            with pytest.raises(psycopg.errors.ExclusionViolation, match="post_branches_apart"):
                db.execute(give, [someone, unit, other, "2023-01-31", "2023-03-01"])
            # One after the other is no combination.
            db.execute(give, [someone, unit, other, "2023-02-01", "2023-03-01"])


def test_no_administrator_reads_a_person(people):
    for login in ("xitong", "anquan", "shenji"):
        admin = browser()
        try_in(admin, login)
        for url in ("/duties", "/people?q=小", "/overview", "/intake", f"/leads/{ids.new_id()}"):
            assert admin.get(url).status_code in (403, 404), (login, url)
        lo, hi = access.post_of(login).scope
        assert lo == hi


def test_the_log_of_sign_ins_cannot_be_rewritten_by_whoever_runs_the_pages(people, as_role):
    signed_in()
    assert SecurityLog.objects.filter(what="signed_in").exists()
    for role in ("app", "work"):
        for change in ("UPDATE security_log SET what = 'x'", "DELETE FROM security_log", "TRUNCATE security_log"):
            with as_role(role) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(change)
    assert abs((SecurityLog.objects.latest("id").at - clock.real_now()).total_seconds()) < 60
