"""Lists are sent, and all that came are listed."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bihuan.access.middleware import allow, reading, status_of
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission, Role
from bihuan.intake import actions, registry
from bihuan.intake.file_pages import OUTCOMES, PAGE_ROWS, SOURCES, STATES, senders_of
from bihuan.intake.models import IntakeFile
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.policy.queries import EVENT_KEY, event_in_use

KIND = "leads"
FILES_AT_ONCE_MAX = 20


def _sources_of(post: Any) -> list[dict[str, Any]]:
    """A sender of lists sends its own kind of list only."""
    known = registry.kind(KIND).sources
    own = post.unit.code if post.role == Role.LIST_SENDER and post.unit.code in known else ""
    return [
        {"key": str(key), "label": SOURCES[key][0], "hint": SOURCES[key][1], "checked": key == own}
        for key in known
        if key in SOURCES and own in ("", key)
    ]


def _recent(limit: int, before: int | None = None) -> list[IntakeFile]:
    found = IntakeFile.objects.defer("blob", "mapping", "warnings").filter(kind=KIND).order_by("-id")
    return list((found.filter(id__lt=before) if before else found)[:limit])


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Choosing a list and its source; each file is kept, encrypted, before anything is read from it."""
    allow(request, Permission.LIST_IMPORT)
    if request.method != "POST":
        return _upload_page(request, new_act(), [])
    act = act_of(request)
    try:
        stored = _store(request, act)
    except Refused as refused:
        if status_of(refused) != 409:
            raise
        with reading(request):
            return _upload_page(request, str(act), [error_of(refused)])
    return HttpResponseRedirect(f"/intake/{stored[0]}" if len(stored) == 1 else "/intake")


def _store(request: HttpRequest, act: Any) -> list[int]:
    post, files = request.post, request.FILES.getlist("file")[: FILES_AT_ONCE_MAX + 1]
    source = request.POST.get("source", "")
    if source not in {s["key"] for s in _sources_of(post)}:
        raise Refused("source_unknown", "请选择名单来源。", "Please choose the source of the list.", "source")
    if request.POST.get("unclassified") != "yes":
        raise Refused(
            "classified_unsaid",
            "本系统不得处理涉密文件：请先核对并勾选。",
            "This system must not hold classified files: please check and tick.",
            "unclassified",
        )
    pasted = request.POST.get("pasted", "").strip("\r\n")
    if pasted.strip():
        name = clock.now().astimezone(clock.SHANGHAI).strftime(f"{_('粘贴的文字')}-%m%d-%H%M.txt")
        files = [SimpleUploadedFile(name, pasted.replace("\r\n", "\n").encode()), *files]
    if not files:
        raise Refused("file_missing", "请选择文件，或粘贴文字。", "Please choose a file or paste a text.", "file")
    if len(files) > FILES_AT_ONCE_MAX:
        raise Refused("too_many", f"一次最多{FILES_AT_ONCE_MAX}份文件。", f"At most {FILES_AT_ONCE_MAX} files at once.", "file")
    event, made = _event(request), []
    for no, file in enumerate(files):
        one = ids.derived_id(act, "file", no)
        with once(request, one):  # the door knows a repeated act; a double click waits here
            stored = actions.store(by=post, event=event, kind=KIND, source=source, name=file.name or "", data=file.read(), act=one)
        if isinstance(stored, Refused):
            raise stored
        made.append(stored.file)
    return made


def _event(request: HttpRequest) -> int:
    with reading(request):
        return event_in_use(request.session.get(EVENT_KEY))


def _upload_page(request: HttpRequest, act: str, errors: list[dict[str, str]]) -> HttpResponse:
    recent = _recent(6)
    context = {
        "section": "intake",
        "sources": _sources_of(request.post),
        "errors": errors,
        "pasted": request.POST.get("pasted", "") if errors else "",
        "save_url": "/intake/upload",
        "act": act,
        "files_url": "/intake",
        "max_megabytes": actions.BYTES_MAX // 2**20,
        "recent": [
            {
                "name": f.name,
                "source": SOURCES.get(f.source, (f.source,))[0],
                "at": f.received_at,
                "url": f"/intake/{f.id}",
                "state": STATES[f.state],
            }
            for f in recent
        ],
    }
    return render(request, "intake/upload.html", context, status=422 if errors else 200)


@require_safe
def files(request: HttpRequest) -> HttpResponse:
    """All lists in sight, newest first: a sender sees its own unit's, a desk those of its range."""
    allow(request, Permission.LIST_IMPORT)
    before = request.GET.get("before", "")
    found = _recent(PAGE_ROWS + 1, int(before) if before.isdecimal() and len(before) < 19 else None)
    more, found = len(found) > PAGE_ROWS, found[:PAGE_ROWS]
    senders = senders_of(found)
    listed = []
    for f in found:
        counts = {name: getattr(f, name) if f.state == "done" else None for name in OUTCOMES}
        listed.append(
            {
                "name": f.name,
                "url": f"/intake/{f.id}",
                "source": SOURCES.get(f.source, (f.source,))[0],
                "at": f.received_at,
                "by": senders.get(f.post, ""),
                "state_words": STATES[f.state],
                "rows": f.n_rows if f.state == "done" else None,
                **counts,
            }
        )
    context = {
        "section": "intake",
        "files": listed,
        "upload_url": "/intake/upload",
        "page": {
            "shown": len(listed),
            "total": None,
            "before_url": "/intake" if before else "",
            "after_url": f"/intake?before={found[-1].id}" if more else "",
        },
    }
    return render(request, "intake/files.html", context)
