"""The packs that we ship, and what the loader refuses."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bihuan.kernel.refused import Refused
from bihuan.policy import pack as packs
from bihuan.policy.pack import Library

NINTH = ("covid19/cn_9", "2022-06-28")
CLASS_B = ("covid19/cn_class_b", "2023-01-08")
HUAIAN = ("overlays/jiangsu/huaian/138", "2022")
ROOT = packs.library().root


@pytest.fixture(scope="module")
def ninth() -> packs.Pack:
    return packs.load(*NINTH)


@pytest.fixture(scope="module")
def class_b() -> packs.Pack:
    return packs.load(*CLASS_B)


@pytest.fixture(scope="module")
def with_138(ninth: packs.Pack) -> packs.Pack:
    return packs.merge(ninth, [packs.load_overlay(*HUAIAN)])


def test_every_shipped_file_is_in_order() -> None:
    assert packs.check_all() == []
    assert len(packs.library().files()) >= 23


def _numbers(value: object, cited: tuple[str, ...] = ()):
    if isinstance(value, dict):
        if "source" in value and "grade" in value:
            source = value["source"]
            cited = tuple(source) if isinstance(source, list) else (source,)
        for item in value.values():
            yield from _numbers(item, cited)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, cited)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value, cited


@pytest.mark.parametrize("file", packs.library().files(), ids=lambda file: file.stem)
def test_every_number_has_a_source_that_the_file_lists(file: Path) -> None:
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    for number, cited in _numbers(data):
        assert cited, number
        assert set(cited) <= data["sources"].keys(), number


def test_what_is_our_own_choice_says_so(ninth: packs.Pack) -> None:
    for name in (
        "verify_within",
        "sample_within",
        "result_within",
        "episode",
        "hold",
        "grace",
        "offered_for",
        "settle_within",
        "support_within",
        "undo",
    ):
        row = getattr(ninth.document.lead, name)
        assert row.grade == "composed", name
        assert row.note, name


# --- golden examples -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "place", "days", "tests", "out"),
    [("high", "central", 7, (1, 2, 3, 5, 7), "no"), ("medium", "home_isolation", 7, (1, 4, 7), "no")],
)
def test_ninth_edition_restricts_those_from_high_and_medium_areas(ninth, origin, place, days, tests, out) -> None:
    rule = ninth.arrival_rule(origin)
    assert rule.restricts
    assert rule.row.look_back_days == 7
    (phase,) = rule.phases(date(2022, 8, 28))
    assert (phase.place, phase.out) == (place, out)
    assert phase.ends_on == date(2022, 8, 28) + timedelta(days=days - 1)
    assert phase.tests_on == tuple(date(2022, 8, 27) + timedelta(days=day) for day in tests)


def test_ninth_edition_close_contact_is_seven_and_three(ninth) -> None:
    central, home = ninth.person_rule("close_contact").phases(date(2022, 8, 28))
    assert (central.place, central.starts_on, central.ends_on) == ("central", date(2022, 8, 28), date(2022, 9, 3))
    assert (home.place, home.starts_on, home.ends_on) == ("home_monitoring", date(2022, 9, 4), date(2022, 9, 6))
    assert home.tests_on == (date(2022, 9, 6),)


def test_ninth_edition_keeps_nobody_in_who_comes_from_a_low_risk_ordinary_or_unknown_place(ninth) -> None:
    for origin in ("low", "ordinary", "unclassified", "a class that no pack knows"):
        assert not ninth.arrival_rule(origin).restricts, origin
        assert all(phase.out == "yes" for phase in ninth.arrival_rule(origin).phases(date(2022, 8, 28)))
    (phase,) = ninth.arrival_rule("low").row.phases
    assert (phase.tests.count, phase.tests.within_days) == (2, 3)
    assert ninth.arrival_rule("ordinary").force == "advice"


def test_the_national_base_has_no_138(ninth, with_138) -> None:
    assert (ninth.lead.verify_within, ninth.lead.sample_within) == (timedelta(hours=24), timedelta(hours=24))
    lead = with_138.lead
    assert (lead.verify_within, lead.sample_within, lead.result_within) == (timedelta(hours=1), timedelta(hours=3), timedelta(hours=8))
    assert lead.clock_start == "assigned"
    assert [(rung.after, rung.steps_up) for rung in lead.help_after] == [(timedelta(0), 1), (timedelta(hours=1), 2)]
    assert (lead.hold, lead.undo) == (timedelta(minutes=15), timedelta(seconds=10))
    assert with_138.arrival_rule("high").row == ninth.arrival_rule("high").row  # it touches no rule on a person


def test_advice_opens_no_duty(ninth) -> None:
    assert "ordinary" not in ninth.lead.needs_verification
    assert ninth.lead.needs_verification == {"high", "medium", "low", "unclassified"}


def test_class_b_restricts_nobody_and_opens_nothing(class_b) -> None:
    assert not class_b.restricts_anybody
    assert class_b.lead.needs_verification == class_b.lead.needs_sampling == frozenset()
    assert class_b.lead.verify_within is class_b.lead.sample_within is class_b.lead.result_within is None
    for origin in ("high", "medium", "low", "unclassified"):
        rule = class_b.arrival_rule(origin)
        assert (rule.force, rule.phases(date(2023, 1, 8))) == ("advice", ())
    assert class_b.person_rule("close_contact") is None
    assert class_b.document.areas == {}
    assert class_b.due(datetime(2023, 1, 8, tzinfo=UTC), class_b.lead.verify_within) is None


# --- keys and differences --------------------------------------------------------------------------------------------


def test_a_key_gives_the_same_pack_again(with_138, ninth) -> None:
    assert with_138.key == "covid19/cn_9@2022-06-28+huaian138@2022"
    assert packs.by_key(with_138.key) is with_138
    assert packs.by_key(ninth.key) is ninth
    with pytest.raises(Refused, match="pack_unknown"):
        packs.by_key("covid19/cn_9@2022-06-28+nothing@1")


def test_differences_read_as_sentences(ninth, with_138, class_b) -> None:
    changes = packs.diff(ninth, with_138)
    assert [change.sentence() for change in changes] == [
        "核实时限：24 小时 → 1 小时（更严）",
        "采样时限：24 小时 → 3 小时（更严）",
        "出结果时限：48 小时 → 8 小时（更严）",
    ]
    assert changes[0].sentence("en") == "time to verify: 24 h → 1 h (stricter)"
    assert changes[0].source == ("S10",)
    lifted = packs.diff(with_138, class_b)
    assert {change.path.split(".")[0] for change in lifted if change.stricter} == {"groups", "clocks"}  # of units; no rule on a person
    assert "密切接触者：限制性措施，集中隔离医学观察 7 天，居家健康监测 3 天 → 无" in [change.sentence() for change in lifted]
    assert packs.diff(ninth, ninth) == []


# --- refusals --------------------------------------------------------------------------------------------------------


def _copy(tmp_path: Path, name: str, edit) -> Library:
    """Our packs in another folder, one of them edited as text."""
    for file in packs.library().files():
        target = tmp_path / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8")
        if target.relative_to(tmp_path).as_posix() == name:
            changed = edit(text)
            assert changed != text
            text = changed
        target.write_text(text, encoding="utf-8")
    return Library(tmp_path)


@pytest.mark.parametrize("lacks", ["reason", "approver", "expires_on"])
def test_a_stricter_overlay_says_why_who_and_until_when(tmp_path: Path, lacks: str) -> None:
    library = _copy(tmp_path, "overlays/jiangsu/huaian/138.toml", lambda text: re.sub(rf"^{lacks} = .*\n", "", text, flags=re.M))
    with pytest.raises(Refused) as refused:
        library.load_overlay(*HUAIAN)
    assert refused.value.code == "overlay_incomplete"
    assert [problem.code for problem in library.check_all()] == ["overlay_incomplete"]


def test_an_overlay_that_is_not_stricter_needs_none_of_it(tmp_path: Path) -> None:
    def milder(text: str) -> str:
        text = re.sub(r"^(reason|approver|expires_on) = .*\n", "", text, flags=re.M)
        return re.sub(r"^value = \d+", "value = 72", text, flags=re.M)

    assert _copy(tmp_path, "overlays/jiangsu/huaian/138.toml", milder).load_overlay(*HUAIAN).reason == ""


def test_an_overlay_that_restricts_more_persons_is_stricter(tmp_path: Path) -> None:
    rule = """
