"""Test AP with and without the test images whose part was also seen in training or validation.

inandout-train data check DATA --pairs pairs.csv
python benchmarks/leak_free_ap.py --data DATA --scores RUN/bundle/scores.csv --pairs pairs.csv
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from calibration import bootstrap
from calibration.curve import average_precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    options = parser.parse_args()
    with options.scores.open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    with options.pairs.open(newline="") as handle:
        leaked = {Path(row["path"]).resolve() for row in csv.DictReader(handle) if row["split"] == "test"}
    labels = np.array([int(row["label"]) for row in rows])
    logits = np.array([float(row["logit"]) for row in rows])
    own = np.array([(options.data / row["path"]).resolve() not in leaked for row in rows])
    for name, chosen in (("all test images", np.ones(len(rows), bool)), ("parts seen in no other split", own)):
        interval = bootstrap.average_precision(labels[chosen], logits[chosen])
        print(
            f"{name:<30} {int((labels[chosen] == 0).sum()):>4} good {int(labels[chosen].sum()):>4} defects   "
            f"AP {average_precision(labels[chosen], logits[chosen]):.4f} ({interval.low:.4f} to {interval.high:.4f})"
        )


if __name__ == "__main__":
    main()
