"""Students that begin with the nearest finalist of an earlier study, as a plan meets them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from safetensors.torch import load_file

from kdsearch.compression import cut
from kdsearch.data import Dataset, Scale, Split
from kdsearch.errors import CheckpointError, SpecError, StudyError
from kdsearch.models import Network, Size, build_network, of_images
from kdsearch.models.weights import save_weights
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.resume import DataFacts, Inputs, changed
from kdsearch.results.tables import describe_trial
from kdsearch.search.proposer import Proposer
from kdsearch.space.architectures import Architectures
from kdsearch.space.checks import make_plan
from kdsearch.space.earlier_students import earlier_students, study_sum
from kdsearch.space.initial_checks import check_initial, check_unchanged, initial_sums
from kdsearch.space.space import Space
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.spec.concrete import InitialWeights
from kdsearch.spec.study import StudySpec
from kdsearch.training.initial import initial_student
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task
from tests.earlier import make_study, ship, tell_finalists
from tests.records import TASK, sized

ANY_SIZE = Size(parameters=10, macs=20, bytes=40)
DRAWN = {"method": "none", "lr": 0.05}


@pytest.fixture
def past(spec: StudySpec, digits: Dataset, tmp_path: Path) -> Path:
    """A study of pictures of other classes, with finalists of widths 0.25, 0.5 and 1."""
    folder = make_study(spec, tmp_path / "fashion")
    for trial, width in ((3, 0.25), (5, 0.5), (8, 1.0)):
        ship(folder, trial, of_classes(digits, 7), width=width)
    return folder


def of_classes(data: Dataset, count: int) -> Dataset:
    """Darker pictures in so many classes of other names."""
    (head,) = data.problem.heads
    named = replace(head, names=tuple(f"garment {place}" for place in range(count)))
    problem = replace(data.problem, heads=(named,))
    return replace(data, scales={"image": Scale((0.2,), (0.4,))}, problem=problem)


def students(folder: Path, width: str = "0.5", more: str = "") -> str:
    return f"students=[{{family: convnet, depth: 2, width: {width}, weights: {folder}{more}}}]"


def space_of(spec_text: str, *overrides: str) -> Space:
    spec = parse_spec(spec_text, ["methods=[none, kd]", *overrides])
    return Space(spec, inputs=of_images((1, 8, 8)))


def task_of(space: Space, **drawn: object) -> Task:
    return space.suggest(FixedTrial({**DRAWN, **drawn})).task(space.spec, 0)


def body(network: Network) -> dict[str, torch.Tensor]:
    return {k: v for k, v in network.state_dict().items() if not k.startswith("classifier")}


def test_a_student_of_the_same_width_has_the_very_tensors_and_a_fresh_head(
    spec_text: str, past: Path, digits: Dataset
) -> None:
    plan = make_plan(parse_spec(spec_text, ["methods=[none, kd]", students(past)]))
    file = past / "students" / "trial-0005" / "student.safetensors"
    assert plan.warnings == [
        f"the head of {file} has 7 outputs (classifier.bias), not 10: a fresh one is trained in "
        "its place"
    ]
    task = task_of(plan.space)
    student, theirs = initial_student(task, digits), load_file(file)
    assert len(body(student)) > 10
    assert all(torch.equal(value, theirs[name]) for name, value in body(student).items())
    assert student.classifier.weight.shape[0] == 10
    assert not student.classifier.weight.any()
    assert not student.classifier.bias.any()


@pytest.mark.parametrize(
    ("width", "trial"), [(0.1, 3), (0.25, 3), (0.26, 5), (0.5, 5), (0.7, 8), (1.0, 8)]
)
def test_the_nearest_is_the_narrowest_that_is_as_wide(
    spec_text: str, past: Path, width: float, trial: int
) -> None:
    space = space_of(spec_text, students(past, "{low: 0.1, high: 1}"))
    model = task_of(space, **{"convnet.width": width}).model
    assert model.weights is not None
    assert model.earlier is not None
    assert (model.earlier.study, model.earlier.trial) == ("fashion", trial)
    file = past / "students" / f"trial-{trial:04d}" / "student.safetensors"
    assert model.weights.source == str(file)


def test_a_narrower_one_is_cut_from_it(spec_text: str, past: Path, digits: Dataset) -> None:
    space = space_of(spec_text, students(past, "0.3"))
    assert len(check_initial(space.spec, digits)) == 1  # of the head
    task = task_of(space)
    student = initial_student(task, digits)
    wide, narrow = (ModelConfig(family="convnet", depth=2, width=width) for width in (0.5, 0.3))
    torch.manual_seed(task.seed)
    expected, source = (build_network(each, digits.inputs, 10) for each in (narrow, wide))
    theirs = load_file(past / "students" / "trial-0005" / "student.safetensors")
    # the head of other classes is a fresh one before anything is cut
    source.load_state_dict({name: theirs[name] for name in body(source)}, strict=False)
    for value in source.classifier.parameters():
        torch.nn.init.zeros_(value)
    cut(source, expected, "magnitude")
    found = student.state_dict()
    assert found.keys() == expected.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in expected.state_dict().items())


def test_it_sees_pictures_as_the_earlier_one_did(
    spec_text: str, past: Path, digits: Dataset
) -> None:
    """Its first layer gets what the earlier study's data would have made of the same pixels."""
    model = task_of(space_of(spec_text, students(past))).model
    own = digits.scales["image"]
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    given = torch.from_numpy((pixels - own.mean[0]) / own.std[0])
    (seen,) = build_network(model, digits.inputs, 10).prepared((given,))
    np.testing.assert_allclose(seen.numpy(), (pixels - 0.2) / 0.4, rtol=1e-4, atol=1e-5)
    other = students(past, more=", normalise: {mean: [0.1], std: [0.3]}")
    kept = task_of(space_of(spec_text, other)).model.normalise
    assert kept is not None
    assert kept.mean == (0.1,)


