"""A teacher that travels between processes, with and without state that is no tensor."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch

from kdsearch.models import build_network, of_images
from kdsearch.models.weights import tensors_of
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.packing import pack_teacher, unpack_teacher
from kdsearch.training.teacher import Teacher
from tests.conftest import ROOT

FAMILIES = ["resnet", "tests.models.weights.test_forms:counting"]
PLAIN = "import pickle, sys; pickle.load(sys.stdin.buffer); print('torch' in sys.modules)"


def packed_teacher(family: str) -> tuple[Teacher, dict]:
    """A teacher whose weights and batch statistics no new network has, and the packed one."""
    torch.manual_seed(3)
    config = ModelConfig(family=family, width=1)
    network = build_network(config, of_images((1, 8, 8)), 10)
    network.train()(torch.randn(16, 1, 8, 8))
    teacher = Teacher(network)
    return teacher, pack_teacher(config, teacher)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_teacher_answers_as_before_with_weights_of_its_own(family: str) -> None:
    teacher, packed = packed_teacher(family)
    other = unpack_teacher(pickle.loads(pickle.dumps(packed)), torch.device("cpu"))
    images = torch.randn(5, 1, 8, 8)
    assert torch.equal(other.network(images), teacher.network(images))
    with torch.no_grad():
        for value in tensors_of(other.network).values():
            value.zero_()
    again = unpack_teacher(packed, torch.device("cpu"))
    assert torch.equal(again.network(images), teacher.network(images))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_read_where_neither_torch_nor_the_users_code_is(family: str) -> None:
    _, packed = packed_teacher(family)
    command = [sys.executable, "-I", "-c", PLAIN]
    read = subprocess.run(command, cwd=ROOT, input=pickle.dumps(packed), capture_output=True)
    assert (read.stdout.strip(), read.stderr) == (b"False", b"")


def test_state_that_is_no_tensor_is_what_a_new_network_has() -> None:
    teacher, packed = packed_teacher(FAMILIES[1])
    extra = {k: v for k, v in teacher.network.state_dict().items() if not torch.is_tensor(v)}
    assert list(extra.values()) == [{"seen": 3}]
    assert packed["state"].keys() == teacher.network.state_dict().keys() - extra.keys()
    other = unpack_teacher(packed, torch.device("cpu"))
    assert other.network.state_dict().items() >= extra.items()
