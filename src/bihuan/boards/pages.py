"""The overview: each number opens the list that it counts."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_safe

from bihuan.access.middleware import allow
from bihuan.access.permissions import Permission, Role
from bihuan.boards import checks, listing, quality, quality_pages, queries, times_pages, touched
from bihuan.boards.here import UNIT_WORDS, children, crumbs, line_of
from bihuan.boards.here import here as here_of
from bihuan.boards.rows import gaps as gaps_of
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import group_text, standing, to_decide
from bihuan.ledger.models import Seal
from bihuan.loops.models import Reckoning
from bihuan.policy import preview
from bihuan.policy.adoption_pages import proposal_of
from bihuan.policy.queries import EVENT_KEY, event_in_use

REFRESH_SECONDS = 30
DENIED_SINCE = timedelta(hours=24)  # how far back refused requests are shown; a matter of display
_TITLES = {
    "held": _lazy("在管"),
    "new": _lazy("今日新增"),
    "closed": _lazy("今日办结"),
    "late": _lazy("超时"),
    "helped": _lazy("请求协助"),
    "phone_only": _lazy("仅有号码"),
    "gap": _lazy("对不上的人"),
}


@require_safe
def overview(request: HttpRequest, unit: int | None = None) -> HttpResponse:
    post, here = here_of(request, unit)
    return render(request, "boards/overview.html", {"section": "overview", **_shown(request, here)})


@require_safe
def figures(request: HttpRequest, unit: int) -> HttpResponse:
    post, here = here_of(request, unit)
    return render(request, "boards/_figures.html", _shown(request, here))


def _urls(here: int, of: str = "") -> dict[str, str]:
    part = f"&of={of}" if of else ""
    return {what: f"/overview/{here}/list?what={what}{part}" for what in (*queries.WHATS, "gap")}


def _line(
    name: str, place: queries.Place, sums: queries.Figures, urls: dict[str, str], *, opens: bool, total: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "url": f"/overview/{place.unit}" if opens else "",
        "phone": "" if total else place.phone,
        "zone": place.is_zone and not total,
        "held": sums.held,
        "new": sums.new,
        "closed": sums.closed,
        "late": sums.late,
        "helped": sums.helped,
        "urls": urls,
        "total": total,
    }


def _shown(request: HttpRequest, here: queries.Place) -> dict[str, Any]:
    post, event, now = request.post, event_in_use(request.session.get(EVENT_KEY)), clock.now()
    sees_people = post.may(Permission.LEAD_READ)
    below = children(here, queries.places(here.lo, here.hi, here.unit))
    found = queries.glance(event, here, below)
    sums = found.sums
    total = queries.Figures()
    for part in sums.values():
        total.add(part)
    gaps = gaps_of(queries.unreconciled(event), post) if sees_people else []
    held_here = sums[here.unit]
    lines_below = [_line(b.region, b, sums[b.unit], _urls(here.unit, str(b.unit)), opens=b.kind == "desk") for b in below]
    lines_below.insert(0, _line(_("本级"), here, held_here, _urls(here.unit, "own"), opens=False))
    asked = queries.asked_of(post.unit_id, event) if sees_people else []
    told = [group_text.UnitLine(u["name"], *(u[name] for name in ("held", "new", "closed", "late"))) for u in lines_below]
    whole = group_text.UnitLine("", total.held, total.new, total.closed, total.late)
    return {
        "region": here.region,
        "unit": here.unit,
        "crumbs": crumbs(post, here),
        "figures": {
            "url": f"/overview/{here.unit}/figures",
            "why_url": f"/why/unit/{here.unit}",
            "every": REFRESH_SECONDS,
            "cut_off": now,
            "verify_at": found.counted_at.get(standing.STRAYS),
            "counted_at": found.counted_at.get(standing.SOON_DUE),
            "held": total.held,
            "new": total.new,
            "closed": total.closed,
            "late": total.late,
            "gap": len(gaps),
            "missed": _missed(here, found) if sees_people else None,
            "missed_url": f"/sources/{here.unit}?days=0",
            "phone_only": found.counted.get(standing.NUMBER_ONLY, 0) if sees_people else None,
            "late_soon": found.counted.get(standing.SOON_DUE, 0) if sees_people else 0,
            "urls": _urls(here.unit),
        },
        "units": lines_below,
        "total": _line(_("合计"), here, total, _urls(here.unit), opens=False, total=True),
        "unit_word": UNIT_WORDS.get(here.level, ""),
        "gaps": gaps,
        "decide": to_decide.waiting(post) if here.unit == post.unit_id else None,
        "group_text": group_text.overview(here.region, whole, told, gap=len(gaps), next_at=found.next_due_at, now=now),
        "helps": [
            {
                "text": (_("%(unit)s：%(units)s 个单位 %(n)s 人超时") if a["n_units"] > 1 else _("%(unit)s：%(n)s 人超时"))
                % {"unit": a["name"], "units": a["n_units"], "n": a["n"]},
                "detail": _("已经打过 %(n)s 次电话") % {"n": a["tries"]} if a["tries"] else "",
                "since": a["since"],
                "phone": a["phone"],
                "url": f"/duties?state=helped&unit={a['unit']}",
            }
            for a in asked
        ],
    }


def _missed(here: queries.Place, counted: queries.Glance) -> dict[str, Any] | None:
    """How many no source reported, as last counted; None where that cannot be told."""
    together = quality.as_counted(counted.counted, counted.nowhere if here.parent is None else {})
    found = quality.missed(together, quality.usual({source for t in together for source in t.sources}))
    return quality_pages.rounded(found.estimate) if found.estimate else None


@require_safe
def listed(request: HttpRequest, unit: int) -> HttpResponse:
    """The duties that a figure counts, no more and no fewer."""
    post, here = here_of(request, unit)
    allow(request, Permission.LEAD_READ)
    what = request.GET.get("what", "held")
    if what not in queries.WHATS and what != "gap":
        raise Refused("unit_not_found", "没有这份清单。", "There is no such list.")
    event, of = event_in_use(request.session.get(EVENT_KEY)), request.GET.get("of", "")
    line = line_of(of, here)
    base = f"/overview/{unit}/list?what={what}" + (f"&of={of}" if of else "")
    context = listing.frame(base, f"{line.name} · {_TITLES[what]}", [{"name": here.region, "url": f"/overview/{unit}"}], "overview")
    if what == "gap":
        rows = gaps_of(queries.unreconciled(event), post)
        return render(request, "boards/list.html", context | {"gap_rows": rows, "page": {"shown": len(rows), "total": len(rows)}})
    where, given = queries.condition(what, event, line.units, line.below)
    return listing.listed(request, where, given, context, counted=_expected(what, event, line.units))


@require_safe
def touched_by(request: HttpRequest, proposal: int) -> HttpResponse:
    """The open duties that a proposed change of rules touches, masked as everywhere."""
    row = proposal_of(request, proposal)
    allow(request, Permission.LEAD_READ)
    found = preview.cells_of(row)
    where, given = touched.condition(row.event_id, found)
    above = [{"name": _("采用建议第 %(no)s 号") % {"no": row.id}, "url": f"/rules/proposals/{row.id}"}]
    title = _("采用建议第 %(no)s 号会影响的事项") % {"no": row.id}
    context = listing.frame(f"/rules/proposals/{row.id}/touched", title, above, "rules")
    return listing.listed(request, where, given, context, is_open=True)


def _expected(what: str, event: int, units: list[int]) -> int | None:
    """The figure by the counts; what the list lacks of it lies out of the reader's range by now."""
    if what not in ("held", "new", "closed", "late"):
        return None
    counted = queries.figures_by_unit(event)
    return sum(getattr(counted[u], what) for u in units if u in counted)


