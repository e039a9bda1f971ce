#!/usr/bin/env python3
"""The weights that tell whether two questions ask the same: logistic regression on how alike they are.

    same.py FOLDER ...        pip install numpy scipy scikit-learn

Each FOLDER is a site with `curated.jsonl`, {"question", "answer", "same": [...], "near": [...]} a line, and `found.jsonl`, what
`cloister guardrail same` made of its questions: `same.py --ask FOLDER ...` writes them to `asked.jsonl` for that. Prints, with each site held
out in turn, how many of the questions that ask the same are found at which precision, where as many only look like it, and the weights of all
sites for `appliance/guardrails/src/same_question/likeness.rs`. Deterministic.
"""
import json
import pathlib
import sys

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

PENALTY = 0.05
# More likeness never makes two questions less likely the same, whatever questions that only look like it have in common; what differs
# never makes them more.
AGAINST = {"kind"}


def lines(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def ask(folder):
    rows = [{"id": f"{at}:{kind}:{number}", "text": text} for at, pair in enumerate(lines(folder / "curated.jsonl"))
            for kind in ("same", "near") for number, text in enumerate(pair[kind])]
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def table(folder):
    """Features, whether the likest curated question is the right one, and whether a detail vetoes it."""
    features, right, vetoed, asked = [], [], [], 0
    for row in lines(folder / "found.jsonl"):
        at, kind, _ = row["id"].split(":")
        likest = row["found"][0]
        asked += kind == "same"
        NAMES[:] = likest["features"]
        features.append(list(likest["features"].values()))
        right.append(kind == "same" and likest["at"] == int(at))
        vetoed.append(likest["veto"] is not None)
    return np.array(features), np.array(right), np.array(vetoed), asked


def learn(tables):
    features = np.vstack([features[~vetoed] for features, _, vetoed, _ in tables])
    right = np.concatenate([right[~vetoed] for _, right, vetoed, _ in tables])
    signs = np.where(right, 1.0, -1.0)

    def loss(weights):
        margins = signs * (features @ weights[:-1] + weights[-1])
        slope = -signs / (1 + np.exp(margins))
        return (np.logaddexp(0, -margins).sum() + PENALTY * (weights[:-1] ** 2).sum(),
                np.r_[slope @ features + 2 * PENALTY * weights[:-1], slope.sum()])

    bounds = [(None, 0) if name in AGAINST else (0, None) for name in NAMES] + [(None, None)]
    return minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000}).x


NAMES = []


def main():
    if sys.argv[1] == "--ask":
        return [ask(pathlib.Path(folder)) for folder in sys.argv[2:]]
    tables = {folder: table(pathlib.Path(folder)) for folder in sys.argv[1:]}
    scores, rights, asked = [], [], 0
    for held, (features, right, vetoed, same) in tables.items():
        weights = learn([other for name, other in tables.items() if name != held])
        score = features @ weights[:-1] + weights[-1]
        print(f"{held}: AUROC {roc_auc_score(right[~vetoed], score[~vetoed]):.3f}, {right[vetoed].sum()} of {same} vetoed")
        scores.append(np.where(vetoed, -np.inf, score))
        rights.append(right)
        asked += same
    score, right = np.concatenate(scores), np.concatenate(rights)
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(right[order])
    precision = found / np.arange(1, len(order) + 1)
    for wanted in (0.95, 0.9, 0.85, 0.8, 0.75):
        enough = np.flatnonzero(precision >= wanted)
        if not len(enough):
            continue
        last = enough[-1]
        print(f"precision {wanted}: {found[last] / asked:.3f} found from {1 / (1 + np.exp(-score[order][last])):.3f} on")
    *weights, bias = (float(round(weight, 2)) for weight in learn(list(tables.values())))
    print(dict(zip(NAMES, weights)), bias)
    found = [row["found"][0] | {"asked": row["id"].split(":")} for folder in tables for row in lines(pathlib.Path(folder) / "found.jsonl")]
    own = [one for one in found if one["asked"][1] == "same" and one["at"] == int(one["asked"][0])]
    print(f"likest is right for {len(own) / asked:.3f}; median similarity {np.median([one['similarity'] for one in own]):.2f} and of the next "
          f"curated question {np.median([one['next'] for one in own]):.2f}")


if __name__ == "__main__":
    main()
