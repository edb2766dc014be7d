"""The end of an event's personal data: asked for, signed by a second officer, carried out, certified.

What goes is what the modules registered (`ledger.destruction`); what stays are the leaves of the seals, the sums of
movements, and the certificate. Carrying it out needs the tables' owner, which no page and no worker is: it is a command.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from bihuan import __version__
from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.models import Post
from bihuan.access.permissions import Permission
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.ledger import destruction, facts, heads, seals
from bihuan.ledger import verify as ledger
from bihuan.ledger.destruction import Part, Rows, register
from bihuan.ledger.gaps import Found, Gap
from bihuan.ledger.models import DestructionBegun, DestructionCertified, Ending, Seal
from bihuan.loops import declare, tallies, verify
from bihuan.loops.record import record
from bihuan.policy.models import Event

DUTIES_NAMED = 20

_OF_EVENT = "t.loop IN (SELECT l.id FROM loop l WHERE l.event = %(event)s)"
register(
    Part(
        "loops",
        order=900,
        rows=(Rows("timer", _OF_EVENT), Rows("fired", _OF_EVENT), Rows("movement", _OF_EVENT), Rows("loop"), Rows("tally_delta")),
    )
)


@dataclasses.dataclass(frozen=True)
class OpenDuty:
    """A duty that is still owed: nothing of its event is destroyed before it is closed."""

    loop: int
    kind: str
    unit: int
    unit_name: str
    due_at: datetime | None

    @property
    def title(self) -> str:
        known = declare.kinds().get(self.kind)
        return known.title if known else self.kind


@dataclasses.dataclass(frozen=True)
class Outlook:
    """What would be destroyed, and what stands against it. `kept_until`: the last day of the event's retention."""

    event: int
    counts: dict[str, int]
    n_open: int
    open_duties: list[OpenDuty]
    kept_until: date | None
    ending: Ending | None

    def as_json(self) -> dict[str, Any]:
        return {
            "event": self.event, "counts": self.counts, "n_open": self.n_open, "kept_until": self.kept_until,
            "open_duties": [dataclasses.asdict(duty) for duty in self.open_duties], "state": state(self.ending),
        }  # fmt: skip


def state(ending: Ending | None) -> str:
    """none, asked, signed, begun or certified."""
    if ending is None:
        return "none"
    steps = (("certified", ending.certified_at), ("begun", ending.begun_at), ("signed", ending.signed_at))
    return next((name for name, at in steps if at is not None), "asked")


def _event(event: int) -> Event:
    row = Event.objects.filter(id=event).first()
    if row is None:
        raise Refused("event_unknown", "没有这个事件", "there is no such event")
    return row


def outlook(event: int) -> Outlook:
    """Counts by table, open duties by name, how long it has to be kept. Reads only; worker's role, which sees all."""
    row = _event(event)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.id, l.kind, l.owner, u.name, l.due_at, count(*) OVER () FROM loop l LEFT JOIN unit u ON u.id = l.owner"
            " WHERE l.event = %s AND l.closed_at IS NULL ORDER BY l.id LIMIT %s",
            [event, DUTIES_NAMED],
        )
        found = cursor.fetchall()
    duties = [OpenDuty(loop, kind, unit, name or "", due) for loop, kind, unit, name, due, _ in found]
    kept = row.ended_on + row.retention if row.ended_on else None
    ending = Ending.objects.filter(event=event).first()
    return Outlook(event, destruction.count(event), found[0][5] if found else 0, duties, kept, ending)


@dataclasses.dataclass(frozen=True)
class Line:
    """An event in the list of those who may end it. `kept_until`: None while it runs. `state` as `state` says."""

    event: int
    name: str
    opened_on: date
    ended_on: date | None
    kept_until: date | None
    state: str


def listed(*, by) -> list[Line]:
    """Every event with how far its end is. Refuses `not_permitted`."""
    require(by, Permission.EVENT_END)
    endings = {found.event: found for found in Ending.objects.defer("certificate", "sums", "counts")}
    return [
        Line(e.id, e.name, e.opened_on, e.ended_on, e.ended_on + e.retention if e.ended_on else None, state(endings.get(e.id)))
        for e in Event.objects.order_by("-opened_on", "-id")
    ]


def outlook_for(*, by, event: int) -> Outlook:
    """`outlook` for a page: counts, and duties by number, kind and unit; of persons nothing. Inside a transaction."""
    require(by, Permission.EVENT_END)
    with engine():
        return outlook(event)


