"""Averages of a network's weights over its training: of its last part, and exponential ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Averaged = TypeVar("Averaged", bound=nn.Module)

SHARE = 0.1
"""Width of the averaging profile as a share of the steps so far."""


Kept = Callable[[int], float]
"""The share of the average that is kept at the update that so many came before."""


class WeightAverage(Generic[Averaged]):
    """A running average of a network's weights and buffers; what is no tensor is the latest.

    Args:
        network: The network that is trained.
        kept: :func:`over_last_part` or :func:`exponential`.
    """

    def __init__(self, network: Averaged, kept: Kept) -> None:
        self._network = network
        # apart, since a method of this object would hold it, and memory, until Python looks for
        # cycles
        self._profile = _Profile(kept)
        self._average = AveragedModel(network, multi_avg_fn=self._profile, use_buffers=True)
        self._others = [k for k, v in network.state_dict().items() if not isinstance(v, Tensor)]

    @property
    def network(self) -> Averaged:
        """The network with the averaged weights; before the first update, with those given."""
        return cast(Averaged, self._average.module)

    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self._average.update_parameters(self._network)
        self._profile.updates += 1
        if self._others:
            latest = self._network.state_dict()
            own = self.network.state_dict() | {name: latest[name] for name in self._others}
            self.network.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """All that resuming needs."""
        return self._average.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state_dict`."""
        self._average.load_state_dict(state)
        self._profile.updates = int(self._average.n_averaged)


@dataclass
class _Profile:
    """Moves averages, all of one type, towards the newest update by its share of the weight."""

    kept: Kept
    updates: int = 0

    @torch.no_grad()
    def __call__(self, averages: Sequence[Tensor], latest: Sequence[Tensor], _: object) -> None:
        if not averages[0].is_floating_point():  # such as batch normalisation's step counters
            torch._foreach_copy_(list(averages), list(latest))
            return
        share = 1 - self.kept(self.updates)
        torch._foreach_lerp_(list(averages), list(latest), share)


def over_last_part(share: float = SHARE) -> Kept:
    """An average over the last part of a training, however long that was.

    After t updates the weights of update s count in proportion to s^γ, so the profile is as wide,
    measured in the steps so far, early in a training as at its end (Karras et al. 2024, "Analyzing
    and Improving the Training Dynamics of Diffusion Models", section 3.1, equation 5). An average
    of fixed length would be too long for an early rung or too short for a late one.

    Args:
        share: Width of the profile as a share of the steps so far, below 0.28.

    Raises:
        ValueError: No profile of powers is so wide.
    """
    gamma = exponent(share)
    return lambda updates: (updates / (updates + 1)) ** (gamma + 1)


def exponential(decay: float) -> Kept:
    """An exponential moving average whose decay is reached slowly.

    Update t, counted from 0, keeps min(decay, (1 + t) / (10 + t)), as TensorFlow's
    ``ExponentialMovingAverage`` does where it is given the number of updates. The first takes the
    weights as they are.
    """
    return lambda updates: min(decay, (1 + updates) / (10 + updates))


def exponent(share: float) -> float:
    """The power whose profile has a certain width: (γ + 1) / ((γ + 2)² (γ + 3)) is its square.

    Args:
        share: Standard deviation of the profile over its length.

    Raises:
        ValueError: No profile of powers is so wide.
    """
    if not 0 < share < 12**-0.5:
        raise ValueError(f"a profile is wider than 0 and narrower than 0.288, not {share}")
    inverse = share**-2
    roots = np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse])
    return float(max(root.real for root in roots if abs(root.imag) < 1e-9))
