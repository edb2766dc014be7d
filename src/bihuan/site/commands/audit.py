"""`audit`: the chain of seals over the ledger, and its heads outside the database."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bihuan.kernel.refused import Refused
from bihuan.site.cli import Run, command
from bihuan.site.home import home

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def register(cli: click.Group) -> None:
    @cli.group("audit")
    def audit() -> None:
        """封存链：办理记录不可改的证明 / the chain of seals: proof that no record was changed."""

    @command(audit, "verify", role="work")
    @click.option("--epoch", type=int, help="只查这一期 / only this epoch")
    @click.option("--against", type=_FILE, help="另存在别处的校验值文件 / the file of heads that somebody elsewhere keeps")
    @click.option("--files/--no-files", default=True, help="连原始名单文件一起查 / look at the kept files of lists too")
    def verify(run: Run, epoch: int | None, against: Path | None, files: bool) -> dict:
        """从办理记录重算封存链 / recompute chain, contents, kept files; ends with 1 and names the first bad entry."""
        from bihuan.intake.verify import files_broken
        from bihuan.ledger import seals
        from bihuan.ledger import verify as ledger
        from bihuan.loops.verify import content_changed

        gaps = ledger.seal_broken(epoch, ledger.kept_heads(against)).gaps + content_changed().gaps + ledger.details_missing().gaps
        gaps += files_broken().gaps if files else []
        head = seals.head()
        if gaps:
            run.say(f"{gaps[0].zh} / {gaps[0].en}")
        else:
            run.say(f"封存链完好 / the chain holds: {head if head else '尚无封存 / no seal yet'}")
        return {
            "ok": not gaps, "head": _plain(head), "unsealed": seals.unsealed(), "against": against,
            "first": gaps[0].as_json() if gaps else None, "gaps": [gap.as_json() for gap in gaps],
        }  # fmt: skip

    @command(audit, "head", role="work")
    def head(run: Run) -> dict:
        """显示链尾校验值和公钥指纹，供抄入值班日志 / print the head of the chain and who signs it, for the duty log."""
        from bihuan.ledger import heads, seals

        found = seals.head()
        run.say(str(found) if found else "尚无封存 / no seal yet")
        run.say(f"公钥指纹 / key: {heads.fingerprint()}")
        key = heads.public_key()
        return {"ok": True, "head": _plain(found), "file": heads.own_file(), "key": key.hex(), "fingerprint": heads.fingerprint(key)}

    restored_option = click.option(
        "--restored", is_flag=True, help="数据库刚从备份恢复，丢失的尾部我已知悉 / it was restored; I know what is lost"
    )

    @command(audit, "seal", role="work")
    @restored_option
    def seal(run: Run, restored: bool) -> dict:
        """立即封存一次 / seal now; after a restore with other tools say --restored: a new epoch begins."""
        from bihuan.ledger import heads, seals

        made = seals.new_epoch(heads.epochs_used()) if restored else seals.seal_minute()
        heads.bring(restored=restored)
        run.say(f"封存 {made.epoch}/{made.no}：{made.n_facts} 条 / sealed" if made else "没有新的 / nothing new")
        return {"ok": True, "n_facts": made.n_facts if made else 0, "head": _plain(seals.head())}

    @command(audit, "keep", role="work")
    @click.option(
        "--to", "to", required=True, metavar="PATH", help="别处的文件或文件夹；- 为标准输出 / a file or folder elsewhere; - prints"
    )
    @restored_option
    def keep(run: Run, to: str, restored: bool) -> dict:
        """把签名的链尾追加到别处，落盘后才算 / append the signed heads to a file elsewhere; refuses another history."""
        from bihuan.ledger import heads

        if to == "-":
            heads.bring(restored=restored)
            if not heads.own_file().exists():
                raise Refused("nothing_sealed", "还没有封存，一分钟后再试。", "Nothing is sealed yet: try again in a minute.")
            sys.stdout.write(heads.own_file().read_text("utf-8"))
            return {"ok": True, "file": None}
        return _brought(run, heads.bring(heads.place(to), restored=restored))

    @command(audit, "witness", role=None)
    @click.argument("heads_file", metavar="FILE", type=click.Path(allow_dash=True, path_type=Path))
    @click.option("--kept", type=click.Path(dir_okay=False, path_type=Path), help="本处留存的文件 / where they are kept here")
    @restored_option
    @click.option("--new-key", is_flag=True, help="已电话核实对方换了签名密钥 / the sender's new key was confirmed by telephone")
    def witness(run: Run, heads_file: Path, kept: Path | None, restored: bool, new_key: bool) -> dict:
        """见证别处的封存链：与留存的接得上才收 / keep another installation's heads; refuses a history written anew."""
        from bihuan.site import setup

        setup.django("app")  # its settings; the witness needs no database
        from bihuan.ledger import heads

        came = heads.parse(sys.stdin.readlines()) if str(heads_file) == "-" else heads.read(heads_file)
        if not came.name.replace("-", "").isalnum():
            raise Refused("heads_unreadable", "这不是校验值文件。", "This is no file of heads.", str(heads_file))
        answer = heads.receive(came, kept or home() / "witness" / f"{came.name}.heads", restored=restored, new_key=new_key)
        run.say(f"签名者 / signed by {heads.fingerprint(came.key)}")
        return _brought(run, answer) | {"fingerprint": heads.fingerprint(came.key)}

    @command(audit, "daily", role="work")
    @click.option("--on", "on", type=click.DateTime(["%Y-%m-%d"]), help="哪一天；默认今天 / which day; default: today")
    @click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="另写成可打印的网页 / also as a page to print")
    def daily(run: Run, on, html: Path | None) -> dict:
        """一天的封存总值，一行字抄入或贴入值班日志 / one day's root, to be signed in the duty log on paper."""
        from bihuan.kernel import clock
        from bihuan.ledger import daily as pages

        found = pages.of(on.date() if on else clock.today())
        for line in found.lines():
            run.say(line)
        if html:
            html.write_text(pages.html(found), "utf-8")
        return {"ok": True} | found.as_json() | ({"html": html} if html else {})


def _brought(run: Run, answer) -> dict:
    last = f"{answer.last.epoch}/{answer.last.no}" if answer.last else None
    run.say(f"{answer.path}：+{answer.n_new}，到 / up to {last or '—'}" + (f"，恢复时丢失 / lost {answer.lost}" if answer.lost else ""))
    return {"ok": True, "file": answer.path, "n_new": answer.n_new, "last": last, "n_lost": answer.lost}


def _plain(head) -> dict | None:
    return {"epoch": head.epoch, "no": head.no, "chain": head.chain.hex()} if head else None
