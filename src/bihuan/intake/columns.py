"""Which column of a sender's list is which field: recognised by the name of the column and by what stands in it.

No two senders use the same head. A name decides first; what stands in the column decides where the name is unknown,
or says something else than the cells do (a column `号码` full of ID numbers). An officer's own choice overrides both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from bihuan.intake import manifest, together
from bihuan.kernel.refused import Refused
from bihuan.kernel.text import halfwidth

if TYPE_CHECKING:
    from bihuan.intake.read import Table

FIELDS = ("name", "doc", "phone", "origin", "arrived_at", "address", "workplace", "district", "remark", "batch", "ordinal")
# A list of persons needs a column by which somebody can be identified.
NEEDED = ("doc", "phone")
LABELS = {
    "name": ("姓名", "name"),
    "doc": ("证件号码", "ID number"),
    "phone": ("手机号", "phone"),
    "origin": ("来源地", "origin"),
    "arrived_at": ("到达时间", "time of arrival"),
    "address": ("现住址", "address"),
    "workplace": ("工作单位", "workplace"),
    "district": ("驻留区县", "district"),
    "remark": ("备注", "remark"),
    "batch": ("批次", "batch"),
    "ordinal": ("序号", "number"),
}

# Columns about somebody else than the person of the row, and columns that say nothing we keep.
_OTHER_PERSON = re.compile(
    "紧急|户主|监护|家长|填报|填表|审核|包保|网格员|责任人|负责人|村干部|经办|代办|同住|同行人|密接|单位(联系)?电话|单位地址|联系人|走访人|采样人|(?<!被)核查人"
)
_NOT_KEPT = re.compile(
    "性别|年龄|民族|出生|生日|证件类[型别]|证件种类|国籍|交通|车次|航班|车牌|座位|是否|组别|体温|健康码|行程码|核酸|疫苗|接种|邮箱|关系|"
    "职业|岗位|学历|政治面貌|采样|检测|推送时间|推送日期|下发时间|下发日期|登记时间|登记日期|填报时间|离开|离[开连]?.*时间|出发时间|出发日期|"
    "运营商|基站|微信|门牌|状态|结果|风险等级|风险级别|身份$|接收|反馈|dateofbirth|^dob$|birth|^gender$|^sex$|seat|e-?mail|nationality|"
    "emergency|flight|departure|postal|退回原因|^原行号$|^whyrefused$"
)
# 手机号码2, 备用电话: the second of two columns for one thing gives way to the first.
_SECOND = re.compile("[2-9二三]$|备用|其他|其它|第二|另一")


# What a list is called, not one of its columns.
_TITLE = re.compile("(?:函|名单|台账|通知|报告|一览|花名册|名册|(?:登记|统计|汇总|情况|排查|摸排|信息)表)$")


@dataclass(frozen=True)
class _Rule:
    """Exact names in order of preference, then a pattern for names that contain them."""

    field: str
    exact: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(field: str, exact: str, pattern: str) -> _Rule:
    return _Rule(field, tuple(exact.split()), re.compile(pattern))


_RULES = (
    _rule(
        "ordinal",
        "序号 编号 序 no no. # 行号 顺序号 xh bh",
        "^序号|^no\\.?$",
    ),
    _rule(
        "batch",
        "推送批次 批次 批次号 数据批次",
        "批次",
    ),
    _rule(
        "origin",
        "来源地 从何地来 来自 出发地 漫出地编码 漫出地 从哪来 从哪里来 何地返连 何地返回 来源地区 来源城市 "
        "返回前所在地 旅居地 始发地 出发城市 来源 origin 从何处来 从何地返回 从哪回 "
        "portofembarkation embarkation countryofdeparture departurecity lyd cfd lzd",
        "^(?!.*(?:时间|日期|原因|方式|天数|何时|几时|几号))(?:.*(?:来源[地城省市区县]|何[地处]|哪[里儿]?[来返回]|来自|出发|始发|漫出|旅居|途[经径]|返.{0,2}前|"
        "上一|前一|外出|疫区|涉疫|疫情(?:发生|所在)?地|风险[地区所]|停留地))",
    ),
    _rule(
        "arrived_at",
        "到达时间 抵连日期 到家时间 进入时间 返回日期 到连时间 抵达时间 抵连时间 返连时间 返连日期 到达日期 返乡时间 "
        "返乡日期 来连时间 入连时间 返回时间 抵达日期 到连日期 到家日期 进入日期 驻留时间 arrived_at "
        "arrival datearrival arrivaldate dateofarrival arrivaltime arrival_date arrived date_of_arrival ddsj ddrq fhsj fhrq rysj drsj "
        "首次出现时间",
        "(到|抵|返|进|入|回|来|驻|落).{0,4}(时间|日期|时刻|时点|日)$|(到|抵|返|进|入|回|来|驻|落).{0,4}(时间|日期|时刻)|几号(到|回)|何时(到|回|返|抵|来|入)",
    ),
    _rule(
        "doc",
        "证件号码 身份证号 公民身份号码 身份证号码 身份证 证件号 身份号码 居民身份证号 身份证件号码 证号 id "
        "id_number 护照号 护照号码 有效证件号 护照 passport passportno passport_no passportnumber passport_number idno idnumber "
        "documentno documentnumber document_number traveldocument traveldocumentno id号 id号码 "
        "sfz sfzh sfzhm zjhm zjh gmsfhm gmsfzh sfzjhm sfzjh",
        "身份证|证件号|证件编号|身份号|护照|通行证|公民身份|身份信息",
    ),
    _rule(
        "phone",
        "手机号 手机号码 手机 本人电话 联系手机 联系电话 电话号码 电话 联系方式 联系号码 号码 移动电话 msisdn "
        "phone mobile 用户号码 本人手机 telephone tel cell cellphone mobileno mobilenumber phoneno phonenumber contactno contactnumber "
        "phone_number sjh sjhm lxdh dh dhhm lxfs yddh lxsj brdh",
        "手机|电话|联系方式|联系号码|移动号码|用户号码|主叫|被叫|终端号|服务号码|本机号",
    ),
    _rule(
        "name",
        "姓名 员工姓名 人员姓名 名字 人名 返连人员 返乡人员 本人姓名 name 学生姓名 人员 "
        "fullname full_name passenger passengername nameofpassenger xm",
        "姓名|名字|^(?!.*类)(返|来|到|抵|流入|外来|当事|核查|被核查).{0,5}(人员|人)$",
    ),
    _rule(
        "district",
        "驻留区县 区县 县区 县(区) 区(县) 所属区县 所在区县 所属县区 所在县区 驻留地编码 驻留地 到达区县 现住区县 "
        "辖区 属地 漫入地编码 漫入地 district 所属区 所在区 居住区县 县(市、区) 县(市区) 区(县、市) 区(市、县) 县市区 区市县 qx xq xzqh",
        "^(?!户籍).*(?:区县|县区|县市|市县|驻留地|漫入地|[地在属发入留达住]县$)",
    ),
    _rule(
        "workplace",
        "工作单位 单位 就业单位 所在单位 单位名称 公司 工作单位/学校 学校 就读学校 所在公司 工作单位或学校 workplace gzdw",
        "(工作|就业|所在|用人|所属|务工|就读)单位|单位名称|公司|学校",
    ),
    _rule(
        "address",
        "现住址 现居住地址 现居住地 现居地址 居住地址 户籍/现居地址 家庭住址 住址 家庭地址 详细地址 现住地址 居住地 "
        "抵连后住址 抵连住址 在连住址 返连后住址 落脚点 目的地址 目的地 地址 居家地址 详细住址 所在村居 户籍地址 "
        "户籍地 address locate_address addressinchina localaddress xzz xjd dz jzdz jtzz jtdz xxdz xjzdz xjdz",
        "住址|地址|现居|居住|落脚|目的地|住地|住处|住宿|住所|暂住|^现住",
    ),
    _rule(
        "remark",
        "备注 说明 其他 特殊情况 情况说明 备注说明 remark bz",
        "备注|情况说明|(其[他它]|补充)(情况|说明)",
    ),
)

PHONE = re.compile(r"^(?:\+?0{0,2}86)?1[3-9]\d{9}$")
DOC = re.compile(r"^\d{15,17}[\dXx]?$|^\d\.\d+[eE]\+1\d$")
_DATE = re.compile(
    r"^(?:(?:20)?\d\d[-/.、年])?\d{1,2}[-/.、月]\d{1,2}[日号]?(?:[ T(,]?\D{0,8}\d{1,2}[:时点].*|\D{0,6})?$"
    r"|^20\d{6}(?:T?\d{1,2}:\d\d.*|\d{4}|\d{6})?$|^4\d{4}(?:\.\d+)?$"
)
_NAME = re.compile(
    r"^(?!.*(?:[镇乡村市县区省组路]|街道|居委会|村委会)$)[\u3400-\u9fff\U00020000-\U0003ffff]{2,4}$|^[\u3400-\u9fff]{1,10}·[\u3400-\u9fff·]{1,10}$"
)
_ADDRESS = re.compile(r"[省市县区].*(?:[镇乡村路号]|街道|社区|居委|村委|小区)")
_PLACE = re.compile(r"^[\u4e00-\u9fff]{2,10}(?:省|市|自治区|自治州)$|^[1-6]\d{5}$|^[1-6]\d{11}$")
_SAMPLE_ROWS = 400  # enough to judge what stands in a column
_BLANKS = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[*※★\"'“”‘’:,。、;!?]|^\d+[.、]")
_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]|【[^】]*】|〔[^〕]*〕|<[^>]*>")


@dataclass(frozen=True)
class Column:
    """A column of a sheet: `index` from 0 in the sheet, `header` as the sender wrote it, `address` of its head cell."""

    index: int
    header: str
    address: str


@dataclass
class Mapping:
    """field -> column index. `how` says by what: name, content or forced. Unknown columns are a notice, never an error."""

    fields: dict[str, int]
    how: dict[str, str] = field(default_factory=dict)
    ignored: list[Column] = field(default_factory=list)
    unknown: list[Column] = field(default_factory=list)

    def as_json(self, table: Table) -> dict[str, object]:
        """What the mapping page shows: the head of each column beside its field."""
        heads = {c.index: c for c in table.columns}
        return {
            "fields": {f: {"column": heads[i].address, "header": heads[i].header, "by": self.how.get(f)} for f, i in self.fields.items()},
            "ignored": [{"column": c.address, "header": c.header} for c in self.ignored],
            "unknown": [{"column": c.address, "header": c.header} for c in self.unknown],
        }


@dataclass(frozen=True)
class Choice:
    """What an officer said of a head: {field: column index}; all other columns are not used. `how`: forced or remembered."""

    fields: dict[str, int]
    how: str


def head_of(table: Table) -> str:
    """The fingerprint of the names of the columns in their order: the same for the same form, whatever stands in it."""
    return hashlib.sha256("\x1f".join(header_key(c.header) for c in table.columns).encode()).hexdigest()[:32]


def chosen(table: Table, choice: Choice) -> Mapping:
    """The mapping that an officer said. Refuses `columns_unknown` where it names a column that is not there or identifies nobody."""
    columns = {c.index: c for c in table.columns}
    fields = {name: index for name, index in choice.fields.items() if name in FIELDS and index in columns}
    if len(fields) < len(choice.fields) or not any(name in fields for name in NEEDED):
        raise unknown_columns(table.sheet, [c.header for c in table.columns if c.header.strip()], table.header_row)
    others = [c for c in table.columns if c.index not in fields.values() and c.header.strip()]
    return Mapping(fields, dict.fromkeys(fields, choice.how), ignored=others)


def letters(index: int) -> str:
    """Spreadsheet letters of a column: 0 -> A, 26 -> AA."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(65 + rest) + text
    return text


