"""Parameters and multiply-accumulates of the families against hand counts and published figures."""

from __future__ import annotations

import pytest

from kdsearch.models import Size, measure_config, of_images
from kdsearch.spec.concrete import ModelConfig


def size(family: str, width: float, depth: int | None, shape: tuple, classes: int) -> Size:
    return measure_config(
        ModelConfig(family=family, width=width, depth=depth), of_images(shape), classes
    )


def conv(inputs: int, outputs: int, kernel: int, groups: int = 1) -> int:
    return inputs // groups * outputs * kernel**2


def conv_bn(inputs: int, outputs: int, kernel: int, groups: int = 1) -> int:
    return conv(inputs, outputs, kernel, groups) + 2 * outputs


def linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


@pytest.mark.parametrize(
    ("family", "width", "depth", "millions"),
    [
        # CIFAR-100, as papers on distillation state them
        ("resnet", 1, 20, 0.28),
        ("resnet", 1, 56, 0.86),
        ("resnet", 1, 110, 1.74),
        ("resnet", 4, 8, 1.23),
        ("resnet", 4, 32, 7.43),
        ("wide_resnet", 2, 40, 2.26),
        ("wide_resnet", 2, 16, 0.70),
        ("wide_resnet", 1, 40, 0.57),
        ("vgg", 1, 13, 9.46),
        ("mobilenet_v2", 0.5, None, 0.81),
        ("shufflenet_v2", 1, None, 1.36),
        ("shufflenet_v1", 1, None, 0.95),
        ("bottleneck_resnet", 1, 50, 23.71),
    ],
)
def test_published_parameter_counts(
    family: str, width: float, depth: int | None, millions: float
) -> None:
    assert round(size(family, width, depth, (3, 32, 32), 100).parameters / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("width", "stem", "stages"),
    [(1, 16, (16, 32, 64)), (4, 32, (64, 128, 256)), (0.5, 8, (8, 16, 32))],
)
@pytest.mark.parametrize("depth", [8, 20])
def test_resnet(width: float, stem: int, stages: tuple[int, ...], depth: int) -> None:
    expected = conv_bn(3, stem, 3)
    inputs = stem
    for stage, outputs in enumerate(stages):
        expected += conv_bn(inputs, outputs, 3) + conv_bn(outputs, outputs, 3)
        if stage > 0 or inputs != outputs:
            expected += conv_bn(inputs, outputs, 1)
        expected += (depth - 8) // 6 * 2 * conv_bn(outputs, outputs, 3)
        inputs = outputs
    expected += linear(inputs, 10)
    assert size("resnet", width, depth, (3, 32, 32), 10).parameters == expected


def test_resnet8_multiply_accumulates_on_digits() -> None:
    stem = 64 * conv(1, 16, 3)
    first = 64 * 2 * conv(16, 16, 3)
    second = 16 * (conv(16, 32, 3) + conv(32, 32, 3) + conv(16, 32, 1))
    third = 4 * (conv(32, 64, 3) + conv(64, 64, 3) + conv(32, 64, 1))
    expected = stem + first + second + third + 64 * 10
    assert size("resnet", 1, 8, (1, 8, 8), 10).macs == expected


@pytest.mark.parametrize(("width", "depth"), [(1, 10), (2, 16)])
def test_wide_resnet(width: int, depth: int) -> None:
    expected = conv(3, 16, 3)
    inputs = 16
    for stage, base in enumerate((16, 32, 64)):
        outputs = base * width
        expected += 2 * inputs + conv_bn(inputs, outputs, 3) + conv(outputs, outputs, 3)
        if stage > 0 or inputs != outputs:
            expected += conv(inputs, outputs, 1)
        further = 2 * outputs + conv_bn(outputs, outputs, 3) + conv(outputs, outputs, 3)
        expected += (depth - 10) // 6 * further
        inputs = outputs
    expected += 2 * inputs + linear(inputs, 10)
    assert size("wide_resnet", width, depth, (3, 32, 32), 10).parameters == expected


@pytest.mark.parametrize(
    ("depth", "channels"),
    [
        (8, (64, 128, 256, 512, 512)),
        (11, (64, 128, 256, 256, 512, 512, 512, 512)),
        (16, (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)),
    ],
)
def test_vgg(depth: int, channels: tuple[int, ...]) -> None:
    pairs = zip((3, *channels), channels, strict=False)
    expected = sum(conv_bn(inputs, outputs, 3) for inputs, outputs in pairs) + linear(512, 10)
    assert size("vgg", 1, depth, (3, 32, 32), 10).parameters == expected


