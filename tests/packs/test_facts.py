"""Every row of the packs against `facts.txt`, which was written from the documents and not from the packs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from bihuan.policy import pack as packs
from bihuan.policy.rows import RuleRow

NINTH = "covid19/cn_9@2022-06-28"
PACKS = {
    "CN-COVID-8": "covid19/cn_8@2021-05",
    "CN-COVID-9": NINTH,
    "CN-COVID-9/SX": f"{NINTH}+shanxi@2022-08-20",
    "CN-COVID-9/HA-XY": f"{NINTH}+xuyi@2022",
    "CN-COVID-9/CZ": f"{NINTH}+changzhou@2022-10",
    "CN-COVID-20": "covid19/cn_20@2022-11-11",
    "CN-COVID-10": "covid19/cn_10@2022-12-07",
    "CN-COVID-BB": "covid19/cn_class_b@2023-01-08",
    "CN-CHIK-2025": "chikungunya/cn_2025@2025",
    "CN-MPOX-2023": "mpox/cn_2023@2023",
    "CN-MEASLES-2024": "measles/cn_2024@2024",
    "CN-FLU-SCHOOL-2018": "influenza/school_2018@2018",
}
CLASSES = {
    "contact_of_contact": "persons.secondary_contact",
    "stay_high": "origin_classes.high",
    "stay_medium": "origin_classes.medium",
    "stay_low": "origin_classes.low",
    "arrival_any": "origin_classes.arrival",
    "arrival_other_province": "origin_classes.other_province",
}
PLACES = {
    "C": {"central"}, "H": {"home_isolation"}, "M": {"home_monitoring"}, "S": {"self_monitoring"}, "N": {"none"},
    "C or H": {"central", "home_isolation"}, "H (C by choice)": {"home_isolation"}, "mosquito-proof": {"mosquito_proof"},
    "hospital, H when mild": {"hospital"}, "isolation": {"isolation"},
}  # fmt: skip
TESTS = {  # in words: count, within days, hours apart, at landing, first within hours
    "2 tests in 3 d": (2, 3, None, False, None),
    "landing,+24h,+24h": (3, 3, 24, True, None),
    "landing,<=3d (>24h apart)": (2, 3, 24, True, None),
    "<=12h,<=3d (>24h apart)": (2, 3, 24, False, 12),
}


def _table(name: str) -> list[list[str]]:
    text = (Path(__file__).parent / "facts.txt").read_text(encoding="utf-8")
    block = re.search(rf"^## {name}:.*\n((?:.+\n)+)", text, re.M)
    assert block, name
    return [line.split("|") for line in block[1].splitlines()]


def _rule(key: str, path: str) -> RuleRow:
    section, _, name = path.partition(".")
    return getattr(packs.by_key(key).document, section)[name]


def _days(text: str) -> list[int | None]:
    """14+7 -> 14, 7; `until …` and `0` are no term; `to rash+4` ends on day 4."""
    if text.startswith("until") or text == "0":
        return [None]
    if text.startswith("to rash"):
        return [int(text.rpartition("+")[2])]
    return [int(re.match(r"\d+", part)[0]) for part in text.split("+")]


RULES = [row for row in _table("rules") if row[1] not in ("any", "class")]


@pytest.mark.parametrize("row", RULES, ids=lambda row: f"{row[0]} {row[1]}")
def test_a_rule_on_persons(row: list[str]) -> None:
    edition, name, place, days, test_days, look_back, out, _, src = row
    rule = _rule(PACKS[edition], CLASSES.get(name, f"persons.{name}"))
    document = packs.by_key(PACKS[edition]).document
    phases = rule.phases
    wanted = zip(place.split("+"), _days(days), (out.strip() or "no").split("+"), strict=True)
    if place == "N" and days == "0":
        assert (phases, rule.force) == ((), "advice")
    else:
        for phase, (where, term, may) in zip(phases, wanted, strict=True):
            assert phase.place in PLACES[where]
            assert (phase.days or max(phase.test_days, default=None)) == term
            assert phase.out == may
    assert (rule.force == "measure_on_person") == (not out.startswith("yes"))
    if test_days in TESTS:
        (phase,) = phases
        said = phase.tests
        assert (said.count, said.within_days, said.apart_hours, said.at_landing, said.first_within_hours) == TESTS[test_days]
    else:
        listed = [tuple(int(day) for day in part.rstrip("?").split(",")) for part in test_days.split("+") if part]
        assert [phase.test_days for phase in phases if phase.test_days] == listed
    if re.match(r"\d", look_back):
        window = int(look_back.rstrip("?"))
        assert (rule.look_back_days or document.contact.window_days) == window
        if "?" in look_back:
            assert "启用前须核实" in document.contact.note
    if "?" in days + test_days:
        assert rule.grade == "GKU"
        assert "启用前须核实" in rule.note
    assert set(src.split(",")) <= {*rule.source, *_also(edition, name)}


def _also(edition: str, name: str) -> set[str]:
    """Sources that stand at another row of the same pack: the days of incubation behind the days of monitoring."""
    return {"S74"} if (edition, name) == ("CN-MEASLES-2024", "close_contact") else set()


def test_no_rule_on_persons_stands_in_a_pack_that_no_document_gave() -> None:
    known = {(PACKS[row[0]], CLASSES.get(row[1], f"persons.{row[1]}")) for row in RULES}
    more = set()
    for pack in packs.library().bases():
        for section in ("origin_classes", "persons"):
            for name, row in getattr(pack.document, section).items():
                asks = bool(row.phases) or row.force == "measure_on_person"
                if asks and (pack.key, f"{section}.{name}") not in known and row.grade not in ("composed", "GKU"):
                    more.add((pack.key, f"{section}.{name}"))
    twenty = "covid19/cn_20@2022-11-21"  # as the version before it, and tested with it below
    assert {pair for pair in more if pair[0] != twenty} == {("covid19/cn_20@2022-11-11", "origin_classes.other_province")}
    first, second = (packs.by_key(key).document for key in ("covid19/cn_20@2022-11-11", twenty))
    assert (first.persons, first.origin_classes, first.areas) == (second.persons, second.origin_classes, second.areas)


def test_class_b_asks_of_nobody() -> None:
    (row,) = [row for row in _table("rules") if row[1] == "any"]
    document = packs.by_key(PACKS[row[0]]).document
    assert not any(rule.phases for rule in (*document.origin_classes.values(), *document.persons.values()))


def test_a_class_closes() -> None:
    (row,) = [row for row in _table("rules") if row[1] == "class"]
    found = packs.by_key(PACKS[row[0]]).document.thresholds
    said = re.search(r">=(\d+) new ILI/day or >=(\d+) % ill or >=(\d+) severe/week", row[7])
    new, share, severe = found["new_cases"], found["share_ill"], found["severe"]
    assert (new.cases, share.percent, severe.cases) == tuple(int(n) for n in said.groups())
    assert (new.window_days, severe.window_days) == (1, 7)
    assert {threshold.closes_days for threshold in found.values()} == {int(row[3])}


@pytest.mark.parametrize("row", _table("areas"), ids=lambda row: f"{row[0]} {row[1]}")
def test_an_area(row: list[str]) -> None:
    edition, level, _, lift, steps_to, closing = row
    area = packs.by_key(PACKS[edition]).document.areas[level]
    numbers = [int(n) for n in re.findall(r"\d+", lift)]
    assert [n for n in (area.lift_days, area.lift_days_from_higher) if n] == numbers
    assert area.steps_to == steps_to
    assert area.closing_round == bool(closing)
    assert ("通告（C）" in area.note) == ("local notice" in closing)  # which part rests on one city's notice


@pytest.mark.parametrize("key", [NINTH, "covid19/cn_20@2022-11-21"])
def test_rounds_of_testing(key: str) -> None:
    """The ninth edition's plan of testing by region, which the papers of November 2022 kept."""
    found = packs.by_key(key).document.rounds
    for name, *numbers in _table("rounds"):
        row = found[name]
        wanted = [int(n) if n else None for n in numbers]
        assert [row.every_days, row.clean_rounds, row.gap_days, row.clean_after_gap] == wanted, name


