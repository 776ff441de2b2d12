import math

import numpy as np
import pytest
import torch

from kdsearch.errors import MethodError
from kdsearch.methods.crd import CRD, Memory, nce_loss, other_images
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes

SAMPLES = 20
CLASSES = torch.arange(SAMPLES) % 7
INDEX = torch.tensor([3, 11, 0, 10, 17])
VALUES = {"dimension": 6, "negatives": 12}


def reference_loss(anchors, memory, index, negatives, labels, tau, log_z=None):
    """Anchor by anchor, on probabilities: −mean[log h⁺ + K · mean log(1 − h⁻)]; and log Z."""
    samples, count = len(memory), len(negatives)
    chosen = [[j for j in negatives if j != i and labels[j] != labels[i]] for i in index]
    scores = [
        [math.exp(anchors[a] @ memory[j] / tau) for j in (i, *chosen[a])]
        for a, i in enumerate(index)
    ]
    if log_z is None:
        every = [score for row in scores for score in row]
        log_z = math.log(sum(every) / len(every) * samples)
    noise = count / samples
    total = 0.0
    for row in scores:
        p = [score / math.exp(log_z) for score in row]
        total -= math.log(p[0] / (p[0] + noise))
        if len(p) > 1:
            logs = [math.log(noise / (q + noise)) for q in p[1:]]
            total -= count * sum(logs) / len(logs)
    return total / len(index), log_z


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def projected(layer, e):
    weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
    return unit(np.einsum("od,bd->bo", weight, e) + bias)


class Given(CRD):
    """CRD whose negatives are given instead of drawn."""

    negatives: torch.Tensor

    def draw(self, samples: int, device: torch.device) -> torch.Tensor:
        return self.negatives


def prepared(student, teacher, cls=CRD, seed=0, dtype=torch.float64, **values):
    torch.manual_seed(seed)
    method = cls(student, teacher, **{**VALUES, **values}).to(dtype)
    # Neither network is touched: their shapes are known from the start.
    method.prepare(None, None, SAMPLES)
    return method


