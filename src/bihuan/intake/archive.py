"""A workbook counted before it is parsed: a workbook is hostile until then.

Every part is unpacked in pieces, through the checksum of its archive, and thrown away again; what is kept are counts and
what only the XML tells (hidden rows, formulas). So a bomb costs its counting and nothing else. Limits are on cells and not
on bytes: a legal sheet of full height packs to 5 MB or to 50.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bihuan.intake import refusals

# A sheet of full height (1,048,576 rows) and eleven columns; unpacked it is 500 to 850 MB of XML.
CELLS_MAX = 12_000_000
UNPACKED_BYTES_MAX = 2**30
# Sheets of repeated values shrink 30 to 60 times; deflate cannot pass 1,032. Small files may have any ratio.
RATIO_MAX = 250
RATIO_FREE_BYTES = 16 * 2**20
PARTS_MAX = 2_000
SHEETS_MAX = 200
COLUMNS_READ_MAX = 2_000  # a few stray formats to the right are common; whole rows of 16,384 are not
# Text of a sheet that is not cells: styles and extensions are some kilobytes, padding is an attack.
PADDING_BYTES_FREE = 16 * 2**20
PADDING_BYTES_A_CELL = 1_000
# Strings that no cell can use are there to fill the memory. (A sheet may have as many strings as cells.)
STRINGS_FREE = 10_000
CELL_TEXT_MAX = 32_767  # what a spreadsheet itself can hold in one cell
INDEX_BYTES_MAX = 8 * 2**20  # workbook.xml, relations, content types

_PIECE = 4 * 2**20
_CARRY_MAX = 2**20
_ROW = re.compile(rb"<(?:\w+:)?row\b([^<>]{0,2000})>")
_ROW_NUMBER = re.compile(rb"""\br\s*=\s*["'](\d+)["']""")
_HIDDEN = re.compile(rb"""\bhidden\s*=\s*["'](?:1|true)["']""")
_FORMULA = re.compile(rb"""<(?:\w+:)?c\b[^<>]*?\br\s*=\s*["']([A-Z]+\d+)["'][^<>]*>\s*<(?:\w+:)?f[\s>/]""")
_PLACE = re.compile(rb"""\br\s{0,8}=\s{0,8}["']([A-Z]{1,4})(\d{1,9})""")
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = (b"utf-8", b"utf8", b"us-ascii", b"ascii")
_STRING = re.compile(rb"<(?:\w+:)?si[\s>]")
# Parts that nothing here reads: pictures, printers' settings, drawings of notes, embedded documents.
_NOT_READ = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".emf", ".wmf", ".tiff", ".svg", ".bin", ".vml", ".docx", ".xlsx", ".pptx", ".zip")


@dataclass(frozen=True)
class Part:
    """What only the XML of a sheet tells."""

    hidden_rows: frozenset[int]
    formulas: frozenset[str]


@dataclass(frozen=True)
class Counted:
    """A workbook that may be parsed: sheets in their order, what the XML of each tells, cells in all."""

    sheets: list[str]
    parts: dict[str, Part]
    date_1904: bool
    cells: int


