"""Contrastive representation distillation: one image's two embeddings against those of others."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter, share
from kdsearch.methods.sp import unit_rows
from kdsearch.methods.targets import Targets
from kdsearch.models.network import Network
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def nce_loss(positive: Tensor, negative: Tensor, allowed: Tensor, samples: int) -> Tensor:
    """−mean_B[log h⁺ + K · mean over allowed negatives of log(1 − h⁻)], h = P / (P + K/N).

    Tian et al. 2020, with the noise of their code. From the log odds a = log P − log(K/N), log h is
    −softplus(−a) and log(1 − h) is −softplus(a): finite at any score. With all negatives allowed
    the second term is their plain sum. An anchor that lost some to its own class gets the K-fold
    mean of the rest, which expects what K draws from the other classes would give; one that lost
    all has no second term.

    Args:
        positive: log P of each anchor with its positive [B].
        negative: log P of each anchor with each of the K negatives [B, K].
        allowed: Which negatives an anchor has [B, K].
        samples: N, the number of training samples.
    """
    count = negative.shape[1]
    log_noise = math.log(count / samples)
    misses = F.softplus(log_noise - positive)
    alarms = F.softplus(negative - log_noise).masked_fill(~allowed, 0.0).sum(dim=1)
    return (misses + count * alarms / allowed.sum(dim=1).clamp_min(1)).mean()


def other_images(negatives: Tensor, classes: Tensor, index: Tensor, labels: Tensor) -> Tensor:
    """Which of the K drawn samples are negatives of which anchor [B, K].

    Args:
        negatives: Places of the drawn samples [K].
        classes: What is known of their classes [K], −1 for nothing.
        index: Places of the anchors [B].
        labels: Their classes [B].
    """
    return (classes != labels.unsqueeze(1)) & (negatives != index.unsqueeze(1))


class Memory(nn.Module):
    """What one network last said of every training sample.

    Args:
        samples: N, the number of training samples.
        dimension: D, the length of a remembered vector.

    Attributes:
        vectors: [N, D], uniform with about norm 1 until a sample is first seen, then unit vectors.
        log_z: Logarithm of the constant Z of P = exp(score) / Z; infinite until it is estimated.
    """

    vectors: Tensor
    log_z: Tensor

    def __init__(self, samples: int, dimension: int) -> None:
        super().__init__()
        bound = math.sqrt(3 / dimension)
        self.register_buffer("vectors", torch.empty(samples, dimension).uniform_(-bound, bound))
        self.register_buffer("log_z", torch.tensor(math.inf))

    def contrast(
        self, anchors: Tensor, index: Tensor, negatives: Tensor, allowed: Tensor, temperature: float
    ) -> Tensor:
        """The loss of anchors [B, D] of the other network; the first call in training sets Z."""
        vectors = self.vectors.to(anchors.dtype)
        positive = (anchors * vectors[index]).sum(dim=1) / temperature
        negative = anchors @ vectors[negatives].T / temperature
        log_z = self._normaliser(positive.detach(), negative.detach(), allowed)
        return nce_loss(positive - log_z, negative - log_z, allowed, len(vectors))

    def _normaliser(self, positive: Tensor, negative: Tensor, allowed: Tensor) -> Tensor:
        """log Z; at first log(N · mean exp(score)) over the pairs of the batch."""
        scores = torch.cat([positive, negative.masked_fill(~allowed, -math.inf).flatten()])
        # The log of a whole number would be float32, whatever the scores are.
        pairs = (len(positive) + allowed.sum()).to(scores.dtype)
        mean = scores.logsumexp(dim=0) - pairs.log()
        estimate = mean + math.log(len(self.vectors))
        # Chosen on the device: to ask for the value would make every step wait for it.
        log_z = torch.where(self.log_z.isinf(), estimate, self.log_z.to(estimate.dtype))
        if self.training:
            self.log_z.copy_(log_z)
        return log_z

    @torch.no_grad()
    def remember(self, index: Tensor, vectors: Tensor, momentum: float) -> None:
        """Move samples towards their new unit vectors [B, D], and back to norm 1."""
        new = vectors.detach().to(self.vectors.dtype)
        self.vectors[index] = F.normalize(torch.lerp(new, self.vectors[index], momentum), dim=1)


class CRD(Method):
    """Noise-contrastive estimation against memories of both networks; two parts.

    ``student`` takes the student's vectors as anchors and the teacher's memory for positives and
    negatives. ``teacher`` takes the teacher's vectors and the student's memory; it trains nothing
    but the teacher's projector, and so is a helper's part. Vectors are linear projections to
    ``dimension`` components and norm 1. The memories are brought up to date after the losses.

    The batch shares one draw of K negatives, with replacement; each anchor leaves out those of its
    own class. The expectation of the loss is the same as with K draws of its own for each anchor,
    and the scores are one matrix product. Classes are known once a sample was seen in training;
    until then it counts as of another class, but never as a negative of itself.

    Both memories, 2 · N · ``dimension`` numbers, are in the training checkpoint. With several
    workers the first one's memories are handed to all at every step, so that only the first
    worker's share of a batch is remembered.

    Attributes:
        student_projector: The student's linear layer; no part of the student.
        teacher_projector: The teacher's.
        student_memory: Made by :meth:`prepare`.
        teacher_memory: Made by :meth:`prepare`.
        labels: [N] the class of each training sample, −1 until it is seen; made by :meth:`prepare`.
    """

    name = "crd"
    kind = "relation"
    paper = "Tian, Krishnan & Isola 2020, Contrastive Representation Distillation"
    relative_cost = 8.0
    signals = frozenset({Signal.EMBEDDING})
    helper_parts = frozenset({"teacher"})
    batchwise = True
    by_sample = True
    by_label = True
    hyperparameters = {
        "weight": Hyperparameter(
            0.8, Range(low=0.05, high=5.0, log=True), "weight of the student's contrast"
        ),
        "temperature": Hyperparameter(
            0.07, Range(low=0.05, high=0.5, log=True), "temperature of the scores", minimum=0.01
        ),
        "dimension": Hyperparameter(
            128.0, None, "length of the remembered vectors", whole=True, minimum=1.0
        ),
        "negatives": Hyperparameter(
            16384.0, None, "samples that an anchor is held against", whole=True, minimum=1.0
        ),
        "momentum": share("share of a remembered vector that an update keeps", 0.5),
    }
    student_memory: Memory | None
    teacher_memory: Memory | None
    labels: Tensor | None

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        dimension = int(self.values["dimension"])
        self.student_projector = nn.Linear(student.embedding, dimension)
        self.teacher_projector = nn.Linear(teacher.embedding, dimension)
        self.register_module("student_memory", None)
        self.register_module("teacher_memory", None)
        self.register_buffer("labels", None)

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: with one class there is no negative."""
        reason = super().unfit(student, teacher)
        if reason is None and student.classes < 2:
            return "it needs at least 2 classes"
        return reason

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        """Make both memories and the table of classes."""
        like = self.student_projector.weight
        dimension = int(self.values["dimension"])
        self.student_memory = Memory(samples, dimension).to(like).train(self.training)
        self.teacher_memory = Memory(samples, dimension).to(like).train(self.training)
        self.labels = torch.full((samples,), -1, device=like.device)

    def draw(self, samples: int, device: torch.device) -> Tensor:
        """Places [K] of the batch's negatives, uniform over the samples, with replacement."""
        return torch.randint(samples, (int(self.values["negatives"]),), device=device)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"student": scalar, "teacher": scalar}``; in training, both memories learn the batch.

        Raises:
            MethodError: The targets do not tell which samples these are.
        """
        index = targets.index
        if index is None:
            raise MethodError(
                "crd remembers every training sample, but nothing tells which ones are in this "
                "batch; give the targets their index"
            )
        of_student, of_teacher, labels = self.student_memory, self.teacher_memory, self.labels
        assert of_student is not None, "crd was not prepared"
        assert of_teacher is not None, "crd was not prepared"
        assert labels is not None, "crd was not prepared"
        v_s, v_t = self._vectors(student, teacher)
        if self.training:
            labels[index] = targets.labels
        negatives = self.draw(len(labels), labels.device)
        allowed = other_images(negatives, labels[negatives], index, targets.labels)
        temperature, momentum = self.values["temperature"], self.values["momentum"]
        parts = {
            "student": of_teacher.contrast(v_s, index, negatives, allowed, temperature),
            "teacher": of_student.contrast(v_t, index, negatives, allowed, temperature),
        }
        if self.training:
            of_student.remember(index, v_s, momentum)
            of_teacher.remember(index, v_t, momentum)
        return parts

    def _vectors(self, student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
        """Unit vectors [B, dimension] of both networks."""
        e_s, e_t = inputs.embeddings(student, teacher)
        return (
            unit_rows(inputs.through(self.student_projector, e_s)),
            unit_rows(inputs.through(self.teacher_projector, e_t)),
        )
