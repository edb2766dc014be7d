"""What pages read of leads and their duties, in the reader's scope: row-level security decides what is there.

Every function costs the same number of statements for one row as for a page of rows.
"""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from bihuan.identity import keys, search
from bihuan.identity import queries as people
from bihuan.identity.facts import pair_of
from bihuan.identity.loops import SETTLE
from bihuan.identity.sealed import opened
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads.loops import SUPPORT, VERIFY
from bihuan.leads.models import Lead
from bihuan.loops.conflicts import CONTRADICTION
from bihuan.loops.statement import kept
from bihuan.policy import pack as packs
from bihuan.regions import queries as regions

PAGE_ROWS = 50
MANY = 1_000  # what the chips of my work count up to
STATES = ("mine", "offered", "late", "helped", "all")

_PEOPLE = "l.subject IN (SELECT m.subject FROM cluster m JOIN cluster x ON x.root = m.root {where})"
# The first rung of a late duty has fired: no timer of the first rung is left. The same meaning as in the counts.
LATE = "l.due_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.loop = l.id AND t.level = 1)"


def rows(sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def asked(sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`rows` of what every page asks."""
    names, found = kept(sql, parameters)
    return [dict(zip(names, row, strict=True)) for row in found]


def not_found() -> Refused:
    return Refused("lead_not_found", "没有这条核查线索，或不归您管。", "There is no such lead, or it is not yours.")


@dataclasses.dataclass(frozen=True)
class Filter:
    """Which duties a page lists. `state`: held by the reader's unit, offered to it, late in its range, help asked of it, all in range."""

    state: str = "mine"
    kind: str = ""
    within: tuple[int, int] | None = None  # scope codes of a unit below
    q: str = ""
    holder: int | None = None  # the unit that owns them

    def sql(self, unit: int, now: datetime) -> tuple[str, dict[str, Any]]:
        parts = {
            "mine": "l.owner = %(unit)s",
            "offered": "l.offered_to = %(unit)s",
            "hands": "(l.owner = %(unit)s OR l.offered_to = %(unit)s)",
            "late": "l.due_at < %(now)s",
            "helped": "l.id IN (SELECT f.loop FROM fired f WHERE f.unit = %(unit)s)",
            "all": "TRUE",
        }
        where, given = [parts[self.state]], {"unit": unit, "now": now}
        if self.kind:
            where.append("l.kind = %(kind)s")
            given["kind"] = self.kind
        if self.holder is not None:
            where.append("l.owner = %(holder)s")
            given["holder"] = self.holder
        if self.within:
            where.append("l.scope >= %(lo)s AND l.scope < %(hi)s")
            given |= {"lo": self.within[0], "hi": self.within[1]}
        if self.q:
            found, more = search.found_sql(search.sought(self.q))
            where.append(_PEOPLE.format(where=f"JOIN ({found}) s ON s.subject = x.subject"))
            given |= more
        return " AND ".join(where), given


# The event is named only where several are open: where a reader could mix them up. Names are looked up for the rows that
# are shown: as joins of eight tables they took longer to plan than to read.
DUTY = """
SELECT l.id, l.event, l.kind, l.subject, l.key, l.owner, l.assignee, l.offered_to, l.offered_until, l.due_at,
       l.closed_at, l.pack, coalesce((SELECT c.root FROM cluster c WHERE c.subject = l.subject), l.subject) AS root,
       (SELECT o.name FROM unit o WHERE o.id = l.owner) AS owner_name, (SELECT o.phone FROM unit o WHERE o.id = l.owner) AS owner_phone,
       (SELECT a.name FROM officer a WHERE a.id = l.assignee) AS assignee_name, (SELECT g.name FROM unit g WHERE g.id = l.offered_to) AS offered_name,
       (SELECT r.name FROM region r WHERE r.id = l.region) AS region_name, (SELECT r.level FROM region r WHERE r.id = l.region) AS region_level,
       (SELECT p.name FROM region r JOIN region p ON p.id = r.parent_id WHERE r.id = l.region) AS parent_name,
       CASE WHEN (SELECT count(*) FROM event x WHERE x.ended_on IS NULL) > 1
            THEN (SELECT e.name FROM event e WHERE e.id = l.event) ELSE '' END AS event_name,
       coalesce((SELECT max(f.level) FROM fired f WHERE f.loop = l.id), 0) AS help_level
FROM loop l
"""
# Duties in a given order, each with its lead: the first of its person and arrival.
_IN_ORDER = f"""
SELECT d.*, w.no, le.id AS lead, le.sources, le.arrived_to
FROM unnest(%(loops)s::bigint[]) WITH ORDINALITY AS w(id, no) JOIN LATERAL ({DUTY} WHERE l.id = w.id) d ON TRUE LEFT JOIN LATERAL (
  SELECT e.id, e.sources, e.arrived_to
  FROM cluster c JOIN lead e ON e.subject = c.subject AND e.key = d.key AND e.event = d.event AND e.merged_into IS NULL
  WHERE c.root = d.root ORDER BY e.first_reported_at, e.id LIMIT 1) le ON TRUE
ORDER BY w.no
"""


# What a unit asked of the unit above, and what became of it. A duty that is owed again, its answer being withdrawn, is about the same ask.
ASKS = """
SELECT l.id, l.owner, lo.name AS owner_name, lo.phone AS owner_phone, l.due_at, l.pack, l.closed_at, l.outcome,
       a.unit AS asker, au.name AS asker_name, au.phone AS asker_phone, ao.name AS asker_officer, a.received_at AS asked_at, a.reason, a.note,
       (SELECT fu.name FROM fired f JOIN unit fu ON fu.id = f.unit WHERE f.loop = l.id AND f.unit <> l.owner ORDER BY f.level DESC LIMIT 1) AS helper,
       e.how, e.note AS said, ef.received_at AS ended_at, eu.name AS ended_unit, eo.name AS ended_officer
FROM loop l JOIN unit lo ON lo.id = l.owner
JOIN LATERAL (SELECT f.unit, f."by", f.received_at, d.reason, d.note FROM fact f JOIN support_asked d ON d.fact = f.id
              WHERE f.subject = l.subject AND f.event = l.event AND f.received_at <= l.opened_at ORDER BY f.received_at DESC, f.id DESC LIMIT 1) a ON TRUE
JOIN unit au ON au.id = a.unit LEFT JOIN officer ao ON ao.id = a."by"
LEFT JOIN fact ef ON ef.id = l.closed_by LEFT JOIN support_ended e ON e.fact = ef.id
LEFT JOIN unit eu ON eu.id = ef.unit LEFT JOIN officer eo ON eo.id = ef."by"
"""


@dataclasses.dataclass(frozen=True)
class Page:
    """Some duties in the order of their deadlines, and the keys of the pages before and after."""

    duties: list[dict[str, Any]]
    before: str
    after: str


def duties_in_order(loops: Sequence[int]) -> list[dict[str, Any]]:
    """Duties in sight as `lines` shows them, open or not, in this order; `no` is their place in it, from 1. One statement."""
    return asked(_IN_ORDER, {"loops": list(loops)}) if loops else []


def _key_of(duty: Mapping[str, Any]) -> str:
    due = duty["due_at"]
    return f"{'' if due is None else due.timestamp()}~{duty['id']}"


def _cursor(text: str) -> tuple[datetime | None, int] | None:
    try:
        due, loop = text.split("~")
        return (datetime.fromtimestamp(float(due), tz=clock.SHANGHAI) if due else None, int(loop))
    except (ValueError, OverflowError, OSError):
        return None


def page_of(where: str, given: Mapping[str, Any], *, after: str = "", before: str = "", is_open: bool = True) -> Page:
    """A page of duties by key (deadline, id); duties without a deadline come last."""
    at, backwards = _cursor(after or before), bool(before and not after)
    parts, values = [where, *(["l.closed_at IS NULL"] if is_open else [])], dict(given)
    if at is not None:
        values |= {"at_due": at[0], "at_id": at[1]}
        if at[0] is None:
            parts.append("(l.due_at IS NOT NULL OR l.id < %(at_id)s)" if backwards else "l.due_at IS NULL AND l.id > %(at_id)s")
        else:
            parts.append(
                "(l.due_at, l.id) < (%(at_due)s, %(at_id)s)"
                if backwards
                else "((l.due_at, l.id) > (%(at_due)s, %(at_id)s) OR l.due_at IS NULL)"
            )
    order = "l.due_at DESC NULLS FIRST, l.id DESC" if backwards else "l.due_at NULLS LAST, l.id"
    # Which ones depends on what is asked, and is planned for it; mostly it is read in an index alone. The rest is always the same.
    chosen = rows(f"SELECT l.id FROM loop l WHERE {' AND '.join(f'({p})' for p in parts)} ORDER BY {order} LIMIT {PAGE_ROWS + 1}", values)
    more, found = len(chosen) > PAGE_ROWS, duties_in_order([row["id"] for row in chosen[:PAGE_ROWS]])
    if backwards:
        found.reverse()
    has_before = more if backwards else at is not None
    has_after = at is not None if backwards else more
    return Page(found, _key_of(found[0]) if found and has_before else "", _key_of(found[-1]) if found and has_after else "")


def counts_of_states(unit: int, now: datetime, tomorrow: datetime, *, wide: bool) -> dict[str, int]:
    """How many duties each state lists; `wide` counts the whole range too. One statement.

    Nobody reads more than `MANY` lines: beyond it the count stops, and MANY + 1 stands for “more”. Figures that must be exact
    are those of the overview.
    """
    # The kind is read, so that the index of owners is not enough: it would be walked through a whole city for one county.
    in_range = f"(SELECT count(x.kind) FROM (SELECT l.kind FROM loop l WHERE l.closed_at IS NULL{{}} LIMIT {MANY + 1}) x)"
    parts = {
        "mine": "m.mine",
        "today": "m.today",
        "mine_late": "m.mine_late",
        "offered": in_range.format(" AND l.offered_to = %(unit)s"),
    }
    if wide:
        parts |= {
            "late": "m.late",
            "helped": in_range.format(" AND l.id IN (SELECT f.loop FROM fired f WHERE f.unit = %(unit)s)"),
            "all": f"CASE WHEN greatest(m.mine, m.late) > {MANY} THEN {MANY + 1} ELSE {in_range.format('')} END",
        }
    late = in_range.format(" AND l.due_at < %(now)s") if wide else "0"
    mine = (  # by their deadlines: the first ones hold all that are due today
        "SELECT count(*) AS mine, count(*) FILTER (WHERE d.due_at < %(tomorrow)s) AS today, count(*) FILTER (WHERE d.due_at < %(now)s) AS mine_late,"
        f" {late} AS late FROM (SELECT l.due_at FROM loop l WHERE l.closed_at IS NULL AND l.owner = %(unit)s ORDER BY l.due_at LIMIT {MANY + 1}) d"
    )
    sql = "SELECT " + ", ".join(f"{part} AS {name}" for name, part in parts.items()) + f" FROM ({mine}) m"
    return rows(sql, {"unit": unit, "now": now, "tomorrow": tomorrow})[0]


# --- what a line says beside the duty -----------------------------------------------------------------------------

# Tries, a call under way, and the answer, of each person and arrival. Two statements, for nobody was called yet on most pages.
_CALLS = """
SELECT w.n, w.key, f.id, f.kind, f.happened_at, f."by", f.unit, u.name AS unit_name
FROM unnest(%(n)s::int[], %(root)s::uuid[], %(key)s::text[], %(event)s::int[]) AS w(n, root, key, event)
JOIN cluster c ON c.root = w.root JOIN fact f ON f.subject = c.subject AND f.event = w.event
LEFT JOIN unit u ON u.id = f.unit
WHERE f.kind IN ('leads.call_started', 'leads.contact_tried', 'leads.lead_verified') ORDER BY w.n, f.received_at, f.id
"""
# What they say. A withdrawn record counts no more; each is looked up by itself (OFFSET 0), not among all that was ever withdrawn.
_SAID = """
SELECT d.* FROM (
  SELECT s.fact, s.episode, s.until_at, NULL AS found FROM call_started s WHERE s.fact = ANY(%(facts)s)
  UNION ALL SELECT t.fact, t.episode, NULL, NULL FROM contact_tried t WHERE t.fact = ANY(%(facts)s)
  UNION ALL SELECT v.fact, v.episode, NULL, v.outcome FROM lead_verified v WHERE v.fact = ANY(%(facts)s)) d
WHERE NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = d.fact OFFSET 0)
"""


@dataclasses.dataclass
class Contact:
    """What is known of calls for one person and arrival: `held` (unit, officer, name, until) while somebody calls."""

    n_tries: int = 0
    held: tuple[int, int, str, datetime] | None = None
    answered_at: datetime | None = None
    answered_by: str = ""
    answer: str = ""


@dataclasses.dataclass
class Around:
    """People and calls of a page of duties, by the duty's place on it (people by subject, asks by duty), and what it is asked."""

    contacts: dict[int, Contact]
    people: dict[UUID, Any]
    doubts: dict[tuple[UUID, str], tuple[UUID, UUID]]
    conflicts: dict[str, UUID]
    asks: dict[int, dict[str, Any]]


def around(duties: Sequence[Mapping[str, Any]], now: datetime, *, whole: bool) -> Around:
    """Everything that the lines of a page say beside the duties, in a fixed number of statements; in none where it has no lines.

    `whole`: phones and addresses are opened as well, of those who have a name.
    """
    if not duties:
        return Around({}, {}, {}, {}, {})
    given = {
        "n": list(range(len(duties))),
        "root": [d["root"] for d in duties],
        "key": [d["key"] for d in duties],
        "event": [d["event"] for d in duties],
    }
    contacts = contacts_of(given, now)
    found: dict[UUID, Any] = {}
    for event in sorted({d["event"] for d in duties}):
        found |= people.opened_persons(sorted({d["subject"] for d in duties if d["event"] == event}), event=event, whole=whole)
    doubts = {(d["subject"], d["key"]): pair_of(d["key"]) for d in duties if d["kind"] == SETTLE.name}
    asked = [d["key"] for d in duties if d["kind"] == CONTRADICTION.name]
    told = rows("SELECT question, fact FROM contradicted WHERE question = ANY(%s)", [asked]) if asked else []
    wanted = [d["id"] for d in duties if d["kind"] == SUPPORT.name]
    asks = {r["id"]: r for r in rows(f"{ASKS} WHERE l.id = ANY(%s)", [wanted])} if wanted else {}
    return Around(contacts, found, doubts, {r["question"]: r["fact"] for r in told}, asks)


def contacts_of(given: Mapping[str, Any], now: datetime) -> dict[int, Contact]:
    found: dict[int, Contact] = {}
    calls = asked(_CALLS, given)
    said = {row["fact"]: row for row in rows(_SAID, {"facts": [call["id"] for call in calls]})} if calls else {}
    for call in calls:
        row = call | said.get(call["id"], {"episode": None})
        if row["episode"] != row["key"]:
            continue
        contact = found.setdefault(row["n"], Contact())
        if row["kind"] == "leads.call_started":
            contact.held = (row["unit"], row["by"], row["unit_name"], row["until_at"]) if row["until_at"] > now else None
        elif row["kind"] == "leads.contact_tried":
            contact.n_tries += 1
            contact.held = None
        else:
            contact.held = None
            contact.answered_at, contact.answered_by, contact.answer = row["happened_at"], row["unit_name"] or "", row["found"]
    return found


def is_quiet(pack: str, now: datetime) -> bool:
    """Whether it is night by these rules: clocks that have not rung rest."""
    quiet = packs.by_key(pack).quiet
    return quiet is not None and quiet.holds(now)


def is_paused(duty: Mapping[str, Any], now: datetime) -> bool:
    """Whether the clock of a duty rests now, in the quiet hours of the rules that opened it."""
    return duty["due_at"] is not None and duty["due_at"] > now and is_quiet(duty["pack"], now)


# --- one lead -----------------------------------------------------------------------------------------------------


def lead_of(lead: UUID) -> Lead:
    """A lead in sight; one that was merged leads to the one that stands. Refuses `lead_not_found`."""
    found = Lead.objects.filter(id=lead).first()
    for _ in range(5):
        if found is None or found.merged_into is None:
            break
        found = Lead.objects.filter(id=found.merged_into).first()
    if found is None:
        raise not_found()
    return found


def root_of(subject: UUID) -> UUID:
    found = rows("SELECT root FROM cluster WHERE subject = %s", [subject])
    return found[0]["root"] if found else subject


def members_of(root: UUID) -> list[UUID]:
    return [r["subject"] for r in rows("SELECT subject FROM cluster WHERE root = %s ORDER BY subject", [root])] or [root]


def duties_of(lead: Lead, root: UUID) -> list[dict[str, Any]]:
    """Open duties of a lead, and questions about who the person is."""
    return rows(
        f"{DUTY} WHERE l.closed_at IS NULL AND l.event = %s AND l.subject IN (SELECT subject FROM cluster WHERE root = %s)"
        " AND (l.key = %s OR l.kind = ANY(%s)) ORDER BY l.due_at NULLS LAST, l.id",
        [lead.event, root, lead.key, [SETTLE.name, CONTRADICTION.name]],
    )


def open_duty(lead: Lead, root: UUID, kind: str) -> dict[str, Any] | None:
    return next((duty for duty in duties_of(lead, root) if duty["kind"] == kind and duty["key"] == lead.key), None)


_TIMELINE = """
SELECT f.id, f.act, f.kind, f.happened_at, f.received_at, f."by", f.unit, f.purpose, u.name AS unit_name, o.name AS officer,
       v.fact IS NOT NULL AS voided, v.reason AS void_reason,
       r.source, r.file, r.sheet, r.row, r.origin, r.arrived_at, r.arrived_precision,
       coalesce(t.outcome, lv.outcome) AS outcome, coalesce(nullif(t.reason, ''), nullif(lv.reason, ''), h.reason, li.reason, un.reason) AS reason,
       t.next_try_at, lv.here_since, lv.destination, lv.medical_need, ls.sampled_at, ls.place, ls.tube, rr.result,
       ra.accepted, ra.answer, hu.name AS to_unit, ho.name AS to_officer, coalesce(li.rule, un.rule) AS rule, se.same,
       coalesce(cs.episode, t.episode, lv.episode, ls.episode, rr.episode, ra.episode, r.episode, hl.key) AS episode, hl.kind AS loop_kind, um.reading
FROM cluster c JOIN fact f ON f.subject = c.subject AND f.event = %(event)s
LEFT JOIN unit u ON u.id = f.unit LEFT JOIN officer o ON o.id = f."by"
LEFT JOIN LATERAL (SELECT hv.fact, hv.reason FROM handled hv WHERE hv.voids = f.id LIMIT 1) v ON TRUE
LEFT JOIN lead_reported r ON r.fact = f.id LEFT JOIN call_started cs ON cs.fact = f.id LEFT JOIN contact_tried t ON t.fact = f.id
LEFT JOIN lead_verified lv ON lv.fact = f.id LEFT JOIN lead_sampled ls ON ls.fact = f.id LEFT JOIN result_recorded rr ON rr.fact = f.id
LEFT JOIN referral_answered ra ON ra.fact = f.id LEFT JOIN linked li ON li.fact = f.id LEFT JOIN unlinked un ON un.fact = f.id
LEFT JOIN settled se ON se.fact = f.id LEFT JOIN unmasked um ON um.fact = f.id
LEFT JOIN handled h ON h.fact = f.id LEFT JOIN unit hu ON hu.id = h.unit LEFT JOIN officer ho ON ho.id = h.officer
LEFT JOIN loop hl ON hl.id = h.loop
WHERE c.root = %(root)s ORDER BY f.received_at DESC, f.id DESC LIMIT 300
"""


def timeline(lead: Lead, root: UUID) -> list[dict[str, Any]]:
    """What was recorded of the person in this arrival, newest first; links and readings belong to every arrival."""
    found = asked(_TIMELINE, {"event": lead.event, "root": root})  # to plan it costs ten times what it costs to run
    return [row for row in found if row["episode"] in (None, lead.key) or row["kind"] == "leads.lead_reported"]


def history_of(subjects: Sequence[UUID], event: int, n: int) -> list[dict[str, Any]]:
    """The newest `n` records about these aliases themselves."""
    told = _TIMELINE.replace("c.root = %(root)s", "c.subject = ANY(%(subjects)s)").replace("LIMIT 300", "LIMIT %(n)s")
    return rows(told, {"event": event, "subjects": list(subjects), "n": n})


def movements(lead: Lead, root: UUID) -> list[dict[str, Any]]:
    return rows(
        "SELECT m.received_at, m.what, m.due_at, l.kind, f.name AS from_name, t.name AS to_name FROM loop l JOIN movement m ON m.loop = l.id"
        " LEFT JOIN unit f ON f.id = m.from_unit LEFT JOIN unit t ON t.id = m.to_unit"
        " WHERE l.event = %s AND l.key = %s AND l.subject IN (SELECT subject FROM cluster WHERE root = %s) ORDER BY m.received_at DESC, m.id DESC LIMIT 200",
        [lead.event, lead.key, root],
    )


def links(root: UUID) -> list[dict[str, Any]]:
    """The standing joins that make these records one person."""
    return rows(
        "SELECT k.a, k.b, k.rule, k.same, coalesce(d.reason, '') AS reason, f.received_at FROM link k"
        " LEFT JOIN fact f ON f.id = k.fact LEFT JOIN linked d ON d.fact = k.fact"
        " WHERE k.ended_by IS NULL AND k.same AND k.a IN (SELECT subject FROM cluster WHERE root = %s) ORDER BY k.id",
        [root],
    )


def why_in_sight(root: UUID, unit: int) -> str:
    """ "unit": the reader's unit holds or held a duty about the person; else "range": the person is in its territory."""
    own = rows("SELECT 1 FROM visible v JOIN cluster c ON c.subject = v.subject WHERE c.root = %s AND v.unit = %s LIMIT 1", [root, unit])
    return "unit" if own else "range"


def origin_names(texts: Sequence[str]) -> dict[str, str]:
    """Origins that a list gives as division codes (440300) by name; those in words stay as they are. At most two statements."""
    codes = {text: int(text.ljust(12, "0")) for text in texts if text.isascii() and text.isdigit() and len(text) in (6, 9, 12)}
    if not codes:
        return {}
    known = regions.by_division(list(set(codes.values())))
    names = regions.full_names(known.values())
    return {text: names[known[code]] for text, code in codes.items() if code in known}


def files_of(ids: Sequence[int]) -> dict[int, str]:
    return {r["id"]: r["name"] for r in rows("SELECT id, name FROM intake_file WHERE id = ANY(%s)", [list(ids)])}


def undoable(act: UUID) -> bool:
    return bool(rows("SELECT 1 FROM fact WHERE act = %s LIMIT 1", [act]))


_TYPED = {
    "leads.call_started": "call_started",
    "leads.contact_tried": "contact_tried",
    "leads.lead_verified": "lead_verified",
    "leads.lead_sampled": "lead_sampled",
    "leads.result_recorded": "result_recorded",
    "leads.referral_answered": "referral_answered",
    "leads.support_asked": "support_asked",
    "leads.support_ended": "support_ended",
}


def said(fact: UUID) -> dict[str, Any] | None:
    """What a record says, with its `kind`; None where it is not there."""
    found = rows("SELECT kind, subject FROM fact WHERE id = %s", [fact])
    if not found:
        return None
    table = _TYPED.get(found[0]["kind"])
    typed = rows(f"SELECT * FROM {table} WHERE fact = %s", [fact]) if table else [{}]
    return {**found[0], **(typed[0] if typed else {})}


# --- people, officers, units --------------------------------------------------------------------------------------


SAVED_CALLS = """
WITH told AS MATERIALIZED (SELECT n_reports, sources FROM lead WHERE desk = %(unit)s AND merged_into IS NULL AND first_reported_at >= %(since)s)
SELECT count(*) AS persons, coalesce(sum(n_reports), 0)::int AS rows,
       (SELECT count(DISTINCT s) FROM (SELECT DISTINCT sources FROM told) d, unnest(d.sources) s)::int AS lists FROM told
"""


def saved_calls(unit: int, since: datetime) -> dict[str, int] | None:
    """How many rows of how many kinds of lists told of the people of a village since then; None where no call was saved."""
    found = rows(SAVED_CALLS, {"unit": unit, "since": since})[0]
    return {**found, "fewer": found["rows"] - found["persons"]} if found["rows"] > found["persons"] else None


def officers_of(unit: int) -> list[dict[str, Any]]:
    return asked(
        "SELECT DISTINCT o.id, o.name FROM post p JOIN officer o ON o.id = p.officer WHERE p.unit = %(unit)s AND p.valid @> %(on)s::date AND o.is_active ORDER BY o.name",
        {"unit": unit, "on": clock.today()},
    )


def units_below(unit: int, *, next_only: bool = False) -> list[dict[str, Any]]:
    """Desks and villages one and two steps below (`next_only`: one step), in the order of their codes."""
    return asked(
        "SELECT u.id, u.name, u.kind, p.id AS parent, p.name AS parent_name FROM unit u JOIN unit p ON p.id = u.parent_id"
        " LEFT JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(on)s::date"
        f" WHERE (p.id = %(unit)s{'' if next_only else ' OR p.parent_id = %(unit)s'}) AND u.kind IN ('desk', 'village', 'liaison') AND u.valid @> %(on)s::date"
        " ORDER BY p.id <> %(unit)s, s.scope, u.id",
        {"unit": unit, "on": clock.today()},
    )


def people_found(q: str) -> list[dict[str, Any]]:
    """Leads in sight whose person `q` means (`identity.search`), by the sound of the name; at most a page and one more.

    Names that begin with `q` come before names that have it elsewhere: these are looked for only where none begins so.
    """
    what = search.sought(q)
    return _people(what, anywhere=False) or ([] if what.whole or what.nothing else _people(what, anywhere=True))


def _people(what: search.Sought, *, anywhere: bool) -> list[dict[str, Any]]:
    found, given = search.found_sql(what, anywhere=anywhere)
    return rows(
        f"""
        SELECT * FROM (
          SELECT DISTINCT ON (c.root, le.key) le.id AS lead, le.key, le.event, le.subject, c.root, l.kind, l.due_at, l.pack, o.name AS owner_name,
                 l.owner, r.name AS region_name, r.level AS region_level, p.name AS parent_name, l.id,
                 (SELECT n.pinyin FROM person n WHERE n.subject = c.root) AS sound
          FROM (SELECT subject FROM ({found}) every LIMIT {search.FOUND_MAX}) s
          JOIN cluster x ON x.subject = s.subject JOIN cluster c ON c.root = x.root
          JOIN lead le ON le.subject = c.subject AND le.merged_into IS NULL
          LEFT JOIN cluster m ON m.root = c.root
          LEFT JOIN loop l ON l.subject = m.subject AND l.key = le.key AND l.event = le.event AND l.closed_at IS NULL
          LEFT JOIN unit o ON o.id = l.owner LEFT JOIN region r ON r.id = l.region LEFT JOIN region p ON p.id = r.parent_id
          ORDER BY c.root, le.key, l.due_at) every
        ORDER BY sound NULLS LAST, root, key LIMIT {PAGE_ROWS + 1}
        """,
        given,
    )


def evidence_of(subject: UUID, event: int) -> dict[str, tuple]:
    """What one record says by itself, without those that are joined to it."""
    found = rows(
        "SELECT i.blob, p.name, p.birth_year, p.sex FROM identity i LEFT JOIN person p ON p.subject = i.subject WHERE i.subject = %s AND i.event = %s",
        [subject, event],
    )
    key = keys.data_key(event) if found else None
    if key is None:
        raise not_found()
    said, person = opened(key, bytes(found[0]["blob"]), subject.bytes), found[0]
    return {
        "names": (person["name"],) if person["name"] else (),
        "docs": (said.doc,) if said.doc else (),
        "phones": tuple(said.phones),
        "addresses": tuple(said.addresses),
        "years": (person["birth_year"],) if person["birth_year"] else (),
        "sexes": (person["sex"],) if person["sex"] else (),
    }


def is_verify(kind: str) -> bool:
    return kind == VERIFY.name
