"""My work, the call and what it found, a person's page, who is one person."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bihuan.access.middleware import allow, reading, status_of
from bihuan.access.pages import act_of, error_of, new_act, next_url, once
from bihuan.access.permissions import Permission, Role
from bihuan.identity import actions as identity
from bihuan.identity import queries as people
from bihuan.identity.loops import SETTLE
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.kernel.text import mask_document, mask_name, mask_phone
from bihuan.leads import actions, forms, queries
from bihuan.leads.facts import Result
from bihuan.leads.loops import REFER, RESULT, SAMPLE, VERIFY
from bihuan.leads.models import Lead
from bihuan.loops.handle import BULK_MAX
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

UNDO_KEY = "undo"
# Roles that may read 初筛阳性 beside a name: the county's and the city's desks.
_MEDICAL = (Role.CITY_DESK, Role.COUNTY_DESK)
_VILLAGE_LEVEL = 5
_PHONES_SHOWN = 3

KINDS = {
    VERIFY.name: _lazy("核查"),
    SAMPLE.name: _lazy("采样"),
    RESULT.name: _lazy("出结果"),
    REFER.name: _lazy("转协查"),
    SETTLE.name: _lazy("核对是否同一人"),
}
_WHAT = {
    VERIFY.name: _lazy("打电话问问哪天到的"),
    SAMPLE.name: _lazy("安排采样"),
    RESULT.name: _lazy("等检测结果，出来就记"),
    REFER.name: _lazy("等对方城市答复"),
    SETTLE.name: _lazy("看看是不是同一个人"),
}
_PAGE_OF = {VERIFY.name: "act", SAMPLE.name: "sample", RESULT.name: "result", REFER.name: "referral"}
SOURCES = {
    "data": _lazy("数据推送"),
    "unit": _lazy("单位上报"),
    "community": _lazy("社区排查"),
    "telecom": _lazy("运营商提醒"),
    "self": _lazy("本人报备"),
}
_TRIED = {
    "not_reached": _lazy("没人接"),
    "wrong_number": _lazy("号码不对"),
    "not_agreed": _lazy("暂未配合"),
    "not_here_yet": _lazy("还没到"),
}
_FOUND = {
    "here": _lazy("人在家"),
    "gone_on": _lazy("已去别处"),
    "will_not_come": _lazy("不来了"),
    "nothing_required": _lazy("不用管"),
}
_OUTCOMES = {**_TRIED, **_FOUND}
_RESULTS = {Result.NEGATIVE: _lazy("阴性"), Result.INITIAL_POSITIVE: _lazy("初筛阳性（待复核）"), Result.INVALID: _lazy("无效，要重新采")}
_MOVES = {
    "opened": _lazy("开始由"),
    "offered": _lazy("移交"),
    "accepted": _lazy("接收"),
    "returned": pgettext_lazy("duty", "退回"),
    "expired": _lazy("移交过时"),
    "reassigned": _lazy("改派"),
    "extended": _lazy("改了时限"),
    "closed": _lazy("办结"),
}
_HANDLED = {
    "offered": _lazy("移交给{unit}，等对方接收"),
    "accepted": _lazy("接收"),
    "returned": _lazy("退回，没有接收"),
    "expired": _lazy("移交过时，仍由原单位管"),
    "reassigned": _lazy("改派给{unit}"),
    "assigned": _lazy("分派给{officer}"),
    "waived": _lazy("免办（已批准）"),
    "voided": _lazy("作废一条记录"),
    "merged": _lazy("与另一件合并"),
    "succeeded": _lazy("重新需要办理"),
}
_RULES = {
    "name_phone": _lazy("同一姓名和电话"),
    "phone": _lazy("同一电话，只有这一位成年人使用"),
    "officer": _lazy("工作人员判定"),
}
PURPOSES = {
    "call": _lazy("打电话核查"),
    "visit": _lazy("上门"),
    "medical": _lazy("安排就医"),
    "correct": _lazy("核对名单有没有写错"),
    "refer": _lazy("转给别的城市"),
}


def say(stored: str | None) -> str:
    """Words kept in a record, in the reader's language where they are ours; an officer's own words stay as they are."""
    return _(stored) if stored else ""


def clock_time(moment: datetime) -> str:
    return f"{moment.astimezone(clock.SHANGHAI):%H:%M}"


def day_words(day: date) -> str:
    return dateformat.format(day, _("n月j日"))


def is_medical(post: Any) -> bool:
    return post.role in _MEDICAL


# --- lines of my work ---------------------------------------------------------------------------------------------


def name_of(person: Any) -> tuple[str, str]:
    """(masked name, "person") or (masked number, "phone_lead") of a person as opened; an unknown one is a dash."""
    if person is None:
        return "—", "person"
    if person.name:
        return mask_name(person.name), "person"
    if person.docs:
        return mask_document(person.docs[0]), "person"
    return (mask_phone(person.phones[0]) if person.phones else "—"), "phone_lead"


def place_of(duty: Mapping[str, Any], person: Any, post: Any) -> list[str] | str:
    """What the reader calls the place: door or group for the village, the units for those above."""
    if post.role == Role.VILLAGE_WORKER:
        address = person.addresses[0] if person and person.addresses else ""
        return _door(address, duty["region_name"])
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
    """Duties as rows of components/work_line.html. Telephones stand only in lines that the reader's own unit holds."""
    post, found = request.post, queries.around(duties, now)
    rows = []
    for no, duty in enumerate(duties):
        person, lead, contact = found.people.get(duty["subject"]), found.leads.get(no), found.contacts.get(no)
        name, kind = name_of(person)
        mine = duty["owner"] == post.unit_id and duty.get("closed_at") is None
        held = contact.held if contact and contact.held and contact.held[:2] != (post.unit_id, post.officer_id) else None
        is_verify = queries.is_verify(duty["kind"])
        act_url = _act_url(duty, lead, found)
        tel = (
            person.phones[0]
            if person and person.phones and mine and is_verify and held is None and post.role == Role.VILLAGE_WORKER
            else ""
        )
        rows.append(
            {
                "loop": duty["id"],
                "number": no + 1,
                "name": name,
                "kind": kind,
                "lead_url": f"/leads/{lead['id']}" if lead else "",
                "place": place_of(duty, person, post),
                "what": _what(duty, lead, now),
                "source": _("、").join(str(SOURCES.get(s, s)) for s in lead["sources"]) if lead else "",
                "tries": contact.n_tries if contact and is_verify else 0,
                "due_at": duty["due_at"],
                "paused": queries.is_paused(duty, now),
                "owner": duty["owner_name"],
                "assignee": duty["assignee_name"] or "",
                "offered": duty["offered_to"] is not None,
                "offered_until": duty["offered_until"],
                "help_level": found.level.get(duty["id"], 0),
                "held_by": held[2] if held else "",
                "held_until": held[3] if held else None,
                "answered": answered_words(contact) if contact and contact.answered_by != post.unit.name else "",
                "act_url": act_url if duty.get("closed_at") is None else "",
                "tel": tel,
                "hold_url": f"/leads/{lead['id']}/call?act={new_act()}" if lead and tel else "",
                "is_first": no == 0,
                "closed_at": duty.get("closed_at"),
            }
        )
    return rows


