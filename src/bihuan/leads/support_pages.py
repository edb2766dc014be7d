"""Asking for help (干不完), taking that back, and the page on which the desk above answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import queries, support
from bihuan.leads.facts import SupportEnd
from bihuan.leads.loops import SUPPORT
from bihuan.leads.saving import again, home, remember, require_same, window
from bihuan.leads.words import SUPPORT_ANSWERS, SUPPORT_ENDS, SUPPORT_REASONS


def section(post: Any) -> dict[str, Any] | None:
    """What my work says of asking for help: whom, the reasons to tap, and the ask that waits or was answered lately."""
    if post.unit.parent_id is None or not post.may(Permission.DUTY_MOVE):
        return None  # nobody stands above
    last = support.last_of(post.unit_id)
    if last is None:
        return None
    reasons = [{"code": code.value, "label": label} for code, label in SUPPORT_REASONS.items()]
    return {**_said(last, SUPPORT_ENDS), "reasons": reasons, "act": new_act(), "back_act": new_act()}


def _said(ask: dict[str, Any], ends: Mapping[str, Any]) -> dict[str, Any]:
    """An ask with its codes in words, its end in those of `ends`; `ending`: "" while it waits."""
    ending = ends.get(ask["how"], _("免办")) if ask["closed_at"] else ""
    return {**ask, "why": SUPPORT_REASONS.get(ask["reason"], ""), "ending": ending}


def _note(request: HttpRequest) -> str:
    return " ".join(request.POST.get("note", "").split())[: support.NOTE_MAX]


def _done(request: HttpRequest, act: UUID, values: dict[str, Any], do: Callable[[], Any]) -> Any:
    """The act, once; a form that was sent before says the same, or is refused."""
    with once(request, act) as known:
        if not known:
            return do()
    return require_same(request, act, values)


@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    post, act, note = allow(request, Permission.DUTY_MOVE), act_of(request), _note(request)
    said = {"reason": request.POST.get("reason", ""), "note": note}
    return _asked(request, act, said, lambda: support.ask(by=post, act=act, **said), _("已向%(unit)s求助"))


@require_POST
def take_back(request: HttpRequest) -> HttpResponse:
    post, act = allow(request, Permission.DUTY_MOVE), act_of(request)
    said = {"how": SupportEnd.NOT_NEEDED}
    return _asked(request, act, said, lambda: support.take_back(by=post, act=act), _("已告诉%(unit)s：不需要了"))


def _asked(request: HttpRequest, act: UUID, said: dict[str, Any], do: Callable[[], Any], text: str) -> HttpResponse:
    done = _done(request, act, said, do)
    if isinstance(done, Refused):
        raise done
    with reading(request):
        last = support.last_of(request.post.unit_id)
    if last and last["id"]:
        remember(request, text % {"unit": last["owner_name"]}, act, window(last["pack"]))
    return HttpResponseRedirect(home(request))


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, loop: int) -> HttpResponse:
    """Who asks, why, since when, with how much in hand; and the answer."""
    post = allow(request, Permission.DUTY_MOVE)
    if request.method != "POST":
        return _page(request, loop, {}, new_act(), [])
    act, said = act_of(request), {"how": request.POST.get("how", ""), "note": _note(request)}
    done = _done(request, act, said, lambda: support.answer(by=post, loop=loop, act=act, **said))
    if isinstance(done, Refused):
        return again(request, done, lambda: _page(request, loop, said, str(act), [error_of(done)]))
    with reading(request):
        found = support.ask_of(loop)
    remember(
        request,
        _("已答复%(unit)s：%(how)s") % {"unit": found["asker_name"], "how": SUPPORT_ANSWERS[said["how"]]},
        act,
        window(found["pack"]),
    )
    return HttpResponseRedirect(_held_url(found, "all") if said["how"] == SupportEnd.TAKEN_OVER else "/duties")


def _held_url(ask: dict[str, Any], state: str) -> str:
    return f"/duties?state={state}&holder={ask['asker']}"


def _page(request: HttpRequest, loop: int, said: dict[str, Any], act: str, errors: list[dict[str, str]]) -> HttpResponse:
    found = support.ask_of(loop)
    n = support.in_hand(found["asker"])
    context = {
        "section": "work",
        "ask": _said(found, SUPPORT_ENDS | SUPPORT_ANSWERS),
        "paused": queries.is_paused(found, clock.now()),
        "held": {"n": n["held"], "url": _held_url(found, "all")},
        "late": {"n": n["late"], "url": _held_url(found, "late")},
        "answers": [{"code": code.value, "label": label, "chosen": code == said.get("how")} for code, label in SUPPORT_ANSWERS.items()],
        "note": said.get("note", ""),
        "act": act,
        "errors": errors,
        "save_url": f"/support/{loop}",
        "back_url": f"/duties?kind={SUPPORT.name}",
    }
    return render(request, "leads/support.html", context, status=422 if errors else 200)
