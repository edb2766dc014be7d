"""Two officers change the rules: one proposes, another signs; both are shown what it changes and whom it touches."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, timedelta
from html import unescape

import psycopg
import pytest
from django.test import Client
from psycopg.types.range import DateRange
from tests.morning import take_in

from bihuan.access import queries as access
from bihuan.access import scope
from bihuan.access.models import Post, SignIn
from bihuan.access.permissions import Role
from bihuan.access.sessions import KEY
from bihuan.boards import touched
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.loops.declare import kinds
from bihuan.policy import actions, installation, preview, queries
from bihuan.policy import pack as packs
from bihuan.policy.models import Adoption, Event, Proposal
from bihuan.regions.models import Region

TWENTY = {"pack": "covid19/cn_20", "version": "2022-11-11", "from_on": date(2022, 11, 11)}
NINTH = {"pack": "covid19/cn_9", "version": "2022-06-28", "from_on": date(2022, 9, 1)}
SHANXI = {"pack": "overlays/shanxi/arrivals", "version": "2022-08-20", "from_on": date(2022, 9, 1)}
HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"


def _city() -> int:
    return Event.objects.get(pk=1).region_id


def _propose(login: str = "console", region: int | None = None, **more):
    given = {"event": 1, "region": region or _city(), "basis": "文号", "act": ids.new_id()} | TWENTY | more
    return actions.propose(by=access.post_of(login), **given)


def _approve(login: str, proposal: int):
    return actions.approve(by=access.post_of(login), proposal=proposal)


def test_nothing_is_in_force_until_another_officer_signs(city) -> None:
    row = _propose()
    assert (row.before, row.after) == ("covid19/cn_9@2022-06-28", "covid19/cn_20@2022-11-11")  # the overlay ends the day before
    assert Adoption.objects.count() == 2
    assert _approve("console", row.id).code == "adoption_needs_second_signer"
    done = _approve("shi", row.id)
    assert done.outcome == Proposal.Outcome.APPROVED
    adopted = Adoption.objects.get(pk=done.adoption_id)
    assert (adopted.by, adopted.approved_by) == (access.post_of("console").id, access.post_of("shi").id)
    assert packs.in_force(1, 320700000000000, date(2022, 11, 11)).key == "covid19/cn_20@2022-11-11"
    assert _approve("shi", row.id).adoption_id == done.adoption_id  # again: the same answer
    assert Adoption.objects.count() == 3
    assert actions.refuse(by=access.post_of("shi"), proposal=row.id, note="晚了").code == "proposal_decided"


def test_one_person_in_two_posts_is_one_signer(city, acting) -> None:
    row = _propose()
    first = access.post_of("console")
    with acting("work"):
        other = Post.objects.create(officer=first.officer, unit=first.unit, role=Role.CITY_DESK, valid=DateRange(date(2022, 8, 20), None))
    assert actions.approve(by=other, proposal=row.id).code == "adoption_needs_second_signer"


def test_the_database_refuses_a_proposal_that_its_proposer_approved(city, as_role) -> None:
    row = _propose()
    change = (
        "UPDATE adoption_proposal SET outcome = 'approved', decided_by = 1, decided_officer = by_officer, decided_at = proposed_at,"
        " adoption_id = 1 WHERE id = %s"
    )
    with as_role("app") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(change, [row.id])
    with pytest.raises(psycopg.errors.CheckViolation), as_role("superuser") as connection:
        connection.execute(change, [row.id])
    with as_role("app") as connection:
        connection.execute("SET LOCAL ROLE bihuan_engine")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE adoption SET approved_by = 1")


CANNOT = [
    ({"basis": " "}, "adoption_without_basis"),
    ({"from_on": date(2022, 8, 27), "pack": "covid19/cn_9", "version": "2022-06-28"}, "adoption_in_the_past"),
    ({"from_on": date(2022, 9, 1)}, "pack_not_in_force"),
    ({"pack": "measles/cn_2024", "version": "2024", "from_on": date(2025, 1, 1)}, "pack_of_another_disease"),
    ({"pack": "overlays/sichuan/chengdu/arrivals", "version": "2022-11", "from_on": date(2022, 12, 1)}, "overlay_without_base"),
    ({"pack": "covid19/cn_7"}, "pack_unknown"),
]


def test_what_cannot_be_adopted_is_not_proposed(city) -> None:
    for given, code in CANNOT:
        refused = _propose(**given)
        assert isinstance(refused, Refused), given
        assert refused.code == code
    assert Proposal.objects.count() == 0


def test_only_whoever_may_adopt_there_proposes_or_signs(city) -> None:
    assert _propose("xian").code == "not_permitted"
    row = _propose()
    assert _approve("xian", row.id).code == "not_permitted"
    assert _approve("shi", 999).code == "proposal_unknown"
    assert _propose().code == "proposal_waits"


def test_sent_twice_is_proposed_once(city) -> None:
    act = ids.new_id()
    assert _propose(act=act).id == _propose(act=act).id


def test_nobody_signs_what_was_not_shown(city, monkeypatch) -> None:
    late, stale, changed = _propose(**SHANXI), _propose(**NINTH), _propose()
    assert _approve("shi", late.id).outcome == "approved"
    assert _approve("shi", stale.id).code == "proposal_stale"  # Shanxi's rules lie upon it now
    with monkeypatch.context() as patched:
        patched.setattr(packs, "digest_of", lambda *_: b"another")
        assert _approve("shi", changed.id).code == "pack_changed"
    assert actions.refuse(by=access.post_of("shi"), proposal=changed.id, note=" ").code == "note_missing"
    assert actions.refuse(by=access.post_of("shi"), proposal=changed.id, note="先不换").outcome == "refused"
    assert actions.refuse(by=access.post_of("console"), proposal=stale.id, note="写错了").outcome == "withdrawn"
    assert packs.in_force(1, 320700000000000, date(2022, 9, 1)).key.endswith("+shanxi@2022-08-20+huaian138@2022")


def test_a_day_that_has_passed_is_not_signed(city, acting) -> None:
    row = _propose()
    with acting("work"):
        installation.advance(timedelta(days=80))
    assert _approve("shi", row.id).code == "adoption_in_the_past"


# --- rolling back -------------------------------------------------------------------------------------------------


def _end(adoption: int, on: date, login: str = "console", **more):
    return actions.propose_end(by=access.post_of(login), adoption=adoption, on=on, **({"basis": "文号", "act": ids.new_id()} | more))


def _key(on: date, scope_code: int = 320700000000000) -> str:
    queries.forget()
    return packs.in_force(1, scope_code, on).key


BEFORE = "covid19/cn_9@2022-06-28+huaian138@2022"


def test_an_announced_change_is_withdrawn_by_two_and_what_it_ended_goes_on(city) -> None:
    announced = _approve("shi", _propose().id)
    later = _approve("shi", _propose(version="2022-11-21", from_on=date(2022, 11, 21)).id)
    assert _key(date(2022, 11, 11)) == "covid19/cn_20@2022-11-11"
    row = _end(announced.adoption_id, date(2022, 11, 11))
    assert (row.before, row.after, row.adoption_id) == ("covid19/cn_20@2022-11-11", "covid19/cn_9@2022-06-28", None)
    assert _end(announced.adoption_id, date(2022, 11, 11)).code == "proposal_waits"
    assert _approve("console", row.id).code == "adoption_needs_second_signer"
    assert _key(date(2022, 11, 11)) == "covid19/cn_20@2022-11-11"  # nothing yet
    assert _approve("shi", row.id).outcome == "approved"
    assert _approve("shi", row.id).outcome == "approved"  # again: the same answer
    assert [_key(date(2022, 11, day)) for day in (10, 11, 20, 21)] == [
        BEFORE, "covid19/cn_9@2022-06-28", "covid19/cn_9@2022-06-28", "covid19/cn_20@2022-11-21",
    ]  # fmt: skip
    last = _end(later.adoption_id, date(2022, 11, 21))
    assert _approve("shi", last.id).outcome == "approved"
    assert Adoption.objects.get(pack="covid19/cn_9").to_on is None
    again = _propose()  # the day is free again
    assert _approve("shi", again.id).outcome == "approved"
    assert _key(date(2022, 11, 21)) == "covid19/cn_20@2022-11-11"


def test_an_overlay_ends_from_tomorrow_and_the_day_is_finished_by_it(city) -> None:
    overlay = Adoption.objects.get(overlay=True).id
    assert _end(overlay, date(2022, 8, 28)).code == "adoption_begun"
    row = _end(overlay, date(2022, 8, 29))
    assert row.stricter == []
    assert _approve("shi", row.id).outcome == "approved"
    assert [_key(date(2022, 8, day)) for day in (28, 29)] == [BEFORE, "covid19/cn_9@2022-06-28"]
    assert _end(overlay, date(2022, 8, 30)).code == "adoption_over"


def test_an_overlay_withdrawn_gives_back_the_version_that_it_replaced_but_not_one_that_two_had_ended(city) -> None:
    old = Adoption.objects.get(overlay=True)
    same = {"pack": old.pack, "version": old.version}
    new = _approve("shi", _propose(**same, from_on=date(2022, 9, 10)).id)
    old.refresh_from_db()
    assert old.to_on == date(2022, 9, 10)
    assert _approve("shi", _end(new.adoption_id, date(2022, 9, 10)).id).outcome == "approved"
    assert _key(date(2022, 9, 12)) == BEFORE
    assert _approve("shi", _end(old.id, date(2022, 9, 15)).id).outcome == "approved"
    third = _approve("shi", _propose(**same, from_on=date(2022, 9, 15)).id)
    assert _key(date(2022, 9, 15)) == BEFORE
    assert _approve("shi", _end(third.adoption_id, date(2022, 9, 15)).id).outcome == "approved"
    assert _key(date(2022, 9, 15)) == "covid19/cn_9@2022-06-28"


def test_what_cannot_end_is_not_proposed(city) -> None:
    base = Adoption.objects.get(overlay=False).id
    announced = _approve("shi", _propose().id).adoption_id
    for adoption, on, more, code in (
        (base, date(2022, 8, 29), {}, "adoption_leaves_nothing"),
        (base, date(2022, 8, 29), {"basis": " "}, "adoption_without_basis"),
        (base, date(2022, 8, 29), {"login": "xian"}, "not_permitted"),
        (base, date(2022, 11, 11), {}, "adoption_over"),
        (announced, date(2022, 11, 12), {}, "adoption_not_begun"),
        (999, date(2022, 8, 29), {}, "adoption_unknown"),
    ):
        assert _end(adoption, on, **more).code == code
    assert Proposal.objects.filter(ends__isnull=False).count() == 0


def test_the_end_of_a_countys_own_rules_gives_it_the_citys(city) -> None:
    county = Region.objects.get(division_code=320723000000).id
    own = _approve("shi", _propose(region=county, **(NINTH | {"from_on": date(2022, 8, 28)})).id)
    assert _approve("shi", _propose().id).outcome == "approved"
    there = 320723000000000
    assert _key(date(2022, 11, 11), there) == "covid19/cn_9@2022-06-28"
    row = _end(own.adoption_id, date(2022, 11, 11))
    assert _approve("shi", row.id).outcome == "approved"
    assert _key(date(2022, 11, 10), there) == BEFORE
    assert _key(date(2022, 11, 11), there) == "covid19/cn_20@2022-11-11"


def test_the_demonstration_starts_again_after_its_rules_were_changed(city, acting) -> None:
    from bihuan.site import demo

    assert _approve("shi", _propose().id).outcome == "approved"
    assert _approve("shi", _end(Adoption.objects.get(overlay=True).id, date(2022, 8, 29)).id).outcome == "approved"
    before = list(Adoption.objects.order_by("id").values())
    with acting("work"):
        demo.seed()
    assert list(Adoption.objects.order_by("id").values()) == before


def test_two_versions_cannot_be_adopted_for_one_day(city) -> None:
    assert _approve("shi", _propose().id).outcome == "approved"
    refused = _propose(**(NINTH | {"from_on": date(2022, 9, 5)}))
    assert refused.code == "adoption_overlaps"  # said before anybody signs, with the day and the way out
    assert "2022-11-11" in refused.zh
    assert "撤回" in refused.zh


def test_rules_changed_in_between_make_the_end_of_an_adoption_stale(city) -> None:
    row = _end(Adoption.objects.get(overlay=True).id, date(2022, 9, 1))
    assert _approve("shi", _propose(**(SHANXI | {"from_on": date(2022, 8, 29)})).id).outcome == "approved"
    assert _approve("shi", row.id).code == "proposal_stale"
    assert actions.refuse(by=access.post_of("shi"), proposal=row.id, note="先不停").outcome == "refused"


def test_a_duty_keeps_the_pack_that_opened_it_and_the_next_one_has_the_new(people, acting) -> None:
    """The change of 2022-11-11: the day before it by the old rules, that morning by the new; what is open does not move."""
    from bihuan.leads import actions as leads
    from bihuan.leads.facts import Found, MedicalNeed

    ask = "SELECT id, due_at, pack FROM loop WHERE opened_at < %s ORDER BY id"
    of = "SELECT {} FROM loop l JOIN person p ON p.subject = l.subject JOIN lead le ON le.subject = p.subject AND le.key = l.key WHERE {}"
    change = datetime(2022, 11, 11, tzinfo=clock.SHANGHAI)
    assert _approve("shi", _propose().id).outcome == "approved"

    def arrives(name: str, at: datetime, phone: str) -> None:
        with acting("work"):
            installation.advance(at - clock.now())
        queries.forget()
        row = f"{name},,{phone},上海市,{at:%Y-%m-%d} 08:00,连云港市连云区板桥街道板桥社区居委会1号楼\n"
        take_in("list.csv", (HEAD + row).encode(), "community")

    arrives("钱一", change - timedelta(hours=14), "13900000001")
    with psycopg.connect(_dsn()) as db:
        before = db.execute(ask, [change]).fetchall()
    arrives("孙二", change + timedelta(hours=9), "13900000002")
    with psycopg.connect(_dsn()) as db:
        assert db.execute(ask, [change]).fetchall() == before
        rows = db.execute(of.format("p.name, l.pack, le.id", "p.name IN ('钱一', '孙二')")).fetchall()
    assert {name: pack for name, pack, _ in rows} == {"钱一": BEFORE, "孙二": "covid19/cn_20@2022-11-11"}
    done = leads.verify(
        by=access.post_of("shi"), lead=next(lead for name, _, lead in rows if name == "钱一"), outcome=Found.HERE,
        here_since=date(2022, 11, 10), medical_need=MedicalNeed.NONE, fact_id=ids.new_id(),
    )  # fmt: skip
    assert not isinstance(done, Refused), done
    with psycopg.connect(_dsn()) as db:
        opened = db.execute(of.format("l.pack", "p.name = '钱一' AND l.kind = 'leads.sample'")).fetchone()
        assert db.execute("SELECT l.id, l.due_at FROM loop l WHERE l.closed_at IS NULL AND opened_at < %s", [change]).fetchall()
    assert opened == ("covid19/cn_20@2022-11-11",)  # the next duty about him is opened after the change, by the new rules


# --- whom it touches ----------------------------------------------------------------------------------------------


@pytest.fixture
def people(city):
    """Nine people in two counties; some are at home and wait for a sample."""
    from bihuan.leads import actions as leads
    from bihuan.leads.facts import Found, MedicalNeed

    places = ("连云港市连云区板桥街道板桥社区居委会{n}号楼", "连云港市灌云县杨集镇镇东村委会{n}号楼")
    text = HEAD + "".join(f"赵小{n},,138{n:08d},上海市,2022-08-27 10:00,{places[n % 3 == 0].format(n=n)}\n" for n in range(1, 10))
    take_in("a.csv", text.encode(), "community")
    with psycopg.connect(_dsn()) as db:
        found = [row[0] for row in db.execute("SELECT id FROM lead ORDER BY id LIMIT 3").fetchall()]
        db.execute("UPDATE lead SET origin_class = 'high' WHERE id = %s", (found[0],))
    desk = access.post_of("shi")
    for lead in found:
        done = leads.verify(
            by=desk, lead=lead, outcome=Found.HERE, here_since=date(2022, 8, 27), medical_need=MedicalNeed.NONE, fact_id=ids.new_id()
        )
        assert not isinstance(done, Refused), done


def _dsn() -> str:
    from django.db import connection

    from bihuan.site import roles

    return roles.dsn("superuser", connection.settings_dict["NAME"])


def _counted(region: int, pack: str, version: str, on: date, login: str = "shi") -> tuple[list, dict]:
    """The preview's rows and its list, as the desk sees them."""
    from django.db import transaction

    from bihuan.boards.queries import rows

    with scope.acting(scope.of(access.post_of(login), read_only=True)), transaction.atomic():
        cells = preview.cells(event=1, region=region, pack=pack, version=version, on=on)
        where, given = touched.condition(1, cells)
        return preview.touched(1, cells), {row["id"] for row in rows(f"SELECT l.id FROM loop l WHERE {where}", given)}


