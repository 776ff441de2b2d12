"""One point of the space: how a student comes to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kdsearch.data import derive
from kdsearch.methods import UNDISTILLED, method_config, reads_strong_view
from kdsearch.models.weights.sources import moved_weights, with_known_weights
from kdsearch.spec.concrete import MethodConfig, ModelConfig, TrainingConfig
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.training.fine_tuning.phases import fine_tuning_of
from kdsearch.training.task import Task
from kdsearch.ways import wider_ways


@dataclass(frozen=True)
class Recipe:
    """How a student comes to be: what it is, what it begins with, how it is trained and shipped.

    Attributes:
        model: Its architecture, the weights that it begins with (random ones, or those that are
            given), and the precision to which they are rounded after the training.
        method: What it minimises.
        training: The schedule.
        teacher: Who teaches; ``None`` without distillation. With ``born_again`` the training has a
            stage for each generation, with ``mutual`` two students are trained side by side
            (:mod:`kdsearch.training.programs`).
        generations: Forebears, where the student is born again.
        task_weights: What the losses of several tasks are multiplied by.
    """

    model: ModelConfig
    method: MethodConfig
    training: TrainingConfig
    teacher: str | None = None
    generations: int = 1
    task_weights: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(task: Task) -> Recipe:
        """The recipe that a task trains."""
        return Recipe(
            task.model,
            task.method,
            task.training,
            task.teacher,
            task.generations,
            task.task_weights,
        )

    @staticmethod
    def from_scratch(spec: StudySpec, task: Task) -> Recipe:
        """The recipe of a trial, trained in full and with a start of its own.

        It is :meth:`of` but in a ladder, whose trainings may be shortened.
        """
        recipe = Recipe.of(task)
        if spec.search.strategy != "ladder":
            return recipe
        return recipe.lasting(spec.training.epochs, spec.training)

    def lasting(self, epochs: int, like: TrainingConfig) -> Recipe:
        """The same with a training of another length.

        Args:
            epochs: Its length.
            like: Has the epochs of warm-up, and those of the head alone, as shares of its own.
        """
        return replace(self, training=lasting(self.training, epochs, like))

    def undistilled(
        self, label: str = UNDISTILLED, values: Mapping[str, float] | None = None
    ) -> Recipe:
        """The same student under the same budget, without a teacher and with its own classifier.

        It is cut from no wider network either, but has its size from the start.

        Args:
            label: A method that needs no teacher.
            values: Its hyperparameters; absent ones take the published defaults.
        """
        wider = wider_ways(self.model.ways)
        ways = tuple(way for way in self.model.ways if way not in wider)
        plain = self.model.model_copy(update={"adopts": None, "ways": ways})
        if not plain.pretrained:  # it is cut from nothing
            plain = plain.model_copy(update={"importance": "magnitude"})
        method = method_config(label, values or {})
        return Recipe(plain, method, self.training, task_weights=self.task_weights)

    def tuned(self, *values: float, task_weights: Mapping[str, float] | None = None) -> Recipe:
        """The same at other values of what of a training may be searched, in its order."""
        update = dict(zip(SEARCHED_TRAINING, values, strict=True))
        training = self.training.model_copy(update=update)
        weights = {**self.task_weights, **(task_weights or {})}
        return replace(self, training=training, task_weights=weights)

    def task(self, spec: StudySpec, replicate: int) -> Task:
        """The training of this recipe.

        Args:
            spec: The study, whose seed decides views and initial weights.
            replicate: 0 in the search, so that trials differ by their configuration alone;
                1, 2, … for the seeds of a finalist, each with views of its own.
        """
        tuning = fine_tuning_of(self.model, self.training)
        return Task(
            model=with_weights_of(spec, with_known_weights(self.model)),
            method=self.method,
            training=self.training.model_copy(update={"fine_tuning": tuning}),
            augment=spec.data.augment,
            strong=spec.data.strong_augment if reads_strong_view(self.method.label) else None,
            views_seed=study_views_seed(spec, replicate),
            teacher=self.teacher,
            generations=self.generations,
            seed=student_seed(spec, replicate),
            task_weights=dict(self.task_weights),
            uncertainty=spec.problem.weighting == "uncertainty",
            two_domains=spec.target is not None,
        )


def lasting(training: TrainingConfig, epochs: int, like: TrainingConfig) -> TrainingConfig:
    """A training of another length.

    Args:
        training: The training.
        epochs: Its new length.
        like: Has the epochs of warm-up, and those of the head alone, as shares of its own.
    """
    share, tuning = epochs / like.epochs, training.fine_tuning
    update: dict[str, object] = {"epochs": epochs, "warmup_epochs": like.warmup_epochs * share}
    if tuning is not None and like.fine_tuning is not None:
        alone = min(round(like.fine_tuning.head_epochs * share), epochs - 1)
        update["fine_tuning"] = tuning.model_copy(update={"head_epochs": alone})
    return training.model_copy(update=update)


def with_weights_of(spec: StudySpec, model: ModelConfig) -> ModelConfig:
    """The model with its weights where the spec has them now: a resumed study may have moved.

    The key of its task stays.
    """
    if model.weights is None or model.weights.file is None or model.weights.file.exists():
        return model
    places = (moved_weights(model.weights, given) for given in spec.with_weights.values())
    found = next((each for each in places if each is not None), None)
    return model if found is None else model.model_copy(update={"weights": found})


def student_seed(spec: StudySpec, replicate: int) -> int:
    """The seed of initial weights and order of samples, by :meth:`Recipe.task`'s replicate."""
    return derive(spec.study.seed, "student", replicate)


def study_views_seed(spec: StudySpec, replicate: int = 0) -> int:
    """The seed of the views that all trials of a study see, or those of one seed of finalists."""
    return derive(spec.study.seed, "views", *([replicate] if replicate else []))
