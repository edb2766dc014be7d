"""`drill NAME`: what must hold when things go wrong, on a server of its own that is gone afterwards."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from bihuan.site.cli import Run, command
from bihuan.site.home import REPO


def register(cli: click.Group) -> None:
    @cli.group("drill")
    def drill() -> None:
        """演练：断电、重发、抢办时会怎样 / kill it, repeat it, contest it: what must hold then."""

    if not (REPO / "drills").is_dir():  # an installation without the tests' folders
        return
    if str(REPO) not in sys.path:
        sys.path.insert(0, str(REPO))  # `drills/` and `bench/` lie beside `src/`: the product never imports them
    for name in import_module("drills.harness").names():
        _add(drill, name)


def _add(group: click.Group, name: str) -> None:
    module = import_module(f"drills.{name}")

    def run(run: Run, **options: Any) -> dict[str, Any]:
        harness, server = import_module("drills.harness"), import_module("bench.server")
        with server.throw_away():
            return harness.run(name, options, run.say)

    run.__doc__ = (module.__doc__ or "").strip().split("\n\n")[0]
    for option, (default, said) in reversed(module.OPTIONS.items()):
        run = click.option(f"--{option.replace('_', '-')}", type=int, default=default, show_default=True, help=said)(run)
    command(group, name, role=None)(run)
