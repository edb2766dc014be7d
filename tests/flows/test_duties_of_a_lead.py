"""One lead through all its duties, by the actions that the pages call."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from tests.morning import count, take_in

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import actions
from bihuan.leads.facts import Found, MedicalNeed, Result, Tried
from bihuan.leads.models import Lead

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
# The village of the demonstration's village login, and people of no real number.
VILLAGE = "连云港市连云区板桥街道板桥社区居委会"


def csv(*rows: str) -> bytes:
    return (HEAD + "\n".join(rows) + "\n").encode()


ONE = f"王小梅,,13800000001,上海市,2022-08-27 10:00,{VILLAGE}3号楼"


@pytest.fixture
def cun(city):
    take_in("a.csv", csv(ONE), "community")
    return access.post_of("cun")


def only_lead(post) -> Lead:
    from django.db import transaction

    with scope.acting(scope.of(post)), transaction.atomic():
        return Lead.objects.get(merged_into=None)


def open_duties(database) -> dict[str, tuple]:
    rows = database.execute(
        "SELECT l.kind, u.name, l.due_at, l.opened_at FROM loop l JOIN unit u ON u.id = l.owner WHERE closed_at IS NULL ORDER BY l.id"
    ).fetchall()
    return {kind: rest for kind, *rest in rows}


def advance(acting, by: timedelta) -> None:
    from bihuan.policy import installation

    with acting("work"):
        installation.advance(by)
    installation.forget()


def test_verify_sample_result_have_three_deadlines_from_one_start(cun, as_role, acting):
    lead = only_lead(cun)
    with as_role("superuser") as db:
        duties = open_duties(db)
    assert duties.keys() == {"leads.verify"}
    name, due_at, start = duties["leads.verify"]
    assert name == "板桥社区居委会"
    assert due_at - start == timedelta(hours=1)
    advance(acting, timedelta(minutes=20))
    assert actions.start_call(by=cun, lead=lead.id, fact_id=ids.new_id()).opened == ()
    done = actions.verify(
        by=cun, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), medical_need=MedicalNeed.NONE, fact_id=ids.new_id()
    )
    assert len(done.opened) == len(done.closed) == 1
    advance(acting, timedelta(minutes=30))
    actions.sample(by=cun, lead=lead.id, fact_id=ids.new_id(), place="村卫生室", tube="A1")
    with as_role("superuser") as db:
        name, due_at, _ = open_duties(db)["leads.result"]
        assert due_at - start == timedelta(hours=8)
        assert db.execute("SELECT due_at FROM loop WHERE kind = 'leads.sample'").fetchone()[0] - start == timedelta(hours=3)
    assert name.startswith("连云区")
    refused = actions.record_result(by=cun, lead=lead.id, result=Result.NEGATIVE, fact_id=ids.new_id())
    assert isinstance(refused, Refused)
    assert refused.code == "not_permitted"
    city = access.post_of("shi")
    result = ids.new_id()
    assert len(actions.record_result(by=city, lead=lead.id, result=Result.NEGATIVE, fact_id=result).closed) == 1
    with as_role("superuser") as db:
        assert open_duties(db) == {}
    # A wrong result is withdrawn: the duty to hear it is owed again, with the last owner and time to do it.
    done = actions.void(by=city, fact=result, reason="录错人", act=ids.new_id())
    with as_role("superuser") as db:
        owner, due_at, _ = open_duties(db)["leads.result"]
        assert owner == name
        assert due_at == max(start + timedelta(hours=8), clock.now() + timedelta(minutes=60)) or due_at - start == timedelta(hours=8)
    assert len(done.opened) == 1
    again = actions.void(by=city, fact=result, reason="录错人", act=ids.new_id())
    assert again.code == "already_voided"


def test_not_here_yet_moves_all_clocks_to_the_arrival(cun, as_role):
    lead = only_lead(cun)
    arrival = clock.now() + timedelta(hours=5)
    done = actions.try_contact(by=cun, lead=lead.id, outcome=Tried.NOT_HERE_YET, next_try_at=arrival, fact_id=ids.new_id())
    assert done.opened == done.closed == ()
    with as_role("superuser") as db:
        assert open_duties(db)["leads.verify"][1] == arrival + timedelta(hours=1)
        assert count(db, "SELECT count(*) FROM timer") == 1
        assert db.execute("SELECT bucket FROM timer").fetchone()[0] == arrival + timedelta(hours=1)
    actions.verify(by=cun, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 28), fact_id=ids.new_id())
    with as_role("superuser") as db:
        assert open_duties(db)["leads.sample"][1] == arrival + timedelta(hours=3)
    past = actions.try_contact(by=cun, lead=lead.id, outcome=Tried.NOT_HERE_YET, next_try_at=clock.now(), fact_id=ids.new_id())
    assert past.code == "arrival_past"


def test_the_same_answer_twice_is_one_and_another_content_is_a_conflict(cun, as_role):
    lead, fact = only_lead(cun), ids.new_id()
    at = clock.now()
    answer = {"by": cun, "lead": lead.id, "outcome": Found.NOTHING_REQUIRED, "fact_id": fact, "happened_at": at}
    first = actions.verify(**answer, reason="没去过上海")
    again = actions.verify(**answer, reason="没去过上海")
    assert (again.opened, again.closed, again.repeated, again.conflict) == (first.opened, first.closed, True, False)
    other = actions.verify(**answer, reason="路过")
    assert other.conflict
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM fact WHERE kind = 'leads.lead_verified'") == 1
        assert db.execute("SELECT content->>'reason' FROM conflict").fetchall() == [("路过",)]


def test_gone_on_is_the_liaison_desks_until_the_other_city_accepts(cun, as_role):
    lead = only_lead(cun)
    actions.verify(by=cun, lead=lead.id, outcome=Found.GONE_ON, destination="徐州市", fact_id=ids.new_id())
    shi = access.post_of("shi")
    with as_role("superuser") as db:
        assert open_duties(db)["leads.refer"][0].endswith("协查联络组")
    assert actions.answer_referral(by=shi, lead=lead.id, accepted=False, answer="查无此人", fact_id=ids.new_id()).closed == ()
    assert len(actions.answer_referral(by=shi, lead=lead.id, accepted=True, answer="云龙区收到", fact_id=ids.new_id()).closed) == 1


def test_what_an_outcome_needs_is_asked_for(cun):
    lead = only_lead(cun)
    codes = [
        actions.verify(by=cun, lead=lead.id, outcome=Found.HERE, fact_id=ids.new_id()).code,
        actions.verify(by=cun, lead=lead.id, outcome=Found.GONE_ON, fact_id=ids.new_id()).code,
        actions.verify(by=cun, lead=lead.id, outcome=Found.NOTHING_REQUIRED, fact_id=ids.new_id()).code,
        actions.try_contact(by=cun, lead=lead.id, outcome=Tried.NOT_AGREED, fact_id=ids.new_id()).code,
        actions.try_contact(by=cun, lead=lead.id, outcome=Tried.NOT_HERE_YET, fact_id=ids.new_id()).code,
    ]
    assert codes == ["since_missing", "destination_missing", "reason_missing", "reason_missing", "arrival_missing"]


def test_one_person_one_call(cun):
    lead = only_lead(cun)
    shi = access.post_of("shi")
    assert not isinstance(actions.start_call(by=cun, lead=lead.id, fact_id=ids.new_id()), Refused)
    held = actions.start_call(by=shi, lead=lead.id, fact_id=ids.new_id())
    assert held.code == "call_held"
    assert "板桥社区" in held.zh
    actions.try_contact(by=cun, lead=lead.id, outcome=Tried.NOT_REACHED, fact_id=ids.new_id())
    assert not isinstance(actions.start_call(by=shi, lead=lead.id, fact_id=ids.new_id()), Refused)


def test_undo_takes_back_an_answer_while_nothing_rests_on_it(cun, as_role):
    lead, fact = only_lead(cun), ids.new_id()
    actions.verify(by=cun, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=fact)
    undone = actions.undo(by=cun, act=fact)
    assert undone.n == 1
    with as_role("superuser") as db:
        assert open_duties(db).keys() == {"leads.verify"}
    assert actions.undo(by=cun, act=fact).repeated
    second = ids.new_id()
    actions.verify(by=cun, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=second)
    actions.sample(by=cun, lead=lead.id, fact_id=ids.new_id())
    assert actions.undo(by=cun, act=second).code == "rests_on_it"


def test_offer_accept_return_and_better_knowledge(cun, as_role):
    with as_role("superuser") as db:
        loop = count(db, "SELECT id FROM loop")
        town = count(db, "SELECT unit FROM post p JOIN officer o ON o.id = p.officer WHERE o.login = 'zhen'")
    zhen = access.post_of("zhen")
    offer = ids.new_id()
    assert actions.offer(by=cun, loops=[loop], to_unit=town, reason="没人手", act=offer).n == 1
    assert actions.offer(by=cun, loops=[loop], to_unit=town, reason="没人手", act=offer).repeated
    assert actions.offer(by=cun, loops=[loop], to_unit=town, reason="没人手", act=ids.new_id()).code == "already_offered"
    assert actions.accept(by=cun, loops=[loop], act=ids.new_id()).code == "not_offered"
    assert actions.decline(by=zhen, loops=[loop], reason="也没人手", act=ids.new_id()).n == 1
    assert actions.give_back(by=cun, loops=[loop], reason="不是我村的", act=ids.new_id()).n == 1
    assert actions.accept(by=zhen, loops=[loop], act=ids.new_id()).n == 1
    with as_role("superuser") as db:
        assert count(db, "SELECT owner FROM loop") == town
        whats = [w for (w,) in db.execute("SELECT what FROM movement ORDER BY id").fetchall()]
    assert whats == ["opened", "offered", "returned", "offered", "accepted"]


def test_late_ones_ask_one_level_higher_and_nothing_else(cun, as_role, acting):
    take_in(
        "b.csv", csv(f"李强,,13800000002,上海市,2022-08-27 10:00,{VILLAGE}4号楼", "赵电话,,13800000003,上海市,2022-08-27 10:00,"), "unit"
    )
    lead = only_lead_named(cun, as_role, "13800000002")
    actions.verify(by=cun, lead=lead, outcome=Found.WILL_NOT_COME, fact_id=ids.new_id())
    from bihuan.loops import tick

    with acting("work"):
        assert tick.tick().n_fired == 0
    advance(acting, timedelta(hours=1))
    with acting("work"):
        done = tick.tick()
        assert (done.n_fired, done.n_facts) == (2, 2)
        assert tick.tick().n_fired == 0
    with as_role("superuser") as db:
        asked = db.execute(
            "SELECT o.name, u.name FROM fired f JOIN unit u ON u.id = f.unit JOIN unit o ON o.id = f.owner ORDER BY o.id"
        ).fetchall()
        assert count(db, "SELECT count(*) FROM loop l WHERE closed_at IS NULL AND due_at < now() + interval '100 years' AND owner = 0") == 0
    assert ("板桥社区居委会", "板桥街道疫情防控办公室") in asked
    assert {owner for owner, _ in asked} == {"板桥社区居委会", "连云港市疫情防控指挥部办公室"}


def only_lead_named(post, as_role, phone: str):
    """The lead of the one person with this phone."""
    from bihuan.identity import keys
    from bihuan.identity.evidence import alias_of

    alias = alias_of(keys.installation(), name="李强", phone=phone)
    with as_role("superuser") as db:
        return db.execute("SELECT id FROM lead WHERE subject = %s", (alias,)).fetchone()[0]


def test_correcting_an_answer_closes_and_opens_what_the_right_one_would(cun, as_role):
    from bihuan.leads.facts import LeadVerified

    lead, fact = only_lead(cun), ids.new_id()
    actions.verify(by=cun, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=fact)
    with as_role("superuser") as db:
        assert open_duties(db).keys() == {"leads.sample"}
        start = db.execute("SELECT assigned_at FROM lead_verified").fetchone()[0]
    right = LeadVerified(lead.key, Found.WILL_NOT_COME, None, "", "", MedicalNeed.NONE, lead.origin_class, start, cun.unit_id, None)
    act = ids.new_id()
    done = actions.correct(by=cun, fact=fact, details=right, reason="听错了", act=act)
    assert len(done.closed) == 1
    with as_role("superuser") as db:
        assert open_duties(db) == {}
        assert db.execute("SELECT outcome, count(*) FROM loop GROUP BY 1 ORDER BY 1").fetchall() == [("met", 2), ("void", 1)]
        assert db.execute("SELECT count(*) FROM fact WHERE corrects = %s", (fact,)).fetchone() == (2,)
    assert verified(as_role) == []


def verified(as_role) -> list:
    from bihuan.loops import verify
    from bihuan.site import setup

    with setup.acting("work"):
        return [gap for gap in verify.verify().gaps if gap.check != "seal_broken"]


def test_withdrawing_one_report_leaves_the_duty_that_the_others_tell_of(cun, as_role):
    take_in("b.csv", csv(ONE), "unit")
    city = access.post_of("shi")
    with as_role("superuser") as db:
        reports = [
            f
            for (f,) in db.execute("SELECT fact FROM lead_reported r JOIN fact f ON f.id = r.fact ORDER BY f.received_at, f.id").fetchall()
        ]
    assert len(reports) == 2
    actions.void(by=city, fact=reports[0], reason="重复", act=ids.new_id())
    with as_role("superuser") as db:
        assert open_duties(db).keys() == {"leads.verify"}
    assert verified(as_role) == []
    actions.void(by=city, fact=reports[1], reason="弄错人", act=ids.new_id())
    with as_role("superuser") as db:
        assert open_duties(db) == {}
    assert verified(as_role) == []


def test_better_knowledge_moves_an_untouched_duty_and_offers_a_touched_one(city, as_role):
    phones = [f"张{name},,1390000000{n},上海市,2022-08-27 10:00,连云港市连云区" for n, name in enumerate(["一", "二"])]
    take_in("a.csv", csv(*phones), "unit")
    shi = access.post_of("shi")
    with as_role("superuser") as db:
        leads = dict(db.execute("SELECT p.name, l.id FROM lead l JOIN person p ON p.subject = l.subject").fetchall())
    actions.start_call(by=shi, lead=leads["张二"], fact_id=ids.new_id())
    take_in("b.csv", csv(*(row + "板桥街道板桥社区居委会7号楼" for row in phones)), "community")
    with as_role("superuser") as db:
        where = {
            name: (owner, offered)
            for name, owner, offered in db.execute(
                "SELECT p.name, o.name, t.name FROM loop l JOIN person p ON p.subject = l.subject JOIN unit o ON o.id = l.owner"
                " LEFT JOIN unit t ON t.id = l.offered_to WHERE l.closed_at IS NULL"
            ).fetchall()
        }
    assert where["张一"] == ("板桥社区居委会", None)
    assert where["张二"] == ("连云区疫情防控指挥部办公室", "板桥社区居委会")
    assert verified(as_role) == []


def test_two_desks_answered_and_one_answer_is_withdrawn(cun, as_role):
    shi, lead = access.post_of("shi"), only_lead(cun)
    one, two = ids.new_id(), ids.new_id()
    actions.verify(by=shi, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=one)
    actions.verify(by=cun, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=two)
    actions.void(by=shi, fact=one, reason="打错人", act=ids.new_id())
    with as_role("superuser") as db:
        assert open_duties(db).keys() == {"leads.sample"}, "the other answer still settles the verification and asks for a sample"
        assert db.execute("SELECT opened_by FROM loop WHERE closed_at IS NULL").fetchone() == (two,)
    assert verified(as_role) == []
    actions.void(by=cun, fact=two, reason="也打错", act=ids.new_id())
    with as_role("superuser") as db:
        assert open_duties(db).keys() == {"leads.verify"}
    assert verified(as_role) == []


def test_a_repeated_answer_derives_nothing_anew(cun, as_role):
    shi, lead = access.post_of("shi"), only_lead(cun)
    answer, tube, result = ids.new_id(), ids.new_id(), ids.new_id()
    for _ in range(2):
        done = actions.verify(by=shi, lead=lead.id, outcome=Found.HERE, here_since=date(2022, 8, 27), fact_id=answer)
    assert (done.repeated, done.conflict) == (True, False)
    for _ in range(2):
        done = actions.sample(by=cun, lead=lead.id, fact_id=tube)
    assert (done.repeated, done.conflict) == (True, False)
    for _ in range(2):
        done = actions.record_result(by=shi, lead=lead.id, result=Result.NEGATIVE, fact_id=result)
    assert (done.repeated, done.conflict) == (True, False)
    with as_role("superuser") as db:
        assert count(db, "SELECT count(*) FROM conflict") == 0
