"""Reads about places and units. `on` is a day in Asia/Shanghai and means today where it is left out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from django.db import connection

from bihuan.kernel import clock

from .scopes import as_scope, enclosing, level_span, short_name, span_of

__all__ = [
    "RegionRow",
    "UnitRow",
    "above",
    "as_scope",
    "by_division",
    "children",
    "city_desk",
    "city_of",
    "desk_of",
    "enclosing",
    "full_names",
    "level_span",
    "liaison_of",
    "lines",
    "resolve_rows",
    "scope_of",
    "scope_range",
    "scopes_of",
    "sender_of",
    "short_name",
    "span_of",
    "unit_for_region",
    "unit_range",
    "unit_row",
    "units_for_regions",
    "units_of_city",
]


class RegionRow(NamedTuple):
    """`parent`: in the national division. `block`: the county or zone that commands there; None above counties."""

    id: int
    division_code: int | None
    level: int
    name: str
    short_name: str
    parent: int | None
    block: int | None


class UnitRow(NamedTuple):
    """A unit with its region's level. `ended` is the first day on which it no longer answers."""

    id: int
    kind: str
    code: str
    name: str
    phone: str
    region: int
    level: int
    parent: int | None
    successor: int | None
    ended: date | None


_UNIT = (
    "SELECT u.id, u.kind, u.code, u.name, u.phone, u.region_id, r.level, u.parent_id, u.successor_id, upper(u.valid) "
    "FROM unit u JOIN region r ON r.id = u.region_id "
)

# Who answers for a region: the desk or village of the nearest scope around it. A unit that has ended still marks its
# place and sends to its successor, unless a new unit was made for the same region.
# IS TRUE keeps the planner from the exclusion constraints' index, which it chooses for the day alone while a freshly
# loaded city has no statistics (2.4 s instead of 0.05 s for 7,000 regions).
_IN_CHARGE = """
SELECT wanted.region, found.id
FROM unnest(%(regions)s::int[]) AS wanted (region)
JOIN region_scope s ON s.region_id = wanted.region AND (s.valid @> %(on)s::date) IS TRUE
CROSS JOIN LATERAL (
    SELECT coalesce(heir.id, u.id) AS id
    FROM region_scope around
    JOIN unit u ON u.region_id = around.region_id AND u.kind IN ('desk', 'village')
    LEFT JOIN unit heir ON heir.id = u.successor_id AND upper(u.valid) <= %(on)s::date AND heir.valid @> %(on)s::date
    WHERE around.scope IN (s.scope, s.scope - s.scope %% 1000000, s.scope - s.scope %% 1000000000, s.scope - s.scope %% 100000000000)
        AND (around.valid @> %(on)s::date) IS TRUE
        AND (u.valid @> %(on)s::date OR heir.id IS NOT NULL)
    ORDER BY around.scope DESC, heir.id IS NOT NULL, u.id
    LIMIT 1
) AS found
"""


def scope_range(of: int, on: date | None = None, *, level: int | None = None) -> tuple[int, int]:
    """The half-open range (lo, hi) of scope codes of a jurisdiction on a day.

    `of` is a region's id, or a scope code (15 digits) or division code (12 digits); a code needs its `level`, and
    with a region's id `level` asks for the wider range around it. LookupError where the region has no code that day.
    """
    if of >= 10**11:
        if level is None:
            raise ValueError("a code needs its level")
        return span_of(as_scope(of), level)
    day = on or clock.today()
    rows = _rows(
        "SELECT s.scope, r.level FROM region_scope s JOIN region r ON r.id = s.region_id WHERE s.region_id = %s AND s.valid @> %s::date",
        [of, day],
    )
    if not rows:
        raise LookupError(f"region {of} has no scope on {day}")
    return span_of(rows[0][0], rows[0][1] if level is None else level)


def scope_of(region: int, on: date | None = None) -> int:
    """The scope code of a region on a day. LookupError when it has none."""
    try:
        return scopes_of([region], on)[region]
    except KeyError:
        raise LookupError(f"region {region} has no scope on {on or clock.today()}") from None