def certificate_for(*, by, event: int) -> tuple[dict[str, Any], bool]:
    """The certificate, and whether it is final: no backup can have the data any more. Inside a transaction.

    Refuses (`ending_not_certified`) where there is none, and (`certificate_changed`) one that is not the sealed one.
    """
    require(by, Permission.EVENT_END)
    with engine():
        row = Ending.objects.filter(event=event, certified_at__isnull=False).first()
        if row is None:
            raise Refused("ending_not_certified", "这个事件还没有销毁证明。", "There is no certificate for this event.", str(event))
        if not is_genuine(row.certificate):
            raise Refused(
                "certificate_changed",
                "保存的证明与封存的不一致，已被改动。请报告审计员。",
                "The certificate that is kept is not the sealed one: it was changed. Tell the auditor.",
            )
    return row.certificate, is_final(row.certificate)


def is_final(certificate: dict[str, Any]) -> bool:
    """From the day on which the last backup that had the data is out of age (real time)."""
    return clock.real_now().astimezone(clock.SHANGHAI).date() >= date.fromisoformat(certificate["backups_gone_on"])


def _refuse_early(event: int) -> Event:
    """Refuses an event that runs, is still to be kept, or has open duties, which it names."""
    row = _event(event)
    if row.ended_on is None:
        raise Refused("event_runs", "事件还没有结束，先结束事件。", "The event has not ended: end it first.", str(event))
    kept = row.ended_on + row.retention
    if clock.today() < kept:
        raise Refused(
            "event_kept", f"个人信息按规定保存到 {kept}，之前不能销毁。", f"The data are to be kept until {kept}; not before.", str(kept)
        )
    with connection.cursor() as cursor:
        # The aliases' names are not needed to find a duty; its number, kind and unit are.
        cursor.execute(
            "SELECT l.id, l.kind, coalesce(u.name, l.owner::text), count(*) OVER () FROM loop l LEFT JOIN unit u ON u.id = l.owner"
            " WHERE l.event = %s AND l.closed_at IS NULL ORDER BY l.id LIMIT %s",
            [event, DUTIES_NAMED],
        )
        found = cursor.fetchall()
    if found:
        named = "；".join(f"{loop} {kind} {unit}" for loop, kind, unit, _ in found)
        n = found[0][3]
        raise Refused(
            "event_has_open_duties",
            f"还有 {n} 件待办没有办结，先办结或免办：{named}{'……' if n > len(found) else ''}",
            f"{n} duties are still open; close or waive them first: {named}{' …' if n > len(found) else ''}",
            str(found[0][0]),
        )
    return row


@action
def ask(*, by, event: int, reason: str) -> Ending:
    """Ask that an event's personal data be destroyed. Safe to repeat. Refuses: as `_refuse_early`, and no reason."""
    require(by, Permission.EVENT_END)
    if not reason.strip():
        raise Refused("reason_missing", "请写明原因。", "Please give the reason.", "reason")
    known = Ending.objects.filter(event=event).first()
    if known is not None:
        return known
    _refuse_early(event)
    with engine():
        return Ending.objects.create(
            event=event, reason=reason.strip(), asked_by=by.id, asked_officer=by.officer_id, asked_at=clock.now()
        )  # fmt: skip


@action
def sign(*, by, event: int) -> Ending:
    """The second signature, by another officer. Safe to repeat. Refuses: nobody asked (`ending_not_asked`), the one who
    asked (`ending_needs_second_signer`), and as `_refuse_early`: much may have happened since it was asked.
    """
    require(by, Permission.EVENT_END)
    ending = _asked(event)
    if ending.signed_at is not None:
        return ending
    if ending.asked_officer == by.officer_id:
        raise Refused("ending_needs_second_signer", "须由提出者以外的另一人签字。", "Somebody else than who asked for it must sign.")
    _refuse_early(event)
    ending.signed_by, ending.signed_officer, ending.signed_at = by.id, by.officer_id, clock.now()
    with engine():
        ending.save(update_fields=["signed_by", "signed_officer", "signed_at"])
    return ending


def _asked(event: int) -> Ending:
    ending = Ending.objects.filter(event=event).first()
    if ending is None:
        raise Refused("ending_not_asked", "还没有人提出销毁。", "Nobody has asked for it yet.", str(event))
    return ending


# --- carrying it out --------------------------------------------------------------------------------------------------


