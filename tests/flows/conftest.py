"""What stories of a day share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest


@pytest.fixture
def forward(acting) -> Callable[[int], None]:
    """`forward(15)`: the demonstration's clock moves on by so many minutes, and what falls due is done."""
    from bihuan.site import demo

    def forward(minutes: int) -> None:
        with acting("work"):
            demo.advance(timedelta(minutes=minutes))

    return forward
