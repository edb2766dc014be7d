"""Lists coming in: sent, read while one waits or not, accounted for line by line."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_safe

from bihuan.access.middleware import allow, reading, status_of
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission, Role
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.intake import actions, columns, parser, queries, reasons, registry
from bihuan.intake.models import IntakeFile
from bihuan.intake.read import Table
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.kernel.text import inert
from bihuan.policy.queries import EVENT_KEY, event_in_use

KIND = "leads"
PAGE_ROWS = 50
FILES_AT_ONCE_MAX = 20

_SOURCES = {
    "data": (_lazy("数据推送"), _lazy("上级大数据推来的名单")),
    "unit": (_lazy("单位上报"), _lazy("企业、学校、机关报的员工和学生")),
    "community": (_lazy("社区排查"), _lazy("村居上门、敲门排查出来的")),
    "telecom": (_lazy("运营商提醒"), _lazy("收到提醒短信后返连的号码")),
}
_OUTCOMES = {
    "created": _lazy("新增"),
    "changed": _lazy("变更"),
    "unchanged": _lazy("未变"),
    "duplicate": _lazy("重复"),
    "rejected": _lazy("退回"),
}
_STATES = {"waiting": _lazy("排队中"), "working": _lazy("正在检查和入账"), "done": _lazy("已入账"), "refused": _lazy("整份退回")}
_HOW = {"name": _lazy("按列名"), "content": _lazy("按内容"), "forced": _lazy("人工指定"), "remembered": _lazy("按上次指定")}


def _language() -> str:
    return "en" if (get_language() or "zh").startswith("en") else "zh"


def _file(file: int) -> IntakeFile:
    found = IntakeFile.objects.defer("blob").filter(id=file).first()
    if found is None:
        raise Refused("file_not_found", "没有这份名单，或不归您看。", "There is no such list, or it is not yours.")
    return found


def _size(n: int) -> str:
    return f"{max(1, round(n / 1024))} KB" if n < 1024 * 1024 else f"{n / 1024 / 1024:.1f} MB"


def _sources_of(post: Any) -> list[dict[str, Any]]:
    """A sender of lists sends its own kind of list only."""
    known = registry.kind(KIND).sources
    own = post.unit.code if post.role == Role.LIST_SENDER and post.unit.code in known else ""
    return [
        {"key": str(key), "label": _SOURCES[key][0], "hint": _SOURCES[key][1], "checked": key == own}
        for key in known
        if key in _SOURCES and own in ("", key)
    ]


def _senders(files: list[IntakeFile]) -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, u.name || ' ' || o.name FROM post p JOIN unit u ON u.id = p.unit JOIN officer o ON o.id = p.officer WHERE p.id = ANY(%s)",
            [[f.post for f in files]],
        )
        return dict(cursor.fetchall())


def _recent(limit: int, before: int | None = None) -> list[IntakeFile]:
    found = IntakeFile.objects.defer("blob", "mapping", "warnings").filter(kind=KIND).order_by("-id")
    return list((found.filter(id__lt=before) if before else found)[:limit])


# --- sending ------------------------------------------------------------------------------------------------------


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
                "source": _SOURCES.get(f.source, (f.source,))[0],
                "at": f.received_at,
                "url": f"/intake/{f.id}",
                "state": _STATES[f.state],
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
    senders = _senders(found)
    listed = []
    for f in found:
        counts = {name: getattr(f, name) if f.state == "done" else None for name in _OUTCOMES}
        listed.append(
            {
                "name": f.name,
                "url": f"/intake/{f.id}",
                "source": _SOURCES.get(f.source, (f.source,))[0],
                "at": f.received_at,
                "by": senders.get(f.post, ""),
                "state_words": _STATES[f.state],
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


# --- one list -----------------------------------------------------------------------------------------------------


def _progress(file: IntakeFile) -> dict[str, Any]:
    """Where the work stands: rows a second and the time left, from what the present reader has done."""
    spent = (clock.real_now() - file.begun_at).total_seconds() if file.begun_at and file.state == "working" else 0.0
    per_second = (file.n_read - file.begun_row) / spent if spent > 0 else 0.0
    left = timedelta(seconds=round((file.n_rows - file.n_read) / per_second)) if per_second > 0 else None
    reading = file.state == "working" and not file.n_rows
    return {
        "url": f"/intake/{file.id}/progress",
        "page_url": f"/intake/{file.id}",
        "done": file.state in ("done", "refused"),
        "stage": _("正在读取") if reading else _STATES[file.state],
        "n": file.n_read,
        "total": file.n_rows or None,
        "per_second": round(per_second) or None,
        "left": left if left and left.total_seconds() >= 1 else None,
        "failed": "",
        "at": clock.now(),
    }


@require_safe
def progress(request: HttpRequest, file: int) -> HttpResponse:
    allow(request, Permission.LIST_IMPORT)
    return render(request, "intake/_progress.html", {"progress": _progress(_file(file))})


@require_safe
def one(request: HttpRequest, file: int) -> HttpResponse:
    """A list and its accounts: every count opens its rows."""
    allow(request, Permission.LIST_IMPORT)
    found = _file(file)
    base = f"/intake/{found.id}"
    outcome = request.GET.get("outcome", "") if request.GET.get("outcome") in _OUTCOMES else ""
    reason = request.GET.get("reason", "") if request.GET.get("reason") in reasons.SENTENCES else ""
    context: dict[str, Any] = {
        "section": "intake",
        "files_url": "/intake",
        "file": {
            "id": found.id,
            "name": found.name,
            "source": _SOURCES.get(found.source, (found.source,))[0],
            "at": found.received_at,
            "size": _size(found.size),
            "by": _senders([found]).get(found.post, ""),
            "sha256": bytes(found.sha256).hex(),
            "state": found.state,
        },
        "progress": _progress(found) if found.state in ("waiting", "working") else None,
        "refused": _refusal(found),
        "mapping": _mapping(found),
        "notes": _notes(found),
        "same_as": _same_as(found),
        "mapping_url": f"{base}/mapping" if found.unit == request.post.unit_id and _may_be_mapped(found) else "",
    }
    if found.state == "done":
        accounts = queries.accounts(found)
        urls = {"rows": base, **{name: f"{base}?outcome={name}" for name in _OUTCOMES}}
        balanced = sum(accounts[name] for name in _OUTCOMES) == accounts["rows"]
        context["accounts"] = {**accounts, "urls": urls, "balanced": balanced}
        context["reasons"] = _reasons(found, accounts["reasons"], base)
        context["marked_url"] = f"{base}/marked.xlsx" if accounts["rejected"] else ""
        context["csv_url"] = f"{base}/rows.csv"
        context["outcome"] = outcome
        context["outcomes"] = [{"key": "", "label": _("全部"), "n": accounts["rows"], "url": base}] + [
            {"key": name, "label": label, "n": accounts[name], "url": urls[name]} for name, label in _OUTCOMES.items()
        ]
        context |= _rows(request, found, outcome, reason, base)
    return render(request, "intake/file.html", context)


def _may_be_mapped(file: IntakeFile) -> bool:
    """Somebody may say what the columns are of every list that could be opened."""
    return bool(file.mapping) or (
        file.state == "refused" and (file.refusal or {}).get("code") in ("columns_unknown", "column_unclear", "list_of_households")
    )


_NOTES = {
    "sheet_left_out": _lazy("没有读这张表（里面没有能认出人的列）：{name}"),
    "left_example": _lazy("是填写示例，没有当作人员（行号）：{name}"),
    "left_footer": _lazy("是表尾、合计或签名，没有当作人员（行号）：{name}"),
    "left_note": _lazy("是文字说明，没有当作人员（行号）：{name}"),
    "hidden_sheet": _lazy("这张表在文件里是隐藏的，已照常读取：{name}"),
}


def _notes(file: IntakeFile) -> list[str]:
    """What was noticed about whole sheets."""
    told = [warning["note"].partition(":") for warning in file.warnings or [] if "note" in warning]
    return [str(_NOTES[code]).format(name=name) for code, _sep, name in told if code in _NOTES]


def _refusal(file: IntakeFile) -> dict[str, str] | None:
    if file.state != "refused" or not file.refusal:
        return None
    where = f"（{file.refusal['where']}）" if file.refusal.get("where") and file.refusal["where"] != file.name else ""
    return {"sentence": file.refusal["en" if _language() == "en" else "zh"] + where, "code": file.refusal["code"]}


def _same_as(file: IntakeFile) -> dict[str, Any] | None:
    earlier = (
        IntakeFile.objects.only("id", "received_at")
        .filter(event=file.event, unit=file.unit, sha256=bytes(file.sha256), id__lt=file.id, forced=None)
        .order_by("id")
        .first()
    )
    return {"url": f"/intake/{earlier.id}", "at": earlier.received_at} if earlier and file.forced is None else None


def _mapping(file: IntakeFile) -> list[dict[str, Any]]:
    """The columns of every sheet, a column that several sheets have alike shown once."""
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    no = 1 if _language() == "en" else 0
    for table in file.mapping or []:
        for name, column in table["fields"].items():
            label = columns.LABELS[name][no] if name in columns.LABELS else name
            shown.setdefault(
                (_letters(column["column"]), column["header"]), {"field": label, "key": name, "how": _HOW.get(column["by"], "")}
            )
        for column in [*table["ignored"], *table["unknown"]]:
            shown.setdefault((_letters(column["column"]), column["header"]), {"field": "", "key": "", "how": ""})
    ordered = sorted(shown.items(), key=lambda item: (len(item[0][0]), item[0][0]))
    return [{"column": letter, "header": header, "sample": "", **said} for (letter, header), said in ordered]


def _letters(address: str) -> str:
    return re.sub(r"\d+$", "", address.rpartition("!")[2])


def sentence_of(code: str) -> str:
    """The sentence of a reason where the length of the value is not known any more."""
    text = reasons.sentence(code, _language())
    return re.split(r"[，;]", text)[0] if "?" in text else text


def _reasons(file: IntakeFile, counts: Mapping[str, int], base: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (reason) reason, cells[array_position(reasons, reason)] FROM intake_row"
            " WHERE file = %s AND outcome = 'rejected' ORDER BY reason, no",
            [file.id],
        )
        example = dict(cursor.fetchall())
    return [
        {
            "code": code,
            "sentence": sentence_of(code),
            "n": n,
            "url": f"{base}?{urlencode({'outcome': 'rejected', 'reason': code})}",
            "example": example.get(code) or "",
        }
        for code, n in counts.items()
    ]


def _rows(request: HttpRequest, file: IntakeFile, outcome: str, reason: str, base: str) -> dict[str, Any]:
    after, before = (request.GET.get(k, "") for k in ("after", "before"))
    at = int(after or before) if (after or before).isdecimal() and len(after or before) < 19 else None
    backwards = at is not None and not after
    where = ["r.file = %(file)s"] + (["r.outcome = %(outcome)s"] if outcome else []) + (["r.reason = %(reason)s"] if reason else [])
    if at is not None:
        where.append("r.no < %(at)s" if backwards else "r.no > %(at)s")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT r.no, r.sheet, r.row, r.outcome, r.reasons, r.cells, r.subject FROM intake_row r WHERE {' AND '.join(where)}"
            f" ORDER BY r.no {'DESC' if backwards else 'ASC'} LIMIT {PAGE_ROWS + 1}",
            {"file": file.id, "outcome": outcome, "reason": reason, "at": at},
        )
        found = cursor.fetchall()
    more, found = len(found) > PAGE_ROWS, found[:PAGE_ROWS]
    if backwards:
        found.reverse()
    subjects = sorted({row[6] for row in found if row[6] is not None})
    opened = people.opened_persons(subjects, event=file.event) if subjects and request.post.may(Permission.LEAD_READ) else {}
    urls = _person_urls(list(opened))
    shown = []
    for _no, sheet, row, what, codes, cells, subject in found:
        given = [
            {"cell": cell.rpartition("!")[2], "sentence": sentence_of(code), "code": code} for code, cell in zip(codes, cells, strict=False)
        ]
        shown.append(
            {
                "sheet": sheet,
                "row": row,
                "name": masks.line_of(opened.get(subject), request.post.role)[0],
                "outcome": what,
                "outcome_words": _OUTCOMES[what],
                "reasons": given,
                "url": urls.get(subject, ""),
            }
        )
    kept = {k: v for k, v in (("outcome", outcome), ("reason", reason)) if v}
    total = file.reasons.get(reason, 0) if reason else getattr(file, outcome) if outcome else file.n_rows
    return {
        "rows": shown,
        "page": {
            "shown": len(shown),
            "total": total,
            "before_url": f"{base}?{urlencode({**kept, 'before': found[0][0]})}"
            if found and (more if backwards else at is not None)
            else "",
            "after_url": f"{base}?{urlencode({**kept, 'after': found[-1][0]})}"
            if found and (at is not None if backwards else more)
            else "",
        },
    }


def _person_urls(subjects: list[Any]) -> dict[Any, str]:
    """The page of each person in sight. `lead` lies a floor above, so its rows are asked for by name only."""
    if not subjects:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (a.subject) a.subject, le.id FROM cluster a JOIN cluster m ON m.root = a.root JOIN lead le ON le.subject = m.subject"
            " WHERE a.subject = ANY(%s) AND le.merged_into IS NULL ORDER BY a.subject, le.first_reported_at DESC",
            [subjects],
        )
        return {subject: f"/leads/{lead}" for subject, lead in cursor.fetchall()}


# --- what goes back to the sender ---------------------------------------------------------------------------------


def _attachment(data: bytes, name: str, kind: str) -> HttpResponse:
    response = HttpResponse(data, content_type=kind)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return response


@require_safe
def marked(request: HttpRequest, file: int) -> HttpResponse:
    """The sender's own file with the refused cells marked and a column of reasons, to be mended and sent again."""
    allow(request, Permission.LIST_IMPORT)
    _file(file)
    found = IntakeFile.objects.get(id=file)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sheet, row, reasons, cells FROM intake_row WHERE file = %s AND outcome = 'rejected' ORDER BY no", [file])
        rejects = [
            (sheet, row, code, cell, sentence_of(code))
            for sheet, row, codes, cells in cursor.fetchall()
            for code, cell in zip(codes, cells, strict=False)
        ]
    data = parser.mark(actions.original(found), found.name, rejects, language=_language())
    stem = found.name.rsplit(".", 1)[0]
    suffix = "returned" if _language() == "en" else "退回原因"
    return _attachment(data, f"{stem}-{suffix}.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


@require_safe
def rows_csv(request: HttpRequest, file: int) -> HttpResponse:
    """What became of each row, as the command line writes it."""
    allow(request, Permission.LIST_IMPORT)
    found = _file(file)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.sheet, r.row, r.outcome, r.reason, coalesce(c.root, r.subject)::text FROM intake_row r LEFT JOIN cluster c ON c.subject = r.subject"
            " WHERE r.file = %s ORDER BY r.no",
            [file],
        )
        rows = cursor.fetchall()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["sheet", "row", "outcome", "reason", "subject"])
    writer.writerows((inert(sheet), *rest) for sheet, *rest in rows)
    return _attachment(b"\xef\xbb\xbf" + out.getvalue().encode(), f"{found.name.rsplit('.', 1)[0]}-rows.csv", "text/csv; charset=utf-8")


