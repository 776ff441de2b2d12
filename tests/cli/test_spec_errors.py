"""A faulty search-space file or ``--set``: one sentence that points at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import SPEC, Command, place


@pytest.mark.parametrize(
    ("right", "wrong", "at", "words"),
    [
        ("search:", "serach:", "serach", "unknown key 'serach'; did you mean 'search'?"),
        ("crop: 1", "corp: 1", "corp", "unknown key 'data.augment.corp'; did you mean 'crop'?"),
        ("- {fam", "- {widht: 1, fam", "widht", "'students.0.widht'; did you mean 'width'?"),
        ("log: true", "logg: true", "logg", "'students.0.width.logg'; did you mean 'log'?"),
        ("{low: 1, high: 8}", "{choice: [1]}", "choice", "did you mean 'choices'?"),
        ("  name: small", "  name: a\n  name: b", "name: b", "stands here a second time"),
        ("trials: 2", "trials: many", "trials", "search.trials must be a whole number"),
        ("low: 0.2", "low: 2", "width: {", "low (2) is above high (1); swap them"),
        ("low: 0.2", "low: 0", "width: {", "a log range needs low above 0"),
        ("log: true", "log: true, step: 0.1", "width: {", "step and log cannot be used together"),
        ("{low: 1, high: 8}", "{choices: []}", "choices", "must have at least 1 entry"),
        ("high: 1.0", "high: .inf", "high", "must be a finite number, not inf"),
        ("low: 0.2", "low: .nan", "low", "must be a finite number, not nan"),
        ("search: {", "search: {sampler: tpa, ", "sampler", "did you mean 'tpe'?"),
        ("  kd:", "  kdd:", "kdd", "unknown method 'kdd'; did you mean 'kd'?"),
        ("temperature", "temprature", "temprature", "did you mean 'temperature'?"),
        ("low: 1,", "low: 0,", "temperature", "kd: 'temperature' must be at least 0.05, not 0"),
        ("  none:", "  none: {weight: 2}", "weight", "no hyperparameters; remove 'weight'"),
        ("  kd:", "  kd+dkd:\n  kd:", "kd+dkd", "more than one logit term (kd, dkd); keep one"),
        ("  kd:", "  none+kd:\n  kd:", "none+kd", "cannot be part of the sum"),
        ("- {family: convnet", "- {family: convnte", "family: convnte", "did you mean 'convnet'?"),
        ("model: {family: convnet", "model: {family: x", "family: x", "unknown model family 'x'"),
        ("low: 0.2", "low: 0.001", "width: {", "a layer without channels; the smallest width"),
        ("{family: convnet, ", "{family: resnet, depth: 21, ", "depth", "are 20 and 26"),
        ("width: {", "depth: {low: 1, high: 9e9}, width: {", "depth", "convnet has no depth 7"),
        ("convnet, width: {", "torchvision/resnet81, width: {", "family: tor", "did you mean 'to"),
        (
            "convnet, width: {",
            "'absent:make', width: {",
            "family: 'absent",
            "the module 'absent'",
        ),
        ("convnet, width: {", "'yaml:make', width: {", "family: 'yaml", "no function 'make'"),
        ("convnet, width: {", "'yaml:dump', width: {", "width: {", "yaml:dump failed on"),
        ("source: digits", "source: digit", "source", "unknown source 'digit'; did you mean 'dig"),
        ("source: digits", "source: 'absent:load'", "source", "'absent', which is neither"),
        ("source: digits", "source: 'yaml:images'", "source", "has no function 'images'"),
        (
            "source: digits",
            "source: 'math:load'",
            "source",
            "give your file another name than math.py",
        ),
        ("source: digits", "source: cifar10", "data:", "set data.root to their folder"),
        ("digits", "cifar10\n  root: nowhere", "root", "there is no folder nowhere; fix the path"),
        ("digits", "cifar10\n  root: .", "root", "cifar10 is not in ., or is damaged"),
        ("digits", "digits\n  root: .", "root", "has no effect on the source digits; remove it"),
        ("batch_size: 16", "batch_size: 181", "batch_size: 181", "more than the 180 training"),
        ("batch_size: 20", "batch_size: 181", "batch_size: 181", "more than the 180 training"),
        ("crop: 1", "crop: 8", "crop", "data.augment.crop (8) must be below"),
        ("crop: 1", "cutout: 9", "cutout", "data.augment.cutout (9) must not exceed"),
        (
            "crop: 1",
            "color_jitter: {hue: 0.1}",
            "hue",
            "data.augment.color_jitter.hue needs RGB images, and these have 1 channel; remove it",
        ),
        ("limit: 200", "limit: 19", "limit", "with 10 classes it must be at least 20"),
        ("{trials", "{max_macs: 10, trials", "max_macs", "more than search.max_macs (10); raise"),
        ("  training: {e", "  checkpoint: no.pt\n  training: {e", "checkpoint", "no file of"),
    ],
)
def test_a_fault_in_the_file_is_told_at_its_place(
    kdsearch: Command, folder: Path, right: str, wrong: str, at: str, words: str
) -> None:
    assert right in SPEC
    faulty = SPEC.replace(right, wrong, 1)
    (folder / "spec.yaml").write_text(faulty, encoding="utf-8")
    told = kdsearch("run", "spec.yaml")
    assert told.code == 2
    assert told.sentence.startswith(f"{place(faulty, at)}: ")
    assert words in told.sentence
    lines = told.printed.splitlines()  # of what was done until the fault was met
    assert all(line.endswith(" …") for line in lines[1:])
    assert not lines or lines[0].startswith("study small: 2 trials over ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file: other.yaml; check the path"),
        (b"", "other.yaml:1:1: the file is empty; write the sections study"),
        (b"- a\n", "other.yaml:1:1: the file holds no keys"),
        (b"study: {name: x\ndata: 1", "other.yaml:2:5: not valid YAML"),
        (bytes(range(256)), "other.yaml is not a text file in UTF-8"),
        (b"study: a\0b", "other.yaml:1:9: the character U+0000 cannot stand in YAML"),
    ],
)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_file_that_is_no_search_space_is_refused(
    kdsearch: Command, folder: Path, command: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (folder / "other.yaml").write_bytes(content)
    told = kdsearch(command, "other.yaml")
    assert told.code == 2
    assert told.sentence.startswith(words)


def test_a_folder_is_no_search_space(kdsearch: Command, folder: Path) -> None:
    (folder / "spaces").mkdir()
    assert kdsearch("run", "spaces")[:2] == (
        2,
        "spaces is a folder; give the search-space file in it",
    )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("search.trials", "write it as section.key=value"),
        ("search.trails=3", "unknown key 'search.trails'; did you mean 'trials'?"),
        ("search.trials=many", "search.trials must be a whole number, not 'many'"),
        ("search.trials=a\nb", "search.trials must be a whole number"),
        ("students.1.width=2", "the list 'students' has the item 0 alone, not '1'"),
        ("study.name.x=3", "'study.name' is a single value and has no keys"),
        ("search.trials=[", "not valid YAML"),
        ("methods.kd.temprature=3", "'kd' has no hyperparameter 'temprature'; did you mean"),
        ("teacher.checkpoint=no.pt", "no file of weights for the teacher"),
        ("data.root=here", "data.root has no effect on the source digits"),
    ],
)
def test_a_fault_in_a_setting_is_told_with_its_text(
    kdsearch: Command, setting: str, words: str
) -> None:
    told = kdsearch("run", "spec.yaml", "--set", "study.seed=1", "--set", setting)
    assert told.code == 2
    assert told.sentence.startswith(f"--set {setting}: ".replace("\n", " "))
    assert words in told.sentence
