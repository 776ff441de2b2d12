"""What a study keeps of its teachers: which signals, how much of them, and who builds ahead."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.errors import SpecError, TeacherError
from kdsearch.models import Signal, build_network, of_images
from kdsearch.space.checks import Plan, make_plan
from kdsearch.space.fitting import Fitting
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.spec.sections import CacheSection
from kdsearch.teacher_cache import choosing
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches, signals_read
from kdsearch.teacher_cache.contents import Caches, TeacherCache
from kdsearch.teacher_cache.prebuild import WORTH_WORKERS, epochs_ahead
from kdsearch.training.teacher import Teacher
from tests.pictures import pictured
from tests.teacher_cache.helpers import views_of

LOGITS, EMBEDDING, FEATURES = Signal.LOGITS, Signal.EMBEDDING, Signal.FEATURES
WIDE = "teachers={wide: {model: {family: convnet, width: 2, depth: 2}}}"
AUGMENT = "data.augment={crop: 1}"
# 320 of 400 digits are left for training; a sample's logits take 10 × 4 bytes
SAMPLES, LOGIT_BYTES = 320, 40
REFERENCE = (80 + 449) * LOGIT_BYTES
"""Bytes of the logits of the validation and test samples."""

Planner = Callable[..., tuple[Plan, Caches]]


@pytest.fixture
def planned(spec_text: str) -> Planner:
    """``planned("cache.disk_gb=1", ...)``: a study's plan and what it keeps of random teachers."""

    def make(*overrides: str) -> tuple[Plan, Caches]:
        plan = make_plan(parse_spec(spec_text, list(overrides), file="space.yaml"))
        return plan, plan_caches(plan, teachers_of(plan))

    return make


def teachers_of(plan: Plan) -> dict[str, Teacher]:
    torch.manual_seed(1)
    return {
        name: Teacher(build_network(section.model, plan.data.inputs, 10))
        for name, section in plan.spec.teachers_in_use.items()
    }


@pytest.mark.parametrize(
    ("methods", "by", "expected"),
    [
        (["none"], None, ([], [])),
        (["kd"], None, (["logits"], ["logits"])),
        (["none", "kd"], ["wide"], ([], ["logits"])),
        (["kd", "fitnet"], ["teacher"], (["logits", "features"], [])),
        (["kd+fitnet"], ["average"], (["logits"], ["logits"])),
        (["kd", "rkd"], ["average", "wide"], (["logits"], ["logits", "embedding"])),
        (["kd", "fitnet"], ["born_again", "mutual"], ([], [])),
        (["kd"], ["teacher", "mutual"], (["logits"], [])),
        (["weight_copy"], None, ([], [])),
        (["weight_copy+kd"], None, (["logits"], ["logits"])),
    ],
)
def test_what_the_methods_read_of_each_teacher(
    spec_text: str,
    methods: Sequence[str],
    by: Sequence[str] | None,
    expected: tuple[list[str], list[str]],
) -> None:
    text = spec_text.replace("methods: [none, kd, dist, kd+fitnet]", f"methods: {list(methods)}")
    overrides = [WIDE] + ([f"teaching={{by: [{', '.join(by)}]}}"] if by else [])
    read = signals_read(parse_spec(text, overrides), Fitting())
    assert read == {"teacher": frozenset(expected[0]), "wide": frozenset(expected[1])}


def test_of_a_teacher_that_cannot_teach_a_method_nothing_is_read_for_it(spec_text: str) -> None:
    """An MLP has no maps for at, and an average of teachers has none either."""
    overrides = ["methods=[kd, at]", "teachers={flat: {model: {family: mlp}}}"]
    overrides.append("teaching={by: [teacher, flat, average]}")
    plan = make_plan(parse_spec(spec_text, overrides))
    assert signals_read(plan.spec, plan.space.fitting) == {
        "teacher": {LOGITS, Signal.ATTENTION},
        "flat": {LOGITS},
    }


def test_with_room_enough_all_that_is_read_is_kept_for_all_epochs(planned: Planner) -> None:
    _, caches = planned(AUGMENT, "training.epochs=3")
    cache = caches.teachers["teacher"]
    assert set(cache.plan.cached) == cache.read == {LOGITS, FEATURES}
    assert set(cache.plan.cached.values()) == {3}
    assert (set(cache.whole), cache.live) == ({LOGITS, FEATURES}, [])
    assert cache.plan.sizes == {LOGITS: LOGIT_BYTES, FEATURES: feature_bytes()}
    expected = 3 * SAMPLES * (LOGIT_BYTES + feature_bytes())
    assert cache.plan.bytes == cache.most == expected
    assert caches.bytes == expected + REFERENCE
    assert cache.plan.epochs == 3
    assert cache.missing(3) == 3
    assert cache.seconds is not None
    assert cache.seconds_left == pytest.approx(3 * cache.seconds)


