"""Every write about what is in force: open and end an event, propose, approve and refuse an adoption, end one.

`propose`, `approve`, `refuse` are what officers do; two of them sign each adoption, each in his or her own session.
`adopt` is what an approval does, and what seeding calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy import pack as packs
from bihuan.policy import queries
from bihuan.policy.document import Overlay
from bihuan.policy.models import Adoption, Event, Proposal
from bihuan.regions.queries import scope_of, scope_range

_DAY = timedelta(days=1)


def open_event(*, disease: str, region: int, name: str, opened_on: date, legal_basis: str, retention: timedelta) -> Event:
    """Open an event at a region. The same event again is the one that is there. Refuses an empty legal basis."""
    if not legal_basis.strip():
        raise Refused("event_without_basis", "请写明依据（文件名、文号）", "say the legal basis (document and number)")
    given = {"opened_on": opened_on, "legal_basis": legal_basis, "retention": retention}
    event, _ = Event.objects.get_or_create(disease=disease, region_id=region, name=name, defaults=given)
    return event


def end_event(*, event: int, on: date) -> Event:
    """End an event on its last day, once. Refuses a second end on another day, and one before the opening."""
    with transaction.atomic():
        row = _event(event)
        if row.ended_on not in (None, on):
            raise Refused("event_ended", f"事件已于 {row.ended_on} 结束", f"the event ended on {row.ended_on}")
        if on < row.opened_on:
            raise Refused("event_ends_early", "结束日期早于开始日期", "the event would end before it opened")
        row.ended_on = on
        row.save(update_fields=["ended_on"])
        return row


def adopt(
    *,
    event: int,
    region: int,
    pack: str,
    version: str,
    from_on: date,
    basis: str,
    by: int,
    approved_by: int | None = None,
    reason: str = "",
    expires_on: date | None = None,
) -> Adoption:
    """Put a pack or an overlay in force for an event at a region, from the beginning of a day.

    A new base ends the region's base before it; an overlay of the same id ends its earlier version. What an overlay
    says of its reason and end fills what is left out here. The same adoption again is the one that is there.
    Refuses: a file that `load` refuses; another disease; dates outside the pack's; an overlay without a base that it
    may lie upon; without a basis; what is stricter than what it lies upon or replaces, without reason, end, and a
    second signer who is not the first (adoption_needs_second_signer). Only a national base that replaces another base
    is free of the last: nobody here chose its strictness.
    """
    with transaction.atomic():
        row_event = _event(event)
        plan = planned(
            event=row_event, region=region, pack=pack, version=version, from_on=from_on, basis=basis, reason=reason, expires_on=expires_on
        )
        if plan.chosen_stricter:
            _answered_for(by, approved_by)
        fields = {"event_id": event, "region_id": region, "pack": pack, "version": version, "from_on": from_on}
        same = Adoption.objects.filter(**fields, to_on=None, basis=basis, by=by, approved_by=approved_by).first()
        if same is not None:
            return same
        overlay = packs.is_overlay(pack)
        _rivals(event, region, pack).filter(Q(to_on=None) | Q(to_on__gt=from_on), from_on__lte=from_on).update(to_on=from_on)
        try:
            with transaction.atomic():
                row = Adoption.objects.create(
                    **fields, overlay=overlay, stricter=plan.chosen_stricter, basis=basis, by=by, approved_by=approved_by,
                    reason=plan.reason, expires_on=plan.expires_on, digest=packs.digest_of(pack, version), recorded_at=clock.now(),
                )  # fmt: skip
        except IntegrityError as error:
            raise _overlaps(from_on) from error
    transaction.on_commit(queries.forget)
    return row


@dataclass(frozen=True)
class Planned:
    """What an adoption, or its end, would do at its region: what is in force there now and then, and where it is stricter.

    `chosen_stricter` leaves out a national base: nobody here chose its strictness.
    """

    before: packs.Pack | None
    after: packs.Pack | None
    stricter: list[str]
    chosen_stricter: list[str]
    reason: str
    expires_on: date | None


def planned(
    *, event: Event, region: int, pack: str, version: str, from_on: date, basis: str, reason: str = "", expires_on: date | None = None
) -> Planned:
    """What `adopt` with the same values would do. Reads only; refuses as `adopt` does, but for the second signer."""
    if not basis.strip():
        raise Refused(
            "adoption_without_basis", "请写明采用的依据（文件名、文号）", "say the basis of the adoption (document and number)", "basis"
        )
    overlay = packs.load_overlay(pack, version) if packs.is_overlay(pack) else None
    base = None if overlay else packs.load(pack, version)
    chosen = overlay or base.document  # type: ignore[union-attr]
    ends = [end for end in (expires_on, overlay.expires_on if overlay else None) if end]
    expires_on = min(ends, default=None)
    reason = reason.strip() or (overlay.reason if overlay else "")
    if from_on < chosen.in_force_from or (chosen.in_force_to and from_on > chosen.in_force_to):
        raise Refused(
            "pack_not_in_force",
            f"《{chosen.title_zh}》施行于 {chosen.in_force_from} 至 {chosen.in_force_to or '今'}，{from_on} 不能采用",
            f"“{chosen.title_en}” is in force from {chosen.in_force_from} to {chosen.in_force_to or 'now'}, not on {from_on}",
            "from_on",
        )
    if expires_on and expires_on < from_on:
        raise Refused(
            "adoption_expired", f"失效日期 {expires_on} 早于采用日期", f"it would expire on {expires_on}, before it begins", "expires_on"
        )
    later = _rivals(event.id, region, pack).filter(from_on__gt=from_on).exclude(to_on=F("from_on")).order_by("from_on").first()
    if later is not None:
        raise _overlaps(later.from_on)
    before = _before(event.id, region, from_on)
    if overlay is None:
        assert base is not None
        disease, lies_upon = base.disease, None
        after = packs.merge(base, [o for o in before.overlays if base.base_key in o.overlay_of]) if before else base
    else:
        if before is None or before.base_key not in overlay.overlay_of:
            raise Refused(
                "overlay_without_base",
                f"这里没有采用《{overlay.title_zh}》所补充的方案",
                f"the pack that “{overlay.title_en}” adds to is not in force here",
            )
        lies_upon = _without(before, overlay)
        disease, after = before.disease, packs.merge(lies_upon, [overlay])
    if disease != event.disease:
        raise Refused("pack_of_another_disease", "方案与事件的病种不同", "the pack is for another disease than the event")
    chosen_stricter = _stricter(lies_upon, after) if lies_upon else []
    if chosen_stricter and (not reason or expires_on is None):
        raise Refused(
            "overlay_incomplete",
            "比现行方案更严，须写明理由和失效日期",
            "it is stricter than what is in force: say why, and when it ends",
            "reason" if not reason else "expires_on",
        )
    return Planned(before, after, _stricter(before, after) if before else [], chosen_stricter, reason, expires_on)


def _rivals(event: int, region: int, pack: str) -> QuerySet[Adoption]:
    """Adoptions of which only one counts on a day with this one: the region's bases, or the same overlay."""
    overlay = packs.is_overlay(pack)
    found = Adoption.objects.filter(event_id=event, region_id=region, overlay=overlay)
    return found.filter(pack=pack) if overlay else found


