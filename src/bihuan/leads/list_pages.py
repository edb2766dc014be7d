"""A list under its number: what can be done with all of it, on paper, in a workbook, or at once."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, new_act
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import bulk, duty_lists, export, forms, group_text, paper, queries
from bihuan.leads.lines import lines
from bihuan.leads.models import DutyList
from bihuan.leads.verbs import SUPERIORS, VERBS
from bihuan.leads.words import KINDS, PURPOSES
from bihuan.leads.work_pages import filter_of, picked, state_words, targets
from bihuan.loops.writes import BULK_MAX
from bihuan.regions import queries as regions

_MOVES = ("assign", "offer", "return", "accept", "decline", "reassign", "waive")
_NEEDS = {
    "here": "since",
    "sampled": "at",
    "nothing_required": "nothing",
    "assign": "officer",
    "reassign": "target",
    "offer": "unit",
    "return": "reason",
    "decline": "reason",
    "waive": "waive",
}
_HINTS = {
    "not_reached": _lazy("事情还要办，只记一次没打通"),
    "offer": _lazy("对方接收之前仍由原单位管"),
    "return": _lazy("上一级接收之前仍由您单位管"),
    "reassign": _lazy("马上生效，不用对方接收"),
    "waive": _lazy("不办了，写明原因，签您的名；件数多的还要第二个人签"),
    "here": _lazy("要是还没问过“最近要按时去医院吗”，系统会记为没问到"),
}
# What is offered for all at once. A first positive, "gone on" and "not agreed" need words of their own: one by one, or in a workbook.
_AT_ONCE = ("here", "not_reached", "will_not_come", "nothing_required", "sampled", "negative", *_MOVES)


@require_http_methods(["GET", "HEAD", "POST"])
def lists(request: HttpRequest) -> HttpResponse:
    """The unit's lists; a POST keeps the present one under a number."""
    post = allow(request, Permission.LEAD_READ)
    if request.method != "POST":
        wanted = request.GET.get("code", "").strip()
        number = duty_lists.number_of(wanted) if wanted else None
        if number is not None and DutyList.objects.filter(id=number, ends_at__gt=clock.now()).exists():
            return HttpResponseRedirect(f"/lists/{number}")
        rows = [row | {"code": duty_lists.code(row["id"])} for row in duty_lists.recent()]
        context = {"section": "work", "rows": rows, "wanted": wanted, "act": new_act(), "waiting": duty_lists.waiting(post)}
        return render(request, "leads/lists.html", context)
    act = act_of(request)
    with reading(request):
        below = [] if post.role == Role.VILLAGE_WORKER else queries.units_below(post.unit_id)
        chosen, unit = filter_of(request.POST, post, below)
    title = " · ".join(p for p in (_title(chosen), unit["name"] if unit else "") if p)
    some: Any = picked(request) if request.POST.get("which") != "all" else chosen
    number = duty_lists.freeze(by=post, chosen=some, title=title, act=act)
    if isinstance(number, Refused):
        raise number
    return HttpResponseRedirect(f"/lists/{number}/paper" if request.POST.get("go") == "paper" else f"/lists/{number}")


def _title(chosen: queries.Filter) -> str:
    state = state_words().get(chosen.state, _("今天要办"))
    return " · ".join(part for part in (state, str(KINDS.get(chosen.kind, ""))) if part)


def _shown(of: DutyList) -> dict[str, Any]:
    return {
        "number": of.id,
        "code": duty_lists.code(of.id),
        "title": of.title,
        "made_at": of.made_at,
        "ends_at": of.ends_at,
        "n": len(of.loops),
    }


@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    """One list: how far it is, and the ways to go on with it."""
    post = allow(request, Permission.LEAD_READ)
    return _one(request, post, number, [], "")


