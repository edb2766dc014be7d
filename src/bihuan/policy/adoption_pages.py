"""Rules are adopted, and let end, by two officers: one proposes and sees what it would do, another signs."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bihuan.access import second_factor
from bihuan.access.middleware import allow, reading
from bihuan.access.models import Post
from bihuan.access.pages import act_of, error_of, new_act
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy import actions, preview
from bihuan.policy import pack as packs
from bihuan.policy.models import Adoption, Proposal
from bihuan.policy.rules_pages import DAY, Here, here_of, language, rules_url, scope_within, sentences, title_of
from bihuan.regions.models import Region
from bihuan.regions.queries import scopes_of

COUNTY = 3
_KEEPS = ("event", "region", "pack", "from_on", "expires_on", "basis", "reason")  # the fields of a proposal's form


@require_http_methods(["GET", "HEAD", "POST"])
def adopt(request: HttpRequest) -> HttpResponse:
    """GET: the form, and once it is filled in a preview of what it would do. POST: propose it."""
    post = allow(request, Permission.PACK_ADOPT)
    if request.method == "POST":
        given = {name: request.POST.get(name, "").strip() for name in _KEEPS}
        with reading(request):
            here = here_of(request, given)
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
    here = here_of(request, given)
    second_factor.require_fresh(request)
    return _adopt_page(request, given, here, [])


def _adopt_page(request: HttpRequest, given: dict[str, str], here: Here, errors: list[dict[str, str]], status: int = 200) -> HttpResponse:
    context = {
        "section": "rules",
        "here": here,
        "form": given | {"from_on": given["from_on"] or str(clock.today() + DAY)},
        "events": here.events,
        "regions": _regions(request.post),
        "packs": _choices(here),
        "errors": errors,
        "preview": None,
        "act": new_act(),
        "back_url": rules_url(here.event.id, here.region.id),
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
        "title": title_of(row.pack, row.version),
        "waits": waits,
        "form": given | {"from_on": given["from_on"] or str(row.from_on if waits else clock.today() + DAY)},
        "errors": errors,
        "preview": None,
        "act": new_act(),
        "back_url": rules_url(row.event_id, row.region_id),
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
    within = scope_within(*request.post.territory, clock.today(), "region__")
    row = Adoption.objects.select_related("region", "event").filter(pk=number, **within).first()
    if row is None:
        raise Refused("unit_not_found", "没有这次采用，或不归您管。", "There is no such adoption, or it is not yours.")
    return row


def _first_without(row: Adoption, given: dict[str, str]) -> date:
    return _day(given, "from_on") or (row.from_on if row.from_on > clock.today() else clock.today() + DAY)


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
        "from_on": _day(given, "from_on") or clock.today() + DAY,
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
    found = [(pack.key, f"{pack.title(language())} · {pack.document.in_force_from}—{pack.document.in_force_to or ''}") for pack in bases]
    english = language().startswith("en")
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
        "rows": sentences(before, after) if before and after else [],
        "before": before.title(language()) if before else "",
        "after": after.title(language()) if after else "",
    }


def _preview(event: int, cells: list[preview.Cell]) -> dict[str, Any]:
    """Whom it touches: rows of duties and persons, and their sums."""
    rows = preview.touched(event, cells)
    names = {c: cell.before.class_title(c, language()) for cell in cells for c in {r.origin_class for r in rows}}
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
    within = scope_within(*request.post.territory, clock.today(), "region__")
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
        "title": title_of(row.pack, row.version),
        **_beside(before, after),
        "by": _signer(row.by),
        "decided_by": _signer(row.decided_by),
        "waits": row.outcome is None,
        "own": own,
        "errors": errors,
        "preview": _preview(row.event_id, preview.cells_of(row)) if row.outcome is None else None,
        "back_url": rules_url(row.event_id, row.region_id),
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
