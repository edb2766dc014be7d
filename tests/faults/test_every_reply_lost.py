"""The reply of any address that writes is lost after the commit, and the same form is sent again: nothing is done twice.

The addresses and their forms are those of tests/attacks/routes.toml, in which every address stands.
"""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.apps import apps
from tests import tables
from tests.attacks import routes
from tests.attacks.routes import Route
from tests.attacks.world import World, client, dsn

# Floors that note each sign-in and each try: a second try is a second try.
NOTED = {"access", "sessions", "site", "auth", "contenttypes"}
REFUSED = (409, 422)
WRITING = [route for route in routes.all_routes() if route.takes_post]


def counts() -> dict[str, int]:
    with psycopg.connect(dsn()) as db:
        return tables.counts(db, {m._meta.db_table for m in apps.get_models() if m._meta.app_label not in NOTED})


def test_the_addresses_that_write_are_known():
    assert {"/leads/<uuid:lead>/act", "/intake/upload", "/duties/reassign", "/undo/<uuid:act>"} <= {route.address for route in WRITING}


@pytest.mark.parametrize("route", WRITING, ids=lambda r: r.address)
def test_sent_again_it_is_done_once(route: Route, world: World, acting) -> None:
    from bihuan.policy import installation

    asked = route.fill(route.things(world, world.here))
    who = client(route.row["by"] if "by" in route.row else world.here.logins[route.role])
    before = counts()
    first = who.post(asked.url, asked.form)
    expected = route.row.get("post", 302)
    expected = expected if isinstance(expected, list) else [expected]
    # What another must do first is refused here (an event is asked to end, then signed for): also twice it leaves nothing.
    assert first.status_code in [*expected, *REFUSED], first.content.decode()[:1500]
    once = counts()
    if first.status_code in REFUSED:
        assert once == before
    with acting("work"):
        installation.advance(timedelta(minutes=1))
    installation.forget()
    for value in asked.form.values():
        if hasattr(value, "seek"):
            value.seek(0)
    again = who.post(asked.url, asked.form)
    # Told as the first time, or that it was done; never that something is broken.
    assert again.status_code in (first.status_code, 200, 302, 429, *REFUSED), (again.status_code, again.content.decode()[:1500])
    assert {table: (once[table], n) for table, n in counts().items() if n != once[table]} == {}
