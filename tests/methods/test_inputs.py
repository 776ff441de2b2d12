import pytest
import torch

from kdsearch.methods import inputs
from kdsearch.models.signals import Signals


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_is_raised_to_float32(given, expected):
    z_s = torch.randn(2, 3).to(given)
    found, _ = inputs.logits(Signals(logits=z_s), Signals(logits=z_s))
    assert found.dtype == expected
    assert torch.equal(found, z_s.to(expected))


def test_teacher_takes_the_students_precision_and_loses_its_gradient():
    z_s = torch.randn(2, 3, requires_grad=True)
    z_t = torch.randn(2, 3, dtype=torch.float16, requires_grad=True)
    found_s, found_t = inputs.logits(Signals(logits=z_s), Signals(logits=z_t))
    assert found_t.dtype == torch.float32
    assert found_s.requires_grad
    assert not found_t.requires_grad


@pytest.mark.parametrize("read", [inputs.logits, inputs.embeddings])
def test_an_absent_signal_is_named(read):
    present = Signals(logits=torch.zeros(2, 3), embedding=torch.zeros(2, 3))
    with pytest.raises(AssertionError, match=r"the teacher's (logits|embedding) was not observed"):
        read(present, Signals())
    with pytest.raises(AssertionError, match=r"the student's (logits|embedding) was not observed"):
        read(Signals(), present)


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf")])
def test_a_zero_of_anything_has_a_zero_gradient(value):
    values = torch.full((2, 3), value, requires_grad=True)
    zero = inputs.zero_of(values)
    zero.backward()
    assert zero.shape == ()
    assert zero.item() == 0
    assert torch.equal(values.grad, torch.zeros(2, 3))
