"""Files of senders as tables of text, with line numbers as the sender sees them.

A cell keeps its type beside its text, because an ID number that was typed into a numeric cell has lost its last digits
and must be refused by its type, whatever it looks like. Nothing here knows what a column means.

Limits are checked before anything is unpacked or parsed: a workbook is hostile until it is counted.
"""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bihuan.intake import archive, refusals, relay
from bihuan.intake.columns import Column, by_name, head_score, letters, looks_like_data, unknown_columns
from bihuan.kernel.refused import Refused

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

# A list of a million persons is 80 to 130 MB of CSV, or 30 MB of workbook.
FILE_BYTES_MAX = 256 * 2**20
CELLS_MAX = archive.CELLS_MAX
COLUMNS_MAX = 256
RELAY_BYTES_MAX = 2**20  # nobody writes longer messages into a chat
_BROKEN_FREE, _BROKEN_ONE_IN = 4, 1_000  # halves of characters that a text file may have: four, or one in a thousand bytes
_LINES_AT_ONCE = 10_000
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
    `recognised`: False where nothing looked like the head of a list (only with `anyway`); the first filled line then
    stands for the head. `relay`: a message in which the people of a village say who they are. `month_first`: 3/4/2022 is
    the 4th of March, as the sender's form has it.
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
    month_first: bool = False
    recognised: bool = True
    relay: bool = False
    notes: tuple[str, ...] = field(default=())

    def address(self, row: int, index: int) -> str:
        """A cell as the sender finds it: C12, or 连云区!C12 where there are several sheets."""
        plain = f"{letters(index)}{row}"
        return f"{self.sheet}!{plain}" if self.several else plain


def read_file(
    source: str | Path | bytes, filename: str | None = None, counted: Callable[[int], None] | None = None, *, anyway: bool = False
) -> list[Table]:
    """All lists in a file: one table per sheet that has a head or data of persons.

    Sheets without a recognisable head are left out and named in the first table's notes; with `anyway` they come too, because
    an officer may say what their columns are. `counted` is told the cells before they are parsed. Refuses file_empty,
    file_truncated, file_encrypted, file_xls, file_macro, file_too_large, file_entities, file_type, columns_unknown.
    """
    if isinstance(source, bytes):
        data, name = source, filename or ""
    else:
        path = Path(source)
        if path.stat().st_size > FILE_BYTES_MAX:
            raise refusals.too_large(f"{path.stat().st_size // 2**20} MB", f"{path.stat().st_size // 2**20} MB", filename or path.name)
        data, name = path.read_bytes(), filename or path.name
    ending = Path(name).suffix.lower()
    if not data[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").strip(_NOTHING) and not data.removeprefix(b"\xef\xbb\xbf").strip(_NOTHING):
        raise Refused("file_empty", "文件是空的", "The file is empty", where=name or None)
    if len(data) > FILE_BYTES_MAX:
        raise refusals.too_large(f"{len(data) // 2**20} MB", f"{len(data) // 2**20} MB", name)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data or "EncryptionInfo".encode("utf-16-le") in data:
            raise refusals.encrypted(name)
        raise refusals.xls(name)
    if data.startswith(b"PK"):
        if ending in (".xlsm", ".xltm", ".xlam"):
            raise refusals.macro(name)
        if ending not in (".xlsx", ".xls", ".et", ".zip", "", *_TEXT_ENDINGS):  # what is in it counts, not what it is called
            raise refusals.type_(name)
        return _read_workbook(data, name, counted, anyway=anyway)
    if ending in (".xls", ".et") or (ending not in _TEXT_ENDINGS and data.startswith(_OLD_EXCEL)):
        raise refusals.xls(name)
    if ending in (".xlsm", ".xltm", ".xlam"):
        raise refusals.macro(name)
    if ending == ".xlsx" and b"\0" in data[:_BEGINNING]:
        raise refusals.truncated(name)
    if ending not in (*_TEXT_ENDINGS, ".xlsx") or data[:_BEGINNING].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):  # a web page
        raise refusals.type_(name)
    return [_read_text(data, name, counted, anyway=anyway)]


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
            if best is None and any(_is_label(c) for c in filled):
                continue  # who sends it and how to reach them, above the head
            title_only = best is not None and best[0] == 1 and len(filled) > 2 >= sum(bool(c.strip()) for c in best[2])
            if (best is None or title_only) and _is_person_line(filled):
                return _head_before(lines, i)
            if best is not None:
                if _is_person_line(filled) and _names_a_person_field(filled[0]):
                    return None  # a form of one person: 姓名 | 王小梅 | 性别 | 女, below it 身份证号 | 1101… | 手机 | 138…
                break
            continue
        score = head_score(line)
        if best is not None and best[1] == i - 1:
            both = _joined(best[2], line)
            if head_score(both) > max(best[0], score):
                best = (head_score(both), i, both)
                continue
        kept = score and any((by_name(c) or ("ignored",))[0] != "ignored" for c in filled)
        enough = kept and (score >= 2 or (len(filled) <= 2 and all(_is_short_head(c) for c in filled)))
        if enough and (best is None or score > best[0]):
            best = (score, i, line)
    return (best[1], best[2]) if best else None


