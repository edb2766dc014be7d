"""What each check of `verify` asks, in words that a desk reads: the page of the accounts shows these, the command line the names."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

WORDS = {
    "balance": _("期初 + 新增 + 转入 = 期末 + 办结 + 转出"),
    "closed_without_fact": _("办结的事，都有办结它的记录"),
    "content_changed": _("办理记录没有被改过"),
    "deadline_moved": _("时限没有被私下改动"),
    "destroyed_event": _("已结束的事件，个人信息都销毁了"),
    "details_missing": _("每条办理记录都有内容"),
    "duty_double": _("同一个人的同一件事只有一份"),
    "duty_missing": _("该有人办的，都有人在办"),
    "files": _("每份名单的五项相加等于行数"),
    "fired_missing": _("该请上级协助的，都请了"),
    "leads": _("每个待核查人员都说得出从哪份名单来"),
    "links": _("认定是同一人的，都有依据"),
    "movement_missing": _("每一次换手都有记录"),
    "offer_stale": _("过了期的移交都退了回去"),
    "offer_wrong": _("待接收的，都有移交记录"),
    "opened_without_fact": _("开出来的事，都有开它的记录"),
    "owner_moved": _("承办单位与移交记录相符"),
    "owner_unknown": _("每件事都有一个还在的承办单位"),
    "scope_wrong": _("每件事都在它所属的辖区"),
    "seal_broken": _("每分钟的封存一环扣一环"),
    "subject_missing": _("每条记录说的人都在"),
    "tally_wrong": _("概览上的数与流转相符"),
    "timer_missing": _("每件没办完的事都有下一次提醒"),
    "timer_stale": _("提醒的时间没有错"),
    "visible_missing": _("承办单位看得到自己要办的人"),
}
# A check of several parts names its gaps more closely.
_PART_OF = {
    "lead_missing": "leads", "lead_double": "leads", "lead_wrong": "leads", "cluster_wrong": "links", "link_wrong": "links",
    "file_accounts": "files", "row_without_report": "files", "file_broken": "files",
}  # fmt: skip


def check_of(gap: str) -> str:
    """The check that found a gap of this name."""
    return _PART_OF.get(gap, gap)


def words(name: str) -> str:
    """The sentence of a check; one that has none yet is shown by its name."""
    return str(WORDS.get(check_of(name), name))
