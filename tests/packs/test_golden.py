"""Golden examples, one per pack, as the documents have them; and what is in force of COVID-19 in 2026."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import combinations

import pytest

from bihuan.kernel.clock import SHANGHAI
from bihuan.policy import pack as packs
from bihuan.policy.rows import GroupRow

TODAY = date(2026, 11, 25)
D = date(2022, 8, 28)


def _on(*days: int, of: date = D) -> tuple[date, ...]:
    """The days of a term that begins on `of`, day 1 being the first."""
    return tuple(of + timedelta(days=day - 1) for day in days)


def _with(base: str, *overlays: tuple[str, str]) -> packs.Pack:
    return packs.merge(packs.by_key(base), [packs.load_overlay(*overlay) for overlay in overlays])


EIGHTH, NINTH, TWENTY, ANNEX, TEN, CLASS_B = (
    "covid19/cn_8@2021-05", "covid19/cn_9@2022-06-28", "covid19/cn_20@2022-11-11", "covid19/cn_20@2022-11-21",
    "covid19/cn_10@2022-12-07", "covid19/cn_class_b@2023-01-08",
)  # fmt: skip


# base, person, then for each phase: place, may go out, last day, days of tests within the phase
@pytest.mark.parametrize(
    ("base", "person", "expected"),
    [
        (EIGHTH, "close_contact", [("central", "no", 14, (1, 4, 7, 14)), ("home_monitoring", "limited", 7, (2, 7))]),
        (EIGHTH, "entrant", [("central", "no", 14, (1, 4, 7, 14)), ("home_monitoring", "limited", 7, (2, 7))]),
        (EIGHTH, "secondary_contact", [("central", "no", 7, (1, 4, 7))]),
        (NINTH, "close_contact", [("central", "no", 7, (1, 2, 3, 5, 7)), ("home_monitoring", "limited", 3, (3,))]),
        (NINTH, "secondary_contact", [("home_isolation", "no", 7, (1, 4, 7))]),
        (TWENTY, "close_contact", [("central", "no", 5, (1, 2, 3, 5)), ("home_isolation", "no", 3, (1, 3))]),
        (TWENTY, "secondary_contact", []),
        (TWENTY, "high_risk_post_out", [("home_monitoring", "limited", 5, (1, 3, 5))]),
        (ANNEX, "entrant", [("central", "no", 5, (1, 2, 3, 5)), ("home_isolation", "no", 3, (1, 3))]),
        (TEN, "close_contact", [("home_isolation", "no", 5, (5,))]),
        ("measles/cn_2024@2024", "close_contact", [("self_monitoring", "yes", 21, ())]),
        ("mpox/cn_2023@2023", "close_contact", [("self_monitoring", "yes", 21, ())]),
    ],
)
def test_what_is_asked_of_whom_for_how_long(base: str, person: str, expected: list) -> None:
    rule = packs.by_key(base).person_rule(person)
    first = D
    for phase, (place, out, days, tests) in zip(rule.phases(D), expected, strict=True):
        assert (phase.place, phase.out, phase.starts_on) == (place, out, first)
        assert phase.ends_on == first + timedelta(days=days - 1)
        assert phase.tests_on == _on(*tests, of=first)
        first += timedelta(days=days)
    assert rule.restricts == any(out != "yes" for _, out, *_ in expected)


@pytest.mark.parametrize(
    ("key", "origin", "force", "days", "n_tests"),
    [
        (TWENTY, "high", "measure_on_person", 7, 4),
        (TWENTY, "other_province", "unit_duty", 0, 1),
        (TEN, "high", "advice", 0, 0),
        (f"{NINTH}+shanxi@2022-08-20", "low", "measure_on_person", 3, 3),
        (f"{NINTH}+shanxi@2022-08-20", "other_province", "unit_duty", 3, 1),
        (f"{NINTH}+changzhou@2022-10", "other_province", "unit_duty", 3, 2),
        (f"{NINTH}+xuyi@2022", "arrival", "advice", 3, 2),
        (f"{TWENTY}+chengdu@2022-11", "other_province", "unit_duty", 5, 4),
    ],
)
def test_what_is_asked_of_arrivals(key: str, origin: str, force: str, days: int, n_tests: int) -> None:
    rule = packs.by_key(key).arrival_rule(origin)
    assert (rule.force, rule.row.days, rule.row.n_tests) == (force, days, n_tests)


def test_a_day_is_counted_as_the_pack_says() -> None:
    at = datetime(2022, 8, 28, 15, 0, tzinfo=SHANGHAI)
    ninth = packs.by_key(NINTH).person_rule("close_contact")
    assert ninth.ends_at(at) == datetime(2022, 9, 7, 0, 0, tzinfo=SHANGHAI)  # ten days, the first one counts
    measles = packs.by_key("measles/cn_2024@2024").person_rule("case")  # the day of the rash is day 0
    (phase,) = measles.phases(date(2025, 3, 10))
    assert phase.ends_on == date(2025, 3, 14)
    assert measles.ends_at(datetime(2025, 3, 10, 9, 0, tzinfo=SHANGHAI)) == datetime(2025, 3, 15, 0, 0, tzinfo=SHANGHAI)
    same_hour = packs.Rule("x", ninth.row, 0, same_hour=True)
    assert same_hour.ends_at(at) == at + timedelta(days=10)
    assert packs.by_key("mpox/cn_2023@2023").person_rule("case").ends_at(at) is None  # until the scabs are off


def test_who_is_free_without_a_term() -> None:
    chikungunya = packs.by_key("chikungunya/cn_2025@2025").person_rule("case").row.ends_when
    hours, days = (lambda n: timedelta(hours=n)), (lambda n: timedelta(days=n))
    assert chikungunya.met(fever_free=hours(25), negative=True)
    assert chikungunya.met(fever_free=hours(25), since_onset=days(7) + hours(1))
    assert not chikungunya.met(fever_free=hours(24), negative=True)  # more than 24 hours
    assert not chikungunya.met(fever_free=hours(25), since_onset=days(7))
    mild = packs.by_key(TEN).person_rule("mild_case").row.ends_when
    assert mild.met(fever_free=hours(0), cts=(35, 38.2))
    assert not mild.met(fever_free=hours(0), cts=(34.9, 38.2))
    assert not mild.met(fever_free=hours(0))


@pytest.mark.parametrize(
    ("key", "name", "reached", "not_reached"),
    [
        ("influenza/school_2018@2018", "new_cases", {"cases": 5}, {"cases": 4}),
        ("influenza/school_2018@2018", "share_ill", {"cases": 12, "of_all": 40}, {"cases": 11, "of_all": 40}),
        ("influenza/school_2018@2018", "severe", {"cases": 2}, {"cases": 1}),
        ("measles/cn_2024@2024", "collective", {"cases": 2}, {"cases": 1}),
        ("measles/cn_2024@2024", "township", {"cases": 5}, {"cases": 4}),
        ("measles/cn_2024@2024", "county", {"cases": 7, "mean": 3.0}, {"cases": 6, "mean": 3.0}),
        ("school/clusters_2023@2023", "hand_foot_mouth", {"cases": 5}, {"cases": 4}),
        ("school/clusters_2023@2023", "hand_foot_mouth_class", {"cases": 2}, {"cases": 1}),
        ("school/clusters_2023@2023", "dysentery", {"cases": 0, "deaths": 2}, {"cases": 9, "deaths": 1}),
        ("school/clusters_2023@2023", "like_symptoms_day", {"cases": 3}, {"cases": 2}),
    ],
)
def test_thresholds(key: str, name: str, reached: dict, not_reached: dict) -> None:
    row = packs.by_key(key).document.thresholds[name]
    assert row.met(**reached)
    assert not row.met(**not_reached)


def test_the_windows_of_school_clusters() -> None:
    found = packs.by_key("school/clusters_2023@2023").document.thresholds
    assert {name: row.window_days for name, row in found.items() if row.window_days != 7} == {
        "dysentery": 3, "measles": 10, "dengue_local": 14, "like_symptoms_day": 1, "like_symptoms_three_days": 3,
    }  # fmt: skip
    assert packs.by_key("influenza/school_2018@2018").document.thresholds["new_cases"].closes_days == 4


@pytest.mark.parametrize(
    ("value", "band"), [(0, "controlled"), (4.9, "controlled"), (5, "low"), (10, "medium"), (19.9, "medium"), (20, "high")]
)
@pytest.mark.parametrize("key", ["chikungunya/cn_2025@2025", "dengue/cn_2025_vectors@2025"])
def test_bands_of_mosquito_density(key: str, value: float, band: str) -> None:
    pack = packs.by_key(key)
    assert pack.band("breteau", value) is pack.document.bands[band]


def test_only_more_than_twenty_is_dense_in_guangdong() -> None:
    dengue = packs.by_key("dengue/cn_2025_vectors@2025")
    assert dengue.band("guangdong_breteau", 20) is None
    assert dengue.band("guangdong_breteau", 20.1) is not None


def test_areas_step_down() -> None:
    areas = {key: {n: (a.lift_days, a.steps_to) for n, a in packs.by_key(key).document.areas.items()} for key in (NINTH, TWENTY, TEN)}
    assert areas[NINTH]["high"] == (7, "medium")
    assert areas[TWENTY] == {"high": (5, "low"), "low": (None, "normal")}  # no medium one any more
    assert areas[TEN] == {"high": (5, "normal")}


def test_the_statutory_ladder_sums_to_nine_hours_in_every_pack() -> None:
    for pack in packs.library().bases():
        steps = [row.span for name, row in pack.document.clocks.items() if name.startswith("ladder_")]
        assert len(steps) == 5, pack.key
        assert sum(steps, timedelta(0)) == timedelta(hours=9), pack.key


def test_forty_six_groups_are_composed_and_the_tightest_frequency_wins() -> None:
    pack = _with(NINTH, ("overlays/composed/key_groups_46", "1"))
    composed = {name: row for name, row in pack.document.groups.items() if row.grade == "composed"}
    assert len(composed) == 46
    assert all("不是淮安的46类" in row.note for row in composed.values())
    assert pack.tests_every(["g14", "g16"]) == 2  # courier 3, truck driver 2
    assert pack.tests_every(["g37"]) == 7
    assert pack.tests_every(["g37"], epidemic=True) == 3.5
    assert pack.tests_every(["g36", "no such group"]) is None  # by sample
    assert {type(row) for row in composed.values()} == {GroupRow}


def test_names_that_nobody_explained_stay_empty() -> None:
    named = {}
    for overlay in packs.library().overlays():
        named |= overlay.changes.get("named", {})
    assert {row["zh"] for row in named.values()} == {"3+3核酸检测", "四个一线", "六道门", "三类人"}
    assert {row["status"] for row in named.values()} == {"unconfirmed"}
    assert not any(row.get("items") for row in named.values())


@pytest.mark.parametrize("day", [date(2026, month, 1) for month in range(1, 13)] + [TODAY, date(2026, 12, 31)], ids=str)
def test_on_no_day_of_2026_is_anybody_restricted_for_covid(day: date) -> None:
    """Whatever a city may adopt on that day: each base in force, with every overlay that counts upon it, in any combination."""
    library = packs.library()
    bases = [p for p in library.bases() if p.disease == "covid19" and _counts(p.document, day)]
    assert [pack.key for pack in bases] == [CLASS_B]
    for base in bases:
        upon = [overlay for overlay in library.overlays() if overlay.counts_on(day) and base.key in overlay.overlay_of]
        for n in range(len(upon) + 1):
            for chosen in combinations(upon, n):
                pack = packs.merge(base, chosen)
                assert not pack.restricts_anybody, pack.key
                assert not pack.lead.needs_verification | pack.lead.needs_sampling, pack.key
                assert not any(rule.phases(day) for rule in pack.rules()), pack.key
                assert pack.document.areas == {}, pack.key
    assert not any(overlay.counts_on(day) for overlay in library.overlays())  # rules of 2022 are not offered for today


def _counts(document, day: date) -> bool:
    return document.in_force_from <= day and not (document.in_force_to and document.in_force_to < day)


def test_of_other_diseases_only_the_sick_are_kept_in() -> None:
    restricted = {
        (pack.disease, rule.name)
        for pack in packs.library().bases()
        if pack.disease != "covid19"
        for rule in pack.rules()
        if rule.restricts
    }
    assert restricted == {("chikungunya", "case"), ("measles", "case"), ("mpox", "case")}


def test_the_editions_follow_each_other_without_a_gap() -> None:
    editions = sorted((p.document for p in packs.library().bases() if p.disease == "covid19"), key=lambda d: d.in_force_from)
    days = [editions[0].in_force_from + timedelta(days=n) for n in range((TODAY - editions[0].in_force_from).days)]
    for day in days:
        assert any(d.in_force_from <= day and not (d.in_force_to and d.in_force_to < day) for d in editions), day


@pytest.mark.parametrize(
    ("key", "origin", "opens"),
    [
        (EIGHTH, "unclassified", {"leads.verify": "8月29日 18:00"}),
        (NINTH, "high", {"leads.verify": "8月29日 08:00", "leads.sample": "8月29日 08:00"}),
        (NINTH, "low", {"leads.verify": "8月29日 18:00", "leads.sample": "8月29日 18:00"}),
        (NINTH, "ordinary", {}),
        (f"{NINTH}+huaian138@2022", "low", {"leads.verify": "8月28日 09:00", "leads.sample": "8月28日 11:00"}),
        (f"{NINTH}+changzhou@2022-10", "other_province", {"leads.verify": "8月29日 18:00", "leads.sample": "8月29日 18:00"}),
        (TWENTY, "other_province", {"leads.verify": "8月29日 18:00", "leads.sample": "8月29日 18:00"}),
        (TEN, "high", {}),
        (CLASS_B, "high", {}),
        ("mpox/cn_2023@2023", "unclassified", {}),
    ],
)
def test_an_arrival_at_eight_opens_these_duties_due_then(key: str, origin: str, opens: dict[str, str]) -> None:
    """Clocks rest from 21:30 to 07:30: of 24 hours from 8:00 on, 13.5 pass on the day and 10.5 from 7:30 the next, to 18:00."""
    from bihuan.leads import loops
    from bihuan.leads.facts import Found
    from bihuan.loops.declare import Context

    pack, at = packs.by_key(key), datetime(2022, 8, 28, 8, 0, tzinfo=SHANGHAI)
    ctx = Context(pack, at, event=1, city_desk=1)
    asked = {loops.VERIFY: loops.needs_verification(origin, ctx), loops.SAMPLE: loops.needs_sampling(Found.HERE, origin, ctx)}
    due = {kind.name: pack.due(at, kind.due.duration(pack), origin) for kind, is_asked in asked.items() if is_asked}
    assert {name: f"{when.month}月{when.day}日 {when:%H:%M}" for name, when in due.items()} == opens