def carry_out(
    event: int, *, as_owner: Callable[[], AbstractContextManager], days_of_backups: int, say: Callable[[str], None] = lambda text: None
) -> Ending:
    """Destroy, and certify. Interrupted anywhere it goes on when called again. Worker's role; `as_owner` makes Django the
    tables' owner for a while.

    Refuses: not signed (`ending_not_signed`), what `_refuse_early` refuses, records not sealed yet, a ledger that does
    not hold, and (after all is gone) records that came after the beginning (`event_written_to`).
    """
    ending = _asked(event)
    if ending.signed_at is None:
        raise Refused("ending_not_signed", "还没有第二人签字。", "The second signature is missing.", str(event))
    if ending.certified_at is not None:
        return ending
    if ending.begun_at is None:
        _begin(ending, days_of_backups)
        say("已登记销毁开始，位置已封存 / begun: where the leaves stand is sealed")
    counts = dict(ending.counts)
    seal = Seal.objects.get(epoch=ending.seal_epoch, no=ending.seal_no)
    with as_owner():
        if "prepared" not in counts:
            for part in destruction.parts():
                if part.prepare:
                    part.prepare(event)
            _keep(ending, counts | {"prepared": 1, **_forgotten(event, ending)})
            counts = dict(ending.counts)
        for rows in destruction.plan():
            for n in destruction.delete(rows, event, seal):
                counts[rows.table] = counts.get(rows.table, 0) + n
                _keep(ending, counts)
                say(f"{rows.table}：{counts[rows.table]}")
        for rows in destruction.plan():
            counts.setdefault(rows.table, 0)
        _keep(ending, counts)
    return _certify(ending)


def _forgotten(event: int, ending: Ending) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in destruction.parts():
        if part.forget:
            found |= part.forget(event, f"ending-{ending.id}")
    return found


def _keep(ending: Ending, counts: dict[str, int]) -> None:
    # After the rows are gone, not with them: interrupted in between a batch is missing in the counts, never in the deed.
    ending.counts = counts
    with transaction.atomic():
        Ending.objects.filter(id=ending.id).update(counts=counts)


def _begin(ending: Ending, days_of_backups: int) -> None:
    event = ending.event
    _refuse_early(event)
    seals.seal_minute()
    broken = ledger.seal_broken().gaps
    if broken:
        raise Refused(
            "ledger_broken", f"封存链不完好，先查明原因：{broken[0].zh}", f"The chain does not hold; find out why first: {broken[0].en}"
        )
    tallies.fold()
    post = Post.objects.select_related("unit", "officer").get(id=ending.signed_by)
    hashes = {f"{part.module}_{name}": value for part in destruction.parts() if part.hashes for name, value in part.hashes(event).items()}
    with transaction.atomic():
        n_facts, positions = destruction.list_leaves(ending.id, event)
        with connection.cursor() as cursor:
            cursor.execute("SELECT subject_of_unit(%s)", [post.unit_id])
            subject = cursor.fetchone()[0]
        last = seals.head()
        ending.seal_epoch, ending.seal_no = last.epoch, last.no
        ending.sums, ending.begun_at = _sums_by_day(event), clock.now()
        ending.backups_gone_on = (clock.real_now() + timedelta(days=days_of_backups)).astimezone(clock.SHANGHAI).date() + timedelta(days=1)
        ending.certificate = None
        record(
            facts.DESTRUCTION_BEGUN, event=event, subject=subject, by=post,
            id=ids.derived_id(ids.new_id(), "destruction", ending.id),
            details=facts.DestructionBegun(ending=ending.id, n_facts=n_facts, positions=positions, sums=sums_digest(event)),
        )  # fmt: skip
        ending.counts = {f"hash {name}": value for name, value in hashes.items()}
        ending.save(update_fields=["seal_epoch", "seal_no", "sums", "begun_at", "backups_gone_on", "counts"])
    seals.seal_minute()


def _sums_by_day(event: int) -> list[dict[str, Any]]:
    """Movements of the event by day of Asia/Shanghai: what the accounts were, without any person."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (m.received_at AT TIME ZONE 'Asia/Shanghai')::date, count(*) FILTER (WHERE m.what = 'opened'),
                   count(*) FILTER (WHERE m.what IN ('accepted', 'reassigned')), count(*) FILTER (WHERE m.what = 'closed')
            FROM movement m JOIN loop l ON l.id = m.loop WHERE l.event = %s GROUP BY 1 ORDER BY 1
            """,
            [event],
        )
        return [{"day": day.isoformat(), "opened": o, "moved": m, "closed": c} for day, o, m, c in cursor.fetchall()]


def sums_digest(event: int) -> str:
    """SHA-256 over the event's counts by unit and kind, all days together (days are folded as time goes by)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT unit, kind, sum(opened)::bigint, sum(closed)::bigint, sum(moved_in)::bigint, sum(moved_out)::bigint
            FROM (SELECT unit, kind, opened, closed, moved_in, moved_out FROM tally WHERE event = %(event)s
                  UNION ALL SELECT unit, kind, opened, closed, moved_in, moved_out FROM tally_delta WHERE event = %(event)s) t
            GROUP BY 1, 2 ORDER BY 1, 2
            """,
            {"event": event},
        )
        return hashlib.sha256(json.dumps(cursor.fetchall()).encode()).hexdigest()


