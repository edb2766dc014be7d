"""What the frame of every page shows: whose post, which event, what time. Reads nothing that a scope hides."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext as _

from bihuan.access import limits
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock
from bihuan.policy.models import Event, Installation
from bihuan.policy.queries import EVENT_KEY

UNDO_KEY = "undo"


def tabs(post: Any) -> list[tuple[str, str, int | None]]:
    """The main pages of a post, the first one being its home."""
    if post is None:
        return []
    found: list[tuple[str, str, int | None]] = []
    if post.may(Permission.LEAD_READ):
        found.append(("work", "/duties", None))
    if post.may(Permission.LIST_IMPORT):
        found.append(("intake", "/intake", None))
    if post.may(Permission.FIGURES_READ) and post.may(Permission.LEAD_READ) and post.role != Role.VILLAGE_WORKER:
        found.append(("overview", "/overview", None))
    if post.may(Permission.LEAD_READ):
        found.append(("persons", "/people", None))
    if post.may(Permission.LEDGER_AUDIT):
        found.append(("accounts", "/accounts", None))
    if post.may(Permission.FIGURES_READ) and post.may(Permission.LEAD_READ) and post.role != Role.VILLAGE_WORKER:
        found.append(("rules", "/rules", None))
    if post.may(Permission.ROSTER_KEEP):
        found.append(("roster", "/roster", None))
    if post.may(Permission.ACCOUNT_MANAGE):
        found.append(("officers", "/officers", None))
    if post.may(Permission.LOG_READ):
        found.append(("log", "/security-log", None))
    if post.may(Permission.SYSTEM_WATCH):
        found.append(("system", "/system", None))
    return found


def desk(request: HttpRequest) -> dict[str, Any]:
    """`desk` and `undo` of base.html."""
    now = clock.now()
    post = getattr(request, "post", None)
    demo = Installation.objects.filter(pk=1, mode=Installation.Mode.DEMO).exists()
    event = _event_name(request) if post else ""
    shown = {
        "now": now,
        "demo": demo,
        "event": _(event) if event else "",
        "officer": post.officer.name if post else "",
        "post": _(str(Role(post.role).label)) if post else "",
        "unit": post.unit.name if post else "",
        "posts_url": "/post" if post else "",
        "nav": tabs(post),
        "plain_words": post is not None and Role(post.role).is_below_county,
        "may_end": post is not None and post.may(Permission.EVENT_END),
        "sign_out_url": "/sign-out",
        "language_url": "/i18n/setlang/",
        "feedback_url": f"/feedback?{urlencode({'from': request.path})}",
        "clock_url": "/healthz",
        "idle_seconds": limits.of("BIHUAN_IDLE_MINUTES") * 60 if post else None,
    }
    return {"desk": shown, "undo": _undo(request, now)}


def _event_name(request: HttpRequest) -> str:
    """The event that the reader's pages are about: the one chosen, else the oldest open one; "" while none is open."""
    names = dict(Event.objects.filter(ended_on=None).order_by("id").values_list("id", "name"))
    return names.get(request.session.get(EVENT_KEY), next(iter(names.values()), ""))


def _undo(request: HttpRequest, now: datetime) -> dict[str, Any] | None:
    session = getattr(request, "session", None)
    kept = session.get(UNDO_KEY) if session is not None and getattr(request, "post", None) else None
    if not kept:
        return None
    until = datetime.fromtimestamp(kept["until"], tz=clock.SHANGHAI)
    return {"text": kept["text"], "url": kept["url"], "until": until} if until > now else None
