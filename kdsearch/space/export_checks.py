"""Which students of a space could not leave it as ONNX files."""

from __future__ import annotations

import torch

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import build_network
from kdsearch.models.registry import FAMILIES
from kdsearch.models.user_models import is_own
from kdsearch.space.compatibility import corners
from kdsearch.spec.study import StudySpec


def export_warnings(spec: StudySpec, data: Dataset, own_alone: bool = False) -> list[str]:
    """A sentence for each family that cannot be exported, tried at its smallest student.

    kdsearch's own families are left out: they all can.

    Args:
        spec: The study.
        data: Its data set.
        own_alone: Try the user's networks alone, not torchvision's, of which many take seconds.
    """
    found = []
    for number, section in enumerate(spec.students):
        if section.family in FAMILIES or (own_alone and not is_own(section.family)):
            continue
        with torch.random.fork_rng(devices=[]):
            network = build_network(next(corners(section)), data.inputs, data.outputs)
        try:
            to_onnx(SampleNetwork.of(network, data, spec.data), {})
        except ModelError as error:
            place = spec.place(("students", number, "family"))
            found.append(f"{place}: {error}; kdsearch export will refuse its students")
    return found
