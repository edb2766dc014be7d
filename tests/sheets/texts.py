"""Hard sheets that are text files."""

from __future__ import annotations

from tests.sheets.make import DAY, HEAD, csv, id_number, listed, people, sheet

FULL = str.maketrans("0123456789", "０１２３４５６７８９")


@sheet("utf8.csv")
def _(p):
    return {"data": csv(listed(p)).encode()}


@sheet("utf8_bom.csv")
def _(p):
    return {"data": csv(listed(p)).encode("utf-8-sig")}


@sheet("gb18030.csv")
def _(p):
    return {"data": csv(listed(p)).encode("gb18030")}


@sheet("gbk_crlf.csv")
def _(p):
    return {"data": csv(listed(p), end="\r\n").encode("gbk")}


@sheet("utf16le.txt")
def _(p):
    return {"data": b"\xff\xfe" + csv(listed(p), "\t", "\r\n").encode("utf-16-le")}


@sheet("utf16be.csv")
def _(p):
    return {"data": b"\xfe\xff" + csv(listed(p)).encode("utf-16-be")}


@sheet("utf16_without_bom.csv")
def _(p):
    return {"data": csv(listed(p)).encode("utf-16-le"), "refused": "file_type"}


@sheet("tabs.tsv")
def _(p):
    return {"data": csv(listed(p), "\t").encode()}


@sheet("semicolons.csv")
def _(p):
    return {"data": csv(listed(p), ";").encode()}


@sheet("bars.txt")
def _(p):
    return {"data": csv(listed(p), "|").encode()}


@sheet("chinese_commas.txt")
def _(p):
    return {"data": csv(listed(p), "，").encode()}


@sheet("old_mac_ends.csv")
def _(p):
    return {"data": csv(listed(p), end="\r").encode()}


@sheet("mixed_ends.csv")
def _(p):
    lines = [",".join(row) for row in listed(p)]
    return {"data": "".join(line + ("\n", "\r\n")[i % 2] for i, line in enumerate(lines)).encode()}


@sheet("no_end_of_last_line.csv")
def _(p):
    return {"data": csv(listed(p)).rstrip("\n").encode()}


@sheet("quoted_newlines.csv")
def _(p):
    rows = [HEAD] + [[*one.cells()[:5], f'"{one.address}\n3单元\n（二楼）"'] for one in p]
    return {"data": csv(rows).encode()}


@sheet("all_quoted.csv")
def _(p):
    return {"data": csv([[f'"{c}"' for c in row] for row in listed(p)]).encode()}


@sheet("doubled_quotes.csv")
def _(p):
    rows = [[*one.cells()[:5], f'"{one.address}""红房子"""'] for one in p]
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("stray_quotes.csv")
def _(p):
    rows = [[*one.cells()[:5], f'{one.address}12"管道'] for one in p[:5]]
    return {"data": csv([HEAD, *rows]).encode(), "people": [one.told() for one in p[:5]]}


@sheet("commas_inside.csv")
def _(p):
    rows = [[*one.cells()[:5], f'"{one.address},东,西"'] for one in p]
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("blank_columns.csv")
def _(p):
    return {"data": csv([[row[0], "", *row[1:3], "", "", *row[3:], "", ""] for row in listed(p)]).encode()}


@sheet("blank_lines.csv")
def _(p):
    rows = listed(p)
    return {"data": csv([[""] * 6, *(line for row in rows for line in (row, [""] * 6))]).encode()}


@sheet("title_and_unit.csv")
def _(p):
    return {"data": csv([["某某港口返连人员登记表"], ["填报单位：某某港口", "", "日期：2022年8月27日"], *listed(p)]).encode()}


@sheet("footers.csv")
def _(p):
    tail = [["合计", "6人"], ["填表人：张某", "", "审核人：李某"], ["（盖章）"], ["备注：以上人员均已通知"]]
    return {"data": csv([*listed(p), *tail]).encode()}


@sheet("head_again_in_the_middle.csv")
def _(p):
    rows = listed(p)
    return {"data": csv([*rows[:3], HEAD, *rows[3:5], HEAD, *rows[5:]]).encode()}


@sheet("two_heads.csv")
def _(p):
    upper, lower = ["序号", "基本信息", "", "", "行程", "", ""], ["", "姓名", "身份证号", "联系电话", "从何地来", "到连时间", "现住址"]
    return {"data": csv([upper, lower, *([str(i + 1), *one.cells()] for i, one in enumerate(p))]).encode()}


@sheet("no_head_swapped_columns.csv")
def _(p):
    rows = [[one.phone, one.day.isoformat(), one.doc, one.name] for one in p]
    return {"data": csv(rows).encode(), "people": [one.told("name", "doc", "phone", "day") for one in p]}


