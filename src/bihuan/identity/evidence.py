"""From checked rows to evidence: alias ids, blind indexes, what a document tells. No database.

The id of an alias is an HMAC of its evidence, shaped as a UUID (version 8) whose two highest bits tell the kind:
00 document, 01 name with phone, 10 phone, 11 name at a door. So better evidence has the smaller id.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from uuid import UUID

import numpy as np
import polars as pl

from bihuan.identity.sounds import spoken
from bihuan.kernel.crypto import Keys
from bihuan.kernel.text import name_key

DOCUMENT, NAME_PHONE, PHONE, NAME_DOOR = 0, 1, 2, 3
# The first id of the second, third and fourth kind: SQL compares with them.
FIRST_NAME_PHONE = UUID("40000000-0000-0000-0000-000000000000")
FIRST_PHONE = UUID("80000000-0000-0000-0000-000000000000")
FIRST_NAME_DOOR = UUID("c0000000-0000-0000-0000-000000000000")
# A house, a door, or the group of a village: more than which village it is.
DOOR = r"[0-9零一二三四五六七八九十]+ *(?:号|室|栋|幢|单元|组|队|户|层|#)|[0-9]+-[0-9]+"
# 港澳居民来往内地通行证: a letter and eight digits are the holder's for life, two more count the renewals (notes of the
# Exit and Entry Administration on the number's form), so that a renewed permit is the same evidence.
_RENEWED_PERMIT = r"^([HM]\d{8})\d{2}$"
RESIDENT_ID = r"^[1-9]\d{5}(18|19|20|21)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[0-9X]$"


def kind_of(alias: UUID) -> int:
    """DOCUMENT, NAME_PHONE, PHONE or NAME_DOOR."""
    return alias.int >> 126


def alias_of(keys: Keys, *, doc: str | None = None, name: str | None = None, phone: str | None = None) -> UUID:
    """The alias of one piece of evidence: the document if there is one, else the name with the phone, else the phone.

    ValueError when neither a document nor a phone is given.
    """
    frame = pl.DataFrame({"row": [0], "name": [name], "doc": [doc], "phone": [phone]}, schema_overrides=_SCHEMA)
    return UUID(evidence(frame, keys, adult_years=0, on=date.min)["subject"][0])


_SCHEMA = {"name": pl.String, "doc": pl.String, "phone": pl.String, "doc_kind": pl.String, "address": pl.String}


def evidence(rows: pl.DataFrame, keys: Keys, *, adult_years: int, on: date) -> pl.DataFrame:
    """One line per row, in the order of the rows.

    `rows`: row, name, doc, doc_kind?, phone, address? (checked and normalised by intake; empty text = null).
    Added: subject (text of the alias id), name_key, pinyin, initials, phone_idx, address_idx (bytes), birth_year, sex,
    minor (younger than `adult_years` on the day `on`; null where no resident ID tells).
    The evidence of a row is its document, else its name with its phone, else its phone, else its name at a door (an
    address that tells more than a village): that one never links by itself, an officer may join it.
    ValueError when a row has none of these.
    """
    missing = [pl.lit(None, pl.String).alias(c) for c in ("doc_kind", "address") if c not in rows.columns]
    frame = rows.select("row", "name", "doc", "phone", *(c for c in ("doc_kind", "address") if c in rows.columns)).with_columns(*missing)
    frame = frame.with_columns(
        pl.col(c).cast(pl.String).str.strip_chars().replace("", None) for c in ("name", "doc", "doc_kind", "phone", "address")
    ).with_columns(pl.col("doc").str.to_uppercase())
    frame = _spoken(_mapped(frame, "name", "name_key", _name_keys))
    named = pl.col("name_key").is_not_null()
    kind = pl.when(pl.col("doc").is_not_null()).then(DOCUMENT).when(named & pl.col("phone").is_not_null()).then(NAME_PHONE)
    at_door = named & pl.col("address").str.contains(DOOR)
    frame = frame.with_columns(kind.when(pl.col("phone").is_not_null()).then(PHONE).when(at_door).then(NAME_DOOR).alias("kind"))
    if frame["kind"].null_count():
        raise ValueError("a row has neither document nor phone nor a name at a door: intake refuses it as no_identity")
    said = (
        pl.when(pl.col("kind") == DOCUMENT).then(pl.format("0{}", pl.col("doc").str.replace(_RENEWED_PERMIT, "$1")))
        .when(pl.col("kind") == NAME_PHONE).then(pl.format("1{}\x1f{}", "name_key", "phone"))
        .when(pl.col("kind") == NAME_DOOR).then(pl.format("3{}\x1f{}", "name_key", "address"))
        .otherwise(pl.format("2{}", "phone"))
    )  # fmt: skip
    frame = frame.with_columns(said.alias("said"))
    frame = _mapped(frame, "said", "subject", lambda values: _uuids(_hashed(keys, "alias", values), values))
    frame = _mapped(frame, "phone", "phone_idx", lambda values: _bytes(_hashed(keys, "phone", values)), pl.Binary)
    frame = _mapped(frame, "address", "address_idx", lambda values: _bytes(_hashed(keys, "address", values)), pl.Binary)
    return _told_by_document(frame.drop("said"), adult_years, on)


def _mapped(frame: pl.DataFrame, source: str, target: str, fn: Callable[[pl.Series], pl.Series], dtype=pl.String) -> pl.DataFrame:
    """`fn` on the distinct values of a column, joined back; null stays null."""
    values = frame[source].drop_nulls().unique()
    if values.is_empty():
        return frame.with_columns(pl.lit(None, dtype).alias(target))
    answers = pl.DataFrame({source: values, target: fn(values)})
    return frame.join(answers, on=source, how="left", maintain_order="left")


def _spoken(frame: pl.DataFrame) -> pl.DataFrame:
    names = frame["name_key"].drop_nulls().unique()
    said = [spoken(name) for name in names]
    table = pl.DataFrame(
        {"name_key": names, "pinyin": [full for full, _ in said], "initials": [short for _, short in said]},
        schema={"name_key": pl.String, "pinyin": pl.String, "initials": pl.String},
    )
    return frame.join(table, on="name_key", how="left", maintain_order="left")


def _name_keys(names: pl.Series) -> pl.Series:
    # Most names are Chinese characters only and are their own key.
    plain = names.str.contains(r"^[\u4e00-\u9fff]+$")
    keys = [n if p else name_key(n) or None for n, p in zip(names, plain, strict=True)]
    return pl.Series(keys, dtype=pl.String)


def _hashed(keys: Keys, kind: str, values: pl.Series) -> np.ndarray:
    """HMACs of distinct values as a matrix of 16 bytes a line."""
    index = keys.index
    return np.frombuffer(b"".join([index(kind, v) for v in values]), np.uint8).reshape(-1, 16)


def _uuids(hashes: np.ndarray, said: pl.Series) -> pl.Series:
    """Hashes shaped as UUIDs of version 8 with the kind in the two highest bits; as text."""
    kinds = said.str.slice(0, 1).cast(pl.UInt8).to_numpy()
    ids = hashes.copy()
    ids[:, 0] = (ids[:, 0] & 0x3F) | (kinds << 6)
    ids[:, 6] = (ids[:, 6] & 0x0F) | 0x80
    ids[:, 8] = (ids[:, 8] & 0x3F) | 0x80
    digits = pl.col("id").bin.encode("hex")
    parts = (digits.str.slice(a, n) for a, n in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12)))
    return pl.DataFrame({"id": _bytes(ids)}).select(pl.concat_str(*parts, separator="-").alias("id"))["id"]


def _bytes(matrix: np.ndarray) -> pl.Series:
    raw, width = matrix.tobytes(), matrix.shape[1]
    return pl.Series([raw[i : i + width] for i in range(0, len(raw), width)], dtype=pl.Binary)


def _told_by_document(frame: pl.DataFrame, adult_years: int, on: date) -> pl.DataFrame:
    """Year of birth, sex (17th digit) and minority, from resident IDs (GB 11643)."""
    resident = pl.col("doc").str.contains(RESIDENT_ID)
    born = pl.when(resident).then(pl.col("doc").str.slice(6, 8).cast(pl.Int32, strict=False))
    odd = pl.col("doc").str.slice(16, 1).cast(pl.Int32, strict=False) % 2 == 1
    # Of age from the birthday on: born on the 28th, an adult on the 28th.
    adult_if_born_by = (on.year - adult_years) * 10000 + on.month * 100 + on.day
    return frame.with_columns(
        (born // 10000).alias("birth_year"),
        pl.when(resident).then(pl.when(odd).then(pl.lit("m")).otherwise(pl.lit("f"))).otherwise(pl.lit("")).alias("sex"),
        (born > adult_if_born_by).alias("minor"),
    )
