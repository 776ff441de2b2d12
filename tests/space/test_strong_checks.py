"""What a study says of strong views, and what is refused of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kdsearch.data import Dataset, Scale, Split, load_dataset
from kdsearch.errors import DataError, SpecError
from kdsearch.space.checks import make_plan
from kdsearch.space.strong_checks import check_strong_methods, check_strong_views
from kdsearch.spec import parse_spec
from tests.space.test_space import draw

STRONG = "data.strong_augment={cutout: 4}"
FEW = "data.labels=60"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ["methods=[kd, fixmatch]"],
            "fixmatch compares images under data.augment with strongly augmented ones; set",
        ),
        (
            ["methods=[kd+noisy_student]"],
            "noisy_student compares images under data.augment with strongly augmented ones",
        ),
        (
            ["methods=[kd, pseudo_label]", STRONG],
            "no method of the study reads it; remove it, or add one that does, such as",
        ),
        (
            ["methods=[fixmatch]", STRONG, "data.augment={mixup: 0.2}"],
            "fixmatch compares an image with itself, strongly augmented, and mixup blends in",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(spec_text: str, given: list[str], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_plan(parse_spec(spec_text, [FEW, *given]))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("{crop: 8}", "data.strong_augment.crop (8) must be below the images' sides (8×8)"),
        ("{color_jitter: {hue: 0.1}}", "data.strong_augment.color_jitter.hue needs RGB images"),
    ],
)
def test_changes_that_do_not_suit_the_images_name_the_setting(
    spec_text: str, changes: str, told: str
) -> None:
    spec = parse_spec(spec_text, [f"data.strong_augment={changes}"])
    with pytest.raises(DataError) as caught:
        load_dataset(spec.data)
    assert told in str(caught.value)


def test_only_trainings_that_read_strong_views_have_them(spec_text: str) -> None:
    given = [FEW, STRONG, "methods=[none, fixmatch, kd+noisy_student, kd]"]
    spec = parse_spec(spec_text, given)
    plan = make_plan(spec)
    assert set(plan.space.methods) == {"none", "fixmatch", "kd+noisy_student", "kd"}
    seen = set()
    for _, recipe in draw(spec, 60):
        label, task = recipe.method.label, recipe.task(spec, 0)
        seen.add(label)
        reads = label in ("fixmatch", "kd+noisy_student")
        assert task.strong == (spec.data.strong_augment if reads else None)
        assert recipe.undistilled().task(spec, 0).strong is None
    assert seen == set(plan.space.methods)


@pytest.mark.parametrize("given", [[], [STRONG]])
def test_without_images_no_setting_helps(spec_text: str, digits: Dataset, given: list[str]) -> None:
    def split(of: Split) -> Split:
        return replace(of, inputs={"numbers": of.inputs["image"].flatten(1).double()})

    parts = {"train": digits.train, "validation": digits.validation, "test": digits.test}
    scales = {"numbers": Scale((0.0,) * 64, (1.0,) * 64)}
    data = replace(digits, **{name: split(each) for name, each in parts.items()}, scales=scales)
    spec = parse_spec(spec_text, [FEW, "methods=[fixmatch]", *given])
    check_strong_views(spec)
    with pytest.raises(SpecError, match="fixmatch needs images, and the data have none; remove"):
        check_strong_methods(spec, data)