def _first_line(lines: list[list[str]]) -> tuple[int, list[str]]:
    """The first filled line as a head, where nothing looks like one."""
    return next((i, line) for i, line in enumerate([*lines, [""]]) if any(c.strip() for c in line) or i == len(lines))


def _is_short_head(text: str) -> bool:
    """Whether a cell that stands nearly alone is a head, and not a sentence of instructions with a known word in it."""
    plain = text.strip()
    exact = (by_name(plain) or ("", 0.0))[1] > 2
    return not re.search("[，。；！、：？]", plain) and len(plain) <= (12 if exact else 8)


def _names_a_person_field(text: str) -> bool:
    name, strength = by_name(text) or ("", 0.0)
    return name in ("name", "doc", "phone") and strength > 2


def _is_label(text: str) -> bool:
    """Whether a cell names what stands in the cell beside it: `联系电话：`, `填报人`."""
    return text.strip().endswith((":", "：")) or (by_name(text) or ("", 1.0))[1] not in (0.5, 1.0)


def _is_person_line(filled: list[str]) -> bool:
    from bihuan.intake.columns import DOC, PHONE

    plain = [re.sub(r"[\s-]", "", c) for c in filled]
    return any(PHONE.match(c) or DOC.match(c) for c in plain)


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
            raise refusals.truncated(name) from None
    if b"\x00" in data[:4096]:
        raise refusals.type_(name)
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
            raise refusals.truncated(name) from None
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


def _aligned(data: bytes) -> bytes | None:
    """A text whose columns are only parted by blanks, with tabs instead; None for any other. Half of all lines have as many cells as
    the first one, three at least, and no line has another delimiter."""
    lines = data.decode().splitlines()
    filled = [line for line in lines if line.strip()]
    if len(filled) < 2 or any(d in line for line in filled for d in _DELIMITERS):
        return None
    cells = [len(line.split()) for line in filled]
    if cells[0] < 3 or sum(n == cells[0] for n in cells) * 2 <= len(cells):
        return None
    return "\n".join("\t".join(line.split()) for line in lines).encode()


def _read_text(data: bytes, name: str, counted: Callable[[int], None] | None, *, anyway: bool) -> Table:
    data = _decode(data, name)
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    quoted = b'"' in data and data.count(b'"') % 2 == 0
    beginning = data[:_BEGINNING].decode(errors="ignore")
    if len(data) <= RELAY_BYTES_MAX and relay.is_relay(beginning.splitlines()[:HEAD_LINES]):
        frame = relay.parse(data.decode())
        return Table("", 0, _columns(list(relay.HEADS), len(relay.HEADS), "", 1, False), frame, relay=True)
    if len(data) <= RELAY_BYTES_MAX:
        aligned = _aligned(data)
        if aligned is not None:
            data, beginning = aligned, aligned[:_BEGINNING].decode(errors="ignore")
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
    if head is None and not anyway:
        first = next((line for line in lines if any(c.strip() for c in line)), [])
        raise unknown_columns("", [c for c in first if c.strip()])
    at, names = head or _first_line(lines)
    width = max(len(names), 1) if at >= 0 else max(map(len, lines))
    while width > 1 and at >= 0 and not names[width - 1].strip():
        width -= 1  # trailing delimiters of the head are not columns
    if width > COLUMNS_MAX:
        raise refusals.too_large(f"{width} 列", f"{width} columns", name)
    _check_tail(data, delimiter, width, name)
    cells = (data.count(b"\n") + 1) * width
    if cells > CELLS_MAX:
        raise refusals.too_large(f"{cells} 格", f"{cells} cells", name)
    if counted is not None:
        counted(cells)
    frame = _parse_text(data, delimiter, quoted, width, ends[at] if at >= 0 else 0)
    frame = frame.with_row_index("row", offset=at + 2)
    overflow = frame.get_column("over").null_count() < frame.height
    if not overflow:
        frame = frame.drop("over")
    return Table("", at + 1, _columns(names, width, "", at + 1, False), frame, overflow=overflow, recognised=head is not None)


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
        raise refusals.truncated(name)


