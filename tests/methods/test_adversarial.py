from copy import deepcopy
from math import log

import numpy as np
import pytest
import torch
from torch import nn

from kdsearch.errors import MethodError
from kdsearch.methods.adversarial import (
    Adversarial,
    AdversarialEmbedding,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes

both = pytest.mark.parametrize("cls", [Adversarial, AdversarialEmbedding])


def parts_of(method, student, teacher):
    batch = len(student.logits if student.logits is not None else student.embedding)
    return method(student, teacher, Targets(torch.zeros(batch, dtype=torch.long)), 0.5)


def parameters_of(module: nn.Module) -> list[torch.Tensor]:
    return list(module.parameters())


def random_weights(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A matrix whose singular values 3, 3/4, 3/16, ... let a power iteration converge fast."""
    count = min(rows, columns)
    left = np.linalg.qr(rng.normal(size=(rows, count)))[0]
    right = np.linalg.qr(rng.normal(size=(columns, count)))[0]
    return left @ np.diag(3.0 * 0.25 ** np.arange(count)) @ right.T


def settle(method, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give the discriminator random layers and settled norms; those layers, before the norms."""
    rng = np.random.default_rng(seed)
    layers = []
    for linear in method.discriminator.linears:
        weight = random_weights(rng, linear.out_features, linear.in_features)
        bias = rng.normal(size=linear.out_features)
        with torch.no_grad():
            linear.parametrizations.weight.original.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
        layers.append((weight, bias))
    method.train()
    for _ in range(60):
        method.discriminator.normalised()
    return layers


def score_of_one(output: np.ndarray, layers) -> float:
    hidden = (output - output.mean()) / np.sqrt(output.var() + 1e-5)
    for depth, (weight, bias) in enumerate(layers):
        hidden = weight @ hidden / np.linalg.svd(weight, compute_uv=False)[0] + bias
        if depth < len(layers) - 1:
            hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    return float(hidden[0])


def penalty_of_one(output: np.ndarray, layers) -> float:
    """½‖∂a/∂x‖² by central differences at the standardised output; a is piecewise linear."""
    middle = (output - output.mean()) / np.sqrt(output.var() + 1e-5)
    matrices = [weight / np.linalg.svd(weight, compute_uv=False)[0] for weight, _ in layers]

    def a(x: np.ndarray) -> float:
        for depth, (matrix, (_, bias)) in enumerate(zip(matrices, layers, strict=True)):
            x = matrix @ x + bias
            if depth < len(layers) - 1:
                x = np.where(x > 0, x, 0.2 * x)
        return float(x[0])

    steps = 1e-5 * np.eye(len(middle))
    return sum(((a(middle + h) - a(middle - h)) / 2e-5) ** 2 for h in steps) / 2


def sigmoid(score: float) -> float:
    return 1 / (1 + np.exp(-score))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("batch", "width"), [(1, 1), (5, 16), (8, 3)])
@both
def test_both_losses_for_a_fixed_discriminator(
    cls, batch, width, dtype, tolerance, student_shapes, teacher_shapes, random_signals
):
    method = cls(student_shapes, teacher_shapes, width=width).to(dtype)
    layers = settle(method, seed=batch)
    student = random_signals(student_shapes, batch=batch, dtype=dtype)
    teacher = random_signals(teacher_shapes, batch=batch, seed=1, dtype=dtype)
    o_s, o_t = student.logits.numpy(), teacher.logits.numpy()
    if cls is AdversarialEmbedding:
        weight, bias = (values.detach().numpy() for values in parameters_of(method.projector))
        o_s, o_t = student.embedding.numpy() @ weight.T + bias, teacher.embedding.numpy()
    d_s, d_t = ([sigmoid(score_of_one(o, layers)) for o in outputs] for outputs in (o_s, o_t))
    expected = {
        "generator": np.mean([-np.log(d) for d in d_s]),
        "discriminator": np.mean([-np.log(d) for d in d_t])
        + np.mean([-np.log(1 - d) for d in d_s]),
    }
    found = {name: value.item() for name, value in parts_of(method, student, teacher).items()}
    penalty = found.pop("penalty")
    assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)
    by_differences = 10 * np.mean([penalty_of_one(o, layers) for o in o_t])
    assert penalty == pytest.approx(by_differences, rel=max(tolerance, 1e-7))