[changes.origin_classes.ordinary]
zh = "外地来源"
en = "from elsewhere"
force = "measure_on_person"
phases = [{ place = "home_isolation", days = 7, out = "no" }]
source = "S10"
grade = "C"
"""

    def restricts(text: str) -> str:
        text = re.sub(r"^(reason|approver|expires_on) = .*\n", "", text, flags=re.M)
        return text[: text.index("[changes.lead.verify_within]")] + rule

    with pytest.raises(Refused, match="overlay_incomplete"):
        _copy(tmp_path, "overlays/jiangsu/huaian/138.toml", restricts).load_overlay(*HUAIAN)


COVID, DESK, MEASLES = "covid19/cn_9", "house/desk", "measles/cn_2024"
YUNCHENG = "overlays/shanxi/yuncheng/lists"


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "says"),
    [
        (COVID, "[lead.needs_sampling]", "[lead.x]\nvalue = 1\n\n[lead.needs_sampling]", "number_without_source", "lead.x.value"),
        (COVID, "[lead.verify_within]\nvalue", "[lead.verify_within]\nworth = 1\nvalue", "pack_unknown_key", "请改名或删去"),
        (COVID, 'source = "S17"\ngrade = "B"', 'source = "S17"', "number_without_source", "contact.window_days"),
        (COVID, 'source = "S17"\ngrade = "B"', 'grade = "B"', "number_without_source", "contact.window_days"),
        (COVID, 'source = "S17"\ngrade = "B"', 'source = "S17"\ngrade = "D"', "pack_invalid", "contact.grade：只能是 'A', 'B', 'C'"),
        (COVID, 'source = "S17"\ngrade = "B"', 'source = []\ngrade = "B"', "pack_invalid", "contact.source"),
        (COVID, 'source = "S17"', 'source = "S99"', "source_unknown", "S99，请在 [sources] 里写明"),
        (COVID, "第九版没有核实时限；一天之内，是为了不让名单过夜没人问", "", "pack_invalid", "lead.verify_within：自定的行要"),
        (COVID, "test_days = [1, 4, 7]", "test_days = [1, 4, 8]", "pack_invalid", "检测日要从小到大"),
        (COVID, 'within_days = 3 }, out = "yes"', 'within_days = 3 }, out = "no"', "pack_invalid", "origin_classes.low：不能外出的必须是"),
        (COVID, '"low", "unclassified"]', '"low", "unclassified", "ordinary"]', "pack_invalid", "ordinary 只是倡导"),
        (COVID, 'drawn_as = "小区、村"', 'drawn_as = "小区、村"\nsteps = "x"', "pack_unknown_key", "areas.high.steps"),
        (COVID, 'force = "advice"', 'force = "advise"', "pack_invalid", "只能是 'advice', 'unit_duty' or 'measure_on_person'"),
        (COVID, 'share_percent = 20\n', "", "pack_invalid", "groups.institutions_with_local_cases：人群要写"),
        (COVID, 'includes = ["house/desk@1"', 'includes = ["house/desk@7"', "pack_unknown", "house/desk 的 7 版"),
        (COVID, 'includes = [', 'includes = ["covid19/cn_9@2022-06-28", ', "pack_includes_itself", "请去掉 includes 里的它"),
        (COVID, '自定，不是任何文件的规定', '自定', "source_conflict", "来源 own 在两份文件里说法不同"),
        (COVID, 'id = "covid19/cn_9"', 'this is no TOML', "pack_unreadable", "格式错误"),
        (DESK, "steps_up = 2", "steps_up = 1", "pack_invalid", "每一级要比前一级晚"),
        (DESK, "years = 18", 'years = "many"', "pack_invalid", "adult.years：要写整数"),
        (MEASLES, 'cases = 5\n', "", "pack_invalid", "thresholds.township：阈值要写"),
        ("mpox/cn_2023", 'release_zh = "结痂自然脱落"\n', "", "pack_invalid", "persons.case：没有天数的限制要写 release_zh"),
        (YUNCHENG, 'status = "unconfirmed"', 'status = "unconfirmed"\nitems = ["甲"]', "pack_invalid", "名单必须是空的"),
    ],
)  # fmt: skip
def test_a_wrong_pack_is_refused_with_file_row_and_mending(tmp_path: Path, file: str, old: str, new: str, code: str, says: str) -> None:
    library = _copy(tmp_path, f"{file}.toml", lambda text: text.replace(old, new, 1))
    found = {problem.file: problem for problem in library.check_all()}
    assert found[file].code == code
    assert says in found[file].zh
    assert re.search(r"[a-z]", found[file].en)


def test_what_is_not_there_is_refused() -> None:
    for pack_id, version in [("covid19/cn_9", "2021"), ("covid19/cn_8", "2022-06-28"), ("../pyproject", "1")]:
        with pytest.raises(Refused, match="pack_unknown"):
            packs.load(pack_id, version)


def test_an_overlay_lies_only_upon_its_base(class_b) -> None:
    with pytest.raises(Refused, match="overlay_elsewhere"):
        packs.merge(class_b, [packs.load_overlay(*HUAIAN)])


def test_every_field_of_the_lead_section_is_documented() -> None:
    from bihuan.policy.document import Document, Lead, Overlay

    page = (ROOT.parent / "docs" / "modules" / "policy.md").read_text(encoding="utf-8")
    missing = [name for name in Lead.model_fields if f"`{name}`" not in page]
    assert missing == []
    words = {*Document.model_fields, *Overlay.model_fields} - {"title_zh", "title_en", "short"}
    assert [name for name in sorted(words) if f"`{name}`" not in page] == []
