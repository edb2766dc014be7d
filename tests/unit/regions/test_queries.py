"""Who answers where, and what lies in whose scope."""

from datetime import date, timedelta

import pytest

from bihuan.kernel import clock
from bihuan.regions import queries
from bihuan.regions.changes import close_unit
from bihuan.regions.models import Unit


def names(units) -> list[str]:
    return [queries.unit_row(unit).name for unit in units]


def test_a_zones_people_are_the_zones_and_not_the_countys(places):
    lo, hi = queries.scope_range(places.region["连云"])
    zone_lo, zone_hi = queries.scope_range(places.region["徐圩新区"])
    for name in ("徐圩", "云湖"):
        scope = queries.scope_of(places.region[name])
        assert not lo <= scope < hi
        assert zone_lo <= scope < zone_hi
    # Before the zone was founded they were the county's.
    assert lo <= queries.scope_of(places.region["云湖"], date(2021, 12, 31)) < hi


def test_ranges_by_code_by_id_and_around(places):
    village = places.region["西墅"]
    assert queries.scope_range(320703000000, level=3) == queries.scope_range(places.region["连云"])
    assert queries.scope_range(village, level=3) == queries.scope_range(places.region["连云"])
    assert queries.unit_range(places.unit("连云")) == queries.scope_range(places.region["连云"])
    with pytest.raises(ValueError, match="level"):
        queries.scope_range(320703000000)
    with pytest.raises(LookupError):
        queries.scope_range(99999)


def test_the_ladder_of_a_village_and_of_those_at_the_top(places):
    def ladder(unit):
        return names(queries.above(unit, steps) for steps in range(4))

    city = "连云港市疫情防控指挥部办公室"
    assert ladder(places.unit("云湖")) == ["云湖社区居委会", "徐圩街道疫情防控办公室", "徐圩新区疫情防控指挥部办公室", city]
    assert ladder(places.unit("海州")) == ["海州区疫情防控指挥部办公室", city, city, city]
    assert ladder(places.unit("连云港")) == [city] * 4
    assert ladder(queries.liaison_of(places.region["云湖"])) == ["连云港市协查联络组", city, city, city]
    with pytest.raises(LookupError):
        queries.above(places.unit("云湖"), 4)


def test_desks_of_levels(places):
    village = places.region["云湖"]
    assert names(queries.desk_of(level, village) for level in (2, 3, 4, 5)) == [
        "连云港市疫情防控指挥部办公室",
        "徐圩新区疫情防控指挥部办公室",
        "徐圩街道疫情防控办公室",
        "云湖社区居委会",
    ]
    assert queries.desk_of(4, places.region["连云"]) is None
    assert queries.city_desk(village) == places.unit("连云港")


def test_places_outside_have_no_unit_of_their_own(places):
    assert queries.unit_for_region(places.region["江苏"]) is None
    assert queries.liaison_of(places.region["江苏"]) is None
    with pytest.raises(LookupError):
        queries.city_desk(places.region["江苏"])


def test_a_place_without_a_unit_is_its_desks(places):
    Unit.objects.filter(region=places.region["山东"]).update(valid=(date(2022, 8, 1), date(2022, 8, 20)))
    assert places.unit("山东") == places.unit("云台")


def test_a_closed_units_place_is_its_successors(places):
    closed, heir = places.unit("西墅"), places.unit("东哨")
    yesterday = clock.today() - timedelta(days=1)
    close_unit(closed, heir, clock.today())
    assert places.unit("西墅") == heir
    assert places.unit("西墅", yesterday) == closed
    assert queries.desk_of(5, places.region["西墅"]) == heir
    # A unit that is founded anew for the place goes first.
    new = Unit.objects.create(region_id=places.region["西墅"], kind="village", name="西墅新村", valid=(clock.today(), None))
    assert places.unit("西墅") == new.id


def test_senders_of_the_county_else_of_the_city(places):
    assert queries.unit_row(queries.sender_of("community", places.region["云湖"])).name == "徐圩新区社区排查组"
    assert queries.unit_row(queries.sender_of("telecom", places.region["云湖"])).name == "连云港市通信运营商联络点"
    assert queries.sender_of("pigeon", places.region["云湖"]) is None


def test_rows_for_addresses_know_both_parents(places):
    rows = {row.short_name: row for row in queries.resolve_rows()}
    assert rows["徐圩"].parent == places.region["连云"]
    assert rows["徐圩"].block == rows["云湖"].block == places.region["徐圩新区"]
    assert rows["西墅"].block == places.region["连云"]
    assert rows["连云港"].block is None
    assert queries.full_names([places.region["云湖"]]) == {places.region["云湖"]: "江苏省连云港市连云区徐圩街道云湖社区居委会"}
