"""What goes of persons at the end of an event: keys first, then everything that only this event knows.

An alias whose person stands in another event too is kept with its name and links: that event needs them. Its sealed values
of this event go all the same; that it was reported with a phone is handed to the other event, so that links do not fall
apart under duties that are still open.
"""

from __future__ import annotations

from django.db import connection, transaction

from bihuan.identity import keys
from bihuan.ledger.destruction import Part, Rows, register

# Persons (roots) of whom some alias was seen in another event.
_ELSEWHERE = """
SELECT c.root FROM cluster c JOIN (
  SELECT subject FROM identity WHERE event <> %(event)s UNION SELECT subject FROM holding WHERE event <> %(event)s) o USING (subject)"""

_OF_EVENT = "SELECT subject FROM identity WHERE event = %(event)s UNION SELECT subject FROM holding WHERE event = %(event)s"

_DOOM = f"""
INSERT INTO doomed (event, subject)
SELECT %(event)s, e.subject FROM ({_OF_EVENT}) e LEFT JOIN cluster c USING (subject)
WHERE coalesce(c.root, e.subject) NOT IN ({_ELSEWHERE})
ON CONFLICT DO NOTHING"""

_HAND_OVER = """
WITH other AS (
  SELECT c.root, min(o.event) AS event FROM cluster c JOIN identity o USING (subject) WHERE o.event <> %(event)s GROUP BY 1)
INSERT INTO holding (event, subject, phone_idx, name_key)
SELECT other.event, h.subject, h.phone_idx, h.name_key
FROM holding h JOIN cluster c USING (subject) JOIN other ON other.root = c.root WHERE h.event = %(event)s
ON CONFLICT DO NOTHING"""


def prepare(event: int) -> None:
    """Write down who is known here only, and hand over what the others need. Safe to repeat while no row has gone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DOOM, {"event": event})
        cursor.execute(_HAND_OVER, {"event": event})


_DOOMED = "(SELECT d.subject FROM doomed d WHERE d.event = %(event)s)"

register(
    Part(
        "identity",
        order=500,
        prepare=prepare,
        forget=keys.forget,
        rows=(
            Rows("event_key"),  # gone already; counted again afterwards, when an older backup was restored
            Rows("visible", f"t.subject IN {_DOOMED}"),
            Rows("link", f"t.a IN {_DOOMED} OR t.b IN {_DOOMED}"),
            Rows("doubt", f"t.a IN {_DOOMED} OR t.b IN {_DOOMED}"),
            Rows("judged", f"t.subject IN {_DOOMED}"),
            Rows("person", f"t.subject IN {_DOOMED}"),
            Rows("identity"),
            Rows("holding"),
            Rows("cluster", f"t.subject IN {_DOOMED}"),
            Rows("subject", f"t.id IN {_DOOMED}"),
            Rows("doomed"),
        ),
    )
)
