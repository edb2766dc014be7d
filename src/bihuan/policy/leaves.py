"""A pack as values that can be compared and read aloud, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from bihuan.policy.document import Document
from bihuan.policy.rows import (
    FORCES,
    OUTS,
    PLACES,
    UNITS,
    Adult,
    Classes,
    Contact,
    Count,
    Counting,
    Ladder,
    Mark,
    Quiet,
    Row,
    RuleRow,
    Span,
    Word,
    Words,
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparable value of a document, with the words for it.

    A rule on a class of persons yields itself (`whole`) and its parts (`within` it): what only one of two documents has
    is compared as a whole, what both have part by part.
    """

    path: str
    mark: Mark
    value: Any
    shown_zh: str
    shown_en: str
    row: Row
    within: str = ""
    whole: bool = False


_SHOWN = {
    "advice": ("倡导", "advice"),
    "unit_duty": ("单位应办", "duty of a unit"),
    "measure_on_person": ("限制性措施", "measure on a person"),
    "none": ("无", "none"),
    "self_monitoring": ("自我健康监测", "self-monitoring"),
    "home_monitoring": ("居家健康监测", "home health monitoring"),
    "mosquito_proof": ("防蚊隔离", "mosquito-proof isolation"),
    "isolation": ("隔离", "isolation"),
    "hospital": ("住院隔离治疗", "hospital isolation"),
    "home_isolation": ("居家隔离医学观察", "home isolation"),
    "central": ("集中隔离医学观察", "central isolation"),
    "yes": ("可以外出", "may go out"),
    "limited": ("非必要不外出", "limited going out"),
    "no": ("不外出", "no going out"),
    "assigned": ("分派到本级", "assignment"),
    "community_first": ("直接到社区", "community first"),
    "first_day": ("当天为第1天", "the first day is day 1"),
    "next_day": ("次日为第1天", "the next day is day 1"),
}
_RULE_MARKS = {
    "force": Mark("性质", "force", "ranked", FORCES),
    "look_back_days": Mark("追溯天数", "look-back days", "longer"),
    "place": Mark("地点", "place", "ranked", PLACES),
    "days": Mark("天数", "days", "longer"),
    "n_tests": Mark("检测次数", "tests", "longer"),
    "out": Mark("外出", "going out", "ranked", OUTS),
}


def _shown(value: Any) -> tuple[str, str]:
    if value is None:
        return "无", "none"
    return _SHOWN.get(str(value), (str(value), str(value)))


def _leaf(path: str, mark: Mark, row: Row, classes: dict[str, RuleRow]) -> Leaf:
    """A row of the lead section and its neighbours as something that compares and reads well."""

    def named(names: Words, stop: tuple[str, str]) -> tuple[str, str]:
        known = [name for name in classes if name in names]
        return stop[0].join(classes[name].zh for name in known), stop[1].join(classes[name].en for name in known)

    value: Any
    match row:
        case Span():
            zh, en = UNITS[row.unit]
            return Leaf(path, mark, row.span, f"{row.value} {zh}", f"{row.value} {en}", row)
        case Classes():
            value = frozenset(row.classes)
            zh, en = named(row.classes, ("、", ", "))
        case Ladder():
            value = tuple((rung.after_minutes, rung.steps_up) for rung in row.rungs)
            zh = "；".join(f"超时 {after} 分钟请上 {up} 级协助" for after, up in value)
            en = "; ".join(f"{up} level(s) up after {after} min" for after, up in value)
        case Quiet():
            value = (row.from_, row.to, frozenset(row.except_classes))
            hours = f"{row.from_:%H:%M}–{row.to:%H:%M}"
            zh, en = named(row.except_classes, ("、", ", "))
            zh, en = hours + (f"（{zh}除外）" if zh else ""), hours + (f" (except {en})" if en else "")
        case Contact():
            value, zh, en = row.window_days, f"{row.window_days} 天", f"{row.window_days} d"
        case Adult():
            value, zh, en = row.years, f"{row.years} 周岁", f"{row.years} years"
        case Counting():
            value, (zh, en) = (row.day_one, row.ends), _shown(row.day_one)
        case Word():
            value, (zh, en) = row.value, _shown(row.value)
        case Count():
            value, zh, en = row.value, f"{row.value} 件", str(row.value)
        case _:
            raise TypeError(f"no words for {type(row).__name__}")
    return Leaf(path, mark, value, zh or "无", en or "none", row)


