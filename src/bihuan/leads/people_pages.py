"""Who is one person: the page that settles a pair."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, number, once
from bihuan.access.permissions import Permission
from bihuan.identity import actions as identity
from bihuan.identity import masks, near
from bihuan.identity import queries as people
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import queries
from bihuan.leads.history import entry_of
from bihuan.leads.saving import again
from bihuan.leads.words import KINDS, SOURCES, say

TIMELINE_ROWS = 12  # of each side; the rest stands on the person's page
ASKED_MAX = 6  # units that may know

_ALIKE = {near.SOUND: _lazy("读音一样"), near.ONE: _lazy("只差一个字"), near.ORDER: _lazy("字的前后次序不同")}
_WHY = {
    "name_phone": _lazy("同一姓名和电话，对得上两本以上证件"),
    "work": _lazy("已认定是同一人，但两个单位都在办同一件事"),
    "phone sound": _lazy("同一电话，姓名读音一样"),
    "phone one": _lazy("同一电话，姓名只差一个字"),
    "phone order": _lazy("同一电话，姓名的字前后次序不同"),
    "phone document": _lazy("同一姓名和电话，证件种类不同"),
    "address same": _lazy("同一姓名，同一门牌"),
    "address sound": _lazy("同一门牌，姓名读音一样"),
}
# What an officer found out, in words that are often right; an own sentence may stand beside it.
DIFFERENT = {
    "family": _lazy("一家人共用电话"),
    "reissued": _lazy("号码换人用了"),
    "namesake": _lazy("同名同音的两个人"),
}
SAME = {"typed": _lazy("名字写错了"), "documents": _lazy("本人有两种证件"), "changed": _lazy("本人换了号码")}


@require_http_methods(["GET", "HEAD", "POST"])
def same(request: HttpRequest, a: UUID, b: UUID) -> HttpResponse:
    """Are these two one person? Also where a decision is looked at again and taken back."""
    post = allow(request, Permission.IDENTITY_SETTLE)
    if request.method != "POST":
        return _same_page(request, a, b, new_act(), [])
    decision, made = request.POST.get("decision", ""), act_of(request, "fact_id")
    with reading(request):
        _in_sight(a, b)
        asked, event = _doubt(a, b)
    act_id = ids.derived_id(made, decision, a, b)
    with once(request, act_id) as known:
        done = None if known else _decide(request, post, decision, a, b, asked, event, act_id)
    if isinstance(done, Refused):
        return again(request, done, lambda: _same_page(request, a, b, str(made), [error_of(done)]))
    messages.success(request, _("已记下。定错了可以再拆开。") if decision != "later" else _("已记下，这一对还在待办里。"))
    return HttpResponseRedirect("/duties" if decision == "later" else f"/people/same/{a}/{b}")


def _decide(request: HttpRequest, post: Any, decision: str, a: UUID, b: UUID, asked: Any, event: int, act: UUID) -> Any:
    note = " ".join(request.POST.get("note", "").split())[:200]
    if decision == "later":
        ask = number(request.POST.get("ask", "")) or None
        return identity.put_off(by=post, event=event, a=a, b=b, ask=ask, note=note, act=act)
    if decision not in ("same", "different"):
        return Refused("decision_missing", "请选是、不是，或还定不了。", "Choose: the same, not the same, or not known yet.", "decision")
    is_same = decision == "same"
    known = SAME if is_same else DIFFERENT
    why = str(known.get(request.POST.get("why", ""), ""))
    reason = "；".join(part for part in (why, note) if part) or ("核对后认定是同一人" if is_same else "核对后认定不是同一人")
    if asked:
        return identity.settle(by=post, event=event, a=a, b=b, same=is_same, reason=reason, act=act)
    return (identity.link if is_same else identity.unlink)(by=post, event=event, a=a, b=b, reason=reason, act=act)


def _in_sight(a: UUID, b: UUID) -> None:
    if people.seen([a, b]) != {a, b}:
        raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")


def _doubt(a: UUID, b: UUID) -> tuple[dict[str, Any] | None, int]:
    """The open question about the pair, and the event."""
    found = queries.rows(
        "SELECT d.why, t.likeness, t.question, f.event, l.due_at, l.pack FROM doubt d JOIN fact f ON f.id = d.fact JOIN doubted t ON t.fact = d.fact"
        " LEFT JOIN loop l ON l.opened_by = d.fact AND l.closed_at IS NULL WHERE d.a = %s AND d.b = %s AND d.ended_by IS NULL LIMIT 1",
        [max(a, b), min(a, b)],
    )
    if found:
        return found[0], found[0]["event"]
    event = queries.rows("SELECT event FROM identity WHERE subject = ANY(%s) ORDER BY event DESC LIMIT 1", [[a, b]])
    return None, event[0]["event"] if event else 0


def _decision(a: UUID, b: UUID) -> dict[str, Any] | None:
    """What an officer has said of the pair, and still stands."""
    found = queries.rows(
        "SELECT k.same, f.received_at AS at, o.name AS who, u.name AS unit, coalesce(li.reason, un.reason) AS reason FROM link k JOIN fact f ON f.id = k.fact"
        ' LEFT JOIN officer o ON o.id = f."by" LEFT JOIN unit u ON u.id = f.unit LEFT JOIN linked li ON li.fact = k.fact LEFT JOIN unlinked un ON un.fact = k.fact'
        " WHERE k.a = %s AND k.b = %s AND k.rule = 'officer' AND k.ended_by IS NULL",
        [max(a, b), min(a, b)],
    )
    return {**found[0], "reason": say(found[0]["reason"])} if found else None


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two: its aliases, and what they say. Of two who are one already, each record by itself."""

    subject: UUID
    members: list[UUID]
    names: tuple[str, ...]
    docs: tuple[str, ...]
    phones: tuple[str, ...]
    addresses: tuple[str, ...]
    years: tuple[int, ...]
    sexes: tuple[str, ...]


