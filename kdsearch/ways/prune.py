"""Students that are cut from a wider network, at once or little by little."""

from __future__ import annotations

from types import MappingProxyType

from kdsearch.errors import ModelError
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Choices, Range
from kdsearch.ways.base import Stage, Way


class Prune(Way):
    """A student that begins wider, and loses its least important channels while it is trained.

    For a share ``wide`` of its epochs a network of ``factor`` times its width is trained. Then it
    is cut ``cuts`` times, each time by the same factor, and trained for an equal part of the other
    epochs after each cut. Every stage has the learning rate's whole schedule (Renda et al. 2020,
    "Comparing Rewinding and Fine-tuning in Neural Network Pruning", learning rate rewinding).

    A student that begins with its teacher's channels (``init: cut_from_teacher``), or with other
    weights, begins with more of them, at most with all. Which channels are kept, ``importance``
    says.
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
            "cuts": Hyperparameter(
                1.0, Choices(choices=(1, 2, 4)), "times that it is cut", whole=True
            ),
        }
    )

    def stages(self, epochs: int) -> list[Stage]:
        cuts, factor = int(self.values["cuts"]), self.values["factor"]
        if epochs <= cuts:
            raise ModelError(
                f"{self.name}: with {cuts} cut{'s' * (cuts > 1)} a training needs at least "
                f"{cuts + 1} epochs, and it has {epochs}; lower cuts, or raise training.epochs"
            )
        wide = min(max(round(self.values["wide"] * epochs), 1), epochs - cuts)
        each, more = divmod(epochs - wide, cuts)
        # what does not divide evenly goes to the last ones, whose network is shipped
        lengths = [wide, *(each + (cut >= cuts - more) for cut in range(cuts))]
        widths = [factor ** (1 - cut / cuts) for cut in range(cuts + 1)]
        return [Stage(*stage) for stage in zip(widths, lengths, strict=True)]
