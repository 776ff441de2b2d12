"""A teacher of other classes: who learns from it, what is refused, and that it is not scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from kdsearch.errors import ModelError, SpecError, UserError
from kdsearch.methods import METHODS, UNDISTILLED, find_method, method_names
from kdsearch.models import Signal, blueprint, build_network, of_images
from kdsearch.models.weights import save_weights
from kdsearch.space.checks import make_plan
from kdsearch.space.starts import origin_name, origins
from kdsearch.spec import ModelConfig, StudySpec, parse_spec
from kdsearch.spec.teaching import TEACHER
from kdsearch.teacher_cache.cache_plan import teacher_digest
from kdsearch.training.by_task import ByTask
from kdsearch.training.teacher import Teacher

ORDER = [str(digit) for digit in range(10)]
PAIRS = {name: [2 * place, 2 * place + 1] for place, name in enumerate(ORDER)}
STRONG = {"labels": 60, "strong_augment": {"cutout": 3}}
READS = {name for name, method in METHODS.items() if method.strong_view}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 25 outputs."""
    torch.manual_seed(0)
    made = build_network(ModelConfig(family="convnet", depth=2), of_images((1, 8, 8)), 25)
    path = tmp_path_factory.mktemp("general") / "general.safetensors"
    save_weights(made, path)
    return path


def spec_of(checkpoint: Path | None, methods: list[str], **model: object) -> StudySpec:
    content = {
        "study": {"name": "general", "directory": "studies"},
        "data": {"source": "digits", "limit": 400, **(STRONG if set(methods) & READS else {})},
        "teacher": {
            "model": {"family": "convnet", "depth": 2, **model},
            "checkpoint": None if checkpoint is None else str(checkpoint),
        },
        "students": [{"family": "convnet", "width": 0.5, "depth": 2}],
        "methods": methods,
        "training": {"epochs": 1},
    }
    return parse_spec(yaml.safe_dump(content, sort_keys=False), file="space.yaml")


def test_methods_that_read_no_logits_learn_from_it_and_the_others_are_refused(
    checkpoint: Path,
) -> None:
    for name in (name for name in method_names() if name != UNDISTILLED):
        method = find_method(name)
        if not method.needs_teacher:
            continue
        reads = method.teacher_signals or method.signals
        needs = Signal.LOGITS in reads or method.adopts_classifier or method.kind == "parameter"
        spec = spec_of(checkpoint, ["none", name], outputs=25)
        if needs:
            with pytest.raises(SpecError, match="outputs are not the classes of the data"):
                make_plan(spec)
        else:
            assert not make_plan(spec).space.fitting.unfit, name


def test_every_method_of_one_class_learns_where_outputs_stand_for_the_classes(
    checkpoint: Path,
) -> None:
    spec = spec_of(checkpoint, ["none", "kd", "dkd", "at"], outputs=25, stands_for=PAIRS)
    plan = make_plan(spec)
    assert not plan.space.fitting.unfit
    assert spec.compares_answers


@pytest.mark.parametrize("name", ["simkd", "weight_copy"])
def test_no_layer_is_taken_over_whose_outputs_only_stand_for_the_classes(
    checkpoint: Path, name: str
) -> None:
    """Not even of as many outputs, which are in another order."""
    spec = spec_of(checkpoint, ["none", f"kd+{name}"], outputs=25, stands_for=PAIRS)
    with pytest.raises(SpecError, match="classes of the data"):
        make_plan(spec)
    turned = {"outputs": 10, "stands_for": {name: 9 - at for at, name in enumerate(ORDER)}}
    student, teacher = (
        blueprint(ModelConfig(family="convnet", **more), of_images((1, 8, 8)), 10).signal_shapes()
        for more in ({}, turned)
    )
    method = find_method(name)
    assert method.unfit(student, student) is None
    assert "only stand for the classes" in (method.unfit(student, teacher) or "")


def test_no_student_adopts_a_classifier_of_other_outputs() -> None:
    turned = {name: 9 - at for at, name in enumerate(ORDER)}
    teacher = ModelConfig(family="convnet", outputs=10, stands_for=turned)
    with pytest.raises(ModelError, match="not the classes of the data themselves"):
        blueprint(ModelConfig(family="convnet", adopts=teacher), of_images((1, 8, 8)), 10)