def header_key(text: str) -> str:
    """A head as it is compared: half-width, no blanks or line breaks, no stars, no remarks in brackets, small letters."""
    plain = _BLANKS.sub("", halfwidth(text)).lower()
    bare = _BRACKETS.sub("", plain)
    return _NOT_WORD.sub("", bare or plain).strip(".- ")


def by_name(text: str) -> tuple[str, float] | None:
    """(field, strength) of a head, `("ignored", 0)` for one that is known and not kept, None for an unknown one.

    Strength is above 2 for exact names (higher for the more telling), 1 for names that contain a known word.
    """
    key = header_key(text)
    if not key:
        return None
    bracketed = _BLANKS.sub("", halfwidth(text)).lower()
    for rule in _RULES:
        for candidate in (key, bracketed):
            if candidate in rule.exact:
                return rule.field, 3 - rule.exact.index(candidate) / 100
    if _TITLE.search(key):
        return None
    if len(key) > 16 or _OTHER_PERSON.search(key) or _NOT_KEPT.search(key):
        return ("ignored", 0.0) if len(key) <= 24 and (_OTHER_PERSON.search(key) or _NOT_KEPT.search(key)) else None
    for rule in _RULES:
        if rule.pattern.search(key):
            return rule.field, 0.5 if _SECOND.search(key) else 1.0
    return None


