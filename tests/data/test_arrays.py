"""Tensors share the arrays' memory, writable or not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from kdsearch.data.arrays import as_tensor


@pytest.mark.parametrize("writeable", [True, False])
def test_the_memory_is_shared(writeable: bool) -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    array.flags.writeable = writeable
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tensor = as_tensor(array)
    finally:
        torch.set_warn_always(False)
    assert tensor.data_ptr() == array.ctypes.data
    assert tensor.tolist() == [[0, 1, 2], [3, 4, 5]]
