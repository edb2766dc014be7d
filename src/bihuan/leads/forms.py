"""What officers fill in about a lead, as what the actions take. Nothing that is not asked for is taken."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads.facts import Found, MedicalNeed, Result, Tried

NOT_AGREED = {
    "told_others": _("已向别处报过"),
    "busy": _("现在忙"),
    "distrust": _("不相信来电"),
    "objects": _("有异议"),
}
NOTHING = {
    "not_from_there": _("没去过那里，名单写错了"),
    "done_elsewhere": _("别处已经核查过"),
    "only_passed": _("只是路过，没有停留"),
    "not_this_person": _("电话不是本人的，本人不在这里"),
}
RETURNS = {
    "not_ours": _("不住我们这里"),
    "address_unclear": _("地址不清楚，请查明再派"),
    "too_many": _("人手不够，请上级协助"),
    "list_wrong": _("名单有错，请退回报送单位"),
}


def stored(choices: dict[str, Any], code: str) -> str:
    """The Chinese sentence of a choice, as records keep it; pages translate it again when they show it."""
    lazy = choices.get(code)
    return lazy._args[0] if lazy is not None else ""  # the source string of the lazy translation


@dataclasses.dataclass(frozen=True)
class Answer:
    """One outcome of a call or visit. `settles`: it closes the verification (`verify`), else it is a try."""

    settles: bool
    values: dict[str, Any]


def answer_of(data: QueryDict, listed_at: datetime | None) -> Answer:
    """The buttons and fields of the call page. Refuses what is missing, naming the field; `listed_at`: arrival as lists say."""
    chosen = data.get("direct") or data.get("outcome") or ""
    if chosen == "at_home":
        return _at_home(data)
    if chosen == "not_here_yet":
        return Answer(False, {"outcome": Tried.NOT_HERE_YET, "next_try_at": _expected(data, listed_at), "reason": ""})
    if chosen == "gone_on":
        left = _date(data.get("went_on"), "went_on")
        reason = f"{left:%Y-%m-%d}" if left else ""
        return Answer(True, {"outcome": Found.GONE_ON, "destination": _text(data, "went_to", 100), "reason": reason})
    if chosen == "will_not_come":
        return Answer(True, {"outcome": Found.WILL_NOT_COME})
    if chosen == "nothing_required":
        return Answer(True, {"outcome": Found.NOTHING_REQUIRED, "reason": stored(NOTHING, data.get("nothing_reason", ""))})
    if chosen in ("not_reached", "wrong_number"):
        return Answer(False, {"outcome": Tried(chosen), "reason": "", "next_try_at": None})
    if chosen == "not_agreed":
        return Answer(
            False, {"outcome": Tried.NOT_AGREED, "reason": stored(NOT_AGREED, data.get("not_agreed_reason", "")), "next_try_at": None}
        )
    raise Refused("outcome_missing", "请点一个结果。", "Please choose an outcome.", "how")


def _at_home(data: QueryDict) -> Answer:
    since = _date(data.get("arrived_other") if data.get("arrived_on") == "other" else data.get("arrived_on"), "back-1")
    if since is not None and since > clock.today():
        raise Refused(
            "since_future", "到达日期在今天以后；还没到请选“还没到”。", "That day is still to come; choose “not here yet”.", "back-1"
        )
    treatment = data.get("treatment", "")
    if treatment not in ("yes", "no"):
        raise Refused("treatment_missing", "请问一句：最近要按时去医院吗？", "Please ask whether regular treatment is needed.", "t-yes")
    note = _text(data, "treatment_note", 200) if treatment == "yes" else ""
    need = MedicalNeed.REGULAR if treatment == "yes" else MedicalNeed.NONE
    return Answer(True, {"outcome": Found.HERE, "here_since": since, "medical_need": need, "reason": note})


def _expected(data: QueryDict, listed_at: datetime | None) -> datetime | None:
    """The arrival: the day and, where known, the hour; the hour of the lists where the day is theirs.

    Without an hour the clock counts from the beginning of the day (quiet hours then carry it to the morning).
    """
    day = _date(data.get("expected_other") if data.get("expected_on") == "other" else data.get("expected_on"), "ahead-1")
    if day is None:
        return None
    hour = data.get("expected_time", "").strip()
    if hour:
        try:
            return datetime.combine(day, time.fromisoformat(hour), tzinfo=clock.SHANGHAI)
        except ValueError:
            raise Refused(
                "time_unreadable", "几点写得看不懂，请写成 18:30。", "The time cannot be read; write 18:30.", "expected_time"
            ) from None
    if listed_at is not None and listed_at.astimezone(clock.SHANGHAI).date() == day and listed_at > clock.now():
        return listed_at
    if day == clock.today():
        raise Refused("arrival_hour_missing", "今天到的，请写大约几点到。", "Arriving today: please say about what time.", "expected_time")
    return clock.day_start(day)


def _date(text: str | None, field: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("date_unreadable", "日期看不懂，请重新选。", "The date cannot be read; please choose it again.", field) from None


def _text(data: QueryDict, name: str, most: int) -> str:
    return " ".join(data.get(name, "").split())[:most]


class _Moment(forms.DateTimeInput):
    input_type = "datetime-local"


class _At(forms.Form):
    """When it was done; now where it is left empty. Later entry of earlier work is usual, a future moment a slip."""

    def moment(self, name: str) -> datetime | None:
        value = self.cleaned_data.get(name)
        if value is not None and value > clock.now() + timedelta(seconds=59):
            raise Refused("time_future", "时间还没到，请改一下。", "That time is still to come; please correct it.", f"id_{name}")
        return value


class SampleForm(_At):
    sampled_at = forms.DateTimeField(
        label=_("几点采的？"), required=False, widget=_Moment(format="%Y-%m-%dT%H:%M"), help_text=_("不填就是现在")
    )
    place = forms.CharField(label=_("在哪里采的？"), required=False, max_length=60, help_text=_("例如：上门、村委会采样点"))
    tube = forms.CharField(label=_("管子上的号码"), required=False, max_length=40, help_text=_("没有就空着"))


class ResultForm(_At):
    result = forms.ChoiceField(
        label=_("结果"),
        widget=forms.RadioSelect,
        choices=[(Result.NEGATIVE, _("阴性")), (Result.INITIAL_POSITIVE, _("初筛阳性（待复核）")), (Result.INVALID, _("无效，要重新采"))],
    )
    resulted_at = forms.DateTimeField(
        label=_("几点出的结果？"), required=False, widget=_Moment(format="%Y-%m-%dT%H:%M"), help_text=_("不填就是现在")
    )


class ReferralForm(forms.Form):
    accepted = forms.ChoiceField(
        label=_("对方怎么说？"), widget=forms.RadioSelect, choices=[("yes", _("接了，人由对方管")), ("no", _("没有接，还由我们管"))]
    )
    answer = forms.CharField(label=_("谁答复的？"), max_length=200, help_text=_("写明对方单位、姓名、时间和文号"))
