"""`test`: the whole suite, with a PostgreSQL of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from bihuan.site.cli import Run, command
from bihuan.site.home import REPO, home

_PROCESSES_MAX = 4  # each has a database server of its own


def register(cli: click.Group) -> None:
    @command(cli, "test", role=None, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def test(run: Run, arguments: tuple[str, ...]) -> dict | None:
        """运行全部测试 / run the tests; further arguments go to pytest. All of them run on all cores, and one more while one waits."""
        home()
        environment = os.environ | {"PYTHONPATH": str(REPO / "src")}
        whole = not any(argument.startswith(("tests", "-n", "--numprocesses", "-x", "-k")) for argument in arguments)
        # A test that kills, restores or looks into a browser waits a third of its time: one process more than cores.
        processes = ["-n", str(min((os.cpu_count() or 1) + 1, _PROCESSES_MAX)), "--dist", "worksteal"] if whole else []
        done = subprocess.run([sys.executable, "-m", "pytest", *processes, *arguments], cwd=REPO, env=environment)
        if done.returncode and not run.json:
            sys.exit(done.returncode)
        return {"ok": done.returncode == 0, "exit_code": done.returncode} if run.json else None
