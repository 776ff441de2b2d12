"""Each kind of wrong method fails the test that is meant for it; the correct ones pass them all."""

from __future__ import annotations

import inspect

import pytest

from kdsearch.methods import Method, Objective
from kdsearch.models import Signal
from kdsearch.testing import SEQUENCES, MethodConformance, identity_projectors
from tests.testing import wrong_methods as wrong

TESTS = [name for name in dir(MethodConformance) if name.startswith("test_")]

MISTAKES: list[tuple[type[Method], str, str]] = [
    (wrong.TeacherGetsGradient, "test_gradient_reaches_nothing_else", "gradient to the teacher"),
    (wrong.HelperIsAPlainTensor, "test_gradient_reaches_nothing_else", "not registered"),
    (wrong.HelperIsAPlainTensor, "test_helpers_are_registered", "'offset' holds a plain tensor"),
    (wrong.HelperIsAPlainTensor, "test_helpers_are_saved_and_restored", "another loss"),
    (wrong.HelperIsInAPlainList, "test_helpers_are_registered", "'more' holds a plain"),
    (wrong.HelperIsInAPlainList, "test_gradient_reaches_nothing_else", "not registered"),
    (wrong.HelperIsInAPlainList, "test_helpers_are_saved_and_restored", "another loss"),
    (wrong.HelperIsNotTrained, "test_gradient_reaches_every_helper", "projector.weight"),
    (wrong.HelperIsNotTrained, "test_helpers_are_trained_and_kept", "projector.weight"),
    (
        wrong.StudentIsNotTrained,
        "test_gradient_reaches_the_student_through_every_part",
        "no gradient of 'sound'",
    ),
    (
        wrong.HelperPartTrainsTheStudent,
        "test_gradient_reaches_the_student_through_every_part",
        "trains the student too",
    ),
    (wrong.Overflows, "test_is_finite_at_extremes", "'sound_logits' .* is not finite for gaps"),
    (wrong.GradientOverflows, "test_is_finite_at_extremes", "a gradient is not finite"),
    (wrong.ComputesInHalf, "test_half_precision_is_computed_in_float32", "bfloat16"),
    (wrong.SumsOverTheBatch, "test_is_a_mean_over_the_batch", "take the mean over the batch"),
    (wrong.HasTheWrongSign, "test_identical_outputs_give_the_minimum", "but others -"),
    (wrong.ScoresAgreementHighest, "test_identical_outputs_give_the_minimum", "cost 1 instead of"),
    (wrong.IgnoresTheTeacher, "test_identical_outputs_give_the_minimum", "instead of 0"),
    (wrong.IsConstant, "test_identical_outputs_give_the_minimum", "whatever the student says"),
    (wrong.ReadsLabelsUnsaid, "test_reads_labels_only_if_it_says_so", "declare 'by_label'"),
    (wrong.WeighsByLabelUnsaid, "test_reads_labels_only_if_it_says_so", "declare 'by_label'"),
    (
        wrong.ReadsDomainsUnsaid,
        "test_reads_domains_if_and_only_if_it_says_so",
        "declare 'adapts'",
    ),
    (wrong.AdaptsToNothing, "test_reads_domains_if_and_only_if_it_says_so", "leave it out"),
    (wrong.HasAPart, "test_method_without_a_loss_has_no_parts", "give it another kind"),
    (
        wrong.ReadsAStrongViewUnsaid,
        "test_reads_a_strong_view_only_if_it_says_so",
        "declare 'strong_view'",
    ),
    (
        wrong.DeclaresAStrongViewUnread,
        "test_reads_a_strong_view_only_if_it_says_so",
        "none is read",
    ),
    (wrong.CountsForNoValueOfItsOwn, "test_states_its_hyperparameters", "'temperature'"),
    (wrong.SetsItsClass, "test_instances_share_nothing", "changes its class"),
    (wrong.ChangesItsConfiguration, "test_instances_share_nothing", "changes its class"),
    (wrong.SharesItsHelper, "test_instances_share_nothing", "another's loss"),
    (wrong.ForgetsWhatItLearned, "test_helpers_are_saved_and_restored", "another loss"),
    (wrong.ForgetsWhatItLearned, "test_resumed_training_is_the_uninterrupted_one", "instead of"),
    (wrong.WakesTheTeacher, "test_preparation_leaves_the_teacher_alone", "running_mean"),
    (wrong.WakesTheTeacher, "test_teacher_is_left_alone", "running_mean"),
    (wrong.ChangesTheTeacherInTraining, "test_teacher_is_left_alone", "of the teacher"),
    (wrong.RegistersTheTeacher, "test_helpers_are_registered", "weights of the teacher"),
    (wrong.LeavesAHelperInTheStudent, "test_exported_student_is_free_of_helpers", "projector"),
    (wrong.ReadsMoreThanItDeclares, "test_reads_exactly_the_declared_signals", "do not suffice"),
    (wrong.DeclaresMoreThanItReads, "test_reads_exactly_the_declared_signals", "'features' is"),
    (wrong.TakesAnyHyperparameter, "test_refuses_an_unknown_hyperparameter", "not refused"),
    (wrong.TakesAnyNumberOfClasses, "test_refuses_networks_of_other_classes", "not refused"),
    (wrong.FitsNothing, "test_fits_one_of_the_pairs", "it is Tuesday"),
    (wrong.SearchesItsWeightLinearly, "test_states_its_hyperparameters", "not logarithmic"),
    (wrong.DefaultIsOutsideTheSearch, "test_states_its_hyperparameters", "default of 'weight'"),
    (wrong.CountsPadding, "test_padding_changes_nothing", "stands at padding"),
    (wrong.CountsPadding, "test_sequences_are_among_the_pairs", "add kdsearch.testing.SEQUENCES"),
    (wrong.IsUnnamed, "test_states_its_facts", "'no name' is no name"),
    (wrong.PreparesNothing, "test_parameter_method_sets_the_student", "changes nothing"),
    (wrong.PreparesTheTeacher, "test_preparation_leaves_the_teacher_alone", "classifier.bias"),
]


