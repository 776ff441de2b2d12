"""The ways of a study: what is refused, what is proposed, and what is known of it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from kdsearch.errors import SpecError
from kdsearch.methods import method_config
from kdsearch.render.plan import unfit_lines
from kdsearch.space.checks import Plan, make_plan
from kdsearch.space.compatibility import Pairs
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import ModelConfig
from kdsearch.ways import way_configs, way_label

EVERY = "ways={none: {}, quantize: {bits: {choices: [2, 4]}}, low_rank+quantize: {}, sparse: {}}"
CONVNET = "students=[{family: convnet, depth: {low: 2, high: 3}, width: {low: 0.2, high: 1.0}}]"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("ways=[quantise]", "did you mean 'quantize'"),
        ("ways=[]", "ways"),
        ("ways=[none, none]", "the way 'none' is named twice"),
        ("ways=[{quantize: {bits: 4}}]", "must be a way's name"),
        ("ways={quantize: {bit: 4}}", "did you mean 'bits'"),
        ("ways={none: {bits: 4}}", "'none' has no hyperparameters"),
        ("ways={quantize: {bits: 9}}", "at most 8"),
        ("ways={quantize: {bits: {low: 2, high: 8, step: 0.5}}}", "is a whole number"),
        ("ways={low_rank: {rank: 1.5}}", "at most"),
        ("ways={low_rank+quantize: {bits: 4}}", "has no hyperparameter 'bits'"),
        ("ways=[quantize+sparse]", "both change how weights are stored"),
        ("ways=[none+quantize]", "in a sum"),
    ],
)
def test_what_no_way_has_is_refused_at_its_place(spec_text: str, override: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_plan(parse_spec(spec_text, [override]))
    assert words in str(caught.value)
    assert "--set ways" in str(caught.value)


def test_a_way_of_no_student_is_refused_with_the_reason(spec_text: str) -> None:
    spec = parse_spec(spec_text, [CONVNET, "ways=[none, share]"])
    with pytest.raises(SpecError, match=r"no two blocks alike .* share works on no student"):
        make_plan(spec)
    narrow = "students=[{family: convnet, depth: 2, width: 0.1}]"
    spec = parse_spec(spec_text, [narrow, "ways={none: {}, codebook: {entries: 256}}"])
    with pytest.raises(SpecError, match="codebook works on no student of the study"):
        make_plan(spec)


def test_a_student_of_which_no_way_makes_anything_is_refused(spec_text: str) -> None:
    deep = "students=[{family: convnet, depth: 2}, {family: mlp, depth: 4}]"
    spec = parse_spec(spec_text, [deep, "ways=[share]", "methods=[none]"])
    with pytest.raises(SpecError, match="none of the ways works on convnet"):
        make_plan(spec)


def test_a_way_keeps_to_the_students_that_it_works_on(spec_text: str) -> None:
    deep = "students=[{family: convnet, depth: 2}, {family: mlp, depth: 4}]"
    plan = make_plan(parse_spec(spec_text, [deep, "ways=[none, share]", "methods=[none]"]))
    assert set(plan.space.fitting.unfit_ways) == {("share", "convnet")}
    (line,) = unfit_lines(plan.space.fitting)
    assert line.startswith("never proposed: share of convnet: no two blocks")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [plan.space.suggest(study.ask()).model for _ in range(40)]
    found = {(model.family, way_label(model.ways)) for model in drawn}
    assert found == {("convnet", "none"), ("mlp", "none"), ("mlp", "share")}


def test_a_trial_has_the_values_of_its_own_way_alone(spec_text: str) -> None:
    plan = make_plan(parse_spec(spec_text, [CONVNET, EVERY, "methods=[none, kd]"]))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    met = set()
    for _ in range(60):
        trial = study.ask()
        model = plan.space.suggest(trial).model
        label = way_label(model.ways)
        assert trial.params["way"] == label
        own = {name for name in trial.params if name.startswith(f"{label}.")}
        other = {"quantize.bits", "low_rank+quantize.low_rank.rank", "sparse.sparsity"} - own
        assert not other & set(trial.params)
        if label == "quantize":
            assert model.ways[0].values["bits"] in (2, 4)
        met.add(label)
    assert met == {"none", "quantize", "low_rank+quantize", "sparse"}


def test_a_size_that_only_a_way_keeps_is_no_reason_to_refuse(spec_text: str) -> None:
    fixed = "students=[{family: convnet, depth: 2, width: 1.0}]"
    plain = make_plan(parse_spec(spec_text, [fixed, "methods=[none]"]))
    size = plan_bytes(plain)
    limit = f"search.max_bytes={size // 2}"
    with pytest.raises(SpecError, match=r"search\.max_bytes"):
        make_plan(parse_spec(spec_text, [fixed, "methods=[none]", limit]))
    make_plan(parse_spec(spec_text, [fixed, "methods=[none]", limit, "ways=[quantize]"]))


def plan_bytes(plan: Plan) -> int:
    model = plan.space.suggest(optuna.trial.FixedTrial({"lr": 0.1})).model
    return plan.architectures.size(model).bytes


def test_a_way_of_the_users_that_breaks_is_told_at_its_line(
    spec_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_ways.py").write_text(
        "from kdsearch.ways import Way\n\n"
        "class Broken(Way):\n"
        "    name, about, paper, changes = 'broken', 'breaks', 'our own', 'layers'\n"
        "    hyperparameters = {}\n\n"
        "    def fill(self, network, whole):\n"
        "        raise RuntimeError('no luck')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = parse_spec(spec_text, [CONVNET, "methods=[none]", "ways=[none, 'own_ways:Broken']"])
    with pytest.raises(SpecError, match=r"own_ways:Broken.* cannot be used, since .*no luck"):
        make_plan(spec)


PRUNED = "ways={prune: {factor: 2.0, cuts: 1}}"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["ways={prune: {cuts: 8}}", "training.epochs=8"],
            "with 8 cuts a training needs at least 9 epochs, and it has 8",
        ),
        (
            ["ways={prune: {cuts: 4}}", "search.strategy=ladder", "training.epochs=12"],
            "with 4 cuts a training needs at least 5 epochs, and it has 4",
        ),
        (
            ["ways={prune: {factor: 1.02, cuts: 1}}", "students=[{family: mlp, width: 0.1}]"],
            "no more channels than the student; raise the way's factor",
        ),
        ([PRUNED, "methods=[none, weight_copy]"], "the wider network of prune"),
        (
            [
                PRUNED,
                "teacher.model={family: convnet, depth: 2, width: 0.5}",
                "students=[{family: convnet, depth: 2, width: 0.5, init: cut_from_teacher}]",
            ],
            "no more channels than the student; raise the way's factor, or narrow the student",
        ),
        (
            [PRUNED, "students=[{family: 'tests.space.own_networks:layer_norm', width: 0.5}]"],
            "a LayerNorm is none of the layers that are cut",
        ),
    ],
)
def test_a_student_that_cannot_be_cut_from_a_wider_one_is_refused(
    spec_text: str, overrides: list[str], words: str
) -> None:
    spec = parse_spec(spec_text, [CONVNET, "methods=[none, kd]", "training.epochs=2", *overrides])
    with pytest.raises(SpecError, match=words):
        make_plan(spec)


def test_what_sets_the_students_weights_or_teaches_its_like_is_not_pruned(spec_text: str) -> None:
    plan = make_plan(parse_spec(spec_text, [CONVNET, "training.epochs=2"]))
    pairs = Pairs(plan.spec, plan.architectures)
    ways = way_configs("prune", {})
    student = ModelConfig(family="convnet", depth=2, width=0.5, ways=ways)
    for label, teacher, words in [
        ("weight_copy", "teacher", "the wider network of prune"),
        ("simkd", "teacher", "the wider network of prune"),
        ("ab", "teacher", "ab prepares a student in its first epochs, and each stage of prune"),
        ("kd", "born_again", "prune cuts a student while it is trained, and born_again"),
        ("kd", "mutual", "and mutual trains another"),
    ]:
        assert words in pairs.reason(method_config(label, {}), teacher, student)
    assert pairs.reason(method_config("kd", {}), "teacher", student) == ""


def test_the_importance_is_searched_where_students_are_cut(spec_text: str) -> None:
    entry = "students=[{family: convnet, depth: 2, width: 0.5, importance: [bn_scale, taylor]}]"
    ways = "ways={none: {}, prune: {cuts: 1}, quantize: {}}"
    plan = make_plan(parse_spec(spec_text, [entry, ways, "training.epochs=2"]))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = set()
    for _ in range(60):
        trial = study.ask()
        model = plan.space.suggest(trial).model
        assert (way_label(model.ways) == "prune") == ("convnet.importance" in trial.params)
        found.add((way_label(model.ways), model.importance))
    assert found == {
        ("none", "magnitude"),
        ("quantize", "magnitude"),
        ("prune", "bn_scale"),
        ("prune", "taylor"),
    }


def test_each_importance_must_be_one_by_which_students_can_be_cut(spec_text: str) -> None:
    entry = "students=[{family: mlp, depth: 2, width: 0.5, importance: [magnitude, bn_scale]}]"
    spec = parse_spec(spec_text, [entry, PRUNED, "methods=[none]", "training.epochs=2"])
    with pytest.raises(SpecError, match="bn_scale"):
        make_plan(spec)


@pytest.mark.parametrize("ways", ["none: {}, ", ""])
@pytest.mark.parametrize("epochs", [4, 12])
def test_pruning_is_refused_only_where_no_end_of_its_ranges_works(
    spec_text: str, ways: str, epochs: int
) -> None:
    """The lowest factor cuts nothing, and the most cuts are too many for four epochs."""
    entry = "students=[{family: convnet, depth: 2, width: 0.3}]"
    given = f"ways={{{ways}prune: {{factor: {{low: 1.02, high: 1.9}}}}}}"
    overrides = [entry, given, "methods=[none, kd]", f"training.epochs={epochs}"]
    plan = make_plan(parse_spec(spec_text, overrides))
    assert plan.space.fitting.unfit_ways == {}
    assert plan.space.fitting.unfit == {}