@sheet("english_heads.csv")
def _(p):
    head = ["No.", "Name", "ID Number", "Mobile", "Origin", "Arrival", "Address"]
    return {"data": csv([head, *([str(i), *one.cells()] for i, one in enumerate(p, 1))]).encode()}


@sheet("heads_with_remarks.csv")
def _(p):
    head = ["*姓名（必填）", "证件号码\t(18位)", "手机号【11位】", "来源地：", "到达时间(如2022-08-27)", "现 住 址"]
    return {"data": csv([head, *(one.cells() for one in p)]).encode()}


@sheet("same_person_twice.csv")
def _(p):
    rows = listed(p)
    return {"data": csv([*rows, rows[1], rows[3]]).encode(), "people": [one.told() for one in (*p, p[0], p[2])], "created": 6}


@sheet("dates_as_people_write_them.csv")
def _(p):
    day = DAY.replace(day=27)
    ways = ["2022-08-27", "2022/8/27", "2022.8.27", "2022年8月27日", "20220827", "8月27日", "8.27", "8/27", "8月27号下午3点"]
    ways += ["2022-08-27 17:35", "22.8.27", "８月２７日", "8月27日左右", "2022年8月27日（周六）", "44800", "2022-8-27T09:00:00"]
    given = people("dates", len(ways))
    rows = [[one.name, one.doc, one.phone, one.origin, way, one.address] for one, way in zip(given, ways, strict=True)]
    return {"data": csv([HEAD, *rows]).encode(), "people": [one.told("name", "doc") | {"day": day} for one in given]}


@sheet("dates_that_nobody_can_read.csv")
def _(p):
    ways = ["2月30日", "2022-13-01", "前天", "27/08/22/1", "8-", "1999-08-27"]
    rows = [[one.name, one.doc, one.phone, one.origin, way, one.address] for one, way in zip(p, ways, strict=True)]
    return {"data": csv([HEAD, *rows]).encode(), "people": [], "rejected": {"date_unreadable": 6}}


@sheet("phones_as_people_write_them.csv")
def _(p):
    ways = ["+86 {0}", "86-{0}", "0086{0}", "{1} {2} {3}", "{1}-{2}-{3}", "{0}（本人）", "电话：{0}", "{0}/13900000000"]
    ways += ["{0}、0518-85801234", "'{0}", "{0}.0", "（{0}）"]
    given = people("phones", len(ways))
    rows = [
        [
            one.name,
            one.doc,
            way.format(one.phone, one.phone[:3], one.phone[3:7], one.phone[7:]),
            one.origin,
            one.day.isoformat(),
            one.address,
        ]
        for one, way in zip(given, ways, strict=True)
    ]
    return {"data": csv([HEAD, *rows]).encode(), "people": [one.told("name", "doc", "phone") for one in given]}


@sheet("phones_that_are_none.csv")
def _(p):
    ways = ["1381234567", "138123456789", "23812345678", "无人接听", "12345", "1.38E+10"]
    rows = [[one.name, one.doc, way, one.origin, one.day.isoformat(), one.address] for one, way in zip(p, ways, strict=True)]
    return {"data": csv([HEAD, *rows]).encode(), "people": [], "rejected": {"phone_bad": 6}}


@sheet("full_width.csv")
def _(p):
    rows = [[one.name, one.doc.translate(FULL).replace("X", "Ｘ"), one.phone.translate(FULL), one.origin,
             one.day.isoformat().translate(FULL).replace("-", "－"), one.address] for one in p]  # fmt: skip
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("ids_with_decoration.csv")
def _(p):
    ways = ["'{0}", '="{0}"', "{1} {2} {3}", "{0}（身份证）", "`{0}", "{0}."]
    rows = [
        [one.name, way.format(one.doc, one.doc[:6], one.doc[6:14], one.doc[14:]), one.phone, one.origin, one.day.isoformat(), one.address]
        for one, way in zip(p, ways, strict=True)
    ]
    return {
        "data": csv([HEAD, *rows]).encode(),
        "people": [one.told() for i, one in enumerate(p) if i != 3],
        "rejected": {"id_length": 1},
    }


