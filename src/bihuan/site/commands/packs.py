"""`packs check | diff | adopt | approve | refuse | proposals`: the rules that are data, and two officers who change them."""

from __future__ import annotations

import sys
from datetime import date
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

    @command(packs, "adopt", acts=True)
    @click.argument("pack")
    @click.option("--event", type=int, help="事件编号，只有一个未结束事件时可省 / event id; the one open event if left out")
    @click.option("--region", type=int, help="12 位区划代码，省略为事件所在地 / division code; the event's region if left out")
    @click.option("--from", "from_on", help="自哪天起，省略为今天 / first day; today if left out")
    @click.option("--basis", required=True, help="采用依据：文件名、文号 / the deciding document")
    @click.option("--reason", default="", help="理由，更严时必填 / why, where it is stricter")
    @click.option("--expires", help="失效日期，更严时必填 / last day, where it is stricter")
    def adopt(run: Run, **given: Any) -> dict[str, Any]:
        """提出采用 PACK（方案@版本），印出会影响谁 / propose PACK (id@version) and print whom it touches; another officer approves."""
        return propose(run, **given)

    @command(packs, "adoptions")
    @click.option("--event", type=int, help="事件编号，只有一个未结束事件时可省 / event id; the one open event if left out")
    def adoptions(run: Run, event: int | None) -> dict[str, Any]:
        """现行和已定的采用，带编号 / what counts now or later, with its number."""
        from bihuan.kernel import clock
        from bihuan.policy import queries

        lines = queries.adoptions(_event(event).id, clock.today())
        for line in lines:
            run.say(f"{line.id}  {line.pack}@{line.version}  {line.region_name}  {line.from_on} — {line.ends_on or ''}")
        if not lines:
            run.say("还没有采用 / nothing is adopted")
        said = [
            {"id": x.id, "pack": f"{x.pack}@{x.version}", "region": x.region_name, "from_on": x.from_on, "ends_on": x.ends_on}
            for x in lines
        ]
        return {"ok": True, "adoptions": said}

    @command(packs, "end", acts=True)
    @click.argument("adoption", type=int)
    @click.option("--from", "on", help="自哪天起不再执行，省略为明天 / first day without it; tomorrow if left out")
    @click.option("--basis", required=True, help="依据：文件名、文号 / the deciding document")
    def end(run: Run, adoption: int, on: str | None, basis: str) -> dict[str, Any]:
        """提出不再执行一次采用，或在开始以前撤回 / propose the end of an adoption (see `packs adoptions`), or withdraw it unbegun."""
        return propose_end(run, adoption, on, basis)

    @command(packs, "approve", acts=True)
    @click.argument("proposal", type=int)
    @click.option("--password-stdin", is_flag=True, help="从标准输入读批准人的密码 / read the approver's password from standard input")
    def approve(run: Run, proposal: int, password_stdin: bool) -> dict[str, Any]:
        """以 --as 的名义批准，问他本人的密码 / sign a proposal as the second officer (--as), whose own password is asked."""
        from bihuan.policy import actions

        word = sys.stdin.readline().rstrip("\n") if password_stdin else click.prompt(
            f"{run.as_login} 的密码 / password", hide_input=True, err=True
        )  # fmt: skip
        row = _done(actions.approve(by=signer(run.as_login, word), proposal=proposal))
        run.say(f"已批准，自 {row.from_on} 起 / approved, from {row.from_on}: {row.after}")
        done = {"proposal": row.id, "adoption": row.adoption_id, "ends": row.ends_id, "from_on": row.from_on, "in_force": row.after}
        return {"ok": True, **done}

    @command(packs, "refuse", acts=True)
    @click.argument("proposal", type=int)
    @click.option("--note", required=True, help="为什么 / why")
    def refuse(run: Run, proposal: int, note: str) -> dict[str, Any]:
        """退回（提出人自己则为撤回）/ send a proposal back, or withdraw one's own."""
        from bihuan.access.queries import post_of
        from bihuan.policy import actions

        row = _done(actions.refuse(by=post_of(run.as_login), proposal=proposal, note=note))
        run.say(f"{row.outcome}: {row.id}")
        return {"ok": True, "proposal": row.id, "outcome": row.outcome}

    @command(packs, "proposals")
    def proposals(run: Run) -> dict[str, Any]:
        """等人批准的采用建议 / proposals that wait for a second signature."""
        from bihuan.policy.models import Proposal

        rows = list(Proposal.objects.filter(outcome=None).order_by("id"))
        for row in rows:
            run.say(f"{row.id}  {row.pack}@{row.version}  {row.from_on}  {row.before or '—'} → {row.after or '—'}")
        if not rows:
            run.say("没有等人批准的 / none waits")
        return {"ok": True, "proposals": [{"id": r.id, "pack": f"{r.pack}@{r.version}", "from_on": r.from_on} for r in rows]}