def by_names(table: Table) -> dict[int, str]:
    """{column index: field} of the heads that alone claim a field: what is sure of a table that is refused as a whole."""
    claims = {c.index: found[0] for c in table.columns if (found := by_name(c.header)) and found[0] != "ignored"}
    return {i: name for i, name in claims.items() if list(claims.values()).count(name) == 1}


def looks_like_data(text: str) -> bool:
    """Whether a cell is surely not a head: a phone, an ID number, a date, a bare number."""
    plain = _BLANKS.sub("", halfwidth(text)).replace("-", "")
    return bool(plain) and (
        plain.isdigit() or bool(PHONE.match(plain) or DOC.match(plain) or _DATE.match(_BLANKS.sub("", halfwidth(text))))
    )


def content_shares(values: list[str]) -> dict[str, float]:
    """Share of the filled cells of a column that look like each field that can be told by its content."""
    plain = [_BLANKS.sub("", halfwidth(v)) for v in values if v and v.strip()]
    plain = [v for v in plain if v not in ("-", "/", "无", "—")]
    if not plain:
        return {}
    bare = [v.replace("-", "") for v in plain]
    n = len(plain)

    def share(test: re.Pattern[str], of: list[str]) -> float:
        return sum(bool(test.search(v)) for v in of) / n

    return {
        "phone": share(PHONE, bare),
        "doc": share(DOC, plain),
        "arrived_at": share(_DATE, plain),
        "address": share(_ADDRESS, plain),
        "origin": share(_PLACE, plain),
        "name": share(_NAME, plain) if len(set(plain)) > n / 3 else 0.0,
    }


