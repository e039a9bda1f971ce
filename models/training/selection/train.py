#!/usr/bin/env python3
"""The weights that order sentences: logistic regression on differences of features within one question.

    train.py WEIGHINGS.jsonl ...        pip install numpy scikit-learn

Each file is what `cloister eval calibrate SUITE.toml --weighings FILE` wrote of one set of questions; sets weigh alike, whatever their
size. Prints, with each set held out in turn, how often the first sentence stands where the answer does, and the weights of all of them
for `appliance/guardrails/src/selection/weights.rs`. Deterministic.
"""
import json
import pathlib
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression

ANSWERS = 3  # of one question, at most: a long answer counts for no more than a short one


def differences(questions):
    """A sentence that answers minus one that does not, for every pair of a question."""
    rows = []
    for question in questions:
        features = np.array([sentence["features"] for sentence in question["sentences"]])
        expected = np.array([sentence["expected"] for sentence in question["sentences"]], bool)
        if expected.any() and not expected.all():
            rows += [answer - features[~expected] for answer in features[expected][:ANSWERS]]
    return np.vstack(rows)


def learn(sets):
    pairs = [differences(questions) for questions in sets]
    weights = np.concatenate([np.full(len(rows), 1 / len(rows)) for rows in pairs])
    rows = np.vstack(pairs)
    weights *= len(rows) / len(sets)
    model = LogisticRegression(C=1.0, max_iter=3000, fit_intercept=False)
    model.fit(np.vstack([rows, -rows]), np.r_[np.ones(len(rows)), np.zeros(len(rows))], sample_weight=np.r_[weights, weights])
    return model.coef_[0]


def first_right(questions, rank):
    answerable = [question for question in questions if question["answerable"] and question["sentences"]]
    best = (max(question["sentences"], key=lambda sentence: rank(np.array(sentence["features"]))) for question in answerable)
    return np.mean([sentence["expected"] for sentence in best])


sets = {path: [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()] for path in sys.argv[1:]}
for held in sets:
    weights = learn([questions for path, questions in sets.items() if path != held]) if len(sets) > 1 else None
    near = first_right(sets[held], lambda features: features[0] + 0.25 * features[3])
    learned = "-" if weights is None else f"{first_right(sets[held], lambda features: features @ weights):.3f}"
    print(f"{held}: first right {learned} held out, {near:.3f} by likeness and words")
print([float(round(weight, 2)) for weight in learn(list(sets.values()))])
