"""The corpus of hard sheets: files as people make them, each with the account that it must give.

`corpus()` makes them all, the same on every machine. `python -m tests.sheets.make FOLDER` writes them as files, with
`accounts.json` beside them. All persons are made up.
"""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import hashlib
import io
import json
import random
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import xlsxwriter

NS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DAY = date(2022, 8, 20)
HEAD = ["姓名", "证件号码", "手机号", "来源地", "到达时间", "现住址"]
_FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国红梅"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class Person:
    name: str
    doc: str
    phone: str
    origin: str
    day: date
    address: str

    def cells(self) -> list[str]:
        return [self.name, self.doc, self.phone, self.origin, self.day.isoformat(), self.address]

    def told(self, *fields: str) -> dict[str, object]:
        """What a row must say of this person; `day` of the arrival in Asia/Shanghai."""
        return {f: getattr(self, f) for f in (fields or ("name", "doc", "phone", "origin", "day"))}


@dataclass(frozen=True)
class Sheet:
    """A file and its account. `people`: what the accepted rows say, in their order (fields that are named, others are not looked at).

    `created`: new leads when the file comes alone. `refused`: the code of the whole file; then nothing else is expected.
    """

    name: str
    data: bytes
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    people: list[dict[str, object]] = field(default_factory=list)
    created: int = 0
    refused: str | None = None
    source: str = "unit"


_MAKERS: list[tuple[str, Callable[[list[Person]], dict | bytes]]] = []


def sheet(name: str, source: str = "unit") -> Callable:
    def keep(fn: Callable) -> Callable:
        _MAKERS.append((name, source, fn))
        return fn

    return keep


def id_number(rng: random.Random) -> str:
    born = date(1950, 1, 1) + timedelta(days=rng.randrange(20_000))
    plain = f"320722{born:%Y%m%d}{rng.randrange(1000):03d}"
    return plain + "10X98765432"[sum(int(d) * w for d, w in zip(plain, _WEIGHTS, strict=True)) % 11]


def people(seed: str, n: int) -> list[Person]:
    rng = random.Random(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))
    return [
        Person(
            rng.choice(_FAMILY) + rng.choice(_GIVEN) + rng.choice(_GIVEN),
            id_number(rng),
            f"1{rng.choice('3589')}{rng.randrange(10**9):09d}",
            rng.choice(("上海市", "河南省郑州市", "陕西省西安市")),
            DAY + timedelta(days=rng.randrange(8)),
            f"连云港市连云区板桥街道板桥社区居委会{rng.randrange(1, 99)}号楼",
        )
        for _ in range(n)
    ]


def corpus() -> list[Sheet]:
    made = []
    for name, source, maker in _MAKERS:
        given = people(name, 6)
        said = maker(given)
        data = said.pop("data")
        if "refused" not in said:
            said.setdefault("people", [p.told() for p in given])
            said.setdefault("rows", len(said["people"]) + sum(said.get("rejected", {}).values()))
            said.setdefault("created", len(said["people"]))
        made.append(Sheet(name, data, source=source, **said))
    return made


# --- tools ----------------------------------------------------------------------------------------------------------


def csv(rows: list[list[str]], delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(row) + end for row in rows)


def listed(given: list[Person]) -> list[list[str]]:
    return [HEAD, *(p.cells() for p in given)]


def book(sheets: dict[str, list[list]], change: Callable | None = None, **options) -> bytes:
    """A workbook; `change(workbook, {name: worksheet})` before it is closed."""
    out = io.BytesIO()
    made = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, **options})
    made.set_properties({"created": datetime(2022, 8, 28)})
    day = made.add_format({"num_format": "yyyy/m/d"})
    moment = made.add_format({"num_format": "yyyy/m/d h:mm"})
    pages = {}
    for name, rows in sheets.items():
        page = pages[name] = made.add_worksheet(name)
        for r, row in enumerate(rows):
            for c, cell in enumerate(row):
                if isinstance(cell, datetime):
                    page.write_datetime(r, c, cell, moment)
                elif isinstance(cell, date):
                    page.write_datetime(r, c, datetime(cell.year, cell.month, cell.day), day)
                elif cell is not None and cell != "":
                    page.write(r, c, cell)
    if change:
        change(made, pages)
    made.close()
    return out.getvalue()


def repacked(data: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = change(member.filename, old.read(member))
            if content is not None:
                new.writestr(zipfile.ZipInfo(member.filename, (2022, 8, 28, 0, 0, 0)), content)
    return out.getvalue()


def in_sheet(data: bytes, change: Callable[[bytes], bytes], part: str = "xl/worksheets/sheet1.xml") -> bytes:
    return repacked(data, lambda name, content: change(content) if name == part else content)


def written(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    accounts = {}
    for one in corpus():
        (folder / one.name).write_bytes(one.data)
        accounts[one.name] = {"refused": one.refused} if one.refused else {
            "rows": one.rows, "created": one.created, "rejected": one.rejected, "source": one.source
        }  # fmt: skip
    (folder / "accounts.json").write_text(json.dumps(accounts, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    from tests.sheets import make, relays, texts, workbooks  # noqa: F401 - they fill the corpus of the module, not of this script

    make.written(Path(sys.argv[1]))
