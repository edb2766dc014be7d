"""The shape of a pack file: what may stand in it, what each row means, and in which direction it gets stricter.

Every number stands in a row that names its source and a grade: A law, official notice or mainstream press; B reprint of
an official text; C single or weak source; GKU general knowledge, unverified; composed: our own choice, with a note that
says why. Unknown keys are refused. A row changes as a whole, so that a number never keeps another number's source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Grade = Literal["A", "B", "C", "GKU", "composed"]
Force = Literal["advice", "unit_duty", "measure_on_person"]
Place = Literal["none", "self_monitoring", "home_monitoring", "home_isolation", "central"]
Out = Literal["yes", "limited", "no"]

FORCES: tuple[str, ...] = ("advice", "unit_duty", "measure_on_person")
PLACES: tuple[str, ...] = ("none", "self_monitoring", "home_monitoring", "home_isolation", "central")
OUTS: tuple[str, ...] = ("yes", "limited", "no")
UNCLASSIFIED = "unclassified"  # the class of an origin for which no risk list is known; every pack has it


@dataclass(frozen=True, slots=True)
class Mark:
    """How a field is called, and when a new value of it is stricter: shorter, longer, more, ranked … or never."""

    zh: str
    en: str
    stricter: Literal["shorter", "longer", "more", "fewer", "ranked", "never"] = "never"
    ranks: tuple[str, ...] = ()


def _tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Sources = Annotated[tuple[str, ...], BeforeValidator(_tuple), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_tuple)]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(Strict):
    """A value with its source and grade. `source` names entries of the file's sources."""

    source: Sources
    grade: Grade
    note: str = ""

    @model_validator(mode="after")
    def _composed_says_why(self) -> Row:
        if self.grade == "composed" and not self.note:
            raise ValueError("a composed row needs a note that says why")
        return self


class Span(Row):
    """A length of time."""

    value: Annotated[int, Field(ge=0)]
    unit: Literal["seconds", "minutes", "hours", "days"]

    @property
    def span(self) -> timedelta:
        return timedelta(**{self.unit: self.value})


class Classes(Row):
    classes: Words


class Word(Row):
    value: str


class RungRow(Strict):
    after_minutes: Annotated[int, Field(ge=0)]
    steps_up: Annotated[int, Field(ge=1, le=3)]


class Ladder(Row):
    """Whom a late duty asks for help: minutes after the deadline, and how many units up. Ascending in both."""

    rungs: Annotated[tuple[RungRow, ...], BeforeValidator(_tuple)]

    @model_validator(mode="after")
    def _ascends(self) -> Ladder:
        for lower, upper in zip(self.rungs, self.rungs[1:], strict=False):
            if upper.after_minutes <= lower.after_minutes or upper.steps_up <= lower.steps_up:
                raise ValueError("each rung must come later and go higher than the one before")
        return self


class Quiet(Row):
    from_: Annotated[time, Field(alias="from")]
    to: time
    except_classes: Words = ()


class Sampling(Strict):
    """`count` tests within `within_days`, `apart_hours` between two of them."""

    count: Annotated[int, Field(ge=1)]
    within_days: Annotated[int, Field(ge=1)]
    apart_hours: Annotated[int, Field(ge=0)] | None = None


class PhaseRow(Strict):
    """A stretch of days in one place. Day 1 of `test_days` is the first day of the phase."""

    place: Place
    days: Annotated[int, Field(ge=1)]
    test_days: Numbers = ()
    tests: Sampling | None = None
    out: Out

    @model_validator(mode="after")
    def _within(self) -> PhaseRow:
        if list(self.test_days) != sorted(set(self.test_days)) or any(not 1 <= day <= self.days for day in self.test_days):
            raise ValueError("test days must ascend and lie within the phase")
        return self


