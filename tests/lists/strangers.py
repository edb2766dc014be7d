"""Lists of strangers: the four kinds of list from senders whose forms differ from those of `generate` in every way that forms do.

Other words for the columns (also initials of pinyin, as data departments use them), addresses in four columns, heads of two lines,
titles, sheets of instructions and totals, hidden lines and columns, blank lines, feet, five cities, dates of thirty kinds,
documents and phones as people type them, families, children, re-issued numbers, foreigners. With the truth of every row.
Nobody in them exists.
"""

# ruff: noqa: DTZ001 - cells hold local times without a zone
from __future__ import annotations

import csv
import io
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import xlsxwriter
from tests.lists.generate import Division, id_number

SHORT = {3207: "连", 3208: "淮", 3204: "常", 1408: "运", 2111: "盘"}
_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏章云苏潘葛范彭鲁韦马苗方俞任袁柳史唐薛雷贺倪汤单仇查盖解"
)
_GIVEN = "建国卫东志强丽娟秀英桂兰玉梅淑珍海燕晓东立新永红春生子轩梓涵一诺浩然思远佳怡雅静俊杰德胜堃玥甯喆𠅤㴋"
_OTHER_NAMES = ("迪丽热巴·买合木提", "扎西·多吉", "娜仁·其其格")
_FOREIGN_NAMES = ("JOHN MICHAEL SMITH", "KIM MINJUN", "TANAKA YUKI", "NGUYEN VAN AN")
_AREAS = ("310104", "510104", "320803", "140802", "211102", "460203")
_ORIGINS = (
    ("上海市", "沪", "310000"),
    ("成都", "四川成都", "四川省成都市武侯区"),
    ("三亚市", "海南省三亚市", "460200"),
    ("新疆乌鲁木齐", "650100"),
)
_HEADS = {
    "name": "被核查人姓名/来返人员姓名/当事人姓名/姓　名/XM/人员姓名(必填)/★姓名/来{c}人员",
    "doc": "身份证件号/居民身份证号码/身份证（18位）/公民身份证号/证件编号/ID号/SFZH/身份证\n号码",
    "phone": "本人联系电话/移动电话号码/手机号码1/常用手机/手机号（11位）/SJHM/LXDH/联络电话",
    "origin": "上一站/出发省市/旅居史(近7天)/来自何地/从哪里返{c}/涉疫地区/中高风险区所在地市",
    "arrived_at": "抵达日期及时间/到{c}时间/返回时间(年月日)/抵达日/返回日/DDSJ/何时到{c}/入{c}时间",
    "address": "现居住详细地址/返{c}后居住地址/暂住地址/落脚地/现住（具体到门牌号）/住宿地点/XZZ/具体住处",
    "workplace": "用人单位/所属单位/就职公司/务工单位",
    "remark": "备注信息/补充说明/其他情况",
    "district": "落地县区/归属县区/现住地县(区)/县（市、区）",
    "town": "乡镇（街道）/镇街/街道、乡镇/所属乡镇",
    "village": "村（社区）/村居/社区、村/所在村（居）",
    "door": "门牌号/楼栋房号/组别",
    "ordinal": "序号/NO/XH",
    "number": "主叫号码/用户手机号码/终端号码/DH",
    "entered": "漫入时间/首次出现时间/DDSJ",
    "left": "漫出地市/来源地市编码/上一驻留地市",
    "stays": "漫入区县/当前驻留区县/驻留县区编码",
}
# Columns that say nothing of the arrival, or speak of somebody else.
_BESIDE = {
    "性别": "男",
    "年龄": "34",
    "家长电话": "13900001111",
    "紧急联系人电话": "13611112222",
    "离开出发地时间": "2022-08-25",
    "下发时间": "2022-08-28",
    "登记日期": "8月28日",
    "填报人": "刘敏",
    "填报人联系方式": "13305130000",
    "与户主关系": "本人",
    "数据来源": "省平台",
    "处置状态": "未核查",
}
_TITLES = (
    "中高风险区来返人员协查函（第3批）",
    "重点地区来返人员排查台账",
    "填表单位（公章）：　　填表日期：2022年8月28日",
    "1.逐户填写；2.手机号填本人。",
)
_FEET = (
    "填表人：张三    联系电话：0518-85551234",
    "审核：李四　　2022年8月28日",
    "合计：30人",
    "2022年8月28日",
    "2022.8.28",
    "领导签字",
    "以上共30人，请查收",
)
_PARTS = ("district", "town", "village", "door")


