#!/usr/bin/env python3
"""The heads of `appliance/guardrails/src/content/heads.json`: one logistic regression a category on vectors of all-MiniLM-L6-v2.

    train.py TEXTS.jsonl VECTORS.jsonl [OUT.json]        pip install numpy scikit-learn

TEXTS are what `generate.py` wrote, VECTORS what `cloister guardrail content --vectors` made of them. Groups of templates are held out in
turn, five times: the figures that are printed, and the steps of confidence, are of texts whose group was not learned. Deterministic.
"""
import hashlib
import json
import pathlib
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

KINDS = ["HATE", "INSULTS", "SEXUAL", "VIOLENCE", "MISCONDUCT", "PROMPT_ATTACK"]
RATES = [0.01, 0.002, 0.0005]  # of harmless texts: content.rs has the same
FOLDS = 5
C = 3.0
TRUNK = "0bc312444ef45971c199eb8d59ef2ff96e2f970524bb299dfa2e1dbfec6a5ef3"

texts = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
vectors = {}
with open(sys.argv[2]) as lines:
    for line in lines:
        row = json.loads(line)
        vectors[row["id"]] = np.array(row["vectors"][:1], np.float32)  # of a long text, its beginning


def fold(group):
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


folds = np.array([fold(text["group"]) for text in texts])
labels = {kind: np.array([kind in text["labels"] for text in texts]) for kind in KINDS}
harmless = ~np.any(list(labels.values()), axis=0)


def rows(chosen, positive):
    return np.vstack([vectors[texts[at]["id"]] for at in np.flatnonzero(chosen)]), positive[chosen]


def learn(chosen, kind):
    # All else is an example against it, but for hate, which is insulting too.
    own = labels[kind] | ~labels["HATE"] if kind == "INSULTS" else np.ones(len(texts), bool)
    xs, ys = rows(chosen & own, labels[kind])
    model = LogisticRegression(C=C, max_iter=2000, class_weight="balanced")
    return model.fit(xs, ys)


heads = []
for kind in KINDS:
    scores = np.full(len(texts), np.nan)
    for held in range(FOLDS):
        xs, _ = rows(folds == held, harmless)
        scores[folds == held] = learn(folds != held, kind).decision_function(xs)
    steps = [float(np.quantile(scores[harmless], 1 - rate)) for rate in RATES]
    own = labels[kind]
    area = roc_auc_score(np.r_[np.ones(own.sum()), np.zeros(harmless.sum())], np.r_[scores[own], scores[harmless]])
    found = [float(np.mean(scores[own] >= step)) for step in steps]
    print(f"{kind}: {own.sum()} texts, AUROC {area:.4f}, found at low, medium, high: {found[0]:.3f} {found[1]:.3f} {found[2]:.3f}")
    model = learn(np.ones(len(texts), bool), kind)
    weights = [round(float(weight), 4) for weight in model.coef_[0]]
    heads.append({"kind": kind, "bias": round(float(model.intercept_[0]), 4), "steps": [round(step, 4) for step in steps], "weights": weights})
if len(sys.argv) > 3:
    lines = ",\n".join(json.dumps(head, separators=(",", ":")) for head in heads)
    pathlib.Path(sys.argv[3]).write_text(f'{{"trunk":"{TRUNK}","heads":[\n{lines}\n]}}\n')