def _marked(model: BaseModel, prefix: str, classes: dict[str, RuleRow]) -> Iterator[Leaf]:
    for name, field in type(model).model_fields.items():
        mark = next((item for item in field.metadata if isinstance(item, Mark)), None)
        value = getattr(model, name)
        if mark is not None and value is not None:
            yield _leaf(f"{prefix}{name}", mark, value, classes)


def _tests(rule: RuleRow) -> tuple[tuple[Any, ...], str, str]:
    """The tests of a rule as something that compares, and in words: 第1、4、7天；3天2检."""
    zh, en = [], []
    for phase in rule.phases:
        if phase.test_days:
            zh.append(f"第{'、'.join(map(str, phase.test_days))}天")
            en.append(f"day {', '.join(map(str, phase.test_days))}")
        if phase.tests:
            words = phase.tests.in_words()
            zh.append(words[0])
            en.append(words[1])
    value = tuple((phase.test_days, phase.tests) for phase in rule.phases)
    return value, " + ".join(zh) or "不检测", " + ".join(en) or "none"


def _rule(path: str, rule: RuleRow) -> Iterator[Leaf]:
    zh, en = [_shown(rule.force)[0]], [_shown(rule.force)[1]]
    for phase in rule.phases:
        place = _shown(phase.place)
        if phase.days:
            zh.append(f"{place[0]} {phase.days} 天")
            en.append(f"{place[1]} {phase.days} d")
        elif phase.place != "none":  # nowhere and for no term: only its tests count
            zh.append(f"{place[0]}至解除")
            en.append(f"{place[1]} until release")
    yield Leaf(path, Mark(rule.zh, rule.en, "ranked", FORCES), rule.force, "，".join(zh), ", ".join(en), rule, whole=True)
    for field, mark in _RULE_MARKS.items():
        value = getattr(rule, field)
        words = Mark(f"{rule.zh}·{mark.zh}", f"{rule.en}: {mark.en}", mark.stricter, mark.ranks)
        yield Leaf(f"{path}.{field}", words, value, *_shown(value), rule, within=path)
    words = Mark(f"{rule.zh}·检测安排", f"{rule.en}: days of tests")
    yield Leaf(f"{path}.tests", words, *_tests(rule), rule, within=path)


def leaves(document: Document) -> Iterator[Leaf]:
    """Every value of a document that can be compared, in the order of the file."""
    yield from _marked(document, "", document.origin_classes)
    yield from _marked(document.lead, "lead.", document.origin_classes)
    for section in ("origin_classes", "persons"):
        for name, rule in getattr(document, section).items():
            yield from _rule(f"{section}.{name}", rule)
    for name, area in document.areas.items():
        path = f"areas.{name}"
        yield Leaf(path, Mark(area.zh, area.en, "ranked", FORCES), area.force, area.measure_zh, area.measure_en, area, whole=True)
        words = Mark(f"{area.zh}·性质", f"{area.en}: force", "ranked", FORCES)
        yield Leaf(f"{path}.force", words, area.force, *_shown(area.force), area, within=path)
        words = Mark(f"{area.zh}·解除天数", f"{area.en}: days to step down", "longer")
        yield Leaf(f"{path}.lift_days", words, area.lift_days, *_shown(area.lift_days), area, within=path)
        yield Leaf(
            f"{path}.measure", Mark(f"{area.zh}·要求", f"{area.en}: what is asked"), area.measure_zh,
            area.measure_zh, area.measure_en, area, within=path,
        )  # fmt: skip
    for section in ("clocks", "rounds", "groups", "thresholds", "bands", "named"):
        for name, row in getattr(document, section).items():
            yield from _plain(f"{section}.{name}", row)


def _plain(path: str, row: Any) -> Iterator[Leaf]:
    """A row that says itself in words: compared whole where only one of two has it, else by what its MARKS name."""
    yield Leaf(path, Mark(row.zh, row.en, "ranked", FORCES), row.force, *row.in_words(), row, whole=True)
    for field, mark in {"force": Mark("性质", "force", "ranked", FORCES), **row.MARKS}.items():
        words = Mark(f"{row.zh}·{mark.zh}", f"{row.en}: {mark.en}", mark.stricter, mark.ranks)
        value = getattr(row, field)
        shown = _shown(value) if field == "force" else row.in_words()
        yield Leaf(f"{path}.{field}", words, value, *shown, row, within=path)
