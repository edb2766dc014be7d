"""What officers do about who is who: say that two are one, or are not; read a full identity for a purpose."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from datetime import timedelta
from uuid import UUID

import polars as pl
import psycopg
from django.conf import settings
from django.db import connection

from bihuan.access.action import action
from bihuan.access.decide import require
from bihuan.access.door import engine
from bihuan.access.permissions import Permission
from bihuan.identity import facts, keys, links, queries, search
from bihuan.identity.loops import SETTLE
from bihuan.identity.oracle import Groups
from bihuan.kernel import clock, ids
from bihuan.kernel.refused import Refused
from bihuan.loops import clusters
from bihuan.loops.record import record, record_many

_AN_HOUR = timedelta(hours=1)
CALLS_MAX = 200  # phones read in one act: a desk's list, not a city's


@dataclasses.dataclass(frozen=True)
class Judgement:
    """An officer's decision that now stands. `relinked`: aliases that belong to another person than before."""

    fact: UUID
    same: bool
    relinked: tuple[UUID, ...] = ()
    repeated: bool = False


@dataclasses.dataclass(frozen=True)
class Unmasked:
    """The full identity of a person, as far as the reader may see its aliases. `fact` keeps who read it, and why."""

    fact: UUID
    name: str
    docs: tuple[str, ...]
    phones: tuple[str, ...]
    addresses: tuple[str, ...]


@action
def link(*, by, event: int, a: UUID, b: UUID, reason: str, act: UUID | None = None) -> Judgement | Refused:
    """Say that two aliases are one person. Safe to repeat with the same `act`.

    Refuses: no permission, no reason, an alias out of sight, the same alias twice, two whom an officer has said to be
    different (that decision is undone by naming exactly that pair).
    """
    return _judge(by, event, a, b, True, reason, act)


@action
def unlink(*, by, event: int, a: UUID, b: UUID, reason: str, act: UUID | None = None) -> Judgement | Refused:
    """Say that two aliases are different people: their link ends and none comes back by itself.

    Both get their own histories again: facts and duties name the aliases and never moved; a duty that ended through
    the link is owed again. Refuses as `link`, and when the two are joined through a third alias that stays with both.
    """
    return _judge(by, event, a, b, False, reason, act)


@action
def settle(*, by, event: int, a: UUID, b: UUID, same: bool, reason: str, act: UUID | None = None) -> Judgement | Refused:
    """Answer an unsure pair (`queries.doubts`). Refuses as `link` and `unlink`, and when nobody asks about the pair."""
    require(by, Permission.IDENTITY_SETTLE)
    a, b, act = max(a, b), min(a, b), act or ids.new_id()
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, why, ended_by FROM doubt WHERE a = %s AND b = %s AND (ended_by IS NULL OR ended_by = %s)"
            " ORDER BY ended_by NULLS FIRST LIMIT 1",
            [a, b, _settled_id(act, a, b)],
        )
        asked = cursor.fetchone()
        cursor.execute("SELECT 1 FROM link WHERE fact = %s", [_decision_id(act, a, b)])
        decided = cursor.fetchone() is not None
    if asked is None and not decided:
        raise _not_asked()
    work = asked is not None and asked[1] == "work"
    if work and same:
        if asked[2] is not None:
            return Judgement(asked[2], True, repeated=True)
        return _one_duty_is_enough(by, event, asked[0], a, b, reason, act)
    return _judge(by, event, a, b, same, reason, act, doubt=asked[0] if work and asked[2] is None else None)


@action
def put_off(*, by, event: int, a: UUID, b: UUID, ask: int | None, note: str, act: UUID) -> UUID | Refused:
    """Say that nobody can tell yet, and which unit is asked to find out. The question stays open, with its deadline.

    Safe to repeat with the same `act`. Refuses: no permission, an alias out of sight, neither a unit nor a note
    (`ask_missing`), and when nobody asks about the pair.
    """
    a, b, note = max(a, b), min(a, b), note.strip()
    _checked(by, a, b, note or "-")
    if ask is None and not note:
        raise Refused("ask_missing", "请选请谁去核实，或写一句为什么定不了。", "Choose whom to ask, or say why it cannot be told.", "ask")
    with engine(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.question FROM doubt o JOIN doubted d ON d.fact = o.fact WHERE o.a = %s AND o.b = %s AND o.ended_by IS NULL", [a, b]
        )
        asked = cursor.fetchone()
    if asked is None:
        raise _not_asked()
    return record(facts.PUT_OFF, event=event, subject=a, details=facts.PutOff(b, asked[0], ask, note), by=by, id=act).fact


def _not_asked() -> Refused:
    return Refused("identity_not_asked", "没有这两条记录是否同一人的待核对事项。", "Nobody asks whether these two are one person.")


