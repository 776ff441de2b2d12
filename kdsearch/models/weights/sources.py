"""Where the weights that a network begins with come from."""

from __future__ import annotations

from pathlib import Path

from kdsearch.errors import CheckpointError
from kdsearch.spec.concrete import ModelConfig


def source_file(model: ModelConfig) -> Path | None:
    """The file of the weights that a model begins with, for any working directory.

    Whether it is there is not checked. ``None`` where it begins with random weights.

    Raises:
        CheckpointError: No file was named, and the family has no weights to download.
    """
    if model.weights is None:
        return None
    file = model.weights.file
    if file is None:
        raise CheckpointError(
            f"{model.family} has no weights '{model.weights.source}' to download; give a file of "
            "weights, such as mine.safetensors or ./mine"
        )
    return file.absolute()
