"""Rows of lists, checked: values as they are stored, each row with all reasons for which it is refused.

Blank, title and footer lines are not rows; everything else below a head is, and is accounted for. Nothing here asks a
database; a million rows take about as long to check as to read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from bihuan.identity.evidence import DOOR
from bihuan.intake import reasons as codes
from bihuan.intake import values
from bihuan.intake.addresses import Resolver
from bihuan.intake.columns import Mapping, by_name, header_key, letters
from bihuan.intake.read import Table
from bihuan.kernel.clock import SHANGHAI

_FOOTER = re.compile(
    r"^(?:填表|填报|制表|审核|审批|复核|负责人|单位负责人|联系人|经办|合计|总计|小计|共计|本页|备注(?:[:]|$)|注[:]|说明[:]|注意|填写说明|以上|以下空白|"
    r"(?:第?\d+页)|共\d+[人页条户名]|盖章|\(盖章|日期[:]|签[字名]|领导|报送|上报)"
)
_LIKE_A_NUMBER = r"^[\s'(+]*(?:(?:2[^0年月]|[013-9A-Za-z０-９][^年月])[^年月]{3}|20[^年月]{2}[^年月./-])"  # and not like a day
# Under a list stands the day on which it was made, alone in its line.
_A_DAY = re.compile(r"^(?:日期[:：]?)?(?:20)?\d\d[-/.年]\d{1,2}[-/.月]\d{1,2}日?$")
_KIND_OF_DOCUMENT = re.compile("^(?:有效)?(?:身份)?证件(?:类型|类别|种类|名称)$|^(?:document|id)_?type$")
_FOREIGN_DOCUMENT = "护照|通行证|回乡证|台胞|(?i)passport|permit"
_SIGNED = re.compile(r"^(?:填表|填报|制表|审核|审批|复核|经办|报送|上报|统计)(?:人员?|单位|部门)?(?:$|[(（]|\s*[:：])")
_EXAMPLE = re.compile("^(?:填写)?(?:示例|样例|范例|举例|例如|例子|例)[0-9:：.]*$|[(（](?:填写)?(?:示例|样例|范例|例)[)）]")
_EXAMPLES_WITHIN, _FEET_WITHIN = 5, 40
_FORMULA_SIGN = r"^\s*[=+\-@\t\r]."
# `同上` in these means the line above; in a name or an ID number it means nothing that can be relied upon.
_LIKE_ABOVE = ("phone", "origin", "arrived_at", "address", "workplace", "district")
# Beyond this it is no value but a mishap (a whole sheet pasted into a cell); indexes hold 2,700 bytes.
TEXT_MAX = {"name": 200, "origin": 500, "address": 500, "workplace": 500, "remark": 5_000}
_TEXT_FIELDS = ("name", "origin", "address", "workplace", "remark")
SCHEMA = {
    "sheet": pl.String,
    "row": pl.UInt32,
    "name": pl.String,
    "doc": pl.String,
    "doc_kind": pl.String,
    "phone": pl.String,
    "phone_kind": pl.String,
    "origin": pl.String,
    "origin_code": pl.Int64,
    "arrived_at": pl.Datetime("us", "UTC"),
    "arrived_precision": pl.String,
    "address": pl.String,
    "district_code": pl.Int64,
    "workplace": pl.String,
    "remark": pl.String,
    "reason": pl.String,
    "reasons": pl.List(pl.String),
    "cells": pl.List(pl.String),
    "warnings": pl.List(pl.String),
}


@dataclass(frozen=True)
class CheckedRows:
    """`frame`: every row in the order of the file (columns of SCHEMA); `left_out`: (sheet, row, why) of lines that are no
    rows (footer, head_again, note); `notes`: of sheets; `lengths`: ID length of rows refused as id_length."""

    frame: pl.DataFrame
    left_out: list[tuple[str, int, str]]
    notes: list[str]
    lengths: dict[tuple[str, int], int]

    @property
    def accepted(self) -> pl.DataFrame:
        return self.frame.filter(pl.col("reason").is_null())

    @property
    def rejected(self) -> pl.DataFrame:
        return self.frame.filter(pl.col("reason").is_not_null())

    def reason_counts(self) -> dict[str, int]:
        """Rows per counted reason, in the order of the accounts."""
        counts = dict(self.rejected.group_by("reason").len().iter_rows())
        return {code: counts[code] for code in codes.ORDER if code in counts}

    def sentences(self, language: str = "zh") -> list[tuple[str, int, str, str, str]]:
        """(sheet, row, code, cell, sentence) of every reason of every refused row."""
        out = []
        for sheet, row, found, cells in self.rejected.select("sheet", "row", "reasons", "cells").iter_rows():
            for code, cell in zip(found, cells, strict=True):
                out.append((sheet, row, code, cell, codes.sentence(code, language, length=self.lengths.get((sheet, row)))))
        return out


def check(
    tables: Sequence[Table], mapping: Mapping | Sequence[Mapping], source: str, now: datetime, resolver: Resolver | None = None
) -> CheckedRows:
    """Check all tables of a file. `mapping` is one per table (or one for all); `source` names the sender's kind.

    `now` (aware) gives years to dates without one and ends the range of birth dates. With a resolver, origins and
    districts get their codes; a sheet named after a county gives its rows that district.
    """
    mappings = [mapping] * len(tables) if isinstance(mapping, Mapping) else list(mapping)
    if len(mappings) != len(tables):
        raise ValueError("one mapping per table")
    frames, left_out, notes, lengths = [], [], [], {}
    for table, one in zip(tables, mappings, strict=True):
        frame, left, odd = _check_table(table, one, source, now, resolver)
        frames.append(frame)
        left_out += left
        notes += table.notes
        lengths.update(odd)
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMA)
    return CheckedRows(frame, left_out, notes, lengths)


def _rows(table: Table, mapping: Mapping) -> tuple[pl.DataFrame, list[tuple[str, int, str]]]:
    """The lines of a table that are rows; blank, repeated head, footer and note lines are not."""
    frame = table.frame
    texts = [c for c in frame.columns if c[0] == "c"]
    index = {f: f"c{i}" for f, i in mapping.fields.items()}
    telling = [index[f] for f in ("doc", "phone") if f in index]
    # Nearly every line names a person by document or phone and is a row at once; only the others are looked at closely.
    sure = pl.any_horizontal([pl.col(c).str.contains(_LIKE_A_NUMBER) for c in telling]).fill_null(False)
    mask = frame.select(sure).to_series()
    said = _labelled(frame, texts, index, mask)
    if said:
        mask = mask.scatter(list(said), [False] * len(said))
    header = {header_key(c.header) for c in table.columns if header_key(c.header)}
    keep_more: list[int] = []
    left: list[tuple[str, int, str]] = []
    doubtful = frame.with_row_index("at").filter(~mask)
    ordinal = index.get("ordinal")
    for line in doubtful.select("at", "row", *texts).iter_rows(named=True):
        filled = {c: line[c].strip() for c in texts if line[c] and line[c].strip()}
        if not filled:
            continue
        what = said.get(line["at"]) or _not_a_row(filled, header, index, ordinal)
        if what is None:
            keep_more.append(line["at"])
        elif what != "blank":
            left.append((table.sheet, line["row"], what))
    head_again = _heads_again(frame, index, mask, table)
    if head_again:
        mask = mask.scatter(head_again, [False] * len(head_again))
        left += [(table.sheet, int(frame["row"][i]), "head_again") for i in head_again]
    if keep_more:
        mask = mask.scatter(keep_more, [True] * len(keep_more))
    return (frame if mask.all() else frame.filter(mask)), sorted(left, key=lambda x: x[1])


def _labelled(frame: pl.DataFrame, texts: list[str], index: dict[str, str], mask: pl.Series) -> dict[int, str]:
    """Lines that hold a telephone or a document and yet say of themselves that they are none: the example under the head of a form,
    and at the end who filled it in and how to reach that person. Only the first and last lines are looked at."""
    found: dict[int, str] = {}
    n = frame.height
    for at in sorted({*range(min(n, _EXAMPLES_WITHIN)), *range(max(0, n - _FEET_WITHIN), n)}):
        if not mask[at]:
            continue
        line = frame.row(at, named=True)
        first = next((line[c].strip() for c in texts if line[c] and line[c].strip()), "")
        if at < _EXAMPLES_WITHIN and (_EXAMPLE.match(first) or _EXAMPLE.search(line.get(index.get("name", "")) or "")):
            found[at] = "example"
        elif at >= n - _FEET_WITHIN and _SIGNED.match(first):
            found[at] = "footer"
    return found


def _heads_again(frame: pl.DataFrame, index: dict[str, str], mask: pl.Series, table: Table) -> list[int]:
    """Lines that repeat the head, as printed lists do on every page."""
    found: set[int] = set()
    for field in ("doc", "phone"):
        if field in index:
            at = int(index[field][1:])
            header = next(c.header for c in table.columns if c.index == at)
            if len(header.strip()) >= 2:
                hits = frame.get_column(index[field]) == header
                found |= set(np.flatnonzero((hits & mask).fill_null(False).to_numpy()).tolist())
    return sorted(found)


def _not_a_row(filled: dict[str, str], header: set[str], index: dict[str, str], ordinal: str | None) -> str | None:
    """Why a filled line without document and phone is no row, or None when it is one."""
    rest = {c: v for c, v in filled.items() if c != ordinal}
    if not rest and all(v.rstrip(".0、").isdigit() or len(v) <= 4 for v in filled.values()):
        return "blank"  # a numbered line that nobody filled in
    if sum(header_key(v) in header for v in filled.values()) >= max(1, len(filled) // 2):
        return "head_again"
    if sum((by_name(v) or ("", 0.0))[1] > 2 for v in rest.values()) * 2 >= max(1, len(rest)) and _is_head_word(
        filled.get(index.get("name", ""))
    ):
        return "head_again"  # the second line of a head: 手机, 座机 below 联系方式
    footers = {c for c, v in filled.items() if _FOOTER.match(re.sub(r"[\s\u3000]+", "", v).replace("：", ":").replace("（", "("))}
    if footers and (next(iter(rest or filled)) in footers or len(filled) <= 2):  # a person's line begins with something else
        numbers = [filled[c] for f in ("doc", "phone") if (c := index.get(f)) in filled and c not in footers]
        if not any(re.search(r"\d{6}", number) for number in numbers):
            return "footer"
    if len(filled) == 1 and all(_A_DAY.match(re.sub(r"\s+", "", v)) for v in filled.values()):
        return "footer"
    if (
        len(filled) == 1
        and not any(re.search(r"\d{5}" if len(index) > 2 else r"\d", v) for v in filled.values())
        and index.get("name") not in filled
    ):
        return "note"
    if any(index.get(f) in filled for f in ("doc", "phone")):
        return None
    name = filled.get(index.get("name", ""), "")
    if name and len(name.replace(" ", "")) <= 16 and not re.search(r"[0-9：:，。]", name):
        return None if len(filled) > 1 or len(name.replace(" ", "")) <= 4 else "note"
    told = any(index.get(f) in filled for f in ("address", "arrived_at", "origin"))
    return None if len(rest) >= 3 or (len(rest) == 2 and told) else "note"


def _is_head_word(text: str | None) -> bool:
    return text is None or (by_name(text) or ("", 0.0))[1] > 2


def _check_table(
    table: Table, mapping: Mapping, source: str, now: datetime, resolver: Resolver | None
) -> tuple[pl.DataFrame, list[tuple[str, int, str]], dict[tuple[str, int], int]]:
    frame, left = _rows(table, mapping)
    n = frame.height
    at = mapping.fields
    today = now.astimezone(SHANGHAI).date()
    blank = pl.Series([None], dtype=pl.String).new_from_index(0, n)

    def cells(field: str) -> tuple[pl.Series, pl.Series | None]:
        if field not in at:
            return blank, None
        kinds = frame.get_column(f"k{at[field]}") if f"k{at[field]}" in frame.columns else None
        found = frame.get_column(f"c{at[field]}")
        return values.filled_down(found, kinds) if field in _LIKE_ABOVE else (found, kinds)

    def text(field: str) -> pl.Series:
        return cells(field)[0]

    # The columns do not know of each other, and polars and numpy leave the interpreter free while they work.
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(values.documents, *cells("doc"), today, passports=_of_passports(table, mapping, frame))
        two = threads.submit(values.times, *cells("arrived_at"), now, date_1904=table.date_1904, month_first=table.month_first)
        three = threads.submit(values.phones, text("phone"))
        texts = {field: threads.submit(values.cleaned, text(field)) for field in ("origin", "district", "address", "workplace", "remark")}
        name = threads.submit(values.names, text("name")).result()
        documents, times, phones = one.result(), two.result(), three.result()
        origin, district = texts["origin"].result(), texts["district"].result()
    out = pl.DataFrame(
        {
            "sheet": pl.Series([table.sheet], dtype=pl.String).new_from_index(0, n),
            "row": frame.get_column("row"),
            "name": name,
            "doc": documents.doc,
            "doc_kind": documents.kind,
            "phone": phones.phone,
            "phone_kind": phones.kind,
            "origin": origin,
            "origin_code": _looked_up(origin, resolver.origin if resolver else _bare_code),
            "arrived_at": times.at,
            "arrived_precision": times.precision,
            "address": texts["address"].result(),
            "district_code": _districts(table, district, n, resolver),
            "workplace": texts["workplace"].result(),
            "remark": texts["remark"].result(),
        }
    )
    return _with_reasons(table, mapping, out, frame, documents, phones, times), left, _odd_lengths(table, frame, documents)


def _of_passports(table: Table, mapping: Mapping, frame: pl.DataFrame) -> bool | pl.Series:
    """Whether the documents are passports or permits: by the name of their column, or row by row by a column 证件类型."""
    for column in table.columns:
        if _KIND_OF_DOCUMENT.match(header_key(column.header)):
            return frame.get_column(f"c{column.index}").str.contains(_FOREIGN_DOCUMENT).fill_null(False)
    head = next((c.header for c in table.columns if c.index == mapping.fields.get("doc")), "")
    return "passport" in head.lower() or ("护照" in head and "身份证" not in head)


def _odd_lengths(table: Table, frame: pl.DataFrame, documents: values.Documents) -> dict[tuple[str, int], int]:
    at = np.flatnonzero((documents.reason == "id_length").fill_null(False).to_numpy())
    rows, sizes = frame.get_column("row").gather(at).to_list(), documents.length.gather(at).to_list()
    return {(table.sheet, r): s for r, s in zip(rows, sizes, strict=True)}


def _bare_code(text: str) -> int | None:
    from bihuan.intake.addresses import code12

    return code12(text) if text.isdigit() and len(text) in (6, 12) else None


def _looked_up(texts: pl.Series, look: object) -> pl.Series:
    """The answers of a function of one text for a column, asked once per distinct text."""
    if texts.null_count() == len(texts):
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(texts))
    distinct = texts.drop_nulls().unique()
    answers = pl.Series([look(t) for t in distinct.to_list()], dtype=pl.Int64)  # type: ignore[operator]
    return texts.replace_strict(distinct, answers, default=None, return_dtype=pl.Int64)


def _districts(table: Table, texts: pl.Series, n: int, resolver: Resolver | None) -> pl.Series:
    found = _looked_up(texts, resolver.district_code if resolver else _bare_code)
    if resolver and table.sheet and texts.null_count() == n:
        code = resolver.district_code(table.sheet)
        if code is not None:
            return pl.Series([code], dtype=pl.Int64).new_from_index(0, n)
    return found


def _with_reasons(
    table: Table,
    mapping: Mapping,
    out: pl.DataFrame,
    frame: pl.DataFrame,
    documents: values.Documents,
    phones: values.Phones,
    times: values.Times,
) -> pl.DataFrame:
    """Add reason (the first in the order of the accounts), all reasons with their cells, and warnings."""
    with ThreadPoolExecutor(1) as aside:
        noticed = aside.submit(_warnings, table, mapping, frame, phones)
        found = _found(table, mapping, out, documents, phones, times)
        return _attach(out, found, noticed.result())


def _found(
    table: Table, mapping: Mapping, out: pl.DataFrame, documents: values.Documents, phones: values.Phones, times: values.Times
) -> list[tuple[int, str, str]]:
    """(row index, code, cell) of what refuses a row, the first in the order of the accounts first."""
    n, at = out.height, mapping.fields
    rows = out.get_column("row")
    found: list[tuple[int, int, str, str]] = []  # (row index, place in the order, code, cell)

    def add(mask: pl.Series, code: str, field: str) -> None:
        where = np.flatnonzero(mask.fill_null(False).to_numpy())
        if len(where):
            place = codes.ORDER.index(code)
            index = at.get(field, at.get("doc", at.get("phone", 0)))
            found.extend((int(i), place, code, table.address(r, index)) for i, r in zip(where, rows.gather(where).to_list(), strict=True))

    if documents.reason.null_count() < n:
        for code in ("id_numeric_cell", "id_length", "id_date", "id_checksum"):
            add(documents.reason == code, code, "doc")
    add(times.bad, "date_unreadable", "arrived_at")
    add(phones.bad, "phone_bad", "phone")
    nobody = out.get_column("doc").is_null() & out.get_column("phone").is_null() & documents.reason.is_null() & ~phones.bad
    if table.relay:  # neighbours: a name and the group in the village tell whom the village has to ask
        nobody &= ~(out.get_column("name").is_not_null() & out.get_column("address").str.contains(DOOR).fill_null(False))
    add(nobody, "no_identity", "doc")
    for field, most in TEXT_MAX.items():
        if field in at and (out.get_column(field).str.len_bytes().max() or 0) > most:  # hardly ever: signs are counted only then
            add(out.get_column(field).str.len_chars() > most, "cell_too_long", field)
    found.sort()
    return [(i, c, cell) for i, _, c, cell in found]


def _warnings(table: Table, mapping: Mapping, frame: pl.DataFrame, phones: values.Phones) -> list[tuple[int, str]]:
    """(row index, code) of what is noticed and does not refuse."""
    noticed: set[tuple[int, str]] = set()

    def add(mask: pl.Series, code: str) -> None:
        noticed.update((int(i), code) for i in np.flatnonzero(mask.fill_null(False).to_numpy()))

    for field in _TEXT_FIELDS:
        if field in mapping.fields:
            add(frame.get_column(f"c{mapping.fields[field]}").str.contains(_FORMULA_SIGN), "formula_text")
    for field in ("name", "address"):
        if field in mapping.fields:
            add(frame.get_column(f"c{mapping.fields[field]}").str.contains("\ufffd", literal=True), "broken_text")
    add(phones.kind == "landline", "phone_landline")
    add(phones.several, "phone_several")
    if table.overflow:
        add(frame.get_column("over").str.strip_chars().str.len_bytes() > 0, "extra_cells")
    if table.hidden_rows or table.formulas:
        formula_rows = {
            int(re.sub(r"\D", "", cell)) for cell in table.formulas if _column_of(cell) in {letters(i) for i in mapping.fields.values()}
        }
        for i, row in enumerate(frame.get_column("row").to_list()):
            if row in table.hidden_rows:
                noticed.add((i, "hidden_row"))
            if row in formula_rows:
                noticed.add((i, "formula_text"))
    return sorted(noticed)


def _column_of(cell: str) -> str:
    return re.sub(r"\d", "", cell)


def _attach(out: pl.DataFrame, found: list[tuple[int, str, str]], noticed: list[tuple[int, str]]) -> pl.DataFrame:
    """Put lists of codes on the few rows that have any."""
    n = out.height
    reasons: dict[int, list[str]] = {}
    cells: dict[int, list[str]] = {}
    for i, code, cell in found:
        reasons.setdefault(i, []).append(code)
        cells.setdefault(i, []).append(cell)
    warnings: dict[int, list[str]] = {}
    for i, code in noticed:
        warnings.setdefault(i, []).append(code)
    first = pl.Series([None], dtype=pl.String).new_from_index(0, n)
    if reasons:
        first = first.scatter(list(reasons), [r[0] for r in reasons.values()])
    with ThreadPoolExecutor(2) as threads:
        lists = threads.map(_lists, (n, n, n), (reasons, cells, warnings), ("reasons", "cells", "warnings"))
        return out.with_columns(first.alias("reason"), *lists)


def _lists(n: int, of: dict[int, list[str]], name: str) -> pl.Series:
    """A list column that is empty but for a few rows."""
    if not of:
        return pl.Series(name, [[]], dtype=pl.List(pl.String)).new_from_index(0, n) if n else pl.Series(name, [], dtype=pl.List(pl.String))
    flat = pl.DataFrame({"i": [i for i, codes_ in of.items() for _ in codes_], "code": [c for codes_ in of.values() for c in codes_]})
    few = flat.group_by("i", maintain_order=True).agg("code")
    picks = np.zeros(n, dtype=np.uint32)
    picks[few["i"].to_numpy()] = np.arange(1, few.height + 1)
    return pl.concat([pl.Series("code", [[]], dtype=pl.List(pl.String)), few["code"]]).rechunk().gather(picks).alias(name)
