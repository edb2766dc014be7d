"""Fields that no form shows, sent along with every form: they are not taken. In a world that no other attack has changed."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import re

import psycopg
import pytest
from django.apps import apps
from django.db import models
from tests import tables
from tests.attacks import routes
from tests.attacks.routes import Route
from tests.attacks.world import World, client, dsn, said

TEXT, NUMBER, IDENTITY, DAY = "sentinel-7f3a", 987654321, "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001", "1907-03-04"
MARKS = (TEXT, str(NUMBER), IDENTITY, DAY)


def mark(field: models.Field) -> str:
    kind = field.get_internal_type()
    if "Date" in kind:
        return DAY + ("T00:00" if "Time" in kind else "")
    if kind == "UUIDField":
        return IDENTITY
    if kind == "BooleanField":
        return "true"
    return str(NUMBER) if "Integer" in kind or "Key" in kind or "Auto" in kind else TEXT


def every_field() -> dict[str, str]:
    """Each column of each table of the house with a value that is seen again wherever it is kept."""
    found = {}
    for model in apps.get_models():
        if model.__module__.startswith("bihuan."):
            for field in model._meta.concrete_fields:
                found |= {field.name: mark(field), field.attname: mark(field), f"id_{field.name}": mark(field)}
    return found


def kept(*, but: tuple[str, ...] = ("django_session",)) -> list[tuple[str, str]]:
    """Where a mark stands in the database."""
    with psycopg.connect(dsn()) as db:
        return tables.with_text(db, MARKS, [table for table in tables.names(db) if table not in but])


def officers() -> list[tuple]:
    with psycopg.connect(dsn()) as db:
        return db.execute(
            "SELECT o.id, o.login, o.name, o.is_active, p.unit, p.role, p.valid::text FROM officer o JOIN post p ON p.officer = o.id ORDER BY 1, 5"
        ).fetchall()


@pytest.mark.parametrize("route", [r for r in routes.all_routes() if r.takes_post], ids=lambda r: r.address)
def test_no_form_takes_a_field_that_it_does_not_show(route: Route, world: World):
    """Every column of every table is sent along: the act is done as if they were not there."""
    who = client(route.row.get("by") or world.here.logins[route.role])
    things, before = route.things(world, world.here), officers()
    request = route.fill(things)
    more = {name: value for name, value in every_field().items() if name not in {*request.form, *route.row.get("also", [])}}
    assert len(more) > 150
    answer = who.post(request.url, {**more, **request.form})
    assert answer.status_code in route.well("post"), (
        answer.status_code,
        " ".join(re.sub(r"<[^>]*>", " ", said(answer).split("<main", 1)[-1]).split())[:800],
    )
    assert kept() == []
    assert officers() == before or route.row.get("changes") == "officers"


def test_the_marks_are_seen_where_they_are_kept(world: World):
    """The search above finds a text, a number, an id and a day wherever one is written."""
    with psycopg.connect(dsn()) as db:
        db.execute(
            "INSERT INTO intake_row (file, sheet, row, no, outcome, reason, reasons, cells) VALUES (1, %s, 1, %s, 'created', %s, '{}', '{}')",
            (TEXT, NUMBER, DAY),
        )
    assert {found for _table, found in kept()} == {TEXT, str(NUMBER), DAY}
    with psycopg.connect(dsn()) as db:
        db.execute("DELETE FROM intake_row WHERE sheet = %s", (TEXT,))
    assert kept() == []
