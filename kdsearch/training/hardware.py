"""What a training runs on, and how it uses that: memory format, precision, compilation."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from kdsearch.errors import RunError
from kdsearch.models import Network, Trace
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.spec.sections import ResourcesSection

COMPILE_STEPS = 10_000
"""Steps on a GPU from which on students are compiled by default, which takes about a minute."""


@dataclass(frozen=True)
class Hardware:
    """What a training may use.

    Attributes:
        device: Where it runs.
        loaders: Worker processes that read samples where these do not fit on the device.
        compiled: Whether to compile the student; ``None``: on a GPU, where the training is long.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    loaders: int = 1
    compiled: bool | None = None

    @staticmethod
    def on(device: torch.device | str) -> Hardware:
        """A device with everything else as it is by default."""
        return Hardware(torch.device(device))

    @staticmethod
    def of(resources: ResourcesSection) -> Hardware:
        """What a trial has in this process.

        Raises:
            RunError: It is to have a GPU, and there is none that PyTorch can use.
        """
        if resources.gpus_per_trial > 0 and not torch.cuda.is_available():
            raise RunError(
                f"resources.gpus_per_trial is {resources.gpus_per_trial:g}, but PyTorch finds no "
                f"GPU that it can use on {platform.node()}; install a PyTorch built for CUDA and a "
                "driver there, or set resources.gpus_per_trial=0"
            )
        if 0 < resources.gpus_per_trial < 1:  # beyond its share it would take the others' memory
            torch.cuda.set_per_process_memory_fraction(resources.gpus_per_trial)
        return Hardware.here(resources)

    @staticmethod
    def here(resources: ResourcesSection) -> Hardware:
        """The same as far as this process has it, for estimates; without a GPU, the CPU."""
        gpu = resources.gpus_per_trial > 0 and torch.cuda.is_available()
        device = torch.device("cuda" if gpu else "cpu")
        return Hardware(device, resources.loaders, resources.compile)

    def autocast(self, config: TrainingConfig) -> torch.autocast:
        """The context in which a student's forward pass runs.

        ``auto`` means bfloat16 on a GPU that computes in it, else float32. Losses are computed in
        full precision in any case.
        """
        kind = self.device.type
        half = config.precision == "bfloat16"
        if config.precision == "auto":
            half = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=half)

    def compile(self, student: Network, steps: int) -> Callable[..., Trace] | None:
        """The student's forward pass compiled, where that is wanted or saves time.

        It takes prepared inputs (:meth:`~kdsearch.models.Network.prepared`). On a GPU it is
        compiled to CUDA graphs, since all batches have one shape. Compiling happens at the first
        call; in evaluations the student runs as it is.

        A :class:`~kdsearch.models.taps.tapped.TappedNetwork` is never compiled: its signals are
        read by hooks that live for one forward pass, which the compiler does not see.

        Args:
            student: The network.
            steps: Steps of the training.
        """
        on_gpu = self.device.type == "cuda"
        wanted = on_gpu and steps >= COMPILE_STEPS if self.compiled is None else self.compiled
        if not wanted or any(isinstance(part, TappedNetwork) for part in student.modules()):
            return None
        return torch.compile(student.trace, mode="reduce-overhead" if on_gpu else "default")


def memory_format(network: Network) -> torch.memory_format:
    """The layout of maps and weights in which a network is fast.

    Convolutions run faster with the channels innermost, on the CPU and on tensor cores. A module of
    the user's may well count on the other order, and keeps it.
    """
    if network.channels_last and not any(_corrupts_memory(part) for part in network.modules()):
        return torch.channels_last
    return torch.contiguous_format


def _corrupts_memory(layer: nn.Module) -> bool:
    """Whether a layer must not see its channels innermost.

    On a CPU without AVX-512, the backward pass of PyTorch 2.15 (oneDNN 3.13) writes beyond the
    memory of a strided 1×1 convolution of fewer than 8 channels, and the process crashes.
    """
    return (
        isinstance(layer, nn.Conv2d)
        and layer.in_channels < 8
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
    )
