"""The moment at which the hard sheets come in."""

from __future__ import annotations

from datetime import datetime

import pytest

from bihuan.kernel.clock import SHANGHAI


@pytest.fixture(scope="session")
def now():
    return datetime(2022, 8, 28, 8, tzinfo=SHANGHAI)
