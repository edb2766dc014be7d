"""`report KIND`: the figures of a board, of now or of an earlier moment."""

from __future__ import annotations

from typing import Any

import click

from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @command(cli, "report", acts=True)
    @click.argument("kind", type=click.Choice(["times", "sources"]))
    @click.option("--at", metavar="TIME", default="", help="截至该时刻之前的最后一次封存 / as of the last seal before TIME (Asia/Shanghai)")
    @click.option("--unit", type=int, help="单位编号，默认本单位 / a unit of the range; the officer's own if left out")
    @click.option(
        "--days", type=click.IntRange(0, 3650), default=0, help="最近几天最先报来的人，0 为全程 / first reported in the last DAYS; 0: all"
    )
    @click.option("--event", type=int, help="事件编号，只有一个未结束事件时可省 / event id; the one open event if left out")
    def report(run: Run, kind: str, at: str, unit: int | None, days: int, event: int | None) -> dict[str, Any]:
        """三个时间、来源质量的数 / figures of the three times (times) or of the quality of sources (sources)."""
        from bihuan.access import queries as access
        from bihuan.boards.report import report as figures
        from bihuan.kernel import clock
        from bihuan.policy import queries as policy

        found = figures(kind, by=access.post_of(run.as_login), event=event or policy.only_open_event(), unit=unit, days=days, at=at)
        run.say(f"{found['region']}  {found['at'].astimezone(clock.SHANGHAI):%Y-%m-%d %H:%M:%S}")
        if kind == "times":
            for name, stage in found["total"]["stages"].items():
                run.say(f"{name}: {stage['median']} / {stage['ninth']} min, n = {stage['n']}")
        else:
            missed = found["missed"]
            said = f"{missed['missed']} ({missed['low']}–{missed['high']})" if "missed" in missed else missed["reason"]
            run.say(f"脱管 / lost hold of: {found['lost']}；漏管 / missed: {said}")
        return {"ok": True, **found}
