"""What a training minimises: the weighted cross-entropy plus the weighted distillation terms."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods.base import Method
from kdsearch.methods.inputs import full_precision, zero_of
from kdsearch.methods.labels import CE_WEIGHT, check_value, parse_label
from kdsearch.methods.targets import Targets
from kdsearch.models.network import Network
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.concrete import MethodConfig


class Objective(nn.Module):
    """The loss of one training, with every learnable helper of its terms registered.

    Args:
        config: The objective with every value decided.
        student: Shapes of the student's signals.
        teacher: Shapes of the teacher's; may be ``None`` where there are no terms.
        label_smoothing: Share of the target spread over the classes, in the cross-entropy alone.
        class_weights: [K] weights of the classes there, or ``None``.
        mean_weight: Mean weight of a sample that is drawn, of its class and its own, by which the
            cross-entropy is divided. One number for the whole training, and not the batch's own
            mean as in ``torch.nn.CrossEntropyLoss``: so it is the same for any number of workers.

    Attributes:
        config: As given.
        terms: The methods by name; their parameters are to be optimised and kept in the training
            checkpoint, and are no part of the exported student.

    Raises:
        MethodError: A label or a value that is not possible, terms that are not those of the
            label, a method that does not fit the pair, terms without a teacher, or nothing to
            minimise.
    """

    def __init__(
        self,
        config: MethodConfig,
        student: SignalShapes,
        teacher: SignalShapes | None,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        mean_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.label_smoothing = label_smoothing
        self.mean_weight = mean_weight
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.terms = nn.ModuleDict()
        methods = _checked(config)
        for method, term in zip(methods, config.terms, strict=True):
            if teacher is None:
                raise MethodError(f"the method '{config.label}' needs a teacher; give one")
            self.terms[method.name] = method(student, teacher, **term.hyperparameters)

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
        """Exactly what the terms read of the teacher."""
        reads = (term.teacher_signals or term.signals for term in self.methods)
        return frozenset[Signal]().union(*reads)

    def forward(
        self, student: Signals, teacher: Signals | None, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """Scalars by name: the weighted parts, and ``"loss"``, their sum.

        While a term initialises the student, every other one and the cross-entropy have weight 0.
        The cross-entropy is ``"ce"``, absent where its weight is 0. A method's part is
        ``"method.part"`` (``"dkd.tckd"``), or the method's name alone where the part bears it
        (``"kd"``). Everything is computed in full precision, also under autocast.

        Args:
            student: The student's signals; the logits are always read.
            teacher: The teacher's signals; may be ``None`` where there are no terms.
            targets: The labels of the batch.
            progress: Share of the training that is done, in [0, 1].
        """
        assert student.logits is not None, "the student's logits were not observed"
        with torch.autocast(student.logits.device.type, enabled=False):
            alone = [term for term in self.methods if term.initialises(progress)]
            parts: dict[str, Tensor] = {}
            if self.config.ce_weight > 0 or alone:
                logits = full_precision(student.logits)
                ce = targets.cross_entropy(logits, self.label_smoothing, self.class_weights)
                ce_weight = 0.0 if alone else self.config.ce_weight / self.mean_weight
                parts["ce"] = _weighted(ce, ce_weight)
            for term in self.methods:
                read = not term.signals or teacher is not None
                assert read, f"{term.name} needs the teacher's signals"
                factor = term.factor(progress) if not alone or term in alone else 0.0
                for part, value in term(student, teacher or Signals(), targets, progress).items():
                    weight = 1.0 if part in term.helper_parts else factor
                    name = term.name if part == term.name else f"{term.name}.{part}"
                    parts[name] = _weighted(value, weight)
            return {**parts, "loss": torch.stack(list(parts.values())).sum()}


def _weighted(value: Tensor, weight: float) -> Tensor:
    """The product; with weight 0 a zero with a zero gradient, even of what is not finite."""
    return weight * value if weight else zero_of(value)


def _checked(config: MethodConfig) -> tuple[type[Method], ...]:
    """The methods of a configuration that can be trained with."""
    methods = parse_label(config.label)
    given = [term.name for term in config.terms]
    if given != [method.name for method in methods]:
        raise MethodError(
            f"the label '{config.label}' does not name the terms {given}; "
            "build the configuration with method_config"
        )
    if config.ce_weight == 0 and all(method.kind == "parameter" for method in methods):
        raise MethodError(
            f"'{config.label}' with {CE_WEIGHT} 0 leaves nothing to minimise; set it above 0"
        )
    for method, term in zip(methods, config.terms, strict=True):
        for name, value in term.hyperparameters.items():
            if name in method.hyperparameters:
                check_value(method.name, name, method.hyperparameters[name], value)
    return methods
