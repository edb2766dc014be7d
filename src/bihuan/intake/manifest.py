"""Lists of passengers as carriers and health departments abroad send them: names in two columns, telephones in five.

The columns stay where they are, so that a refused cell is found; the family name's column then holds the whole name, and the
telephone column that most rows have holds the one number by which somebody is reached first. Forms of the United States
(Epi-X) write the month first and telephones without the country's 1 (ITU-T E.164).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from bihuan.intake.read import Table

FAMILY = ("last_name", "lastname", "surname", "family_name", "familyname", "last name", "family name")
GIVEN = (
    "first_name",
    "firstname",
    "given_name",
    "given_names",
    "givenname",
    "givennames",
    "forename",
    "first name",
    "given name",
    "given names",
)
MIDDLE = ("middle_initial", "middle_name", "middlename", "middle name")
# Where the person is now, then what is carried, then home, then work; never the emergency contact.
PHONES = ("locate_telephone", "perm_cell_pager", "perm_home_telephone", "other_phone", "business_telephone")
JOURNEY = ("conveyancename", "identifyingnumber", "seat_number")
_US_FORM = {"perm_cell_pager", "perm_state", "datearrival"}


def joined(table: Table) -> Table:
    """The table with whole names and one telephone a row; any other table as it is."""
    at = {c.header.strip().lower(): c.index for c in reversed(table.columns)}
    family = next((at[h] for h in FAMILY if h in at), None)
    given = next((at[h] for h in GIVEN if h in at), None)
    if family is None or given is None:
        return table
    middle = next((at[h] for h in MIDDLE if h in at), None)
    frame = table.frame
    parts = [given, *([middle] if middle is not None else []), family]
    frame = frame.with_columns(_together(frame, parts).alias(f"c{family}"))
    phones = [at[h] for h in PHONES if h in at]
    us_form = at.keys() >= _US_FORM
    headers = {family: "Name"}
    if phones:
        main = max(phones, key=lambda i: frame.get_column(f"c{i}").fill_null("").str.strip_chars().str.len_bytes().gt(0).sum())
        first = pl.coalesce(*(pl.col(f"c{i}").str.strip_chars().replace("", None) for i in phones))
        chosen = frame.select(first.fill_null("")).to_series()
        if us_form:
            chosen = pl.Series([_us_phone(text) for text in chosen.to_list()], dtype=pl.String)
        frame = frame.with_columns(chosen.alias(f"c{main}")).drop(f"k{main}", strict=False)
        headers[main] = "Phone"
    journey = [at[h] for h in JOURNEY if h in at]
    if journey and "notes" in at:
        frame = frame.with_columns(_together(frame, journey).alias(f"c{at['notes']}"))
        headers[at["notes"]] = "Remark"
    columns = tuple(replace(c, header=f"{headers[c.index]} ({c.header})") if c.index in headers else c for c in table.columns)
    return replace(table, columns=columns, frame=frame, month_first=us_form)


def _together(frame: pl.DataFrame, columns: list[int]) -> pl.Series:
    """The filled cells of some columns, with a blank between them."""
    cells = [frame.get_column(f"c{i}").fill_null("").str.strip_chars() for i in columns]
    return (
        pl.DataFrame({str(i): c for i, c in enumerate(cells)})
        .select(pl.concat_str(pl.all(), separator=" ").str.replace_all(r"\s+", " ").str.strip_chars())
        .to_series()
    )


def _us_phone(text: str) -> str:
    """A number of the North American plan with its country code; anything else as it stands."""
    digits = re.sub(r"\D", "", text)
    if text.startswith("+") or re.search("[A-Za-z]", text) or not re.match(r"^1?[2-9]\d{9}$", digits):
        return text
    return f"+1{digits[-10:]}"
