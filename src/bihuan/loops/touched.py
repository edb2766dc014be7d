"""On which duties somebody has worked: these are offered instead of moved, and stay where two are one."""

from __future__ import annotations

from collections.abc import Sequence

from bihuan.access.door import engine
from bihuan.loops import declare
from bihuan.loops.statement import run


def touched(loops: Sequence[int], moved: Sequence[str] = (), was: Sequence[str] = ()) -> set[int]:
    """Duties on which somebody has worked: assigned, accepted, or with a fact of a kind that is work on it.

    `moved`, `was`: aliases that have just come to another person, and whose they were. Work counts for a duty when it
    was about the person as known then: what was done for the one is not done for the other because they are joined.
    """
    if not loops:
        return set()
    works = [(kind.name, fact.name) for kind in declare.kinds().values() for fact in kind.works]
    with engine():
        rows = run(
            """
            WITH d AS MATERIALIZED (SELECT id, subject, kind, event, opened_at, assignee FROM loop WHERE id = ANY(%(loops)s)),
            w AS MATERIALIZED (SELECT * FROM unnest(%(kinds)s::text[], %(facts)s::text[]) AS w(kind, fact)),
            o AS MATERIALIZED (SELECT * FROM unnest(%(moved)s::uuid[], %(was)s::uuid[]) AS o(subject, was)),
            a AS MATERIALIZED (
              SELECT d.id, d.kind, d.event, d.opened_at, s.subject FROM d CROSS JOIN LATERAL (
                SELECT d.subject UNION SELECT c2.subject FROM cluster c JOIN cluster c2 ON c2.root = c.root WHERE c.subject = d.subject
                AND coalesce((SELECT was FROM o WHERE o.subject = c.subject), c.root)
                  = coalesce((SELECT was FROM o WHERE o.subject = c2.subject), c2.root)) s)
            SELECT id FROM d WHERE assignee IS NOT NULL
            UNION SELECT d.id FROM d WHERE EXISTS (SELECT 1 FROM movement m WHERE m.loop = d.id AND m.what = 'accepted')
            UNION SELECT a.id FROM a CROSS JOIN LATERAL (
              SELECT f.id FROM fact f WHERE f.subject = a.subject AND f.received_at >= a.opened_at AND f.event = a.event
                AND f.kind IN (SELECT w.fact FROM w WHERE w.kind = a.kind)
                AND NOT EXISTS (SELECT 1 FROM handled h WHERE h.voids = f.id) OFFSET 0) f
            """,
            {"loops": list(loops), "moved": list(moved), "was": list(was), "kinds": [w[0] for w in works], "facts": [w[1] for w in works]},
        )
    return {i for (i,) in rows}


def once_offered(loops: Sequence[int]) -> set[int]:
    """Duties that somebody has offered to another unit, whatever became of it."""
    with engine():
        return {i for (i,) in run("SELECT DISTINCT loop FROM movement WHERE loop = ANY(%s) AND what = 'offered'", (list(loops),))}
