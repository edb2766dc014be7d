"""How many nobody found: published counts with known answers, made-up populations, and counts that tell nothing."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from bihuan.epi import capture

# Bruno et al. 1994, Diabetes Care 17:548 (data set Diabetes of the R package CARE1): 2,069 diabetics of Casale Monferrato by
# clinic or family physician, hospital, prescription, purchase of strips.
DIABETES = {
    "1000": 709, "0100": 74, "0010": 182, "0001": 10, "1100": 104, "1010": 650, "1001": 12, "0110": 20, "0101": 7, "0011": 8,
    "1110": 157, "1101": 18, "1011": 46, "0111": 14, "1111": 58,
}  # fmt: skip
# Chao et al. 2001, Statistics in Medicine 20:3123 (data set HAV of CARE1): 271 with hepatitis A in a college, by serum test,
# hospital and questionnaire. All students were tested afterwards: 545 had been infected.
HEPATITIS = {"100": 69, "010": 55, "001": 63, "110": 21, "101": 17, "011": 18, "111": 28}


def history(text: str) -> capture.History:
    return tuple(sign == "1" for sign in text)


def counts(of: dict[str, int]) -> dict[capture.History, int]:
    return {history(text): n for text, n in of.items()}


def test_two_lists_are_chapmans_estimate_as_published():
    """CARE1 prints for each pair of lists of DIABETES: Chapman, its error, the interval by Chao's logarithm."""
    published = {
        (0, 1): (2351, 58, 2250, 2478), (0, 2): (2185, 22, 2146, 2233), (0, 3): (2261, 88, 2117, 2468),
        (1, 2): (2057, 77, 1922, 2224), (2, 3): (1555, 67, 1445, 1712),
    }  # fmt: skip
    for (i, j), (whole, error, low, high) in published.items():
        pair = {h: 0 for h in itertools.product((False, True), repeat=2) if any(h)}
        for text, n in DIABETES.items():
            both = (text[i] == "1", text[j] == "1")
            if any(both):
                pair[both] += n
        found = capture.chapman(pair[True, True], pair[True, False], pair[False, True])
        assert [round(x) for x in found] == [whole, error]
        answer = capture.estimate(pair)
        assert answer.method == "chapman"
        assert answer.found + answer.missed == pytest.approx(whole, abs=0.5)
        assert [answer.found + answer.low, answer.found + answer.high] == pytest.approx([low, high], abs=1.5)


def test_four_lists_hold_the_published_model():
    """IWGDMF 1995: the chosen model gives 2,771 (2,492 to 3,051). It is among ours, the best of those without a core; the mean holds it."""
    answer = capture.estimate(counts(DIABETES))
    published = max((m for m in answer.models if not m.core), key=lambda m: m.weight)
    assert published.pairs == ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))
    assert answer.found + round(published.missed) == 2771
    assert answer.low < 2771 - answer.found < answer.high
    assert answer.found + answer.missed == pytest.approx(2771, rel=0.08)
    assert sum(model.weight for model in answer.models) == pytest.approx(1, abs=0.05)


def test_the_interval_holds_the_545_who_had_hepatitis():
    answer = capture.estimate(counts(HEPATITIS))
    assert answer.found == 271
    assert answer.low < 545 - 271 < answer.high
    # Lists taken as independent give 388: published, and wrong by 157 people. It is not believed.
    assert answer.low > 388 - 271


def test_independent_lists_meet_the_arithmetic():
    """Counts that are exactly those of independent lists give exactly the number that is missing."""
    chances, whole = (0.5, 0.4, 0.3), 10_000
    exact = {
        h: round(whole * math.prod(p if on else 1 - p for p, on in zip(chances, h, strict=True)))
        for h in itertools.product((False, True), repeat=3)
    }
    missed = exact.pop((False, False, False))
    assert capture.estimate(exact).missed == pytest.approx(missed, rel=0.005)


def population(
    random: np.random.Generator, whole: int, chances: tuple[float, ...], odds: dict[tuple[int, int], float], core: int
) -> np.ndarray:
    """Counts of all 2^k histories, that of nobody first. `odds`: by how many times a pair of lists goes together; `core`: on all lists."""
    k = len(chances)
    every = list(itertools.product((False, True), repeat=k))
    apart = [math.prod(p if on else 1 - p for p, on in zip(chances, h, strict=True)) for h in every]
    together = [math.prod(o for (i, j), o in odds.items() if h[i] and h[j]) for h in every]
    weights = np.array(apart) * np.array(together)
    drawn = random.multinomial(whole - core, weights / weights.sum())
    drawn[-1] += core
    return drawn


