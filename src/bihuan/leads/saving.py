"""What every form of leads does after the act: answer once, offer to take it back, or come back with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from bihuan.access.middleware import reading, status_of
from bihuan.access.pages import next_url
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import queries
from bihuan.leads.lines import lines
from bihuan.leads.models import Lead
from bihuan.leads.words import OUTCOMES
from bihuan.policy import pack as packs

UNDO_KEY = "undo"


def remember(request: HttpRequest, text: str, act: UUID, window: timedelta) -> dict[str, Any]:
    """The page that follows offers to take the act back."""
    undo = {"text": text, "url": f"/undo/{act}", "until": (clock.now() + window).timestamp()}
    request.session[UNDO_KEY] = undo
    return {**undo, "until": clock.now() + window}


def window(pack: str) -> timedelta:
    return packs.by_key(pack).lead.undo


def home(request: HttpRequest) -> str:
    return next_url(request, "/duties")


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Redirect": url}) if request.htmx else HttpResponseRedirect(url)


def again(request: HttpRequest, refused: Refused, page: Callable[[], HttpResponse]) -> HttpResponse:
    """A refused form comes back with its reason; what is hidden or forbidden is an error page."""
    if status_of(refused) != 409:
        raise refused
    with reading(request):
        return page()


def require_same(request: HttpRequest, fact: UUID, values: Mapping[str, Any]) -> None:
    """The page was used before: the same content is the same act, other content must not be lost in silence."""
    with reading(request):
        before = queries.said(fact)
    if before is None or any(before.get(name) != value for name, value in values.items() if value not in (None, "")):
        what = str(OUTCOMES.get(before.get("outcome"), "")) if before else ""
        raise Refused(
            "act_used",
            f"这一页刚才已经保存过{f'（{what}）' if what else ''}，这一次没有保存。要改请先撤回或作废，再重新打开办理。",
            "This page was already saved once; nothing was saved now. Take that back first, then open it anew.",
        )


def saved(request: HttpRequest, lead: Lead, act_id: UUID, text: str) -> HttpResponse:
    """After an act: the next line at a desk's sheet; the list, or where one came from, elsewhere. It can be taken back for some seconds."""
    with reading(request):
        pack = queries.rows("SELECT pack FROM loop WHERE event = %s AND subject = %s ORDER BY id DESC LIMIT 1", [lead.event, lead.subject])
        undo_shown = remember(request, text, act_id, window(pack[0]["pack"])) if pack else None
        if not request.htmx:
            return HttpResponseRedirect(home(request))
        request.session.pop(UNDO_KEY, None)  # the sheet shows it itself
        where, given = queries.Filter(state="mine").sql(request.post.unit_id, clock.now())
        coming = queries.page_of(where, given).duties[:1]
        row = lines(request, coming, clock.now())[0] if coming else None
        following = {"name": row["name"], "url": row["act_url"]} if row and row["act_url"] else None
        context = {"text": text, "next": following, "undo": undo_shown}
        response = render(request, "leads/_saved.html", context)
        response.headers["HX-Trigger"] = "work-changed"
        return response
