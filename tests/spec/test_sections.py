"""Each section: its limits, and the types that a value of the file may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kdsearch.errors import SpecError
from kdsearch.spec import TrainingConfig, parse_spec
from kdsearch.spec.sections import (
    DataSection,
    Identity,
    StudentSection,
    TeacherSection,
    TrialTraining,
)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("study.name=a/b", "study.name must be letters, digits"),
        ("study.name=..", "study.name must be letters, digits"),
        ("study.name='a\nb'", "study.name must be letters, digits"),
        ("study.name=''", "study.name must be letters, digits"),
        ("study.name=" + "a" * 81, "study.name must have at most 80 characters"),
        ("study.name=12", "study.name must be text"),
        ("study.seed=-1", "study.seed must be at least 0, not -1"),
        ("study.seed=9223372036854775808", "study.seed must be below"),
        ("data.validation=0", "data.validation must be above 0, not 0"),
        ("data.validation=1", "data.validation must be below 1, not 1"),
        ("data.limit=1", "data.limit must be at least 2, not 1"),
        ("data.download=1", "data.download must be true or false, not 1"),
        ("data.augment.flip='yes'", "data.augment.flip must be true or false, not 'yes'"),
        ("data.augment.rotation=181", "data.augment.rotation must be at most 180, not 181"),
        ("data.augment.cutmix=-1", "data.augment.cutmix must be at least 0, not -1"),
        (
            "data.augment.random_resized_crop={}",
            "data.augment: crop (1) and random_resized_crop both choose a part of the image; "
            "remove one",
        ),
        (
            "data.augment={trivial_augment: true, rand_augment: {}}",
            "trivial_augment and rand_augment both choose operations at random; remove one",
        ),
        (
            "data.augment={random_resized_crop: {scale: [0.5, 0.2]}}",
            "must be two numbers above 0, the smaller first, such as [0.5, 1], not [0.5, 0.2]",
        ),
        ("data.augment={random_resized_crop: {scale: [0.1]}}", "must be two numbers above 0"),
        ("data.augment={random_resized_crop: {scale: 0.1}}", "scale must be a list, not 0.1"),
        ("data.augment={random_resized_crop: {ratio: [0, 1]}}", "must be two numbers above 0"),
        (
            "data.augment={random_erasing: {scale: [0.5, 1.1]}}",
            "scale must be a share of the image's area, at most 1, not 1.1",
        ),
        (
            "data.strong_augment={flip: true, mixup: 0.2}",
            "data.strong_augment must not have mixup, which blends two images",
        ),
        ("data.strong_augment={cutmix: 1}", "must not have cutmix"),
        ("data.strong_augment={}", "data.strong_augment: changes nothing, and is to"),
        ("data.strong_augment={crops: 1}", "'data.strong_augment.crops'; did you mean 'crop'?"),
        ("data.augment.random_erasing={probability: 0}", "probability must be above 0, not 0"),
        ("data.augment.rand_augment={magnitude: 31}", "magnitude must be at most 30, not 31"),
        ("data.augment.rand_augment={operations: 0}", "operations must be at least 1, not 0"),
        (
            "data.augment.rand_augment={strength: 3}",
            "unknown key 'data.augment.rand_augment.strength'",
        ),
        (
            "data.augment.color_jitter={brightnes: 3}",
            "'data.augment.color_jitter.brightnes'; did you mean 'brightness'?",
        ),
        ("data.augment.color_jitter.hue=0.6", "hue must be at most 0.5, not 0.6"),
        ("data.augment.color_jitter=0.4", "must be a section of keys and values, not 0.4"),
        ("data.root=3", "data.root must be a path, not 3"),
        ("data.table={image: file}", "'data.table.file' is missing; add it"),
        ("data.table={file: a.csv, targt: x}", "'data.table.targt'; did you mean 'target'?"),
        ("data.table={file: a.csv, target: [a, a]}", "give each column once"),
        ("data.table={file: a.csv, target: []}", "data.table.target must have at least 1 entry"),
        ("data.table={file: a.csv, weight: 3}", "data.table.weight must be text"),
        ("data.options=[1]", "data.options must be a section of keys and values, not a list"),
        ("teacher.model.width=0", "teacher.model.width must be above 0, not 0"),
        ("teacher.model.width=true", "teacher.model.width must be a number, not true"),
        ("teacher.model.depth='3'", "teacher.model.depth must be a whole number, not '3'"),
        ("teacher.workers=3", "training.batch_size (64) must be a multiple of workers (3)"),
        ("students.0.width=-1", "students.0.width must be above 0, not -1"),
        ("students.0.width={choices: [1, 0]}", "students.0.width must be above 0, not 0"),
        ("students.1.depth=1.5", "students.1.depth must be a whole number of at least 1, not 1.5"),
        ("students.1.depth={low: 0, high: 3}", "must be a whole number of at least 1, not 0"),
        ("students.1.depth={low: 1, high: 2, step: 0.5}", "of at least 1, not 0.5"),
        ("students=[]", "students must have at least 1 entry"),
        ("students=convnet", "students must be a list, not 'convnet'"),
        ("methods=[]", "methods must have at least 1 entry"),
        ("methods=kd", "methods must be a list of names, or a section"),
        ("methods=", "methods must be a list of names, or a section"),
        ("methods=[kd, {dkd: {}}]", "item 1 of the list must be a method's name, not a section"),
        ("methods=[kd, none, kd]", "the method 'kd' is named twice; remove one"),
        ("methods={kd: 4}", "methods.kd must be a section of keys and values, not 4"),
        ("training.lr=0", "training.lr must be above 0, not 0"),
        ("training.lr={low: 0, high: 1}", "training.lr must be above 0, not 0"),
        ("training.weight_decay=-1", "training.weight_decay must be at least 0, not -1"),
        ("training.epochs=2.5", "training.epochs must be a whole number, not 2.5"),
        ("training.epochs=.inf", "training.epochs must be a finite number, not inf"),
        ("training.momentum=1", "training.momentum must be below 1, not 1"),
        ("training.gamma=1.1", "training.gamma must be at most 1, not 1.1"),
        ("training.warmup_epochs=2", "warmup_epochs (2) must be below epochs (2)"),
        ("training.milestones=[0.5, 1]", "milestones are fractions of the training"),
        ("training.label_smoothing=1", "training.label_smoothing must be below 1, not 1"),
        ("training.label_smoothing={low: -0.1, high: 0.2}", "must be at least 0, not -0.1"),
        ("training.class_weights=balancd", "'none' or 'balanced', not 'balancd'; did you mean"),
        ("training.class_weights=[1, 2]", "must be 'none' or 'balanced', not a list"),
        ("training.class_weights={}", "training.class_weights must have at least 1 entry"),
        ("training.class_weights={cat: -1}", "training.class_weights.cat must be at least 0"),
        ("training.class_weights={cat: .inf}", "class_weights.cat must be a finite number"),
        ("training.class_weights={cat: '2'}", "class_weights.cat must be a number, not '2'"),
        ("training.class_weights={7: 2}", "a key must be a name, not '7'; put it in quotes"),
        ("training.sampling=uniform", "training.sampling must be 'none' or 'balanced', not"),
        (
            "training={class_weights: balanced, sampling: balanced}",
            "class_weights and sampling are both balanced, which would even the classes out twice",
        ),
        (
            "teacher.training={class_weights: {a: 1}, label_smoothing: {low: 0, high: 1}}",
            "teacher.training.label_smoothing must be a number",
        ),
        ("training.optimizer=sdg", "must be 'sgd' or 'adamw', not 'sdg'; did you mean 'sgd'?"),
        ("training.ema=1", "training.ema must be below 1, not 1"),
        ("training.decay_norms=0", "training.decay_norms must be true or false, not 0"),
        ("training.fine_tuning={layer_decay: 0}", "layer_decay must be above 0, not 0"),
        ("training.fine_tuning={pretrained_lr: 2}", "pretrained_lr must be at most 1, not 2"),
        ("training.fine_tuning={batch_norm: eval}", "must be 'train' or 'frozen', not 'eval'"),
        (
            "training.fine_tuning={freeze: layer1}",
            "must be backbone, a number of first stages, or a list of names such as [layer1]",
        ),
        ("training.fine_tuning={freeze: true}", "or a list of names, not true"),
        ("training.fine_tuning={freeze: 0}", "training.fine_tuning.freeze must be at least 1"),
        ("training.fine_tuning={freeze: 1.5}", "freeze must be a whole number, not 1.5"),
        ("training.fine_tuning={freeze: []}", "freeze must have at least 1 entry"),
        ("training.fine_tuning={freeze: [3]}", "names of modules are texts, not 3"),
        ("training.fine_tuning={freeze: [a, a]}", "give each name once"),
        (
            "training.fine_tuning={freeze: backbone, layer_decay: 0.5}",
            "the head alone is trained; remove layer_decay",
        ),
        ("training.fine_tuning={head_epochs: 2}", "head_epochs (2) must be below epochs (2)"),
        ("search.sampler=7", "search.sampler must be 'tpe', 'nsga2', 'gp' or 'random', not 7"),
        ("search.trials=0", "search.trials must be at least 1, not 0"),
        (
            "search.size=params",
            "must be 'parameters', 'macs', 'bytes', 'latency', 'int8_bytes', 'int8_latency' or "
            "'compressed_bytes', not 'params'",
        ),
        ("search.size=[macs, macs]", "give each size once"),
        ("search.size=[]", "search.size must have at least 1 entry"),
        ("search.objective=7", "search.objective must be a list, not 7"),
        ("search.require={accuracy: high}", "search.require.accuracy must be a number"),
        ("problem.metrics=[ece, ece]", "give each metric once"),
        ("search.max_hours=0", "search.max_hours must be above 0, not 0"),
        ("search.warm_start=[3]", "must be a path, not 3"),
        ("search.scheduler.name=halfing", "not 'halfing'; did you mean 'halving'?"),
        ("search.scheduler.rungs=[]", "search.scheduler.rungs must have at least 1 entry"),
        ("search.scheduler.rungs=[0.5, 0.5]", "give each rung once, the smallest first"),
        ("search.scheduler.rungs=[0.5, 0.25]", "give each rung once, the smallest first"),
        ("search.scheduler.rungs=[0, 0.5]", "must be above 0, not 0"),
        ("search.scheduler.rungs=[0.5, 1]", "must be below 1, not 1"),
        ("search.scheduler.reduction=1", "search.scheduler.reduction must be above 1, not 1"),
        ("finalists.seeds=1", "finalists.seeds must be at least 2, not 1"),
        ("resources.gpus_per_trial=-1", "resources.gpus_per_trial must be at least 0, not -1"),
        ("resources.gpus_per_trial=1.5", "must be at most 1, not 1.5: a trial is one process on"),
        ("tracking.experiment=''", "tracking.experiment must have at least 1 character"),
    ],
)
def test_a_value_out_of_its_limits_is_refused(text: str, override: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, [override])
    shown = " ".join(override.splitlines())
    assert f"--set {shown}" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("search.max_parameters=1e5", ("search", "max_parameters"), 100_000),
        ("training.lr=1e-3", ("training", "lr"), 0.001),
        ("training.weight_decay=0", ("training", "weight_decay"), 0),
        ("study.name=2024-01-01", ("study", "name"), "2024-01-01"),
        ("study.name='12'", ("study", "name"), "12"),
        ("data.augment.flip=yes", ("data", "augment", "flip"), True),
        ("data.root=null", ("data", "root"), None),
        ("data.table={file: a.csv, target: kind}", ("data", "table", "target"), ("kind",)),
        (
            "training.class_weights={'007': 2, cat: 0.5}",
            ("training", "class_weights"),
            {"007": 2.0, "cat": 0.5},
        ),
        ("resources.gpus_per_trial=1", ("resources", "gpus_per_trial"), 1.0),
    ],
)
def test_a_sound_value_is_taken_as_it_is_meant(
    text: str, override: str, path: tuple[str, ...], value: Any
) -> None:
    found: Any = parse_spec(text, [override])
    for part in path:
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_home_is_resolved_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of-someone")
    home = Path("/home/of-someone")
    model = {"family": "mlp"}
    assert Identity(name="a", directory="~/studies").directory == home / "studies"
    assert DataSection(source="mnist", root="~/data").root == home / "data"
    assert TeacherSection(model=model, checkpoint="~/t.pt").checkpoint == home / "t.pt"


def test_an_unknown_home_is_refused() -> None:
    with pytest.raises(ValidationError, match="there is no home folder ~no-such-person"):
        Identity(name="a", directory="~no-such-person/studies")


def test_a_section_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Identity(name="a").name = "b"  # type: ignore[misc]


def test_trials_are_trained_like_any_network_but_for_what_is_searched() -> None:
    assert set(TrialTraining.model_fields) == set(TrainingConfig.model_fields)
    fixed = TrialTraining().model_dump()
    assert TrainingConfig(**fixed).model_dump() == fixed


def test_a_student_needs_no_width_or_depth() -> None:
    assert (StudentSection(family="mlp").width, StudentSection(family="mlp").depth) == (1.0, None)
