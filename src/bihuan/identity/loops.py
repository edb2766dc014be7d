"""The duty of this module: somebody must say whether two pieces of evidence are one person."""

from __future__ import annotations

from bihuan.identity.facts import DOUBTED, PUT_OFF, SETTLED
from bihuan.loops.declare import After, By, LoopKind, always

SETTLE = LoopKind(
    "identity.settle",
    title="核对是否同一人",
    opens={DOUBTED: always},
    # Always the city's desk: which county a person belongs to depends on the order in which lists come.
    owner=By(lambda context: context.city_desk),
    due=After("received_at", lambda pack: pack.lead.settle_within),
    closes={SETTLED: always},
    works=frozenset({PUT_OFF}),
    ladder=lambda pack: pack.lead.help_after,
    grace=lambda pack: pack.lead.grace,
)
