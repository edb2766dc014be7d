"""The sender's own list with what is wrong in it marked, to be mended and sent again.

Refused cells are coloured, and one last column says why. Every cell that is text is written as text, so that nothing a
stranger typed (`=HYPERLINK(…)`, `@SUM`) runs on the desk of who opens it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date, datetime, time

import polars as pl

from bihuan.intake.check import CheckedRows
from bihuan.intake.columns import letters
from bihuan.intake.read import Table, read_file

# Beyond this the file is written row by row from the checked table, without the sender's formats.
STYLED_BYTES_MAX = 8 * 2**20
_RED = "FFFFC7CE"
_EXCEL_CELL_MAX = 32_767
HEADING = {"zh": "退回原因", "en": "Why refused"}

Reject = tuple[str, int, str, str, str]  # sheet, row, code, cell address, sentence


def rejects_of(checked: CheckedRows, language: str = "zh") -> list[Reject]:
    """All reasons of all refused rows, as `marked_copy` takes them."""
    return checked.sentences(language)


def marked_copy(original: bytes, filename: str, rejects: Iterable[Reject], *, language: str = "zh", only_refused: bool = False) -> bytes:
    """The list as .xlsx with refused cells coloured and the reasons of each row in a last column.

    A workbook keeps its sheets, widths and formats; a text file becomes a workbook of text cells. `only_refused` leaves
    out the rows that were taken (the line numbers of the first list then stand in the first column).
    """
    by_sheet: dict[str, dict[int, list[Reject]]] = {}
    for reject in rejects:
        by_sheet.setdefault(reject[0], {}).setdefault(reject[1], []).append(reject)
    if only_refused or not original.startswith(b"PK") or len(original) > STYLED_BYTES_MAX:
        return _plain_copy(read_file(original, filename), by_sheet, language, only_refused=only_refused)
    heads = {table.sheet: table.header_row for table in read_file(original, filename)}
    return _styled_copy(original, by_sheet, heads, language)


def _sentences(found: list[Reject]) -> str:
    return "；".join(dict.fromkeys(f"{cell.rpartition('!')[2]}：{sentence}" for _, _, _, cell, sentence in found))[:_EXCEL_CELL_MAX]


def _styled_copy(original: bytes, by_sheet: dict[str, dict[int, list[Reject]]], heads: dict[str, int], language: str) -> bytes:
    """The sender's workbook, changed in place."""
    import warnings

    from openpyxl import load_workbook
    from openpyxl.styles import PatternFill

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions of the file that it cannot keep
        book = load_workbook(io.BytesIO(original), keep_links=False)
    red = PatternFill("solid", start_color=_RED, end_color=_RED)
    for page in book.worksheets:
        for line in page.iter_rows():
            for cell in line:
                if cell.data_type == "f":  # a formula is kept as its text: nothing in this copy computes
                    cell.value, cell.data_type = str(getattr(cell.value, "text", cell.value)), "s"
        rows = by_sheet.get(page.title)
        if not rows:
            continue
        last = page.max_column + 1
        header = page.cell(max(heads.get(page.title, 0), 1), last)
        header.value, header.data_type = HEADING[language[:2]], "s"
        for row, found in rows.items():
            for _, _, _, address, _ in found:
                page[address.rpartition("!")[2]].fill = red
            note = page.cell(row, last)
            note.value, note.data_type, note.fill = _sentences(found), "s", red
            page.row_dimensions[row].hidden = False
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _plain_copy(tables: list[Table], by_sheet: dict[str, dict[int, list[Reject]]], language: str, *, only_refused: bool) -> bytes:
    """A workbook of text cells, written row by row."""
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    red, text = book.add_format({"bg_color": "#FFC7CE", "num_format": "@"}), book.add_format({"num_format": "@"})
    for i, table in enumerate(tables):
        page = book.add_worksheet(_sheet_name(table.sheet or "名单", i))
        rows = by_sheet.get(table.sheet, {})
        shift = 1 if only_refused else 0
        width = len(table.columns)
        for column in table.columns:
            page.write_string(0, column.index + shift, column.header[:_EXCEL_CELL_MAX], text)
        if shift:
            page.write_string(0, 0, "原行号" if language.startswith("zh") else "Line", text)
        page.write_string(0, width + shift, HEADING[language[:2]], text)
        names = [f"c{c.index}" for c in table.columns]
        frame = table.frame.select("row", *names)
        if only_refused:
            frame = frame.filter(pl.col("row").is_in(list(rows)))
        # without titles above, lines keep the numbers that the sender sees; the head stays on top
        for at, (row, *cells) in enumerate(frame.iter_rows(), start=1):
            line = at if only_refused else max(row - 1, at)
            found = rows.get(row, [])
            marked = {address.rpartition("!")[2].rstrip("0123456789") for _, _, _, address, _ in found}
            if shift:
                page.write_string(line, 0, str(row), text)
            for column, cell in zip(table.columns, cells, strict=True):
                if cell:
                    page.write_string(line, column.index + shift, _cell_text(cell), red if letters(column.index) in marked else text)
                elif letters(column.index) in marked:
                    page.write_blank(line, column.index + shift, None, red)
            if found:
                page.write_string(line, width + shift, _sentences(found), red)
    book.close()
    return out.getvalue()


def _cell_text(cell: object) -> str:
    return (cell.isoformat() if isinstance(cell, (date, datetime, time)) else str(cell))[:_EXCEL_CELL_MAX]


def _sheet_name(name: str, number: int) -> str:
    """A name that a workbook may bear: at most 31 signs, none of []:*?/\\."""
    clean = "".join("_" if c in "[]:*?/\\" else c for c in name).strip("'")[:28]
    return clean or f"名单{number + 1}"