def count(data: bytes, name: str) -> Counted:
    """Count a workbook. Refuses file_encrypted, file_macro, file_too_large, file_type, file_entities, file_truncated."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _count(archive, name)
    except DefusedXmlException as error:
        raise refusals.entities(name) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ParseError, NotImplementedError, LookupError, ValueError, OSError) as error:
        raise refusals.truncated(name) from error


def _count(archive: zipfile.ZipFile, name: str) -> Counted:
    members = archive.infolist()
    if any(m.flag_bits & 1 for m in members):
        raise refusals.encrypted(name)
    names = {m.filename for m in members}
    if any(n.lower().endswith("vbaproject.bin") for n in names):
        raise refusals.macro(name)
    if len(members) > PARTS_MAX:
        raise refusals.too_large(f"{len(members)} 个部件", f"{len(members)} parts", name)
    unpacked, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if unpacked > UNPACKED_BYTES_MAX or (unpacked > RATIO_FREE_BYTES and unpacked > RATIO_MAX * max(packed, 1)):
        raise refusals.too_large(f"解压后 {unpacked // 2**20} MB", f"{unpacked // 2**20} MB unpacked", name)
    if "EncryptedPackage" in names:
        raise refusals.encrypted(name)
    if any(n.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", n) or re.match(r"^[A-Za-z]:", n) for n in names):
        raise refusals.entities(name)  # a path out of the archive; nothing is ever unpacked to disk, but nobody writes such a list
    if len({n.lower() for n in names}) != len(members):
        raise refusals.truncated(name)  # two parts of one name: which one is read would depend on the reader
    if "[Content_Types].xml" not in names or "xl/workbook.xml" not in names:
        raise refusals.type_(name)
    if b"macroEnabled" in _small(archive, "[Content_Types].xml", name):
        raise refusals.macro(name)
    found, date_1904 = _sheets(archive, name)
    if len(found) > SHEETS_MAX:
        raise refusals.too_large(f"{len(found)} 个工作表", f"{len(found)} sheets", name)
    sheet_of = {(t.lstrip("/") if t.startswith("/") else f"xl/{t}"): s for s, t in found if t}
    parts: dict[str, Part] = {}
    cells = strings = 0
    for member in members:
        lower = member.filename.lower()
        if member.filename in sheet_of:
            sheet = _Sheet(name)
            for piece in _pieces(archive, member, name):
                sheet.take(piece, cells)
            cells += sheet.cells
            parts[sheet_of[member.filename]] = sheet.part()
        elif not lower.endswith(_NOT_READ):
            for piece in _pieces(archive, member, name):
                if lower.endswith("sharedstrings.xml"):
                    strings += len(_STRING.findall(piece))
                    if strings > CELLS_MAX:
                        raise refusals.too_large(f"{strings} 段文字", f"{strings} texts", name)
                if _has_long_text(piece):
                    raise refusals.too_large("一格文字过长", "a text too long for a cell", name)
    if strings > STRINGS_FREE + cells:
        raise refusals.too_large(f"{strings} 段文字", f"{strings} texts", name)
    return Counted([s for s, t in found if t], parts, date_1904, cells)


def _small(archive: zipfile.ZipFile, part: str, name: str) -> bytes:
    if archive.getinfo(part).file_size > INDEX_BYTES_MAX:
        raise refusals.too_large(f"{part}", part, name)
    return archive.read(part)


def _sheets(archive: zipfile.ZipFile, name: str) -> tuple[list[tuple[str, str]], bool]:
    """([(sheet, its part)], whether days count from 1904)."""
    workbook = fromstring(_small(archive, "xl/workbook.xml", name), forbid_dtd=True)
    relations = fromstring(_small(archive, "xl/_rels/workbook.xml.rels", name), forbid_dtd=True)
    targets = {r.get("Id"): (r.get("Target") or "") for r in relations}
    properties = workbook.find("{*}workbookPr")
    date_1904 = properties is not None and properties.get("date1904") in ("1", "true")
    found = [
        (s.get("name") or "", targets.get(next((v for k, v in s.attrib.items() if k.endswith("}id")), ""), ""))
        for s in workbook.findall("{*}sheets/{*}sheet")
    ]
    return found, date_1904


def _pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """The part in pieces that begin with an element; refuses entities and unusual encodings on the way."""
    carry, first = b"", True
    with archive.open(member) as part:
        while block := part.read(_PIECE):
            piece = carry + block
            if b"<!" in piece and (b"<!DOCTYPE" in piece or b"<!ENTITY" in piece):
                raise refusals.entities(name)
            if first:  # every writer of workbooks uses UTF-8; another encoding would hide cells and entities from the counting
                declared = _ENCODING.match(piece.lstrip(b"\xef\xbb\xbf \r\n"))
                if b"\0" in piece[:_CARRY_MAX] or (declared and declared.group(1).lower() not in _ENCODINGS):
                    raise refusals.entities(name)
                first = False
            cut = max(piece.rfind(b"<row"), piece.rfind(b":row "), piece.rfind(b"<si"))
            if cut <= 0 or len(piece) - cut > _CARRY_MAX:
                cut = piece.rfind(b"<")
            if cut <= 0 or len(piece) - cut > _CARRY_MAX:
                cut = len(piece)
            yield piece[:cut]
            carry = piece[cut:]
    if carry:
        yield carry


def _has_long_text(piece: bytes) -> bool:
    """Whether more bytes stand between two elements than a cell can hold (four bytes a sign)."""
    most = CELL_TEXT_MAX * 4
    if all(piece.find(b"<", at, at + most // 2) >= 0 for at in range(0, len(piece), most // 2)):
        return False
    marks = np.flatnonzero(np.frombuffer(piece, dtype=np.uint8) == ord("<"))
    return int(np.diff(np.concatenate(([-1], marks, [len(piece)]))).max()) > most + 1


def _places(piece: bytes) -> tuple[int, int, int]:
    """(places of cells, last column, last line) that the `r` of rows and cells name in a piece of a sheet."""
    text = np.frombuffer(piece + b" " * 16, dtype=np.uint8)
    after_blank = np.flatnonzero((text[1:-15] == ord("r")) & (text[:-16] <= 32)) + 1
    following, second = text[after_blank + 1], text[after_blank + 2]
    if ((following <= 32) | ((following == ord("=")) & (second <= 32))).any():  # `r = "A1"`: allowed, and never seen
        found = _PLACE.findall(piece)
        lines = [int(d) for _, d in found] + [int(d) for d in _ROW_NUMBER.findall(piece)]
        return len(found), max((_number(m) for m, _ in found), default=0), max(lines, default=0)
    at = after_blank[(following == ord("=")) & ((second == ord('"')) | (second == ord("'")))] + 3
    column, line = np.zeros(len(at), dtype=np.int64), np.zeros(len(at), dtype=np.int64)
    for _ in range(4):
        sign = text[at]
        letter = (sign >= ord("A")) & (sign <= ord("Z"))
        column = np.where(letter, column * 26 + sign - 64, column)
        at = at + letter
    for _ in range(9):
        digit = text[at] - np.uint8(48)
        number = digit <= 9
        line = np.where(number, line * 10 + digit, line)
        at = np.minimum(at + number, len(text) - 1)
    return int((column > 0).sum()), int(column.max(initial=0)), int(line.max(initial=0))


class _Sheet:
    """Counts of one sheet, piece by piece."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows_seen = self.last = self.size = self.n_places = 0
        self.width = 1
        self.hidden: set[int] = set()
        self.position = 0
        self.formulas: set[str] = set()

    @property
    def cells(self) -> int:
        """Cells of the rectangle that the sheet spans: the reader lays it out in full, so one stray cell in XFD1048576 would be
        seventeen thousand million."""
        return self.last * self.width

    def take(self, piece: bytes, cells_before: int) -> None:
        self.size += len(piece)
        self.rows_seen += piece.count(b"<row") + piece.count(b":row ")
        places, column, line = _places(piece)
        self.n_places += places
        self.width, self.last = max(self.width, column), max(self.last, self.rows_seen, line)
        if self.width > COLUMNS_READ_MAX or cells_before + self.cells > CELLS_MAX:
            raise refusals.too_large(f"{self.last} 行 × {self.width} 列", f"{self.last} rows × {self.width} columns", self.name)
        if self.size > PADDING_BYTES_FREE + PADDING_BYTES_A_CELL * max(self.n_places, self.rows_seen) or _has_long_text(piece):
            raise refusals.too_large("一格文字过长", "a text too long for a cell", self.name)
        self._hidden_rows(piece)
        if b"<f" in piece or b":f" in piece:
            self.formulas.update(m.decode() for m in _FORMULA.findall(piece))

    def _hidden_rows(self, piece: bytes) -> None:
        """Numbers of hidden rows; a row without a number follows the one before it."""
        if b"hidden" not in piece:
            self.position = max(self.position + piece.count(b"<row"), self.last)
            return
        for match in _ROW.finditer(piece):
            number = _ROW_NUMBER.search(match.group(1))
            self.position = int(number.group(1)) if number else self.position + 1
            if _HIDDEN.search(match.group(1)):
                self.hidden.add(self.position)

    def part(self) -> Part:
        return Part(frozenset(self.hidden), frozenset(self.formulas))


def _number(letters: bytes) -> int:
    value = 0
    for c in letters:
        value = value * 26 + c - 64
    return value
