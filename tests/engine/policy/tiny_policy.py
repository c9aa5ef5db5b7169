"""A learned policy small enough for a test, with weights drawn at random."""

import torch

from engine.policy.learned import ACTIONS, N_CONTEXT, LearnedPolicy, PolicyInfo


def tiny_policy(
    width: int = 32,
    *,
    check_layers: tuple[int, ...] = (12, 24),
    fingerprint: str = "weights",
    exits_fingerprint: str = "exits",
    seed: int = 0,
) -> LearnedPolicy:
    probes, hidden, n_checks = 4, 8, len(check_layers)
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "probe.weight": (n_checks, probes, width),
        "probe.bias": (n_checks, probes),
        "hidden1.weight": (hidden, probes + n_checks + N_CONTEXT),
        "hidden1.bias": (hidden,),
        "hidden2.weight": (hidden, hidden),
        "hidden2.bias": (hidden,),
        "action.weight": (len(ACTIONS), hidden),
        "action.bias": (len(ACTIONS),),
    }
    info = PolicyInfo(
        model="tiny",
        fingerprint=fingerprint,
        exits_fingerprint=exits_fingerprint,
        check_layers=check_layers,
        slider_weights=tuple(0.08 * point for point in range(11)),
        corpus_sha256="c" * 64,
        cost_model="a test's",
        steps=0,
        created="2026-01-01",
    )
    tensors = {name: torch.randn(shape, generator=generator).numpy() for name, shape in shapes.items()}
    return LearnedPolicy(info, tensors)
