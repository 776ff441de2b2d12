"""MobileNetV2 for small images (Sandler et al. 2018, "Inverted Residuals and Linear
Bottlenecks", table 2)."""

from __future__ import annotations

from torch import Tensor, nn

from kdsearch.models.families.staged import SMALLEST_SIDE, StagedNetwork, conv, usable_strides
from kdsearch.models.family import Family, of_one_image, scaled
from kdsearch.models.network import ImageShape
from kdsearch.spec.concrete import ModelConfig

_STEM = 32
_HEAD = 1280
_GROUPS = (
    # stage, expansion, channels, blocks; each stage but the first starts with stride 2
    (0, 1, 16, 1),
    (0, 6, 24, 2),
    (1, 6, 32, 3),
    (2, 6, 64, 4),
    (2, 6, 96, 3),
    (3, 6, 160, 3),
    (3, 6, 320, 1),
)


class InvertedResidual(nn.Module):
    """Expand by a 1×1, filter by a depthwise 3×3, project by a linear 1×1 convolution.

    Args:
        inputs: Channels of the incoming map.
        outputs: Channels of the outgoing map.
        stride: Stride of the depthwise convolution.
        expansion: Factor between the incoming and the inner channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        expand = conv_bn_relu6(inputs, inner, 1) if expansion > 1 else ()
        self.layers = nn.Sequential(
            *expand,
            *conv_bn_relu6(inner, inner, 3, stride, groups=inner),
            conv(inner, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C', H', W'] from maps [B, C, H, W]."""
        projected = self.layers(maps)
        return maps + projected if self.residual else projected


def conv_bn_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU6."""
    return nn.Sequential(
        conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs), nn.ReLU6()
    )


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """A MobileNetV2 that shrinks images by 16 in place of 32; width 0.5 is the published student.

    As in the paper, a width below 1 leaves the head at 1280 channels.
    """
    stem, *channels = scaled(config, (_STEM, *(group[2] for group in _GROUPS)))
    (head,) = scaled(config, (_HEAD,), least=1)
    strides = usable_strides(image_shape, (2, 2, 2, 2))
    stages: list[list[nn.Module]] = [[] for _ in strides]
    stages[0] += conv_bn_relu6(image_shape[0], stem, 3, strides[0])
    inputs = stem
    for (stage, expansion, _, blocks), outputs in zip(_GROUPS, channels, strict=True):
        for _ in range(blocks):
            stride = 1 if stages[stage] else strides[stage]
            stages[stage].append(InvertedResidual(inputs, outputs, stride, expansion))
            inputs = outputs
    last = conv_bn_relu6(inputs, head, 1)
    return StagedNetwork(image_shape, classes, stages, head, last)


FAMILY = Family(
    name="mobilenet_v2",
    about="MobileNetV2 for small images (Sandler et al. 2018): inverted residuals",
    width="channels of every layer; the head keeps 1280 channels below width 1",
    depth="no depth to choose",
    default_depth=None,
    depths=(),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
