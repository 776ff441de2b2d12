"""How evenly a data set's samples lie in its classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kdsearch.data.dataset import Dataset, Split
from kdsearch.problems import Head
from kdsearch.problems.classification import misleads


@dataclass(frozen=True)
class Balance:
    """The largest class of a split.

    Attributes:
        largest: Its name.
        share: Its share of the samples: the accuracy of an answer that is always this class.
        even: The share that each class would have.
    """

    largest: str
    share: float
    even: float

    @property
    def uneven(self) -> bool:
        """Whether the accuracy alone would mislead."""
        return misleads(self.share, self.even)


def class_balance(split: Split, head: Head) -> Balance:
    """The largest class of a split in a task of classes, and its share."""
    labels = split.targets[head.name].cpu()
    counts = torch.bincount(labels[head.known(labels)], minlength=head.size)
    largest = int(counts.argmax())
    return Balance(head.names[largest], float(counts[largest] / counts.sum()), 1 / head.size)


def data_warnings(data: Dataset) -> list[str]:
    """What the user should know of a data set before a study of it runs, in sentences."""
    told = []
    sections = (("data", data.inventory), ("target", data.target_inventory))
    for section, inventory in sections:
        if inventory is not None and inventory.skipped:
            told.append(
                f"{inventory.skipped} of {inventory.used + inventory.skipped} files under "
                f"{section}.root are left out; kdsearch validate tells which and why"
            )
    return told + balance_warnings(data)


def balance_warnings(data: Dataset) -> list[str]:
    """A sentence for each class that is so large that the accuracy alone misleads."""
    balances = (class_balance(data.validation, head) for head in data.problem.class_heads)
    return [
        f"'{balance.largest}' has {balance.share:.0%} of the validation samples (an even share "
        f"is {balance.even:.0%}), so a network that always predicts it has an accuracy of "
        f"{balance.share:.0%}; compare by balanced accuracy, add images of the other classes, or "
        "let trainings even them out (training.class_weights or training.sampling: balanced)"
        for balance in balances
        if balance.uneven
    ]
