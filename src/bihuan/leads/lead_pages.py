"""A person's page; the full data for a purpose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from bihuan.access import log
from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.access.second_factor import require_fresh
from bihuan.identity import actions as identity
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import queries, times
from bihuan.leads.history import entry_of, is_voidable, links_of, reports_of, who_of
from bihuan.leads.lines import act_url_of, answered_words, event_of, origin_of, place_of
from bihuan.leads.models import Lead
from bihuan.leads.words import KINDS, MOVES, PURPOSES, SOURCES, day_words, say
from bihuan.regions import queries as regions


@require_safe
def lead_page(request: HttpRequest, lead: UUID) -> HttpResponse:
    """One person, one arrival."""
    allow(request, Permission.LEAD_READ)
    return _lead_page(request, lead, None)


def _lead_page(request: HttpRequest, lead_id: UUID, whole: Any) -> HttpResponse:
    post, now = request.post, clock.now()
    lead = queries.lead_of(lead_id)
    root = queries.root_of(lead.subject)
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    name, kind = masks.line_of(person, post.role)
    duties = queries.duties_of(lead, root)
    found = queries.timeline(lead, root)
    named = queries.origin_names([f["origin"] for f in found if f["origin"]])
    found = [f | {"origin": named.get(f["origin"], f["origin"])} for f in found]
    contact = queries.contacts_of({"n": [0], "root": [root], "key": [lead.key], "event": [lead.event]}, now).get(0)
    first = duties[0] if duties else None
    around = queries.around(duties, now, whole=False) if duties else None
    standing = next((f for f in found if f["kind"] == "leads.lead_verified" and not f["voided"]), None)
    context = {
        "section": "work",
        "lead": {
            "name": whole.name if whole else name,
            "kind": kind,
            "whole": whole is not None,
            "whole_until": None,
            "phone": _("、").join(whole.phones)
            if whole
            else masks.show(person.phones[0], post.role, masks.Field.PHONE)
            if person and person.phones
            else "—",
            "document": _("、").join(whole.docs)
            if whole
            else masks.show(person.docs[0], post.role, masks.Field.DOCUMENT)
            if person and person.docs
            else "—",
            "address": _("；").join(whole.addresses) if whole else _("已遮盖") if person and person.addresses else "—",
            "came_from": origin_of(lead) or "—",
            "arrived": _arrived(lead),
            "place": _where(lead, first, post, person),
            "event": event_of(first) if first else "",
            "minor": bool(person and person.minor),
            "treatment": _treatment(standing),
        },
        "why": _why(root, post),
        "why_url": f"/why/{root}",
        "unmask": {"url": f"/leads/{lead.id}/unmask", "act": new_act(), "purposes": [{"code": c, "label": p} for c, p in PURPOSES.items()]}
        if post.may(Permission.PERSON_UNMASK) and whole is None
        else None,
        "owner": _owner(duties, found, lead, root),
        "answered": answered_words(contact),
        "duties": [
            {
                "id": d["id"],
                "what": _(str(KINDS.get(d["kind"], d["kind"]))),
                "owner": d["owner_name"],
                "phone": d["owner_phone"],
                "due_at": d["due_at"],
                "paused": queries.is_paused(d, now),
                "help_level": d["help_level"],
                "act_url": act_url_of(d, lead.id, around) if around else "",
            }
            for d in duties
        ],
        "times": _times(times.of_lead(lead.event, lead.id)),
        "reports": reports_of(found),
        "movements": [
            {
                "at": m["received_at"],
                "what": f"{KINDS.get(m['kind'], m['kind'])} · {MOVES.get(m['what'], m['what'])}",
                "from_unit": m["from_name"] if m["to_name"] != m["from_name"] else "",
                "to_unit": m["to_name"] or "",
            }
            for m in queries.movements(lead, root)
        ],
        "entries": [entry for f in found if (entry := entry_of(f, post)) is not None],
        "links": links_of(found, root, post),
        "looked": [
            {"at": f["received_at"], "who": who_of(f), "purpose": _(str(PURPOSES.get(f["purpose"], f["purpose"])))}
            for f in found
            if f["kind"] in ("identity.unmasked", "identity.sought")
        ],
        "correct": {"url": f"/leads/{lead.id}/correct"} if post.may(Permission.FACT_VOID) and any(is_voidable(f) for f in found) else None,
        "act_url": next((u for d in duties if around and (u := act_url_of(d, lead.id, around))), ""),
        "back_url": "/duties",
    }
    return render(request, "leads/lead.html", context)


def _times(found: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The three times at the head of the records, each with how long it took since the one before."""
    if found is None:
        return []
    source = _("最先由%(source)s报来") % {"source": SOURCES.get(found["source"], found["source"])}
    first = _("到达前就知道") if found["foreseen"] else _("还没到") if found["ahead"] else ""
    return [
        {
            "name": _("知晓"),
            "at": found["known_at"],
            "took": found["to_known"] if not first else None,
            "after": _("到达"),
            "more": first,
            "by": source,
        },
        {"name": _("接管"), "at": found["taken_at"], "took": found["to_taken"], "after": _("知晓"), "more": "", "by": ""},
        {"name": _("落实"), "at": found["settled_at"], "took": found["to_settled"], "after": _("接管"), "more": "", "by": ""},
    ]


