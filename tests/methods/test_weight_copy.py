from dataclasses import replace

import pytest
import torch

from kdsearch.compression.matching import evenly_spaced, match_weights
from kdsearch.errors import MethodError
from kdsearch.methods import Objective, method_config
from kdsearch.methods.targets import Targets
from kdsearch.methods.weight_copy import WeightCopy
from kdsearch.models import Input, Network, SignalShapes, blueprint, build_network, of_images
from kdsearch.spec.concrete import ModelConfig

SHAPE = (3, 16, 16)


def network_of(family: str, seed: int = 0, **values: float) -> Network:
    """A network whose batch statistics and step counters are no longer the first ones."""
    torch.manual_seed(seed)
    network = build_network(ModelConfig(family=family, **values), of_images(SHAPE), 10)
    with torch.no_grad():
        for _ in range(1 + seed):
            network(torch.randn(4, *SHAPE))
    return network.eval()


def shapes_of(family: str, **values: float) -> SignalShapes:
    return blueprint(ModelConfig(family=family, **values), of_images(SHAPE), 10).signal_shapes()


def copied(student: Network, teacher: Network) -> Network:
    method = WeightCopy(student.signal_shapes(), teacher.signal_shapes())
    method.prepare(student, teacher, 32)
    return student


def assert_slices(student: Network, teacher: Network, moved: dict[str, str]) -> None:
    """Every tensor of the student is the leading slice of the one of the same name.

    Args:
        student: The student after the copy.
        teacher: Its teacher.
        moved: For layers that stand at another place in the teacher, their prefixes in both.
    """
    theirs = teacher.state_dict()
    for name, values in student.state_dict().items():
        layer = next((prefix for prefix in moved if name.startswith(f"{prefix}.")), None)
        source = theirs[name if layer is None else moved[layer] + name.removeprefix(layer)]
        for dimension, size in enumerate(values.shape):
            source = source.narrow(dimension, 0, size)
        assert values.dtype == source.dtype
        assert torch.equal(values, source), name


DEPTHS = [
    # family, student, teacher, and where the student's layers stand in the teacher
    ("resnet", {"depth": 8, "width": 0.5}, {"depth": 20}, {}),
    (
        "resnet",
        {"depth": 14},
        {"depth": 26},
        # four blocks a stage; behind a projected shortcut three, of which one is kept: the first
        {"stages.0.4": "stages.0.6"},
    ),
    (
        "resnet",
        {"depth": 26, "width": 0.5},
        {"depth": 44},
        {
            # blocks 3 to 6 of 3 to 9, and behind a shortcut 1 to 3 of 1 to 6
            "stages.0.4": "stages.0.5",
            "stages.0.5": "stages.0.7",
            "stages.0.6": "stages.0.9",
            "stages.1.2": "stages.1.4",
            "stages.1.3": "stages.1.6",
            "stages.2.2": "stages.2.4",
            "stages.2.3": "stages.2.6",
        },
    ),
    (
        "wide_resnet",
        {"depth": 10, "width": 2},
        {"depth": 16, "width": 4},
        {"stages.2.1": "stages.2.2"},
    ),
    (
        "wide_resnet",
        {"depth": 22, "width": 2},
        {"depth": 28, "width": 2},
        {
            "stages.0.3": "stages.0.4",
            "stages.1.2": "stages.1.3",
            "stages.2.2": "stages.2.3",
            "stages.2.3": "stages.2.4",  # the last normalisation
        },
    ),
    # the student's blocks have no projected shortcut, so the teacher's first one is left out
    (
        "wide_resnet",
        {"depth": 10, "width": 1},
        {"depth": 16, "width": 2},
        {"stages.0.1": "stages.0.2", "stages.2.1": "stages.2.2"},
    ),
    # one of two convolutions of each block, the first
    ("vgg", {"depth": 8, "width": 0.5}, {"depth": 13}, {}),
    (
        "vgg",
        {"depth": 11, "width": 0.25},
        {"depth": 16, "width": 0.5},
        {
            "stages.1.4": "stages.1.7",
            "stages.1.5": "stages.1.8",
            "stages.2.4": "stages.2.7",
            "stages.2.5": "stages.2.8",
            "stages.3.3": "stages.3.6",
            "stages.3.4": "stages.3.7",
        },
    ),
    ("convnet", {"depth": 2, "width": 0.5}, {"depth": 3}, {"stages.1": "stages.2"}),
    ("convnet", {"depth": 3}, {"depth": 5}, {"stages.1": "stages.2", "stages.2": "stages.4"}),
    ("mlp", {"depth": 1, "width": 0.25}, {"depth": 3}, {}),
    (
        "mlp",
        {"depth": 3, "width": 0.5},
        {"depth": 6},
        {"stages.1": "stages.3", "stages.2": "stages.5"},
    ),
]

