"""`audit`: the chain of seals over the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @cli.group("audit")
    def audit() -> None:
        """封存链：办理记录不可改的证明 / the chain of seals: proof that no record was changed."""

    @command(audit, "verify", role="work")
    @click.option("--epoch", type=int, help="只查这一期 / only this epoch")
    @click.option(
        "--heads",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="另存在别处的校验值文件 / the file of heads that a witness keeps",
    )
    def verify(run: Run, epoch: int | None, heads: Path | None) -> dict:
        """从办理记录重算封存链 / recompute the chain from the facts; ends with 1 at the first bad entry."""
        from bihuan.ledger import seals

        try:
            gaps = seals.verify_chain(epoch, heads)
        except ValueError as error:
            from bihuan.kernel.refused import Refused

            raise Refused("heads_unreadable", f"校验值文件读不懂：{error}", f"The file of heads is not readable: {error}") from error
        head = seals.head()
        if gaps:
            run.say(f"{gaps[0].zh} / {gaps[0].en}")
        else:
            run.say(f"封存链完好 / the chain holds: {head if head else '尚无封存 / no seal yet'}")
        return {
            "ok": not gaps,
            "head": _plain(head),
            "unsealed": seals.unsealed(),
            "first": gaps[0].as_json() if gaps else None,
            "gaps": [gap.as_json() for gap in gaps],
        }

    @command(audit, "head", role="work")
    def head(run: Run) -> dict:
        """显示链尾校验值，供抄入值班日志 / print the head of the chain, for the duty log."""
        from bihuan.ledger import seals

        found = seals.head()
        run.say(str(found) if found else "尚无封存 / no seal yet")
        return {"ok": True, "head": _plain(found), "file": seals.heads_file()}

    @command(audit, "seal", role="work")
    def seal(run: Run) -> dict:
        """立即封存一次（恢复备份后先运行）/ seal now (run it first after restoring a backup)."""
        from bihuan.ledger import seals

        made = seals.seal_minute()
        run.say(f"封存 {made.epoch}/{made.no}：{made.n_facts} 条 / sealed" if made else "没有新的 / nothing new")
        return {"ok": True, "n_facts": made.n_facts if made else 0, "head": _plain(seals.head())}


def _plain(head) -> dict | None:
    return {"epoch": head.epoch, "no": head.no, "chain": head.chain.hex()} if head else None