def batch(seed=0, index=INDEX, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    e_s, e_t = rng.normal(size=(len(index), 5)), rng.normal(size=(len(index), 9))
    signals = (Signals(embedding=torch.tensor(e, dtype=dtype)) for e in (e_s, e_t))
    return *signals, Targets(CLASSES[index], index=index)


def step(method, *args):
    return method(*args, 0.5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize(
    ("index", "count"), [(INDEX, 12), (INDEX, 3), (INDEX[:1], 40), (torch.arange(14), 25)]
)
def test_two_steps_are_the_papers(
    index, count, temperature, dtype, tolerance, student_shapes, teacher_shapes
):
    values = {"negatives": count, "temperature": temperature, "momentum": 0.3}
    method = prepared(student_shapes, teacher_shapes, Given, dtype=dtype, **values)
    memories = [
        memory.vectors.double().numpy().copy()
        for memory in (method.student_memory, method.teacher_memory)
    ]
    labels = np.full(SAMPLES, -1)
    rng = np.random.default_rng(1)
    log_z = [None, None]
    for seed in range(2):
        signals_s, signals_t, targets = batch(seed, index, dtype)
        places = index.numpy()
        negatives = rng.integers(SAMPLES, size=count)
        method.negatives = torch.tensor(negatives)
        parts = step(method, signals_s, signals_t, targets)
        v_s = projected(method.student_projector, signals_s.embedding.double().numpy())
        v_t = projected(method.teacher_projector, signals_t.embedding.double().numpy())
        labels[places] = targets.labels.numpy()
        for part, anchors, of in (("student", v_s, 1), ("teacher", v_t, 0)):
            expected, log_z[of] = reference_loss(
                anchors, memories[of], places, negatives, labels, temperature, log_z[of]
            )
            assert parts[part].item() == pytest.approx(expected, rel=tolerance)
        for of, new in ((0, v_s), (1, v_t)):
            memories[of][places] = unit(0.3 * memories[of][places] + 0.7 * new)
    for memory, expected, z in zip(
        (method.student_memory, method.teacher_memory), memories, log_z, strict=True
    ):
        np.testing.assert_allclose(memory.vectors, expected, rtol=tolerance, atol=tolerance)
        assert memory.log_z.item() == pytest.approx(z, rel=tolerance)
    np.testing.assert_array_equal(method.labels, labels)


def test_gradient_is_the_formulas():
    torch.manual_seed(0)
    positive, negative = torch.randn(4).double(), torch.randn(4, 6).double()
    allowed = torch.rand(4, 6) < 0.7
    allowed[2] = False
    leaves = positive.requires_grad_(), negative.requires_grad_()
    assert torch.autograd.gradcheck(lambda p, n: nce_loss(p, n, allowed, 30), leaves)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("score", [-1e4, 0.0, 1e4])
def test_regression_log_space_stays_finite(score, dtype):
    positive = torch.full((3,), score, dtype=dtype, requires_grad=True)
    negative = torch.full((3, 5), -score, dtype=dtype, requires_grad=True)
    loss = nce_loss(positive, negative, torch.ones(3, 5, dtype=torch.bool), 10)
    expected = 0.0 if score > 0 else 6e4 if score < 0 else math.log(1.5) + 5 * math.log(3)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-9)
    for found in torch.autograd.grad(loss, (positive, negative)):
        assert torch.isfinite(found).all()


def test_a_small_temperature_does_not_overflow(student_shapes, teacher_shapes):
    # exp(1 / 0.01) is above what float32 can hold.
    method = prepared(student_shapes, teacher_shapes, dtype=torch.float32, temperature=0.01)
    signals_s, signals_t, targets = batch(dtype=torch.float32)
    for _ in range(3):
        parts = step(method, signals_s, signals_t, targets)
    assert all(torch.isfinite(value) for value in parts.values())
    assert torch.isfinite(method.student_memory.log_z)


def test_the_own_class_and_the_sample_itself_are_no_negatives():
    # Class 3 is that of samples 3 and 10; nobody knows yet that it is also that of sample 17.
    negatives, classes = torch.tensor([10, 3, 17, 4, 17]), torch.tensor([3, 3, -1, 4, -1])
    index, labels = torch.tensor([3, 4, 17]), torch.tensor([3, 4, 3])
    found = other_images(negatives, classes, index, labels)
    assert found.tolist() == [
        [False, False, True, True, True],
        [True, True, True, False, True],
        [False, False, False, True, False],
    ]


def test_leaving_out_a_class_keeps_the_weight_of_the_negatives():
    # An anchor with half of its equal negatives left out pays as much as one with all.
    positive, negative = torch.zeros(1).double(), torch.full((1, 8), -1.0).double()
    everything = torch.ones(1, 8, dtype=torch.bool)
    half, nothing = everything.clone(), torch.zeros_like(everything)
    half[:, ::2] = False
    whole = nce_loss(positive, negative, everything, 30).item()
    assert nce_loss(positive, negative, half, 30).item() == pytest.approx(whole, rel=1e-12)
    noise = 8 / 30
    assert nce_loss(positive, negative, nothing, 30).item() == pytest.approx(math.log(1 + noise))


def test_the_memories_start_uniform_with_norm_about_one():
    torch.manual_seed(0)
    memory = Memory(500, 128)
    assert memory.vectors.abs().max() <= math.sqrt(3 / 128)
    assert memory.vectors.norm(dim=1).mean().item() == pytest.approx(1.0, abs=0.01)
    assert memory.log_z.isinf()


def test_nothing_is_remembered_outside_training(student_shapes, teacher_shapes):
    method = prepared(student_shapes, teacher_shapes).eval()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    parts = step(method, *batch())
    assert all(torch.isfinite(value) for value in parts.values())
    for name, value in method.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_gradient_reaches_student_and_both_projections_alone(
    student_shapes, teacher_shapes, random_signals
):
    method = prepared(student_shapes, teacher_shapes)
    student = random_signals(student_shapes, batch=5, requires_grad=True)
    teacher = random_signals(teacher_shapes, batch=5, seed=1, requires_grad=True)
    parts = step(method, student, teacher, Targets(CLASSES[INDEX], index=INDEX))
    assert set(parts) == {"student", "teacher"}
    assert method.helper_parts == {"teacher"}
    learners = [student.embedding, *method.student_projector.parameters()]
    helpers = list(method.teacher_projector.parameters())

    def touched(part: str) -> list[bool]:
        found = torch.autograd.grad(
            parts[part], [*learners, *helpers], retain_graph=True, allow_unused=True
        )
        return [g is not None and bool(g.abs().sum() > 0) for g in found]

    # The helper's part, neither weighted nor scheduled, trains the teacher's projector alone.
    assert touched("student") == [True] * 3 + [False] * 2
    assert touched("teacher") == [False] * 3 + [True] * 2
    (parts["student"] + parts["teacher"]).backward()
    assert teacher.embedding.grad is None
    assert {name for name, _ in method.named_parameters()} == {
        f"{who}_projector.{what}" for who in ("student", "teacher") for what in ("weight", "bias")
    }


def test_negatives_are_drawn_from_torchs_seed_with_replacement(student_shapes, teacher_shapes):
    def run(seed: int) -> list[float]:
        method = prepared(student_shapes, teacher_shapes, negatives=50, seed=seed)
        return [step(method, *batch(i))["student"].item() for i in range(3)]

    assert run(0) == run(0)
    assert run(0) != run(1)
    method = prepared(student_shapes, teacher_shapes, negatives=5000)
    drawn = method.draw(SAMPLES, torch.device("cpu"))
    assert drawn.shape == (5000,)
    shares = torch.bincount(drawn, minlength=SAMPLES) / 5000
    assert len(shares) == SAMPLES
    assert (shares - 1 / SAMPLES).abs().max() < 0.015


def test_memories_are_saved_and_loaded(student_shapes, teacher_shapes):
    one = prepared(student_shapes, teacher_shapes)
    step(one, *batch(0))
    state = {name: value.clone() for name, value in one.state_dict().items()}
    assert {"student_memory.vectors", "teacher_memory.log_z", "labels"} <= set(state)
    other = prepared(student_shapes, teacher_shapes, seed=5)
    other.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in other.state_dict().items())
    torch.manual_seed(9)
    expected = step(one, *batch(1))
    torch.manual_seed(9)
    found = step(other, *batch(1))
    assert all(torch.equal(found[part], expected[part]) for part in expected)


