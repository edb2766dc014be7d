"""Laws of laying overlays and comparing packs, over all that we ship."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest

from bihuan.policy import pack as packs

BASES = packs.library().bases()
OVERLAYS = packs.library().overlays()
PAIRS = [(base, overlay) for base in BASES for overlay in OVERLAYS if base.base_key in overlay.overlay_of]


@pytest.mark.parametrize(("base", "overlay"), PAIRS, ids=lambda x: getattr(x, "short", getattr(x, "base_key", "")))
def test_an_overlay_changes_what_it_names_and_nothing_else(base, overlay) -> None:
    merged = packs.merge(base, [overlay])
    for change in packs.diff(base, merged):
        row = ".".join(change.path.split(".")[:2])
        assert merged.given_by(row).id == overlay.id, change.path
    same = packs.diff(base, packs.merge(base, []))
    assert same == []


@pytest.mark.parametrize(("a", "b"), list(combinations([p for p in BASES if p.disease == "covid19"], 2)), ids=lambda p: p.base_key)
def test_a_difference_reads_the_same_from_both_sides(a, b) -> None:
    forth, back = packs.diff(a, b), packs.diff(b, a)
    assert {c.path: (c.before_zh, c.after_zh) for c in forth} == {c.path: (c.after_zh, c.before_zh) for c in back}
    stricter = {c.path for c in forth if c.stricter} & {c.path for c in back if c.stricter}
    # Only a set or hours of the night can be stricter both ways: each has something that the other lacks.
    assert {path.split(".")[0] for path in stricter} <= {"quiet", "lead"}


def test_the_order_in_which_overlays_are_named_does_not_count() -> None:
    base = packs.by_key("covid19/cn_9@2022-06-28")
    chosen = [o for o in OVERLAYS if o.short in ("shanxi", "huaian138", "groups46")]
    assert len(chosen) == 3
    merged = {packs.merge(base, order).key for order in permutations(chosen)}
    assert len(merged) == 1
    pack = packs.merge(base, chosen)
    assert packs.by_key(pack.key).document == pack.document
    assert [o.level for o in pack.overlays] == ["province", "city", "city"]


def test_each_row_says_what_it_binds() -> None:
    from bihuan.policy.leaves import leaves

    for pack in BASES:
        for leaf in leaves(pack.document):
            if leaf.whole:
                assert leaf.row.force in ("advice", "unit_duty", "measure_on_person"), leaf.path
            assert leaf.shown_zh, leaf.path
            assert leaf.shown_en, leaf.path
            assert leaf.row.grade, leaf.path
