"""The methods by name: kdsearch's own, installed plug-ins, and the user's classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kdsearch.errors import MethodError
from kdsearch.methods.ab import ActivationBoundaries
from kdsearch.methods.adabn import AdaBN
from kdsearch.methods.adversarial import Adversarial, AdversarialEmbedding
from kdsearch.methods.at import AttentionTransfer
from kdsearch.methods.base import KINDS, WITHOUT_LOSS, Method
from kdsearch.methods.cc import CorrelationCongruence
from kdsearch.methods.coral import CORAL
from kdsearch.methods.crd import CRD
from kdsearch.methods.dann import DANN
from kdsearch.methods.dist import DIST
from kdsearch.methods.dkd import DKD
from kdsearch.methods.fitnet import FitNet
from kdsearch.methods.fixmatch import FixMatch
from kdsearch.methods.fsp import FSP
from kdsearch.methods.ft import FactorTransfer
from kdsearch.methods.hard_label import HardLabel
from kdsearch.methods.kd import KD
from kdsearch.methods.logit_std import LogitStandardization
from kdsearch.methods.mlkd import MLKD
from kdsearch.methods.mmd import MMD
from kdsearch.methods.mse_logits import MSELogits
from kdsearch.methods.nkd import NKD
from kdsearch.methods.noisy_student import NoisyStudent
from kdsearch.methods.nst import NST
from kdsearch.methods.ofd import OFD
from kdsearch.methods.pkt import PKT
from kdsearch.methods.pseudo_label import PseudoLabel
from kdsearch.methods.reviewkd import ReviewKD
from kdsearch.methods.rkd import RKD
from kdsearch.methods.semckd import SemCKD
from kdsearch.methods.simkd import SimKD
from kdsearch.methods.sp import SimilarityPreserving
from kdsearch.methods.vid import VID
from kdsearch.methods.weight_copy import WeightCopy
from kdsearch.plugins import check_class, check_own_name, find_class, installed
from kdsearch.spec.names import suggest
from kdsearch.spec.teaching import UNDISTILLED

_CLASSES: tuple[type[Method], ...] = (
    # response
    KD,
    MSELogits,
    HardLabel,
    DKD,
    DIST,
    LogitStandardization,
    NKD,
    MLKD,
    # feature
    FitNet,
    AttentionTransfer,
    NST,
    FSP,
    VID,
    ActivationBoundaries,
    FactorTransfer,
    OFD,
    ReviewKD,
    SimKD,
    SemCKD,
    # relation
    SimilarityPreserving,
    PKT,
    RKD,
    CorrelationCongruence,
    CRD,
    # adversarial
    Adversarial,
    AdversarialEmbedding,
    # parameter
    WeightCopy,
    # unlabelled
    PseudoLabel,
    FixMatch,
    NoisyStudent,
    # domain
    CORAL,
    MMD,
    DANN,
    # statistics
    AdaBN,
)

METHODS: Mapping[str, type[Method]] = MappingProxyType({cls.name: cls for cls in _CLASSES})
"""Every method of kdsearch by its name in the spec; it cannot be changed."""

GROUP = "kdsearch.methods"
"""Entry-point group of installed methods, each a subclass of :class:`Method`."""


def method_names() -> tuple[str, ...]:
    """Every name that a label may hold, the undistilled baseline first, plug-ins last."""
    return UNDISTILLED, *METHODS, *(name for name in installed(GROUP) if name not in METHODS)


def find_method(name: str) -> type[Method]:
    """A method by its name, by that of an installed plug-in, or by ``module:Class``.

    Raises:
        MethodError: There is none of that name, or what is there is no complete method.
    """
    found = find_class(name, METHODS, GROUP, method_names, "method", MethodError)
    return found if name in METHODS else _checked(found, name)


def _checked(found: Any, reference: str) -> type[Method]:
    """What a plug-in gives, if it states all that a method must."""
    facts = ("name", "kind", "paper", "signals", "hyperparameters")
    check_class(found, reference, Method, facts, MethodError)
    if found.kind not in KINDS:
        raise MethodError(f"{reference} has the kind '{found.kind}'; {suggest(found.kind, KINDS)}")
    check_own_name(found.name, reference, MethodError)
    if found.kind not in WITHOUT_LOSS and "weight" not in found.hyperparameters:
        raise MethodError(f"{reference} has no hyperparameter 'weight'; add it")
    if not found.relative_cost > 0:
        raise MethodError(
            f"{reference} has the relative_cost {found.relative_cost}; give one above 0"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise MethodError(f"{reference} does not define {missing}; write it")
    return found
