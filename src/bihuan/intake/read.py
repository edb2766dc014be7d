"""Files of senders as tables of text, with line numbers as the sender sees them.

A cell keeps its type beside its text, because an ID number that was typed into a numeric cell has lost its last digits
and must be refused by its type, whatever it looks like. Nothing here knows what a column means.

Limits are checked before anything is unpacked or parsed: a workbook is hostile until it is counted.
"""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from xml.etree.ElementTree import ParseError

import polars as pl
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bihuan.intake.columns import Column, by_name, head_score, letters, looks_like_data, unknown_columns
from bihuan.kernel.refused import Refused

# A list of a million persons is 80 to 130 MB of CSV, or 30 MB of workbook.
FILE_BYTES_MAX = 256 * 2**20
# Unpacked XML of a full sheet (1,048,576 rows of seven columns) is about 400 MB; a bomb claims gigabytes.
UNPACKED_BYTES_MAX = 512 * 2**20
# Sheets of repeated values shrink 30 to 60 times; deflate cannot pass 1,032. Small files may have any ratio.
RATIO_MAX = 250
RATIO_FREE_BYTES = 16 * 2**20
PARTS_MAX = 2_000
# The reader lays a sheet out as a full rectangle: one stray cell in XFD1048576 would be 17 thousand million cells.
CELLS_MAX = 12_000_000
COLUMNS_MAX = 256
COLUMNS_READ_MAX = 2_000  # a few stray formats to the right are common; whole rows of 16,384 are not
SHEETS_MAX = 200
_BROKEN_FREE, _BROKEN_ONE_IN = 4, 1_000  # halves of characters that a text file may have: four, or one in a thousand bytes
HEAD_LINES = 40  # titles and a head of several lines stand in the first lines, or nowhere

TEXT, NUMBER, DATE, OTHER = 0, 1, 2, 3

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD_EXCEL = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"\x09\x08")
_NOTHING = b"\x00\r\n\t ,;"
_BEGINNING = 2**16  # bytes that are looked at before the whole
_TEXT_ENDINGS = (".csv", ".txt", ".tsv")
_DELIMITERS = (",", "\t", ";", "|", "，")


@dataclass(frozen=True)
class Table:
    """One sheet below its head.

    `frame` has `row` (1-based line as the sender sees it, titles included), a text column `c<i>` for each sheet column
    i from 0, and `k<i>` (TEXT, NUMBER, DATE, OTHER) only for columns in which not every cell is text. Blank lines are
    still in. `header_row` is the last line of the head, 0 where there is none. `formulas` are cell addresses without
    the sheet; `several` says whether the file has more than one sheet (addresses then name it).
    """

    sheet: str
    header_row: int
    columns: tuple[Column, ...]
    frame: pl.DataFrame
    hidden_rows: frozenset[int] = frozenset()
    formulas: frozenset[str] = frozenset()
    overflow: bool = False
    several: bool = False
    date_1904: bool = False
    notes: tuple[str, ...] = field(default=())

    def address(self, row: int, index: int) -> str:
        """A cell as the sender finds it: C12, or 连云区!C12 where there are several sheets."""
        plain = f"{letters(index)}{row}"
        return f"{self.sheet}!{plain}" if self.several else plain


def read_file(source: str | Path | bytes, filename: str | None = None) -> list[Table]:
    """All lists in a file: one table per sheet that has a head or data of persons.

    Sheets without a recognisable head are left out and named in the first table's notes. Refuses file_empty,
    file_truncated, file_encrypted, file_xls, file_macro, file_too_large, file_entities, file_type, columns_unknown.
    """
    if isinstance(source, bytes):
        data, name = source, filename or ""
    else:
        path = Path(source)
        if path.stat().st_size > FILE_BYTES_MAX:
            raise _too_large(f"{path.stat().st_size // 2**20} MB", filename or path.name)
        data, name = path.read_bytes(), filename or path.name
    ending = Path(name).suffix.lower()
    if not data[:_BEGINNING].strip(_NOTHING) and not data.strip(_NOTHING):
        raise Refused("file_empty", "文件是空的", "The file is empty", where=name or None)
    if len(data) > FILE_BYTES_MAX:
        raise _too_large(f"{len(data) // 2**20} MB", name)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data or "EncryptionInfo".encode("utf-16-le") in data:
            raise _encrypted(name)
        raise _xls(name)
    if data.startswith(b"PK"):
        if ending in (".xlsm", ".xltm", ".xlam"):
            raise _macro(name)
        if ending not in (".xlsx", ".xls", ".et", ".zip", ""):
            raise _type(name)
        return _read_workbook(data, name)
    if ending in (".xls", ".et") or (ending not in _TEXT_ENDINGS and data.startswith(_OLD_EXCEL)):
        raise _xls(name)
    if ending in (".xlsm", ".xltm", ".xlam"):
        raise _macro(name)
    if ending == ".xlsx":
        raise _truncated(name)
    if ending not in _TEXT_ENDINGS:
        raise _type(name)
    return [_read_text(data, name)]


