"""Everything that an officer does with a lead. Reports that come in lists enter through `report.report_leads`."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from django.db import connection

from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads import facts
from bihuan.leads.loops import REFER, RESULT, SAMPLE, VERIFY
from bihuan.leads.models import Lead
from bihuan.leads.reconcile import after_withdrawal
from bihuan.ledger.facts import Decision
from bihuan.loops import conflicts, handle, withdraw
from bihuan.loops.record import Done, record
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions


class _Duty:
    """The open duty of a kind for a lead's person and arrival, locked; None fields where there is none."""

    def __init__(self, lead: Lead, kind: str) -> None:
        with engine(), connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT l.id, l.subject, l.owner, l.scope, l.region, l.opened_at, l.pack, l.offered_to
                FROM loop l LEFT JOIN cluster c ON c.subject = l.subject
                WHERE l.event = %(event)s AND l.kind = %(kind)s AND l.closed_at IS NULL AND l.key = %(key)s
                  AND (l.subject = %(subject)s OR c.root = (SELECT root FROM cluster WHERE subject = %(subject)s))
                ORDER BY l.id LIMIT 1 FOR UPDATE OF l
                """,
                {"event": lead.event, "kind": kind, "key": lead.key, "subject": lead.subject},
            )
            row = cursor.fetchone() or (None,) * 8
        self.id, self.subject, self.owner, self.scope, self.region, self.opened_at, self.pack, self.offered_to = row


def _lead(by, lead: UUID) -> Lead:
    """The lead in the actor's sight; a merged one leads to the one that stands."""
    found = Lead.objects.filter(id=lead).first()
    for _ in range(5):
        if found is None or found.merged_into is None:
            break
        found = Lead.objects.filter(id=found.merged_into).first()
    if found is None:
        raise Refused("lead_not_found", "没有这条核查线索，或不归您管。", "There is no such lead, or it is not yours.")
    return found


def _may(by, permission: Permission, lead: Lead, duty: _Duty) -> None:
    if duty.id is None:
        # Nothing open: what was found is still kept. The lead is in sight, so its place or its holder allowed that.
        require(by, permission)
    else:
        holder = by.unit_id if by.unit_id in (duty.owner, duty.offered_to) else None
        require(by, permission, duty.scope, holder)


