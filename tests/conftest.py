"""The tests' own server and databases, a real web process, a real browser.

Every test that asks for `db` gets a database of its own, copied from a migrated template: commits are real, nothing is
rolled back, nothing is left. Django's default connection is `bihuan_app`, as in the pages.
"""

from __future__ import annotations

import gc
import os
import pickle
import re
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from hypothesis import settings

from tests import served

REPO = Path(__file__).resolve().parents[1]
# The headless shell is Chromium's engine without its windows: the same pages for two thirds of the work.
_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in _BROWSERS if (found := shutil.which(name))), None)

# Set before anything of Bihuan is imported: the tests never touch the demonstration's folder or an operator's server.
_root = Path(os.environ.setdefault("BIHUAN_TEST_ROOT", os.environ.get("BIHUAN_HOME") or str(REPO / "var"))).resolve()
# Each process of a suite that runs on several cores has a server of its own: what is sealed, killed or counted in one
# (a seal waits for every transaction of the whole server) is no business of the other.
_process = os.environ.get("PYTEST_XDIST_WORKER", "")
# In memory where a whole suite runs and there is room: each of a thousand databases is a thousand files. One test by itself
# finds the server of the last one on the disk.
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 4 * 2**30  # a suite of four processes fills less than half of it
_in_memory: Path | None = None


def _data_folder() -> Path:
    global _in_memory
    if not _process or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        return _root / f"test-pg{_process}"
    told = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.M)
    if told is None or int(told[1]) * 1024 < MEMORY_BYTES:
        return _root / f"test-pg{_process}"
    for left in MEMORY.glob("bihuan-test-*"):
        if _has_ended(left.name.split("-")[2]):
            shutil.rmtree(left, ignore_errors=True)
    _in_memory = MEMORY / f"bihuan-test-{os.getpid()}"
    return _in_memory / "pg"