# --- naming columns -----------------------------------------------------------------------------------------------

SAMPLES = 2
_DIGITS = re.compile(r"[0-9A-Za-z]")
_DAY = re.compile(r"(?:20)?\d\d[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.月]\d{1,2}[日号]?")


@require_http_methods(["GET", "HEAD", "POST"])
def mapping(request: HttpRequest, file: int) -> HttpResponse:
    """Say what a column is, and read the same file once more with that. What was taken before stays as it is.

    What was said is kept for the unit, for its next list with the same head, unless the officer says otherwise.
    """
    allow(request, Permission.LIST_IMPORT)
    with reading(request):
        found = _file(file)
        if not _may_be_mapped(found):
            raise Refused("file_not_found", "没有这份名单，或不归您看。", "There is no such list, or it is not yours.")
        data, choices = actions.original(IntakeFile.objects.get(id=file)), actions.choices(found)
    tables = _tables(found, data, choices)
    if request.method != "POST":
        with reading(request):
            return _mapping_page(request, found, tables, new_act(), [])
    act = act_of(request)
    try:
        again = _said_again(request, found, data, tables, act)
    except Refused as refused:
        with reading(request):
            return _mapping_page(request, found, tables, str(act), [error_of(refused)])
    return HttpResponseRedirect(f"/intake/{again}")