class RuleRow(Row):
    """What one class of persons is asked, how strongly, and for how long.

    `force`: advice (published, opens nothing on a person), unit_duty (something that a unit must do, the person is free),
    measure_on_person (somebody may not do as he or she likes; only then a phase may keep a person in).
    """

    zh: str
    en: str
    force: Force
    look_back_days: Annotated[int, Field(ge=0)] | None = None
    phases: Annotated[tuple[PhaseRow, ...], BeforeValidator(_tuple)] = ()
    release_zh: str = ""
    release_en: str = ""

    @model_validator(mode="after")
    def _keeps_nobody_in_by_advice(self) -> RuleRow:
        keeps = any(phase.out != "yes" for phase in self.phases)
        if keeps != (self.force == "measure_on_person"):
            raise ValueError("who may not go out is under a measure, and only who is under a measure may not go out")
        return self

    @property
    def days(self) -> int:
        return sum(phase.days for phase in self.phases)

    @property
    def n_tests(self) -> int:
        return sum(len(phase.test_days) + (phase.tests.count if phase.tests else 0) for phase in self.phases)

    @property
    def place(self) -> str:
        return max((phase.place for phase in self.phases), key=PLACES.index, default="none")

    @property
    def out(self) -> str:
        return max((phase.out for phase in self.phases), key=OUTS.index, default="yes")


class Counting(Row):
    """How days are counted. `day_one`: the day on which a phase begins is day 1. `ends`: at the end of its last day."""

    day_one: Literal["first_day", "next_day"]
    ends: Literal["end_of_last_day", "same_hour"]


class Contact(Row):
    """The look-back of contact finding: days before onset, or before sampling where there are no symptoms."""

    window_days: Annotated[int, Field(ge=0)]


class AreaRow(Row):
    """An area class: who draws what, what is asked there, and when it steps down."""

    zh: str
    en: str
    drawn_as: str
    measure_zh: str
    measure_en: str
    lift_days: Annotated[int, Field(ge=1)] | None = None
    lift_days_from_higher: Annotated[int, Field(ge=1)] | None = None
    steps_to: str
    closing_round: bool = False


class Lead(Strict):
    """What happens to a lead, and everything that the engine of duties must know about time."""

    needs_verification: Annotated[Classes, Mark("需要核查的来源类别", "origin classes to verify", "more")]
    needs_sampling: Annotated[Classes, Mark("核实后需要采样的来源类别", "origin classes to sample once verified", "more")]
    routing: Annotated[Word, Mark("派单方式", "routing")]
    clock_start: Annotated[Word, Mark("计时起点", "start of the clocks")]
    verify_within: Annotated[Span | None, Mark("核实时限", "time to verify", "shorter")] = None
    sample_within: Annotated[Span | None, Mark("采样时限", "time to sample", "shorter")] = None
    result_within: Annotated[Span | None, Mark("出结果时限", "time to a result", "shorter")] = None
    episode: Annotated[Span, Mark("视为同一次到达的间隔", "arrivals this close are one", "never")]
    hold: Annotated[Span, Mark("拨打电话时的保留时间", "hold while calling", "never")]
    help_after: Annotated[Ladder, Mark("超时后的提级协助", "help asked when late", "never")]
    grace: Annotated[Span, Mark("重办事项的最短时限", "least time of a duty done again", "shorter")]
    offered_for: Annotated[Span, Mark("待接收的有效时间", "time until an offer expires", "never")]
    settle_within: Annotated[Span, Mark("身份疑点的判定时限", "time to settle who is who", "never")]
    referral_within: Annotated[Span, Mark("转协查的答复时限", "time for another city's answer", "never")]
    undo: Annotated[Span, Mark("可撤销时间", "time for undo", "never")]

    @model_validator(mode="after")
    def _clocks_for_duties(self) -> Lead:
        if self.needs_verification.classes and self.verify_within is None:
            raise ValueError("verify_within is missing")
        if self.needs_sampling.classes and (self.sample_within is None or self.result_within is None):
            raise ValueError("sample_within or result_within is missing")
        if not set(self.needs_sampling.classes) <= set(self.needs_verification.classes):
            raise ValueError("only what is verified can be sampled")
        if self.routing.value != "community_first":
            raise ValueError("routing must be community_first")
        if self.clock_start.value != "assigned":
            raise ValueError("clock_start must be assigned")
        return self


class Source(Strict):
    title: str
    address: str = ""


class Basis(Strict):
    """The document that the rules come from. No date where only an undated copy was found."""

    issuer: str
    document: str
    dated: date | None = None