WIDTHS = [
    ("mobilenet_v2", {"width": 0.5}, {}, {}),
    ("shufflenet_v2", {"width": 0.5}, {}, {}),
    ("resnet", {"depth": 14, "width": 0.75}, {"depth": 14}, {}),
    ("wide_resnet", {"depth": 16, "width": 1}, {"depth": 16, "width": 2}, {}),
    ("torchvision/resnet18", {"width": 0.5}, {}, {}),
    ("torchvision/mobilenet_v3_small", {"width": 0.5}, {}, {}),
]


@pytest.mark.parametrize(
    ("family", "narrow", "wide", "moved"),
    [pytest.param(*case, id=f"{case[0]} {case[1]} of {case[2]}") for case in (*DEPTHS, *WIDTHS)],
)
def test_students_are_leading_slices_of_chosen_layers(family, narrow, wide, moved):
    teacher = network_of(family, seed=1, **wide)
    before = {name: values.clone() for name, values in teacher.state_dict().items()}
    student = copied(network_of(family, **narrow), teacher)
    assert_slices(student, teacher, moved)
    assert all(torch.equal(values, before[n]) for n, values in teacher.state_dict().items())
    assert torch.isfinite(student(torch.randn(2, *SHAPE))).all()


@pytest.mark.parametrize(
    ("family", "depth"),
    [
        ("resnet", 14),
        ("wide_resnet", 16),
        ("vgg", 13),
        ("mobilenet_v2", None),
        ("shufflenet_v2", None),
        ("convnet", 3),
        ("mlp", 3),
        ("torchvision/resnet18", None),
        ("torchvision/mobilenet_v3_small", None),
    ],
)
def test_a_student_of_the_teachers_size_answers_as_the_teacher(family, depth):
    config = {} if depth is None else {"depth": depth}
    teacher = network_of(family, seed=1, **config)
    student = network_of(family, seed=0, **config)
    images = torch.randn(3, *SHAPE)
    assert not torch.equal(student(images), teacher(images))
    copied(student, teacher)
    assert torch.equal(student(images), teacher(images))
    own, theirs = student.state_dict(), teacher.state_dict()
    assert all(own[name].data_ptr() != theirs[name].data_ptr() for name in own)


def test_batch_statistics_and_their_counters_are_copied():
    student = copied(network_of("convnet", width=0.5), teacher := network_of("convnet", seed=4))
    own, theirs = student.stages[0][1], teacher.stages[0][1]
    assert own.num_batches_tracked == theirs.num_batches_tracked == 5
    assert torch.equal(own.running_mean, theirs.running_mean[:8])
    assert torch.equal(own.running_var, theirs.running_var[:8])


@pytest.mark.parametrize("total", range(1, 12))
def test_even_spacing_keeps_first_and_last(total):
    for count in range(1, total + 1):
        places = evenly_spaced(count, total)
        assert places == sorted(set(places))
        assert len(places) == count
        assert (places[0], places[-1]) == (0, total - 1 if count > 1 else 0)
        gap = (total - 1) / max(count - 1, 1)
        assert all(abs(place - index * gap) <= 0.5 for index, place in enumerate(places))
    assert evenly_spaced(0, total) == []


CONVOLUTION, NORM, BLOCK = {"weight": (4, 4, 3, 3)}, {"weight": (4,)}, {"conv.weight": (4, 4, 1, 1)}


