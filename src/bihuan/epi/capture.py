"""How many did none of several lists find? Capture-recapture on the histories of those who were found. Pure; no database, no framework.

A history says which of k lists name a person: (True, False, True, False). Of 2^k histories one cannot be seen, that of
the persons on no list; its expected number is what is asked for.

- Two lists: Chapman's estimator (Seber 1982, The Estimation of Animal Abundance, 3.1.4), interval on the log of the
  unseen (Chao 1987, Biometrics 43:783).
- Three or four: Poisson log-linear models of the counts, one effect per list and any set of effects of pairs of lists
  (Fienberg 1972, Biometrika 59:591; IWGDMF 1995, Am J Epidemiol 142:1047). A pair effect is what makes two lists depend on each other.
  Each of these again with an effect of being on all lists: a core whom everybody knows, who tell nothing of the others and
  without that effect would make the unseen too many (twice, where one in twelve is such; tests/unit/epi).
  The answer is the mean over all these models on the log scale, weighted by AIC, and its interval holds the uncertainty
  between the models too (Buckland, Burnham & Augustin 1997, Biometrics 53:603, eq. 9): that of the best model alone is too
  narrow (85 to 92 % instead of 95 % in the simulations of tests/unit/epi). A model that leaves nothing to judge its fit
  by (no degree of freedom) is not considered (Hook & Regal 1997, Am J Epidemiol 145:1138).

Assumed, and to be said beside every figure: persons are matched without error; the population was the same for all
lists; nobody has no chance at all of being on a list; no three lists depend on each other beyond their pairs and a core
on all. Where some are harder to find than others for every list alike, the true number is higher than the estimate (by about
four tenths for a spread of 0.7 on the logit scale), and the interval holds it in six cases of ten only.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

LISTS_MAX = 4  # 128 models, some hundredths of a second; with five they would be 2,048 and take seconds
# Found again less often than this, the estimate is biased and says nothing (Robson & Regier 1964; Seber 1982, 3.1.4).
AGAIN_MIN = 7
_QUANTILE = 1.959963984540054  # of the normal distribution, for 95 %
_COEFFICIENT_MAX = 15.0  # beyond it an effect has no finite estimate: the model does not exist for these counts
_STEPS_MAX = 60
_SHOWN_WEIGHT_MIN = 0.01
_WIDE = 10.0

History = tuple[bool, ...]


class CannotTell(ValueError):
    """The lists do not say how many were missed. `reason` is one of those below; `lists` are the numbers of the lists concerned.

    few_lists: fewer than two. many_lists: more than `LISTS_MAX`. little_overlap: `lists` share fewer than `AGAIN_MIN`
    persons with the others. not_seen_alone: of two lists, one cannot show whom it alone found. all_again: nobody is on one list
    only, so nothing tells of those on none. no_model: no model has an estimate. too_wide: the interval spans a factor of ten
    and reaches more than half as many as were found.
    """

    def __init__(self, reason: str, lists: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lists = lists


@dataclass(frozen=True)
class Model:
    """One way in which the lists may depend: `pairs` of lists with an effect of their own; `core`: so many are on all lists because
    everybody knows them. `weight`: how far it is believed, 0 to 1.
    """

    pairs: tuple[tuple[int, int], ...]
    core: bool
    missed: float
    aic: float
    weight: float


@dataclass(frozen=True)
class Estimate:
    """Persons on none of the lists: expected number and 95 % interval. `found`: distinct persons on the lists.

    `models`, the most believed first; empty with two lists.
    """

    found: int
    missed: float
    low: float
    high: float
    method: str  # chapman | loglinear
    models: tuple[Model, ...]


def again(counts: Mapping[History, int], of: int) -> int:
    """Persons whom list number `of` and at least one other name."""
    return sum(n for history, n in counts.items() if history[of] and sum(history) > 1)


def estimate(counts: Mapping[History, int], *, unseen: Collection[History] = ()) -> Estimate:
    """The number on no list, from the number of persons of each history. Raises CannotTell.

    `counts`: histories of one length k >= 2; those left out count 0. `unseen`: histories that cannot be observed (besides
    that of nobody), e.g. of a list of bare numbers alone, which never become persons: they are left out of the models, and
    a count given for one is refused (ValueError).
    """
    lengths = {len(history) for history in counts}
    if len(lengths) != 1 or min(lengths) < 2:
        raise CannotTell("few_lists")
    (k,) = lengths
    if k > LISTS_MAX:
        raise CannotTell("many_lists")
    if any(n < 0 or not any(history) for history, n in counts.items()) or any(counts.get(h, 0) for h in unseen):
        raise ValueError("a count is negative, or is of a history that cannot be observed")
    loose = tuple(i for i in range(k) if again(counts, i) < AGAIN_MIN)
    if loose:
        raise CannotTell("little_overlap", loose)
    if k == 2:
        if unseen:
            raise CannotTell("not_seen_alone")
        return _chapman(counts[True, True], counts.get((True, False), 0), counts.get((False, True), 0))
    if not any(n for history, n in counts.items() if sum(history) == 1):
        raise CannotTell("all_again")
    seen = tuple(h for h in itertools.product((False, True), repeat=k) if any(h) and h not in unseen)
    return _loglinear(k, seen, tuple(counts.get(h, 0) for h in seen))


def chapman(both: int, first_only: int, second_only: int) -> tuple[float, float]:
    """Chapman's estimate of the whole population from two lists, and its standard error (Seber 1982, 3.1.4)."""
    first, second = both + first_only, both + second_only
    whole = (first + 1) * (second + 1) / (both + 1) - 1
    variance = (first + 1) * (second + 1) * first_only * second_only / ((both + 1) ** 2 * (both + 2))
    return whole, math.sqrt(variance)


