"""The lists that `demo lists` writes are taken in, and give the demonstration's village something to do."""

from __future__ import annotations

from tests.morning import count, take_in

from bihuan.access import queries as access
from bihuan.site.sample_lists import SENT_BY, make


def test_the_made_up_lists_make_a_morning(city, as_role):
    files = make(seed=138, people=120)
    assert make(seed=138, people=120) == files
    assert files.keys() == SENT_BY.keys()
    refused = 0
    for name, source in SENT_BY.items():
        _, accounts, _ = take_in(name, files[name], source)
        refused += accounts["rejected"]
    assert refused
    with as_role("work") as database:
        at_the_village = "SELECT count(*) FROM loop WHERE kind = 'leads.verify' AND closed_at IS NULL AND owner = %s"
        assert count(database, at_the_village, access.post_of("cun").unit_id) >= 5
