"""What the columns of a list are is said by an officer, and the list is read once more with that."""

from __future__ import annotations

import re
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import act_of, error_of, new_act, once
from bihuan.access.permissions import Permission
from bihuan.intake import actions, columns, parser
from bihuan.intake.file_pages import file_of, language, may_be_mapped
from bihuan.intake.models import IntakeFile
from bihuan.intake.read import Table
from bihuan.kernel.refused import Refused

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
        found = file_of(file)
        if not may_be_mapped(found):
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
    no = 1 if language() == "en" else 0
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
