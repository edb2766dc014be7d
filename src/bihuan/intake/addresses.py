"""Places in free text: an address to the most precise known region, an origin or a district to its division.

Senders write 赣榆区金山镇河北村委会24号楼, 金山镇河北村 or 连云港赣榆金山河北村: with or without province, city and suffix.
A text is read from the left, every known name of every level may follow or be left out, and the reading that explains
most of the text wins. Where two places are equally good only what they share is believed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from bihuan.kernel.text import halfwidth

PROVINCE, CITY, COUNTY, TOWNSHIP, VILLAGE = 1, 2, 3, 4, 5

_BLANKS = re.compile(r"[\s\u00a0\u200b-\u200f\u2060\ufeff,，、.。;；:：\-—_/\\|]+")
_BRACKETS = re.compile(r"[()（）\[\]【】]")
# Where the building begins: everything behind tells a door, not a place.
_DOOR = re.compile(r"[0-9０-９]|[一二三四五六七八九十]+(?:组|号|队|栋|幢|单元)(?![镇乡村社居街委])|[A-Za-z]座")
_STREET = re.compile("[东西南北中]?(?:路|街(?!道)|巷|大道|大街|小区|花园|家园|公寓|广场|大厦|医院|中学|小学|宾馆|酒店|市场)")
_PROVINCE_ENDS = ("特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市")
_CITY_ENDS = ("市", "地区", "盟")
_NATIONS = (
    "土家族苗族|苗族侗族|布依族苗族|藏族羌族|哈尼族彝族|壮族苗族|傣族景颇族|蒙古族藏族|朝鲜族|土家族|布依族|哈萨克|柯尔克孜|"
    "蒙古族?|藏族|彝族|白族|傣族|回族|傈僳族|苗族|侗族|羌族|壮族|维吾尔|瑶族|满族|畲族|黎族"
)
_STATE = re.compile(rf"(?:{_NATIONS})*自治(?:州|县|旗)$")
_COUNTY_ENDS = ("经济技术开发区", "高新技术产业开发区", "开发区", "新区", "区", "县", "市", "旗")
_TOWNSHIP_ENDS = ("街道办事处", "街道", "经济开发区", "镇", "乡", "农场", "盐场", "林场", "茶场")
_VILLAGE_ENDS = (
    "社区居民委员会",
    "社区居委会",
    "村民委员会",
    "居民委员会",
    "虚拟社区",
    "管理区社区",
    "村委会",
    "居委会",
    "社区",
    "村",
    "管理区",
)
_COMMUNITY = ("社区", "社区居委会", "社区居民委员会", "居委会", "居民委员会", "社区村委会")
_RURAL = ("村", "村委会", "村民委员会", "村村委会")
# The one sign by which people call provinces (GB/T 2260 has the codes; the signs are those of number plates).
_SIGNS = dict(
    pair.split(":")
    for pair in [
        "京:11",
        "津:12",
        "冀:13",
        "晋:14",
        "蒙:15",
        "辽:21",
        "吉:22",
        "黑:23",
        "沪:31",
        "苏:32",
        "浙:33",
        "皖:34",
        "闽:35",
        "赣:36",
        "鲁:37",
        "豫:41",
        "鄂:42",
        "湘:43",
        "粤:44",
        "桂:45",
        "琼:46",
        "渝:50",
        "川:51",
        "蜀:51",
        "贵:52",
        "黔:52",
        "云:53",
        "滇:53",
        "藏:54",
        "陕:61",
        "秦:61",
        "甘:62",
        "陇:62",
        "青:63",
        "宁:64",
        "新:65",
    ]
)
# Rows of the division table that stand for no place of their own; those of a municipality mean the municipality.
_PLACEHOLDERS = ("市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划", "省直辖县级行政单位")


@dataclass(frozen=True)
class Place:
    """A region: own `id`, 12-digit `code` or None, `level` 1 province … 5 village, `name`, id of the `parent`."""

    id: int
    code: int | None
    level: int
    name: str
    parent: int | None


@dataclass(frozen=True)
class Found:
    """What a text tells: the region, its level, and how many signs of the text it explains. Ambiguous: parents only."""

    region: int
    level: int
    explained: int
    ambiguous: bool = False


def code12(code: int | str | None) -> int | None:
    """A division code of 2, 4, 6, 9, 12 or 15 digits as 12 digits; None when it is none."""
    if code is None:
        return None
    digits = str(code).strip()
    if not digits.isdigit() or len(digits) not in (2, 4, 6, 9, 12, 15):
        return None
    return int(digits[:12].ljust(12, "0"))


def stem(address: str) -> str:
    """The part of an address before the building, without blanks and signs: what is looked up, and looked up once."""
    plain = _BRACKETS.sub("", _BLANKS.sub("", halfwidth(address)))
    door = _DOOR.search(plain)
    return plain[: door.start()] if door and door.start() >= 2 else plain


def aliases(name: str, level: int, province: str = "") -> dict[str, int]:
    """What people write for a name, with a weight: 4 the name, 3 the same with another suffix, 2 another kind, 1 bare.

    `province`: the one that it lies in; a township that begins with its name (江苏东海经济开发区) is written without.
    """
    found: dict[str, int] = {}

    def add(text: str, weight: int) -> None:
        if len(text) >= 2:
            found[text] = max(found.get(text, 0), weight)

    name = _BRACKETS.sub("", name)
    add(name, 4)
    if level == PROVINCE:
        for end in _PROVINCE_ENDS:
            if name.endswith(end):
                add(name[: -len(end)], 3)
                break
    elif level in (CITY, COUNTY):
        bare = _STATE.sub("", name)
        if bare != name:
            add(bare, 3)
        for end in _CITY_ENDS if level == CITY else _COUNTY_ENDS:
            if name.endswith(end):
                short = name[: -len(end)]
                add(short, 3 if level == CITY else 1)
                if end in ("经济技术开发区",):
                    add(short + "开发区", 3)
                    add(short + "经济开发区", 3)
                    add(short + "经开区", 3)
                    add("经济技术开发区", 2)
                    add("经开区", 2)
                    add("开发区", 1)
                break
    elif level == TOWNSHIP:
        for end in _TOWNSHIP_ENDS:
            if name.endswith(end) and len(name) > len(end):
                short = name[: -len(end)]
                add(short, 1)
                if "街道" in end:
                    for other in ("街道办事处", "街道办", "街道", "街办"):
                        add(short + other, 3)
                    add(short + "镇", 2)
                if end in ("镇", "乡"):
                    add(short + "镇政府", 3)
                    for other in ("镇", "乡", "街道"):
                        add(short + other, 2)
                break
        for end in _PROVINCE_ENDS:
            if (bare := province.removesuffix(end)) != province:
                if name.startswith(bare):
                    add(name[len(bare) :], 3)
                break
    else:
        for end in _VILLAGE_ENDS:
            if name.endswith(end) and len(name) > len(end):
                short = name[: -len(end)]
                rural = "村" in end
                for other in _RURAL:
                    add(short + other, 3 if rural else 2)
                for other in _COMMUNITY:
                    add(short + other, 2 if rural else 3)
                if end == "管理区社区":
                    add(short + "管理区", 3)
                if end == "虚拟社区":
                    add(short, 3)
                add(short, 1)
                if rural and short.endswith("村") and len(short) > 2:
                    add(short[:-1] + "村", 3)
                break
    return found


class Resolver:
    """Looks texts up in a city's regions and in the national list.

    `regions` are (id, code, level, name, parent id); `home` is the id or the 12-digit code of the city. Addresses are
    sought below the city unless the text itself names another city or province that is known.
    """

    def __init__(self, regions: Iterable[tuple[int, int | None, int, str, int | None]], home: int | None = None) -> None:
        self._places = {r[0]: Place(r[0], code12(r[1]), r[2], r[3], r[4]) for r in regions}
        self._by_code = {p.code: p for p in self._places.values() if p.code}
        self._above: dict[int, tuple[int, ...]] = {}
        for place in self._places.values():
            chain = [place.id]
            while (parent := self._places[chain[-1]].parent) is not None and parent in self._places:
                chain.append(parent)
            self._above[place.id] = tuple(chain)
        self.home = self._home(home)
        self._local: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._wide: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place in self._places.values():
            if place.name in _PLACEHOLDERS:
                continue
            inside = self.home is not None and self.home in self._above[place.id]
            index = self._local if inside or (self.home in self._places and place.id in self._above[self.home]) else self._wide
            province = next((self._places[i].name for i in self._above[place.id] if self._places[i].level == PROVINCE), "")
            for text, weight in aliases(place.name, place.level, province).items():
                index[text].append((place.id, weight))
        self._national: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place in self._places.values():
            if place.level <= COUNTY and place.name not in _PLACEHOLDERS:
                for text, weight in aliases(place.name, place.level).items():
                    self._national[text].append((place.id, weight))
        self._longest_national = max(map(len, self._national), default=0)
        self._longest_local = max(map(len, self._local), default=0)
        self._longest_wide = max(map(len, self._wide), default=0)
        self._find = lru_cache(maxsize=200_000)(self._find_stem)

    def _home(self, home: int | None) -> int | None:
        if home is None:
            return None
        if home in self._places:
            return home
        found = self._by_code.get(code12(home) or -1)
        if found is None:
            raise ValueError(f"no such region: {home}")
        return found.id

    def place(self, region: int) -> Place:
        return self._places[region]

    # --- addresses ---

    def resolve(self, address: str | None, within: int | None = None) -> Found | None:
        """The most precise known region of one address; `within` is a region that another column names (its district).

        An address that contradicts `within` keeps its own reading: what people write is more precise than a list's head.
        """
        if not address or not address.strip():
            return None
        return self._find(stem(address), within)

    def resolve_all(self, addresses: pl.Series, within: pl.Series | None = None) -> pl.Series:
        """Region ids of a column of addresses (null: nothing known); looked up once per distinct text."""
        frame = pl.DataFrame({"a": addresses, "w": within if within is not None else pl.Series([None] * len(addresses), dtype=pl.Int64)})
        distinct = frame.unique()
        answers = [self.resolve(a, w) for a, w in distinct.iter_rows()]
        distinct = distinct.with_columns(pl.Series("region", [f.region if f else None for f in answers], dtype=pl.Int64))
        return frame.join(distinct, on=["a", "w"], how="left", maintain_order="left", nulls_equal=True).get_column("region")

    def _find_stem(self, text: str, within: int | None) -> Found | None:
        if within is not None and (within not in self._places or self._places[within].level < COUNTY):
            within = None
        best = self._read(text, self._local, self._longest_local, within if within is not None else None)
        wide = self._read(text, self._wide, self._longest_wide, None)
        if wide and self._places[wide[0][1][-1]].level < COUNTY and best and wide[0][0][0] <= best[0][0][0]:
            wide = None
        elsewhere = wide and (not best or wide[0][0][0] > best[0][0][0] + 1) and self._names_a_city(wide[0][1])
        if elsewhere:
            best = wide
        if not best:
            return Found(within, self._places[within].level, 0) if within is not None else None
        return self._common(best, within)

    def _names_a_city(self, chain: tuple[int, ...]) -> bool:
        """A place elsewhere is believed when the text names its province or city, not only a village like one of ours."""
        return any(self._places[i].level <= COUNTY for i in chain)

    def _read(
        self, text: str, index: dict[str, list[tuple[int, int]]], longest: int, within: int | None
    ) -> list[tuple[tuple[int, int, int], tuple[int, ...]]]:
        """All best readings: ((signs explained, weight, level), chain of regions named)."""
        best: list[tuple[tuple[int, int, int], tuple[int, ...]]] = []

        def keep(score: tuple[int, int, int], chain: tuple[int, ...]) -> None:
            if not chain:
                return
            if best and score < best[0][0]:
                return
            if best and score > best[0][0]:
                best.clear()
            best.append((score, chain))

        def walk(at: int, chain: tuple[int, ...], explained: int, weight: int) -> None:
            keep((explained, weight, -len(chain)), chain)
            if at >= len(text) or len(chain) >= 5:
                return
            skipped = False
            for start in range(at, len(text) - 1):
                hits = self._hits(text, start, index, longest, chain, skipped)
                for region, size, strength in hits:
                    inside = 1 if within is None or within in self._above[region] or region in self._above[within] else 0
                    walk(start + size, (*chain, region), explained + size, weight + strength + inside)
                if hits and not skipped:
                    return
                skipped = True
                if start - at > 12:
                    return

        walk(0, (), 0, 0)
        return best

    def _hits(
        self, text: str, start: int, index: dict[str, list[tuple[int, int]]], longest: int, chain: tuple[int, ...], skipped: bool
    ) -> list[tuple[int, int, int]]:
        """(region, signs, weight) of the names that begin here and lie below the last named region.

        A bare name is none when a street follows (苍梧路 is not the community 苍梧), and a bare village name needs its
        township before it or nothing behind it. After a gap (a road, a housing estate) only names with suffix count.
        """
        found = []
        anchor = chain[-1] if chain else None
        if anchor is not None and self._places[anchor].code is None and self._places[anchor].parent in self._places:
            anchor = self._places[anchor].parent  # a zone commands villages that the national division keeps elsewhere
        for size in range(min(longest, len(text) - start), 1, -1):
            entries = index.get(text[start : start + size])
            if not entries:
                continue
            for region, weight in entries:
                place = self._places[region]
                after = text[start + size :]
                if weight == 1 and (_STREET.match(after) or (place.level == VILLAGE and after and not self._in_township(chain))):
                    continue
                if skipped and (weight < 2 or size < 3 or place.level < COUNTY):
                    continue
                if anchor is not None and (anchor not in self._above[region] or region in (anchor, *chain)):
                    continue
                found.append((region, size, weight))
        return found

    def _in_township(self, chain: tuple[int, ...]) -> bool:
        return bool(chain) and self._places[chain[-1]].level == TOWNSHIP

    def _common(self, best: list[tuple[tuple[int, int, int], tuple[int, ...]]], within: int | None) -> Found:
        """One region of equally good readings: the deepest that all share."""
        ends = list(dict.fromkeys(chain[-1] for _, chain in best))
        explained = best[0][0][0]
        if within is not None:
            inside = [e for e in ends if within in self._above[e]]
            ends = inside or ends
        if len(ends) == 1:
            end = ends[0]
            if within is not None and end in self._above[within]:
                end = within  # the text says less than the list's own district
            return Found(end, self._places[end].level, explained)
        shared = [r for r in self._above[ends[0]] if all(r in self._above[e] for e in ends[1:])]
        if not shared:
            return Found(self.home or ends[0], self._places[self.home or ends[0]].level, explained, True)
        return Found(shared[0], self._places[shared[0]].level, explained, shared[0] not in ends)

    # --- origins and districts ---

    def origin(self, text: str | None) -> int | None:
        """The 12-digit code of an origin written as text or code: 上海, 河北石家庄, 130100. As precise as a county."""
        if not text or not text.strip():
            return None
        plain = _BLANKS.sub("", halfwidth(text))
        if plain in _SIGNS:
            return self._known_code(f"{_SIGNS[plain]}0000", COUNTY)
        if plain.isdigit():
            return self._known_code(plain, COUNTY)
        return self._origin(stem(plain) or plain)

    @lru_cache(maxsize=50_000)  # noqa: B019 - a resolver lives as long as its regions
    def _origin(self, text: str) -> int | None:
        readings = self._read(text, self._national, self._longest_national, None)
        ends = list(dict.fromkeys(chain[-1] for _, chain in readings))
        if not ends:
            return None
        if len(ends) > 1:
            shared = [r for r in self._above[ends[0]] if all(r in self._above[e] for e in ends[1:])]
            if not shared:
                return None
            ends = shared[:1]
        return self._places[ends[0]].code

    def _upto(self, region: int, level: int) -> int:
        return next(r for r in self._above[region] if self._places[r].level <= level)

    def _known_code(self, digits: str, deepest: int) -> int | None:
        """A division code as 12 digits, or its county, city or province where the list does not have it."""
        code = code12(digits)
        if code is None:
            return None
        for unit in (1, 10**3, 10**6, 10**8, 10**10):
            cut = code // unit * unit
            place = self._by_code.get(cut)
            if place and place.level <= deepest:
                if place.name in _PLACEHOLDERS and place.parent in self._places:
                    return self._places[place.parent].code  # 310100 is 上海市 as much as 310000
                return cut
        return None

    def district(self, text: str | None) -> int | None:
        """The region id of a district of the home city by code or name; None when it is none of its counties or zones."""
        if not text or not text.strip():
            return None
        plain = _BLANKS.sub("", halfwidth(text))
        if plain.isdigit():
            code = self._known_code(plain, VILLAGE)
            place = self._by_code.get(code) if code else None
            if place is None or self.home not in self._above[place.id]:
                return None
            return self._upto(place.id, COUNTY) if place.level >= COUNTY else None
        readings = [c for _, c in self._read(plain, self._local, self._longest_local, None)]
        counties = {self._upto(c[-1], COUNTY) for c in readings if self._places[c[-1]].level >= COUNTY}
        return counties.pop() if len(counties) == 1 else None

    def district_code(self, text: str | None) -> int | None:
        """The 12-digit code of a district of the home city."""
        found = self.district(text)
        return self._places[found].code if found is not None else None