def _oracle(region: int, pack: str, version: str, on: date) -> Counter:
    """The same, one duty after the other: the pack at its place without and with the adoption, and what the two say of it."""
    from bihuan.regions.queries import scope_range

    lo, hi = scope_range(region, on)
    queries.forget()
    before = queries.plan(1, on)
    found: Counter = Counter()
    with psycopg.connect(_dsn()) as db:
        for kind, subject, key, at in db.execute("SELECT kind, subject, key, scope FROM loop WHERE closed_at IS NULL").fetchall():
            if not lo <= at < hi:
                continue
            lead = db.execute(
                "SELECT le.origin_class FROM cluster c JOIN cluster m ON m.root = c.root JOIN lead le ON le.subject = m.subject"
                " WHERE c.subject = %s AND le.key = %s AND le.merged_into IS NULL", (subject, key),
            ).fetchone()  # fmt: skip
            overlay = packs.is_overlay(pack)
            rows = [
                r for r in before.adopted if not (r.overlay == overlay and (r.lo, r.hi) == (lo, hi) and (not overlay or r.pack == pack))
            ]
            wide = sorted([*rows, queries.Adopted(0, pack, version, overlay, lo, hi)], key=lambda r: r.lo - r.hi)
            old, new = before.pack_for(at), queries.Plan(1, on, tuple(wide)).pack_for(at)
            says = touched.effect(kinds()[kind], lead[0] if lead else "", old, new) if old.key != new.key else ""
            if says:
                found[kind, lead[0] if lead else "", says] += 1
    return found


