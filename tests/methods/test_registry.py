import pytest

from kdsearch.errors import MethodError
from kdsearch.methods import (
    METHODS,
    UNDISTILLED,
    label_hyperparameters,
    method_config,
    method_names,
    parse_label,
)
from kdsearch.methods.at import AttentionTransfer
from kdsearch.methods.hyperparameter import SCHEDULE, Hyperparameter
from kdsearch.methods.kd import KD
from kdsearch.methods.labels import check_value
from kdsearch.methods.rkd import RKD

PUBLISHED = {
    # label: (CE weight, weight, temperature), from the papers and their reference code
    "kd": (0.1, 0.9, 4.0),
    "mse_logits": (0.0, 1.0, None),
    "hard_label": (0.5, 0.5, None),
    "dkd": (1.0, 1.0, 4.0),
    "dist": (1.0, 2.0, 4.0),
    "fitnet": (1.0, 100.0, None),
    "at": (1.0, 1000.0, None),
    "rkd": (1.0, 1.0, None),
    "logit_std": (0.1, 9.0, 2.0),
    "nkd": (1.0, 1.0, 1.0),
    "mlkd": (0.2, 1.35, 4.0),
    "nst": (1.0, 50.0, None),
    "fsp": (1.0, 1.0, None),
    "vid": (1.0, 1.0, None),
    "ab": (1.0, 1.0, None),
    "ft": (1.0, 500.0, None),
    "ofd": (1.0, 1e-3, None),
    "reviewkd": (1.0, 1.0, None),
    "simkd": (0.0, 1.0, None),
    "semckd": (1.0, 400.0, None),
    "sp": (1.0, 3000.0, None),
    "pkt": (1.0, 30000.0, None),
    "cc": (1.0, 100.0, None),
    "crd": (1.0, 0.8, 0.07),
    "adversarial": (1.0, 0.5, None),
    "adversarial_embedding": (1.0, 0.5, None),
    "weight_copy": (1.0, None, None),
    "pseudo_label": (1.0, 3.0, None),
    "coral": (1.0, 1.0, None),
    "mmd": (1.0, 1.0, None),
    "dann": (1.0, 1.0, None),
    "adabn": (1.0, None, None),
    "fixmatch": (1.0, 1.0, None),
    "noisy_student": (1.0, 1.0, None),
}


def test_every_method_is_listed_under_its_name():
    assert {cls.name for cls in METHODS.values()} == set(METHODS) == set(PUBLISHED)
    assert all(cls.name == name for name, cls in METHODS.items())
    assert method_names() == (UNDISTILLED, *METHODS)


def test_methods_cannot_be_changed():
    with pytest.raises(TypeError):
        METHODS["own"] = KD


@pytest.mark.parametrize("label", PUBLISHED)
def test_published_defaults(label):
    config = method_config(label, {})
    (term,) = config.terms
    found = (
        config.ce_weight,
        term.hyperparameters.get("weight"),
        term.hyperparameters.get("temperature"),
    )
    assert found == PUBLISHED[label]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("fitnet", 5, 500), ("at", 50, 5000), ("rkd", 0.05, 5)]
)
def test_feature_and_relation_weights_range_around_the_published_one(name, low, high):
    declared = METHODS[name].hyperparameters["weight"]
    assert declared.search.bounds() == (low, high)


def test_labels_are_parsed_in_their_order():
    assert parse_label("kd") == (KD,)
    assert parse_label("rkd+kd+at") == (RKD, KD, AttentionTransfer)
    assert parse_label("none") == ()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("dk", "unknown method 'dk'; did you mean 'dkd'?"),
        ("kd+rdk", "unknown method 'rdk'; did you mean 'rkd'?"),
        ("noone", "did you mean 'none'?"),
        ("zzz", "unknown method 'zzz'; (valid|the nearest)"),
        ("kd+kd", "holds 'kd' twice; remove one"),
        ("at+rkd+at", "holds 'at' twice; remove one"),
        ("kd+dkd", r"more than one logit term \(kd, dkd\)"),
        ("none+kd", "'none' is the undistilled baseline"),
        ("kd+none", "cannot be part of the sum 'kd\\+none'"),
        ("none+none", "'none' is the undistilled baseline"),
        ("", "name is empty"),
        ("kd+", "names no method on one side"),
        ("+at", "names no method on one side"),
        ("kd + at", "unknown method 'kd '; did you mean 'kd'"),
    ],
)
def test_wrong_labels_are_refused_with_what_to_do(label, message):
    for use in (parse_label, label_hyperparameters, lambda given: method_config(given, {})):
        with pytest.raises(MethodError, match=message.replace("?", r"\?")):
            use(label)