def _overlaps(later: date) -> Refused:
    return Refused(
        "adoption_overlaps",
        f"这里已定自 {later} 起采用另一版。请先在“防控规定”页撤回那一次，再定更早的日子",
        f"another version is adopted here from {later}; withdraw that one on the page of rules first",
        "from_on",
    )


def planned_end(*, adoption: Adoption, on: date, basis: str) -> Planned:
    """What the end of an adoption on a day would do. Reads only.

    Announced and not yet begun, it is withdrawn on the day on which it would have begun, and what it had ended goes on.
    Refuses: without a basis; a day before tomorrow where it has begun, or other than its first where it has not
    (adoption_begun, adoption_not_begun); what is over by then (adoption_over); where nothing would be in force any more
    (adoption_leaves_nothing): another version is adopted instead.
    """
    if not basis.strip():
        raise Refused("adoption_without_basis", "请写明依据（文件名、文号）", "say the basis (document and number)", "basis")
    ends = [end for end in (adoption.to_on, adoption.expires_on + _DAY if adoption.expires_on else None) if end]
    if ends and min(ends) <= max(on, adoption.from_on):
        raise Refused("adoption_over", "到那一天它已经结束了", "it is over by that day", "from_on")
    if adoption.from_on > clock.today() and on != adoption.from_on:
        raise Refused(
            "adoption_not_begun",
            f"它定在 {adoption.from_on} 开始，还没有执行：要撤回，日期写 {adoption.from_on}",
            f"it begins on {adoption.from_on} and has not begun: to withdraw it, write {adoption.from_on}",
            "from_on",
        )
    if adoption.from_on <= clock.today() and on <= clock.today():
        raise Refused(
            "adoption_begun",
            "它已经在执行，今天的事按它办完；最早从明天起结束",
            "it is in force, and today is worked by it; it ends tomorrow at the earliest",
            "from_on",
        )
    before = _before(adoption.event_id, adoption.region_id, on)
    after = _after_end(adoption, on)
    if after is None and adoption.from_on <= clock.today():
        raise Refused(
            "adoption_leaves_nothing",
            "结束以后这里就没有方案了。请直接采用另一版（可以是原来的那一版），它自然接替",
            "nothing would be in force here. Adopt another version instead (it may be the earlier one); it takes over by itself",
        )
    stricter = _stricter(before, after) if before and after else []
    return Planned(before, after, stricter, [], "", None)


