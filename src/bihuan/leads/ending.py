"""What goes of leads at the end of an event. The contents of their facts go with the facts."""

from __future__ import annotations

from bihuan.ledger.destruction import Part, Rows, register

# A list or an act about duties of several events goes with the first of them: it is a working paper, not a record.
_OF_EVENT = "EXISTS (SELECT 1 FROM unnest(t.loops) AS x(loop) JOIN loop l ON l.id = x.loop WHERE l.event = %(event)s)"
# What came to a shut door names its lead in the address that it was sent to.
_OF_LEAD = "EXISTS (SELECT 1 FROM lead d WHERE d.id = substring(t.address from '^/leads/([0-9a-f-]{36})/')::uuid AND d.event = %(event)s)"

register(
    Part(
        "leads",
        order=100,
        rows=(
            Rows("late_entry", _OF_LEAD),
            Rows("lead"),
            Rows("stray"),
            Rows("duty_list", _OF_EVENT),
            Rows("bulk_part", _OF_EVENT),
            Rows("bulk_act", _OF_EVENT),
        ),
    )
)
