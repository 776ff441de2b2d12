"""What a method does to the two networks before the first step."""

from __future__ import annotations

from torch import Tensor, nn

from kdsearch.methods.base import WITHOUT_LOSS
from kdsearch.testing.material import PROGRESS, Pair, build, differing
from kdsearch.testing.subject import Subject, skip


class PreparationTests(Subject):
    """The networks after ``prepare``."""

    def test_preparation_leaves_the_teacher_alone(self, pair: Pair) -> None:
        """The teacher's weights, statistics and modes are what they were."""
        bench, before = self.bench(pair), build(pair.teacher)
        changed = differing(bench.teacher.state_dict(), before.state_dict())
        assert not changed, f"'prepare' changes {changed} of the teacher"
        assert _modes(bench.teacher) == _modes(before), "'prepare' changes the teacher's mode"

    def test_parameter_method_sets_the_student(self, pair: Pair) -> None:
        """It gives the student other weights."""
        if self.find().kind != "parameter":
            skip(f"{self.find().name} sets no weights")
        bench = self.bench(pair)
        before = build(self.configs(pair)[0]).state_dict()
        assert differing(bench.student.state_dict(), before), (
            "'prepare' changes nothing of the student"
        )

    def test_method_without_a_loss_has_no_parts(self, pair: Pair) -> None:
        """Methods of the kinds ``parameter`` and ``statistics`` return nothing to minimise."""
        cls = self.find()
        if cls.kind not in WITHOUT_LOSS:
            skip(f"{cls.name} has a loss")
        bench = self.bench(pair)
        for progress in PROGRESS:
            parts: dict[str, Tensor] = bench.parts(*bench.signals(), progress)
            assert not parts, f"a {cls.kind} method has a loss; give it another kind"


def _modes(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]