# --- workbooks ------------------------------------------------------------------------------------------------------


def _read_workbook(data: bytes, name: str, counted: Callable[[int], None] | None, *, anyway: bool) -> list[Table]:
    book = archive.count(data, name)
    if counted is not None:
        counted(book.cells)
    return _tables(data, name, book, anyway=anyway)


def _tables(data: bytes, name: str, counted: archive.Counted, *, anyway: bool) -> list[Table]:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum

    tables: list[Table] = []
    left_out: list[str] = []
    first_seen: tuple[str, list[str]] | None = None
    filled_sheets = 0
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        visible = {s.name: str(s.visible).endswith("Visible") and "Very" not in str(s.visible) for s in book.sheets_metadata}
        pages = {s.name for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet}
        for sheet in counted.sheets:
            if sheet not in pages:
                continue  # a chart sheet
            source = book.get_sheet_by_name(sheet)
            lines = _lines(source)
            top = list(itertools.islice(lines, HEAD_LINES))
            if not any(cell != "" for line in itertools.chain(top, lines if _all_blank(top) else ()) for cell in line):
                continue
            filled_sheets += 1
            part = counted.parts.get(sheet)
            table = _sheet_table(
                sheet, top, lines, source.merged_cell_ranges or [], part, len(counted.sheets) > 1, counted.date_1904, anyway=anyway
            )
            if table is None:
                left_out.append(sheet)
                first_seen = first_seen or (
                    sheet,
                    [_text(c) for c in next((line for line in top if any(c != "" for c in line)), []) if c != ""],
                )
                continue
            tables.append(table if visible.get(sheet, True) else _noted(table, f"hidden_sheet:{sheet}"))
    except PasswordError as error:
        raise refusals.encrypted(name) from error
    except CalamineError as error:
        raise refusals.truncated(name) from error
    if not filled_sheets:
        raise Refused("file_empty", "文件是空的", "The file is empty", where=name or None)
    if not tables:
        sheet, found = first_seen or ("", [])
        raise unknown_columns(sheet, found)
    if left_out:
        tables[0] = _noted(tables[0], *(f"sheet_left_out:{sheet}" for sheet in left_out))
    return tables


def _lines(source: CalamineSheet) -> Iterator[list[object]]:
    """The lines of a sheet from its first, each from column A."""
    left = [""] * (source.start[1] if source.start else 0)
    for line in source.iter_rows():
        yield left + line if left else line


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


def _all_blank(lines: list[list[object]]) -> bool:
    return all(cell == "" for line in lines for cell in line)


