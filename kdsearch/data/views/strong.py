"""A second view of each sample, under stronger changes."""

from __future__ import annotations

from kdsearch.data.views.random_streams import derive
from kdsearch.data.views.views import Views
from kdsearch.spec.sections import Augmentation


def strong_views(views: Views, augment: Augmentation) -> Views:
    """Views of the same samples under other changes, with draws of their own.

    They too are a pure function of (seed, epoch, sample index).

    Args:
        views: The views that they stand beside.
        augment: The stronger changes.

    Raises:
        DataError: As :class:`~kdsearch.data.views.views.Views`.
    """
    return Views(views.split, views.scales, augment, derive(views.seed, "strong"), views.wanted)