def _side_of(subject: UUID, event: int, alone: bool) -> Side:
    members = [subject] if alone else [m for m in queries.members_of(queries.root_of(subject)) if m in people.seen([m])]
    said = [queries.evidence_of(m, event) for m in members]

    def every(name: str) -> tuple:
        return tuple(dict.fromkeys(value for one in said for value in one[name]))

    return Side(subject, members, *(every(n) for n in ("names", "docs", "phones", "addresses", "years", "sexes")))


def _same_page(request: HttpRequest, a: UUID, b: UUID, made: str, errors: list[dict[str, str]]) -> HttpResponse:
    _in_sight(a, b)
    doubt, event = _doubt(a, b)
    one = queries.root_of(a) == queries.root_of(b)
    left, right = _side_of(a, event, one), _side_of(b, event, one)
    role = request.post.role

    def mask(field: masks.Field) -> Callable[[str], str]:
        return lambda text: masks.show(text, role, field)

    fields = [
        _names(left.names, right.names, mask(masks.Field.NAME)),
        _compared(_("证件号码"), left.docs, right.docs, mask(masks.Field.DOCUMENT)),
        _compared(_("电话"), left.phones, right.phones, mask(masks.Field.PHONE)),
        _compared(_("住址"), left.addresses, right.addresses, mask(masks.Field.ADDRESS)),
        _compared(_("出生年份"), left.years, right.years, str),
        _compared(_("性别"), left.sexes, right.sexes, _sex),
    ]
    asked = [str(_WHY[why]) for why in (doubt["likeness"].split(", ") if doubt else []) if why in _WHY]
    context = {
        "section": "work",
        "errors": errors,
        "fact_id": made,
        "save_url": f"/people/same/{a}/{b}",
        "fields": fields,
        "pair": {
            "fields": fields,
            "reasons": asked or [_("%(what)s一样") % {"what": f["label"]} for f in fields if f["agrees"] is True],
            "against": [_("%(what)s不一样") % {"what": f["label"]} for f in fields if f["agrees"] is False],
        },
        "left": _shown(left, event, request.post),
        "right": _shown(right, event, request.post),
        "open": doubt is not None,
        "one": one,
        "decision": _decision(a, b),
        "whys_same": [{"code": code, "label": label} for code, label in SAME.items()],
        "whys_different": [{"code": code, "label": label} for code, label in DIFFERENT.items()],
        "units": _who_may_know([*left.members, *right.members]),
        "put_off": _put_off(doubt),
        "due_at": doubt["due_at"] if doubt else None,
        "paused": queries.is_paused(doubt, clock.now()) if doubt and doubt["pack"] else False,
        "left_over": len(waiting := [d for d in people.doubts() if {d.a, d.b} != {a, b}]),
        "next_url": f"/people/same/{waiting[0].a}/{waiting[0].b}" if waiting else "",
    }
    return render(request, "identity/settle.html", context, status=422 if errors else 200)


