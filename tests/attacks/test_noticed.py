"""Somebody with a login of the wrong township gets nothing, and is noticed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import psycopg
from django.db import OperationalError
from django.test import RequestFactory
from tests.attacks.world import World, client, dsn, said

from bihuan.access.permissions import Role
from bihuan.kernel import ids
from bihuan.site.middleware import Patience


def test_who_tries_anothers_addresses_is_counted_for_the_auditors(world: World, caplog):
    stranger = client(world.there.logins[Role.TOWNSHIP_DESK])
    caplog.set_level(logging.WARNING, "bihuan.denied")
    leads = world.here.things["verify"][:5]
    for lead in leads:
        assert stranger.get(f"/leads/{lead}").status_code == 404
    assert stranger.post(f"/leads/{leads[0]}/unmask", {"act": str(ids.new_id()), "purpose": "visit"}).status_code == 404
    assert stranger.get("/accounts").status_code == 403
    stranger.get("/no/such/page")  # a slip of the keyboard is no attempt
    with psycopg.connect(dsn()) as db:
        kept = db.execute("SELECT address, status, n FROM denied ORDER BY n DESC, address").fetchall()
    assert kept == [("/leads/<uuid:lead>", 404, 5), ("/accounts", 403, 1), ("/leads/<uuid:lead>/unmask", 404, 1)]
    page = said(client(world.here.logins[Role.AUDITOR]).get("/accounts"))
    row = page[page.index('id="denied"') :]
    assert world.there.logins[Role.TOWNSHIP_DESK] in row
    log = "\n".join(record.getMessage() for record in caplog.records if record.name == "bihuan.denied")
    assert not any(str(lead) in row + log for lead in leads), "neither the page nor the log says who was looked for"
    assert log.count("denied status=404") == 6


def test_the_right_township_is_not_counted(world: World):
    with psycopg.connect(dsn()) as db:
        before = db.execute("SELECT sum(n) FROM denied").fetchone()
    own = client(world.here.logins[Role.TOWNSHIP_DESK])
    assert own.get(f"/leads/{world.here.things['verify'][0]}").status_code == 200
    assert own.get("/duties").status_code == 200
    with psycopg.connect(dsn()) as db:
        assert db.execute("SELECT sum(n) FROM denied").fetchone() == before


def test_a_question_that_takes_too_long_is_a_sentence():
    """As the database's driver says it; anything else stays a fault."""
    request = RequestFactory().get("/people")
    late = OperationalError()
    late.__cause__ = psycopg.errors.QueryCanceled()
    answer = Patience(lambda _: None).process_exception(request, late)
    assert answer.status_code == 503
    assert "缩小范围" in answer.content.decode()
    assert Patience(lambda _: None).process_exception(request, OperationalError()) is None


def test_the_webs_connections_give_up():
    """Only pages: a command or a job may take its time."""
    ask = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'].get('options', ''))"
    for pool, expected in (("1", "-c statement_timeout=20s"), ("", "")):
        environment = os.environ | {"BIHUAN_POOL": pool, "DJANGO_SETTINGS_MODULE": "bihuan.site.settings"}
        done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
