"""What kdsearch knows of a library of networks, and how it is imported late."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from torch import Tensor

from kdsearch.errors import CheckpointError, KdsearchError, ModelError, described
from kdsearch.models.inputs import Inputs
from kdsearch.models.network import Network
from kdsearch.spec.concrete import ModelConfig, Normalisation
from kdsearch.spec.names import suggest

DEFAULT = "default"
"""The tag of the weights that a library takes where none are named."""


@dataclass(frozen=True)
class Trained:
    """What the weights of a library were trained on.

    Attributes:
        normalise: What their images were normalised by.
        image_size: Side in pixels; ``None`` where they take any.
    """

    normalise: Normalisation
    image_size: int | None


@dataclass(frozen=True)
class Library:
    """A library of networks; all of it but the name is imported when it is asked for.

    Attributes:
        prefix: What the families of the spec begin with, such as ``timm/``.
        package: What is imported.
        extra: The extra of kdsearch that installs it; empty where it always is.
        names: Every family that it lists, with the prefix.
        build: The network of a configuration, with random weights.
        tags: Of a family, the tags of its weights; the default is the first.
        trained: Of a family and a tag, what its weights were trained on.
        fetch: Of a family and a tag, the weights by the library's own names; it downloads them
            where they are not in its cache, and raises what it likes where it cannot.
    """

    prefix: str
    package: str
    extra: str
    names: Callable[[], list[str]]
    build: Callable[[ModelConfig, Inputs, int], Network]
    tags: Callable[[str], list[str]]
    trained: Callable[[str, str], Trained]
    fetch: Callable[[str, str], Mapping[str, Tensor]]

    def installed(self) -> bool:
        """Whether it can be imported."""
        return find_spec(self.package) is not None

    def tag(self, family: str, given: str) -> str:
        """A tag of a family's weights by the name in the spec, which may be ``default``.

        Raises:
            CheckpointError: There is none of that name; the message lists those there are.
        """
        known = self.tags(family)
        if not known:
            raise CheckpointError(
                f"{family} has no weights '{given}' to download; give a file of weights, such as "
                "mine.safetensors or ./mine"
            )
        if given == DEFAULT:
            return known[0]
        if given not in known:
            raise CheckpointError(
                f"{family} has no weights '{given}'; {suggest(given, [DEFAULT, *known])}; a file "
                "ends in .pt, .pth, .safetensors, .bin, .ckpt or .tar, or has a path separator"
            )
        return given

    def state(self, family: str, tag: str) -> dict[str, Tensor]:
        """The weights of a tag by the library's names, from its cache or by its download.

        Raises:
            CheckpointError: They can neither be found nor downloaded.
            ModelError: The library is not installed.
        """
        try:
            return dict(self.fetch(family, tag))
        except KdsearchError:  # such as that of a library that is not installed
            raise
        except Exception as error:  # whatever a library, its hub or the network leads to
            raise CheckpointError(
                f"the weights '{tag}' of {family} are not on this machine and cannot be downloaded "
                f"({described(error)}); allow the download, copy the library's cache from another "
                "machine, or give a file"
            ) from error


def imported(package: str, extra: str) -> ModuleType:
    """A library that kdsearch does not need otherwise.

    Raises:
        ModelError: It is not installed; the message gives the command.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ModelError(
            f"networks of {package} need it, and it cannot be imported ({described(error)}); run: "
            f"pip install 'kdsearch[{extra}]'"
        ) from error


@contextmanager
def built_by(family: str, inputs_told: str) -> Iterator[None]:
    """Turn whatever a constructor of a library raises into a sentence.

    Raises:
        ModelError: The library cannot build the network.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{family} cannot be built for {inputs_told} ({described(error)}); choose another "
            "model or image size"
        ) from error


def digest_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values of tensors."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}{values.dtype}".encode())
        digest.update(values.numpy().data if values.numel() else b"")
    return digest.hexdigest()