class Document(Strict):
    """A base pack as a file, or a base with overlays laid upon it."""

    id: str
    disease: str
    title_zh: str
    title_en: str
    version: str
    in_force_from: date
    in_force_to: date | None = None
    basis: Basis
    sources: dict[str, Source]
    counting: Annotated[Counting, Mark("天数算法", "counting of days")]
    contact: Annotated[Contact | None, Mark("密接判定窗口", "contact window", "longer")] = None
    quiet: Annotated[Quiet | None, Mark("免打扰时段", "quiet hours", "fewer")] = None
    lead: Lead
    origin_classes: dict[str, RuleRow]
    persons: dict[str, RuleRow] = {}
    areas: dict[str, AreaRow] = {}

    @model_validator(mode="after")
    def _classes_exist(self) -> Document:
        if UNCLASSIFIED not in self.origin_classes:
            raise ValueError(f"origin_classes needs {UNCLASSIFIED}")
        named = {*self.lead.needs_verification.classes, *self.lead.needs_sampling.classes}
        named |= set(self.quiet.except_classes) if self.quiet else set()
        if unknown := sorted(named - self.origin_classes.keys()):
            raise ValueError(f"unknown origin classes: {', '.join(unknown)}")
        for name in self.lead.needs_verification.classes:
            if self.origin_classes[name].force == "advice":
                raise ValueError(f"{name}: advice opens no duty")
        return self


class Overlay(Strict):
    """A province's, city's or county's additions, laid upon the bases that it names.

    What is stricter than its base must say why, who approved it, and when it ends: adding strictness on one's own was
    itself forbidden (层层加码).
    """

    id: str
    overlay_of: Words
    level: Literal["province", "city", "county"]
    short: str
    title_zh: str
    title_en: str
    version: str
    in_force_from: date
    in_force_to: date | None = None
    expires_on: date | None = None
    reason: str = ""
    approver: str = ""
    basis: Basis
    sources: dict[str, Source]
    changes: dict[str, Any]

    def counts_on(self, day: date) -> bool:
        ends = min((end for end in (self.in_force_to, self.expires_on) if end), default=None)
        return self.in_force_from <= day and (ends is None or day <= ends)


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


_UNITS = {"seconds": ("秒", "s"), "minutes": ("分钟", "min"), "hours": ("小时", "h"), "days": ("天", "d")}
_SHOWN = {
    "advice": ("倡导", "advice"),
    "unit_duty": ("单位应办", "duty of a unit"),
    "measure_on_person": ("限制性措施", "measure on a person"),
    "none": ("无", "none"),
    "self_monitoring": ("自我健康监测", "self-monitoring"),
    "home_monitoring": ("居家健康监测", "home health monitoring"),
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
            zh, en = _UNITS[row.unit]
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
        case Counting():
            value, (zh, en) = (row.day_one, row.ends), _shown(row.day_one)
        case Word():
            value, (zh, en) = row.value, _shown(row.value)
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
            zh.append(f"{phase.tests.within_days}天{phase.tests.count}检")
            en.append(f"{phase.tests.count} in {phase.tests.within_days} days")
    value = tuple((phase.test_days, phase.tests) for phase in rule.phases)
    return value, " + ".join(zh) or "不检测", " + ".join(en) or "none"


def _rule(path: str, rule: RuleRow) -> Iterator[Leaf]:
    force = _shown(rule.force)
    phases = [_shown(phase.place) for phase in rule.phases]
    zh = "，".join([force[0], *(f"{place[0]} {phase.days} 天" for place, phase in zip(phases, rule.phases, strict=True))])
    en = ", ".join([force[1], *(f"{place[1]} {phase.days} d" for place, phase in zip(phases, rule.phases, strict=True))])
    yield Leaf(path, Mark(rule.zh, rule.en, "ranked", FORCES), rule.force, zh, en, rule, whole=True)
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
        yield Leaf(path, Mark(area.zh, area.en, "longer"), 1, area.measure_zh, area.measure_en, area, whole=True)
        words = Mark(f"{area.zh}·解除天数", f"{area.en}: days to step down", "longer")
        yield Leaf(f"{path}.lift_days", words, area.lift_days, *_shown(area.lift_days), area, within=path)
        yield Leaf(
            f"{path}.measure", Mark(f"{area.zh}·要求", f"{area.en}: what is asked"), area.measure_zh,
            area.measure_zh, area.measure_en, area, within=path,
        )  # fmt: skip
