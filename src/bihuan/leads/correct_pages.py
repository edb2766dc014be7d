"""Withdrawing a record: which one is wrong, why, and what follows."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.kernel.refused import Refused
from bihuan.leads import actions, queries
from bihuan.leads.history import entry_of, is_voidable
from bihuan.leads.saving import again
from bihuan.leads.words import KINDS


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
        return again(request, missing, lambda: _correct_page(request, lead, None, reason, str(made), [error_of(missing)]))
    with reading(request):
        found = queries.lead_of(lead)
        if request.POST.get("sure") != "yes":
            return _correct_page(request, lead, entry, reason, str(made), [])
    with once(request, made) as known:
        done = None if known else actions.void(by=post, fact=entry, reason=reason, act=made)
    if isinstance(done, Refused):
        return again(request, done, lambda: _correct_page(request, lead, entry, reason, str(made), [error_of(done)]))
    messages.success(request, _("已作废。原来的记录划线保留。"))
    return HttpResponseRedirect(f"/leads/{found.id}")


def _correct_page(
    request: HttpRequest, lead_id: UUID, entry: UUID | None, reason: str, made: str, errors: list[dict[str, str]]
) -> HttpResponse:
    lead = queries.lead_of(lead_id)
    root = queries.root_of(lead.subject)
    person = people.opened_persons([lead.subject], event=lead.event).get(lead.subject)
    found = [f for f in queries.timeline(lead, root) if is_voidable(f)]
    if entry is not None and entry not in {f["id"] for f in found} and not errors:
        raise Refused("fact_not_found", "没有这条办理记录，或不归您管。", "There is no such record, or it is not yours.")
    entries = [{"id": f["id"], "at": e["at"], "what": e["what"], "who": e["who"]} for f in found if (e := entry_of(f, request.post))]
    context = {
        "section": "work",
        "lead": {"name": masks.line_of(person, request.post.role)[0], "url": f"/leads/{lead.id}"},
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
