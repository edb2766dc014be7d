"""Two places that must know nothing of each other, each with officers of every role, people in every state, a list.

`World.here` is 板桥街道 in 连云区, `World.there` 杨集镇 in 灌云县. A thing is named as in routes.toml: `lead` and its
states, `loop`, `offered`, `file`, `person`, `done`, `verified`, `conflict`, `desk`, `township`, `village`, `officer`, `post`, `upload`, `list`, `plan`, `support`,
`worker`, `turn` (a post of one), `device`, `entry` (that came to a shut door), `adoption`, `proposal`, `region`.
"""

# ruff: noqa: E501  a statement reads better unbroken

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.test import Client
from psycopg.types.range import DateRange
from tests.signed_in import signed_in

from bihuan.access import actions as accounts
from bihuan.access import queries as access
from bihuan.access.models import Device, Officer, Post, SignIn
from bihuan.access.permissions import Role
from bihuan.intake import actions as intake
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import actions, bulk, duty_lists, queries, support
from bihuan.leads.facts import Found, MedicalNeed
from bihuan.policy import actions as policy
from bihuan.site import actions as site
from bihuan.site import roles, setup

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
PEOPLE = 40  # a place; each address of routes.toml takes some of them
SURNAMES, LASTS = "赵钱孙李周吴郑王冯陈", "一二三四五六七八九十"
# Where a role sits: (kind of unit, which region of a place).
SEATS = {Role.VILLAGE_WORKER: ("village", "village"), Role.TOWNSHIP_DESK: ("desk", "township")}
ORDER = (Role.VILLAGE_WORKER, Role.TOWNSHIP_DESK, Role.COUNTY_DESK, Role.CITY_DESK, Role.LIST_SENDER, Role.AUDITOR)


@dataclass
class Place:
    """One side. `secrets`: texts that nobody of the other side may read in any answer."""

    name: str
    regions: dict[str, int]  # village, township, county: division codes
    address: str
    phone: str
    evil: str = ""  # what a stranger adds to every text that may be written
    logins: dict[Role, str] = field(default_factory=dict)
    things: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    secrets: set[str] = field(default_factory=set)


@dataclass
class World:
    here: Place
    there: Place
    n: itertools.count = field(default_factory=itertools.count)

    def take(self, place: Place, thing: str) -> Any:
        """A thing of a place that no other address uses up."""
        if thing == "upload":
            return (HEAD + _row(place, 60 + next(self.n))).encode()
        found = place.things[thing]
        if not found:
            raise LookupError(f"tests/attacks/world.py has no more of {thing!r}; it knows {sorted(place.things)}")
        return found.pop(0) if len(found) > 1 else found[0]


def dsn() -> str:
    from django.db import connection

    return roles.dsn("superuser", connection.settings_dict["NAME"])


def client(login: str, language: str = "zh-hans") -> Client:
    """Somebody who has signed in, in the first post, with a fresh second factor: what is refused is refused all the same."""
    return signed_in(login, language, raise_request_exception=False)


def _row(place: Place, n: int) -> str:
    name = f"{SURNAMES[n % 10]}小{LASTS[n // 10 % 10]}"
    return f"{name},,{place.phone}{n:06d},上海市,2022-08-27 10:00,{place.address}{n}号楼{place.evil}\n"


def make(evil: str = "") -> World:
    """Built on the demonstration's city, by the doors that officers use. `evil` is added to texts that strangers write."""
    world = World(
        Place(
            "板桥",
            {"village": 320703005001, "township": 320703005000, "county": 320703000000},
            "连云港市连云区板桥街道板桥社区居委会",
            "13811",
        ),
        Place("杨集", {"village": 0, "township": 0, "county": 320723000000}, "连云港市灌云县杨集镇镇东村委会", "13922"),
    )
    world.here.evil = evil
    with psycopg.connect(dsn()) as db:
        village, township = db.execute(
            "SELECT v.division_code, t.division_code FROM region v JOIN region t ON t.id = v.parent_id"
            " WHERE t.name = '杨集镇' AND v.name LIKE '镇东%' AND t.division_code / 1000000 = 320723"
        ).fetchone()
        world.there.regions |= {"village": village, "township": township}
        for place in (world.here, world.there):
            _officers(db, place)
    for place in (world.here, world.there):
        _workers(place)
        _people(place)
        _proposals(place)
        _entries(place)
    return world


