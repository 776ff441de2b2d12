"""Students that are cut from a wider network, at once or little by little."""

from __future__ import annotations

from types import MappingProxyType

from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Choices, Range
from kdsearch.ways.base import Way


class Prune(Way):
    """A student that begins wider, and loses its least important channels while it is trained.

    For a share ``wide`` of its epochs it is trained at ``factor`` times its width. Then it is cut
    ``cuts`` times, each time by the same factor, and trained for an equal part of the other epochs
    after each. One that begins with its teacher's channels (``init: cut_from_teacher``), or with
    other weights, is cut from these in the same way.
    """

    name = "prune"
    about = "the student begins wider, and is cut while it is trained"
    paper = "Li et al. 2017, Pruning Filters for Efficient ConvNets"
    changes = "start"
    hyperparameters = MappingProxyType(
        {
            "factor": Hyperparameter(
                2.0, Range(low=1.3, high=3.0), "how much wider it begins", minimum=1.01
            ),
            "wide": Hyperparameter(
                0.4,
                Range(low=0.2, high=0.6),
                "share of the training before the first cut",
                minimum=0.05,
                maximum=0.95,
            ),
            "cuts": Hyperparameter(1.0, Choices(choices=(1, 2, 4)), "cuts", whole=True),
        }
    )