CHANGES = [
    ("covid19/cn_20", "2022-11-11", date(2022, 11, 11)),
    ("covid19/cn_9", "2022-06-28", date(2022, 11, 1)),
    ("overlays/shanxi/arrivals", "2022-08-20", date(2022, 9, 1)),
    ("covid19/cn_class_b", "2023-01-08", date(2023, 1, 8)),
]


def test_the_preview_counts_what_an_oracle_counts(people) -> None:
    for change in CHANGES:
        for region in (_city(), Region.objects.get(division_code=320723000000).id):
            shown, listed = _counted(region, *change)
            assert {(row.kind, row.origin_class, row.effect): row.n_duties for row in shown} == dict(_oracle(region, *change)), change
            assert len(listed) == sum(row.n_duties for row in shown)
        shown, _ = _counted(_city(), *change)
        assert bool(shown) == (change[0] != "covid19/cn_9"), change  # the same pack again touches nobody


def test_a_county_with_rules_of_its_own_is_not_touched_by_its_city(people) -> None:
    county = Region.objects.get(division_code=320723000000).id
    own = _propose(region=county, **(NINTH | {"from_on": date(2022, 9, 2)}))
    assert _approve("shi", own.id).outcome == "approved"
    on = date(2022, 11, 11)
    shown, _ = _counted(_city(), "covid19/cn_20", "2022-11-11", on)
    assert {(row.kind, row.origin_class, row.effect): row.n_duties for row in shown} == dict(
        _oracle(_city(), "covid19/cn_20", "2022-11-11", on)
    )
    with psycopg.connect(_dsn()) as db:
        everywhere = db.execute("SELECT count(*) FROM loop WHERE closed_at IS NULL AND kind LIKE 'leads.%'").fetchone()[0]
    assert 0 < sum(row.n_duties for row in shown) < everywhere


