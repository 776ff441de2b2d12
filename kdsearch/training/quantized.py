"""A finalist's training as it is shipped in 8 bits: its scores, run by onnxruntime."""

from __future__ import annotations

from copy import deepcopy

from kdsearch.data import Dataset
from kdsearch.errors import KdsearchError, described
from kdsearch.graphs.int8_file import CALIBRATION, to_int8
from kdsearch.graphs.onnx_file import to_onnx, with_plain_weights
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import SampleNetwork, calibration_samples
from kdsearch.graphs.scores import scores_of, split_outputs
from kdsearch.models import Network
from kdsearch.problems.head import natural
from kdsearch.spec.base import Section
from kdsearch.training.evaluation import Scores
from kdsearch.training.teacher import Reference, SplitName


class Int8(Section):
    """What quantization makes of a training: static, per channel, after it has ended."""

    onnx_bytes: int | None = None
    """Bytes of the float32 ONNX file."""
    bytes: int | None = None
    """Bytes of the quantized ONNX file."""
    validation: dict[str, float] = {}
    """Its scores on validation."""
    test: dict[str, float] = {}
    """Its scores on the test."""
    failure: str | None = None
    """Why there is none, in one line."""


def quantized(network: Network, data: Dataset, reference: Reference | None, threads: int) -> Int8:
    """Quantize a trained student, and score it on validation and test.

    The ranges of its activations are those over samples of the training split, which are the same
    for every student; of the target's, where there are two domains. What cannot be exported or
    quantized costs the training nothing.

    Args:
        network: The student; it stays as it is.
        data: The data set, with the student's tasks.
        reference: The teacher that it is compared with.
        threads: Of onnxruntime.
    """
    try:
        module = SampleNetwork(
            deepcopy(network).cpu().eval(), data.problem.heads, network.inputs, data.scales
        )
        original = to_onnx(module, {})
        plain = with_plain_weights(original, module, {})
        content = to_int8(plain, calibration_samples(data, module.inputs, CALIBRATION))
        session = Session(content, threads)
        scores = {
            split: _scores(session, module, data, split, reference)
            for split in ("validation", "test")
        }
    except Exception as error:  # of torch.onnx, onnxruntime, or a user's own network
        reason = str(error) if isinstance(error, KdsearchError) else described(error)
        return Int8(failure=reason)
    return Int8(onnx_bytes=len(original), bytes=len(content), **scores)


def _scores(
    session: Session,
    module: SampleNetwork,
    data: Dataset,
    name: SplitName,
    reference: Reference | None,
) -> Scores:
    split = data.validation if name == "validation" else data.test
    beside = None
    if reference is not None:
        beside = natural(module.heads, reference.logits(name)).numpy()
    return scores_of(split_outputs(session, split), split, data.problem, beside)
