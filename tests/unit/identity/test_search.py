"""What is typed into the box, how names are spoken, what a role reads."""

from __future__ import annotations

import pytest

from bihuan.access.permissions import Permission, Role
from bihuan.identity import masks
from bihuan.identity.search import Sought, sought
from bihuan.identity.sounds import blurred, spoken


@pytest.mark.parametrize(
    ("name", "full", "initials"),
    [
        ("王小梅", "wangxiaomei", "wxm"),
        ("单雄信", "shanxiongxin", "sxx"),
        ("仇英", "qiuying", "qy"),
        ("区寄", "ouji", "oj"),
        ("尉迟恭", "yuchigong", "ycg"),
        ("长孙无忌", "zhangsunwuji", "zswj"),
        ("万俟卨", "moqixie", "mqx"),
        ("小单", "xiaodan", "xd"),
        ("吕布", "lvbu", "lb"),
        ("王䶮", "wangyan", "wy"),
        ("阿依古丽·买买提", "ayigulimaimaiti", "ayglmmt"),
        ("MARIA", "maria", "m"),
    ],
)
def test_names_are_spoken_as_names(name, full, initials):
    assert spoken(name) == (full, initials)


def test_an_ear_that_does_not_tell_sounds_apart():
    assert blurred("黄小凤") == blurred("王晓风")
    assert blurred("刘珍宁") == blurred("牛真玲")
    assert blurred("王小梅") != blurred("王小兰")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("  王 小梅", Sought(name_key="王小梅")),
        ("wxm", Sought("WXM", "wxm")),
        ("Li Ming", Sought("LIMING", "liming")),
        ("138 0000-0001", Sought(phone="13800000001")),
        ("+86 13800000001", Sought(phone="13800000001")),
        ("0518-85801234", Sought(phone="0518-85801234")),
        ("11010519491231002x", Sought(document="11010519491231002X")),
        ("H1234567801", Sought(document="H1234567801")),
        ("e12345678", Sought(document="E12345678")),
        ("1380000", Sought()),
        ("320706", Sought()),
        ("", Sought()),
    ],
)
def test_what_was_typed(typed, meant):
    assert sought(typed) == meant


def test_who_may_not_see_persons_reads_nothing_and_who_may_has_a_line():
    for role in Role:
        if Permission.LEAD_READ not in role.permissions:
            assert {masks.shown(role, field, own=True) for field in masks.Field} == {masks.Shown.NOTHING}, role
    assert masks.shown(Role.VILLAGE_WORKER, masks.Field.PHONE, own=True) is masks.Shown.WHOLE
    assert masks.show("13812345678", Role.VILLAGE_WORKER, masks.Field.PHONE) == "138****5678"
    assert masks.show("初筛阳性", Role.TOWNSHIP_DESK, masks.Field.MEDICAL, own=True) == ""
    assert masks.show("王小梅", Role.AUDITOR, masks.Field.NAME) == ""


def test_pages_cover_what_identifies_a_person_by_this_table_alone():
    """A page that masked by itself would forget the role."""
    from tests.conftest import REPO

    source = REPO / "src" / "bihuan"
    own_mask = [p.name for p in source.rglob("*pages.py") if "kernel.text import" in (text := p.read_text("utf-8")) and "mask_" in text]
    assert own_mask == []
