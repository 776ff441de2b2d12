"""A small transformer over patches, whose sequences, mask and attention over pairs can be read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.models.inputs import ImageShape, of_images
from kdsearch.models.network import Network, Trace

PATCH = 2
"""Height and width of a patch."""

HEADS = 2

_DARK = -0.2
"""Mean of a patch below which it counts as padding."""


class Layer(nn.Module):
    """Self-attention and a perceptron, each behind a normalisation and around a skip.

    Args:
        dimension: D, a multiple of :data:`HEADS`.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(dimension), nn.LayerNorm(dimension)
        self.queries_keys_values = nn.Linear(dimension, 3 * dimension)
        self.merged = nn.Linear(dimension, dimension)
        self.perceptron = nn.Sequential(
            nn.Linear(dimension, 2 * dimension), nn.GELU(), nn.Linear(2 * dimension, dimension)
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, L, D] after the layer, and its attention [B, heads, L, L]."""
        batch, length, dimension = tokens.shape
        parts = self.queries_keys_values(self.before(tokens))
        parts = parts.view(batch, length, 3, HEADS, dimension // HEADS)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(2, 3) / (dimension // HEADS) ** 0.5
        attention = scores.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(dim=3)
        read = (attention @ values).transpose(1, 2).reshape(tokens.shape)
        tokens = tokens + self.merged(read)
        return tokens + self.perceptron(self.between(tokens)), attention


class Transformer(Network):
    """Each patch of an image is a token; dark ones are padding, but for the first.

    Every layer is a stage. The embedding is the mean of the real tokens behind the last layer.

    Args:
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.
        dimension: D of the tokens.
        layers: How many.
    """

    def __init__(self, image_shape: ImageShape, classes: int, dimension: int, layers: int) -> None:
        super().__init__(of_images(image_shape), classes)
        channels, height, width = image_shape
        length = (height // PATCH) * (width // PATCH)
        self.patches = nn.Unfold(PATCH, stride=PATCH)
        self.entry = nn.Linear(channels * PATCH**2, dimension)
        self.places = nn.Parameter(torch.randn(length, dimension) / dimension**0.5)
        self.layers = nn.ModuleList(Layer(dimension) for _ in range(layers))
        self.classifier = nn.Linear(dimension, classes)

    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""
        patches = self.patches(images).transpose(1, 2)
        real = patches.mean(dim=2) > _DARK
        mask = torch.cat([torch.ones_like(real[:, :1]), real[:, 1:]], dim=1)
        tokens = self.entry(patches) + self.places
        stages, attention = [], []
        for layer in self.layers:
            tokens, paid = layer(tokens, mask)
            stages.append(tokens)
            attention.append(paid)
        sums = tokens.masked_fill(~mask[..., None], 0).sum(dim=1)
        embedding = sums / mask.sum(dim=1, keepdim=True)
        return Trace(
            self.classifier(embedding),
            embedding,
            tuple(stages),
            self_attention=tuple(attention),
            mask=mask,
        )


def transformer(image_shape: ImageShape, classes: int, width: float, depth: int = 2) -> Transformer:
    """A transformer of ``depth`` layers and tokens of 16 × ``width`` values, rounded to heads."""
    return Transformer(image_shape, classes, HEADS * max(round(8 * width), 1), depth)