@sheet("ids_with_faults.csv")
def _(p):
    off = "10X98765432"
    ways = [
        p[0].doc[:17] + off[(off.index(p[0].doc[17]) + 1) % 11],  # check digit
        p[1].doc[:6] + p[1].doc[8:17],  # old, 15 digits
        p[2].doc[:17],
        p[3].doc[:10] + "0230" + p[3].doc[14:],
        f"{int(p[4].doc[:17]) * 10:.5E}",  # a spreadsheet's own damage
        p[5].doc[:15] + "000",
    ]
    rows = [[one.name, way, one.phone, one.origin, one.day.isoformat(), one.address] for one, way in zip(p, ways, strict=True)]
    lost = ways[5]
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    fits = off[sum(int(d) * w for d, w in zip(lost, weights, strict=False)) % 11] == lost[17]
    assert not fits, "another seed"
    return {
        "data": csv([HEAD, *rows]).encode(),
        "people": [],
        "rejected": {"id_numeric_cell": 1, "id_length": 2, "id_date": 1, "id_checksum": 2},
    }


@sheet("small_x.csv")
def _(p):
    import random

    rng = random.Random(5)
    ids = [d for d in (id_number(rng) for _ in range(400)) if d.endswith("X")][:6]
    rows = [[one.name, doc.lower(), one.phone, one.origin, one.day.isoformat(), one.address] for one, doc in zip(p, ids, strict=True)]
    return {"data": csv([HEAD, *rows]).encode(), "people": [one.told("name") | {"doc": doc} for one, doc in zip(p, ids, strict=True)]}


@sheet("other_documents.csv")
def _(p):
    docs = ["E12345678", "H12345678", "01234567", "G87654321", "EA1234567", "M23456789"]
    rows = [[one.name, doc, one.phone, one.origin, one.day.isoformat(), one.address] for one, doc in zip(p, docs, strict=True)]
    return {"data": csv([HEAD, *rows]).encode(), "people": [one.told("name") | {"doc": doc} for one, doc in zip(p, docs, strict=True)]}


@sheet("names_with_blanks.csv")
def _(p):
    rows = [[f"{one.name[0]}　 {one.name[1:]}", *one.cells()[1:]] for one in p]
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("invisible_signs_in_names.csv")
def _(p):
    marks = ["\u200b", "\u200f", "\u202e", "\u2060", "\ufeff", "\u00ad"]
    rows = [[one.name[0] + mark + one.name[1:] + mark, *one.cells()[1:]] for one, mark in zip(p, marks, strict=True)]
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("control_signs.csv")
def _(p):
    rows = [
        [one.name[0] + "\x01\x0b" + one.name[1:], one.doc, one.phone, one.origin + "\x7f", one.day.isoformat(), one.address + "\x02"]
        for one in p
    ]
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("nul_signs_late.csv")
def _(p):
    padding = [["" for _ in HEAD] for _ in range(2000)]
    rows = [[one.name + "\x00", *one.cells()[1:]] for one in p]
    return {"data": csv([HEAD, *padding, *rows]).encode()}


@sheet("emoji_and_rare_names.csv")
def _(p):
    names = ["王𠮷", "李䶮", "张😀", "阿卜杜拉·买买提", "欧阳㛃", "Müller Jürgen"]
    rows = [[name, *one.cells()[1:]] for one, name in zip(p, names, strict=True)]
    return {
        "data": csv([HEAD, *rows]).encode("gb18030"),
        "people": [one.told("doc") | {"name": name} for one, name in zip(p, names, strict=True)],
    }


@sheet("same_as_above.csv")
def _(p):
    first = p[0]
    rows = [first.cells(), *([one.name, one.doc, one.phone, "同上", "〃" if i % 2 else "同上", "同上"] for i, one in enumerate(p[1:]))]
    said = [one.told("name", "doc", "phone") | {"origin": first.origin, "day": first.day, "address": first.address} for one in p]
    return {"data": csv([HEAD, *rows]).encode(), "people": said}


@sheet("same_as_above_in_an_id.csv")
def _(p):
    rows = [p[0].cells(), [p[1].name, "同上", "", *p[1].cells()[3:]]]
    return {"data": csv([HEAD, *rows]).encode(), "people": [p[0].told()], "rejected": {"id_length": 1}}


@sheet("formulas_as_text.csv")
def _(p):
    first = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-2+3", "=HYPERLINK(1)", "＝1+1"]
    rows = [[*one.cells()[:5], text] for one, text in zip(p, first, strict=True)]
    return {
        "data": csv([HEAD, *rows]).encode(),
        "people": [one.told() | {"address": a} for one, a in zip(p, [*first[:5], "=1+1"], strict=True)],
    }


@sheet("excel_text_formulas.csv")
def _(p):
    rows = [[one.name, f'="{one.doc}"', f'="{one.phone}"', one.origin, one.day.isoformat(), one.address] for one in p]
    return {"data": csv([HEAD, *rows]).encode()}


