"""What strangers write into cells comes back as what it is: no export holds a formula, none changes a value."""

from __future__ import annotations

import csv
import io
import itertools
import re
import zipfile

import pytest
from openpyxl import load_workbook
from openpyxl.formatting.rule import FormulaRule
from openpyxl.worksheet.datavalidation import DataValidation

from bihuan.intake.check import check
from bihuan.intake.columns import map_columns
from bihuan.intake.read import read_file
from bihuan.intake.workbook import STYLED_CELLS_MAX, marked_copy, rejects_of
from bihuan.kernel.text import inert, is_formula

SIGNS = ("=", "+", "-", "@", " =", "\t=", "＝", "=-", "+=", "=@")
BODIES = (
    "cmd|' /C calc'!A0", "HYPERLINK(\"http://127.0.0.1/\"&A1,\"看\")", "WEBSERVICE(\"http://127.0.0.1/\"&B2)", "1+1", "SUM(A1:A9)",
    "DDE(\"cmd\";\"/C calc\";\"x\")", "IMPORTXML(\"http://127.0.0.1\",\"//a\")", "INDIRECT(\"A1\")", "MSEXCEL|'\\..\\..\\calc.exe'!''",
    "2+5+cmd|' /C calc'!A0", "IF(1,\"a\",\"b\")", "A1", "'名单'!A1", "[1]Sheet1!A1", "REGISTER.ID(\"x\",\"y\")", "EXEC(\"calc\")",
    "IMAGE(\"http://127.0.0.1/a.png\")", "RTD(\"a\",,\"b\")", "CALL(\"a\",\"b\")", "NOW()", "1e9", "0518-85801234", "86 13800000000",
    "\"x\"", "#REF!",
)  # fmt: skip
TAILS = ("", "\n=1+1")
PAYLOADS = ["".join(parts) for parts in itertools.product(SIGNS, BODIES, TAILS)]
HEAD = ["姓名", "证件号码", "手机号", "来源地", "=1+1", "备注"]


def rows() -> list[list[str]]:
    """Every payload in a name, an address of origin and a remark; each row is refused, so each is in every copy."""
    return [HEAD, *([text, "320722", "13812345678", text, text, text] for text in PAYLOADS)]


def text_file() -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows())
    return out.getvalue().encode()


_LIVE = re.compile(rb"<f[ >/]|<hyperlink |<definedName |<dataValidation |<cfRule |externalLink|<oleObject")


def live(data: bytes) -> list[str]:
    """Whatever in a workbook might compute or reach out."""
    found = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            found += [f"{name}: {what.decode()}" for what in _LIVE.findall(content)]
    return found


def cells_of(data: bytes) -> dict[str, list[str]]:
    (table,) = read_file(data, "a.xlsx")
    return {c.header: table.frame.get_column(f"c{c.index}").to_list() for c in table.columns}


def test_there_are_five_hundred_payloads():
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 500
    assert all(is_formula(text) for text in PAYLOADS)


@pytest.mark.parametrize("shape", ["workbook", "large workbook", "text file", "only refused rows"])
def test_five_hundred_payloads_in_marked_copies(xlsx, now, monkeypatch, shape):
    data, name = (text_file(), "a.csv") if shape == "text file" else (xlsx({"=1+1": rows()}, strings_to_formulas=False), "a.xlsx")
    if shape == "large workbook":
        monkeypatch.setattr("bihuan.intake.workbook.STYLED_CELLS_MAX", -STYLED_CELLS_MAX)
    tables = read_file(data, name)
    checked = check(tables, [map_columns(t) for t in tables], "unit", now)
    assert checked.reason_counts() == {"id_length": 500}
    made = marked_copy(data, name, rejects_of(checked), only_refused=shape == "only refused rows")
    assert live(made) == []
    before, after = tables[0].frame, cells_of(made)
    for column in tables[0].columns:
        assert after[column.header] == before.get_column(f"c{column.index}").to_list(), column.header
    for page in load_workbook(io.BytesIO(made)):
        told = [cell for line in page.iter_rows() for cell in line if isinstance(cell.value, str) and is_formula(cell.value)]
        assert len(told) >= 2000
        assert {(cell.data_type, cell.quotePrefix) for cell in told} == {("s", True)}


def test_what_computes_beside_the_cells_goes_too(xlsx, now):
    book = load_workbook(io.BytesIO(xlsx({"名单": [["姓名", "证件号码", "备注"], ["王", "320722", "见"], ["李", "320723", "5"]]})))
    page = book["名单"]
    page["C2"].hyperlink = "http://127.0.0.1/?a=1"
    page["D2"] = '=HYPERLINK("http://127.0.0.1/"&A2,"看")'
    page.add_data_validation(rule := DataValidation(type="list", formula1='=WEBSERVICE("http://127.0.0.1")'))
    rule.add("C2:C9")
    page.conditional_formatting.add("A1:A9", FormulaRule(formula=['WEBSERVICE("http://127.0.0.1")="1"']))
    book.save(out := io.BytesIO())
    assert len(live(out.getvalue())) >= 4
    tables = read_file(out.getvalue(), "a.xlsx")
    checked = check(tables, [map_columns(t) for t in tables], "unit", now)
    made = marked_copy(out.getvalue(), "a.xlsx", rejects_of(checked))
    assert live(made) == []
    assert load_workbook(io.BytesIO(made))["名单"]["C2"].value == "见"


def test_texts_for_csv_are_inert_and_nothing_else_is_touched():
    assert all(inert(text) == f"'{text}" for text in PAYLOADS)
    for text in ("名单", "13800000000", "a=1", "", "（=）"):
        assert inert(text) == text


def test_a_number_stays_a_number_in_every_copy(xlsx, now, monkeypatch):
    """An ID number in a numeric cell has lost digits; as text it could look like a good one the second time."""
    data = xlsx({"名单": [["姓名", "证件号码"], ["王", 320722196608102140]]})
    for most in (STYLED_CELLS_MAX, -1):
        monkeypatch.setattr("bihuan.intake.workbook.STYLED_CELLS_MAX", most)
        tables = read_file(data, "a.xlsx")
        checked = check(tables, [map_columns(t) for t in tables], "unit", now)
        made = marked_copy(data, "a.xlsx", rejects_of(checked))
        again = read_file(made, "a.xlsx")
        assert check(again, [map_columns(t) for t in again], "unit", now).reason_counts() == {"id_numeric_cell": 1}
