"""What the process of a trial loads: it is started often, and every import is waited for."""

from __future__ import annotations

import subprocess
import sys

SLOW = ("torchvision", "torchmetrics", "scipy.stats", "sklearn", "matplotlib", "mlflow", "optuna")
SCRIPT = f"""
import sys, torch
from kdsearch.execution.trainable import StudentTrial
from kdsearch.problems import CLASSIFICATION, Predictions
labels = torch.arange(6) % 3
outputs = torch.eye(3)[labels]
assert CLASSIFICATION.scores({{"label": Predictions(outputs, labels, outputs)}})["accuracy"] == 1
print([name for name in {SLOW} if name in sys.modules])
"""


def test_a_trial_loads_nothing_slow_that_it_does_not_need() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
