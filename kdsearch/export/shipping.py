"""A finalist as files that run without kdsearch, each checked, with a model card."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from kdsearch.data import Dataset, load_study_data
from kdsearch.errors import DataError, RunError, UserError
from kdsearch.export.student import refuse_lost, save_student
from kdsearch.files import remove_partial, write_atomically
from kdsearch.graphs.int8_file import CALIBRATION, to_int8
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import check_onnx, to_onnx, with_plain_weights
from kdsearch.graphs.program import check_pt2, to_pt2
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import SampleNetwork, calibration_samples, samples_of
from kdsearch.graphs.scores import scores_of, split_outputs
from kdsearch.models import build_network
from kdsearch.models.weights import load_weights
from kdsearch.results.finalists import Finalist, weights_file
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study

CHECKED = 256
"""Samples of the test on which a file is compared with the network in PyTorch."""


@dataclass(frozen=True)
class ShippedFile:
    """A file that was written.

    Attributes:
        name: Its name.
        bytes: Its size.
        difference: The largest difference of its outputs from PyTorch's; ``None`` if not compared.
        scores: Its own scores on the study's test split; empty where they were not measured.
    """

    name: str
    bytes: int
    difference: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Shipment:
    """A finalist whose files are made.

    Attributes:
        study: The study.
        finalist: The finalist.
        data: Its data.
        module: Its shipped training, which takes samples as they are.
        files: What was written.
    """

    study: Study
    finalist: Finalist
    data: Dataset
    module: SampleNetwork
    files: tuple[ShippedFile, ...] = ()


def open_shipment(study: Study, trial: int) -> Shipment:
    """A finalist with its data and its trained network.

    Raises:
        UserError: There is no such finalist, or the data are gone or others.
        RunError: It has no complete training yet, or its weights are lost.
    """
    finalist = _finalist(study, trial)
    run = finalist.shipped
    if run is None:
        raise RunError(
            f"trial {trial} has no complete training yet, since the study has not come to it; "
            "kdsearch run SPEC --resume goes on"
        )
    refuse_lost(run, weights_file(study.directory.weights, run))
    data = study_data(study)
    return Shipment(study, finalist, data, shipped_module(study, run, data))


def shipped_module(study: Study, run: TrialRecord, data: Dataset) -> SampleNetwork:
    """The network of a finalist's training, which takes samples as they are.

    Raises:
        CheckpointError: Its weights cannot be read.
    """
    network = build_network(run.task.model, data.inputs, data.outputs)
    load_weights(network, weights_file(study.directory.weights, run), "the student")
    return SampleNetwork.of(network.eval(), data, study.spec.data).eval()


def study_data(study: Study) -> Dataset:
    """The data set of a study, as it was.

    Raises:
        DataError: It is gone, or another one.
    """
    needs = "a file is checked on real samples of the study's data"
    try:
        data = load_study_data(study.spec)
    except DataError as error:
        raise DataError(f"{needs}, which cannot be loaded: {error}") from error
    known = study.state.get("data", {}).get("fingerprint")
    if known != data.fingerprint:
        raise DataError(
            f"{needs}, and {data.name} is not what it was when the study was made; restore it"
        )
    return data


def write_shipment(
    shipment: Shipment, folder: Path, formats: Collection[str], int8: bool
) -> tuple[ShippedFile, ...]:
    """Make a finalist's files, check them, and write them into a folder.

    Nothing is written where a file cannot be made, or does not answer as the network.

    Args:
        shipment: The finalist.
        folder: Where to write; made if absent.
        formats: ``onnx``, ``pt2`` of torch.export, and ``safetensors`` for kdsearch itself.
        int8: Whether to write a quantized ONNX file too.

    Raises:
        ModelError: The network cannot be such a file.
        RunError: A file answers otherwise than the network, or cannot be quantized.
    """
    contents: dict[str, bytes] = {}
    files = []
    if int8 or "onnx" in formats:
        onnx = to_onnx(shipment.module, metadata_of(shipment.module))
        if "onnx" in formats:
            contents["student.onnx"] = onnx
            files.append(_checked_onnx(shipment, onnx))
        if int8:
            contents["student-int8.onnx"] = quantized = _quantized(shipment, onnx)
            files.append(
                ShippedFile("student-int8.onnx", len(quantized), None, _scores(shipment, quantized))
            )
    if "pt2" in formats:
        contents["student.pt2"] = program = to_pt2(shipment.module)
        difference = check_pt2(program, shipment.module, _samples(shipment))
        files.append(ShippedFile("student.pt2", len(program), difference))
    remove_partial(folder)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    if "safetensors" in formats:
        run = shipment.finalist.shipped
        assert run is not None
        weights = weights_file(shipment.study.directory.weights, run)
        save_student(shipment.finalist, shipment.data, weights, folder)
        files.append(ShippedFile("student.safetensors", weights.stat().st_size))
    return tuple(files)


def _finalist(study: Study, trial: int) -> Finalist:
    finalists = study.finalists()
    for finalist in finalists:
        if finalist.trial.number == trial:
            return finalist
    known = ", ".join(str(finalist.trial.number) for finalist in finalists)
    if not known:
        raise RunError(
            f"{study.spec.study.name} has no finalists yet; kdsearch run SPEC --resume goes on"
        )
    raise UserError(f"trial {trial} is no finalist of {study.spec.study.name}; those are {known}")


def _checked_onnx(shipment: Shipment, content: bytes) -> ShippedFile:
    difference = check_onnx(content, shipment.module, _samples(shipment))
    return ShippedFile("student.onnx", len(content), difference, _scores(shipment, content))


def _quantized(shipment: Shipment, onnx: bytes) -> bytes:
    module = shipment.module
    plain = with_plain_weights(onnx, module, metadata_of(module))
    return to_int8(plain, calibration_samples(shipment.data, module.inputs, CALIBRATION))


def _scores(shipment: Shipment, content: bytes) -> dict[str, float]:
    session = Session(content, torch.get_num_threads())
    test = shipment.data.test
    return scores_of(split_outputs(session, test), test, shipment.data.problem)


def _samples(shipment: Shipment) -> dict[str, np.ndarray]:
    """Samples of the test with which files are checked."""
    return samples_of(shipment.data.test, shipment.module.inputs, CHECKED)
