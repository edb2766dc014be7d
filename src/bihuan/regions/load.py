"""Filling the tables of place from the packaged divisions. Set-based, and safe to repeat."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

from bihuan.kernel.refused import Refused

from .changes import recode
from .scopes import as_scope, short_name
from .units import DATA

# Parents come before children because ids of one statement are all known when `parent` is set by the next.
_REGIONS = """
INSERT INTO region AS r (division_code, name, short_name, level, parent_id)
SELECT v.code, v.name, v.short_name, v.level, p.id
FROM unnest(%(codes)s::bigint[], %(names)s::text[], %(shorts)s::text[], %(levels)s::smallint[], %(parents)s::bigint[])
    AS v (code, name, short_name, level, parent)
LEFT JOIN region p ON p.division_code = v.parent
ORDER BY v.code
ON CONFLICT (division_code) DO UPDATE SET name = excluded.name, short_name = excluded.short_name
WHERE (r.name, r.short_name) IS DISTINCT FROM (excluded.name, excluded.short_name)
"""

_SCOPES = """
INSERT INTO region_scope (region_id, scope, valid)
SELECT r.id, r.division_code * 1000, daterange(NULL, NULL)
FROM region r
WHERE r.division_code = ANY (%(codes)s::bigint[])
    AND NOT EXISTS (SELECT FROM region_scope s WHERE s.region_id = r.id)
"""

_ZONE = """
WITH zone AS (
    INSERT INTO region (name, short_name, level, parent_id)
    SELECT %(name)s, %(short_name)s, 3, r.id FROM region r WHERE r.division_code = %(city)s
    RETURNING id
)
INSERT INTO region_scope (region_id, scope, valid) SELECT id, %(scope)s, daterange(%(from_on)s, NULL) FROM zone
"""


@dataclass(frozen=True)
class Loaded:
    """`rows` of the file that were asked for; `written`: regions that were new or had another name."""

    rows: int
    written: int


def load_national(path: Path | None = None) -> Loaded:
    """Provinces, cities and counties of the whole country: where people come from."""
    return _load(_read(path or DATA / "divisions_national_2023.csv"))


def load_city(prefix: int | str, path: Path | None = None, zones: Path | None = None) -> Loaded:
    """A city (`3207`) with its province down to villages, and its functional zones by recoding.

    Refuses a prefix that the file does not hold.
    """
    city = str(prefix)[:4]
    rows = [row for row in _read(path or DATA / "divisions_2023.csv") if row[0] == city[:2].ljust(12, "0") or row[0].startswith(city)]
    if not any(level == 2 for _, level, _ in rows):
        raise Refused(
            "city_unknown",
            f"区划文件中没有代码为 {city} 的城市。",
            f"The file of divisions has no city with code {city}.",
            str(prefix),
        )
    with transaction.atomic():
        loaded = _load(rows)
        for zone in tomllib.loads((zones or DATA / "zones.toml").read_text("utf-8"))["zone"]:
            if str(zone["city"]) == city:
                _load_zone(zone)
    return loaded


def _read(path: Path) -> list[tuple[str, int, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [(row["code"], int(row["level"]), row["name"].strip()) for row in csv.DictReader(file)]


def _load(rows: list[tuple[str, int, str]]) -> Loaded:
    """Level by level, so that each child finds its parent: at most five statements whatever the number of rows."""
    written = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for level in range(1, 6):
            of_level = [row for row in rows if row[1] == level]
            if not of_level:
                continue
            cursor.execute(
                _REGIONS,
                {
                    "codes": [int(code) for code, _, _ in of_level],
                    "names": [name for _, _, name in of_level],
                    "shorts": [short_name(name, level) for _, _, name in of_level],
                    "levels": [level] * len(of_level),
                    "parents": [_parent(code, level) for code, _, _ in of_level],
                },
            )
            written += cursor.rowcount
        cursor.execute(_SCOPES, {"codes": [int(code) for code, _, _ in rows]})
    return Loaded(len(rows), written)


def _parent(code: str, level: int) -> int | None:
    digits = {2: 2, 3: 4, 4: 6, 5: 9}.get(level)
    return int(code[:digits].ljust(12, "0")) if digits else None


def _load_zone(zone: dict) -> None:
    """A zone is founded once; afterwards `changes.recode` is the way to alter it, and this leaves it alone."""
    scope = as_scope(zone["scope"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM region_scope WHERE scope = %s", [scope])
        if cursor.rowcount:
            return
        cursor.execute(
            _ZONE,
            {
                "name": zone["name"],
                "short_name": zone["short_name"],
                "city": int(str(zone["city"]).ljust(12, "0")),
                "scope": scope,
                "from_on": zone["from_on"],
            },
        )
        members = {member["division"]: member["scope"] for member in zone["members"]}
        cursor.execute("SELECT division_code, id FROM region WHERE division_code = ANY (%s)", [list(members)])
        ids = dict(cursor.fetchall())
    for division, member_scope in members.items():
        if division not in ids:
            raise Refused(
                "zone_member_unknown",
                f"{zone['name']}的成员 {division} 不在区划文件中。",
                f"{division}, a member of {zone['name']}, is not in the file of divisions.",
                str(division),
            )
        recode(ids[division], member_scope, zone["from_on"])
