"""How much privacy a noisy training costs, worked out twice.

In: how many users there are and take part in a step, steps, noise. Out: ε at a δ, for adding or removing all of one user's
examples. The mechanism is the Gaussian with Poisson sampling of users, composed over the steps (Abadi et al., *Deep Learning with
Differential Privacy*, CCS 2016; users as the unit: McMahan et al., *Learning Differentially Private Recurrent Language
Models*, ICLR 2018). One accountant is Google's ``dp-accounting`` (privacy loss distributions), the other Opacus's PRV; where they
differ by more than a fiftieth, nothing is claimed. Needs the extra ``privacy``. Knows nothing of models.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from engine.errors import MissingExtraError, TrainingError

__all__ = ["Cost", "cost", "noise_for"]

_AGREE = 0.02
"""As a share and as an amount: PRV itself is only good to 0.01."""
_LEAST_NOISE, _MOST_NOISE = 0.3, 200.0
_TOLERANCE = 0.005


@dataclass(frozen=True, slots=True)
class Cost:
    """ε by either accountant; :attr:`epsilon` is the larger."""

    by_pld: float
    by_prv: float
    delta: float

    @property
    def epsilon(self) -> float:
        """What may be claimed."""
        return max(self.by_pld, self.by_prv)


def cost(noise: float, rate: float, steps: int, delta: float) -> Cost:
    """Return what ``steps`` steps cost that each take every user with probability ``rate`` and add Gaussian noise of ``noise``
    times the bound on a user's share.

    Raises:
        MissingExtraError: the accountants are not installed.
        TrainingError: they do not agree.
    """
    found = Cost(_by_pld(noise, rate, steps, delta), _by_prv(noise, rate, steps, delta), delta)
    if abs(found.by_pld - found.by_prv) > _AGREE * found.epsilon + _AGREE:
        raise TrainingError(
            f"Two accountants give ε {found.by_pld:.3f} and {found.by_prv:.3f} for noise {noise:.3f}, so neither is claimed. Use "
            "another number of steps or users a step."
        )
    return found


def noise_for(epsilon: float, rate: float, steps: int, delta: float) -> float:
    """Return the least noise, to half a percent, at which both accountants stay within ``epsilon``.

    Raises:
        MissingExtraError: the accountants are not installed.
        TrainingError: no sensible amount of noise is enough.
    """
    low, high = _LEAST_NOISE, _LEAST_NOISE
    while _by_pld(high, rate, steps, delta) > epsilon:
        low, high = high, high * 2
        if high > _MOST_NOISE:
            raise TrainingError(f"ε {epsilon:g} needs more noise than leaves anything to learn. Allow more, or take fewer steps.")
    while high - low > _TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _by_pld(middle, rate, steps, delta) <= epsilon else (middle, high)
    while cost(high, rate, steps, delta).epsilon > epsilon:  # the other accountant may want a little more
        high *= 1 + _TOLERANCE
    return high


def _by_pld(noise: float, rate: float, steps: int, delta: float) -> float:
    try:
        import dp_accounting
        from dp_accounting import pld
    except ImportError as error:
        raise _missing() from error
    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    accountant = pld.PLDAccountant()
    accountant.compose(dp_accounting.SelfComposedDpEvent(step, steps))
    return float(accountant.get_epsilon(delta))


def _by_prv(noise: float, rate: float, steps: int, delta: float) -> float:
    try:
        from opacus.accountants import PRVAccountant
    except ImportError as error:
        raise _missing() from error
    accountant = PRVAccountant()
    accountant.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta))


def _missing() -> MissingExtraError:
    return MissingExtraError(
        "Training with differential privacy needs its accountants. Install them with `pip install 'daogou[privacy]'`."
    )
