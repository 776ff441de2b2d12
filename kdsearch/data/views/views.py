"""The samples of a split as a network sees them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from kdsearch.data.batch import Batch
from kdsearch.data.column import Column
from kdsearch.data.dataset import Split
from kdsearch.data.modalities.catalogue import modality_of
from kdsearch.data.modalities.modality import ColumnViews, Scale
from kdsearch.data.views.augment import changes_images
from kdsearch.data.views.draws import Draw
from kdsearch.data.views.mixing import Mixing, Mixture
from kdsearch.data.views.random_streams import EpochBits
from kdsearch.errors import DataError
from kdsearch.spec.sections import Augmentation

if TYPE_CHECKING:
    from kdsearch.methods.targets import Targets


class TargetViews:
    """The targets of a split's views.

    Args:
        split: The samples, of which their inputs are not looked at.
        augment: Random changes, of which the mixing counts.
        sides: (height, width) of the images; ``None`` where there are none, and nothing is cut.
        seed: Seed of the views.
    """

    def __init__(
        self,
        split: Split,
        augment: Augmentation,
        sides: tuple[int, int] | None,
        seed: int,
    ) -> None:
        self._all = split.targets
        self._weights, self._domain = split.weights, split.domain
        mixing = augment.mixes
        self._mixing = Mixing(augment, len(split), sides, split.device) if mixing else None
        self._bits = EpochBits(seed, len(split), split.device)

    def batch(self, index: Tensor, epoch: int) -> dict[str, Targets]:
        """The targets of the samples at ``index`` [B] by task, on the targets' device."""
        return self.of(index, self.mixture(index, epoch))

    def of(self, index: Tensor, mixture: Mixture | None) -> dict[str, Targets]:
        """The targets of the samples at ``index`` [B] by task, blended by a :meth:`mixture`."""
        # Imported late: a process that only reads images never pays for methods and models.
        from kdsearch.methods.targets import Targets

        weights, domain = _at(self._weights, index), _at(self._domain, index)
        partner, share, partner_weights = None, None, None
        if mixture is not None:
            partner, share = mixture.partner, mixture.share
            partner_weights = _at(self._weights, partner)
        return {
            name: Targets(
                each.index_select(0, index),
                None if partner is None else each.index_select(0, partner),
                share,
                index,
                weights,
                partner_weights,
                domain,
            )
            for name, each in self._all.items()
        }

    def mixture(self, index: Tensor, epoch: int) -> Mixture | None:
        """What the samples at ``index`` [B] are mixed with, under mixup and CutMix."""
        if self._mixing is None:
            return None

        def bits(draw: Draw) -> Tensor:
            return self._bits(epoch, index, draw)

        return self._mixing(bits)


def _at(each: Tensor | None, index: Tensor) -> Tensor | None:
    """Of a value for each sample those at ``index`` [B], where there are such values."""
    return None if each is None else each.index_select(0, index)


class Views:
    """Normalised, augmented batches of one split, on the split's device.

    A sample's view is a pure function of (seed, epoch, sample index): bit for bit the same whatever
    batch the sample is in and in whatever order the epoch is visited. Several images of a sample
    are changed by the same draws.

    Args:
        split: The inputs and targets.
        scales: What each input is normalised by.
        augment: Random changes, or ``None`` for the plain inputs.
        seed: Seed of the views.
        wanted: Names of the inputs that are computed; absent: all.

    Raises:
        DataError: Changes that the inputs are too small for, or have not the colours for.
    """

    def __init__(
        self,
        split: Split,
        scales: Mapping[str, Scale],
        augment: Augmentation | None,
        seed: int,
        wanted: Collection[str] | None = None,
    ) -> None:
        self.split = split
        self.scales = scales
        self.wanted = wanted
        self.augment = augment or Augmentation()
        self.seed = seed
        check_changes(self.augment, split)
        self._inputs: dict[str, ColumnViews] = {
            name: modality_of(column).views(column, scales[name], self.augment)
            for name, column in self.columns.items()
        }
        self._bits = EpochBits(seed, len(split), split.device)
        sides = sides_of(split)
        self._targets = TargetViews(split, self.augment, sides, seed)

    def __len__(self) -> int:
        return len(self.split)

    @property
    def columns(self) -> dict[str, Column]:
        """The inputs of the split that are computed."""
        named = self.split.inputs if self.wanted is None else self.wanted
        return {name: column for name, column in self.split.inputs.items() if name in named}

    def of(self, split: Split) -> Views:
        """The same views of the same samples, kept elsewhere."""
        return type(self)(split, self.scales, self.augment, self.seed, self.wanted)

    def batch(self, index: Tensor, epoch: int) -> Batch:
        """The views of some samples in one epoch.

        Args:
            index: [B] int64 sample indices of the split, on any device.
            epoch: Epoch the views belong to.

        Returns:
            Their inputs and their targets by task, both blended under mixup and CutMix.
        """
        here = index.to(self.split.device)
        mixture = self._targets.mixture(here, epoch)
        inputs = self._blended(here, epoch, mixture)
        return Batch(inputs, self._targets.of(here, mixture), epoch, index)

    def inputs(self, index: Tensor, epoch: int) -> dict[str, Tensor]:
        """The inputs of :meth:`batch` alone."""
        index = index.to(self.split.device)
        return self._blended(index, epoch, self._targets.mixture(index, epoch))

    def _blended(self, index: Tensor, epoch: int, mixture: Mixture | None) -> dict[str, Tensor]:
        own = self._view(index, epoch)
        if mixture is None:
            return own
        other = self._view(mixture.partner, epoch)
        return {
            name: views.blended(own[name], other[name], mixture)
            for name, views in self._inputs.items()
        }

    def _view(self, index: Tensor, epoch: int) -> dict[str, Tensor]:
        """The samples' own views, without any partner."""

        def bits(draw: Draw) -> Tensor:
            return self._bits(epoch, index, draw)

        return {name: views.view(index, bits) for name, views in self._inputs.items()}


def sides_of(split: Split) -> tuple[int, int] | None:
    """(height, width) of the first images of a split's inputs, if there are any."""
    shapes = (each.shape for each in split.inputs.values() if each.ndim == 4)
    return next(((shape[2], shape[3]) for shape in shapes), None)


def check_changes(augment: Augmentation, split: Split, setting: str = "data.augment") -> None:
    """Refuse random changes that do not suit the inputs of a split.

    Args:
        augment: The changes.
        split: The inputs.
        setting: Where the spec has the changes.

    Raises:
        DataError: Inputs too small or of other colours, no images to change, or several images of
            which CutMix would not cut the same box.
    """
    for column in split.inputs.values():
        modality_of(column).check_changes(augment, column, setting)
    images = {tuple(each.shape[2:]) for each in split.inputs.values() if each.ndim == 4}
    change = None if images else changes_images(augment)
    if change is not None:
        raise DataError(f"{setting}.{change} changes images, and there are none; remove it")
    if augment.cutmix and len(images) > 1:
        raise DataError(
            f"{setting}.cutmix pastes one box into all images of a sample, which are of several "
            "sizes here; remove it, or bring them to one size"
        )
