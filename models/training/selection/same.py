#!/usr/bin/env python3
"""The weights that tell whether two questions ask the same: logistic regression on what reading both together tells and how one stands out.

    same.py FOLDER ...        pip install numpy scipy scikit-learn

Each FOLDER is a site that the reader has not learned from, with `curated.jsonl`, {"question", "answer", "same": [...], "near": [...]} a line, and
`found.jsonl`, what `cloister guardrail same` made of its questions: `same.py --ask FOLDER ...` writes them to `asked.jsonl` for that. Prints, with each
site held out in turn, how many of the questions that ask the same are found at which precision, where as many only look like it, and the weights of
all sites for `appliance/guardrails/src/same_question/reading.rs`. Deterministic.
"""
import json
import pathlib
import sys

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

PENALTY = 0.05
READ_TOGETHER = 3  # curated questions that are read together with the asked one
LEAST = 0.35  # cosine of the two
LEAST_READ, SURE_READ, SURE_TOLD = -1.0, 1.0, 1.5  # what reading must tell; where the wording is the same but for a word; where a detail is told by the way
NAMES = []


def lines(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def ask(folder):
    rows = [{"id": f"{at}:{kind}:{number}", "text": text} for at, pair in enumerate(lines(folder / "curated.jsonl"))
            for kind in ("same", "near") for number, text in enumerate(pair[kind])]
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def overruled(found):
    read = found["features"]["read"]
    return found["veto"] == "wording" and read > SURE_READ or found["told"] and read > SURE_TOLD


def table(folder):
    """For each question whether a curated one asks the same, and of the curated ones that are read: the features, whether it is that one, and whether
    it is kept out."""
    asked = []
    for row in lines(folder / "found.jsonl"):
        at, kind, _ = row["id"].split(":")
        told = [(list(found["features"].values()), kind == "same" and found["at"] == int(at),
                 found["veto"] is not None and not overruled(found)
                 or found["similarity"] < LEAST or found["features"]["read"] <= LEAST_READ)
                for found in row["found"][:READ_TOGETHER]]
        NAMES[:] = row["found"][0]["features"]
        asked.append((kind == "same", told))
    return asked


def learn(tables):
    told = [one for asked in tables for _, told in asked for one in told if not one[-1]]
    features, right = np.array([features for features, *_ in told]), np.array([right for _, right, _ in told])
    signs = np.where(right, 1.0, -1.0)

    def loss(weights):
        margins = signs * (features @ weights[:-1] + weights[-1])
        slope = -signs / (1 + np.exp(margins))
        return (np.logaddexp(0, -margins).sum() + PENALTY * (weights[:-1] ** 2).sum(),
                np.r_[slope @ features + 2 * PENALTY * weights[:-1], slope.sum()])

    # More likeness never makes two questions less likely the same, whatever questions that only look like it have in common.
    bounds = [(0, None)] * len(NAMES) + [(None, None)]
    return minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000}).x


def likeliest(told, weights):
    """As the server does it: no other takes the place of one that is kept out."""
    score, right, kept_out = max(((np.array(features) @ weights[:-1] + weights[-1], right, kept_out) for features, right, kept_out in told), key=lambda one: one[0])
    return (-np.inf if kept_out else score), right


def main():
    if sys.argv[1] == "--ask":
        return [ask(pathlib.Path(folder)) for folder in sys.argv[2:]]
    tables = {folder: table(pathlib.Path(folder)) for folder in sys.argv[1:]}
    judged, asked = [], 0
    for held, rows in tables.items():
        weights = learn([other for name, other in tables.items() if name != held])
        own = [likeliest(told, weights) for _, told in rows]
        same, let = sum(same for same, _ in rows), [one for one in own if np.isfinite(one[0])]
        vetoed = sum(any(right and kept_out for _, right, kept_out in told) for _, told in rows)
        first, read = (sum(any(right for _, right, _ in told[:count]) for _, told in rows) for count in (1, READ_TOGETHER))
        print(f"{held}: AUROC {roc_auc_score([right for _, right in let], [score for score, _ in let]):.3f}; of {same} the right one is first by vectors for {first}, "
              f"read for {read}, and kept out for {vetoed}")
        judged += own
        asked += same
    score, right = np.array([score for score, _ in judged]), np.array([right for _, right in judged])
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(right[order])
    precision = found / np.arange(1, len(order) + 1)
    for wanted in (0.97, 0.95, 0.9, 0.85, 0.8):
        enough = np.flatnonzero(precision >= wanted)
        if not len(enough):
            continue
        last = enough[-1]
        print(f"precision {wanted}: {found[last] / asked:.3f} found from {1 / (1 + np.exp(-score[order][last])):.3f} on")
    *weights, bias = (float(round(weight, 2)) for weight in learn(list(tables.values())))
    print(dict(zip(NAMES, weights)), bias)


if __name__ == "__main__":
    main()
