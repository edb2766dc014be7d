"""Lists as a city receives them in one morning, made up, with the truth about every row.

`generate(seed, n_people, divisions)` returns the bytes of four files (a data push, a unit's report, a community sweep,
a telecom reminder) and a truth: who the people are, which phones families share, and for every row the person it is
about or the reason for which it must be refused. Heads, orders of columns, encodings, titles, footers and spellings
differ with the seed. Nobody in them exists.
"""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import xlsxwriter

NOW = datetime(2022, 8, 28, 8)
Division = tuple[int, int, str]  # (12-digit code, level 1 … 5, name)

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石"
_DOUBLE = ("欧阳", "司马", "上官", "诸葛")
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红鑫宇浩晨曦琪嘉慧婷瑶诺轩涵博文雨欣怡辉国建志海龙飞凤兰梅春花"
_RARE = "䶮㛃𬭚昇堃喆"
_OTHER_NAMES = ("买买提·吐尔逊", "阿依古丽·买买提", "卓玛·次仁", "古丽娜尔·艾力")
_AREAS = ("320722", "320706", "320723", "310115", "410105", "610113", "510107", "370202", "320106", "130102")
_ORIGINS = (
    ("上海市", "上海", 310100),
    ("北京市", "北京", 110100),
    ("江苏省苏州市", "江苏苏州", 320500),
    ("江苏省南京市", "江苏南京", 320100),
    ("河南省郑州市", "河南郑州", 410100),
    ("广东省深圳市", "广东深圳", 440300),
    ("陕西省西安市", "陕西西安", 610100),
    ("河北省石家庄市", "河北石家庄", 130100),
    ("四川省成都市", "四川成都", 510100),
    ("山东省青岛市", "山东青岛", 370200),
)
_HEADS = {
    "name": ("姓名", "员工姓名", "人员姓名", "名字", "姓 名", "*姓名"),
    "doc": ("证件号码", "身份证号", "公民身份号码", "身份证", "证件号", "身份证号码（必填）", "身份证\n号码"),
    "phone": ("手机号", "联系电话", "电话", "手机号码", "联系方式", "手机", "本人电话"),
    "origin": ("来源地", "从何地来", "来自", "出发地", "从哪来", "何地返连", "来源城市"),
    "arrived_at": ("到达时间", "抵连日期", "到家时间", "返回日期", "抵达时间", "到连时间", "返连\n时间"),
    "address": ("现住址", "户籍/现居地址", "居住地址", "家庭住址", "详细地址", "现居住地址"),
    "workplace": ("工作单位", "单位", "所在单位"),
    "remark": ("备注", "备注（可不填）", "说明"),
    "batch": ("推送批次", "批次"),
    "ordinal": ("序号", "编号", "序\n号"),
    "origin_code": ("漫出地编码", "出发地", "来源地"),
    "district": ("驻留区县", "驻留地编码", "所在区县"),
    "number": ("号码", "手机号", "MSISDN", "用户号码"),
    "entered": ("进入时间", "驻留时间", "到达时间"),
}
_EXTRA = (("性别", ("男", "女")), ("交通方式", ("自驾", "G1234", "大巴")), ("自定义甲", ("甲一", "乙二", "")))
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def load_divisions(path: str | Path, city: int = 3207) -> list[Division]:
    """The rows of a city and of its province in a table of divisions (code, level, name)."""
    with open(path, encoding="utf-8-sig", newline="") as lines:
        rows = [(int(r["code"]), int(r["level"]), r["name"]) for r in csv.DictReader(lines)]
    return [r for r in rows if str(r[0]).startswith(str(city)) or r[0] == int(str(city)[:2]) * 10**10]


@dataclass
class _Person:
    number: int
    name: str
    doc: str
    phone: str
    village: int
    arrived_at: datetime
    origin: int
    adult: bool
    passport: str | None = None


@dataclass
class _List:
    """A list being made: (person, reject or None, cells by field) per row; None is a blank line."""

    source: str
    rows: list[tuple[_Person | None, str | None, dict[str, object]] | None] = field(default_factory=list)


def id_number(area: str, born: date, order: int) -> str:
    """A resident ID number with its check digit (GB 11643)."""
    stem = f"{area}{born:%Y%m%d}{order:03d}"
    return stem + "10X98765432"[sum(int(d) * w for d, w in zip(stem, _WEIGHTS, strict=True)) % 11]


