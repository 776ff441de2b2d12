"""What the checks accept trains, and what cannot be trained is told before a study runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdsearch.errors import SpecError
from kdsearch.models import build_network
from kdsearch.space import try_out
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.training.checkpoints import load_training, save_training
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.teacher_store import teacher_task
from tests.space import own_networks

OWN = f"{own_networks.__name__}:"


def students(name: str) -> str:
    return f"students=[{{family: '{OWN}{name}'}}]"


def teacher(name: str) -> str:
    return f"teacher.model={{family: '{OWN}{name}'}}"


def plan(spec_text: str, *overrides: str) -> Plan:
    return make_plan(parse_spec(spec_text, list(overrides)))


FAULTS = [
    ("half", r"its weights are float16 and inputs are float32.*network\.float\(\)"),
    ("brain", "its weights are bfloat16"),
    ("double", "its weights are float64"),
    ("Frozen", "none of its weights requires a gradient"),
    ("Detached", "does not require grad"),
    ("FailsInTraining", "training in batches of 4 fails with KeyError: 'no such layer'"),
    ("OneValue", "more than 1 value per channel"),
    ("Unpackable", r"its state cannot be saved and loaded again .*register_buffer"),
    ("Counting", "it gives other outputs once it is saved and loaded again"),
    ("Listed", "it gives other outputs once it is saved and loaded again"),
    ("Remembering", "backward through the graph a second time"),
    ("Rooted", "the loss is soon not finite"),
    ("Infinite", "not finite"),
]


@pytest.mark.parametrize(("name", "words"), FAULTS)
@pytest.mark.parametrize("who", ["students", "teacher"])
def test_a_network_that_cannot_be_trained_is_refused(
    spec_text: str, who: str, name: str, words: str
) -> None:
    override, path = {
        "students": (students(name), "students[0].family"),
        "teacher": (teacher(name), "teacher.model.family"),
    }[who]
    with pytest.raises(
        SpecError, match=f"{name} width 1.* cannot be used, since .*{words}"
    ) as told:
        plan(spec_text, override)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(f"--set {override}: ") or path in str(told.value)


def test_inner_signals_that_are_not_always_there_are_refused(spec_text: str) -> None:
    told = r"kd\+fitnet of the teacher on .*Skipping width 1 cannot be used, since .*same layers"
    with pytest.raises(SpecError, match=told):
        plan(spec_text, students("Skipping"))
    plan(spec_text, students("Skipping"), "methods=[kd]")  # which reads no inner signal


@pytest.mark.parametrize("scheduler", ["none", "halving"])
@pytest.mark.parametrize("name", ["Casting", "Fixed", "Drawing", "Normalised"])
def test_what_is_accepted_trains(spec_text: str, tmp_path: Path, name: str, scheduler: str) -> None:
    methods = "methods=[none, kd, kd+rkd, nst]"
    overrides = [students(name), teacher(name), methods, f"search.scheduler.name={scheduler}"]
    spec = parse_spec(spec_text, overrides)
    data = make_plan(spec).data
    model = ModelConfig(family=f"{OWN}{name}")
    who = {"teacher": Teacher(build_network(model, data.inputs, len(data.classes)))}
    method = {"label": "kd", "terms": [{"name": "kd"}]}
    update = {"model": model, "method": method, "teacher": "teacher"}
    task = Task.model_validate(teacher_task(spec).model_dump() | update)
    program, again = (begin_training(task, data, who, rungs=[1]) for _ in range(2))
    program.train_epoch()
    save_training(program, tmp_path)
    load_training(again, tmp_path)
    assert again.train_epoch().loss < 20
    assert again.finished


def test_a_worker_whose_share_is_one_image(spec_text: str) -> None:
    words = [teacher("Normalised"), "teacher.training.batch_size=8"]
    plan(spec_text, *words, "teacher.workers=2")
    with pytest.raises(SpecError, match=r"in batches of 1 fails .*more than 1 value per channel"):
        plan(spec_text, *words, "teacher.workers=8")


def test_both_ends_of_a_family_are_tried(spec_text: str) -> None:
    wide = students("fails_when_wide").replace("}]", ", width: {low: 0.5, high: 2}}]")
    with pytest.raises(SpecError, match="width 2 cannot be used"):
        plan(spec_text, wide)
    plan(spec_text, wide.replace("high: 2", "high: 1"))


def test_students_that_are_never_proposed_are_not_tried(spec_text: str) -> None:
    family = f"{OWN}FailsInTraining"
    mixed = f"students=[{{family: mlp, width: 0.1, depth: 1}}, {{family: '{family}'}}]"
    size = make_plan(parse_spec(spec_text, [students("Base")])).architectures.size(
        ModelConfig(family=f"{OWN}Base")
    )
    plan(spec_text, mixed, "methods=[none]", f"search.max_macs={size.macs - 1}")
    with pytest.raises(SpecError, match="FailsInTraining"):
        plan(spec_text, mixed, "methods=[none]", f"search.max_macs={size.macs}")


@pytest.mark.parametrize(
    ("name", "words"),
    [("Misreads", "training in batches of 4 fails with"), ("Unsaved", "its state cannot be saved")],
)
@pytest.mark.parametrize("by", ["teacher", "born_again", "mutual"])
def test_a_method_that_cannot_be_trained_with_is_refused(
    spec_text: str, name: str, words: str, by: str
) -> None:
    methods, by = f"methods=['{OWN}{name}']", f"teaching={{by: [{by}]}}"
    with pytest.raises(SpecError, match=f"{name} of .* on convnet .*{words}"):
        plan(spec_text, methods, by)
    plan(spec_text, f"methods=['{OWN}Reads']", by)


def test_the_users_code_is_tried_although_there_is_no_time(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_out, "SECONDS", 0.0)
    plan(spec_text)
    with pytest.raises(SpecError, match="Frozen"):
        plan(spec_text, students("Frozen"))


def test_random_numbers_and_threads_are_left_alone(spec_text: str) -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    plan(spec_text, students("Base"), "resources.cpus_per_trial=2")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Softmax", "returns probabilities (a softmax)"),
        ("LogSoftmax", "returns logarithms of probabilities (a log-softmax)"),
        ("Sigmoid", "returns values between 0 and 1 (a sigmoid)"),
        ("Base", None),
        ("Positive", None),
    ],
)
def test_networks_of_the_users_that_return_no_logits_are_told(
    spec_text: str, name: str, words: str | None
) -> None:
    expected = [] if words is None else [f"{OWN}{name} {words}"]
    found = plan(spec_text, students(name)).warnings
    assert [each.partition(", and losses")[0] for each in found] == expected
    found = plan(spec_text, teacher(name)).warnings
    told = [] if words is None else [f"the teacher {words}"]
    assert [each.partition(", and losses")[0] for each in found] == told
