"""Chains of students: their widths, and what keeps a student from one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import optuna
import pytest

from kdsearch.models import of_images
from kdsearch.space.anchored import AnchoredSpace, is_chainable
from kdsearch.space.architectures import Architectures
from kdsearch.space.chains import Chain, chains, shortened
from kdsearch.space.given import Given
from kdsearch.space.space import Space
from kdsearch.space.usable import Usable
from kdsearch.spec import ModelConfig, StudySpec, parse_spec
from kdsearch.spec.concrete import FineTuning, MethodConfig, TrainingConfig
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task

TEXT = """
study: {{name: rising, directory: {directory}}}
data: {{source: digits}}
teacher:
  model: {{family: convnet, width: 1, depth: 2}}
students:
  - {{family: convnet, width: {width}, depth: {depth}}}
methods: [none, kd, ab, simkd, dist+rkd]
training: {{epochs: 9}}
search: {{strategy: ladder, max_parameters: {most}}}
"""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def spec_of(
    folder: Path,
    width: str = "{low: 0.1, high: 1.0, log: true}",
    depth: str = "{choices: [1, 2, 3]}",
    most: int = 10**9,
    factor: float = 1.3,
) -> StudySpec:
    text = TEXT.format(directory=folder, width=width, depth=depth, most=most)
    return parse_spec(text, [f"search.ladder.factor={factor}"])


def chains_of(spec: StudySpec) -> tuple[list[Chain], Space, Architectures]:
    space, architectures = Space(spec), Architectures(of_images((1, 8, 8)), 10)
    return chains(space, Usable(spec, architectures)), space, architectures


@pytest.mark.parametrize("factor", [1.2, 1.3, 2.0])
def test_steps_are_even_and_at_most_the_factor(tmp_path: Path, factor: float) -> None:
    found, _, architectures = chains_of(spec_of(tmp_path, factor=factor))
    assert [chain.depth for chain in found] == [1, 2, 3]
    for chain in found:
        assert chain.widths[0] == 1.0
        count = math.ceil(math.log(10) / math.log(factor))
        grid = [10 ** (-place / count) for place in range(count + 1)]
        # some widths may have the same channels as the one before
        assert all(any(math.isclose(width, each) for each in grid) for width in chain.widths)
        model = spec_of(tmp_path).students[0]
        sizes = [
            architectures.size(_model(model.family, width, chain.depth)).parameters
            for width in chain.widths
        ]
        assert all(narrow < wide for wide, narrow in pairwise(sizes))


def _model(family: str, width: float, depth: int | None) -> object:
    from kdsearch.spec import ModelConfig

    return ModelConfig(family=family, width=width, depth=depth)


def test_students_outside_the_limits_are_in_no_chain(tmp_path: Path) -> None:
    found, _, architectures = chains_of(spec_of(tmp_path, most=1_500))
    for chain in found:
        sizes = [
            architectures.size(_model("convnet", width, chain.depth)).parameters
            for width in chain.widths
        ]
        assert max(sizes) <= 1_500
    assert {chain.depth: chain.widths[0] < 1 for chain in found} == {1: False, 2: True, 3: True}


def test_choices_and_steps_are_kept_to(tmp_path: Path) -> None:
    found, _, _ = chains_of(spec_of(tmp_path, "{choices: [0.25, 1, 0.5]}", "2"))
    assert found == [Chain("convnet", 2, (1.0, 0.5, 0.25))]
    found, _, _ = chains_of(spec_of(tmp_path, "{low: 0.2, high: 1.0, step: 0.2}", "2"))
    assert found[0].widths == pytest.approx((1.0, 0.8, 0.6, 0.4, 0.2))


def test_no_width_is_above_the_range(tmp_path: Path) -> None:
    found, _, _ = chains_of(spec_of(tmp_path, "{low: 0.1, high: 0.7, step: 0.1}", "2"))
    assert found[0].widths[0] == 0.7  # and not 0.1 + 6 × 0.1, which is above it


def test_students_are_as_small_as_the_file_allows(tmp_path: Path) -> None:
    def widest(more: str) -> float:
        entry = f"{{family: convnet, width: {{low: 0.1, high: 1, log: true}}, depth: 2, {more}}}"
        text = TEXT.format(directory=tmp_path, width="1", depth="1", most=10**9)
        given = [f"students=[{entry}]", "search.max_bytes=3000", "methods=[none, kd]"]
        return chains_of(parse_spec(text, given))[0][0].widths[0]

    whole, half = widest("stored: float32"), widest("stored: float16")
    assert half > whole
    assert widest("stored: [float32, float16]") == widest("stored: [float16, float32]") == half


def test_past_settings_count_once_without_their_sizes(tmp_path: Path) -> None:
    found, space, _ = chains_of(spec_of(tmp_path))
    anchored = AnchoredSpace(space, found)
    past = [
        {"method": "kd", "lr": rate, "convnet.width": width, "convnet.depth": 3}
        for rate, width in ((0.1, 0.5), (0.1, 0.3), (0.2, 0.3))
    ]
    assert anchored.settings(past) == [{"method": "kd", "lr": rate} for rate in (0.1, 0.2)]


def test_short_trainings_have_their_share_of_every_phase(tmp_path: Path) -> None:
    whole = TrainingConfig(
        epochs=15, warmup_epochs=3, fine_tuning=FineTuning(head_epochs=6, layer_decay=0.5)
    )
    recipe = Recipe(ModelConfig(family="convnet"), MethodConfig(label="none"), whole)
    short = shortened(recipe, spec_of(tmp_path)).training
    assert (short.epochs, short.warmup_epochs) == (5, 1)
    assert short.fine_tuning == FineTuning(head_epochs=2, layer_decay=0.5)
    TrainingConfig.model_validate(short.model_dump())
    mostly_head = replace(
        recipe, training=whole.model_copy(update={"fine_tuning": FineTuning(head_epochs=14)})
    )
    short = shortened(mostly_head, spec_of(tmp_path)).training
    assert short.fine_tuning == FineTuning(head_epochs=4)
    TrainingConfig.model_validate(short.model_dump())


def test_a_fixed_width_is_a_chain_of_one(tmp_path: Path) -> None:
    assert chains_of(spec_of(tmp_path, "1.0", "2"))[0] == [Chain("convnet", 2, (1.0,))]


def test_a_long_range_of_depths_has_four_of_them(tmp_path: Path) -> None:
    found, _, _ = chains_of(spec_of(tmp_path, depth="{low: 1, high: 6}", factor=2.0))
    assert [chain.depth for chain in found] == [1, 3, 4, 6]


@pytest.mark.parametrize(
    ("label", "teacher", "able"),
    [
        ("none", None, True),
        ("kd", "teacher", True),
        ("dist+rkd", "teacher", True),
        ("ab", "teacher", False),
        ("simkd", "teacher", False),
        ("kd", "born_again", False),
        ("kd", "mutual", False),
    ],
)
def test_what_can_be_chained(
    make_task: Callable[..., Task], label: str, teacher: str | None, able: bool
) -> None:
    task = make_task(label).model_copy(update={"teacher": teacher})
    assert is_chainable(task) == able


def test_settings_are_drawn_for_a_student_of_middle_size(tmp_path: Path) -> None:
    found, space, _ = chains_of(spec_of(tmp_path))
    anchored, study = AnchoredSpace(space, found), optuna.create_study()
    middle = found[1]
    anchor = (middle.widths[len(middle.widths) // 2], 2)
    labels = set()
    for _ in range(60):
        trial = study.ask()
        drawing = anchored.drawing(trial)
        recipe = anchored.suggest(drawing)
        labels.add(recipe.method.label)
        assert (recipe.model.width, recipe.model.depth) == anchor
        assert recipe.training.epochs == 3
        more = {"convnet.width": anchor[0], "convnet.depth": 2}
        assert drawing.params == trial.params | more
        # all that a trial without pins would be asked for
        fixed = optuna.trial.FixedTrial(drawing.params)
        assert space.suggest(fixed).model == recipe.model
    assert labels == {"none", "kd", "ab", "simkd", "dist+rkd"}


def test_settings_are_searched_for_entries_of_one_width_too(tmp_path: Path) -> None:
    two = "[{family: convnet, width: {low: 0.1, high: 1.0}, depth: 2}, {family: mlp, width: 0.5}]"
    given = [f"students={two}", "methods=[none, kd]", "search.ladder.link=0.34"]
    spec = parse_spec(TEXT.format(directory=tmp_path, width="1", depth="1", most=10**9), given)
    found, space, _ = chains_of(spec)
    anchored, study = AnchoredSpace(space, found), optuna.create_study()
    drawings = [anchored.drawing(study.ask()) for _ in range(40)]
    recipes = [anchored.suggest(each) for each in drawings]
    lengths = {(recipe.model.family, recipe.training.epochs) for recipe in recipes}
    assert lengths == {("convnet", 3), ("mlp", 3)}
    entries = [space.entry(Given(each.params)) for each in drawings]
    assert entries == [recipe.model.family for recipe in recipes]