def test_deadlines_that_are_set_do_not_move(people) -> None:
    ask = "SELECT id, due_at, pack, closed_at FROM loop ORDER BY id"
    with psycopg.connect(_dsn()) as db:
        before = db.execute(ask).fetchall()
        row = _propose(**(SHANXI | {"from_on": date(2022, 8, 28)}))
        assert _approve("shi", row.id).outcome == "approved"
        assert db.execute(ask).fetchall() == before


# --- pages --------------------------------------------------------------------------------------------------------


def _client(login: str, language: str = "zh-hans", fresh: bool = True) -> Client:
    post = access.post_of(login)
    made = Client(headers={"host": "localhost", "accept-language": language})
    made.force_login(post.officer)
    session = made.session
    session["post"] = post.id
    session.save()
    if fresh:
        SignIn.objects.filter(id=session[KEY]).update(second_at=clock.real_now())
    return made


def _page(made: Client, url: str, status: int = 200) -> str:
    answer = made.get(url)
    assert answer.status_code == status, (url, answer.status_code, answer.content.decode()[:800])
    return unescape(answer.content.decode())


def test_two_officers_change_the_rules_each_in_a_session_of_his_own(people) -> None:
    console, shi = _client("console"), _client("shi")
    given = {"pack": "covid19/cn_20@2022-11-11", "from_on": "2022-11-11", "basis": "综发〔2022〕101号"}
    shown = console.get("/rules/adopt", given)
    text = unescape(shown.content.decode())
    assert "已经派下去的事项，时限不变" in text
    assert "密切接触者·天数" in text
    act = re.search(r'name="act" value="([^"]+)"', text)[1]
    done = console.post("/rules/adopt", given | {"act": act})
    assert (done.status_code, done.headers["Location"]) == (302, "/rules/proposals/1")
    again = console.post("/rules/adopt", given | {"act": act})
    assert again.headers["Location"] == "/rules/proposals/1"

    own = _page(console, "/rules/proposals/1")
    assert "提出的人不能自己批准" in own
    assert "/approve" not in own
    assert console.post("/rules/proposals/1/approve").status_code == 409
    assert "等人批准" in _page(shi, "/rules")
    theirs = _page(shi, "/rules/proposals/1")
    duties = int(re.search(r"看这 (\d+) 件的名单", theirs)[1])
    listed = _page(shi, "/rules/proposals/1/touched")
    assert re.search(rf'<span class="number">{duties}</span>', listed)
    assert "赵小1" not in listed  # names are masked

    not_fresh = _client("shi", fresh=False).post("/rules/proposals/1/approve")
    assert not_fresh.headers["Location"].startswith("/second-factor")
    assert Proposal.objects.get().outcome is None
    assert shi.post("/rules/proposals/1/approve").status_code == 302
    assert "已批准" in _page(console, "/rules/proposals/1")
    rules = _page(console, "/rules")
    assert "进一步优化防控工作的二十条措施" in rules  # announced
    assert "第九版" in rules  # in force today


