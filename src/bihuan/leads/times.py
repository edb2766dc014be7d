"""The three instants of every person to be verified: known, taken over, settled (即知、即管、即控). Set-based, in the reader's sight.

One line per arrival of a person (`lead`) that has a standing duty to verify. The instants are those at which the platform
received the records (no device's clock), and only of records that stand:

- arrived: the earliest arrival that a report gives to the minute. A day alone gives none: it would add up to 24 hours.
- known: the first report, of whatever source; `source` is that report's.
- taken over: the first sign that a desk has it: it accepted the duty, gave it to an officer, began a call, recorded a try or
  an answer. That a duty lies at a desk because the address says so is no sign.
- settled: no duty to verify, to sample or to refer is open any more: sampled, nothing required, another city has accepted,
  or waived with a signature. Waiting for a result is not counted: the person has done what was asked.

From known to taken over, and so on, are the stages of `STAGES`. Who was known before arriving counts 0 for the first; who is
still expected has no first stage; settling is counted from the arrival where it came after taking over. Nothing is negative.
"""

# ruff: noqa: E501  a statement reads better unbroken

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any
from uuid import UUID

from bihuan.identity.evidence import FIRST_NAME_DOOR, FIRST_PHONE
from bihuan.kernel import clock
from bihuan.kernel.refused import Refused
from bihuan.leads.facts import CALL_STARTED, CONTACT_TRIED, LEAD_REPORTED, LEAD_SAMPLED, LEAD_VERIFIED
from bihuan.leads.loops import REFER, SAMPLE, VERIFY
from bihuan.leads.queries import LATE, asked
from bihuan.ledger import seals
from bihuan.loops.facts import ACCEPTED, ASSIGNED

STAGES = ("known", "taken", "settled")  # each from the instant before it
# What shows that a desk has taken somebody over.
SIGNS = [kind.name for kind in (CALL_STARTED, CONTACT_TRIED, LEAD_VERIFIED, LEAD_SAMPLED, ACCEPTED, ASSIGNED)]
# The typed rows of the signs `f`, and the arrival that each is about.
_DETAILS = """LEFT JOIN call_started cs ON cs.fact = f.id LEFT JOIN contact_tried ct ON ct.fact = f.id LEFT JOIN lead_verified lv ON lv.fact = f.id
  LEFT JOIN lead_sampled ls ON ls.fact = f.id LEFT JOIN handled hd ON hd.fact = f.id LEFT JOIN loop hl ON hl.id = hd.loop AND hl.kind = %(verify)s"""
_EPISODE = "coalesce(cs.episode, ct.episode, lv.episode, ls.episode, hl.key)"


@dataclasses.dataclass(frozen=True)
class Cut:
    """Which arrivals, and up to when. `since`: leads made from then on; None: all. `at`: the cut-off; `seal`: what it closed
    and no more (None: everything until now). Persons are joined, and duties owned, as they are now.
    """

    event: int
    at: datetime
    since: datetime | None = None
    seal: Any = None
    lead: UUID | None = None  # this one only

    def _sealed(self, fact: str) -> tuple[str, list]:
        return seals.sealed_by(self.seal, fact) if self.seal is not None else ("TRUE", [])

    def sql(self) -> tuple[str, dict[str, Any]]:
        """`WITH` clauses whose last, `w`, has a line per arrival; to be followed by a SELECT. And their parameters."""
        given: dict[str, Any] = {
            "event": self.event, "at": self.at, "since": self.since, "lead": self.lead, "verify": VERIFY.name, "reported": LEAD_REPORTED.name,
            "signs": SIGNS,
            "asked": [VERIFY.name, SAMPLE.name, REFER.name], "first_phone": FIRST_PHONE, "first_name_door": FIRST_NAME_DOOR,
        }  # fmt: skip
        sealed: dict[str, str] = {}
        for fact in ("f", "hf", "sf"):
            condition, values = self._sealed(fact)
            for no, value in enumerate(values):
                condition = condition.replace("%s", f"%({fact}{no})s", 1)
                given[f"{fact}{no}"] = value
            sealed[fact] = condition
        then = self.seal is not None
        stands = "NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id)"
        if then:
            stands = f"NOT EXISTS (SELECT 1 FROM handled h JOIN fact hf ON hf.id = h.fact AND {sealed['hf']} WHERE h.voids = f.id)"
        opened = f"EXISTS (SELECT 1 FROM fact sf WHERE sf.id = l.opened_by AND {sealed['sf']})" if then else "TRUE"
        closed = f"EXISTS (SELECT 1 FROM fact sf WHERE sf.id = l.closed_by AND {sealed['sf']})" if then else "l.closed_at IS NOT NULL"
        # Said as the case is, not as "no day, or since that day": a plan that is kept looks one arrival up by its number.
        which = [
            text
            for value, text in ((self.since, "le.first_reported_at >= %(since)s"), (self.lead, "le.id = %(lead)s"))
            if value is not None
        ]
        return _ARRIVALS.format(
            which=" AND ".join(which) or "TRUE",
            f_sealed=sealed["f"],
            stands=stands,
            opened=opened,
            closed=closed,
            details=_DETAILS,
            episode=_EPISODE,
        ), given


