"""Lists that leave as a workbook and come back by the numbers of their rows.

Every cell is text, so that nothing a stranger typed runs on the desk of who opens it, no identity number loses digits and
no date changes. What left, by whom, how many and what for is a fact; in full it is one for each person too.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from django.db import connection
from django.http import HttpRequest
from django.utils.translation import get_language, gettext_noop, override
from django.utils.translation import gettext as _

from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.middleware import allow
from bihuan.access.permissions import Permission
from bihuan.access.second_factor import require_fresh
from bihuan.identity import queries as people
from bihuan.identity.facts import UNMASKED
from bihuan.intake import values
from bihuan.intake.read import Table, read_file
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.leads import duty_lists, queries
from bihuan.leads.facts import LIST_TAKEN, ListTaken
from bihuan.leads.lines import lines
from bihuan.leads.models import DutyList
from bihuan.leads.verbs import VERBS
from bihuan.leads.words import PURPOSES
from bihuan.loops.record import record, record_many

BYTES_MAX = 8 * 2**20  # a list of 10,000 rows has one or two
_CELL_MAX = 2_000

# The columns that are filled in; by these words they are found again, in either language.
_FILLED = {
    "code": (gettext_noop("编号"), "Row code"),
    "answer": (gettext_noop("结果"), "Outcome"),
    "since": (gettext_noop("到达日期"), "Arrived on"),
    "why": (gettext_noop("原因或去向"), "Reason or destination"),
    "at": (gettext_noop("采样时间"), "Sampled at"),
    "result": (gettext_noop("检测结果"), "Test result"),
}
_ANSWERS = ("here", "not_reached", "wrong_number", "not_agreed", "gone_on", "will_not_come", "nothing_required")
_RESULTS = ("negative", "initial_positive", "invalid")
_ALSO = {"在家": "here", "阴性": "negative", "阴": "negative", "初筛阳性": "initial_positive", "无效": "invalid", "negative": "negative"}


def may_export(request: HttpRequest, *, whole: bool) -> Any:
    """The reader's post when it may take lists out of the platform, in full only who may unmask; after a fresh second factor."""
    post = allow(request, Permission.LEAD_READ, *([Permission.PERSON_UNMASK] if whole else []))
    require_fresh(request)
    return post


def purpose_of(request: HttpRequest) -> str:
    """What the list is for, in one of the stated words and an officer's own. Refuses none (`purpose_missing`)."""
    purpose = request.POST.get("purpose", "")
    if purpose not in PURPOSES:
        raise Refused("purpose_missing", "请写明查看的用途。", "Please state what for.", "purpose")
    note = " ".join(request.POST.get("note", "").split())[:200]
    return f"{purpose} {note}".strip()


@action
def take(*, by, number: int, form: str, whole: bool, purpose: str, act: UUID) -> dict[UUID, Any]:
    """Record that a list is taken out; the whole persons of it where that is asked, else none. Safe to repeat.

    Refuses: no permission, no purpose, a list that is not there (`list_not_found`).
    """
    require(by, Permission.LEAD_READ)
    if whole:
        require(by, Permission.PERSON_UNMASK)
    if not purpose.strip():
        raise Refused("purpose_missing", "请写明查看的用途。", "Please state what for.", "purpose")
    of = duty_lists.list_of(number)
    seen = queries.rows("SELECT DISTINCT event, subject FROM loop WHERE id = ANY(%s)", [of.loops])
    if not seen:
        raise Refused("nothing_left", "这份清单上的人都不归您管了。", "Nobody on this list is in your sight any more.")
    event = min(row["event"] for row in seen)
    with connection.cursor() as cursor:
        cursor.execute("SELECT subject_of_unit(%s)", (by.unit_id,))
        subject = cursor.fetchone()[0]
    taken = ListTaken(number=number, form=form, n_duties=len(of.loops), whole=whole)
    record(LIST_TAKEN, event=event, subject=subject, details=taken, by=by, id=act, region=by.unit.region_id, purpose=purpose)
    found: dict[UUID, Any] = {}
    for event in sorted({row["event"] for row in seen}) if whole else ():
        opened = people.opened_persons([row["subject"] for row in seen if row["event"] == event], event=event)
        made = [str(ids.derived_id(act, UNMASKED.name, subject)) for subject in opened]
        rows = pl.DataFrame({"id": made, "subject": [str(s) for s in opened], "reading": ["full"] * len(made)})
        record_many(UNMASKED, rows, event=event, by=by, act=act, purpose=purpose)
        found |= opened
    return found


# --- out ------------------------------------------------------------------------------------------------------------


