"""What cannot work is known before anything trains, and is never proposed."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from kdsearch.errors import SpecError
from kdsearch.methods import UNDISTILLED
from kdsearch.models import of_images
from kdsearch.space.architectures import Architectures
from kdsearch.space.checks import make_plan
from kdsearch.space.usable import Usable
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL
from kdsearch.training.recipe import Recipe

SHAPE = (1, 8, 8)
BROKEN = """
import torch
from kdsearch.methods import Hyperparameter, Method
from kdsearch.models import Signal

class Reads(Method):
    name, kind, paper = "reads", "logit", "our own"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": Hyperparameter(1.0, None, "weight")}

    def __init__(self, student, teacher, **values):
        super().__init__(student, teacher, **values)
        self.levels = torch.linspace(0, 1, 4).tolist()

    def forward(self, student, teacher, targets, progress):
        return {"reads": student.logits.square().mean()}

class Breaks(Reads):
    def __init__(self, student, teacher, **values):
        raise ValueError("no luck")
"""
TEACHERS = "teachers={wide: {model: {family: resnet, depth: 8}, training: {epochs: 1}}}"
DEEP = "students=[{family: convnet, depth: 2}, {family: mlp, depth: 2}]"
EVERYBODY = "teaching={by: [teacher, wide, average, born_again, mutual], generations: 2}"


def draw(spec: StudySpec, count: int) -> list[Recipe]:
    space = make_plan(spec).space
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    return [space.suggest(study.ask()) for _ in range(count)]


def test_a_method_keeps_to_the_students_it_works_on(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["methods=[none, kd, at]"])
    fitting = make_plan(spec).space.fitting
    assert set(fitting.unfit) == {("at", "teacher", "mlp")}
    assert "larger than 1×1" in fitting.unfit["at", "teacher", "mlp"]
    drawn = draw(spec, 80)
    families = {(c.method.label, c.model.family) for c in drawn}
    assert families == {(m, f) for m in ("none", "kd") for f in ("convnet", "mlp")} | {
        ("at", "convnet")
    }


def test_inner_signals_cannot_be_averaged(spec_text: str) -> None:
    spec = parse_spec(spec_text, [TEACHERS, DEEP, EVERYBODY])
    fitting = make_plan(spec).space.fitting
    assert {(label, teacher) for label, teacher, _ in fitting.unfit} == {("kd+fitnet", AVERAGE)}


def test_the_search_chooses_who_teaches_among_those_who_can(spec_text: str) -> None:
    spec = parse_spec(spec_text, [TEACHERS, DEEP, EVERYBODY])
    drawn = draw(spec, 300)
    teachers: dict[str, set[str | None]] = {}
    for recipe in drawn:
        teachers.setdefault(recipe.method.label, set()).add(recipe.teacher)
        assert recipe.generations == (2 if recipe.teacher == BORN_AGAIN else 1)
        assert recipe.task(spec, 0).teacher == recipe.teacher
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
    for recipe in draw(spec, 20):
        plain = recipe.undistilled()
        assert (plain.teacher, plain.generations, plain.model.adopts) == (None, 1, None)
        assert (plain.model.width, plain.training) == (recipe.model.width, recipe.training)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("fitnet: {stage: 9}", "fitnet's stage is 9"),
        ("ab: {initialisation: 0}", "initialisation"),
        ("weight_copy: {ce_weight: 0}", "leaves nothing to minimise"),
    ],
)
def test_the_values_of_the_spec_are_tried(spec_text: str, method: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        make_plan(parse_spec(spec_text, [DEEP, f"methods={{{method}}}"]))


def test_a_stage_that_there_is_works_on_shallow_networks(spec_text: str) -> None:
    shallow = "students=[{family: convnet, depth: 1}]"
    teacher = "teacher.model={family: convnet, depth: 1}"
    spec = parse_spec(spec_text, [shallow, teacher, "methods={fitnet: {stage: 1}}"])
    assert make_plan(spec).space.fitting.unfit == {}


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        ("mixup: 0.2", "and mixup blends them; set data.augment.mixup to 0"),
        ("cutmix: 1", "and cutmix blends them; set data.augment.cutmix to 0"),
        (
            "mixup: 0.2, cutmix: 1",
            "and mixup and cutmix blend them; set data.augment.mixup and data.augment.cutmix to 0",
        ),
    ],
)
def test_methods_that_remember_images_are_refused_where_images_are_mixed(
    spec_text: str, augment: str, words: str
) -> None:
    spec = parse_spec(spec_text, [f"data.augment={{{augment}}}", "methods=[kd, crd]"])
    with pytest.raises(SpecError, match=f"crd remembers samples one by one, {words}"):
        make_plan(spec)
    make_plan(parse_spec(spec_text, [f"data.augment={{{augment}}}", "methods=[kd]"]))


def test_one_width_too_wide_does_not_cost_a_family_its_method(spec_text: str) -> None:
    wide = "students=[{family: convnet, width: {choices: [0.5, 1, 3]}, depth: 2}]"
    teacher = "teacher.model={family: convnet, width: 2, depth: 2}"
    spec = parse_spec(spec_text, [wide, teacher, "methods=[weight_copy]"])
    usable = Usable(spec, Architectures(of_images(SHAPE), 10))
    drawn = [c for c in draw(spec, 60) if c.method.label == "weight_copy"]
    assert {c.model.width for c in drawn if usable.trial(c, 0, {})} == {0.5, 1.0}
    assert {c.model.width for c in drawn if not usable.trial(c, 0, {})} == {3.0}


def test_a_plug_in_that_breaks_is_told_in_one_sentence(
    spec_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_broken.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    sound = make_plan(parse_spec(spec_text, ["methods=['own_broken:Reads']"]))
    assert sound.space.fitting.unfit == {}
    with pytest.raises(SpecError, match="failed with ValueError: no luck; fix the method"):
        make_plan(parse_spec(spec_text, ["methods=['own_broken:Breaks']"]))


def test_teachers_who_do_not_teach_are_not_trained(spec_text: str) -> None:
    for by, used in (("teacher", ["teacher"]), ("wide", ["teacher", "wide"])):
        spec = parse_spec(spec_text, [TEACHERS, f"teaching={{by: [{by}]}}"])
        assert list(spec.teachers_in_use) == used
    assert list(parse_spec(spec_text, [TEACHERS, EVERYBODY]).teachers_in_use) == ["teacher", "wide"]


def test_students_that_teach_each_other_need_the_labels(spec_text: str) -> None:
    methods = "methods={mse_logits: {}, kd: {}, kd+at: {ce_weight: 0}}"
    plan = make_plan(parse_spec(spec_text, [methods, EVERYBODY, TEACHERS]))
    by_mutual = {label for label, teacher, _ in plan.space.fitting.unfit if teacher == MUTUAL}
    assert "mse_logits" in by_mutual
    assert "kd" not in by_mutual
    reasons = [why for (_, who, _), why in plan.space.fitting.unfit.items() if who == MUTUAL]
    assert any("would then see none; set ce_weight above 0" in why for why in reasons)
    assert ("mse_logits", BORN_AGAIN) not in {(a, b) for a, b, _ in plan.space.fitting.unfit}
