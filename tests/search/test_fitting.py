"""What cannot work is known before anything trains, and is never proposed."""

from __future__ import annotations

import optuna
import pytest

from kdsearch.methods import UNDISTILLED
from kdsearch.search.fitting import find_fitting
from kdsearch.search.plan import make_plan
from kdsearch.search.space import Candidate
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL

SHAPE = (1, 8, 8)
TEACHERS = "teachers={wide: {model: {family: resnet, depth: 8}, training: {epochs: 1}}}"
DEEP = "students=[{family: convnet, depth: 2}, {family: mlp, depth: 2}]"
EVERYBODY = "teaching={by: [teacher, wide, average, born_again, mutual], generations: 2}"


def draw(spec: StudySpec, count: int) -> list[Candidate]:
    space = make_plan(spec).space
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    return [space.suggest(study.ask()) for _ in range(count)]


def test_a_method_keeps_to_the_students_it_works_on(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["methods=[none, kd, at]"])
    fitting = find_fitting(spec, ["none", "kd", "at"], SHAPE, 10)
    assert set(fitting.unfit) == {("at", "teacher", "mlp")}
    assert "larger than 1×1" in fitting.unfit["at", "teacher", "mlp"]
    drawn = draw(spec, 80)
    families = {(c.method.label, c.model.family) for c in drawn}
    assert families == {(m, f) for m in ("none", "kd") for f in ("convnet", "mlp")} | {
        ("at", "convnet")
    }


def test_inner_signals_cannot_be_averaged(spec_text: str) -> None:
    spec = parse_spec(spec_text, [TEACHERS, DEEP, EVERYBODY])
    labels = list(spec.methods)
    fitting = find_fitting(spec, labels, SHAPE, 10)
    assert {(label, teacher) for label, teacher, _ in fitting.unfit} == {("kd+fitnet", AVERAGE)}


def test_the_search_chooses_who_teaches_among_those_who_can(spec_text: str) -> None:
    spec = parse_spec(spec_text, [TEACHERS, DEEP, EVERYBODY])
    drawn = draw(spec, 300)
    teachers: dict[str, set[str | None]] = {}
    for candidate in drawn:
        teachers.setdefault(candidate.method.label, set()).add(candidate.teacher)
        assert candidate.generations == (2 if candidate.teacher == BORN_AGAIN else 1)
        assert candidate.task(spec, 0).teacher == candidate.teacher
    everybody = {"teacher", "wide", AVERAGE, BORN_AGAIN, MUTUAL}
    assert teachers == {
        UNDISTILLED: {None},
        "kd": everybody,
        "dist": everybody,
        "kd+fitnet": everybody - {AVERAGE},
    }


def test_one_teacher_needs_no_choice(spec: StudySpec) -> None:
    assert {c.teacher for c in draw(spec, 40) if c.method.label != UNDISTILLED} == {"teacher"}


@pytest.mark.parametrize("teacher", ["teacher", BORN_AGAIN, MUTUAL])
def test_the_baseline_has_no_teacher(spec_text: str, teacher: str) -> None:
    spec = parse_spec(spec_text, [DEEP, f"teaching={{by: [{teacher}]}}"])
    for candidate in draw(spec, 20):
        plain = candidate.undistilled()
        assert (plain.teacher, plain.generations, plain.model.adopts) == (None, 1, None)
        assert (plain.model.width, plain.training) == (candidate.model.width, candidate.training)
