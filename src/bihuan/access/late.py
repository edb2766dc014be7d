"""Records that arrive when their door is shut are kept for a person to judge, never dropped.

A telephone was reported lost, a turn ended, an account was closed, a page locked itself: whoever pressed "save" at that
moment had really called somebody. A view that records carries `@kept`; when the sign-in behind a POST to it no longer
holds, what was sent is sealed and waits. Somebody of the unit, or of a desk above, who sees the person records it (the
same form, the same id, with the time at which it came) or says why not. A stolen device gets nothing recorded by itself.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve

from bihuan.access import log, scope, secrets
from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.models import LateEntry, SignIn
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

# A telephone has some dozens of unsent answers, never hundreds: what comes after that is no work.
OF_SIGN_IN_MAX = 200
BYTES_MAX = 20_000
FIELD = "late"  # of a form that records an entry: its number
_NOT_SAID = {"csrfmiddlewaretoken", FIELD, "next"}

Describe = Callable[[HttpRequest, dict[str, Any], QueryDict], "Told"]


@dataclass(frozen=True)
class Told:
    """What an entry says, for whoever decides: about whom (masked, with the address of the page), and the words of the answer."""

    who: str
    url: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Behind:
    """Which sign-in sent a request, and in which post, whether they still hold or not."""

    sign_in: UUID
    post: int | None


def kept(describe: Describe, permission: Callable[[Mapping[str, Any]], Permission], field: str = "fact_id") -> Callable:
    """Marks a view whose POST is a record with an id in `field`, by those who hold `permission` (of the address' names).

    `describe` runs in the reader's scope and refuses what is out of it. What somebody sends about a person in sight whose
    duty has gone to others meanwhile is kept as well, and refused as `moved_kept`.
    """

    def mark(view: Callable) -> Callable:
        @functools.wraps(view)
        def run(request: HttpRequest, *args: Any, **names: Any) -> HttpResponse:
            try:
                return view(request, *args, **names)
            except Refused as refused:
                if request.method != "POST" or refused.code != "not_permitted" or not request.post.may(permission(names)):
                    raise
                with scope.acting(scope.of(request.post, read_only=True)), transaction.atomic():
                    describe(request, names, request.POST)  # refuses who is out of sight: of them nothing is kept
                if keep(request, Behind(request.standing.id, request.post.id), "moved") is None:
                    raise
                raise Refused(
                    "moved_kept",
                    "这件事已经改由别的单位管，刚才填的没有记上；内容已经留下，等现在管的单位或上级确认。",
                    "Another unit answers for this by now; what you sent is not recorded. It was kept for that unit or the desk above.",
                ) from refused

        run.kept = (describe, field)  # type: ignore[attr-defined]
        return run

    return mark


def _marks(path: str) -> tuple[Any, Any]:
    """(match, marks) of the view at an address; (None, None) when it keeps nothing."""
    try:
        match = resolve(path)
    except Resolver404:
        return None, None
    marks = getattr(match.func, "kept", None)
    return (match, marks) if marks else (None, None)


def is_kept(request: HttpRequest) -> bool:
    return request.method == "POST" and _marks(request.path_info)[1] is not None


_PLACE = """
SELECT p.unit, (SELECT min(s.scope) FROM region_scope s WHERE s.region_id = u.region_id AND s.valid @> %(today)s::date)
FROM post p JOIN unit u ON u.id = p.unit WHERE p.officer = %(officer)s ORDER BY (p.id = %(post)s) DESC NULLS LAST, p.id DESC LIMIT 1
"""
_KEEP = """
INSERT INTO late_entry (entry, at, officer, unit, scope, device, sign_in, why, address, said, digest, left_why)
SELECT %(entry)s, %(at)s, %(officer)s, %(unit)s, %(scope)s, %(device)s, %(sign_in)s, %(why)s, %(address)s, %(said)s, %(digest)s, ''
WHERE (SELECT count(*) FROM late_entry WHERE sign_in = %(sign_in)s) < %(most)s ON CONFLICT DO NOTHING
"""


def keep(request: HttpRequest, behind: Behind, why: str = "") -> int | None:
    """Keep what a POST says; the entry's number. None when it names no record, or its sign-in has sent too many.

    `why`: for what reason it is not recorded, where the sign-in itself holds.
    """
    _match, marks = _marks(request.path_info)
    try:
        entry = UUID(request.POST.get(marks[1], ""))
    except ValueError:
        return None
    said = {name: values for name, values in request.POST.lists() if name not in _NOT_SAID}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True).encode()
    row = SignIn.objects.filter(id=behind.sign_in).first()
    if row is None or entry.version != 7 or len(text) > BYTES_MAX:
        return None
    why = why or row.ended_why or ("locked" if row.locked_at else "post_ended")
    digest = secrets.keyed("late", f"{request.path}\0{text.decode()}")
    with transaction.atomic(), engine(), connection.cursor() as cursor:
        cursor.execute(_PLACE, {"officer": row.officer_id, "post": behind.post, "today": clock.today()})
        place = cursor.fetchone()
        if place is None or place[1] is None:
            return None
        cursor.execute(
            _KEEP,
            {
                "entry": entry, "at": clock.now(), "officer": row.officer_id, "unit": place[0], "scope": place[1], "device": row.device_id,
                "sign_in": row.id, "why": why, "address": request.path, "said": secrets.seal_late(text, entry), "digest": digest,
                "most": OF_SIGN_IN_MAX,
            },
        )  # fmt: skip
        if cursor.rowcount:
            log.note("entry_kept", about=row.officer_id, request=request, detail=why)
        cursor.execute("SELECT id FROM late_entry WHERE entry = %s AND digest = %s", [entry, digest])
        found = cursor.fetchone()
    return found[0] if found else None


# --- looked at and decided ------------------------------------------------------------------------------------------


_WAITING = """
SELECT e.id, e.at, e.why, o.name, u.name, coalesce(d.name, ''), e.address, e.entry, e.said
FROM late_entry e JOIN officer o ON o.id = e.officer JOIN unit u ON u.id = e.unit LEFT JOIN device d ON d.id = e.device
WHERE e.left_at IS NULL AND e.said <> '' AND e.id > %(after)s AND (%(one)s::numeric IS NULL OR e.id = %(one)s::numeric)
  AND NOT EXISTS (SELECT 1 FROM fact f WHERE f.id = e.entry)
ORDER BY e.id LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Entry:
    """An entry that waits, as whoever decides reads it. `told` None: the person is out of the reader's sight."""

    id: int
    at: datetime
    why: str
    officer: str
    unit: str
    device: str
    address: str
    said: Mapping[str, list[str]]
    told: Told | None


def waiting(request: HttpRequest, *, one: int | None = None, after: int = 0, limit: int = 20) -> list[Entry]:
    """Entries of the reader's range that nobody has recorded or left, the oldest first. Inside the reader's scope."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"after": after, "one": one, "limit": limit})
        rows = cursor.fetchall()
    return [_entry(request, row) for row in rows]


def n_waiting(most: int = 100) -> int:
    """How many entries of the reader's range wait. The facts are asked only where there are any: every page of work asks this."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM late_entry e WHERE e.left_at IS NULL AND e.said <> '')")
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM late_entry e WHERE e.left_at IS NULL AND e.said <> ''"
            " AND NOT EXISTS (SELECT 1 FROM fact f WHERE f.id = e.entry) LIMIT %s) x",
            [most],
        )
        return cursor.fetchone()[0]