def test_gradients_of_the_losses_are_those_of_finite_differences():
    torch.manual_seed(0)
    scores = [values.requires_grad_() for values in 3 * torch.randn(2, 5, dtype=torch.float64)]
    assert torch.autograd.gradcheck(discriminator_loss, scores)
    assert torch.autograd.gradcheck(generator_loss, scores[:1])


def test_the_penalty_is_autograds_gradient_and_can_be_differentiated():
    torch.manual_seed(0)
    shapes = SignalShapes(classes=6, embedding=4, features=())
    layers = Adversarial(shapes, shapes, width=5).double().discriminator.normalised()
    outputs = torch.randn(7, 6, dtype=torch.float64)
    standard = torch.nn.functional.layer_norm(outputs, (6,)).requires_grad_()
    hidden = standard
    for weight, bias in layers[:-1]:
        hidden = torch.nn.functional.leaky_relu(hidden @ weight.T + bias, 0.2)
    scores = hidden @ layers[-1][0].T + layers[-1][1]
    (gradient,) = torch.autograd.grad(scores.sum(), standard, create_graph=True)
    expected = gradient.square().sum(dim=1).mean() / 2
    found = gradient_penalty(outputs, layers)
    torch.testing.assert_close(found, expected)
    weights = [weight for weight, _ in layers]
    torch.testing.assert_close(
        torch.autograd.grad(found, weights, retain_graph=True),
        torch.autograd.grad(expected, weights),
    )


def test_the_penalty_has_its_weight(student_shapes, teacher_shapes, random_signals):
    found = {}
    for weight in (0.0, 1.0, 10.0):
        torch.manual_seed(0)
        method = Adversarial(student_shapes, teacher_shapes, penalty=weight)
        parts = parts_of(method, *map(random_signals, (student_shapes, teacher_shapes)))
        found[weight] = parts["penalty"].item()
    assert found[0.0] == 0.0
    assert found[10.0] == pytest.approx(10 * found[1.0], rel=1e-6)


def test_scores_of_ten_thousand_cost_what_the_limit_says():
    sure = torch.tensor([1e4], requires_grad=True)
    assert generator_loss(-sure).item() == 1e4
    assert discriminator_loss(-sure, sure).item() == 2e4
    assert generator_loss(sure).item() == 0.0
    # The student that is found out has the full gradient: log(1 − D) would have none.
    assert torch.autograd.grad(generator_loss(-sure), sure)[0].item() == 1.0


def test_an_undecided_discriminator_costs_two_log_two():
    zero = torch.zeros(4)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * log(2))
    assert generator_loss(zero).item() == pytest.approx(log(2))


@both
def test_each_part_trains_its_own_side_exactly(cls, student_shapes, teacher_shapes, random_signals):
    method = cls(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, dtype=torch.float32, requires_grad=True)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32, requires_grad=True)
    answer = student.logits if cls is Adversarial else student.embedding
    players = [answer, *([] if cls is Adversarial else method.projector.parameters())]
    judges = parameters_of(method.discriminator)
    parts = parts_of(method, student, teacher)

    def gradients(part, of):
        return torch.autograd.grad(parts[part], of, retain_graph=True, allow_unused=True)

    assert gradients("generator", judges) == (None,) * 6
    assert gradients("discriminator", players) == (None,) * len(players)
    assert gradients("penalty", players) == (None,) * len(players)
    own = torch.autograd.grad(parts["generator"], players, retain_graph=True)
    judged = torch.autograd.grad(
        parts["discriminator"] + parts["penalty"], judges, retain_graph=True
    )
    assert len(players) + len(judges) == len(parameters_of(method)) + 1
    weight = 0.25
    (weight * parts["generator"] + parts["discriminator"] + parts["penalty"]).backward()
    for group, alone, scale in ((players, own, weight), (judges, judged, 1.0)):
        for values, found in zip(group, alone, strict=True):
            assert found.abs().sum() > 0
            torch.testing.assert_close(values.grad, scale * found, rtol=1e-5, atol=1e-7)
    assert teacher.logits.grad is None
    assert teacher.embedding.grad is None


