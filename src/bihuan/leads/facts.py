"""What happens to a lead: somebody who may have come from an affected place, until it is settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from bihuan.ledger.kinds import FactKind


class LeadSource(StrEnum):
    """Who said so. 数据推、单位报、社区排、运营商促, and the person (报备)."""

    DATA_PUSH = "data"
    UNIT_REPORT = "unit"
    COMMUNITY_SWEEP = "community"
    TELECOM_REMINDER = "telecom"
    SELF_DECLARATION = "self"


class Tried(StrEnum):
    """A try that does not close the duty."""

    NOT_REACHED = "not_reached"  # 没人接
    WRONG_NUMBER = "wrong_number"  # 号码不对
    NOT_AGREED = "not_agreed"  # 暂未配合, with a reason; never exported, ends with the duty
    NOT_HERE_YET = "not_here_yet"  # 还没到: the next try is the arrival


class Found(StrEnum):
    """An answer that closes the verification."""

    HERE = "here"  # 人在家, and since when
    GONE_ON = "gone_on"  # 已去别处: another city
    WILL_NOT_COME = "will_not_come"
    NOTHING_REQUIRED = "nothing_required"  # not from there, or already done elsewhere


class MedicalNeed(StrEnum):
    """Asked at first contact; blocks what would cut treatment off."""

    NOT_ASKED = "not_asked"
    NONE = "none"
    REGULAR = "regular"  # 透析、化疗、产检、打针拿药


class Result(StrEnum):
    NEGATIVE = "negative"
    INITIAL_POSITIVE = "initial_positive"  # 初筛阳性, never a case: to be confirmed by re-test
    INVALID = "invalid"  # sample again: does not close


class SupportReason(StrEnum):
    """Why a unit cannot do it alone (干不完)."""

    HANDS = "hands"  # 人手不够
    FAR = "far"  # 天黑路远
    UNREACHED = "unreached"  # 打不通的太多
    OTHER = "other"  # 别的事


class SupportEnd(StrEnum):
    """How an ask for help ended: the answer of the desk above, or the asker's own."""

    HANDS_SENT = "hands_sent"  # 派人
    TAKEN_OVER = "taken_over"  # 由我们代办
    AGREED = "agreed"  # 已电话商量
    CANNOT = "cannot"  # 不能支援, with a reason
    NOT_NEEDED = "not_needed"  # 已不需要: said by the asker


@dataclass(frozen=True)
class LeadReported:
    """A list, a call or the person named somebody who may have come from an affected place.

    `community` and `county` are units where the row tells them; `desk` is where the duty belongs by all that is known
    of the person at that time (None: the city's desk). `episode` is the arrival that it is about.
    """

    source: LeadSource
    origin: str
    origin_region: int | None
    origin_class: str  # by the risk list in force at the arrival; `unclassified` where there is none
    arrived_at: datetime | None
    arrived_precision: str  # minute, day or none
    community: int | None
    county: int | None
    desk: int | None
    episode: str
    report_key: int  # keyed hash of what the row says: the same report again is known by it
    file: int | None
    sheet: str
    row: int | None


@dataclass(frozen=True)
class LeadSplit:
    """Records taken for one person are not: this part of them is a lead of its own and needs a duty of its own."""

    origin_class: str
    desk: int | None
    episode: str


@dataclass(frozen=True)
class CallStarted:
    """Somebody is calling: others hold off until then (一人一电)."""

    episode: str
    until_at: datetime


@dataclass(frozen=True)
class ContactTried:
    """A call or visit that did not settle it. `next_try_at`: from when the clocks count anew (not here yet)."""

    episode: str
    outcome: Tried
    reason: str
    next_try_at: datetime | None
    origin_class: str


@dataclass(frozen=True)
class LeadVerified:
    """A call or visit settled it. `assigned_at` is the one start of the three clocks; `unit` goes on with it."""

    episode: str
    outcome: Found
    here_since: date | None
    destination: str
    reason: str
    medical_need: MedicalNeed
    origin_class: str
    assigned_at: datetime
    unit: int
    liaison: int | None  # the desk that answers for other cities, where the person has gone on to one


@dataclass(frozen=True)
class LeadSampled:
    episode: str
    sampled_at: datetime
    place: str
    tube: str
    origin_class: str
    assigned_at: datetime
    hears: int  # the desk to which the result comes


@dataclass(frozen=True)
class ResultRecorded:
    episode: str
    result: Result
    resulted_at: datetime


@dataclass(frozen=True)
class ReferralAnswered:
    """What the other city said, entered by the liaison desk until cities are joined."""

    episode: str
    accepted: bool
    answer: str


@dataclass(frozen=True)
class ListTaken:
    """A list of duties left the platform: `form` workbook or paper; `whole`: with full names and numbers, not masked."""

    number: int
    form: str
    n_duties: int
    whole: bool


@dataclass(frozen=True)
class SupportAsked:
    """A unit cannot get its work done and asks the unit above for help. Its subject is the unit that asks."""

    reason: SupportReason
    note: str
    asked_of: int  # the unit above


@dataclass(frozen=True)
class SupportEnded:
    """An ask for help was answered, or is needed no more."""

    how: SupportEnd
    note: str


LEAD_REPORTED = FactKind("leads.lead_reported", LeadReported, key="episode")
LEAD_SPLIT = FactKind("leads.lead_split", LeadSplit, key="episode")
CALL_STARTED = FactKind("leads.call_started", CallStarted, key="episode")
CONTACT_TRIED = FactKind("leads.contact_tried", ContactTried, key="episode")
LEAD_VERIFIED = FactKind("leads.lead_verified", LeadVerified, key="episode")
LEAD_SAMPLED = FactKind("leads.lead_sampled", LeadSampled, key="episode")
RESULT_RECORDED = FactKind("leads.result_recorded", ResultRecorded, key="episode")
REFERRAL_ANSWERED = FactKind("leads.referral_answered", ReferralAnswered, key="episode")
LIST_TAKEN = FactKind("leads.list_taken", ListTaken)
SUPPORT_ASKED = FactKind("leads.support_asked", SupportAsked)
SUPPORT_ENDED = FactKind("leads.support_ended", SupportEnded)
