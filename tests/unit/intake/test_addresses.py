"""Places in free text."""

from __future__ import annotations

import polars as pl
import pytest

from bihuan.intake.addresses import aliases


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("连云港市赣榆区金山镇河北村委会24号楼2单元2085室", 320707103000),
        ("江苏省连云港市赣榆区金山镇河北村", 320707103000),
        ("赣榆金山河北村3组", 320707103000),
    ],
)
def test_one_village_many_spellings(resolver, divisions, address, code):
    found = resolver.resolve(address)
    assert found.region // 1000 * 1000 == code
    assert divisions[found.region][1] == "河北村委会"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("赣榆", "赣榆区"),
        ("青口盐场", "青口盐场"),
        ("东辛农场西陬管理区", "西陬管理区社区"),
        ("墟沟街道大巷社区", "大巷社区居委会"),
        ("墟沟大巷", "大巷社区居委会"),
        ("海州区新浦街道办事处市化社区12号", "市化社区居委会"),
        ("连云港市海州区苍梧路50号", "海州区"),
        ("开发区猴嘴街道", "猴嘴街道"),
        ("海州湾街道", "海州湾街道"),
        ("四队镇街西社区", "街西社区居委会"),
        ("海州区朝阳东路幸福小区（新浦街道市化社区）", "市化社区居委会"),
        ("东海县曲阳乡陆湖村", "陆湖村委会"),
        ("江苏 连云港 赣榆 青口 黄海社区", "黄海社区居委会"),
        ("江苏省淮安市清江浦区长东街道", "长东街道"),
        ("山东省临沂市郯城县红花镇", "郯城县"),
        ("张庄村", "连云港市"),
    ],
)
def test_places(resolver, divisions, address, name):
    assert divisions[resolver.resolve(address).region][1] == name


def test_nothing_is_invented(resolver):
    for address in ("幸福小区", "建国路12号", "", None, "某某"):
        assert resolver.resolve(address) is None, address


def test_district_of_another_column_settles_what_the_address_leaves_open(resolver, divisions):
    assert resolver.resolve("张庄村").ambiguous
    assert divisions[resolver.resolve("张庄村", within=320771000000).region][1] == "张庄村委会"
    assert resolver.resolve("幸福小区", within=320722000000).region == 320722000000


def test_every_village_is_found_by_its_full_address(resolver, divisions):
    """All villages of the city, with city, county and township before the name; none is found wrongly."""
    lost = 0
    villages = [c for c, (level, _) in divisions.items() if level == 5 and str(c).startswith("3207")]
    for code in villages:
        text = "".join(divisions[code // u * u][1] for u in (10**8, 10**6, 10**3, 1))
        found = resolver.resolve(text + "3号楼1单元")
        assert found.region == code or found.ambiguous, text
        lost += found.region != code
    assert lost <= len(villages) // 500


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("上海", 310000000000),
        ("上海市", 310000000000),
        ("310100", 310000000000),
        ("河北石家庄", 130100000000),
        ("河北省石家庄市", 130100000000),
        ("130100", 130100000000),
        ("江苏南京", 320100000000),
        ("江苏昆山", 320583000000),
        ("北京朝阳", 110105000000),
        ("内蒙古呼和浩特市", 150100000000),
        ("延边", 222400000000),
        ("3205", 320500000000),
        ("国外", None),
        ("朝阳区", None),
        ("999999", None),
        ("", None),
    ],
)
def test_origins(resolver, text, code):
    assert resolver.origin(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("海州", 320706000000),
        ("赣榆区", 320707000000),
        ("320722", 320722000000),
        ("开发区", 320771000000),
        ("110100", None),
        ("某区", None),
    ],
)
def test_districts(resolver, text, code):
    assert resolver.district_code(text) == code


def test_columns_keep_their_order(resolver):
    found = resolver.resolve_all(
        pl.Series(["赣榆区", None, "东海县", "赣榆区"]), pl.Series([None, 320706000000, None, None], dtype=pl.Int64)
    )
    assert found.to_list() == [320707000000, None, 320722000000, 320707000000]


def test_a_zone_named_after_its_province_is_written_without_it_in_any_province() -> None:
    assert "东海经济开发区" in aliases("江苏东海经济开发区", 4, "江苏省")
    assert "运城经济开发区" in aliases("山西运城经济开发区", 4, "山西省")
    assert "桂林经济开发区" in aliases("广西桂林经济开发区", 4, "广西壮族自治区")
    assert "东海经济开发区" not in aliases("江苏东海经济开发区", 4, "山西省")
