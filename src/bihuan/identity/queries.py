"""Reading who is who. Under the application's role, row-level security shows only persons in the reader's scope."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from uuid import UUID

import psycopg
from django.db import connection

from bihuan.identity import keys, near
from bihuan.identity.oracle import Decision, Groups, Held, outcome
from bihuan.identity.sealed import Opened, opened
from bihuan.kernel.text import mask_document, mask_name, mask_phone
from bihuan.loops.statement import kept


@dataclasses.dataclass(frozen=True)
class Whole:
    """A person: the best name, and what its visible aliases say, best evidence first."""

    root: UUID
    name: str
    docs: tuple[str, ...]
    phones: tuple[str, ...]
    addresses: tuple[str, ...]
    birth_year: int | None
    sex: str
    minor: bool | None


@dataclasses.dataclass(frozen=True)
class Masked:
    """A person as a list shows it. `phone_only`: a phone lead, nobody's name is known."""

    subject: UUID
    root: UUID
    name: str
    doc: str
    phone: str
    birth_year: int | None
    sex: str
    minor: bool | None
    phone_only: bool


@dataclasses.dataclass(frozen=True)
class DoubtRow:
    """An unsure pair that waits for an officer. `why`: evidence, or work (two desks worked on what is now one person)."""

    a: UUID
    b: UUID
    why: str
    fact: UUID