def test_a_single_term_keeps_its_own_names():
    found = label_hyperparameters("kd")
    assert list(found) == ["weight", "temperature", *SCHEDULE, "ce_weight"]
    assert found["temperature"] is KD.hyperparameters["temperature"]
    assert found["ce_weight"].search is None


def test_a_sum_has_the_terms_names_in_front():
    found = label_hyperparameters("kd+at")
    names = ["kd.weight", "kd.temperature", "kd.start", "kd.ramp", "kd.decay", "at.weight"]
    assert list(found) == [*names, "at.start", "at.ramp", "at.decay", "ce_weight"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [("at+kd", 0.1), ("hard_label+rkd", 0.5), ("at+rkd", 1.0), ("dkd+fitnet", 1.0)],
)
def test_ce_weight_is_that_of_the_first_term_that_lowers_it(label, expected):
    assert label_hyperparameters(label)["ce_weight"].default == expected


def test_values_reach_their_terms():
    config = method_config("kd+at", {"kd.temperature": 2, "at.weight": 300.0, "ce_weight": 0})
    assert config.label == "kd+at"
    assert config.ce_weight == 0
    kd, at = config.terms
    assert (kd.name, kd.hyperparameters) == ("kd", {"weight": 0.9, "temperature": 2.0})
    assert (at.name, at.hyperparameters) == ("at", {"weight": 300.0})


def test_the_undistilled_baseline_is_the_cross_entropy_alone():
    assert label_hyperparameters("none") == {}
    config = method_config("none", {})
    assert (config.label, config.ce_weight, config.terms) == ("none", 1.0, ())


@pytest.mark.parametrize(
    ("label", "values", "message"),
    [
        ("kd", {"temprature": 4.0}, "no hyperparameter 'temprature'; did you mean 'temperature'"),
        ("kd", {"kd.temperature": 4.0}, "did you mean 'temperature'"),
        ("kd+at", {"temperature": 4.0}, "did you mean 'kd.temperature'"),
        ("none", {"weight": 1.0}, "'none' has no hyperparameters; remove 'weight'"),
        ("kd", {"temperature": 0.0}, "kd: 'temperature' must be at least 0.05, not 0"),
        ("kd+at", {"kd.temperature": 0.0}, r"kd\+at: 'kd.temperature' must be at least 0.05"),
        ("kd", {"weight": -1.0}, "'weight' must be at least 0, not -1"),
        ("kd", {"weight": float("nan")}, "must be a finite number, not nan"),
        ("kd", {"weight": float("inf")}, "must be a finite number, not inf"),
        ("kd", {"weight": "much"}, "must be a finite number, not 'much'"),
        ("kd", {"weight": True}, "must be a finite number, not True"),
        ("kd", {"ce_weight": -0.1}, "'ce_weight' must be at least 0"),
        ("fitnet", {"stage": 1.5}, "'stage' must be a whole number of at least 1, not 1.5"),
        ("fitnet", {"stage": 0}, "'stage' must be a whole number of at least 1, not 0"),
    ],
)
def test_wrong_values_are_refused_with_what_to_do(label, values, message):
    with pytest.raises(MethodError, match=message):
        method_config(label, values)


def test_check_value_accepts_the_ends():
    number = Hyperparameter(1.0, None, "a number")
    check_value("kd", "weight", number, 0)
    check_value("kd", "temperature", number, 1e-3)
    check_value("fitnet", "stage", Hyperparameter(1.0, None, "a stage", whole=True), 1.0)
    with pytest.raises(MethodError):
        check_value("kd", "weight", number, -1e-9)
