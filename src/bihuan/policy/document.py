"""The shape of a pack file: which rows may stand in it (`rows.py` says what each is), and in which direction each gets stricter.

Three kinds of file: a base pack of one disease; an overlay of a province, city or county upon bases; and a shared file,
whose rows bases take in by `includes` and may replace. Unknown keys are refused.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import create_model, model_validator

from bihuan.policy.rows import (
    Adult,
    AreaRow,
    BandRow,
    Classes,
    ClockRow,
    Contact,
    Count,
    Counting,
    GroupRow,
    Ladder,
    Mark,
    NamedList,
    Quiet,
    RoundRow,
    RuleRow,
    Span,
    Strict,
    ThresholdRow,
    Word,
    Words,
    wrong,
)

UNCLASSIFIED = "unclassified"  # the class of an origin for which no risk list is known; every pack has it
# What overlays may change and shared files may hold. `counting` is a base's alone: a phase is counted one way.
SECTIONS = (
    "adult",
    "contact",
    "quiet",
    "lead",
    "origin_classes",
    "persons",
    "areas",
    "clocks",
    "rounds",
    "groups",
    "thresholds",
    "bands",
    "named",
)


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
    support_within: Annotated[Span, Mark("求助的答复时限", "time to answer a unit that asks for help", "never")]
    undo: Annotated[Span, Mark("可撤销时间", "time for undo", "never")]
    list_kept: Annotated[Span | None, Mark("清单保存时间", "how long a list taken out is remembered", "never")] = None
    waive_alone: Annotated[Count | None, Mark("一人可签的免办件数", "duties that one signature may waive", "fewer")] = None

    @model_validator(mode="after")
    def _clocks_for_duties(self) -> Lead:
        if self.needs_verification.classes and self.verify_within is None:
            raise wrong("要核查的来源类别须有核实时限，请补 lead.verify_within", "verify_within is missing")
        if self.needs_sampling.classes and (self.sample_within is None or self.result_within is None):
            raise wrong(
                "要采样的来源类别须有采样和出结果时限，请补 lead.sample_within、lead.result_within",
                "sample_within or result_within is missing",
            )
        if not set(self.needs_sampling.classes) <= set(self.needs_verification.classes):
            raise wrong("只有核查的来源类别才能采样，请把它也列进 needs_verification", "only what is verified can be sampled")
        if self.routing.value != "community_first":
            raise wrong("派单方式只能是 community_first", "routing must be community_first")
        if self.clock_start.value != "assigned":
            raise wrong("计时起点只能是 assigned", "clock_start must be assigned")
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
    in_force_note: str = ""
    basis: Basis
    includes: Words = ()
    sources: dict[str, Source]
    adult: Annotated[Adult, Mark("成年年龄", "age of majority")]
    counting: Annotated[Counting, Mark("天数算法", "counting of days")]
    contact: Annotated[Contact | None, Mark("密接判定窗口", "contact window", "longer")] = None
    quiet: Annotated[Quiet | None, Mark("免打扰时段", "quiet hours", "fewer")] = None
    lead: Lead
    origin_classes: dict[str, RuleRow]
    persons: dict[str, RuleRow] = {}
    areas: dict[str, AreaRow] = {}
    clocks: dict[str, ClockRow] = {}
    rounds: dict[str, RoundRow] = {}
    groups: dict[str, GroupRow] = {}
    thresholds: dict[str, ThresholdRow] = {}
    bands: dict[str, BandRow] = {}
    named: dict[str, NamedList] = {}

    @model_validator(mode="after")
    def _classes_exist(self) -> Document:
        if UNCLASSIFIED not in self.origin_classes:
            raise wrong(f"请补一行 origin_classes.{UNCLASSIFIED}", f"origin_classes needs {UNCLASSIFIED}")
        named = {*self.lead.needs_verification.classes, *self.lead.needs_sampling.classes}
        named |= set(self.quiet.except_classes) if self.quiet else set()
        if unknown := sorted(named - self.origin_classes.keys()):
            names = ", ".join(unknown)
            raise wrong(
                f"没有这些来源类别：{names}，请改正或在 origin_classes 里补上", f"unknown origin classes: {names}; mend or add them"
            )
        for name in self.lead.needs_verification.classes:
            if self.origin_classes[name].force == "advice":
                raise wrong(f"{name} 只是倡导，不能派事项：请改 force，或从 needs_verification 里去掉", f"{name}: advice opens no duty")
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
    in_force_note: str = ""
    reason: str = ""
    approver: str = ""
    basis: Basis
    sources: dict[str, Source]
    changes: dict[str, Any]

    def counts_on(self, day: date) -> bool:
        ends = min((end for end in (self.in_force_to, self.expires_on) if end), default=None)
        return self.in_force_from <= day and (ends is None or day <= ends)


# The rows of a lead one by one: a shared file has some of them.
SharedLead = create_model(
    "SharedLead", __base__=Strict, **{name: (field.annotation | None, None) for name, field in Lead.model_fields.items()}
)  # type: ignore[call-overload]


class Shared(Strict):
    """Rows that several bases have in common, in one place: our own choices for a desk, the statutory ladder of reports."""

    id: str
    version: str
    title_zh: str
    title_en: str
    sources: dict[str, Source]
    adult: Adult | None = None
    counting: Counting | None = None
    quiet: Quiet | None = None
    lead: SharedLead | None = None  # type: ignore[valid-type]
    clocks: dict[str, ClockRow] = {}
    groups: dict[str, GroupRow] = {}
    thresholds: dict[str, ThresholdRow] = {}
