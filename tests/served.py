"""Web processes for tests, forked from one that has imported everything: two seconds of imports once, not thirty times.

What runs in them is what runs in production: `bihuan.site.serve`, with granian's own worker process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
STOP_SECONDS_MAX = 15


@cache
def _parent() -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": f"{REPO / 'src'}{os.pathsep}{REPO}", "BIHUAN_ROLE": "app", "BIHUAN_POOL": "1"}
    pipe = subprocess.PIPE
    # It ends when its input does, and its children with it.
    return subprocess.Popen([sys.executable, "-m", "tests.served"], env=environment, stdin=pipe, stdout=pipe, text=True)


def start(database: str, port: int, output: str) -> int:
    """The process id of a server of `database`; what it prints is in the file `output`."""
    parent = _parent()
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(json.dumps([database, port, output]) + "\n")
    parent.stdin.flush()
    return int(parent.stdout.readline())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS_MAX
        while is_running(pid):
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def _serve(database: str, port: int, output: str) -> None:
    from django.db import connections

    from bihuan.site import process, serve

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process.die_with_parent()
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    for told in (1, 2):
        os.dup2(file, told)
    os.environ |= {"BIHUAN_DATABASE": database, "BIHUAN_PORT": str(port)}
    connections.settings["default"]["NAME"] = database
    serve.serve()


def main() -> None:
    import granian  # noqa: F401 (so that no child does)

    from bihuan.site import wsgi  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # an ended child is gone at once
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                _serve(*json.loads(line))
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