def test_the_size_to_which_it_resized_is_kept(
    spec_text: str, spec: StudySpec, digits: Dataset, tmp_path: Path
) -> None:
    folder = make_study(spec, tmp_path / "sized")
    ship(folder, 0, digits, image_size=12)
    assert task_of(space_of(spec_text, students(folder))).model.image_size == 12
    own = students(folder, more=", image_size: 8")
    assert task_of(space_of(spec_text, own)).model.image_size == 8


def test_a_head_of_as_many_other_classes_is_replaced_and_one_of_the_same_is_kept(
    spec_text: str, spec: StudySpec, digits: Dataset, tmp_path: Path
) -> None:
    for name, data in (("same", digits), ("other", of_classes(digits, 10))):
        folder = make_study(spec, tmp_path / name)
        earlier, file = ship(folder, 0, data, width=0.5)
        space = space_of(spec_text, students(folder))
        student = initial_student(task_of(space), digits)
        kept = torch.equal(student.classifier.weight, earlier.classifier.weight)
        assert kept == (name == "same")
        told = f"the head of {file} is of other classes: a fresh one is trained in its place"
        assert check_initial(space.spec, digits) == ([] if kept else [told])
        assert all(torch.equal(v, body(earlier)[n]) for n, v in body(student).items())


def test_of_one_width_the_best_on_validation_is_taken(
    spec_text: str, spec: StudySpec, digits: Dataset, tmp_path: Path
) -> None:
    folder = make_study(spec, tmp_path / "several")
    for trial, accuracy in ((0, 0.7), (1, 0.9), (2, 0.8)):
        ship(folder, trial, digits, accuracy, width=0.5)
    earlier = task_of(space_of(spec_text, students(folder))).model.earlier
    assert earlier is not None
    assert earlier.trial == 1


def test_the_start_is_searched_and_none_is_proposed_that_there_is_not(
    spec_text: str, past: Path, digits: Dataset
) -> None:
    wide = students(past, "{low: 0.3, high: 3}", ", init: [random, pretrained]")
    space = space_of(spec_text, wide, "search.trials=40")
    assert check_initial(space.spec, digits)[0] == (
        f"no finalist of the study in {past} is a convnet of depth 2 width 3 or wider: it has "
        "depth 2 width 0.25, depth 2 width 0.5, depth 2 width 1; such students begin with random "
        "weights alone"
    )
    proposer = Proposer(space, Architectures(digits.inputs, 10, digits.problem.heads))
    models = [proposer.record(place).task.model for place in range(40)]
    begun = [model for model in models if model.weights]
    assert len(begun) > 5
    assert all(model.width <= 1 and model.earlier is not None for model in begun)
    assert any(model.width > 1.5 for model in models if not model.weights)
    # its baseline begins as it does
    recipe = space.suggest(
        FixedTrial({**DRAWN, "convnet.width": 0.4, "convnet.init": "pretrained"})
    )
    assert recipe.undistilled().model == recipe.model


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("width: {low: 0.5, high: 1.5}, depth: 2", "is a convnet of depth 2 width 1.5 or wider"),
        ("depth: 3", "it has depth 2 width 0.25, depth 2 width 0.5, depth 2 width 1; search what"),
        ("depth: 4, init: [random, pretrained]", "or remove weights and pretrained"),
        ("depth: 4", "add random to init"),
        ("depth: 2, round_to: 8", "depth 2 width 1 round_to 8 or wider"),
        ("family: mlp, depth: 1", "is a mlp of depth 1 width 1 or wider: it has no mlp"),
        ("init: random", "weights are for init pretrained"),
    ],
)
def test_what_has_none_is_refused(
    spec_text: str, past: Path, digits: Dataset, more: str, told: str
) -> None:
    family = "" if "family" in more else "family: convnet, "
    with pytest.raises(SpecError, match=told):
        refused(spec_text, digits, f"students=[{{{family}weights: {past}, {more}}}]")