@sheet("more_cells_than_heads.csv")
def _(p):
    return {"data": csv([HEAD, *([*one.cells(), "多", "余"] for one in p)]).encode()}


@sheet("fewer_cells_than_heads.csv")
def _(p):
    return {"data": csv([HEAD, *(one.cells()[:3] for one in p)]).encode(), "people": [one.told("name", "doc", "phone") for one in p]}


@sheet("two_hundred_columns.csv")
def _(p):
    head = [*HEAD, *(f"指标{i}" for i in range(194))]
    return {"data": csv([head, *([*one.cells(), *["0"] * 194] for one in p)]).encode()}


@sheet("three_hundred_columns.csv")
def _(p):
    return {"data": csv([[*HEAD, *(f"指标{i}" for i in range(294))], *(one.cells() for one in p)]).encode(), "refused": "file_too_large"}


@sheet("ten_megabytes_in_a_name.csv")
def _(p):
    rows = [one.cells() for one in p]
    rows[2][0] = "王" * (10 * 2**20 // 3)
    return {
        "data": csv([HEAD, *rows]).encode(),
        "people": [one.told() for i, one in enumerate(p) if i != 2],
        "rejected": {"cell_too_long": 1},
    }


@sheet("only_a_head.csv")
def _(p):
    return {"data": csv([HEAD]).encode(), "people": [], "rows": 0, "created": 0}


@sheet("empty.csv")
def _(p):
    return {"data": b"\xef\xbb\xbf\r\n,,,\r\n", "refused": "file_empty"}


@sheet("cut_in_a_line.csv")
def _(p):
    return {"data": csv(listed(p)).encode()[:-70], "refused": "file_truncated"}


@sheet("cut_in_a_sign.csv")
def _(p):
    whole = csv(listed(p)).encode("gb18030")
    return {"data": whole[: whole.rindex("居委会".encode("gb18030")) + 3], "refused": "file_truncated"}


@sheet("binary.csv")
def _(p):
    return {"data": bytes(range(256)) * 40, "refused": "file_type"}


@sheet("noise.csv")
def _(p):
    import random

    return {"data": bytes(b for b in random.Random(1).randbytes(6000) if b), "refused": "file_type"}


@sheet("no_identity_column.csv")
def _(p):
    return {
        "data": csv([["姓名", "来源地", "到达时间"], *([one.name, one.origin, one.day.isoformat()] for one in p)]).encode(),
        "refused": "columns_unknown",
    }


@sheet("goods.csv")
def _(p):
    return {"data": csv([["品名", "数量", "单价"], ["口罩", "300", "1.5"], ["面屏", "20", "8"]]).encode(), "refused": "columns_unknown"}


@sheet("two_columns_of_ids.csv")
def _(p):
    others = people("others", 6)
    rows = [[one.name, one.doc, other.doc, one.phone] for one, other in zip(p, others, strict=True)]
    return {"data": csv([["姓名", "身份证号", "身份证号", "手机"], *rows]).encode(), "refused": "column_unclear"}


@sheet("phone_of_the_family_beside.csv")
def _(p):
    others = people("relatives", 6)
    rows = [[one.name, one.doc, other.phone, one.phone] for one, other in zip(p, others, strict=True)]
    return {
        "data": csv([["姓名", "身份证号", "紧急联系人电话", "联系电话"], *rows]).encode(),
        "people": [one.told("name", "doc", "phone") for one in p],
    }


@sheet("ids_under_a_head_of_phones.csv")
def _(p):
    return {
        "data": csv([["姓名", "号码"], *([one.name, one.doc] for one in p)]).encode(),
        "people": [one.told("name", "doc") for one in p],
    }


@sheet("form_of_one_person.csv")
def _(p):
    one = p[0]
    rows = [["返连人员登记表"], *([head, cell] for head, cell in zip(HEAD, one.cells(), strict=True))]
    return {"data": csv(rows).encode(), "refused": "columns_unknown"}


@sheet("neither_id_nor_phone.csv")
def _(p):
    rows = [[one.name, *(("", "") if i % 2 else (one.doc, "")), *one.cells()[3:]] for i, one in enumerate(p)]
    return {"data": csv([HEAD, *rows]).encode(), "people": [one.told("name", "doc") for one in p[::2]], "rejected": {"no_identity": 3}}


@sheet("text_called_xlsx.xlsx")
def _(p):
    return {"data": csv(listed(p)).encode()}


@sheet("web_page_called_xls.xls")
def _(p):
    rows = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in listed(p))
    return {"data": f"<html><table>{rows}</table></html>".encode(), "refused": "file_xls"}


@sheet("letter.pdf")
def _(p):
    return {"data": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "refused": "file_type"}