def _assigned_at(lead: Lead, duty: _Duty) -> datetime:
    """The one start of the three clocks: the assignment, or the arrival where somebody was not here yet."""
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT max(t.next_try_at) FROM contact_tried t JOIN fact f ON f.id = t.fact
            JOIN cluster c ON c.subject = f.subject
            WHERE f.event = %s AND t.episode = %s AND t.next_try_at IS NOT NULL
              AND c.root = (SELECT root FROM cluster WHERE subject = %s)
              AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
            """,
            (lead.event, lead.key, lead.subject),
        )
        moved = cursor.fetchone()[0]
        cursor.execute(
            """
            SELECT min(l.opened_at) FROM loop l JOIN cluster c ON c.subject = l.subject
            WHERE l.event = %s AND l.kind = %s AND l.key = %s AND c.root = (SELECT root FROM cluster WHERE subject = %s)
            """,
            (lead.event, VERIFY.name, lead.key, lead.subject),
        )
        opened = cursor.fetchone()[0]
    return moved or opened or clock.now()


def _first(kind, id: UUID) -> dict:
    """What the record with this id said when it came first: a repetition derives nothing anew."""
    names = [field.name for field in kind.fields]
    with engine(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(names)} FROM {kind.table} WHERE fact = %s", (id,))
        row = cursor.fetchone()
    return dict(zip(names, row, strict=True)) if row else {}


def _record(kind, lead: Lead, duty: _Duty, details, by, id: UUID, happened_at: datetime | None) -> Done:
    return record(
        kind, event=lead.event, subject=duty.subject or lead.subject, details=details, by=by, id=id,
        happened_at=happened_at, region=duty.region,
    )  # fmt: skip


@action
def start_call(*, by, lead: UUID, fact_id: UUID) -> Done:
    """Hold a person for some minutes (pack) while calling; a record that others see. Safe to repeat.

    Refuses: somebody else is calling (`call_held`), nothing is open (`nothing_to_call`).
    """
    found = _lead(by, lead)
    duty = _Duty(found, VERIFY.name)
    first = _first(facts.CALL_STARTED, fact_id)
    if first:
        return _record(facts.CALL_STARTED, found, duty, facts.CallStarted(**first), by, fact_id, None)
    if duty.id is None:
        raise Refused("nothing_to_call", "已经核查过了，不必再打。", "It is settled; no need to call.")
    _may(by, Permission.LEAD_VERIFY, found, duty)
    now = clock.now()
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.until_at, u.name FROM call_started s JOIN fact f ON f.id = s.fact JOIN cluster c ON c.subject = f.subject
            JOIN unit u ON u.id = f.unit
            WHERE f.event = %s AND c.root = (SELECT root FROM cluster WHERE subject = %s) AND s.until_at > %s
              AND (f."by", f.unit) <> (%s, %s) AND f.id <> %s
              AND NOT EXISTS (SELECT 1 FROM contact_tried t JOIN fact tf ON tf.id = t.fact
                              WHERE tf.subject = f.subject AND tf.unit = f.unit AND tf.received_at >= f.received_at)
              AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)
            ORDER BY s.until_at DESC LIMIT 1
            """,
            (found.event, found.subject, now, by.officer_id, by.unit_id, fact_id),
        )
        held = cursor.fetchone()
    if held:
        until = held[0].astimezone(clock.SHANGHAI).strftime("%H:%M")
        raise Refused("call_held", f"{held[1]}正在打这个电话，保留到{until}。", f"{held[1]} is calling until {until}.")
    details = facts.CallStarted(episode=found.key, until_at=now + packs.by_key(duty.pack).lead.hold)
    return _record(facts.CALL_STARTED, found, duty, details, by, fact_id, None)


@action
def try_contact(
    *, by, lead: UUID, outcome: facts.Tried, fact_id: UUID, reason: str = "", next_try_at: datetime | None = None,
    happened_at: datetime | None = None,
) -> Done:  # fmt: skip
    """Record a try that did not settle it. The duty stays; "not here yet" lets the clocks count from the arrival.

    Refuses: "not agreed" without a reason (`reason_missing`), "not here yet" without the arrival (`arrival_missing`)
    or with one in the past (`arrival_past`).
    """
    found = _lead(by, lead)
    duty = _Duty(found, VERIFY.name)
    _may(by, Permission.LEAD_VERIFY, found, duty)
    if outcome == facts.Tried.NOT_AGREED and not reason.strip():
        raise Refused("reason_missing", "请写明原因（忙、不信任来电、已向别处报过、有异议）。", "Please give the reason.", "reason")
    if outcome == facts.Tried.NOT_HERE_YET:
        if next_try_at is None:
            raise Refused("arrival_missing", "请填写哪天几点到。", "Please say when the person arrives.", "next_try_at")
        if next_try_at <= clock.now():
            raise Refused(
                "arrival_past", "到达时间已经过了；人到了请选“人在家”。", "That time has passed; choose “at home”.", "next_try_at"
            )
    else:
        next_try_at = None
    details = facts.ContactTried(
        episode=found.key, outcome=outcome, reason=reason.strip(), next_try_at=next_try_at, origin_class=found.origin_class
    )
    return _record(facts.CONTACT_TRIED, found, duty, details, by, fact_id, happened_at)