@both
def test_the_discriminator_can_be_trained_while_it_is_used(cls, student_shapes, teacher_shapes):
    method = cls(student_shapes, teacher_shapes)
    assert all(parameter.requires_grad for parameter in method.parameters())
    assert method.helper_parts == {"discriminator", "penalty"}
    assert method.kind == "adversarial"
    assert method.factor(0.5) == 0.5


@both
def test_every_layer_has_spectral_norm_one(cls, student_shapes, teacher_shapes):
    method = cls(student_shapes, teacher_shapes, width=16).double()
    settle(method, seed=0)
    norms = [
        np.linalg.svd(weight.detach().numpy(), compute_uv=False)[0]
        for weight, _ in method.discriminator.normalised()
    ]
    assert norms == pytest.approx([1.0, 1.0, 1.0], rel=1e-9)


def moved(cls, student_shapes, teacher_shapes, random_signals):
    """A method some steps into its training, so that its estimates of the norms have moved."""
    torch.manual_seed(0)
    method = cls(student_shapes, teacher_shapes)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    for step in range(5):
        student = random_signals(student_shapes, seed=step, dtype=torch.float32)
        teacher = random_signals(teacher_shapes, seed=step + 100, dtype=torch.float32)
        optimizer.zero_grad()
        torch.stack(list(parts_of(method, student, teacher).values())).sum().backward()
        optimizer.step()
    return method


@pytest.mark.parametrize("saved_in_training", [False, True])
@pytest.mark.parametrize("restored_in_training", [False, True])
@both
def test_saving_and_restoring_keeps_every_later_loss(
    cls, saved_in_training, restored_in_training, student_shapes, teacher_shapes, random_signals
):
    method = moved(cls, student_shapes, teacher_shapes, random_signals)
    method.train(saved_in_training)
    state = deepcopy(method.state_dict())
    torch.manual_seed(1)
    other = cls(student_shapes, teacher_shapes)
    other.train(restored_in_training)
    other.load_state_dict(state)
    student = random_signals(student_shapes, dtype=torch.float32)
    teacher = random_signals(teacher_shapes, seed=1, dtype=torch.float32)
    for mode in (False, True, True, False):
        expected = parts_of(method.train(mode), student, teacher)
        found = parts_of(other.train(mode), student, teacher)
        assert found == expected
    assert set(state) >= {name for name, _ in method.named_parameters()}


@both
def test_evaluation_leaves_no_trace_in_the_state(
    cls, student_shapes, teacher_shapes, random_signals
):
    method = cls(student_shapes, teacher_shapes).eval()
    before = deepcopy(method.state_dict())
    signals = [random_signals(s, dtype=torch.float32) for s in (student_shapes, teacher_shapes)]
    parts_of(method, *signals)
    torch.testing.assert_close(method.state_dict(), before, rtol=0, atol=0)
    method.train()
    parts_of(method, *signals)
    changed = [name for name, kept in before.items() if not kept.equal(method.state_dict()[name])]
    assert changed
    assert all(name.endswith(("_u", "_v")) for name in changed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@both
def test_regression_outputs_of_any_size_are_finite(
    cls, scale, dtype, student_shapes, teacher_shapes, random_signals
):
    method = cls(student_shapes, teacher_shapes)

    def scaled(shapes, seed):
        drawn = random_signals(shapes, seed=seed)
        return Signals(
            logits=(scale * drawn.logits).to(dtype).requires_grad_(),
            embedding=(scale * drawn.embedding).to(dtype).requires_grad_(),
        )

    student, teacher = scaled(student_shapes, 0), scaled(teacher_shapes, 1)
    for value in parts_of(method, student, teacher).values():
        assert value.dtype == torch.float32
        assert 0 < value.item() < 20
        leaves = [student.logits, student.embedding, *method.parameters()]
        found = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
        assert all(torch.isfinite(g).all() for g in found if g is not None)


def test_the_same_seed_makes_the_same_helpers(student_shapes, teacher_shapes):
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(AdversarialEmbedding(student_shapes, teacher_shapes).state_dict())
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=0)


