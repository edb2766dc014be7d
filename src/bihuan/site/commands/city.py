"""`city open | event | officer | post`: a real city is set up: its map, its units, its event, and the people who work on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from bihuan.kernel.refused import Refused
from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @cli.group("city")
    def city() -> None:
        """建立一座城市 / set up a city."""

    @command(city, "open", role="work")
    @click.argument("division")
    @click.option("--disease", required=True, help="病种代码，如 covid19 / the word of the packs")
    @click.option("--name", required=True, help="事件名称 / name of the event")
    @click.option("--basis", required=True, help="依据的文件名、文号 / legal basis")
    @click.option("--retention-days", type=click.IntRange(1, 3650), required=True, help="结束后保留天数 / days kept after the end")
    def open_city(run: Run, division: str, disease: str, name: str, basis: str, retention_days: int) -> dict[str, Any]:
        """载入 DIVISION（四位市代码，如 3208）的区划，建单位，开事件 / load a city's map, make its units, open an event."""
        from django.db import connection, transaction

        from bihuan.kernel import clock
        from bihuan.policy import actions, installation
        from bihuan.policy.models import Installation
        from bihuan.regions import load, queries, units

        load.load_national()
        loaded = load.load_city(division)
        made = units.make_units(division, clock.today())
        code = int(division.ljust(12, "0"))
        region = queries.by_division([code]).get(code)
        if region is None:
            raise Refused("city_unknown", f"没有 {division} 的区划数据。", f"There are no divisions of {division}.", division)
        if Installation.objects.filter(mode=Installation.Mode.DEMO).exists():
            raise Refused("city_is_demo", "这里是演示库，请换一个数据目录。", "This is the demonstration's data; use another folder.")
        installation.set_up(mode="live", city_id=region)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO subject (id, kind) SELECT subject_of_unit(id), 'unit' FROM unit ON CONFLICT DO NOTHING")
            event = actions.open_event(
                disease=disease,
                region=region,
                name=name,
                opened_on=clock.today(),
                legal_basis=basis,
                retention=timedelta(days=retention_days),
            )
        run.say(f"事件 {event.id}：{name}；单位 {made.total} 个。下一步：city officer，packs adopt")
        return {"ok": True, "event": event.id, "region": region, "units": made.total, "loaded": str(loaded)}

    @command(city, "event", role="work")
    @click.option("--disease", required=True, help="病种代码，如 chikungunya / the word of the packs")
    @click.option("--name", required=True, help="事件名称 / name of the event")
    @click.option("--basis", required=True, help="依据的文件名、文号 / legal basis")
    @click.option("--retention-days", type=click.IntRange(1, 3650), required=True, help="结束后保留天数 / days kept after the end")
    @click.option("--region", type=int, help="12 位区划代码，省略为本市 / division code; the city if left out")
    def open_event(run: Run, disease: str, name: str, basis: str, retention_days: int, region: int | None) -> dict[str, Any]:
        """再开一个事件 / open another event beside those that run; then packs adopt."""
        from bihuan.kernel import clock
        from bihuan.policy import actions
        from bihuan.policy import pack as packs
        from bihuan.policy.models import Installation
        from bihuan.regions import queries

        known = sorted({pack.disease for pack in packs.library().bases()})
        if disease not in known:
            words = ", ".join(known)
            raise Refused(
                "disease_unknown", f"没有 {disease} 的方案，有：{words}", f"no pack is about {disease}; there are: {words}", disease
            )
        place = queries.by_division([region]).get(region) if region else Installation.objects.values_list("city_id", flat=True).first()
        if place is None:
            raise Refused("region_unknown", f"没有区划代码 {region}", f"there is no division code {region}")
        event = actions.open_event(
            disease=disease, region=place, name=name, opened_on=clock.today(), legal_basis=basis, retention=timedelta(days=retention_days)
        )
        run.say(f"事件 {event.id}：{name}。下一步：packs adopt --event {event.id}")
        return {"ok": True, "event": event.id, "region": place}

    @command(city, "officer", role="work")
    @click.argument("login")
    @click.argument("role")
    @click.argument("unit", type=int)
    @click.option("--name", required=True, help="姓名 / name")
    @click.option("--phone", default="", help="手机号，村居人员用它登录 / mobile number, by which a village worker signs in")
    def officer(run: Run, login: str, role: str, unit: int, name: str, phone: str) -> dict[str, Any]:
        """给 LOGIN 一个岗位（单位编号见 regions units）/ give LOGIN a post; a new officer gets a password, shown once."""
        from django.contrib.auth.hashers import make_password
        from django.db import transaction
        from psycopg.types.range import DateRange

        from bihuan.access import log, secrets
        from bihuan.access.models import Officer, Post
        from bihuan.access.permissions import Role
        from bihuan.kernel import clock
        from bihuan.regions import queries

        if role not in Role.values:
            raise Refused(
                "role_unknown", f"没有 {role} 这种岗位：{'、'.join(Role.values)}", f"No role {role}: {', '.join(Role.values)}", role
            )
        if queries.unit_row(unit) is None:
            raise Refused("unit_unknown", f"没有编号为 {unit} 的单位。", f"There is no unit {unit}.", str(unit))
        password = None
        with transaction.atomic():
            known = Officer.objects.filter(login=login).first()
            if known is None:
                password = "" if phone and Role(role).signs_in_by_phone else secrets.new_password()
                known = Officer.objects.create(
                    login=login, name=name, phone=phone, password=make_password(password or None), must_change=bool(password),
                    password_at=clock.real_now() if password else None,
                )  # fmt: skip
                log.note("officer_made", about=known.pk, detail=f"{login} {role} {unit} console")
            Post.objects.get_or_create(officer=known, unit_id=unit, role=role, defaults={"valid": DateRange(clock.today(), None)})
        run.say(f"{login} {role} {unit}" + (f"  密码（只显示一次）/ password, shown once: {password}" if password else ""))
        return {"ok": True, "login": login, "password": password}

    @command(city, "factors", role="work")
    @click.argument("login")
    def factors(run: Run, login: str) -> dict[str, Any]:
        """清除 LOGIN 的第二步验证，登录时重新绑定 / forget LOGIN's second factors; new ones are bound at the next sign-in."""
        from bihuan.access import log, second_factor, sessions
        from bihuan.access.queries import post_of

        officer = post_of(login).officer_id
        second_factor.remove_all(officer)
        ended = sessions.end_all(officer, "factors_removed")
        log.note("factors_removed", about=officer, detail="console")
        run.say(f"{login}：已清除，{ended} 处登录已结束 / cleared, {ended} sign-ins ended")
        return {"ok": True, "login": login, "ended": ended}
