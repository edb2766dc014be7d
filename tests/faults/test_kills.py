"""Twenty kills in the middle of lists coming in and of the clock's work: nothing lost, nothing doubled.

The process, one backend of the database (which restarts the whole server), or the server with all its processes is
killed with -9 at a random moment; then everything goes on, and in the end the accounts are as if nothing had happened.
"""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import psycopg
import pytest
from tests.lists.generate import id_number

from bihuan.site import postgres, roles

REPO = Path(__file__).resolve().parents[2]
VICTIM = Path(__file__).with_name("victim.py")
N_KILLS, N_IN_IMPORT = 20, 12
KINDS = ["process", "process", "backend", "backend", "backend", "server"]
ROWS = 400  # of one list: about half a second of work
WAIT_SECONDS = 40


def write_list(folder: Path, no: int) -> None:
    """People whom no other list has; written aside and moved, so that half a file is never read."""
    lines = ["姓名,证件号码,手机号码,来源地,到达时间,现居住地址"]
    for row in range(ROWS):
        n = no * ROWS + row
        doc = id_number("320722", date(1950 + n % 50, 1 + n // 50 % 12, 1 + n // 600 % 28), n % 1000)
        lines.append(f"王{n:05d},{doc},139{n:08d},上海市,2022-08-27,连云港市连云区板桥街道板桥社区{n}号")
    aside = folder / f"{no:02d}.part"
    aside.write_text("\n".join(lines), "utf-8")
    aside.rename(folder / f"{no:02d}.csv")


class Victim:
    """The process that is killed, and what it has said so far."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.said: queue.Queue[str] = queue.Queue()
        self.promised: dict[str, dict] = {}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(VICTIM), str(self.folder)], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.said.put(line.strip())
        process.stdout.close()

    def hear(self, wanted: Callable[[str], bool]) -> str:
        """The next line that is wanted; what it promises on the way is kept."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            line = self.said.get(timeout=max(until - time.monotonic(), 0.01))
            self._keep(line)
            if wanted(line):
                return line

    def is_done(self, name: str) -> bool:
        """Was the list promised by now?"""
        with suppress(queue.Empty):
            while True:
                self._keep(self.said.get_nowait())
        return name in self.promised

    def _keep(self, line: str) -> None:
        if line.startswith("done "):
            _, name, accounts = line.split(" ", 2)
            self.promised[name] = json.loads(accounts)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def own_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A server of its own, with everything as in production: the others' would be killed with it."""
    values = {
        "BIHUAN_HOME": str(folder), "BIHUAN_PGDATA": str(folder / "pg"), "BIHUAN_DATABASE": "bihuan", "BIHUAN_ROLE": "work",
        "PYTHONPATH": os.pathsep.join([str(REPO / "src"), str(REPO)]),
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    postgres.start()
    try:
        yield os.environ | values
    finally:
        postgres.stop()


def kill_server(folder: Path) -> None:
    """The postmaster and all its processes, at once."""
    postmaster = int((folder / "pg" / "postmaster.pid").read_text().split()[0])
    children = [int(p) for p in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
    for pid in [postmaster, *children]:
        with suppress(ProcessLookupError):  # it had ended by itself
            os.kill(pid, signal.SIGKILL)


def kill_backend() -> bool:
    """The process of the server that works for the victim; False when there is none at this moment."""
    with superuser() as db:
        found = db.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'bihuan_work' AND state <> 'idle'").fetchall()
    for (pid,) in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def superuser() -> psycopg.Connection:
    """A connection, as soon as the server has recovered."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return psycopg.connect(roles.dsn("superuser"), autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def later(minutes: int) -> None:
    """The frozen clock goes on at once, so that what falls due is a surprise to the running tick."""
    with superuser() as db:
        db.execute("UPDATE installation SET frozen_at = frozen_at + make_interval(mins => %s)", [minutes])


@pytest.mark.skipif(
    sys.platform != "linux" or bool(os.environ.get("DATABASE_URL")), reason="kills the embedded server's processes by /proc"
)
def test_twenty_kills_lose_nothing_and_double_nothing(monkeypatch) -> None:
    # Not pytest's folder: as root the server is another user, and must be able to pass through.
    with tempfile.TemporaryDirectory(prefix="bihuan-kills-", ignore_cleanup_errors=True) as made:
        strike_twenty_times(Path(made), monkeypatch)


def strike_twenty_times(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = folder / "lists"
    lists.mkdir()
    dice = random.Random(20220828)
    with own_server(folder, monkeypatch) as environment:
        subprocess.run([sys.executable, str(VICTIM), "seed"], env=environment, check=True, capture_output=True)
        victim = Victim(lists, environment)
        killed = {"process": 0, "backend": 0, "server": 0}
        n_halfway = 0

        def strike(what: str) -> None:
            if what == "process":
                victim.kill()
                victim.start()
            elif what == "backend":
                if not kill_backend():
                    return
            else:
                kill_server(folder)
                postgres.start()
            killed[what] += 1

        def undisturbed() -> float:
            """Seconds that a list takes on this machine: strikes are spread over as many."""
            write_list(lists, 0)
            victim.hear(lambda line: line == "begin 00.csv")
            begun = time.monotonic()
            victim.hear(lambda line: line.startswith("done 00.csv"))
            return time.monotonic() - begun

        try:
            usual, n_lists = undisturbed(), 1
            while sum(killed.values()) < N_IN_IMPORT:
                write_list(lists, n_lists)
                name, n_lists = f"{n_lists:02d}.csv", n_lists + 1
                # Each list is struck twice, then left to be finished by whoever lives.
                for _ in range(2):
                    victim.hear(lambda line, name=name: line.startswith(("begin " + name, "done " + name)))
                    if name in victim.promised:
                        break
                    time.sleep(dice.uniform(0, usual))
                    if victim.is_done(name):
                        break
                    n_halfway += 1
                    strike(dice.choice(KINDS))
                if name not in victim.promised:
                    victim.hear(lambda line, name=name: line.startswith("done " + name))
            victim.hear(lambda line: line.startswith("ticked"))
            while sum(killed.values()) < N_KILLS:
                later(61)
                time.sleep(dice.uniform(0, 0.3))
                strike(dice.choice(KINDS))
                victim.hear(lambda line: line == "ticked 0")
        finally:
            victim.kill()
        assert min(killed.values()) > 0, killed
        assert n_halfway >= N_IN_IMPORT // 2, "most lists were struck when they were half in"

        with superuser() as db:
            one = lambda sql: db.execute(sql).fetchone()[0]  # noqa: E731
            n_people = n_lists * ROWS
            assert len(victim.promised) == n_lists
            assert all(a["created"] == a["rows"] == ROWS for a in victim.promised.values())
            assert one("SELECT count(*) FROM intake_file WHERE state = 'done'") == n_lists
            assert one("SELECT count(*) FROM intake_row") == n_people
            for counted in ("count(*)", "count(DISTINCT report_key)"):
                assert one(f"SELECT {counted} FROM lead_reported") == n_people
            assert one("SELECT count(*) FROM lead") == n_people
            for counted in ("count(*)", "count(DISTINCT subject)"):
                assert one(f"SELECT {counted} FROM loop WHERE kind = 'leads.verify'") == n_people
            assert one("SELECT count(*) FROM conflict") == 0
            # Each rung fell due once, and the facts of the clock say how many.
            assert one("SELECT count(*) FROM fired WHERE level = 1") == n_people
            assert one("SELECT count(*) FROM fired") == one("SELECT count(DISTINCT (loop, level)) FROM fired")
            assert one("SELECT count(*) FROM fired") == one(
                "SELECT sum(n_loops) FROM handled h JOIN fact f ON f.id = h.fact WHERE f.kind = 'loops.help_asked'"
            )
        done = subprocess.run([sys.executable, "-m", "bihuan", "verify", "--json"], env=environment, capture_output=True, text=True)
        report = json.loads(done.stdout)
        assert report["ok"], report["gaps"][:10]
        assert done.returncode == 0
