"""`import KIND FILE`, `intake rows ID`: lists by the command line, with the same accounts as the pages."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click

from bihuan.kernel.refused import Refused
from bihuan.kernel.text import inert
from bihuan.site.cli import Run, command

REFUSED_TOLD = 20  # rows whose faults are named on the terminal
_FIELDS = ["sheet", "row", "outcome", "reason", "subject"]


def register(cli: click.Group) -> None:
    @command(cli, "import", acts=True)
    @click.argument("kind", type=click.Choice(["leads"]))
    @click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--source", type=click.Choice(["data", "unit", "community", "telecom"]), required=True, help="名单来源 / who sent it")
    @click.option(
        "--rows", "rows_path", metavar="OUT.csv", type=click.Path(dir_okay=False, path_type=Path), help="每行结果 / outcome of each row"
    )
    @click.option("--event", type=int, help="事件编号，只有一个未结束事件时可省 / event id; the one open event if left out")
    def import_list(run: Run, kind: str, path: Path, source: str, rows_path: Path | None, event: int | None) -> dict[str, Any]:
        """导入名单，逐行给出结果 / take in a list; the five counts add up to its rows."""
        from bihuan.access import queries as access
        from bihuan.intake import actions, queries
        from bihuan.intake.file_pages import sentence_of
        from bihuan.kernel import ids
        from bihuan.policy import queries as policy

        post = access.post_of(run.as_login)
        event = event or policy.only_open_event()
        stored = actions.store(
            by=post, event=event, kind=kind, source=source, name=path.name, data=path.read_bytes(), act=ids.new_id(), claim=True
        )
        if isinstance(stored, Refused):
            raise stored
        file = actions.process(stored.file, by=post)
        if file.state == "refused":
            raise Refused(file.refusal["code"], file.refusal["zh"], file.refusal["en"], file.refusal["where"])
        errors = None
        if rows_path is not None:
            _write_rows(rows_path, queries.rows(post, file.id))
            errors = str(rows_path)
        accounts = queries.accounts(file)
        run.say(
            f"{path.name}：{accounts['rows']} 行 = 新增 {accounts['created']} + 变更 {accounts['changed']} + 未变 {accounts['unchanged']}"
            f" + 重复 {accounts['duplicate']} + 退回 {accounts['rejected']}"
        )
        for reason, n in accounts["reasons"].items():
            run.say(f"  退回原因 {reason}：{n}")
        for cell, code in queries.refused_cells(post, file.id, REFUSED_TOLD):
            run.say(f"    {cell} {sentence_of(code)} [{code}]")
        if accounts["rejected"] > REFUSED_TOLD:
            run.say(f"    …… 共退回 {accounts['rejected']} 行，其余见名单页 / the rest on the page of the list")
        return {"ok": True, "file": file.id, **accounts, "errors": errors}

    @cli.group("intake")
    def intake() -> None:
        """名单文件 / files of lists."""

    @command(intake, "rows", acts=True)
    @click.argument("file", metavar="ID", type=int)
    @click.option(
        "--rows", "rows_path", metavar="OUT.csv", type=click.Path(dir_okay=False, path_type=Path), help="写入文件 / write to a file"
    )
    def rows(run: Run, file: int, rows_path: Path | None) -> dict[str, Any]:
        """再列一次每行结果（人员按现在的合并）/ the rows again, with the persons as linked now."""
        from bihuan.access import queries as access
        from bihuan.intake import queries

        found = queries.rows(access.post_of(run.as_login), file)
        if rows_path is not None:
            _write_rows(rows_path, found)
        for row in found if rows_path is None else []:
            run.say(",".join(str(row[name] if row[name] is not None else "") for name in _FIELDS))
        return {"ok": True, "file": file, "rows": found}

    @command(intake, "check", role="work")
    def check(run: Run) -> dict[str, Any]:
        """保存的原件逐份与收到时的指纹核对，有一位不同就说出来 / compare every kept original with its fingerprint"""
        from bihuan.intake import queries

        n, damaged = 0, []
        for file, refused in queries.originals():
            n += 1
            if refused is not None:
                damaged.append({"file": file.id, "code": refused.code})
                run.say(f"{file.id} {file.name}：{refused.zh}")
        run.say(f"{n} 份原件，{len(damaged)} 份对不上 / {n} originals, {len(damaged)} differ")
        return {"ok": not damaged, "files": n, "damaged": damaged}


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, _FIELDS)
        writer.writeheader()
        writer.writerows(row | {"sheet": inert(row["sheet"])} for row in rows)