def _entry(request: HttpRequest, row: Sequence[Any]) -> Entry:
    id, at, why, officer, unit, device, address, entry, said = row
    fields: dict[str, list[str]] = json.loads(secrets.open_late(said, entry))
    data = QueryDict(mutable=True)
    for name, values in fields.items():
        data.setlist(name, values)
    match, marks = _marks(address)
    told = None
    if marks:
        try:
            told = marks[0](request, match.kwargs, data)
        except Refused:
            told = None  # the person is not in this reader's sight: a desk whose range holds both decides
    return Entry(id, at, why, officer, unit, device, address, fields, told)


def hidden(entry: Entry) -> Iterator[tuple[str, str]]:
    """The entry's form, to be sent again by whoever records it."""
    for name, values in entry.said.items():
        for value in values:
            yield name, value


def happened_at(request: HttpRequest, entry: UUID) -> datetime | None:
    """When the record that this form sends again was first sent; None for an ordinary form. Inside the reader's scope."""
    number = request.POST.get(FIELD, "")
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        return None
    return LateEntry.objects.filter(id=int(number), entry=entry).values_list("at", flat=True).first()


@action
def leave(*, by, entry: int, why: str) -> None:
    """Say that an entry is not recorded, and why. Safe to repeat. Refuses: no reason, an entry out of sight (`entry_not_found`)."""
    require(by, Permission.LEAD_VERIFY)
    why = " ".join(why.split())[:200]
    found = LateEntry.objects.filter(id=entry).first()
    if found is None:
        raise Refused("entry_not_found", "没有这条记录，或不归您管。", "There is no such entry, or it is not yours.")
    if not why:
        raise Refused("reason_missing", "请写明理由。", "Please give a reason.", "why")
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE late_entry SET left_at = %s, left_by = %s, left_why = %s, said = '' WHERE id = %s AND left_at IS NULL",
            [clock.now(), by.officer_id, why, entry],
        )
        if cursor.rowcount:
            log.note("entry_left", officer=by.officer_id, about=found.officer, detail=why)


def empty() -> int:
    """What was recorded by now is in the ledger: the sealed form beside it goes. How many. By the clock."""
    with scope.acting(None), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE late_entry e SET said = '' WHERE said <> '' AND left_at IS NULL AND EXISTS (SELECT 1 FROM fact f WHERE f.id = e.entry)"
        )
        return cursor.rowcount