def _judge(by, event: int, a: UUID, b: UUID, same: bool, reason: str, act: UUID | None, doubt: int | None = None) -> Judgement:
    a, b = max(a, b), min(a, b)
    act = act or ids.new_id()
    made = _decision_id(act, a, b)
    reason = _checked(by, a, b, reason)
    with engine(), psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(links.LOCK)
        if cursor.execute("SELECT 1 FROM link WHERE fact = %s", (made,)).fetchone():
            return Judgement(made, same, repeated=True)
        touched = _members(cursor, a, b)
        ended = cursor.execute(
            "UPDATE link SET ended_by = %s WHERE a = %s AND b = %s AND rule = 'officer' AND ended_by IS NULL AND same <> %s RETURNING id",
            (made, a, b, same),
        ).rowcount
        standing = cursor.execute("SELECT 1 FROM link WHERE a = %s AND b = %s AND rule = 'officer' AND ended_by IS NULL", (a, b)).fetchone()
        if not standing:
            cursor.execute("INSERT INTO link (a, b, rule, fact, same) VALUES (%s, %s, 'officer', %s, %s)", (a, b, made, same))
        groups = _regroup(cursor, touched)
        if same:
            _refuse_contradiction(cursor, groups, a)
        if not standing or ended:
            kind = facts.LINKED if same else facts.UNLINKED
            row = {"id": str(made), "subject": str(a), "a": str(a), "b": str(b), "rule": "officer", "reason": reason}
            record_many(kind, pl.DataFrame([row]), event=event, by=by, act=act)
        if doubt is not None:
            _end_doubt(cursor, doubt, a, b, same, event=event, by=by, act=act)
        answer = {(str(x), str(y)): same for x, y in ((a, b), (groups.root(a), groups.root(b)))}
        those = ([str(s) for s in touched],)
        relinked = links.relink(cursor, "SELECT unnest(%s::uuid[]) AS subject", those, event=event, by=by, act=act, answer=answer)
        joined = cursor.execute("SELECT count(DISTINCT root) FROM cluster WHERE subject IN (%s, %s)", (a, b)).fetchone()[0] == 1
    if joined and not same:
        raise Refused(
            "identity_joined_through",
            "这两条记录都与第三条记录（同一证件或同一人的判定）相连。请先把其中一条与那条记录分开。",
            "Both records are joined to a third one. Separate one of them from that record first.",
        )
    return Judgement(made, same, tuple(UUID(s) for s in relinked.aliases))


def _decision_id(act: UUID, a: UUID, b: UUID) -> UUID:
    return ids.derived_id(act, "identity.decision", a, b)


def _settled_id(act: UUID, a: UUID, b: UUID) -> UUID:
    return ids.derived_id(act, facts.SETTLED.name, a, b, "work")


def _checked(by, a: UUID, b: UUID, reason: str) -> str:
    require(by, Permission.IDENTITY_SETTLE)
    reason = reason.strip()
    if not reason:
        raise Refused("reason_missing", "请写明理由。", "Please give a reason.", "reason")
    if a == b:
        raise Refused("identity_same_record", "这是同一条记录。", "This is one and the same record.")
    if queries.seen([a, b]) != {a, b}:
        raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
    return reason


def _members(cursor: psycopg.Cursor, a: UUID, b: UUID) -> list[UUID]:
    """Every alias of the two persons, locked in order of id."""
    rows = cursor.execute(
        "SELECT subject FROM cluster WHERE root IN (SELECT root FROM cluster WHERE subject IN (%s, %s)) ORDER BY subject FOR UPDATE", (a, b)
    )
    return [row[0] for row in rows]


def _regroup(cursor: psycopg.Cursor, members: list[UUID]) -> Groups:
    """Groups of officers' decisions among these aliases, worked out anew and kept in `judged`."""
    groups = Groups(members)
    same = cursor.execute(
        "SELECT a, b FROM link WHERE rule = 'officer' AND ended_by IS NULL AND same AND (a = ANY(%s) OR b = ANY(%s))", (members, members)
    )
    for a, b in same.fetchall():
        groups.join(a, b)
    cursor.execute("DELETE FROM judged WHERE subject = ANY(%s)", (members,))
    rows = [(alias, root) for root, found in groups.members().items() if len(found) > 1 for alias in found]
    if rows:
        cursor.execute(
            "INSERT INTO judged (subject, root) SELECT * FROM unnest(%s::uuid[], %s::uuid[])", ([r[0] for r in rows], [r[1] for r in rows])
        )
    return groups


def _refuse_contradiction(cursor: psycopg.Cursor, groups: Groups, a: UUID) -> None:
    group = groups.members()[groups.root(a)]
    apart = cursor.execute(
        "SELECT 1 FROM link WHERE rule = 'officer' AND ended_by IS NULL AND NOT same AND a = ANY(%s) AND b = ANY(%s)", (group, group)
    ).fetchone()
    if apart:
        raise Refused(
            "identity_apart",
            "已有人判定其中两条记录不是同一人。请先核对那条判定。",
            "Somebody has decided that two of these records are different people. Look at that decision first.",
        )


