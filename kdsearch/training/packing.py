"""A teacher as plain values and NumPy arrays, to be shared between processes."""

from __future__ import annotations

from typing import Any

import torch

from kdsearch.models import build_network
from kdsearch.models.weights import tensors_of
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.teacher import Teacher


def pack_teacher(model: ModelConfig, teacher: Teacher) -> dict[str, Any]:
    """A teacher as plain values and NumPy arrays."""
    network = teacher.network
    return {
        "model": model.model_dump(mode="json"),
        "inputs": dict(network.inputs),
        "classes": network.classes,
        "state": {name: value.cpu().numpy() for name, value in tensors_of(network).items()},
    }


def unpack_teacher(packed: dict[str, Any], device: torch.device) -> Teacher:
    """The teacher of :func:`pack_teacher`, with weights of its own."""
    network = build_network(ModelConfig(**packed["model"]), packed["inputs"], packed["classes"])
    tensors = {name: torch.as_tensor(value.copy()) for name, value in packed["state"].items()}
    whole = network.state_dict()  # with the versions of its modules, which some of them need
    whole.update(tensors)
    network.load_state_dict(whole)
    return Teacher(network, device)
