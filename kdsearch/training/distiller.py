"""Student and objective as one module."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from kdsearch.methods import Objective
from kdsearch.methods.targets import Targets
from kdsearch.models import Network, Signals, Trace
from kdsearch.training.strong_views import joined, parted


class Distiller(nn.Module):
    """Student and objective as one module, so that distributed training wraps both.

    Args:
        student: The network.
        objective: Its loss.
        compiled: The student's forward pass of prepared inputs where it was compiled.
    """

    def __init__(
        self,
        student: Network,
        objective: Objective,
        compiled: Callable[..., Trace] | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.objective = objective
        self._compiled = compiled

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        targets: Mapping[str, Targets],
        teacher: Signals | None,
        progress: float,
        strong: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Named loss parts of a batch; ``"loss"`` is their sum."""
        if strong is None:
            observed = self._observed(inputs)
        else:
            observed = parted(self._observed(joined(inputs, strong)))
        return self.objective(observed, teacher, targets, progress)

    def _observed(self, inputs: Mapping[str, Tensor]) -> Signals:
        """What the objective reads of the student."""
        wanted = self.objective.signals
        if self._compiled is None:  # nothing else is hooked, so that other layers may be skipped
            return self.student.observe(inputs, wanted)
        own = self.student.prepared(self.student.taken(inputs))
        return self.student.signals_shown(self._compiled(*own), wanted)