def test_training_pulls_an_images_two_vectors_together(student_shapes, teacher_shapes):
    method = prepared(student_shapes, teacher_shapes, negatives=64, temperature=0.2)
    rng = np.random.default_rng(0)
    e_t = torch.tensor(rng.normal(size=(SAMPLES, 9)))
    e_s = torch.tensor(rng.normal(size=(SAMPLES, 5)), requires_grad=True)
    index = torch.arange(SAMPLES)
    targets = Targets(CLASSES, index=index)

    def gap() -> float:
        v_s, v_t = (
            torch.tensor(projected(layer, e.detach().numpy()))
            for layer, e in ((method.student_projector, e_s), (method.teacher_projector, e_t))
        )
        cosines = v_s @ v_t.T
        others = cosines[CLASSES[:, None] != CLASSES]
        return (cosines.diagonal().mean() - others.mean()).item()

    before = gap()
    optimizer = torch.optim.Adam([e_s, *method.parameters()], lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(
            list(step(method, Signals(embedding=e_s), Signals(embedding=e_t), targets).values())
        ).sum().backward()
        optimizer.step()
    assert gap() > before + 0.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype, student_shapes, teacher_shapes, gradient):
    signals_s, signals_t, targets = batch(dtype=dtype)
    values = {"negatives": 12, "dtype": torch.float32}
    method = prepared(student_shapes, teacher_shapes, Given, **values).eval()
    method.negatives = torch.arange(12)
    parts = step(method, signals_s, signals_t, targets)
    assert all(value.dtype == torch.float32 for value in parts.values())
    exact = step(
        method.double(),
        Signals(embedding=signals_s.embedding.double()),
        Signals(embedding=signals_t.embedding.double()),
        targets,
    )
    for part, value in parts.items():
        assert value.item() == pytest.approx(exact[part].item(), rel=1e-4)
    method.float()
    found = gradient(
        lambda e: step(method, Signals(embedding=e), signals_t, targets)["student"],
        signals_s.embedding,
    )
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("zero", ["student", "teacher", "both"])
def test_finite_at_zero_embeddings(zero, student_shapes, teacher_shapes, gradient):
    method = prepared(student_shapes, teacher_shapes)
    for layer in (method.student_projector, method.teacher_projector):
        torch.nn.init.zeros_(layer.bias)
    signals_s, signals_t, targets = batch()
    if zero != "teacher":
        signals_s.embedding[1:3] = 0
    if zero != "student":
        signals_t.embedding.zero_()

    def loss(e):
        return sum(step(method, Signals(embedding=e), signals_t, targets).values())

    assert torch.isfinite(loss(signals_s.embedding))
    found = gradient(loss, signals_s.embedding)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 1e3
    assert all(torch.isfinite(value).all() for value in method.state_dict().values())


def test_targets_without_index_are_refused_in_one_sentence(student_shapes, teacher_shapes):
    method = prepared(student_shapes, teacher_shapes)
    signals_s, signals_t, targets = batch()
    with pytest.raises(MethodError, match="give the targets their index") as raised:
        step(method, signals_s, signals_t, Targets(targets.labels))
    assert "\n" not in str(raised.value)


def test_a_method_that_was_not_prepared_says_so(student_shapes, teacher_shapes):
    with pytest.raises(AssertionError, match="crd was not prepared"):
        step(CRD(student_shapes, teacher_shapes), *batch(dtype=torch.float32))


def test_published_values(student_shapes, teacher_shapes):
    method = CRD(student_shapes, teacher_shapes)
    assert method.factor(0.5) == 0.8
    published = {"temperature": 0.07, "dimension": 128, "negatives": 16384, "momentum": 0.5}
    assert {name: method.values[name] for name in published} == published
    assert method.student_projector.out_features == 128
    assert method.teacher_projector.out_features == 128
    assert method.batchwise
    assert method.by_sample


def test_pairs_it_cannot_work_on_are_refused(student_shapes):
    with pytest.raises(MethodError, match="embeddings, and the group of teachers has none"):
        CRD(student_shapes, SignalShapes(classes=7, embedding=0, features=()))
    one = SignalShapes(classes=1, embedding=4, features=())
    with pytest.raises(MethodError, match="at least 2 classes"):
        CRD(one, one)
