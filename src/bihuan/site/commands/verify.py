"""`verify`: the city shows that its accounts balance and that nobody fell through."""

from __future__ import annotations

import click

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.site.cli import Run, command

LINES_MAX = 50


def register(cli: click.Group) -> None:
    @command(cli, "verify", role="work")
    @click.option("--at", metavar="TIME", help="截至该时刻之前的最后一次封存 / as of the last seal before TIME (Asia/Shanghai)")
    def verify(run: Run, at: str | None) -> dict:
        """核对：账平不平，有没有人漏掉；有差错时以 1 结束 / recompute the invariants; ends with 1 when one is broken."""
        from bihuan.loops.verify import verify

        moment = None
        if at is not None:
            try:
                moment = clock.parse_local(at)
            except ValueError as error:
                raise Refused(
                    "time_unreadable", f"看不懂的时刻“{at}”，请写成 2022-08-28T20:00。", f"“{at}” is no time: write 2022-08-28T20:00."
                ) from error
        report = verify(moment)
        for gap in report.gaps[:LINES_MAX]:
            run.say(f"[{gap.check}] {gap.zh} / {gap.en}")
        if len(report.gaps) > LINES_MAX:
            run.say(f"……共 {len(report.gaps)} 处，--json 列出全部 / {len(report.gaps)} in all, see --json")
        for name, account in report.balance.items():
            title = "全程" if name == "event" else "当日"
            run.say(
                f"{title}：期初 {account['held_start']} + 新增 {account['opened']} + 转入 {account['moved_in']}"
                f" = 期末 {account['held_end']} + 办结 {account['closed']} + 转出 {account['moved_out']}"
            )
        if report.seal is None and moment is not None:
            run.say("该时刻之前没有封存 / there is no seal before that time")
        else:
            run.say("核对无误 / no gap" if report.ok else f"{len(report.gaps)} 处对不上 / gaps")
        return report.as_json()
