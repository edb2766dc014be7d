"""A small city with one zone, and a neighbour: loaded by the worker's role, as an installation is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from bihuan.regions import queries
from bihuan.regions.load import load_city
from bihuan.regions.units import make_units

DIVISIONS = """code,level,name
320000000000,1,江苏省
320700000000,2,连云港市
320703000000,3,连云区
320703007000,4,徐圩街道
320703007001,5,云湖社区居委会
320703008000,4,海州湾街道
320703008001,5,西墅村委会
320703008002,5,东哨村委会
320706000000,3,海州区
320706009000,4,云台街道
320706009001,5,山东村委会
320800000000,2,淮安市
320803000000,3,淮安区
"""

ZONES = """
[[zone]]
city = 3207
name = "徐圩新区"
short_name = "徐圩新区"
scope = 320790000000
from_on = 2022-01-01
members = [{ division = 320703007000, scope = 320790007000 }]
"""

BEGAN_ON = date(2022, 8, 1)


@dataclass(frozen=True)
class Files:
    divisions: Path
    zones: Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "divisions.csv").write_text(DIVISIONS, "utf-8")
    (tmp_path / "zones.toml").write_text(ZONES, "utf-8")
    return Files(tmp_path / "divisions.csv", tmp_path / "zones.toml")


@dataclass(frozen=True)
class Places:
    """Regions by their short names, and the units that answer for them."""

    region: dict[str, int]

    def unit(self, name: str, on: date | None = None) -> int | None:
        return queries.unit_for_region(self.region[name], on)


@pytest.fixture
def places(db: str, acting, files: Files) -> Iterator[Places]:
    """Two loaded cities with their units; Django's connection is the worker's role during the test."""
    with acting("work"):
        for city in (3207, 3208):
            load_city(city, files.divisions, files.zones)
            make_units(city, BEGAN_ON)
        yield Places({row.short_name: row.id for row in queries.resolve_rows()})