def _after_end(adoption: Adoption, on: date) -> packs.Pack | None:
    queries.forget()
    here = queries.plan(adoption.event_id, on)
    scope = _scope(adoption.region_id, on)
    lo, hi = scope_range(adoption.region_id, on)
    more = [queries.Adopted(r.id, r.pack, r.version, r.overlay, lo, hi) for r in queries.goes_on_without(adoption, on)]
    rows = sorted([*(r for r in here.adopted if r.id != adoption.id), *more], key=lambda r: (r.lo - r.hi, r.id))
    return _pack_at(queries.Plan(adoption.event_id, on, tuple(rows)), scope)


def _stricter(before: packs.Pack, after: packs.Pack) -> list[str]:
    return [change.path for change in packs.diff(before, after) if change.stricter]


def _without(pack: packs.Pack, overlay: Overlay) -> packs.Pack:
    """What an overlay lies upon: the pack without an earlier version of it."""
    others = [other for other in pack.overlays if other.id != overlay.id]
    return packs.merge(packs.load(pack.document.id, pack.document.version), others)


@action
def propose(
    *,
    by,
    event: int,
    region: int,
    pack: str,
    version: str,
    from_on: date,
    basis: str,
    act: UUID,
    reason: str = "",
    expires_on: date | None = None,
) -> Proposal:
    """Propose that a region works by a pack or an overlay from the beginning of a day. Nothing is in force by it.

    The same act again is the proposal that is there. Refuses what `planned` refuses; a day before today
    (adoption_in_the_past); what already waits for a signature (proposal_waits); without PACK_ADOPT for the region.
    """
    require(by, Permission.PACK_ADOPT, scope=_scope(region, from_on))
    same = Proposal.objects.filter(act=act, by_officer=by.officer_id).first()
    if same is not None:
        return same
    with engine():
        row_event = _event(event)
    _not_past(from_on)
    plan = planned(
        event=row_event, region=region, pack=pack, version=version, from_on=from_on, basis=basis, reason=reason, expires_on=expires_on
    )
    waiting = Proposal.objects.filter(event_id=event, region_id=region, pack=pack, version=version, from_on=from_on, outcome=None).first()
    if waiting is not None:
        raise _waits(waiting)
    with engine():
        return Proposal.objects.create(
            act=act, event_id=event, region_id=region, pack=pack, version=version, from_on=from_on, basis=basis.strip(),
            reason=plan.reason, expires_on=plan.expires_on, before=plan.before.key if plan.before else "", after=plan.after.key,
            stricter=plan.stricter, digest=packs.digest_of(pack, version), by=by.id, by_officer=by.officer_id, proposed_at=clock.now(),
        )  # fmt: skip


