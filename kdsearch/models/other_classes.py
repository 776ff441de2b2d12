"""Outputs that are not the classes of the data: of general networks, and of those without head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdsearch.errors import ModelError
from kdsearch.spec.concrete import ModelConfig

HEADLESS = 0
"""``outputs`` of a network that has no head."""


@dataclass(frozen=True)
class OtherClasses:
    """What a network's outputs say of the classes of the data.

    Attributes:
        groups: Of each class of the data, the places of the outputs that stand for it; empty where
            they say nothing.
        headless: Whether the network has no head; the one that it is built with says nothing.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    headless: bool = False

    @classmethod
    def of(cls, config: ModelConfig) -> OtherClasses | None:
        """Those of a configuration; ``None`` where the outputs are the classes of the data.

        Raises:
            ModelError: An output of a class is not there.
        """
        if config.outputs is None:
            return None
        for name, places in config.stands_for:
            for place in places:
                if place >= config.outputs:
                    raise ModelError(
                        f"stands_for says that output {place} of {config.family} stands for "
                        f"'{name}', and it has outputs 0 to {config.outputs - 1}; correct it"
                    )
        groups = tuple(places for _, places in config.stands_for)
        return cls(groups, config.outputs == HEADLESS)

    def logits(self, own: Tensor) -> Tensor:
        """Logits [B, K] of the data's classes from the network's own [B, N].

        The softmax of the result is the probability of each class, given that it is one of them:
        the own probabilities of its outputs added up, and normalised over the classes of the data.
        Without groups it is what was given.
        """
        if not self.groups:
            return own
        return torch.stack([own[:, list(g)].logsumexp(dim=1) for g in self.groups], dim=1)
