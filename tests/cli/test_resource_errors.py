"""A checkpoint or an MLflow store that cannot be used: told before anything is written."""

from __future__ import annotations

import io
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.models import build_network, of_images
from kdsearch.spec import ModelConfig

from .command import Command


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def weights(width: float) -> dict[str, torch.Tensor]:
    return build_network(
        ModelConfig(family="convnet", width=width), of_images((1, 8, 8)), 10
    ).state_dict()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.safetensors", b"words\n", "is not a whole file of weights"),
        ("t.safetensors", b"", "is not a whole file of weights"),
        ("t.pt", b"words\n", "is not a whole file of weights (it is damaged, or holds more"),
        ("t.pt", b"", "is not a whole file of weights"),
        ("t.pt", saved(weights(1))[:-200], "is not a whole file of weights"),
        ("t.pt", saved(torch.nn.Linear(2, 2)), "holds a whole pickled model"),
        ("t.pt", saved([1, 2]), "holds no state dict"),
        ("t.pt", saved({"a": torch.zeros(1)}), "weights of another architecture"),
        ("t.pt", saved(weights(2)), "is [10, 128] in the file and [10, 64] in the model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    kdsearch: Command, folder: Path, name: str, content: bytes, words: str
) -> None:
    (folder / name).write_bytes(content)
    told = kdsearch("run", "spec.yaml", "--set", f"teacher.checkpoint={name}")
    assert told.code == 2
    assert told.sentence.startswith(f"--set teacher.checkpoint={name}: {name} ")
    assert words in told.sentence


@pytest.mark.parametrize(
    ("uri", "code", "words"),
    [
        ("sqlite:///nowhere/mlflow.db", 1, "nowhere, which is no folder; make it first"),
        ("sqlite:///.", 1, "is a folder; name a file in it"),
        ("sqlite://", 1, "keeps nothing; name a file"),
        ("sqlite:///spec.yaml", 1, "file is not a database"),
        ("mlruns", 1, "is a folder of files, which MLflow no longer writes to"),
        ("file:./mlruns", 1, "is a folder of files, which MLflow no longer writes to"),
        ("htp://x", 1, "the MLflow store at htp://x cannot be reached"),
        ("mssql+absent://x", 1, "the MLflow store at mssql+absent://x cannot be reached"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_early(
    kdsearch: Command, uri: str, code: int, words: str
) -> None:
    told = kdsearch("run", "spec.yaml", "--set", f"tracking.uri={uri}")
    assert told.code == code
    assert words in told.sentence
    assert "MLflow store" in told.sentence


def test_a_server_that_is_not_there_is_found_out_within_a_minute(kdsearch: Command) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        uri = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}"
        start = time.monotonic()
        told = kdsearch("run", "spec.yaml", "--set", f"tracking.uri={uri}")
        assert time.monotonic() - start < 60
    assert told.code == 1
    assert "Connection refused" in told.sentence
    assert "start its server, or set tracking.uri" in told.sentence
    assert "secret" not in told.sentence
