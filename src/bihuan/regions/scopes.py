"""Scope codes as numbers, and short names; pure.

A scope code has 15 digits: the 12 of a division code (2 province, 2 city, 2 county, 3 township, 3 village) and 3 for
grids. A region's jurisdiction is the half-open range of codes that begin with its digits.
"""

from __future__ import annotations

import re

# Level -> how many codes lie in a region of that level. The structure of GB/T 2260 and GB/T 10114, times 1000 grids.
_SPANS = {1: 10**13, 2: 10**11, 3: 10**9, 4: 10**6, 5: 10**3}

_GRIDS = 10**3

# Peoples as they stand in names of autonomous areas.
_PEOPLES = (
    "蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|高山|拉祜|水|东乡|纳西|景颇|柯尔克孜|土|"
    "达斡尔|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|阿昌|普米|塔吉克|怒|乌孜别克|俄罗斯|鄂温克|德昂|保安|裕固|京|塔塔尔|独龙|鄂伦春|赫哲|门巴|珞巴|基诺|各"
)
# Some areas leave out 族: 察布查尔锡伯自治县.
_WITHOUT_ZU = "维吾尔|蒙古|哈萨克|柯尔克孜|锡伯|塔吉克"
_AUTONOMOUS = re.compile(rf"(?:(?:{_PEOPLES})族|{_WITHOUT_ZU})*自治[区州县旗]$")
_ENDINGS = {
    1: re.compile(r"[省市]$"),
    2: re.compile(r"(?:市|地区|盟)$"),
    3: re.compile(r"(?:特区|林区|市|区|县|旗)$"),
    4: re.compile(r"(?:街道办事处|街道|路办|办事处|办|镇|乡)$"),
    5: re.compile(r"(?:社区居民委员会|社区居委会|社区居委员|居民委员会|居委会|村民委员会|村委会|社区)$"),
}
_DEVELOPMENT_ZONE = re.compile(r"经济(?:技术)?开发区$")
_BRACKETS = re.compile(r"[（(].*$")


def level_span(level: int) -> int:
    """How many scope codes a region of this level (1 province … 5 village) covers. KeyError for another level."""
    return _SPANS[level]


def as_scope(code: int | str) -> int:
    """A scope code from a 15-digit scope, a 12-digit division code, or its leading digits (`3207`).

    ValueError when it cannot be one.
    """
    text = str(code)
    if not text.isascii() or not text.isdigit() or not 2 <= len(text) <= 15 or text[0] == "0":
        raise ValueError(f"not a scope or division code: {code!r}")
    return int(text.ljust(15, "0"))


def is_grid(scope: int) -> bool:
    """Whether the code names a grid inside a village."""
    return scope % _GRIDS != 0


def enclosing(scope: int, level: int) -> int:
    """The scope code of the region of `level` in whose range the code lies."""
    return scope - scope % _SPANS[level]


def span_of(scope: int, level: int) -> tuple[int, int]:
    """The half-open range (lo, hi) of the region of `level` around a scope code."""
    lo = enclosing(scope, level)
    return lo, lo + _SPANS[level]


def short_name(name: str, level: int) -> str:
    """What people write in an address: 连云区 -> 连云, 恩施土家族苗族自治州 -> 恩施, 太宁村委会 -> 太宁, 吴村村委会 -> 吴村.

    Never shorter than two characters unless the name is; a county's development zone is 开发区.
    """
    core = _BRACKETS.sub("", name).strip() or name
    if level == 3 and _DEVELOPMENT_ZONE.search(core):
        return "开发区"
    autonomous = _AUTONOMOUS.sub("", core)
    if len(autonomous) < 2:  # 内蒙古, 鄂伦春, 东乡: the people's name is the place's
        autonomous = re.sub(r"族?自治[区州县旗]$", "", core)
    shorter = autonomous if autonomous != core else _ENDINGS[level].sub("", core)
    if level == 5 and len(shorter) > 2 and shorter.endswith("村"):
        shorter = shorter[:-1]
    return shorter if len(shorter) >= 2 else core
