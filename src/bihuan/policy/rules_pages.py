"""Which rules are in force here, since when, from where; what changes tomorrow; every pack, and two beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_POST, require_safe

from bihuan.access.middleware import reading
from bihuan.access.pages import next_url, number
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy import pack as packs
from bihuan.policy import queries, shown
from bihuan.policy.models import Event, Proposal
from bihuan.policy.queries import EVENT_KEY, Line
from bihuan.regions.models import Region
from bihuan.regions.queries import scope_range

DAY = timedelta(days=1)


def language() -> str:
    return get_language() or "zh"


@dataclass(frozen=True)
class Here:
    """Whose rules are shown: an event, a region, its range, and a pack's adoptions that count there now or later."""

    event: Event
    events: list[Event]
    region: Region
    lo: int
    hi: int
    lines: list[Line]

    @property
    def above(self) -> list[Line]:
        return [line for line in self.lines if line.lo <= self.lo < line.hi]

    @property
    def inside(self) -> list[Line]:
        """Adoptions of places within the region that have rules of their own."""
        return [line for line in self.lines if self.lo <= line.lo and line.hi <= self.hi and (line.lo, line.hi) != (self.lo, self.hi)]


def here_of(request: HttpRequest, given: dict[str, str]) -> Here:
    """The event and region that are asked for, within the reader's territory; the reader's own where nothing is asked."""
    post = request.post
    if post is None:
        raise Refused("not_permitted", "请先登录。", "Please sign in first.")
    lo, hi = post.territory
    today = clock.today()
    events = queries.open_events(lo, hi, today)
    if not events:
        raise Refused("no_event", "没有进行中的事件，请先建立事件。", "No event is open; open one first.")
    wanted = given.get("event") or str(request.session.get(EVENT_KEY, ""))
    event = next((e for e in events if str(e.id) == wanted), events[0])
    wanted_region = number(given.get("region", "")) or post.unit.region_id
    region = Region.objects.filter(pk=wanted_region, **scope_within(lo, hi, today)).first()
    if region is None:
        raise Refused("unit_not_found", "没有这个地区，或不归您看。", "There is no such region, or it is not yours.")
    lo, hi = scope_range(region.id, today)
    return Here(event, events, region, lo, hi, queries.adoptions(event.id, today))


def scope_within(lo: int, hi: int, on: date, of: str = "") -> dict[str, Any]:
    """A condition on regions: what is another's and what is not there are asked in the same way."""
    return {f"{of}scopes__scope__gte": lo, f"{of}scopes__scope__lt": hi, f"{of}scopes__valid__contains": on}


def _pack_on(event: int, scope: int, day: date) -> packs.Pack | None:
    try:
        return queries.plan(event, day).pack_for(scope)
    except Refused as refused:
        if refused.code != "no_pack_in_force":
            raise
        return None


def _file_id(line: Line) -> str:
    return line.pack


def title_of(pack_id: str, version: str) -> str:
    """The title of a file; its key where it can no longer be read."""
    try:
        found = packs.load_overlay(pack_id, version) if packs.is_overlay(pack_id) else packs.load(pack_id, version).document
    except Refused:
        return f"{pack_id}@{version}"
    return found.title_en if language().startswith("en") else found.title_zh


@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """What is in force for the reader's event and region today, and what is announced."""
    here, today = here_of(request, request.GET.dict()), clock.today()
    pack = _pack_on(here.event.id, here.lo, today)
    counting = [line for line in here.above if line.counts_on(today)]
    context = {
        "section": "rules",
        "here": here,
        "events": here.events,
        "today": today,
        "pack": pack,
        "title": pack.title(language()) if pack else "",
        "restricts": pack.restricts_anybody if pack else False,
        "parts": _parts(pack, counting, request.post) if pack else [],
        "sections": shown.sections(pack, language(), {_file_id(line): line.from_on for line in counting}) if pack else [],
        "changes": _changes(here, today, request.post),
        "inside": _inside(here, today),
        "may_adopt": request.post.may(Permission.PACK_ADOPT),
        "proposals": _waiting(here) if request.post.may(Permission.PACK_ADOPT) else [],
        "wide": request.post.may(Permission.LIST_IMPORT),
        "adopt_url": f"/rules/adopt?{urlencode({'event': here.event.id, 'region': here.region.id})}",
    }
    return render(request, "policy/rules.html", context)


def _end_url(line: Line | None, post: Any) -> str:
    """Where to propose the end of an adoption: for whoever may adopt there."""
    if line is None or post is None or not post.may(Permission.PACK_ADOPT):
        return ""
    lo, hi = post.territory
    return f"/rules/adoptions/{line.id}/end" if lo <= line.lo and line.hi <= hi else ""


def _parts(pack: packs.Pack, counting: list[Line], post: Any = None) -> list[dict[str, Any]]:
    """The base and the overlays of a pack: since when, until when, where adopted, on which document they rest.

    `end_url`: for an overlay, and a base upon another one, that the reader may let end.
    """
    english = language().startswith("en")
    found = []
    for part in (pack.document, *pack.overlays):
        line = next((x for x in reversed(counting) if _file_id(x) == part.id), None)
        found.append(
            {
                "title": part.title_en if english else part.title_zh,
                "issuer": part.basis.issuer,
                "document": part.basis.document,
                "dated": part.basis.dated,
                "note": part.in_force_note,
                "since": line.from_on if line else None,
                "until": line.ends_on if line else None,
                "where": line.region_name if line else "",
                "basis": line.basis if line else "",
                "last": part.in_force_to,
                "reason": getattr(part, "reason", ""),
                "approver": getattr(part, "approver", ""),
                "key": f"{part.id}@{part.version}",
                "end_url": _end_url(line, post) if _may_end(line, counting) else "",
            }
        )
    return found


