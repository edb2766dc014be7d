"""The demonstration: Lianyungang at 08:00 on 28 August 2022, with its regions, units, rules and officers. No person in it is real."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, date, datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from psycopg.types.range import DateRange

from bihuan.access import second_factor
from bihuan.access.models import Officer, Post
from bihuan.access.permissions import Role
from bihuan.kernel import clock
from bihuan.policy import actions as policy
from bihuan.policy import installation
from bihuan.policy.models import Event
from bihuan.regions import load, units
from bihuan.regions import queries as regions
from bihuan.site.home import home

CITY = "3207"
BEGINS_AT = datetime(2022, 8, 28, 8, 0, tzinfo=clock.SHANGHAI)
OPENED_ON = date(2022, 8, 20)
CONSOLE = "console"

# login, name, role, kind and scope code of the unit, code of the unit. 板桥社区 has nine rows about five people in the lists.
_OFFICERS = (
    (CONSOLE, "指挥中心值班员", Role.CITY_DESK, "desk", "320700000000", ""),
    ("shi", "陈市平", Role.CITY_DESK, "desk", "320700000000", ""),
    ("xian", "周县安", Role.COUNTY_DESK, "desk", "320723000000", ""),
    ("zhen", "吴镇宁", Role.TOWNSHIP_DESK, "desk", "320703005000", ""),
    ("cun", "李村和", Role.VILLAGE_WORKER, "village", "320703005001", ""),
    ("baosong", "赵报送", Role.LIST_SENDER, "sender", "320700000000", "unit"),
    ("xitong", "钱系统", Role.SYSTEM_ADMIN, "desk", "320700000000", ""),
    ("anquan", "冯安全", Role.SECURITY_ADMIN, "desk", "320700000000", ""),
    ("shenji", "孙审计", Role.AUDITOR, "desk", "320700000000", ""),
)
# On the roster of 板桥街道: signs in with a code of the township's desk too. No such number is given out.
_PHONES = {"cun": "10000000001"}


def seed() -> None:
    """Make the demonstration's city where it is missing; what is there stays. Runs as the worker's role."""
    load.load_national()
    load.load_city(CITY)
    on = BEGINS_AT.date()
    units.make_units(CITY, OPENED_ON)
    city = regions.by_division([int(CITY.ljust(12, "0"))])[int(CITY.ljust(12, "0"))]
    installation.set_up(mode="demo", city_id=city, at=BEGINS_AT.astimezone(UTC))
    with transaction.atomic():
        _unit_subjects()
        posts = _officers(on)
        event = policy.open_event(
            disease="covid19", region=city, name="新冠肺炎疫情防控（演示）", opened_on=OPENED_ON,
            legal_basis="演示：连云港市疫情防控指挥部通告（虚构）", retention=timedelta(days=180),
        )  # fmt: skip
        if not event.adoptions.exists():  # else two officers have changed the rules since, or they stand as they were made
            _adopt(event.id, city, posts)


def _adopt(event: int, city: int, posts: dict[str, int]) -> None:
    given = {"event": event, "region": city, "from_on": OPENED_ON, "basis": "demo", "by": posts[CONSOLE]}
    policy.adopt(**given, pack="covid19/cn_9", version="2022-06-28")
    policy.adopt(**given, pack="overlays/jiangsu/huaian/138", version="2022", approved_by=posts["shi"])


def _unit_subjects() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO subject (id, kind) SELECT subject_of_unit(id), 'unit' FROM unit ON CONFLICT DO NOTHING")


def _officers(on: date) -> dict[str, int]:
    """Officers and their posts; passwords are drawn once and written for the operator alone (mode 0600)."""
    drawn: dict[str, str] = {}
    posts: dict[str, int] = {}
    for login, name, role, kind, code, unit_code in _OFFICERS:
        officer = Officer.objects.filter(login=login).first()
        if officer is None:
            drawn[login] = "-".join(secrets.token_hex(2) for _ in range(3))
            officer = Officer.objects.create(login=login, name=name, phone=_PHONES.get(login, ""), password=make_password(drawn[login]))
            second_factor.bind_for_demonstration(officer)
        unit = _unit(int(code), kind, unit_code, on)
        post, _ = Post.objects.get_or_create(officer=officer, unit_id=unit, role=role, defaults={"valid": DateRange(OPENED_ON, None)})
        posts[login] = post.id
    if drawn:
        _write_logins(drawn)
    return posts


def _unit(division: int, kind: str, code: str, on: date) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT u.id FROM unit u JOIN region r ON r.id = u.region_id"
            " WHERE r.division_code = %s AND u.kind = %s AND u.code = %s AND u.valid @> %s",
            (division, kind, code, on),
        )
        return cursor.fetchone()[0]


def _write_logins(drawn: dict[str, str]) -> None:
    file = home() / "demo-logins.txt"
    # Logins of an earlier start keep their passwords, which nobody could print again.
    known = {line.split()[0]: line for line in file.read_text().splitlines() if line.startswith("  ")} if file.exists() else {}
    lines = ["演示账号 ／ demo logins（密码随机生成 ／ random passwords）", ""]
    for login, name, role, *_ in _OFFICERS:
        if login not in drawn and login in known:
            lines.append(known[login])
        if login in drawn:
            lines.append(f"  {login:<8}  {drawn[login]:<16}  {Role(role).label}  {name}")
    lines += [
        "",
        "  登录不问第二步验证；导出、批量查看等才问，验证码显示在那一页，或：./bihuan demo code 账号",
        "  Signing in asks for no second factor; exports and the like do: the code stands on that page, or ./bihuan demo code LOGIN",
        f"  cun 也可用手机号 {_PHONES['cun']} 加 zhen 的“名册”里生成的验证码登录 ／ or by that phone and a code from zhen's roster",
    ]
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write("\n".join(lines) + "\n")


def event() -> int:
    """The demonstration's event."""
    return Event.objects.order_by("id").values_list("id", flat=True).first()


def advance(by: timedelta) -> dict:
    """Move the demonstration's clock and do what falls due, before returning: expired offers, help asked, seals."""
    from bihuan.ledger import jobs as ledger
    from bihuan.site import worker

    now = installation.advance(by)
    done = worker.run_once()
    ledger.seal()  # what the clock has just done is sealed too
    return {"now": clock.now().astimezone(clock.SHANGHAI).isoformat(timespec="seconds"), "moved_to": now, "jobs": done}
