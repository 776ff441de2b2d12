"""A training of a few steps, saved and loaded again: what breaks a whole one breaks it too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data import Batch, Dataset, Split, epoch_order
from kdsearch.errors import DivergedError, KdsearchError, ModelError, described
from kdsearch.models import Network, Signal, Signals
from kdsearch.models.dry_run import evaluating
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.checkpoints import load_training, save_training
from kdsearch.training.fine_tuning import phases
from kdsearch.training.hardware import memory_format
from kdsearch.training.initial import initial_student, origin_of
from kdsearch.training.packing import pack_teacher, unpack_teacher
from kdsearch.training.programs import TrainingProgram, begin_training
from kdsearch.training.stages import stages_of
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, Teaching, plain_views

BATCH = 4
"""Most samples of a step: methods compare pairs and triples of a batch."""

EVALUATED = 4
"""Samples of an evaluation."""

_RATE = 1e-3
"""Highest learning rate: whether one is too high is for the search to find out."""


def few_samples(data: Dataset, train: int) -> Dataset:
    """Some samples of a data set, in memory; the test split stays unseen, validation stands in.

    Training samples of each domain, with and without a target, come in turn, as long as there are
    some. What so few have no score of is left out, in place of an error.
    """
    validation = _drawn(data.validation, EVALUATED)
    kinds = [(~data.problem.known(data.train.targets)).long()]
    if data.train.domain is not None:
        domain = data.train.domain.long()
        # by the domain alone at last, so that either has half of any four
        kinds = [2 * domain + kinds[0], domain]
    return replace(
        data,
        train=_drawn(data.train, train, *kinds),
        validation=validation,
        test=validation,
        problem=replace(data.problem, few=True),
    )


def _drawn(split: Split, count: int, *kinds: Tensor) -> Split:
    """Some samples of a split, ordered by turns of their kinds [N], by the last ones at last."""
    order = epoch_order(0, 0, len(split))
    for kind in kinds:
        order = _by_turns(order, kind.cpu()[order])
    return split.read(order[:count])


def _by_turns(order: Tensor, kind: Tensor) -> Tensor:
    """An order [N] in which kinds [N] below 4 take turns while they last; each keeps its own."""
    turn = F.one_hot(kind, 4).cumsum(0)[torch.arange(len(kind)), kind]
    return order[(4 * turn + kind).argsort()]


def short_task(task: Task, workers: int = 1) -> Task:
    """The task cut to one epoch, of each stage, of small batches, none larger than a worker's share
    of its own."""
    training = task.training
    update = {
        "epochs": len(stages_of(task.model.ways, training.epochs)),
        "batch_size": min(BATCH, training.batch_size // workers),
        "lr": min(_RATE, training.lr),
        "warmup_epochs": 0.0,
        "fine_tuning": phases(training)[-1][1].fine_tuning,
    }
    return task.model_copy(update={"training": training.model_copy(update=update)})


def train_briefly(
    task: Task,
    data: Dataset,
    teachers: Mapping[str, Teaching],
    steps: int,
    rungs: Collection[int] = (),
) -> Network:
    """Train a network for a few steps, save and load it, and evaluate it, as a trial does.

    Args:
        task: Of :func:`short_task`.
        data: Of :func:`few_samples`, with enough for so many steps.
        teachers: The study's teachers by name.
        steps: Steps of an epoch.
        rungs: As :func:`~kdsearch.training.programs.begin_training`.

    Returns:
        The trained network.

    Raises:
        KdsearchError: It cannot be trained; the message says why and what to do.
    """
    size = task.training.batch_size
    data = data.of_tasks(task.tasks)
    data = replace(data, train=data.train.take(torch.arange(steps * size)))
    doing = f"training in batches of {size}"
    with _told(doing):
        program, again = (begin_training(task, data, teachers, rungs=rungs) for _ in range(2))
    _check_trainable(program.student)
    with _told(doing, program.student):
        while not program.finished:
            program.train_epoch()
    # of other initial weights, whatever was not saved shows
    other = task.model_copy(update={"seed": task.seed + 1})
    shipped = initial_student(other, data, origin_of(task, teachers))
    _through_files(program, again, shipped)
    shipped.to(memory_format=memory_format(shipped))
    _check_alike(program.student, (again.student, shipped), data)
    return program.student


@contextmanager
def _told(doing: str, network: Network | None = None) -> Iterator[None]:
    """Tell what the user's own code raises, and losses that are not finite, as its own fault."""
    try:
        yield
    except DivergedError:
        raise ModelError(
            f"{doing}, the loss is soon not finite; look for a division by zero, or a logarithm "
            "or root of zero"
        ) from None
    except KdsearchError:
        raise
    except Exception as error:
        raise ModelError(f"{doing} fails with {described(error)}; {_remedy(network)}") from error