def row(*layers: tuple[int, dict[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    return {f"{place}.{name}": shape for place, layer in layers for name, shape in layer.items()}


@pytest.mark.parametrize(
    ("student", "teacher", "places"),
    [
        # a convolution and its normalisation stay together
        (
            row((0, CONVOLUTION), (1, NORM)),
            row((0, CONVOLUTION), (1, NORM), (3, CONVOLUTION), (4, NORM)),
            "01",
        ),
        # numbers shifted by layers without weights
        (row((2, CONVOLUTION), (5, BLOCK)), row((0, CONVOLUTION), (3, BLOCK)), "03"),
        (row((0, BLOCK), (1, BLOCK)), row(*((place, BLOCK) for place in range(5))), "04"),
        (row((0, BLOCK), (1, BLOCK), (2, BLOCK)), row(*((p, BLOCK) for p in range(5))), "024"),
        # a run that the student lacks
        (row((0, BLOCK)), row((0, CONVOLUTION), (1, CONVOLUTION), (2, BLOCK)), "2"),
        # rather some of every run than all of one
        (row((0, BLOCK), (1, BLOCK)), row((0, BLOCK), (1, BLOCK), (2, NORM), (3, BLOCK)), "03"),
        (
            row((0, CONVOLUTION), (1, BLOCK)),
            row((0, CONVOLUTION), (1, CONVOLUTION), (2, BLOCK), (3, BLOCK)),
            "02",
        ),
    ],
)
def test_layers_are_chosen_by_order(student, teacher, places):
    names = match_weights(student, teacher)
    assert sorted({name.split(".")[0] for name in names.values()}) == list(places)
    assert [n.split(".", 1)[1] for n in names] == [n.split(".", 1)[1] for n in names.values()]


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (row((0, BLOCK), (1, BLOCK)), row((0, BLOCK))),
        (row((0, BLOCK), (1, NORM)), row((0, NORM), (1, BLOCK))),
        (row((0, CONVOLUTION)), row((0, NORM))),
        ({"a.weight": (2, 2)}, {"b.weight": (2, 2)}),
        ({"a.weight": (2, 2)}, {"a": (2, 2)}),
        ({"a.weight": (2, 2), "a.bias": (2,)}, {"a.weight": (2, 2)}),
    ],
)
def test_layers_without_a_counterpart_do_not_match(student, teacher):
    assert match_weights(student, teacher) is None


def test_unfit_pairs_have_a_reason():
    small, large = shapes_of("resnet", depth=8), shapes_of("resnet", depth=14)
    assert WeightCopy.unfit(small, large) is None
    assert WeightCopy.unfit(small, small) is None
    assert "layers that match none" in WeightCopy.unfit(large, small)
    wide = shapes_of("resnet", depth=8, width=2)
    reason = WeightCopy.unfit(wide, large)
    assert "stages.0.0.weight [32, 3, 3, 3] is larger than the teacher's" in reason
    assert "is a resnet, the teacher a vgg" in WeightCopy.unfit(small, shapes_of("vgg"))
    assert "classes" in WeightCopy.unfit(small, replace(large, classes=7))
    assert "the teacher's are not known" in WeightCopy.unfit(small, replace(large, family=""))
    assert "the student's are not known" in WeightCopy.unfit(replace(small, weights={}), large)


def test_a_student_that_adopts_a_classifier_is_unfit():
    teacher = ModelConfig(family="resnet", depth=14)
    student = shapes_of("resnet", depth=8, adopts=teacher)
    reason = WeightCopy.unfit(student, shapes_of("resnet", depth=14))
    assert reason.startswith("the student adopts the teacher's classifier")
    with pytest.raises(MethodError, match=r"weight_copy cannot work .* adopts"):
        WeightCopy(student, shapes_of("resnet", depth=14))


def test_has_no_loss_and_no_hyperparameters():
    shapes = shapes_of("convnet")
    method = WeightCopy(shapes, shapes)
    assert (dict(WeightCopy.hyperparameters), method.values) == ({}, {})
    assert WeightCopy.signals == frozenset()
    assert [method.factor(progress) for progress in (0.0, 0.5, 1.0)] == [0.0] * 3
    assert list(method.parameters()) == []
    with pytest.raises(MethodError, match="no hyperparameter 'weight'"):
        WeightCopy(shapes, shapes, weight=1.0)


def test_the_other_terms_of_a_sum_train_the_student_from_there():
    teacher = network_of("convnet", seed=1)
    student = network_of("convnet", width=0.5)
    config = method_config("kd+kdsearch.methods.weight_copy:WeightCopy", {})
    objective = Objective(config, student.signal_shapes(), teacher.signal_shapes())
    objective.prepare(student, teacher, 32)
    assert_slices(student, teacher, {})
    images, targets = torch.randn(4, *SHAPE), Targets(torch.arange(4))
    with torch.no_grad():
        answers = teacher.observe({"image": images}, objective.signals)
    parts = objective(
        student.observe({"image": images}, objective.signals), answers, {"label": targets}, 0.0
    )
    assert parts.keys() == {"ce", "kd", "loss"}
    parts["loss"].backward()
    assert all(weight.grad is not None for weight in student.parameters())


def test_networks_of_other_inputs_do_not_match() -> None:
    """A perceptron's first layer has its inputs side by side, of which a slice would be others."""
    inputs = {"a": Input("numbers", (3,)), "b": Input("numbers", (2,))}
    teacher = ModelConfig(family="mlp", width=1)
    theirs = build_network(teacher, inputs, 10).signal_shapes()
    for names, fits in ((("a", "b"), True), (("b", "a"), False), (("b",), False)):
        student = ModelConfig(family="mlp", width=0.5, inputs=names)
        reason = WeightCopy.unfit(build_network(student, inputs, 10).signal_shapes(), theirs)
        assert (reason is None) == fits
        assert fits or "so their first layers are not alike" in str(reason)
