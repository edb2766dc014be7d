"""The rows of a pack: a value, where it comes from, how good that source is, and how strongly it binds.

Every number stands in a row that names its source and a grade: A law, official notice or mainstream press; B reprint of
an official text; C single or weak source; GKU general knowledge, unverified; composed: our own choice, with a note that
says why. Unknown keys are refused. A row changes as a whole, so that a number never keeps another number's source.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Grade = Literal["A", "B", "C", "GKU", "composed"]
Force = Literal["advice", "unit_duty", "measure_on_person"]
Place = Literal["none", "self_monitoring", "home_monitoring", "mosquito_proof", "home_isolation", "isolation", "hospital", "central"]
Out = Literal["yes", "limited", "no"]
Start = Literal["arrival", "last_contact", "determined", "onset", "rash", "landing", "left_post"]

FORCES: tuple[str, ...] = ("advice", "unit_duty", "measure_on_person")
# In the order in which a place is stricter than another, for comparing only.
PLACES: tuple[str, ...] = (
    "none", "self_monitoring", "home_monitoring", "mosquito_proof", "home_isolation", "isolation", "hospital", "central",
)  # fmt: skip
OUTS: tuple[str, ...] = ("yes", "limited", "no")


@dataclass(frozen=True, slots=True)
class Mark:
    """How a field is called, and when a new value of it is stricter: shorter, longer, more, ranked … or never."""

    zh: str
    en: str
    stricter: Literal["shorter", "longer", "more", "fewer", "ranked", "never"] = "never"
    ranks: tuple[str, ...] = ()


def _tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


UNITS = {"seconds": ("秒", "s"), "minutes": ("分钟", "min"), "hours": ("小时", "h"), "days": ("天", "d")}
Sources = Annotated[tuple[str, ...], BeforeValidator(_tuple), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_tuple)]


def wrong(zh: str, en: str) -> PydanticCustomError:
    """What a row breaks and how to mend it, in both languages; the loader adds the file and the row."""
    return PydanticCustomError("pack_rule", "{en}", {"zh": zh, "en": en})


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
            raise wrong("自定的行要在 note 里写明为什么", "a composed row needs a note that says why")
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


class Count(Row):
    value: Annotated[int, Field(ge=0)]


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
                raise wrong("每一级要比前一级晚、比前一级高，请按次序重排", "each rung must come later and go higher than the one before")
        return self


class Quiet(Row):
    from_: Annotated[time, Field(alias="from")]
    to: time
    except_classes: Words = ()


class Sampling(Strict):
    """`count` tests within `within_days`, at least `apart_hours` between two of them, the first within `first_within_hours`.

    `at_landing`: the first one where somebody first sets foot (落地检). What the document does not say is left out.
    """

    count: Annotated[int, Field(ge=1)]
    within_days: Annotated[int, Field(ge=1)] | None = None
    apart_hours: Annotated[int, Field(ge=0)] | None = None
    first_within_hours: Annotated[int, Field(ge=1)] | None = None
    at_landing: bool = False

    def in_words(self) -> tuple[str, str]:
        zh = f"{self.within_days}天{self.count}检" if self.within_days else f"检测{self.count}次"
        en = f"{self.count} in {self.within_days} days" if self.within_days else f"{self.count}"
        for value, words in (
            (self.at_landing, ("落地即采", "first on landing")),
            (self.first_within_hours, (f"到达{self.first_within_hours}小时内首检", f"first within {self.first_within_hours} h of arrival")),
            (self.apart_hours, (f"间隔{self.apart_hours}小时", f"{self.apart_hours} h apart")),
        ):
            if value:
                zh, en = f"{zh}，{words[0]}", f"{en}, {words[1]}"
        return zh, en


class PhaseRow(Strict):
    """A stretch of days in one place. Day 1 of `test_days` is the first day of the phase.

    Without `days` it lasts until what the rule says of release has come about; such a phase is the last one.
    """

    place: Place
    days: Annotated[int, Field(ge=1)] | None = None
    test_days: Numbers = ()
    tests: Sampling | None = None
    out: Out

    @model_validator(mode="after")
    def _within(self) -> PhaseRow:
        last = self.days or max(self.test_days, default=0)
        if list(self.test_days) != sorted(set(self.test_days)) or any(not 1 <= day <= last for day in self.test_days):
            raise wrong("检测日要从小到大，并在本阶段天数之内", "test days must ascend and lie within the phase")
        return self


class EndsWhen(Strict):
    """What must be true before somebody is free, where it is not the end of a term: all that is named here.

    `negative_or_days_over`: a negative test, or so many days and more gone since onset.
    """

    fever_free_hours_over: Annotated[int, Field(ge=0)] | None = None
    negative_or_days_over: Annotated[int, Field(ge=0)] | None = None
    ct_at_least: Annotated[int, Field(ge=0)] | None = None

    def met(
        self, *, fever_free: timedelta, negative: bool = False, since_onset: timedelta = timedelta(0), cts: tuple[float, ...] = ()
    ) -> bool:
        """Whether the conditions hold. `cts`: the Ct values of the tests that count; without any the condition is not met."""
        if self.fever_free_hours_over is not None and not fever_free > timedelta(hours=self.fever_free_hours_over):
            return False
        days = self.negative_or_days_over
        if days is not None and not (negative or since_onset > timedelta(days=days)):
            return False
        return self.ct_at_least is None or (bool(cts) and min(cts) >= self.ct_at_least)


class RuleRow(Row):
    """What one class of persons is asked, how strongly, and for how long.

    `force`: advice (published, opens nothing on a person), unit_duty (something that a unit must do, the person is free),
    measure_on_person (somebody may not do as he or she likes; only then a phase may keep a person in). `starts`: what the
    days are counted from; `day_one` and `ends` where the rule counts otherwise than its pack. `asks_zh`: what is asked
    besides staying and testing.
    """

    zh: str
    en: str
    force: Force
    look_back_days: Annotated[int, Field(ge=0)] | None = None
    starts: Start | None = None
    day_one: Literal["first_day", "next_day"] | None = None
    ends: Literal["end_of_last_day", "same_hour"] | None = None
    phases: Annotated[tuple[PhaseRow, ...], BeforeValidator(_tuple)] = ()
    ends_when: EndsWhen | None = None
    asks_zh: str = ""
    asks_en: str = ""
    release_zh: str = ""
    release_en: str = ""

    @model_validator(mode="after")
    def _keeps_nobody_in_by_advice(self) -> RuleRow:
        keeps = any(phase.out != "yes" for phase in self.phases)
        if keeps != (self.force == "measure_on_person"):
            raise wrong(
                "不能外出的必须是限制性措施（force = measure_on_person），限制性措施必须写明 out；二者改成一致",
                "who may not go out is under a measure, and only who is under a measure may not go out",
            )
        if any(phase.days is None for phase in self.phases[:-1]):
            raise wrong("只有最后一个阶段可以不写天数，请补上 days", "only the last phase may be without days")
        if any(phase.days is None and phase.out != "yes" for phase in self.phases) and not self.release_zh:
            raise wrong(
                "没有天数的限制要写 release_zh、release_en：什么时候解除",
                "a measure without days needs release_zh and release_en: when it ends",
            )
        return self

    @property
    def days(self) -> int:
        return sum(phase.days or 0 for phase in self.phases)

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
    """An area class: what is drawn, what is asked of those inside and how strongly, and when it steps down."""

    zh: str
    en: str
    force: Force
    drawn_as: str
    drawn_as_en: str = ""
    measure_zh: str
    measure_en: str
    lift_days: Annotated[int, Field(ge=1)] | None = None
    lift_days_from_higher: Annotated[int, Field(ge=1)] | None = None
    steps_to: str
    closing_round: bool = False


_WHERE = {
    "class_or_dorm": ("一个班级或宿舍", "one class or dormitory"),
    "school": ("一所学校", "one school"),
    "collective": ("一个村、居委会、学校或集体单位", "one village, neighbourhood, school or other collective"),
    "township": ("一个乡镇、街道", "one township or street"),
    "county": ("一个县区", "one county"),
}


class ThresholdRow(Row):
    """When a cluster must be acted upon: so many `cases`, or `percent` of those there, or `deaths`, within `window_days`.

    `times_mean`: more than so many times the mean of earlier years. `what_zh`: who counts as a case.
    """

    MARKS: ClassVar[dict[str, Mark]] = {
        "cases": Mark("例数", "cases", "shorter"),
        "percent": Mark("比例", "share", "shorter"),
        "window_days": Mark("统计天数", "window, days", "longer"),
        "closes_days": Mark("停课天数", "days of closure", "longer"),
    }
    zh: str
    en: str
    force: Force
    where: Literal["class_or_dorm", "school", "collective", "township", "county"]
    what_zh: str
    what_en: str
    cases: Annotated[int, Field(ge=1)] | None = None
    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    deaths: Annotated[int, Field(ge=1)] | None = None
    times_mean: Annotated[int, Field(ge=1)] | None = None
    window_days: Annotated[int, Field(ge=1)] | None = None
    closes_days: Annotated[int, Field(ge=1)] | None = None
    then_zh: str = ""
    then_en: str = ""

    @model_validator(mode="after")
    def _counts_something(self) -> ThresholdRow:
        if not (self.cases or self.percent or self.deaths or self.times_mean):
            raise wrong("阈值要写 cases、percent、deaths、times_mean 中的一项", "a threshold needs cases, percent, deaths or times_mean")
        return self

    def met(self, cases: int, *, of_all: int = 0, deaths: int = 0, mean: float | None = None) -> bool:
        """Whether the number of cases in the window (of `of_all` persons there) reaches it. `mean`: of earlier years."""
        return bool(
            (self.cases and cases >= self.cases)
            or (self.percent and of_all and cases * 100 >= self.percent * of_all)
            or (self.deaths and deaths >= self.deaths)
            or (self.times_mean and mean is not None and cases > self.times_mean * mean)
        )

    def in_words(self) -> tuple[str, str]:
        zh, en = [], []
        for value, words in (
            (self.cases, (f"{self.cases} 例及以上", f"{self.cases} or more")),
            (self.percent, (f"{self.percent}% 及以上", f"{self.percent} % or more")),
            (self.deaths, (f"死亡 {self.deaths} 例", f"{self.deaths} deaths")),
            (self.times_mean, (f"超过前几年均值的 {self.times_mean} 倍", f"above {self.times_mean} times the mean of earlier years")),
        ):
            if value:
                zh.append(words[0])
                en.append(words[1])
        where, window = _WHERE[self.where], self.window_days
        days = (f"{window} 天内" if window and window > 1 else "当天" if window else "目前", f" within {window} d" if window else " now")
        shown = f"{where[0]}{days[0]}{self.what_zh} {'或'.join(zh)}", f"{self.what_en} in {where[1]}{days[1]}: {' or '.join(en)}"
        closes = (f"，停课 {self.closes_days} 天", f"; closes for {self.closes_days} d") if self.closes_days else ("", "")
        then = (f"；{self.then_zh}", f"; {self.then_en}") if self.then_zh else ("", "")
        return shown[0] + closes[0] + then[0], shown[1] + closes[1] + then[1]


class ClockRow(Span):
    """Within which time of what somebody must have done what (报告、流调、转运)."""

    MARKS: ClassVar[dict[str, Mark]] = {"span": Mark("时限", "time", "shorter")}
    zh: str
    en: str
    force: Force
    starts_zh: str
    starts_en: str

    def in_words(self) -> tuple[str, str]:
        zh, en = UNITS[self.unit]
        return f"{self.starts_zh}起 {self.value} {zh}内", f"within {self.value} {en} of {self.starts_en}"


class BandRow(Row):
    """A band of an index: `from` it on, or only `above` it, and `below` the next one. `index_zh` names index and unit."""

    MARKS: ClassVar[dict[str, Mark]] = {"span": Mark("范围", "range")}
    zh: str
    en: str
    force: Force
    index: str
    index_zh: str
    index_en: str
    from_: Annotated[int, Field(alias="from", ge=0)] = 0
    above: Annotated[int, Field(ge=0)] | None = None
    below: Annotated[int, Field(ge=1)] | None = None

    @property
    def span(self) -> tuple[int, int | None, int | None]:
        return self.from_, self.above, self.below

    def holds(self, value: float) -> bool:
        return self.from_ <= value and (self.above is None or value > self.above) and (self.below is None or value < self.below)

    def in_words(self) -> tuple[str, str]:
        if self.above is not None:
            return f"{self.index_zh} 超过 {self.above}", f"{self.index_en} above {self.above}"
        if self.below is None:
            return f"{self.index_zh} {self.from_} 及以上", f"{self.index_en} {self.from_} and above"
        if not self.from_:
            return f"{self.index_zh} 低于 {self.below}", f"{self.index_en} below {self.below}"
        return f"{self.index_zh} {self.from_} 到 {self.below} 以下", f"{self.index_en} from {self.from_} to below {self.below}"


class RoundRow(Row):
    """Rounds of testing, survey or killing: where, how often, and when they stop."""

    MARKS: ClassVar[dict[str, Mark]] = {
        "every": Mark("间隔天数", "days between rounds", "shorter"),
        "clean_rounds": Mark("连续几轮无新发现后停", "clean rounds before the stop", "longer"),
    }
    zh: str
    en: str
    force: Force
    trigger_zh: str = ""
    trigger_en: str = ""
    where_zh: str
    where_en: str
    every_days: Annotated[int, Field(ge=1)] | None = None
    every_days_max: Annotated[int, Field(ge=1)] | None = None
    clean_rounds: Annotated[int, Field(ge=1)] | None = None
    gap_days: Annotated[int, Field(ge=1)] | None = None
    clean_after_gap: Annotated[int, Field(ge=1)] | None = None
    until_zh: str = ""
    until_en: str = ""

    @property
    def every(self) -> int | None:
        return self.every_days

    def in_words(self) -> tuple[str, str]:
        zh, en = [self.where_zh], [self.where_en]
        if self.every_days and self.every_days_max:
            zh.append(f"每 {self.every_days}–{self.every_days_max} 天一轮")
            en.append(f"a round every {self.every_days} to {self.every_days_max} days")
        elif self.every_days:
            zh.append("每天一轮" if self.every_days == 1 else f"每 {self.every_days} 天一轮")
            en.append("a round a day" if self.every_days == 1 else f"a round every {self.every_days} days")
        if self.clean_rounds:
            zh.append(f"连续 {self.clean_rounds} 轮无社会面感染者")
            en.append(f"{self.clean_rounds} rounds in a row without an infection outside control")
        if self.gap_days:
            zh.append(f"间隔 {self.gap_days} 天再做 {self.clean_after_gap} 轮仍无，停")
            en.append(f"after a gap of {self.gap_days} days {self.clean_after_gap} more, then stop")
        elif self.clean_rounds:
            zh.append("停")
            en.append("then stop")
        if self.until_zh:
            zh.append(self.until_zh)
            en.append(self.until_en)
        return "，".join(zh), ", ".join(en)


class GroupRow(Row):
    """A group that is tested by its work or place: every so many days, or a share of it each day, or by sample."""

    MARKS: ClassVar[dict[str, Mark]] = {
        "every_days": Mark("间隔天数", "days between tests", "shorter"),
        "share_percent": Mark("每天抽检比例", "share tested a day", "longer"),
    }
    zh: str
    en: str
    force: Force
    every_days: Annotated[float, Field(gt=0)] | None = None
    every_days_max: Annotated[float, Field(gt=0)] | None = None
    epidemic_every_days: Annotated[float, Field(gt=0)] | None = None
    share_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    apart_hours: Annotated[int, Field(ge=0)] | None = None
    by_sample: bool = False
    when_zh: str = ""
    when_en: str = ""

    @model_validator(mode="after")
    def _says_how_often(self) -> GroupRow:
        if not (self.every_days or self.share_percent or self.by_sample):
            raise wrong("人群要写 every_days、share_percent、by_sample 中的一项", "a group needs every_days, share_percent or by_sample")
        return self

    def in_words(self) -> tuple[str, str]:
        zh, en = [], []
        if self.every_days:
            most = f"–{self.every_days_max:g}" if self.every_days_max else ""
            zh.append("每天一次" if self.every_days == 1 and not most else f"每 {self.every_days:g}{most} 天一次")
            en.append("every day" if self.every_days == 1 and not most else f"every {self.every_days:g}{most} days")
        if self.epidemic_every_days:
            zh.append(f"流行期每 {self.epidemic_every_days:g} 天一次")
            en.append(f"every {self.epidemic_every_days:g} days in an epidemic")
        if self.share_percent:
            zh.append(f"每天抽检 {self.share_percent}%")
            en.append(f"{self.share_percent} % a day")
        if self.by_sample:
            zh.append("抽检")
            en.append("by sample")
        if self.apart_hours:
            zh.append(f"两次至少隔 {self.apart_hours} 小时")
            en.append(f"at least {self.apart_hours} h apart")
        if self.when_zh:
            zh.append(self.when_zh)
            en.append(self.when_en)
        return "，".join(zh), ", ".join(en)


class NamedList(Row):
    """A list that people call by its name. `unconfirmed` (口径待确认): nobody has said what stands in it, so it is empty."""

    MARKS: ClassVar[dict[str, Mark]] = {"items": Mark("内容", "content")}
    zh: str
    en: str
    force: Force
    status: Literal["confirmed", "unconfirmed"]
    items: Words = ()

    @model_validator(mode="after")
    def _invents_nothing(self) -> NamedList:
        if (self.status == "unconfirmed") == bool(self.items):
            raise wrong(
                "口径待确认（unconfirmed）的名单必须是空的；有内容的写 status = confirmed",
                "a list is empty while unconfirmed, and only then",
            )
        return self

    def in_words(self) -> tuple[str, str]:
        return ("、".join(self.items), ", ".join(self.items)) if self.items else ("口径待确认", "meaning to be confirmed")


class Adult(Row):
    """From which birthday on somebody is of age: whose telephone may stand for a person, who is never moved alone."""

    years: Annotated[int, Field(ge=1)]


def tightest(rows: Iterable[GroupRow], *, epidemic: bool = False) -> float | None:
    """Days between two tests of somebody who is in several groups: the shortest counts. None where no group says."""
    found = [row.epidemic_every_days if epidemic and row.epidemic_every_days else row.every_days for row in rows]
    return min((days for days in found if days), default=None)