CLOCKS = {
    "REP-2": (NINTH, "report_positive"), "INV-4": (NINTH, "trajectory"), "INV-24": (NINTH, "first_report"),
    "MOVE-8": (NINTH, "move_close_contact"), "MOVE-12": (NINTH, "move_secondary_contact"),
    "VILLAGE-2": ("covid19/cn_20@2022-11-21", "village_clinic"), "FEVER-6": (NINTH, "fever_clinic_result"),
    "SCHOOL-24": ("school/clusters_2023@2023", "school_report"), "REGION-24": (NINTH, "area_round"),
}  # fmt: skip


@pytest.mark.parametrize("row", _table("clocks"), ids=lambda row: row[0])
def test_a_clock(row: list[str]) -> None:
    name, starts, limit, src = row
    hours = [timedelta(hours=int(n)) for n in re.findall(r"(\d+) h", limit or starts)]
    if name == "LADDER":
        steps = [row for key, row in packs.by_key(NINTH).document.clocks.items() if key.startswith("ladder_")]
        assert [step.span for step in steps] == hours
        found = steps[0]
    elif name.startswith("V138"):
        field = {"verified": "verify_within", "sampled": "sample_within", "result": "result_within"}[limit.split()[-1]]
        document = packs.by_key(f"{NINTH}+huaian138@2022").document
        found = getattr(document.lead, field)
        assert document.lead.clock_start.value == "assigned"
        assert [found.span] == hours
    else:
        key, clock = CLOCKS[name]
        found = packs.by_key(key).document.clocks[clock]
        assert [found.span] == hours
    assert src in found.source


