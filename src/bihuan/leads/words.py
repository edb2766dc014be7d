"""Words of the pages of leads: kinds of duties, sources, outcomes, moves."""

from __future__ import annotations

from datetime import date, datetime

from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import pgettext_lazy

from bihuan.identity.loops import SETTLE
from bihuan.kernel import clock
from bihuan.leads.facts import Result, SupportEnd, SupportReason
from bihuan.leads.loops import REFER, RESULT, SAMPLE, SUPPORT, VERIFY
from bihuan.loops.conflicts import CONTRADICTION

KINDS = {
    VERIFY.name: _lazy("核查"),
    SAMPLE.name: _lazy("采样"),
    RESULT.name: _lazy("出结果"),
    REFER.name: _lazy("转协查"),
    SETTLE.name: _lazy("核对是否同一人"),
    CONTRADICTION.name: _lazy("核对两次不一样的记录"),
    SUPPORT.name: _lazy("答复求助"),
}
WHAT = {
    VERIFY.name: _lazy("打电话问问哪天到的"),
    SAMPLE.name: _lazy("安排采样"),
    RESULT.name: _lazy("等检测结果，出来就记"),
    REFER.name: _lazy("等对方城市答复"),
    SETTLE.name: _lazy("看看是不是同一个人"),
    CONTRADICTION.name: _lazy("看看哪一次算数"),
}
PAGE_OF = {VERIFY.name: "act", SAMPLE.name: "sample", RESULT.name: "result", REFER.name: "referral"}
SOURCES = {
    "data": _lazy("数据推送"),
    "unit": _lazy("单位上报"),
    "community": _lazy("社区排查"),
    "telecom": _lazy("运营商提醒"),
    "self": _lazy("本人报备"),
}
TRIED = {
    "not_reached": _lazy("没人接"),
    "wrong_number": _lazy("号码不对"),
    "not_agreed": _lazy("暂未配合"),
    "not_here_yet": _lazy("还没到"),
}
FOUND = {"here": _lazy("人在家"), "gone_on": _lazy("已去别处"), "will_not_come": _lazy("不来了"), "nothing_required": _lazy("不用管")}
OUTCOMES = {**TRIED, **FOUND}
RESULTS = {Result.NEGATIVE: _lazy("阴性"), Result.INITIAL_POSITIVE: _lazy("初筛阳性（待复核）"), Result.INVALID: _lazy("无效，要重新采")}
SUPPORT_REASONS = {
    SupportReason.HANDS: _lazy("人手不够"),
    SupportReason.FAR: _lazy("天黑路远"),
    SupportReason.UNREACHED: _lazy("打不通的太多"),
    SupportReason.OTHER: _lazy("别的事"),
}
SUPPORT_ANSWERS = {
    SupportEnd.HANDS_SENT: _lazy("派人"),
    SupportEnd.TAKEN_OVER: _lazy("由我们代办"),
    SupportEnd.AGREED: _lazy("已电话商量"),
    SupportEnd.CANNOT: _lazy("不能支援"),
}
# As the asker reads it: what an answer means to whoever waited for it.
SUPPORT_ENDS = {
    SupportEnd.HANDS_SENT: _lazy("派人来"),
    SupportEnd.TAKEN_OVER: _lazy("由他们代办"),
    SupportEnd.AGREED: _lazy("已电话商量"),
    SupportEnd.CANNOT: _lazy("这次不能支援"),
    SupportEnd.NOT_NEEDED: _lazy("已不需要"),
}
MOVES = {
    "opened": _lazy("开始由"),
    "offered": _lazy("移交"),
    "accepted": _lazy("接收"),
    "returned": pgettext_lazy("duty", "退回"),
    "expired": _lazy("移交过时"),
    "reassigned": _lazy("改派"),
    "extended": _lazy("改了时限"),
    "closed": _lazy("办结"),
}
HANDLED = {
    "offered": _lazy("移交给{unit}，等对方接收"),
    "accepted": _lazy("接收"),
    "returned": _lazy("退回，没有接收"),
    "expired": _lazy("移交过时，仍由原单位管"),
    "reassigned": _lazy("改派给{unit}"),
    "assigned": _lazy("分派给{officer}"),
    "waived": _lazy("免办（已批准）"),
    "voided": _lazy("作废一条记录"),
    "merged": _lazy("与另一件合并"),
    "succeeded": _lazy("重新需要办理"),
}
RECORDS = {
    "leads.lead_reported": _lazy("名单上报"),
    "leads.call_started": _lazy("开始打电话"),
    "leads.contact_tried": _lazy("联系，还没定"),
    "leads.lead_verified": _lazy("核查结果"),
    "leads.lead_sampled": _lazy("采样"),
    "leads.result_recorded": _lazy("检测结果"),
    "leads.referral_answered": _lazy("对方城市的答复"),
}
# What a record says, as officers call it; what is not here is the platform's own and not shown.
DETAILS = {
    "outcome": _lazy("结果"),
    "here_since": _lazy("哪天到的"),
    "destination": _lazy("去了哪里"),
    "reason": _lazy("说明"),
    "next_try_at": _lazy("哪天几点到"),
    "until_at": _lazy("电话保留到"),
    "medical_need": _lazy("就医"),
    "sampled_at": _lazy("几点采的"),
    "place": _lazy("在哪采的"),
    "tube": _lazy("管号"),
    "result": _lazy("检测结果"),
    "resulted_at": _lazy("几点出的结果"),
    "accepted": _lazy("对方接了没有"),
    "answer": _lazy("对方怎么说"),
    "source": _lazy("来源"),
    "origin": _lazy("从哪里来"),
    "arrived_at": _lazy("几点到的"),
}
RULES = {"name_phone": _lazy("同一姓名和电话"), "phone": _lazy("同一电话，只有这一位成年人使用"), "officer": _lazy("工作人员判定")}
PURPOSES = {
    "call": _lazy("打电话核查"),
    "visit": _lazy("上门"),
    "medical": _lazy("安排就医"),
    "correct": _lazy("核对名单有没有写错"),
    "refer": _lazy("转给别的城市"),
}


def say(stored: str | None) -> str:
    """Words kept in a record, in the reader's language where they are ours; an officer's own words stay as they are."""
    return _(stored) if stored else ""


def clock_time(moment: datetime) -> str:
    return f"{moment.astimezone(clock.SHANGHAI):%H:%M}"


def day_words(day: date) -> str:
    return dateformat.format(day, _("n月j日"))
