"""ONNX files of a study's finalists, run by onnxruntime without kdsearch's own code."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.export import onnx_students
from kdsearch.export.onnx_students import write_onnx_students
from kdsearch.export.report import write_students
from kdsearch.export.student import load_student
from kdsearch.results.study import Study


def test_each_finalist_has_a_file_that_answers_as_the_student_does(
    study: Study, digits: Dataset
) -> None:
    write_students(study, digits)
    assert list(write_onnx_students(study, digits)) == []
    (folder,) = study.directory.students.iterdir()
    session = onnxruntime.InferenceSession(folder / "student.onnx")
    example = load_file(folder / "example.safetensors")
    assert example["image"].dtype == np.uint8
    assert example["image"].shape == (2, 1, 8, 8)
    (found,) = session.run(None, example)
    with torch.no_grad():
        expected = load_student(folder)(torch.from_numpy(example["image"])).numpy()
    assert np.abs(found - expected).max() < 1e-5
    assert (np.argmax(found, axis=1) == np.argmax(expected, axis=1)).all()


def test_a_network_that_cannot_be_onnx_is_told_and_leaves_no_file_of_another(
    study: Study, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_students(study, digits)
    (folder,) = study.directory.students.iterdir()
    (folder / "student.onnx").write_bytes(b"of an earlier training")

    def fails(*_: object) -> bytes:
        raise ModelError("convnet cannot be written as ONNX (made up); ship it as pt2")

    monkeypatch.setattr(onnx_students, "to_onnx", fails)
    (warning,) = write_onnx_students(study, digits)
    assert warning.startswith("trial 7 is not written as ONNX: convnet cannot be")
    assert {file.name for file in folder.iterdir()} == {"student.json", "student.safetensors"}
