"""Where the weights that a network begins with come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from kdsearch.errors import CheckpointError
from kdsearch.files import checksum
from kdsearch.models.libraries.catalogue import LIBRARIES, library_tag, with_own_view
from kdsearch.models.libraries.library import digest_of
from kdsearch.models.network import Network
from kdsearch.models.weights.forms import read_state
from kdsearch.models.weights.loading import Head, fit_weights
from kdsearch.spec.concrete import InitialWeights, ModelConfig

_BELOW_STUDY = 3
"""Parts of a student's file below its study's folder: ``students/trial-0012/NAME``."""


def known_weights(model: ModelConfig) -> InitialWeights | None:
    """The weights that a model begins with, by their checksum, for any working directory.

    Of a file its checksum, of a library's tag that of the tensors. ``None`` where it begins with
    random weights.

    Raises:
        CheckpointError: The file cannot be read, the library has no such weights, or they cannot
            be downloaded.
    """
    if model.weights is None:
        return None
    file = model.weights.file
    if file is None:
        prefix, tag = _of_library(model)
        return InitialWeights(source=tag, sha256=_digest(prefix, model.family, tag))
    file = file.absolute()
    if file.is_dir():
        raise CheckpointError(
            f"{file} is a folder, and only students[].weights may be that of an earlier study; "
            "give a file, such as the student.safetensors of one of its students"
        )
    try:
        return InitialWeights(source=str(file), sha256=_checksum(file, file.stat().st_mtime_ns))
    except OSError as error:
        raise CheckpointError(
            f"the initial weights {file} cannot be read ({error.strerror}); correct the path, and "
            "put the file on storage that all nodes share"
        ) from error


def moved_weights(wanted: InitialWeights, given: ModelConfig) -> InitialWeights | None:
    """Weights of a checksum, where they are those that a spec gives now; ``None`` where not.

    Args:
        wanted: What a network began with, known by its checksum.
        given: A model of the spec, whose weights may be the folder of an earlier study.
    """
    assert given.weights is not None
    study, was = given.weights.study, wanted.file
    if study is not None:
        if wanted.student is None or was is None:
            return None
        file = study.joinpath(*was.parts[-_BELOW_STUDY:])
        given = given.model_copy(update={"weights": InitialWeights(source=str(file))})
    try:
        known = known_weights(given)
    except CheckpointError:  # gone, as it may be once the study is done
        return None
    if known is None or known.sha256 != wanted.sha256:
        return None
    return wanted.model_copy(update={"source": known.source})


def with_known_weights(model: ModelConfig) -> ModelConfig:
    """A model whose initial weights, if any, are known by their checksum, and whose normalisation
    and size are those that a library says of them.

    Raises:
        CheckpointError: As :func:`known_weights`.
    """
    model = with_own_view(model)
    if model.weights is None or model.weights.sha256:
        return model
    return model.model_copy(update={"weights": known_weights(model)})


@dataclass(frozen=True)
class Initial:
    """Weights that a network begins with, read.

    Attributes:
        state: The tensors by the names of their file or library.
        origin: Where they are from, in the words of an error.
    """

    state: dict[str, Tensor]
    origin: str

    def fit(self, network: Network, what: str, other_answers: bool = False) -> list[str]:
        """Give them to a network; a head of other classes is replaced by a fresh one.

        Args:
            network: As :func:`~kdsearch.models.build_network` makes it.
            what: What the weights are for, in the words of the error ("the teacher").
            other_answers: Whether the head is known to be of other classes, be it of as many.

        Returns:
            What was not taken of the weights, in sentences.

        Raises:
            CheckpointError: They fit another architecture.
        """
        head: Head = "other" if other_answers else "fitting"
        return fit_weights(network, self.state, self.origin, what, head)


def read_initial(model: ModelConfig, what: str) -> Initial | None:
    """The weights that a model begins with; ``None`` where it begins with random ones.

    Raises:
        CheckpointError: They cannot be had.
    """
    if model.weights is None:
        return None
    file = model.weights.file
    if file is not None:
        return Initial(read_state(file, what), str(file))
    prefix, tag = _of_library(model)
    return Initial(_state(prefix, model.family, tag), f"'{tag}' of {model.family}")


def load_initial(network: Network, model: ModelConfig, what: str) -> list[str]:
    """Give a network the weights that its configuration begins with, if any.

    A head of other classes is replaced by a fresh one.

    Args:
        network: As :func:`~kdsearch.models.build_network` makes it.
        model: Its configuration.
        what: What the weights are for, in the words of the error ("the teacher").

    Returns:
        What was not taken of the weights, in sentences.

    Raises:
        CheckpointError: They cannot be had, or fit another architecture.
    """
    found = read_initial(model, what)
    return [] if found is None else found.fit(network, what)


def forget_weights() -> None:
    """Free the memory of a library's weights; those that are asked for again are read again."""
    _state.cache_clear()


def _of_library(model: ModelConfig) -> tuple[str, str]:
    """The prefix of a model's library, and the tag of its weights."""
    found = library_tag(model)
    if found is None:
        assert model.weights is not None
        raise CheckpointError(
            f"{model.family} has no weights '{model.weights.source}' to download; give a file of "
            "weights, such as mine.safetensors or ./mine"
        )
    return found[0].prefix, found[1]


@lru_cache(maxsize=1)
def _state(prefix: str, family: str, tag: str) -> dict[str, Tensor]:
    """A library's weights; the last ones are kept until :func:`forget_weights`, since a plan asks
    several times."""
    library = next(each for each in LIBRARIES if each.prefix == prefix)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return library.state(family, tag)


@lru_cache(maxsize=64)
def _digest(prefix: str, family: str, tag: str) -> str:
    return digest_of(_state(prefix, family, tag))


@lru_cache(maxsize=16)
def _checksum(file: Path, changed: int) -> str:
    """Of a file as it was when it was last changed."""
    return checksum(file)
