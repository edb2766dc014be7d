"""Who steals the database, a folder or a log finds no number of anybody; a new installation stands with its doors shut."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import http.client
import logging
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.contrib.staticfiles import finders
from tests.attacks.world import PEOPLE, World, client, dsn
from tests.conftest import serving
from tests.morning import take_in

from bihuan.access.permissions import Role
from bihuan.kernel import ids
from bihuan.site import postgres
from bihuan.site.home import home

# Two people of nobody: numbers with right check digits.
DOCUMENTS = ["320703199001011239", "320723198512121437"]
ADDRESS_END = "号楼"


def checked(number: str) -> str:
    """A document number with its check digit (GB 11643)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return number[:17] + "10X98765432"[sum(int(d) * w for d, w in zip(number, weights, strict=False)) % 11]


@pytest.fixture(scope="module")
def numbers(world: World) -> list[str]:
    """What must be read nowhere: documents, phones, exact addresses, as the lists gave them. Several acts and faults have passed."""
    documents = [checked(number) for number in DOCUMENTS]
    head = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"
    rows = "".join(
        f"孙小{'甲乙'[n]},{number},1370000{n:04d},上海市,2022-08-27,{world.here.address}7{n}号楼\n" for n, number in enumerate(documents)
    )
    rows += f"坏小一,32070319900101123,13700009999,上海市,昨天,{world.here.address}99号楼\n"
    _file, accounts, _rows = take_in("带证件.csv", (head + rows).encode(), "unit")
    assert (accounts["created"], accounts["rejected"]) == (2, 1)
    village = client(world.here.logins[Role.VILLAGE_WORKER])
    lead = world.here.things["verify"][0]
    assert village.post(f"/leads/{lead}/unmask", {"act": str(ids.new_id()), "purpose": "visit"}).status_code == 200
    village.post(f"/leads/{lead}/call?act={ids.new_id()}", {})
    village.get("/people", {"q": world.here.phone + "000030"})
    return [
        *documents, "32070319900101123", "13700009999", *(f"1370000{n:04d}" for n in range(2)),
        *(f"{place.phone}{n:06d}" for place in (world.here, world.there) for n in range(PEOPLE)),
        *(f"{world.here.address[-7:]}{n}{ADDRESS_END}" for n in (30, 70, 71, 99)),
    ]  # fmt: skip


def test_a_dump_of_the_database_holds_no_number_and_no_address(world: World, numbers):
    """As a thief reads it: every value of every table, also within bytes, as the superuser."""
    hits, read, names = [], 0, 0
    with psycopg.connect(dsn()) as db:
        for (table,) in db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm') ORDER BY 1"
        ).fetchall():
            with db.cursor().copy(f'COPY "{table}" TO STDOUT') as copy:
                text = b"".join(bytes(block) for block in copy)
            read += len(text)
            names += text.count("孙小甲".encode())
            hits += [(table, number) for number in numbers if number.encode() in text or number.encode().hex().encode() in text]
    assert hits == []
    assert read > 100_000
    assert names > 0, "what is not encrypted is seen: the search works"


def test_files_and_logs_hold_no_number(world: World, numbers):
    """The installation's folder and the database's own log, after imports, reads and faults. The write-ahead log is encrypted data as well."""
    folders = [home(), Path(os.environ["BIHUAN_PGDATA"])]
    found = []
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and file.stat().st_size < 64_000_000 and file.parts[len(folder.parts)] != "base":
                data = file.read_bytes()
                found += [(str(file), number) for number in numbers if number.encode() in data]
    assert found == []


def test_a_fault_writes_no_number_into_the_log(world: World, numbers, monkeypatch, caplog):
    """An unforeseen error while a person's page is made: what the log then says names no number, nor does the page."""
    from bihuan.leads import lead_pages

    number = world.here.phone + "000030"

    def breaks(*_args, **_more):
        phones = [number]  # in the frame, as the pages have it
        raise RuntimeError(f"broken on purpose with {len(phones)} phone")

    monkeypatch.setattr(lead_pages.queries, "timeline", breaks)
    caplog.set_level(logging.DEBUG)
    answer = client(world.here.logins[Role.VILLAGE_WORKER]).get(f"/leads/{world.here.things['verify'][0]}")
    assert answer.status_code == 500
    assert "broken on purpose" in caplog.text
    assert [n for n in numbers if n in caplog.text] == []
    assert "broken on purpose" not in answer.content.decode()
    assert number not in answer.content.decode()


