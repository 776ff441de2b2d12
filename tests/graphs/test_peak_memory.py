"""Memory that a file needs, against what its weights take."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.peak_memory import peak_memory
from tests.graphs.networks import sample_network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def test_a_large_network_needs_its_weights_at_least_and_more_than_a_small_one() -> None:
    small, large = (to_onnx(sample_network("mlp", width=width), {}) for width in (0.5, 16))
    assert len(large) > 10_000_000
    of_small, of_large = peak_memory(small), peak_memory(large)
    assert of_small is not None
    assert of_large is not None
    assert len(large) < of_large < 20 * len(large)
    assert of_small < of_large - len(large)


def test_a_file_that_cannot_be_run_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        peak_memory(b"no model")
