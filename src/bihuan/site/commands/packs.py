"""`packs check | diff | adopt`: the rules that are data."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import click

from bihuan.kernel.refused import Refused
from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @cli.group("packs")
    def packs() -> None:
        """防控方案 / packs of rules."""

    @command(packs, "check", role=None)
    def check(run: Run) -> dict[str, Any]:
        """检查全部方案文件 / read every file: numbers without source, unknown keys, incomplete overlays."""
        from bihuan.policy import pack as library

        problems = library.check_all()
        for problem in problems:
            run.say(f"{problem.file}: {problem.zh} / {problem.en} [{problem.code}]")
        files = len(library.library().files())
        if not problems:
            run.say(f"{files} 份方案没有问题 / {files} files in order")
        found = [{"file": p.file, "code": p.code, "zh": p.zh, "en": p.en} for p in problems]
        return {"ok": not problems, "files": files, "problems": found}

    @command(packs, "diff", role=None)
    @click.argument("before")
    @click.argument("after")
    def diff(run: Run, before: str, after: str) -> dict[str, Any]:
        """比较两版方案 / compare two packs, each by its key: covid19/cn_9@2022-06-28+huaian138@2022."""
        from bihuan.policy import pack as library

        changes = library.diff(library.by_key(before), library.by_key(after))
        for change in changes:
            run.say(change.sentence())
            run.say(f"    {change.sentence('en')}")
        if not changes:
            run.say("没有不同 / no difference")
        rows = [
            {"path": c.path, "zh": c.sentence(), "en": c.sentence("en"), "stricter": c.stricter, "source": list(c.source)} for c in changes
        ]
        return {"ok": True, "changes": rows}

    @command(packs, "adopt", role="work", acts=True)
    @click.argument("pack")
    @click.option("--event", type=int, help="事件编号，只有一个未结束事件时可省 / event id; the one open event if left out")
    @click.option("--region", type=int, help="12 位区划代码，省略为事件所在地 / division code; the event's region if left out")
    @click.option("--from", "from_on", type=click.DateTime(["%Y-%m-%d"]), help="自哪天起，省略为今天 / first day; today if left out")
    @click.option("--basis", required=True, help="采用依据：文件名、文号 / the deciding document")
    @click.option("--approved-by", metavar="LOGIN", help="批准人，更严时必填 / second signer, where it is stricter")
    @click.option("--reason", default="", help="理由，更严时必填 / why, where it is stricter")
    @click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="失效日期，更严时必填 / last day, where it is stricter")
    def adopt(run: Run, **given: Any) -> dict[str, Any]:
        """采用方案或补充规定 / put PACK (id@version) in force, from the beginning of a day."""
        return _adopt(run, **given)


def _adopt(
    run: Run,
    *,
    pack: str,
    event: int | None,
    region: int | None,
    from_on: datetime | None,
    basis: str,
    approved_by: str | None,
    reason: str,
    expires: datetime | None,
) -> dict[str, Any]:
    from bihuan.access.decide import require
    from bihuan.access.permissions import Permission
    from bihuan.kernel import clock
    from bihuan.policy import actions
    from bihuan.policy import pack as library
    from bihuan.regions import queries as regions

    pack_id, _, version = pack.partition("@")
    if not version:
        raise Refused("pack_unknown", "请写成 方案@版本", "write it as pack@version", pack)
    chosen = _event(event)
    place = chosen.region_id if region is None else regions.by_division([region]).get(region)
    if place is None:
        raise Refused("region_unknown", f"没有区划代码 {region}", f"there is no division code {region}")
    day: date = from_on.date() if from_on else clock.today()
    scope = regions.scope_of(place, day)
    signers = [_post(login) for login in (run.as_login, approved_by) if login]
    for post in signers:
        require(post, Permission.PACK_ADOPT, scope=scope)
    row = actions.adopt(
        event=chosen.id, region=place, pack=pack_id, version=version, from_on=day, basis=basis, by=signers[0].id,
        approved_by=signers[1].id if approved_by else None, reason=reason, expires_on=expires.date() if expires else None,
    )  # fmt: skip
    now = library.in_force(chosen.id, scope, day)
    run.say(f"自 {day} 起：{now.title()} / from {day}: {now.title('en')}")
    return {"ok": True, "adoption": row.id, "in_force": now.key, "from_on": day, "stricter": row.stricter, "expires_on": row.expires_on}


def _event(event: int | None) -> Any:
    from bihuan.policy.models import Event

    rows = list(Event.objects.filter(pk=event) if event is not None else Event.objects.filter(ended_on=None))
    if len(rows) != 1:
        raise Refused(
            "event_unknown",
            "没有这个事件" if event is not None or not rows else "有多个事件，请用 --event 指明",
            "there is no such event" if event is not None or not rows else "several events are open: name one with --event",
        )
    return rows[0]


def _post(login: str) -> Any:
    from bihuan.access.models import Post

    for post in Post.objects.select_related("unit").filter(officer__login=login, officer__is_active=True).order_by("id"):
        if post.is_valid():
            return post
    raise Refused("officer_unknown", f"没有工作人员 {login}，或其岗位已到期", f"there is no officer {login}, or the post has ended")
