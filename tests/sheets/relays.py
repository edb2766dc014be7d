"""Messages from chats, and what people paste."""

from __future__ import annotations

from datetime import date

from tests.sheets.make import csv, listed, sheet

TITLE = "#接龙\n板桥村委会外地返乡人员登记（姓名 组别 时间 从哪回 电话）\n"


def days(p):
    return [{"day": date(2022, 8, one.day.day)} for one in p]


@sheet("relay.txt", "community")
def _(p):
    ways = [
        "1. {0.name} 3组 8.{0.day.day} 从{0.origin}回 G {0.phone}",
        "2、{0.name}，10组，8月{0.day.day}号，{0.origin}，自驾，电话{0.phone}",
        "3 {0.name} {0.phone} 8/{0.day.day} {0.origin} D",
        "4) {0.name} 身份证{0.doc} 8.{0.day.day} 从{0.origin}回",
        "5. {0.name} {0.origin}  8.{0.day.day}\n电话：{0.phone}",
        "6．{0.name} 2022-08-{0.day.day} 由{0.origin}返 +86 {0.phone}",
    ]
    text = TITLE + "".join(way.format(one) + "\n" for way, one in zip(ways, p, strict=True))
    said = [one.told("name", "origin", "day") | ({"doc": one.doc} if i == 3 else {"phone": one.phone}) for i, one in enumerate(p)]
    return {"data": text.encode(), "people": said}


@sheet("relay_without_numbers_of_phones.txt", "community")
def _(p):
    text = TITLE + "".join(f"{i}. {one.name} {i}组 8.{one.day.day} 从{one.origin}回 大巴\n" for i, one in enumerate(p, 1))
    return {"data": text.encode("gb18030"), "people": [one.told("name", "origin", "day") for one in p]}


@sheet("relay_without_groups.txt", "community")
def _(p):
    text = TITLE + "".join(f"{i}. {one.name} 8.{one.day.day} 从{one.origin}回 大巴\n" for i, one in enumerate(p, 1))
    return {"data": text.encode(), "people": [], "rejected": {"no_identity": 6}}


@sheet("relay_without_mark.txt", "community")
def _(p):
    text = "".join(f"{i}、{one.name} {one.phone} 8.{one.day.day} {one.origin}\n\n" for i, one in enumerate(p, 1))
    return {"data": text.encode(), "people": [one.told("name", "phone", "day", "origin") for one in p]}


@sheet("relay_with_empty_numbers.txt", "community")
def _(p):
    text = TITLE + "".join(f"{i}. {one.name} {one.phone} 8.{one.day.day}\n" for i, one in enumerate(p, 1)) + "7. \n8.\n"
    return {"data": text.encode(), "people": [one.told("name", "phone", "day") for one in p]}


@sheet("pasted_from_a_sheet.txt")
def _(p):
    return {"data": csv(listed(p), "\t", "\r\n").encode()}


@sheet("pasted_without_heads.txt")
def _(p):
    return {
        "data": csv([[str(i), *one.cells()] for i, one in enumerate(p, 1)], "\t").encode(),
        "people": [one.told("name", "doc", "phone") for one in p],
    }


@sheet("talk.txt")
def _(p):
    return {"data": "大家好，请各村今天下午五点前报名单。\n收到\n收到\n好的\n".encode(), "refused": "columns_unknown"}


@sheet("notice_in_points.txt")
def _(p):
    return {"data": "通知\n1、各村要高度重视，立即排查\n2、今天下午五点前上报\n3、不得漏报\n".encode(), "refused": "columns_unknown"}
