"""Duties changing hands or ending without being met: `offer`, `accept`, `return_`, `assign`, `reassign`, `route`, `waive`.

A transfer has two phases: offered, then accepted; until accepted the giver owns the duty. Only a superior, recoding,
a unit's end or better knowledge of an untouched duty reassigns without asking. All functions take many duties at once,
lock them in order of id, and cost the same number of statements for one duty as for ten thousand. Each act carries the
id that its maker gave it: repeated, it changes nothing and answers the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from bihuan.access.decide import decide, require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission, Role
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.loops import facts, meanwhile
from bihuan.loops.statement import run
from bihuan.loops.touched import touched
from bihuan.loops.writes import BULK_MAX, Duty, Handled, act_known, append, close, end_offers, lock, move, put_offers


def not_here() -> Refused:
    """The same words for "not yours" and "not there": a refusal must not tell that something exists."""
    return Refused("duty_not_found", "没有这件待办，或已办结，或不归您管。", "There is no such open duty, or it is not yours.")


def found(by, loops: Sequence[int], permission: Permission, seen: Mapping[int, str] | None = None) -> list[Duty]:
    """The duties, locked. Refuses when the post may not touch one of them (its place is in range, or the unit holds or is
    offered it), when one is closed, or is no longer as the page showed it (`seen`); who had a part in it is told why.
    """
    require(by, permission)
    with engine():
        duties = lock(loops)
    lo, hi = by.scope
    mine = set()
    for duty in duties:
        holder = by.unit_id if by.unit_id in (duty.owner, duty.offered_to) else None
        if decide(Role(by.role), permission, lo, hi, by.unit_id, duty.scope, holder):
            mine.add(duty.id)
    if missing := sorted(set(loops) - mine):
        raise meanwhile.refusal(by, missing, not_here)
    meanwhile.require_seen(by, duties, seen, not_here)
    return duties


def _owned(by, duties: Sequence[Duty]) -> None:
    """Only the owner's desk, or a desk whose range holds the duty, gives it away."""
    lo, hi = by.scope
    for duty in duties:
        if duty.owner != by.unit_id and not lo <= duty.scope < hi:
            raise Refused("duty_not_held", "这件事现在不在您这里。", "You do not hold this duty.", str(duty.id))


def _living(unit: int) -> None:
    if not run("SELECT 1 FROM unit WHERE id = %s AND valid @> %s::date", (unit, clock.today())):
        raise Refused("unit_ended", "接收单位不存在或已撤销，请另选。", "The receiving unit does not exist or has ended.")


def _within(by, unit: int) -> None:
    """A unit outside the post's range and one that does not exist are one answer; who lies there is asked by `offer`."""
    lo, hi = by.scope
    if not run(
        "SELECT 1 FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(day)s::date"
        " WHERE u.id = %(unit)s AND u.valid @> %(day)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s",
        {"unit": unit, "day": clock.today(), "lo": lo, "hi": hi},
    ):
        raise Refused(
            "unit_not_found",
            "没有这个单位，或不归您管；要交给别处请用移交。",
            "There is no such unit in your range; offer the duty to others.",
        )


