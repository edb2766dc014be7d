"""How times, telephones and long names look on every page.

Load with `{% load desk %}`. Nothing here reads the database. Times are shown in Asia/Shanghai by the product's clock;
a page that must agree with its own figures passes `desk.now` (the context of base.html), else the clock is asked.
"""

from __future__ import annotations

import functools
from datetime import date, datetime, timedelta

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bihuan.kernel import clock

register = template.Library()

# From here on a line is emphasised. It is a matter of looks, not a rule of a pack: no duty and no help depends on it.
SOON = timedelta(minutes=20)


def _now(context: template.Context) -> datetime:
    desk = context.get("desk")
    moment = desk.get("now") if isinstance(desk, dict) else getattr(desk, "now", None)
    return moment or clock.now()


def _chinese() -> bool:
    return (get_language() or "zh").startswith("zh")


def _day(day: date, today: date) -> str:
    if _chinese():
        return f"{day.month}月{day.day}日" if day.year == today.year else f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {day:%b}" if day.year == today.year else f"{day.day} {day:%b %Y}"


@register.simple_tag
@functools.lru_cache(maxsize=1000)  # a page of lines draws hundreds, all alike
def icon(name: str, label: str = "") -> SafeString:
    """A drawing of the sprite. With a label it speaks for itself; without one a word must stand beside it."""
    href = f"{static('img/icons.svg')}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>', label, href)
    return format_html('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}"></use></svg>', href)


@register.simple_tag(takes_context=True)
def moment(context: template.Context, value: datetime | date | None, seconds: bool = False) -> str:
    """9:30 on the product's day, 8月27日 9:30 on another, with the year in another year. A date alone has no time."""
    if value is None or value == "":
        return "—"
    today = _now(context).astimezone(clock.SHANGHAI).date()
    if not isinstance(value, datetime):
        return _day(value, today)
    local = value.astimezone(clock.SHANGHAI)
    time = f"{local.hour}:{local:%M:%S}" if seconds else f"{local.hour}:{local:%M}"
    return time if local.date() == today else f"{_day(local.date(), today)} {time}"


@register.simple_tag(takes_context=True)
def day(context: template.Context, value: datetime | None) -> str:
    """The day of a moment in Asia/Shanghai: 8月28日."""
    if value is None:
        return "—"
    return _day(value.astimezone(clock.SHANGHAI).date(), _now(context).astimezone(clock.SHANGHAI).date())


def span(delta: timedelta) -> str:
    """A length of time in words, rounded down to minutes: 42 分钟, 2 小时 5 分, 3 天 4 小时."""
    minutes = int(abs(delta).total_seconds() // 60)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return _("%(d)s 天 %(h)s 小时") % {"d": days, "h": hours}
    if hours:
        return _("%(h)s 小时 %(m)s 分") % {"h": hours, "m": minutes}
    return _("%(m)s 分钟") % {"m": minutes}


@register.filter
def duration(value: timedelta | None) -> str:
    """`span` as a filter; nothing for None."""
    return span(value) if value is not None else ""


@register.simple_tag(takes_context=True)
def due_state(context: template.Context, due_at: datetime | None, paused: bool = False) -> str:
    """late, soon or calm: the class of a line, always beside the words of `remaining`."""
    if due_at is None or paused:
        return "calm"
    left = due_at - _now(context)
    return "late" if left < timedelta(0) else "soon" if left <= SOON else "calm"


@register.simple_tag(takes_context=True)
def remaining(context: template.Context, due_at: datetime | None, paused: bool = False) -> SafeString:
    """The time that is left, or by how much it is late, as icon and words; countdown.js keeps it true.

    `paused` is for clocks that rest in the quiet hours of the plan in force.
    """
    if due_at is None:
        return format_html('<span class="due">{}</span>', _("不限时"))
    if paused:
        return format_html('<span class="due due-paused">{} {}</span>', icon("moon"), _("夜间暂停计时"))
    left = due_at - _now(context)
    state = due_state(context, due_at)
    name = {"late": "alarm", "soon": "hourglass", "calm": "clock"}[state]
    words = (_("已超 %(span)s") if state == "late" else _("还剩 %(span)s")) % {"span": span(left)}
    return format_html(
        '<time class="due due-{}" datetime="{}" data-due="{}">{} <span class="due-words">{}</span></time>',
        state,
        due_at.isoformat(timespec="seconds"),
        int(due_at.timestamp()),
        icon(name),
        words,
    )


@register.simple_tag
def soon_seconds() -> int:
    """The limit of emphasis for countdown.js."""
    return int(SOON.total_seconds())


@register.filter
def epoch(value: datetime) -> str:
    """Seconds since 1970 with three decimals, for data attributes."""
    return f"{value.timestamp():.3f}"


@register.filter
def figure(value: int | None) -> str:
    """1463 -> 1,463; None (not known) -> —."""
    return "—" if value is None else f"{value:,}"


@register.filter
def up_to(value: int | None, most: int) -> str:
    """A count that stopped beyond `most`: 812, 1,000+."""
    return figure(value) if value is None or value <= most else f"{figure(most)}+"


@register.filter
def spoken_phone(value: str) -> str:
    """13812345678 -> 138 1234 5678, as it is read out; masks keep their groups."""
    if len(value) == 11 and "-" not in value:
        return f"{value[:3]} {value[3:7]} {value[7:]}"
    return value


@register.filter
def spoken_code(value: str) -> str:
    """402918 -> 402 918, as it is read out."""
    half = len(value) // 2
    return f"{value[:half]} {value[half:]}"


@register.filter
def spoken_document(value: str) -> SafeString | str:
    """An 18-digit number in groups of 6-8-4 for the eye; it copies as one word because the gaps are margins."""
    if len(value) != 18:
        return value
    return format_html('<span class="groups"><span>{}</span><span>{}</span><span>{}</span></span>', value[:6], value[6:14], value[14:])


@register.filter
def levels(value: str | list[str] | tuple[str, ...]) -> SafeString:
    """A long name of a unit that may break only between its levels: a sequence, or a text with / between them."""
    parts = value.split("/") if isinstance(value, str) else value
    return format_html_join(mark_safe("<wbr>"), '<span class="level">{}</span>', ((part,) for part in parts if part))
