"""求助「干不完」: a unit asks the unit above for help, and the desk above says how it helps.

To ask is a fact of the asking unit that opens a duty of the unit above: with an owner, a deadline (pack) and its own ladder,
so that an answer that is late asks one level higher. Asking changes nothing of the asker's own duties and is counted nowhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads.facts import SUPPORT_ASKED, SUPPORT_ENDED, SupportAsked, SupportEnd, SupportEnded, SupportReason
from bihuan.leads.loops import SUPPORT
from bihuan.leads.queries import ASKS, asked, rows
from bihuan.leads.words import SUPPORT_ANSWERS
from bihuan.loops import handle
from bihuan.loops.record import Done, record
from bihuan.loops.writes import Duty, act_known, lock
from bihuan.policy.queries import event_in_use
from bihuan.regions import queries as regions

SHOWN = timedelta(days=1)  # how long the asker reads an answer on its page; a matter of display, no duty depends on it
NOTE_MAX = 200
# Answers that say nothing without a few words, and how to ask for them.
_TO_SAY = {
    SupportEnd.HANDS_SENT: ("note_missing", "请写派几个人、派谁、几点到。", "Please say how many come, who, and when."),
    SupportEnd.AGREED: ("note_missing", "请写一句电话里怎么商量的。", "Please say what was agreed."),
    SupportEnd.CANNOT: ("reason_missing", "不能支援，请写明为什么。", "Please say why no help can be given."),
}


def last_of(unit: int) -> dict[str, Any] | None:
    """Whom a unit asks for help (`above`, `above_name`), and its last ask beside it: open, or ended within `SHOWN`, else nulls.

    None: nobody stands above. The duty lies at the desk above, out of the asker's range, so that this one unit's own ask is read
    as the engine.
    """
    with engine():
        found = asked(
            f"""
            SELECT up.id AS above, up.name AS above_name, s.* FROM unit_line ul JOIN unit up ON up.id = ul.above_id
            LEFT JOIN LATERAL (
              {ASKS} WHERE l.kind = %(kind)s AND l.subject = subject_of_unit(%(unit)s)
              AND (l.closed_at IS NULL OR (l.outcome <> 'void' AND l.closed_at > %(since)s))
              ORDER BY l.closed_at IS NULL DESC, l.id DESC LIMIT 1) s ON TRUE
            WHERE ul.unit_id = %(unit)s AND ul.steps = 1 AND ul.above_id <> ul.unit_id
            """,
            {"kind": SUPPORT.name, "unit": unit, "since": clock.now() - SHOWN},
        )
    return found[0] if found else None


def ask_of(loop: int) -> dict[str, Any]:
    """An ask in sight, by its duty. Refuses `duty_not_found`."""
    found = rows(f"{ASKS} WHERE l.id = %s AND l.kind = %s", [loop, SUPPORT.name])
    if not found:
        raise handle.not_here()
    return found[0]


def in_hand(unit: int) -> dict[str, int]:
    """How many open duties a unit holds, of those in the reader's sight, and how many of them are late: as their lists show them."""
    return rows(
        "SELECT count(*) AS held, count(*) FILTER (WHERE due_at < %s) AS late FROM loop WHERE closed_at IS NULL AND owner = %s",
        [clock.now(), unit],
    )[0]


@action
def ask(*, by, reason: str, note: str, act: UUID) -> Done:
    """Ask the unit above for help. Safe to repeat with the same `act`.

    Refuses: a reason that there is not (`reason_missing`), nobody above (`nobody_above`), an ask that still waits for its answer
    (`support_asked`), no open event (`no_event`). Never refuses for what the unit holds, or how often it has asked.
    """
    require(by, Permission.DUTY_MOVE)
    if act_known(act):
        return Done(act, repeated=True)
    if reason not in set(SupportReason):
        raise Refused("reason_missing", "请点一个原因。", "Please choose a reason.")
    above = regions.above(by.unit_id, 1)
    if above == by.unit_id:
        raise Refused("nobody_above", "上面没有可以求助的单位。", "There is no unit above to ask.")
    subject, waiting = _waiting(by)
    if waiting:
        raise Refused("support_asked", "已经求助过了，正在等答复，不用再点。", "You have asked already; the answer is on its way.")
    found = rows("SELECT event FROM loop WHERE owner = %s AND closed_at IS NULL ORDER BY due_at, id LIMIT 1", [by.unit_id])
    return record(
        SUPPORT_ASKED, event=found[0]["event"] if found else event_in_use(), subject=subject, by=by, id=act, region=by.unit.region_id,
        details=SupportAsked(SupportReason(reason), note, above),
    )  # fmt: skip


@action
def answer(*, by, loop: int, how: str, note: str, act: UUID) -> Done:
    """Say how the unit is helped; ends the duty. Safe to repeat with the same `act`.

    Refuses: no answer chosen (`answer_missing`), hands or an agreement without a word (`note_missing`), no help without the
    reason (`reason_missing`), an ask that is not in one's range (`duty_not_found`) or was ended meanwhile (`duty_closed`).
    """
    require(by, Permission.DUTY_MOVE)
    if act_known(act):
        return Done(act, repeated=True)
    if how not in SUPPORT_ANSWERS:
        raise Refused("answer_missing", "请选一个答复。", "Please choose an answer.", "how")
    if how in _TO_SAY and not note:
        raise Refused(*_TO_SAY[SupportEnd(how)], "note")
    duty = handle.found(by, [loop], Permission.DUTY_MOVE)[0]
    if duty.kind != SUPPORT.name:
        raise handle.not_here()
    return _end(duty, SupportEnd(how), note, by, act)


@action
def take_back(*, by, act: UUID) -> Done:
    """The asker needs no help any more; ends the duty. Safe to repeat. Refuses where nothing waits for an answer (`support_not_open`)."""
    require(by, Permission.DUTY_MOVE)
    if act_known(act):
        return Done(act, repeated=True)
    _subject, waiting = _waiting(by)
    if not waiting:
        raise Refused("support_not_open", "没有等答复的求助，不用收回。", "No ask waits for an answer.")
    return _end(waiting[0], SupportEnd.NOT_NEEDED, "", by, act)


def _waiting(by) -> tuple[UUID, list[Duty]]:
    """The asking unit as a subject, held until the transaction ends, and its open ask, locked.

    What is said of its asking is read by the unit itself and by the desks whose range holds it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT subject_of_unit(%s)", (by.unit_id,))
        subject = cursor.fetchone()[0]
        with engine(subject):
            cursor.execute("INSERT INTO subject (id, kind) VALUES (%s, 'unit') ON CONFLICT DO NOTHING", (subject,))
            cursor.execute(
                "INSERT INTO visible (subject, scope, unit) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (subject, by.territory[0], by.unit_id),
            )
            cursor.execute("SELECT id FROM loop WHERE kind = %s AND subject = %s AND closed_at IS NULL", (SUPPORT.name, subject))
            return subject, lock(loop for (loop,) in cursor.fetchall())


def _end(duty: Duty, how: SupportEnd, note: str, by, act: UUID) -> Done:
    return record(SUPPORT_ENDED, event=duty.event, subject=duty.subject, details=SupportEnded(how, note), by=by, id=act, region=duty.region)