def feature_bytes() -> int:
    """Bytes of the maps that the teacher shows of one image, from its own forward pass."""
    teacher = build_network(
        ModelConfig(family="convnet", width=1, depth=2), of_images((1, 8, 8)), 10
    )
    with torch.no_grad():
        trace = teacher.eval().trace(torch.zeros(1, 1, 8, 8))
    return sum(stage.numel() * 4 for stage in trace.features)


def test_images_that_never_change_are_asked_about_once(planned: Planner) -> None:
    _, caches = planned("training.epochs=5", "methods=[kd]")
    cache = caches.teachers["teacher"]
    assert cache.plan.cached == {LOGITS: 5}
    assert cache.whole == [LOGITS]
    assert cache.plan.bytes == cache.most == SAMPLES * LOGIT_BYTES
    assert cache.seconds_left == cache.seconds


def test_a_small_budget_keeps_logits_before_maps_and_early_epochs_before_late(
    planned: Planner,
) -> None:
    logits = 4 * SAMPLES * LOGIT_BYTES
    an_epoch = SAMPLES * feature_bytes()
    budget = REFERENCE + logits + 2.5 * an_epoch
    _, caches = planned(AUGMENT, "training.epochs=4", f"cache.disk_gb={budget / 1e9}")
    cache = caches.teachers["teacher"]
    assert cache.plan.cached == {LOGITS: 4, FEATURES: 2}
    assert (cache.whole, cache.live) == ([LOGITS], [FEATURES])
    assert caches.bytes <= budget


def test_a_large_teacher_leaves_room_for_a_small_one(planned: Planner) -> None:
    """Each has half; what the small one does not need goes to the large one."""
    words = (AUGMENT, "training.epochs=4", "methods=[kd, fitnet]", WIDE)
    _, whole = planned(*words)
    small, large = (whole.teachers[name].plan.bytes for name in ("teacher", "wide"))
    assert small < large
    budget = REFERENCE + 2 * small + (large - small) // 2
    _, caches = planned(*words, f"cache.disk_gb={budget / 1e9}")
    assert list(caches.teachers) == ["teacher", "wide"]
    kept = {name: cache.plan.cached for name, cache in caches.teachers.items()}
    assert kept["teacher"] == {LOGITS: 4, FEATURES: 4}
    assert kept["wide"][LOGITS] == 4
    assert 0 < kept["wide"][FEATURES] < 4
    assert caches.bytes <= budget
    _, tight = planned(*words, f"cache.disk_gb={(REFERENCE + 1.9 * small) / 1e9}")
    assert all(cache.plan.cached[FEATURES] > 0 for cache in tight.teachers.values())


def test_the_reference_is_kept_for_both_splits_or_for_none(planned: Planner) -> None:
    _, caches = planned(f"cache.disk_gb={REFERENCE / 1e9}", "methods=[none]")
    assert set(caches.reference) == {"validation", "test"}
    assert caches.teachers == {}
    assert caches.bytes == REFERENCE
    _, caches = planned(f"cache.disk_gb={(REFERENCE - 1) / 1e9}", "methods=[none]")
    assert caches.reference == {}


def test_what_the_spec_leaves_out_is_not_kept_and_known_to_be_asked(planned: Planner) -> None:
    _, caches = planned("cache.signals=[logits, attention]")
    cache = caches.teachers["teacher"]
    assert (cache.whole, cache.live) == ([LOGITS], [FEATURES])
    assert cache.read == {LOGITS, FEATURES}
    assert set(cache.plan.sizes) == {LOGITS}


def test_half_precision_and_few_logits_take_less(planned: Planner) -> None:
    _, caches = planned("methods=[kd]", "cache.dtype=float16")
    assert caches.teachers["teacher"].plan.bytes == SAMPLES * 10 * 2
    _, caches = planned("methods=[kd]", "cache.top_k=3")
    # three values, three places, and the rest
    assert caches.teachers["teacher"].plan.bytes == SAMPLES * 7 * 4
    assert len(caches.of_reference) == 2
    assert all(plan.dtype == "float32" for plan in caches.of_reference)
    assert all(plan.top_k is None for plan in caches.of_reference)


