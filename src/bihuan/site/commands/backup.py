"""`backup` and `restore`: the whole server, to the minute, sealed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.site import backup as backups
from bihuan.site import postgres, setup
from bihuan.site import restore as restoring
from bihuan.site.address import is_embedded
from bihuan.site.cli import Run, command

_TO = click.option("--to", metavar="FOLDER", help="放在哪里；默认 BIHUAN_BACKUP / where; default: BIHUAN_BACKUP")
_FROM = click.option("--from", "source", metavar="FOLDER", help="备份在哪里；默认 BIHUAN_BACKUP / where it lies; default: BIHUAN_BACKUP")
BASE_SECONDS = 24 * 3600


def days_kept() -> int:
    """For how many days whole copies are kept (BIHUAN_BACKUP_DAYS)."""
    return int(os.environ.get("BIHUAN_BACKUP_DAYS") or 30)


def register(cli: click.Group) -> None:
    @cli.group("backup")
    def backup() -> None:
        """备份：完整备份加每分钟的日志，离开本机之前已加密 / whole copies and the log to the minute, sealed."""

    @command(backup, "make", role="work")
    @_TO
    def make(run: Run, to: str | None) -> dict:
        """现在做一次完整备份，并删去过期的 / a whole copy now; those past their age are deleted."""
        at = backups.folder(to)
        base = backups.make(at)
        fetched = backups.fetch(at)
        gone = backups.prune(at, days_kept())
        run.say(f"完整备份 {base.name}：{base.size / 1e6:.1f} MB，{base.seconds} 秒 / whole copy; 日志到 / log up to {fetched.lsn}")
        return {"ok": True, "base": base.as_json(), "log": {"lsn": fetched.lsn, "at": fetched.at}, "deleted": gone}

    @command(backup, "fetch", role="work")
    @_TO
    def fetch(run: Run, to: str | None) -> dict:
        """把日志取到此刻 / bring the log over up to now."""
        fetched = backups.fetch(backups.folder(to))
        run.say(f"日志到 / log up to {fetched.lsn}（{_local(fetched.at)}）")
        return {"ok": True, "lsn": fetched.lsn, "at": fetched.at, "n_segments": fetched.n_segments}

    @command(backup, "run", role="work")
    @_TO
    @click.option("--every", type=click.IntRange(min=5), default=60, show_default=True, help="隔几秒取一次日志 / seconds between fetches")
    def run_(run: Run, to: str | None, every: int) -> None:
        """一直运行：每分钟取日志，每天一次完整备份 / keeps running: the log each minute, a whole copy each day."""
        from bihuan.site import worker

        at = backups.folder(to)

        def whole() -> None:
            bases = backups.listed(at)
            if not bases or (clock.real_now() - bases[-1].began_at).total_seconds() >= BASE_SECONDS:
                backups.make(at)
                backups.prune(at, days_kept())

        jobs = [worker.Job("backup.base", every, whole), worker.Job("backup.log", every, lambda: backups.fetch(at))]
        while True:  # until Ctrl-C or SIGTERM, which the command line turns into it
            started = time.monotonic()
            for job in jobs:
                worker.run_one(job)
            time.sleep(max(1.0, every - (time.monotonic() - started)))

    @command(backup, "list", role=None)
    @_FROM
    @click.option("--check", is_flag=True, help="逐个打开，查有没有损坏 / open every file to its end")
    def list_(run: Run, source: str | None, check: bool) -> dict:
        """有哪些备份，能恢复到什么时候 / what there is; with --check ends with 1 when a file is damaged."""
        at = backups.folder(source)
        bases, log = backups.listed(at), backups.segments(at)
        bad = backups.damaged(at) if check else []
        for base in bases:
            run.say(f"{base.name}  {base.size / 1e6:10.1f} MB  {_local(base.ended_at)}")
        last = max((p.stat().st_mtime for p in log), default=None)
        if last is not None:
            run.say(f"日志 {len(log)} 段，最后取于 {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(last))} / log, last fetched")
        for name in bad:
            run.say(f"损坏 / damaged: {name}")
        return {"ok": not bad, "bases": [b.as_json() for b in bases], "n_segments": len(log), "damaged": bad, "checked": check}

    @command(cli, "restore", role=None)
    @_FROM
    @click.option(
        "--at", metavar="TIME", help="恢复到哪个时刻（机器时间）；默认尽可能晚 / up to when (real time); default: as late as possible"
    )
    @click.option(
        "--into",
        type=click.Path(file_okay=False, path_type=Path),
        help="只展开到这个新文件夹，由别的 PostgreSQL 18 启动 / only unpack here",
    )
    def restore(run: Run, source: str | None, at: str | None, into: Path | None) -> dict:
        """从备份恢复内置数据库，然后核对；原来的数据另存 / restore, then verify; what was there is set aside."""
        place = backups.folder(source)
        try:
            moment = clock.parse_local(at) if at else None
        except ValueError as error:
            raise Refused(
                "time_unreadable", f"看不懂的时刻“{at}”，请写成 2022-08-28T20:00。", f"“{at}” is no time: write 2022-08-28T20:00."
            ) from error
        if into is not None:
            if into.exists():
                raise Refused("restore_place_taken", f"{into} 已经有了。", f"{into} is there already.", str(into))
            base = restoring.unpack(place, into.resolve(), moment)
            run.say(f"已展开到 {into}。用 PostgreSQL 18 启动它，然后运行 audit seal --restored / unpacked; start a PostgreSQL 18 on it")
            return {"ok": True, "base": base.name, "into": into}
        if not is_embedded():
            raise Refused(
                "server_not_ours",
                "DATABASE_URL 的服务不由闭环恢复：请用 --into 展开，再由该服务启动。",
                "The server of DATABASE_URL is not ours to restore: unpack with --into and start it there.",
            )
        done = restoring.restore(place, moment, run.say)
        with postgres.Use():
            setup.prepare("work")
            return answer(run, done)


def answer(run: Run, done: restoring.Restored) -> dict:
    """After the server stands again: a new epoch, what was lost by the own heads, and whether everything holds."""
    from bihuan.identity.keys import brought_back
    from bihuan.ledger import heads, seals
    from bihuan.ledger import verify as ledger
    from bihuan.loops.verify import verify

    first = seals.new_epoch(heads.epochs_used())
    kept = heads.bring(restored=True)
    gaps = verify().gaps + ledger.seal_broken().gaps
    head = seals.head()
    run.say(f"恢复用了 {done.seconds} 秒 / seconds；链尾 / head {head if head else '—'}")
    if kept.lost:
        run.say(f"丢失 {kept.lost} 次封存：请从纸面和各单位补录 / seals lost: enter again from paper and from the units")
    for gap in gaps[:20]:
        run.say(f"[{gap.check}] {gap.zh} / {gap.en}")
    back = brought_back()
    for event in back:
        run.say(
            f"事件 {event} 的数据早已销毁，备份又带回了密文（打不开）：请再销毁一次"
            " / destroyed data came back, unreadable: destroy them again"
        )
    if done.set_aside:
        run.say(f"原来的数据在 / the former data lie in {done.set_aside}")
    return {
        "ok": not gaps, "base": done.base.name, "seconds": done.seconds, "epoch": first.epoch if first else None,
        "head": str(head) if head else None, "seals_lost": kept.lost, "set_aside": done.set_aside, "brought_back": back,
        "gaps": [g.as_json() for g in gaps],
    }  # fmt: skip


def _local(moment) -> str:
    return moment.astimezone(clock.SHANGHAI).isoformat(timespec="seconds")