def _end_doubt(cursor: psycopg.Cursor, doubt: int, a: UUID, b: UUID, same: bool, *, event: int, by, act: UUID) -> UUID:
    made = _settled_id(act, a, b)
    asked = cursor.execute(
        "UPDATE doubt SET ended_by = %s WHERE id = %s RETURNING (SELECT d.question FROM doubted d WHERE d.fact = doubt.fact)", (made, doubt)
    ).fetchone()[0]
    record(facts.SETTLED, event=event, subject=a, details=facts.Settled(other=b, question=asked, same=same), by=by, id=made, act=act)
    return made


def _one_duty_is_enough(by, event: int, doubt: int, a: UUID, b: UUID, reason: str, act: UUID) -> Judgement:
    """They are one person: of the duties that two desks worked on, the older stays and stands for the other."""
    _checked(by, a, b, reason)
    with engine(), psycopg.Cursor(connection.connection) as cursor:
        twins = defaultdict(list)
        for loop, *key in cursor.execute(
            "SELECT id, event, kind, key FROM loop WHERE subject IN (%s, %s) AND closed_at IS NULL ORDER BY opened_at, id", (a, b)
        ):
            twins[tuple(key)].append(loop)
        clusters.merge({later: found[0] for found in twins.values() for later in found[1:]}, by=by, act=act)
        made = _end_doubt(cursor, doubt, a, b, True, event=event, by=by, act=act)
    return Judgement(made, True)


@action
def unmask(*, by, event: int, subject: UUID, purpose: str, act: UUID | None = None) -> Unmasked | Refused:
    """Read the full identity of a person in sight, for a stated purpose; that it was read is recorded with the purpose.

    After `settings.READS_PER_HOUR` persons within an hour the post waits; the log of accounts keeps it. The same `act` again is
    the same reading. Refuses: no permission, no purpose, a person out of sight, an `act` that was another's (`act_used`),
    too many within the hour (`reads_too_many`).
    """
    require(by, Permission.PERSON_UNMASK)
    purpose = purpose.strip()
    if not purpose:
        raise Refused("purpose_missing", "请写明查看的用途。", "Please state what for.", "purpose")
    act = act or ids.new_id()
    with connection.cursor() as cursor:  # one reading of a post at a time, so that the bound is one
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('bihuan.read', %s))", [by.id])
    before = _read_before(by, act, subject)
    if not before and reads_within_the_hour(by) >= settings.READS_PER_HOUR:
        raise Refused("reads_too_many", "一小时内看得太多，请过一会儿再看。", "Too many within the hour; please wait a while.")
    whole = queries.opened_persons([subject], event=event)
    if subject not in whole:
        raise Refused("person_not_found", "找不到此人，或不在您的范围内。", "There is no such person, or not in your scope.")
    if not before:
        record(facts.UNMASKED, event=event, subject=subject, details=facts.Unmasked("full"), by=by, id=act, purpose=purpose)
        with engine(), connection.cursor() as cursor:
            now = clock.real_now()
            cursor.execute("DELETE FROM whole_read WHERE post = %s AND read_at < %s", [by.id, now - _AN_HOUR])
            cursor.execute("INSERT INTO whole_read (fact, post, read_at) VALUES (%s, %s, %s)", [act, by.id, now])
    person = whole[subject]
    return Unmasked(act, person.name, person.docs, person.phones, person.addresses)


def _read_before(by, act: UUID, subject: UUID) -> bool:
    """Whether this act was this reading. An id that stands for anything else opens nobody."""
    with engine(), connection.cursor() as cursor:
        cursor.execute('SELECT kind = %s AND subject = %s AND "by" = %s FROM fact WHERE id = %s OR act = %s LIMIT 1',
                       [facts.UNMASKED.name, subject, by.officer_id, act, act])  # fmt: skip
        found = cursor.fetchone()
    if found is not None and not found[0]:
        raise Refused(
            "act_used", "这一页刚才已经用过，没有显示。请刷新后再看。", "This page was used already; nothing was shown. Please reload it."
        )
    return found is not None


def reads_within_the_hour(by) -> int:
    """How many persons the post has read in full, one after another, within the last hour of real time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM whole_read WHERE post = %s AND read_at > %s", [by.id, clock.real_now() - _AN_HOUR])
        return cursor.fetchone()[0]


@dataclasses.dataclass(frozen=True)
class Answers:
    """A unit that answers for somebody, and its telephone."""

    unit: str
    phone: str


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """The answer to a search outside one's range: who answers, never who it is. `wait`: too many within the hour."""

    found: bool = False
    answers: tuple[Answers, ...] = ()
    wait: bool = False


