"""From a model's configuration to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import torch

from kdsearch.errors import ModelError
from kdsearch.models.adopted import AdoptedClassifier
from kdsearch.models.families import (
    bottleneck_resnet,
    convnet,
    mlp,
    mobilenet_v2,
    resnet,
    shufflenet_v1,
    shufflenet_v2,
    vgg,
    wide_resnet,
)
from kdsearch.models.family import Family
from kdsearch.models.inputs import Inputs, chosen
from kdsearch.models.libraries.catalogue import LIBRARIES, library_of, with_own_view
from kdsearch.models.network import Network
from kdsearch.models.other_classes import OtherClasses
from kdsearch.models.preparation import preparation_of
from kdsearch.models.user_models import GROUP, build_own, is_own
from kdsearch.plugins import installed
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.names import suggest
from kdsearch.ways import make_ways, reshape

_Builder: TypeAlias = Callable[[ModelConfig, Inputs, int], Network]

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        part.FAMILY.name: part.FAMILY
        for part in (
            resnet,
            bottleneck_resnet,
            wide_resnet,
            vgg,
            mobilenet_v2,
            shufflenet_v1,
            shufflenet_v2,
            convnet,
            mlp,
        )
    }
)
"""kdsearch's own families by name, all in the form for small images such as CIFAR's: they
shrink a map only where it stays at least 2×2. For large images take a network of a library."""


def build_network(config: ModelConfig, inputs: Inputs, outputs: int) -> Network:
    """The network that a configuration describes, with random weights from torch's generator.

    Args:
        config: A family of :data:`FAMILIES`, a network of a library
            (:data:`~kdsearch.models.libraries.catalogue.LIBRARIES`), or ``module:function``, with
            its width and depth, and its own normalisation and size of images; with ``adopts``, an
            :class:`~kdsearch.models.adopted.AdoptedClassifier` around it, the backbone having
            the very weights that it would have alone. With ``ways``, its layers are changed.
        inputs: The inputs of the data by name; the network takes those that ``config`` names, or
            all.
        outputs: Columns of its output: of one class a sample, the number of classes.

    Raises:
        ModelError: Unknown family, a depth or width that it cannot have, inputs that it does
            not take, a classifier that cannot be adopted, or a way that makes nothing of it.
    """
    if config.adopts is not None and config.adopts.adopts is not None:
        raise ModelError(
            f"{config.family} cannot adopt the classifier of a network that itself adopts one; "
            "remove the inner adopts"
        )
    config = with_own_view(config)
    other = OtherClasses.of(config)
    taken = chosen(inputs, config.inputs)
    found = preparation_of(config, taken)
    own = taken if found is None else {**taken, found[0]: found[1].taken}
    # without a head there is one of one output, so that everything before it is found as ever
    columns = outputs if config.outputs is None else config.outputs or 1
    network = _build(config, own, columns)
    network.family, network.other_classes = config.family, other
    if config.adopts is not None:
        network = AdoptedClassifier(network, blueprint(config.adopts, inputs, outputs))
    reshape(network, make_ways(config.ways))
    network.stored, network.config, network.inputs = config.stored, config, taken
    if found is not None:
        network.prepared_input, network.preparation = found
    return network


def _build(config: ModelConfig, inputs: Inputs, outputs: int) -> Network:
    dimensions = {"image": 3, "numbers": 1}
    for name, each in inputs.items():
        if len(each.shape) != dimensions[each.kind] or min(each.shape) < 1:
            raise ModelError(
                f"no network for the {each.kind} '{name}' of shape {each.shape}; give (channels, "
                "height, width) of an image, or how many numbers, each at least 1"
            )
    if outputs < 1:
        raise ModelError(f"no network of {outputs} outputs; give at least 1")
    network = _builder(config.family)(config, inputs, outputs)
    network.inputs = dict(inputs)  # by the names that the data give them
    return network


def _builder(family: str) -> _Builder:
    """What builds a family; installed packages are searched only for a name unknown otherwise.

    Raises:
        ModelError: There is no such family.
    """
    if family in FAMILIES:
        return _build_family
    library = library_of(family)
    if library is not None:
        return library.build
    if is_own(family):
        return build_own
    raise ModelError(f"unknown model family '{family}'; {_hint(family)}")


def _build_family(config: ModelConfig, inputs: Inputs, outputs: int) -> Network:
    family = FAMILIES[config.family]
    family.check(config, inputs)
    return family.build(config, inputs, outputs)


def _hint(wrong: str) -> str:
    for library in LIBRARIES:
        if library.installed() and library.prefix + wrong in library.names():
            return f"did you mean '{library.prefix}{wrong}'?"
    return suggest(wrong, [*FAMILIES, *installed(GROUP)])


def blueprint(config: ModelConfig, inputs: Inputs, outputs: int) -> Network:
    """The network of a configuration without memory for its weights, for shapes and sizes.

    A ``module:function`` network is built on the processor instead, since the user's code may
    load weights or compute with them; torch's random generator is left as it was.

    Raises:
        ModelError: As :func:`build_network`.
    """
    device = "cpu" if _builder(config.family) is build_own else "meta"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        return build_network(config, inputs, outputs)
