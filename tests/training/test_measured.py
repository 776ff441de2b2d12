"""Sizes that only a trained network tells."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import build_network
from kdsearch.models.weights import save_weights
from kdsearch.results.objectives import Objectives
from kdsearch.results.tables import describe_trial
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.training.measured import measured_sizes
from tests.records import trial

MODEL = {"family": "convnet", "width": 0.5, "depth": 2}


@pytest.mark.parametrize("stored", ["float32", "float16"])
def test_compressed_bytes_are_those_of_an_archive(
    digits: Dataset, tmp_path: Path, stored: str
) -> None:
    torch.manual_seed(1)
    network = build_network(ModelConfig(**MODEL, stored=stored), digits.inputs, 10)
    found = measured_sizes(network, ["compressed_bytes"])["compressed_bytes"]
    save_weights(network, tmp_path / "student.safetensors")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.write(tmp_path / "student.safetensors")
        packed = archive.infolist()[0].compress_size
    assert abs(found - packed) <= 16  # the two forms' own headers
    with torch.no_grad():
        network.classifier.weight.zero_()  # type: ignore[union-attr,operator]
    assert measured_sizes(network, ["compressed_bytes"])["compressed_bytes"] < 0.95 * found
    assert measured_sizes(network, []) == {}


def test_the_latest_epoch_tells_it() -> None:
    record = trial(1, 0.9, 1000)
    epochs = tuple(
        {**record.epochs[0], "epoch": epoch, "compressed_bytes": size}
        for epoch, size in ((1, 900.0), (2, 850.0))
    )
    record = record.model_copy(update={"epochs": epochs})
    assert record.size("compressed_bytes") == 850
    assert describe_trial(record)["compressed_bytes"] == 850
    objectives = Objectives(sizes=("compressed_bytes", "parameters"))
    ((loss, packed, parameters),) = objectives.costs([record])
    assert (loss, 10**packed, 10**parameters) == pytest.approx((0.1, 850, 1000))


def test_a_search_says_what_is_measured(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["search.size=[bytes, compressed_bytes]", "search.max_bytes=9e4"])
    assert spec.search.measured == ("compressed_bytes",)
    assert spec.search.limits == {"bytes": 90_000}
    assert parse_spec(spec_text).search.measured == ()
