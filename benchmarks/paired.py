"""Average precision over seeds, and paired differences, with bootstrap intervals over seeds and images."""

import numpy as np

from calibration.curve import average_precision


def ap(scored: dict) -> float:
    return average_precision(np.array(scored["labels"]), np.array(scored["logits"]))


def summary(scored: list[dict]) -> str:
    values = [ap(one) for one in scored]
    low, high = interval(scored, lambda drawn: np.mean([average_precision(*pair) for pair in drawn]))
    return f"{np.mean(values):.3f} ({np.std(values):.3f}) [{low:.3f}, {high:.3f}]"


def difference(ours: list[dict], others: list[dict]) -> str:
    both = [
        {"labels": one["labels"], "logits": list(zip(one["logits"], other["logits"], strict=True))}
        for one, other in zip(ours, others, strict=True)
    ]

    def gain(drawn) -> float:
        return float(np.mean([average_precision(y, z[:, 0]) - average_precision(y, z[:, 1]) for y, z in drawn]))

    value = np.mean([ap(one) - ap(other) for one, other in zip(ours, others, strict=True)])
    low, high = interval(both, gain)
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def interval(scored: list[dict], statistic, rounds: int = 400) -> tuple[float, float]:
    """95 % percentile bootstrap over seeds and, within each class, images; seeds that share images share their draw."""
    rng = np.random.default_rng(0)
    held = [(np.array(one["labels"]), np.array(one["logits"])) for one in scored]
    values = []
    for _ in range(rounds):
        draws: dict[int, np.ndarray] = {}
        drawn = []
        for seed in rng.integers(len(held), size=len(held)):
            labels, logits = held[seed]
            if len(labels) not in draws:
                classes = [np.flatnonzero(labels == label) for label in (0, 1)]
                draws[len(labels)] = np.concatenate([rng.choice(rows, len(rows)) for rows in classes])
            chosen = draws[len(labels)]
            drawn.append((labels[chosen], logits[chosen]))
        values.append(statistic(drawn))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