@dataclass(frozen=True)
class Stranger:
    number: int
    name: str
    doc: str
    phone: str
    village: int
    arrived_at: datetime
    origins: tuple[str, ...]
    adult: bool


class _City:
    def __init__(self, divisions: list[Division]) -> None:
        self.name = {code: name for code, _, name in divisions}
        self.city = next(code for code, level, _ in divisions if level == 2)
        villages = [code for code, level, _ in divisions if level == 5 and self.parts(code)[0] != "市辖区"]
        bare = Counter((code // 1000, _bare(self.name[code])) for code in villages)
        self.villages = [code for code in villages if bare[code // 1000, _bare(self.name[code])] == 1]

    def parts(self, village: int) -> tuple[str, str, str]:
        return self.name[village // 10**6 * 10**6], self.name[village // 1000 * 1000], self.name[village]

    def address(self, rng: random.Random, village: int) -> tuple[str, int]:
        """One of the ways people write where they live, and the most precise region that it tells."""
        county, town, home = self.parts(village)
        door = rng.choice(("12号", "3幢2单元1403", "18-2-602", "三组", "7组45号", "#12-302", ""))
        if rng.random() < 0.06:
            return rng.choice(((county, village // 10**6 * 10**6), (f"{county}{town}", village // 1000 * 1000)))
        ways = [
            f"{self.name[self.city]}{county}{town}{home}{door}",
            f"{county}{town}{home}{door}",
            f" {county} {town} {home} {door}",
            f"{self.name[self.city]}-{county}-{town}-{home}-{door}",
            _wide(f"{county}{town}{home}{door}"),
        ]
        if home.endswith("村委会"):
            ways.append(f"{county}{town}{home.removesuffix('村委会')}村{door}")
        return rng.choice(ways), village


def _bare(name: str) -> str:
    for end in ("社区居委会", "虚拟社区", "管理区社区", "村委会", "居委会", "社区", "管理区"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def _wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


def strangers(seed: int, n: int, divisions: list[Division]) -> tuple[dict[str, bytes], dict]:
    """Four files and their truth, in the shape of `generate`; rows also tell `desk` (a division code or None), a file its `heads`."""
    rng = random.Random(seed)
    city = _City(divisions)
    people = _people(rng, n, city)
    shared = {phone for phone, holders in Counter(p.phone for p in people).items() if holders > 1}
    truth: dict = {"people": [{"person": p.number, "id": p.doc, "phone": p.phone, "name": p.name} for p in people], "files": {}}
    truth["arrived"] = {p.number: p.arrived_at for p in people}
    made, known = {}, set()
    for source in ("data", "unit", "community", "telecom"):
        made[source] = [
            line
            for p in people
            if (p.adult or source != "unit") and rng.random() < (0.5 if source != "unit" else 0.3)
            for line in [_line(rng, city, p, source)] * (2 if rng.random() < 0.03 else 1)
        ]
        rng.shuffle(made[source])
        known |= {(p.phone, p.number) for p, reject, cells, _ in made[source] if not reject and p.adult and len(str(cells.get("doc"))) > 5}
    adults = Counter(phone for phone, _ in known)
    files = {}
    for source, lines in made.items():
        name, data, rows, heads, split = _file(rng, city, source, lines)
        for row, (p, reject, _, desk) in zip(rows, lines, strict=True):
            row |= {"person": p.number, "reject": reject, "desk": p.village if split else desk}
            if source == "telecom" and p.phone in shared:
                row |= {"person": f"phone-{p.phone}", "either": adults[p.phone] < 2}
            if "district" in heads or "stays" in heads or row.get("sheet") == city.parts(p.village)[0]:
                row["desk"] = row["desk"] or p.village // 10**6 * 10**6
        files[name] = data
        truth["files"][name] = {"source": source, "rows": rows, "heads": heads}
    truth["rejected_expected"] = {f: dict(Counter(r["reject"] for r in m["rows"] if r["reject"])) for f, m in truth["files"].items()}
    return files, truth


# --- people -----------------------------------------------------------------------------------------------------------


def _people(rng: random.Random, n: int, city: _City) -> list[Stranger]:
    people: list[Stranger] = []
    taken: set[str] = set()

    def once(draw) -> str:
        while (value := draw()) in taken:
            pass
        taken.add(value)
        return value

    def person(phone: str, village: int, when: datetime, *, adult: bool, foreign: bool = False) -> None:
        days = rng.randint(19 * 366, 85 * 365) if adult else rng.randint(400, 16 * 365)
        doc = once(lambda: id_number(rng.choice(_AREAS), (datetime(2022, 8, 1) - timedelta(days=days)).date(), rng.randint(1, 999)))
        family = {p.name for p in people if p.phone == phone}
        name = once(lambda: rng.choice(_SURNAMES) + "".join(rng.choices(_GIVEN, k=rng.choice((1, 2, 2))))) if rng.random() < 0.9 else ""
        name = name or rng.choice([*_OTHER_NAMES, *(p.name for p in people[-20:] if p.name not in family)])
        if foreign:
            name, doc = rng.choice(_FOREIGN_NAMES), once(lambda: f"{rng.choice('EGMPH')}{rng.randint(10**7, 10**8 - 1)}")
        people.append(Stranger(len(people), name, doc, phone, village, when, rng.choice(_ORIGINS), adult))

    while len(people) < n:
        phone = once(lambda: rng.choice(("135", "147", "166", "178", "191", "199")) + f"{rng.randint(0, 10**8 - 1):08d}")
        village, kind = rng.choice(city.villages), rng.random()
        when = datetime(2022, 8, 25, 12) + timedelta(minutes=rng.randint(0, 3 * 1440 - 1))
        family = (True, True, False) if kind < 0.02 else (True, True) if kind < 0.05 else (True, False) if kind < 0.08 else (True,)
        for adult in family:
            person(phone, village, when, adult=adult, foreign=len(family) == 1 and kind > 0.98)
        if 0.96 < kind < 0.98:  # the number is given out again: somebody else, elsewhere
            person(phone, rng.choice(city.villages), when + timedelta(hours=3), adult=True)
    return people


# --- cells ------------------------------------------------------------------------------------------------------------


def _document(rng: random.Random, doc: str) -> str:
    if len(doc) != 18:
        return rng.choice((doc, doc.lower(), f" {doc}"))
    parted = (doc[:6], doc[6:14], doc[14:])
    return rng.choice(
        (
            doc,
            doc,
            doc.lower(),
            f"{doc}\u3000",
            _wide(doc),
            f"'{doc}",
            " ".join(parted),
            "-".join(parted),
            f"\u202d{doc}\u202c",
            f"“{doc}”",
            f"身份证{doc}",
            doc.replace("X", "×"),
        )
    )


def _phone(rng: random.Random, phone: str, *, numbers: bool) -> object:
    parts = (phone[:3], phone[3:7], phone[7:])
    if numbers and rng.random() < 0.3:
        return rng.choice((int(phone), float(phone)))
    return rng.choice(
        (
            phone,
            phone,
            phone,
            f"+86{phone}",
            f"86-{phone}",
            f"(+86){phone}",
            " ".join(parts),
            "-".join(parts),
            ".".join(parts),
            _wide(phone),
            f"'{phone}",
            f"{phone}（本人）",
            f"{phone}/0518-85801234",
            f"0518-85801234 {phone}",
            f"0{phone}",
            f"手机：{phone}",
            f"{phone} 微信同号",
            f"{phone};",
        )
    )


def _when(rng: random.Random, at: datetime, *, cells: bool) -> object:
    y, m, d, clock = at.year, at.month, at.day, f"{at:%H:%M}"
    if cells and rng.random() < 0.3:
        serial = (at - datetime(1899, 12, 30)) / timedelta(days=1)
        return rng.choice((datetime(y, m, d), at, int(serial), serial, int(f"{at:%Y%m%d}")))
    of_ten = "一二三四五六七八九"[d - 21] if d > 20 else ""
    return rng.choice(
        (
            f"{y}.{m}.{d}",
            f"{m}月{d}号",
            f"{at:%Y%m%d}",
            f"{m}/{d}",
            f"{d}/{m}",
            f"{m}-{d}",
            f"{y}年{m}月{d}日",
            f"{y}-{m:02d}-{d:02d}",
            f"{y % 100}.{m}.{d}",
            _wide(f"{m}月{d}日"),
            f"{m} 月 {d} 日",
            f"{y}、{m}、{d}",
            f"{y}—{m}—{d}",
            f"八月二十{of_ten}日",
            f"{d}-{m}月 -{y % 100}",
            f"{at:%y%m%d}",
            f"{at:%Y-%m-%d} {clock}:00",
            f"{m}月{d}日{at.hour}时{at.minute}分",
            f"{at:%Y%m%d%H%M}",
            f"{m}.{d} {clock}",
            f"{at:%Y-%m-%dT%H:%M:%S}",
            f"{at:%Y%m%d} {clock}",
            f"{m}月{d}日 {clock}左右",
            f"{y}/{m}/{d} {at.hour}:{at.minute:02d}:00.0",
            str((at - datetime(1970, 1, 1, 8)) // timedelta(seconds=1)),
        )
    )


def _name(rng: random.Random, name: str) -> str:
    if "·" in name:
        return name.replace("·", rng.choice(("•", ".", "・", "．", " · ", "·")))
    if name.isascii():
        return rng.choice((name, name.title(), name.replace(" ", "  ")))
    return rng.choice((name, name, f"{name} ", f"\u3000{name}", f"{name}（学生）", f"{name[0]} {name[1]}" if len(name) == 2 else name))


def _line(rng: random.Random, city: _City, p: Stranger, source: str) -> tuple[Stranger, str | None, dict[str, object], int | None]:
    """(person, reason of refusal, cells by field, the region that the row tells)."""
    county, town, home = city.parts(p.village)
    if source == "telecom":
        stays = rng.choice((county, str(p.village // 10**6)))
        entered = rng.choice((f"{p.arrived_at:%Y%m%d%H%M}", f"{p.arrived_at:%Y-%m-%d %H:%M:%S}"))
        return p, None, {"number": p.phone, "entered": entered, "left": rng.choice(p.origins), "stays": stays}, None
    address, told = city.address(rng, p.village)
    cells: dict[str, object] = {
        "name": _name(rng, p.name),
        "doc": _document(rng, p.doc),
        "phone": _phone(rng, p.phone, numbers=False),
        "origin": rng.choice(p.origins),
        "arrived_at": _when(rng, p.arrived_at, cells=False),
        "address": address,
        "workplace": "宏达建筑有限公司",
        "remark": rng.choice(("", "=SUM(A1)", "@返乡")),
        "district": county,
        "town": town,
        "village": home,
        "door": rng.choice(("7组", "12号", "")),
    }
    if len(p.doc) == 18 and rng.random() < (0.15 if source == "community" else 0.04):
        cells["doc"] = rng.choice(("", "无", "/", "不详"))
    return p, _spoilt(rng, p, cells), cells, told if source != "data" else None


def _spoilt(rng: random.Random, p: Stranger, cells: dict[str, object]) -> str | None:
    """Spoils the document, the date or both now and then: of two reasons the one of the document is counted."""
    if rng.random() > 0.06:
        return None
    resident, doc = len(p.doc) == 18 and len(str(cells["doc"])) > 5, p.doc.ljust(18, "0")
    reason = rng.choice(("id_numeric_cell", "id_length", "id_date", "id_checksum", "date_unreadable")) if resident else "date_unreadable"
    if reason == "date_unreadable" or rng.random() < 0.3:
        cells["arrived_at"] = rng.choice(("昨天", "近期", "2022-8-32", "待定", "25号", "8月", "22/8"))
    cells["doc"] = {
        "id_numeric_cell": f"{doc[0]}.{doc[1:6]}E+17",
        "id_length": rng.choice((doc[:17], doc + "1", doc[:6] + doc[8:17])),
        "id_date": doc[:10] + "1332" + doc[14:],
        "id_checksum": doc[:17] + ("0" if doc[17] != "0" else "1"),
    }.get(reason, cells["doc"])
    return reason


# --- files ------------------------------------------------------------------------------------------------------------


def _file(rng: random.Random, city: _City, source: str, lines: list) -> tuple[str, bytes, list[dict], dict[str, str], bool]:
    """(name, bytes, places of the rows, {field: head}, whether the address stands in several columns)."""
    split = source in ("unit", "community") and rng.random() < 0.4
    fields = ["number", "entered", "left", "stays"] if source == "telecom" else ["name", "doc", "phone", "origin", "arrived_at"]
    fields += {"unit": ["workplace"], "community": ["remark"]}.get(source, [])
    fields += ["address"] if source in ("unit", "community") and not split else []
    rng.shuffle(fields)
    if split:
        at = rng.randint(0, len(fields))
        fields[at:at] = _PARTS
    heads = {field: rng.choice(_HEADS[field].split("/")).replace("{c}", SHORT[city.city // 10**8]) for field in fields}
    columns = list(heads.items())
    for beside in rng.sample(list(_BESIDE), rng.randint(0, 3)):
        columns.insert(rng.randint(0, len(columns)), ("", beside))
    if rng.random() < 0.6:
        columns.insert(0, ("ordinal", rng.choice(_HEADS["ordinal"].split("/"))))
    if source == "community" or (source == "unit" and rng.random() < 0.6):
        data, rows = _workbook(rng, city, source, lines, columns)
        return f"{source}_list.xlsx", data, rows, heads, split
    data, rows = _text(rng, lines, columns)
    return f"{source}_list{rng.choice(('.csv', '.txt'))}", data, rows, heads, split


def _cells(columns: list[tuple[str, str]], cells: dict[str, object], number: int) -> list[object]:
    return [number if field == "ordinal" else cells[field] if field else _BESIDE[head] for field, head in columns]


def _text(rng: random.Random, lines: list, columns: list[tuple[str, str]]) -> tuple[bytes, list[dict]]:
    out = io.StringIO(newline="")
    quoting, ends = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)), rng.choice(("\n", "\r\n"))
    writer = csv.writer(out, delimiter=rng.choice(",\t;|"), lineterminator=ends, quoting=quoting)
    line, rows = 0, []

    def write(cells: list) -> None:
        nonlocal line
        writer.writerow(cells)
        line += 1

    for title in rng.sample(_TITLES, rng.choice((0, 1, 2))):
        write([title])
    write([head.replace("\n", "") for _, head in columns])
    for number, (_, _, cells, _) in enumerate(lines, start=1):
        if rng.random() < 0.02:
            write([""] * len(columns))
        if "remark" in cells and rng.random() < 0.05:
            cells["remark"] = "第一行\n第二行"
        write(_cells(columns, cells, number))
        rows.append({"row": line})
    for foot in rng.sample(_FEET, rng.choice((0, 1, 2))):
        write([foot])
    return out.getvalue().encode(rng.choice(("gb18030", "utf-8", "utf-8-sig", "utf-16"))), rows


def _workbook(rng: random.Random, city: _City, source: str, lines: list, columns: list[tuple[str, str]]) -> tuple[bytes, list[dict]]:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False})
    formats = [book.add_format({"num_format": shape}) for shape in ("yyyy/m/d", "m月d日", "yyyy-mm-dd hh:mm")]
    if rng.random() < 0.5:
        page = book.add_worksheet("填写说明")
        for at, text in enumerate(("填写说明", "1、身份证号为文本格式，18位。", "2、手机号为本人实名手机。", "联系电话：0518-12345")):
            page.write_string(at, 0, text)
    by_county = source == "community"
    lines.sort(key=lambda line: city.parts(line[0].village)[0] if by_county else "")
    two_lines, titles, left, page, rows = rng.random() < 0.4, rng.sample(_TITLES, rng.choice((0, 1, 2))), rng.choice((0, 0, 1)), None, []
    at = number = 0

    def feet() -> None:
        nonlocal at
        for foot in rng.sample(_FEET, rng.choice((0, 1, 2))):
            at += rng.choice((1, 2))
            page.write_string(at - 1, left + rng.choice((0, 0, 2)), foot)

    for p, reject, cells, _ in lines:
        sheet = city.parts(p.village)[0] if by_county else "返乡人员"
        if page is None or page.name != sheet:
            if page is not None:
                feet()
            page, at, number = book.add_worksheet(sheet), 0, 0
            at = _heads(page, titles, columns, left, two_lines=two_lines)
            for i, (field, _) in enumerate(columns):
                if not field and rng.random() < 0.3:
                    page.set_column(left + i, left + i, None, None, {"hidden": True})
        at, number = at + (rng.random() < 0.02), number + 1
        if reject is None:
            cells |= {"arrived_at": _when(rng, p.arrived_at, cells=True), "phone": _phone(rng, p.phone, numbers=True)}
        elif reject == "id_numeric_cell":
            cells["doc"] = float(p.doc[:15] + "000")
        for i, cell in enumerate(_cells(columns, cells, number), start=left):
            if isinstance(cell, datetime):
                page.write_datetime(at, i, cell, rng.choice(formats[:2]) if cell.hour == cell.minute == 0 else formats[2])
            elif isinstance(cell, (int, float)):
                page.write_number(at, i, cell)
            elif cell != "":
                page.write_string(at, i, str(cell))
        if rng.random() < 0.02:
            page.set_row(at, None, None, {"hidden": True})
        rows.append({"sheet": sheet, "row": at + 1})
        at += 1
    feet()
    if rng.random() < 0.4:
        page = book.add_worksheet("汇总")
        for at, (name, total) in enumerate((("县区", "人数"), ("甲", 3), ("合计", 3))):
            page.write(at, 0, name)
            page.write(at, 1, total)
    book.close()
    return out.getvalue(), rows if len(book.worksheets()) > 1 else [{"row": row["row"]} for row in rows]


def _heads(page, titles: list[str], columns: list[tuple[str, str]], left: int, *, two_lines: bool) -> int:
    """Titles and the head; the number of lines that they take."""
    at, last = 0, left + len(columns) - 1
    for title in titles:
        page.merge_range(at, left, at, last, title)
        at += 1
    half = len(columns) // 2 if two_lines else 0
    if half:
        page.merge_range(at, left, at, left + half - 1, "人员基本情况")
    for i, (_, head) in enumerate(columns):
        if two_lines and i >= half:
            page.merge_range(at, left + i, at + 1, left + i, head)
        else:
            page.write_string(at + (1 if two_lines else 0), left + i, head)
    return at + (2 if two_lines else 1)
