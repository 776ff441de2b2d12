"""Flow of solution procedure: how a network's features turn from one stage into the next."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.initialising import INITIALISATION, InitialisingMethod
from kdsearch.methods.stages import match_deepest, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def flow_matrix(first: Tensor, second: Tensor) -> Tensor:
    """G_ij = Σ_hw F1_ihw · F2_jhw / (H · W), [B, C_1, C_2] (Yim et al. 2017, equation 1).

    Args:
        first: Map F1 [B, C_1, H', W'] of a stage, average-pooled to the size of the second.
        second: Map F2 [B, C_2, H, W] of the next stage.
    """
    f_1, f_2 = (maps.flatten(2) for maps in pool_to_common(first, second))
    return f_1 @ f_2.transpose(1, 2) / f_2.shape[2]


def fsp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """mean (G_s − G_t)²: Yim et al. 2017, equation 2, as a mean over all elements.

    Args:
        student: Flow matrices G_s [B, C_1, C_2].
        teacher: Flow matrices G_t [B, C_1, C_2].
    """
    return F.mse_loss(student, teacher)


class FSP(InitialisingMethod):
    """The student learns the teacher's flow matrices before all else; part ``fsp``.

    Of the training, the first ``initialisation`` minimises this term alone; it then counts for
    nothing, and the cross-entropy and the other terms of a sum (``kd+fsp``) train the student.

    The loss is summed over the pairs of consecutive stages, those matched from the deepest
    backwards; a longer network's shallow stages are left out. A flow matrix is a mean over
    positions, so the two networks' maps may differ in size. The stem is no stage, so the flow from
    the stem to the first stage, which the paper has too, is left out.

    Attributes:
        projectors: One layer for each matched stage, shallow to deep: a learnable 1×1 convolution
            to the teacher's channels where the student has another number of them, else nothing.
    """

    name = "fsp"
    kind = "feature"
    paper = "Yim, Joo, Bae & Kim 2017, A Gift from Knowledge Distillation"
    relative_cost = 2.8
    signals = frozenset({Signal.FEATURES})
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.05, high=5.0, log=True), "weight of the sum over pairs of stages"
        ),
        "initialisation": INITIALISATION,
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        self.projectors = nn.ModuleList(
            nn.Identity() if s[0] == t[0] else nn.Conv2d(s[0], t[0], kernel_size=1)
            for s, t in match_deepest(student.maps, teacher.maps)
        )

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: a flow needs two stages."""
        reason = super().unfit(student, teacher)
        if reason is not None:
            return reason
        for who, shapes in (("student", student), ("teacher", teacher)):
            if len(shapes.maps) < 2:
                return f"it compares the flow between two stages, and the {who} has only one"
        return None

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"fsp": scalar}``; 0, without the cost of the flows, outside the initialisation."""
        pairs = match_deepest(student.features, teacher.features)
        assert len(pairs) == len(self.projectors), "the stage maps were not observed"
        maps = [inputs.maps(f_s, f_t) for f_s, f_t in pairs]
        if not self.initialises(progress):
            return {"fsp": inputs.zero_of(maps[-1][0])}
        projected = [
            _project(layer, f_s) for layer, (f_s, _) in zip(self.projectors, maps, strict=True)
        ]
        flows_s = [flow_matrix(*two) for two in pairwise(projected)]
        flows_t = [flow_matrix(*two) for two in pairwise(f_t for _, f_t in maps)]
        losses = [fsp_loss(g_s, g_t) for g_s, g_t in zip(flows_s, flows_t, strict=True)]
        return {"fsp": torch.stack(losses).sum()}


def _project(layer: nn.Module, values: Tensor) -> Tensor:
    return values if isinstance(layer, nn.Identity) else inputs.through(layer, values)