@pytest.mark.parametrize(
    ("whole", "chances", "odds", "unseen", "core"),
    [
        (1500, (0.45, 0.6, 0.47, 0.28), {}, (), 0),
        (1500, (0.45, 0.6, 0.47, 0.28), {(0, 1): 2.7}, (), 0),
        (1500, (0.45, 0.6, 0.47, 0.28), {(0, 1): 2.7, (1, 2): 0.45}, (), 0),
        (1500, (0.45, 0.6, 0.47, 0.28), {(0, 1): 2.0}, ("0010",), 0),
        (1000, (0.45, 0.6, 0.47, 0.28), {}, ("0010",), 83),
        (200, (0.45, 0.6, 0.47, 0.28), {}, (), 0),
        (800, (0.4, 0.5, 0.3), {}, (), 0),
        (800, (0.4, 0.5, 0.3), {(0, 1): 2.7}, (), 60),
        (600, (0.5, 0.4), {}, (), 0),
    ],
)
def test_the_interval_holds_the_truth_nineteen_times_of_twenty(whole, chances, odds, unseen, core):
    random, rounds, held, medians = np.random.default_rng(20220828), 80, 0, []
    every = list(itertools.product((False, True), repeat=len(chances)))
    hidden = {history(text) for text in unseen}
    for _ in range(rounds):
        drawn = population(random, whole, chances, odds, core)
        seen = {h: int(n) for h, n in zip(every, drawn, strict=True) if any(h) and h not in hidden}
        answer = capture.estimate(seen, unseen=hidden)
        held += answer.low <= drawn[0] <= answer.high
        medians.append(answer.missed / drawn[0])
    # Of 80, 95 % are 76; fewer than 70 would happen by chance once in 500.
    assert held >= 70
    assert np.median(medians) == pytest.approx(1, abs=0.15)


def test_people_who_are_harder_to_find_for_every_list_are_more_than_estimated():
    """What the page says of this assumption is true: the estimate errs towards too few, never towards too many."""
    random, ratios = np.random.default_rng(20220828), []
    chances = np.array((0.45, 0.6, 0.47, 0.28))
    every = list(itertools.product((False, True), repeat=4))
    for _ in range(30):
        ease = random.normal(0, 0.7, 1000)[:, None]
        named = random.random((1000, 4)) < 1 / (1 + np.exp(-(np.log(chances / (1 - chances)) + ease)))
        drawn = Counter(map(tuple, named.tolist()))
        missed = drawn.pop((False,) * 4)
        ratios.append(capture.estimate({h: drawn[h] for h in every if any(h)}).missed / missed)
    assert 0.55 < np.median(ratios) < 0.9


@pytest.mark.parametrize(
    ("given", "reason", "lists"),
    [
        ({}, "few_lists", ()),
        ({"1": 5}, "few_lists", ()),
        ({"11111": 9}, "many_lists", ()),
        ({"10": 50, "01": 40, "11": 6}, "little_overlap", (0, 1)),
        ({"100": 50, "010": 40, "001": 9, "110": 30, "101": 3, "011": 3}, "little_overlap", (2,)),
        ({"11": 30, "10": 0, "01": 20}, "all_again", ()),
        ({"110": 30, "101": 30, "011": 20}, "all_again", ()),
        ({"100": 900, "010": 900, "001": 900, "110": 7, "101": 1, "011": 6}, "too_wide", ()),
    ],
)
def test_lists_that_say_nothing_are_refused(given, reason, lists):
    with pytest.raises(capture.CannotTell) as refused:
        capture.estimate(counts(given))
    assert (refused.value.reason, refused.value.lists) == (reason, lists)


def test_two_lists_of_which_one_is_of_numbers_only_say_nothing():
    with pytest.raises(capture.CannotTell) as refused:
        capture.estimate(counts({"10": 50, "11": 30}), unseen=[history("01")])
    assert refused.value.reason == "not_seen_alone"


def test_a_count_where_none_can_be_is_an_error():
    with pytest.raises(ValueError, match="cannot be observed"):
        capture.estimate(counts(HEPATITIS), unseen=[history("001")])
    with pytest.raises(ValueError, match="negative"):
        capture.estimate(counts(HEPATITIS | {"000": 3}))


def test_lists_that_never_share_anybody_have_no_effect_of_their_own():
    """Two lists without a common person leave the others to tell; nothing diverges."""
    answer = capture.estimate(counts({"100": 90, "010": 80, "001": 70, "110": 40, "101": 35, "111": 0, "011": 0}))
    assert all((1, 2) not in model.pairs for model in answer.models)
    assert 0 < answer.low < answer.missed < answer.high
