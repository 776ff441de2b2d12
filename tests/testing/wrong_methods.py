"""One correct method with a learnable helper, and what can be wrong with it, each by its name."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods import Hyperparameter, Method, Targets
from kdsearch.methods.inputs import embeddings, full_precision, logits, strong_logits, through
from kdsearch.methods.sequences import aligned, mean_over_real
from kdsearch.models import Network, Signal, SignalKind, Signals, SignalShapes
from kdsearch.spec.ranges import Range

WEIGHT = Hyperparameter(2.0, Range(low=0.1, high=20.0, log=True), "weight of the distance")
Parts = dict[str, Tensor]


class Sound(Method):
    """Mean squared distance of the projected embedding."""

    name = "sound"
    kind = "feature"
    paper = "Nobody 2020, An Example"
    signals = frozenset({Signal.EMBEDDING})
    hyperparameters = {"weight": WEIGHT}

    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        self.projector = nn.Linear(student.embedding, teacher.embedding)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        e_s, e_t = embeddings(student, teacher)
        return {self.name: self.distance(self.project(e_s), e_t)}

    def project(self, values: Tensor) -> Tensor:
        return through(self.projector, values)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(student, teacher)


class SoundLogits(Method):
    """The divergence of Hinton et al. 2015, without a helper."""

    name = "sound_logits"
    kind = "logit"
    paper = "Nobody 2020, An Example"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": WEIGHT}

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        z_s, z_t = logits(student, teacher)
        return {self.name: self.divergence(z_s, z_t)}

    def divergence(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        log_s, log_t = z_s.log_softmax(dim=1), z_t.log_softmax(dim=1)
        return F.kl_div(log_s, log_t, reduction="batchmean", log_target=True)


class SoundSequences(Method):
    """Mean squared distance of the last stage, whose tokens may be padding."""

    name = "sound_sequences"
    kind = "feature"
    paper = "Nobody 2020, An Example"
    signals = frozenset({Signal.FEATURES})
    takes = frozenset({SignalKind.SEQUENCE})
    hyperparameters = {"weight": WEIGHT}

    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        channels = student.features[-1].channels, teacher.features[-1].channels
        self.projector = nn.Linear(*channels)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        f_s, f_t, mask = aligned(student, teacher, student.features[-1], teacher.features[-1])
        return {self.name: self.distance((through(self.projector, f_s) - f_t).square(), mask)}

    def distance(self, errors: Tensor, mask: Tensor | None) -> Tensor:
        return mean_over_real(errors, mask)


class CountsPadding(SoundSequences):
    """Its mean is over real tokens and padding alike."""

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        f_s, f_t = student.features[-1], teacher.features[-1].detach()
        return {self.name: (through(self.projector, f_s) - f_t).square().mean()}


class CopiesWeights(Method):
    """The student starts from the teacher's classifier bias; no loss."""

    name = "copies"
    kind = "parameter"
    paper = "Nobody 2020, An Example"
    signals = frozenset()
    hyperparameters: ClassVar[dict[str, Hyperparameter]] = {}

    @torch.no_grad()
    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        assert student.head is not None
        assert teacher.head is not None
        student.head.bias.copy_(teacher.head.bias)

    def factor(self, progress: float) -> float:
        return 1.0

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        return {}


class TeacherGetsGradient(Sound):
    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        assert student.embedding is not None
        assert teacher.embedding is not None
        e_s, e_t = full_precision(student.embedding), full_precision(teacher.embedding)
        return {self.name: self.distance(self.project(e_s), e_t)}


class HelperIsAPlainTensor(Sound):
    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        self.offset = torch.randn(teacher.embedding, requires_grad=True)

    def project(self, values: Tensor) -> Tensor:
        return super().project(values) + self.offset.to(values.dtype)


class HelperIsInAPlainList(Sound):
    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        self.more = [nn.Linear(teacher.embedding, teacher.embedding)]

    def project(self, values: Tensor) -> Tensor:
        projected = super().project(values)
        return through(self.more[0], projected)


class HelperIsNotTrained(Sound):
    def project(self, values: Tensor) -> Tensor:
        weight, bias = self.projector.weight.detach(), self.projector.bias.detach()
        return F.linear(values, weight.to(values.dtype), bias.to(values.dtype))


class StudentIsNotTrained(Sound):
    def project(self, values: Tensor) -> Tensor:
        return super().project(values.detach())


class HelperPartTrainsTheStudent(Sound):
    helper_parts = frozenset({"helper"})

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        parts = super().forward(student, teacher, targets, progress)
        return {**parts, "helper": 2 * parts[self.name]}