def _sample(table: Table, index: int) -> list[str]:
    values = table.frame.get_column(f"c{index}").head(_SAMPLE_ROWS * 4).drop_nulls()
    return values.head(_SAMPLE_ROWS).to_list()


def map_columns(table: Table) -> Mapping:
    """Find the fields of a list of persons in a table.

    Refuses `columns_unknown` when nothing identifies a person, `column_unclear` when two columns claim a field with equal right.
    """
    columns = {c.index: c for c in table.columns}
    fields: dict[str, int] = {}
    how: dict[str, str] = {}
    shares = {i: content_shares(_sample(table, i)) for i in columns}
    claims: dict[str, list[tuple[float, float, int]]] = {}
    ignored: list[Column] = []
    nameless: list[int] = []
    for i, column in columns.items():
        found = by_name(column.header)
        if found is None:
            nameless.append(i)
        elif found[0] == "ignored":
            ignored.append(column)
        else:
            name, strength = _corrected(found, shares[i])
            claims.setdefault(name, []).append((strength, shares[i].get(name, 0.0), i))
    for name, claimants in claims.items():
        claimants.sort(key=lambda c: (-(c[0] + c[1]), c[2]))
        if name not in fields:
            best = claimants[0]
            rival = claimants[1] if len(claimants) > 1 else None
            if rival and name in ("name", "doc", "phone") and rival[0] == best[0] and abs(rival[1] - best[1]) < 0.2 and rival[1] > 0:
                raise _unclear(table, name, columns[best[2]], columns[rival[2]])
            fields[name], how[name] = best[2], "name"
        ignored += [columns[c[2]] for c in claimants if fields[name] != c[2]]
    for name in ("doc", "phone", "arrived_at", "name", "address", "origin"):
        if name in fields:
            continue
        likely = sorted(((shares[i].get(name, 0.0), -i) for i in nameless), reverse=True)
        if likely and likely[0][0] >= 0.6:
            index = -likely[0][1]
            fields[name], how[name] = index, "content"
            nameless.remove(index)
    unknown = [columns[i] for i in nameless if columns[i].header.strip() or shares[i]]
    if not any(name in fields for name in NEEDED):
        raise unknown_columns(table.sheet, [c.header for c in table.columns if c.header.strip()], table.header_row)
    return Mapping(fields, how, sorted(ignored, key=lambda c: c.index), unknown)