def scopes_of(regions: Iterable[int], on: date | None = None) -> dict[int, int]:
    """Region id -> scope code on a day, one statement; regions without a code are left out."""
    return dict(
        _rows(
            "SELECT region_id, scope FROM region_scope WHERE region_id = ANY (%s) AND valid @> %s::date",
            [list(regions), on or clock.today()],
        )
    )


def unit_range(unit: int, on: date | None = None) -> tuple[int, int]:
    """The range of scope codes of a unit's region: what a desk or a village commands. LookupError when unknown."""
    row = unit_row(unit)
    if row is None:
        raise LookupError(f"there is no unit {unit}")
    return scope_range(row.region, on=on)


def unit_for_region(region: int, on: date | None = None) -> int | None:
    """The unit that answers for a region: its village or desk, else the nearest desk around it.

    None for places outside every city that has units: the caller's liaison desk answers there (`liaison_of`).
    """
    return units_for_regions([region], on).get(region)


def units_for_regions(regions: Iterable[int], on: date | None = None) -> dict[int, int]:
    """Region id -> unit that answers, one statement; see `unit_for_region`. Regions without one are left out."""
    return dict(_rows(_IN_CHARGE, {"regions": list(set(regions)), "on": on or clock.today()}))


def desk_of(level: int, region: int, on: date | None = None) -> int | None:
    """The unit that answers at a level (2 city … 5 village) for a region: the county's desk of a village.

    A zone is a county; a desk that has ended is answered for by its successor. None when that level has none there.
    """
    day = on or clock.today()
    scope = scopes_of([region], day).get(region)
    if scope is None:
        return None
    rows = _rows(
        "SELECT coalesce(heir.id, u.id) FROM region_scope s JOIN region r ON r.id = s.region_id JOIN unit u ON u.region_id = r.id "
        "LEFT JOIN unit heir ON heir.id = u.successor_id AND upper(u.valid) <= %(on)s AND heir.valid @> %(on)s::date "
        "WHERE s.scope = %(scope)s AND s.valid @> %(on)s::date AND r.level = %(level)s AND u.kind IN ('desk', 'village') "
        "AND (u.valid @> %(on)s::date OR heir.id IS NOT NULL) ORDER BY heir.id IS NOT NULL, u.id LIMIT 1",
        {"scope": enclosing(scope, level), "level": level, "on": day},
    )
    return rows[0][0] if rows else None


def city_desk(region: int, on: date | None = None) -> int:
    """The desk of the city around a region: the last resort for whatever nobody else answers. LookupError if none."""
    desk = desk_of(2, region, on)
    if desk is None:
        raise LookupError(f"the city of region {region} has no desk on {on or clock.today()}")
    return desk


def above(unit: int, steps: int) -> int:
    """The unit so many steps (0 to 3) above, capped at the top. LookupError when unknown."""
    rows = _rows("SELECT above_id FROM unit_line WHERE unit_id = %s AND steps = %s", [unit, steps])
    if not rows:
        raise LookupError(f"unit {unit} has no line of {steps} steps")
    return rows[0][0]


def lines(units: Iterable[int]) -> dict[tuple[int, int], int]:
    """(unit, steps) -> unit above, one statement."""
    rows = _rows("SELECT unit_id, steps, above_id FROM unit_line WHERE unit_id = ANY (%s)", [list(units)])
    return {(unit, steps): upper for unit, steps, upper in rows}


def children(unit: int, on: date | None = None) -> list[UnitRow]:
    """Units in office that stand directly under a unit, in the order of their scope codes."""
    day = on or clock.today()
    return [
        UnitRow(*row)
        for row in _rows(
            _UNIT + "LEFT JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date "
            "WHERE u.parent_id = %(unit)s AND u.valid @> %(on)s::date ORDER BY s.scope, u.kind, u.code, u.id",
            {"unit": unit, "on": day},
        )
    ]


def unit_row(unit: int) -> UnitRow | None:
    """One unit, also an ended one."""
    rows = _rows(_UNIT + "WHERE u.id = %s", [unit])
    return UnitRow(*rows[0]) if rows else None


