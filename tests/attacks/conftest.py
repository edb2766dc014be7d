"""One world for all attacks of a file: they are told apart by what they take from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import database_from


@pytest.fixture(scope="module")
def world(city_template: str) -> Iterator[object]:
    """A tests.attacks.world.World in a database of its own."""
    from tests.attacks import world as worlds

    from bihuan.policy import installation

    with database_from(city_template):
        installation.forget()
        yield worlds.make()
    installation.forget()