def map_tables(tables: Sequence[Table], choices: dict[str, Choice] | None = None) -> list[tuple[Table, Mapping]]:
    """The tables that list persons, each with its mapping; `choices` are what officers said, by the fingerprint of the head.

    A sheet beside them that identifies nobody and holds nothing that looks like a document or a phone (totals by district,
    a list of goods) is left out with a note. One that does hold such cells refuses the file: nobody is lost without a word.
    """
    found: list[tuple[Table, Mapping]] = []
    left_out: list[str] = []
    first: Refused | None = None
    for raw in tables:
        apart = manifest.joined(raw)
        table = together.joined(apart)
        choice = (choices or {}).get(head_of(raw))
        if choice is not None and not {*choice.fields.values()} <= {c.index for c in table.columns}:
            table = apart  # somebody said that one of the parts is the whole
        try:
            if choice is not None:
                found.append((table, chosen(table, choice)))
            elif table.recognised:
                found.append((table, map_columns(table)))
            else:
                raise unknown_columns(table.sheet, [c.header for c in table.columns if c.header.strip()], table.header_row)
        except Refused as refused:
            if refused.code != "columns_unknown" or (table.recognised and _names_persons(table)):
                raise
            first = first or refused
            left_out.append(f"sheet_left_out:{table.sheet}")
    if not found:
        raise first or unknown_columns("", [])
    if left_out:
        table, mapping = found[0]
        found[0] = (replace(table, notes=(*table.notes, *left_out)), mapping)
    return found


def _names_persons(table: Table) -> bool:
    shares = (content_shares(_sample(table, c.index)) for c in table.columns)
    return any(share.get(name, 0.0) > 0 for share in shares for name in NEEDED)


def _corrected(found: tuple[str, float], shares: dict[str, float]) -> tuple[str, float]:
    """A name gives way when the cells plainly say otherwise: a column `号码` of ID numbers, a column `证件` of phones."""
    name, strength = found
    for mine, other in (("phone", "doc"), ("doc", "phone")):
        if name == mine and shares.get(other, 0.0) >= 0.6 and shares.get(mine, 0.0) < 0.1:
            return other, 1.0
    return name, strength


def _unclear(table: Table, name: str, one: Column, other: Column) -> Refused:
    zh, en = LABELS[name]
    return Refused(
        "column_unclear",
        f"{one.address}“{one.header.strip()}”与{other.address}“{other.header.strip()}”都像“{zh}”，请指定用哪一列",
        f"{one.address} “{one.header.strip()}” and {other.address} “{other.header.strip()}” both look like “{en}”; say which one to use",
        where=one.address,
    )


def unknown_columns(sheet: str, found: list[str], row: int | None = None) -> Refused:
    """The refusal of a sheet in which no person can be identified; says what was found and what is needed."""
    seen = "、".join(h.strip() for h in found[:20]) or "没有任何列名"
    seen_en = ", ".join(h.strip() for h in found[:20]) or "no names at all"
    where = f"{sheet}!A{row}" if sheet and row else (f"A{row}" if row else sheet or None)
    if "风险区" in seen and len(found) <= 2:
        return Refused(
            "columns_unknown",
            f"这像是风险区公告（{seen}），不是人员名单，没有读入，原件已保存；名单至少要有“证件号码”或“手机号”一列",
            f"This looks like a notice of risk areas ({seen_en}), not a list of people; nothing was taken from it and the file is kept. "
            "A list needs at least an ID number or a phone column",
            where=where,
        )
    return Refused(
        "columns_unknown",
        f"认不出列：找到的是 {seen}；至少要有“证件号码”或“手机号”一列",
        f"The columns are not recognised: found {seen_en}; at least an ID number or a phone column is needed",
        where=where,
    )


def head_score(cells: list[str]) -> int:
    """How many known heads (of kept or of ignored columns) stand in a line; a title that is merged over all columns counts once."""
    return len({key for c in cells if c and c.strip() and (key := header_key(c)) and (by_name(c) is not None or together.is_part(key))})


def frame_column(table: Table, index: int) -> pl.Series:
    """The text of a column."""
    return table.frame.get_column(f"c{index}")
