"""Every address of the product, asked by those who may and by those who may not. Nothing is left to be remembered.

The addresses come from the resolver; what each needs stands in routes.toml beside this file.
"""

from __future__ import annotations

import itertools
import re
import tomllib

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests import tables
from tests.attacks import routes
from tests.attacks.routes import Route
from tests.attacks.world import World, client, dsn, said

from bihuan.access.decide import decide
from bihuan.access.permissions import Permission, Role

HOW = """
{address} is not in tests/attacks/routes.toml. Add it there (the head of the file says how), for example:

["{address}"]
may = "LEAD_READ"
"""
SIGN_IN = "/sign-in"


def test_every_address_is_listed():
    missing = [address for address in routes.known() if address not in routes.LISTED]
    if missing:
        pytest.fail("".join(HOW.format(address=address) for address in missing))


def test_nothing_is_listed_that_is_not_there():
    known = set(routes.known())
    assert [address for address in routes.LISTED if address not in known] == []
    for route in routes.all_routes():
        parameters = {name for _kind, name in routes.PARAMETER.findall(route.address)}
        assert set(route.row) <= routes.WORDS | parameters, route.address
        assert route.permissions or route.row["may"] in ("public", "signed-in"), route.address


def test_the_public_addresses_are_few():
    """Anonymous people get these and no other. A new one is a decision: it is made here."""
    assert {route.address for route in routes.all_routes() if route.is_public} == PUBLIC


PUBLIC = {"/healthz", "/sign-in", "/i18n/setlang/"}


@pytest.fixture(scope="module")
def taken(world: World) -> dict[str, tuple[dict, dict]]:
    """For each address what it asks about, here and there."""
    return {route.address: (route.things(world, world.here), route.things(world, world.there)) for route in routes.all_routes()}


def counts() -> dict[str, int]:
    """Rows of every table that holds more than sign-ins and what is noted of them: an attack changes none of it."""
    noted = {"django_session", "denied", "sign_in", "attempt", "security_log"}
    with psycopg.connect(dsn()) as db:
        return tables.counts(db, [table for table in tables.names(db) if table not in noted])


def answers_get(who: Client, url: str) -> bool:
    return who.get(url).status_code != 405


@pytest.mark.parametrize("route", routes.all_routes(), ids=lambda r: r.address)
def test_five_requests(route: Route, world: World, taken):
    """One anonymous, one role denied, one region denied, one foreign id, one allowed: over HTTP, GET and POST."""
    mine, theirs = taken[route.address]
    before = counts()
    asked = route.fill(mine)
    who = client(world.here.logins[route.role])
    methods = [m for m, on in (("get", answers_get(who, asked.url)), ("post", route.takes_post)) if on]
    assert methods, f"{route.address} answers neither GET nor POST"

    if not route.is_public:
        for method in methods:
            anonymous = getattr(Client(headers={"host": "localhost"}), method)(asked.url, asked.form if method == "post" else None)
            assert anonymous.status_code == 302, (method, anonymous.status_code)
            assert anonymous.headers["Location"].startswith(SIGN_IN)

    for role in route.denied:
        stranger = client(world.here.logins[role])
        for method in methods:
            answer = getattr(stranger, method)(asked.url, asked.form if method == "post" else None)
            assert answer.status_code == 403, (role, method, answer.status_code)

    elsewhere = client(world.there.logins[route.role])
    for method in methods:
        if route.is_public:
            continue
        named = [where for where, _name in route.names if method == "post" or where != "form"]
        if method == "post" and not named:
            continue  # a post's own act about nobody's thing
        answer = getattr(elsewhere, method)(asked.url, asked.form if method == "post" else None)
        if named:
            assert answer.status_code in route.hidden, ("elsewhere", method, answer.status_code)
        text = said(answer)
        assert [s for s in world.here.secrets if s in text] == [], ("elsewhere", method)

    # An allowed post that names another region's thing: each name by itself, and the same for what is not there.
    for key in route.names:
        for method in methods:
            if key[0] == "form" and method == "get":
                continue
            foreign = route.fill({**mine, key: theirs[key]})
            nowhere = route.fill({**mine, key: route.missing(*key)})
            answers, statements = [], []
            for tried in (foreign, nowhere):
                with CaptureQueriesContext(connection) as captured:
                    answers.append(getattr(who, method)(tried.url, tried.form if method == "post" else None))
                statements.append(len(captured))
            yours, none = answers
            assert yours.status_code == none.status_code, (key, method, yours.status_code, none.status_code)
            assert yours.status_code in route.hidden, (key, method, yours.status_code, none.status_code)
            assert [s for s in world.there.secrets if s in said(yours)] == [], (key, method)
            echoed = {key: theirs[key]}, {key: asked_for(nowhere, route, key)}
            assert without(said(yours), echoed[0], yours) == without(said(none), echoed[1], none), (key, method)
            assert statements[0] == statements[1], (key, method, "the number of statements tells that it is there")
    assert counts() == before

    who = client(route.row["by"]) if "by" in route.row else who
    for method in methods:
        asked = route.fill(mine)
        answer = getattr(who, method)(asked.url, asked.form if method == "post" else None)
        assert answer.status_code in route.well(method), (method, answer.status_code, said(answer)[:1500])
    if not route.takes_post:
        assert who.post(asked.url, {}).status_code in (403, 405), f"{route.address} takes POST: say in routes.toml with which form"
    for method in ("put", "patch", "delete"):
        assert getattr(who, method)(asked.url).status_code in (302, 403, 404, 405)