def _one(request: HttpRequest, post: Any, number: int, errors: list[dict[str, str]], ticks: str) -> HttpResponse:
    of = duty_lists.list_of(number)
    counts = duty_lists.counts(of.loops)
    kinds = [{"name": KINDS.get(kind, kind), "n": n} for kind, n in counts["kinds"].items()]
    q = request.GET.get("unit", "").strip()[:30]
    context = {
        "section": "work",
        "list": _shown(of),
        "open": counts["open"],
        "ended": counts["ended"],
        "kinds": kinds,
        "group_text": group_text.duty_list(
            post.unit.name,
            duty_lists.code(of.id),
            {name: counts[name] for name in ("open", "ended")},
            kinds,
            n=len(of.loops),
            now=clock.now(),
        ),
        "verbs": _verbs(post, counts["kinds"], duty_lists.holders(of.loops, post.unit_id)),
        "units": duty_lists.units_found(post.unit_id, q),
        "unit_q": q,
        "village": post.role == Role.VILLAGE_WORKER,
        "targets": targets(queries.units_below(post.unit_id), post) if post.role in SUPERIORS else [],
        "officers": queries.officers_of(post.unit_id),
        "return_reasons": [{"code": code, "sentence": text} for code, text in forms.RETURNS.items()],
        "nothing_reasons": [{"code": code, "sentence": text} for code, text in forms.NOTHING.items()],
        "today": clock.today(),
        "purposes": [{"code": code, "label": label} for code, label in PURPOSES.items()] if post.may(Permission.PERSON_UNMASK) else [],
        "acts": [new_act() for _ in range(4)],
        "errors": errors,
        "ticks": ticks,
    }
    return render(request, "leads/list.html", context, status=422 if errors else 200)


def _verbs(post: Any, kinds: dict[str, int], held: dict[str, int]) -> list[dict[str, Any]]:
    """What this post may say about duties of these kinds; `held`: how many are its unit's own, and how many are offered to it."""
    top = regions.above(post.unit_id, 1) == post.unit_id
    no = {"accept": not held["offered"], "decline": not held["offered"], "assign": not held["own"], "return": top or not held["own"]}
    found = []
    for name in _AT_ONCE:
        verb = VERBS[name]
        if no.get(name) or not post.may(verb.permission) or (verb.on and verb.on not in kinds):
            continue
        if name == "reassign" and post.role not in SUPERIORS:
            continue
        found.append(
            {
                "name": name,
                "title": verb.title,
                "on": KINDS.get(verb.on, ""),
                "n": kinds.get(verb.on) or {"accept": held["offered"], "decline": held["offered"]}.get(name, 0),
                "needs": _NEEDS.get(name, ""),
                "hint": _HINTS.get(name, ""),
                "act": new_act(),
                "moves": name in _MOVES,
            }
        )
    return found


@require_POST
def plan(request: HttpRequest, number: int) -> HttpResponse:
    """What is to be said about the whole list, or by number about some of it; shown before it is done."""
    post, act = allow(request, Permission.LEAD_READ), act_of(request)
    with reading(request):
        of = duty_lists.list_of(number)
        ticks = request.POST.get("ticks", "")[:20_000]
        unread: list[dict[str, str]] = []
        if request.POST.get("verb") == "ticks":
            kinds = {row["id"]: row["kind"] for row in queries.rows("SELECT id, kind FROM loop WHERE id = ANY(%s)", [of.loops])}
            read = paper.read(ticks, [kinds.get(loop, "") for loop in of.loops], clock.today(), _day(request.POST.get("since")))
            loops, said, unread = [of.loops[no - 1] for no in sorted(read.said)], [read.said[no] for no in sorted(read.said)], read.unread
        else:
            loops, said = of.loops, _said(request, post)
    done = bulk.plan(by=post, act=act, loops=loops, said=said, number=number, seen_at=of.made_at, unread=unread)
    if isinstance(done, Refused):
        raise done
    return HttpResponseRedirect(f"/plans/{act}")


def _said(request: HttpRequest, post: Any) -> dict[str, Any]:
    """One entry for all duties of the list, from the form of its verb. Refuses an unknown verb or a field that cannot be read."""
    data, verb = request.POST, request.POST.get("verb", "")
    if verb not in _AT_ONCE:
        raise Refused("outcome_missing", "请点一个结果。", "Please choose an outcome.", "how")
    said: dict[str, Any] = {"verb": verb}
    why = " ".join(data.get("why", "").split())[:200]
    if verb == "here":
        day = _day(data.get("since"))
        said |= {"since": day.isoformat() if day else None, "medical": "none" if data.get("medical") == "none" else "not_asked"}
    elif verb == "sampled":
        said["at"] = _moment(data.get("at"))
    elif verb == "nothing_required":
        said["reason"] = forms.stored(forms.NOTHING, data.get("reason", "")) or why
    elif verb == "assign":
        said["officer"] = _number(data.get("officer"))
    elif verb in ("reassign", "offer"):
        unit = _number(data.get("unit"))
        if unit is None:
            raise Refused("unit_missing", "请选择改派给哪个单位。", "Please choose the unit.", "to_unit")
        said |= {"unit": unit, "reason": why or ("上级改派" if verb == "reassign" else "")}
    elif verb in ("return", "decline"):
        said["reason"] = forms.stored(forms.RETURNS, data.get("reason", "")) or why
        if verb == "return":
            said["unit"] = regions.above(post.unit_id, 1)
    elif verb == "waive":
        said["reason"] = why
    return said


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Refused("date_unreadable", "日期看不懂，请重新选。", "The date cannot be read; please choose it again.", "since") from None


