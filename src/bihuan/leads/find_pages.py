"""Finding a person: in one's range by name, pinyin or number; outside it only whom to ask, for a purpose."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act
from bihuan.access.permissions import Permission
from bihuan.identity import actions as identity
from bihuan.identity import masks, search
from bihuan.identity import queries as people
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import queries
from bihuan.leads.lines import place_of
from bihuan.leads.words import KINDS, PURPOSES
from bihuan.policy.queries import EVENT_KEY, event_in_use


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """People of the post's range, masked. The box is sent by POST, so that no number stands in an address or a log; a GET finds names only."""
    allow(request, Permission.LEAD_READ)
    if request.method == "POST":
        with reading(request):
            return _page(request, _typed(request.POST))
    q = _typed(request.GET)
    return _page(request, "" if search.sought(q).whole else q)


def _typed(data: Mapping[str, str]) -> str:
    return data.get("q", "").strip()[: search.TYPED_MAX]


def _page(
    request: HttpRequest, q: str, *, elsewhere: Any = None, errors: list[dict[str, str]] | None = None, purpose: str = ""
) -> HttpResponse:
    post, now = request.post, clock.now()
    what = search.sought(q)
    found = queries.people_found(q) if q else []
    opened: dict[UUID, Any] = {}
    for event in sorted({f["event"] for f in found}):
        opened |= people.opened_persons([f["subject"] for f in found if f["event"] == event], event=event)
    context = {
        "section": "persons",
        "q": q,
        "searched": bool(q),
        "rows": [_row(f, opened.get(f["subject"]), post, now) for f in found[: queries.PAGE_ROWS]],
        "more": len(found) > queries.PAGE_ROWS,
        # Digits that are no whole number find nobody, here or elsewhere: the page says what is missing.
        "part_of_number": bool(q) and what.nothing,
        "whole": what.whole,
        "elsewhere": elsewhere,
        "purposes": [{"code": code, "label": label} for code, label in PURPOSES.items()],
        "purpose": purpose,
        "act": new_act(),
        "errors": errors or [],
    }
    part = request.htmx and request.htmx.target == "found"
    return render(request, "leads/_people_found.html" if part else "leads/people.html", context, status=422 if errors else 200)


def _row(found: Mapping[str, Any], person: Any, post: Any, now: datetime) -> dict[str, Any]:
    name, kind = masks.line_of(person, post.role)
    return {
        "name": name,
        "number_only": kind == "phone_lead",
        "phone": masks.show(person.phones[0], post.role, masks.Field.PHONE) if person and person.phones else "—",
        "place": place_of(found, person, post) if found["kind"] else "",
        "owner": found["owner_name"] or "",
        "what": KINDS.get(found["kind"], "") if found["kind"] else "",
        "due_at": found["due_at"],
        "paused": queries.is_paused(found, now) if found["kind"] else False,
        "url": f"/leads/{found['lead']}",
    }


@require_POST
@never_cache
def elsewhere(request: HttpRequest) -> HttpResponse:
    """Is somebody known outside one's range? Only who answers is told, and that it was asked is kept."""
    post = allow(request, Permission.LEAD_READ)
    q, made, purpose = _typed(request.POST), act_of(request), request.POST.get("purpose", "")
    with reading(request):
        if queries.people_found(q):  # in sight after all: no need to ask, and nothing to record
            return _page(request, q)
        event = event_in_use(request.session.get(EVENT_KEY))
    answer: Any = Refused("purpose_missing", "请写明查看的用途。", "Please state what for.", "purpose")
    if purpose in PURPOSES:
        answer = identity.seek(by=post, event=event, typed=q, purpose=purpose, act=made)
    with reading(request):
        if isinstance(answer, Refused):
            return _page(request, q, errors=[error_of(answer)], purpose=purpose)
        return _page(request, q, elsewhere=answer, purpose=purpose)
