"""A plan about many duties: what it would do, row by row; doing it; what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import polars as pl
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bihuan.access.middleware import allow, reading
from bihuan.access.pages import once
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import bulk, duty_lists, queries
from bihuan.leads.judge import judge
from bihuan.leads.lines import lines
from bihuan.leads.models import BulkAct
from bihuan.leads.saving import remember, window
from bihuan.leads.verbs import VERBS, WHY, said_frame
from bihuan.leads.words import KINDS, clock_time, day_words

PAGE_ROWS = 50
_OK = "ok"


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest, act: UUID) -> HttpResponse:
    """What a plan would do, and once it is done what became of it. A POST does it; sent again it changes nothing more."""
    allow(request, Permission.LEAD_READ)
    if request.method == "POST":
        return _do(request, act)
    of, now = bulk.plan_of(act), clock.now()
    ended = of.state in ("done", "undone")
    rows = said_frame(of.loops, of.said)
    if ended:
        left = {loop: code for code, loops in bulk.report_of(act).refused.items() for loop in loops}
        found = rows.with_columns(why=pl.col("loop").replace_strict(left, default=None, return_dtype=pl.String))
        follows, second = None, False
    else:
        found = judge(request.post, rows, now, of.seen_movement)
        follows, second = bulk.effects(found, now), bulk.needs_second(found)
    n_blank = sum(entry.get("n", 0) for entry in of.unread if entry["code"] == "left_blank")
    unread = [entry | {"sentence": WHY.get(entry["code"], entry["code"])} for entry in of.unread if entry["code"] != "left_blank"]
    n_ok = len(found.filter(pl.col("why").is_null()))
    whys = Counter(found["why"].drop_nulls().to_list())
    n_same = whys.pop("same", 0) + n_blank
    show = request.GET.get("show", "")
    if show != _OK and show not in whys:
        show = next(iter(whys), _OK)
    post, table = request.post, _table(request, found, show)
    mine = of.officer == post.officer_id
    context = {
        "section": "work",
        "plan": {"act": of.act, "state": of.state, "ended": ended, "made_at": of.made_at, "done_at": of.done_at},
        "list": {"number": of.number, "code": duty_lists.code(of.number)} if of.number and of.unit == post.unit_id else None,
        "said": _said_words(of),
        "reason": of.said.get("reason", "") if isinstance(of.said, Mapping) else "",
        "officer": queries.rows("SELECT name FROM officer WHERE id = %s", [of.officer])[0]["name"],
        "n_ok": n_ok,
        "n_same": n_same,
        "n_left": sum(whys.values()) + len(unread),
        "groups": [{"key": code, "n": n, "sentence": WHY.get(code, code), "chosen": code == show} for code, n in whys.most_common()],
        "unread": unread[:200],
        "n_unread": len(unread),
        "effects": _follows(follows) if follows else [],
        "show": show,
        "showing_ok": show == _OK,
        "rows": table,
        "theirs": any(row["theirs"] for row in table),
        "page": _paging(request, found, show),
        "second": second,
        "may_do": not ended and (mine or of.state == "proposed") and not (second and mine and of.state == "proposed"),
        "waits": of.state == "proposed" and mine,
        "signing": of.state == "proposed" and not mine,
        "do_url": f"/plans/{of.act}",
    }
    return render(request, "leads/plan.html", context)


def _said_words(of: BulkAct) -> str:
    """What is said, in words: one sentence where it is the same for all, else counts by answer."""
    if isinstance(of.said, Mapping):
        return _one_said(of.said)
    return _("、").join(
        _("%(what)s %(n)s 件") % {"what": VERBS[verb].title, "n": n} for verb, n in Counter(e["verb"] for e in of.said).most_common()
    )


def _one_said(said: Mapping[str, Any]) -> str:
    what = str(VERBS[said["verb"]].title)
    if said.get("since"):
        return _("%(what)s，%(day)s到的") % {"what": what, "day": day_words(_date(said["since"]))}
    if said.get("unit"):
        name = queries.rows("SELECT name FROM unit WHERE id = %s", [said["unit"]])
        return f"{what} → {name[0]['name']}" if name else what
    if said.get("officer"):
        name = queries.rows("SELECT name FROM officer WHERE id = %s", [said["officer"]])
        return f"{what} → {name[0]['name']}" if name else what
    if said.get("destination"):
        return f"{what} → {said['destination']}"
    return what


def _date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _follows(found: bulk.Effects) -> list[str]:
    said = [_("办结“%(what)s” %(n)s 件") % {"what": KINDS.get(kind, kind), "n": n} for kind, n in found.closes.items()]
    said += [_("接着要办“%(what)s” %(n)s 件") % {"what": KINDS.get(kind, kind), "n": n} for kind, n in found.opens.items()]
    names = {row["id"]: row["name"] for row in queries.rows("SELECT id, name FROM unit WHERE id = ANY(%s)", [list(found.moves)])}
    said += [_("%(n)s 件转到%(unit)s") % {"unit": names.get(unit, unit), "n": n} for unit, n in found.moves.items()]
    return said + ([_("%(n)s 件还留在原处要办") % {"n": found.stays}] if found.stays else [])


def _group(found: pl.DataFrame, show: str) -> pl.DataFrame:
    return found.filter(pl.col("why").is_null() if show == _OK else pl.col("why") == show)


def _offset(request: HttpRequest) -> int:
    text = request.GET.get("from", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _table(request: HttpRequest, found: pl.DataFrame, show: str) -> list[dict[str, Any]]:
    """A page of the chosen group: the person, what is said, and where somebody else said something meanwhile, that too."""
    some = _group(found, show).slice(_offset(request), PAGE_ROWS)
    duties = {duty["id"]: duty for duty in queries.duties_in_order(some["loop"].to_list())}
    shown = dict(zip(duties, lines(request, list(duties.values()), clock.now()), strict=True))
    rows = []
    for said in some.iter_rows(named=True):
        line = shown.get(said["loop"], {})
        rows.append(
            {
                "no": said["cell"] or said["no"],
                "name": line.get("name", "—"),
                "url": line.get("lead_url", ""),
                "place": line.get("place", ""),
                "what": KINDS.get(duties[said["loop"]]["kind"], "") if line else "",
                "said": _one_said(said),
                "theirs": _theirs(said),
            }
        )
    return rows


def _theirs(said: Mapping[str, Any]) -> str:
    """What somebody else recorded meanwhile."""
    if not said.get("their_at"):
        return ""
    answer = said["their_answer"] or ""
    what = str(VERBS[answer].title) if answer in VERBS else {"waived": _("免办"), "void": _("作废")}.get(answer, answer)
    day = _("，%(day)s到的") % {"day": day_words(_date(said["their_since"]))} if said.get("their_since") else ""
    return f"{clock_time(said['their_at'])} {said['their_unit'] or ''} {what}{day}"


def _paging(request: HttpRequest, found: pl.DataFrame, show: str) -> dict[str, Any]:
    total, at = len(_group(found, show)), _offset(request)
    url = f"{request.path}?show={show}&from="
    return {
        "shown": max(0, min(PAGE_ROWS, total - at)),
        "total": total,
        "before_url": f"{url}{max(0, at - PAGE_ROWS)}" if at else "",
        "after_url": f"{url}{at + PAGE_ROWS}" if at + PAGE_ROWS < total else "",
    }


def _do(request: HttpRequest, act: UUID) -> HttpResponse:
    with once(request, act):  # the parts know a repetition; a double click waits here for the first
        done = bulk.perform(by=request.post, act=act)
    if isinstance(done, Refused) and done.code == "second_needed":
        return HttpResponseRedirect(f"/plans/{act}")
    if isinstance(done, Refused):
        raise done
    with reading(request):
        pack = queries.rows("SELECT pack FROM loop WHERE id = ANY(SELECT unnest(loops) FROM bulk_part WHERE act = %s LIMIT 1)", [act])
    if pack and done.n_done:
        n_left = sum(len(loops) for code, loops in done.refused.items() if code != "same")
        text = _("已办 %(n)s 件") % {"n": done.n_done}
        text += _("，%(n)s 件没有办成") % {"n": n_left} if n_left else ""
        remember(request, text, act, window(pack[0]["pack"]))
    return HttpResponseRedirect(f"/plans/{act}")