@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    """Whether the accounts balance, as the worker last found it; names no person."""
    allow(request, Permission.LEDGER_AUDIT)
    last, head = Reckoning.objects.order_by("-id").first(), Seal.objects.order_by("-epoch", "-no").first()
    context: dict[str, Any] = {"section": "accounts", "found": None, "head": None, "denied": queries.denied(clock.now() - DENIED_SINCE)}
    for row in context["denied"]:
        row["post"] = _(str(Role(row["role"]).label))
    if head is not None:
        context["head"] = {"no": head.no, "at": head.sealed_at, "chain": bytes(head.chain).hex()}
    if last is not None:
        report, language = last.report, get_language() or "zh"
        gaps = [
            {"check": gap["check"], "words": checks.words(gap["check"]), "text": gap["en" if language.startswith("en") else "zh"]}
            for gap in report["gaps"]
        ]
        wrong = Counter(checks.check_of(gap["check"]) for gap in gaps)
        words = {"event": _("全程"), "day": _("当日")}
        context["found"] = {
            "at": last.at, "ok": last.ok, "n_gaps": last.n_gaps, "gaps": gaps, "n_conflicts": report["notes"].get("conflict_open", 0),
            "balances": [{"words": words.get(name, name), **sums} for name, sums in report["balance"].items()],
            "checks": [
                {"name": name, "words": checks.words(name), "n": n, "n_gaps": wrong[name]}
                for name, n in sorted((dict.fromkeys(wrong) | report["checked"]).items(), key=lambda one: (-wrong[one[0]], one[0]))
            ],
        }  # fmt: skip
    return render(request, "boards/accounts.html", context)


urlpatterns = [
    path("accounts", accounts),
    path("overview", overview, name="overview"),
    path("overview/<int:unit>", overview),
    path("overview/<int:unit>/figures", figures),
    path("overview/<int:unit>/list", listed),
    path("sources", quality_pages.shown),
    path("sources/<int:unit>", quality_pages.shown),
    path("sources/<int:unit>/list", quality_pages.people),
    path("sources/<int:unit>/lost", quality_pages.lost),
    path("times", times_pages.shown),
    path("times/<int:unit>", times_pages.shown),
    path("times/<int:unit>/list", times_pages.people),
    path("rules/proposals/<int:proposal>/touched", touched_by),
]
