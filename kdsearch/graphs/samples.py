"""A trained network that takes samples as the data have them, and answers in natural units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from kdsearch.data import Dataset, Scale
from kdsearch.data.column import rows_at
from kdsearch.data.dataset import Split
from kdsearch.data.modalities.catalogue import MODALITIES
from kdsearch.graphs.resizing import resized
from kdsearch.models import Network
from kdsearch.models.inputs import Input
from kdsearch.problems import Head
from kdsearch.problems.head import natural
from kdsearch.spec.sections import DataSection


class SampleNetwork(nn.Module):
    """A network with what turns samples into its inputs, and its outputs into natural units.

    Args:
        network: The trained network.
        heads: Its tasks, side by side.
        inputs: What it takes of a sample by name, in the order of its arguments.
        scales: What each of these is normalised by.
        image_size: ``data.image_size`` of the study. With it images may have any height and width:
            the centre square is resized to what the network takes. Without it they must have the
            size of the training's.

    Attributes:
        network: As given.
        heads: As given.
        inputs: As given.
        scales: As given, of the inputs alone.
        image_size: As given.
    """

    def __init__(
        self,
        network: Network,
        heads: Sequence[Head],
        inputs: Mapping[str, Input],
        scales: Mapping[str, Scale],
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.heads = tuple(heads)
        self.inputs = dict(inputs)
        self.scales = {name: scales[name] for name in self.inputs}
        self.image_size = image_size

    @classmethod
    def of(cls, network: Network, data: Dataset, section: DataSection) -> SampleNetwork:
        """The network of a study.

        Args:
            network: As trained.
            data: The data set that it was trained on.
            section: Where the data set is from.
        """
        return cls(network, data.problem.heads, network.inputs, data.scales, section.side)

    @property
    def called(self) -> str:
        """What the network is called in a message."""
        return self.network.family or type(self.network).__name__

    def forward(self, *inputs: Tensor) -> Tensor:
        """Outputs [B, S] of a batch of each input, all tasks side by side.

        Of a class or labels the logits; a value is in its own unit.

        Args:
            inputs: In the order of :attr:`inputs`: images [B, C, H, W], uint8 in 0 to 255 or floats
                in [0, 1]; numbers [B, D] as they are. Nothing is normalised.
        """
        kept = (each.dtype for each in self.network.parameters() if each.is_floating_point())
        dtype = next(kept, torch.float32)
        ready = [
            MODALITIES[of.kind].normalised(self._sized(values, of), self.scales[name], dtype)
            for (name, of), values in zip(self.inputs.items(), inputs, strict=True)
        ]
        return natural(self.heads, self.network(*ready))

    def _sized(self, values: Tensor, of: Input) -> Tensor:
        if self.image_size is None or of.kind != "image":
            return values
        pixels = resized(values, *of.shape[1:])
        return pixels if values.is_floating_point() else pixels / 255


def samples_of(
    split: Split, inputs: Iterable[str], most: int | None = None
) -> dict[str, np.ndarray]:
    """Samples of a split by input, as :func:`samples_at` gives them.

    Args:
        split: The split.
        inputs: Names of the inputs.
        most: So many, spread evenly over the split; absent: all.
    """
    count = len(split)
    index = torch.arange(count)
    if most is not None and most < count:
        index = torch.arange(most) * count // most
    return samples_at(split, inputs, index)


def calibration_samples(data: Dataset, inputs: Iterable[str], most: int) -> dict[str, np.ndarray]:
    """Training samples, by which ranges are measured: of the target where there are two domains.

    Args:
        data: The data set.
        inputs: Names of the inputs.
        most: So many, spread evenly over the split.
    """
    train, domain = data.train, data.train.domain
    in_use = train if domain is None else train.take(domain.nonzero().flatten())
    return samples_of(in_use, inputs, most)


def samples_at(split: Split, inputs: Iterable[str], index: Tensor) -> dict[str, np.ndarray]:
    """The samples at ``index`` [N] as graphs take them: uint8 [N, C, H, W], float64 [N, D]."""
    here = index.to(split.device)
    return {name: rows_at(split.inputs[name], here).cpu().numpy() for name in inputs}
