#!/usr/bin/env python3
"""The weights that order sentences: logistic regression on differences of features within one question.

    train.py WEIGHINGS.jsonl ...        pip install numpy scipy scikit-learn

Each file is what `cloister eval calibrate SUITE.toml --weighings FILE` wrote of one set of questions; sets weigh alike, whatever their
size. Prints, with each set held out in turn, how often the first sentence stands where the answer does, and the weights of all of them
for `appliance/guardrails/src/selection/weights.rs`. Where question and sentence were read together, as they are beside all-MiniLM-L6-v2, the
weight of the reading among the features, and those by which it is told whether a sentence answers: give it sites that the reader has not learned
from (`juniper-basin`, `penhallow-desk`, `marlow-callcentre`, `norfolk-street-pharmacy`), and each once more with some questions of others, as ones that
nothing answers.
Deterministic.
"""
import json
import pathlib
import sys

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

WEIGHTS = [5.67, 10.85, 3.51, 3.19, -0.55, 1.03, -1.03]  # those in force, for the last part
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


def first_read(questions, weights, reading):
    """The same with the reading beside the features."""
    rank = lambda sentence: np.array(sentence["features"]) @ weights + reading * sentence["read"]
    asked = [question for question in questions if question["answerable"] and question["sentences"]]
    return np.mean([max(question["sentences"], key=rank)["expected"] for question in asked])


def answering(questions, weights, reading):
    """Reading of the first sentence and evidence, and whether the question is answered."""
    rank = lambda sentence: np.array(sentence["features"]) @ weights + reading * sentence["read"]
    first = [max(question["sentences"], key=rank)["read"] if question["sentences"] else -8.0 for question in questions]
    return np.column_stack([first, [question["evidence"] if question["sentences"] else 0.0 for question in questions]]), np.array([question["answerable"] for question in questions])


def logistic(features, label, weight):
    """Weights, none of which counts against, and what is added."""
    signs = np.where(label, 1.0, -1.0)
    loss = lambda found: (weight * np.logaddexp(0, -signs * (features @ found[:-1] + found[-1]))).sum() + 0.05 * (found[:-1] ** 2).sum()
    bounds = [(0, None)] * features.shape[1] + [(None, None)]
    return minimize(loss, np.zeros(features.shape[1] + 1), method="L-BFGS-B", bounds=bounds).x


sets = {path: [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()] for path in sys.argv[1:]}
answered = {path: questions for path, questions in sets.items() if any(question["answerable"] for question in questions)}
for held in answered:
    weights = learn([questions for path, questions in answered.items() if path != held]) if len(answered) > 1 else None
    near = first_right(answered[held], lambda features: features[0] + 0.25 * features[3])
    learned = "-" if weights is None else f"{first_right(answered[held], lambda features: features @ weights):.3f}"
    print(f"{held}: first right {learned} held out, {near:.3f} by likeness and words")
print([float(round(weight, 2)) for weight in learn(list(answered.values()))])
if all(sentence["read"] is not None for questions in sets.values() for question in questions for sentence in question["sentences"]):
    weights, reading = np.array(WEIGHTS), 1.0
    for each in (0.0, 0.5, 1.0, 2.0, 3.0):
        print(f"reading {each}:", *(f"{name} first right {first_read(questions, weights, each):.3f}" for name, questions in sets.items()
                                    if any(question["answerable"] for question in questions)))
    # Questions of other sites alone weigh half.
    tables = [answering(questions, weights, reading) for questions in sets.values()]
    weight = np.concatenate([np.full(len(label), 1.0 if label.any() else 0.5) for _, label in tables])
    found = logistic(np.vstack([features for features, _ in tables]), np.concatenate([label for _, label in tables]), weight)
    print("answers:", [float(round(each, 2)) for each in found])
    for name, (features, label) in zip(sets, tables):
        if label.any():
            print(f"{name}: AUROC {roc_auc_score(label, features @ found[:-1]):.3f}")