def generate(seed: int, n_people: int, divisions: Sequence[Division]) -> tuple[dict[str, bytes], dict]:
    """Four files and their truth (the shape of `truth.json`); the same seed gives the same bytes.

    Rows of `truth["files"][name]["rows"]` have `row` (as the sender sees it), `sheet` where there are several, `person`
    (number, or `phone-…` for a phone that a family shares), `reject`, and `either` where linking or not is both right.
    """
    rng = random.Random(seed)
    places = _Places(divisions)
    people = _people(rng, n_people, places)
    lists = {
        "data_push.csv": _data_push(rng, people, places),
        "unit_report.xlsx": _unit_report(rng, people, places),
        "community_sweep.xlsx": _community_sweep(rng, people, places),
    }
    lists["telecom_reminder.csv"] = _telecom(rng, people, places)
    shared = _shared_phones(people)
    known = _known_adults(lists, shared)
    files: dict[str, bytes] = {}
    truth: dict = {
        "seed": seed,
        "shared_phones": sorted(shared),
        "people": [
            {
                "person": p.number,
                "id": p.doc,
                "phone": p.phone,
                "name": p.name,
                "village": str(p.village),
                "arrived_at": p.arrived_at.isoformat(),
            }
            for p in people
        ],
        "files": {},
    }
    for name, one in lists.items():
        data, meta = _write(rng, name, one, places)
        for row, (person, reject, cells) in zip(meta["rows"], [r for r in one.rows if r], strict=True):
            row |= _said(one, person, reject, cells, shared, known)
        files[name] = data
        truth["files"][name] = meta
    rows = [r for meta in truth["files"].values() for r in meta["rows"]]
    truth["persons_expected"] = len({r["person"] for r in rows if r["reject"] is None})
    truth["rejected_expected"] = {n: dict(Counter(r["reject"] for r in m["rows"] if r["reject"])) for n, m in truth["files"].items()}
    return files, truth


def _said(
    one: _List, person: _Person | None, reject: str | None, cells: dict[str, object], shared: set[str], known: dict[str, int]
) -> dict:
    """What the truth says of a row."""
    if person is None:
        return {"person": None, "reject": reject}
    if one.source == "telecom" and person.phone in shared:
        said: dict = {"person": f"phone-{person.phone}", "reject": reject}
        return said | ({"either": True} if known.get(person.phone, 0) < 2 else {})
    said = {"person": person.number, "reject": reject}
    return said | ({"either": True} if cells.get("_other_document") else {})


# --- people ---------------------------------------------------------------------------------------------------------


