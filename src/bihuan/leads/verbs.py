"""What can be said about many duties at once, and why a row is left as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from django.utils.translation import gettext_lazy as _

from bihuan.access.permissions import Permission, Role
from bihuan.leads import facts
from bihuan.leads.loops import RESULT, SAMPLE, VERIFY
from bihuan.ledger.kinds import FactKind

SUPERIORS = (Role.CITY_DESK, Role.COUNTY_DESK, Role.TOWNSHIP_DESK)


@dataclasses.dataclass(frozen=True)
class Verb:
    """What can be said about a duty.

    `on`: the kind of duty that it answers ("" = any); `fact`: what it records (None: a door of `handle` does it).
    """

    name: str
    title: Any
    permission: Permission
    on: str = ""
    fact: FactKind | None = None


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("here", _("人在家"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("not_reached", _("没人接"), Permission.LEAD_VERIFY, VERIFY.name, facts.CONTACT_TRIED),
        Verb("wrong_number", _("号码不对"), Permission.LEAD_VERIFY, VERIFY.name, facts.CONTACT_TRIED),
        Verb("not_agreed", _("暂未配合"), Permission.LEAD_VERIFY, VERIFY.name, facts.CONTACT_TRIED),
        Verb("gone_on", _("已去别处"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("will_not_come", _("不来了"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("nothing_required", _("不用管"), Permission.LEAD_VERIFY, VERIFY.name, facts.LEAD_VERIFIED),
        Verb("sampled", _("已采样"), Permission.SAMPLE_RECORD, SAMPLE.name, facts.LEAD_SAMPLED),
        Verb("negative", _("结果阴性"), Permission.RESULT_RECORD, RESULT.name, facts.RESULT_RECORDED),
        Verb("initial_positive", _("初筛阳性（待复核）"), Permission.RESULT_RECORD, RESULT.name, facts.RESULT_RECORDED),
        Verb("invalid", _("无效，要重新采"), Permission.RESULT_RECORD, RESULT.name, facts.RESULT_RECORDED),
        Verb("assign", _("分派给本单位的人"), Permission.DUTY_MOVE),
        Verb("reassign", _("改派给下级单位"), Permission.DUTY_MOVE),
        Verb("offer", _("移交给别的单位"), Permission.DUTY_MOVE),
        Verb("return", _("退回上一级"), Permission.DUTY_MOVE),
        Verb("accept", _("接收"), Permission.DUTY_MOVE),
        Verb("decline", _("不接收，退回对方"), Permission.DUTY_MOVE),
        Verb("waive", _("免办"), Permission.DUTY_WAIVE),
    )
}
ANSWERS = [verb.name for verb in VERBS.values() if verb.fact is not None]

# Why a row is left as it is. "same" is no refusal: what is said already stands.
WHY: dict[str, Any] = {
    "same": _("已经是这样，不用再改"),
    "duty_not_found": _("没有这件待办，或不归您管"),
    "closed_meanwhile": _("这期间已有别人办结"),
    "changed_meanwhile": _("刚有移交或改派，请看清再办"),
    "other_kind": _("这件事不是这一类，请另行办理"),
    "call_held": _("别人正在打这个电话，请稍后再记"),
    "since_missing": _("没有写哪天到的"),
    "since_future": _("到达日期在今天以后"),
    "listed_later": _("名单写的到达时间还没到，请单独核实"),
    "reason_missing": _("没有写原因"),
    "destination_missing": _("没有写去了哪里"),
    "time_future": _("采样时间还没到"),
    "duty_not_held": _("这件事现在不在您这里"),
    "officer_elsewhere": _("该人员不在承办单位任职"),
    "not_superior": _("只有上级可以直接改派，请用移交"),
    "already_offered": _("已在移交中，请等对方接收"),
    "offer_to_owner": _("这件事本来就在该单位"),
    "unit_not_found": _("没有这个单位，或不归您管；要交给别处请用移交"),
    "unit_ended": _("接收单位不存在或已撤销"),
    "not_offered": _("没有移交给您单位"),
    "offer_expired": _("移交已过时，请对方重新移交"),
    "number_unknown": _("这个编号不在这份清单里，或写错了"),
    "number_twice": _("同一个编号写了两次"),
    "answer_unreadable": _("结果看不懂"),
    "date_unreadable": _("日期看不懂"),
    "answer_missing": _("写了日期或原因，没有写结果"),
    "answer_unclear": _("请写明结果，例如“没人接”“人在家 27日”"),
    "number_missing": _("没有编号"),
    "left_blank": _("没有填，不变"),
    "answer_twice": _("这一行写了两种结果，请分两次交"),
}

_SAID = {
    "verb": pl.String, "since": pl.String, "reason": pl.String, "destination": pl.String, "medical": pl.String, "at": pl.String,
    "officer": pl.Int64, "unit": pl.Int64, "cell": pl.String,
}  # fmt: skip


def said_frame(loops: Sequence[int], said: Any) -> pl.DataFrame:
    """One row per duty in the order of the list: `no`, `loop` and what is said of it. `said`: an entry for all, or one each."""
    each = [said] * len(loops) if isinstance(said, Mapping) else list(said)
    columns = {name: pl.Series(name, [entry.get(name) for entry in each], dtype) for name, dtype in _SAID.items()}
    frame = pl.DataFrame({"no": pl.Series(range(1, len(loops) + 1), dtype=pl.Int64), "loop": pl.Series(loops, dtype=pl.Int64), **columns})
    return frame.with_columns(
        pl.col("since").str.to_date(strict=False),
        pl.col("at").str.to_datetime(time_zone="UTC", strict=False),
        *(pl.col(name).fill_null("") for name in ("reason", "destination", "cell")),
        pl.col("medical").fill_null(facts.MedicalNeed.NOT_ASKED.value),
    )
