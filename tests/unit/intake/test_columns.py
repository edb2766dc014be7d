"""Columns recognised by name and by content."""

from __future__ import annotations

import pytest

from bihuan.intake.columns import Choice, by_name, head_of, header_key, letters, map_columns, map_tables
from bihuan.intake.read import read_file
from bihuan.kernel.refused import Refused

IDS = ("320722196608102143", "370202194907033851")


def table(heads: list[str], rows: list[list[str]]):
    return read_file("\n".join("\t".join(r) for r in [heads, *rows]).encode(), "a.tsv")[0]


@pytest.mark.parametrize(
    ("field", "spellings"),
    [
        ("name", "姓名 员工姓名 人员姓名 名字 姓　名 *姓名 姓名（必填） 返乡人员姓名"),
        ("doc", "证件号码 身份证号 公民身份号码 身份证 证件号 身份证号码* 居民身份证号码 身份证（护照）号 护照号码"),
        ("phone", "手机号 联系电话 电话 号码 手机 联系方式 手机号码 本人联系电话 移动电话"),
        ("origin", "来源地 从何地来 来自 出发地 漫出地编码 从哪来 何地返连 来源城市 返连前所在地"),
        ("arrived_at", "到达时间 抵连日期 到家时间 进入时间 返回日期 到连时间 抵达时间 返连日期 抵淮时间 到家日期（月日）"),
        ("address", "户籍/现居地址 现住址 居住地址 家庭住址 详细地址 现居住地 抵连后住址 目的地址"),
        ("district", "驻留区县 所在区县 县区 驻留地编码"),
        ("workplace", "工作单位 单位 所在单位 工作单位/学校"),
        ("remark", "备注 说明 备注（可不填）"),
        ("batch", "推送批次 批次"),
        ("ordinal", "序号 编号 No. #"),
        ("ignored", "性别 年龄 出生日期 证件类型 紧急联系人电话 填报人 是否已核酸 采样时间 离开上海时间 户主姓名 网格员电话"),
    ],
)
def test_spellings(field, spellings):
    for head in spellings.split(" "):
        found = by_name(head)
        assert found is not None, head
        assert found[0] == field, head


def test_unknown_names_and_titles():
    for head in ("自定义甲", "××单位外地返连人员情况登记表", "", "组", "关于做好来连人员排查工作的通知"):
        assert by_name(head) is None, head


def test_heads_are_compared_without_breaks_stars_and_remarks():
    assert header_key("身份证\n号 码（１８位）*") == "身份证号码"
    assert letters(0) == "A"
    assert letters(27) == "AB"


def test_by_content_where_names_are_unknown():
    one = table(["甲", "乙", "丙", "丁"], [["王小梅", IDS[0], "13812345678", "8月27日"], ["李强", IDS[1], "139-1234-5678", "2022.8.28"]])
    mapping = map_columns(one)
    assert mapping.fields == {"doc": 1, "phone": 2, "arrived_at": 3, "name": 0}
    assert set(mapping.how.values()) == {"content"}


def test_content_corrects_a_name_that_says_something_else():
    one = table(["姓名", "号码"], [["王小梅", IDS[0]], ["李强", IDS[1]]])
    assert map_columns(one).fields == {"name": 0, "doc": 1}


def test_list_without_any_head():
    one = table(["王小梅", IDS[0], "13812345678"], [["李强", IDS[1], "13912345678"]])
    assert one.header_row == 0
    assert one.frame["row"].to_list() == [1, 2]
    assert map_columns(one).fields == {"name": 0, "doc": 1, "phone": 2}


def test_unknown_column_is_a_notice_with_its_address():
    one = table(["姓名", "手机号", "自定义甲"], [["王", "13812345678", "x"]])
    assert [c.address for c in map_columns(one).unknown] == ["C1"]


def test_what_an_officer_said_of_a_head_wins_and_is_all_that_is_used():
    one = table(["姓名", "手机号", "联系电话"], [["王", "13812345678", "13912345678"]])
    assert map_columns(one).fields["phone"] == 1
    ((_, mapping),) = map_tables([one], {head_of(one): Choice({"phone": 2}, "remembered")})
    assert mapping.fields == {"phone": 2}
    assert mapping.how == {"phone": "remembered"}
    for wrong in ({"phone": 9}, {"name": 0}, {"nothing": 1}):
        with pytest.raises(Refused, match="columns_unknown"):
            map_tables([one], {head_of(one): Choice(wrong, "forced")})


def test_a_choice_is_for_its_own_head():
    one = table(["姓名", "手机号", "联系电话"], [["王", "13812345678", "13912345678"]])
    same = table(["姓 名", "手机号（必填）", "联系电话"], [["李", "13712345678", ""]])
    turned = table(["手机号", "姓名", "联系电话"], [["13812345678", "王", "13912345678"]])
    assert head_of(one) == head_of(same) != head_of(turned)
    ((_, mapping),) = map_tables([turned], {head_of(one): Choice({"phone": 2}, "remembered")})
    assert mapping.fields["phone"] == 0