def workbook(request: HttpRequest, of: DutyList, whole: Mapping[UUID, Any], purpose: str) -> bytes:
    """The list as .xlsx: who, when, what for and until when above; numbers and words of each duty; columns to fill in."""
    import xlsxwriter

    post, language = request.post, 1 if (get_language() or "zh").startswith("en") else 0
    duties = queries.duties_in_order(of.loops)
    rows = lines(request, duties, clock.now())
    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    text, wide = book.add_format({"num_format": "@", "valign": "top"}), book.add_format({"num_format": "@", "bold": True})
    fill = book.add_format({"num_format": "@", "bg_color": "#FFF7D6", "border": 1, "border_color": "#C9B458"})
    head = book.add_format({"num_format": "@", "bold": True, "bg_color": "#E6EEFA", "bottom": 1, "text_wrap": True})
    page = book.add_worksheet(duty_lists.code(of.id))
    kept = [_("序号"), _FILLED["code"][language], _("姓名"), _("要办的事"), _("所在村居"), _("来源"), _("现由谁管"), _("几点前")]
    kept += [_("证件号码"), _("电话"), _("住址")] if whole else []
    filled = [words[language] for name, words in _FILLED.items() if name != "code"]
    for line, sentence in enumerate(_above(of, post, purpose, bool(whole))):
        page.write_string(line, 0, sentence, wide if line == 0 else text)
    top = 4
    for column, title in enumerate(kept + filled):
        page.write_string(top, column, title, head)
    for at, (row, duty) in enumerate(zip(rows, duties, strict=True), start=top + 1):
        for column, value in enumerate(_cells(row, duty, whole.get(duty["subject"]), bool(whole))):
            page.write_string(at, column, value[:_CELL_MAX], text)
        for column in range(len(kept), len(kept) + len(filled)):
            page.write_blank(at, column, None, fill)
    last, first = top + max(len(rows), 1), len(kept)
    for offset, names in ((0, _ANSWERS), (4, _RESULTS)):
        words = [str(VERBS[name].title) for name in names]
        page.data_validation(top + 1, first + offset, last, first + offset, {"validate": "list", "source": words, "error_type": "warning"})
    page.freeze_panes(top + 1, 3)
    page.autofilter(top, 0, last, len(kept) + len(filled) - 1)
    for column, width in enumerate([6, 12, 12, 22, 24, 14, 20, 12, *([22, 16, 36] if whole else []), 14, 14, 20, 18, 16]):
        page.set_column(column, column, width)
    page.set_landscape()
    page.set_paper(9)
    page.fit_to_pages(1, 0)
    page.repeat_rows(top)
    page.set_footer(f"&L{_('清单')} {duty_lists.code(of.id)} · {post.unit.name} {post.officer.name}&R&P / &N")
    book.close()
    return out.getvalue()


def _above(of: DutyList, post: Any, purpose: str, whole: bool) -> list[str]:
    """The lines above the table: every copy says whose it is, what for, and until when it may be kept."""
    at = "%Y-%m-%d %H:%M"
    made, ends, now = (m.astimezone(clock.SHANGHAI).strftime(at) for m in (of.made_at, of.ends_at, clock.now()))
    code, _space, note = purpose.partition(" ")
    why = f"{PURPOSES[code]} {note}".strip()
    shown = _("含完整姓名、证件和电话，用完销毁") if whole else _("姓名已遮盖")
    return [
        _("清单 %(code)s　%(title)s　共 %(n)s 件　截至 %(at)s")
        % {"code": duty_lists.code(of.id), "title": of.title, "n": len(of.loops), "at": made},
        _("%(unit)s %(officer)s 于 %(at)s 导出；用途：%(why)s；%(shown)s；保存到 %(ends)s")
        % {"unit": post.unit.name, "officer": post.officer.name, "at": now, "why": why, "shown": shown, "ends": ends},
        _("只填黄色的格子，不改编号；填好后在“以前的清单”页交回，先看会怎样再保存。日期写 2022-08-27，时间写 2022-08-28 09:30。"),
    ]


def _cells(row: Mapping[str, Any], duty: Mapping[str, Any], person: Any, whole: bool) -> list[str]:
    place = row["place"] if isinstance(row["place"], str) else " ".join(row["place"])
    due = duty["due_at"].astimezone(clock.SHANGHAI).strftime("%m-%d %H:%M") if duty["due_at"] else ""
    name = person.name if person and person.name else row["name"]
    what = f"{row['what']}（{row['event']}）" if row["event"] else row["what"]
    cells = [str(duty["no"]), duty_lists.code(duty["id"]), name, what, place, row["source"], row["owner"], due]
    if whole:
        cells += ["；".join(getattr(person, name)) if person else "" for name in ("docs", "phones", "addresses")]
    return [str(cell) for cell in cells]


# --- and back -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ReadBack:
    """What a workbook says: duties with an entry each, and cells that cannot be read (address, code). `n_blank`: rows left as they were."""

    number: int | None
    loops: list[int]
    said: list[dict[str, Any]]
    unread: list[dict[str, str]]
    n_blank: int


