"""How the loop uses its hardware: precision, memory format, compilation; the same training."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kdsearch.data import Batch, Dataset, Scale, Split
from kdsearch.errors import RunError
from kdsearch.models import FAMILIES, Network, Signal, Signals, build_network, of_images
from kdsearch.models.weights import save_weights
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training import trainer as loop
from kdsearch.training.hardware import COMPILE_STEPS, Hardware, memory_format
from kdsearch.training.reports import EpochReport
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import finish, through_a_file

CPU = torch.device("cpu")
VIEWING = f"{__name__}:viewing"


class Viewing(nn.Module):
    """A network as in many a tutorial, which counts on the channels being outermost."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 6, 3, padding=1)
        self.classifier = nn.Linear(6 * side * side, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images).relu()
        return self.classifier(maps.view(len(images), -1))


def viewing(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    return Viewing(image_shape[0], image_shape[1], classes)


def colours(side: int, samples: int = 48) -> Dataset:
    """Random coloured images of four classes."""
    generator = torch.Generator().manual_seed(1)

    def split(count: int) -> Split:
        shape = (count, 3, side, side)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return Split.of_classes(images, torch.arange(count) % 4)

    scales = {"image": Scale((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}
    problem = Problem.of_classes("abcd")
    return Dataset("colours", split(samples), split(16), split(16), scales, problem=problem)


def step_losses(trainer: Trainer, steps: int) -> list[float]:
    batches = enumerate(trainer.begin_epoch())
    return [float(trainer.train_step(batch, step)) for step, batch in batches if step < steps]


class Asked(Teacher):
    """A teacher that notes the precision of its answers."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.dtypes: set[torch.dtype] = set()

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        answers = super().observe(batch, wanted)
        given = [answers.logits, answers.embedding, *answers.features]
        self.dtypes |= {value.dtype for value in given if value is not None}
        return answers


@pytest.mark.parametrize(
    ("precision", "computed"),
    [
        ("float32", torch.float32),
        ("auto", torch.float32),  # on a CPU
        ("bfloat16", torch.bfloat16),
    ],
)
def test_the_student_alone_is_computed_in_the_precision(
    digits: Dataset,
    make_task: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    precision: str,
    computed: torch.dtype,
) -> None:
    teacher = Asked(make_teacher().network)
    trainer = Trainer(make_task("kd+fitnet", precision=precision), digits, teacher)
    seen: dict[str, torch.dtype] = {}

    def note_student(_: nn.Module, __: tuple, logits: Tensor) -> None:
        seen["student"] = logits.dtype

    def note_losses(_: nn.Module, given: tuple, parts: dict[str, Tensor]) -> None:
        seen.update({name: part.dtype for name, part in parts.items()})

    trainer.distiller.objective.register_forward_hook(note_losses)
    hook = trainer.student.get_submodule("classifier").register_forward_hook(note_student)
    batch = next(trainer.begin_epoch())
    trainer.train_step(batch, 0)
    hook.remove()
    assert seen.pop("student") == computed
    assert seen.keys() == {"ce", "kd", "fitnet", "loss"}
    assert set(seen.values()) == {torch.float32}
    assert teacher.dtypes == {torch.float32}
    assert {value.dtype for value in trainer.distiller.parameters()} == {torch.float32}
    gradients = [value.grad for value in trainer.distiller.parameters()]
    assert all(grad is not None and grad.dtype == torch.float32 for grad in gradients)
    assert all(torch.isfinite(grad).all() for grad in gradients if grad is not None)


@pytest.mark.parametrize("label", ["none", "kd", "kd+fitnet", "dist+rkd"])
def test_a_training_in_bfloat16_ends_near_the_one_in_float32(
    digits: Dataset,
    make_task: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    label: str,
) -> None:
    def train(precision: str) -> list[EpochReport]:
        task = make_task(label, epochs=4, precision=precision)
        return finish(Trainer(task, digits, make_teacher()))

    half, full = train("bfloat16"), train("float32")
    for one, other in zip(half, full, strict=True):
        assert all(math.isfinite(value) for value in one.as_dict().values())
        assert one.loss == pytest.approx(other.loss, rel=0.03)
        assert one.scores["nll"] == pytest.approx(other.scores["nll"], rel=0.06)
    assert half[-1].loss != full[-1].loss


def channels_innermost(network: Network) -> list[bool]:
    """Of every convolution's weight that tells: whether the channels are innermost in memory."""
    weights = [value for value in network.parameters() if value.ndim == 4]
    telling = [value for value in weights if value.shape[1] > 1 and value.shape[2] > 1]
    return [value.is_contiguous(memory_format=torch.channels_last) for value in telling]


def model_of(family: str) -> ModelConfig:
    own = {"torchvision/resnet18": 0.125, "torchvision/mobilenet_v2": 0.25, VIEWING: 1.0}
    return ModelConfig(family=family, width=own.get(family, 0.5))


def task_of(make_task: Callable[..., Task], family: str, label: str = "none") -> Task:
    task = make_task(label, batch_size=12, epochs=1, augment={"crop": 1, "flip": True})
    return task.model_copy(update={"model": model_of(family)})


@pytest.mark.parametrize(
    ("family", "innermost"),
    [
        *((name, True) for name in FAMILIES if name != "mlp"),
        ("torchvision/resnet18", True),
        ("torchvision/mobilenet_v2", True),
        (VIEWING, False),
    ],
)
def test_channels_are_innermost_where_a_network_is_known_to_allow_it(
    make_task: Callable[..., Task], family: str, innermost: bool
) -> None:
    data = colours(32)
    trainer = Trainer(task_of(make_task, family), data)
    batch = next(trainer.begin_epoch())
    assert batch.inputs["image"].is_contiguous(memory_format=torch.channels_last) == innermost
    trainer.train_step(batch, 0)
    found = channels_innermost(trainer.student)
    assert found == [innermost] * len(found)
    # all of a shufflenet's kernels are 1×1 or of one channel
    assert found or family in ("shufflenet_v1", "shufflenet_v2")
    teacher = Teacher(build_network(model_of(family), data.inputs, 4))
    assert channels_innermost(teacher.network) == found


@pytest.mark.parametrize("family", [*FAMILIES, "torchvision/resnet18", "torchvision/mobilenet_v2"])
def test_the_memory_format_changes_no_signal(family: str) -> None:
    """In double precision, so that nothing but a mistake could."""
    torch.manual_seed(3)
    network = build_network(model_of(family), of_images((3, 32, 32)), 4).double().eval()
    images = torch.randn(5, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        expected = network.observe({"image": images}, set(Signal))
        network.to(memory_format=torch.channels_last)
        found = network.observe(
            {"image": images.contiguous(memory_format=torch.channels_last)}, set(Signal)
        )
    for one, other in zip(tensors_of(found), tensors_of(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def tensors_of(answers: Signals) -> list[Tensor]:
    assert answers.logits is not None
    assert answers.embedding is not None
    maps = (*answers.features, *answers.attention, *answers.preactivation)
    return [answers.logits, answers.embedding, *maps]


@pytest.mark.parametrize("family", ["convnet", "resnet", "torchvision/mobilenet_v2"])
def test_the_memory_format_changes_no_training(
    make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    data, task = colours(32), task_of(make_task, family)
    innermost = Trainer(task, data)
    losses = step_losses(innermost, 2)
    assert all(channels_innermost(innermost.student))
    monkeypatch.setattr(loop, "memory_format", lambda _: torch.contiguous_format)
    outermost = Trainer(task, data)
    expected = step_losses(outermost, 2)
    assert not any(channels_innermost(outermost.student))
    assert losses[0] == pytest.approx(expected[0], rel=1e-5)
    # what rounds otherwise grows with every step
    assert losses[1] == pytest.approx(expected[1], rel=1e-3)


def test_a_network_that_counts_on_its_memory_trains_as_written(
    make_task: Callable[..., Task],
) -> None:
    """It does so as the student of a teacher whose channels are innermost."""
    data = colours(16)
    teacher = Teacher(build_network(model_of("convnet"), data.inputs, 4))
    trainer = Trainer(task_of(make_task, VIEWING, "kd"), data, teacher)
    (report,) = finish(trainer)
    assert math.isfinite(report.loss)
    assert math.isfinite(trainer.score_test()["nll"])


def test_shipped_weights_lie_in_the_common_order(
    make_task: Callable[..., Task], tmp_path: Path
) -> None:
    trainer = Trainer(task_of(make_task, "convnet"), colours(16))
    finish(trainer)
    save_weights(trainer.student, tmp_path / "student.safetensors")
    shipped = load_file(tmp_path / "student.safetensors")
    trained = trainer.student.state_dict()
    assert shipped.keys() == trained.keys()
    assert any(not value.is_contiguous() for value in trained.values())
    for name, value in shipped.items():
        assert value.is_contiguous()
        assert torch.equal(value, trained[name])


@pytest.mark.parametrize(
    ("family", "width", "side"),
    [
        ("resnet18", 0.125, 32),
        ("mobilenet_v2", 0.25, 32),
        ("shufflenet_v2_x1_0", 1.0, 32),
        ("densenet121", 0.3, 32),
        ("regnet_y_400mf", 0.3, 32),
        ("vgg11", 0.1, 32),
        ("efficientnet_b0", 0.25, 32),
        ("squeezenet1_0", 0.25, 32),
        ("googlenet", 0.2, 32),
        ("inception_v3", 0.1, 96),
        ("swin_t", 1.0, 32),
        ("vit_b_16", 1.0, 16),
    ],
)
def test_a_torchvision_model_takes_a_step(
    make_task: Callable[..., Task], family: str, width: float, side: int
) -> None:
    model = {"family": f"torchvision/{family}", "width": width}
    trainer = Trainer(make_task(model=model, batch_size=2), colours(side, samples=4))
    before = {name: value.clone() for name, value in trainer.student.named_parameters()}
    batch = next(trainer.begin_epoch())
    assert batch.inputs["image"].is_contiguous(memory_format=torch.channels_last)
    assert math.isfinite(float(trainer.train_step(batch, 0)))
    after = dict(trainer.student.named_parameters())
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert all(torch.isfinite(value).all() for value in after.values())


def test_what_a_trial_has_follows_the_resources() -> None:
    hardware = Hardware.of(ResourcesSection(loaders=3, compile=False))
    assert hardware == Hardware(CPU, 3, False)
    assert Hardware.of(ResourcesSection()) == Hardware(CPU, 1, None)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_is_to_run_on_a_gpu_is_refused_without_one(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """An estimate is made on what is there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    resources = ResourcesSection(gpus_per_trial=share)
    with pytest.raises(RunError, match=rf"gpus_per_trial is {share:g}, but PyTorch finds no GPU"):
        Hardware.of(resources)
    assert Hardware.here(resources).device == CPU


@pytest.mark.parametrize(("gpus", "limits"), [(0.25, [0.25]), (1.0, [])])
def test_a_share_of_a_gpu_is_a_share_of_its_memory(
    monkeypatch: pytest.MonkeyPatch, gpus: float, limits: list[float]
) -> None:
    found: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", found.append)
    assert Hardware.of(ResourcesSection(gpus_per_trial=gpus)).device.type == "cuda"
    assert found == limits


def test_by_default_nothing_is_compiled_on_a_cpu(digits: Dataset) -> None:
    network = build_network(model_of("convnet"), digits.inputs, 10)
    assert Hardware().compile(network, 10 * COMPILE_STEPS) is None
    assert Hardware(CPU, compiled=False).compile(network, 10 * COMPILE_STEPS) is None
    assert Hardware(CPU, compiled=True).compile(network, 1) is not None


@pytest.mark.parametrize("family", ["torchvision/resnet18", VIEWING])
def test_a_network_that_is_read_by_hooks_trains_uncompiled(
    make_task: Callable[..., Task], family: str
) -> None:
    data, task = colours(32), task_of(make_task, family)
    asked = Trainer(task, data, hardware=Hardware(CPU, compiled=True))
    assert step_losses(asked, 2) == step_losses(Trainer(task, data), 2)


@pytest.mark.slow
def test_a_compiled_training_is_the_same_training(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    """Its losses, its evaluations, its checkpoint, and what goes on from that, compiled or not."""
    task = make_task("kd+fitnet", precision="float32", augment={"crop": 1})
    compiled = Hardware(CPU, compiled=True)

    def trainer(hardware: Hardware) -> Trainer:
        return Trainer(task, digits, make_teacher(), hardware)

    assert step_losses(trainer(compiled), 4) == pytest.approx(
        step_losses(trainer(Hardware()), 4), rel=1e-4
    )
    fast, plain = trainer(compiled), trainer(Hardware())
    first, expected = fast.train_epoch(), plain.train_epoch()
    assert first.loss == pytest.approx(expected.loss, rel=1e-4)
    assert first.scores["nll"] == pytest.approx(expected.scores["nll"], rel=1e-4)
    state = fast.state_dict()
    assert state["distiller"].keys() == plain.state_dict()["distiller"].keys()
    resumed = {"compiled": trainer(compiled), "plain": trainer(Hardware())}
    for each in resumed.values():
        each.load_state_dict(through_a_file(state))
    last = fast.train_epoch()
    for each in resumed.values():
        report = each.train_epoch()
        assert report.loss == pytest.approx(last.loss, rel=1e-4)
        assert report.scores["nll"] == pytest.approx(last.scores["nll"], rel=1e-4)


def test_memory_format_is_what_the_network_says() -> None:
    network = build_network(model_of("convnet"), of_images((3, 8, 8)), 4)
    assert memory_format(network) == torch.channels_last
    network.channels_last = False
    assert memory_format(network) == torch.contiguous_format


NARROW = """
import torch
from kdsearch.models import build_network, of_images
from kdsearch.spec import ModelConfig
from kdsearch.training.hardware import memory_format
torch.set_num_threads(1)
network = build_network(ModelConfig(family="resnet", width=0.25), of_images((1, 8, 8)), 10)
layout = memory_format(network)
network.to(memory_format=layout)
for _ in range(150):
    images = torch.randn(8, 1, 8, 8).contiguous(memory_format=layout)
    network(images).sum().backward()
"""


def test_narrow_strided_convolutions_do_not_crash_the_process() -> None:
    """On a CPU without AVX-512 their backward pass corrupts memory with channels innermost."""
    found = subprocess.run(
        [sys.executable, "-c", NARROW], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(("width", "innermost"), [(0.25, False), (1.0, True)])
def test_channels_are_innermost_where_that_is_safe(width: float, innermost: bool) -> None:
    network = build_network(ModelConfig(family="resnet", width=width), of_images((1, 8, 8)), 10)
    strided = [
        part for part in network.modules() if isinstance(part, nn.Conv2d) and part.stride == (2, 2)
    ]
    assert any(part.kernel_size == (1, 1) for part in strided)
    assert (memory_format(network) == torch.channels_last) == innermost