def _what(duty: Mapping[str, Any], lead: Mapping[str, Any] | None, now: datetime) -> str:
    """The next act in words; somebody whom the lists expect later is asked about the arrival."""
    arrives = lead["arrived_to"] if lead else None
    if queries.is_verify(duty["kind"]) and arrives is not None and arrives > now:
        local = arrives.astimezone(clock.SHANGHAI)
        at = f"{local:%H:%M}" if local.date() == clock.today() else f"{day_words(local.date())} {local:%H:%M}"
        return _("名单写 %(at)s 到，打电话问问") % {"at": at}
    return str(_WHAT.get(duty["kind"], duty["kind"]))


def _act_url(duty: Mapping[str, Any], lead: Mapping[str, Any] | None, found: queries.Around) -> str:
    if duty["kind"] == SETTLE.name:
        pair = found.doubts.get((duty["subject"], duty["key"]))
        return f"/people/same/{pair[0]}/{pair[1]}" if pair else ""
    return f"/leads/{lead['id']}/{_PAGE_OF.get(duty['kind'], '')}".rstrip("/") if lead else ""


def _link(base: str, **values: Any) -> str:
    kept = {name: value for name, value in values.items() if value}
    return f"{base}?{urlencode(kept)}" if kept else base


@require_safe
def my_work(request: HttpRequest) -> HttpResponse:
    """The post's open duties, the first deadline first."""
    post = allow(request, Permission.LEAD_READ)
    now = clock.now()
    village = post.role == Role.VILLAGE_WORKER
    state = request.GET.get("state", "")
    state = "hands" if village else state if state in queries.STATES else "mine"
    kind = request.GET.get("kind", "") if request.GET.get("kind") in KINDS else ""
    q = request.GET.get("q", "").strip()[:50]
    below = [] if village else queries.units_below(post.unit_id)
    unit = next((u for u in below if str(u["id"]) == request.GET.get("unit")), None)
    within = regions.unit_range(unit["id"]) if unit else None
    chosen = queries.Filter(state=state, kind=kind, within=within, q=q)
    where, given = chosen.sql(post.unit_id, now)
    page = queries.page_of(where, given, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    tomorrow = clock.day_start(clock.today() + timedelta(days=1))
    n = queries.counts_of_states(post.unit_id, now, tomorrow, wide=not village)
    kept = {"state": "" if state in ("mine", "hands") else state, "kind": kind, "unit": unit["id"] if unit else "", "q": q}
    filters = None
    if not village:
        words = {"mine": _("我们的"), "offered": _("待接收"), "late": _("超时"), "helped": _("请我们协助"), "all": _("范围内全部")}
        filters = {
            "q": q,
            "state": "" if state == "mine" else state,
            "unit": unit["id"] if unit else "",
            "kind": kind,
            "url": "/duties",
            "states": [
                {
                    "key": "" if s == "mine" else s,
                    "label": words[s],
                    "n": n[s],
                    "url": _link("/duties", **{**kept, "state": "" if s == "mine" else s}),
                }
                for s in queries.STATES
            ],
            "units": [u for u in below if u["parent"] == post.unit_id],
            "kinds": [{"key": k, "label": label} for k, label in KINDS.items()],
            "narrowed": bool(q or kind or unit or state != "mine"),
        }
    rows = lines(request, page.duties, now)
    bulk = not village and post.may(Permission.DUTY_MOVE) and bool(rows)
    context = {
        "section": "work",
        "village": village,
        "n_today": n["today"],
        "n_late": n["mine_late"],
        "saved": queries.saved_calls(post.unit_id, clock.day_start(clock.today())) if village else None,
        "rows": rows,
        "bulk": bulk,
        "assignees": queries.officers_of(post.unit_id) if bulk and state == "mine" else [],
        "return_reasons": [{"code": code, "sentence": text} for code, text in forms.RETURNS.items()],
        "targets": _targets(below, post) if bulk and state != "offered" else [],
        "act": new_act(),
        "here": request.get_full_path(),
        "batch": {
            "accept_url": "/duties/accept" if state in ("offered", "all") else "",
            "assign_url": "/duties/assign" if state == "mine" else "",
            "return_url": {"mine": "/duties/return", "offered": "/duties/decline"}.get(state, ""),
            "reassign_url": "/duties/reassign" if below and state != "offered" else "",
        },
        "filters": filters,
        # A desk without duties of its own is still the one that villages ask: it is sent there, not to bed.
        "asked": {"n": n["helped"], "url": _link("/duties", state="helped")} if not village and n["helped"] else None,
        "page": {
            "shown": len(rows),
            "total": n[state] if not (q or kind or unit or village) else None,
            "before_url": _link("/duties", **kept, before=page.before) if page.before else "",
            "after_url": _link("/duties", **kept, after=page.after) if page.after else "",
        },
        "print_code": f"{post.unit_id}-{clock.today():%m%d}",
    }
    return render(request, "leads/_work_rows.html" if _wants_rows(request) else "leads/my_work.html", context)


def _wants_rows(request: HttpRequest) -> bool:
    return bool(request.htmx) and request.htmx.target == "work"


def _targets(below: list[dict[str, Any]], post: Any) -> list[dict[str, Any]]:
    """Units to which a superior may reassign: itself, and those below, grouped by the desk above them."""
    groups: dict[int, dict[str, Any]] = {0: {"name": _("本级"), "units": [{"id": post.unit_id, "name": post.unit.name}]}}
    for unit in below:
        groups.setdefault(unit["parent"], {"name": unit["parent_name"], "units": []})["units"].append(unit)
    return list(groups.values())


# --- changing hands -----------------------------------------------------------------------------------------------


def _remember(request: HttpRequest, text: str, act: UUID, window: timedelta) -> dict[str, Any]:
    """The page that follows offers to take the act back."""
    undo = {"text": text, "url": f"/undo/{act}", "until": (clock.now() + window).timestamp()}
    request.session[UNDO_KEY] = undo
    return {**undo, "until": clock.now() + window}


def _window(pack: str) -> timedelta:
    return packs.by_key(pack).lead.undo


def _chosen(request: HttpRequest) -> list[int]:
    chosen = {int(text) for text in request.POST.getlist("loop")[: BULK_MAX + 1] if text.isascii() and text.isdigit() and len(text) < 19}
    if not chosen:
        raise Refused("nothing_chosen", "请先选中要办的人。", "Please choose some lines first.")
    return sorted(chosen)


def _home(request: HttpRequest) -> str:
    return next_url(request, "/duties")


@require_POST
def move(request: HttpRequest, verb: str) -> HttpResponse:
    """Accept, assign, return or reassign the chosen duties. The same form sent twice is one act."""
    post = allow(request, Permission.DUTY_MOVE)
    page_act, loops = act_of(request), _chosen(request)
    reason = forms.stored(forms.RETURNS, request.POST.get("reason", "")) or " ".join(request.POST.get("why", "").split())[:200]
    if verb == "accept":
        call, text = (actions.accept, {}), _("已接收 %(n)s 件")
    elif verb == "assign":
        officer = request.POST.get("assignee", "")
        call, text = (actions.assign, {"officer": int(officer) if officer.isdigit() and len(officer) < 10 else None}), _("已分派 %(n)s 件")
    elif verb == "reassign":
        unit = request.POST.get("to_unit", "")
        if not unit.isdigit() or len(unit) > 9:
            raise Refused("unit_missing", "请选择改派给哪个单位。", "Please choose the unit.", "to_unit")
        reason = reason or "上级改派"
        call, text = (actions.reassign, {"to_unit": int(unit), "reason": reason}), _("已改派 %(n)s 件")
    else:  # declined: offered to us; returned: held by us, offered to the desk above
        call, text = (actions.decline if verb == "decline" else actions.give_back, {"reason": reason}), _("已退回 %(n)s 件")
    action, more = call
    act = ids.derived_id(page_act, verb, *loops, *sorted(more.items()))
    with once(request, act):  # the doors know a repeated act; here the second click only waits for the first
        done = action(by=post, loops=loops, act=act, **more)
    if isinstance(done, Refused):
        raise done
    with reading(request):
        pack = queries.rows("SELECT pack FROM loop WHERE id = ANY(%s) LIMIT 1", [loops])
    if pack and verb != "decline":
        _remember(request, text % {"n": done.n}, act, _window(pack[0]["pack"]))
    else:
        messages.success(request, text % {"n": done.n})
    return HttpResponseRedirect(_home(request))


@require_POST
def undo(request: HttpRequest, act: UUID) -> HttpResponse:
    """Take back one's own act while nothing rests on it."""
    post = allow(request, Permission.LEAD_READ)
    request.session.pop(UNDO_KEY, None)
    with once(request, ids.derived_id(act, "undo")) as known:
        done = None if known else actions.undo(by=post, act=act)
    if isinstance(done, Refused):
        raise done
    messages.success(request, _("已撤回，和没办过一样。"))
    return HttpResponseRedirect(_home(request))


# --- the call and what it found -----------------------------------------------------------------------------------


def _given(duty: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {"n": [0], "root": [duty["root"]], "key": [duty["key"]], "event": [duty["event"]]}


def _head(request: HttpRequest, lead: Lead, duty: Mapping[str, Any], person: Any) -> dict[str, Any]:
    """What every form about a lead shows above its fields."""
    name, _kind = name_of(person)
    return {
        "lead": {
            "name": name,
            "place": place_of(duty, person, request.post),
            "url": f"/leads/{lead.id}",
            "minor": bool(person and person.minor),
        },
        "due_at": duty["due_at"],
        "paused": queries.is_paused(duty, clock.now()),
        "section": "work",
    }


def _day_choice(day: date, word: str, checked: bool) -> dict[str, Any]:
    local = day_words(day)
    return {"value": day.isoformat(), "label": f"{word} {local}" if word else local, "checked": checked}


def _days(listed: datetime | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    today = clock.today()
    on = listed.astimezone(clock.SHANGHAI).date() if listed else None
    back = [today - timedelta(days=k) for k in range(5)]
    ahead = [today + timedelta(days=k) for k in range(5)]
    words_back, words_ahead = [_("今天"), _("昨天"), _("前天")], [_("今天"), _("明天"), _("后天")]
    return (
        [_day_choice(d, words_back[k] if k < 3 else "", d == on) for k, d in enumerate(back)],
        [_day_choice(d, words_ahead[k] if k < 3 else "", d == on) for k, d in enumerate(ahead)],
    )


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, lead: UUID) -> HttpResponse:
    """One call or visit: the page, and its answer."""
    allow(request, Permission.LEAD_VERIFY)
    if request.method == "POST":
        return _save_answer(request, lead)
    return _act_page(request, lead, new_act(), [])


def _act_page(request: HttpRequest, lead_id: UUID, fact_id: str, errors: list[dict[str, str]]) -> HttpResponse:
    post, now = request.post, clock.now()
    lead = queries.lead_of(lead_id)
    root = queries.root_of(lead.subject)
    duty = queries.open_duty(lead, root, VERIFY.name)
    if duty is None:
        return _go_to(request, f"/leads/{lead.id}")
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    contact = queries.contacts_of(_given(duty), now).get(0)
    held = contact.held if contact else None
    by_me = held is not None and held[:2] == (post.unit_id, post.officer_id)
    mine, asked = duty["owner"] == post.unit_id, duty["offered_to"] == post.unit_id
    phones = list(person.phones) if person else []
    unit, origin = post.unit.name, _origin(lead)
    context = _head(request, lead, duty, person)
    context["lead"] |= {
        "tel": phones[0] if phones and mine and (held is None or by_me) else "",
        "tel_masked": mask_phone(phones[0]) if phones else "",
        "tel_hidden": bool(phones) and not mine,
        "others": [{"tel": p, "masked": mask_phone(p)} for p in phones[1:_PHONES_SHOWN]] if mine else [],
        "tries": contact.n_tries if contact else 0,
        "source": _("、").join(str(SOURCES.get(s, s)) for s in lead.sources),
        "listed_on": lead.arrived_to,
        "came_from": origin,
    }
    back, ahead = _days(lead.arrived_to)
    context |= {
        "what": _WHAT[VERIFY.name],
        "answered": answered_words(contact),
        "errors": errors,
        "fact_id": fact_id,
        "hold": {"by": "" if by_me else held[2], "until": held[3]} if held else None,
        "hold_url": f"/leads/{lead.id}/call?act={new_act()}",
        "script": [
            _("您好，我是%(unit)s的工作人员。") % {"unit": unit},
            _("听说您最近从%(place)s过来，想问一句您哪天到的、现在住在哪里。") % {"place": origin}
            if origin
            else _("听说您最近从外地过来，想问一句您哪天到的、现在住在哪里。"),
            _("要是身体不舒服，或者要按时去医院，请告诉我，我们来安排。"),
        ],
        "call_back": duty["owner_phone"] if mine else post.unit.phone,
        "save_url": f"/leads/{lead.id}/act",
        "days_back": back,
        "days_ahead": ahead,
        "reasons_nothing": [{"code": code, "sentence": text} for code, text in forms.NOTHING.items()],
        "return_url": "/duties/decline" if asked else "/duties/return" if mine else "",
        "accept_url": "/duties/accept" if asked else "",
        "return_reasons": [{"code": code, "sentence": text} for code, text in forms.RETURNS.items()],
        "loop": duty["id"],
        "act": new_act(),
        "asked": asked,
        "giver": duty["owner_name"],
        "back_url": "/duties",
    }
    return render(request, "leads/act.html", context, status=422 if errors else 200)


def _go_to(request: HttpRequest, url: str) -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Redirect": url}) if request.htmx else HttpResponseRedirect(url)


def _save_answer(request: HttpRequest, lead_id: UUID) -> HttpResponse:
    post, fact_id = request.post, act_of(request, "fact_id")
    with reading(request):
        lead = queries.lead_of(lead_id)
    try:
        answer = forms.answer_of(request.POST, lead.arrived_to)
    except Refused as refused:
        early = refused
        return _again(request, early, lambda: _act_page(request, lead_id, str(fact_id), [error_of(early)]))
    action = actions.verify if answer.settles else actions.try_contact
    with once(request, fact_id) as known:
        if known:
            _require_same(request, fact_id, answer.values)
            done = None
        else:
            done = action(by=post, lead=lead.id, fact_id=fact_id, **answer.values)
    if isinstance(done, Refused):
        return _again(request, done, lambda: _act_page(request, lead_id, str(fact_id), [error_of(done)]))
    return _saved(request, lead, fact_id, _("已保存：%(what)s") % {"what": _OUTCOMES[answer.values["outcome"]]})


def _again(request: HttpRequest, refused: Refused, page: Callable[[], HttpResponse]) -> HttpResponse:
    """A refused form comes back with its reason; what is hidden or forbidden is an error page."""
    if status_of(refused) != 409:
        raise refused
    with reading(request):
        return page()


def _require_same(request: HttpRequest, fact: UUID, values: Mapping[str, Any]) -> None:
    """The page was used before: the same content is the same act, other content must not be lost in silence."""
    with reading(request):
        before = queries.said(fact)
    if before is None or any(before.get(name) != value for name, value in values.items() if value not in (None, "")):
        what = str(_OUTCOMES.get(before.get("outcome"), "")) if before else ""
        raise Refused(
            "act_used",
            f"这一页刚才已经保存过{f'（{what}）' if what else ''}，这一次没有保存。要改请先撤回或作废，再重新打开办理。",
            "This page was already saved once; nothing was saved now. Take that back first, then open it anew.",
        )


def _saved(request: HttpRequest, lead: Lead, act_id: UUID, text: str) -> HttpResponse:
    """After an act: the next line at a desk's sheet; the list, or where one came from, elsewhere. It can be taken back for some seconds."""
    with reading(request):
        pack = queries.rows("SELECT pack FROM loop WHERE event = %s AND subject = %s ORDER BY id DESC LIMIT 1", [lead.event, lead.subject])
        undo_shown = _remember(request, text, act_id, _window(pack[0]["pack"])) if pack else None
        if not request.htmx:
            return HttpResponseRedirect(_home(request))
        request.session.pop(UNDO_KEY, None)  # the sheet shows it itself
        where, given = queries.Filter(state="mine").sql(request.post.unit_id, clock.now())
        coming = queries.page_of(where, given).duties[:1]
        row = lines(request, coming, clock.now())[0] if coming else None
        following = {"name": row["name"], "url": row["act_url"]} if row and row["act_url"] else None
        context = {"text": text, "next": following, "undo": undo_shown}
        response = render(request, "leads/_saved.html", context)
        response.headers["HX-Trigger"] = "work-changed"
        return response


@require_POST
def call(request: HttpRequest, lead: UUID) -> HttpResponse:
    """Somebody dials: the person is held for this caller, and that the number was read is recorded."""
    post = allow(request, Permission.LEAD_VERIFY)
    try:
        made = UUID(request.GET.get("act", ""))
    except ValueError:
        made = ids.new_id()
    with reading(request):
        found = queries.lead_of(lead)
    with once(request, made) as known:
        if known:
            return JsonResponse({"ok": True, "repeated": True})
        done = actions.start_call(by=post, lead=found.id, fact_id=made)
        if isinstance(done, Refused):
            return JsonResponse({"ok": False, **error_of(done)}, status=status_of(done))
        if post.may(Permission.PERSON_UNMASK):
            identity.phones_for_call(by=post, event=found.event, subjects=[found.subject], act=ids.derived_id(made, "phone"))
    return JsonResponse({"ok": True})


# --- sample, result, another city's answer ------------------------------------------------------------------------

_STEPS: dict[str, dict[str, Any]] = {
    "sample": {"loop": SAMPLE, "form": forms.SampleForm, "permission": Permission.SAMPLE_RECORD, "template": "leads/sample.html"},
    "result": {"loop": RESULT, "form": forms.ResultForm, "permission": Permission.RESULT_RECORD, "template": "leads/result.html"},
    "referral": {"loop": REFER, "form": forms.ReferralForm, "permission": Permission.REFERRAL_ANSWER, "template": "leads/referral.html"},
}


@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, lead: UUID, name: str) -> HttpResponse:
    """A plain form for what comes after the verification."""
    allow(request, _STEPS[name]["permission"])
    form_class = _STEPS[name]["form"]
    if request.method != "POST":
        return _step_page(request, lead, name, form_class(), new_act(), [])
    fact_id, form = act_of(request, "fact_id"), form_class(request.POST)
    if not form.is_valid():
        errors = [
            {"field": f"id_{f}", "sentence": f"{form.fields[f].label}：{e[0]}" if f in form.fields else e[0], "code": "form"}
            for f, e in form.errors.items()
        ]
        with reading(request):
            return _step_page(request, lead, name, form, str(fact_id), errors)
    with reading(request):
        found = queries.lead_of(lead)
    try:
        action, values, text = _step_values(name, form)
    except Refused as refused:
        early = refused
        return _again(request, early, lambda: _step_page(request, lead, name, form, str(fact_id), [error_of(early)]))
    with once(request, fact_id) as known:
        if known:
            _require_same(request, fact_id, {k: v for k, v in values.items() if not k.endswith("_at")})
            done = None
        else:
            done = action(by=request.post, lead=found.id, fact_id=fact_id, **values)
    if isinstance(done, Refused):
        return _again(request, done, lambda: _step_page(request, lead, name, form, str(fact_id), [error_of(done)]))
    return _saved(request, found, fact_id, _("已保存：%(what)s") % {"what": text})


def _step_values(name: str, form: Any) -> tuple[Callable[..., Any], dict[str, Any], str]:
    data = form.cleaned_data
    if name == "sample":
        return actions.sample, {"sampled_at": form.moment("sampled_at"), "place": data["place"], "tube": data["tube"]}, _("已采样")
    if name == "result":
        result = Result(data["result"])
        return actions.record_result, {"result": result, "resulted_at": form.moment("resulted_at")}, str(_RESULTS[result])
    return actions.answer_referral, {"accepted": data["accepted"] == "yes", "answer": data["answer"]}, _("对方的答复")


def _step_page(request: HttpRequest, lead_id: UUID, name: str, form: Any, fact_id: str, errors: list[dict[str, str]]) -> HttpResponse:
    lead = queries.lead_of(lead_id)
    root = queries.root_of(lead.subject)
    duty = queries.open_duty(lead, root, _STEPS[name]["loop"].name)
    if duty is None:
        return _go_to(request, f"/leads/{lead.id}")
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    context = _head(request, lead, duty, person) | {
        "form": form,
        "errors": errors,
        "save_url": f"/leads/{lead.id}/{name}",
        "back_url": f"/leads/{lead.id}",
        "fact_id": fact_id,
    }
    return render(request, _STEPS[name]["template"], context, status=422 if errors else 200)


# --- a person's page ----------------------------------------------------------------------------------------------


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
    name, kind = name_of(person)
    duties = queries.duties_of(lead, root)
    found = queries.timeline(lead, root)
    named = queries.origin_names([f["origin"] for f in found if f["origin"]])
    found = [f | {"origin": named.get(f["origin"], f["origin"])} for f in found]
    contact = queries.contacts_of({"n": [0], "root": [root], "key": [lead.key], "event": [lead.event]}, now).get(0)
    first = duties[0] if duties else None
    around = queries.around(duties, now) if duties else None
    standing = next((f for f in found if f["kind"] == "leads.lead_verified" and not f["voided"]), None)
    context = {
        "section": "work",
        "lead": {
            "name": whole.name if whole else name,
            "kind": kind,
            "whole": whole is not None,
            "whole_until": None,
            "phone": _("、").join(whole.phones) if whole else mask_phone(person.phones[0]) if person and person.phones else "—",
            "document": _("、").join(whole.docs) if whole else mask_document(person.docs[0]) if person and person.docs else "—",
            "address": _("；").join(whole.addresses) if whole else _("已遮盖") if person and person.addresses else "—",
            "came_from": _origin(lead) or "—",
            "arrived": _arrived(lead),
            "place": _where(lead, first, post, person),
            "minor": bool(person and person.minor),
            "treatment": _treatment(standing),
        },
        "why": _why(root, post),
        "unmask": {"url": f"/leads/{lead.id}/unmask", "act": new_act(), "purposes": [{"code": c, "label": p} for c, p in PURPOSES.items()]}
        if post.may(Permission.PERSON_UNMASK) and whole is None
        else None,
        "owner": _owner(duties, found, lead, root),
        "answered": answered_words(contact),
        "duties": [
            {
                "what": _(str(KINDS.get(d["kind"], d["kind"]))),
                "owner": d["owner_name"],
                "phone": d["owner_phone"],
                "due_at": d["due_at"],
                "paused": queries.is_paused(d, now),
                "help_level": around.level.get(d["id"], 0) if around else 0,
                "act_url": _act_url(d, {"id": lead.id}, around) if around else "",
            }
            for d in duties
        ],
        "reports": _reports(found),
        "movements": [
            {
                "at": m["received_at"],
                "what": f"{KINDS.get(m['kind'], m['kind'])} · {_MOVES.get(m['what'], m['what'])}",
                "from_unit": m["from_name"] if m["to_name"] != m["from_name"] else "",
                "to_unit": m["to_name"] or "",
            }
            for m in queries.movements(lead, root)
        ],
        "entries": [entry for f in found if (entry := _entry(f, post)) is not None],
        "links": _links(found, root, post),
        "looked": [
            {"at": f["received_at"], "who": _who(f), "purpose": _(str(PURPOSES.get(f["purpose"], f["purpose"])))}
            for f in found
            if f["kind"] == "identity.unmasked"
        ],
        "correct": {"url": f"/leads/{lead.id}/correct"} if post.may(Permission.FACT_VOID) and any(_is_voidable(f) for f in found) else None,
        "act_url": next((u for d in duties if around and (u := _act_url(d, {"id": lead.id}, around))), ""),
        "back_url": "/duties",
    }
    return render(request, "leads/lead.html", context)


def _origin(lead: Lead) -> str:
    return queries.origin_names([lead.origin]).get(lead.origin, lead.origin)


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


def _who(fact: Mapping[str, Any]) -> str:
    return f"{fact['unit_name'] or _('系统')} {fact['officer'] or ''}".strip()


def _reports(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    reported = [f for f in found if f["kind"] == "leads.lead_reported"]
    names = queries.files_of([f["file"] for f in reported if f["file"] is not None])
    return [
        {
            "source": SOURCES.get(f["source"], f["source"]),
            "list": names.get(f["file"], "") if f["file"] else "",
            "url": f"/intake/{f['file']}" if f["file"] in names else "",
            "row": (f"{f['sheet']} " if f["sheet"] else "") + _("第 %(n)s 行") % {"n": f["row"]} if f["row"] else "",
            "says": _says(f),
            "at": f["received_at"],
        }
        for f in reported
    ]


def _says(report: Mapping[str, Any]) -> str:
    parts = []
    if report["origin"]:
        parts.append(_("从%(place)s来") % {"place": report["origin"]})
    if report["arrived_at"]:
        local = report["arrived_at"].astimezone(clock.SHANGHAI)
        at = day_words(local.date()) + (f" {local:%H:%M}" if report["arrived_precision"] == "minute" else "")
        parts.append(_("%(at)s 到") % {"at": at})
    return _("，").join(parts) or "—"


def _links(found: list[dict[str, Any]], root: UUID, post: Any) -> list[dict[str, Any]]:
    """Why these records are one person: the same evidence, or a join of two pieces of evidence."""
    n = sum(f["kind"] == "leads.lead_reported" for f in found)
    shown = [
        {
            "text": str(_RULES.get(k["rule"], k["rule"])) + (f"：{say(k['reason'])}" if k["reason"] else ""),
            "at": k["received_at"],
            "undo_url": f"/people/same/{k['a']}/{k['b']}" if post.may(Permission.IDENTITY_SETTLE) else "",
        }
        for k in queries.links(root)
    ]
    if not shown and n > 1:
        shown = [{"text": _("几份名单写的证件号码或姓名电话完全一样"), "at": None, "undo_url": ""}]
    return shown


_PLAIN = {
    "leads.call_started": _lazy("开始打电话"),
    "leads.lead_split": _lazy("拆开以后，作为另一个人重新核查"),
    "identity.doubted": _lazy("可能与另一条记录是同一人，等人核对"),
    "identity.linked": _lazy("与另一条记录认定为同一人"),
    "identity.unlinked": _lazy("与另一条记录拆开"),
}


def _entry(fact: Mapping[str, Any], post: Any) -> dict[str, Any] | None:
    """A record in the officer's words; None for what stands elsewhere on the page."""
    kind, detail, shown = fact["kind"], "", "fact"
    if kind in ("identity.unmasked", "loops.help_asked", "loops.voided"):
        return None
    if kind == "leads.lead_reported":
        what, detail = _("%(source)s报来") % {"source": SOURCES.get(fact["source"], fact["source"])}, _says(fact)
    elif kind == "leads.contact_tried":
        what, detail = _("联系：%(what)s") % {"what": _TRIED.get(fact["outcome"], fact["outcome"])}, say(fact["reason"])
        if fact["next_try_at"]:
            detail = _("说 %(at)s 到") % {
                "at": f"{day_words(fact['next_try_at'].astimezone(clock.SHANGHAI).date())} {clock_time(fact['next_try_at'])}"
            }
    elif kind == "leads.lead_verified":
        what, shown = _("核查：%(what)s") % {"what": _FOUND.get(fact["outcome"], fact["outcome"])}, "closed"
        since = _("%(day)s到的") % {"day": day_words(fact["here_since"])} if fact["here_since"] else ""
        detail = _("；").join(part for part in (since, fact["destination"], say(fact["reason"])) if part)
    elif kind == "leads.lead_sampled":
        what, detail = _("已采样"), _("；").join(p for p in (fact["place"], fact["tube"]) if p)
    elif kind == "leads.result_recorded":
        what, shown = _result_words(fact["result"], post), "closed"
    elif kind == "leads.referral_answered":
        what, detail = (_("对方城市接了") if fact["accepted"] else _("对方城市没有接")), fact["answer"]
    elif kind == "identity.settled":
        what = _("核对结果：是同一个人") if fact["same"] else _("核对结果：不是同一个人") if fact["same"] is False else _("核对已不需要")
    elif kind.startswith("loops."):
        words = str(_HANDLED.get(kind.removeprefix("loops."), kind)).format(
            unit=fact["to_unit"] or "", officer=fact["to_officer"] or _("本单位")
        )
        what, detail, shown = f"{KINDS.get(fact['loop_kind'], '')} · {words}".strip(" ·"), say(fact["reason"]), "moved"
    else:
        what = str(_PLAIN.get(kind, kind))
        detail = (
            " · ".join(p for p in (str(_RULES.get(fact["rule"], "")), say(fact["reason"])) if p) if kind.startswith("identity.") else ""
        )
    late = fact["received_at"] - fact["happened_at"] >= timedelta(minutes=1)
    if fact["voided"]:
        detail = _("；").join(p for p in (detail, _("作废原因：%(why)s") % {"why": say(fact["void_reason"])}) if p)
    return {
        "at": fact["happened_at"],
        "who": _who(fact),
        "what": what,
        "detail": detail,
        "kind": shown,
        "voided": fact["voided"],
        "url": "",
        "late_by": _("补记，%(at)s 录入") % {"at": clock_time(fact["received_at"])} if late else "",
    }


def _result_words(result: str, post: Any) -> str:
    """Below the county no result stands beside a name: a first positive is no case, and a village is told what to do."""
    if is_medical(post):
        return _("结果：%(what)s") % {"what": _RESULTS.get(result, result)}
    if result == Result.INITIAL_POSITIVE:
        return _("请先别外出，等复核")
    return _("结果已出") if result == Result.NEGATIVE else _("要重新采样")


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
    with once(request, made) as known:
        whole = (
            None
            if known
            else identity.unmask(by=post, event=found.event, subject=found.subject, purpose=f"{purpose} {note}".strip(), act=made)
        )
    if isinstance(whole, Refused):
        raise whole
    with reading(request):
        if whole is None:  # the same reading again
            whole = people.opened_persons([found.subject], event=found.event)[found.subject]
        return _lead_page(request, lead, whole)


# --- withdrawing a record -----------------------------------------------------------------------------------------


def _is_voidable(fact: Mapping[str, Any]) -> bool:
    return (
        not fact["voided"]
        and fact["kind"].startswith("leads.")
        and fact["kind"] not in ("leads.lead_split", "leads.call_started", "leads.lead_reported")
    )


@require_http_methods(["GET", "HEAD", "POST"])
def correct(request: HttpRequest, lead: UUID) -> HttpResponse:
    """Which record is wrong, why, what follows; then it is withdrawn."""
    post = allow(request, Permission.FACT_VOID)
    if request.method != "POST":
        return _correct_page(request, lead, None, "", new_act(), [])
    made, reason = act_of(request), " ".join(request.POST.get("reason", "").split())[:200]
    try:
        entry = UUID(request.POST.get("entry", ""))
    except ValueError:
        missing = Refused("entry_missing", "请选择哪一条记错了。", "Please choose the record.")
        return _again(request, missing, lambda: _correct_page(request, lead, None, reason, str(made), [error_of(missing)]))
    with reading(request):
        found = queries.lead_of(lead)
        if request.POST.get("sure") != "yes":
            return _correct_page(request, lead, entry, reason, str(made), [])
    with once(request, made) as known:
        done = None if known else actions.void(by=post, fact=entry, reason=reason, act=made)
    if isinstance(done, Refused):
        return _again(request, done, lambda: _correct_page(request, lead, entry, reason, str(made), [error_of(done)]))
    messages.success(request, _("已作废。原来的记录划线保留。"))
    return HttpResponseRedirect(f"/leads/{found.id}")


def _correct_page(
    request: HttpRequest, lead_id: UUID, entry: UUID | None, reason: str, made: str, errors: list[dict[str, str]]
) -> HttpResponse:
    lead = queries.lead_of(lead_id)
    root = queries.root_of(lead.subject)
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    found = [f for f in queries.timeline(lead, root) if _is_voidable(f)]
    if entry is not None and entry not in {f["id"] for f in found} and not errors:
        raise Refused("fact_not_found", "没有这条办理记录，或不归您管。", "There is no such record, or it is not yours.")
    entries = [{"id": f["id"], "at": e["at"], "what": e["what"], "who": e["who"]} for f in found if (e := _entry(f, request.post))]
    context = {
        "section": "work",
        "lead": {"name": name_of(person)[0], "url": f"/leads/{lead.id}"},
        "entries": entries,
        "chosen": entry,
        "reason": reason,
        "effects": _effects(entry) if entry and reason and not errors else None,
        "errors": errors,
        "save_url": f"/leads/{lead.id}/correct",
        "act": made,
    }
    return render(request, "leads/correct.html", context, status=422 if errors else 200)


def _effects(entry: UUID) -> list[str]:
    """What withdrawing a record does: duties that it closed come back, duties that it opened end."""
    found = queries.rows(
        "SELECT l.kind, l.closed_by = %(f)s AS back, u.name FROM loop l JOIN unit u ON u.id = l.owner"
        " WHERE l.closed_by = %(f)s OR (l.opened_by = %(f)s AND l.closed_at IS NULL) ORDER BY l.id",
        {"f": entry},
    )
    said = [
        (_("“%(what)s”会回来，仍由%(unit)s办") if row["back"] else _("“%(what)s”不再需要办（%(unit)s）"))
        % {"what": KINDS.get(row["kind"], row["kind"]), "unit": row["name"]}
        for row in found
    ]
    return said or [_("没有待办事项因此改变")]


# --- who is one person --------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def same(request: HttpRequest, a: UUID, b: UUID) -> HttpResponse:
    """Are these two one person? Also where a join that was made is taken apart."""
    post = allow(request, Permission.IDENTITY_SETTLE)
    if request.method != "POST":
        return _same_page(request, a, b, new_act(), [])
    decision, made = request.POST.get("decision", ""), act_of(request, "fact_id")
    if decision not in ("same", "different"):
        return HttpResponseRedirect("/duties")
    note = " ".join(request.POST.get("note", "").split())[:200]
    with reading(request):
        if people.seen([a, b]) != {a, b}:
            raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
        asked, event = _doubt(a, b)
    act_id = ids.derived_id(made, decision, a, b)
    reason = note or ("核对后认定是同一人" if decision == "same" else "核对后认定不是同一人")
    door = identity.settle if asked else identity.link if decision == "same" else identity.unlink
    more = {"same": decision == "same"} if asked else {}
    with once(request, act_id) as known:
        done = None if known else door(by=post, event=event, a=a, b=b, reason=reason, act=act_id, **more)
    if isinstance(done, Refused):
        return _again(request, done, lambda: _same_page(request, a, b, str(made), [error_of(done)]))
    messages.success(request, _("已记下。定错了可以再拆开。"))
    return HttpResponseRedirect(_home(request))


def _doubt(a: UUID, b: UUID) -> tuple[dict[str, Any] | None, int]:
    first, second = max(a, b), min(a, b)
    found = queries.rows(
        "SELECT d.why, f.event, l.due_at, l.pack FROM doubt d JOIN fact f ON f.id = d.fact LEFT JOIN loop l ON l.opened_by = d.fact AND l.closed_at IS NULL"
        " WHERE d.a = %s AND d.b = %s AND d.ended_by IS NULL LIMIT 1",
        [first, second],
    )
    if found:
        return found[0], found[0]["event"]
    event = queries.rows("SELECT event FROM identity WHERE subject = ANY(%s) ORDER BY event DESC LIMIT 1", [[a, b]])
    return None, event[0]["event"] if event else 0


def _same_page(request: HttpRequest, a: UUID, b: UUID, made: str, errors: list[dict[str, str]]) -> HttpResponse:
    if people.seen([a, b]) != {a, b}:
        raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
    doubt, event = _doubt(a, b)
    own = {subject: _alone(subject, event) for subject in (a, b)}
    left, right = own[a], own[b]
    fields = [
        _compared(_("姓名"), left["names"], right["names"], mask_name),
        _compared(_("证件号码"), left["docs"], right["docs"], mask_document),
        _compared(_("电话"), left["phones"], right["phones"], mask_phone),
        _compared(_("住址"), left["addresses"], right["addresses"], lambda t: t[:6] + "…"),
        _compared(_("出生年份"), left["years"], right["years"], str),
        _compared(_("性别"), left["sexes"], right["sexes"], _sex),
    ]
    context = {
        "section": "work",
        "errors": errors,
        "fact_id": made,
        "save_url": f"/people/same/{a}/{b}",
        "fields": fields,
        "pair": {
            "fields": fields,
            "reasons": [_("%(what)s一样") % {"what": f["label"]} for f in fields if f["agrees"]],
            "against": [_("%(what)s不一样") % {"what": f["label"]} for f in fields if f["agrees"] is False],
        },
        "left": _side(a, left, event),
        "right": _side(b, right, event),
        "due_at": doubt["due_at"] if doubt else None,
        "paused": queries.is_paused(doubt, clock.now()) if doubt and doubt["pack"] else False,
        "left_over": len(people.doubts()),
    }
    return render(request, "identity/settle.html", context, status=422 if errors else 200)


def _alone(subject: UUID, event: int) -> dict[str, Any]:
    """What one record says by itself, without those that are joined to it."""
    return queries.evidence_of(subject, event)


def _sex(code: str) -> str:
    return {"f": _("女"), "m": _("男")}.get(code, code)


def _compared(label: str, left: tuple, right: tuple, mask: Callable[[Any], str]) -> dict[str, Any]:
    agrees = None if not left or not right else bool(set(left) & set(right))
    return {
        "label": label,
        "left": _("、").join(mask(v) for v in left[:3]),
        "right": _("、").join(mask(v) for v in right[:3]),
        "agrees": agrees,
    }


def _side(subject: UUID, said: dict[str, Any], event: int) -> dict[str, Any]:
    reported = queries.rows(
        "SELECT r.source, count(*) AS n FROM fact f JOIN lead_reported r ON r.fact = f.id WHERE f.subject = %s AND f.event = %s GROUP BY 1 ORDER BY 1",
        [subject, event],
    )
    duties = queries.rows(
        "SELECT l.kind, u.name FROM loop l JOIN unit u ON u.id = l.owner WHERE l.subject = %s AND l.closed_at IS NULL ORDER BY l.due_at",
        [subject],
    )
    lead = queries.rows("SELECT id FROM lead WHERE subject = %s AND event = %s AND merged_into IS NULL LIMIT 1", [subject, event])
    title = mask_name(said["names"][0]) if said["names"] else mask_phone(said["phones"][0]) if said["phones"] else "—"
    return {
        "title": title,
        "url": f"/leads/{lead[0]['id']}" if lead else "",
        "lists": _("、").join(f"{SOURCES.get(r['source'], r['source'])} {r['n']}" for r in reported) or "—",
        "duties": _("、").join(f"{KINDS.get(d['kind'], d['kind'])}（{d['name']}）" for d in duties) or "—",
    }


# --- finding a person ---------------------------------------------------------------------------------------------


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """People of the post's range by name or whole phone number; masked."""
    post = allow(request, Permission.LEAD_READ)
    q = request.GET.get("q", "").strip()[:50]
    rows, now = None, clock.now()
    if q:
        found = queries.people_found(q)
        opened: dict[UUID, Any] = {}
        for event in sorted({f["event"] for f in found}):
            opened |= people.opened_persons([f["subject"] for f in found if f["event"] == event], event=event)
        rows = [_person_row(f, opened.get(f["subject"]), now) for f in found]
    return render(
        request,
        "leads/people.html",
        {"section": "persons", "q": q, "rows": rows, "page": {"shown": len(rows or []), "total": None}, "post": post},
    )


def _person_row(found: Mapping[str, Any], person: Any, now: datetime) -> dict[str, Any]:
    name, kind = name_of(person)
    return {
        "name": name,
        "number_only": kind == "phone_lead",
        "phone": mask_phone(person.phones[0]) if person and person.phones else "—",
        "place": [found["parent_name"] or "", found["region_name"] or ""],
        "owner": found["owner_name"] or "",
        "what": KINDS.get(found["kind"], "") if found["kind"] else "",
        "due_at": found["due_at"],
        "paused": queries.is_paused(found, now) if found["kind"] else False,
        "url": f"/leads/{found['lead']}",
    }


urlpatterns = [
    path("duties", my_work, name="work"),
    *(path(f"duties/{verb}", move, {"verb": verb}) for verb in ("accept", "assign", "return", "decline", "reassign")),
    path("undo/<uuid:act>", undo),
    path("leads/<uuid:lead>", lead_page, name="lead"),
    path("leads/<uuid:lead>/act", act),
    path("leads/<uuid:lead>/call", call),
    path("leads/<uuid:lead>/unmask", unmask),
    path("leads/<uuid:lead>/correct", correct),
    *(path(f"leads/<uuid:lead>/{name}", step, {"name": name}) for name in _STEPS),
    path("people", find, name="people"),
    path("people/same/<uuid:a>/<uuid:b>", same),
]
