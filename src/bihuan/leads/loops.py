"""The duties of the morning: verify, sample, result (three deadlines from one start), refer; and to answer a unit that asks for help."""

from __future__ import annotations

from bihuan.leads.facts import (
    CALL_STARTED,
    CONTACT_TRIED,
    LEAD_REPORTED,
    LEAD_SAMPLED,
    LEAD_SPLIT,
    LEAD_VERIFIED,
    REFERRAL_ANSWERED,
    RESULT_RECORDED,
    SUPPORT_ASKED,
    SUPPORT_ENDED,
    Found,
    Result,
)
from bihuan.loops.declare import After, By, Context, LoopKind, When, always


def needs_verification(origin_class: str, ctx: Context) -> bool:
    return origin_class in ctx.pack.lead.needs_verification


def needs_sampling(outcome: str, origin_class: str, ctx: Context) -> bool:
    return outcome == Found.HERE and origin_class in ctx.pack.lead.needs_sampling


def desk_that_verifies(desk: int | None, ctx: Context) -> int:
    """The village's where the address tells it, the county's where only the district is known, else the city's."""
    return desk or ctx.city_desk


def liaison_desk(liaison: int | None, ctx: Context) -> int:
    """Answers for units outside the system, until the other city has accepted."""
    return liaison or ctx.city_desk


def _ladder(pack):
    return pack.lead.help_after


def _grace(pack):
    return pack.lead.grace


VERIFY = LoopKind(
    "leads.verify",
    title="核查",
    opens={LEAD_REPORTED: When(needs_verification, reads=("origin_class",)), LEAD_SPLIT: When(needs_verification, reads=("origin_class",))},
    owner=By(desk_that_verifies, reads=("desk",)),
    due=After("received_at", lambda pack: pack.lead.verify_within),
    closes={LEAD_VERIFIED: always},
    works=frozenset({CALL_STARTED, CONTACT_TRIED}),
    extends={CONTACT_TRIED: "next_try_at"},
    ladder=_ladder,
    grace=_grace,
    quiet="origin_class",
)
SAMPLE = LoopKind(
    "leads.sample",
    title="采样",
    opens={LEAD_VERIFIED: When(needs_sampling, reads=("outcome", "origin_class"))},
    owner=By(lambda unit, ctx: unit, reads=("unit",)),
    due=After("assigned_at", lambda pack: pack.lead.sample_within),
    closes={LEAD_SAMPLED: always},
    ladder=_ladder,
    grace=_grace,
    quiet="origin_class",
)
RESULT = LoopKind(
    "leads.result",
    title="出结果",
    opens={LEAD_SAMPLED: always},
    owner=By(lambda hears, ctx: hears, reads=("hears",)),
    due=After("assigned_at", lambda pack: pack.lead.result_within),
    closes={RESULT_RECORDED: When(lambda result, ctx: result != Result.INVALID, reads=("result",))},
    ladder=_ladder,
    grace=_grace,
    quiet="origin_class",
)
REFER = LoopKind(
    "leads.refer",
    title="转协查",
    opens={LEAD_VERIFIED: When(lambda outcome, ctx: outcome == Found.GONE_ON, reads=("outcome",))},
    owner=By(liaison_desk, reads=("liaison",)),
    due=After("received_at", lambda pack: pack.lead.referral_within),
    closes={REFERRAL_ANSWERED: When(lambda accepted, ctx: accepted, reads=("accepted",))},
    ladder=_ladder,
    grace=_grace,
    quiet="origin_class",
)
SUPPORT = LoopKind(
    "leads.support",
    title="答复求助",
    opens={SUPPORT_ASKED: always},
    owner=By(lambda asked_of, ctx: asked_of, reads=("asked_of",)),
    due=After("received_at", lambda pack: pack.lead.support_within),
    closes={SUPPORT_ENDED: always},
    ladder=_ladder,
    grace=_grace,
)
