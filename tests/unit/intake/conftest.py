"""Lists and places for the tests of intake; no database."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

import pytest
import xlsxwriter

from bihuan.intake.addresses import Resolver
from bihuan.kernel.clock import SHANGHAI

DATA = Path(__file__).resolve().parents[3] / "data"


@pytest.fixture(scope="session")
def now():
    return datetime(2022, 8, 28, 8, tzinfo=SHANGHAI)


@pytest.fixture(scope="session")
def divisions():
    """{12-digit code: (level, name)} of the nation to counties and of five cities to villages."""
    found: dict[int, tuple[int, str]] = {}
    for name in ("divisions_national_2023.csv", "divisions_2023.csv"):
        with open(DATA / name, encoding="utf-8-sig", newline="") as lines:
            for row in csv.DictReader(lines):
                found.setdefault(int(row["code"]), (int(row["level"]), row["name"]))
    return found


def rows_of_divisions(divisions) -> list[tuple[int, int, int, str, int | None]]:
    """(id, code, level, name, parent) as a resolver takes them; ids are the codes themselves."""

    def parent(code: int, level: int) -> int | None:
        for unit in (10**3, 10**6, 10**8, 10**10):
            above = code // unit * unit
            if above != code and above in divisions and divisions[above][0] < level:
                return above
        return None

    return [(c, c, level, name, parent(c, level)) for c, (level, name) in divisions.items()]


@pytest.fixture(scope="session")
def resolver(divisions):
    """Of 连云港市."""
    return Resolver(rows_of_divisions(divisions), home=320700000000)


@pytest.fixture
def xlsx():
    """Makes a workbook of sheets {name: rows}."""

    def make(sheets: dict[str, list[list]], **options) -> bytes:
        out = io.BytesIO()
        book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False})
        day = book.add_format({"num_format": "yyyy/m/d"})
        for name, rows in sheets.items():
            page = book.add_worksheet(name)
            for r, row in enumerate(rows):
                for c, cell in enumerate(row):
                    if isinstance(cell, datetime):
                        page.write_datetime(r, c, cell, day)
                    elif cell is not None:
                        page.write(r, c, cell)
            for row in options.get("hidden", ()):
                page.set_row(row - 1, None, None, {"hidden": True})
            for area in options.get("merged", ()):
                page.merge_range(*area)
        book.close()
        return out.getvalue()

    return make