def _has_ended(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return True
    except PermissionError:
        return False
    return False


os.environ["BIHUAN_PGDATA"] = str(_data_folder())
os.environ["BIHUAN_HOME"] = str(_root / f"test-home{_process}")
os.environ["BIHUAN_ROLE"] = "app"
if _process:  # the processes of a suite have all cores in use: threads for frames of fifty rows would only change places
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
# Playwright keeps an event loop in the tests' thread; Django would then refuse its ordinary database calls.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
os.environ.pop("BIHUAN_POOL", None)
if "DATABASE_URL" in os.environ and os.environ.get("BIHUAN_TEST_ON_DATABASE_URL") != "1":
    del os.environ["DATABASE_URL"]

from bihuan.site import postgres, roles, setup  # noqa: E402

# One template per state of the migrations, so that two runs beside each other never share a half-made one.
TEMPLATE = os.environ["BIHUAN_DATABASE"] = f"template_{setup.stamp()[:12]}"
TEMPLATES_KEPT = 3

# A database answers when it can: no example fails for having been slow once.
hypothesis.settings.register_profile("bihuan", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("bihuan")

# The suite draws the same examples every time, so that green is green; `HYPOTHESIS_PROFILE=search` looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

_use = None


def pytest_configure(config: pytest.Config) -> None:
    """Start the server and Django before tests are collected: test modules import models at their top."""
    global _use
    if not hasattr(config, "workerinput") and getattr(config.option, "numprocesses", None):
        return  # this process only hands out the tests
    if _use is None:
        _use = postgres.Use(throw_away=True)
        _use.__enter__()
    setup.django("app")
    # A password costs half a second, as it should; what tests say with it is said as well when it costs nothing.
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    PBKDF2PasswordHasher.iterations = 1


# What takes longest begins first, so that no core waits for it at the end.
_LONG = ("test_kills.py", "test_every_order_ends_the_same", "test_random_days", "test_adding_a_duty.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not any(long in item.nodeid for long in _LONG))


def pytest_collection_finish() -> None:
    # What is loaded by now stays to the end: it is not gone through again and again for rubbish.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    global _use
    if _use is not None:
        _use.__exit__(None, None, None)
        _use = None
    if _in_memory is not None:
        shutil.rmtree(_in_memory, ignore_errors=True)


@contextmanager
def superuser(database: str = "postgres") -> Iterator[psycopg.Connection]:
    with psycopg.connect(roles.dsn("superuser", database), autocommit=True) as connection:
        yield connection


def _drop(database: str) -> None:
    with superuser() as server:
        server.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


@pytest.fixture(scope="session")
def template() -> str:
    """A database with all tables and privileges and no rows; made anew when the migrations have changed."""
    with superuser() as server:
        server.execute("SELECT pg_advisory_lock(1)")  # until this connection closes
        names = [n for (n,) in server.execute("SELECT datname FROM pg_database ORDER BY oid DESC").fetchall()]
        old = [n for n in names if n.startswith("template_") and n != TEMPLATE][TEMPLATES_KEPT:]
        left = [n for n in names if n.startswith("t_") and _has_ended(n.split("_")[1])]  # by a run that was killed
        for name in old + left:
            _drop(name)
        if not setup.is_current():
            _drop(TEMPLATE)
            roles.ensure()
            setup.migrate()
    from django.db import connection

    connection.close()
    return TEMPLATE


def _copy(template: str, name: str) -> None:
    for _ in range(100):
        try:
            with superuser() as server:
                server.execute(f'CREATE DATABASE "{name}" OWNER {roles.OWNER} TEMPLATE "{template}" STRATEGY FILE_COPY')
                # A copy has its own privileges as a database; those of its tables came with it.
                server.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
                server.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {roles.APP}, {roles.WORK}, {roles.ENGINE}')
            return
        except psycopg.errors.ObjectInUse:  # another run looks into the template at this moment
            time.sleep(0.1)
    raise RuntimeError(f"{template} stays in use")


@contextmanager
def database_from(template: str) -> Iterator[str]:
    """A new database, a copy of `template`, to which Django's default connection points; dropped at the end.

    Other files make a seeded template of their own in the same way (`with database_from(template) as seeded:`).
    """
    from django.db import connection

    name = f"t_{os.getpid()}_{uuid4().hex[:12]}"
    before = connection.settings_dict["NAME"]
    connection.close()
    _copy(template, name)
    connection.settings_dict["NAME"] = name
    try:
        yield name
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        _drop(name)


@pytest.fixture
def db(template: str) -> Iterator[str]:
    """The name of a fresh database; Django's default connection is `bihuan_app` in it. Commits are real."""
    with database_from(template) as name:
        yield name


@pytest.fixture(scope="session")
def city_template(template: str) -> Iterator[str]:
    """A database with the demonstration's city: regions, units, rules, officers; its clock stands at 08:00."""
    with database_from(template) as name:
        with setup.acting("work"):
            from bihuan.policy import installation
            from bihuan.site import demo

            installation.forget()
            demo.seed()
        from django.db import connection

        connection.close()
        yield name


@pytest.fixture
def city(city_template: str) -> Iterator[str]:
    """The name of a fresh database with the demonstration's city; Django's default connection is `bihuan_app` in it."""
    from bihuan.policy import installation

    with database_from(city_template) as name:
        installation.forget()
        yield name
    installation.forget()


@pytest.fixture(scope="session")
def world_template(city_template: str) -> Iterator[tuple[str, bytes]]:
    """A database with two places full of people and officers (tests/attacks/world.py), and what is in it, pickled."""
    from bihuan.policy import installation
    from tests.attacks import world

    with database_from(city_template) as name:
        installation.forget()
        yield name, pickle.dumps(world.make())
    installation.forget()


@pytest.fixture(scope="module")
def world(world_template: tuple[str, bytes]) -> Iterator[object]:
    """A tests.attacks.world.World in a database of its own: the tests of a file are told apart by what they take from it."""
    from bihuan.policy import installation

    name, made = world_template
    with database_from(name):
        installation.forget()
        yield pickle.loads(made)
    installation.forget()


@pytest.fixture
def as_role(request: pytest.FixtureRequest) -> Callable:
    """`with as_role("work") as connection:` a psycopg connection to the test's database as "owner", "app", "work" or "superuser".

    Committed at the end, rolled back on an error.
    """

    @contextmanager
    def connect(role: str, autocommit: bool = False) -> Iterator[psycopg.Connection]:
        from django.db import connection

        with psycopg.connect(roles.dsn(role, connection.settings_dict["NAME"]), autocommit=autocommit) as opened:
            yield opened

    return connect


@pytest.fixture
def acting() -> Callable:
    """`with acting("work"):` Django's default connection logs in as that role (seeding, clock, migrations)."""
    return setup.acting


@dataclass(frozen=True)
class Live:
    """A web process of its own on a free port of this machine."""

    url: str
    pid: int


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(database: str) -> Iterator[Live]:
    """The pages of `database`, served by a real process as in production."""
    port = _free_port()
    with tempfile.NamedTemporaryFile("r") as output:
        pid = served.start(database, port, output.name)
        try:
            url, until = f"http://127.0.0.1:{port}", time.monotonic() + 30
            while True:
                try:
                    urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
                    break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    if not served.is_running(pid) or time.monotonic() > until:
                        raise RuntimeError(f"the web process did not answer:\n{output.read()}") from None
                    time.sleep(0.05)
            yield Live(url, pid)
        finally:
            served.stop(pid)


@pytest.fixture
def live_server(db: str) -> Iterator[Live]:
    """`live_server.url`: granian serving the test's database on a free port."""
    with serving(db) as live:
        yield live


@pytest.fixture(scope="session")
def _chromium() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: pages were not tested (Debian: apt install chromium-headless-shell fonts-noto-cjk)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        # Chromium's own sandbox does not work for root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = play.chromium.launch(executable_path=CHROMIUM, args=[*arguments, "--disable-dev-shm-usage", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def browser(_chromium: object) -> Iterator[object]:
    """A playwright browser context (Chinese, 1440 x 900). `browser.new_page()`; skipped where there is no Chromium."""
    context = _chromium.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", viewport={"width": 1440, "height": 900})
    yield context
    context.close()