def _tables(file: IntakeFile, data: bytes, choices: dict[str, columns.Choice]) -> list[tuple[str, Table, columns.Mapping | None]]:
    """(head, table, mapping as it would be read) of each head in the file; sheets with the same head are one."""
    seen: dict[str, tuple[str, Table, columns.Mapping | None]] = {}
    for table in parser.read(data, file.name, anyway=True):
        head = columns.head_of(table)
        if head in seen:
            continue
        try:
            known = columns.map_tables([table], choices)[0][1]
        except Refused:
            known = None
        seen[head] = (head, table, known)
    return list(seen.values())


def _said_again(request: HttpRequest, file: IntakeFile, data: bytes, tables: list, act: UUID) -> int:
    """The officer's choice, kept and used; the id of the file that is read again."""
    heads = [head for head, _table, _known in tables]
    said: dict[str, dict[str, int]] = {}
    for t, (head, table, _known) in enumerate(tables):
        fields: dict[str, int] = {}
        for column in table.columns:
            field = request.POST.get(f"column-{t}-{column.index}", "")
            if field in fields:
                label = columns.LABELS[field]
                raise Refused(
                    "mapping_twice",
                    f"“{label[0]}”指定了两列，请只留一列。",
                    f"Two columns are called “{label[1]}”; keep one.",
                    f"column-{t}-{column.index}",
                )
            if field in columns.FIELDS:
                fields[field] = column.index
        if any(name in fields for name in columns.NEEDED):
            said[head] = fields
    forgets = "forget" in request.POST
    if not said and not forgets:
        raise Refused(
            "mapping_incomplete",
            "请至少指定“证件号码”或“手机号”一列。",
            "Please say which column is the ID number or the phone.",
            "column-0-0",
        )
    with once(request, act):
        if forgets:
            done = actions.forget(by=request.post, kind=file.kind, heads=heads)
        elif request.POST.get("remember") == "yes":
            done = actions.remember(by=request.post, kind=file.kind, mappings=said)
        else:
            done = None
        if isinstance(done, Refused):
            raise done
        stored = actions.store(
            by=request.post, event=file.event, kind=file.kind, source=file.source, name=file.name, data=data, act=act,
            forced=None if forgets else said,
        )  # fmt: skip
    if isinstance(stored, Refused):
        raise stored
    return stored.file