def _certify(ending: Ending) -> Ending:
    event = _event(ending.event)
    left = {table: n for table, n in destruction.count(ending.event).items() if n}
    if left:
        said = "，".join(f"{table} {n}" for table, n in left.items())
        raise Refused(
            "event_written_to",
            f"销毁开始之后又有新的登记：{said}。查明来源，再次运行。",
            f"Something was written to the event after its destruction had begun: {said}. Find out by whom, then run it again.",
        )
    begun = DestructionBegun.objects.get(ending=ending.id)
    posts = {p.id: p for p in Post.objects.select_related("officer", "unit").filter(id__in=[ending.asked_by, ending.signed_by])}

    def signer(post: int, at: datetime) -> dict[str, str]:
        return {"name": posts[post].officer.name, "unit": posts[post].unit.name, "at": _local(at)}

    certified_at = clock.now()
    body = {
        "certificate": "bihuan destruction 1", "number": ending.id, "event": event.id, "name": event.name, "disease": event.disease,
        "opened_on": event.opened_on.isoformat(), "ended_on": event.ended_on.isoformat(), "legal_basis": event.legal_basis,
        "retention_days": event.retention.days, "reason": ending.reason, "asked": signer(ending.asked_by, ending.asked_at),
        "signed": signer(ending.signed_by, ending.signed_at), "begun_at": _local(ending.begun_at), "certified_at": _local(certified_at),
        "destroyed": {k: v for k, v in sorted(ending.counts.items()) if not k.startswith("hash ") and k != "prepared"},
        "hashes": {k.removeprefix("hash "): v for k, v in sorted(ending.counts.items()) if k.startswith("hash ")},
        "ledger": {"records": begun.n_facts, "positions": begun.positions, "sums": begun.sums, "head": str(seals.head())},
        "movements_by_day": ending.sums, "backups_gone_on": ending.backups_gone_on.isoformat(), "version": __version__,
    }  # fmt: skip
    text = _canonical(body)
    certificate = body | {
        "sha256": hashlib.sha256(text).hexdigest(), "key": heads.fingerprint(),
        "signature": base64.b64encode(heads.signing_key().sign(text)).decode(),
    }  # fmt: skip
    post = posts[ending.signed_by]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT subject_of_unit(%s)", [post.unit_id])
            subject = cursor.fetchone()[0]
        record(
            facts.DESTRUCTION_CERTIFIED, event=event.id, subject=subject, by=post,
            details=facts.DestructionCertified(ending=ending.id, certificate=certificate["sha256"]),
        )  # fmt: skip
        ending.certificate, ending.certified_at = certificate, certified_at
        ending.save(update_fields=["certificate", "certified_at"])
    seals.seal_minute()
    return ending


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def is_genuine(certificate: dict[str, Any]) -> bool:
    """Whether a certificate is word for word the one whose hash stands in the ledger."""
    body = {k: v for k, v in certificate.items() if k not in ("sha256", "key", "signature")}
    found = hashlib.sha256(_canonical(body)).hexdigest()
    return found == certificate.get("sha256") and DestructionCertified.objects.filter(certificate=found).exists()


def _local(moment: datetime) -> str:
    return moment.astimezone(clock.SHANGHAI).isoformat(timespec="seconds")


# --- what must hold afterwards ----------------------------------------------------------------------------------------


def destroyed_event(now: datetime) -> Found:
    """Sums are those that were sealed, nobody holds anything any more, nothing came back, the certificate is the sealed one."""
    gaps: list[Gap] = []
    endings = list(Ending.objects.filter(begun_at__isnull=False))
    for ending in endings:
        begun = DestructionBegun.objects.filter(ending=ending.id).first()
        wrong = []
        if begun is None or begun.sums != sums_digest(ending.event):
            wrong.append(("its sums are not those that were sealed", "统计数与封存的不同"))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM (SELECT unit FROM tally WHERE event = %s GROUP BY unit"
                " HAVING sum(opened + moved_in - closed - moved_out) <> 0) t",
                [ending.event],
            )
            if cursor.fetchone()[0]:
                wrong.append(("its accounts do not balance", "账不平"))
        if ending.certified_at is not None:
            left = sorted(table for table, n in destruction.count(ending.event).items() if n)
            if left:
                wrong.append((f"rows are there again: {', '.join(left)}", f"又有数据：{'，'.join(left)}"))
            if not is_genuine(ending.certificate):
                wrong.append(("its certificate is not the sealed one", "证明与封存的不同"))
        gaps += [
            Gap(
                "destroyed_event",
                f"event {ending.event}: {en}",
                f"已销毁的事件 {ending.event}：{zh}",
                f"destroyed event {ending.event}: {en}",
            )
            for en, zh in wrong
        ]
    return Found(len(endings), gaps)


verify.register("destroyed_event", destroyed_event)
