"""Where in an arbitrary module the stage maps and the embedding are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from kdsearch.errors import ModelError
from kdsearch.models.inputs import Inputs, images_in
from kdsearch.models.taps.calls import SAMPLES, Call, dry_run
from kdsearch.models.taps.find_stages import find_stages
from kdsearch.models.taps.taps import Taps


def find_taps(module: nn.Module, label: str, inputs: Inputs, classes: int) -> Taps:
    """Find the taps by one forward pass of two blank samples in eval mode.

    The classifier is the call of an ``nn.Linear``, or of a 1×1 convolution, with one output a
    class, that returned the logits; failing that, the last such call, and failing that, the last
    childless module that returns [B, K]. The stage maps are those of
    :func:`~kdsearch.models.taps.find_stages.find_stages`, of what ran before the classifier.

    Raises:
        ModelError: The module does not take such inputs, does not return [B, K] logits, returns
            several and they cannot be told apart, or has no classifier that can be told.
    """
    run = dry_run(module, label, inputs, classes)
    last = _classifier(list(run.root.within()), label, classes, run.made)
    classifier = replace(last.tap, channels_last=isinstance(last.module, nn.Linear), path=())
    return Taps(find_stages(run.root, last.end, images_in(inputs)), classifier, run.logits)


def _classifier(calls: Sequence[Call], label: str, classes: int, made: int | None) -> Call:
    for fits in (_is_class_layer, _is_leaf_with_logits):
        found = [call for call in calls if fits(call, classes)]
        if found:
            return next((call for call in found if call.end == made), found[-1])
    raise ModelError(
        f"{label} has no layer that can be told to be its classifier; end it with an nn.Linear of "
        f"{classes} outputs, or return a kdsearch.models.Network"
    )


def _is_class_layer(call: Call, classes: int) -> bool:
    layer = call.module
    if isinstance(layer, nn.Linear):
        return layer.out_features == classes
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.out_channels == classes
    )


def _is_leaf_with_logits(call: Call, classes: int) -> bool:
    childless = next(call.module.children(), None) is None
    return bool(call.tap.module) and childless and call.output == (SAMPLES, classes)
