"""The marked copy of a sender's list."""

from __future__ import annotations

import io

import pytest
from openpyxl import load_workbook

from bihuan.intake.check import check
from bihuan.intake.columns import map_columns
from bihuan.intake.read import read_file
from bihuan.intake.workbook import marked_copy, rejects_of

GOOD = "320722196608102143"
ROWS = [["登记表"], ["姓名", "身份证号", "手机", "备注"], ["王", GOOD, "13812345678", "=1+1"], ["=cmd|x", GOOD[:17], "123", "@SUM(A1)"]]


def copy(data: bytes, name: str, now, **options):
    tables = read_file(data, name)
    checked = check(tables, [map_columns(t) for t in tables], "unit", now)
    return load_workbook(io.BytesIO(marked_copy(data, name, rejects_of(checked), **options)))


def formulas(book) -> list[str]:
    return [c.coordinate for page in book for line in page.iter_rows() for c in line if c.data_type == "f"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_workbook_keeps_its_shape_and_says_why(xlsx, now, language):
    tables = read_file(data := xlsx({"名单": ROWS}), "a.xlsx")
    checked = check(tables, [map_columns(t) for t in tables], "unit", now)
    page = load_workbook(io.BytesIO(marked_copy(data, "a.xlsx", rejects_of(checked, language), language=language)))["名单"]
    assert page["A1"].value == "登记表"
    assert page["E2"].value in ("退回原因", "Why refused")
    assert page["B4"].fill.start_color.rgb == page["C4"].fill.start_color.rgb == "FFFFC7CE"
    assert page["A4"].fill.fill_type is None
    assert page["E4"].value.startswith("B4：")
    assert page["E3"].value is None


def test_nothing_computes(xlsx, now):
    book = copy(xlsx({"名单": ROWS}), "a.xlsx", now)
    assert formulas(book) == []
    assert book["名单"]["A4"].value == "=cmd|x"


def test_text_file_becomes_a_workbook_with_the_same_lines(now):
    text = "名单\n姓名,身份证号,手机,备注\n王," + GOOD + ",13812345678,=1+1\n李," + GOOD[:17] + ",123,@SUM\n"
    page = copy(text.encode("gb18030"), "a.csv", now).worksheets[0]
    assert page["B4"].value == GOOD[:17]
    assert page["B4"].fill.start_color.rgb == "FFFFC7CE"
    assert page["E4"].value.startswith("B4：")
    assert page["D3"].value == "=1+1"
    assert page["D3"].data_type == "s"


def test_only_refused_rows_with_their_lines(xlsx, now):
    page = copy(xlsx({"名单": ROWS}), "a.xlsx", now, only_refused=True).worksheets[0]
    assert [[c.value for c in line][:3] for line in page.iter_rows()] == [["原行号", "姓名", "身份证号"], ["4", "=cmd|x", GOOD[:17]]]
