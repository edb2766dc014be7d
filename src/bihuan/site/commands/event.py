"""`event`: the end of an outbreak event, and of its personal data."""

from __future__ import annotations

from pathlib import Path

import click

from bihuan.kernel.refused import Refused
from bihuan.site.cli import Run, command

LINES_MAX = 20


def register(cli: click.Group) -> None:
    @cli.group("event")
    def event() -> None:
        """事件的结束，和它的个人信息的销毁 / the end of an event, and of its personal data."""

    @command(event, "end", role="work", acts=True)
    @click.argument("number", type=int)
    @click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="最后一天；默认今天 / its last day; default: today")
    def end(run: Run, number: int, on) -> dict:
        """结束事件 / end an event: from then on its retention runs."""
        from bihuan.access import queries
        from bihuan.access.decide import require
        from bihuan.access.permissions import Permission
        from bihuan.kernel import clock
        from bihuan.policy import actions

        require(queries.post_of(run.as_login), Permission.EVENT_END)
        row = actions.end_event(event=number, on=on.date() if on else clock.today())
        run.say(f"{row.name}：{row.ended_on} 结束 / ended；个人信息保存到 / kept until {row.ended_on + row.retention}")
        return {"ok": True, "event": row.id, "ended_on": row.ended_on, "kept_until": row.ended_on + row.retention}

    @command(event, "outlook", role="work")
    @click.argument("number", type=int)
    def outlook(run: Run, number: int) -> dict:
        """会销毁什么，还有什么没办完 / what would be destroyed, by table, and what is still open; changes nothing."""
        from bihuan.loops import ending

        found = ending.outlook(number)
        for table, n in found.counts.items():
            run.say(f"{table:<28}{n:>12,}")
        if found.n_open:
            run.say(f"还有 {found.n_open} 件待办没有办结 / duties are still open")
        for duty in found.open_duties:
            run.say(f"  {duty.loop}  {duty.kind}  {duty.unit_name or duty.unit}")
        run.say(f"保存到 / kept until {found.kept_until or '—'}；{ending.state(found.ending)}")
        return {"ok": True} | found.as_json()

    @command(event, "ask", role="work", acts=True)
    @click.argument("number", type=int)
    @click.option("--reason", required=True, help="为什么现在销毁 / why now")
    def ask(run: Run, number: int, reason: str) -> dict:
        """提出销毁（第一人）/ ask for the destruction: the first of two officers."""
        from bihuan.access import queries
        from bihuan.loops import ending

        return _said(run, ending.ask(by=queries.post_of(run.as_login), event=number, reason=reason))

    @command(event, "sign", role="work", acts=True)
    @click.argument("number", type=int)
    def sign(run: Run, number: int) -> dict:
        """签字同意销毁（第二人）/ the second signature."""
        from bihuan.access import queries
        from bihuan.loops import ending

        return _said(run, ending.sign(by=queries.post_of(run.as_login), event=number))

    @command(event, "destroy", role="work")
    @click.argument("number", type=int)
    @click.option("--yes", is_flag=True, help="真的销毁；没有它只数不动 / really; without it only counts")
    def destroy(run: Run, number: int, yes: bool) -> dict:
        """销毁并出具证明；中断了再运行一次即可 / destroy and certify; run it again when it was interrupted."""
        from bihuan.loops import ending
        from bihuan.site import setup
        from bihuan.site.commands.backup import days_kept

        if not yes:
            found = ending.outlook(number)
            for table, n in found.counts.items():
                run.say(f"{table:<28}{n:>12,}")
            run.say("以上只是清点。确实要销毁请加 --yes / only counted: say --yes to destroy")
            return {"ok": True, "dry_run": True} | found.as_json()
        done = ending.carry_out(number, as_owner=lambda: setup.acting("owner"), days_of_backups=days_kept(), say=run.say)
        run.say(f"已销毁。证明：event certificate {number} / destroyed; 备份过期日 / backups gone on {done.backups_gone_on}")
        return {"ok": True, "dry_run": False, "certificate": done.certificate}

    @command(event, "certificate", role="work")
    @click.argument("number", type=int)
    @click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="写成可打印的网页 / as a page to print")
    @click.option(
        "--check",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="核对一份证明（网页或 JSON）/ check one (page or JSON)",
    )
    def certificate(run: Run, number: int, html: Path | None, check: Path | None) -> dict:
        """销毁证明 / the certificate; final from the day on which no backup can have the data any more."""
        from bihuan.ledger.models import Ending
        from bihuan.loops import ending
        from bihuan.site.certificate import page, read

        row = Ending.objects.filter(event=number, certified_at__isnull=False).first()
        if row is None:
            raise Refused("ending_not_certified", "这个事件还没有销毁证明。", "There is no certificate for this event.", str(number))
        said = read(check) if check else row.certificate
        genuine = said is not None and ending.is_genuine(said)
        said = said or row.certificate  # of a page that was changed nothing is believed
        final = ending.is_final(said)
        if html:
            html.write_text(page(row.certificate, final=final), "utf-8")
        run.say(f"{said['name']}：{said['sha256']}  " + ("与封存的一致 / genuine" if genuine else "不是封存的那一份 / not the sealed one"))
        run.say("备份已全部过期，证明生效 / final" if final else f"备份到 {said['backups_gone_on']} 才全部过期 / not final before")
        return {"ok": genuine, "genuine": genuine, "final": final, "certificate": said} | ({"html": html} if html else {})


def _said(run: Run, answer) -> dict:
    from bihuan.loops import ending

    if isinstance(answer, Refused):
        raise answer
    run.say(f"事件 {answer.event}：{ending.state(answer)}")
    return {"ok": True, "event": answer.event, "state": ending.state(answer), "ending": answer.id}
