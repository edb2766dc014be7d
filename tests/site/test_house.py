"""The house stands: the command line, the floors, and nothing of one machine in what is committed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bihuan.site import cli, serve
from bihuan.site.commands.run import parse_span
from bihuan.site.home import REPO

# Folders of people's machines, and hosts of package indexes: a clone must work anywhere, from any index.
OF_ONE_MACHINE = re.compile(r"/(?:work|root|home|Users)/[A-Za-z]|pypi\.(?:org|tuna)|pythonhosted|mirrors?\.[a-z]+\.(?:com|edu|cn)")
# This file names them in order to find them.
EXCEPT = {"tests/site/test_house.py"}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, found in group.commands.items():
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from _commands(found, (*path, name))


@pytest.mark.parametrize("path", [p for p in _commands(cli.cli) if p != ("manage",)], ids=" ".join)
def test_every_command_explains_itself(path):
    answer = CliRunner().invoke(cli.cli, [*path, "--help"])
    assert answer.exit_code == 0, answer.output
    assert "Usage: " in answer.output


def test_the_pages_answer_and_forbid_foreign_scripts(live_server):
    with urllib.request.urlopen(f"{live_server.url}/healthz") as answer:
        body = json.load(answer)
        policy = answer.headers["Content-Security-Policy"]
    assert body["database"] == "ok"
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_chromium_shows_the_health_page(live_server, browser):
    page = browser.new_page()
    answer = page.goto(f"{live_server.url}/healthz")
    assert answer.status == 200
    assert '"ok": true' in page.content()


def test_a_taken_port_is_told_in_a_sentence(live_server, monkeypatch):
    from bihuan.kernel.refused import Refused

    monkeypatch.setenv("BIHUAN_PORT", live_server.url.rsplit(":", 1)[1])
    with pytest.raises(Refused, match="port_taken"):
        serve.require_free_port()


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("90m", 5400), ("1d12h", 129600), ("10s", 10), ("5 min", 300)])
def test_spans_are_read(text, seconds):
    assert parse_span(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "1x", "-1h", "1h!"])
def test_other_spans_are_refused(text):
    from bihuan.kernel.refused import Refused

    with pytest.raises(Refused, match="span_unreadable"):
        parse_span(text)


def test_the_launcher_is_plain_posix():
    shell = shutil.which("dash") or "/bin/sh"
    assert subprocess.run([shell, "-n", str(REPO / "bihuan")], capture_output=True).returncode == 0
    text = (REPO / "bihuan").read_text()
    assert text.startswith("#!/bin/sh\n")
    assert not re.search(r"\[\[|\blocal\b|\bfunction\b|\bsource\b", text)


def test_locks_pin_every_library_with_hashes():
    for lock in ("base", "test"):
        text = (REPO / "requirements" / f"{lock}.lock").read_text()
        entries = re.split(r"\n(?=\S)", text.strip())
        assert entries
        for entry in entries:
            assert re.match(r"[a-z0-9-]+==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


def test_the_floors_hold():
    command = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", command], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_path_of_a_machine_and_no_package_index_is_committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a clone: no list of committed files")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = Path(REPO / name)
        if name in EXCEPT or not path.is_file() or path.suffix in {".mo", ".png", ".csv", ".xlsx"}:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if hit := OF_ONE_MACHINE.search(line):
                found.append(f"{name}:{number}: {hit.group()}")
    assert not found


def test_every_job_of_the_worker_is_told_in_words():
    from bihuan.access.officer_pages import JOBS
    from bihuan.site import worker

    assert {job.name for job in worker.jobs()} == set(JOBS)