def test_two_officers_take_a_change_back_each_in_a_session_of_his_own(people) -> None:
    adopted = _approve("shi", _propose().id).adoption_id
    overlay = Adoption.objects.get(overlay=True).id
    console, shi = _client("console"), _client("shi")
    rules = _page(console, "/rules")
    url = f"/rules/adoptions/{adopted}/end"
    assert url in rules  # what is announced can be withdrawn
    assert f"/rules/adoptions/{overlay}/end" in rules  # an overlay can end
    assert f"/rules/adoptions/{Adoption.objects.get(pack='covid19/cn_9').id}/end" not in rules  # another base takes over instead
    assert "/end" not in _page(_client("xian"), "/rules")
    given = {"basis": "综发〔2022〕102号"}
    text = unescape(console.get(url, given).content.decode())
    assert "二十条" in text
    assert "对这些人的要求变了" in text  # whom it touches, before anybody signs
    act = re.search(r'name="act" value="([^"]+)"', text)[1]
    form = given | {"act": act, "from_on": "2022-11-11"}
    assert console.post(url, form).headers["Location"] == "/rules/proposals/2"
    assert console.post(url, form).headers["Location"] == "/rules/proposals/2"
    assert "起不再执行" in _page(shi, "/rules")
    assert console.post("/rules/proposals/2/approve").status_code == 409
    theirs = _page(shi, "/rules/proposals/2")
    assert "自哪天零时起不再执行" in theirs
    duties = int(re.search(r"看这 (\d+) 件的名单", theirs)[1])
    assert re.search(rf'<span class="number">{duties}</span>', _page(shi, "/rules/proposals/2/touched"))
    assert _client("shi", fresh=False).post("/rules/proposals/2/approve").headers["Location"].startswith("/second-factor")
    assert shi.post("/rules/proposals/2/approve").status_code == 302
    after = _page(console, "/rules")
    assert url not in after


