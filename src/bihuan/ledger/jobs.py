"""The worker's part: months of the ledger made ahead, minutes sealed."""

from __future__ import annotations

from bihuan.kernel import clock
from bihuan.ledger import partitions, seals


def make_months() -> None:
    partitions.ensure(clock.real_now())


def seal() -> None:
    seals.seal_minute(clock.now())


PERIODIC = [("ledger.partitions", 3600, make_months), ("ledger.seal", 60, seal)]
