"""What goes of leads at the end of an event. The contents of their facts go with the facts."""

from __future__ import annotations

from bihuan.ledger.destruction import Part, Rows, register

register(Part("leads", order=100, rows=(Rows("lead"),)))
