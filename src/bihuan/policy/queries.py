"""Reads: what is adopted, and which pack is in force where."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.db import connections

from bihuan.kernel.refused import Refused
from bihuan.policy import pack as packs
from bihuan.policy.models import Adoption, Event
from bihuan.regions.queries import level_span, scopes_of

_FRESH_SECONDS = 1.0  # an adoption made in another process is seen this late at most
_KEPT_MAX = 1000
EVENT_KEY = "event"  # the event that a reader chose, in the session
_DAY = timedelta(days=1)

# Every adoption of the event that counts on the day, with the place where its region lies in the scope codes.
_ADOPTED = """
SELECT a.id, a.pack, a.version, a.overlay, s.scope, r.level
FROM adoption a
JOIN region r ON r.id = a.region_id
JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date
WHERE a.event_id = %(event)s AND a.from_on <= %(on)s AND (a.to_on IS NULL OR a.to_on > %(on)s)
  AND (a.expires_on IS NULL OR a.expires_on >= %(on)s)
ORDER BY r.level, a.id
"""


_LINES = """
SELECT a.id, a.pack, a.version, a.overlay, a.from_on, a.to_on, a.expires_on, a.basis, a.region_id, r.name, s.scope, r.level
FROM adoption a
JOIN region r ON r.id = a.region_id
JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date
WHERE a.event_id = %(event)s AND (a.to_on IS NULL OR (a.to_on > %(on)s AND a.to_on > a.from_on))
  AND (a.expires_on IS NULL OR a.expires_on >= %(on)s)
ORDER BY r.level, a.from_on, a.id
"""


@dataclass(frozen=True, slots=True)
class Adopted:
    """An adoption that counts on the plan's day: `lo` until before `hi` are the scope codes where it does."""

    id: int
    pack: str
    version: str
    overlay: bool
    lo: int
    hi: int


@dataclass(frozen=True)
class Plan:
    """All adoptions of an event on one day, the widest region first. Asks the database nothing more."""

    event: int
    on: date
    adopted: tuple[Adopted, ...]
    _found: dict[tuple[int, ...], packs.Pack] = field(default_factory=dict, compare=False)

    def pack_for(self, scope: int) -> packs.Pack:
        """The pack in force at a scope code: the base of the nearest region around it, with the overlays of all of them.

        An overlay of another base, or one whose own dates are over, adds nothing. Refuses no_pack_in_force.
        """
        here = [row for row in self.adopted if row.lo <= scope < row.hi]
        ids = tuple(row.id for row in here)
        if ids not in self._found:
            self._found[ids] = self._resolve(here)
        return self._found[ids]

    def _resolve(self, here: list[Adopted]) -> packs.Pack:
        bases = [row for row in here if not row.overlay]
        if not bases:
            raise Refused(
                "no_pack_in_force",
                f"{self.on:%Y-%m-%d} 在这里没有采用任何防控方案，请先由指挥部采用",
                f"no pack is adopted here on {self.on}; the headquarters must adopt one first",
            )
        base = packs.load(bases[-1].pack, bases[-1].version)
        overlays = (packs.load_overlay(row.pack, row.version) for row in here if row.overlay)
        return packs.merge(base, [overlay for overlay in overlays if base.base_key in overlay.overlay_of and overlay.counts_on(self.on)])


_known: dict[tuple[str, int, date], tuple[float, Plan]] = {}