# What the placeholders in braces stand for depends on the cut-off (`Cut.sql`).
_ARRIVALS = """
WITH le AS MATERIALIZED (
  SELECT le.id, le.key, c.root, le.arrived_from, le.arrived_to FROM lead le JOIN cluster c ON c.subject = le.subject
  WHERE le.event = %(event)s AND le.merged_into IS NULL AND le.n_reports > 0
    AND {which}),
duties AS MATERIALIZED (
  SELECT le.id AS lead, l.id, l.kind, l.owner, CASE WHEN {closed} THEN l.closed_at END AS closed_at
  FROM le JOIN cluster m ON m.root = le.root JOIN loop l ON l.subject = m.subject AND l.key = le.key AND l.event = %(event)s AND l.kind = ANY(%(asked)s)
  WHERE {opened} AND NOT (coalesce(l.outcome, '') = 'void' AND {closed})),
v AS MATERIALIZED (
  SELECT DISTINCT ON (le.id) le.*, d.id AS duty, d.owner FROM le JOIN duties d ON d.lead = le.id AND d.kind = %(verify)s ORDER BY le.id, d.id DESC),
said AS MATERIALIZED (
  SELECT v.id AS lead, x.source, min(f.received_at) AS first_at, min(x.arrived_at) FILTER (WHERE x.arrived_precision = 'minute') AS arrived_at
  FROM v JOIN cluster m ON m.root = v.root
  JOIN fact f ON f.subject = m.subject AND f.event = %(event)s AND f.kind = %(reported)s
  JOIN lead_reported x ON x.fact = f.id
  WHERE {f_sealed} AND {stands} AND (x.arrived_at BETWEEN v.arrived_from AND v.arrived_to
    OR (x.arrived_at IS NULL AND NOT EXISTS (  -- a report without a time belongs to the person's last arrival
      SELECT 1 FROM cluster n JOIN lead o ON o.subject = n.subject AND o.event = %(event)s AND o.merged_into IS NULL AND o.n_reports > 0
      WHERE n.root = v.root AND (o.arrived_to > v.arrived_to OR (v.arrived_to IS NULL AND o.arrived_to IS NOT NULL)))))
  GROUP BY v.id, x.source),
signs AS MATERIALIZED (
  SELECT v.id AS lead, f.received_at, ct.outcome AS tried, lv.outcome AS found
  FROM v JOIN cluster m ON m.root = v.root JOIN fact f ON f.subject = m.subject AND f.event = %(event)s AND f.kind = ANY(%(signs)s)
  {details}
  WHERE {f_sealed} AND {stands} AND v.key = {episode}),
-- Everything that is known of each arrival, one under the other and then gathered: a join of these would trust the planner's guesses.
told (lead, duty, owner, is_number, source, first_at, arrived_at, sign_at, tried, found, is_end, closed_at) AS (
  SELECT id, duty, owner, root >= %(first_phone)s::uuid AND root < %(first_name_door)s::uuid, NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::text, NULL::text, FALSE, NULL::timestamptz FROM v
  UNION ALL SELECT lead, NULL, NULL, NULL, source, first_at, arrived_at, NULL, NULL, NULL, FALSE, NULL FROM said
  UNION ALL SELECT lead, NULL, NULL, NULL, NULL, NULL, NULL, received_at, tried, found, FALSE, NULL FROM signs
  UNION ALL SELECT lead, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, TRUE, closed_at FROM duties),
instants AS (
  SELECT lead, max(duty) AS duty, max(owner) AS owner, bool_or(is_number) AS is_number, min(arrived_at) AS arrived_at, min(first_at) AS known_at,
         (array_agg(source ORDER BY first_at, source) FILTER (WHERE source IS NOT NULL))[1] AS source,
         array_agg(source ORDER BY source) FILTER (WHERE source IS NOT NULL) AS sources,
         array_agg(first_at ORDER BY source) FILTER (WHERE source IS NOT NULL) AS firsts,
         (array_agg(found ORDER BY sign_at DESC) FILTER (WHERE found IS NOT NULL))[1] AS found, bool_or(tried = 'wrong_number') IS TRUE AS wrong_number,
         min(sign_at) AS sign_at, CASE WHEN bool_and(closed_at IS NOT NULL) FILTER (WHERE is_end) THEN max(closed_at) END AS settled_at
  FROM told GROUP BY lead),
w AS MATERIALIZED (
  SELECT i.*, i.taken_at IS NULL AS waits,
    i.arrived_at > %(at)s AS ahead, i.known_at < i.arrived_at AND i.arrived_at <= %(at)s AS foreseen,
    CASE WHEN i.arrived_at <= %(at)s THEN greatest(i.known_at - i.arrived_at, interval '0') END AS to_known,
    CASE WHEN i.taken_at IS NOT NULL THEN greatest(i.taken_at - i.known_at, interval '0') END AS to_taken,
    i.settled_at - CASE WHEN i.arrived_at BETWEEN i.taken_at AND i.settled_at THEN i.arrived_at ELSE i.taken_at END AS to_settled
  FROM (SELECT *, least(sign_at, settled_at) AS taken_at FROM instants WHERE duty IS NOT NULL AND known_at IS NOT NULL) i)
"""


