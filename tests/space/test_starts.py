"""What students may begin with, as a plan meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optuna.trial import FixedTrial

from kdsearch.errors import CheckpointError, SpecError
from kdsearch.models import build_network, measure_config, of_images
from kdsearch.models.weights import save_weights
from kdsearch.search.proposer import Proposer
from kdsearch.space.checks import make_plan
from kdsearch.space.ends import Ends
from kdsearch.spec import ModelConfig, parse_spec

TEACHER = "teacher.model={family: convnet, width: 1, depth: 3}"
BOTH = "init: [random, cut_from_teacher]"


def students(more: str, width: str = "0.5", family: str = "convnet", depth: int = 3) -> str:
    knobs = "" if family.startswith("shuffle") else f", depth: {depth}"
    return f"students=[{{family: {family}, width: {width}{knobs}, {more}}}]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    network = build_network(ModelConfig(family="convnet"), of_images((1, 8, 8)), 10)
    save_weights(network, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_the_start_is_searched(spec_text: str, file: Path) -> None:
    every = f"weights: {file}, init: [random, pretrained, cut_from_teacher], importance: bn_scale"
    plan = make_plan(parse_spec(spec_text, [TEACHER, students(every)]))
    drawn = {"lr": 0.05, "kd.temperature": 4.0, "kd.weight": 1.0}
    for label in ("none", "kd"):
        found = {
            init: plan.space.suggest(FixedTrial({"method": label, "convnet.init": init, **drawn}))
            for init in ("random", "pretrained", "cut_from_teacher")
        }
        models = {init: recipe.model for init, recipe in found.items()}
        assert {init: model.init for init, model in models.items()} == {i: i for i in models}
        assert models["random"] == ModelConfig(family="convnet", width=0.5, depth=3)
        assert models["cut_from_teacher"].cut_from == "teacher"
        assert models["cut_from_teacher"].importance == "bn_scale"
        # the baseline of a finalist begins as the finalist does
        assert all(recipe.undistilled().model == recipe.model for recipe in found.values())


def test_an_end_of_each_start_is_tried(spec_text: str, file: Path) -> None:
    every = f"weights: {file}, init: [pretrained, random, cut_from_teacher]"
    wide = students(every, "{low: 0.5, high: 1}")
    plan = make_plan(parse_spec(spec_text, [TEACHER, wide]))
    ends = Ends(plan.spec, plan.space, plan.architectures).networks()
    found = [(end.task.model.init, end.task.model.width) for end in ends]
    assert found == [
        ("random", 0.5),
        ("random", 1.0),
        ("pretrained", 0.5),
        ("cut_from_teacher", 0.5),
    ]


def test_the_smallest_student_is_that_of_the_images_that_its_start_needs(spec_text: str) -> None:
    """A student that is cut sees images as its teacher does: of 32 pixels here, not of 8."""
    sized = TEACHER.replace("depth: 3", "depth: 3, image_size: 32")
    small, large = (
        measure_config(
            ModelConfig(family="convnet", width=0.5, depth=3, image_size=side),
            of_images((1, 8, 8)),
            10,
        ).macs
        for side in (8, 32)
    )
    assert large > 2 * small
    more = [sized, "search.size=macs", f"search.max_macs={2 * small}"]
    with pytest.raises(SpecError, match=f"smallest student of the space has {large} macs"):
        make_plan(parse_spec(spec_text, [*more, students("init: cut_from_teacher")]))
    make_plan(parse_spec(spec_text, [*more, students(BOTH)]))


def test_what_is_wider_than_the_teacher_is_not_proposed(spec_text: str) -> None:
    wide = students(BOTH, "{low: 0.3, high: 3}")
    plan = make_plan(parse_spec(spec_text, [TEACHER, wide, "search.trials=40"]))
    proposer = Proposer(plan.space, plan.architectures)
    models = [proposer.record(place).task.model for place in range(40)]
    cut = [model for model in models if model.cut_from]
    assert len(cut) > 5
    assert all(model.width <= 1.04 for model in cut)  # 16 channels up to 16.5
    assert any(model.width > 1.5 for model in models if not model.cut_from)


def test_each_is_cut_from_its_own_teacher_if_that_is_of_its_family(spec_text: str) -> None:
    more = "teachers={wide: {model: {family: convnet, width: 2}}, other: {model: {family: mlp}}}"
    cut = students("init: cut_from_teacher")
    plan = make_plan(parse_spec(spec_text, [TEACHER, more, cut]))
    drawn = {"method": "kd", "lr": 0.05, "kd.temperature": 4.0, "kd.weight": 1.0}
    origins = {
        name: plan.space.suggest(FixedTrial({**drawn, "teacher": name})).model.cut_from
        for name in ("teacher", "wide", "other")
    }
    assert origins == {"teacher": "teacher", "wide": "wide", "other": "teacher"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([students("init: pretrained")], "init pretrained needs weights"),
        ([students("weights: a.pt, init: random")], "weights are for init pretrained"),
        ([students("init: [random, random]")], "each start once"),
        (["teacher.model.cut_from=teacher"], r"model\.cut_from is for students"),
        (
            [students("init: cut_from_teacher", family="mlp")],
            "mlp students cannot be cut from a teacher, since no teacher of the study is a mlp",
        ),
        (
            [students("init: cut_from_teacher", "2")],
            r"convnet depth 3 width 2 cannot be cut from the teacher \(convnet depth 3 "
            r"width 1\): the student's .* is larger than the teacher's",
        ),
        ([students("init: cut_from_teacher", depth=4)], "layers that match none of the teacher's"),
        (
            [
                "teacher.model={family: shufflenet_v2}",
                students("init: cut_from_teacher", family="shufflenet_v2"),
            ],
            "shufflenet_v2 cannot be cut from a wider network: its channels are shuffled",
        ),
        (
            [
                "teacher.model={family: mlp}",
                students("init: cut_from_teacher, importance: bn_scale", family="mlp", depth=2),
            ],
            "bn_scale needs batch normalisation, and mlp has none",
        ),
        (
            [students("init: cut_from_teacher"), "methods=[none, kd+weight_copy]"],
            "weight_copy sets weights .* begins with those of a teacher",
        ),
        (
            [students("init: cut_from_teacher"), "methods=[none, kd]", "teaching={by: [mutual]}"],
            "begins with the weights of a teacher",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused(spec_text: str, overrides: list[str], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        make_plan(parse_spec(spec_text, [TEACHER, *overrides]))


def test_weights_that_fit_no_width(spec_text: str, file: Path) -> None:
    with pytest.raises(CheckpointError, match="at width 1, from which it is cut"):
        make_plan(parse_spec(spec_text, [TEACHER, students(f"weights: {file}", depth=2)]))
    with pytest.raises(CheckpointError, match=r"the student \(convnet depth 3 width 2\)"):
        make_plan(parse_spec(spec_text, [TEACHER, students(f"weights: {file}", "2")]))


def test_students_may_see_smaller_images_than_their_teacher(spec_text: str) -> None:
    seen = "normalise: {mean: [0.3], std: [0.2]}, image_size: 12"
    teacher = f"teacher.model={{family: convnet, width: 1, depth: 3, {seen}}}"
    sizes = "init: cut_from_teacher, image_size: {choices: [8, 16]}"
    plan = make_plan(parse_spec(spec_text, [teacher, students(sizes)]))
    drawn = {"method": "none", "lr": 0.05, "convnet.image_size": 8}
    model = plan.space.suggest(FixedTrial(drawn)).model
    assert model.image_size == 8
    # the teacher's weights expect images as the teacher's were
    assert model.normalise == plan.spec.teacher.model.normalise
    other = make_plan(parse_spec(spec_text, [teacher, students("init: cut_from_teacher")]))
    assert other.space.suggest(FixedTrial(drawn)).model.image_size == 12
