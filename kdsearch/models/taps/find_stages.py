"""Which of a network's maps are its stages: what the outermost container returns that ends a
resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from kdsearch.models.inputs import ImageShape
from kdsearch.models.taps.calls import SAMPLES, Call
from kdsearch.models.taps.taps import StageTap, Tap

_MOST_STAGES = 4
_NO_STAGES = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)

_Side = tuple[int, int]
"""Height and width of a map."""


@dataclass(frozen=True)
class _Map:
    """A call as one that returned a map.

    Attributes:
        call: The call.
        tap: The same, and how its output is read.
        channels: Channels of the map.
        side: Its height and width.
    """

    call: Call
    tap: Tap
    channels: int
    side: _Side

    @property
    def area(self) -> int:
        """Pixels of the map."""
        return self.side[0] * self.side[1]


def find_stages(root: Call, before: int, image_shape: ImageShape | None) -> tuple[StageTap, ...]:
    """The stages of a network, at most the four deepest, from a dry run.

    Calls are looked at from the outside inwards: the inside of a container counts only where it
    holds a resolution that nothing outside has shown, or where the container shrinks the map behind
    its blocks. So a block's own convolutions before its stride are no stage. Of each resolution
    above 1×1 the last map is taken. A widening 1×1 convolution behind the last block belongs to
    the head. Outputs larger than an earlier one (pooling to a fixed size) are no stage maps, and
    neither are dropout's, images as they came in, or the patch embedding of a transformer over
    tokens.

    Args:
        root: The call of the network.
        before: The end of the classifier's call; what ends later is passed over.
        image_shape: (channels, height, width) of the images; without any there are no stages.
    """
    if image_shape is None:
        return ()
    search = _Search(before, image_shape)
    search.visit(root.calls)
    stages = [_without_head(maps) if last else maps for maps, last in search.by_depth()]
    taps = tuple(_stage_tap(maps) for maps in stages)[-_MOST_STAGES:]
    calls = [call for call in root.within() if call.end < before]
    return () if _is_patch_embedding(stages, calls) else taps


class _Search:
    def __init__(self, before: int, image_shape: ImageShape) -> None:
        self._before = before
        self._image_shape = image_shape
        self._found: dict[_Side, list[_Map]] = {}

    def by_depth(self) -> Iterator[tuple[list[_Map], bool]]:
        """The maps of each resolution, and whether it is the deepest one."""
        for number, maps in enumerate(self._found.values(), start=1):
            yield maps, number == len(self._found)

    def visit(self, calls: Sequence[Call]) -> None:
        """Look at calls that follow each other."""
        for call in calls:
            own = self._map(call)
            if self._hides_stages(call, own):
                self.visit(call.calls)
                own = self._map(call)
            if own is not None and own.area > 1 and not self._is_known(own):
                self._found.setdefault(own.side, []).append(own)

    def _hides_stages(self, call: Call, own: _Map | None) -> bool:
        if not call.calls:
            return False
        if own is not None and _shrinks_last(call, own):
            return True
        inner = [self._map(each) for each in call.within()]
        least = 1 if own is None else own.area
        return any(
            maps is not None and maps.area > least and maps.side not in self._found
            for maps in inner
        )

    def _map(self, call: Call) -> _Map | None:
        """A call's output as the map [B, C, H, W], or [B, H, W, C], that it may be."""
        maps = len(call.output) == 4 and call.output[0] == SAMPLES
        images = call.output[1:] == tuple(self._image_shape)
        if not maps or images or call.end >= self._before or isinstance(call.module, _NO_STAGES):
            return None
        _, first, second, third = call.output
        last = replace(call.tap, channels_last=True)
        for tap, channels, side in (
            (call.tap, first, (second, third)),
            (last, third, (first, second)),
        ):
            area = side[0] * side[1]
            shrinks = all(area <= height * width for height, width in self._found)
            if shrinks and _keeps_aspect(side, self._image_shape):
                return _Map(call, tap, channels, side)
        return None

    def _is_known(self, own: _Map) -> bool:
        """Whether this very tensor was seen as the output of a call inside this one."""
        return any(maps.call.source == own.call.source for maps in self._found.get(own.side, ()))


def _shrinks_last(call: Call, own: _Map) -> bool:
    """Whether a container shrinks the map behind blocks that have kept its shape."""
    if len(call.given) != 4 or call.given == call.output:
        return False
    given = call.given[1:3] if own.tap.channels_last else call.given[2:]
    if given[0] * given[1] <= own.area:
        return False
    return any(each.calls and each.output == call.given and _weighs(each) for each in call.calls)


def _weighs(call: Call) -> bool:
    """Whether a module multiplies by more than a scale a channel."""
    return any(weight.ndim > 1 for weight in call.module.parameters())


def _without_head(maps: list[_Map]) -> list[_Map]:
    """The maps of the deepest resolution before a widening 1×1 convolution that follows blocks."""
    last = len(maps) - 1
    while last > 0 and not _weighs(maps[last].call):
        last -= 1
    if last < 1:
        return maps
    convolution = _only_convolution(maps[last].call.module)
    if convolution is None or convolution.kernel_size != (1, 1):
        return maps
    blocks = next((each for each in reversed(maps[:last]) if _weighs(each.call)), None)
    widens = convolution.out_channels > convolution.in_channels
    separable = blocks is not None and _is_depthwise(blocks.call.module)
    return maps[:last] if widens and blocks is not None and not separable else maps


def _only_convolution(module: nn.Module) -> nn.Conv2d | None:
    """The convolution that a module is, or has directly under it and nothing else that weighs."""
    weighing = [weight for weight in module.parameters() if weight.ndim > 1]
    layers = [each for each in (module, *module.children()) if isinstance(each, nn.Conv2d)]
    return layers[0] if len(weighing) == len(layers) == 1 else None


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups > 1


def _stage_tap(maps: Sequence[_Map]) -> StageTap:
    last = maps[-1]
    parent = last.tap.module.rpartition(".")[0]
    earlier = [
        each
        for each in maps[:-1]
        if last.call.calls
        and type(each.call.module) is type(last.call.module)
        and each.call.output == last.call.output
        and each.tap.module.rpartition(".")[0] == parent
    ]
    if last.call.closing is None:
        return StageTap(last.tap, tuple(each.tap for each in earlier))
    alike = [call for each in (*earlier, last) for call in (*each.call.within(), each.call)]
    names = [c.closing for c in alike if c.closing is not None and c.output == last.call.output]
    return StageTap(last.tap, tuple(each.tap for each in earlier), tuple(dict.fromkeys(names)))


def _is_patch_embedding(stages: Sequence[Sequence[_Map]], calls: Sequence[Call]) -> bool:
    """Whether the one map is what a transformer cuts into tokens [B, N, D]: input, not a stage."""
    if len(stages) != 1:
        return False
    end = stages[0][-1].call.end
    return any(len(call.output) == 3 and call.end > end for call in calls)


def _keeps_aspect(side: _Side, image_shape: ImageShape) -> bool:
    """Whether a map's sides are in the image's proportion; tells maps from other layouts."""
    _, full_height, full_width = image_shape
    height, width = side
    if full_height == full_width:
        return height == width
    ratio = (height * full_width) / (width * full_height)
    return 0.75 <= ratio <= 4 / 3
