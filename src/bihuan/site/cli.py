"""The command line.

A command is a function in `site/commands/<name>.py`; that file has `register(cli)` and is found by its name. It imports
models and actions inside the function, because Django is started only when the command runs:

    def register(cli):
        @command(cli, "verify", role="work")
        @click.option("--at")
        def verify(run: Run, at: str | None) -> dict:
            '''One line of help.'''
            from bihuan.loops import queries
            gaps = queries.gaps(at)
            run.say(f"{len(gaps)} 处对不上 / gaps")
            return {"ok": not gaps, "gaps": gaps}

The result is printed with `--json`; `"ok": False` in it, or a Refused, ends the program with 1 (a refusal with 2).
"""

from __future__ import annotations

import functools
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import click

from bihuan import __version__
from bihuan.kernel.refused import Refused
from bihuan.site import commands, postgres, setup

CONSOLE = "console"  # the login of the city desk's officer for whom commands act unless --as names another


@dataclass(frozen=True)
class Run:
    """How this command was called."""

    json: bool
    as_login: str

    def say(self, text: str = "") -> None:
        """A line for people; with --json it goes to standard error, so that the result stays readable by machines."""
        click.echo(text, err=self.json)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def command(
    group: click.Group, name: str, *, role: str | None = "app", acts: bool = False, keep: bool = False, **settings: Any
) -> Callable:
    """Register a command. role: "app" | "work" | "owner": server running, tables there, Django started as that role;
    "server": only the server runs; None: nothing is set up. acts: it takes --as LOGIN. keep: leave the server running.
    """

    def wrap(function: Callable) -> click.Command:
        @functools.wraps(function)
        def body(as_json: bool, as_login: str = CONSOLE, **arguments: Any) -> None:
            run = Run(as_json, as_login)
            try:
                if role is None:
                    result = function(run, **arguments)
                else:
                    with postgres.Use(keep=keep):
                        if role != "server":
                            setup.prepare(role)
                        result = function(run, **arguments)
            except Refused as refused:
                if as_json:
                    click.echo(json.dumps({"ok": False, "refused": refused.as_json()}, ensure_ascii=False))
                click.echo(f"{refused.sentence('zh')}\n{refused.sentence('en')} [{refused.code}]", err=True)
                sys.exit(2)
            if as_json:
                click.echo(json.dumps({} if result is None else result, ensure_ascii=False, default=_plain))
            if isinstance(result, dict) and result.get("ok") is False:
                sys.exit(1)

        body = click.option("--json", "as_json", is_flag=True, help="结果用 JSON 输出 / print the result as JSON")(body)
        if acts:
            help_as = "以哪位工作人员的名义 / act as this officer"
            body = click.option("--as", "as_login", metavar="LOGIN", default=CONSOLE, show_default=True, help=help_as)(body)
        return group.command(name, **settings)(body)

    return wrap


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="bihuan")
def cli() -> None:
    """闭环 Bihuan: 从名单到闭环的一座城市的防控指挥。

    先运行 demo；再打开 http://localhost:8000。 / Start with demo, then open http://localhost:8000.
    """


for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda m: m.name):
    import_module(f"{commands.__name__}.{found.name}").register(cli)


def main() -> None:
    os.umask(0o077)  # whatever a command writes is its owner's alone

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Being told to end is as good as Ctrl-C: what was started is stopped in order.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        cli(prog_name="bihuan")
    except PermissionError as error:
        click.echo(
            f"没有权限／not permitted: {error.filename or error}\n是否曾以另一账户运行？／Was it run before by another account?", err=True
        )
        sys.exit(2)