def test_vgg8_multiply_accumulates() -> None:
    expected = (
        32**2 * conv(3, 32, 3)
        + 16**2 * conv(32, 64, 3)
        + 8**2 * conv(64, 128, 3)
        + 4**2 * (conv(128, 256, 3) + conv(256, 256, 3))
        + 256 * 10
    )
    assert size("vgg", 0.5, 8, (3, 32, 32), 10).macs == expected


def test_mobilenet_v2() -> None:
    """Table 2 of the paper at width 1; the first bottleneck does not expand."""
    expected = conv_bn(3, 32, 3)
    inputs = 32
    table = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    for expansion, outputs, blocks in table:
        for _ in range(blocks):
            inner = inputs * expansion
            expected += conv_bn(inputs, inner, 1) if expansion > 1 else 0
            expected += conv_bn(inner, inner, 3, groups=inner) + conv_bn(inner, outputs, 1)
            inputs = outputs
    expected += conv_bn(320, 1280, 1) + linear(1280, 10)
    assert size("mobilenet_v2", 1, None, (3, 32, 32), 10).parameters == expected


def test_mobilenet_v2_head_never_narrows() -> None:
    """At width ½ everything else does; the head's share is 160·1280 + 2·1280 + 1281·K."""
    ten, twenty = (size("mobilenet_v2", 0.5, None, (3, 32, 32), k).parameters for k in (10, 20))
    assert twenty - ten == 10 * 1281
    ten, twenty = (size("mobilenet_v2", 2, None, (3, 32, 32), k).parameters for k in (10, 20))
    assert twenty - ten == 10 * 2561


def test_shufflenet_v2() -> None:
    expected = conv_bn(3, 24, 1)
    inputs = 24
    for branch, blocks in ((58, 4), (116, 8), (232, 4)):
        right = conv_bn(branch, branch, 3, groups=branch) + conv_bn(branch, branch, 1)
        left = conv_bn(inputs, inputs, 3, groups=inputs) + conv_bn(inputs, branch, 1)
        expected += left + conv_bn(inputs, branch, 1) + right
        expected += (blocks - 1) * (conv_bn(branch, branch, 1) + right)
        inputs = 2 * branch
    expected += conv_bn(inputs, 1024, 1) + linear(1024, 10)
    assert size("shufflenet_v2", 1, None, (3, 32, 32), 10).parameters == expected


def test_shufflenet_v1_has_the_published_count() -> None:
    """A hundred classes: 949,258 weights in the public implementation; and by hand for ten."""
    assert size("shufflenet_v1", 1, None, (3, 32, 32), 100).parameters == 949_258
    expected = conv_bn(3, 24, 1)
    inputs = 24
    for stage, (outputs, blocks) in enumerate(((240, 4), (480, 8), (960, 4))):
        for block in range(blocks):
            own = outputs if block else outputs - inputs
            inner = own // 4
            expected += conv_bn(inputs, inner, 1, 3 if stage or block else 1)
            expected += conv_bn(inner, inner, 3, inner) + conv_bn(inner, own, 1, 3)
            inputs = outputs
    assert size("shufflenet_v1", 1, None, (3, 32, 32), 10).parameters == expected + linear(960, 10)


def test_bottleneck_resnet50_is_the_imagenet_one_but_for_its_stem() -> None:
    """25,557,032 weights for a thousand classes, 9,408 of them in the 7×7 convolution."""
    expected = 25_557_032 - 9_408 - linear(2048, 1000) + conv(3, 64, 3) + linear(2048, 100)
    assert size("bottleneck_resnet", 1, 50, (3, 32, 32), 100).parameters == expected


def test_convnet_is_counted_in_full() -> None:
    """Two stages of 8 and 16 channels on 8×8 digits: 8×8, then 4×4 maps."""
    measured = size("convnet", 0.5, 2, (1, 8, 8), 10)
    parameters = conv_bn(1, 8, 3) + conv_bn(8, 16, 3) + linear(16, 10)
    running = 2 * (8 + 16)
    assert measured.parameters == parameters == 72 + 16 + 1152 + 32 + 170
    assert measured.macs == 64 * 72 + 16 * 1152 + 160
    assert measured.bytes == 4 * (parameters + running) + 2 * 8  # two int64 step counters


def test_mlp_is_counted_in_full() -> None:
    measured = size("mlp", 0.25, 2, (1, 8, 8), 10)
    assert measured.parameters == linear(64, 32) + linear(32, 32) + linear(32, 10)
    assert measured.macs == 64 * 32 + 32 * 32 + 32 * 10
    assert measured.bytes == 4 * measured.parameters