def propose(
    run: Run,
    *,
    pack: str,
    event: int | None,
    region: int | None,
    from_on: str | None,
    basis: str,
    reason: str,
    expires: str | None,
) -> dict[str, Any]:
    from bihuan.access.queries import post_of
    from bihuan.kernel import clock, ids
    from bihuan.policy import actions
    from bihuan.regions import queries as regions

    pack_id, _, version = pack.partition("@")
    if not version:
        raise Refused("pack_unknown", "请写成 方案@版本", "write it as pack@version", pack)
    chosen = _event(event)
    place = chosen.region_id if region is None else regions.by_division([region]).get(region)
    if place is None:
        raise Refused("region_unknown", f"没有区划代码 {region}", f"there is no division code {region}")
    day: date = _day("--from", from_on) or clock.today()
    post = post_of(run.as_login)
    row = _done(
        actions.propose(
            by=post,
            event=chosen.id,
            region=place,
            pack=pack_id,
            version=version,
            from_on=day,
            basis=basis,
            reason=reason,
            expires_on=_day("--expires", expires),
            act=ids.new_id(),
        )  # fmt: skip
    )
    return _told(run, row)


def propose_end(run: Run, adoption: int, on: str | None, basis: str) -> dict[str, Any]:
    from datetime import timedelta

    from bihuan.access.queries import post_of
    from bihuan.kernel import clock, ids
    from bihuan.policy import actions
    from bihuan.policy.models import Adoption

    begins = Adoption.objects.filter(pk=adoption).values_list("from_on", flat=True).first()
    tomorrow = clock.today() + timedelta(days=1)
    day = _day("--from", on) or max(tomorrow, begins or tomorrow)
    return _told(run, _done(actions.propose_end(by=post_of(run.as_login), adoption=adoption, on=day, basis=basis, act=ids.new_id())))


def _told(run: Run, row: Any) -> dict[str, Any]:
    """What a proposal changes, whom it touches, and who must sign it."""
    from django.db import transaction

    from bihuan.access import scope
    from bihuan.access.queries import post_of
    from bihuan.policy import pack as library
    from bihuan.policy import preview

    with scope.acting(scope.of(post_of(run.as_login), read_only=True)), transaction.atomic():
        touched = preview.touched(row.event_id, preview.cells_of(row))
    if row.before and row.after:
        for change in library.diff(library.by_key(row.before), library.by_key(row.after)):
            run.say(change.sentence())
    for line in touched:
        run.say(f"{line.title} {line.origin_class} {line.effect}: {line.n_duties} 件 {line.n_persons} 人 / duties, persons")
    run.say("已经派下去的，时限不变 / deadlines that are set do not move")
    run.say(f"第 {row.id} 号，等另一人批准：packs approve {row.id} --as LOGIN / no. {row.id} waits for another officer")
    found = [
        {"kind": t.kind, "origin_class": t.origin_class, "effect": t.effect, "duties": t.n_duties, "persons": t.n_persons} for t in touched
    ]
    return {"ok": True, "proposal": row.id, "after": row.after, "from_on": row.from_on, "stricter": row.stricter, "touched": found}


def _day(option: str, typed: str | None) -> date | None:
    if not typed:
        return None
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise Refused("date_unreadable", "日期看不懂，请写成 2022-08-28", "the date cannot be read; write 2022-08-28", option) from None


def signer(login: str, word: str) -> Any:
    """The post of an officer who has proved who he or she is. Refuses a wrong login or password alike (`sign_in_wrong`)."""
    from django.contrib.auth import authenticate

    from bihuan.access.queries import post_of

    if authenticate(None, username=login, password=word) is None:
        raise Refused("sign_in_wrong", "账号或密码不对", "the login or the password is wrong")
    return post_of(login)


def _done(answer: Any) -> Any:
    if isinstance(answer, Refused):
        raise answer
    return answer


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
