"""What the database's superuser changes in the ledger is found, and named: each way once. A thousand: `bihuan drill tamper`."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from bihuan.ledger import heads
from bihuan.site import setup
from bihuan.site.address import SUPERUSER

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from drills import tamper  # noqa: E402


@pytest.fixture(scope="module")
def struck(city_template, tmp_path_factory):
    """Found, named first and said, by the name of the change; and what was found in the end."""
    from tests.conftest import database_from

    from bihuan.policy import installation

    with database_from(city_template), setup.acting("work"):
        installation.forget()
        tamper.fill(minutes=4, records=4)
        kept = tmp_path_factory.mktemp("elsewhere") / "heads"
        heads.bring(kept)
        there = tamper.entries()
        with setup.acting_as(SUPERUSER):
            dice = random.Random(27)
            answers = {change.__name__: tamper.strike(change, dice, there, kept) for change in tamper.CHANGES}
            flips = [tamper.strike(tamper.flip_bit, dice, there, kept) for _ in range(12)]
            rest = tamper._found(kept)
    installation.forget()
    return answers, flips, rest


@pytest.mark.parametrize("change", [c.__name__ for c in tamper.CHANGES])
def test_each_change_is_found_and_named_first(struck, change: str) -> None:
    found, named, said = struck[0][change]
    assert found, said
    assert named, said


def test_every_flipped_bit_is_found(struck) -> None:
    assert [said for found, named, said in struck[1] if not (found and named)] == []


def test_nothing_is_found_where_nothing_was_changed(struck) -> None:
    assert struck[2] == []
