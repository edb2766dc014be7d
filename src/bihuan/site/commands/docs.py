"""`docs`: the tables of docs/reference, written from the declarations."""

from __future__ import annotations

from typing import Any

import click

from bihuan.site.cli import Run, command


def register(cli: click.Group) -> None:
    @command(cli, "docs", role=None)
    @click.option("--check", is_flag=True, help="只比较，不写 / compare only; ends with 1 when a page is stale")
    def docs(run: Run, check: bool) -> dict[str, Any]:
        """由代码中的声明生成 docs/reference 的各表 / write the tables of docs/reference from the declarations."""
        from bihuan.site import reference, setup

        setup.django("app")
        missing = reference.missing()
        for one in missing:
            run.say(f"{one.part}: {one.name}: {one.why}")
        pages = reference.stale() if check else reference.write()
        for page in pages:
            run.say(f"{'过时／stale' if check else '已写／written'}: docs/reference/{page}")
        bad = bool(missing) or (check and bool(pages))
        if not bad and not pages:
            run.say("没有要改的 / up to date")
        return {"ok": not bad, "pages": pages, "missing": [f"{m.part}: {m.name}: {m.why}" for m in missing]}
