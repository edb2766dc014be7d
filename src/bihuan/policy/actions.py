"""Every write about what is in force: open and end an event, adopt a pack or an overlay, end an adoption.

Who may is asked by the caller (posts and permissions live on a sister floor); how many must sign is asked here.
"""

from __future__ import annotations

from datetime import date, timedelta

from django.db import IntegrityError, transaction

from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.policy import pack as packs
from bihuan.policy import queries
from bihuan.policy.models import Adoption, Event
from bihuan.regions.queries import scope_of


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
    if not basis.strip():
        raise Refused("adoption_without_basis", "请写明采用的依据（文件名、文号）", "say the basis of the adoption (document and number)")
    with transaction.atomic():
        row_event = _event(event)
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
            )
        if expires_on and expires_on < from_on:
            raise Refused("adoption_expired", f"失效日期 {expires_on} 早于采用日期", f"it would expire on {expires_on}, before it begins")
        before = _before(event, region, from_on)
        if overlay is None:
            disease, after = base.disease, None  # type: ignore[union-attr]
        else:
            if before is None or before.base_key not in overlay.overlay_of:
                raise Refused(
                    "overlay_without_base",
                    f"这里没有采用《{overlay.title_zh}》所补充的方案",
                    f"the pack that “{overlay.title_en}” adds to is not in force here",
                )
            others = [other for other in before.overlays if other.id != overlay.id]
            before = packs.merge(packs.load(before.document.id, before.document.version), others)
            disease, after = before.disease, packs.merge(before, [overlay])
        if disease != row_event.disease:
            raise Refused("pack_of_another_disease", "方案与事件的病种不同", "the pack is for another disease than the event")
        stricter = [change.path for change in packs.diff(before, after) if change.stricter] if before and after else []
        if stricter:
            _answered_for(by, approved_by, reason, expires_on)
        fields = {"event_id": event, "region_id": region, "pack": pack, "version": version, "from_on": from_on}
        same = Adoption.objects.filter(**fields, to_on=None, basis=basis, by=by, approved_by=approved_by).first()
        if same is not None:
            return same
        rivals = Adoption.objects.filter(event_id=event, region_id=region, overlay=bool(overlay), to_on=None, from_on__lte=from_on)
        (rivals.filter(pack=pack) if overlay else rivals).update(to_on=from_on)
        try:
            with transaction.atomic():
                row = Adoption.objects.create(
                    **fields, overlay=bool(overlay), stricter=stricter, basis=basis, by=by, approved_by=approved_by, reason=reason,
                    expires_on=expires_on, digest=packs.digest_of(pack, version), recorded_at=clock.now(),
                )  # fmt: skip
        except IntegrityError as error:
            raise Refused(
                "adoption_overlaps",
                f"{from_on} 以后已采用另一方案，请先结束那一次采用",
                f"another adoption begins after {from_on}; end that one first",
            ) from error
    transaction.on_commit(queries.forget)
    return row


def end_adoption(*, adoption: int, on: date) -> Adoption:
    """Let an adoption count no longer from the beginning of a day. What it decided before stays as it was decided."""
    with transaction.atomic():
        row = Adoption.objects.select_for_update().filter(pk=adoption).first()
        if row is None:
            raise Refused("adoption_unknown", "没有这次采用", "there is no such adoption")
        row.to_on = max(on, row.from_on)
        row.save(update_fields=["to_on"])
    transaction.on_commit(queries.forget)
    return row


def _event(event: int) -> Event:
    row = Event.objects.select_for_update().filter(pk=event).first()
    if row is None:
        raise Refused("event_unknown", "没有这个事件", "there is no such event")
    return row


def _before(event: int, region: int, on: date) -> packs.Pack | None:
    """What is in force at the region on that day so far; None where nothing is."""
    queries.forget()
    try:
        return queries.plan(event, on).pack_for(scope_of(region, on))
    except Refused as refused:
        if refused.code != "no_pack_in_force":
            raise
        return None
    except LookupError as error:
        raise Refused("region_without_scope", "这个地区在那一天没有管辖范围", "the region has no scope on that day") from error


def _answered_for(by: int, approved_by: int | None, reason: str, expires_on: date | None) -> None:
    if approved_by is None or approved_by == by:
        raise Refused(
            "adoption_needs_second_signer",
            "比现行方案更严，须由另一人批准",
            "it is stricter than what is in force: a second officer must approve it",
        )
    if not reason or expires_on is None:
        raise Refused(
            "overlay_incomplete",
            "比现行方案更严，须写明理由和失效日期",
            "it is stricter than what is in force: say why, and when it ends",
        )