class _Places:
    """Villages of a city with what is written above them in an address."""

    def __init__(self, divisions: Sequence[Division]) -> None:
        self.names = {code: name for code, _, name in divisions}
        self.city = next(code for code, level, _ in divisions if level == 2)
        villages = [code for code, level, _ in divisions if level == 5]
        short = Counter((code // 1000, _bare(self.names[code])) for code in villages)
        self.villages = [v for v in villages if short[v // 1000, _bare(self.names[v])] == 1]

    def township(self, village: int) -> str:
        return self.names[village // 1000 * 1000]

    def county(self, village: int) -> str:
        return self.names[village // 10**6 * 10**6]

    def address(self, rng: random.Random, village: int) -> str:
        """One of the ways people write where they live; always names county or township."""
        city, county, township, name = self.names[self.city], self.county(village), self.township(village), self.names[village]
        door = f"{rng.randint(1, 39)}号楼{rng.randint(1, 4)}单元{rng.randint(1, 26)}{rng.randint(1, 99):02d}室"
        way = rng.random()
        if way < 0.6:
            return f"{city}{county}{township}{name}{door}"
        if way < 0.75:
            return f"{county}{township}{name}{rng.randint(1, 12)}组"
        if way < 0.85:
            return f"江苏省{city}{county}{township}{name}{door}" if city == "连云港市" else f"{city}{county}{township}{name}{door}"
        if way < 0.95 and name.endswith("村委会"):
            return f"{county}{township}{name.removesuffix('委会')}{rng.randint(1, 12)}组{rng.randint(1, 60)}号"
        return f"{county} {township} {name} {door}"


def _bare(name: str) -> str:
    for end in ("社区居民委员会", "社区居委会", "村民委员会", "居民委员会", "虚拟社区", "管理区社区", "村委会", "居委会", "社区", "管理区"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def _name(rng: random.Random) -> str:
    if rng.random() < 0.01:
        return rng.choice(_OTHER_NAMES)
    surname = rng.choice(_DOUBLE) if rng.random() < 0.03 else rng.choice(_SURNAMES)
    given = "".join(rng.choice(_GIVEN) for _ in range(1 if rng.random() < 0.25 else 2))
    return surname + (given[:-1] + rng.choice(_RARE) if rng.random() < 0.01 else given)


def _people(rng: random.Random, n: int, places: _Places) -> list[_Person]:
    """Singles with phones of their own, and families that share one: two adults, an adult and a child, only children."""
    people: list[_Person] = []
    docs: set[str] = set()
    phones: set[str] = set()

    def phone() -> str:
        while True:
            number = rng.choice(("13", "15", "17", "18", "19")) + f"{rng.randint(0, 10**9 - 1):09d}"
            if number not in phones:
                phones.add(number)
                return number

    def person(number: str, village: int, when: datetime, *, adult: bool) -> None:
        while True:
            born = date(2022, 6, 1) - timedelta(days=rng.randint(19 * 366, 80 * 365) if adult else rng.randint(1100, 15 * 365))
            doc = id_number(rng.choice(_AREAS), born, rng.randint(1, 999))
            if doc not in docs:
                docs.add(doc)
                break
        family = {p.name for p in people if p.phone == number}
        name = _name(rng)
        if people and rng.random() < 0.02:
            name = rng.choice(people).name  # same names are common
        while name in family:
            name = _name(rng)
        passport = f"E{rng.choice('ABCDEFGH')}{rng.randint(0, 10**7 - 1):07d}" if adult and rng.random() < 0.005 else None
        people.append(_Person(len(people), name, doc, number, village, when, rng.randrange(len(_ORIGINS)), adult, passport))

    while len(people) < n:
        number, village = phone(), rng.choice(places.villages)
        when = datetime(2022, 8, 26) + timedelta(minutes=rng.randint(0, 3 * 24 * 60 - 1))
        kind = rng.random()
        family = (True, True) if kind < 0.02 else (True, False) if kind < 0.035 else (False, False) if kind < 0.04 else (True,)
        if kind < 0.01:
            family = (True, True, False)
        for adult in family:
            person(number, village, when, adult=adult)
    return people


def _shared_phones(people: list[_Person]) -> set[str]:
    return {phone for phone, n in Counter(p.phone for p in people).items() if n > 1}


def _known_adults(lists: dict[str, _List], shared: set[str]) -> dict[str, int]:
    """How many adult holders of each shared phone are known, by document, from rows that are accepted."""
    seen = {
        (p.phone, p.number)
        for one in lists.values()
        if one.source != "telecom"
        for p, reject, cells in filter(None, one.rows)
        if p and reject is None and p.adult and p.phone in shared and cells.get("doc")
    }
    return dict(Counter(phone for phone, _ in seen))


# --- cells ----------------------------------------------------------------------------------------------------------


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _dirty_phone(rng: random.Random, phone: str, *, numbers: bool) -> object:
    way = rng.random()
    if numbers and way < 0.4:
        return int(phone)
    if way < 0.5:
        return f"+86 {phone[:3]} {phone[3:7]} {phone[7:]}"
    if way < 0.57:
        return f"{phone[:3]}-{phone[3:7]}-{phone[7:]}"
    if way < 0.6:
        return _wide(phone)
    if way < 0.62:
        return f"0086{phone}"
    return f" {phone}" if way < 0.65 else phone


def _dirty_doc(rng: random.Random, doc: str) -> str:
    way = rng.random()
    if way < 0.05:
        return f" {doc} "
    if way < 0.08:
        return _wide(doc)
    return doc.lower() if way < 0.4 else doc


def _dirty_name(rng: random.Random, name: str) -> str:
    if len(name) == 2 and rng.random() < 0.15:
        return f"{name[0]} {name[1]}"
    return f"{name} " if rng.random() < 0.02 else name


def _spoilt(rng: random.Random, person: _Person, cells: dict[str, object], *, numbers: bool) -> str | None:
    """Spoil one cell of a row now and then; the reason for which the row must be refused."""
    if rng.random() > 0.02:
        return None
    kinds = ["id_length", "id_date", "id_checksum", "date_unreadable", "phone_bad", "no_identity"] + (
        ["id_numeric_cell"] if numbers else []
    )
    reason = rng.choice([k for k in kinds if cells.get("doc") or not k.startswith("id_")])
    doc = person.doc
    if reason == "id_length":
        cells["doc"] = doc[:9] + doc[10:]
    elif reason == "id_date":
        stem = doc[:10] + "13" + doc[12:17]
        cells["doc"] = stem + "10X98765432"[sum(int(d) * w for d, w in zip(stem, _WEIGHTS, strict=True)) % 11]
    elif reason == "id_checksum":
        cells["doc"] = doc[:17] + ("0" if doc[17] != "0" else "1")
    elif reason == "id_numeric_cell":
        cells["doc"] = float(doc[:17] + "0")
    elif reason == "date_unreadable":
        cells["arrived_at"] = rng.choice(("近日", "上周", "2022-13-45", "8月"))
    elif reason == "phone_bad":
        cells["phone"] = person.phone[:10]
    else:
        cells["doc"], cells["phone"] = "", ""
    return reason


def _row(rng: random.Random, one: _List, person: _Person, cells: dict[str, object], *, numbers: bool) -> None:
    reject = _spoilt(rng, person, cells, numbers=numbers)
    if reject is None and person.passport and cells.get("doc") and rng.random() < 0.5:
        cells["doc"], cells["_other_document"] = person.passport, True
    one.rows.append((person, reject, cells))
    if rng.random() < 0.02:
        one.rows.append((person, reject, dict(cells)))  # the same row twice
    if numbers and rng.random() < 0.015:
        one.rows.append(None)


# --- lists ----------------------------------------------------------------------------------------------------------


def _chosen(rng: random.Random, people: list[_Person], share: float, salt: int) -> list[_Person]:
    """A share of the people; every twelfth is on every list, so that three sources overlap by 8 % at least."""
    chosen = [p for p in people if p.number % 12 == 0 or rng.random() < share]
    rng.shuffle(chosen)
    return chosen


def _data_push(rng: random.Random, people: list[_Person], places: _Places) -> _List:
    one = _List("data")
    pattern = rng.choice(("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y%m%d%H%M%S"))
    for p in _chosen(rng, people, 0.55, 1):
        for _ in range(2 if rng.random() < 0.05 else 1):
            cells: dict[str, object] = {
                "name": _dirty_name(rng, p.name),
                "doc": _dirty_doc(rng, p.doc),
                "phone": _dirty_phone(rng, p.phone, numbers=False),
                "origin": _ORIGINS[p.origin][0],
                "arrived_at": p.arrived_at.strftime(pattern),
                "batch": f"P{p.arrived_at:%m%d}",
            }
            _row(rng, one, p, cells, numbers=False)
    return one


def _day(rng: random.Random, when: datetime) -> object:
    return rng.choice(
        (
            when.date(),
            f"{when:%Y}.{when.month}.{when.day}",
            f"{when.month}月{when.day}日",
            f"{when:%Y-%m-%d}",
            f"{when.month}月{when.day}号",
            f"{when.month}/{when.day}",
            _wide(f"{when.month}月{when.day}日"),
            (when.date() - date(1899, 12, 30)).days,
            f"{when:%Y}年{when.month}月{when.day}日",
        )
    )


def _unit_report(rng: random.Random, people: list[_Person], places: _Places) -> _List:
    one = _List("unit")
    for p in _chosen(rng, [p for p in people if p.adult], 0.25, 2):
        cells: dict[str, object] = {
            "name": _dirty_name(rng, p.name),
            "doc": p.doc if rng.random() < 0.97 else "",
            "phone": _dirty_phone(rng, p.phone, numbers=True),
            "origin": rng.choice(_ORIGINS[p.origin][:2]),
            "arrived_at": _day(rng, p.arrived_at),
            "workplace": rng.choice(("某物流公司", "某建筑工地项目部", "某港口集团")),
            "address": places.address(rng, p.village),
        }
        _row(rng, one, p, cells, numbers=True)
    return one


def _community_sweep(rng: random.Random, people: list[_Person], places: _Places) -> _List:
    one = _List("community")
    for p in sorted(_chosen(rng, people, 0.4, 3), key=lambda p: places.county(p.village)):
        when = p.arrived_at
        cells: dict[str, object] = {
            "name": _dirty_name(rng, p.name),
            "doc": p.doc if rng.random() < 0.88 else "",
            "phone": _dirty_phone(rng, p.phone, numbers=False),
            "address": places.address(rng, p.village),
            "origin": rng.choice(_ORIGINS[p.origin][:2]),
            "arrived_at": rng.choice(
                (f"{when:%Y/%m/%d %H:%M}", f"{when.month}月{when.day}日 {when:%H:%M}", f"{when.month}.{when.day} {when:%H:%M}")
            ),
            "remark": rng.choice(("", "", "学生", "=1+1", "@返乡", "-")),
            "_sheet": places.county(p.village),
        }
        _row(rng, one, p, cells, numbers=False)
    return one


def _telecom(rng: random.Random, people: list[_Person], places: _Places) -> _List:
    one = _List("telecom")
    for p in _chosen(rng, people, 0.45, 4):
        cells: dict[str, object] = {
            "number": p.phone,
            "entered": f"{p.arrived_at:%Y%m%d%H%M}",
            "origin_code": str(_ORIGINS[p.origin][2]),
            "district": str(p.village // 10**6),
        }
        one.rows.append((p, None, cells))
        if rng.random() < 0.02:
            one.rows.append((p, None, dict(cells)))
    return one


# --- files ----------------------------------------------------------------------------------------------------------


def _write(rng: random.Random, name: str, one: _List, places: _Places) -> tuple[bytes, dict]:
    """The bytes of a file and what the truth says of the file; rows carry only their places yet."""
    fields = [f for f in next(r for r in one.rows if r)[2] if not f.startswith("_")]
    rng.shuffle(fields)
    fields = ["ordinal", *fields] if rng.random() < 0.6 and one.source != "telecom" else fields
    heads = [rng.choice(_HEADS[f]) for f in fields]
    extra = rng.choice((None, *_EXTRA)) if one.source != "telecom" else None
    if extra:
        heads.append(extra[0])
    return (_csv if name.endswith(".csv") else _xlsx)(rng, one, fields, heads, extra, places)


def _line(rng: random.Random, fields: list[str], cells: dict[str, object], number: int, extra: tuple | None) -> list[object]:
    return [number if f == "ordinal" else cells.get(f, "") for f in fields] + ([rng.choice(extra[1])] if extra else [])


def _csv(rng: random.Random, one: _List, fields: list[str], heads: list[str], extra: tuple | None, places: _Places) -> tuple[bytes, dict]:
    encoding = rng.choice(("gb18030", "utf-8", "utf-8-sig"))
    delimiter = rng.choice((",", ",", "\t", ";"))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=rng.choice(("\n", "\r\n")))
    line = 0
    if rng.random() < 0.3:
        writer.writerow(["外地来连人员名单"])
        line += 1
    writer.writerow([h.replace("\n", "") for h in heads])
    line += 1
    header_row, rows = line, []
    for number, row in enumerate(r for r in one.rows if r):
        line += 1
        writer.writerow(_line(rng, fields, row[2], number + 1, extra))
        rows.append({"row": line})
        if rng.random() < 0.005:
            out.write("\n")
            line += 1
    if rng.random() < 0.3:
        writer.writerow([f"合计：{len(rows)}条"])
    return out.getvalue().encode(encoding), {"source": one.source, "encoding": encoding, "header_row": header_row, "rows": rows}


def _xlsx(rng: random.Random, one: _List, fields: list[str], heads: list[str], extra: tuple | None, places: _Places) -> tuple[bytes, dict]:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"created": datetime(2022, 8, 28)})
    by_sheet: dict[str, list] = {}
    for row in one.rows:
        sheet = row[2].get("_sheet") if row else None
        by_sheet.setdefault(str(sheet) if sheet else (list(by_sheet)[-1] if row is None and by_sheet else "返连人员"), []).append(row)
    several = len(by_sheet) > 1
    day = book.add_format({"num_format": "yyyy/m/d"})
    rows = []
    titles = rng.choice((0, 1, 2))
    two_lines = rng.random() < 0.3
    for sheet, lines in by_sheet.items():
        page = book.add_worksheet(sheet)
        at = 0
        if titles:
            page.merge_range(0, 0, 0, len(heads) - 1, "外地返连人员情况登记表")
            at = 1
        if titles == 2:
            page.write_string(1, 0, "填报单位：（盖章）")
            at = 2
        if two_lines:
            page.merge_range(at, 0, at, len(heads) - 1, "人员信息")
            at += 1
        for i, head in enumerate(heads):
            page.write_string(at, i, head)
        number = 0
        for row in lines:
            at += 1
            if row is None:
                continue
            number += 1
            for i, cell in enumerate(_line(rng, fields, row[2], number, extra)):
                if isinstance(cell, date):
                    page.write_datetime(at, i, datetime(cell.year, cell.month, cell.day), day)
                elif isinstance(cell, (int, float)):
                    page.write_number(at, i, cell)
                elif cell != "":
                    page.write_string(at, i, str(cell))
            if rng.random() < 0.01:
                page.set_row(at, None, None, {"hidden": True})
            rows.append({"sheet": sheet, "row": at + 1} if several else {"row": at + 1})
        if rng.random() < 0.6:
            page.write_string(at + 2, 0, "填表人：            审核人：")
    # rows stand in the order of the sheets, which is the order of the list
    book.close()
    return buffer.getvalue(), {"source": one.source, "rows": rows}