def _sex(code: str) -> str:
    return {"f": _("女"), "m": _("男")}.get(code, code)


def _compared(label: str, left: tuple, right: tuple, mask: Callable[[Any], str]) -> dict[str, Any]:
    agrees = None if not left or not right else bool(set(left) & set(right))
    return {
        "label": label,
        "left": _("、").join(mask(v) for v in left[:3]),
        "right": _("、").join(mask(v) for v in right[:3]),
        "agrees": agrees,
        "near": "",
    }


def _names(left: tuple[str, ...], right: tuple[str, ...], mask: Callable[[str], str]) -> dict[str, Any]:
    """Names that are not the same may still be near: that is said in words."""
    from bihuan.kernel.text import name_key

    field = _compared(_("姓名"), left, right, mask)
    alike = {near.likeness(name_key(x), name_key(y)) for x in left for y in right} - {""}
    if near.SAME in alike:
        field["agrees"] = True
    elif alike:
        field["agrees"], field["near"] = None, str(_ALIKE[min(alike)])
    return field


def _shown(side: Side, event: int, post: Any) -> dict[str, Any]:
    given = [side.members, event]
    reported = queries.rows(
        "SELECT r.source, count(*) AS n FROM fact f JOIN lead_reported r ON r.fact = f.id WHERE f.subject = ANY(%s) AND f.event = %s GROUP BY 1 ORDER BY 1",
        given,
    )
    duties = queries.rows(
        "SELECT l.kind, u.name FROM loop l JOIN unit u ON u.id = l.owner WHERE l.subject = ANY(%s) AND l.event = %s AND l.closed_at IS NULL ORDER BY l.due_at",
        given,
    )
    lead = queries.rows("SELECT id FROM lead WHERE subject = ANY(%s) AND event = %s AND merged_into IS NULL LIMIT 1", given)
    field, text = (masks.Field.NAME, side.names) if side.names else (masks.Field.PHONE, side.phones or ("",))
    told = queries.history_of(side.members, event, TIMELINE_ROWS * 2)
    return {
        "title": masks.show(text[0], post.role, field) or "—",
        "url": f"/leads/{lead[0]['id']}" if lead else "",
        "lists": _("、").join(f"{SOURCES.get(r['source'], r['source'])} {r['n']}" for r in reported) or "—",
        "duties": _("、").join(f"{KINDS.get(d['kind'], d['kind'])}（{d['name']}）" for d in duties) or "—",
        "entries": [entry for f in told if (entry := entry_of(f, post)) is not None][:TIMELINE_ROWS],
    }


def _who_may_know(members: list[UUID]) -> list[dict[str, Any]]:
    """Units that hold, or held, a duty about either; whoever holds one now first."""
    return queries.rows(
        "SELECT u.id, u.name, u.phone FROM loop l JOIN unit u ON u.id = l.owner WHERE l.subject = ANY(%s) AND l.kind <> 'identity.settle'"
        " GROUP BY u.id ORDER BY bool_or(l.closed_at IS NULL) DESC, max(l.opened_at) DESC, u.id LIMIT %s",
        [members, ASKED_MAX],
    )


def _put_off(doubt: dict[str, Any] | None) -> list[dict[str, Any]]:
    """That nobody could tell yet, and who was asked, of this question; newest first."""
    if doubt is None:
        return []
    return queries.rows(
        'SELECT f.received_at AS at, o.name AS who, u.name AS unit, u.phone, p.note FROM put_off p JOIN fact f ON f.id = p.fact LEFT JOIN officer o ON o.id = f."by"'
        " LEFT JOIN unit u ON u.id = p.ask WHERE p.question = %s ORDER BY f.received_at DESC, f.id DESC LIMIT 5",
        [doubt["question"]],
    )
