"""Changing jurisdiction and ending units: the regions' part.

Open duties are moved by the loops floor, in the same transaction, from what these functions return. Both take effect
on the product's day, not ahead of it: a unit's parent has no dates, so a change for tomorrow is made tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused

from .scopes import as_scope, enclosing, is_grid, level_span, span_of
from .units import rebuild_lines

# Two changes at once would each judge the tables before the other's change. They are rare: one at a time.
_LOCK = "LOCK TABLE region_scope, unit IN SHARE ROW EXCLUSIVE MODE"

_MOVE = """
WITH ended AS (
    UPDATE region_scope SET valid = daterange(lower(valid), %(on)s)
    WHERE scope >= %(lo)s AND scope < %(hi)s AND valid @> %(on)s::date
    RETURNING region_id, scope
)
INSERT INTO region_scope (region_id, scope, valid)
SELECT region_id, scope + %(shift)s, daterange(%(on)s, NULL) FROM ended
RETURNING region_id, scope - %(shift)s, scope
"""

# Only the top of what moved changes its parent; everything below keeps its own.
_REPARENT = """
UPDATE unit u SET parent_id = %(parent)s
FROM unit old
WHERE u.region_id = ANY (%(moved)s) AND upper_inf(u.valid) AND u.id <> %(parent)s AND u.parent_id <> %(parent)s
    AND old.id = u.parent_id AND old.region_id <> ALL (%(moved)s)
RETURNING u.id
"""


@dataclass(frozen=True)
class Recoded:
    """What a recode changed.

    `regions`: (region id, old scope, new scope) of the region and of everything in its range.
    `desks`: desk that no longer commands there -> desk that now does, for every level where they differ; open duties
    of these regions that one of the keys owns go to its value.
    `reparented`: units that now stand under another unit.
    """

    regions: tuple[tuple[int, int, int], ...]
    desks: dict[int, int] = field(default_factory=dict)
    reparented: tuple[int, ...] = ()


@dataclass(frozen=True)
class Closed:
    """A unit that ended: its open duties go to `successor`; `children` now stand under the successor."""

    unit: int
    successor: int
    children: tuple[int, ...]


def recode(region: int, new_scope: int | str, from_on: date) -> Recoded:
    """Put a region (county, township or village) and all in its range under another scope code from a day on.

    `new_scope` has 12 or 15 digits and the shape of the region's level. The old codes end that day, their days before
    stay. Refuses: an unknown region; a day ahead of today, or not after the last change of anything that moves; a
    code of another shape, in use that day, unchanged, outside the city, or in no region's range.
    Locks both tables against other changes until the transaction ends.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        cursor.execute(
            "SELECT r.level, r.name, s.scope FROM region r "
            "LEFT JOIN region_scope s ON s.region_id = r.id AND s.valid @> %s::date WHERE r.id = %s",
            [from_on, region],
        )
        row = cursor.fetchone()
        if row is None or row[2] is None:
            raise Refused("region_unknown", f"没有编号为 {region} 的辖区。", f"There is no region number {region}.", str(region))
        level, name, old = row
        new = _checked_scope(name, level, old, new_scope)
        if from_on > clock.today():
            raise Refused(
                "recode_in_future",
                f"{name}的调整日期 {from_on} 还没有到，请在当天办理。",
                f"The day of the change of {name}, {from_on}, has not come; make it on that day.",
                str(from_on),
            )
        lo, hi = span_of(old, level)
        _refuse_if_changed_since(cursor, name, lo, hi, from_on)
        _refuse_if_taken(cursor, name, new, level, from_on)
        if not _region_with(cursor, enclosing(new, level - 1), from_on):
            raise Refused(
                "scope_without_parent",
                f"代码 {new} 不在任何上级辖区的范围内。",
                f"Code {new} lies in the range of no region above.",
                str(new),
            )
        desks = _desks_that_change(cursor, old, new, level, from_on)
        cursor.execute(_MOVE, {"on": from_on, "lo": lo, "hi": hi, "shift": new - old})
        regions = tuple(sorted(cursor.fetchall()))
        reparented: list[int] = []
        parent = _desk_at_or_above(cursor, new, level - 1, from_on)
        if parent is not None:
            cursor.execute(_REPARENT, {"parent": parent, "moved": [moved for moved, _, _ in regions]})
            reparented = [unit for (unit,) in cursor.fetchall()]
        rebuild_lines()
        return Recoded(regions, desks, tuple(sorted(reparented)))


