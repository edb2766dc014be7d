"""What is in force where and when, through adoptions in a database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from bihuan.kernel.refused import Refused
from bihuan.policy import actions, queries
from bihuan.policy import pack as packs
from bihuan.policy.models import Adoption, Event
from bihuan.regions.models import Region, RegionScope

DAY = date(2022, 8, 28)
NINTH, HUAIAN = {"pack": "covid19/cn_9", "version": "2022-06-28"}, {"pack": "overlays/jiangsu/huaian/138", "version": "2022"}
CLASS_B = {"pack": "covid19/cn_class_b", "version": "2023-01-08"}
GANYU, HAIZHOU = 320707101001000, 320706101001000  # a village's code in each of two counties


def _region(name: str, level: int, code: int, parent: Region | None) -> Region:
    region = Region.objects.create(name=name, short_name=name, level=level, division_code=code, parent=parent)
    RegionScope.objects.create(region=region, scope=code * 1000, valid=(date(2000, 1, 1), None))
    return region


@pytest.fixture
def place(db, acting):
    with acting("work"):
        province = _region("江苏省", 1, 320000000000, None)
        city = _region("连云港市", 2, 320700000000, province)
        county = _region("赣榆区", 3, 320707000000, city)
        event = actions.open_event(
            disease="covid19", region=city.id, name="2022年8月疫情", opened_on=DAY, legal_basis="演示", retention=timedelta(days=180)
        )
        yield event, city, county


def _adopt(event: Event, region: Region, chosen: dict, **more) -> Adoption:
    given = {"from_on": DAY, "basis": "demo", "by": 1} | chosen | more
    return actions.adopt(event=event.id, region=region.id, **given)


def test_the_demonstration_adopts_138(place) -> None:
    event, city, _ = place
    with pytest.raises(Refused, match="no_pack_in_force"):
        packs.in_force(event.id, GANYU, DAY)
    _adopt(event, city, NINTH)
    assert packs.in_force(event.id, GANYU, DAY).lead.verify_within == timedelta(hours=24)
    row = _adopt(event, city, HUAIAN, approved_by=2)
    assert row.stricter == ["lead.verify_within", "lead.sample_within", "lead.result_within"]
    assert row.expires_on == date(2022, 11, 10)
    assert row.reason
    pack = packs.in_force(event.id, GANYU, DAY)
    assert pack.key == "covid19/cn_9@2022-06-28+huaian138@2022"
    assert packs.by_key(pack.key) is pack
    assert queries.changed_since_adoption() == []


def test_what_is_stricter_needs_two_signers(place) -> None:
    event, city, _ = place
    _adopt(event, city, NINTH)
    for approved_by in (None, 1):
        with pytest.raises(Refused, match="adoption_needs_second_signer"):
            _adopt(event, city, HUAIAN, approved_by=approved_by)
    assert Adoption.objects.count() == 1


def test_the_database_itself_refuses_what_nobody_answers_for(place) -> None:
    from django.db import IntegrityError, transaction

    event, city, _ = place
    _adopt(event, city, NINTH)
    row = _adopt(event, city, HUAIAN, approved_by=2)
    for broken in ({"reason": ""}, {"approved_by": None}, {"approved_by": 1}, {"expires_on": None}, {"basis": ""}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Adoption.objects.filter(pk=row.pk).update(**broken)


def test_a_county_may_add_to_the_citys_base_and_only_there(place) -> None:
    event, city, county = place
    _adopt(event, city, NINTH)
    _adopt(event, county, HUAIAN, approved_by=2)
    assert packs.in_force(event.id, GANYU, DAY).lead.verify_within == timedelta(hours=1)
    assert packs.in_force(event.id, HAIZHOU, DAY).lead.verify_within == timedelta(hours=24)


def test_an_overlay_ends_by_itself_and_with_its_base(place) -> None:
    event, city, _ = place
    _adopt(event, city, NINTH)
    _adopt(event, city, HUAIAN, approved_by=2, expires_on=date(2022, 9, 10))
    assert packs.in_force(event.id, GANYU, date(2022, 9, 10)).overlays
    assert not packs.in_force(event.id, GANYU, date(2022, 9, 11)).overlays
    _adopt(event, city, CLASS_B, from_on=date(2023, 1, 8))
    assert packs.in_force(event.id, GANYU, date(2023, 1, 7)).key == "covid19/cn_9@2022-06-28"
    new = packs.in_force(event.id, GANYU, date(2023, 1, 8))
    assert (new.key, new.restricts_anybody) == ("covid19/cn_class_b@2023-01-08", False)


def test_the_same_adoption_again_changes_nothing(place) -> None:
    event, city, _ = place
    first = _adopt(event, city, NINTH)
    assert _adopt(event, city, NINTH).id == first.id
    overlay = _adopt(event, city, HUAIAN, approved_by=2)
    assert _adopt(event, city, HUAIAN, approved_by=2).id == overlay.id
    actions.end_adoption(adoption=overlay.id, on=date(2022, 9, 1))
    assert packs.in_force(event.id, GANYU, DAY).overlays
    assert not packs.in_force(event.id, GANYU, date(2022, 9, 1)).overlays


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ({"basis": " "}, "adoption_without_basis"),
        (NINTH | {"from_on": date(2022, 1, 1)}, "pack_not_in_force"),
        (NINTH | {"version": "2020"}, "pack_unknown"),
        (NINTH | {"expires_on": date(2022, 8, 1)}, "adoption_expired"),
        (HUAIAN | {"approved_by": 2}, "overlay_without_base"),
    ],
)
def test_refusals(place, chosen: dict, code: str) -> None:
    event, city, _ = place
    with pytest.raises(Refused) as refused:
        _adopt(event, city, NINTH | chosen)
    assert refused.value.code == code
    assert Adoption.objects.count() == 0


def test_a_pack_of_another_disease_is_refused(place) -> None:
    _, city, _ = place
    other = actions.open_event(
        disease="measles", region=city.id, name="麻疹", opened_on=DAY, legal_basis="演示", retention=timedelta(days=90)
    )
    with pytest.raises(Refused, match="pack_of_another_disease"):
        _adopt(other, city, NINTH)


def test_many_places_cost_one_statement(place, django_statements) -> None:
    event, city, _ = place
    _adopt(event, city, NINTH)
    with django_statements() as statements:
        for scope in range(GANYU, GANYU + 500):
            packs.in_force(event.id, scope, DAY)
    assert len(statements) == 1


def test_the_engine_reads_what_is_in_force_and_the_application_cannot_adopt(place, as_role) -> None:
    import psycopg

    event, city, _ = place
    _adopt(event, city, NINTH)
    with as_role("app") as connection:
        connection.execute("SET ROLE bihuan_engine")
        assert connection.execute(queries._ADOPTED % {"on": "'2022-08-28'", "event": event.id}).fetchone()
    with as_role("app") as connection:
        connection.execute("SELECT count(*) FROM adoption")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE adoption SET to_on = from_on")


@pytest.fixture
def django_statements():
    from contextlib import contextmanager

    from django.db import connection

    @contextmanager
    def counted():
        seen: list[str] = []

        def wrapper(execute, sql, params, many, context):
            seen.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(wrapper):
            yield seen

    return counted
