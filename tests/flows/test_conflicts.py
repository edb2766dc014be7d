"""The same id came twice with different contents: its unit sees both side by side, says which holds, and may take that back."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from tests.attacks.world import client
from tests.morning import count, take_in

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.kernel import clock, ids
from bihuan.leads import actions
from bihuan.leads.facts import Found, MedicalNeed
from bihuan.leads.models import Lead
from bihuan.loops import verify

LIST = (
    "姓名,证件号码,手机号,来源地,到达时间,现住址\n王小梅,,13800000001,上海市,2022-08-27 10:00,连云港市连云区板桥街道板桥社区居委会3号楼\n"
)
STANDING = """
SELECT v.outcome FROM fact f JOIN lead_verified v ON v.fact = f.id
WHERE NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id) ORDER BY v.outcome"""
OWED = "SELECT kind FROM loop WHERE closed_at IS NULL ORDER BY kind"


class Case:
    """One lead of the village that was answered twice under one id: first "at home", then "gone on"."""

    def __init__(self, as_role, acting) -> None:
        self.as_role, self.acting, self.cun = as_role, acting, access.post_of("cun")
        take_in("a.csv", LIST.encode(), "community")
        from django.db import transaction

        with scope.acting(scope.of(self.cun)), transaction.atomic():
            self.lead = Lead.objects.get(merged_into=None)
        self.fact = ids.new_id()
        answer = {"by": self.cun, "lead": self.lead.id, "fact_id": self.fact, "happened_at": clock.now()}
        actions.verify(**answer, outcome=Found.HERE, here_since=date(2022, 8, 27), medical_need=MedicalNeed.NONE)
        assert self.sql(OWED) == [("leads.sample",)]
        self.answer = {**answer, "outcome": Found.GONE_ON, "destination": "徐州市"}
        assert actions.verify(**self.answer).conflict
        self.asked = self.sql("SELECT fact, question FROM contradicted")[0]
        self.url = f"/conflicts/{self.asked[0]}"

    def sql(self, text: str) -> list[tuple]:
        with self.as_role("superuser") as db:
            return db.execute(text).fetchall()

    def decide(self, decision: str, browser=None, act=None, reason: str = "当面问过"):
        form = {"act": str(act or ids.new_id()), "decision": decision, "reason": reason}
        return (browser or client("cun")).post(self.url, form)

    def holds(self) -> int:
        """Everything is in order; how many questions wait."""
        with self.acting("work"):
            report = verify.verify()
        assert report.gaps == []
        return report.notes["conflict_open"]


@pytest.fixture
def case(city, as_role, acting) -> Case:
    return Case(as_role, acting)


def test_its_unit_owes_an_answer_and_sees_both(case) -> None:
    assert case.sql(OWED) == [("leads.sample",), ("ledger.contradiction",)]
    assert case.sql("SELECT u.name FROM loop l JOIN unit u ON u.id = l.owner WHERE l.kind = 'ledger.contradiction'") == [
        ("板桥社区居委会",)
    ]
    assert case.holds() == 1
    browser = client("cun")
    assert case.url in browser.get("/duties").content.decode()
    assert case.url in browser.get("/conflicts").content.decode()
    page = browser.get(case.url).content.decode()
    for said in ("人在家", "已去别处", "徐州市", "2022-08-27", "板桥社区居委会"):
        assert said in page
    assert actions.verify(**case.answer).conflict, "sent once more it is the same question"
    assert case.holds() == 1
    assert case.sql(OWED) == [("leads.sample",), ("ledger.contradiction",)]


def test_the_first_is_kept(case) -> None:
    act = ids.new_id()
    assert case.decide("first", act=act).status_code == 302
    assert case.decide("first", act=act).status_code == 302
    assert (case.sql(STANDING), case.sql(OWED), case.holds()) == ([("here",)], [("leads.sample",)], 0)
    assert case.sql("SELECT decision, reason FROM contradiction_settled") == [("first", "当面问过")]
    again = case.decide("second")
    assert again.status_code == 422
    assert "duty_closed" in again.content.decode()


def test_the_second_takes_its_place(case) -> None:
    case.decide("second")
    assert (case.sql(STANDING), case.sql(OWED), case.holds()) == ([("gone_on",)], [("leads.refer",)], 0)
    made, corrects, happened = case.sql(
        "SELECT f.id, f.corrects, f.happened_at FROM fact f JOIN contradiction_settled s ON s.made = f.id"
    )[0]  # fmt: skip
    assert made != case.fact == corrects
    assert happened == case.answer["happened_at"]
    assert case.sql(f"SELECT destination FROM lead_verified WHERE fact = '{made}'") == [("徐州市",)]


def test_both_happened(case) -> None:
    case.decide("both")
    assert case.sql(STANDING) == [("gone_on",), ("here",)]
    assert case.sql(OWED) == [("leads.refer",), ("leads.sample",)]
    assert case.holds() == 0


@pytest.mark.parametrize("decision", ["first", "second", "both"])
def test_a_decision_is_taken_back_and_taken_again(case, decision) -> None:
    for _ in range(2):
        case.decide(decision)
        act = ids.new_id()
        for _repeated in range(2):
            assert case.decide("back", act=act, reason="问错了人").status_code == 302
        assert case.sql(STANDING) == [("here",)]
        assert case.sql(OWED) == [("leads.sample",), ("ledger.contradiction",)]
        assert case.holds() == 1
    case.decide("second")
    assert (case.sql(STANDING), case.sql(OWED), case.holds()) == ([("gone_on",)], [("leads.refer",)], 0)


@pytest.mark.parametrize("decision", ["first", "both"])
def test_the_undo_of_the_act_takes_it_back_too(case, decision) -> None:
    act = ids.new_id()
    case.decide(decision, act=act)
    actions.undo(by=case.cun, act=act)
    assert (case.sql(STANDING), case.holds()) == ([("here",)], 1)


def test_what_was_corrected_meanwhile_gives_way_to_the_second(case) -> None:
    from bihuan.leads.facts import LeadVerified

    lead = case.lead
    details = LeadVerified(
        episode=lead.key, outcome=Found.WILL_NOT_COME, here_since=None, destination="", reason="改了", medical_need=MedicalNeed.NOT_ASKED,
        origin_class=lead.origin_class, assigned_at=clock.now(), unit=case.cun.unit_id, liaison=None,
    )  # fmt: skip
    actions.correct(by=case.cun, fact=case.fact, details=details, reason="记错", act=ids.new_id())
    assert case.sql(STANDING) == [("will_not_come",)]
    assert "后来已经作废或改过" in client("cun").get(case.url).content.decode()
    case.decide("second")
    assert (case.sql(STANDING), case.sql(OWED), case.holds()) == ([("gone_on",)], [("leads.refer",)], 0)


def test_refusals_change_nothing(case) -> None:
    refused = (
        ({"decision": "first", "reason": " "}, "reason_missing"),
        ({"decision": "third"}, "decision_missing"),
        ({"decision": "back"}, "nothing_decided"),
    )
    for form, code in refused:
        answer = case.decide(**form)
        assert answer.status_code == 422
        assert code in answer.content.decode()
    assert case.sql("SELECT count(*) FROM contradiction_settled") == [(0,)]
    assert case.holds() == 1


def test_what_nobody_settles_asks_for_help(case, as_role) -> None:
    from bihuan.policy import installation

    with case.acting("work"):
        installation.advance(timedelta(days=3))
        from bihuan.loops import tick

        tick.tick()
    installation.forget()
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM fired f JOIN loop l ON l.id = f.loop WHERE l.kind = 'ledger.contradiction'") >= 1
