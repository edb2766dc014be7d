"""`demo lists DIR`: four lists to try the demonstration with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bihuan.site.cli import Run, command
from bihuan.site.sample_lists import SENT_BY, make


def register(cli: click.Group) -> None:
    demo = cli.commands["demo"]
    assert isinstance(demo, click.Group)

    @command(demo, "lists", role=None)
    @click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
    @click.option("--people", type=click.IntRange(20, 5000), default=120, show_default=True, help="人数 / people")
    @click.option("--seed", type=int, default=138, show_default=True, help="同一个数，同样的名单 / the same number makes the same lists")
    def lists(run: Run, folder: Path, people: int, seed: int) -> dict[str, Any]:
        """写出四份虚构的名单供试用 / write four made-up lists to try it with; nobody in them exists."""
        made = make(seed, people)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in made.items():
            (folder / name).write_bytes(data)
            run.say(f"./bihuan import leads {folder / name} --source {SENT_BY[name]}")
        return {"ok": True, "files": [{"path": folder / name, "source": SENT_BY[name]} for name in made]}