def read_back(data: bytes, name: str) -> ReadBack:
    """A workbook that came back. Rows are found by their number, wherever they stand now; sorted, shortened, renamed is no matter.

    Refuses what no list may be (`intake.read`), a file without our columns (`codes_missing`), one beyond 8 MB.
    """
    if len(data) > BYTES_MAX:
        raise Refused("file_too_large", "文件超过 8 MB，请分成几份交回。", "The file is larger than 8 MB; please split it.", "file")
    found: ReadBack | None = None
    for table in read_file(data, name):
        columns = _columns(table)
        if "code" in columns:
            part = _read_table(table, columns)
            found = part if found is None else _joined(found, part)
    if found is None:
        raise Refused(
            "codes_missing",
            "表里没有“编号”一列，认不出是哪些人。请交回从这里导出的表。",
            "There is no column of row codes. Please send back a workbook from here.",
            "file",
        )
    return found


def _joined(a: ReadBack, b: ReadBack) -> ReadBack:
    return ReadBack(a.number or b.number, a.loops + b.loops, a.said + b.said, a.unread + b.unread, a.n_blank + b.n_blank)


def _columns(table: Table) -> dict[str, int]:
    heads = {column.header.strip(): column.index for column in table.columns}
    return {name: heads[word] for name, words in _FILLED.items() for word in words if word in heads}


def _read_table(table: Table, columns: Mapping[str, int]) -> ReadBack:
    cells = [_column(table, columns, name) for name in _FILLED]
    frame = pl.DataFrame([table.frame["row"], *cells, *(_kind(table, columns, name) for name in ("since", "at"))])
    frame = frame.filter(pl.any_horizontal(pl.col(name) != "" for name in _FILLED))
    asked = frame.filter(pl.any_horizontal(pl.col(name) != "" for name in _FILLED if name != "code"))
    now = clock.now()
    days, times = (values.times(asked[name], asked[f"{name}_kind"], now, date_1904=table.date_1904) for name in ("since", "at"))
    said: dict[int, dict[str, Any]] = {}
    unread: list[dict[str, str]] = []
    words = _words()
    moments = zip(days.at, days.bad, times.at, times.bad, strict=True)
    for row, (day, bad_day, at, bad_at) in zip(asked.iter_rows(named=True), moments, strict=True):
        loop = duty_lists.number_of(row["code"])
        entry, wrong, column = _entry(row, words, None if bad_day else day, None if bad_at else at)
        if bad_day or bad_at:
            wrong, column = "date_unreadable", "since" if bad_day else "at"
        if loop is None:
            wrong, column = "number_unknown" if row["code"] else "number_missing", "code"
        elif loop in said:
            wrong, column = "number_twice", "code"
        address = table.address(row["row"], columns.get(column, 0))
        if wrong:
            unread.append({"at": address, "code": wrong, "says": " ".join(row[name] for name in _FILLED if row[name])[:80]})
        else:
            said[loop] = entry | {"cell": address}
    return ReadBack(duty_lists.number_of(table.sheet), list(said), list(said.values()), unread, len(frame) - len(asked))


def _column(table: Table, columns: Mapping[str, int], name: str) -> pl.Series:
    if name not in columns:
        return pl.Series(name, [""] * len(table.frame))
    return table.frame[f"c{columns[name]}"].fill_null("").str.strip_chars().alias(name)


def _kind(table: Table, columns: Mapping[str, int], name: str) -> pl.Series:
    kind = f"k{columns[name]}" if name in columns else ""
    return (
        table.frame[kind].alias(f"{name}_kind")
        if kind in table.frame.columns
        else pl.Series(f"{name}_kind", [None] * len(table.frame), pl.Int64)
    )


def _words() -> dict[str, str]:
    """What may stand in the columns of outcomes and results, in both languages."""
    found = dict(_ALSO)
    for language in ("zh-hans", "en"):
        with override(language):
            found |= {str(VERBS[name].title): name for name in (*_ANSWERS, *_RESULTS)}
    return found


def _entry(row: Mapping[str, str], words: Mapping[str, str], day: datetime | None, at: datetime | None) -> tuple[dict[str, Any], str, str]:
    """(what is said, or why it cannot be read, and in which column) of a row in which something was filled in."""
    answer, result = words.get(row["answer"], ""), words.get(row["result"], "")
    ways = [name for name in ("answer", "at", "result") if row[name]]
    if len(ways) > 1:
        return {}, "answer_twice", ways[1]
    if not ways:
        return {}, "answer_missing", "answer"
    if row["answer"] and answer not in _ANSWERS:
        return {}, "answer_unreadable", "answer"
    if row["result"] and result not in _RESULTS:
        return {}, "answer_unreadable", "result"
    if row["at"]:
        return {"verb": "sampled", "at": at.isoformat() if at else None}, "", "at"
    verb = answer or result
    said: dict[str, Any] = {"verb": verb}
    if verb == "here":
        said["since"] = day.astimezone(clock.SHANGHAI).date().isoformat() if day else None
    elif verb == "gone_on":
        said["destination"] = row["why"][:200]
    elif row["why"]:
        said["reason"] = row["why"][:200]
    return said, "", "answer"