def test_what_is_wrong_with_an_end_is_said_at_the_field(people) -> None:
    console, url = _client("console"), f"/rules/adoptions/{Adoption.objects.get(overlay=True).id}/end"
    for given, code in (
        ({"from_on": "9月1日", "basis": "文号"}, "date_unreadable"),
        ({"from_on": "2022-08-28", "basis": "文号"}, "adoption_begun"),
    ):
        answer = console.get(url, given)
        assert answer.status_code == 409, given
        assert code in answer.content.decode()
    assert console.get("/rules/adoptions/999/end").status_code == 404
    assert _client("xian").get(url).status_code == 403
    english = _page(_client("shi", "en"), f"{url}?basis=x")
    own = [word for word in ("不再执行", "预览会影响谁", "会改变什么", "依据") if word in english.split("<main")[1].split("</main>")[0]]
    assert own == []


def test_a_bad_day_or_no_basis_is_said_at_the_field(people) -> None:
    console = _client("console")
    for given, code in (
        ({"pack": "covid19/cn_20@2022-11-11", "from_on": "11月11日", "basis": "文号"}, "date_unreadable"),
        ({"pack": "covid19/cn_20@2022-11-11", "from_on": "2022-11-11", "basis": ""}, "adoption_without_basis"),
    ):
        answer = console.get("/rules/adopt", given)
        assert answer.status_code == 409
        assert code in answer.content.decode()