# --- refusals -------------------------------------------------------------------------------------------------------


def _too_large(what: str, name: str) -> Refused:
    return Refused("file_too_large", f"文件太大（{what}），请拆分后再导入", f"The file is too large ({what}); split it", where=name or None)


def _encrypted(name: str) -> Refused:
    return Refused(
        "file_encrypted", "文件有密码，请去掉密码后再导入", "The file is protected by a password; remove it first", where=name or None
    )


def _xls(name: str) -> Refused:
    return Refused("file_xls", "这是旧的 .xls 格式，请另存为 .xlsx", "This is the old .xls format; save it as .xlsx", where=name or None)


def _macro(name: str) -> Refused:
    return Refused(
        "file_macro",
        "文件含有宏，请另存为不含宏的 .xlsx",
        "The workbook contains macros; save it as .xlsx without them",
        where=name or None,
    )


def _truncated(name: str, where: str | None = None) -> Refused:
    return Refused(
        "file_truncated",
        "文件不完整，可能没有传完，请重新发送",
        "The file is incomplete or damaged; send it again",
        where=where or name or None,
    )


def _entities(name: str) -> Refused:
    return Refused(
        "file_entities", "文件里有外部引用或实体定义，不予读取", "The file declares entities or outside references", where=name or None
    )


def _type(name: str) -> Refused:
    return Refused("file_type", "不认识的文件，请用 .xlsx 或 .csv", "Unknown kind of file; use .xlsx or .csv", where=name or None)


# --- heads ----------------------------------------------------------------------------------------------------------


def _joined(upper: list[str], lower: list[str]) -> list[str]:
    """A head of two lines as one: the lower name where it is known alone, else the known upper, else both together."""
    wide = max(len(upper), len(lower))
    upper, lower = upper + [""] * (wide - len(upper)), lower + [""] * (wide - len(lower))
    out = []
    for above, below in zip(upper, lower, strict=True):
        if head_score([below]):
            out.append(below)
        elif head_score([above]) and not below.strip():
            out.append(above)
        else:
            out.append(above + below if above.strip() != below.strip() else above)
    return out


def _find_head(lines: list[list[str]]) -> tuple[int, list[str]] | None:
    """(index of the last line of the head, names), index -1 when data begins at once, None when nothing looks like a list.

    The head is the line above the first data with the most known names; a line just below it that adds names joins it.
    """
    best: tuple[int, int, list[str]] | None = None
    for i, line in enumerate(lines):
        filled = [c for c in line if c.strip()]
        if not filled:
            continue
        if any(looks_like_data(c) for c in filled):
            title_only = best is not None and best[0] == 1 and len(filled) > 2 >= sum(bool(c.strip()) for c in best[2])
            if (best is None or title_only) and _is_person_line(filled):
                return _head_before(lines, i)
            if best is not None:
                break
            continue
        score = head_score(line)
        if best is not None and best[1] == i - 1:
            both = _joined(best[2], line)
            if head_score(both) > max(best[0], score):
                best = (head_score(both), i, both)
                continue
        kept = score and any((by_name(c) or ("ignored",))[0] != "ignored" for c in filled)
        enough = kept and (score >= 2 or (len(filled) <= 2 and all(len(c.strip()) <= 12 for c in filled)))
        if enough and (best is None or score > best[0]):
            best = (score, i, line)
    return (best[1], best[2]) if best else None


def _is_person_line(filled: list[str]) -> bool:
    from bihuan.intake.columns import _DOC, _PHONE

    plain = [re.sub(r"[\s-]", "", c) for c in filled]
    return any(_PHONE.match(c) or _DOC.match(c) for c in plain)