def _entries(place: Place) -> None:
    """Answers that came after their sign-in had ended, and wait."""
    with psycopg.connect(dsn()) as db:
        before = db.execute("SELECT coalesce(max(id), 0) FROM late_entry").fetchone()[0]
    for lead in place.things["verify"][-4:]:
        worker = client(place.logins[Role.VILLAGE_WORKER])
        SignIn.objects.filter(id=worker.session["sign_in"]).update(ended_at=clock.real_now(), ended_why="device_revoked")
        answer = worker.post(f"/leads/{lead}/act", {"fact_id": str(ids.new_id()), "outcome": "will_not_come"})
        assert answer.status_code == 302, answer.status_code
    with psycopg.connect(dsn()) as db:
        place.things["entry"] = [n for (n,) in db.execute("SELECT id FROM late_entry WHERE id > %s ORDER BY id", (before,)).fetchall()]
    assert len(place.things["entry"]) == 4


def _proposals(place: Place) -> None:
    """In the place's county: announced rules that can be withdrawn, and changes that wait for a second signature, one for each day."""
    desk = access.post_of(place.logins[Role.CITY_DESK])
    with setup.acting("work"):
        for n in range(4):
            row = policy.adopt(
                event=1, region=desk.unit.region_id, pack="covid19/cn_9", version="2022-06-28", from_on=date(2022, 9, 1 + n), basis="文号",
                by=desk.id,
            )  # fmt: skip
            place.things["adoption"].append(row.id)
    for n in range(6):
        row = policy.propose(
            by=desk, event=1, region=desk.unit.region_id, pack="covid19/cn_20", version="2022-11-11",
            from_on=date(2022, 11, 11) + timedelta(days=n), basis="文号", act=ids.new_id(),
        )  # fmt: skip
        place.things["proposal"].append(_done(row).id)
    place.things["region"] = [access.post_of(place.logins[Role.VILLAGE_WORKER]).unit.region_id]


def _unit(db: psycopg.Connection, kind: str, division: int) -> int:
    return db.execute(
        "SELECT u.id FROM unit u JOIN region r ON r.id = u.region_id WHERE r.division_code = %s AND u.kind = %s ORDER BY u.id LIMIT 1",
        (division, kind),
    ).fetchone()[0]


def _officers(db: psycopg.Connection, place: Place) -> None:
    """Every role sits in each place, also those that a city has once: so each has an elsewhere."""
    with setup.acting("work"):
        for role in Role:
            kind, level = SEATS.get(role, ("desk", "county"))
            login = f"{role.value}-{'here' if place.name == '板桥' else 'there'}"
            officer = Officer.objects.create(login=login, name=f"{place.name}{role.label}", password="!")
            unit = _unit(db, kind, place.regions[level])
            post = Post.objects.create(officer=officer, unit_id=unit, role=role, valid=DateRange(date(2022, 8, 20), None))
            place.logins[role] = login
            if role == Role.VILLAGE_WORKER:
                place.things["officer"], place.things["post"], place.things["village"] = [officer.id], [post.id], [unit]
            elif role in (Role.COUNTY_DESK, Role.TOWNSHIP_DESK):
                place.things["desk" if role == Role.COUNTY_DESK else "township"] = [unit]


def _workers(place: Place) -> None:
    """People on the roster, each with a trusted telephone, whose turns may end."""
    township, at = access.post_of(place.logins[Role.TOWNSHIP_DESK]), clock.real_now()
    for n in range(16):
        phone = f"1{len(place.name)}{place.phone[2]}{n:08d}"
        made = _done(accounts.enter_worker(by=township, name=f"{place.name}帮手{n}", phone=phone, unit=place.things["village"][0]))
        place.things["worker"].append(made.officer)
        place.things["turn"].append(made.post)
        device = Device.objects.create(
            id=ids.new_id(), officer_id=made.officer, key_hash=b"x", pin="x", name="手机", made_at=at, seen_at=at, until=at.replace(year=2099),
        )  # fmt: skip
        place.things["device"].append(device.id)
        place.secrets.add(phone)


def _done(answer: Any) -> Any:
    if isinstance(answer, Refused):
        raise AssertionError(str(answer))
    return answer


