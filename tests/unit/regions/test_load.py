"""Loading divisions and making units, and that doing it again changes nothing."""

from datetime import date

import psycopg
import pytest
from django.db import connection

from bihuan.kernel.refused import Refused
from bihuan.regions import load, queries, units
from bihuan.regions.models import Region, RegionScope, Unit, UnitLine


def everything() -> list:
    return [list(model.objects.order_by("pk").values_list()) for model in (Region, RegionScope, Unit, UnitLine)]


def test_loading_again_changes_nothing(places, files):
    before = everything()
    for city in (3207, 3208):
        assert load.load_city(city, files.divisions, files.zones).written == 0
        assert units.make_units(city, date(2022, 9, 1)).created == 0
    assert units.rebuild_lines() == 0
    assert everything() == before


def test_a_renamed_division_keeps_its_id(places, files):
    files.divisions.write_text(files.divisions.read_text("utf-8").replace("西墅村委会", "西墅社区居委会"), "utf-8")
    assert load.load_city(3207, files.divisions, files.zones).written == 1
    assert Region.objects.get(name="西墅社区居委会").id == places.region["西墅"]


def test_the_packaged_city_speaks_of_ten_blocks(db, acting):
    with acting("work"):
        load.load_national()
        load.load_city("3207")
        units.make_units(3207, date(2022, 8, 1))
        rows = queries.resolve_rows()
        by_level = {level: [row for row in rows if row.level == level] for level in range(1, 6)}
        city = next(row for row in by_level[2] if row.name == "连云港市")
        assert len(by_level[1]) == 31
        assert sum(row.parent == city.id for row in by_level[3]) == 10
        assert len(by_level[4]) == 109
        assert len(by_level[5]) == 1782
        desk = queries.city_desk(city.id)
        assert sum(child.kind == "desk" for child in queries.children(desk)) == 10
        # Everybody in the city stands under its desk, and everything is answered for by its own unit.
        assert set(Unit.objects.filter(parent=None).values_list("id", flat=True)) == {desk}
        inside = [row.id for row in by_level[4] + by_level[5]]
        answers = queries.units_for_regions(inside)
        assert len(set(answers.values())) == len(inside)
        assert all(line == desk for (_, steps), line in queries.lines(answers.values()).items() if steps == 3)
        # Nobody can be rung by mistake: no line of the country begins with 0 after its area code.
        assert not Unit.objects.exclude(phone__regex=r"^0518-0\d{7}$").exists()
        assert not any(row.short_name == "" for row in rows)


def test_unknown_cities_are_refused(db, acting, files):
    with acting("work"):
        with pytest.raises(Refused, match="city_unknown"):
            load.load_city(9999, files.divisions, files.zones)
        with pytest.raises(Refused, match="city_not_loaded"):
            units.make_units(3207, date(2022, 8, 1))


def test_a_zone_whose_member_is_unknown_is_refused_whole(db, acting, files):
    files.zones.write_text(files.zones.read_text("utf-8").replace("division = 320703007000", "division = 320703999000"), "utf-8")
    with acting("work"):
        with pytest.raises(Refused, match="zone_member_unknown"):
            load.load_city(3207, files.divisions, files.zones)
        assert not Region.objects.exists()


def test_a_region_has_one_code_a_day_and_a_code_one_region(places, as_role):
    row = "INSERT INTO region_scope (region_id, scope, valid) VALUES (%s, %s, daterange('2023-01-01', NULL))"
    for region, scope in [("西墅", 320703008999000), ("海州", 320703008001000)]:
        with pytest.raises(psycopg.errors.ExclusionViolation), as_role("work") as db:
            db.execute(row, [places.region[region], scope])


def test_the_pages_role_reads_places_and_cannot_write_them(places, acting, as_role):
    with acting("app"):
        assert places.unit("西墅")
    for statement in ("UPDATE unit SET name = ''", "DELETE FROM region_scope", "INSERT INTO unit_line VALUES (1, 1, 1)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role("app") as db:
            db.execute(statement)


def test_the_number_of_statements_does_not_grow_with_the_regions(places):
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM region")
        everywhere = [region for (region,) in cursor.fetchall()]
    counts = []
    for some in (everywhere[:1], everywhere):
        seen = []
        with connection.execute_wrapper(lambda execute, *rest, seen=seen: (seen.append(1), execute(*rest))[1]):
            queries.units_for_regions(some)
            queries.scopes_of(some)
            queries.full_names(some)
        counts.append(len(seen))
    assert counts[0] == counts[1] == 3
