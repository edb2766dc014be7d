"""The call or visit, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from bihuan.access import late
from bihuan.access.middleware import allow, reading, status_of
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.identity import actions as identity
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import actions, forms, queries, told
from bihuan.leads.lines import answered_words, head_of, origin_of
from bihuan.leads.loops import VERIFY
from bihuan.leads.saving import again, go_to, require_same, saved
from bihuan.leads.words import OUTCOMES, SOURCES, WHAT, day_words
from bihuan.loops.meanwhile import tag

_PHONES_SHOWN = 3


def _given(duty: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {"n": [0], "root": [duty["root"]], "key": [duty["key"]], "event": [duty["event"]]}


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


@late.kept(told.answer, lambda _names: Permission.LEAD_VERIFY)
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
        return go_to(request, f"/leads/{lead.id}")
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    contact = queries.contacts_of(_given(duty), now).get(0)
    held = contact.held if contact else None
    by_me = held is not None and held[:2] == (post.unit_id, post.officer_id)
    mine, asked = duty["owner"] == post.unit_id, duty["offered_to"] == post.unit_id
    phones = list(person.phones) if person else []
    unit, origin = post.unit.name, origin_of(lead)
    context = head_of(request, lead, duty, person)
    context["lead"] |= {
        "tel": phones[0] if phones and mine and (held is None or by_me) else "",
        "tel_masked": masks.show(phones[0], post.role, masks.Field.PHONE) if phones else "",
        "tel_hidden": bool(phones) and not mine,
        "others": [{"tel": p, "masked": masks.show(p, post.role, masks.Field.PHONE)} for p in phones[1:_PHONES_SHOWN]] if mine else [],
        "tries": contact.n_tries if contact else 0,
        "source": _("、").join(str(SOURCES.get(s, s)) for s in lead.sources),
        "listed_on": lead.arrived_to,
        "came_from": origin,
    }
    back, ahead = _days(lead.arrived_to)
    given = request.POST.dict() if errors else {}
    for days, chosen in ((back, given.get("arrived_on")), (ahead, given.get("expected_on"))):
        for day in days:
            day["checked"] = day["value"] == chosen if chosen else day["checked"]
    context |= {
        "what": WHAT[VERIFY.name],
        "answered": answered_words(contact),
        "errors": errors,
        "given": given,
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
        "loop": f"{duty['id']}.{tag(duty['owner'], duty['assignee'], duty['offered_to'])}",
        "act": new_act(),
        "asked": asked,
        "giver": duty["owner_name"],
        "back_url": "/duties",
    }
    return render(request, "leads/act.html", context, status=422 if errors else 200)


def _save_answer(request: HttpRequest, lead_id: UUID) -> HttpResponse:
    post, fact_id = request.post, act_of(request, "fact_id")
    with reading(request):
        lead = queries.lead_of(lead_id)
        sent_at = late.happened_at(request, fact_id)
    try:
        answer = forms.answer_of(request.POST, lead.arrived_to)
    except Refused as refused:
        early = refused
        return again(request, early, lambda: _act_page(request, lead_id, str(fact_id), [error_of(early)]))
    action = actions.verify if answer.settles else actions.try_contact
    with once(request, fact_id) as known:
        if known:
            require_same(request, fact_id, answer.values)
            done = None
        else:
            done = action(by=post, lead=lead.id, fact_id=fact_id, happened_at=sent_at, **answer.values)
    if isinstance(done, Refused):
        return again(request, done, lambda: _act_page(request, lead_id, str(fact_id), [error_of(done)]))
    return saved(request, lead, fact_id, _("已保存：%(what)s") % {"what": OUTCOMES[answer.values["outcome"]]})


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