def test_two_equal_claims_are_unclear():
    one = table(["姓名", "电话", "电话"], [["王", "13812345678", "13912345678"]])
    with pytest.raises(Refused, match="column_unclear"):
        map_columns(one)


def test_a_head_that_nobody_knows_can_be_told():
    (one,) = read_file("甲项,乙项\n王小梅,分机8812\n".encode(), "a.csv", anyway=True)
    assert not one.recognised
    with pytest.raises(Refused, match="columns_unknown"):
        map_tables([one])
    ((_, mapping),) = map_tables([one], {head_of(one): Choice({"name": 0, "phone": 1}, "forced")})
    assert mapping.fields == {"name": 0, "phone": 1}


def test_a_list_in_which_nobody_can_be_identified():
    with pytest.raises(Refused, match="columns_unknown"):
        map_columns(table(["姓名", "来源地"], [["王小梅", "上海"]]))


HEADS_OF_AN_ADDRESS = ["姓名", "身份证号", "县区", "镇（街道）", "村（社区）", "门牌号"]


def test_an_address_in_several_columns_is_one_address():
    one = table(HEADS_OF_AN_ADDRESS, [["王小梅", IDS[0], "赣榆区", "金山镇", "河北村委会", "7组4号"], ["李强", IDS[1], "", "", "", ""]])
    (read, mapping), *_ = map_tables([one])
    assert mapping.fields["district"] == 2
    assert read.frame[f"c{mapping.fields['address']}"].to_list() == ["金山镇河北村委会7组4号", ""]
    assert [c.header for c in mapping.unknown + mapping.ignored] == []
    assert "镇" in next(c.header for c in read.columns if c.index == mapping.fields["address"])


def test_a_part_that_the_whole_address_names_is_not_said_twice():
    heads = ["姓名", "身份证号", "镇街", "村居", "详细地址"]
    rows = [["王小梅", IDS[0], "金山镇", "河北村委会", "金山镇河北村委会7组"], ["李强", IDS[1], "金山镇", "河北村委会", "7组4号"]]
    (read, mapping), *_ = map_tables([table(heads, rows)])
    assert read.frame[f"c{mapping.fields['address']}"].to_list() == ["金山镇河北村委会7组", "金山镇河北村委会7组4号"]


def test_what_an_officer_said_of_a_part_stands_against_the_joining():
    one = table(HEADS_OF_AN_ADDRESS, [["王小梅", IDS[0], "赣榆区", "金山镇", "河北村委会", "7组"]])
    (read, mapping), *_ = map_tables([one], {head_of(one): Choice({"doc": 1, "address": 3}, "forced")})
    assert read.frame[f"c{mapping.fields['address']}"].to_list() == ["金山镇"]


def test_a_second_telephone_stands_in_where_the_first_is_blank():
    one = table(["姓名", "联系电话1", "联系电话2"], [["王小梅", "13800000001", "13900000001"], ["李强", "", "13900000002"]])
    (read, mapping), *_ = map_tables([one])
    assert read.frame[f"c{mapping.fields['phone']}"].to_list() == ["13800000001", "13900000002"]


def test_a_province_and_a_city_in_two_columns_are_one_origin():
    one = table(["姓名", "身份证号", "来源省", "来源市"], [["王小梅", IDS[0], "四川省", "成都市"]])
    (read, mapping), *_ = map_tables([one])
    assert read.frame[f"c{mapping.fields['origin']}"].to_list() == ["四川省成都市"]


def test_a_title_over_all_columns_is_no_head():
    assert by_name("中高风险区来返人员协查函（第2批）") is None
    assert by_name("返连人员台账") is None


def test_a_township_alone_is_the_address():
    one = table(["镇街", "姓名", "身份证号"], [["路南街道", "王小梅", IDS[0]], ["新浦街道", "李强", IDS[1]]])
    (read, mapping), *_ = map_tables([one])
    assert read.frame[f"c{mapping.fields['address']}"].to_list() == ["路南街道", "新浦街道"]


def test_a_form_of_one_person_is_no_list():
    form = f"姓名\t王小梅\t性别\t女\n身份证号\t{IDS[0]}\t手机\t13800000001\n"
    with pytest.raises(Refused) as refused:
        map_tables(read_file(form.encode(), "a.tsv"))
    assert refused.value.code == "columns_unknown"


@pytest.mark.parametrize("blanks", [" ", "    ", "\u3000\u3000"])
def test_columns_that_only_blanks_part(blanks):
    lines = [["姓名", "身份证号", "手机"], ["王小梅", IDS[0], "13800000001"], ["李强", IDS[1], "13800000002"]]
    (read, mapping), *_ = map_tables(read_file("\n".join(blanks.join(line) for line in lines).encode("gb18030"), "a.txt"))
    assert {field: read.frame[f"c{i}"].to_list() for field, i in mapping.fields.items()} == {
        "name": ["王小梅", "李强"],
        "doc": list(IDS),
        "phone": ["13800000001", "13800000002"],
    }
