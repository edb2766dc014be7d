"""The lines of a table of duties (leads/_work_rows.html). Load with `{% load work %}`.

A page has fifty of them, and most readers have nothing else: drawn tag by tag they took longer than all that the page reads.
Each is one format, whose values are escaped as in any template; its words are translated once a page.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from bihuan.site.templatetags.desk import due_state, icon, levels, moment, remaining

register = template.Library()

_LINE = """<tr class="is-{state}{first}">
  <td class="tick"></td><td class="order number">{number}</td>
  {pick}<td class="name">{name}{marks}</td>
  <td class="what">{place_small}<b>{what}</b>{tags}</td>
  <td class="wide-only place">{place}</td>
  {held}<td class="by">{by} <span class="narrow-only">{left}</span></td>
  <td class="wide-only no-print">{left}</td>
  <td class="only-print write"></td>
  <td class="go no-print">{go}</td>
</tr>
"""
_PICK = (
    '<td class="pick"><label><input type="checkbox" name="loop" value="{loop}"><span class="seen-by-ear">{words}</span></label></td>\n  '
)
_HELD = '<td class="wide-only no-print quiet small source">{source}</td><td class="wide-only no-print">{owner}{assignee}</td>\n  '
_GO = '<a class="button{small}" href="{url}" hx-get="{url}" hx-target="#sheet">{word}<span class="seen-by-ear">{name}</span></a>'
_CALL = (
    '<a class="button call{small}" href="tel:{tel}"{hold}>{icon}<span class="words">{word}</span>'
    '<span class="seen-by-ear">{name}</span></a>'
)


_escaped = functools.lru_cache(maxsize=2000)(html.escape)  # units, sources and words come again in every line


def _filled(form: str, **values: Any) -> SafeString:
    """`format_html` for a thousand values a page: it makes way for lazy ones at each, and here are none."""
    safe = {name: value if isinstance(value, SafeString) else _escaped(str(value)) for name, value in values.items()}
    return SafeString(form.format(**safe))


def _tag(tone: str, drawing: str, words: str) -> SafeString:
    return _filled(' <span class="tag{tone}">{icon}{words}</span>', tone=tone, icon=icon(drawing) if drawing else "", words=words)


@register.simple_tag(takes_context=True)
def work_lines(context: template.Context, rows: Iterable[Mapping[str, Any]]) -> SafeString:
    """One person (or one number), one next act, one time: a row of the table, on a telephone a card. `rows` are of leads.lines:

    loop         value of the check box: id of the duty and what was shown of it (ID.OWNER.ASSIGNEE.ASKED); number: on this page, for paper
    name         masked name, or masked number for a number without a name; lead_url  the person's page
    kind         "person" | "phone_lead"
    place        what the reader calls the place: group and door for a village (6组), township/village above (a sequence or text with /)
    event        name of the event where several are open, or ""
    what         sentence of the next act: 打电话问问哪天到的
    source       text: which lists name the person, or ""
    tries        calls tried so far
    due_at       datetime or None; paused  the clock rests at night
    owner, assignee  text or "" (above village)
    offered      待接收
    help_level   0, or how many levels have been asked for help (提级协助)
    held_by      text or "": who is calling right now
    answered     text or "": 10:12 已由县专班核实，不必再打
    act_url      page of the act; tel  full number to dial or ""; hold_url  POST: holds the person for this caller, or ""
    is_first     the most urgent of the page

    Of the context: bulk (check boxes), village (the reader is a village worker: fewer columns).
    """
    bulk, village = context.get("bulk"), context.get("village")
    pick_word, by_word, go_word, call_word = _("选择 %(name)s"), _("%(by)s 前"), _("办理"), _("打电话")
    number_word, first_word, offered_word, help_word = _("号码线索"), _("先办这件"), _("待接收"), _("已提级协助")
    tried_word, held_word = _("已打 %(n)s 次"), _("%(who)s正在打")
    small = "" if village else " small"

    @functools.cache  # what came in one list falls due together
    def times(due_at: datetime | None, paused: bool) -> tuple[str, str, str]:
        by = by_word % {"by": moment(context, due_at)} if due_at else ""
        return due_state(context, due_at, paused), by, remaining(context, due_at, paused)

    place_of = functools.cache(levels)

    def line(row: Mapping[str, Any]) -> str:
        state, by, left = times(row["due_at"], row["paused"])
        place = place_of(row["place"] if isinstance(row["place"], str) else tuple(row["place"]))
        name, marks, tags = row["name"], "", ""
        if row["kind"] == "phone_lead":
            marks += _tag("", "", number_word)
        if row["is_first"] and state != "calm":
            marks += _tag(" blue first", "", first_word)
        if row["event"]:
            tags += _tag("", "flag", row["event"])
        if row["tries"]:
            tags += _filled(' <span class="quiet">{words}</span>', words=tried_word % {"n": row["tries"]})
        if row["held_by"]:
            tags += _tag(" amber", "phone", held_word % {"who": row["held_by"]})
        if row["offered"]:
            tags += _tag(" blue", "move", offered_word)
        if row["help_level"]:
            tags += _tag(" red", "help", help_word)
        if row["answered"]:
            tags += _tag(" green", "done", row["answered"])
        go = ""
        if row["tel"]:
            hold = _filled(' data-hold="{hold}" data-then="{then}"', hold=row["hold_url"], then=row["act_url"]) if row["hold_url"] else ""
            go = _filled(_CALL, small=small, tel=row["tel"], hold=hold, icon=icon("phone"), word=call_word, name=name)
        elif row["act_url"]:
            go = _filled(_GO, small=small, url=row["act_url"], word=go_word, name=name)
        held = ""
        if not village:
            assignee = _filled(' <span class="quiet nowrap">{name}</span>', name=row["assignee"]) if row["assignee"] else ""
            held = _filled(_HELD, source=row["source"], owner=row["owner"], assignee=assignee)
        return _filled(
            _LINE,
            state=state,
            first=" is-first" if row["is_first"] else "",
            number=row["number"],
            pick=_filled(_PICK, loop=row["loop"], words=pick_word % {"name": name}) if bulk else "",
            name=_filled('<a href="{url}">{name}</a>', url=row["lead_url"], name=name) if row["lead_url"] else name,
            marks=mark_safe(marks),  # each was escaped when it was made
            place_small=_filled('<span class="narrow-only quiet">{place}</span>', place=place) if place else "",
            what=row["what"],
            tags=mark_safe(tags),
            place=place,
            held=held,
            by=by,
            left=left,
            go=go,
        )

    return mark_safe("".join([line(row) for row in rows]))