def units_of_city(city: int | str, on: date | None = None, kind: str | None = None) -> list[UnitRow]:
    """All units in office of a city (`3207`), in the order of their scope codes; of one kind if it is named."""
    lo, hi = span_of(as_scope(city), 2)
    return [
        UnitRow(*row)
        for row in _rows(
            _UNIT + "JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date "
            "WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND u.valid @> %(on)s::date AND (%(kind)s::text IS NULL OR u.kind = %(kind)s) "
            "ORDER BY s.scope, u.kind, u.code, u.id",
            {"lo": lo, "hi": hi, "on": on or clock.today(), "kind": kind},
        )
    ]


def city_of(region: int, on: date | None = None) -> int | None:
    """The region id of the city around a region; None for a province."""
    day = on or clock.today()
    scope = scopes_of([region], day).get(region)
    if scope is None:
        return None
    return _region_at(enclosing(scope, 2), 2, day)


def liaison_of(region: int, on: date | None = None) -> int | None:
    """The liaison desk of a region's city: it answers for units outside the system."""
    return _of_city(region, "liaison", "", on)


def sender_of(source: str, region: int, on: date | None = None) -> int | None:
    """The sender of a source (`data`, `unit`, `community`, `telecom`) of the region's county, else of its city."""
    day = on or clock.today()
    scope = scopes_of([region], day).get(region)
    if scope is None:
        return None
    rows = _rows(
        "SELECT u.id FROM region_scope s JOIN unit u ON u.region_id = s.region_id WHERE s.scope = ANY (%s) "
        "AND s.valid @> %s::date AND u.kind = 'sender' AND u.code = %s AND u.valid @> %s::date ORDER BY s.scope DESC LIMIT 1",
        [[enclosing(scope, 2), enclosing(scope, 3)], day, source, day],
    )
    return rows[0][0] if rows else None


def by_division(codes: Iterable[int]) -> dict[int, int]:
    """12-digit division code -> region id; unknown codes are left out."""
    return dict(_rows("SELECT division_code, id FROM region WHERE division_code = ANY (%s)", [list(codes)]))


def resolve_rows(on: date | None = None) -> list[RegionRow]:
    """All regions, for the address resolver: the national counties and the whole of the loaded cities.

    Zones come with `division_code` None and their city as parent; a place in a zone has its division's parent and the
    zone as `block`, for people write either.
    """
    return [
        RegionRow(*row)
        for row in _rows(
            "SELECT r.id, r.division_code, r.level, r.name, r.short_name, r.parent_id, b.region_id "
            "FROM region r LEFT JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date AND r.level >= 3 "
            "LEFT JOIN region_scope b ON b.scope = s.scope - s.scope %% 1000000000 AND b.valid @> %(on)s::date "
            "ORDER BY r.level, r.id",
            {"on": on or clock.today()},
        )
    ]


def full_names(regions: Iterable[int]) -> dict[int, str]:
    """Region id -> name with all its divisions above, from the province: 江苏省连云港市东海县桃林镇."""
    return dict(
        _rows(
            "WITH RECURSIVE up (id, name, parent) AS ("
            " SELECT id, name, parent_id FROM region WHERE id = ANY (%s)"
            " UNION ALL SELECT up.id, r.name || up.name, r.parent_id FROM up JOIN region r ON r.id = up.parent"
            ") SELECT id, name FROM up WHERE parent IS NULL",
            [list(set(regions))],
        )
    )


def _region_at(scope: int, level: int, on: date) -> int | None:
    rows = _rows(
        "SELECT r.id FROM region_scope s JOIN region r ON r.id = s.region_id WHERE s.scope = %s AND s.valid @> %s::date AND r.level = %s",
        [scope, on, level],
    )
    return rows[0][0] if rows else None


def _of_city(region: int, kind: str, code: str, on: date | None) -> int | None:
    day = on or clock.today()
    city = city_of(region, day)
    rows = _rows(
        "SELECT id FROM unit WHERE region_id = %s AND kind = %s AND code = %s AND valid @> %s::date ORDER BY id LIMIT 1",
        [city, kind, code, day],
    )
    return rows[0][0] if rows else None


def _rows(sql: str, params) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
