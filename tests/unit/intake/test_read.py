"""Files as tables, and every way in which a file is refused."""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import io
import zipfile
from datetime import datetime

import pytest

from bihuan.intake import read
from bihuan.intake.columns import map_columns
from bihuan.intake.read import NUMBER, TEXT, read_file
from bihuan.kernel.refused import Refused

HEAD = "姓名,证件号码,手机号,来源地,到达时间\n"
ROW = "王小梅,320722199001011234,13812345678,上海市,2022-08-27\n"


def repacked(data: bytes, change) -> bytes:
    """The workbook with its parts changed: change(name, content) -> content or None to leave it out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = change(member.filename, old.read(member))
            if content is not None:
                new.writestr(member.filename, content)
    return out.getvalue()


@pytest.fixture
def book(xlsx):
    return xlsx({"名单": [["姓名", "身份证号", "手机"], ["王小梅", "320722199001011234", "13812345678"]]})


def refusal(data: bytes, name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        read_file(data, name)
    assert caught.value.zh
    assert caught.value.en
    return caught.value


@pytest.mark.parametrize("data", [b"", b"\n\n , ,\n", b"\x00\x00"])
def test_empty_file(data):
    assert refusal(data, "a.csv").code == "file_empty"


def test_empty_workbook(xlsx):
    assert refusal(xlsx({"一": []}), "a.xlsx").code == "file_empty"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_workbook(book, share):
    assert refusal(book[: int(len(book) * share)], "a.xlsx").code == "file_truncated"


def test_truncated_text_in_a_character_and_in_a_line():
    whole = (HEAD + ROW * 5).encode("gb18030")
    assert refusal(whole[: whole.rindex(b",2022") - 1], "a.csv").code == "file_truncated"
    assert refusal((HEAD + ROW * 5)[:-20].encode(), "a.csv").code == "file_truncated"


def test_damaged_sheet_is_truncated(book):
    at = book.index(b"xl/worksheets/sheet1.xml") + 60
    assert refusal(book[:at] + b"\x55\xaa\x55" + book[at + 3 :], "a.xlsx").code == "file_truncated"


def test_encrypted_workbook():
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 512 + "EncryptedPackage".encode("utf-16-le") + b"\x00" * 512
    assert refusal(ole, "a.xlsx").code == "file_encrypted"


def test_encrypted_zip(book):
    data = bytearray(book)
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 8] |= 1
        at += 4
    assert refusal(bytes(data), "a.xlsx").code == "file_encrypted"


@pytest.mark.parametrize("name", ["a.xls", "a.xlsx", "a.et"])
def test_old_excel(name):
    assert refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 4096, name).code == "file_xls"
    assert refusal(b"\x09\x08\x10\x00" + b"\x01" * 64, "b.xls").code == "file_xls"


def test_macro_workbook(book):
    assert refusal(book, "a.xlsm").code == "file_macro"
    with_macro = repacked(book, lambda n, c: c)
    out = io.BytesIO(with_macro)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"x")
    assert refusal(out.getvalue(), "a.xlsx").code == "file_macro"
    declared = repacked(book, lambda n, c: c.replace(b"spreadsheetml.sheet.main", b"sheet.macroEnabled.main") if "Content" in n else c)
    assert refusal(declared, "a.xlsx").code == "file_macro"


def test_zip_bomb_by_ratio_is_refused_before_unpacking(book):
    bomb = repacked(book, lambda n, c: c + b" " * (40 * 2**20) if n.endswith("sheet1.xml") else c)
    assert len(bomb) < 100_000
    assert refusal(bomb, "a.xlsx").code == "file_too_large"


def test_one_far_cell_is_refused(book):
    far = repacked(book, lambda n, c: c.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'))
    assert refusal(far, "a.xlsx").code == "file_too_large"


def test_too_many_cells(monkeypatch):
    monkeypatch.setattr(read, "CELLS_MAX", 20)
    assert refusal((HEAD + ROW * 10).encode(), "a.csv").code == "file_too_large"


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml"])
def test_entities(book, part):
    doctype = b'?>\n<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    assert refusal(repacked(book, lambda n, c: c.replace(b"?>", doctype, 1) if n == part else c), "a.xlsx").code == "file_entities"


def test_unknown_kinds_of_file():
    assert refusal(b"%PDF-1.7 ...", "a.pdf").code == "file_type"
    assert refusal(b"some text", "a.doc").code == "file_type"
    assert refusal(b"\x00\x01\x02\x03" * 100, "a.csv").code == "file_type"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert refusal(out.getvalue(), "a.xlsx").code == "file_type"


def test_unknown_columns_says_what_was_found_and_what_is_needed(xlsx):
    found = refusal("车牌,颜色\n苏G12345,红\n".encode(), "a.csv")
    assert found.code == "columns_unknown"
    assert "车牌" in found.zh
    assert "手机号" in found.zh
    assert refusal(xlsx({"一": [["品名", "数量"], ["口罩", 30]]}), "a.xlsx").code == "columns_unknown"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_files(encoding, delimiter, end):
    text = (HEAD + ROW + "\n" + ROW).replace(",", delimiter).replace("\n", end)
    (table,) = read_file(text.encode(encoding), "a.csv")
    assert table.header_row == 1
    assert [c.header for c in table.columns] == ["姓名", "证件号码", "手机号", "来源地", "到达时间"]
    assert table.frame["row"].to_list() == [2, 3, 4]
    assert table.frame["c4"].to_list() == ["2022-08-27", None, "2022-08-27"]


def test_half_a_character_does_not_spoil_the_list():
    text = (HEAD + ROW * 5).encode("gb18030")
    at = text.index("小".encode("gb18030"))
    (table,) = read_file(text[:at] + text[at + 1 :], "a.csv")
    assert table.frame.height == 5
    assert table.frame["c2"].to_list() == ["13812345678"] * 5
    assert "\ufffd" in table.frame["c0"][0]


def test_titles_in_text_files_and_quotes():
    (table,) = read_file(("名单\n填报单位：某某\n" + HEAD + '"王,小梅",x,13812345678,上海,"8月""27日"\n').encode(), "a.csv")
    assert table.header_row == 3
    assert table.frame.rows() == [(4, "王,小梅", "x", "13812345678", "上海", '8月"27日')]
    (table,) = read_file((HEAD + '王"小梅,x,13812345678,上海,8月27日\n').encode(), "a.csv")
    assert table.frame["c0"].to_list() == ['王"小梅']


def test_cells_beyond_the_head_are_kept_and_noticed():
    (table,) = read_file((HEAD + ROW + ROW.replace("上海市", "上海,市")).encode(), "a.csv")
    assert table.overflow
    assert table.frame["over"].to_list() == [None, "2022-08-27"]


def test_types_of_cells_and_line_numbers(xlsx):
    rows = [
        ["返连人员登记表"],
        [],
        ["姓名", "身份证号", "手机", "到连日期"],
        ["王", 320722199001011234, 13812345678, datetime(2022, 8, 27)],
        ["李", "320722199001011234", "139", "8月27日"],
        ["填表人：  审核人："],
    ]
    (table,) = read_file(xlsx({"一": rows}, hidden=[5]), "a.xlsx")
    assert table.header_row == 3
    assert table.frame["row"].to_list() == [4, 5, 6]
    assert table.frame["k1"].to_list()[:2] == [NUMBER, TEXT]
    assert table.frame["c2"].to_list()[:2] == ["13812345678", "139"]
    assert table.frame["c3"].to_list()[:2] == ["2022-08-27", "8月27日"]
    assert table.hidden_rows == {5}
    assert table.address(4, 1) == "B4"


def test_head_of_two_lines(xlsx):
    rows = [
        ["外来人员"],
        ["姓名", "证件", "", "行程", ""],
        ["", "身份证号", "手机号", "从哪来", "到达时间"],
        ["王梅", "", "13812345678", "上海", "8.27"],
    ]
    (table,) = read_file(xlsx({"一": rows}), "a.xlsx")
    assert table.header_row == 3
    assert set(map_columns(table).fields) == {"name", "doc", "phone", "origin", "arrived_at"}


def test_sheets_without_a_list_are_left_out_and_named(xlsx):
    tables = read_file(xlsx({"说明": [["请如实填写"]], "赣榆区": [["姓名", "电话"], ["王", "13812345678"]], "空": []}), "a.xlsx")
    assert [t.sheet for t in tables] == ["赣榆区"]
    assert tables[0].notes == ("sheet_left_out:说明",)
    assert tables[0].address(2, 1) == "赣榆区!B2"


def test_value_merged_over_several_persons_holds_for_each(xlsx):
    rows = [["姓名", "电话", "单位"], ["王", "13812345678", None], ["李", "13912345678", None]]
    (table,) = read_file(xlsx({"一": rows}, merged=[(1, 2, 2, 2, "某港口")]), "a.xlsx")
    assert table.frame["c2"].to_list() == ["某港口", "某港口"]


def test_formula_is_read_as_its_value_and_named(xlsx):
    data = xlsx({"一": [["姓名", "电话"], ["王", "13812345678"]]})
    changed = repacked(data, lambda n, c: c.replace(b"</row></sheetData>", b'<c r="C2" t="str"><f>1+1</f><v>2</v></c></row></sheetData>'))
    (table,) = read_file(changed, "a.xlsx")
    assert table.formulas == {"C2"}