def _chapman(both: int, first_only: int, second_only: int) -> Estimate:
    found = both + first_only + second_only
    whole, error = chapman(both, first_only, second_only)
    missed = whole - found
    if missed <= 0:
        raise CannotTell("all_again")
    return _judged(found, missed, math.log1p((error / missed) ** 2), "chapman", ())


def _judged(found: int, missed: float, log_variance: float, method: str, models: tuple[Model, ...]) -> Estimate:
    factor = math.exp(_QUANTILE * math.sqrt(log_variance))
    low, high = missed / factor, missed * factor
    if high > _WIDE * low and high > found / 2:
        raise CannotTell("too_wide")
    return Estimate(found, missed, low, high, method, models)


@functools.lru_cache(maxsize=256)
def _loglinear(k: int, seen: tuple[History, ...], counts: tuple[int, ...]) -> Estimate:
    pairs = list(itertools.combinations(range(k), 2))
    said = np.array(seen, dtype=float)
    effects = np.column_stack([np.ones(len(seen)), said, *(said[:, i] * said[:, j] for i, j in pairs), said.all(axis=1)])
    y = np.array(counts, dtype=float)
    # An effect of two lists that never name the same person has no finite estimate.
    possible = [n for n in range(len(pairs)) if effects[:, 1 + k + n] @ y > 0]
    some_pairs = [some for r in range(len(possible) + 1) for some in itertools.combinations(possible, r)]
    # One degree of freedom is left over: a model that fits whatever the counts are is not judged by them.
    chosen = [(some, core) for some in some_pairs for core in (False, True) if 1 + k + len(some) + core < len(seen)]
    used = np.zeros((len(chosen), effects.shape[1]), dtype=bool)
    used[:, : 1 + k] = True
    for m, (some, core) in enumerate(chosen):
        used[m, [1 + k + n for n in some]] = True
        used[m, -1] = core
    used = used[[np.linalg.matrix_rank(effects[:, row]) == row.sum() for row in used]]
    coefficients, variances, aic = _fitted(effects, y, used)
    good = np.isfinite(aic)
    if not good.any():
        raise CannotTell("no_model")
    used, coefficients, variances, aic = used[good], coefficients[good], variances[good], aic[good]
    weights = np.exp((aic.min() - aic) / 2)
    weights /= weights.sum()
    logs = coefficients[:, 0]  # the log of the expected number with no list
    # A model's own variance on the log scale; the number missed is itself Poisson around its expectation.
    own = np.log1p(np.exp(-logs) + variances)
    mean = float(weights @ logs)
    error = float(weights @ np.sqrt(own + (logs - mean) ** 2))
    models = tuple(
        Model(
            tuple(pairs[n] for n in range(len(pairs)) if used[m, 1 + k + n]),
            bool(used[m, -1]),
            math.exp(logs[m]),
            float(aic[m]),
            float(weights[m]),
        )
        for m in np.argsort(aic, kind="stable")
        if weights[m] >= _SHOWN_WEIGHT_MIN
    )
    return _judged(sum(counts), math.exp(mean), error**2, "loglinear", models)


def _fitted(effects: np.ndarray, y: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every model at once, by reweighted least squares: coefficients, variance of the first, AIC (inf: no finite estimate).

    `used` [model, effect]: which effects a model has; those that it has not stay 0.
    """
    fixed = np.where(used, 1e-10, 1.0)[:, :, None] * np.eye(effects.shape[1])
    active = used[:, :, None] & used[:, None, :]
    mu = np.broadcast_to(y + 0.5, (len(used), len(y)))
    eta = np.log(mu)
    coefficients = np.zeros(used.shape)
    settled = np.zeros(len(used), dtype=bool)
    for _ in range(_STEPS_MAX):
        information = np.einsum("cp,mc,cq->mpq", effects, mu, effects, optimize=True) * active + fixed
        right = ((mu * eta + y - mu) @ effects) * used
        following = np.linalg.solve(information, right[:, :, None])[:, :, 0]
        settled = np.abs(following - coefficients).max(axis=1) < 1e-8
        coefficients = following
        eta = np.clip(coefficients @ effects.T, -30, 30)
        mu = np.exp(eta)
        if settled.all():
            break
    information = np.einsum("cp,mc,cq->mpq", effects, mu, effects, optimize=True) * active + fixed
    variances = np.linalg.inv(information)[:, 0, 0]
    aic = -2 * (eta @ y - mu.sum(axis=1)) + 2 * used.sum(axis=1)
    exists = settled & (np.abs(coefficients[:, 1:]).max(axis=1) < _COEFFICIENT_MAX) & (coefficients[:, 0] > -_COEFFICIENT_MAX)
    return coefficients, variances, np.where(exists, aic, np.inf)