@action
def verify(
    *, by, lead: UUID, outcome: facts.Found, fact_id: UUID, here_since: date | None = None, destination: str = "",
    reason: str = "", medical_need: facts.MedicalNeed = facts.MedicalNeed.NOT_ASKED, happened_at: datetime | None = None,
) -> Done:  # fmt: skip
    """Record what a call or visit found. Safe to repeat with the same id.

    Refuses: no permission for the lead's place; an outcome without what it needs (`since_missing`, `destination_missing`,
    `reason_missing`). Never refuses because of time or a second report: those are kept.
    """
    found = _lead(by, lead)
    duty = _Duty(found, VERIFY.name)
    _may(by, Permission.LEAD_VERIFY, found, duty)
    if outcome == facts.Found.HERE and here_since is None:
        raise Refused("since_missing", "请填写哪天到的。", "Please say since when.", "here_since")
    if outcome == facts.Found.GONE_ON and not destination.strip():
        raise Refused("destination_missing", "请填写去了哪个城市。", "Please say which city.", "destination")
    if outcome == facts.Found.NOTHING_REQUIRED and not reason.strip():
        raise Refused("reason_missing", "请写明为什么不用管。", "Please say why nothing is required.", "reason")
    first = _first(facts.LEAD_VERIFIED, fact_id)
    unit = first.get("unit") or duty.owner or by.unit_id
    region = regions.unit_row(unit).region
    gone_on = outcome == facts.Found.GONE_ON
    details = facts.LeadVerified(
        episode=found.key, outcome=outcome, here_since=here_since if outcome == facts.Found.HERE else None,
        destination=destination.strip(), reason=reason.strip(), medical_need=medical_need, origin_class=found.origin_class,
        assigned_at=first.get("assigned_at") or _assigned_at(found, duty), unit=unit,
        liaison=regions.liaison_of(region) if gone_on else None,
    )  # fmt: skip
    return _record(facts.LEAD_VERIFIED, found, duty, details, by, fact_id, happened_at)


@action
def sample(*, by, lead: UUID, fact_id: UUID, sampled_at: datetime | None = None, place: str = "", tube: str = "") -> Done:
    """Record that a sample was taken; the duty to hear the result opens at the county's desk."""
    found = _lead(by, lead)
    duty = _Duty(found, SAMPLE.name)
    _may(by, Permission.SAMPLE_RECORD, found, duty)
    first = _first(facts.LEAD_SAMPLED, fact_id)
    unit = regions.unit_row(duty.owner or by.unit_id)
    hears = first.get("hears") or regions.desk_of(3, unit.region) or regions.city_desk(unit.region)
    details = facts.LeadSampled(
        episode=found.key, sampled_at=sampled_at or first.get("sampled_at") or clock.now(), place=place.strip(), tube=tube.strip(),
        origin_class=found.origin_class, assigned_at=first.get("assigned_at") or _assigned_at(found, duty), hears=hears,
    )  # fmt: skip
    return _record(facts.LEAD_SAMPLED, found, duty, details, by, fact_id, sampled_at)


@action
def record_result(*, by, lead: UUID, result: facts.Result, fact_id: UUID, resulted_at: datetime | None = None) -> Done:
    """Record a result. "Invalid" does not close the duty: a new sample is needed."""
    found = _lead(by, lead)
    duty = _Duty(found, RESULT.name)
    _may(by, Permission.RESULT_RECORD, found, duty)
    first = _first(facts.RESULT_RECORDED, fact_id)
    details = facts.ResultRecorded(episode=found.key, result=result, resulted_at=resulted_at or first.get("resulted_at") or clock.now())
    return _record(facts.RESULT_RECORDED, found, duty, details, by, fact_id, resulted_at)


@action
def answer_referral(*, by, lead: UUID, accepted: bool, answer: str, fact_id: UUID, happened_at: datetime | None = None) -> Done:
    """Enter another city's answer. Only an acceptance closes the duty; a refusal is kept and the duty stays ours."""
    found = _lead(by, lead)
    duty = _Duty(found, REFER.name)
    _may(by, Permission.REFERRAL_ANSWER, found, duty)
    if not answer.strip():
        raise Refused("answer_missing", "请填写对方答复（单位、人员、时间）。", "Please enter the answer (who, when).", "answer")
    details = facts.ReferralAnswered(episode=found.key, accepted=accepted, answer=answer.strip())
    return _record(facts.REFERRAL_ANSWERED, found, duty, details, by, fact_id, happened_at)