def _may_end(line: Line | None, counting: list[Line]) -> bool:
    """A region's only base does not end: another one takes over."""
    return line is not None and (line.overlay or sum(not other.overlay for other in counting) > 1)


def _changes(here: Here, today: date, post: Any) -> list[dict[str, Any]]:
    """Each day from tomorrow on at which something changes here, with what changes and what can still be withdrawn."""
    days = sorted({day for line in here.above for day in (line.from_on, line.ends_on) if day and day > today})
    found = []
    for day in days:
        before, after = _pack_on(here.event.id, here.lo, day - DAY), _pack_on(here.event.id, here.lo, day)
        if (before.key if before else "") == (after.key if after else ""):
            continue
        found.append(
            {
                "on": day,
                "tomorrow": day == today + DAY,
                "title": after.title(language()) if after else "",
                "rows": sentences(before, after) if before and after else [],
                "begins": [
                    {"title": title_of(line.pack, line.version), "end_url": _end_url(line, post)}
                    for line in here.above
                    if line.from_on == day
                ],
            }
        )
    return found


def _inside(here: Here, today: date) -> list[dict[str, Any]]:
    """Places below that work by other rules than the region itself."""
    found: dict[int, dict[str, Any]] = {}
    for line in here.inside:
        if line.counts_on(today):
            entry = found.setdefault(line.region, {"name": line.region_name, "url": rules_url(here.event.id, line.region), "titles": []})
            entry["titles"].append(title_of(line.pack, line.version))
    return list(found.values())


def rules_url(event: int, region: int) -> str:
    return f"/rules?{urlencode({'event': event, 'region': region})}"


def sentences(before: packs.Pack, after: packs.Pack) -> list[dict[str, Any]]:
    """What differs between two packs, as the pages say it."""
    english = language().startswith("en")
    return [
        {
            "name": c.label_en if english else c.label_zh,
            "before": c.before_en if english else c.before_zh,
            "after": c.after_en if english else c.after_zh,
            "stricter": c.stricter,
        }
        for c in packs.diff(before, after)
    ]


def _waiting(here: Here) -> list[dict[str, Any]]:
    rows = Proposal.objects.select_related("region").filter(event=here.event, outcome=None).order_by("id")
    return [
        {"id": r.id, "title": title_of(r.pack, r.version), "region": r.region.name, "from_on": r.from_on, "ends": r.ends_id is not None}
        for r in rows
    ]


@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """Every pack of this installation, in force or not, with what is wrong in its folder."""
    english = language().startswith("en")
    upon: dict[str, list[dict[str, Any]]] = {}
    for overlay in packs.library().overlays():
        for base in overlay.overlay_of:
            upon.setdefault(base, []).append(
                {
                    "title": overlay.title_en if english else overlay.title_zh,
                    "from_on": overlay.in_force_from,
                    "to_on": overlay.expires_on or overlay.in_force_to,
                    "key": f"{base}+{overlay.short}@{overlay.version}",
                }
            )
    rows = [
        {
            "title": pack.title(language()),
            "from_on": pack.document.in_force_from,
            "to_on": pack.document.in_force_to,
            "restricts": pack.restricts_anybody,
            "key": pack.key,
            "overlays": upon.get(pack.key, []),
        }
        for pack in packs.library().bases()
    ]
    problems = [{"file": p.file, "text": p.en if english else p.zh} for p in packs.check_all()]
    changed = queries.changed_since_adoption()
    return render(request, "policy/library.html", {"section": "rules", "packs": rows, "problems": problems, "changed": changed})


@require_safe
def one(request: HttpRequest) -> HttpResponse:
    """One pack by its key, whether or not it is in force anywhere."""
    pack = packs.by_key(request.GET.get("key", ""))
    context = {
        "section": "rules",
        "title": pack.title(language()),
        "key": pack.key,
        "restricts": pack.restricts_anybody,
        "parts": _parts(pack, []),
        "sections": shown.sections(pack, language()),
        "wide": request.post.may(Permission.LIST_IMPORT),
    }
    return render(request, "policy/pack.html", context)


@require_safe
def diff(request: HttpRequest) -> HttpResponse:
    """Two packs beside each other: what differs, and what is stricter."""
    keys = _keys()
    a, b = request.GET.get("a", ""), request.GET.get("b", "")
    context: dict[str, Any] = {"section": "rules", "keys": keys, "a": a, "b": b, "rows": None}
    if a and b:
        before, after = packs.by_key(a), packs.by_key(b)
        context |= {"rows": sentences(before, after), "before": before.title(language()), "after": after.title(language())}
    return render(request, "policy/diff.html", context)


def _keys() -> list[tuple[str, str]]:
    """Every pack that can be compared: the bases, and each base with each overlay upon it."""
    found: list[tuple[str, str]] = []
    overlays = packs.library().overlays()
    for base in packs.library().bases():
        found.append((base.key, f"{base.title(language())} {base.document.version}"))
        for overlay in overlays:
            if base.key in overlay.overlay_of:
                merged = packs.merge(base, [overlay])
                found.append((merged.key, merged.title(language())))
    return found


@require_POST
def choose_event(request: HttpRequest) -> HttpResponse:
    """The event that the reader's pages are about from now on, of those that are open in his or her territory."""
    with reading(request):
        here = here_of(request, {})
    chosen = request.POST.get("event", "")
    if any(str(event.id) == chosen for event in here.events):
        request.session[EVENT_KEY] = int(chosen)
        return HttpResponseRedirect(next_url(request, "/rules"))
    raise Refused("event_unknown", "没有这个事件", "there is no such event")
