"""F14, A22: what is sent when the own door is shut is kept for a person to judge; nothing of it counts by itself, nothing is dropped."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import psycopg
import pytest
from django.test import Client
from tests.flows.test_pages import BANQIAO, HEAD, leads_of, row
from tests.morning import take_in
from tests.signed_in import signed_in

from bihuan.access import late
from bihuan.access import queries as access
from bihuan.access.models import Device, Officer, SignIn
from bihuan.kernel import clock, ids

AT_HOME = {"outcome": "at_home", "arrived_on": "2022-08-27", "treatment": "yes", "treatment_note": "周二透析"}


@pytest.fixture
def lead(city) -> str:
    take_in("a.csv", (HEAD + row(1, BANQIAO)).encode(), "community")
    return leads_of(signed_in("cun"))[0]


def on_a_telephone(login: str = "cun", **given) -> tuple[Client, Device]:
    worker, at = signed_in(login, **given), clock.real_now()
    officer = access.post_of(login).officer_id
    device = Device.objects.create(
        id=ids.new_id(), officer_id=officer, key_hash=b"x", pin="x", name="红米手机", made_at=at, seen_at=at, until=at + timedelta(days=3)
    )
    SignIn.objects.filter(id=worker.session["sign_in"]).update(device=device.id)
    return worker, device


def facts(as_role) -> int:
    with as_role("superuser") as db:
        return db.execute("SELECT count(*) FROM fact WHERE kind LIKE 'leads.%%' AND kind <> 'leads.lead_reported'").fetchone()[0]


def form_of(page: str, action: str) -> dict[str, str]:
    """The form as the browser would send it."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', page, re.S)[0]
    return {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found)
        if name != "csrfmiddlewaretoken"
    }


def test_an_answer_from_a_revoked_telephone_waits_and_is_recorded_by_the_desk(lead, as_role, acting):
    worker, device = on_a_telephone()
    township, fact = signed_in("zhen"), str(ids.new_id())
    assert township.post(f"/roster/devices/{device.id}/revoke").status_code == 302
    before, sent_at = facts(as_role), clock.now()
    answer = worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": fact})
    number = kept(as_role)[0][0]
    assert answer.headers["Location"] == f"/sign-in?next=%2Flate%2F{number}"
    worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": fact})  # pressed twice
    assert [(why, unit) for _id, why, unit, _said in kept(as_role)] == [("device_revoked", access.post_of("cun").unit_id)]
    assert facts(as_role) == before, "a stolen telephone records nothing by itself"
    assert "透析" not in repr(kept(as_role)), "sealed"

    assert "1 条记录等您确认" in township.get("/duties").content.decode()
    page = township.get("/late").content.decode()
    assert re.search(rf'href="/leads/{lead}">.[*]', page), "whom, masked"
    for words in ("人在家", "2022-08-27", "周二透析", "李村和", "红米手机", "手机已停用"):
        assert words in page, words
    form = form_of(page, f"/leads/{lead}/act")
    assert form["fact_id"] == fact
    assert township.post(f"/leads/{lead}/act", form).headers["Location"] == "/late"
    with as_role("superuser") as db:
        recorded = db.execute(
            'SELECT f."by", f.happened_at, v.outcome, v.reason FROM fact f JOIN lead_verified v ON v.fact = f.id WHERE f.id = %s', (fact,)
        ).fetchone()
    assert recorded[0] == access.post_of("zhen").officer_id
    assert abs((recorded[1] - sent_at).total_seconds()) < 30
    assert recorded[2:] == ("here", "周二透析")
    assert "没有要确认的" in township.get("/late").content.decode()
    assert "条记录等您确认" not in township.get("/duties").content.decode()
    with acting("work"):
        assert late.empty() == 1
        assert late.empty() == 0
    assert kept(as_role)[0][3] == b""


def kept(as_role) -> list[tuple[int, str, int, bytes]]:
    with as_role("superuser") as db:
        return db.execute("SELECT id, why, unit, said FROM late_entry ORDER BY id").fetchall()


