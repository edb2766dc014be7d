"""The worker's part: months of the ledger made ahead, minutes sealed, heads of the chain kept elsewhere."""

from __future__ import annotations

from django.conf import settings

from bihuan.kernel import clock
from bihuan.ledger import heads, partitions, seals


def make_months() -> None:
    partitions.ensure(clock.real_now())


def seal() -> None:
    """Seal, and keep the head beside the database. A history that is not the kept one makes this job fail."""
    seals.seal_minute(clock.now())
    heads.bring()


def keep() -> None:
    """Each place elsewhere gets the heads that it has not. All are tried; the first refusal is raised in the end."""
    refused: Exception | None = None
    for place in settings.KEEP:
        try:
            heads.bring(heads.place(place))
        except Exception as error:
            refused = refused or error
    if refused is not None:
        raise refused


PERIODIC = [("ledger.partitions", 3600, make_months), ("ledger.seal", 60, seal), ("ledger.keep", 60, keep)]