def test_with_no_disk_nothing_is_kept_timed_or_written(
    planned: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_time_a_few", None)  # calling it would fail
    _, caches = planned("cache.disk_gb=0", AUGMENT)
    cache = caches.teachers["teacher"]
    assert (cache.whole, cache.live) == ([], [FEATURES, LOGITS])
    assert (caches.plans, caches.bytes, caches.reference) == ([], 0, {})
    older = tmp_path / ".cache" / "0123456789abcdef"
    older.mkdir(parents=True)
    (older / "used").touch()
    (older / "file").write_bytes(b"x" * 1000)
    assert prepare_caches(caches) == []
    assert [path.name for path in (tmp_path / ".cache").iterdir()] == [older.name]


def test_the_folder_does_not_depend_on_where_a_trial_runs(
    planned: Planner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _, caches = planned("cache.folder=here")
    assert caches.folder == tmp_path.resolve() / "here"
    assert {plan.folder for plan in caches.plans} == {caches.folder}


def test_planning_writes_nothing(planned: Planner, tmp_path: Path) -> None:
    planned()
    assert list(tmp_path.iterdir()) == []


def test_older_caches_make_room_the_longest_unused_first(planned: Planner, tmp_path: Path) -> None:
    plan, caches = planned()
    folder = tmp_path / ".cache"
    ages = {"a" * 16: 300, "b" * 16: 200, "c" * 16: 100}
    for key, age in ages.items():
        (folder / key).mkdir(parents=True)
        (folder / key / "file").write_bytes(b"x" * 10_000)
        used = folder / key / "used"
        used.touch()
        os.utime(used, (used.stat().st_mtime - age,) * 2)
    (folder / "mine").mkdir()  # no cache, so it stays
    section = plan.spec.cache.model_copy(update={"disk_gb": (caches.bytes + 25_000) / 1e9})
    caches = replace(caches, section=section)
    assert prepare_caches(caches) == ["a" * 16]
    left = {path.name for path in folder.iterdir()}
    assert left == {"b" * 16, "c" * 16, "mine"} | {each.key for each in caches.plans}
    assert prepare_caches(caches) == []


def test_a_folder_that_cannot_be_written_is_told(planned: Planner, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    _, caches = planned(f"cache.folder={tmp_path / 'taken'}")
    with pytest.raises(TeacherError) as caught:
        prepare_caches(caches)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path / "taken") in message
    assert "set cache.folder to" in message


def test_answers_beyond_float16_are_found_before_anything_is_built(spec_text: str) -> None:
    plan = make_plan(parse_spec(spec_text, ["cache.dtype=float16"]))
    teachers = teachers_of(plan)
    head = teachers["teacher"].network.head
    assert head is not None
    head.bias.data += 1e5
    with pytest.raises(SpecError) as caught:
        plan_caches(plan, teachers)
    assert str(caught.value) == (
        "--set cache.dtype=float16: the teacher's logits values are beyond what "
        "float16 holds; set cache.dtype to float32, or cache.disk_gb to 0"
    )
    spec = plan.spec.model_copy(update={"cache": CacheSection()})
    assert plan_caches(replace(plan, spec=spec), teachers).bytes > 0


def build(cache: TeacherCache, teacher: Teacher, data: Dataset, epochs: int) -> None:
    builder: CacheBuilder = CacheBuilder(cache.plan, teacher, data, torch.device("cpu"))
    for epoch in range(epochs):
        builder.build_epoch(epoch)


def test_what_is_there_already_is_not_counted_again(planned: Planner) -> None:
    words = (AUGMENT, "training.epochs=4", "methods=[kd]")
    plan, caches = planned(*words)
    cache = caches.teachers["teacher"]
    build(cache, teachers_of(plan)["teacher"], plan.data, 3)
    assert [cache.missing(epochs) for epochs in (1, 3, 4, 9)] == [0, 0, 1, 1]
    assert cache.seconds is not None
    assert cache.seconds_left == pytest.approx(cache.seconds)
    _, again = planned(*words)
    assert again.teachers["teacher"].missing(4) == 1
    _, other = planned(*words, "study.seed=8")
    assert other.teachers["teacher"].missing(4) == 4


@pytest.mark.parametrize(
    ("workers", "ahead", "seconds", "epochs"),
    [
        (None, None, WORTH_WORKERS / 9 / 2, 0),  # quickly done
        (None, None, WORTH_WORKERS / 9 * 2, 3),  # a quarter of 9, rounded up
        (None, 5, WORTH_WORKERS, 5),
        (None, 5, 1.0, 0),
        (None, None, None, 0),  # not known
        (2, None, None, 3),
        (2, None, 0.0, 3),
        (2, 50, 0.0, 9),
        (0, 5, 9 * WORTH_WORKERS, 0),
    ],
)
def test_epochs_that_workers_build_ahead(
    planned: Planner, workers: int | None, ahead: int | None, seconds: float | None, epochs: int
) -> None:
    _, caches = planned(AUGMENT, "training.epochs=9", "methods=[kd]")
    cache = replace(caches.teachers["teacher"], seconds=seconds)
    assert epochs_ahead(cache, CacheSection(workers=workers, ahead=ahead)) == epochs


def test_of_images_that_never_change_one_epoch_is_built_ahead(planned: Planner) -> None:
    _, caches = planned("training.epochs=9", "methods=[kd]")
    assert epochs_ahead(caches.teachers["teacher"], CacheSection(workers=1)) == 1


def test_the_section_names_every_signal() -> None:
    assert set(CacheSection().signals) == {signal.value for signal in Signal}


@pytest.mark.parametrize("setting", ["cache.dtype=float16", "cache.top_k=3", "cache.top_k=99"])
def test_what_storing_has_changed_is_the_worst_of_all_files(planned: Planner, setting: str) -> None:
    plan, caches = planned(AUGMENT, "training.epochs=3", "methods=[kd]", setting)
    cache, teacher = caches.teachers["teacher"], teachers_of(plan)["teacher"]
    assert caches.errors() == {"teacher": {}}
    build(cache, teacher, plan.data, 3)
    found = caches.errors()["teacher"]
    if setting == "cache.top_k=99":  # more than there are classes
        assert found == {}
        return
    worst = 0.0
    for epoch in range(3):
        views = views_of(cache.plan, plan.data, torch.device("cpu"))
        images, _ = pictured(views.batch(torch.arange(SAMPLES), epoch))
        logits = teacher.network(images)
        stored = logits.half().float() if setting.endswith("16") else without_rest(logits)
        worst = max(worst, float((logits - stored).abs().max()))
    assert found["logits"]["worst"] == pytest.approx(worst, rel=1e-3)
    assert found["logits"].keys() == {"worst", "relative", "kl"}


def without_rest(logits: torch.Tensor) -> torch.Tensor:
    """All but the three largest replaced by the log of their mean exponential."""
    values, places = logits.topk(3, dim=1)
    others = logits.exp().sum(dim=1) - values.exp().sum(dim=1)
    rest = (others / (logits.shape[1] - 3)).log()
    return rest[:, None].expand_as(logits).scatter(1, places, values)


@pytest.mark.parametrize(
    ("wrong", "at", "words"),
    [
        ("disk_gb: -1", "disk_gb", "cache.disk_gb must be at least 0, not -1"),
        ("disk_gb: much", "disk_gb", "cache.disk_gb must be a number, not 'much'"),
        ("disk_gb: .inf", "disk_gb", "cache.disk_gb must be a finite number, not inf"),
        ("signals: [logits, maps]", "maps", "'maps'"),
        ("signals: logits", "signals", "cache.signals must be"),
        ("dtype: bfloat16", "dtype", "cache.dtype must be 'float32' or 'float16'"),
        ("top_k: 0", "top_k", "cache.top_k must be at least 1, not 0"),
        ("top_k: 2.5", "top_k", "cache.top_k must be a whole number, not 2.5"),
        ("workers: -1", "workers", "cache.workers must be at least 0, not -1"),
        ("ahead: 0", "ahead", "cache.ahead must be at least 1, not 0"),
        ("folders: here", "folders", "unknown key 'cache.folders'; did you mean 'folder'?"),
    ],
)
def test_a_fault_in_the_section_is_told_at_its_place(
    spec_text: str, wrong: str, at: str, words: str
) -> None:
    text = f"{spec_text.rstrip()}\ncache:\n  {wrong}\n"
    with pytest.raises(SpecError) as caught:
        parse_spec(text, file="space.yaml")
    message = str(caught.value)
    assert "\n" not in message
    line = text.splitlines().index(f"  {wrong}") + 1
    assert message.startswith(f"space.yaml:{line}:")
    assert words in message
