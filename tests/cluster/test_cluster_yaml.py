"""cluster.yaml against Ray's own schema, and against what kdsearch needs of a cluster."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from kdsearch.cluster.lasting import check_lasting, check_store
from kdsearch.spec.load import load_spec

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()


@pytest.fixture
def given() -> dict[str, Any]:
    return yaml.safe_load(TEXT)


@pytest.fixture
def config(given: dict[str, Any]) -> dict[str, Any]:
    """With Ray's defaults for AWS filled in, as ``ray up`` does before it starts anything."""
    return prepare_config(given)


def test_it_fits_the_schema(config: dict[str, Any]) -> None:
    validate_config(config)
    with pytest.raises(ValidationError):
        validate_config(config | {"max_worker": 4})


def test_a_head_without_gpu_and_gpu_workers_on_demand(config: dict[str, Any]) -> None:
    kinds = config["available_node_types"]
    head = kinds.pop(config["head_node_type"])
    assert "GPU" not in head["resources"]
    assert head["resources"]["CPU"] >= 1
    (worker,) = kinds.values()
    assert worker["resources"]["GPU"] == 1
    assert worker["min_workers"] == 0
    assert worker["max_workers"] == config["max_workers"] > 0
    assert worker["node_config"]["InstanceType"] != head["node_config"]["InstanceType"]
    assert worker["node_config"]["ImageId"] == head["node_config"]["ImageId"]


def commands(config: dict[str, Any]) -> list[str]:
    names = ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands")
    return [command for name in names for command in config[name]]


def test_every_command_is_sound_shell(config: dict[str, Any]) -> None:
    for command in commands(config):
        read = subprocess.run(["bash", "-n", "-c", command], capture_output=True, timeout=10)
        assert (read.returncode, read.stderr) == (0, b""), command


def test_nodes_get_what_the_installation_reads(given: dict[str, Any]) -> None:
    (install,) = [command for command in given["setup_commands"] if "pip install" in command]
    assert "-c constraints.txt" in install
    assert "'.[cluster]'" in install
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {"kdsearch", "pyproject.toml", "constraints.txt"}
    needed |= {project["readme"], *project["license-files"]}
    mounts = given["file_mounts"]
    assert needed == {local for local in mounts.values() if not local.startswith("~")}
    (folder,) = re.findall(r"cd ~/(\S+)", install)
    for remote, local in mounts.items():
        if local in needed:
            assert remote == f"/home/ubuntu/{folder}/{local}"
            assert (ROOT / local).exists()


def test_all_nodes_ask_for_the_token(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    starts = [command for command in commands(config) if "ray start" in command]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)


def test_the_submission_it_advises_would_be_accepted(config: dict[str, Any]) -> None:
    (line,) = re.findall(r"^#\s+kdsearch submit (.+)$", TEXT, re.MULTILINE)
    words = shlex.split(line)
    overrides = [value for flag, value in pairwise(words) if flag == "--set"]
    spec = load_spec(ROOT / words[0], overrides)
    check_lasting(spec)
    assert check_store(spec, None) == {}
    (mounted,) = {
        found for command in commands(config) for found in re.findall("/mnt/\\w+", command)
    }
    assert spec.study.directory.is_relative_to(mounted)
    assert spec.tracking.uri is not None
    assert spec.tracking.uri.startswith(f"sqlite:///{mounted}/")
    gpus = spec.resources.gpus_per_trial * spec.resources.concurrent
    assert 0 < gpus <= config["max_workers"]
