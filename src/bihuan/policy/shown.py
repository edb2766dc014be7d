"""A pack as a page shows it: every row in words, how strongly it binds, since when, from where. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from bihuan.policy.leaves import Leaf, leaves
from bihuan.policy.pack import Pack
from bihuan.policy.rows import RuleRow

# Sections of the page in the order in which a desk asks: what is asked of people, what must be done by when, the rest.
SECTIONS: tuple[tuple[str, str, str], ...] = (
    ("origin_classes", "对来人的要求", "What is asked of arrivals"),
    ("persons", "对其他人员的要求", "What is asked of other persons"),
    ("lead", "名单怎么办", "How a list is worked"),
    ("clocks", "报告和处置时限", "Clocks of reports and handling"),
    ("areas", "区域", "Areas"),
    ("rounds", "检测、调查轮次", "Rounds of testing and survey"),
    ("groups", "重点人群检测频次", "Groups and how often they are tested"),
    ("thresholds", "聚集阈值", "Thresholds of clusters"),
    ("bands", "密度分级", "Bands of density"),
    ("named", "名单和名称", "Named lists"),
    ("general", "通用", "General"),
)
GRADES = {
    "A": ("正式文件或主流媒体", "official"),
    "B": ("转载文本", "reprint"),
    "C": ("来源较弱", "weak source"),
    "GKU": ("未核实", "unverified"),
    "composed": ("本系统自定", "our own choice"),
}
_GRADE_TONE = {"A": "green", "B": "", "C": "amber", "GKU": "amber", "composed": ""}


@dataclass(frozen=True, slots=True)
class Shown:
    """One row: `name`, what it says, `force` ("" where it binds nobody by itself), and where it comes from."""

    path: str
    name: str
    value: str
    details: tuple[tuple[str, str], ...]
    force: str
    since: date | None
    sources: tuple[tuple[str, str], ...]
    grade: str
    grade_words: str
    grade_tone: str
    note: str
    document: str


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    rows: tuple[Shown, ...]


def sections(pack: Pack, language: str = "zh", since: Mapping[str, date] | None = None) -> list[Section]:
    """The page's sections that have rows. `since`: id of a file -> the day from which it counts here."""
    english = language.startswith("en")
    found: dict[str, list[Shown]] = {}
    parts: dict[str, list[Leaf]] = {}
    for leaf in leaves(pack.document):
        if leaf.within:
            parts.setdefault(leaf.within, []).append(leaf)
    for leaf in leaves(pack.document):
        if not leaf.within:
            head = leaf.path.split(".")[0]
            key = head if any(head == known for known, *_ in SECTIONS) else "general"
            found.setdefault(key, []).append(_shown(pack, leaf, parts.get(leaf.path, []), english, since or {}))
    return [Section(key, en if english else zh, tuple(found[key])) for key, zh, en in SECTIONS if key in found]


def _shown(pack: Pack, leaf: Leaf, parts: list[Leaf], english: bool, since: Mapping[str, date]) -> Shown:
    row, file = leaf.row, pack.given_by(leaf.path)
    listed = pack.document.sources
    value = leaf.shown_en if english else leaf.shown_zh
    if isinstance(row, RuleRow):  # the force has a mark of its own
        value = value.partition(", " if english else "，")[2]
    words = GRADES[row.grade]
    return Shown(
        path=leaf.path,
        name=leaf.mark.en if english else leaf.mark.zh,
        value=value,
        details=tuple(_details(row, parts, english)),
        force=getattr(row, "force", ""),
        since=since.get(file.id),
        sources=tuple((listed[name].title, listed[name].address) for name in row.source),
        grade=row.grade,
        grade_words=words[1] if english else words[0],
        grade_tone=_GRADE_TONE[row.grade],
        note=row.note,
        document=file.title_en if english else file.title_zh,
    )


def _details(row: object, parts: list[Leaf], english: bool) -> Iterator[tuple[str, str]]:
    """What a rule on persons or an area says besides its head line."""
    if isinstance(row, RuleRow):
        if row.n_tests:
            tests = next(part for part in parts if part.path.endswith(".tests"))
            yield ("Tests", tests.shown_en) if english else ("检测", tests.shown_zh)
        if row.look_back_days is not None:
            yield ("Look-back", f"{row.look_back_days} d") if english else ("追溯", f"{row.look_back_days} 天")
        asks, release = (row.asks_en, row.release_en) if english else (row.asks_zh, row.release_zh)
        if asks:
            yield ("Asked", asks) if english else ("要求", asks)
        if release:
            yield ("Release", release) if english else ("解除", release)
    drawn = getattr(row, "drawn_as", "")
    if drawn:
        yield ("Drawn as", getattr(row, "drawn_as_en", "") or drawn) if english else ("划定", drawn)
    days = getattr(row, "lift_days", None)
    if days:
        yield ("Steps down after", f"{days} d without new infections") if english else ("降级", f"连续 {days} 天无新增")
    trigger = getattr(row, "trigger_en" if english else "trigger_zh", "")
    if trigger:
        yield ("When", trigger) if english else ("什么时候", trigger)