def _moment(text: str | None) -> str | None:
    if not text:
        return None
    try:
        return clock.parse_local(text).isoformat()
    except ValueError:
        raise Refused("time_unreadable", "几点写得看不懂，请写成 18:30。", "The time cannot be read; write 18:30.", "at") from None


# --- paper ----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def on_paper(request: HttpRequest, number: int) -> HttpResponse:
    """The list for A4: masked; in full for a stated purpose, on record."""
    post = allow(request, Permission.LEAD_READ)
    if request.method != "POST":
        return _paper(request, post, duty_lists.list_of(number), {})
    with reading(request):
        of = duty_lists.list_of(number)
    export.may_export(request, whole=True)
    act, purpose = act_of(request), export.purpose_of(request)
    whole = export.take(by=post, number=number, form="paper", whole=True, purpose=purpose, act=act)
    if isinstance(whole, Refused):
        raise whole
    with reading(request):
        return _paper(request, post, of, whole)


def _paper(request: HttpRequest, post: Any, of: DutyList, whole: dict) -> HttpResponse:
    duties = queries.duties_in_order(of.loops[:BULK_MAX])
    rows = lines(request, duties, clock.now())
    for row, duty in zip(rows, duties, strict=True):
        row["number"] = duty["no"]
        person = whole.get(duty["subject"])
        row |= (
            {"name": person.name or row["name"], "phone": _("、").join(person.phones), "address": _("；").join(person.addresses)}
            if person
            else {}
        )
    context = {
        "section": "work",
        "list": _shown(of),
        "rows": rows,
        "whole": bool(whole),
        "village": post.role == Role.VILLAGE_WORKER,
        "purposes": [{"code": code, "label": label} for code, label in PURPOSES.items()] if post.may(Permission.PERSON_UNMASK) else [],
        "act": new_act(),
    }
    return render(request, "leads/paper.html", context)


# --- workbook -------------------------------------------------------------------------------------------------------


@require_POST
def workbook(request: HttpRequest, number: int) -> HttpResponse:
    """The list as a workbook, to be filled in and sent back: masked, or in full for a stated purpose. On record either way."""
    whole = request.POST.get("whole") == "yes"
    allow(request, Permission.LEAD_READ)
    with reading(request):
        of = duty_lists.list_of(number)
    post = export.may_export(request, whole=whole)
    act, purpose = act_of(request), export.purpose_of(request)
    opened = export.take(by=post, number=number, form="workbook", whole=whole, purpose=purpose, act=act)
    if isinstance(opened, Refused):
        raise opened
    with reading(request):
        data = export.workbook(request, of, opened, purpose)
    response = HttpResponse(data, content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
    response.headers["Content-Disposition"] = f'attachment; filename="{duty_lists.code(of.id)}.xlsx"'
    return response


@require_POST
def come_back(request: HttpRequest) -> HttpResponse:
    """A workbook that was filled in: matched by the numbers of its rows, shown, then done as one act."""
    post, act = allow(request, Permission.LEAD_READ), act_of(request)
    file = request.FILES.get("file")
    if file is None:
        raise Refused("file_missing", "请选择改好的表格。", "Please choose the workbook.", "file")
    read = export.read_back(file.read(export.BYTES_MAX + 1), file.name)
    with reading(request):
        made_at: datetime | None = None
        if read.number is not None:
            made_at = DutyList.objects.filter(id=read.number).values_list("made_at", flat=True).first()
    unread = read.unread + ([{"at": "", "code": "left_blank", "n": read.n_blank}] if read.n_blank else [])
    number = read.number if made_at else None
    done = bulk.plan(by=post, act=act, loops=read.loops, said=read.said, number=number, seen_at=made_at or clock.now(), unread=unread)
    if isinstance(done, Refused):
        raise done
    return HttpResponseRedirect(f"/plans/{act}")
