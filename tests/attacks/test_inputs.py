"""What strangers put into parameters and fields: it is refused or taken as text, and nothing breaks."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.attacks import routes
from tests.attacks.routes import Route
from tests.attacks.world import World, client, said

PRODUCT = 7777 * 7777  # what a template or a shell that calculates would write
# A value each for: SQL and templates and logs; NUL; a number that no column holds; LIKE and JSON paths; rare characters and
# marks of direction; below nothing; a day that never was; not what the field is.
PAYLOADS = [
    "1' OR '1'='1'; SELECT pg_sleep(9)--{{7777*7777}}${7777*7777}{% debug %}\r\n2026-01-01 CRITICAL forged line",
    "a\x00b",
    "9" * 400,
    '%%__!\\$.name[*]?(@ like_regex "(a+)+$")',
    "\U00020bb7\u202e\u200b\ufeff<img src=x onerror=alert(1)>",
    "-1",
    "\u00b2\u0663",  # digits to Python, no number to anybody
    "2022-02-30",
    '{"$gt": ""}',
]
EXTRA = {"order_by": "name; DROP TABLE fact", "sort": "-id", "fields": "*", "id__gt": "0", "limit": "9" * 9, "page": "9" * 9}
HEADERS = {
    "hx-target": "work'\"",
    "hx-request": "true",
    "hx-current-url": "javascript:alert(1)",
    "referer": "http://evil.example/",
    "x-forwarded-host": "evil.example",
    "accept-language": "../../etc,%00",
}


@pytest.fixture(scope="module")
def asked(world: World) -> dict[str, tuple[Any, dict]]:
    """For each address who asks and about what."""
    return {
        route.address: (client(route.row.get("by") or world.here.logins[route.role]), route.things(world, world.here))
        for route in routes.all_routes()
    }


@pytest.mark.parametrize("route", routes.all_routes(), ids=lambda r: r.address)
def test_no_value_breaks_an_address(route: Route, asked, caplog):
    """0 × 500, nothing calculated, no line of a log forged: each parameter by itself with each value."""
    who, things = asked[route.address]
    broken: list[tuple] = []

    def tried(what: Any, answer: Any) -> None:
        # A lone 503 is a statement that ran too long; it is a fault here as well.
        if answer.status_code >= 500 or str(PRODUCT) in said(answer):
            broken.append((what, answer.status_code))

    caplog.set_level(logging.WARNING)
    for value in PAYLOADS:
        request = route.fill(things)
        for name in request.query:
            tried((name, value), who.get(request.path, {**request.query, name: value}))
        for name, was in request.form.items():
            if not hasattr(was, "read"):
                tried((name, value), who.post(request.url, {**route.fill(things).form, name: value}))
        for _kind, name in routes.PARAMETER.findall(route.address):
            path = routes.PARAMETER.sub(
                lambda f, name=name, value=value: quote(value, safe="") if f[2] == name else str(things["path", f[2]]), route.address
            )
            tried((name, value), who.get(path))
    request = route.fill(things)
    tried("unknown parameters", who.get(request.path, {**request.query, **EXTRA}))
    tried("not UTF-8", who.get(f"{request.path}?q=%ff%fe&after=%c3%28&unit=%ff"))
    tried("hostile headers", who.get(request.url, headers=HEADERS))
    if route.takes_post:
        tried("not a form", who.post(request.url, data="{", content_type="application/json"))
        tried("not UTF-8", who.post(request.url, data=b"act=%ff&q=%00", content_type="application/x-www-form-urlencoded"))
        tried("nothing", who.post(request.url, {}))
        tried(
            "each field three times",
            who.post(request.url, {k: [v, v, v] for k, v in route.fill(things).form.items() if not hasattr(v, "read")}),
        )
    assert broken == []
    # The formatter writes a message in one line: what a stranger sends cannot begin a line of its own.
    assert [r.getMessage() for r in caplog.records if "\n" in r.getMessage() or "\r" in r.getMessage()] == []


# --- questions that are too large ---------------------------------------------------------------------------------

STATEMENTS_MAX = 45
HUGE = {
    "q": "%" * 50,
    "after": "9" * 18,
    "before": "9" * 18,
    "state": "all",
    "unit": "9" * 9,
    "kind": "leads.verify",
    "limit": "1000000",
    "what": "held",
    "outcome": "created",
    "page": "999999",
}


@pytest.mark.parametrize("route", [r for r in routes.all_routes() if not r.is_public], ids=lambda r: r.address)
def test_no_question_asks_the_database_without_end(route: Route, asked):
    """Wildcards, deep pages and huge filters: the number of statements stays bounded, and a page stays a page."""
    who, things = asked[route.address]
    request = route.fill(things)
    with CaptureQueriesContext(connection) as captured:
        answer = who.get(request.path, {**request.query, **HUGE, **{k: v for k, v in request.query.items() if ("query", k) in things}})
    assert len(captured) <= STATEMENTS_MAX, "\n".join(q["sql"][:100] for q in captured)
    assert len(said(answer)) < 1_000_000


def test_a_wildcard_is_a_character(world: World):
    desk = client(world.here.logins[next(r for r in world.here.logins if r.value == "township_desk")])
    for wild in ("%", "_", "小_", "%小", "!"):
        assert "/leads/" not in said(desk.get("/people", {"q": wild})), wild
        assert 'name="loop"' not in said(desk.get("/duties", {"state": "all", "q": wild})), wild
    assert "/leads/" in said(desk.get("/people", {"q": "小"}))
