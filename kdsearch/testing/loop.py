"""A method in the real training loop: what it leaves in the student, the teacher, a checkpoint."""

from __future__ import annotations

from kdsearch.methods.base import read_of_teacher
from kdsearch.models import Signal
from kdsearch.testing.material import Pair, build, differing
from kdsearch.testing.subject import Subject
from kdsearch.testing.training import Training, train


class LoopTests(Subject):
    """A training of two epochs on a data set of noise."""

    def test_exported_student_is_free_of_helpers(self, pair: Pair) -> None:
        """The trained student has the very weights that its architecture has."""
        bare = build(self.configs(pair)[0]).state_dict()
        student = self._training(pair).student
        assert student.keys() == bare.keys(), (
            f"the student holds {sorted(student.keys() ^ bare.keys())} more or less than its "
            "architecture; keep helpers in the method"
        )
        assert all(student[name].shape == value.shape for name, value in bare.items()), (
            "the student's weights have other shapes than its architecture's"
        )

    def test_teacher_is_left_alone(self, pair: Pair) -> None:
        """The teacher's weights and statistics are bit for bit the same; it stays frozen."""
        training = self._training(pair)
        changed = differing(training.teacher, build(pair.teacher).state_dict())
        assert not changed, f"the training changes {changed} of the teacher"
        assert training.teacher_sleeps, "the training wakes the teacher; leave its mode alone"

    def test_helpers_are_trained_and_kept(self, pair: Pair) -> None:
        """Every parameter of the method has moved, and the checkpoint holds all of its state."""
        training, name = self._training(pair), self.find().name
        moved = set(differing(training.learned, training.learnable))
        assert moved == set(training.learnable), (
            f"the optimiser does not train {sorted(set(training.learnable) - moved)}"
        )
        expected = {f"objective.terms.{name}.{key}" for key in training.state}
        assert expected <= training.checkpoint, (
            f"the checkpoint lacks {sorted(expected - training.checkpoint)}"
        )

    def test_resumed_training_is_the_uninterrupted_one(self, pair: Pair) -> None:
        """From the checkpoint after one epoch the next has the same loss and the same student."""
        training = self._training(pair)
        uninterrupted, resumed = training.losses
        assert resumed == uninterrupted, (
            f"a resumed epoch has the loss {resumed} instead of {uninterrupted}; register all that "
            "the method remembers as parameters or buffers"
        )
        assert not differing(training.resumed, training.student), (
            "a resumed training gives another student"
        )

    def test_no_more_is_fetched_than_declared(self, pair: Pair) -> None:
        """The teacher is asked for the declared signals alone, once a step."""
        training, method = self._training(pair), self.bench(pair).method
        declared = read_of_teacher(method)
        if declared:
            assert set(training.wanted) == {declared}, (
                f"the loop asks for {set(training.wanted)}, the method declares {set(declared)}"
            )
        else:
            assert not training.wanted, "the teacher is asked though nothing is declared"
        # Both networks tell their logits in any case.
        allowed = method.signals | declared | {Signal.LOGITS}
        assert training.received <= allowed, "the method gets undeclared signals"

    def _training(self, pair: Pair) -> Training:
        self.bench(pair)  # skips where the method does not fit
        return train(self.find(), *self.configs(pair), tuple(sorted(self.hyperparameters.items())))