def cut(event: int, *, since: datetime | None = None, at: datetime | None = None, lead: UUID | None = None) -> Cut:
    """Up to now; with `at` up to the last seal before it, so that the answer stays the same for ever.

    Refuses `before_first_seal`: nothing was sealed before that time.
    """
    if at is None:
        return Cut(event, clock.now(), since, lead=lead)
    seal = seals.cutoff(at)
    if seal is None:
        raise Refused(
            "before_first_seal", "该时刻之前没有封存，请选晚一些的时刻。", "Nothing was sealed before that time: choose a later one.", "at"
        )
    return Cut(event, seal.sealed_at, since, seal, lead)


def of_lead(event: int, lead: UUID) -> dict[str, Any] | None:
    """The instants and stages of one arrival; None where nobody has to verify it."""
    sql, given = cut(event, lead=lead).sql()
    found = asked(f"{sql} SELECT * FROM w", given)
    return found[0] if found else None


# A late duty to verify that no desk has taken over: on the books, and nobody answers for it (脱管). A condition on duties `l`.
# (No rung rings before the deadline; that it has passed is said because the index knows it, and few are left to look at.)
UNTAKEN = f"""
l.event = %(event)s AND l.kind = %(verify)s AND l.closed_at IS NULL AND l.due_at <= %(now)s AND {LATE} AND NOT EXISTS (
  SELECT 1 FROM cluster c JOIN cluster m ON m.root = c.root JOIN fact f ON f.subject = m.subject AND f.event = l.event AND f.kind = ANY(%(signs)s)
  {_DETAILS}
  WHERE c.subject = l.subject AND l.key = {_EPISODE}
    AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id))
"""


def untaken(event: int) -> tuple[str, dict[str, Any]]:
    """The condition and its parameters; of now only, and of every arrival of the event."""
    return UNTAKEN, {"event": event, "verify": VERIFY.name, "signs": SIGNS, "now": clock.now()}
