"""Files are parsed by a process of its own that a hostile file may kill, and nothing else."""

from __future__ import annotations

import io
import os
import signal
import zipfile

import polars as pl
import pytest
from openpyxl import load_workbook

from bihuan.intake import parser
from bihuan.intake.read import read_file
from bihuan.kernel.refused import Refused

HEAD = "姓名,证件号码,手机号\n"
GOOD = (HEAD + "王小梅,320722196608102143,13812345678\n").encode()
SHEET = b'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def refusal(data: bytes, name: str = "a.xlsx") -> str:
    with pytest.raises(Refused) as caught:
        parser.read(data, name)
    assert caught.value.zh
    assert caught.value.en
    return caught.value.code


def repacked(data: bytes, change) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for member in old.infolist():
            content = change(member.filename, old.read(member))
            if content is not None:
                new.writestr(member.filename, content)
    return out.getvalue()


@pytest.fixture
def book(xlsx):
    return xlsx({"一": [["登记表"], ["姓名", "身份证号", "手机"], ["王", 320722196608102143, "13812345678"]]}, hidden=[3])


def test_tables_come_back_as_they_are_read_here(book, xlsx):
    several = xlsx({"甲": [["姓名", "电话"], ["王", "13812345678"]], "说明": [["请如实填写"]], "乙": [["姓名", "电话"], ["李", 8.5]]})
    for data, name in ((GOOD, "a.csv"), (book, "a.xlsx"), (several, "b.xlsx")):
        for here, there in zip(read_file(data, name), parser.read(data, name), strict=True):
            assert {k: v for k, v in vars(here).items() if k != "frame"} == {k: v for k, v in vars(there).items() if k != "frame"}
            assert here.frame.equals(there.frame)
            assert here.frame.schema == there.frame.schema


def test_a_killed_parser_refuses_the_file_and_the_next_one_is_read():
    parser.start()
    process = parser._child.process
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert parser.read(GOOD, "a.csv")[0].frame.height == 1


def test_a_text_that_is_repeated_without_end_ends_the_parser_and_not_us(book):
    """Each cell is small, the strings are few, the cells are few enough: only memory tells (thirty thousand signs a cell)."""
    text = b"<si><t>" + b"x" * 30_000 + b"</t></si>"
    cells = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (i, i) for i in range(1, 60_001))

    def change(name, content):
        if name.endswith("sharedStrings.xml"):
            return content[: content.index(b"<si")] + text + b"</sst>"
        return SHEET + cells + b"</sheetData></worksheet>" if name.endswith("sheet1.xml") else content

    assert refusal(repacked(book, change)) == "file_too_costly"
    assert parser.read(GOOD, "a.csv")[0].frame.height == 1


def test_a_parser_that_does_not_answer_is_ended(monkeypatch, book):
    monkeypatch.setattr(parser, "WALL_FACTOR", 0.0)
    assert refusal(book) == "file_too_costly"
    monkeypatch.undo()
    assert parser.read(book, "a.xlsx")[0].frame.height == 1


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("xl/worksheets/sheet1.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'),
        ("xl/worksheets/sheet1.xml", b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1/x"><worksheet/>'),
        ("xl/sharedStrings.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><sst><si><t>&x;</t></si></sst>'),
        ("xl/styles.xml", '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16")),
        ("xl/worksheets/sheet1.xml", b'<?xml version="1.0" encoding="utf-7"?><worksheet/>'),
        ("docProps/core.xml", b'<?xml version="1.0"?><!DOCTYPE a><a/>'),
    ],
)  # fmt: skip
def test_entities_and_strange_encodings(book, part, content):
    assert refusal(repacked(book, lambda n, c: content if n == part else c)) == "file_entities"


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd", "xl/../../x.xml", "C:\\x.xml", "..\\x.xml"])
def test_paths_out_of_the_archive(book, name):
    out = io.BytesIO(book)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), "x")
    assert refusal(out.getvalue()) == "file_entities"


def test_two_parts_of_one_name(book):
    out = io.BytesIO(book)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/worksheets/SHEET1.xml", SHEET + b"</sheetData></worksheet>")
    assert refusal(out.getvalue()) == "file_truncated"


def test_a_sheet_is_counted_whatever_its_part_is_called(book):
    far = SHEET + b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            name, content = member.filename, old.read(member)
            if name.endswith("sheet1.xml"):
                name, content = "xl/worksheets/sheet1.png", far
            new.writestr(name, content.replace(b"worksheets/sheet1.xml", b"worksheets/sheet1.png"))
    assert refusal(out.getvalue()) == "file_too_large"


def test_places_written_in_unusual_ways_are_counted(book):
    for place in (b"r = 'XFD1048576'", b"r='XFD1048576'", b'  r= "XFD1048576"', b's="1"\nr="XFD1048576"'):
        far = SHEET + b"<row><c " + place + b"><v>1</v></c></row></sheetData></worksheet>"
        assert refusal(repacked(book, lambda n, c, far=far: far if n.endswith("sheet1.xml") else c)) == "file_too_large"


def test_strings_that_no_cell_uses_and_texts_too_long_for_a_cell(book):
    many = b"<sst>" + b"<si><t>x</t></si>" * 20_000 + b"</sst>"
    assert refusal(repacked(book, lambda n, c: many if n.endswith("sharedStrings.xml") else c)) == "file_too_large"
    long = b"<sst><si><t>" + b"x" * 10 * 2**20 + b"</t></si></sst>"
    assert refusal(repacked(book, lambda n, c: long if n.endswith("sharedStrings.xml") else c)) == "file_too_large"


def test_archives_in_archives_are_not_opened(book):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("0.zip", b"PK" + b"\x00" * 100)
    assert refusal(inner.getvalue(), "lists.zip") == "file_type"
    with zipfile.ZipFile(out := io.BytesIO(book), "a") as archive:
        archive.writestr("xl/embeddings/oleObject1.bin", inner.getvalue())
        archive.writestr("xl/media/image1.png", b"\x89PNG" + b"\xff" * 1000)
        archive.writestr("xl/externalLinks/externalLink1.xml", b'<externalLink><externalBook r:id="rId1"/></externalLink>')
    assert parser.read(out.getvalue(), "a.xlsx")[0].frame.height == 1


def test_the_marked_copy_is_made_there_too(book):
    sentence = "存成了数字"
    made = parser.mark(book, "a.xlsx", [("一", 3, "id_numeric_cell", "B3", sentence)])
    page = load_workbook(io.BytesIO(made))["一"]
    assert page["D3"].value == f"B3：{sentence}"
    assert isinstance(page["B3"].value, (int, float))
    with pytest.raises(Refused):
        parser.mark(b"PK", "a.xlsx", [])


def test_a_failure_tells_the_place_and_nothing_of_the_file(monkeypatch, caplog):
    """What a library raises may quote the cells; neither the log nor the refusal does."""
    parser.start()
    with pytest.raises(Refused) as caught:
        parser._child.ask({"do": "mark", "name": "a.csv", "rejects": [[1]], "language": "zh", "only_refused": False}, GOOD)
    assert caught.value.code == "file_unreadable"
    assert "王小梅" not in caplog.text
    assert "workbook.py" in caplog.text
    assert isinstance(parser.read(GOOD, "a.csv")[0].frame, pl.DataFrame)