def close_unit(unit: int, successor: int, on: date) -> Closed:
    """End a unit on the day `on` (its last day is the one before); `successor` answers for it from then.

    Its children stand under the successor, and units that it had itself succeeded name the new successor.
    Refuses: a unit unknown or not in office; a successor that is missing, ended, the unit itself, below it, or of
    another city; a day ahead of today or not after the unit's first. Locks both tables until the transaction ends.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        ending = _unit(cursor, unit, on)
        if ending is None or not ending.in_office:
            raise Refused(
                "unit_not_in_office",
                f"单位 {_label(ending, unit)} 在 {on} 不在任，不能撤销。",
                f"Unit {_label(ending, unit)} is not in office on {on} and cannot be closed.",
                str(unit),
            )
        if on > clock.today():
            raise Refused(
                "close_in_future",
                f"撤销日期 {on} 还没有到，请在当天办理。",
                f"The closing day {on} has not come; close the unit on that day.",
                str(on),
            )
        if ending.began_on == on:
            raise Refused(
                "close_before_it_began",
                f"{ending.name} {on} 才设立，最早次日撤销。",
                f"{ending.name} began on {on}; it can end on the next day at the earliest.",
                str(on),
            )
        heir = _unit(cursor, successor, on)
        _refuse_successor(cursor, ending, heir, successor, on)
        cursor.execute("UPDATE unit SET parent_id = %s WHERE parent_id = %s RETURNING id", [successor, unit])
        children = tuple(sorted(child for (child,) in cursor.fetchall()))
        cursor.execute("UPDATE unit SET successor_id = %s WHERE successor_id = %s", [successor, unit])
        cursor.execute("UPDATE unit SET valid = daterange(lower(valid), %s), successor_id = %s WHERE id = %s", [on, successor, unit])
        rebuild_lines()
        return Closed(unit, successor, children)


@dataclass(frozen=True)
class _Seen:
    id: int
    name: str
    in_office: bool
    began_on: date | None
    city: int | None


def _unit(cursor, unit: int, on: date) -> _Seen | None:
    cursor.execute(
        "SELECT u.id, u.name, u.valid @> %(on)s::date AND upper_inf(u.valid), lower(u.valid), s.scope "
        "FROM unit u LEFT JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(on)s::date WHERE u.id = %(unit)s",
        {"on": on, "unit": unit},
    )
    row = cursor.fetchone()
    return row and _Seen(*row[:4], city=None if row[4] is None else enclosing(row[4], 2))


def _label(seen: _Seen | None, unit: int) -> str:
    return seen.name if seen else str(unit)


def _refuse_successor(cursor, ending: _Seen, heir: _Seen | None, successor: int, on: date) -> None:
    if heir is None:
        raise Refused(
            "successor_missing",
            f"{ending.name}没有接替单位：没有编号为 {successor} 的单位。",
            f"{ending.name} has no successor: there is no unit number {successor}.",
            str(successor),
        )
    if heir.id == ending.id:
        raise Refused(
            "successor_itself",
            f"{ending.name}不能接替自己。",
            f"{ending.name} cannot succeed itself.",
            str(successor),
        )
    if not heir.in_office:
        raise Refused(
            "successor_ended",
            f"接替单位{heir.name}在 {on} 不在任。",
            f"The successor {heir.name} is not in office on {on}.",
            str(successor),
        )
    if heir.city != ending.city:
        raise Refused(
            "successor_outside_city",
            f"接替单位{heir.name}不属于同一城市。",
            f"The successor {heir.name} belongs to another city.",
            str(successor),
        )
    cursor.execute(
        "WITH RECURSIVE above (id) AS (SELECT parent_id FROM unit WHERE id = %s "
        "UNION SELECT u.parent_id FROM above JOIN unit u ON u.id = above.id) SELECT FROM above WHERE id = %s",
        [heir.id, ending.id],
    )
    if cursor.rowcount:
        raise Refused(
            "successor_below",
            f"{heir.name}是{ending.name}的下级，不能接替它。",
            f"{heir.name} stands under {ending.name} and cannot succeed it.",
            str(successor),
        )


def _checked_scope(name: str, level: int, old: int, new_scope: int | str) -> int:
    """The new code as 15 digits, of the right shape for the level and inside the city."""
    try:
        new = as_scope(new_scope)
    except ValueError:
        new = 0
    if level < 3 or new == 0 or len(str(new_scope)) not in (12, 15) or is_grid(new) or new % level_span(level):
        raise Refused(
            "scope_shape",
            f"{new_scope} 不能作{name}的管辖代码：位数或层级不对。",
            f"{new_scope} cannot be the scope code of {name}: wrong number of digits, or of another level.",
            str(new_scope),
        )
    if new == old:
        raise Refused(
            "scope_unchanged",
            f"{name}已经是代码 {new}。",
            f"{name} already has the code {new}.",
            str(new_scope),
        )
    if enclosing(new, 2) != enclosing(old, 2):
        raise Refused(
            "scope_outside_city",
            f"代码 {new} 不在{name}所属的城市。",
            f"Code {new} is outside the city of {name}.",
            str(new_scope),
        )
    return new


def _refuse_if_changed_since(cursor, name: str, lo: int, hi: int, on: date) -> None:
    cursor.execute(
        "SELECT max(lower(later.valid)) FROM region_scope s JOIN region_scope later ON later.region_id = s.region_id "
        "WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND s.valid @> %(on)s::date AND lower(later.valid) >= %(on)s::date",
        {"lo": lo, "hi": hi, "on": on},
    )
    last = cursor.fetchone()[0]
    if last is not None:
        raise Refused(
            "recode_before_last_change",
            f"{name}或其下辖区已在 {last} 调整过，新的调整必须晚于这一天。",
            f"{name} or a region below it was changed on {last}; a new change must be later.",
            str(on),
        )


def _refuse_if_taken(cursor, name: str, new: int, level: int, on: date) -> None:
    # A code whose lower digits are all noughts is also the code of the region around it (a village directly under a
    # zone): the range of the wider region is not "taken" by it, only its own digits are.
    lo, hi = span_of(new, level)
    cursor.execute(
        "SELECT r.name FROM region_scope s JOIN region r ON r.id = s.region_id "
        "WHERE s.scope >= %s AND s.scope < %s AND s.valid && daterange(%s, NULL) LIMIT 1",
        [lo, hi, on],
    )
    row = cursor.fetchone()
    if row:
        raise Refused(
            "scope_taken",
            f"代码 {new} 在 {on} 或以后已由{row[0]}使用，{name}不能再用。",
            f"Code {new} belongs to {row[0]} on {on} or later; {name} cannot have it.",
            str(new),
        )


def _region_with(cursor, scope: int, on: date) -> bool:
    cursor.execute("SELECT FROM region_scope WHERE scope = %s AND valid @> %s::date", [scope, on])
    return bool(cursor.rowcount)


def _desk_at_or_above(cursor, scope: int, level: int, on: date) -> int | None:
    """The desk that answers for the region of `level` around a code, or for the nearest above it within the city.

    Where that desk has ended, its successor.
    """
    codes = [enclosing(scope, at) for at in range(2, level + 1)]
    cursor.execute(
        "SELECT coalesce(heir.id, u.id) FROM region_scope s JOIN unit u ON u.region_id = s.region_id "
        "LEFT JOIN unit heir ON heir.id = u.successor_id AND upper_inf(heir.valid) "
        "WHERE s.scope = ANY (%s) AND s.valid @> %s::date AND u.kind = 'desk' AND (upper_inf(u.valid) OR heir.id IS NOT NULL) "
        "ORDER BY s.scope DESC, heir.id IS NOT NULL, u.id LIMIT 1",
        [codes, on],
    )
    row = cursor.fetchone()
    return row[0] if row else None


def _desks_that_change(cursor, old: int, new: int, level: int, on: date) -> dict[int, int]:
    desks: dict[int, int] = {}
    for at in range(level - 1, 2, -1):
        before, after = _desk_at_or_above(cursor, old, at, on), _desk_at_or_above(cursor, new, at, on)
        if before is not None and after is not None and before != after:
            desks.setdefault(before, after)
    return desks