@action
def give_back(*, by, loops: list[int], reason: str, act: UUID, seen: dict[int, str] | None = None):
    """Return duties to the level from which they came: offered to the desk above, which may accept; until then ours."""
    require(by, Permission.DUTY_MOVE)
    return handle.offer(by=by, loops=loops, to_unit=regions.above(by.unit_id, 1), reason=reason, act=act, seen=seen)


@action
def offer(*, by, loops: list[int], to_unit: int, reason: str, act: UUID, seen: dict[int, str] | None = None):
    return handle.offer(by=by, loops=loops, to_unit=to_unit, reason=reason, act=act, seen=seen)


@action
def accept(*, by, loops: list[int], act: UUID, seen: dict[int, str] | None = None):
    return handle.accept(by=by, loops=loops, act=act, seen=seen)


@action
def decline(*, by, loops: list[int], reason: str, act: UUID, seen: dict[int, str] | None = None):
    return handle.return_(by=by, loops=loops, reason=reason, act=act, seen=seen)


@action
def assign(*, by, loops: list[int], officer: int | None, act: UUID, seen: dict[int, str] | None = None):
    return handle.assign(by=by, loops=loops, officer=officer, act=act, seen=seen)


@action
def reassign(*, by, loops: list[int], to_unit: int, reason: str, act: UUID, seen: dict[int, str] | None = None):
    return handle.reassign(by=by, loops=loops, to_unit=to_unit, reason=reason, act=act, seen=seen)


@action
def waive(*, by, loops: list[int], reason: str, act: UUID, seen: dict[int, str] | None = None):
    return handle.waive(by=by, loops=loops, reason=reason, act=act, seen=seen)


@action
def void(*, by, fact: UUID, reason: str, act: UUID):
    """Withdraw a record. Of a report, what the other reports tell still stands."""
    done = withdraw.void(by=by, fact=fact, reason=reason, act=act)
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT event, subject FROM fact WHERE id = %s AND kind = %s", (fact, facts.LEAD_REPORTED.name))
        report = cursor.fetchone()
    if report and not done.repeated:
        after_withdrawal(*report, by=by, act=act)
    return done


@action
def correct(*, by, fact: UUID, details, reason: str, act: UUID):
    """Replace what a record of a lead says; duties follow as if it had said so at first. A report is withdrawn instead."""
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM fact WHERE id = %s AND kind = %s", (fact, facts.LEAD_REPORTED.name))
        if cursor.fetchone():
            raise Refused("report_not_correctable", "名单上报的内容请作废后重新上报。", "Withdraw a report and send it again.")
    return withdraw.correct(by=by, fact=fact, details=details, reason=reason, act=act)


@action
def settle_conflict(*, by, question: str, decision: str, reason: str, act: UUID):
    """Say which of two contents under one id holds (`conflicts.settle`). A report is never replaced: it is withdrawn and sent again."""
    record, _, _ = question.partition(":")
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM fact WHERE id::text = %s AND kind = %s", (record, facts.LEAD_REPORTED.name))
        if cursor.fetchone() and decision in (Decision.SECOND, Decision.BOTH):
            raise Refused("report_not_correctable", "名单上报的内容请作废后重新上报。", "Withdraw a report and send it again.")
    return conflicts.settle(by=by, question=question, decision=decision, reason=reason, act=act)


@action
def take_back_decision(*, by, question: str, reason: str, act: UUID):
    return conflicts.take_back(by=by, question=question, reason=reason, act=act)


@action
def undo(*, by, act: UUID):
    return withdraw.undo(by=by, act=act)