_ANSWERS = """
SELECT u.name, u.phone FROM cluster c JOIN cluster m ON m.root = c.root JOIN loop l ON l.subject = m.subject JOIN unit u ON u.id = l.owner
WHERE c.subject = ANY(%(found)s) AND l.kind <> %(settle)s
GROUP BY u.id ORDER BY bool_or(l.closed_at IS NULL) DESC, max(l.opened_at) DESC, u.id LIMIT %(n)s
"""


@action
def seek(*, by, event: int, typed: str, purpose: str, act: UUID) -> Elsewhere | Refused:
    """Ask whether somebody outside one's range is known, and who answers for the person. Every search is recorded.

    `typed`: a whole phone or document. The answer is the same, and costs the same, whether the number is unknown or not
    yet on any list. After `settings.SEARCHES_PER_HOUR` within an hour the post waits, and that is recorded once as an
    alarm that the desks above can read. Refuses: no permission, no purpose, no whole number (`number_not_whole`).
    """
    require(by, Permission.LEAD_READ)
    purpose = purpose.strip()
    if not purpose:
        raise Refused("purpose_missing", "请写明查看的用途。", "Please state what for.", "purpose")
    what = search.sought(typed)
    if not what.whole:
        raise Refused(
            "number_not_whole", "本范围以外，只能用完整的手机号或证件号码查找。",
            "Outside your range people are found by a whole phone or document number only.", "q",
        )  # fmt: skip
    now = clock.now()
    # One act is one search: the same id with another number is another search, counted and kept as such.
    act = ids.derived_id(act, "seek", keys.installation().index("sought", what.phone or what.document).hex())
    with engine(), psycopg.Cursor(connection.connection) as cursor:
        # One search of a post at a time, so that the bound is one.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('bihuan.seek', %s))", (by.id,))
        n_before = cursor.execute(
            "SELECT count(*) FROM sought WHERE post = %s AND asked_at > %s AND fact <> %s", (by.id, now - _AN_HOUR, act)
        ).fetchone()[0]
        found_sql, given = search.found_sql(what)
        found = [row[0] for row in cursor.execute(found_sql, given).fetchall()]
        here = cursor.execute("SELECT subject_of_unit(%s)", (by.unit_id,)).fetchone()[0]
        answers = cursor.execute(_ANSWERS, {"found": found, "settle": SETTLE.name, "n": 3}).fetchall()
        known = cursor.execute("SELECT 1 FROM sought WHERE fact = %s", (act,)).fetchone()
    if n_before >= settings.SEARCHES_PER_HOUR:
        _alarm(by, event, here, n_before, now, act)
        return Elsewhere(wait=True)
    if not known:
        details = facts.Sought("phone" if what.phone else "document", bool(found), by.id, now)
        record(facts.SOUGHT, event=event, subject=min(found, default=here), details=details, by=by, id=act, purpose=purpose)
    return Elsewhere(bool(found), tuple(Answers(*row) for row in answers))


def _alarm(by, event: int, here: UUID, n: int, now, act: UUID) -> None:
    """Once an hour and post; seen by the unit and by the desks whose range holds it."""
    lo, _ = by.territory
    with engine(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM search_stopped WHERE post = %s AND asked_at > %s LIMIT 1", [by.id, now - _AN_HOUR])
        if cursor.fetchone():
            return
        cursor.execute("INSERT INTO visible (subject, scope, unit) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", [here, lo, by.unit_id])
    made = ids.derived_id(act, facts.SEARCH_STOPPED.name)
    record(facts.SEARCH_STOPPED, event=event, subject=here, details=facts.SearchStopped(by.id, n, now), by=by, id=made, act=act)


@action
def phones_for_call(*, by, event: int, subjects: list[UUID], act: UUID | None = None) -> dict[UUID, tuple[str, ...]] | Refused:
    """The phones to ring, for persons about whom the actor's unit holds an open duty; recorded as read for a call.

    Others are left out of the answer. Refuses: no permission, more than 200 at once.
    """
    require(by, Permission.PERSON_UNMASK)
    if len(subjects) > CALLS_MAX:
        raise Refused("too_many", f"一次最多查看 {CALLS_MAX} 人的电话。", f"At most {CALLS_MAX} phones at once.")
    held = queries.with_duty_of(subjects, unit=by.unit_id)
    whole = queries.opened_persons(sorted(held), event=event)
    if not whole:
        return {}
    act = act or ids.new_id()
    read = sorted(whole)
    made = [str(ids.derived_id(act, facts.UNMASKED.name, s)) for s in read]
    rows = pl.DataFrame({"id": made, "subject": [str(s) for s in read], "reading": ["call"] * len(read)})
    record_many(facts.UNMASKED, rows, event=event, by=by, act=act, purpose="call")
    return {s: whole[s].phones for s in read}