def refused(spec_text: str, data: Dataset, override: str) -> None:
    check_initial(space_of(spec_text, override).spec, data)


def test_what_kdsearch_fills_in_is_refused_in_a_file(spec_text: str, past: Path) -> None:
    student = "{study: fashion, trial: 5, width: 1, answers: a}"
    with pytest.raises(SpecError, match=r"weights\.student is set by kdsearch; remove it"):
        space_of(spec_text, f"students.0.weights={{source: {past}, student: {student}}}")


def test_a_depth_that_is_not_said_is_the_default_of_the_family(
    spec_text: str, spec: StudySpec, digits: Dataset, tmp_path: Path
) -> None:
    folder = make_study(spec, tmp_path / "plain")
    ship(folder, 0, digits, depth=None)
    space = space_of(spec_text, f"students=[{{family: convnet, depth: 3, weights: {folder}}}]")
    assert task_of(space).model.earlier is not None


def test_a_folder_that_cannot_be_begun_with(
    spec_text: str, spec: StudySpec, past: Path, digits: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"there is no study in .*empty"):
        refused(spec_text, digits, students(tmp_path / "empty"))
    with pytest.raises(SpecError, match="has no finalists yet; finish it first"):
        refused(spec_text, digits, students(make_study(spec, tmp_path / "begun")))
    with pytest.raises(CheckpointError, match=r"folder, and only students\[\]\.weights may be"):
        refused(spec_text, digits, f"teacher.model.weights={past}")
    with pytest.raises(CheckpointError, match="gone cannot be read"):
        refused(spec_text, digits, students(tmp_path / "gone"))
    file = past / "students" / "trial-0008" / "student.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    shutil.move(past, tmp_path / "damaged")
    with pytest.raises(SpecError, match=r"is not the file that .* describes"):
        refused(spec_text, digits, students(tmp_path / "damaged"))


def test_images_of_colours_cannot_begin_with_those_of_grey_ones(
    spec_text: str, past: Path, digits: Dataset
) -> None:
    spec = space_of(spec_text, students(past)).spec
    told = r"the study fashion was of images of 1 channel\(s\), and the data have 3"
    with pytest.raises(SpecError, match=told):
        check_initial(spec, coloured(digits))


def test_grey_images_are_repeated_for_students_of_colours(
    spec_text: str, spec: StudySpec, digits: Dataset, tmp_path: Path
) -> None:
    folder = make_study(spec, tmp_path / "colours")
    earlier, _ = ship(folder, 0, coloured(digits), width=0.5)
    space = space_of(spec_text, students(folder))
    assert check_initial(space.spec, digits) == []
    student = initial_student(task_of(space), digits)
    assert all(torch.equal(v, body(earlier)[name]) for name, v in body(student).items())


def coloured(data: Dataset) -> Dataset:
    """The same pictures in three equal channels."""

    def split(of: Split) -> Split:
        return replace(of, inputs={"image": of.inputs["image"].expand(-1, 3, -1, -1)})

    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    scale = data.scales["image"]
    three = {"image": Scale(scale.mean * 3, scale.std * 3)}
    return replace(data, **{name: split(each) for name, each in parts.items()}, scales=three)


def inputs(checkpoints: dict[str, str]) -> Inputs:
    data = DataFacts(name="digits", fingerprint="a", train=1, validation=1, inputs={})
    return Inputs(id="a", data=data, checkpoints=checkpoints)


def test_a_resumed_study_finds_a_moved_one_by_its_checksums(
    spec_text: str, past: Path, digits: Dataset, tmp_path: Path
) -> None:
    before = space_of(spec_text, students(past))
    task, known = task_of(before), inputs(initial_sums(before.spec))
    assert list(known.checkpoints) == ["students.0.weights"]
    moved = Path(shutil.move(past, tmp_path / "elsewhere"))
    after = parse_spec(spec_text, ["methods=[none, kd]", students(moved)])
    assert changed(before.spec, after) is None
    known.check(inputs(initial_sums(after)), tmp_path)
    again = Recipe.of(task).task(after, 0)
    assert again.model.weights is not None
    assert Path(again.model.weights.source).is_relative_to(moved)
    # the same training, as what reads the study's records must see
    assert again == task
    assert again.key == task.key
    assert again.model.earlier == task.model.earlier
    initial_student(again, digits)
    ship(moved, 9, digits, width=0.4)
    with pytest.raises(StudyError, match=r"other weights of students\.0\.weights \(checksum"):
        known.check(inputs(initial_sums(after)), tmp_path)
    # a study that is done is still read where they are gone
    shutil.rmtree(moved)
    assert Recipe.of(task).task(after, 0) == task


