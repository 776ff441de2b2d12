"""What a method states about itself, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from kdsearch.errors import MethodError
from kdsearch.methods import Hyperparameter, Method
from kdsearch.methods.base import KINDS, STAGES, WITHOUT_LOSS, read_of_teacher
from kdsearch.models import Signal, SignalKind, SignalShapes
from kdsearch.spec.ranges import Range, every
from kdsearch.testing.material import Pair, shapes_of
from kdsearch.testing.subject import Subject, skip


class FactTests(Subject):
    """The class attributes of a method, and the pairs of networks that it takes."""

    def test_states_its_facts(self) -> None:
        """Name, kind, paper and signals are there and make sense."""
        cls = self.find()
        assert re.fullmatch(r"[A-Za-z_]\w*", cls.name), f"'{cls.name}' is no name"
        assert cls.kind in KINDS, f"'{cls.kind}' is no kind; use one of {KINDS}"
        assert cls.paper.strip(), "'paper' is empty; say where the method comes from"
        for reads in (cls.signals, cls.teacher_signals):
            assert reads <= set(Signal), f"{set(reads)} are not all signals"
        without = cls.kind in WITHOUT_LOSS
        assert cls.signals or without, "'signals' is empty, so nothing is compared"
        assert not (cls.signals and without), f"a {cls.kind} method reads no signals"

    def test_states_its_hyperparameters(self) -> None:
        """Each published default lies in its search range; that of the weight is logarithmic."""
        cls = self.find()
        for name, declared in cls.hyperparameters.items():
            assert isinstance(declared, Hyperparameter), f"'{name}' is no Hyperparameter"
            assert declared.about, f"'{name}' does not say what it does"
            if declared.search is not None:
                low, high = min(every(declared.search)), max(every(declared.search))
                assert low <= declared.default <= high, f"the default of '{name}' is not searched"
        unknown = set(cls.counts_for) - set(cls.hyperparameters)
        assert not unknown, f"'counts_for' names {sorted(unknown)}, which are no hyperparameters"
        if cls.kind not in WITHOUT_LOSS:
            assert "weight" in cls.hyperparameters, "there is no hyperparameter 'weight'"
            search = cls.hyperparameters["weight"].search
            assert isinstance(search, Range), "'weight' is not searched over a range"
            assert search.log, "the range of 'weight' is not logarithmic"

    def test_refuses_an_unknown_hyperparameter(self, pair: Pair) -> None:
        """A value that the method does not have is a MethodError that names it."""
        bench = self.bench(pair)
        wrong = {**self.hyperparameters, "no_such_value": 1.0}
        said = _refusal(self.find(), bench.student_shapes, bench.teacher_shapes, wrong)
        assert "no_such_value" in said, "an unknown hyperparameter is not refused by its name"

    def test_refuses_networks_of_other_classes(self, pair: Pair) -> None:
        """Networks that tell different numbers of classes apart are a MethodError.

        A method that reads no logits and takes no weights over learns from any.
        """
        bench, method = self.bench(pair), self.find()
        teacher = replace(bench.teacher_shapes, classes=bench.student_shapes.classes + 1)
        takes_over = method.adopts_classifier or method.kind == "parameter"
        if takes_over or Signal.LOGITS in read_of_teacher(method):
            said = _refusal(method, bench.student_shapes, teacher, self.hyperparameters)
            assert "classes" in said, "another number of classes is not refused; ask super().unfit"
            return
        said = method.unfit(bench.student_shapes, teacher) or ""
        assert "classes" not in said, "classes are refused, and it reads no logits"

    def test_fits_one_of_the_pairs(self) -> None:
        """Were the method skipped on every pair, the suite would prove nothing."""
        reasons = []
        for pair in self.pairs:
            student, teacher = self.configs(pair)
            reasons.append(self.find().unfit(shapes_of(student), shapes_of(teacher)))
        assert None in reasons, f"no pair fits ({reasons[:1]}); give the test class its own 'pairs'"

    def test_sequences_are_among_the_pairs(self) -> None:
        """A method that takes sequences, or attention over pairs, is tested on some."""
        cls = self.find()
        reads = cls.signals | cls.teacher_signals
        if (SignalKind.SEQUENCE not in cls.takes or not reads & STAGES) and (
            Signal.SELF_ATTENTION not in reads
        ):
            skip(f"{cls.name} reads no sequences")
        shown = [shapes_of(pair.teacher) for pair in self.pairs]
        kinds = {stage.kind for shapes in shown for stage in shapes.features}
        assert SignalKind.SEQUENCE in kinds, (
            "no pair has sequences; add kdsearch.testing.SEQUENCES to 'pairs'"
        )


def _refusal(
    cls: type[Method], student: SignalShapes, teacher: SignalShapes, values: Mapping[str, float]
) -> str:
    """What the MethodError says; nothing where there is none."""
    try:
        cls(student, teacher, **values)
    except MethodError as error:
        return str(error)
    return ""
