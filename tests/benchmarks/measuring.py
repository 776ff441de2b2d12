"""What the benchmarks of speed and memory share: pictures, a study, and medians of ratios."""

from __future__ import annotations

import io
import math
import os
import platform
import statistics
import warnings
import zipfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from PIL import Image

from kdsearch.data import RawData, Views, load_dataset
from kdsearch.models import Signal, build_network
from kdsearch.search.directory import StudyDirectory
from kdsearch.search.events import Observer
from kdsearch.search.plan import make_plan
from kdsearch.search.runner import Runner
from kdsearch.search.session import ray_session
from kdsearch.search.study import StudyRun
from kdsearch.spec.study import StudySpec
from kdsearch.training.teacher import Batch, Teaching
from kdsearch.training.weights import save_weights


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and an interval that holds the true one with a probability of 95 %.

    The interval runs between two order statistics and supposes nothing about the distribution. Of
    fewer than six values it is their range, which holds the median with less (four: 87 %).
    """
    ordered = sorted(values)
    # each value is below the true median with probability ½
    below = accumulate(math.comb(len(ordered), number) for number in range(len(ordered)))
    cut = sum(count <= 0.025 * 2 ** len(ordered) for count in below)
    return statistics.median(ordered), ordered[max(cut, 1) - 1], ordered[-max(cut, 1)]


def ratio(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """The median of the ratios of values measured side by side, and its interval.

    Args:
        over: The numerator of each round.
        under: The denominator of each round.
    """
    middle, low, high = median_interval([a / b for a, b in zip(over, under, strict=True)])
    return {"ratio": middle, "low": low, "high": high, "rounds": len(over)}


def shown(figure: dict[str, float]) -> str:
    """A ratio with its interval, in words for a table."""
    return f"{figure['ratio']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def machine() -> dict[str, Any]:
    """What the measurement ran on, and how busy it was before."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def noise(samples: int, shape: tuple[int, int, int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of noise, uint8 [samples, C, H, W], and labels that are spread evenly.

    What a training takes does not depend on what is in the pictures.
    """
    images = np.random.default_rng(0).integers(0, 256, (samples, *shape), dtype=np.uint8)
    return images, np.arange(samples) % classes


def from_archive(archive: Path, samples: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The first pictures of each class of a zip of ``…/train/CLASS/*`` and ``…/test/CLASS/*``.

    Args:
        archive: The file.
        samples: Pictures of all classes together.
        split: ``train`` or ``test``.

    Returns:
        uint8 [samples, C, H, W] and labels [samples], the classes in turn.
    """
    with zipfile.ZipFile(archive) as opened:
        files = [n for n in opened.namelist() if f"/{split}/" in n and not n.endswith("/")]
        names = sorted({file.split("/")[-2] for file in files})
        of_class = [sorted(f for f in files if f.split("/")[-2] == name) for name in names]
        labels = np.arange(samples) % len(names)
        chosen = [of_class[label][place // len(names)] for place, label in enumerate(labels)]
        pictures = [np.asarray(Image.open(io.BytesIO(opened.read(file)))) for file in chosen]
    return np.stack(pictures).transpose(0, 3, 1, 2).copy(), labels


def pictures(
    samples: int, test: int, shape: Sequence[int], classes: int, archive: str | None = None
) -> RawData:
    """A source of kdsearch: pictures of an archive, or noise.

    Args:
        samples: Training and validation pictures together.
        test: Test pictures.
        shape: (channels, height, width) of the noise.
        classes: Classes of the noise.
        archive: A zip as :func:`from_archive` reads it; its pictures take the place of the noise.
    """
    if archive is not None:
        file = Path(archive)
        return RawData(*from_archive(file, samples, "train"), *from_archive(file, test, "test"))
    images, labels = noise(samples + test, (shape[0], shape[1], shape[2]), classes)
    # copies, since a view of a few pictures would keep them all in memory
    parts = (images[:samples].copy(), labels[:samples], images[samples:].copy(), labels[samples:])
    return RawData(*parts)


def keep_answers(teacher: Teaching, views: Views, epoch: int) -> None:
    """Have the logits of all views of an epoch kept, by asking a caching teacher for the first."""
    index = torch.zeros(1, dtype=torch.int64)
    images, targets = views.batch(index, epoch)
    teacher.observe(Batch(images, targets, epoch, index), {Signal.LOGITS})


def study_spec(folder: Path, name: str, options: dict[str, Any], **sections: Any) -> StudySpec:
    """A study with a teacher of random weights, of whose training nothing is measured.

    Args:
        folder: Takes the study, the teacher and the cache.
        name: Of the study.
        options: What :func:`pictures` is called with.
        sections: The sections of the spec; ``teacher`` is its model, and ``data`` lacks the source.
    """
    checkpoint = folder / "teacher.safetensors"
    given = {
        **sections,
        "study": {"name": name, "directory": str(folder)},
        "data": {"source": "measuring:pictures", "options": options, **sections["data"]},
        "teacher": {"model": sections["teacher"], "checkpoint": str(checkpoint)},
    }
    spec = StudySpec.model_validate(given)
    if not checkpoint.is_file():
        data = load_dataset(spec.data)
        torch.manual_seed(0)
        network = build_network(spec.teacher.model, data.image_shape, len(data.classes))
        save_weights(network, checkpoint)
    return spec


def quieten() -> None:
    """Keep chatter off the terminal; errors still show."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")


class SearchOnly(StudyRun):
    """A study that ends with its search."""

    def _finalists(self, runner: Runner) -> None:
        """What is measured beside it judges no finalists either."""


def run_search(
    spec: StudySpec, proposals: Sequence[dict[str, Any]], observer: Observer | None = None
) -> None:
    """Check a study, start a Ray of its own, and run it as far as the end of its search.

    Args:
        spec: The study.
        proposals: What is tried, by Optuna's names of the parameters; the sampler proposes nothing.
        observer: Told of everything that happens.
    """
    quieten()
    plan = make_plan(spec)
    directory = StudyDirectory.of(spec)
    with ray_session(spec, None), directory.locked():
        directory.create(spec)
        directory.update(state="running", reason=None)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(directory.optuna.resolve()))),
            study_name=spec.study.name,
            directions=["maximize", "minimize"],
        )
        for proposal in proposals:
            study.enqueue_trial(proposal)
        SearchOnly(plan, observer or Observer()).run()