def plan(event_id: int, on: date) -> Plan:
    """The adoptions of an event on a day of Asia/Shanghai: one statement, kept for a second."""
    connection = connections["default"]
    key = (str(connection.settings_dict["NAME"]), event_id, on)
    known = _known.get(key)
    if known is not None and time.monotonic() < known[0]:
        return known[1]
    with connection.cursor() as cursor:
        cursor.execute(_ADOPTED, {"event": event_id, "on": on})
        rows = cursor.fetchall()
    adopted = tuple(
        Adopted(id, pack, version, overlay, scope, scope + level_span(level)) for id, pack, version, overlay, scope, level in rows
    )
    found = Plan(event_id, on, adopted)
    if adopted:  # what was not there yet is asked for again
        if len(_known) >= _KEPT_MAX:
            _known.clear()
        _known[key] = (time.monotonic() + _FRESH_SECONDS, found)
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """An adoption as a page shows it, with its place."""

    id: int
    pack: str
    version: str
    overlay: bool
    from_on: date
    to_on: date | None
    expires_on: date | None
    basis: str
    region: int
    region_name: str
    lo: int
    hi: int

    @property
    def ends_on(self) -> date | None:
        """The first day on which it counts no more, as far as is known."""
        ends = [end for end in (self.to_on, self.expires_on + _DAY if self.expires_on else None) if end]
        return min(ends, default=None)

    def counts_on(self, day: date) -> bool:
        return self.from_on <= day and (self.ends_on is None or day < self.ends_on)


def adoptions(event: int, since: date) -> list[Line]:
    """Adoptions of an event that count on the day or later, the widest region first. One statement."""
    with connections["default"].cursor() as cursor:
        cursor.execute(_LINES, {"event": event, "on": since})
        return [Line(*row[:-2], row[-2], row[-2] + level_span(row[-1])) for row in cursor.fetchall()]


def open_events(lo: int, hi: int, on: date) -> list[Event]:
    """Open events whose region lies in the range or around it, the oldest first. Two statements."""
    found = list(Event.objects.select_related("region").filter(ended_on=None).order_by("id"))
    scopes = scopes_of([event.region_id for event in found], on)
    ranges = {e.id: (scopes[e.region_id], scopes[e.region_id] + level_span(e.region.level)) for e in found if e.region_id in scopes}
    return [e for e in found if e.id in ranges and ranges[e.id][0] < max(hi, lo + 1) and lo < ranges[e.id][1]]


def event_in_use(chosen: object = None) -> int:
    """The event that a page is about: the one its reader chose, while it is open, else the oldest open one. Refuses `no_event`."""
    found = list(Event.objects.filter(ended_on=None).order_by("id").values_list("id", flat=True))
    if not found:
        raise Refused("no_event", "没有进行中的事件，请先建立事件。", "No event is open; open one first.")
    return chosen if chosen in found else found[0]  # type: ignore[return-value]


def goes_on_without(adoption: Adoption, on: date) -> list[Adoption]:
    """What counts again when an adoption is withdrawn on the day on which it would have begun: what it had ended itself.

    Nothing where it ends later, or where the other was ended by two signers of its own.
    """
    if on != adoption.from_on:
        return []
    same = {"event_id": adoption.event_id, "region_id": adoption.region_id, "overlay": adoption.overlay, "to_on": on, "from_on__lt": on}
    found = Adoption.objects.filter(**same, **({"pack": adoption.pack} if adoption.overlay else {}))
    return list(found.exclude(endings__outcome="approved", endings__from_on=on))


def forget() -> None:
    """Ask anew at the next question; called when an adoption is written."""
    _known.clear()


def changed_since_adoption() -> list[tuple[int, str]]:
    """Adoptions (id, pack@version) whose file no longer says what it said when it was adopted. Must be empty."""
    changed: list[tuple[int, str]] = []
    for row in Adoption.objects.order_by("id"):
        try:
            digest = packs.digest_of(row.pack, row.version)
        except Refused:
            digest = b""
        if digest != bytes(row.digest):
            changed.append((row.id, f"{row.pack}@{row.version}"))
    return changed


def only_open_event() -> int:
    """The one event that is open. Refuses when there is none (`no_event`) or several (`event_ambiguous`)."""
    open_ones = list(Event.objects.filter(ended_on=None).order_by("id").values_list("id", "name")[:2])
    if not open_ones:
        raise Refused("no_event", "没有进行中的事件，请先建立事件。", "No event is open; open one first.")
    if len(open_ones) > 1:
        raise Refused("event_ambiguous", "有几个进行中的事件，请用 --event 指明。", "Several events are open; name one with --event.")
    return open_ones[0][0]
