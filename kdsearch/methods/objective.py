"""What a training minimises: the weighted losses of the tasks plus the distillation terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods.base import WITHOUT_LOSS, Method, read_of_teacher
from kdsearch.methods.heads import check_labels, check_task, labelled, of_head
from kdsearch.methods.inputs import full_precision, zero_of
from kdsearch.methods.labels import CE_WEIGHT, check_value, parse_label
from kdsearch.methods.targets import Targets
from kdsearch.methods.task_loss import TaskLoss, Uncertainty, likelihood_scale, plain_losses
from kdsearch.models.network import Network
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.concrete import MethodConfig


@dataclass(frozen=True)
class _Part:
    """A term as it is computed: of one task, or of what all tasks have in common."""

    name: str
    method: Method
    place: int | None
    """Of the task among all, for a method that reads logits."""


class Objective(nn.Module):
    """The loss of one training, with every learnable helper of its terms registered.

    A method that reads logits distils each task by itself, by what the teacher says of the same
    task and with the task's weight; any other is computed once, since the tasks share their trunk.

    Args:
        config: The objective with every value decided.
        student: Shapes of the student's signals.
        teacher: Shapes of the teacher's; may be ``None`` where no term needs one.
        tasks: The losses by the targets; absent, the cross-entropy of one class a sample.
        uncertainty: Whether the weights of the tasks are learnt.

    Attributes:
        config: As given.
        terms: The methods by name, with several tasks by ``METHOD/TASK``; their parameters are to
            be optimised and kept in the training checkpoint, and are no part of the exported
            student.
        weighting: The weights of the tasks, where they are learnt.

    Raises:
        MethodError: A label or a value that is not possible, terms that are not those of the
            label, a method that does not fit the pair or the tasks, terms without a teacher, or
            nothing to minimise.
    """

    def __init__(
        self,
        config: MethodConfig,
        student: SignalShapes,
        teacher: SignalShapes | None,
        tasks: Sequence[TaskLoss] = (),
        uncertainty: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.tasks = nn.ModuleList(tasks or plain_losses(student.classes))
        self.weighting = Uncertainty(len(self.tasks)) if uncertainty else None
        self.terms = nn.ModuleDict()
        self._parts: list[_Part] = []
        methods = _checked(config)
        for method, term in zip(methods, config.terms, strict=True):
            if teacher is None and method.needs_teacher:
                raise MethodError(f"the method '{config.label}' needs a teacher; give one")
            for part in self._made(method, term.hyperparameters, student, teacher or student):
                self.terms[part.name] = part.method
                self._parts.append(part)

    def _made(
        self,
        method: type[Method],
        values: dict[str, float],
        student: SignalShapes,
        teacher: SignalShapes,
    ) -> Iterator[_Part]:
        """A term for each task, or one for all."""
        heads = [task.head for task in self.losses]
        reads = method.signals | method.teacher_signals
        if Signal.LOGITS not in reads:
            check_labels(method, labelled(heads))
            yield _Part(method.name, method(student, teacher, **values), None)
            return
        if len(heads) > 1 and reads != {Signal.LOGITS}:
            raise MethodError(
                f"{method.name} reads logits beside other signals, which several tasks do not "
                "share; leave it out, or keep one task"
            )
        for place, head in enumerate(heads):
            check_task(method, head)
            name = method.name
            if len(heads) > 1:
                student, teacher = (replace(each, classes=head.size) for each in (student, teacher))
                name = f"{method.name}/{head.name}"
            made = method(student, teacher, **values)
            made.task = head.kind
            yield _Part(name, made, place)

    @property
    def _weighs(self) -> bool:
        """Whether anything is multiplied by the weights of the tasks."""
        return self.config.ce_weight > 0 or any(part.place is not None for part in self._parts)

    @property
    def losses(self) -> list[TaskLoss]:
        """The losses by the targets."""
        return [cast(TaskLoss, each) for each in self.tasks]

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        """Let every term set up what it needs, once, before the first step.

        Args:
            student: The student.
            teacher: The trained teacher.
            samples: Number of training samples.
        """
        for term in self.methods:
            term.prepare(student, teacher, samples)

    @property
    def methods(self) -> list[Method]:
        """The terms as methods."""
        return [cast(Method, term) for term in self.terms.values()]

    @property
    def signals(self) -> frozenset[Signal]:
        """Exactly what the terms read of the student; empty for the undistilled baseline."""
        return frozenset(signal for term in self.methods for signal in term.signals)

    @property
    def teacher_signals(self) -> frozenset[Signal]:
        """Exactly what the terms read of the teacher; nothing where they need none."""
        return frozenset[Signal]().union(*map(read_of_teacher, self.methods))

    @property
    def strong_view(self) -> bool:
        """Whether a term reads the student's signals of a strong view of each sample."""
        return any(term.strong_view for term in self.methods)

    def forward(
        self,
        student: Signals,
        teacher: Signals | None,
        targets: Mapping[str, Targets],
        progress: float,
    ) -> dict[str, Tensor]:
        """Scalars by name: the weighted parts, and ``"loss"``, their sum.

        While a term initialises the student, every other one and the losses by the targets have
        weight 0. Those are ``"ce"``, with several tasks ``"ce/task"``, absent where their weight is
        0. A method's part is ``"method.part"`` (``"dkd.tckd"``), or the method's name alone where
        the part bears it (``"kd"``). Everything is computed in full precision, also under autocast.

        Args:
            student: The student's signals; the logits are always read.
            teacher: The teacher's signals; may be ``None`` where no term needs them.
            targets: The targets of the batch by task.
            progress: Share of the training that is done, in [0, 1].
        """
        assert student.logits is not None, "the student's logits were not observed"
        with torch.autocast(student.logits.device.type, enabled=False):
            alone = [term for term in self.methods if term.initialises(progress)]
            parts: dict[str, Tensor] = {}
            if self.config.ce_weight > 0 or alone:
                outputs = full_precision(student.logits)
                ce_weight = 0.0 if alone else self.config.ce_weight
                for place, task in enumerate(self.losses):
                    loss = task(outputs, targets[task.head.name])
                    name = f"ce/{task.head.name}" if len(self.losses) > 1 else "ce"
                    parts[name] = _weighted(loss, self._weight(place, ce_weight))
            for part in self._parts:
                parts |= self._distilled(part, student, teacher, targets, progress, alone)
            if self.weighting is not None and not alone and self._weighs:
                parts["uncertainty"] = self.weighting()
            return {**parts, "loss": torch.stack(list(parts.values())).sum()}

    def _distilled(
        self,
        part: _Part,
        student: Signals,
        teacher: Signals | None,
        targets: Mapping[str, Targets],
        progress: float,
        alone: Sequence[Method],
    ) -> dict[str, Tensor]:
        """The weighted loss parts of a term."""
        term = part.method
        given = teacher is not None or not (term.signals and term.needs_teacher)
        assert given, f"{term.name} needs the teacher's signals"
        teacher = teacher or Signals()
        head = self.losses[part.place or 0].head
        if part.place is None:
            head = labelled([task.head for task in self.losses])
        elif len(self.losses) > 1:
            student, teacher = of_head(head, student), of_head(head, teacher)
        factor = term.factor(progress) if not alone or term in alone else 0.0
        factor_of_task = self._weight(part.place, factor)
        found = {}
        for name, value in term(student, teacher, targets[head.name], progress).items():
            weight = 1.0 if name in term.helper_parts else factor_of_task
            full = part.name if name == term.name else f"{part.name}.{name}"
            found[full] = _weighted(value, weight)
        return found

    def _weight(self, place: int | None, factor: float) -> float | Tensor:
        """A factor times the weight of a task, at a place or of all."""
        if place is None or not factor:
            return factor
        task = self.losses[place]
        if self.weighting is None:
            return factor * task.weight
        return factor * likelihood_scale(task.head) * self.weighting.factor(place)


def _weighted(value: Tensor, weight: float | Tensor) -> Tensor:
    """The product; with weight 0 a zero with a zero gradient, even of what is not finite."""
    return weight * value if isinstance(weight, Tensor) or weight else zero_of(value)


def _checked(config: MethodConfig) -> tuple[type[Method], ...]:
    """The methods of a configuration that can be trained with."""
    methods = parse_label(config.label)
    given = [term.name for term in config.terms]
    if given != [method.name for method in methods]:
        raise MethodError(
            f"the label '{config.label}' does not name the terms {given}; "
            "build the configuration with method_config"
        )
    if config.ce_weight == 0 and all(method.kind in WITHOUT_LOSS for method in methods):
        raise MethodError(
            f"'{config.label}' with {CE_WEIGHT} 0 leaves nothing to minimise; set it above 0"
        )
    for method, term in zip(methods, config.terms, strict=True):
        for name, value in term.hyperparameters.items():
            if name in method.hyperparameters:
                check_value(method.name, name, method.hyperparameters[name], value)
    return methods