@action
def propose_end(*, by, adoption: int, on: date, basis: str, act: UUID) -> Proposal:
    """Propose that an adoption counts no longer from the beginning of a day, or is withdrawn before it begins.

    The same act again is the proposal that is there. Refuses what `planned_end` refuses; what is not there
    (adoption_unknown); what already waits for a signature (proposal_waits); without PACK_ADOPT for the region.
    """
    row = Adoption.objects.filter(pk=adoption).first()
    if row is None:
        raise _unknown()
    require(by, Permission.PACK_ADOPT, scope=_scope(row.region_id, clock.today()))
    same = Proposal.objects.filter(act=act, by_officer=by.officer_id).first()
    if same is not None:
        return same
    plan = planned_end(adoption=row, on=on, basis=basis)
    waiting = Proposal.objects.filter(ends=row, outcome=None).first()
    if waiting is not None:
        raise _waits(waiting)
    with engine():
        return Proposal.objects.create(
            act=act, event_id=row.event_id, region_id=row.region_id, pack=row.pack, version=row.version, from_on=on, basis=basis.strip(),
            before=plan.before.key if plan.before else "", after=plan.after.key if plan.after else "", stricter=plan.stricter,
            digest=bytes(row.digest), ends=row, by=by.id, by_officer=by.officer_id, proposed_at=clock.now(),
        )  # fmt: skip


@action
def approve(*, by, proposal: int) -> Proposal:
    """Sign a proposal as the second officer: from its day on the region works by it. Locks the proposal.

    What was approved stays so when approved again. Refuses: without PACK_ADOPT for the region; the proposer, in
    whichever post (adoption_needs_second_signer); what was refused or withdrawn (proposal_decided); a day that is past;
    a file that says something else than when it was proposed (pack_changed); rules that have changed there since
    (proposal_stale): the signers would not sign what they were shown.
    """
    with engine():
        row = _waiting(by, proposal, Proposal.Outcome.APPROVED)
        if row.outcome:
            return row
        if row.by_officer == by.officer_id:
            raise Refused(
                "adoption_needs_second_signer",
                "提出的人不能自己批准，须由另一人登录后批准",
                "who proposed it cannot approve it: another officer signs in and approves",
            )
        if row.ends_id:
            return _end_signed(row, by)
        _not_past(row.from_on)
        if packs.digest_of(row.pack, row.version) != bytes(row.digest):
            raise Refused(
                "pack_changed",
                "方案文件在提出以后被改过，请退回，按现在的文件重新提出",
                "the pack's file was changed after the proposal; refuse it and propose again",
            )
        before = _before(row.event_id, row.region_id, row.from_on)
        if (before.key if before else "") != row.before:
            raise _stale()
        adopted = adopt(
            event=row.event_id, region=row.region_id, pack=row.pack, version=row.version, from_on=row.from_on, basis=row.basis,
            by=row.by, approved_by=by.id, reason=row.reason, expires_on=row.expires_on,
        )  # fmt: skip
        return _decide(row, by, Proposal.Outcome.APPROVED, adoption=adopted)


def _end_signed(row: Proposal, by) -> Proposal:
    """The second signature of an end: the adoption ends, and what it had ended goes on where it never began."""
    ends = Adoption.objects.select_for_update().get(pk=row.ends_id)
    plan = planned_end(adoption=ends, on=row.from_on, basis=row.basis)
    if (plan.before.key if plan.before else "", plan.after.key if plan.after else "") != (row.before, row.after):
        raise _stale()
    goes_on, until = queries.goes_on_without(ends, row.from_on), ends.to_on
    end_adoption(adoption=ends.id, on=row.from_on)
    for other in goes_on:
        other.to_on = until
        other.save(update_fields=["to_on"])
    return _decide(row, by, Proposal.Outcome.APPROVED)


