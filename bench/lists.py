"""First pages with a million persons and a million open duties: what they cost beside a page with nothing on it.

1.0 is the site's empty page (the choice of a post: frame, session, post, nothing else) of the same officer, asked in turn
with the others in the same process, through everything that a request passes. Asked are: my work, for a post of the city,
a county, a township, a village and a checkpoint; the search for a person by name, initials and whole number; the overview
of the city. Some duties lie at county desks and at the city's, one in twenty is late and help was asked for it.
"""

from __future__ import annotations

import re
import statistics
import time
from datetime import timedelta
from typing import Any

import polars as pl
import psycopg

from bench import made_up
from bench.harness import Report, Sizes, quiet
from bench.server import superuser

ROWS, ROUNDS = 1_000_000, 3
LOOKS = 30  # of each page a round, in turn
BATCH = 100_000
LATE = 20  # one duty in so many
LOGINS = {"city": "shi", "county": "xian", "township": "zhen", "village": "cun", "checkpoint": "bench_checkpoint"}

_CHECKPOINT = """
WITH place AS (SELECT region_id, parent_id FROM unit WHERE id = %(village)s),
u AS (INSERT INTO unit (region_id, kind, code, name, phone, parent_id, valid)
      SELECT region_id, 'checkpoint', 'bench', '查验点', '', parent_id, '[2022-01-01,)' FROM place RETURNING id)
SELECT id FROM u
"""
_LEADS = """
INSERT INTO lead (id, event, subject, key, arrived_from, arrived_to, origin, origin_class, desk, precision, sources, n_reports,
  first_reported_at)
SELECT gen_random_uuid(), f.event, f.subject, r.episode, r.arrived_at, r.arrived_at, r.origin, r.origin_class, r.desk,
       CASE WHEN r.community IS NOT NULL THEN 'village' WHEN r.county IS NOT NULL THEN 'county' ELSE 'none' END,
       ARRAY[r.source], 1, f.received_at
FROM fact f JOIN lead_reported r ON r.fact = f.id
"""


_COUNTY_DESKS = "SELECT u.id FROM unit u JOIN region r ON r.id = u.region_id WHERE u.kind = 'desk' AND r.level = 3 ORDER BY u.id"
_EARLIER = "UPDATE {table} SET {column} = {column} - interval '150 minutes' WHERE {key} IN (SELECT id FROM loop WHERE id % {late} = 0)"


def run(report: Report, sizes: Sizes) -> None:
    from bihuan.site import setup

    with superuser() as server, setup.acting("app"):
        started = time.perf_counter()
        checkpoint = _checkpoint(server)
        doc = _fill(report, server, sizes.rows, checkpoint)
        report.notes["filling s"] = round(time.perf_counter() - started)
        with setup.acting("work"):
            _late(server)
        server.execute("VACUUM (ANALYZE)")
        quiet(server)
        pages = _pages(doc)
        for page in pages.values():  # plans, templates and caches are there
            page()
        for no in range(sizes.rounds):
            report.say(f"round {no + 1}")
            _round(report, pages)


def _checkpoint(server: psycopg.Connection) -> int:
    """A post at a checkpoint beside the demonstration's village."""
    from bihuan.access import queries as access
    from bihuan.access.models import Officer, Post
    from bihuan.access.permissions import Role
    from bihuan.site import setup

    village = access.post_of(LOGINS["village"])
    unit = server.execute(_CHECKPOINT, {"village": village.unit_id}).fetchone()[0]
    with setup.acting("work"):
        officer = Officer.objects.create(login=LOGINS["checkpoint"], name="查验员", password="!")
        Post.objects.create(officer=officer, unit_id=unit, role=Role.VILLAGE_WORKER, valid=village.valid)
    return unit


