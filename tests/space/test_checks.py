"""The checks before a study: what passes, and where an error points."""

from __future__ import annotations

import pytest

from kdsearch.errors import SpecError
from kdsearch.space.checks import make_plan
from kdsearch.spec import StudySpec, parse_spec


def test_a_sound_study_passes(spec: StudySpec) -> None:
    plan = make_plan(spec)
    assert len(plan.data.classes) == 10
    assert set(plan.space.methods) == {"none", "kd", "dist", "kd+fitnet"}
    assert plan.given_teachers == {}
    # a convolution, batch norm and linear layer of each width, counted on paper in tests/models
    assert plan.teacher_sizes["teacher"].parameters > 1000


def test_a_class_that_is_not_there_is_refused_at_its_own_line(spec_text: str) -> None:
    spec = parse_spec(
        f"{spec_text}teachers:\n  big:\n    model: {{family: mlp}}\n    training:\n"
        "      class_weights:\n        '3': 2\n        three: 2\n",
        file="x.yaml",
    )
    with pytest.raises(SpecError) as caught:
        make_plan(spec)
    assert caught.value.line == len(spec.text.splitlines())
    assert "no class 'three'; valid: 0, 1, 2" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("methods=[none, kdd]", "did you mean"),
        ("methods={kd: {temperatur: 3}}", "did you mean 'temperature'"),
        ("methods={kd: {temperature: 0}}", "at least"),
        ("methods=[kd+dkd]", "logit"),
        ("students.0.family=convnett", "did you mean 'convnet'"),
        ("students.0.width=0.001", "width"),
        ("students.1.depth=0", "at least 1"),
        ("teacher.model.family=resnet", "resnet"),
        ("training.batch_size=4000", "lower it"),
        ("data.augment={crop: 9}", "crop"),
        ("training.class_weights={'11': 2}", "class_weights: the data have no class '11'"),
        ("teacher.training.class_weights={seven: 2}", "the data have no class 'seven'"),
        (
            "training.class_weights={'0': 0, '1': 0, '2': 0, '3': 0, '4': 0, "
            "'5': 0, '6': 0, '7': 0, '8': 0, '9': 0}",
            "gives all training samples the weight 0",
        ),
        (
            "teaching={by: [wide]}",
            "unknown teacher 'wide'; valid: average, born_again, by_task, mutual, teacher",
        ),
        ("teaching={by: []}", "teaching.by"),
        ("teaching={by: [average]}", "'average' needs a second teacher"),
        ("teachers={average: {model: {family: mlp}}}", "'average' cannot name a teacher"),
        (
            "teachers={'wi de': {model: {family: mlp}}}",
            "'wi de' cannot name a teacher",
        ),
        ("teachers={big: {model: {family: mpl}}}", "did you mean 'mlp'"),
        ("teachers={big: {model: {family: mlp}, checkpoint: no.pt}}", "no file of weights"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(
    spec_text: str, override: str, words: str
) -> None:
    overrides = [override]
    if override.startswith("teacher.model.family"):
        overrides.append("teacher.model.depth=9")
    with pytest.raises(Exception, match=words) as caught:
        make_plan(parse_spec(spec_text, overrides))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_an_error_points_at_its_line(spec_text: str) -> None:
    text = spec_text.replace(
        "methods: [none, kd, dist, kd+fitnet]", "methods:\n  kd: {}\n  kdd: {}"
    )
    with pytest.raises(SpecError) as caught:
        make_plan(parse_spec(text, file="space.yaml"))
    line = text.splitlines().index("  kdd: {}") + 1
    assert (caught.value.line, caught.value.column) == (line, 3)
    assert str(caught.value).startswith(f"space.yaml:{line}:3: ")


def test_a_method_that_no_student_can_take_is_refused(spec_text: str) -> None:
    with pytest.raises(SpecError, match=r"no matched pair of stages .* works for no student"):
        make_plan(parse_spec(spec_text, ["methods=[none, at]", "students=[{family: mlp}]"]))


def test_a_teacher_who_can_teach_nobody_is_refused(spec_text: str) -> None:
    overrides = [
        "methods=[none, fitnet]",
        "teachers={big: {model: {family: mlp}}}",
        "teaching={by: [teacher, average]}",
    ]
    with pytest.raises(SpecError, match="'average' can teach by none of the methods"):
        make_plan(parse_spec(spec_text, overrides))
