"""Messages passed on in a chat (接龙): numbered lines in which each writes as he likes.

`1. 王琪芳 3组 8.26 从河南省郑州市回 G` and `4、宋志，1组，8月28号，上海市，电话13800000000` say the same things in another order. What
is surely something (a phone, an ID number, a day, a place from which) goes into its column; all else stays as a remark.
Nothing is guessed. Who gives neither phone nor document is known by the name with the village and the group (`evidence`: a
name at a door), and is a refused row with that reason where the message names no village or the line no group.
"""

from __future__ import annotations

import re

import polars as pl

from bihuan.kernel.text import halfwidth

HEADS = ("姓名", "证件号码", "手机号", "来源地", "到达时间", "现住址", "备注")

_NUMBERED = re.compile(r"^\s*(\d{1,4})\s*(?:[.、．)）:：]\s*|\s+)(?=\S)")
_NAME = re.compile(r"^[\u3400-\u9fff\U00020000-\U0003ffff]{2,4}$|^[\u3400-\u9fff]{1,10}·[\u3400-\u9fff·]{1,12}$")
_PHONE = re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?!\d)")
_DOC = re.compile(r"(?<![0-9A-Za-z])\d{17}[0-9Xx](?![0-9A-Za-z])")
_DAY = re.compile(r"^(?:\d{2,4}[-/.年])?\d{1,2}[-/.月]\d{1,2}[日号]?(?:\d{1,2}[:点时]\d{0,2}分?)?$")
_GROUP = re.compile(r"^(?:第?[0-9一二三四五六七八九十]{1,3}(?:组|队|网格|号楼|栋|单元)\S*)$")
_FROM = re.compile(r"^(?:从|由|自)(\S{2,20}?)(?:回来|返回|回家|返乡|回|返|来)?$")
_PLACE = re.compile(r"^[\u4e00-\u9fff]{2,}(?:省|市|自治区|自治州|县|区)(?:[\u4e00-\u9fff]{2,}(?:市|县|区|州))?$")
_LABEL = re.compile(r"^(?:联系)?(?:电话|手机号?|号码|身份证号?|证件号码?)[:：]?")
_SPLIT = re.compile(r"[\s，,、;；|。]+")
_VILLAGE = re.compile(r"([\u4e00-\u9fff]{2,12}?(?:村民委员会|居民委员会|社区居委会|村委会|居委会|社区|村))")
_LINES_MIN = 2


def is_relay(lines: list[str]) -> bool:
    """Whether the lines are a relay: marked as one, or numbered one after the other with a name behind the number."""
    filled = [line for line in lines if line.strip()]
    if any("\t" in line for line in filled):
        return False
    numbered = [line for line in filled if _numbered_name(line)]
    if filled and filled[0].strip().startswith("#接龙"):
        return bool(numbered)
    return len(numbered) >= _LINES_MIN and len(numbered) * 3 >= len(filled) * 2


def _numbered_name(line: str) -> bool:
    match = _NUMBERED.match(line)
    if not match:
        return False
    first = _SPLIT.split(line[match.end() :].strip(), maxsplit=1)
    return len(first) == 2 and bool(_NAME.match(first[0]))


def parse(text: str) -> pl.DataFrame:
    """`row` (line of the message, from 1) and a column `c<i>` for each of HEADS; one row for each numbered line."""
    entries: list[tuple[int, str]] = []
    title: list[str] = []
    for no, line in enumerate(text.splitlines(), start=1):
        match = _NUMBERED.match(line)
        if match:
            entries.append((no, line[match.end() :].strip()))
        elif entries and line.strip():  # somebody went on in a new line
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        elif line.strip():
            title.append(line.strip())
    found = _VILLAGE.search(re.sub(r"^#接龙|[（(].*[)）]", "", " ".join(title)))
    village = found.group(1) if found else ""
    rows = [(no, *_said(said, village)) for no, said in entries if said]
    schema = {"row": pl.UInt32, **{f"c{i}": pl.String for i in range(len(HEADS))}}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _said(text: str, village: str) -> tuple[str, ...]:
    """The cells of one line, in the order of HEADS."""
    plain = halfwidth(text)
    docs, rest = _DOC.findall(plain), _DOC.sub(" ", plain)
    phones, rest = _PHONE.findall(rest), _PHONE.sub(" ", rest)
    name = origin = day = ""
    group, remarks = "", []
    for word in filter(None, _SPLIT.split(rest)):
        coming = _FROM.match(word)
        if not name and _NAME.match(word):
            name = word
        elif not day and _DAY.match(word):
            day = word
        elif not group and _GROUP.match(word):
            group = word
        elif not origin and coming:
            origin = coming.group(1)
        elif not origin and _PLACE.match(word):
            origin = word
        elif not _LABEL.fullmatch(word):
            remarks.append(word)
    address = f"{village}{group}" if village else ""
    if group and not village:
        remarks.insert(0, group)
    return name, "、".join(docs), "、".join(phones), origin, day, address, " ".join(remarks)