def _rows(sql: str, parameters: Sequence = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def seen(subjects: Sequence[UUID]) -> set[UUID]:
    """Those of the persons that the reader may see."""
    return {s for (s,) in _rows("SELECT DISTINCT subject FROM identity WHERE subject = ANY(%s)", [list(subjects)])}


def roots(subjects: Sequence[UUID]) -> dict[UUID, UUID]:
    """The person (root) of each alias."""
    return dict(_rows("SELECT subject, root FROM cluster WHERE subject = ANY(%s)", [list(subjects)]))


def opened_persons(subjects: Sequence[UUID], *, event: int, whole: bool = True) -> dict[UUID, Whole]:
    """Persons of the aliases in sight, opened with the event's key. Two statements for any number. For this module's actions.

    Without `whole` nothing is opened of an alias that has a name: a line that shows the name needs no more.
    """
    _names, rows = kept(
        "SELECT a.subject, a.root, m.subject, CASE WHEN %(whole)s::boolean OR coalesce(p.name, '') = '' THEN i.blob END,"
        " coalesce(p.name, ''), p.birth_year, coalesce(p.sex, ''), p.minor"
        " FROM cluster a JOIN cluster m ON m.root = a.root JOIN identity i ON i.subject = m.subject AND i.event = %(event)s"
        " LEFT JOIN person p ON p.subject = m.subject"
        " WHERE a.subject = ANY(%(subjects)s::uuid[]) ORDER BY a.subject, (m.subject = a.subject AND p.name <> '') DESC, m.subject",
        {"whole": whole, "event": event, "subjects": list(subjects)},
    )
    # An alias that is not in sight itself is not opened by way of another of the same person.
    own = {subject for subject, _root, member, *_rest in rows if member == subject}
    key = keys.data_key(event) if any(row[3] for row in rows) else None
    if key is None and whole:
        return {}
    found: dict[UUID, list[tuple]] = {}
    for subject, root, member, blob, *person in rows:
        if subject in own:
            said = opened(key, bytes(blob), member.bytes) if key and blob else Opened()
            found.setdefault(subject, []).append((root, said, person))
    return {subject: _whole(parts) for subject, parts in found.items()}


def _whole(parts: list[tuple[UUID, Opened, list]]) -> Whole:
    said = [opened for _, opened, _ in parts]
    people = [person for _, _, person in parts]
    return Whole(
        root=parts[0][0],
        name=next((name for name, *_ in people if name), ""),
        docs=_distinct(o.doc for o in said if o.doc),
        phones=_distinct(phone for o in said for phone in o.phones),
        addresses=_distinct(address for o in said for address in o.addresses),
        birth_year=next((year for _, year, _, _ in people if year is not None), None),
        sex=next((sex for _, _, sex, _ in people if sex), ""),
        minor=next((minor for *_, minor in people if minor is not None), None),
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def masked(subjects: Sequence[UUID], *, event: int) -> dict[UUID, Masked]:
    """The aliases in sight as a list shows them: 王*梅, 138****5678. The number of statements does not grow with the list."""
    return {
        s: Masked(
            s, w.root, mask_name(w.name) if w.name else "", mask_document(w.docs[0]) if w.docs else "",
            mask_phone(w.phones[0]) if w.phones else "", w.birth_year, w.sex, w.minor, not w.name and not w.docs,
        )
        for s, w in opened_persons(subjects, event=event).items()
    }  # fmt: skip


def with_duty_of(subjects: Sequence[UUID], *, unit: int) -> set[UUID]:
    """Those about whose person the unit holds an open duty."""
    return {s for (s,) in _rows(
        "SELECT DISTINCT a.subject FROM cluster a JOIN cluster m ON m.root = a.root"
        " JOIN loop l ON l.subject = m.subject AND l.closed_at IS NULL AND l.owner = %s WHERE a.subject = ANY(%s)",
        [unit, list(subjects)],
    )}  # fmt: skip


def doubts(subject: UUID | None = None) -> list[DoubtRow]:
    """Unsure pairs that wait for an officer, in sight; of one person, or all."""
    rows = _rows(
        "SELECT d.a, d.b, d.why, d.fact FROM doubt d WHERE d.ended_by IS NULL AND (%s::uuid IS NULL OR d.a IN"
        " (SELECT m.subject FROM cluster c JOIN cluster m ON m.root = c.root WHERE c.subject = %s)) ORDER BY d.fact, d.b",
        [subject, subject],
    )
    return [DoubtRow(*row) for row in rows]


@dataclasses.dataclass(frozen=True)
class ClusterGap:
    """An alias whose stored root is not what the standing links say."""

    subject: UUID
    stored: UUID | None
    counted: UUID


@dataclasses.dataclass(frozen=True)
class LinkGap:
    """`missing`: the rules ask for this link (or doubt) and it does not stand; else it stands and the rules do not ask for it."""

    a: UUID
    b: UUID
    what: str  # link, doubt
    missing: bool


def cluster_gaps() -> list[ClusterGap]:
    """For `verify` (role work): clusters recounted from the standing links alone."""
    stored = dict(_rows("SELECT c.subject, c.root FROM subject s JOIN cluster c ON c.subject = s.id WHERE s.kind = 'person'"))
    groups = Groups(s for (s,) in _rows("SELECT id FROM subject WHERE kind = 'person'"))
    for a, b in _rows("SELECT a, b FROM link WHERE ended_by IS NULL AND same"):
        groups.join(a, b)
    counted = {alias: groups.root(alias) for alias in list(groups.parent)}
    return [ClusterGap(s, stored.get(s), root) for s, root in sorted(counted.items()) if stored.get(s) != root]


def link_gaps() -> list[LinkGap]:
    """For `verify` (role work): automatic links and doubts against the rules applied to all evidence, in memory."""
    held = [Held(s, name, bytes(phone)) for s, name, phone in _rows("SELECT DISTINCT subject, name_key, phone_idx FROM holding")]
    minor = dict(_rows("SELECT subject, minor FROM person WHERE minor IS NOT NULL"))
    decisions = [Decision(*row) for row in _rows("SELECT a, b, same FROM link WHERE rule = 'officer' AND ended_by IS NULL")]
    wanted = outcome([s for (s,) in _rows("SELECT id FROM subject WHERE kind = 'person'")], held, minor, decisions)
    links = set(_rows("SELECT a, b FROM link WHERE rule <> 'officer' AND ended_by IS NULL"))
    asked = set(_rows("SELECT a, b FROM doubt WHERE why = 'evidence' AND ended_by IS NULL"))
    asked_near = set(_rows("SELECT a, b FROM doubt WHERE why = 'near' AND ended_by IS NULL"))
    with psycopg.Cursor(connection.connection) as cursor:
        near_now = {(UUID(pair.a), UUID(pair.b)) for pair in near.desired(cursor, "(SELECT DISTINCT root, true AS met FROM cluster)")}
    return [
        LinkGap(a, b, what, missing)
        for what, want, have in (("link", wanted.links, links), ("doubt", wanted.doubts, asked), ("doubt", near_now, asked_near))
        for missing, pairs in ((True, want - have), (False, have - want))
        for a, b in sorted(pairs)
    ]