def test_the_forty_six_groups() -> None:
    found = packs.merge(packs.by_key(NINTH), [packs.load_overlay("overlays/composed/key_groups_46", "1")]).document.groups
    listed = _table("groups")
    assert len(listed) == 46
    for number, title, days in listed:
        row = found[f"g{int(number):02}"]
        assert row.en == title, number
        numbers = [float(n) for n in re.findall(r"[\d.]+", days)]
        more = row.epidemic_every_days if "epidemic" in days else row.every_days_max
        assert [n for n in (row.every_days, more) if n] == numbers, number
        assert row.by_sample == (days == "sample"), number
        assert row.grade == "composed", number


def test_thresholds_in_schools() -> None:
    found = packs.by_key("school/clusters_2023@2023").document.thresholds
    for name, window, school, in_class in _table("thresholds"):
        row = found[name]
        assert row.window_days == int(window), name
        assert [n for n in (row.cases, row.deaths) if n] == [int(n) for n in re.findall(r"\d+", school)], name
        assert (f"{name}_class" in found) == bool(in_class), name
        if in_class:
            assert (found[f"{name}_class"].cases, found[f"{name}_class"].where) == (int(in_class), "class_or_dorm")


def test_classes_of_provinces() -> None:
    named = packs.by_key("chikungunya/cn_2025@2025").document.named
    assert [[number, " ".join(named[f"province_class_{number}"].items)] for number, _ in _table("provinces")] == _table("provinces")


def test_no_row_is_graded_better_than_its_sources() -> None:
    best = {source: grade for grade, sources in _table("grades") for source in sources.split()}
    seen = set()
    for pack in packs.library().bases() + [packs.merge(packs.by_key(o.overlay_of[0]), [o]) for o in packs.library().overlays()]:
        for row in packs._rows(pack.document):
            known = [best[source] for source in row.source if source in best]
            seen.update(row.source)
            if row.grade in "ABC" and known:
                assert row.grade >= min(known), (pack.key, row)
            elif row.grade in "ABC":
                assert set(row.source) <= {"report"}, (pack.key, row)  # a name that newspapers used and nobody explained
    assert seen - best.keys() == {"own", "report", "civil_code"}