def suite(cls: type[Method]) -> MethodConformance:
    class Suite(MethodConformance):
        method = cls

        def align(self, method: Method) -> None:
            identity_projectors(method)

    return Suite()


def run(of: MethodConformance, test: str) -> None:
    """One test of the suite, on the first pair where it takes one, or on one with padding."""
    bound = getattr(of, test)
    pair = SEQUENCES[0] if test == "test_padding_changes_nothing" else of.pairs[0]
    bound(pair) if "pair" in inspect.signature(bound).parameters else bound()


def mistake(of: MethodConformance, test: str) -> str | None:
    """What one test of the suite finds wrong."""
    try:
        run(of, test)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("cls", [wrong.Sound, wrong.SoundLogits, wrong.CopiesWeights])
def test_a_correct_method_passes(cls: type[Method], test: str) -> None:
    assert mistake(suite(cls), test) is None


@pytest.mark.parametrize(("cls", "test", "message"), MISTAKES)
def test_a_wrong_method_fails(cls: type[Method], test: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(suite(cls), test)


def test_a_loop_that_fetches_more_than_declared_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fetched(wrong.SoundLogits):
        """A class of its own, whose training no other test has looked at."""

    fetched = frozenset({Signal.LOGITS, Signal.FEATURES})
    monkeypatch.setattr(Objective, "teacher_signals", fetched)
    with pytest.raises(AssertionError, match="the loop asks for"):
        run(suite(Fetched), "test_no_more_is_fetched_than_declared")


def test_every_test_of_the_suite_can_fail() -> None:
    failed = {test for _, test, _ in MISTAKES} | {"test_no_more_is_fetched_than_declared"}
    assert failed == set(TESTS)


def test_no_minimum_needs_a_reason() -> None:
    class Silent(MethodConformance):
        method = wrong.HasTheWrongSign

        def minimum(self, *_: object) -> None:
            return None

    class Reasoned(Silent):
        def minimum(self, *_: object) -> None:
            """Its sign is wrong."""

    with pytest.raises(AssertionError, match="say in its docstring why"):
        run(Silent(), "test_identical_outputs_give_the_minimum")
    with pytest.raises(pytest.skip.Exception, match=r"^Its sign is wrong\.$"):
        run(Reasoned(), "test_identical_outputs_give_the_minimum")


def test_a_helper_that_is_not_aligned_is_told() -> None:
    class Unaligned(MethodConformance):
        method = wrong.Sound

    with pytest.raises(AssertionError, match=r"set the helpers .* in 'align'"):
        run(Unaligned(), "test_identical_outputs_give_the_minimum")
