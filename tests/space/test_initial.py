"""Files of weights that networks begin with, and precisions to ship in, as a plan meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optuna.trial import FixedTrial

from kdsearch.errors import CheckpointError, SpecError, StudyError
from kdsearch.models import build_network, of_images
from kdsearch.models.weights import save_weights
from kdsearch.results.resume import DataFacts, Inputs, changed
from kdsearch.space.checks import make_plan
from kdsearch.space.initial_checks import initial_sums
from kdsearch.spec import ModelConfig, parse_spec


@pytest.fixture
def file(tmp_path: Path) -> Path:
    network = build_network(ModelConfig(family="convnet", depth=2), of_images((1, 8, 8)), 10)
    save_weights(network, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def students(file: Path, width: str = "1", more: str = "") -> str:
    return f"students=[{{family: convnet, width: {width}, depth: 2, weights: {file}{more}}}]"


def test_students_and_baselines_begin_with_it(spec_text: str, file: Path) -> None:
    spec = parse_spec(spec_text, [students(file, more=", stored: [float32, float16]")])
    plan = make_plan(spec)
    drawn = {"method": "kd", "convnet.stored": "float16", "lr": 0.05, "kd.temperature": 4.0}
    drawn |= {"kd.weight": 1.0}
    recipe = plan.space.suggest(FixedTrial(drawn))
    assert recipe.model.stored == "float16"
    assert recipe.model.weights is not None
    assert recipe.undistilled().model == recipe.model
    sizes = {
        stored: plan.architectures.size(recipe.model.model_copy(update={"stored": stored}))
        for stored in ("float32", "float16")
    }
    counters = 2 * 8
    assert sizes["float32"].bytes - counters == 2 * (sizes["float16"].bytes - counters)
    assert sizes["float32"].parameters == sizes["float16"].parameters


def test_a_limit_of_bytes_counts_what_is_shipped(spec_text: str) -> None:
    """The narrowest student takes 5,000 bytes or so, in float16 half of that."""
    half = "students.0.stored=[float32, float16]"
    narrow = ["students=[{family: convnet, width: 0.5, depth: 2}]", "search.max_bytes=5000"]
    with pytest.raises(SpecError, match="the smallest student of the space has"):
        make_plan(parse_spec(spec_text, narrow))
    make_plan(parse_spec(spec_text, [*narrow, half]))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("students=[{family: convnet, weights: gone.safetensors}]", "gone.safetensors cannot be"),
        ("teacher.model.weights=gone.pt", "the initial weights .*gone.pt cannot be read"),
    ],
)
def test_a_file_that_is_not_there(spec_text: str, override: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        make_plan(parse_spec(spec_text, [override]))


def test_a_file_fits_one_width_alone(spec_text: str, file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"the student \(convnet depth 2 width 1.5\)"):
        make_plan(parse_spec(spec_text, [students(file, "{low: 1, high: 1.5}")]))
    with pytest.raises(CheckpointError, match="another architecture than the teacher"):
        make_plan(parse_spec(spec_text, [f"teacher.model.weights={file}", "teacher.model.width=3"]))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["methods=[none, kd+weight_copy]"], "weight_copy sets weights of the student itself"),
        (["methods=[none, simkd]"], "simkd sets weights of the student itself"),
        (["methods=[none, kd]", "teaching={by: [mutual]}"], "mutual trains two students that"),
    ],
)
def test_what_would_make_nothing_of_it(
    spec_text: str, file: Path, overrides: list[str], told: str
) -> None:
    model = "teacher.model={family: convnet, width: 2, depth: 2}"
    with pytest.raises(SpecError, match=told):
        make_plan(parse_spec(spec_text, [students(file), model, *overrides]))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("teacher.model.stored=float16", "model.stored is for students"),
        ("students.0.stored=int8", "float32.*float16"),
        ("students.0.stored=[float16, float16]", "give each precision once"),
    ],
)
def test_what_cannot_be_stored_so(spec_text: str, override: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        parse_spec(spec_text, [override])


def test_a_trained_teacher_has_no_initial_weights(spec_text: str, file: Path) -> None:
    with pytest.raises(SpecError, match="checkpoint is the trained teacher"):
        parse_spec(spec_text, [f"teacher.model.weights={file}", f"teacher.checkpoint={file}"])


def inputs(checkpoints: dict[str, str]) -> Inputs:
    data = DataFacts(name="digits", fingerprint="a", train=1, validation=1, inputs={})
    return Inputs(id="a", data=data, checkpoints=checkpoints)


def test_a_resumed_study_needs_the_same_file_in_any_place(
    spec_text: str, file: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(file.read_bytes())
    before, after = (parse_spec(spec_text, [students(each)]) for each in (file, moved))
    assert changed(before, after) is None
    assert changed(before, parse_spec(spec_text)) is not None
    known = inputs(initial_sums(before))
    assert list(known.checkpoints) == ["students.0.weights"]
    known.check(inputs(initial_sums(after)), tmp_path)
    torch.manual_seed(5)
    network = build_network(ModelConfig(family="convnet", depth=2), of_images((1, 8, 8)), 10)
    save_weights(network, moved)
    with pytest.raises(StudyError, match=r"other weights of students\.0\.weights \(checksum"):
        known.check(inputs(initial_sums(after)), tmp_path)


@pytest.mark.parametrize("override", ["teacher.model.weights=default", "students.0.weights=V2"])
def test_a_family_without_weights_to_download(spec_text: str, override: str) -> None:
    with pytest.raises(CheckpointError, match=r"convnet has no weights '\w+' to download"):
        make_plan(parse_spec(spec_text, [override]))


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("default", None),
        ("IMAGENET1K_V2", None),
        ("a1_in1k", None),
        ("mine.pth.tar", Path("mine.pth.tar")),
        ("./mine", Path("mine")),
        ("~/mine.bin", Path.home() / "mine.bin"),
    ],
)
def test_a_file_is_told_from_a_tag(source: str, file: Path | None) -> None:
    weights = ModelConfig.model_validate({"family": "vgg", "weights": source}).weights
    assert weights is not None
    assert weights.file == file