def _remedy(network: Network | None) -> str:
    parameters = () if network is None else network.parameters()
    others = {p.dtype for p in parameters if p.is_floating_point()} - {torch.float32}
    if not others:
        return "fix that"
    names = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in others))
    return (
        f"its weights are {names} and inputs are float32, so return it in float32 "
        "(network.float()); training.precision makes its forward pass faster"
    )


def _check_trainable(network: Network) -> None:
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError(
            "none of its weights requires a gradient, so there is nothing to train; unfreeze some "
            "(requires_grad_(True))"
        )


def _through_files(program: TrainingProgram, again: TrainingProgram, shipped: Network) -> None:
    """Load a training's checkpoint into another one, and its weights into a network."""
    with TemporaryDirectory() as name, _kept():
        folder = Path(name)
        save_training(program, folder)
        load_training(again, folder)
        save_weights(program.student, folder / "student.safetensors")
        load_weights(shipped, folder / "student.safetensors", "the student")


@contextmanager
def _kept() -> Iterator[None]:
    """Tell what is raised where a state is saved or loaded as a fault of the state."""
    try:
        yield
    except Exception as error:  # whatever get_extra_state and set_extra_state raise
        raise ModelError(
            f"its state cannot be saved and loaded again ({described(error)}); keep it in buffers "
            "(register_buffer), or let get_extra_state return plain numbers, strings and lists"
        ) from error


def _check_alike(network: Network, others: Collection[Network], data: Dataset) -> None:
    """Refuse a network that gives other outputs once it was saved and loaded.

    One that draws at random in evaluation cannot be compared.
    """
    first, second = answers(network, data), answers(network, data)
    for other in others if _close(first, second) else ():
        if not _close(first, answers(other, data)):
            raise ModelError(
                "it gives other outputs once it is saved and loaded again, so not all that it has "
                "learned is in its state dict; keep it in parameters and buffers (nn.ModuleList, "
                "register_buffer)"
            )


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= 1e-3 * float(one.abs().max())


def answers(network: Network, data: Dataset, contrast: float = 1.0) -> Tensor:
    """Logits [N, K] of the validation samples in eval mode.

    Args:
        network: The network.
        data: The data set.
        contrast: What the normalised inputs are multiplied by.

    Raises:
        ModelError: The network fails, or its outputs are of another shape or not finite.
    """
    views = plain_views(data, "validation", torch.device("cpu"))
    inputs = views.inputs(torch.arange(len(views)), epoch=0)
    with _told("evaluation", network), evaluating(network):
        logits = network(*(each * contrast for each in network.taken(inputs)))
    shape, expected = tuple(logits.shape), (len(views), network.classes)
    if shape != expected:
        raise ModelError(
            f"for {expected[0]} samples it returns {list(shape)}; it must give logits "
            f"{list(expected)}"
        )
    if not torch.isfinite(logits).all():
        raise ModelError(
            "its outputs are not finite; give weights that are, and look for a division by zero"
        )
    return logits


def check_teacher(model: ModelConfig, network: Network, data: Dataset) -> None:
    """Refuse a teacher that gives no logits, or that other processes would not get as it is.

    Args:
        model: Its configuration.
        network: The teacher; it is frozen.
        data: Of :func:`few_samples`.

    Raises:
        ModelError: It gives no outputs, or others once it is handed on.
    """
    with _told("evaluation"):
        teacher = Teacher(network)
    with _kept():
        other = unpack_teacher(pack_teacher(model, teacher), torch.device("cpu"))
    _check_alike(teacher.network, (other.network,), data)


class RememberingTeacher(Teaching):
    """A teacher that is asked about a batch once, whoever wants to know.

    Args:
        teacher: The teacher.
        wanted: All signals that will be wanted.
    """

    def __init__(self, teacher: Teaching, wanted: Collection[Signal]) -> None:
        self.network, self.shapes = teacher.network, teacher.shapes
        self._teacher, self._wanted = teacher, frozenset(wanted)
        self._known: dict[bytes, Signals] = {}

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """All signals that will be wanted, without gradient."""
        key = b"".join(each.contiguous().numpy().tobytes() for each in batch.inputs.values())
        if key not in self._known:
            self._known[key] = self._teacher.observe(batch, self._wanted)
        return self._known[key]
