"""What an answer that came to a shut door says, for whoever decides about it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bihuan.access.late import Told
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.kernel.refused import Refused
from bihuan.leads import forms, queries
from bihuan.leads.words import OUTCOMES, RESULTS


def answer(request: HttpRequest, names: dict[str, Any], data: QueryDict) -> Told:
    """The outcome of a call or visit."""
    lead = queries.lead_of(names["lead"])
    try:
        values = forms.answer_of(data, lead.arrived_to).values
    except Refused as refused:
        return _told(request, lead, (refused.sentence(get_language() or "zh"),))
    words = [str(OUTCOMES[values["outcome"]])]
    words += [f"{value:%Y-%m-%d}" for name in ("here_since", "next_try_at") if (value := values.get(name))]
    words += [str(value) for name in ("destination", "reason") if (value := values.get(name))]
    return _told(request, lead, tuple(words))


def step(request: HttpRequest, names: dict[str, Any], data: QueryDict) -> Told:
    """A sample, a result or another city's answer."""
    lead = queries.lead_of(names["lead"])
    first = {"sample": _("已采样"), "result": str(RESULTS.get(data.get("result", ""), "")), "referral": _("对方的答复")}
    words = [first[names["name"]]]
    words += [text for name in ("sampled_at", "place", "tube", "resulted_at", "answer") if (text := data.get(name, "").strip())]
    return _told(request, lead, tuple(words))


def _told(request: HttpRequest, lead: Any, words: tuple[str, ...]) -> Told:
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    name, _kind = masks.line_of(person, request.post.role)
    return Told(name, f"/leads/{lead.id}", words)
