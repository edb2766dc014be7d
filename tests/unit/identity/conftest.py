"""A city with its desks, an event under the ninth edition, posts at the city's and at a village's desk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

import polars as pl
import pytest

OPENED_ON = date(2022, 8, 1)
ADULT_YEARS = 18
DIVISIONS = """code,level,name
320000000000,1,江苏省
320700000000,2,连云港市
320706000000,3,海州区
320706009000,4,云台街道
320706009001,5,山东村委会
"""
CITY, VILLAGE = 320700000000, 320706009001


@dataclasses.dataclass(frozen=True)
class World:
    """Posts `city` and `village`, and the event."""

    event: int
    city: object
    village: object

    def bring(self, rows: list[tuple], *, by=None, act: UUID | None = None):
        """Match rows of (name, doc, phone[, address]), as an action of the city's desk."""
        from bihuan.access.action import action
        from bihuan.identity.match import match
        from bihuan.kernel import ids

        columns = ["name", "doc", "phone", "address"][: len(rows[0])]
        frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row").with_row_index("row")

        @action
        def bring(*, by):
            return match(frame, event=self.event, by=by, act=act or ids.new_id(), adult_years=ADULT_YEARS, on=OPENED_ON)

        return bring(by=by or self.city)


def make_world(acting, tmp_path) -> World:
    from django.db.backends.postgresql.psycopg_any import DateRange

    from bihuan.access.models import Officer, Post
    from bihuan.policy import actions as policy
    from bihuan.regions import queries, units
    from bihuan.regions.load import load_city

    (tmp_path / "divisions.csv").write_text(DIVISIONS, "utf-8")
    (tmp_path / "zones.toml").write_text("zone = []", "utf-8")
    with acting("work"):
        load_city(3207, tmp_path / "divisions.csv", tmp_path / "zones.toml")
        units.make_units(3207, OPENED_ON)
        regions = queries.by_division([CITY, VILLAGE])
        event = policy.open_event(
            disease="covid19", region=regions[CITY], name="t", opened_on=OPENED_ON, legal_basis="t", retention=timedelta(days=60)
        )
        posts = []
        for login, region, role in (("city", CITY, "city_desk"), ("village", VILLAGE, "village_worker")):
            officer = Officer.objects.create(login=login, name=login, password="")
            unit = queries.unit_for_region(regions[region])
            posts.append(Post.objects.create(officer=officer, unit_id=unit, role=role, valid=DateRange(OPENED_ON, None)))
        policy.adopt(
            event=event.id, region=regions[CITY], pack="covid19/cn_9", version="2022-06-28", from_on=OPENED_ON, basis="t", by=posts[0].id
        )
    return World(event.id, *posts)


@pytest.fixture
def world(db: str, acting, tmp_path) -> Iterator[World]:
    """A fresh database with a small city in it."""
    return make_world(acting, tmp_path)
