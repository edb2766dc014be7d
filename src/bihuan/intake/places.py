"""The resolver of addresses for an event's city, made once a day and process."""

from __future__ import annotations

from functools import lru_cache

from django.db import connection

from bihuan.intake.addresses import Resolver
from bihuan.kernel import clock
from bihuan.policy.models import Event
from bihuan.regions import queries as regions


def resolver_of(event: int) -> Resolver:
    """Knows the regions of the product's day; a recoding shows from the next day on, or in a new process."""
    return _resolver(connection.settings_dict["NAME"], event, clock.today())


@lru_cache(maxsize=4)
def _resolver(database: str, event: int, on) -> Resolver:
    home = Event.objects.values_list("region_id", flat=True).get(id=event)
    return _made(tuple((r.id, r.division_code, r.level, r.name, r.parent) for r in regions.resolve_rows(on)), home)


@lru_cache(maxsize=2)
def _made(rows: tuple[tuple, ...], home: int) -> Resolver:
    """Half a second's work, which the next day and the next event of the city need not do again while no region has changed."""
    return Resolver(rows, home=home)
