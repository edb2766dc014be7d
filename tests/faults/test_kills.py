"""Twenty kills of pages, clock, writers and database in the middle of their work: the drill of a thousand, small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
KILLS = 20


@pytest.mark.skipif(
    sys.platform != "linux" or bool(os.environ.get("DATABASE_URL")), reason="kills the embedded server's processes by /proc"
)
def test_twenty_kills_lose_nothing_and_double_nothing() -> None:
    # Not pytest's folder: as root the server is another user, and must be able to pass through, whoever tidies up there.
    with tempfile.TemporaryDirectory(prefix="bihuan-kills-", ignore_cleanup_errors=True) as folder:
        judge(drilled(folder))


def drilled(folder: str) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIHUAN_")}
    environment |= {"PYTHONPATH": str(REPO / "src"), "BIHUAN_HOME": folder}
    command = [sys.executable, "-m", "bihuan", "drill", "kills", "--kills", str(KILLS), "--desks", "2", "--json"]
    done = subprocess.run(command, env=environment, cwd=REPO, capture_output=True, text=True)
    assert '"checks"' in done.stdout, done.stdout + done.stderr[-3000:]
    return json.loads(done.stdout)


def judge(result: dict[str, Any]) -> None:
    # How fast it came back is the long drill's to judge, on a machine of its own.
    slow = {name for name in result["checks"] if "within" in name}
    assert {name for name, holds in result["checks"].items() if not holds} <= slow, result["examples"]
    figures = result["figures"]
    assert figures["kills"]["all"] == KILLS
    assert {"server", "busy", "backend", "web", "worker", "writer"} <= figures["kills"].keys()
    assert figures["facts"]["acknowledged"] == figures["facts"]["attempted"] > KILLS
    assert figures["lists"]["acknowledged"] > 0