def _fill(report: Report, server: psycopg.Connection, rows: int, checkpoint: int) -> str:
    """Persons by the maker of persons, duties by the door of facts. Returns somebody's document."""
    from django.db import transaction

    from bihuan.access import queries as access
    from bihuan.access import scope
    from bihuan.identity.match import match
    from bihuan.kernel import clock, ids
    from bihuan.leads.facts import LEAD_REPORTED
    from bihuan.loops.record import record_many
    from bihuan.policy import pack
    from bihuan.site import demo

    report.say(f"{rows:,} persons with a duty each")
    post, event = access.post_of(demo.CONSOLE), demo.event()
    adult_years = pack.load("covid19/cn_9", "2022-06-28").adult_years
    villages = [u for (u,) in server.execute("SELECT id FROM unit WHERE kind = 'village' ORDER BY id").fetchall()]
    counties = [
        u
        for (u,) in server.execute(
            "SELECT u.id FROM unit u JOIN region r ON r.id = u.region_id WHERE u.kind = 'desk' AND r.level = 3"
        ).fetchall()
    ]
    lines = made_up.make(rows * 4 // 3 + 4).lines
    people = pl.DataFrame([line.split(",")[:3] for line in lines], schema=["name", "doc", "phone"], orient="row")
    people = people.unique("doc", keep="first", maintain_order=True).head(rows)
    people = people.with_row_index("row").with_columns(address=pl.lit(None, pl.String), doc_kind=pl.lit("resident"))
    for start in range(0, people.height, BATCH):
        part = people.slice(start, BATCH)
        with scope.acting(scope.of(post)), transaction.atomic():
            aliases = match(part, event=event, by=post, act=ids.new_id(), adult_years=adult_years, on=clock.today()).aliases
            no = pl.int_range(start, start + part.height, eager=True)
            desks = [_desk(i, villages, counties, checkpoint) for i in no]
            leads = pl.DataFrame(
                {
                    "subject": aliases, "source": "data", "origin": "上海市", "origin_region": None, "origin_class": "unclassified",
                    "arrived_at": clock.now() - timedelta(hours=5), "arrived_precision": "minute",
                    "community": [unit if level == "village" else None for unit, level in desks],
                    "county": [unit if level == "county" else None for unit, level in desks], "desk": [unit for unit, _ in desks],
                    "episode": "2022-08-28", "report_key": no, "file": 1, "sheet": "", "row": no, "region": None, "happened_at": clock.now(),  # noqa: E501
                },
                schema_overrides={"origin_region": pl.Int64, "region": pl.Int64, "community": pl.Int64, "county": pl.Int64, "desk": pl.Int64},  # noqa: E501
            )  # fmt: skip
            opened = record_many(LEAD_REPORTED, leads.unique("subject"), event=event, by=post, act=ids.new_id()).opened
        report.add("duties opened in a batch", len(opened))
    server.execute(_LEADS)
    return people["doc"][rows // 2]


def _desk(no: int, villages: list[int], counties: list[int], checkpoint: int) -> tuple[int | None, str]:
    """Nearly all lie at villages; some at a checkpoint, at a county's desk, at the city's."""
    if no % 100 == 1:
        return (counties[no // 100 % len(counties)], "county")
    if no % 200 == 2:
        return (None, "city")
    return (checkpoint if no % 1000 == 3 else villages[no * 7919 % len(villages)], "village")


def _late(server: psycopg.Connection) -> None:
    """One in so many fell due an hour and a half ago, and the clock has asked for help."""
    from bihuan.leads import standing
    from bihuan.loops import tallies
    from bihuan.loops.tick import tick

    for table, column, key in (("loop", "due_at", "id"), ("timer", "bucket", "loop")):
        server.execute(_EARLIER.format(table=table, column=column, key=key, late=LATE))
    tick()
    tallies.fold()
    standing.count()
    standing.find_strays()


def _client(login: str):
    from django.test import Client

    from bihuan.access import queries as access

    post = access.post_of(login)
    made = Client(headers={"host": "localhost", "accept-language": "zh-hans"})
    made.force_login(post.officer)
    session = made.session
    session["post"] = post.id
    session.save()
    return made


def _pages(doc: str) -> dict[str, Any]:
    """Name of the figure -> a function that asks for the page and refuses anything but the page."""
    clients = {level: _client(login) for level, login in LOGINS.items()}

    def get(level: str, url: str):
        def ask() -> None:
            answer = clients[level].get(url)
            assert answer.status_code == 200, (level, url, answer.status_code, answer.content[:500])

        return ask

    def post(level: str, typed: str):
        def ask() -> None:
            answer = clients[level].post("/people", {"q": typed})
            assert answer.status_code == 200
            assert re.search(r'href="/leads/', answer.content.decode()), typed

        return ask

    found = {f"empty, {level}": get(level, "/post") for level in LOGINS}
    found |= {f"my work, {level}": get(level, "/duties") for level in LOGINS}
    found |= {
        "search, initials": get("city", "/people?q=wxm"),
        "search, name": get("city", "/people?q=王小"),
        "search, document": post("city", doc),
    }
    return found | {"overview, city": get("city", "/overview")}


def _round(report: Report, pages: dict[str, Any]) -> None:
    took: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(LOOKS):
        for name, page in pages.items():
            started = time.perf_counter()
            page()
            took[name].append(time.perf_counter() - started)
    medians = {name: report.add(f"{name} ms", statistics.median(values) * 1000) for name, values in took.items()}
    for name in pages:
        if not name.startswith("empty"):
            what, level = name.split(", ")
            empty = medians[f"empty, {level if what == 'my work' else 'city'}"]
            report.ratio(name.replace(", ", "_").replace(" ", "_"), medians[name], empty)