class Overflows(SoundLogits):
    def divergence(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        p_s, p_t = z_s.softmax(dim=1), z_t.softmax(dim=1)
        return (p_t * (p_t.log() - p_s.log())).sum(dim=1).mean()


class GradientOverflows(Sound):
    """The root's slope at 0 is infinite: finite loss, no finite gradient."""

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return (student - student.detach()).square().sum(dim=1).sqrt().mean()


class ComputesInHalf(SoundLogits):
    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        assert student.logits is not None
        assert teacher.logits is not None
        return {self.name: self.divergence(student.logits, teacher.logits.detach())}


class SumsOverTheBatch(Sound):
    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(student, teacher, reduction="sum")


class HasTheWrongSign(SoundLogits):
    def divergence(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        return -super().divergence(z_s, z_t)


class ScoresAgreementHighest(SoundLogits):
    """A correlation that is minimised instead of one minus it."""

    def divergence(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        return F.cosine_similarity(z_s, z_t).mean()


class IgnoresTheTeacher(SoundLogits):
    def divergence(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        return z_s.square().mean()


class ReadsLabelsUnsaid(SoundLogits):
    """The cross-entropy with the label comes along."""

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        z_s, z_t = logits(student, teacher)
        return {self.name: self.divergence(z_s, z_t) + F.cross_entropy(z_s, targets.labels)}


class ReadsAStrongViewUnsaid(SoundLogits):
    """The cross-entropy of a strong view comes along, where there is one."""

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        parts = super().forward(student, teacher, targets, progress)
        if student.strong is None:
            return parts
        return {self.name: parts[self.name] + strong_logits(student).square().mean()}


class DeclaresAStrongViewUnread(SoundLogits):
    """The weak view is all that it reads."""

    strong_view = True


class WeighsByLabelUnsaid(Sound):
    """Samples of the last class count more, wherever -1 points."""

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        e_s, e_t = embeddings(student, teacher)
        weights = torch.linspace(1, 2, 10, dtype=e_s.dtype)[targets.labels]
        return {self.name: (weights[:, None] * (self.project(e_s) - e_t).square()).mean()}


class ReadsDomainsUnsaid(SoundLogits):
    """Samples of a target domain count twice, where there are some."""

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        z_s, z_t = logits(student, teacher)
        if targets.domain is None:
            return {self.name: self.divergence(z_s, z_t)}
        there = targets.domain
        return {self.name: self.divergence(z_s, z_t) + self.divergence(z_s[there], z_t[there])}


class AdaptsToNothing(SoundLogits):
    adapts = True


class CountsForNoValueOfItsOwn(Sound):
    counts_for: ClassVar[Any] = {"temperature": frozenset({"class"})}


class IsConstant(SoundLogits):
    def divergence(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        return (z_s - z_s.detach()).mean()


class SetsItsClass(Sound):
    strength: ClassVar[float] = 0.0

    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        type(self).strength = self.values["weight"]


class ChangesItsConfiguration(Sound):
    hyperparameters = {"weight": WEIGHT}

    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        declared: Any = self.hyperparameters
        declared["weight"] = Hyperparameter(self.values["weight"], WEIGHT.search, "weight")


class SharesItsHelper(Sound):
    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        key = student.embedding, teacher.embedding
        self.projector = _SHARED.setdefault(key, self.projector)  # type: ignore[assignment]


_SHARED: dict[tuple[int, int], nn.Module] = {}


class ForgetsWhatItLearned(Sound):
    """A running mean in a Python number: not in the checkpoint."""

    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **values)
        self.mean = 0.0

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        distance = super().distance(student, teacher)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * float(distance.detach())
        return distance * (1 + self.mean)


class WakesTheTeacher(Sound):
    """Runs the teacher in train mode, so that its batch statistics move."""

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        teacher.train()
        with torch.no_grad():
            teacher(torch.randn(4, *teacher.inputs["image"].shape))
        teacher.eval()


class ChangesTheTeacherInTraining(Sound):
    """Keeps a hold of a buffer of the teacher and writes to it at every step."""

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        self.hold = [lambda: next(teacher.buffers()).mul_(0.99)]

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        for change in self.hold:
            change()
        return super().distance(student, teacher)


class RegistersTheTeacher(Sound):
    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        self.teacher = teacher


class LeavesAHelperInTheStudent(Sound):
    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        student.add_module("projector", nn.Linear(2, 2))


class ReadsMoreThanItDeclares(Sound):
    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        parts = super().forward(student, teacher, targets, progress)
        return {name: value * student.features[0].mean() for name, value in parts.items()}


class DeclaresMoreThanItReads(Sound):
    signals = frozenset({Signal.EMBEDDING, Signal.FEATURES})


class TakesAnyHyperparameter(Sound):
    def __init__(self, student: SignalShapes, teacher: SignalShapes, **values: float) -> None:
        super().__init__(student, teacher, **{k: v for k, v in values.items() if k == "weight"})


class TakesAnyNumberOfClasses(SoundLogits):
    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        return None


class FitsNothing(Sound):
    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        return super().unfit(student, teacher) or "it is Tuesday"


class SearchesItsWeightLinearly(Sound):
    hyperparameters = {"weight": Hyperparameter(2.0, Range(low=0.1, high=20.0), "weight")}


class DefaultIsOutsideTheSearch(Sound):
    hyperparameters = {"weight": Hyperparameter(30.0, WEIGHT.search, "weight")}


class IsUnnamed(Sound):
    name = "no name"


class PreparesNothing(CopiesWeights):
    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        return


class HasAPart(CopiesWeights):
    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> Parts:
        return {self.name: torch.zeros(())}


class PreparesTheTeacher(CopiesWeights):
    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        super().prepare(student, teacher, samples)
        assert teacher.head is not None
        teacher.head.bias.data.zero_()
