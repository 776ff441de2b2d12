"""A shipped student answers as the network that was trained, and says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, Views
from kdsearch.errors import CheckpointError, DataError, ModelError, RunError
from kdsearch.export import Student, load_student, save_student
from kdsearch.files import checksum
from kdsearch.models import measure
from kdsearch.problems import Problem
from kdsearch.results.finalists import Finalist
from tests.export.conftest import Trained, strict_json
from tests.pictures import pictured


@pytest.fixture
def folder(trained: Trained, digits: Dataset, tmp_path: Path) -> Path:
    """The folder of a shipped student."""
    target = tmp_path / "students" / "trial-0007"
    save_student(trained.finalist, digits, trained.weights, target)
    return target


def test_a_loaded_student_answers_as_the_trained_network(
    trained: Trained, folder: Path, digits: Dataset
) -> None:
    index = torch.arange(len(digits.test))
    normalised, _ = pictured(Views(digits.test, digits.scales, None, 0).batch(index, 0))
    with torch.no_grad():
        expected = trained.network(normalised)
        found = load_student(folder)(digits.test.images)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_whole_numbers_and_shares_are_the_same_images(folder: Path, digits: Dataset) -> None:
    student = load_student(folder)
    images = digits.test.images[:50]
    with torch.no_grad():
        assert torch.equal(student(images), student(images.float() / 255))


def test_the_names_of_the_likeliest_classes(
    folder: Path, digits: Dataset, trained: Trained
) -> None:
    student = load_student(folder)
    names = student.predict(digits.test.images)
    assert set(names) <= set(digits.classes)
    expected = [digits.classes[label] for label in digits.test.labels.tolist()]
    right = [name == true for name, true in zip(names, expected, strict=True)]
    run = trained.finalist.shipped
    assert run is not None
    assert run.test is not None
    assert sum(right) / len(right) == pytest.approx(run.test["accuracy"])


def test_an_image_has_one_answer_in_any_batch(folder: Path, digits: Dataset) -> None:
    student = load_student(folder)
    assert not any(part.training for part in student.modules())
    images = digits.test.images[:20]
    alone = [student.predict(image[None])[0] for image in images]
    assert student.predict(images) == alone


def test_both_ways_to_write_an_image_have_one_answer(folder: Path, digits: Dataset) -> None:
    student = load_student(folder)
    images = digits.test.images[:20]
    with torch.no_grad():
        logits = student(images)
        for dtype in (torch.float32, torch.float64):
            torch.testing.assert_close(student((images / 255).to(dtype)), logits)
    assert student.predict(images / 255) == student.predict(images)
    assert student.predict(images[:0]) == []


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), "not torch.int64; convert"),
        (torch.full((2, 1, 8, 8), 255.0), r"are in \[255, 255\]; give .* divide by 255"),
        (torch.full((2, 1, 8, 8), -0.5), r"are in \[-0.5, -0.5\]"),
        (torch.full((2, 1, 8, 8), torch.nan), r"are in \[nan, nan\]"),
        (torch.zeros(2, 3, 8, 8), "takes images of 1×8×8 .*, not of 3×8×8"),
        (torch.zeros(2, 1, 9, 8), "not of 1×9×8; convert and resize"),
        (torch.zeros(1, 8, 8), r"give images\[None\]"),
        (torch.zeros(8), "takes images of 1×8×8"),
        (np.zeros((2, 1, 8, 8)), "not ndarray; convert them by torch.as_tensor"),
    ],
    ids=["int64", "0 to 255", "negative", "nan", "colour", "size", "single", "flat", "numpy"],
)
def test_images_unlike_those_of_the_training_are_refused(
    folder: Path, images: Any, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        load_student(folder).predict(images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["folder", "text", "json"])
def test_a_student_is_found_by_its_folder_or_its_json(folder: Path, place: str) -> None:
    given: str | Path = {"text": str(folder), "json": folder / "student.json"}.get(place, folder)
    assert isinstance(load_student(given), Student)


def test_the_weights_are_the_students_alone(folder: Path, trained: Trained) -> None:
    student = load_student(folder)
    own = {f"network.{name}" for name in trained.network.state_dict()}
    assert set(student.state_dict()) == own
    assert {file.name for file in folder.iterdir()} == {"student.json", "student.safetensors"}


def test_the_json_says_all_that_is_known(folder: Path, trained: Trained, digits: Dataset) -> None:
    facts = strict_json((folder / "student.json").read_text())
    run = trained.finalist.shipped
    assert run is not None
    assert run.test is not None
    size = measure(trained.network)
    assert facts == {
        "format": 3,
        "model": {"family": "convnet", "width": 0.5, "depth": 2, "adopts": None},
        "inputs": [
            {
                "name": "image",
                "kind": "image",
                "shape": [1, 8, 8],
                "mean": list(digits.scales["image"].mean),
                "std": list(digits.scales["image"].std),
            }
        ],
        "tasks": [
            {
                "name": "label",
                "kind": "class",
                "names": [str(digit) for digit in range(10)],
                "mean": 0.0,
                "std": 1.0,
            }
        ],
        "sha256": checksum(trained.weights),
        "trial": 7,
        "method": run.task.method.model_dump(mode="json"),
        "taught_by": run.task.teacher,
        "training": run.task.training.model_dump(mode="json"),
        "seed": run.task.seed,
        "parameters": sum(value.numel() for value in trained.network.parameters()),
        "macs": size.macs,
        "bytes": size.bytes,
        "stored": "float32",
        "validation_scores": {name: run.epochs[-1][name] for name in ("accuracy", "nll", "ece")},
        "test_scores": run.test,
        "test_scores_over_seeds": {
            name: {"mean": score, "ci95": None, "seeds": 1} for name, score in run.test.items()
        },
        "gain_over_undistilled": {
            "objective": "accuracy",
            "mean": pytest.approx(run.test["accuracy"] - 0.2),
            "ci95": None,
            "trainings": 1,
        },
        "data": {"name": "digits", "fingerprint": digits.fingerprint},
    }
    assert load_student(folder).facts == facts


def test_a_finalist_without_a_baseline_has_no_gain(
    trained: Trained, digits: Dataset, tmp_path: Path
) -> None:
    alone = Finalist(trained.finalist.trial, trained.finalist.runs, ())
    path = save_student(alone, digits, trained.weights, tmp_path)
    facts = strict_json(path.read_text())
    gain = facts["gain_over_undistilled"]
    assert gain["mean"] is gain["ci95"] is None


def test_classes_keep_their_names(trained: Trained, digits: Dataset, tmp_path: Path) -> None:
    names = tuple(f"Zahl „{digit}“" for digit in range(10))
    renamed = replace(digits, problem=Problem.of_classes(names))
    save_student(trained.finalist, renamed, trained.weights, tmp_path)
    assert set(load_student(tmp_path).predict(digits.test.images)) <= set(names)


def test_a_student_can_be_shipped_again(folder: Path, trained: Trained, digits: Dataset) -> None:
    (folder / "student.safetensors").write_bytes(b"torn")
    save_student(trained.finalist, digits, trained.weights, folder)
    assert load_student(folder).classes == digits.classes


@pytest.mark.parametrize("fault", ["flipped", "gone"])
def test_damaged_weights_are_not_shipped(
    trained: Trained, digits: Dataset, tmp_path: Path, fault: str
) -> None:
    weights = tmp_path / "0.safetensors"
    for name in ("0.safetensors", "0.safetensors.sha256"):
        shutil.copy(trained.weights.with_name(name), tmp_path / name)
    if fault == "gone":
        weights.unlink()
    else:
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    with pytest.raises(RunError) as caught:
        save_student(trained.finalist, digits, weights, tmp_path / "shipped")
    assert str(weights) in str(caught.value)
    assert 'remove the lines with "number":0 from the study\'s finalists.jsonl' in str(caught.value)
    assert not (tmp_path / "shipped").exists()


def refusal(path: Path) -> str:
    """What is said of files that cannot be used, which must be one sentence."""
    with pytest.raises(CheckpointError) as caught:
        load_student(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "no student can be read from" in refusal(tmp_path / "absent")


def test_a_folder_without_a_student(tmp_path: Path) -> None:
    assert "give a folder that holds student.json and student.safetensors" in refusal(tmp_path)


@pytest.mark.parametrize("file", ["student.json", "student.safetensors"])
def test_half_of_a_student(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert file in refusal(folder)


@pytest.mark.parametrize("kept", [0, 20, 300])
def test_a_torn_json(folder: Path, kept: int) -> None:
    path = folder / "student.json"
    path.write_bytes(path.read_bytes()[:kept])
    assert "no student can be read from" in refusal(folder)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_torn_weights(folder: Path, kept: float) -> None:
    path = folder / "student.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "is not the file that" in refusal(folder)


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "student.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize("content", [[], None, 3, "text", {}])
def test_a_json_of_something_else(folder: Path, content: Any) -> None:
    edit(folder, lambda _: content)
    assert "no student can be read from" in refusal(folder)


@pytest.mark.parametrize("key", ["format", "model", "inputs", "tasks", "sha256"])
@pytest.mark.parametrize("fault", ["absent", "wrong"])
def test_a_json_that_lacks_or_spoils_what_rebuilds_the_network(
    folder: Path, key: str, fault: str
) -> None:
    def spoil(facts: dict[str, Any]) -> dict[str, Any]:
        del facts[key]
        return facts if fault == "absent" else facts | {key: {"a": "b"}}

    edit(folder, spoil)
    assert "no student can be read from" in refusal(folder)


def test_a_student_of_a_later_kdsearch(folder: Path) -> None:
    edit(folder, lambda facts: facts | {"format": 4})
    assert "format 4" in refusal(folder)


def test_weights_of_another_width(folder: Path) -> None:
    edit(folder, lambda facts: facts | {"model": {"family": "convnet", "width": 1.0, "depth": 2}})
    with pytest.raises(CheckpointError, match="another architecture than the student"):
        load_student(folder)


def test_a_family_that_is_not_installed_here(folder: Path) -> None:
    edit(folder, lambda facts: facts | {"model": {"family": "convnett"}})
    with pytest.raises(ModelError, match="convnett"):
        load_student(folder)


def test_a_student_is_exported_for_any_number_of_samples(folder: Path) -> None:
    student = load_student(folder)
    images = torch.rand(2, 1, 8, 8)
    batch = torch.export.Dim("batch")
    program = torch.export.export(student, (images,), dynamic_shapes=(({0: batch},),)).module()
    for count in (2, 5, 9):
        more = torch.rand(count, 1, 8, 8)
        torch.testing.assert_close(program(more), student(more))


@pytest.mark.parametrize(
    ("key", "value"),
    [("shape", []), ("std", [0.0]), ("mean", [float("nan")]), ("shape", [1, 0, 8])],
)
def test_inputs_that_cannot_be(folder: Path, key: str, value: Any) -> None:
    def spoil(facts: dict[str, Any]) -> dict[str, Any]:
        facts["inputs"][0][key] = value
        return facts

    edit(folder, spoil)
    assert "no student can be read from" in refusal(folder)
