"""Rows of a list about people who do not exist."""

from __future__ import annotations

HEAD = "姓名,证件号码,手机号,来源地,到达时间,现住址\n"


def line(n: int, when: str = "2022-08-27 10:00") -> str:
    surname, last = "赵钱孙李周吴郑王冯陈"[n % 10], "一二三四五六七八九十"[n // 10 % 10]
    return f"{surname}小{last},,138{n:08d},上海市,{when},连云港市连云区板桥街道板桥社区居委会{n}号楼\n"
