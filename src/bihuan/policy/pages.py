"""Which rules are in force here, since when, from where; what changes tomorrow; and two officers who change it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bihuan.access import second_factor
from bihuan.access.middleware import allow, reading
from bihuan.access.models import Post
from bihuan.access.pages import act_of, error_of, new_act, next_url, number
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy import actions, preview, queries, shown
from bihuan.policy import pack as packs
from bihuan.policy.models import Adoption, Event, Proposal
from bihuan.policy.queries import EVENT_KEY, Line
from bihuan.regions.models import Region
from bihuan.regions.queries import scope_range, scopes_of

COUNTY = 3
_DAY = timedelta(days=1)
_KEEPS = ("event", "region", "pack", "from_on", "expires_on", "basis", "reason")  # the fields of a proposal's form


def _language() -> str:
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


def _here(request: HttpRequest, given: dict[str, str]) -> Here:
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
    region = Region.objects.filter(pk=wanted_region, **_scope_within(lo, hi, today)).first()
    if region is None:
        raise Refused("unit_not_found", "没有这个地区，或不归您看。", "There is no such region, or it is not yours.")
    lo, hi = scope_range(region.id, today)
    return Here(event, events, region, lo, hi, queries.adoptions(event.id, today))


def _scope_within(lo: int, hi: int, on: date, of: str = "") -> dict[str, Any]:
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


def _title(pack_id: str, version: str) -> str:
    """The title of a file; its key where it can no longer be read."""
    try:
        found = packs.load_overlay(pack_id, version) if packs.is_overlay(pack_id) else packs.load(pack_id, version).document
    except Refused:
        return f"{pack_id}@{version}"
    return found.title_en if _language().startswith("en") else found.title_zh


@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """What is in force for the reader's event and region today, and what is announced."""
    here, today = _here(request, request.GET.dict()), clock.today()
    pack = _pack_on(here.event.id, here.lo, today)
    counting = [line for line in here.above if line.counts_on(today)]
    context = {
        "section": "rules",
        "here": here,
        "events": here.events,
        "today": today,
        "pack": pack,
        "title": pack.title(_language()) if pack else "",
        "restricts": pack.restricts_anybody if pack else False,
        "parts": _parts(pack, counting, request.post) if pack else [],
        "sections": shown.sections(pack, _language(), {_file_id(line): line.from_on for line in counting}) if pack else [],
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
    english = _language().startswith("en")
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
        before, after = _pack_on(here.event.id, here.lo, day - _DAY), _pack_on(here.event.id, here.lo, day)
        if (before.key if before else "") == (after.key if after else ""):
            continue
        found.append(
            {
                "on": day,
                "tomorrow": day == today + _DAY,
                "title": after.title(_language()) if after else "",
                "rows": _sentences(before, after) if before and after else [],
                "begins": [
                    {"title": _title(line.pack, line.version), "end_url": _end_url(line, post)}
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
            entry = found.setdefault(line.region, {"name": line.region_name, "url": _url(here.event.id, line.region), "titles": []})
            entry["titles"].append(_title(line.pack, line.version))
    return list(found.values())


def _url(event: int, region: int) -> str:
    return f"/rules?{urlencode({'event': event, 'region': region})}"


def _sentences(before: packs.Pack, after: packs.Pack) -> list[dict[str, Any]]:
    english = _language().startswith("en")
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
        {"id": r.id, "title": _title(r.pack, r.version), "region": r.region.name, "from_on": r.from_on, "ends": r.ends_id is not None}
        for r in rows
    ]


@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """Every pack of this installation, in force or not, with what is wrong in its folder."""
    english = _language().startswith("en")
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
            "title": pack.title(_language()),
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
        "title": pack.title(_language()),
        "key": pack.key,
        "restricts": pack.restricts_anybody,
        "parts": _parts(pack, []),
        "sections": shown.sections(pack, _language()),
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
        context |= {"rows": _sentences(before, after), "before": before.title(_language()), "after": after.title(_language())}
    return render(request, "policy/diff.html", context)


def _keys() -> list[tuple[str, str]]:
    """Every pack that can be compared: the bases, and each base with each overlay upon it."""
    found: list[tuple[str, str]] = []
    overlays = packs.library().overlays()
    for base in packs.library().bases():
        found.append((base.key, f"{base.title(_language())} {base.document.version}"))
        for overlay in overlays:
            if base.key in overlay.overlay_of:
                merged = packs.merge(base, [overlay])
                found.append((merged.key, merged.title(_language())))
    return found


# --- adoption: one proposes, another signs ------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def adopt(request: HttpRequest) -> HttpResponse:
    """GET: the form, and once it is filled in a preview of what it would do. POST: propose it."""
    post = allow(request, Permission.PACK_ADOPT)
    if request.method == "POST":
        given = {name: request.POST.get(name, "").strip() for name in _KEEPS}
        with reading(request):
            here = _here(request, given)
        second_factor.require_fresh(request)
        done: Proposal | Refused
        try:
            done = actions.propose(by=post, act=act_of(request), **_asked(here, given))
        except Refused as refused:
            done = refused
        if isinstance(done, Proposal):
            return HttpResponseRedirect(f"/rules/proposals/{done.id}")
        with reading(request):
            return _adopt_page(request, given, here, [error_of(done)], status=409)
    given = {name: request.GET.get(name, "").strip() for name in _KEEPS}
    here = _here(request, given)
    second_factor.require_fresh(request)
    return _adopt_page(request, given, here, [])


def _adopt_page(request: HttpRequest, given: dict[str, str], here: Here, errors: list[dict[str, str]], status: int = 200) -> HttpResponse:
    context = {
        "section": "rules",
        "here": here,
        "form": given | {"from_on": given["from_on"] or str(clock.today() + _DAY)},
        "events": here.events,
        "regions": _regions(request.post),
        "packs": _choices(here),
        "errors": errors,
        "preview": None,
        "act": new_act(),
        "back_url": _url(here.event.id, here.region.id),
    }
    if given["pack"] and not errors:
        try:
            asked = _asked(here, given)
            plan = actions.planned(
                event=here.event, region=here.region.id,
                **{name: asked[name] for name in ("pack", "version", "from_on", "basis", "reason", "expires_on")},
            )  # fmt: skip
            cells = preview.cells(
                event=here.event.id, region=here.region.id, pack=asked["pack"], version=asked["version"], on=asked["from_on"]
            )
            context["preview"] = _preview(here.event.id, cells) | _beside(plan.before, plan.after)
        except Refused as refused:
            context["errors"], status = [error_of(refused)], 409
    return render(request, "policy/adopt.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def end(request: HttpRequest, adoption: int) -> HttpResponse:
    """Let an adoption end, or withdraw it before it begins. GET: the form with a preview. POST: propose it."""
    post = allow(request, Permission.PACK_ADOPT)
    if request.method == "POST":
        given = {name: request.POST.get(name, "").strip() for name in ("from_on", "basis")}
        with reading(request):
            row = _adoption_of(request, adoption)
        second_factor.require_fresh(request)
        done: Proposal | Refused
        try:
            done = actions.propose_end(by=post, adoption=row.id, on=_first_without(row, given), basis=given["basis"], act=act_of(request))
        except Refused as refused:
            done = refused
        if isinstance(done, Proposal):
            return HttpResponseRedirect(f"/rules/proposals/{done.id}")
        with reading(request):
            return _end_page(request, row, given, [error_of(done)], status=409)
    given = {name: request.GET.get(name, "").strip() for name in ("from_on", "basis")}
    row = _adoption_of(request, adoption)
    second_factor.require_fresh(request)
    return _end_page(request, row, given, [])


def _end_page(request: HttpRequest, row: Adoption, given: dict[str, str], errors: list[dict[str, str]], status: int = 200) -> HttpResponse:
    waits = row.from_on > clock.today()
    context: dict[str, Any] = {
        "section": "rules",
        "adoption": row,
        "title": _title(row.pack, row.version),
        "waits": waits,
        "form": given | {"from_on": given["from_on"] or str(row.from_on if waits else clock.today() + _DAY)},
        "errors": errors,
        "preview": None,
        "act": new_act(),
        "back_url": _url(row.event_id, row.region_id),
    }
    if given["basis"] and not errors:
        try:
            on = _first_without(row, given)
            plan = actions.planned_end(adoption=row, on=on, basis=given["basis"])
            context["preview"] = _preview(row.event_id, preview.cells_without(row, on)) | _beside(plan.before, plan.after)
        except Refused as refused:
            context["errors"], status = [error_of(refused)], 409
    return render(request, "policy/end.html", context, status=status)


def _adoption_of(request: HttpRequest, number: int) -> Adoption:
    """An adoption of the reader's territory. Refuses others (`unit_not_found`)."""
    within = _scope_within(*request.post.territory, clock.today(), "region__")
    row = Adoption.objects.select_related("region", "event").filter(pk=number, **within).first()
    if row is None:
        raise Refused("unit_not_found", "没有这次采用，或不归您管。", "There is no such adoption, or it is not yours.")
    return row


def _first_without(row: Adoption, given: dict[str, str]) -> date:
    return _day(given, "from_on") or (row.from_on if row.from_on > clock.today() else clock.today() + _DAY)


def _day(given: dict[str, str], name: str) -> date | None:
    try:
        return date.fromisoformat(given[name]) if given[name] else None
    except ValueError:
        raise Refused("date_unreadable", "日期看不懂，请写成 2022-08-28。", "The date cannot be read; write 2022-08-28.", name) from None


def _asked(here: Here, given: dict[str, str]) -> dict[str, Any]:
    """The values of the form. Refuses a day that is none (`date_unreadable`)."""
    pack_id, _at, version = given["pack"].partition("@")
    return {
        "event": here.event.id,
        "region": here.region.id,
        "pack": pack_id,
        "version": version,
        "from_on": _day(given, "from_on") or clock.today() + _DAY,
        "expires_on": _day(given, "expires_on"),
        "basis": given["basis"],
        "reason": given["reason"],
    }


def _regions(post: Any) -> list[Region]:
    """The reader's own region and the counties of it."""
    own = Region.objects.get(pk=post.unit.region_id)
    counties = Region.objects.filter(parent_id=own.id, level=COUNTY).order_by("division_code", "id") if own.level < COUNTY else []
    known = scopes_of([region.id for region in counties], clock.today())
    return [own, *(region for region in counties if region.id in known)]


def _choices(here: Here) -> list[tuple[str, str]]:
    """Bases of the event's disease, and overlays that may lie upon one of them."""
    bases = [pack for pack in packs.library().bases() if pack.disease == here.event.disease]
    keys = {pack.key for pack in bases}
    found = [(pack.key, f"{pack.title(_language())} · {pack.document.in_force_from}—{pack.document.in_force_to or ''}") for pack in bases]
    english = _language().startswith("en")
    for overlay in packs.library().overlays():
        if keys & set(overlay.overlay_of):
            title = overlay.title_en if english else overlay.title_zh
            found.append((f"{overlay.id}@{overlay.version}", f"＋ {title} · {overlay.in_force_from}—{overlay.in_force_to or ''}"))
    return found


_EFFECTS = {
    "ends": "新规定不再要求；已经派下去的照办或免办",
    "shorter": "时限变短；已经派下去的不变",
    "longer": "时限变长或不再限时；已经派下去的不变",
    "rule": "对这些人的要求变了；逐人重新判定",
}


def _beside(before: packs.Pack | None, after: packs.Pack | None) -> dict[str, Any]:
    """What changes, and between which titles."""
    return {
        "rows": _sentences(before, after) if before and after else [],
        "before": before.title(_language()) if before else "",
        "after": after.title(_language()) if after else "",
    }


def _preview(event: int, cells: list[preview.Cell]) -> dict[str, Any]:
    """Whom it touches: rows of duties and persons, and their sums."""
    rows = preview.touched(event, cells)
    names = {c: cell.before.class_title(c, _language()) for cell in cells for c in {r.origin_class for r in rows}}
    return {
        "touched": [
            {
                "title": _(row.title),
                "origin": names.get(row.origin_class, row.origin_class) if row.origin_class else "",
                "effect": _(_EFFECTS[row.effect]),
                "n_duties": row.n_duties,
                "n_persons": row.n_persons,
            }
            for row in rows
        ],
        "n_duties": sum(row.n_duties for row in rows),
        "places": len(cells),
    }


def _signer(post_id: int | None) -> str:
    post = Post.objects.select_related("officer", "unit").filter(pk=post_id).first() if post_id else None
    return f"{post.unit.name} {post.officer.name}" if post else ""


@require_safe
def proposal(request: HttpRequest, proposal: int) -> HttpResponse:
    """One proposal: who proposed what, what it changes, whom it touches; the second officer signs here."""
    return _proposal_page(request, proposal, [])


def proposal_of(request: HttpRequest, number: int) -> Proposal:
    """A proposal whose region lies in the reader's territory. Refuses others (`unit_not_found`)."""
    allow(request, Permission.PACK_ADOPT)
    within = _scope_within(*request.post.territory, clock.today(), "region__")
    row = Proposal.objects.select_related("region", "event").filter(pk=number, **within).first()
    if row is None:
        raise Refused("unit_not_found", "没有这份采用建议，或不归您看。", "There is no such proposal, or it is not yours.")
    return row


def _proposal_page(request: HttpRequest, number: int, errors: list[dict[str, str]], status: int = 200) -> HttpResponse:
    row = proposal_of(request, number)
    before = packs.by_key(row.before) if row.before else None
    after = packs.by_key(row.after) if row.after else None
    own = row.by_officer == request.post.officer_id
    context = {
        "section": "rules",
        "proposal": row,
        "title": _title(row.pack, row.version),
        **_beside(before, after),
        "by": _signer(row.by),
        "decided_by": _signer(row.decided_by),
        "waits": row.outcome is None,
        "own": own,
        "errors": errors,
        "preview": _preview(row.event_id, preview.cells_of(row)) if row.outcome is None else None,
        "back_url": _url(row.event_id, row.region_id),
        "list_url": f"/rules/proposals/{row.id}/touched",
    }
    return render(request, "policy/proposal.html", context, status=status)


@require_POST
def approve(request: HttpRequest, proposal: int) -> HttpResponse:
    return _decided(request, proposal, lambda post: actions.approve(by=post, proposal=proposal))


@require_POST
def refuse(request: HttpRequest, proposal: int) -> HttpResponse:
    note = request.POST.get("note", "")[:1000]
    return _decided(request, proposal, lambda post: actions.refuse(by=post, proposal=proposal, note=note))


def _decided(request: HttpRequest, number: int, act: Any) -> HttpResponse:
    with reading(request):
        proposal_of(request, number)
    second_factor.require_fresh(request)
    done = act(request.post)
    if isinstance(done, Refused):
        with reading(request):
            return _proposal_page(request, number, [error_of(done)], status=409)
    return HttpResponseRedirect(f"/rules/proposals/{number}")


@require_POST
def choose_event(request: HttpRequest) -> HttpResponse:
    """The event that the reader's pages are about from now on, of those that are open in his or her territory."""
    with reading(request):
        here = _here(request, {})
    chosen = request.POST.get("event", "")
    if any(str(event.id) == chosen for event in here.events):
        request.session[EVENT_KEY] = int(chosen)
        return HttpResponseRedirect(next_url(request, "/rules"))
    raise Refused("event_unknown", "没有这个事件", "there is no such event")


urlpatterns = [
    path("rules", rules, name="rules"),
    path("rules/packs", library),
    path("rules/pack", one),
    path("rules/diff", diff),
    path("rules/adopt", adopt),
    path("rules/adoptions/<int:adoption>/end", end),
    path("rules/event", choose_event),
    path("rules/proposals/<int:proposal>", proposal),
    path("rules/proposals/<int:proposal>/approve", approve),
    path("rules/proposals/<int:proposal>/refuse", refuse),
]