def _head_before(lines: list[list[str]], first_data: int) -> tuple[int, list[str]]:
    """The head of a list whose names nobody knows: the filled line just above the first person, as wide as the data."""
    width = sum(bool(c.strip()) for c in lines[first_data])
    for i in range(first_data - 1, -1, -1):
        filled = [c for c in lines[i] if c.strip()]
        if filled:
            return (i, lines[i]) if len(filled) >= max(2, width // 2) else (-1, [])
    return -1, []


def _columns(names: list[str], width: int, sheet: str, row: int, several: bool) -> tuple[Column, ...]:
    prefix = f"{sheet}!" if several else ""
    names = names + [""] * (width - len(names))
    return tuple(Column(i, name, f"{prefix}{letters(i)}{max(row, 1)}") for i, name in enumerate(names[:width]))


# --- text files -----------------------------------------------------------------------------------------------------


def _decode(data: bytes, name: str) -> bytes:
    """The file as UTF-8 without BOM. Senders use UTF-8 with and without BOM, GB 18030, and Excel's UTF-16 text."""
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise _truncated(name) from None
    if b"\x00" in data[:4096]:
        raise _type(name)
    try:  # asked so, because decoding a large file only to see whether it can be costs twice as much
        pl.Series([data], dtype=pl.Binary).cast(pl.String)
        return data
    except pl.exceptions.PolarsError:
        pass
    try:
        data.decode()
        return data
    except UnicodeDecodeError as error:
        utf8_error = error
    try:
        return data.decode("gb18030").encode()
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 4 or utf8_error.start >= len(data) - 4:
            raise _truncated(name) from None
    # A database that cuts texts at so many bytes leaves halves of characters: a few do not spoil the list.
    tries = [data.decode(encoding, errors="replace") for encoding in ("utf-8", "gb18030")]
    text = min(tries, key=lambda t: t.count("\ufffd"))
    broken = text.count("\ufffd")
    if broken <= max(_BROKEN_FREE, len(data) // _BROKEN_ONE_IN):
        return text.encode()
    raise Refused(
        "file_type", "文字编码不认识，请另存为 UTF-8 或 GBK", "The text encoding is unknown; save as UTF-8 or GBK", where=name or None
    )


def _delimiter(lines: list[str]) -> str:
    counts = [[line.count(d) for line in lines] for d in _DELIMITERS]
    return max(zip(counts, _DELIMITERS, strict=True), key=lambda c: (sum(n > 0 for n in c[0]), sum(c[0])))[1]


def _read_text(data: bytes, name: str) -> Table:
    data = _decode(data, name)
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    quoted = b'"' in data and data.count(b'"') % 2 == 0
    beginning = data[:_BEGINNING].decode(errors="ignore")
    delimiter = _delimiter([line for line in beginning.splitlines()[:HEAD_LINES] if line.strip()])
    if delimiter == "，":
        data, delimiter = data.replace("，".encode(), b","), ","
        beginning = beginning.replace("，", ",")
    reader = csv.reader(io.StringIO(beginning, newline=""), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    lines: list[list[str]] = []
    ends: list[int] = []
    for line in reader:
        lines.append(line)
        ends.append(reader.line_num)
        if len(lines) == HEAD_LINES:
            break
    head = _find_head(lines)
    if head is None:
        first = next((line for line in lines if any(c.strip() for c in line)), [])
        raise unknown_columns("", [c for c in first if c.strip()])
    at, names = head
    width = max(len(names), 1) if at >= 0 else max(map(len, lines))
    while width > 1 and at >= 0 and not names[width - 1].strip():
        width -= 1  # trailing delimiters of the head are not columns
    if width > COLUMNS_MAX:
        raise _too_large(f"{width} 列", name)
    _check_tail(data, delimiter, width, name)
    frame = _parse_text(data, delimiter, quoted, width, ends[at] if at >= 0 else 0)
    if frame.height * width > CELLS_MAX:
        raise _too_large(f"{frame.height * width} 格", name)
    frame = frame.with_row_index("row", offset=at + 2)
    overflow = frame.get_column("over").null_count() < frame.height
    if not overflow:
        frame = frame.drop("over")
    return Table("", at + 1, _columns(names, width, "", at + 1, False), frame, overflow=overflow)


def _parse_text(data: bytes, delimiter: str, quoted: bool, width: int, skip: int) -> pl.DataFrame:
    """Lines below the head, one more column than the head for cells that stick out."""
    names = [f"c{i}" for i in range(width)] + ["over"]
    start = 0
    for _ in range(skip):
        start = data.find(b"\n", start) + 1 or len(data)
    head = delimiter.join(names).encode() + b"\n"  # a head of our own tells the reader the width, whatever the first line has
    try:
        return pl.read_csv(
            b"".join((head, memoryview(data)[start:])),
            separator=delimiter,
            quote_char='"' if quoted else None,
            truncate_ragged_lines=True,
            infer_schema=False,
        )
    except pl.exceptions.PolarsError:  # quotes inside cells, as people write inches and nicknames: the slow reader takes them
        reader = csv.reader(
            io.StringIO(data[start:].decode(), newline=""), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
        padded = [(list(line) + [None] * (width + 1 - len(line)))[: width + 1] for line in reader]
        return pl.DataFrame(padded, schema=dict.fromkeys(names, pl.String), orient="row")


def _check_tail(data: bytes, delimiter: str, width: int, name: str) -> None:
    """Refuse a file whose last line breaks off: no line end, fewer cells than every other line near it.

    A file that was cut exactly between two lines cannot be told from a whole one; the accounts then show fewer rows.
    """
    if width < 3 or data.endswith((b"\n", b"\r")):
        return
    tail = data[-(2**14) :].split(b"\n")[-6:]
    separator = delimiter.encode()
    last, before = tail[-1].count(separator) + 1, {line.count(separator) + 1 for line in tail[1:-1] if line.strip()}
    if b'"' not in tail[-1] and before == {width} and 2 <= last < width and len(tail) > 3:
        raise _truncated(name)


# --- workbooks ------------------------------------------------------------------------------------------------------

_ROW = re.compile(rb"<(?:\w+:)?row\b([^<>]{0,2000})>")
_ROW_NUMBER = re.compile(rb"""\br\s*=\s*["'](\d+)["']""")
_HIDDEN = re.compile(rb"""\bhidden\s*=\s*["'](?:1|true)["']""")
_FORMULA = re.compile(rb"""<(?:\w+:)?c\b[^<>]*?\br\s*=\s*["']([A-Z]+\d+)["'][^<>]*>\s*<(?:\w+:)?f[\s>/]""")
_PLACE = re.compile(rb"""\br\s{0,8}=\s{0,8}["']([A-Z]{1,4})(\d{1,9})""")
_ROW_NUMBERS = re.compile(rb"""[<:]row\s[^<>:]{0,120}?\br\s{0,8}=\s{0,8}["'](\d{1,9})""")
_SCAN_BYTES, _SCAN_OVERLAP = 4 * 2**20, 64
_ENTITY_MARKS = (b"<!DOCTYPE", b"<!ENTITY", "<!DOCTYPE".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-be"))


@dataclass(frozen=True)
class _Part:
    """What only the XML of a sheet tells."""

    hidden_rows: frozenset[int]
    formulas: frozenset[str]


def _read_workbook(data: bytes, name: str) -> list[Table]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sheets, parts, date_1904 = _inspect(archive, name)
    except DefusedXmlException as error:
        raise _entities(name) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ParseError, NotImplementedError, LookupError, ValueError, OSError) as error:
        raise _truncated(name) from error
    return _tables(data, name, sheets, parts, date_1904)


def _inspect(archive: zipfile.ZipFile, name: str) -> tuple[list[str], dict[str, _Part], bool]:
    """Count before parsing; (sheet names, what the XML of each tells, whether days count from 1904)."""
    members = archive.infolist()
    if any(m.flag_bits & 1 for m in members):
        raise _encrypted(name)
    names = {m.filename for m in members}
    if any(n.lower().endswith("vbaproject.bin") for n in names):
        raise _macro(name)
    if len(members) > PARTS_MAX:
        raise _too_large(f"{len(members)} 个部件", name)
    unpacked, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if unpacked > UNPACKED_BYTES_MAX or (unpacked > RATIO_FREE_BYTES and unpacked > RATIO_MAX * max(packed, 1)):
        raise _too_large(f"解压后 {unpacked // 2**20} MB", name)
    if "EncryptedPackage" in names:
        raise _encrypted(name)
    if "[Content_Types].xml" not in names or "xl/workbook.xml" not in names:
        raise _type(name)
    if b"macroEnabled" in archive.read("[Content_Types].xml"):
        raise _macro(name)
    workbook = fromstring(archive.read("xl/workbook.xml"), forbid_dtd=True)
    relations = fromstring(archive.read("xl/_rels/workbook.xml.rels"), forbid_dtd=True)
    targets = {r.get("Id"): (r.get("Target") or "") for r in relations}
    properties = workbook.find("{*}workbookPr")
    date_1904 = properties is not None and properties.get("date1904") in ("1", "true")
    found = [
        (s.get("name") or "", targets.get(next((v for k, v in s.attrib.items() if k.endswith("}id")), ""), ""))
        for s in workbook.findall("{*}sheets/{*}sheet")
    ]
    if len(found) > SHEETS_MAX:
        raise _too_large(f"{len(found)} 个工作表", name)
    sheet_of = {(t.lstrip("/") if t.startswith("/") else f"xl/{t}"): s for s, t in found if t}
    parts: dict[str, _Part] = {}
    cells = 0
    for member in members:  # every XML part is read once, through the checksum of the archive
        if not member.filename.lower().endswith((".xml", ".rels")):
            continue
        xml = archive.read(member)
        if any(mark in xml for mark in _ENTITY_MARKS):
            raise _entities(name)
        if member.filename in sheet_of:
            part, size = _inspect_sheet(xml, name)
            cells += size
            if cells > CELLS_MAX:
                raise _too_large(f"{cells} 格", name)
            parts[sheet_of[member.filename]] = part
    return [s for s, t in found if t], parts, date_1904


def _inspect_sheet(xml: bytes, name: str) -> tuple[_Part, int]:
    """(what the XML tells, cells of the rectangle that the sheet spans)."""
    letters_seen: set[bytes] = set()
    last = xml.count(b"<row") + xml.count(b":row ")
    for begin in range(0, len(xml), _SCAN_BYTES):  # in pieces: the places of twelve million cells would fill the memory
        piece = xml[begin : begin + _SCAN_BYTES + _SCAN_OVERLAP]
        places = _PLACE.findall(piece)
        if places:
            letters_seen.update(set(next(zip(*places, strict=True))))
            digits = {d for _, d in places}
            last = max(last, int(max(digits, key=lambda d: (len(d), d))))
    last = max(last, max((int(n) for n in _ROW_NUMBERS.findall(xml)), default=0))
    width = max((_number(m) for m in letters_seen), default=1)
    if width > COLUMNS_READ_MAX or last * width > CELLS_MAX:
        raise _too_large(f"{last} 行 × {width} 列", name)
    hidden = _hidden_rows(xml) if b"hidden" in xml else set()
    formulas = frozenset(m.decode() for m in _FORMULA.findall(xml)) if b"<f" in xml or b":f" in xml else frozenset()
    return _Part(frozenset(hidden), formulas), last * width


def _hidden_rows(xml: bytes) -> set[int]:
    """Numbers of hidden rows; a row without a number follows the one before it."""
    hidden, position = set(), 0
    for match in _ROW.finditer(xml):
        number = _ROW_NUMBER.search(match.group(1))
        position = int(number.group(1)) if number else position + 1
        if _HIDDEN.search(match.group(1)):
            hidden.add(position)
    return hidden


def _number(letters_: bytes) -> int:
    value = 0
    for c in letters_:
        value = value * 26 + c - 64
    return value


def _tables(data: bytes, name: str, sheets: list[str], parts: dict[str, _Part], date_1904: bool) -> list[Table]:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum

    tables: list[Table] = []
    left_out: list[str] = []
    first_seen: tuple[str, list[str]] | None = None
    filled_sheets = 0
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        visible = {s.name: str(s.visible).endswith("Visible") and "Very" not in str(s.visible) for s in book.sheets_metadata}
        pages = {s.name for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet}
        for sheet in sheets:
            if sheet not in pages:
                continue  # a chart sheet
            source = book.get_sheet_by_name(sheet)
            grid = source.to_python(skip_empty_area=False)
            if not any(cell != "" for line in grid for cell in line):
                continue
            filled_sheets += 1
            table = _sheet_table(sheet, grid, source.merged_cell_ranges or [], parts.get(sheet), len(sheets) > 1, date_1904)
            if table is None:
                left_out.append(sheet)
                first_seen = first_seen or (sheet, [_text(c) for c in next(line for line in grid if any(c != "" for c in line)) if c != ""])
                continue
            tables.append(table if visible.get(sheet, True) else _noted(table, f"hidden_sheet:{sheet}"))
    except PasswordError as error:
        raise _encrypted(name) from error
    except CalamineError as error:
        raise _truncated(name) from error
    if not filled_sheets:
        raise Refused("file_empty", "文件是空的", "The file is empty", where=name or None)
    if not tables:
        sheet, found = first_seen or ("", [])
        raise unknown_columns(sheet, found)
    if left_out:
        tables[0] = _noted(tables[0], *(f"sheet_left_out:{sheet}" for sheet in left_out))
    return tables


def _noted(table: Table, *notes: str) -> Table:
    from dataclasses import replace

    return replace(table, notes=table.notes + notes)


def _text(cell: object) -> str:
    """A cell as text: whole numbers without a point, dates as ISO."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell == int(cell) and abs(cell) < 1e21 else repr(cell)
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    return str(cell)


def _kind(cell: object) -> int:
    if isinstance(cell, str):
        return TEXT
    if isinstance(cell, bool):
        return OTHER
    if isinstance(cell, (int, float)):
        return NUMBER
    return DATE if isinstance(cell, (datetime, date)) else OTHER


def _sheet_table(
    sheet: str,
    grid: list[list[object]],
    merged: Iterable[tuple[tuple[int, int], tuple[int, int]]],
    part: _Part | None,
    several: bool,
    date_1904: bool,
) -> Table | None:
    """A sheet below its head, or None where nothing looks like a list of persons."""
    lines = [[_text(c) for c in line] for line in grid[:HEAD_LINES]]
    for (top, left), (bottom, right) in merged:
        if top < HEAD_LINES and bottom < len(lines) and bottom > top and left < len(lines[top]):
            for row in range(top + 1, bottom + 1):  # a head merged downwards stands in both lines
                if not any(looks_like_data(c) for c in lines[row]):
                    lines[row][left] = lines[row][left] or lines[top][left]
        if top == bottom and right > left and 0 < top < HEAD_LINES and right < len(lines[top]) and head_score(lines[top]) >= 1:
            for column in range(left + 1, right + 1):
                lines[top][column] = lines[top][column] or lines[top][left]
    head = _find_head(lines)
    if head is None:
        return None
    at, names = head
    width = (
        max((i + 1 for line in grid for i in range(len(line) - 1, -1, -1) if line[i] != ""), default=0)
        if len(grid) < 50
        else _used_width(grid)
    )
    if width > COLUMNS_MAX:
        raise _too_large(f"{width} 列", sheet)
    body = grid[at + 1 :]
    for (top, left), (bottom, _right) in merged:
        if top > at and bottom > top and left < width:  # a value merged over several persons holds for each of them
            for row in range(top + 1, bottom + 1):
                if row < len(grid) and grid[row][left] == "":
                    grid[row][left] = grid[top][left]
    data: dict[str, pl.Series] = {"row": pl.Series("row", range(at + 2, at + 2 + len(body)), dtype=pl.UInt32)}
    columns = list(zip(*body, strict=True)) if body else [()] * width
    for i in range(width):
        cells = columns[i] if i < len(columns) else ("",) * len(body)
        if set(map(type, cells)) <= {str}:
            data[f"c{i}"] = pl.Series(f"c{i}", cells, dtype=pl.String)
        else:
            data[f"c{i}"] = pl.Series(f"c{i}", [_text(c) for c in cells], dtype=pl.String)
            data[f"k{i}"] = pl.Series(f"k{i}", [_kind(c) for c in cells], dtype=pl.UInt8)
    return Table(
        sheet,
        at + 1,
        _columns(names, width, sheet, at + 1, several),
        pl.DataFrame(data),
        hidden_rows=part.hidden_rows if part else frozenset(),
        formulas=part.formulas if part else frozenset(),
        several=several,
        date_1904=date_1904,
    )


def _used_width(grid: list[list[object]]) -> int:
    """Columns up to the last one that has anything; sheets often carry empty formatted ones."""
    width = len(grid[0])
    while width and not any(line[width - 1] != "" for line in grid):
        width -= 1
    return width


def excel_moment(serial: float, *, date_1904: bool = False) -> datetime:
    """A serial number of a spreadsheet as a naive local time (days since 1899-12-30, or since 1904-01-01)."""
    start = datetime(1904, 1, 1) if date_1904 else datetime(1899, 12, 30)
    return start + timedelta(seconds=round(serial * 86400))
