"""`bench NAME`: measured ratios against a plain way of doing the same, on a server that is thrown away afterwards."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from bihuan.site.cli import Run, command
from bihuan.site.home import REPO

NAMES = ("intake", "lists", "tick", "record", "bulk")


def register(cli: click.Group) -> None:
    @command(cli, "bench", role=None)
    @click.argument("name", type=click.Choice(NAMES))
    @click.option("--rows", type=click.IntRange(min=100), help="行数；默认为承诺所指的规模 / rows; default: the size of the promise")
    @click.option("--rounds", type=click.IntRange(min=1), help="轮数 / rounds")
    def bench(run: Run, name: str, rows: int | None, rounds: int | None) -> dict[str, Any]:
        """与最朴素的做法比较速度 / measured ratios; exits with 1 when a promise is missed."""
        sys.path.insert(0, str(REPO))  # `bench/` lies beside `src/`, because the product never imports it
        server, harness = import_module("bench.server"), import_module("bench.harness")
        with server.throw_away():
            return harness.measure(name, rows, rounds, run.say)
