"""The loss of one task by its targets."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods.targets import Targets
from kdsearch.problems import Head


class TaskLoss(nn.Module):
    """The mean loss of a batch in one task: over the samples, times their weights.

    Of a class the cross-entropy; of labels the binary cross-entropy, a mean over the labels; of a
    value the squared error in standard deviations of the training targets. A sample that lacks the
    target counts 0, and so does a missing label in the mean over a sample's labels.

    Args:
        head: The task.
        weight: Of its loss, and of what is distilled of it, among those of several tasks.
        label_smoothing: Share of the target spread over the classes; of labels over yes and no.
        class_weights: [K] weights of the classes, or ``None``.
        mean_weight: Mean weight of a sample that is drawn, of its class and its own, 0 where it
            lacks the target; the loss is divided by it. One number for the whole training, and not
            the batch's own mean as in ``torch.nn.CrossEntropyLoss``: so it is the same for any
            number of workers.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        head: Head,
        weight: float = 1.0,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        mean_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.head = head
        self.weight = weight
        self.label_smoothing = label_smoothing
        self.mean_weight = mean_weight
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, outputs: Tensor, targets: Targets) -> Tensor:
        """The loss, a scalar, not yet times :attr:`weight`.

        Args:
            outputs: [B, S] of the network, of all tasks.
            targets: Those of this task.
        """
        own = self.head.of(outputs)
        each = {"class": self._class, "labels": self._labels, "value": self._value}[self.head.kind]

        def loss(labels: Tensor) -> Tensor:
            losses = each(own, labels)
            return losses * self.head.known(labels) if self.head.gaps else losses

        return targets.weighted(loss) / self.mean_weight

    def _class(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self.class_weights
        return F.cross_entropy(
            logits,
            labels.clamp(min=0) if self.head.gaps else labels,
            weight=None if weights is None else weights.to(logits.dtype),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def _labels(self, logits: Tensor, labels: Tensor) -> Tensor:
        known = (~labels.isnan()).to(logits.dtype)
        smooth = self.label_smoothing
        goal = labels.nan_to_num().to(logits.dtype) * (1 - smooth) + smooth / 2
        each = F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
        return (known * each).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def _value(self, outputs: Tensor, values: Tensor) -> Tensor:
        goal = self.head.standardised(values).nan_to_num().to(outputs.dtype)
        return (outputs[:, 0] - goal) ** 2


def plain_losses(classes: int) -> tuple[TaskLoss, ...]:
    """The cross-entropy of one class a sample, and nothing else."""
    return (TaskLoss(Head(names=tuple(map(str, range(classes))))),)


def likelihood_scale(head: Head) -> float:
    """What the loss is multiplied by to be a negative log-likelihood at variance 1.

    A squared error is one of a normal distribution times 2 (Kendall, Gal & Cipolla 2018,
    equations 5 and 10).
    """
    return 0.5 if head.kind == "value" else 1.0


class Uncertainty(nn.Module):
    """A weight for each task that is learnt with the student (Kendall, Gal & Cipolla 2018).

    Σ exp(−s) · L + s / 2 with s = log σ² of each task, 0 at the start (equation 7; "Multi-Task
    Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics").

    Args:
        tasks: How many.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(tasks))

    def factor(self, place: int) -> Tensor:
        """What the losses of a task are multiplied by."""
        return torch.exp(-self.log_variances[place])

    def forward(self) -> Tensor:
        """What keeps the weights from going to zero."""
        return self.log_variances.sum() / 2
