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
from kdsearch.space.ends import are_own
from kdsearch.space.fitting import Ways
from kdsearch.space.space import Space
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.study import StudySpec
from kdsearch.spec.ways import NO_WAY
from kdsearch.ways import form_at_end, make_ways, parse_ways


def export_warnings(spec: StudySpec, data: Dataset, own_alone: bool = False) -> list[str]:
    """A sentence for each family, and each way, that cannot be exported, tried at the smallest
    student.

    kdsearch's own families and ways are left out together: they all can.

    Args:
        spec: The study.
        data: Its data set.
        own_alone: Try the user's networks and ways alone, not torchvision's, of which many take
            seconds.
    """
    found, space = [], Space(spec)
    for number, section in enumerate(spec.students):
        reason = ""
        for label in (NO_WAY, *(each for each in spec.ways if each != NO_WAY)):
            own = is_own(section.family) or are_own(parse_ways(label))
            if reason or not (own or (section.family not in FAMILIES and not own_alone)):
                continue
            place = ("students", number, "family") if label == NO_WAY else ("ways", label)
            reason = _failure(spec, next(corners(section)), space.way_probes(label)[0], data)
            if reason:
                found.append(
                    f"{spec.place(place)}: {reason}; kdsearch export will refuse its students"
                )
    return found


def _failure(spec: StudySpec, plain: ModelConfig, configs: Ways, data: Dataset) -> str:
    """Why a student with some ways cannot be exported; empty where it can, or is never proposed."""
    with torch.random.fork_rng(devices=[]):
        try:
            model = plain.model_copy(update={"ways": configs})
            network = build_network(model, data.inputs, data.outputs)
        except ModelError:
            return ""
        form_at_end(network, make_ways(configs))
    try:
        to_onnx(SampleNetwork.of(network, data, spec.data), {})
    except ModelError as error:
        return str(error)
    return ""