def test_everybody_reads_the_rules_of_the_place(city) -> None:
    for login in ("cun", "zhen", "xian", "baosong", "shenji", "shi"):
        text = _page(_client(login), "/rules")
        assert "淮安大数据核查“138”机制" in text
        assert "1 小时" in text
        assert ("采用或更换" in text) == (login == "shi")


def test_rules_in_english(city) -> None:
    text = _page(_client("shi", "en"), "/rules")
    assert "COVID-19 prevention and control protocol, ninth edition" in text
    assert "time to verify" in text
    page = text.split("<main")[1].split("</main>")[0]
    own = [word for word in ("性质", "出处", "今天执行", "自哪天起", "限制性措施", "采用依据") if f">{word}<" in page]
    assert own == []


def test_another_disease_has_rules_of_its_own(city, acting) -> None:
    with acting("work"):
        installation.advance(timedelta(days=1200))
        event = actions.open_event(
            disease="chikungunya",
            region=_city(),
            name="基孔肯雅热疫情",
            opened_on=clock.today(),
            legal_basis="演示",
            retention=timedelta(days=90),
        )
    given = {"event": event.id, "pack": "chikungunya/cn_2025", "version": "2025", "from_on": clock.today()}
    row = _propose(**given)
    assert not isinstance(row, Refused), row
    assert _approve("shi", row.id).outcome == "approved"
    shi = _client("shi")
    assert "第九版" in _page(shi, "/rules")  # the older event, until another is chosen
    assert shi.post("/rules/event", {"event": event.id, "next": "/rules"}).status_code == 302
    text = _page(shi, "/rules")
    assert "基孔肯雅热防控技术指南" in text
    assert "防蚊隔离" in text
    assert "基孔肯雅热疫情" in _page(shi, "/overview")  # the frame and the figures are about it too


def test_a_file_changed_after_its_adoption_is_shown(city, monkeypatch) -> None:
    assert "方案文件被改过" not in _page(_client("shi"), "/rules/packs")
    monkeypatch.setattr(queries, "changed_since_adoption", lambda: [(1, "covid19/cn_9@2022-06-28")])
    assert "方案文件被改过" in _page(_client("shi"), "/rules/packs")


def test_two_packs_beside_each_other(city) -> None:
    text = _page(_client("cun"), "/rules/diff?a=covid19/cn_9@2022-06-28&b=covid19/cn_20@2022-11-11")
    assert "密接的密接·性质" in text
    assert "限制性措施" in text
    assert _client("cun").get("/rules/diff?a=covid19/cn_9@2022-06-28&b=nothing").status_code == 409
