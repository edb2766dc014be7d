"""Plain forms for what comes after the verification: sample, result, another city's answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bihuan.access import late
from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.identity import queries as people
from bihuan.kernel.refused import Refused
from bihuan.leads import actions, forms, queries, told
from bihuan.leads.facts import Result
from bihuan.leads.lines import head_of
from bihuan.leads.loops import REFER, RESULT, SAMPLE
from bihuan.leads.saving import again, go_to, require_same, saved
from bihuan.leads.words import RESULTS

STEPS: dict[str, dict[str, Any]] = {
    "sample": {"loop": SAMPLE, "form": forms.SampleForm, "permission": Permission.SAMPLE_RECORD, "template": "leads/sample.html"},
    "result": {"loop": RESULT, "form": forms.ResultForm, "permission": Permission.RESULT_RECORD, "template": "leads/result.html"},
    "referral": {"loop": REFER, "form": forms.ReferralForm, "permission": Permission.REFERRAL_ANSWER, "template": "leads/referral.html"},
}


@late.kept(told.step, lambda names: STEPS[names["name"]]["permission"])
@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, lead: UUID, name: str) -> HttpResponse:
    """A plain form for what comes after the verification."""
    allow(request, STEPS[name]["permission"])
    form_class = STEPS[name]["form"]
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
        sent_at = late.happened_at(request, fact_id)
    try:
        action, values, text = _step_values(name, form, sent_at)
    except Refused as refused:
        early = refused
        return again(request, early, lambda: _step_page(request, lead, name, form, str(fact_id), [error_of(early)]))
    with once(request, fact_id) as known:
        if known:
            require_same(request, fact_id, {k: v for k, v in values.items() if not k.endswith("_at")})
            done = None
        else:
            done = action(by=request.post, lead=found.id, fact_id=fact_id, **values)
    if isinstance(done, Refused):
        return again(request, done, lambda: _step_page(request, lead, name, form, str(fact_id), [error_of(done)]))
    return saved(request, found, fact_id, _("已保存：%(what)s") % {"what": text})


def _step_values(name: str, form: Any, sent_at: datetime | None) -> tuple[Callable[..., Any], dict[str, Any], str]:
    """`sent_at`: when it was first sent, where it waited at a shut door; what was "now" then is not now."""
    data = form.cleaned_data
    if name == "sample":
        at = form.moment("sampled_at") or sent_at
        return actions.sample, {"sampled_at": at, "place": data["place"], "tube": data["tube"]}, _("已采样")
    if name == "result":
        result, at = Result(data["result"]), form.moment("resulted_at") or sent_at
        return actions.record_result, {"result": result, "resulted_at": at}, str(RESULTS[result])
    values = {"accepted": data["accepted"] == "yes", "answer": data["answer"], "happened_at": sent_at}
    return actions.answer_referral, values, _("对方的答复")


def _step_page(request: HttpRequest, lead_id: UUID, name: str, form: Any, fact_id: str, errors: list[dict[str, str]]) -> HttpResponse:
    lead = queries.lead_of(lead_id)
    root = queries.root_of(lead.subject)
    duty = queries.open_duty(lead, root, STEPS[name]["loop"].name)
    if duty is None:
        return go_to(request, f"/leads/{lead.id}")
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    context = head_of(request, lead, duty, person) | {
        "form": form,
        "errors": errors,
        "save_url": f"/leads/{lead.id}/{name}",
        "back_url": f"/leads/{lead.id}",
        "fact_id": fact_id,
    }
    return render(request, STEPS[name]["template"], context, status=422 if errors else 200)