def test_a_page_that_had_locked_itself_loses_nothing(lead, as_role):
    worker, _device = on_a_telephone()
    SignIn.objects.filter(id=worker.session["sign_in"]).update(locked_at=clock.real_now())
    answer = worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": str(ids.new_id())}, headers={"hx-request": "true"})
    (number, why, *_), *_ = kept(as_role)
    assert (answer.status_code, why) == (204, "locked")
    assert answer.headers["HX-Redirect"] == f"/unlock?next=%2Flate%2F{number}"
    assert worker.get(f"/late/{number}").headers["Location"].startswith("/unlock"), "nothing is shown before the lock is opened"
    SignIn.objects.filter(id=worker.session["sign_in"]).update(locked_at=None)
    page = worker.get(f"/late/{number}").content.decode()
    assert "页面锁着时交来的" in page
    before = facts(as_role)
    assert worker.post(f"/leads/{lead}/act", form_of(page, f"/leads/{lead}/act")).status_code == 302
    assert facts(as_role) == before + 1


def test_every_way_in_which_a_door_shuts_keeps_what_comes(lead, as_role):
    def post_over():
        with as_role("superuser") as db:
            db.execute("UPDATE post SET valid = daterange(lower(valid), %s) WHERE officer = %s", (clock.today(), officer))

    def account_over():
        with as_role("superuser") as db:
            db.execute("UPDATE officer SET is_active = false WHERE id = %s", (officer,))
            db.execute("UPDATE sign_in SET ended_at = %s, ended_why = 'account_ended' WHERE officer = %s", (clock.real_now(), officer))

    def password_new():
        changed = Officer.objects.get(id=officer)
        changed.set_password("three words from a drawer")
        changed.save(update_fields=["password"])
        SignIn.objects.filter(officer=officer).update(ended_at=clock.real_now(), ended_why="password_changed")

    officer = access.post_of("cun").officer_id
    for n, (shut, why) in enumerate([(password_new, "password_changed"), (post_over, "post_ended"), (account_over, "account_ended")], 1):
        if why == "account_ended":
            with as_role("superuser") as db:
                db.execute("UPDATE post SET valid = daterange(lower(valid), NULL) WHERE officer = %s", (officer,))
        worker, _device = on_a_telephone()
        shut()
        answer = worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": str(ids.new_id())})
        assert answer.headers["Location"].startswith("/sign-in"), why
        assert [row[1] for row in kept(as_role)][n - 1 :] == [why]
    assert len(re.findall(r'name="late"', signed_in("zhen").get("/late").content.decode())) == 3


def test_nobody_else_is_told_and_nothing_is_planted(lead, as_role, monkeypatch):
    worker, device = on_a_telephone()
    SignIn.objects.filter(id=worker.session["sign_in"]).update(ended_at=clock.real_now(), ended_why="device_revoked")
    said = {**AT_HOME, "fact_id": str(ids.new_id())}
    # Without a sign-in, with a forged form, to an address that records nothing: nothing is kept.
    assert Client(headers={"host": "localhost"}).post(f"/leads/{lead}/act", said).headers["Location"].startswith("/sign-in")
    worker.handler.enforce_csrf_checks = True
    assert worker.post(f"/leads/{lead}/act", said).status_code == 403
    worker.handler.enforce_csrf_checks = False
    worker.post("/duties/return", {"act": str(ids.new_id()), "loop": "1", "reason": "not_ours"})
    worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": "no id"})
    assert kept(as_role) == []
    monkeypatch.setattr(late, "OF_SIGN_IN_MAX", 3)
    locations = {}
    worker.get("/duties")  # the session is emptied; the pages that are still open send on
    assert "sessionid" not in worker.cookies or not worker.cookies["sessionid"].value
    for n in range(5):
        locations[n] = worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": str(ids.new_id())}).headers["Location"]
    assert len(kept(as_role)) == 3
    assert "late" not in locations[4]
    number = kept(as_role)[0][0]
    for stranger in ("xian", "baosong", "xitong", "anquan", "shenji"):
        assert signed_in(stranger).get(f"/late/{number}").status_code in (403, 404), stranger
        assert signed_in(stranger).post(f"/late/{number}/leave", {"why": "x"}).status_code in (403, 404), stranger
    with as_role("app") as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("DELETE FROM late_entry")


