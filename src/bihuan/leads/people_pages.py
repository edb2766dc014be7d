"""Who is one person: the page that settles a pair."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.identity import actions as identity
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import queries
from bihuan.leads.saving import again, home
from bihuan.leads.words import KINDS, SOURCES


@require_http_methods(["GET", "HEAD", "POST"])
def same(request: HttpRequest, a: UUID, b: UUID) -> HttpResponse:
    """Are these two one person? Also where a join that was made is taken apart."""
    post = allow(request, Permission.IDENTITY_SETTLE)
    if request.method != "POST":
        return _same_page(request, a, b, new_act(), [])
    decision, made = request.POST.get("decision", ""), act_of(request, "fact_id")
    if decision not in ("same", "different"):
        return HttpResponseRedirect("/duties")
    note = " ".join(request.POST.get("note", "").split())[:200]
    with reading(request):
        if people.seen([a, b]) != {a, b}:
            raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
        asked, event = _doubt(a, b)
    act_id = ids.derived_id(made, decision, a, b)
    reason = note or ("核对后认定是同一人" if decision == "same" else "核对后认定不是同一人")
    door = identity.settle if asked else identity.link if decision == "same" else identity.unlink
    more = {"same": decision == "same"} if asked else {}
    with once(request, act_id) as known:
        done = None if known else door(by=post, event=event, a=a, b=b, reason=reason, act=act_id, **more)
    if isinstance(done, Refused):
        return again(request, done, lambda: _same_page(request, a, b, str(made), [error_of(done)]))
    messages.success(request, _("已记下。定错了可以再拆开。"))
    return HttpResponseRedirect(home(request))


def _doubt(a: UUID, b: UUID) -> tuple[dict[str, Any] | None, int]:
    first, second = max(a, b), min(a, b)
    found = queries.rows(
        "SELECT d.why, f.event, l.due_at, l.pack FROM doubt d JOIN fact f ON f.id = d.fact LEFT JOIN loop l ON l.opened_by = d.fact AND l.closed_at IS NULL"
        " WHERE d.a = %s AND d.b = %s AND d.ended_by IS NULL LIMIT 1",
        [first, second],
    )
    if found:
        return found[0], found[0]["event"]
    event = queries.rows("SELECT event FROM identity WHERE subject = ANY(%s) ORDER BY event DESC LIMIT 1", [[a, b]])
    return None, event[0]["event"] if event else 0


def _same_page(request: HttpRequest, a: UUID, b: UUID, made: str, errors: list[dict[str, str]]) -> HttpResponse:
    if people.seen([a, b]) != {a, b}:
        raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
    doubt, event = _doubt(a, b)
    role = request.post.role

    def mask(field: masks.Field) -> Callable[[str], str]:
        return lambda text: masks.show(text, role, field)

    own = {subject: _alone(subject, event) for subject in (a, b)}
    left, right = own[a], own[b]
    fields = [
        _compared(_("姓名"), left["names"], right["names"], mask(masks.Field.NAME)),
        _compared(_("证件号码"), left["docs"], right["docs"], mask(masks.Field.DOCUMENT)),
        _compared(_("电话"), left["phones"], right["phones"], mask(masks.Field.PHONE)),
        _compared(_("住址"), left["addresses"], right["addresses"], mask(masks.Field.ADDRESS)),
        _compared(_("出生年份"), left["years"], right["years"], str),
        _compared(_("性别"), left["sexes"], right["sexes"], _sex),
    ]
    context = {
        "section": "work",
        "errors": errors,
        "fact_id": made,
        "save_url": f"/people/same/{a}/{b}",
        "fields": fields,
        "pair": {
            "fields": fields,
            "reasons": [_("%(what)s一样") % {"what": f["label"]} for f in fields if f["agrees"]],
            "against": [_("%(what)s不一样") % {"what": f["label"]} for f in fields if f["agrees"] is False],
        },
        "left": _side(a, left, event, role),
        "right": _side(b, right, event, role),
        "due_at": doubt["due_at"] if doubt else None,
        "paused": queries.is_paused(doubt, clock.now()) if doubt and doubt["pack"] else False,
        "left_over": len(people.doubts()),
    }
    return render(request, "identity/settle.html", context, status=422 if errors else 200)


def _alone(subject: UUID, event: int) -> dict[str, Any]:
    """What one record says by itself, without those that are joined to it."""
    return queries.evidence_of(subject, event)


def _sex(code: str) -> str:
    return {"f": _("女"), "m": _("男")}.get(code, code)


def _compared(label: str, left: tuple, right: tuple, mask: Callable[[Any], str]) -> dict[str, Any]:
    agrees = None if not left or not right else bool(set(left) & set(right))
    return {
        "label": label,
        "left": _("、").join(mask(v) for v in left[:3]),
        "right": _("、").join(mask(v) for v in right[:3]),
        "agrees": agrees,
    }


def _side(subject: UUID, said: dict[str, Any], event: int, role: str) -> dict[str, Any]:
    reported = queries.rows(
        "SELECT r.source, count(*) AS n FROM fact f JOIN lead_reported r ON r.fact = f.id WHERE f.subject = %s AND f.event = %s GROUP BY 1 ORDER BY 1",
        [subject, event],
    )
    duties = queries.rows(
        "SELECT l.kind, u.name FROM loop l JOIN unit u ON u.id = l.owner WHERE l.subject = %s AND l.closed_at IS NULL ORDER BY l.due_at",
        [subject],
    )
    lead = queries.rows("SELECT id FROM lead WHERE subject = %s AND event = %s AND merged_into IS NULL LIMIT 1", [subject, event])
    field, text = (masks.Field.NAME, said["names"]) if said["names"] else (masks.Field.PHONE, said["phones"] or ("",))
    title = masks.show(text[0], role, field) or "—"
    return {
        "title": title,
        "url": f"/leads/{lead[0]['id']}" if lead else "",
        "lists": _("、").join(f"{SOURCES.get(r['source'], r['source'])} {r['n']}" for r in reported) or "—",
        "duties": _("、").join(f"{KINDS.get(d['kind'], d['kind'])}（{d['name']}）" for d in duties) or "—",
    }
