"""A student behind whose last map stand a projector and its teacher's classifier."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, nn

from kdsearch.errors import ModelError, described
from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.families.staged import Stage, StagedNetwork, conv_bn_relu
from kdsearch.models.network import Network, Trace
from kdsearch.models.pooling import average_pool
from kdsearch.models.signals import Signal
from kdsearch.models.taps.tapped import TappedNetwork

_REDUCTION = 2

BACKBONE = "backbone"
"""What the names of the student's own weights start with."""


class AdoptedClassifier(Network):
    """A student that ends in a classifier of its teacher's dimensions, behind a projector.

    Chen et al. 2022, "Knowledge Distillation with the Reused Teacher Classifier": the projector
    is a 1×1, a plain 3×3 and a 1×1 convolution, each with batch normalisation and ReLU; the inner
    two have half of the teacher's channels. Whoever trains the network copies the teacher's
    weights into the classifier; here it has random ones.

    Where both networks pool their last stage map, the projector works on that map, first
    average-pooled to the teacher's height and width where it is larger. The projected map is then
    the last stage map, and its average the embedding; what a student has between its last stage
    and its pooling is taken out. Elsewhere the projector works on the embedding as a map of one
    pixel, and the stage maps stay the backbone's. On a map of one pixel the 3×3 convolution is a
    1×1 one, since the rest of it would see padding alone.

    The closing ReLU is the paper's: a teacher whose embedding has negative values is met only in
    the others.

    Args:
        backbone: The student; its own classifier is taken out of it.
        teacher: The teacher's architecture; only shapes are read, so it may be on the meta device.

    Attributes:
        backbone: The student without its classifier.
        projector: From the backbone's channels to the teacher's.
        classifier: A linear layer of the teacher's dimensions.

    Raises:
        ModelError: The teacher's logits are no linear layer of its embedding or no classes of the
            data, or the backbone's classifier cannot be told or taken out.
    """

    def __init__(self, backbone: Network, teacher: Network) -> None:
        super().__init__(backbone.inputs, backbone.classes)
        theirs, head = teacher.signal_shapes(), teacher.head
        if theirs.pooled and isinstance(backbone, StagedNetwork):
            backbone.drop_head()
        own = backbone.signal_shapes()
        if not theirs.own_classes:
            raise ModelError(
                "the teacher's outputs are not the classes of the data themselves, so no student "
                "can adopt the layer that gives them; choose another teacher or another method"
            )
        if head is None or (head.in_features, head.out_features) != (
            theirs.embedding,
            theirs.classes,
        ):
            raise ModelError(
                f"{teacher.family or 'the teacher'} has no linear layer from its embedding to its "
                "logits that a student could adopt; choose another teacher or another method"
            )
        self.family = backbone.family
        self.channels_last = backbone.channels_last
        self.pools_last_map = own.pooled and theirs.pooled
        inputs, self._sides = own.embedding, (1, 1)
        if self.pools_last_map:
            (inputs, *sides), (_, *limits) = own.maps[-1], theirs.maps[-1]
            self._sides = min(sides[0], limits[0]), min(sides[1], limits[1])
        _remove_classifier(backbone, own.embedding)
        self.backbone = backbone
        self.projector = _projector(inputs, head.in_features, 1 if self._sides == (1, 1) else 3)
        self.classifier = nn.Linear(head.in_features, head.out_features, head.bias is not None)

    def trace(self, *inputs: Tensor) -> Trace:
        """Everything that a forward pass of the backbone's inputs shows.

        Raises:
            ModelError: One sample is not enough to normalise maps of one pixel in training.
        """
        return self.trace_of(inputs, frozenset(Signal))

    def trace_of(self, inputs: Sequence[Tensor], wanted: Collection[Signal]) -> Trace:
        """A trace of which only the logits and what is wanted are read."""
        read = {Signal.FEATURES if self.pools_last_map else Signal.EMBEDDING, *wanted}
        trace = self.backbone.trace_of(inputs, read)
        features, preactivation = trace.features, trace.preactivation
        maps = trace.embedding[:, :, None, None]
        if self.pools_last_map:
            maps = average_pool(features[-1], *self._sides)
        if self.training and maps.numel() == maps.shape[1]:
            raise ModelError(
                "the projector normalises over the batch and cannot do so with one sample of maps "
                "of 1×1 pixel; raise training.batch_size"
            )
        projected, before = self.projector(maps)
        if self.pools_last_map:
            preactivation = (*(preactivation or features)[:-1], before)
            features = (*features[:-1], projected)
        embedding = projected.mean(dim=(2, 3))
        return Trace(
            self.classifier(embedding),
            embedding,
            features,
            preactivation,
            trace.self_attention,
            trace.mask,
        )


def _projector(inputs: int, outputs: int, kernel: int) -> Stage:
    inner = max(outputs // _REDUCTION, 1)
    return Stage(
        *conv_bn_relu(inputs, inner, 1),
        *conv_bn_relu(inner, inner, kernel),
        *conv_bn_relu(inner, outputs, 1),
    )


def _remove_classifier(network: Network, embedding: int) -> None:
    """Put an identity in the place of a network's classifier, so that no weight is unused."""
    label = network.family or type(network).__name__
    name = _classifier_name(network)
    if not name:
        raise ModelError(
            f"{label} has no linear classifier that a teacher's could replace; choose another "
            "student or another method"
        )
    network.set_submodule(name, nn.Identity())
    try:
        with evaluating(network):
            left = network.trace(*blank_inputs(network, network.inputs, count=2)).embedding
        if left.shape[1] != embedding:
            raise ValueError(f"its embedding becomes {left.shape[1]} values long")
    except Exception as error:
        raise ModelError(
            f"{label} does not work without its classifier {name} ({described(error)}); choose "
            "another student or another method"
        ) from error


def _classifier_name(network: Network) -> str:
    if isinstance(network, TappedNetwork):
        return f"model.{network.taps.classifier.module}"
    head = network.head
    return next((name for name, part in network.named_modules() if part is head), "")
