"""One list: how far its reading is, its accounts line by line, and what goes back to the sender."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_safe

from bihuan.access.middleware import allow
from bihuan.access.permissions import Permission
from bihuan.identity import masks
from bihuan.identity import queries as people
from bihuan.intake import actions, columns, parser, queries, reasons
from bihuan.intake.models import IntakeFile
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.kernel.text import inert

PAGE_ROWS = 50

SOURCES = {
    "data": (_lazy("数据推送"), _lazy("上级大数据推来的名单")),
    "unit": (_lazy("单位上报"), _lazy("企业、学校、机关报的员工和学生")),
    "community": (_lazy("社区排查"), _lazy("村居上门、敲门排查出来的")),
    "telecom": (_lazy("运营商提醒"), _lazy("收到提醒短信后返连的号码")),
}
OUTCOMES = {
    "created": _lazy("新增"),
    "changed": _lazy("变更"),
    "unchanged": _lazy("未变"),
    "duplicate": _lazy("重复"),
    "rejected": _lazy("退回"),
}
STATES = {"waiting": _lazy("排队中"), "working": _lazy("正在检查和入账"), "done": _lazy("已入账"), "refused": _lazy("整份退回")}
_HOW = {"name": _lazy("按列名"), "content": _lazy("按内容"), "forced": _lazy("人工指定"), "remembered": _lazy("按上次指定")}


def language() -> str:
    return "en" if (get_language() or "zh").startswith("en") else "zh"


def file_of(file: int) -> IntakeFile:
    """The list without its bytes. Refuses what is not in sight (`file_not_found`)."""
    found = IntakeFile.objects.defer("blob").filter(id=file).first()
    if found is None:
        raise Refused("file_not_found", "没有这份名单，或不归您看。", "There is no such list, or it is not yours.")
    return found


def _size(n: int) -> str:
    return f"{max(1, round(n / 1024))} KB" if n < 1024 * 1024 else f"{n / 1024 / 1024:.1f} MB"


def senders_of(files: list[IntakeFile]) -> dict[int, str]:
    """Unit and officer by the post that sent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, u.name || ' ' || o.name FROM post p JOIN unit u ON u.id = p.unit JOIN officer o ON o.id = p.officer WHERE p.id = ANY(%s)",
            [[f.post for f in files]],
        )
        return dict(cursor.fetchall())


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
        "stage": _("正在读取") if reading else STATES[file.state],
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
    return render(request, "intake/_progress.html", {"progress": _progress(file_of(file))})


@require_safe
def one(request: HttpRequest, file: int) -> HttpResponse:
    """A list and its accounts: every count opens its rows."""
    allow(request, Permission.LIST_IMPORT)
    found = file_of(file)
    base = f"/intake/{found.id}"
    outcome = request.GET.get("outcome", "") if request.GET.get("outcome") in OUTCOMES else ""
    reason = request.GET.get("reason", "") if request.GET.get("reason") in reasons.SENTENCES else ""
    context: dict[str, Any] = {
        "section": "intake",
        "files_url": "/intake",
        "file": {
            "id": found.id,
            "name": found.name,
            "source": SOURCES.get(found.source, (found.source,))[0],
            "at": found.received_at,
            "size": _size(found.size),
            "by": senders_of([found]).get(found.post, ""),
            "sha256": bytes(found.sha256).hex(),
            "state": found.state,
        },
        "progress": _progress(found) if found.state in ("waiting", "working") else None,
        "refused": _refusal(found),
        "mapping": _mapping(found),
        "notes": _notes(found),
        "same_as": _same_as(found),
        "mapping_url": f"{base}/mapping" if found.unit == request.post.unit_id and may_be_mapped(found) else "",
    }
    if found.state == "done":
        accounts = queries.accounts(found)
        urls = {"rows": base, **{name: f"{base}?outcome={name}" for name in OUTCOMES}}
        balanced = sum(accounts[name] for name in OUTCOMES) == accounts["rows"]
        context["accounts"] = {**accounts, "urls": urls, "balanced": balanced}
        context["reasons"] = _reasons(found, accounts["reasons"], base)
        context["marked_url"] = f"{base}/marked.xlsx" if accounts["rejected"] else ""
        context["csv_url"] = f"{base}/rows.csv"
        context["outcome"] = outcome
        context["outcomes"] = [{"key": "", "label": _("全部"), "n": accounts["rows"], "url": base}] + [
            {"key": name, "label": label, "n": accounts[name], "url": urls[name]} for name, label in OUTCOMES.items()
        ]
        context |= _rows(request, found, outcome, reason, base)
    return render(request, "intake/file.html", context)


def may_be_mapped(file: IntakeFile) -> bool:
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
    return {"sentence": file.refusal["en" if language() == "en" else "zh"] + where, "code": file.refusal["code"]}


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
    no = 1 if language() == "en" else 0
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
    text = reasons.sentence(code, language())
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
                "outcome_words": OUTCOMES[what],
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
    file_of(file)
    found = IntakeFile.objects.get(id=file)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sheet, row, reasons, cells FROM intake_row WHERE file = %s AND outcome = 'rejected' ORDER BY no", [file])
        rejects = [
            (sheet, row, code, cell, sentence_of(code))
            for sheet, row, codes, cells in cursor.fetchall()
            for code, cell in zip(codes, cells, strict=False)
        ]
    data = parser.mark(actions.original(found), found.name, rejects, language=language())
    stem = found.name.rsplit(".", 1)[0]
    suffix = "returned" if language() == "en" else "退回原因"
    return _attachment(data, f"{stem}-{suffix}.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


@require_safe
def rows_csv(request: HttpRequest, file: int) -> HttpResponse:
    """What became of each row, as the command line writes it."""
    allow(request, Permission.LIST_IMPORT)
    found = file_of(file)
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