def test_too_short_outputs_are_refused():
    # Two standardised values are (1, −1) or (−1, 1): no gradient could tell the student more.
    two = SignalShapes(classes=2, embedding=2, features=())
    three = SignalShapes(classes=3, embedding=3, features=())
    with pytest.raises(MethodError, match="at least 3 classes"):
        Adversarial(two, two)
    with pytest.raises(MethodError, match="the teacher's is shorter than 3"):
        AdversarialEmbedding(three, SignalShapes(classes=3, embedding=2, features=()))
    assert AdversarialEmbedding(SignalShapes(classes=3, embedding=2, features=()), three)
    with pytest.raises(MethodError, match="the group of teachers has none"):
        AdversarialEmbedding(three, SignalShapes(classes=3, embedding=0, features=()))


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Between two samples of distributions, each vector standardised; 0 where they are one."""
    a, b = (
        (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, correction=0, keepdim=True) for x in (a, b)
    )
    across, within_a, within_b = (torch.cdist(x, y).mean() for x, y in ((a, b), (a, a), (b, b)))
    return (2 * across - within_a - within_b).item()


def teacher_of(outputs: int, scale: float) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, outputs))
    with torch.no_grad():
        network[2].weight.mul_(3 * scale)
        network[2].bias.copy_(scale * 2 * torch.randn(outputs))
    return network.requires_grad_(False)


def play(cls, make_optimizer, scale, penalty=10.0, steps=300):
    """Train a student by the game alone: losses by part, and the distance before and after."""
    torch.manual_seed(0)
    method = cls(
        SignalShapes(classes=6, embedding=5, features=()),
        SignalShapes(classes=6, embedding=6, features=()),
        penalty=penalty,
    )
    teacher = teacher_of(6, scale)
    embedded = cls is AdversarialEmbedding
    student = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 5 if embedded else 6))
    optimizer = make_optimizer([*student.parameters(), *method.parameters()])
    unseen = torch.randn(512, 4)

    @torch.no_grad()
    def distance() -> float:
        outputs = student(unseen)
        return energy_distance(method.projector(outputs) if embedded else outputs, teacher(unseen))

    before, losses = distance(), []
    for _ in range(steps):
        images = torch.randn(64, 4)
        answers = [Signals(logits=o, embedding=o) for o in (student(images), teacher(images))]
        parts = parts_of(method, *answers)
        optimizer.zero_grad()
        (0.5 * parts["generator"] + parts["discriminator"] + parts["penalty"]).backward()
        optimizer.step()
        losses.append([parts[name].item() for name in ("generator", "discriminator")])
    return np.array(losses), before, distance()


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=2e-3)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("make_optimizer", [sgd, adamw])
@both
def test_a_student_learns_the_teachers_distribution(cls, make_optimizer, scale):
    losses, before, after = play(cls, make_optimizer, scale)
    assert np.isfinite(losses).all()
    assert losses.max() < 10
    assert after < 0.2 * before
    # Neither side has won: the discriminator can no longer tell the two apart.
    assert losses[-50:, 1].mean() == pytest.approx(2 * log(2), rel=0.05)
    assert losses[-50:, 0].mean() == pytest.approx(log(2), rel=0.1)


def test_regression_without_the_penalty_the_two_sides_chase_each_other():
    *_, bare = play(Adversarial, sgd, scale=1.0, penalty=0.0)
    *_, penalised = play(Adversarial, sgd, scale=1.0)
    assert penalised < 0.2 * bare
