"""What goes of leads at the end of an event. The contents of their facts go with the facts."""

from __future__ import annotations

from bihuan.ledger.destruction import Part, Rows, register

# A list or an act about duties of several events goes with the first of them: it is a working paper, not a record.
_OF_EVENT = "EXISTS (SELECT 1 FROM unnest(t.loops) AS x(loop) JOIN loop l ON l.id = x.loop WHERE l.event = %(event)s)"

register(
    Part(
        "leads",
        order=100,
        rows=(Rows("lead"), Rows("stray"), Rows("duty_list", _OF_EVENT), Rows("bulk_part", _OF_EVENT), Rows("bulk_act", _OF_EVENT)),
    )
)
