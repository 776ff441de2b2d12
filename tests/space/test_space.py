"""The space: conditional, within its ranges, and always with the undistilled baseline."""

from __future__ import annotations

import optuna
import pytest

from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.training.recipe import Recipe


def draw(spec: StudySpec, count: int) -> list[tuple[dict, Recipe]]:
    space = Space(spec)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = []
    for _ in range(count):
        trial = study.ask()
        recipe = space.suggest(trial)
        drawn.append((dict(trial.params), recipe))
    return drawn


def test_a_trial_has_the_parameters_of_its_own_method_and_family_alone(spec: StudySpec) -> None:
    labels = {"none", "kd", "dist", "kd+fitnet"}
    drawn = draw(spec, 60)
    assert {recipe.method.label for _, recipe in drawn} == labels
    for parameters, recipe in drawn:
        prefixes = {name.split(".")[0] for name in parameters if "." in name}
        foreign = (labels | {"convnet", "mlp"}) - {recipe.method.label, recipe.model.family}
        assert not prefixes & foreign
        assert parameters["method"] == recipe.method.label
        if recipe.method.label == "none":
            assert recipe.method.terms == ()


def test_values_stay_in_their_ranges(spec: StudySpec) -> None:
    for _, recipe in draw(spec, 60):
        low, high = (0.2, 1.0) if recipe.model.family == "convnet" else (0.1, 0.5)
        assert low <= recipe.model.width <= high
        assert recipe.model.depth in (1, 2)
        assert 0.02 <= recipe.training.lr <= 0.2
        for term in recipe.method.terms:
            if term.name == "kd":
                assert 1 <= term.hyperparameters["temperature"] <= 16
                assert 0.1 <= term.hyperparameters["weight"] <= 20


def test_a_searched_smoothing_is_drawn_for_every_method_and_handed_to_the_training(
    spec_text: str,
) -> None:
    override = "training.label_smoothing={low: 0.05, high: 0.2}"
    for parameters, recipe in draw(parse_spec(spec_text, [override]), 40):
        assert 0.05 <= parameters["label_smoothing"] <= 0.2
        assert recipe.training.label_smoothing == parameters["label_smoothing"]
        assert recipe.undistilled().training == recipe.training
    for parameters, _ in draw(parse_spec(spec_text), 5):
        assert "label_smoothing" not in parameters


def test_what_evens_classes_out_is_that_of_the_undistilled_student_too(spec_text: str) -> None:
    overrides = ["training.class_weights={'3': 2}", "training.sampling=balanced"]
    for _, recipe in draw(parse_spec(spec_text, overrides), 10):
        for each in (recipe, recipe.undistilled(), recipe.tuned(0.1, 0.0, 0.2)):
            assert each.training.class_weights == {"3": 2.0}
            assert each.training.sampling == "balanced"


def test_the_spec_overrides_a_methods_own_range(spec_text: str) -> None:
    overrides = [
        "methods={kd: {temperature: 7, weight: {low: 1, high: 2}}, "
        "kd+fitnet: {fitnet.weight: {choices: [3, 5]}, ce_weight: 0.5}}"
    ]
    spec = parse_spec(spec_text, overrides)
    for parameters, recipe in draw(spec, 40):
        terms = {term.name: term.hyperparameters for term in recipe.method.terms}
        assert "kd.temperature" not in parameters
        if recipe.method.label == "kd":
            assert terms["kd"]["temperature"] == 7
            assert 1 <= terms["kd"]["weight"] <= 2
        if recipe.method.label == "kd+fitnet":
            assert terms["fitnet"]["weight"] in (3, 5)
            assert recipe.method.ce_weight == 0.5


def test_a_published_value_between_two_steps_is_not_tried(spec_text: str) -> None:
    stepped = "methods={kd: {temperature: {low: 1, high: 15, step: 2}, weight: {low: 1, high: 2}}}"
    space = Space(parse_spec(spec_text, [stepped]))
    published = space.published("kd")
    assert "kd.temperature" not in published
    first, *_ = space.probes("kd")
    assert first.terms[0].hyperparameters["temperature"] == 1
    wider = parse_spec(spec_text, ["methods={kd: {temperature: {low: 1, high: 15, step: 0.1}}}"])
    assert Space(wider).published("kd")["kd.temperature"] == 4


def test_the_undistilled_baseline_is_always_there(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["methods=[kd]"])
    assert set(Space(spec).methods) == {"kd", "none"}


def test_a_family_named_twice_keeps_two_sets_of_parameters(spec_text: str) -> None:
    spec = parse_spec(
        spec_text,
        [
            "students=[{family: convnet, width: {low: 0.2, high: 0.3}}, "
            "{family: convnet, width: {low: 2, high: 3}}]"
        ],
    )
    names = {name for parameters, _ in draw(spec, 30) for name in parameters}
    assert {"convnet.width", "convnet#2.width"} <= names


@pytest.mark.parametrize("replicate", [0, 1])
def test_tasks_of_one_replicate_differ_by_configuration_alone(
    spec: StudySpec, replicate: int
) -> None:
    tasks = [recipe.task(spec, replicate) for _, recipe in draw(spec, 5)]
    assert len({(task.seed, task.views_seed) for task in tasks}) == 1
