"""One thing that a form writes in several columns: an address as 县区, 镇街, 村居, 门牌; an origin as 省, 市; a second telephone.

The columns stay where they are, so that a refused cell is found; one of them then holds the whole, and its name says which went
into it. Nothing is read twice: a part that the whole already names is not written before it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from bihuan.intake.read import Table

_TOWN = re.compile("^(?:所属|所在|现住|居住|现居)?(?:乡镇|镇街|街镇|乡街|街乡|街道|镇乡|镇|乡|街道[/、]?乡镇|乡镇[/、]?街道)(?:名称?|场)?$")
_VILLAGE = re.compile("^(?:所属|所在|现住|居住|现居)?(?:村居?|社区|村[/、]?社区|社区[/、]?村|行政村|居委会?|村委会?|村居委会?)(?:名称?)?$")
_DOOR = re.compile(
    "^(?:详细)?门牌号?码?$|^楼[栋号幢].{0,3}$|^[栋幢]号?$|^单元.{0,3}$|^房间?号$|"
    "^(?:居民|村民)?小?组(?:别|[/、]楼[栋号幢])?$|^小区(?:名称?)?$"
)
_OF_ORIGIN = re.compile("[省市县区份]$|城市$|区县$")
# Named parts of a place: what a resolver of addresses reads one after the other.
_ADDRESS, _ORIGIN = "现住址", "来源地"


def is_part(key: str) -> bool:
    """Whether a head (as `header_key` writes it) names a part of an address."""
    return bool(_TOWN.match(key) or _VILLAGE.match(key) or _DOOR.match(key))


def joined(table: Table) -> Table:
    """The table with whole addresses, whole origins and a telephone wherever one of two columns has it; any other as it is."""
    from bihuan.intake.columns import by_name, header_key

    keys = {c.index: header_key(c.header) for c in table.columns}
    fields = {c.index: (by_name(c.header) or ("", 0.0)) for c in table.columns}
    towns = [i for i, key in keys.items() if _TOWN.match(key)]
    villages = [i for i, key in keys.items() if _VILLAGE.match(key)]
    doors = [i for i, key in keys.items() if _DOOR.match(key)]
    wholes = [i for i, (field, _) in fields.items() if field == "address" and i not in (*towns, *villages, *doors)]
    parts = [*towns[:1], *villages[:1]]
    if len(parts) == 1 and not wholes and not doors and fields[parts[0]][0] != "address":
        table = _with(table, parts[0], _cells(table, parts[0]), parts, _ADDRESS)  # a township says more than nothing
    table = _joined(table, parts, doors, max(wholes, key=lambda i: (fields[i][1], -i), default=None), _ADDRESS)
    origins = [i for i, (field, _) in fields.items() if field == "origin" and _OF_ORIGIN.search(keys[i])]
    if len(origins) > 1:
        table = _joined(table, origins, [], None, _ORIGIN)
    return _second_phone(table, [i for i, (field, _) in sorted(fields.items(), key=lambda f: -f[1][1]) if field == "phone"])


def _joined(table: Table, parts: list[int], doors: list[int], whole: int | None, name: str) -> Table:
    """`parts` from the wide to the narrow, then the whole text or the doors, in the column of the whole (else of the last part)."""
    if not parts or len(parts) + len(doors) + (whole is not None) < 2:
        return table
    target = whole if whole is not None else parts[-1]
    text = _cells(table, whole) if whole is not None else pl.Series("", [""], dtype=pl.String).new_from_index(0, table.frame.height)
    columns = {f"p{i}": _cells(table, i) for i in parts}
    frame = pl.DataFrame({"whole": text, **columns, **{f"d{i}": _cells(table, i) for i in doors}})
    narrow = pl.col(f"p{parts[-1]}")
    told = (narrow != "") & pl.col("whole").str.contains(narrow, literal=True)
    before = [pl.col(column) for column in columns]
    behind = [pl.col(f"d{i}") for i in doors]
    full = frame.select(pl.when(told).then(pl.col("whole")).otherwise(pl.concat_str(*before, *behind, pl.col("whole")))).to_series()
    used = [*parts, *doors, *([whole] if whole is not None else [])]
    return _with(table, target, full, used, name)


def _second_phone(table: Table, phones: list[int]) -> Table:
    """The first telephone, or the second where the first is blank. Only of columns that say so (手机号1, 手机号2; 备用电话)."""
    from bihuan.intake.columns import by_name

    header = {c.index: c.header for c in table.columns}
    if len(phones) != 2 or (by_name(header[phones[1]]) or ("", 1.0))[1] >= 1:
        return table
    first, second = (_cells(table, i) for i in phones)
    chosen = pl.DataFrame({"a": first, "b": second}).select(pl.when(pl.col("a") == "").then("b").otherwise("a")).to_series()
    return _with(table, phones[0], chosen, phones, "手机号")


def _with(table: Table, target: int, text: pl.Series, used: list[int], name: str) -> Table:
    from bihuan.intake.columns import header_key

    header = {c.index: header_key(c.header) for c in table.columns}  # without brackets of its own: they would end this one's
    told = "、".join(dict.fromkeys(header[i] for i in sorted(used)))
    columns = tuple(
        replace(c, header=f"{name}（{told}）") if c.index == target else c
        for c in table.columns
        if c.index == target or c.index not in used
    )
    gone = [pl.lit("").alias(f"c{i}") for i in used if i != target]
    frame = table.frame.with_columns(text.alias(f"c{target}"), *gone).drop(*(f"k{i}" for i in used), strict=False)
    return replace(table, columns=columns, frame=frame)


def _cells(table: Table, index: int) -> pl.Series:
    return table.frame.get_column(f"c{index}").fill_null("").str.strip_chars()