def _sheet_table(
    sheet: str,
    top: list[list[object]],
    below: Iterator[list[object]],
    merged: Iterable[tuple[tuple[int, int], tuple[int, int]]],
    part: archive.Part | None,
    several: bool,
    date_1904: bool,
    *,
    anyway: bool = False,
) -> Table | None:
    """A sheet below its head, or None where nothing looks like a list of persons. `top` are its first lines, `below` the others."""
    merged = list(merged)
    lines = [[_text(c) for c in line] for line in top]
    for (first, left), (last, right) in merged:
        if first < last < len(lines) and left < len(lines[first]):
            for row in range(first + 1, last + 1):  # a head merged downwards stands in both lines
                if not any(looks_like_data(c) for c in lines[row]):
                    lines[row][left] = lines[row][left] or lines[first][left]
        if first == last and right > left and 0 < first < len(lines) and right < len(lines[first]) and head_score(lines[first]) >= 1:
            for column in range(left + 1, right + 1):
                lines[first][column] = lines[first][column] or lines[first][left]
    head = _find_head(lines)
    if head is None and not anyway:
        return None
    at, names = head or _first_line(lines)
    body = _filled_down(itertools.chain(top[at + 1 :], below), at + 1, [area for area in merged if area[0][0] > at])
    frame, width = _frame(body, at + 2)
    named = max((i + 1 for i, name in enumerate(names) if name.strip()), default=0)
    width = max(width, named)
    if width > COLUMNS_MAX:
        raise refusals.too_large(f"{width} 列", f"{width} columns", sheet)
    missing = [pl.lit("").alias(f"c{i}") for i in range(width) if f"c{i}" not in frame.columns]
    return Table(
        sheet,
        at + 1,
        _columns(names, width, sheet, at + 1, several),
        frame.with_columns(missing) if missing else frame,
        hidden_rows=part.hidden_rows if part else frozenset(),
        formulas=part.formulas if part else frozenset(),
        several=several,
        date_1904=date_1904,
        recognised=head is not None,
    )


def _filled_down(
    lines: Iterable[list[object]], first: int, merged: list[tuple[tuple[int, int], tuple[int, int]]]
) -> Iterable[list[object]]:
    """A value merged over several lines holds for each of them. `first` is the number of the first line, from 0."""
    areas: dict[int, list[tuple[int, int]]] = {}
    for (top, left), (bottom, _right) in merged:
        if bottom > top:
            areas.setdefault(top, []).append((bottom, left))
    return _fill(lines, first, areas) if areas else lines


def _fill(lines: Iterable[list[object]], first: int, areas: dict[int, list[tuple[int, int]]]) -> Iterator[list[object]]:
    held: dict[int, tuple[int, object]] = {}  # column -> (last line, value)
    for no, line in enumerate(lines, start=first):
        for column, (last, value) in list(held.items()):
            if no > last:
                del held[column]
            elif column < len(line) and line[column] == "":
                line[column] = value
        for bottom, left in areas.get(no, ()):
            if left < len(line):
                held[left] = (bottom, line[left])
        yield line


def _frame(lines: Iterable[list[object]], first: int) -> tuple[pl.DataFrame, int]:
    """(columns `row`, `c<i>`, `k<i>`; columns up to the last that has anything). Some thousand lines at a time: cells as objects
    take ten times the memory that they take as columns."""
    parts: list[pl.DataFrame] = []
    lines = iter(lines)
    while block := list(itertools.islice(lines, _LINES_AT_ONCE)):
        data: dict[str, pl.Series] = {}
        for i, cells in enumerate(zip(*block, strict=True)):
            if set(map(type, cells)) <= {str}:
                data[f"c{i}"] = pl.Series(cells, dtype=pl.String)
            else:
                data[f"c{i}"] = pl.Series([_text(c) for c in cells], dtype=pl.String)
                data[f"k{i}"] = pl.Series([_kind(c) for c in cells], dtype=pl.UInt8)
        parts.append(pl.DataFrame(data))
    frame = pl.concat(parts, how="diagonal") if parts else pl.DataFrame()
    width = sum(name[0] == "c" for name in frame.columns)
    while width and not (frame.get_column(f"c{width - 1}") != "").any():
        width -= 1  # sheets often carry empty formatted columns
    rows = pl.Series("row", range(first, first + frame.height), dtype=pl.UInt32)
    kept = []
    for i in range(width):
        kept.append(frame.get_column(f"c{i}"))
        if f"k{i}" in frame.columns:
            kept.append(frame.get_column(f"k{i}").fill_null(TEXT))
    return pl.DataFrame([rows, *kept]), width


def excel_moment(serial: float, *, date_1904: bool = False) -> datetime:
    """A serial number of a spreadsheet as a naive local time (days since 1899-12-30, or since 1904-01-01)."""
    start = datetime(1904, 1, 1) if date_1904 else datetime(1899, 12, 30)
    return start + timedelta(seconds=round(serial * 86400))
