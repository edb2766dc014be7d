"""Recoding and closing: what changes, what stays, and each refusal."""

from datetime import date, timedelta

import pytest

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.regions import queries
from bihuan.regions.changes import close_unit, recode
from bihuan.regions.models import RegionScope, Unit, UnitLine


def state() -> list:
    return [list(model.objects.order_by("pk").values_list()) for model in (RegionScope, Unit, UnitLine)]


def test_recode_moves_all_below_and_keeps_the_days_before(places):
    today = clock.today()
    changed = recode(places.region["海州湾"], 320790008000, today)
    assert {region: new for region, _, new in changed.regions} == {
        places.region["海州湾"]: 320790008000000,
        places.region["西墅"]: 320790008001000,
        places.region["东哨"]: 320790008002000,
    }
    assert all(queries.scope_of(region) == new for region, _, new in changed.regions)
    assert all(queries.scope_of(region, today - timedelta(days=1)) == old for region, old, _ in changed.regions)
    assert changed.desks == {places.unit("连云"): places.unit("徐圩新区")}
    assert changed.reparented == (places.unit("海州湾"),)
    assert queries.above(places.unit("西墅"), 2) == places.unit("徐圩新区")
    assert queries.desk_of(3, places.region["西墅"]) == places.unit("徐圩新区")


def test_recode_of_a_village_names_every_desk_that_changes(places):
    changed = recode(places.region["西墅"], 320706009009, clock.today())
    assert changed.desks == {places.unit("海州湾"): places.unit("云台"), places.unit("连云"): places.unit("海州")}
    assert queries.above(places.unit("西墅"), 1) == places.unit("云台")


def test_a_village_may_lie_directly_under_a_zone(places):
    changed = recode(places.region["西墅"], 320790000001, clock.today())
    assert changed.reparented == (places.unit("西墅"),)
    assert queries.above(places.unit("西墅"), 1) == places.unit("徐圩新区")
    assert queries.desk_of(3, places.region["西墅"]) == places.unit("徐圩新区")


def test_recode_of_a_county_takes_its_townships_but_not_the_zones(places):
    changed = recode(places.region["连云"], 320704000000, clock.today())
    moved = {region for region, _, _ in changed.regions}
    assert moved == {places.region[name] for name in ("连云", "海州湾", "西墅", "东哨")}
    assert changed.desks == {}
    assert changed.reparented == ()


@pytest.mark.parametrize(
    ("name", "scope", "days_ahead", "code"),
    [
        ("海州湾", 320703007000, 0, None),  # 徐圩街道's own old code is free since it went to the zone
        ("海州湾", 320790007000, 0, "scope_taken"),
        ("海州湾", 320703008000, 0, "scope_unchanged"),
        ("海州湾", 320803008000, 0, "scope_outside_city"),
        ("海州湾", 320799008000, 0, "scope_without_parent"),
        ("海州湾", 320703008001, 0, "scope_shape"),
        ("海州湾", 320703, 0, "scope_shape"),
        ("海州湾", "一二三", 0, "scope_shape"),
        ("连云港", 320900000000, 0, "scope_shape"),
        ("海州湾", 320703009000, 1, "recode_in_future"),
    ],
)
def test_recode_refusals_change_nothing(places, name, scope, days_ahead, code):
    if code is None:
        assert recode(places.region[name], scope, clock.today()).desks == {}
        return
    before = state()
    with pytest.raises(Refused) as refused:
        recode(places.region[name], scope, clock.today() + timedelta(days=days_ahead))
    assert refused.value.code == code
    assert state() == before


def test_recode_refuses_days_before_the_last_change_and_unknown_regions(places):
    with pytest.raises(Refused, match="recode_before_last_change"):
        recode(places.region["徐圩"], 320703077000, date(2021, 6, 1))
    recode(places.region["海州湾"], 320790008000, clock.today())
    with pytest.raises(Refused, match="recode_before_last_change"):
        recode(places.region["海州湾"], 320703008000, clock.today())
    with pytest.raises(Refused, match="region_unknown"):
        recode(99999, 320703008000, clock.today())


def test_close_gives_the_children_and_former_inheritances_to_the_successor(places):
    today = clock.today()
    town, village, other, last = (places.unit(name) for name in ("海州湾", "西墅", "东哨", "云湖"))
    assert close_unit(village, other, today).children == ()
    assert close_unit(other, last, today).successor == last
    assert places.unit("西墅") == places.unit("东哨") == last
    closed = close_unit(town, places.unit("徐圩"), today)
    assert closed.children == tuple(sorted((village, other)))
    assert queries.above(village, 1) == places.unit("徐圩")
    assert queries.unit_row(town).ended == today
    assert queries.unit_row(town).successor == places.unit("徐圩")


def test_close_refusals_change_nothing(places):
    today = clock.today()
    town, village, other = (places.unit(name) for name in ("海州湾", "西墅", "东哨"))
    ended = places.unit("云湖")
    close_unit(ended, other, today)
    before = state()
    for unit, successor, on, code in [
        (99999, other, today, "unit_not_in_office"),
        (ended, other, today, "unit_not_in_office"),
        (village, other, date(2022, 7, 1), "unit_not_in_office"),
        (village, 99999, today, "successor_missing"),
        (village, ended, today, "successor_ended"),
        (village, village, today, "successor_itself"),
        (village, places.unit("淮安"), today, "successor_outside_city"),
        (town, village, today, "successor_below"),
        (village, other, today + timedelta(days=1), "close_in_future"),
        (village, other, date(2022, 8, 1), "close_before_it_began"),
    ]:
        with pytest.raises(Refused) as refused:
            close_unit(unit, successor, on)
        assert refused.value.code == code
    assert state() == before