def _arrived(lead: Lead) -> str:
    if lead.arrived_to is None:
        return "—"
    local = lead.arrived_to.astimezone(clock.SHANGHAI)
    return f"{day_words(local.date())} {local:%H:%M}"


def _where(lead: Lead, duty: Mapping[str, Any] | None, post: Any, person: Any) -> Any:
    if duty is not None and duty["key"] == lead.key:
        return place_of(duty, person, post)
    row = regions.unit_row(lead.desk) if lead.desk else None
    return row.name if row else ""


def _treatment(verified: Mapping[str, Any] | None) -> str:
    if verified is None or verified["medical_need"] != "regular":
        return ""
    return say(verified["reason"]) or _("要按时去医院")


def _why(root: UUID, post: Any) -> str:
    if queries.why_in_sight(root, post.unit_id) == "unit":
        return _("您能看到，是因为这个人的事在您单位办过或正在办。")
    return _("您能看到，是因为这个人在您管的范围里：%(unit)s。") % {"unit": post.unit.name}


def _owner(duties: list[dict[str, Any]], found: list[dict[str, Any]], lead: Lead, root: UUID) -> dict[str, Any]:
    duty = next((d for d in duties if d["key"] == lead.key), None)
    if duty is None:
        return {}
    since = queries.rows(
        "SELECT max(received_at) AS at FROM movement WHERE loop = %s AND what IN ('opened', 'accepted', 'reassigned')", [duty["id"]]
    )[0]["at"]
    return {
        "unit": duty["owner_name"],
        "phone": duty["owner_phone"],
        "since": since,
        "assignee": duty["assignee_name"] or "",
        "offered_to": duty["offered_name"] or "",
        "offered_until": duty["offered_until"],
    }


@require_POST
def unmask(request: HttpRequest, lead: UUID) -> HttpResponse:
    """The full data once, for a purpose; who looked, when and why is kept."""
    post = allow(request, Permission.PERSON_UNMASK)
    made, purpose = act_of(request), request.POST.get("purpose", "")
    if purpose not in PURPOSES:
        raise Refused("purpose_missing", "请写明查看的用途。", "Please state what for.", "purpose")
    note = " ".join(request.POST.get("note", "").split())[:200]
    with reading(request):
        found = queries.lead_of(lead)
    if identity.reads_within_the_hour(post) >= settings.READS_ALONE_PER_HOUR:
        require_fresh(request)
    with once(request, made):  # the door knows a repeated act; a double click waits here
        whole = identity.unmask(by=post, event=found.event, subject=found.subject, purpose=f"{purpose} {note}".strip(), act=made)
    if isinstance(whole, Refused):
        if whole.code == "reads_too_many":
            log.note(
                "reads_stopped", officer=post.officer_id, request=request, detail=str(settings.READS_PER_HOUR), once=timedelta(hours=1)
            )
        raise whole
    with reading(request):
        return _lead_page(request, lead, whole)
