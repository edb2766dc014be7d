"""The sender's own list with what is wrong in it marked, to be mended and sent again.

Refused cells are coloured, and one last column says why. Every cell that is text is written as text, so that nothing a
stranger typed (`=HYPERLINK(…)`, `@SUM`) runs on the desk of who opens it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from datetime import date, datetime, time

import polars as pl
from openpyxl.cell.cell import Cell, MergedCell

from bihuan.intake.check import CheckedRows
from bihuan.intake.columns import letters
from bihuan.intake.read import NUMBER, Table, read_file
from bihuan.kernel.text import is_formula

# Beyond this the file is written row by row from the checked table, without the sender's formats.
STYLED_BYTES_MAX = 8 * 2**20
STYLED_CELLS_MAX = 300_000  # openpyxl keeps a kilobyte for each
_RED = "FFFFC7CE"
_EXCEL_CELL_MAX = 32_767
HEADING = {"zh": "退回原因", "en": "Why refused"}

Reject = tuple[str, int, str, str, str]  # sheet, row, code, cell address, sentence


def rejects_of(checked: CheckedRows, language: str = "zh") -> list[Reject]:
    """All reasons of all refused rows, as `marked_copy` takes them."""
    return checked.sentences(language)


def marked_copy(
    original: bytes,
    filename: str,
    rejects: Iterable[Reject],
    *,
    language: str = "zh",
    only_refused: bool = False,
    counted: Callable[[int], None] | None = None,
) -> bytes:
    """The list as .xlsx with refused cells coloured and the reasons of each row in a last column.

    A workbook keeps its sheets, widths and formats; a text file, or a very large workbook, becomes a workbook of plain cells on
    the same lines. `only_refused` leaves out the rows that were taken (the line numbers of the first list then stand in the
    first column). A copy that comes back with new faults is marked anew: its old marks and reasons go.
    """
    by_sheet: dict[str, dict[int, list[Reject]]] = {}
    for reject in rejects:
        by_sheet.setdefault(reject[0], {}).setdefault(reject[1], []).append(reject)
    cells = [0]

    def note(n: int) -> None:
        cells[0] = n
        if counted is not None:
            counted(n)

    tables = read_file(original, filename, note)
    if only_refused or not original.startswith(b"PK") or len(original) > STYLED_BYTES_MAX or cells[0] > STYLED_CELLS_MAX:
        return _plain_copy(tables, by_sheet, language, only_refused=only_refused)
    return _styled_copy(original, by_sheet, {table.sheet: table for table in tables}, language)


def _sentences(found: list[Reject]) -> str:
    return "；".join(dict.fromkeys(f"{cell.rpartition('!')[2]}：{sentence}" for _, _, _, cell, sentence in found))[:_EXCEL_CELL_MAX]


def _reason_column(table: Table | None, default: int) -> int:
    """The index of the column of reasons: that of an earlier copy, else the one after the last that has anything."""
    if table is None:
        return default
    return next((c.index for c in table.columns if c.header in HEADING.values()), len(table.columns))


def _styled_copy(original: bytes, by_sheet: dict[str, dict[int, list[Reject]]], tables: dict[str, Table], language: str) -> bytes:
    """The sender's workbook, changed in place. What was a formula is the value that it had: nothing in this copy computes."""
    import warnings

    from openpyxl import load_workbook
    from openpyxl.formatting.formatting import ConditionalFormattingList
    from openpyxl.styles import PatternFill
    from openpyxl.worksheet.datavalidation import DataValidationList

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions of the file that it cannot keep
        book = load_workbook(io.BytesIO(original), keep_links=False, data_only=True)
    book.defined_names.clear()
    red, plain = PatternFill("solid", start_color=_RED, end_color=_RED), PatternFill()
    for page in book.worksheets:
        page.conditional_formatting, page.data_validations = ConditionalFormattingList(), DataValidationList()
        page.defined_names.clear()
        rows = by_sheet.get(page.title, {})
        reasons = _reason_column(tables.get(page.title), page.max_column) + 1
        for line in page.iter_rows():
            for cell in line:
                if isinstance(cell, MergedCell):
                    continue
                cell.hyperlink = None
                if cell.has_style and cell.fill.fill_type == "solid" and cell.fill.start_color.rgb == _RED:
                    cell.fill = plain
                    if cell.column == reasons:
                        cell.value = None
                if isinstance(cell.value, str):
                    _write_text(cell, cell.value)
        if not rows:
            continue
        header = page.cell(max(tables[page.title].header_row if page.title in tables else 0, 1), reasons)
        if not isinstance(header, MergedCell):
            _write_text(header, HEADING[language[:2]])
        for row, found in rows.items():
            for _, _, _, address, _ in found:
                page[address.rpartition("!")[2]].fill = red
            note = page.cell(row, reasons)
            if not isinstance(note, MergedCell):
                _write_text(note, _sentences(found))
            note.fill = red
            page.row_dimensions[row].hidden = False
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _write_text(cell: Cell, text: str) -> None:
    """Text as text, also where it looks like a formula; the quote sign keeps it so when somebody types into the cell."""
    cell.value = text
    cell.data_type = "s"
    if is_formula(text):
        cell.quotePrefix = True