def test_search_outside_ones_range_tells_nothing(world: World):
    """A11: whether somebody is known elsewhere cannot be guessed by the answer, its size or its statements."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from tests.attacks.world import said

    stranger = client(world.there.logins[Role.VILLAGE_WORKER])
    answers = set()
    for number in (world.here.phone + "000030", world.here.phone + "000031", "13800009998", "13800009997"):
        with CaptureQueriesContext(connection) as captured:
            answer = stranger.get("/people", {"q": number})
        answers.add((answer.status_code, said(answer).replace(number, ""), len(captured)))
    assert len({(status, re.sub(r"\s+", " ", text)) for status, text, _ in answers}) == 1
    assert len({n for _, _, n in answers}) == 1


# --- the doors of a new installation ------------------------------------------------------------------------------

KNOCKED = (
    "/admin", "/admin/", "/metrics", "/debug", "/__debug__/", "/.env", "/.git/config", "/static/../settings.py", "/static/%2e%2e/settings.py",
    "/static/", "/media/", "/api", "/api/docs", "/openapi.json", "/server-status", "/phpmyadmin/", "/static/css/../../secret", "//evil.example/",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(world: World):
    from django.db import connection

    with serving(connection.settings_dict["NAME"]) as live:
        yield urlsplit(live.url)


def ask(house, path: str, method: str = "GET", headers: dict | None = None) -> tuple[http.client.HTTPResponse, str]:
    """As somebody types it: the path goes out as it is."""
    line = http.client.HTTPConnection(house.hostname, house.port, timeout=10)
    line.request(method, path, headers=headers or {})
    answer = line.getresponse()
    return answer, answer.read().decode("utf-8", "replace")


def test_a_stranger_finds_a_sign_in_and_nothing_else(house):
    for path in KNOCKED:
        answer, body = ask(house, path)
        assert answer.status in (301, 302, 400, 404), (path, answer.status)
        if answer.status in (301, 302):
            assert answer.headers["Location"].startswith("/sign-in"), (path, answer.headers["Location"])
        assert "Traceback" not in body
        assert "DJANGO" not in body.upper().replace("DJANGO_HTMX", ""), path
    for method in ("TRACE", "OPTIONS", "PUT", "DELETE", "PROPFIND"):
        assert ask(house, "/duties", method)[0].status in (302, 400, 403, 405, 501), method
    answer, body = ask(house, "/sign-in", headers={"Host": "evil.example"})
    assert answer.status == 400, "another name of a host is not ours"


def test_nobody_fills_the_house_with_a_body(house):
    """What is longer than an address takes is refused by its said length; before the sign-in no body is read at all."""
    for path, length, status in (
        ("/sign-in", 5 * 2**20, 413), ("/i18n/setlang/", 2**40, 413), ("/duties", 5 * 2**20, 413), ("/lists/return", 10 * 2**20, 413),
        ("/intake/upload", 2**40, 413), ("/intake/upload", 150 * 2**20, 302),
    ):  # fmt: skip
        line = http.client.HTTPConnection(house.hostname, house.port, timeout=10)
        line.putrequest("POST", path)
        line.putheader("Content-Type", "multipart/form-data; boundary=x")
        line.putheader("Content-Length", str(length))
        line.endheaders()
        line.send(b"--x\r\n")  # and never more: whoever waits for the rest waits for ever
        answer = line.getresponse()
        assert answer.status == status, (path, length, answer.status)
        if status == 413:
            assert "没有保存" in answer.read().decode()


def test_every_answer_carries_its_armour(house):
    for path in ("/sign-in", "/healthz", "/no/such", "/duties"):
        answer, _body = ask(house, path)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        assert "default-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store" or "no-cache" in headers["cache-control"]
        assert "server" not in headers or not re.search(r"\d", headers["server"]), headers.get("server")
        assert "x-powered-by" not in headers
    answer, _body = ask(house, "/sign-in")
    cookies = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    assert cookies
    assert all("httponly" in cookie.lower() and "samesite" in cookie.lower() for cookie in cookies), cookies


def test_health_says_nothing_about_anybody(house, world: World):
    _answer, body = ask(house, "/healthz")
    assert [secret for secret in world.here.secrets | world.there.secrets if secret in body] == []


def test_the_house_listens_at_home_only_and_its_files_are_its_own():
    from bihuan.site import serve

    assert serve.HOST == "127.0.0.1"
    secret = home() / "secret"
    if secret.exists():
        assert oct(secret.stat().st_mode & 0o777) == "0o600"
    assert finders.find("settings.py") is None
    assert postgres.alive()


def test_no_secret_is_in_the_repository():
    """No key, password or certificate in what a clone contains."""
    pattern = r"-----BEGIN [A-Z ]*PRIVATE KEY|(password|secret|token)\s*=\s*['\"][A-Za-z0-9+/]{20,}['\"]"
    done = subprocess.run(
        ["git", "grep", "-nIE", pattern, "--", "src", "tests", "packs", "bench", "bihuan"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert [line for line in done.stdout.splitlines() if "test_leaks.py" not in line] == []


def test_tables_without_a_policy_are_named():
    """Every table that a page could read either hides its rows by scope, or stands here with a reason."""
    with psycopg.connect(dsn()) as db:
        bare = {
            table
            for (table,) in db.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND NOT relrowsecurity"
            ).fetchall()
        }
        definers = db.execute(
            "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND p.prosecdef"
        ).fetchall()
    # It makes empty months of the ledger and hands back a number; nothing else may act as its owner, past every policy.
    assert definers == [("ledger_ensure_partitions",)]
    known = {name for names in NO_PERSON.values() for name in names.split()}
    assert sorted(bare - known) == [], "say in NO_PERSON why nobody can be read there, or give it a read policy"


# Tables without row-level security, and why nobody of the lists can be read in them.
NO_PERSON = {
    "places, units and rules, which everybody works by": "region region_scope unit unit_line adoption adoption_proposal event installation",
    "which post read how often, by opaque ids": "whole_read",
    "counts of units": "standing tally tally_delta tick rung reckoning seal denied job_run",
    "accounts of officers, read by the sign-in before any scope is known": "officer post totp passkey recovery_code sign_in sign_in_code device attempt security_log django_session",
    "opaque ids alone: which ids are one person, and in whose sight; leads without a duty": "subject cluster judged visible stray",
    "which column of a unit's lists is what: the head is a fingerprint, never names": "intake_mapping",
    "the end of an event: days, counts and hashes": "ending destroyed_leaf",
    "wrapped keys, worth nothing without the master key": "event_key",
    "the framework's own": "auth_group auth_group_permissions auth_permission django_content_type django_migrations",
}