def _people(place: Place) -> None:
    """A list of people, then some of them through each state, by the village, the township and the county of the place."""
    post = {role: access.post_of(login) for role, login in place.logins.items()}
    county, village = post[Role.COUNTY_DESK], post[Role.VILLAGE_WORKER]
    rejected = f"王小明,32072319900101123X,{place.phone}999999,上海市,昨天,{place.address}\n"
    text = HEAD + "".join(_row(place, n) for n in range(PEOPLE)) + rejected
    stored = _done(
        intake.store(
            by=county,
            event=1,
            kind="leads",
            source="community",
            name=f"{place.name}八月表{place.evil}.csv",
            data=text.encode(),
            act=ids.new_id(),
        )
    )
    file = intake.process(stored.file, by=county)
    assert file.state == "done", file.refusal
    place.things["file"] = [file.id]
    with psycopg.connect(dsn()) as db:
        found = db.execute(
            "SELECT d.id, d.subject, l.id FROM lead d JOIN loop l ON l.subject = d.subject AND l.kind = 'leads.verify' JOIN intake_row r ON r.subject = d.subject AND r.file = %s"
            " ORDER BY r.no", (file.id,),
        ).fetchall()  # fmt: skip
    assert len(found) == PEOPLE, (place.name, len(found))
    place.secrets |= {str(value) for lead, subject, _ in found for value in (lead, subject)} | {
        f"{place.name}八月表",
        f"{place.address[-10:]}",
    }
    place.secrets |= {f"{place.phone}{n:06d}" for n in range(PEOPLE)}
    leads, loops = iter(found), place.things
    for n in range(4):
        _done(site.send_feedback(by=village, text=f"{place.name}的意见{n}{place.evil}", page="/duties", act=ids.new_id()))
    with psycopg.connect(dsn()) as db:
        loops["remark"] = [row[0] for row in db.execute("SELECT id FROM feedback WHERE unit = %s", (village.unit_id,)).fetchall()]
    place.secrets.add(f"{place.name}的意见")

    def verified(outcome: Found, **more: Any) -> tuple[UUID, UUID]:
        lead, fact = next(leads)[0], ids.new_id()
        _done(actions.verify(by=village, lead=lead, outcome=outcome, fact_id=fact, **more))
        return lead, fact

    def home() -> tuple[UUID, UUID]:
        return verified(Found.HERE, here_since=date(2022, 8, 27), medical_need=MedicalNeed.NONE)

    for _ in range(3):
        lead, fact = home()
        loops["sample"].append(lead)
        loops["verified"].append(fact)
    for _ in range(2):
        lead, _fact = home()
        _done(actions.sample(by=village, lead=lead, fact_id=ids.new_id(), place=f"上门{place.evil}"[:60], tube="T0"))
        loops["result"].append(lead)
    for _ in range(2):
        loops["refer"].append(verified(Found.GONE_ON, destination=f"徐州市{place.evil}")[0])
    for n in range(3):
        lead, fact = next(leads)[0], ids.new_id()
        for reason in ("没去过", f"路过{n}{place.evil}"):
            answer = _done(actions.verify(by=village, lead=lead, outcome=Found.NOTHING_REQUIRED, reason=reason, fact_id=fact))
        assert answer.conflict
    with psycopg.connect(dsn()) as db:
        found_twice = "SELECT c.fact FROM contradicted c JOIN fact f ON f.id = c.fact WHERE f.unit = %s ORDER BY c.fact"
        loops["conflict"] = [row[0] for row in db.execute(found_twice, (village.unit_id,)).fetchall()]
    place.secrets |= {str(asked) for asked in loops["conflict"]}
    loops["done"] = [home()[1] for _ in range(2)]
    for _ in range(4):
        lead, _subject, loop = next(leads)
        _done(actions.give_back(by=village, loops=[loop], reason=f"不住我们这里{place.evil}", act=ids.new_id()))
        loops["offered"].append(loop)
    whole = queries.Filter(state="hands")
    for _ in range(6):
        loops["list"].append(_done(duty_lists.freeze(by=village, chosen=whole, title=f"{place.name}清单", act=ids.new_id())))
    asked = support.ask(by=post[Role.TOWNSHIP_DESK], reason="far", note=f"{place.name}求助的话{place.evil}", act=ids.new_id())
    loops["support"] = list(_done(asked).opened)
    place.secrets.add(f"{place.name}求助的话")
    chosen, now = [loop for _lead, _subject, loop in found[-3:]], clock.now()
    said = {"verb": "not_reached"}
    for _ in range(2):
        loops["plan"].append(_done(bulk.plan(by=village, act=ids.new_id(), loops=chosen, said=said, number=None, seen_at=now)))
    place.secrets |= {f"{place.name}清单"}
    for lead, subject, loop in leads:
        loops["verify"].append(lead)
        loops["person"].append(subject)
        loops["loop"].append(loop)


def poison(place: Place) -> None:
    """Names as a stranger wishes them, past every check of a list: of persons, officers, units, and in short forms."""
    with psycopg.connect(dsn()) as db:
        db.execute("UPDATE person SET name = left(name, 1) || %s", (place.evil,))
        db.execute("UPDATE officer SET name = name || %s WHERE login LIKE '%%-here'", (place.evil,))
        db.execute("UPDATE unit SET name = name || %s WHERE id = ANY(%s)", (place.evil, place.things["village"] + place.things["township"]))


NOISE = re.compile(
    r'name="(?:act|fact_id)" value="[^"]*"|/call\?act=[^"]*|name="csrfmiddlewaretoken" value="[^"]*"|data-csrf="[^"]*"|hx-headers=\'[^\']*\'|data-now="[^"]*"|nonce-[\w-]+'
)


def said(response: Any) -> str:
    """What an answer says, without what differs from one request to the next."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return NOISE.sub("", body.decode("utf-8", "replace"))