def test_no_student_is_cut_from_it(checkpoint: Path) -> None:
    text = yaml.safe_dump(
        spec_of(checkpoint, ["none", "rkd"], outputs=25).model_dump(mode="json"), sort_keys=False
    )
    cut = "students=[{family: convnet, width: 0.5, depth: 2, init: cut_from_teacher}]"
    with pytest.raises(SpecError, match="no teacher of the study is a convnet of the classes"):
        make_plan(parse_spec(text, [cut]))
    both = parse_spec(text, [cut, "teachers={own: {model: {family: convnet, depth: 2}}}"])
    assert origins(both, both.students[0]) == ["own"]
    assert origin_name(both, both.students[0], TEACHER) == "own"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"outputs": 25, "stands_for": PAIRS | {"cat": 24}}, "the data have no class 'cat'"),
        (
            {"outputs": 25, "stands_for": dict(reversed(PAIRS.items()))},
            "name every class once, in this order: 0, 1, 2",
        ),
        ({"outputs": 19, "stands_for": PAIRS}, "output 19 of convnet stands for '9'"),
        ({"outputs": 24}, r"25 .*24|24 .*25"),
    ],
)
def test_what_does_not_fit_is_refused(
    checkpoint: Path, model: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(spec_of(checkpoint, ["none", "rkd"], **model))


@pytest.mark.parametrize("left", [lambda name: True, lambda name: "classifier" not in name])
def test_a_teacher_without_a_head_takes_files_with_and_without_one(
    checkpoint: Path, tmp_path: Path, left: Callable[[str], bool]
) -> None:
    state = {name: each for name, each in load_file(checkpoint).items() if left(name)}
    torch.save(state, tmp_path / "body.pt")
    spec = spec_of(tmp_path / "body.pt", ["none", "rkd", "at"], outputs=0)
    plan = make_plan(spec)
    assert not plan.warnings
    network = plan.given_teachers[TEACHER].build(plan.data)
    own = network.state_dict()
    assert all(torch.equal(own[name], each) for name, each in state.items() if "class" not in name)


def test_a_network_without_a_head_is_always_the_same(checkpoint: Path, tmp_path: Path) -> None:
    """A cache of what it shows is found again, whatever the head is made of meanwhile."""
    state = {k: v for k, v in load_file(checkpoint).items() if "classifier" not in k}
    torch.save(state, tmp_path / "body.pt")
    digests = set()
    for file in (checkpoint, tmp_path / "body.pt"):
        plan = make_plan(spec_of(file, ["none", "rkd"], outputs=0))
        given = plan.given_teachers[TEACHER]
        for seed in (1, 2):
            torch.manual_seed(seed)
            network = given.build(plan.data)
            assert not network.get_submodule("classifier").weight.any()
            digests.add(teacher_digest(network, given.model))
    assert len(digests) == 1


def test_weights_to_begin_with_are_taken_as_they_are(checkpoint: Path) -> None:
    plan = make_plan(spec_of(None, ["none", "rkd"], outputs=25, weights=str(checkpoint)))
    given = plan.given_teachers[TEACHER]
    assert given.origin == str(checkpoint)
    state = load_file(checkpoint)
    built = given.build(plan.data).state_dict()
    assert all(torch.equal(built[name], each) for name, each in state.items())


def test_it_is_not_trained_nor_averaged(checkpoint: Path) -> None:
    text = yaml.safe_dump(
        spec_of(checkpoint, ["none", "rkd"], outputs=25).model_dump(mode="json"), sort_keys=False
    )
    with pytest.raises(SpecError, match=r"give its checkpoint or model\.weights"):
        parse_spec(text, ["teacher.checkpoint=null"])
    with pytest.raises(SpecError, match=r"give their number in model.outputs"):
        parse_spec(text, ["teacher.model.outputs=null", "teacher.model.stands_for={a: 1}"])
    both = [
        "teachers={other: {model: {family: mlp, depth: 1}}}",
        "teaching.by=[average]",
        "methods=[none, kd]",
    ]
    with pytest.raises(SpecError, match="'average' takes teachers that answer in the classes"):
        make_plan(parse_spec(text, both))


def test_students_are_compared_with_no_answers_of_it(checkpoint: Path) -> None:
    spec = spec_of(checkpoint, ["none", "rkd"], outputs=25)
    assert not spec.compares_answers
    plan = make_plan(spec)
    teacher = Teacher(plan.given_teachers[TEACHER].build(plan.data))
    by_task = ByTask.of(spec, plan.data)
    assert by_task.compared_with({TEACHER: teacher}) is None