def test_what_is_not_recorded_is_left_with_a_reason(lead, as_role):
    worker, _device = on_a_telephone()
    SignIn.objects.filter(id=worker.session["sign_in"]).update(ended_at=clock.real_now(), ended_why="elsewhere")
    worker.post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": str(ids.new_id())})
    number, township = kept(as_role)[0][0], signed_in("zhen")
    assert "可能不是本人" in township.get("/late").content.decode()
    assert township.post(f"/late/{number}/leave", {"why": " "}).status_code == 409
    assert township.post(f"/late/{number}/leave", {"why": "问过本人，手机被偷了"}).status_code == 302
    assert "没有要确认的" in township.get("/late").content.decode()
    with as_role("superuser") as db:
        left = db.execute("SELECT left_by, left_why, said FROM late_entry").fetchone()
        noted = db.execute("SELECT what, officer, about FROM security_log WHERE what LIKE 'entry%%' ORDER BY id").fetchall()
    assert left == (access.post_of("zhen").officer_id, "问过本人，手机被偷了", b"")
    assert noted == [("entry_kept", None, access.post_of("cun").officer_id), ("entry_left", left[0], access.post_of("cun").officer_id)]


def test_the_time_of_a_sample_is_when_it_was_sent(lead, as_role):
    worker, _device = on_a_telephone()
    assert worker.post(f"/leads/{lead}/act", {**AT_HOME, "treatment": "no", "fact_id": str(ids.new_id())}).status_code == 302
    SignIn.objects.filter(id=worker.session["sign_in"]).update(ended_at=clock.real_now(), ended_why="device_revoked")
    worker.post(f"/leads/{lead}/sample", {"fact_id": str(ids.new_id()), "place": "上门", "tube": "T9", "sampled_at": ""})
    with as_role("superuser") as db:
        db.execute("UPDATE late_entry SET at = at - interval '20 minutes'")
        sent_at: datetime = db.execute("SELECT at FROM late_entry").fetchone()[0]
    township = signed_in("zhen")
    page = township.get("/late").content.decode()
    assert "T9" in page
    assert township.post(f"/leads/{lead}/sample", form_of(page, f"/leads/{lead}/sample")).status_code == 302
    with as_role("superuser") as db:
        assert db.execute("SELECT sampled_at FROM lead_sampled").fetchall() == [(sent_at,)]


def test_who_was_overtaken_by_a_move_loses_nothing(lead, as_role):
    """The duty went to another village while the page was open: the answer waits for the desk above, and no stranger plants one."""
    village, township, said = signed_in("cun"), signed_in("zhen"), {**AT_HOME, "fact_id": str(ids.new_id())}
    with as_role("superuser") as db:
        other = db.execute(
            "SELECT u.id FROM unit u JOIN region r ON r.id = u.region_id WHERE u.kind = 'village' AND r.parent_id ="
            " (SELECT region_id FROM unit WHERE id = %s) AND u.id <> %s ORDER BY u.id LIMIT 1",
            (access.post_of("zhen").unit_id, access.post_of("cun").unit_id),
        ).fetchone()[0]
        # As when a better address is learnt: the duty lies in another village by now.
        db.execute(
            "UPDATE loop SET owner = %s, scope = (SELECT s.scope FROM unit u JOIN region_scope s ON s.region_id = u.region_id"
            " WHERE u.id = %s LIMIT 1) WHERE kind = 'leads.verify'", (other, other),
        )  # fmt: skip
    before = facts(as_role)
    refused = village.post(f"/leads/{lead}/act", said)
    assert refused.status_code == 409
    assert "内容已经留下" in refused.content.decode()
    assert [row[1] for row in kept(as_role)] == ["moved"]
    assert facts(as_role) == before
    page = township.get("/late").content.decode()
    assert "已经改由别的单位管" in page
    assert township.post(f"/leads/{lead}/act", form_of(page, f"/leads/{lead}/act")).status_code == 302
    assert facts(as_role) == before + 1
    # A person out of sight: the same answer as for nobody, and nothing is kept.
    assert signed_in("xian").post(f"/leads/{lead}/act", {**AT_HOME, "fact_id": str(ids.new_id())}).status_code == 404
    assert len(kept(as_role)) == 1
