"""An average of a network's weights over the last part of its training, however long that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Averaged = TypeVar("Averaged", bound=nn.Module)

SHARE = 0.1
"""Width of the averaging profile as a share of the steps so far."""


class WeightAverage(Generic[Averaged]):
    """A network's weights and buffers averaged with a power-function profile.

    After t updates the weights of update s count in proportion to s^γ, so the profile is as wide,
    measured in the steps so far, early in a training as at its end (Karras et al. 2024, "Analyzing
    and Improving the Training Dynamics of Diffusion Models", section 3.1, equation 5). An average
    of fixed length would be too long for an early rung or too short for a late one.

    Args:
        network: The network that is trained.
        share: Width of the profile as a share of the steps so far, below 0.28.

    Raises:
        ValueError: No profile of powers is so wide.
    """

    def __init__(self, network: Averaged, share: float = SHARE) -> None:
        self._network = network
        # apart, since a method of this object would hold it, and memory, until Python looks for
        # cycles
        self._profile = _Profile(exponent(share))
        self._average = AveragedModel(network, multi_avg_fn=self._profile, use_buffers=True)

    @property
    def network(self) -> Averaged:
        """The network with the averaged weights; before the first update, with those given."""
        return cast(Averaged, self._average.module)

    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self._average.update_parameters(self._network)
        self._profile.updates += 1

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

    gamma: float
    updates: int = 0

    @torch.no_grad()
    def __call__(self, averages: Sequence[Tensor], latest: Sequence[Tensor], _: object) -> None:
        if not averages[0].is_floating_point():  # such as batch normalisation's step counters
            torch._foreach_copy_(list(averages), list(latest))
            return
        kept = (self.updates / (self.updates + 1)) ** (self.gamma + 1)
        torch._foreach_lerp_(list(averages), list(latest), 1 - kept)


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