def offer(*, by, loops: Sequence[int], to_unit: int, reason: str, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """Ask another unit to take duties over; the giver owns them until they are accepted (minutes from the pack).

    Refuses: a duty that is not open, not one's own, already offered (`already_offered`), or offered to its owner; a
    unit that has ended; an empty reason.
    """
    if act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明移交原因。", "Please give the reason.", "reason")
    _living(to_unit)
    duties = found(by, loops, Permission.DUTY_MOVE, seen)
    _owned(by, duties)
    for duty in duties:
        if duty.offered_to is not None:
            last = meanwhile.refusal(by, [duty.id], not_here)
            raise Refused(
                "already_offered",
                f"这件事已在移交中，请等对方接收或先撤回。{last.zh}",
                f"This duty is already offered. {last.en}",
                str(duty.id),
            )
        if duty.owner == to_unit:
            raise Refused("offer_to_owner", "这件事本来就在该单位。", "That unit already owns this duty.", str(duty.id))
    put_offers(duties, {duty.id: to_unit for duty in duties}, by, act, reason)
    return Handled(len(duties), act)


def accept(*, by, loops: Sequence[int], act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """Take over duties offered to one's unit: from now on it owns them.

    Refuses: not offered to this unit (`not_offered`), or the offer has run out (`offer_expired`).
    """
    if act_known(act):
        return Handled(len(loops), act, repeated=True)
    duties = found(by, loops, Permission.DUTY_MOVE, seen)
    now = clock.now()
    for duty in duties:
        if duty.offered_to != by.unit_id:
            last = meanwhile.refusal(by, [duty.id], not_here)
            raise Refused(
                "not_offered", f"这件事没有移交给您单位。{last.zh}", f"This duty is not offered to your unit. {last.en}", str(duty.id)
            )
        if duty.offered_until <= now:
            raise Refused("offer_expired", "移交已过时，请对方重新移交。", "The offer has run out; ask for it again.", str(duty.id))
    made = append(facts.ACCEPTED, duties, by, act, {"unit": by.unit_id})
    n = move(made, {duty.id: by.unit_id for duty in duties}, "accepted", place=False)
    return Handled(n, act)


def return_(*, by, loops: Sequence[int], reason: str, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """End an offer without taking it: the unit asked declines, or the giver withdraws. The giver still owns it."""
    if act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明退回原因。", "Please give the reason.", "reason")
    duties = found(by, loops, Permission.DUTY_MOVE, seen)
    for duty in duties:
        if duty.offered_to is None:
            last = meanwhile.refusal(by, [duty.id], not_here)
            raise Refused("not_offered", f"这件事不在移交中。{last.zh}", f"This duty is not offered. {last.en}", str(duty.id))
    end_offers(duties, facts.RETURNED, "returned", by, act, reason)
    return Handled(len(duties), act)


def expire_offers(*, by) -> int:
    """Offers that ran out end; the giver still owns the duty. Called by the clock with its own post."""
    with engine():
        late = [i for (i,) in run("SELECT id FROM loop WHERE closed_at IS NULL AND offered_until <= %s LIMIT %s", (clock.now(), BULK_MAX))]
        duties = [duty for duty in lock(late) if duty.offered_until is not None and duty.offered_until <= clock.now()]
    if duties:
        # The act is computed from what expires, so that two clocks at once make the same facts.
        first = duties[0]
        act = ids.derived_id(ids.lowest_id(first.offered_until), "expired", *(f"{d.id}@{d.offered_until.timestamp()}" for d in duties))
        end_offers(duties, facts.EXPIRED, "expired", by, act, "")
    return len(duties)


def assign(*, by, loops: Sequence[int], officer: int | None, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """Name the officer of the owner's unit who works on duties (None: nobody in particular). The unit stays owner."""
    if act_known(act):
        return Handled(len(loops), act, repeated=True)
    duties = found(by, loops, Permission.DUTY_MOVE, seen)
    _owned(by, duties)
    if officer is not None:
        owners = {duty.owner for duty in duties}
        held = run(
            "SELECT count(DISTINCT unit) FROM post WHERE officer = %s AND unit = ANY(%s) AND valid @> %s::date",
            (officer, list(owners), clock.today()),
        )
        if held[0][0] < len(owners):
            raise Refused("officer_elsewhere", "该人员不在承办单位任职。", "That officer holds no post in the owner's unit.", "officer")
    append(facts.ASSIGNED, duties, by, act, {"unit": [d.owner for d in duties], "officer": officer})
    with engine():
        run("UPDATE loop SET assignee = %s WHERE id = ANY(%s)", (officer, [duty.id for duty in duties]))
    return Handled(len(duties), act)


def reassign(
    *, by, loops: Sequence[int], to_unit: int, reason: str, act: UUID, seen: Mapping[int, str] | None = None, place: bool = False
) -> Handled:
    """Move duties at once, as a superior: the post's range must hold them and the receiving unit, and its own unit stands
    above a single village. Refuses a receiver out of range (`unit_not_found`): nobody is made to answer for another's people.
    """
    if act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明改派原因。", "Please give the reason.", "reason")
    duties = found(by, loops, Permission.DUTY_MOVE, seen)
    lo, hi = by.scope
    for duty in duties:
        if Role(by.role) not in (Role.CITY_DESK, Role.COUNTY_DESK, Role.TOWNSHIP_DESK) or not lo <= duty.scope < hi:
            raise Refused(
                "not_superior", "只有上级专班可以直接改派；请用移交。", "Only a superior desk reassigns; offer it instead.", str(duty.id)
            )
    _within(by, to_unit)
    moving = [duty for duty in duties if duty.owner != to_unit]
    if moving:
        route({duty.id: to_unit for duty in moving}, by=by, act=act, reason=reason, place=place, force=True)
    return Handled(len(moving), act)


def route(unit_of: Mapping[int, int], *, by, act: UUID, reason: str, place: bool = True, force: bool = False) -> tuple[int, int]:
    """Better knowledge of where a duty belongs: untouched duties are reassigned, touched ones offered.

    `unit_of`: duty -> the unit where it belongs. `force` reassigns touched ones too (recoding, a unit's end, a
    superior). `place` moves the duty's region along. Returns (reassigned, offered). Permission was decided by the
    caller; duties already there, closed, or already offered there are left alone.
    """
    with engine():
        duties = [d for d in lock(unit_of) if d.owner != unit_of[d.id]]
    worked_on = set() if force else touched([duty.id for duty in duties])
    now = [duty for duty in duties if duty.id not in worked_on]
    later = [duty for duty in duties if duty.id in worked_on and duty.offered_to is None]
    if now:
        made = append(facts.REASSIGNED, now, by, act, {"unit": [unit_of[d.id] for d in now], "reason": reason})
        move(made, unit_of, "reassigned", place=place)
    if later:
        put_offers(later, unit_of, by, act, reason)
    return len(now), len(later)


def waive(*, by, loops: Sequence[int], reason: str, act: UUID, seen: Mapping[int, str] | None = None) -> Handled:
    """End duties without what they ask for, signed by the post, with a reason."""
    if act_known(act):
        return Handled(len(loops), act, repeated=True)
    if not reason.strip():
        raise Refused("reason_missing", "请写明免办原因。", "Please give the reason.", "reason")
    duties = found(by, loops, Permission.DUTY_WAIVE, seen)
    made = append(facts.WAIVED, duties, by, act, {"reason": reason})
    return Handled(close(made, "waived"), act)
