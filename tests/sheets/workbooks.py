"""Hard sheets that are workbooks."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from tests.sheets.make import HEAD, book, csv, in_sheet, listed, people, sheet

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@sheet("plain.xlsx")
def _(p):
    return {"data": book({"名单": listed(p)})}


@sheet("saved_by_wps.et")
def _(p):
    return {"data": OLE + b"\x00" * 4096, "refused": "file_xls"}


@sheet("real_dates.xlsx")
def _(p):
    return {"data": book({"名单": [HEAD, *([*one.cells()[:4], one.day, one.address] for one in p)]})}


@sheet("dates_with_times.xlsx")
def _(p):
    return {"data": book({"名单": [HEAD, *([*one.cells()[:4], datetime.combine(one.day, time(23, 50)), one.address] for one in p)]})}


@sheet("days_counted_from_1904.xlsx")
def _(p):
    return {"data": book({"名单": [HEAD, *([*one.cells()[:4], one.day, one.address] for one in p)]}, date_1904=True)}


@sheet("serials_without_format.xlsx")
def _(p):
    serial = [(one.day - date(1899, 12, 30)).days for one in p]
    return {"data": book({"名单": [HEAD, *([*one.cells()[:4], s, one.address] for one, s in zip(p, serial, strict=True))]})}


@sheet("serials_from_1904_without_format.xlsx")
def _(p):
    serial = [(one.day - date(1904, 1, 1)).days for one in p]
    return {"data": book({"名单": [HEAD, *([*one.cells()[:4], s, one.address] for one, s in zip(p, serial, strict=True))]}, date_1904=True)}


@sheet("days_as_decimals.xlsx")
def _(p):
    rows = [[*one.cells()[:4], 8.3, one.address] for one in p]
    return {"data": book({"名单": [HEAD, *rows]}), "people": [], "rejected": {"date_unreadable": 6}}


@sheet("mixed_dates.xlsx")
def _(p):
    ways = [lambda d: d, lambda d: f"{d.month}月{d.day}日", lambda d: f"{d.month}.{d.day}", lambda d: (d - date(1899, 12, 30)).days, str,
            lambda d: int(f"{d:%Y%m%d}")]  # fmt: skip
    return {"data": book({"名单": [HEAD, *([*one.cells()[:4], way(one.day), one.address] for one, way in zip(p, ways, strict=True))]})}


@sheet("numeric_ids.xlsx")
def _(p):
    digits = [int(one.doc[:17] + "0") for one in p]
    rows = [[one.name, float(n), *one.cells()[2:]] for one, n in zip(p, digits, strict=True)]
    return {"data": book({"名单": [HEAD, *rows]}), "people": [], "rejected": {"id_numeric_cell": 6}}


@sheet("one_numeric_id_among_texts.xlsx")
def _(p):
    rows = [one.cells() for one in p]
    rows[3][1] = float(int(p[3].doc[:17] + "0"))
    said = [one.told() for i, one in enumerate(p) if i != 3]
    return {"data": book({"名单": [HEAD, *rows]}), "people": said, "rejected": {"id_numeric_cell": 1}}


@sheet("numeric_phones.xlsx")
def _(p):
    return {"data": book({"名单": [HEAD, *([one.name, one.doc, int(one.phone), *one.cells()[3:]] for one in p)]})}


@sheet("title_over_merged_cells.xlsx")
def _(p):
    def change(_, pages):
        pages["名单"].merge_range("A1:F1", "返连人员登记表")
        pages["名单"].merge_range("A2:F2", "填报单位：某某公司   2022年8月27日")

    return {"data": book({"名单": [[], [], *listed(p)]}, change)}


@sheet("two_heads_merged.xlsx")
def _(p):
    def change(_, pages):
        page = pages["名单"]
        page.merge_range("A1:A2", "序号")
        page.merge_range("B1:B2", "姓名")
        page.merge_range("C1:D1", "证件")
        page.merge_range("E1:E2", "联系电话")
        page.merge_range("F1:G1", "行程")

    rows = [[], ["", "", "类型", "号码", "", "从何地来", "到连时间"]]
    rows += [[i, one.name, "身份证", one.doc, one.phone, one.origin, one.day.isoformat()] for i, one in enumerate(p, 1)]
    return {"data": book({"名单": rows}, change)}


@sheet("values_merged_downwards.xlsx")
def _(p):
    def change(_, pages):
        pages["名单"].merge_range("D2:D7", "上海市")
        pages["名单"].merge_range("E2:E7", "2022-08-25")

    rows = [[one.name, one.doc, one.phone, None, None, one.address] for one in p]
    said = [one.told("name", "doc", "phone") | {"origin": "上海市", "day": date(2022, 8, 25)} for one in p]
    return {"data": book({"名单": [HEAD, *rows]}, change), "people": said}


@sheet("hidden_rows_and_columns.xlsx")
def _(p):
    def change(_, pages):
        for row in (2, 4):
            pages["名单"].set_row(row, None, None, {"hidden": True})
        pages["名单"].set_column("B:B", None, None, {"hidden": True})

    return {"data": book({"名单": listed(p)}, change)}


@sheet("filtered.xlsx")
def _(p):
    def change(_, pages):
        pages["名单"].autofilter("A1:F7")
        pages["名单"].set_row(3, None, None, {"hidden": True})
        pages["名单"].protect("secret")

    return {"data": book({"名单": listed(p)}, change)}


@sheet("several_sheets.xlsx")
def _(p):
    return {"data": book({"海州区": listed(p[:2]), "连云区": listed(p[2:4]), "赣榆区": listed(p[4:])})}


@sheet("sheets_with_other_columns.xlsx")
def _(p):
    turned = [
        ["手机号", "姓名", "到达时间", "身份证号码", "来自"],
        *([one.phone, one.name, one.day.isoformat(), one.doc, one.origin] for one in p[3:]),
    ]
    return {"data": book({"甲": listed(p[:3]), "乙": turned})}


@sheet("instructions_first.xlsx")
def _(p):
    return {"data": book({"填写说明": [["请如实填写"], ["一、姓名写全"], ["二、证件号码设为文本"]], "名单": listed(p), "Sheet3": []})}


@sheet("hidden_sheet.xlsx")
def _(p):
    return {"data": book({"名单": listed(p[:3]), "旧": listed(p[3:])}, lambda _, pages: pages["旧"].hide())}


@sheet("chart_beside.xlsx")
def _(p):
    def change(made, _):
        made.add_chartsheet("图").set_chart(_chart(made))

    return {"data": book({"名单": listed(p)}, change)}


def _chart(made):
    chart = made.add_chart({"type": "column"})
    chart.add_series({"values": "=名单!$A$2:$A$7"})
    return chart


@sheet("list_away_from_the_corner.xlsx")
def _(p):
    rows = [[], [], [], *([None, None, None, *row] for row in listed(p))]
    return {"data": book({"名单": rows})}


@sheet("blank_columns_between.xlsx")
def _(p):
    return {"data": book({"名单": [[row[0], None, row[1], None, None, *row[2:]] for row in listed(p)]})}


@sheet("stray_cell_to_the_right.xlsx")
def _(p):
    return {"data": book({"名单": listed(p)}, lambda _, pages: pages["名单"].write_blank(4, 900, None, _.add_format({"bold": True})))}


@sheet("stray_cell_below.xlsx")
def _(p):
    return {"data": book({"名单": listed(p)}, lambda _, pages: pages["名单"].write(40_000, 0, " "))}


@sheet("one_cell_at_the_end_of_the_world.xlsx")
def _(p):
    return {"data": book({"名单": listed(p)}, lambda _, pages: pages["名单"].write(1_048_575, 16_383, "x")), "refused": "file_too_large"}


@sheet("totals_and_signatures.xlsx")
def _(p):
    tail = [["合计", None, 6], [], ["填表人：张某", None, "审核人：", None, "联系电话：0518-85801234"], ["注：证件号码请设为文本"]]
    return {"data": book({"名单": [*listed(p), *tail]})}


@sheet("heads_on_each_page.xlsx")
def _(p):
    rows = listed(p)
    return {"data": book({"名单": [["登记表（第1页）"], *rows[:4], ["登记表（第2页）"], HEAD, *rows[4:]]})}


@sheet("numbered_lines_left_empty.xlsx")
def _(p):
    rows = [["序号", *HEAD], *([i, *one.cells()] for i, one in enumerate(p, 1)), *([i] for i in range(7, 60))]
    return {"data": book({"名单": rows})}


@sheet("formulas_with_values.xlsx")
def _(p):
    def change(_, pages):
        for i, one in enumerate(p, 1):
            pages["名单"].write_formula(i, 0, f'=H{i + 1}&""', None, one.name)
            pages["名单"].write_formula(i, 4, "=TODAY()-1", None, (one.day - date(1899, 12, 30)).days)

    rows = [[None, one.doc, one.phone, one.origin, None, one.address] for one in p]
    return {"data": book({"名单": [HEAD, *rows]}, change)}


@sheet("formulas_never_computed.xlsx")
def _(p):
    def change(_, pages):
        for i in range(1, 7):
            pages["名单"].write_formula(i, 1, f'="3207"&H{i}', None, "")

    rows = [[one.name, None, one.phone, *one.cells()[3:]] for one in p]
    return {"data": book({"名单": [HEAD, *rows]}, change), "people": [one.told("name", "phone", "day") for one in p]}


@sheet("formulas_as_text.xlsx")
def _(p):
    first = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-2+3", "=HYPERLINK(1)", "=1+1"]
    said = [one.told() | {"address": a} for one, a in zip(p, first, strict=True)]
    return {"data": book({"名单": [HEAD, *([*one.cells()[:5], text] for one, text in zip(p, first, strict=True))]}), "people": said}


@sheet("errors_in_cells.xlsx")
def _(p):
    def change(data: bytes) -> bytes:
        return data.replace(b'<c r="F2" t="s">', b'<c r="F2" t="e">', 1)

    def marks(_, pages):
        for i in range(1, 7):
            pages["名单"].write_formula(i, 5, "=1/0", None, "#DIV/0!")

    return {"data": in_sheet(book({"名单": [HEAD, *(one.cells()[:5] for one in p)]}, marks), change)}


@sheet("rich_and_wrapped_text.xlsx")
def _(p):
    def change(made, pages):
        bold = made.add_format({"bold": True})
        for i, one in enumerate(p, 1):
            pages["名单"].write_rich_string(i, 0, bold, one.name[0], one.name[1:])
            pages["名单"].write_string(i, 5, one.address + "\n二楼")

    return {"data": book({"名单": [HEAD, *([None, *one.cells()[1:5]] for one in p)]}, change)}


@sheet("inline_strings.xlsx")
def _(p):
    return {"data": book({"名单": listed(p)}, constant_memory=True)}


@sheet("prefixed_names_of_elements.xlsx")
def _(p):
    def change(data: bytes) -> bytes:
        import re

        named = re.sub(rb"<(/?)(worksheet|sheetData|row|c|v|is|t)\b", rb"<\1x:\2", data[data.index(b"<worksheet") :])
        return b'<?xml version="1.0" encoding="UTF-8"?>' + named.replace(b"xmlns=", b"xmlns:x=", 1)

    return {"data": in_sheet(book({"名单": listed(p)}), change)}


@sheet("rows_without_numbers.xlsx")
def _(p):
    import re

    return {"data": in_sheet(book({"名单": listed(p)}), lambda data: re.sub(rb'(<(?:row|c)\b[^>]*?) r="[A-Z]*\d+"', rb"\1", data))}


@sheet("two_hundred_columns.xlsx")
def _(p):
    head = [*(f"指标{i}" for i in range(194)), *HEAD]
    return {"data": book({"名单": [head, *([*([0] * 194), *one.cells()] for one in p)]})}


@sheet("three_hundred_columns.xlsx")
def _(p):
    return {"data": book({"名单": [[*HEAD, *(f"指标{i}" for i in range(294))], *(one.cells() for one in p)]}), "refused": "file_too_large"}


@sheet("forms_one_below_the_other.xlsx")
def _(p):
    rows = [line for one in p for line in ([["登记表"], *([h, c] for h, c in zip(HEAD, one.cells(), strict=True)), []])]
    return {"data": book({"名单": rows}), "refused": "columns_unknown"}


@sheet("form_of_pairs.xlsx")
def _(p):
    one = p[0]
    rows = [
        ["返连人员登记表"],
        ["姓名", one.name, "手机号", one.phone],
        ["证件号码", one.doc, "来源地", one.origin],
        ["到达时间", one.day.isoformat(), "现住址", one.address],
    ]
    return {"data": book({"名单": rows}), "refused": "columns_unknown"}


@sheet("persons_as_columns.xlsx")
def _(p):
    return {"data": book({"名单": [[head, *(one.cells()[i] for one in p)] for i, head in enumerate(HEAD)]}), "refused": "columns_unknown"}


@sheet("no_identity_column.xlsx")
def _(p):
    rows = [["姓名", "所在部门"], *([one.name, "行政部"] for one in p)]
    return {"data": book({"名单": rows}), "refused": "columns_unknown"}


@sheet("empty.xlsx")
def _(p):
    return {"data": book({"Sheet1": [], "Sheet2": []}), "refused": "file_empty"}


@sheet("only_a_head.xlsx")
def _(p):
    return {"data": book({"名单": [["登记表"], HEAD]}), "people": []}


@sheet("cut_in_the_middle.xlsx")
def _(p):
    data = book({"名单": listed(p)})
    return {"data": data[: len(data) // 2], "refused": "file_truncated"}


@sheet("cut_at_the_end.xlsx")
def _(p):
    return {"data": book({"名单": listed(p)})[:-30], "refused": "file_truncated"}


@sheet("damaged_inside.xlsx")
def _(p):
    data = book({"名单": listed(p)})
    at = data.index(b"xl/worksheets/sheet1.xml") + 60
    return {"data": data[:at] + bytes(b ^ 0x55 for b in data[at : at + 8]) + data[at + 8 :], "refused": "file_truncated"}


@sheet("with_macros.xlsm")
def _(p):
    return {"data": book({"名单": listed(p)}), "refused": "file_macro"}


@sheet("with_a_password.xlsx")
def _(p):
    return {"data": OLE + b"\x00" * 512 + "EncryptedPackage".encode("utf-16-le") + b"\x00" * 512, "refused": "file_encrypted"}


@sheet("from_2003.xls")
def _(p):
    return {"data": OLE + b"\x00" * 512 + "Workbook".encode("utf-16-le") + b"\x00" * 512, "refused": "file_xls"}


@sheet("workbook_called_csv.csv")
def _(p):
    return {"data": book({"名单": listed(p)})}


@sheet("letter.docx")
def _(p):
    return {"data": b"PK\x03\x04" + b"\x00" * 40, "refused": "file_type"}


@sheet("sixty_thousand_lines_of_nothing.xlsx")
def _(p):
    def change(made, pages):
        for row in range(10, 60_000, 7):
            pages["名单"].write_blank(row, 2, None, made.get_default_url_format())

    return {"data": book({"名单": listed(p)}, change)}


@sheet("birthdays_and_other_dates_beside.xlsx")
def _(p):
    head = ["姓名", "出生日期", "证件号码", "离开时间", "手机号", "到达时间", "采样时间"]
    rows = [
        [one.name, date(1980, 1, 1), one.doc, one.day - timedelta(days=1), one.phone, one.day, one.day + timedelta(days=1)] for one in p
    ]
    return {"data": book({"名单": [head, *rows]}), "people": [one.told("name", "doc", "phone", "day") for one in p]}


@sheet("unknown_heads.xlsx")
def _(p):
    rows = [["甲项", "乙项", "丙项", "丁项"], *([one.name, one.doc, one.phone, one.day.isoformat()] for one in p)]
    return {"data": book({"名单": rows}), "people": [one.told("name", "doc", "phone", "day") for one in p]}


@sheet("same_name_of_two_columns.xlsx")
def _(p):
    rows = [
        ["姓名", "电话", "电话", "证件号码"],
        *([one.name, one.phone, other.phone, one.doc] for one, other in zip(p, people("second", 6), strict=True)),
    ]
    return {"data": book({"名单": rows}), "refused": "column_unclear"}


@sheet("csv_in_one_column.xlsx")
def _(p):
    return {"data": book({"名单": [[line] for line in csv(listed(p)).splitlines()]}), "refused": "columns_unknown"}


@sheet("totals_by_district_beside.xlsx")
def _(p):
    totals = [["区县", "人数", "备注"], ["海州区", 120, ""], ["连云区", 44, "含港口"]]
    return {"data": book({"汇总": totals, "名单": listed(p)})}


@sheet("persons_under_unknown_heads_beside.xlsx")
def _(p):
    others = people("beside", 6)
    strange = [["姓名", "区县"], *([one.name, one.phone if i else "海州区"] for i, one in enumerate(others))]
    return {"data": book({"名单": listed(p), "补报": strange}), "refused": "columns_unknown"}


@sheet("names_only_lines.xlsx")
def _(p):
    rows = [one.cells() for one in p] + [["Nobody7", None, None, "上海市", None, "某处"]]
    return {"data": book({"名单": [HEAD, *rows]}), "people": [one.told() for one in p], "rejected": {"no_identity": 1}}