def test_the_key_of_a_task_is_that_of_the_file(spec_text: str, past: Path) -> None:
    task = task_of(space_of(spec_text, students(past)))
    weights = task.model.weights
    assert weights is not None
    plain = InitialWeights(source="/elsewhere.safetensors", sha256=weights.sha256)
    model = task.model.model_copy(update={"weights": plain})
    assert task.model_copy(update={"model": model}).key == task.key
    assert plain.model_dump().keys() == {"source", "sha256"}
    read = Task.model_validate_json(task.model_dump_json())
    assert read.model.weights is not None
    assert read.model.weights.student == weights.student


def test_tables_say_whose_it_is(spec_text: str, past: Path) -> None:
    task = task_of(space_of(spec_text, students(past)))
    told = describe_trial(sized(0, "search", task, ANY_SIZE))
    assert (told["init"], told["began_with"]) == ("pretrained", "fashion trial 5")
    assert "began_with" not in describe_trial(sized(0, "search", TASK, ANY_SIZE))


def test_a_student_that_is_no_finalist_any_more_is_left_out(
    spec_text: str, past: Path, digits: Dataset
) -> None:
    (past / "students" / "trial-0005.partial").write_text("no folder")
    (past / "students" / "trial-0009").write_text("no folder")
    before = study_sum(past)
    tell_finalists(past, [3, 8])
    StudyDirectory(past).trials.append(sized(1, "search", TASK, ANY_SIZE))  # as it went on
    tell_finalists(past, [3, 8])
    assert [each.weights.student.trial for each in earlier_students(past)] == [3, 8]
    assert study_sum(past) != before
    earlier = task_of(space_of(spec_text, students(past))).model.earlier
    assert earlier is not None
    assert earlier.trial == 8


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_study_that_is_not_finished_is_refused(
    spec_text: str, past: Path, digits: Dataset, state: str
) -> None:
    StudyDirectory(past).update(state=state)
    with pytest.raises(SpecError, match=rf"is not finished \({state}\); finish it first"):
        refused(spec_text, digits, students(past))
    with StudyDirectory(past).locked(), pytest.raises(SpecError, match="wait for it"):
        refused(spec_text, digits, students(past))


def test_no_more_is_proposed_once_the_finalists_are_others(
    spec_text: str, past: Path, digits: Dataset
) -> None:
    space = space_of(spec_text, students(past))
    check = partial(check_unchanged, space.spec, initial_sums(space.spec))
    proposer = Proposer(space, Architectures(digits.inputs, 10, digits.problem.heads), check=check)
    assert proposer.record(0).task.model.earlier is not None
    ship(past, 9, digits, width=0.5)
    with pytest.raises(StudyError, match=r"that students\.0\.weights names have changed since"):
        proposer.record(1)


def test_a_file_of_weights_that_has_changed_is_told_as_such(
    spec_text: str, digits: Dataset, tmp_path: Path
) -> None:
    file = tmp_path / "begin.safetensors"
    network = build_network(ModelConfig(family="convnet", depth=2), digits.inputs, 10)
    save_weights(network, file)
    spec = parse_spec(
        spec_text, [f"students=[{{family: convnet, depth: 2, width: 1, weights: {file}}}]"]
    )
    known = initial_sums(spec)
    check_unchanged(spec, known)
    next(network.parameters()).data.zero_()
    save_weights(network, file)
    told = r"^the weights that students\.0\.weights names have changed since this study began"
    with pytest.raises(StudyError, match=told):
        check_unchanged(spec, known)


@pytest.mark.parametrize("changes", [{"name": "elsewhere"}, {"task": "garment"}])
def test_a_head_that_its_data_or_its_task_tells_apart_is_replaced(
    spec_text: str, spec: StudySpec, digits: Dataset, tmp_path: Path, changes: dict[str, str]
) -> None:
    """The digits' classes are counted, so their names say nothing."""
    (head,) = digits.problem.heads
    assert head.names == tuple(map(str, range(10)))
    other = replace(digits, name=changes.get("name", digits.name))
    if "task" in changes:
        renamed = replace(head, name=changes["task"])
        split = {"targets": {changes["task"]: digits.train.labels}}
        other = replace(other, problem=replace(digits.problem, heads=(renamed,)))
        other = replace(other, train=replace(digits.train, **split))
    folder = make_study(spec, tmp_path / "counted")
    _, file = ship(folder, 0, other, width=0.5)
    told = f"the head of {file} is of other classes: a fresh one is trained in its place"
    assert check_initial(space_of(spec_text, students(folder)).spec, digits) == [told]
