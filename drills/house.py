"""A running installation to be struck: pages, worker and database as real processes, a desk's browser, and what kills them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import psycopg

REPO = Path(__file__).resolve().parents[1]
BACK_SECONDS_MAX = 300  # after this a drill gives up waiting; what is promised is far less
CSRF = "0123456789abcdef0123456789abcdef"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what: Callable[[], object], why: str, seconds_max: float = BACK_SECONDS_MAX, nap: float = 0.05) -> object:
    """The first true answer of `what`. RuntimeError with `why` when there is none in time."""
    until = time.monotonic() + seconds_max
    while True:
        with suppress(psycopg.Error, OSError, http.client.HTTPException):
            if answer := what():
                return answer
        if time.monotonic() > until:
            raise RuntimeError(f"{why}: not within {seconds_max} s")
        time.sleep(nap)


class Program:
    """One of our processes with its children, in a group of its own, writing to a file."""

    def __init__(self, folder: Path, module: str, *arguments: str, role: str, heard: bool = False, **settings: str) -> None:
        """`heard`: what it prints is read by us (`process.stdout`)."""
        self.command, self.heard = [sys.executable, "-m", module, *arguments], heard
        self.environment = os.environ | {"BIHUAN_ROLE": role, "PYTHONPATH": os.pathsep.join([str(REPO / "src"), str(REPO)])} | settings
        self.log = folder / f"{module.rsplit('.', 1)[-1]}.log"
        self.start()

    def start(self, *more: str) -> None:
        with self.log.open("a") as output:
            said = subprocess.PIPE if self.heard else output
            self.process = subprocess.Popen(
                [*self.command, *more], env=self.environment, stdout=said, stderr=output, text=True, start_new_session=True
            )
        self.started = time.monotonic()

    def kill(self) -> None:
        """-9, the children too: nothing of it lives on."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None


class Browser:
    """A desk's browser: one session, one request a connection."""

    def __init__(self, port: int, session: str, seconds_max: float = 20) -> None:
        self.port, self.seconds_max = port, seconds_max
        self.cookie = f"sessionid={session}; csrftoken={CSRF}"

    def post(self, path: str, fields: dict[str, str], file: tuple[str, bytes] | None = None) -> tuple[int, str, str]:
        """Status, address to go on to, text. OSError or HTTPException when no whole answer came."""
        fields = {"csrfmiddlewaretoken": CSRF, **fields}
        if file is None:
            return self._ask("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")
        mark = uuid.uuid4().hex
        parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{file[0]}"\r\nContent-Type: text/csv\r\n\r\n'
        body = b"".join(parts) + head.encode() + file[1] + f"\r\n--{mark}--\r\n".encode()
        return self._ask("POST", path, body, f"multipart/form-data; boundary={mark}")

    def get(self, path: str) -> tuple[int, str, str]:
        return self._ask("GET", path, None, "")

    def _ask(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.seconds_max)
        try:
            headers = {"Host": f"localhost:{self.port}", "Cookie": self.cookie} | ({"Content-Type": kind} if kind else {})
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", ""), answer.read().decode(errors="replace")
        finally:
            connection.close()

    def saves(self, path: str, fields: dict[str, str], file: tuple[str, bytes] | None = None) -> bool:
        """Sent; True only when the answer says that it is saved. A refusal is an error of the drill: RuntimeError."""
        try:
            status, where, text = self.post(path, fields, file)
        except (OSError, http.client.HTTPException):
            return False
        if status >= 500 or "/sign-in" in where:
            return False
        if status >= 400:
            raise RuntimeError(f"POST {path} {fields}: {status} {text[:500]}")
        return True


def session_of(login: str) -> str:
    """A signed-in session of an officer of the demonstration."""
    from django.test import Client

    from bihuan.access import queries
    from bihuan.site import setup

    with setup.acting("app"):
        post = queries.post_of(login)
        signed_in = Client(headers={"host": "localhost"})
        signed_in.force_login(post.officer)
        session = signed_in.session
        session["post"] = post.id
        session.save()
        return session.session_key


def superuser() -> psycopg.Connection:
    """A connection as soon as the server answers."""
    from django.db import connection

    from bihuan.site import roles

    dsn = roles.dsn("superuser", connection.settings_dict["NAME"])
    return wait_for(lambda: psycopg.connect(dsn, autocommit=True, connect_timeout=10), "the database")


def ask(sql: str, *values: object) -> list[tuple]:
    """Rows, as the superuser; asked again when the server fell meanwhile."""

    def rows() -> list[list[tuple]]:
        with superuser() as db:
            found = db.execute(sql, values)
            return [found.fetchall() if found.description else []]

    return wait_for(rows, "the database")[0]


def one(sql: str, *values: object) -> object:
    return ask(sql, *values)[0][0]


# --- what kills --------------------------------------------------------------------------------------------------------


def kill_server() -> None:
    """The postmaster and all its processes with -9, then a start as after a power cut."""
    from bihuan.site import postgres
    from bihuan.site.address import data_folder

    data = data_folder()
    with suppress(FileNotFoundError, ValueError):
        postmaster = int((data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in [postmaster, *map(int, children)]:
            with suppress(ProcessLookupError):  # it had ended by itself
                os.kill(pid, signal.SIGKILL)
    postgres.start()


def kill_backend(busy: str) -> bool:
    """One of the server's processes that works for us at this moment: the whole server restarts. False when none does."""
    found = ask(f"SELECT pid FROM pg_stat_activity WHERE usename LIKE 'bihuan_%%' AND {busy} ORDER BY random() LIMIT 1")
    for (pid,) in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def caught(query: str, seconds_max: float) -> int | None:
    """The server's process that runs such a statement for the worker, as soon as there is one."""
    until = time.monotonic() + seconds_max
    with suppress(psycopg.Error), superuser() as db:
        while time.monotonic() < until:
            found = db.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'bihuan_work' AND state = 'active' AND query LIKE %s", [query]
            ).fetchone()
            if found:
                return found[0]
            time.sleep(0.001)
    return None


def start_upkeep(statement: str) -> None:
    """A checkpoint or a vacuum begins; that it dies with its server is what it is for."""

    def run() -> None:
        with suppress(psycopg.Error), superuser() as db:
            db.execute(statement)

    threading.Thread(target=run, daemon=True).start()


# --- time --------------------------------------------------------------------------------------------------------------


def let_the_clock_run() -> None:
    """Product time goes on from where the demonstration stands."""
    ask("UPDATE installation SET clock_offset = frozen_at - clock_timestamp(), frozen_at = NULL WHERE frozen_at IS NOT NULL")


def jump(minutes: int) -> object:
    """Product time goes on by so much at once; returns what it is then."""
    return one(
        "UPDATE installation SET clock_offset = clock_offset + make_interval(mins => %s) RETURNING clock_timestamp() + clock_offset",
        minutes,
    )
