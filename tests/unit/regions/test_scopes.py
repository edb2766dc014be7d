"""Scope codes are numbers whose leading digits are the jurisdiction."""

import pytest

from bihuan.regions.scopes import as_scope, enclosing, is_grid, level_span, short_name, span_of


@pytest.mark.parametrize(
    ("code", "scope"),
    [("3207", 320700000000000), (320703007000, 320703007000000), (320703007001002, 320703007001002)],
)
def test_as_scope_fills_up_to_fifteen_digits(code, scope):
    assert as_scope(code) == scope


@pytest.mark.parametrize("code", ["", "3", "032070000000", "32070x", "３２０７", 10**16, -320700000000])
def test_as_scope_takes_nothing_else(code):
    with pytest.raises(ValueError, match="not a scope"):
        as_scope(code)


def test_ranges_of_levels_nest_and_end_where_the_next_begins():
    village = 320703007001000
    ranges = [span_of(village, level) for level in range(1, 6)]
    assert ranges[2] == (320703000000000, 320704000000000)
    for (lo, hi), (inner_lo, inner_hi) in zip(ranges, ranges[1:], strict=False):
        assert lo <= inner_lo < inner_hi <= hi
    for level, (lo, hi) in enumerate(ranges, start=1):
        assert hi - lo == level_span(level)
        assert span_of(hi, level)[0] == hi
        assert enclosing(hi - 1, level) == lo


def test_a_grid_lies_inside_its_village():
    assert is_grid(320703007001002)
    assert not is_grid(320703007001000)
    assert enclosing(320703007001002, 5) == 320703007001000


@pytest.mark.parametrize(
    ("name", "level", "short"),
    [
        ("江苏省", 1, "江苏"),
        ("内蒙古自治区", 1, "内蒙古"),
        ("新疆维吾尔自治区", 1, "新疆"),
        ("恩施土家族苗族自治州", 2, "恩施"),
        ("连云港市", 2, "连云港"),
        ("大兴安岭地区", 2, "大兴安岭"),
        ("绛县", 3, "绛县"),
        ("鄂伦春自治旗", 3, "鄂伦春"),
        ("察布查尔锡伯自治县", 3, "察布查尔"),
        ("双江拉祜族佤族布朗族傣族自治县", 3, "双江"),
        ("连云港经济技术开发区", 3, "开发区"),
        ("徐圩街道", 4, "徐圩"),
        ("东辛农场", 4, "东辛农场"),
        ("太宁村委会", 5, "太宁"),
        ("天目湖村村委会", 5, "天目湖"),
        ("吴村村委会", 5, "吴村"),
        ("月季路社区居民委员会", 5, "月季路"),
        ("东青社区居委会（含东青村村委）", 5, "东青"),
    ],
)
def test_short_names_are_what_people_write(name, level, short):
    assert short_name(name, level) == short
