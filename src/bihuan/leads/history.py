"""What was recorded of a person, in the officer's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from bihuan.access.permissions import Permission
from bihuan.identity import masks
from bihuan.kernel import clock
from bihuan.leads import queries
from bihuan.leads.facts import Result
from bihuan.leads.words import FOUND, HANDLED, KINDS, RESULTS, RULES, SOURCES, TRIED, clock_time, day_words, say


def who_of(fact: Mapping[str, Any]) -> str:
    return f"{fact['unit_name'] or _('系统')} {fact['officer'] or ''}".strip()


def reports_of(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    reported = [f for f in found if f["kind"] == "leads.lead_reported"]
    names = queries.files_of([f["file"] for f in reported if f["file"] is not None])
    return [
        {
            "source": SOURCES.get(f["source"], f["source"]),
            "list": names.get(f["file"], "") if f["file"] else "",
            "url": f"/intake/{f['file']}" if f["file"] in names else "",
            "row": (f"{f['sheet']} " if f["sheet"] else "") + _("第 %(n)s 行") % {"n": f["row"]} if f["row"] else "",
            "says": says(f),
            "at": f["received_at"],
        }
        for f in reported
    ]


def says(report: Mapping[str, Any]) -> str:
    parts = []
    if report["origin"]:
        parts.append(_("从%(place)s来") % {"place": report["origin"]})
    if report["arrived_at"]:
        local = report["arrived_at"].astimezone(clock.SHANGHAI)
        at = day_words(local.date()) + (f" {local:%H:%M}" if report["arrived_precision"] == "minute" else "")
        parts.append(_("%(at)s 到") % {"at": at})
    return _("，").join(parts) or "—"


def links_of(found: list[dict[str, Any]], root: UUID, post: Any) -> list[dict[str, Any]]:
    """Why these records are one person: the same evidence, or a join of two pieces of evidence."""
    n = sum(f["kind"] == "leads.lead_reported" for f in found)
    shown = [
        {
            "text": str(RULES.get(k["rule"], k["rule"])) + (f"：{say(k['reason'])}" if k["reason"] else ""),
            "at": k["received_at"],
            "undo_url": f"/people/same/{k['a']}/{k['b']}" if post.may(Permission.IDENTITY_SETTLE) else "",
        }
        for k in queries.links(root)
    ]
    if not shown and n > 1:
        shown = [{"text": _("几份名单写的证件号码或姓名电话完全一样"), "at": None, "undo_url": ""}]
    return shown


_PLAIN = {
    "leads.call_started": _lazy("开始打电话"),
    "leads.lead_split": _lazy("拆开以后，作为另一个人重新核查"),
    "identity.doubted": _lazy("可能与另一条记录是同一人，等人核对"),
    "identity.linked": _lazy("与另一条记录认定为同一人"),
    "identity.unlinked": _lazy("与另一条记录拆开"),
    "identity.put_off": _lazy("是不是同一个人还定不了"),
    "ledger.contradicted": _lazy("同一条记录又收到一次，写的不一样，等人定"),
    "ledger.contradiction_settled": _lazy("两次不一样的记录，已定哪一次算数"),
}


def entry_of(fact: Mapping[str, Any], post: Any) -> dict[str, Any] | None:
    """A record in the officer's words; None for what stands elsewhere on the page."""
    kind, detail, shown = fact["kind"], "", "fact"
    if kind in ("identity.unmasked", "identity.sought", "loops.help_asked", "loops.voided"):
        return None
    if kind == "leads.lead_reported":
        what, detail = _("%(source)s报来") % {"source": SOURCES.get(fact["source"], fact["source"])}, says(fact)
    elif kind == "leads.contact_tried":
        what, detail = _("联系：%(what)s") % {"what": TRIED.get(fact["outcome"], fact["outcome"])}, say(fact["reason"])
        if fact["next_try_at"]:
            detail = _("说 %(at)s 到") % {
                "at": f"{day_words(fact['next_try_at'].astimezone(clock.SHANGHAI).date())} {clock_time(fact['next_try_at'])}"
            }
    elif kind == "leads.lead_verified":
        what, shown = _("核查：%(what)s") % {"what": FOUND.get(fact["outcome"], fact["outcome"])}, "closed"
        since = _("%(day)s到的") % {"day": day_words(fact["here_since"])} if fact["here_since"] else ""
        detail = _("；").join(part for part in (since, fact["destination"], say(fact["reason"])) if part)
    elif kind == "leads.lead_sampled":
        what, detail = _("已采样"), _("；").join(p for p in (fact["place"], fact["tube"]) if p)
    elif kind == "leads.result_recorded":
        what, shown = result_words(fact["result"], post), "closed"
    elif kind == "leads.referral_answered":
        what, detail = (_("对方城市接了") if fact["accepted"] else _("对方城市没有接")), fact["answer"]
    elif kind == "identity.settled":
        what = _("核对结果：是同一个人") if fact["same"] else _("核对结果：不是同一个人") if fact["same"] is False else _("核对已不需要")
    elif kind.startswith("loops."):
        words = str(HANDLED.get(kind.removeprefix("loops."), kind)).format(
            unit=fact["to_unit"] or "", officer=fact["to_officer"] or _("本单位")
        )
        what, detail, shown = f"{KINDS.get(fact['loop_kind'], '')} · {words}".strip(" ·"), say(fact["reason"]), "moved"
    else:
        what = str(_PLAIN.get(kind, kind))
        detail = " · ".join(p for p in (str(RULES.get(fact["rule"], "")), say(fact["reason"])) if p) if kind.startswith("identity.") else ""
    late = fact["received_at"] - fact["happened_at"] >= timedelta(minutes=1)
    if fact["voided"]:
        detail = _("；").join(p for p in (detail, _("作废原因：%(why)s") % {"why": say(fact["void_reason"])}) if p)
    return {
        "at": fact["happened_at"],
        "who": who_of(fact),
        "what": what,
        "detail": detail,
        "kind": shown,
        "voided": fact["voided"],
        "url": "",
        "late_by": _("补记，%(at)s 录入") % {"at": clock_time(fact["received_at"])} if late else "",
    }


def result_words(result: str, post: Any) -> str:
    """Below the county no result stands beside a name: a first positive is no case, and a village is told what to do."""
    if masks.shown(post.role, masks.Field.MEDICAL) is masks.Shown.WHOLE:
        return _("结果：%(what)s") % {"what": RESULTS.get(result, result)}
    if result == Result.INITIAL_POSITIVE:
        return _("请先别外出，等复核")
    return _("结果已出") if result == Result.NEGATIVE else _("要重新采样")


def is_voidable(fact: Mapping[str, Any]) -> bool:
    return (
        not fact["voided"]
        and fact["kind"].startswith("leads.")
        and fact["kind"] not in ("leads.lead_split", "leads.call_started", "leads.lead_reported")
    )
