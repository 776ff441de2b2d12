"""The finalists as ONNX files beside their weights, for whoever runs them without kdsearch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safetensors.numpy import save

from kdsearch.data import Dataset
from kdsearch.errors import KdsearchError
from kdsearch.export.report import write_students
from kdsearch.export.shipping import shipped_module, study_data
from kdsearch.files import write_atomically
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.samples import samples_of
from kdsearch.results.finalists import Finalist
from kdsearch.results.study import Study

NAME, EXAMPLE = "student.onnx", "example.safetensors"

CHECKED = 64
"""Samples of the validation split on which a file is compared with the network in PyTorch."""

SHOWN = 2
"""Samples of an example."""


def write_missing_students(study: Study) -> Iterator[str]:
    """Write all files of each finalist that has no ``student.onnx``, as the study's end does.

    Such are the finalists of a study of an earlier kdsearch, or whose ``students/`` is gone.

    Yields:
        Why one still has no such file.
    """
    missing = [
        each
        for each in study.finalists()
        if each.shipped and not (study.directory.student(each.trial.number) / NAME).exists()
    ]
    if not missing:
        return
    try:
        data = study_data(study)
    except KdsearchError as error:
        numbers = ", ".join(str(each.trial.number) for each in missing)
        yield f"finalists without {NAME} are not written (trials {numbers}): {error}"
        return
    for each in missing:
        try:
            write_students(study, data, [each])
        except KdsearchError as error:
            yield f"trial {each.trial.number} is not written: {error}"
        else:
            yield from write_onnx_students(study, data, [each])


def write_onnx_students(
    study: Study, data: Dataset, finalists: Sequence[Finalist] | None = None
) -> Iterator[str]:
    """Write ``student.onnx``, and an example of its inputs, into each finalist's folder.

    The finalists' weights must be there (:func:`kdsearch.export.report.write_students`).

    Args:
        study: The study.
        data: Its data.
        finalists: Which of its finalists; absent: all.

    Yields:
        Why a finalist has no such file: the study is good without.
    """
    for finalist in study.finalists() if finalists is None else finalists:
        folder = study.directory.student(finalist.trial.number)
        if finalist.shipped is None:
            continue
        try:
            content, example = _file(study, finalist, data)
        except KdsearchError as error:
            for name in (NAME, EXAMPLE):  # of an earlier training
                (folder / name).unlink(missing_ok=True)
            yield f"trial {finalist.trial.number} is not written as ONNX: {error}"
            continue
        write_atomically(folder / EXAMPLE, example)
        write_atomically(folder / NAME, content)


def _file(study: Study, finalist: Finalist, data: Dataset) -> tuple[bytes, bytes]:
    """An ONNX file, checked on real samples, and some of these, both as files."""
    run = finalist.shipped
    assert run is not None
    module = shipped_module(study, run, data)
    content = to_onnx(module, metadata_of(module))
    samples = samples_of(data.validation, module.inputs, CHECKED)
    check_onnx(content, module, samples)
    return content, save({name: each[:SHOWN].copy() for name, each in samples.items()})
