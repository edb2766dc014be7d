"""Two contents under one number: the list of what waits, and the page that lays both side by side and takes the decision."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_safe

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import actions, queries
from bihuan.leads.facts import LEAD_REPORTED
from bihuan.leads.history import result_words
from bihuan.leads.saving import again
from bihuan.leads.words import DETAILS, OUTCOMES, RECORDS, SOURCES, say
from bihuan.loops import conflicts
from bihuan.loops.conflicts import CONTRADICTION

LISTED_MAX = 200
DECISIONS = {
    "first": _lazy("先收到的对，后来的不算"),
    "second": _lazy("后来的对，改成后来的"),
    "both": _lazy("两次都是真的，各记一条"),
}
_MEDICAL = {"not_asked": _lazy("没有问"), "none": _lazy("没有"), "regular": _lazy("要定期就医")}


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """What waits in the reader's range, and what was decided lately."""
    post = allow(request, Permission.FACT_VOID)
    found = queries.rows(
        "SELECT DISTINCT ON (l.key) c.fact, l.key, l.subject, l.event, l.due_at, l.closed_at, l.pack, u.name AS owner"
        " FROM loop l JOIN unit u ON u.id = l.owner JOIN contradicted c ON c.question = l.key WHERE l.kind = %s ORDER BY l.key, l.id DESC",
        [CONTRADICTION.name],
    )
    found.sort(
        key=lambda row: (
            row["closed_at"] is not None,
            -(row["closed_at"] or row["due_at"]).timestamp() if row["closed_at"] else row["due_at"].timestamp(),
        )
    )
    known: dict[UUID, Any] = {}
    for event in sorted({row["event"] for row in found[:LISTED_MAX]}):
        known |= people.opened_persons(sorted({row["subject"] for row in found[:LISTED_MAX] if row["event"] == event}), event=event)
    now = clock.now()
    shown = [
        {
            **row,
            "name": masks.line_of(known.get(row["subject"]), post.role)[0] or "—",
            "url": f"/conflicts/{row['fact']}",
            "paused": queries.is_paused(row, now),
        }
        for row in found[:LISTED_MAX]
    ]
    context = {
        "section": "work",
        "rows": shown,
        "n_open": sum(row["closed_at"] is None for row in found),
        "n_more": max(0, len(found) - LISTED_MAX),
    }
    return render(request, "leads/conflicts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def settle(request: HttpRequest, conflict: UUID) -> HttpResponse:
    """Which of the two holds? Also where a decision is looked at again and taken back."""
    post = allow(request, Permission.FACT_VOID)
    if request.method != "POST":
        return _page(request, conflict, "", "", new_act(), [])
    act, decision = act_of(request), request.POST.get("decision", "")
    reason = " ".join(request.POST.get("reason", "").split())[:200]
    with reading(request):
        question = _question_of(conflict)
    with once(request, act) as known:
        if known:
            done = None
        elif decision == "back":
            done = actions.take_back_decision(by=post, question=question, reason=reason, act=act)
        else:
            done = actions.settle_conflict(by=post, question=question, decision=decision, reason=reason, act=act)
    if isinstance(done, Refused):
        return again(request, done, lambda: _page(request, conflict, decision, reason, str(act), [error_of(done)]))
    messages.success(request, _("已撤回，这一条又在等人定。") if decision == "back" else _("已定下。定错了可以在这一页撤回。"))
    return HttpResponseRedirect(f"/conflicts/{conflict}")


def _question_of(conflict: UUID) -> str:
    found = queries.rows("SELECT question FROM contradicted WHERE fact = %s", [conflict])
    if not found:
        raise Refused("contradiction_not_found", "没有这一条，或不归您管。", "There is no such question, or it is not yours.")
    return found[0]["question"]


def _page(request: HttpRequest, conflict: UUID, chosen: str, reason: str, made: str, errors: list[dict[str, str]]) -> HttpResponse:
    name = _question_of(conflict)
    found = conflicts.question(name)
    duty = queries.rows(
        f"{queries.DUTY} WHERE l.kind = %s AND l.key = %s ORDER BY l.closed_at IS NULL DESC, l.id DESC LIMIT 1", [CONTRADICTION.name, name]
    )
    person = people.opened_persons([found.subject], event=found.first.event).get(found.subject)
    lead = queries.rows(
        "SELECT id FROM lead WHERE subject = %s AND event = %s AND merged_into IS NULL LIMIT 1", [found.subject, found.first.event]
    )
    options = ["first"] if LEAD_REPORTED.name in (found.first.kind, found.second.kind) else list(DECISIONS)
    context = {
        "section": "work",
        "errors": errors,
        "act": made,
        "reason": reason,
        "name": masks.line_of(person, request.post.role)[0] or "—",
        "lead_url": f"/leads/{lead[0]['id']}" if lead else "",
        "fields": _fields(found, request.post),
        "first_stands": found.first_stands,
        "settled": found.settled
        and {"words": DECISIONS.get(found.settled.decision, ""), "said": found.settled, "reason": say(found.settled.reason)},
        "options": [{"code": code, "label": DECISIONS[code], "chosen": code == chosen} for code in options],
        "only_first": len(options) == 1,
        "duty": duty[0] if duty and duty[0]["closed_at"] is None else None,
        "paused": bool(duty) and queries.is_paused(duty[0], clock.now()),
        "save_url": f"/conflicts/{conflict}",
    }
    return render(request, "leads/conflict.html", context, status=422 if errors else 200)


def _fields(found: conflicts.Question, post: Any) -> list[dict[str, Any]]:
    """What each of the two says, one line a field; what officers never see under its own name is left out."""
    first, second = found.first, found.second

    def line(label: Any, left: str, right: str, compare: bool = True) -> dict[str, Any]:
        return {"label": label, "first": left or "—", "second": right or "—", "agrees": (left == right) if compare else None}

    told = [
        line(_("收到"), _moment(first.received_at), _moment(second.received_at), False),
        line(_("谁报的"), _who(first), _who(second), False),
        line(_("哪台设备"), _device(first), _device(second), False),
        line(_("记的是什么"), str(RECORDS.get(first.kind, _("其他记录"))), str(RECORDS.get(second.kind, _("其他记录")))),
        line(_("什么时候的事"), _moment(first.happened_at), _moment(second.happened_at)),
    ]
    if first.subject != second.subject:
        told.append(line(_("说的是谁"), _("这个人"), _("另一个人")))
    names = [n for n in DETAILS if n in first.details or n in second.details]
    return told + [line(DETAILS[n], _words(n, first.details.get(n), post), _words(n, second.details.get(n), post)) for n in names]


def _who(content: conflicts.Content) -> str:
    return f"{content.unit} {content.officer}".strip() or _("系统")


def _device(content: conflicts.Content) -> str:
    return _("%(n)s 号设备") % {"n": content.device} if content.device is not None else _("网页")


def _moment(value: datetime) -> str:
    return f"{value.astimezone(clock.SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _words(name: str, value: Any, post: Any) -> str:
    """A detail as its reader knows it; a result as the reader's role may read it."""
    if value is None:
        return ""
    if name == "result":
        return str(result_words(value, post))
    if name in ("outcome", "source", "medical_need"):
        return str({**OUTCOMES, **SOURCES, **_MEDICAL}.get(value, value))
    if isinstance(value, bool):
        return _("是") if value else _("不是")
    if isinstance(value, datetime):
        return _moment(value)
    return f"{value:%Y-%m-%d}" if isinstance(value, date) else str(value)