def _plain_copy(tables: list[Table], by_sheet: dict[str, dict[int, list[Reject]]], language: str, *, only_refused: bool) -> bytes:
    """A workbook of plain cells, written row by row. A number stays a number: an ID number that lost its digits in a numeric cell
    must not come back as text that looks like a good one."""
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    red = book.add_format({"bg_color": "#FFC7CE", "num_format": "@", "quote_prefix": True})
    text = book.add_format({"num_format": "@", "quote_prefix": True})
    red_number = book.add_format({"bg_color": "#FFC7CE"})
    names_used: set[str] = set()
    for i, table in enumerate(tables):
        page = book.add_worksheet(_sheet_name(table.sheet or "名单", i, names_used))
        rows = by_sheet.get(table.sheet, {})
        shift = 1 if only_refused else 0
        reasons = _reason_column(table, len(table.columns))
        columns = [c for c in table.columns if c.index != reasons]
        if shift:
            page.write_string(0, 0, "原行号" if language.startswith("zh") else "Line", text)
        for column in columns:
            page.write_string(0, column.index + shift, column.header[:_EXCEL_CELL_MAX], text)
        page.write_string(0, reasons + shift, HEADING[language[:2]], text)
        names = [f"c{c.index}" for c in columns]
        kinds = [f"k{c.index}" if f"k{c.index}" in table.frame.columns else None for c in columns]
        frame = table.frame.select("row", *names, *(k for k in kinds if k))
        if only_refused:
            frame = frame.filter(pl.col("row").is_in(list(rows)))
        at_kind = [1 + len(names) + sum(k is not None for k in kinds[:i]) if k else None for i, k in enumerate(kinds)]
        # without titles above, lines keep the numbers that the sender sees; the head stays on top
        for at, line in enumerate(frame.iter_rows(), start=1):
            row, cells = line[0], line[1 : 1 + len(names)]
            to = at if only_refused else max(row - 1, at)
            found = rows.get(row, [])
            marked = {address.rpartition("!")[2].rstrip("0123456789") for _, _, _, address, _ in found}
            if shift:
                page.write_string(to, 0, str(row), text)
            for column, cell, kind in zip(columns, cells, at_kind, strict=True):
                is_marked = bool(marked) and letters(column.index) in marked
                if cell and kind is not None and line[kind] == NUMBER:
                    page.write_number(to, column.index + shift, float(cell), red_number if is_marked else None)
                elif cell:
                    page.write_string(to, column.index + shift, _cell_text(cell), red if is_marked else text)
                elif is_marked:
                    page.write_blank(to, column.index + shift, None, red)
            if found:
                page.write_string(to, reasons + shift, _sentences(found), red)
    book.close()
    return out.getvalue()


def _cell_text(cell: object) -> str:
    return (cell.isoformat() if isinstance(cell, (date, datetime, time)) else str(cell))[:_EXCEL_CELL_MAX]


def _sheet_name(name: str, number: int, used: set[str]) -> str:
    """A name that a workbook may bear: at most 31 signs, none of []:*?/\\, once."""
    clean = "".join("_" if c in "[]:*?/\\" else c for c in name).strip("'")[:31] or f"名单{number + 1}"
    if clean.lower() in used:
        clean = f"{clean[:26]}-{number + 1}"
    used.add(clean.lower())
    return clean
