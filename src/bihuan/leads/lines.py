"""How a duty and a person are shown: the lines of every list of duties, the head of every form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _

from bihuan.access.pages import new_act
from bihuan.access.permissions import Role
from bihuan.identity import masks
from bihuan.identity.loops import SETTLE
from bihuan.kernel import clock
from bihuan.leads import queries
from bihuan.leads.loops import SUPPORT
from bihuan.leads.models import Lead
from bihuan.leads.words import PAGE_OF, SOURCES, SUPPORT_REASONS, WHAT, clock_time, day_words
from bihuan.loops.conflicts import CONTRADICTION
from bihuan.loops.meanwhile import tag

_VILLAGE_LEVEL = 5


def place_of(duty: Mapping[str, Any], person: Any, post: Any) -> list[str] | str:
    """What the reader calls the place: door or group for the village, the units for those above."""
    if post.role == Role.VILLAGE_WORKER:
        address = person.addresses[0] if person and person.addresses else ""
        whole = masks.shown(post.role, masks.Field.ADDRESS, own=duty["owner"] == post.unit_id) is masks.Shown.WHOLE
        return _door(address, duty["region_name"]) if whole else duty["region_name"] or ""
    if duty["region_level"] == _VILLAGE_LEVEL:
        return [duty["parent_name"] or "", duty["region_name"]]
    return [duty["region_name"]]


def _door(address: str, village: str) -> str:
    """The part of an address that a village worker reads: what comes after the village's name."""
    short = re.sub(r"(居委会|村委会|居民委员会|村民委员会)$", "", village)
    for mark in (village, short):
        if mark and mark in address:
            return address.split(mark)[-1].strip() or address
    return address


def answered_words(contact: queries.Contact | None) -> str:
    if contact is None or contact.answered_at is None:
        return ""
    return _("%(time)s 已由%(unit)s核查，不必再打") % {"time": clock_time(contact.answered_at), "unit": contact.answered_by}


def lines(request: HttpRequest, duties: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Duties as rows of the table of work (site/templatetags/work.py). Telephones stand only in lines that the reader's own unit holds."""
    post = request.post
    found = queries.around(duties, now, whole=post.role == Role.VILLAGE_WORKER)  # above the village a line shows the name alone
    quiet = {pack: queries.is_quiet(pack, now) for pack in {duty["pack"] for duty in duties}}
    told = {tuple(duty["sources"]) for duty in duties if duty["lead"]}
    named = {sources: _("、").join(str(SOURCES.get(s, s)) for s in sources) for sources in told}
    rows = []
    for no, duty in enumerate(duties):
        person, lead, contact = found.people.get(duty["subject"]), duty["lead"], found.contacts.get(no)
        ask = found.asks.get(duty["id"])
        name, kind = (ask["asker_name"], "person") if ask else masks.line_of(person, post.role)
        mine = duty["owner"] == post.unit_id and duty.get("closed_at") is None
        held = contact.held if contact and contact.held and contact.held[:2] != (post.unit_id, post.officer_id) else None
        is_verify = queries.is_verify(duty["kind"])
        act_url = act_url_of(duty, lead, found)
        tel = (
            person.phones[0]
            if person
            and person.phones
            and is_verify
            and held is None
            and post.role == Role.VILLAGE_WORKER
            and masks.shown(post.role, masks.Field.PHONE, own=mine) is masks.Shown.WHOLE
            else ""
        )
        rows.append(
            {
                "loop": f"{duty['id']}.{tag(duty['owner'], duty['assignee'], duty['offered_to'])}",
                "number": no + 1,
                "name": name,
                "kind": kind,
                "lead_url": f"/leads/{lead}" if lead else "",
                "place": place_of(duty, person, post),
                "what": _("求助：%(reason)s") % {"reason": SUPPORT_REASONS[ask["reason"]]} if ask else _what(duty, now),
                "event": event_of(duty),
                "source": named[tuple(duty["sources"])] if lead else "",
                "tries": contact.n_tries if contact and is_verify else 0,
                "due_at": duty["due_at"],
                "paused": quiet[duty["pack"]] and duty["due_at"] is not None and duty["due_at"] > now,
                "owner": duty["owner_name"],
                "assignee": duty["assignee_name"] or "",
                "offered": duty["offered_to"] is not None,
                "offered_until": duty["offered_until"],
                "help_level": duty["help_level"],
                "held_by": held[2] if held else "",
                "held_until": held[3] if held else None,
                "answered": answered_words(contact) if contact and contact.answered_by != post.unit.name else "",
                "act_url": act_url if duty.get("closed_at") is None else "",
                "tel": tel,
                "hold_url": f"/leads/{lead}/call?act={new_act()}" if lead and tel else "",
                "is_first": no == 0,
                "closed_at": duty.get("closed_at"),
            }
        )
    return rows


def event_of(duty: Mapping[str, Any]) -> str:
    """The name of the duty's event where several are open: the same person may be asked the same for each; else ""."""
    return _(duty["event_name"]) if duty["event_name"] else ""


def _what(duty: Mapping[str, Any], now: datetime) -> str:
    """The next act in words; somebody whom the lists expect later is asked about the arrival."""
    arrives = duty["arrived_to"]
    if queries.is_verify(duty["kind"]) and arrives is not None and arrives > now:
        local = arrives.astimezone(clock.SHANGHAI)
        at = f"{local:%H:%M}" if local.date() == clock.today() else f"{day_words(local.date())} {local:%H:%M}"
        return _("名单写 %(at)s 到，打电话问问") % {"at": at}
    return str(WHAT.get(duty["kind"], duty["kind"]))


def act_url_of(duty: Mapping[str, Any], lead: UUID | None, found: queries.Around) -> str:
    if duty["kind"] == SUPPORT.name:
        return f"/support/{duty['id']}"
    if duty["kind"] == CONTRADICTION.name:
        asked = found.conflicts.get(duty["key"])
        return f"/conflicts/{asked}" if asked else ""
    if duty["kind"] == SETTLE.name:
        pair = found.doubts.get((duty["subject"], duty["key"]))
        return f"/people/same/{pair[0]}/{pair[1]}" if pair else ""
    return f"/leads/{lead}/{PAGE_OF.get(duty['kind'], '')}".rstrip("/") if lead else ""


def head_of(request: HttpRequest, lead: Lead, duty: Mapping[str, Any], person: Any) -> dict[str, Any]:
    """What every form about a lead shows above its fields."""
    name, _kind = masks.line_of(person, request.post.role)
    return {
        "lead": {
            "name": name,
            "place": place_of(duty, person, request.post),
            "url": f"/leads/{lead.id}",
            "minor": bool(person and person.minor),
            "event": event_of(duty),
        },
        "due_at": duty["due_at"],
        "paused": queries.is_paused(duty, clock.now()),
        "section": "work",
    }


def origin_of(lead: Lead) -> str:
    return queries.origin_names([lead.origin]).get(lead.origin, lead.origin)