def asked_for(request: routes.Request, route: Route, key: tuple[str, str]):
    """The value that a request has for a name."""
    where, name = key
    if where != "path":
        return getattr(request, where)[name]
    pattern = re.sub(r"<(?:\w+:)?(\w+)>", r"(?P<\1>[^/]+)", route.address.replace(".", r"\."))
    return re.fullmatch(pattern, request.path)[name]


def without(text: str, echoed: dict, answer) -> str:
    """A page that is shown all the same may repeat what was asked for; a page that hides may not, so nothing is taken out."""
    for value in echoed.values() if answer.status_code == 200 else ():
        text = re.sub(rf"(?<!\w){re.escape(str(value))}(?!\w)", "", text)
    return text


@pytest.mark.parametrize("route", [r for r in routes.all_routes() if r.takes_post], ids=lambda r: r.address)
def test_no_form_counts_without_its_token(route: Route, world: World, taken):
    asked = route.fill(taken[route.address][0])
    who = client(world.here.logins[route.role])
    who.handler.enforce_csrf_checks = True
    before = counts()
    assert who.post(asked.url, asked.form).status_code == 403
    assert counts() == before


# --- the pure decision --------------------------------------------------------------------------------------------

LO, HI, UNIT = 320703000000000, 320704000000000, 7


def test_roles_may_what_the_other_table_says():
    """roles.toml is written by hand, apart from permissions.py: a change of a role is a decision, and is made twice."""
    said_apart = tomllib.loads(routes.TABLE.with_name("roles.toml").read_text(encoding="utf-8"))
    assert {role: sorted(names) for role, names in said_apart.items()} == {role.value: sorted(role.permissions) for role in Role}


def test_a_permission_counts_in_ones_range_or_for_what_one_holds():
    """The whole matrix of role, permission and place."""
    table = tomllib.loads(routes.TABLE.with_name("roles.toml").read_text(encoding="utf-8"))
    for role, permission in itertools.product(Role, Permission):
        may = permission.value in table[role.value]
        inside, outside = (LO, LO + 1, HI - 1), (LO - 1, HI, 0, HI * 10)
        assert decide(role, permission, LO, HI, UNIT, None) is may, (role, permission)
        assert [decide(role, permission, LO, HI, UNIT, scope) for scope in inside] == [may] * 3, (role, permission)
        assert [decide(role, permission, LO, HI, UNIT, scope) for scope in outside] == [False] * 4, (role, permission)
        assert decide(role, permission, LO, HI, UNIT, HI, holder=UNIT) is may, (role, permission)
        assert decide(role, permission, LO, HI, UNIT, HI, holder=UNIT + 1) is False, (role, permission)
        assert decide(role, permission, LO, LO, UNIT, LO) is False, "an empty range holds nothing"
