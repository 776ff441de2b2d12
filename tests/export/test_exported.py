"""``kdsearch export``: files that run without kdsearch, checked on real samples, with a card."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from kdsearch.data import Dataset
from kdsearch.errors import DataError, ModelError, RunError, StudyError, UserError
from kdsearch.export import load_student, shipping
from kdsearch.export.exported import export_student
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.spec.study import StudySpec
from tests.command_line import CallCommand
from tests.export.conftest import Trained


@pytest.fixture
def whole(study: Study, digits: Dataset) -> Study:
    """The study with what its data are."""
    facts = {"fingerprint": digits.fingerprint, "validation": len(digits.validation)}
    study.directory.update(data=facts)
    return study


def right(outputs: np.ndarray, digits: Dataset) -> float:
    """The share of the test that is named rightly."""
    return float((outputs.argmax(axis=1) == digits.test.labels.numpy()).mean())


def test_every_format_answers_as_the_trained_network(
    whole: Study, trained: Trained, digits: Dataset
) -> None:
    formats = ("onnx", "pt2", "safetensors")
    done = export_student(whole.directory.path, 7, formats, int8=True)
    assert done.folder == whole.directory.path / "exported" / "trial-0007"
    expected = load_student(done.folder).eval()
    with torch.no_grad():
        logits = expected(digits.test.images).numpy()
    pixels = digits.test.images.numpy()

    session = onnxruntime.InferenceSession(done.folder / "student.onnx")
    (found,) = session.run(["outputs"], {"image": pixels})
    np.testing.assert_allclose(found, logits, atol=1e-5, rtol=1e-5)
    program = torch.export.load(io.BytesIO((done.folder / "student.pt2").read_bytes())).module()
    with torch.no_grad():
        torch.testing.assert_close(program(digits.test.images), torch.from_numpy(logits))
    (small,) = onnxruntime.InferenceSession(done.folder / "student-int8.onnx").run(
        None, {"image": pixels}
    )
    told = {file.name: file for file in done.files}
    assert told["student.onnx"].scores["accuracy"] == pytest.approx(right(logits, digits))
    assert told["student-int8.onnx"].scores["accuracy"] == pytest.approx(right(small, digits))
    for name, file in told.items():
        assert file.bytes == (done.folder / name).stat().st_size
    assert told["student.onnx"].difference is not None
    assert told["student.onnx"].difference <= 1e-5


def test_the_card_says_what_a_user_must_know(whole: Study, digits: Dataset) -> None:
    done = export_student(whole.directory.path, 7, ("onnx",), int8=True)
    assert {file.name for file in done.folder.iterdir()} == {
        *("README.md", "study.yaml", "student.onnx", "student-int8.onnx")
    }
    card = (done.folder / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["license"] is None
    assert facts["pipeline_tag"] == "image-classification"
    (result,) = facts["model-index"][0]["results"]
    scores = {each["type"]: each["value"] for each in result["metrics"]}
    assert scores["accuracy"] == pytest.approx(done.files[0].scores["accuracy"], abs=1e-6)
    for words in (
        digits.fingerprint,
        "distilled by kd+fitnet, for small",
        "kd.temperature 3",
        "uint8 | [batch, 1, 8, 8]",
        "0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "kdsearch run study.yaml",
        "--trial 7 --format onnx --int8",
        "60.00% ±",
        "+0.1",
    ):
        assert words in body
    assert StudySpec.model_validate(yaml.safe_load((done.folder / "study.yaml").read_text()))


def test_without_a_trial_the_pick_is_exported(
    whole: Study, call_command: CallCommand, tmp_path: Path
) -> None:
    output = tmp_path / "phone"
    done = call_command("export", str(whole.directory.path), "--output", str(output))
    assert done.code == 0, done.err
    assert (output / "student.onnx").exists()
    assert f"in {output}" in done.out
    assert "trial 7: kd+fitnet" in done.out
    assert re.search(r"outputs (within \S+ of|equal to) PyTorch's$", done.out, re.MULTILINE)
    assert max(len(line) for line in done.out.splitlines() if "student.onnx" in line) <= 80
    assert "not ended" not in done.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--trial", "7", "--max-parameters", "9k"), 2, "--trial names the student"),
        (("--max-parameters", "5"), 1, "keeps the limits; the nearest is trial 7"),
        (("--trial", "8"), 2, "trial 8 is no finalist of small; those are 7"),
        (("--format", "tflite"), 2, "onnx"),
    ],
)
def test_what_cannot_be_exported_is_told_in_a_sentence(
    whole: Study, call_command: CallCommand, words: tuple[str, ...], code: int, said: str
) -> None:
    done = call_command("export", str(whole.directory.path), *words)
    assert done.code == code
    assert said in done.err
    assert not (whole.directory.path / "exported").exists()


def test_a_study_that_has_not_ended_exports_what_it_has(
    whole: Study, call_command: CallCommand
) -> None:
    whole.directory.update(state="interrupted")
    done = call_command("export", str(whole.directory.path), "--trial", "7")
    assert done.code == 0
    assert "has not ended (interrupted): this is the best of its 2 trainings so far" in done.out


def test_a_finalist_that_is_not_trained_yet(spec: StudySpec, trained: Trained) -> None:
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    directory.update(state="running")
    with pytest.raises(RunError, match="no finalists yet"):
        export_student(directory.path, 7)
    directory.trials.append(trained.finalist.trial)
    with pytest.raises(RunError, match="trial 7 has no complete training yet"):
        export_student(directory.path, 7)


def test_other_data_are_refused(whole: Study) -> None:
    whole.directory.update(data={"fingerprint": "0" * 64, "validation": 60})
    with pytest.raises(DataError, match="digits is not what it was when the study was made"):
        export_student(whole.directory.path, 7)


def test_data_that_are_gone(whole: Study, tmp_path: Path) -> None:
    resolved = whole.directory.path / "resolved.yaml"
    values = yaml.safe_load(resolved.read_text())
    values["data"] |= {"source": "image_folder", "root": str(tmp_path / "gone")}
    resolved.write_text(yaml.safe_dump(values))
    with pytest.raises(DataError, match=r"cannot be loaded: .*gone") as caught:
        export_student(whole.directory.path, 7)
    assert "\n" not in str(caught.value)


def test_lost_weights(whole: Study) -> None:
    for file in whole.directory.weights.iterdir():
        file.unlink()
    with pytest.raises(RunError, match=r"the weights of finalist training .* are lost"):
        export_student(whole.directory.path, 7)


def test_nothing_is_written_where_one_file_fails(
    whole: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bytes:
        raise ModelError("torch.export cannot trace it")

    monkeypatch.setattr(shipping, "to_pt2", fail)
    with pytest.raises(ModelError, match="cannot trace it"):
        export_student(whole.directory.path, 7, ("onnx", "pt2", "safetensors"))
    assert not (whole.directory.path / "exported").exists()


def test_a_place_that_cannot_be_written_to(whole: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="is not a folder; give another --output"):
        export_student(whole.directory.path, 7, folder=tmp_path / "file" / "in")
    with pytest.raises(UserError, match="there is no study"):
        export_student(tmp_path / "none", 7)


def test_a_second_export_takes_the_place_of_the_first(whole: Study) -> None:
    first = export_student(whole.directory.path, 7)
    (first.folder / "student.onnx").write_bytes(b"torn")
    second = export_student(whole.directory.path, 7)
    assert json.loads(
        onnxruntime.InferenceSession(second.folder / "student.onnx")
        .get_modelmeta()
        .custom_metadata_map["tasks"]
    )[0]["names"] == [str(digit) for digit in range(10)]
