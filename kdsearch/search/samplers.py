"""Optuna's samplers as a search uses them."""

from __future__ import annotations

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

STARTUP, HALVED_STARTUP = 10, 4
"""Trials before TPE learns from them: Optuna's own number, and one for where a scheduler lets few
come to their end."""


def make_sampler(name: str, seed: int, halved: bool = False) -> BaseSampler:
    """A sampler for one proposal, which draws by its seed alone.

    ``tpe`` is the multi-objective tree-structured Parzen estimator (Ozaki et al. 2022), with what
    every trial has (method, student, learning rate) modelled jointly and what only some have one by
    one. Modelled jointly by method (``group=True``) it is no better, and a proposal among 31
    methods takes twice as long. ``nsga2`` is NSGA-II (Deb et al. 2002); ``gp`` has Gaussian
    processes over the parameters that all trials have, and draws the others at random.

    Args:
        name: ``tpe``, ``nsga2``, ``gp`` or ``random``.
        seed: Of its random numbers.
        halved: Whether a scheduler ends trials early.
    """
    if name == "tpe":
        startup = HALVED_STARTUP if halved else STARTUP
        return TPESampler(seed=seed, multivariate=True, n_startup_trials=startup)
    if name == "nsga2":
        return NSGAIISampler(seed=seed, population_size=20)
    if name == "gp":
        return GPSampler(seed=seed, warn_independent_sampling=False)
    return RandomSampler(seed=seed)