def _mapping_page(request: HttpRequest, file: IntakeFile, tables: list, act: str, errors: list[dict[str, str]]) -> HttpResponse:
    no = 1 if _language() == "en" else 0
    shown, remembered = [], False
    for t, (_head, table, known) in enumerate(tables):
        of = {index: field for field, index in known.fields.items()} if known else columns.by_names(table)
        remembered = remembered or bool(known and "remembered" in known.how.values())
        listed = [
            {
                "name": f"column-{t}-{c.index}",
                "column": columns.letters(c.index),
                "header": c.header,
                "sample": _sample(table, c.index),
                "field": request.POST.get(f"column-{t}-{c.index}", of.get(c.index, "")),
            }
            for c in table.columns
        ]
        shown.append({"sheet": table.sheet, "columns": [c for c in listed if c["header"].strip() or c["sample"]]})
    context = {
        "section": "intake",
        "file": {"name": file.name, "url": f"/intake/{file.id}"},
        "tables": shown,
        "fields": [{"key": key, "label": columns.LABELS[key][no]} for key in columns.FIELDS if key in columns.LABELS],
        "remembered": remembered,
        "errors": errors,
        "save_url": f"/intake/{file.id}/mapping",
        "act": act,
    }
    return render(request, "intake/mapping.html", context, status=422 if errors else 200)


def _sample(table: Table, index: int) -> str:
    """The first filled cells of a column, so far covered that nobody can be read from them."""
    cells = table.frame.get_column(f"c{index}").head(200).drop_nulls().to_list()
    return "，".join(_covered(cell.strip()) for cell in [c for c in cells if c.strip()][:SAMPLES])


def _covered(text: str) -> str:
    """Days as they are, since they tell a column best; of names, numbers and addresses the beginning only."""
    if _DAY.fullmatch(text):
        return text
    kept = 3 if len(_DIGITS.findall(text)) >= 5 else 1 if len(text) <= 4 else 4
    return text[:kept] + "*" * min(4, max(0, len(text) - kept))


urlpatterns = [
    path("intake", files, name="intake"),
    path("intake/upload", upload, name="upload"),
    path("intake/<int:file>", one),
    path("intake/<int:file>/progress", progress),
    path("intake/<int:file>/marked.xlsx", marked),
    path("intake/<int:file>/rows.csv", rows_csv),
    path("intake/<int:file>/mapping", mapping),
]