def _stale() -> Refused:
    return Refused(
        "proposal_stale",
        "提出以后这里的现行方案已经变了，影响也变了。请退回，重新提出",
        "what is in force there has changed since, and so has the effect; refuse it and propose again",
    )


def _waits(waiting: Proposal) -> Refused:
    return Refused(
        "proposal_waits",
        f"同样的建议已经提出（第 {waiting.id} 号），等另一人批准",
        f"the same waits for approval as no. {waiting.id}",
    )


def _unknown() -> Refused:
    return Refused("adoption_unknown", "没有这次采用", "there is no such adoption")


@action
def refuse(*, by, proposal: int, note: str) -> Proposal:
    """Send a proposal back with a reason; by its proposer it is withdrawn. Refuses: no reason; what is decided already."""
    if not note.strip():
        raise Refused("note_missing", "请写明为什么不同意", "say why it is not agreed to", "note")
    with engine():
        own = Proposal.objects.filter(pk=proposal, by_officer=by.officer_id).exists()
        outcome = Proposal.Outcome.WITHDRAWN if own else Proposal.Outcome.REFUSED
        row = _waiting(by, proposal, outcome)
        return row if row.outcome else _decide(row, by, outcome, note=note.strip())


def _waiting(by, proposal: int, outcome: str) -> Proposal:
    """The proposal, locked; decided already only in the way that is asked for now."""
    row = Proposal.objects.select_for_update().filter(pk=proposal).first()
    if row is None:
        raise Refused("proposal_unknown", "没有这份采用建议", "there is no such proposal")
    require(by, Permission.PACK_ADOPT, scope=_scope(row.region_id, row.from_on))
    if row.outcome and row.outcome != outcome:
        raise Refused("proposal_decided", "这份采用建议已经办结", "this proposal has been decided already")
    return row


def _decide(row: Proposal, by, outcome: str, *, note: str = "", adoption: Adoption | None = None) -> Proposal:
    row.outcome, row.decided_by, row.decided_officer, row.decided_at = outcome, by.id, by.officer_id, clock.now()
    row.note, row.adoption = note, adoption
    row.save(update_fields=["outcome", "decided_by", "decided_officer", "decided_at", "note", "adoption"])
    return row


def _not_past(from_on: date) -> None:
    if from_on < clock.today():
        raise Refused(
            "adoption_in_the_past",
            f"{from_on} 已经过去：已经办的事不改规矩，请从今天或以后起采用",
            f"{from_on} is past: what was done keeps its rules; adopt from today on",
            "from_on",
        )


def end_adoption(*, adoption: int, on: date) -> Adoption:
    """Let an adoption count no longer from the beginning of a day. What it decided before stays as it was decided."""
    with transaction.atomic():
        row = Adoption.objects.select_for_update().filter(pk=adoption).first()
        if row is None:
            raise _unknown()
        row.to_on = max(on, row.from_on)
        row.save(update_fields=["to_on"])
    transaction.on_commit(queries.forget)
    return row


def _event(event: int) -> Event:
    row = Event.objects.select_for_update().filter(pk=event).first()
    if row is None:
        raise Refused("event_unknown", "没有这个事件", "there is no such event")
    return row


def _scope(region: int, on: date) -> int:
    try:
        return scope_of(region, on)
    except LookupError as error:
        raise Refused("region_without_scope", "这个地区在那一天没有管辖范围", "the region has no scope on that day") from error


def _before(event: int, region: int, on: date) -> packs.Pack | None:
    """What is in force at the region on that day so far; None where nothing is."""
    queries.forget()
    return _pack_at(queries.plan(event, on), _scope(region, on))


def _pack_at(plan: queries.Plan, scope: int) -> packs.Pack | None:
    try:
        return plan.pack_for(scope)
    except Refused as refused:
        if refused.code != "no_pack_in_force":
            raise
        return None


def _answered_for(by: int, approved_by: int | None) -> None:
    if approved_by is None or approved_by == by:
        raise Refused(
            "adoption_needs_second_signer",
            "比现行方案更严，须由另一人批准",
            "it is stricter than what is in force: a second officer must approve it",
        )
