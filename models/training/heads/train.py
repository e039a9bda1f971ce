#!/usr/bin/env python3
"""The heads of `appliance/guardrails/src/content/heads.json`: one logistic regression a category on vectors of all-MiniLM-L6-v2; for attacks, which are
no topic, with a small layer before it.

    train.py TEXTS.jsonl VECTORS.jsonl [OUT.json]        pip install numpy scikit-learn torch

TEXTS are what `generate.py` wrote, VECTORS what `cloister guardrail content --vectors` made of them. Groups of templates are held out in
turn, five times: the figures that are printed, and the steps of confidence, are of texts whose group was not learned. Deterministic.
"""
import hashlib
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

KINDS = ["HATE", "INSULTS", "SEXUAL", "VIOLENCE", "MISCONDUCT", "PROMPT_ATTACK"]
RATES = [0.01, 0.002, 0.0005]  # of harmless texts: content.rs has the same
FOLDS = 5
C = 3.0
HIDDEN, ROUNDS, BATCH, RATE, DECAY, DROP = 64, 60, 256, 1e-3, 1e-2, 0.3  # of the small layer and its training
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


def line(chosen, kind):
    """A line, as what a head holds."""
    # All else is an example against it, but for hate, which is insulting too.
    own = labels[kind] | ~labels["HATE"] if kind == "INSULTS" else np.ones(len(texts), bool)
    model = LogisticRegression(C=C, max_iter=2000, class_weight="balanced").fit(*rows(chosen & own, labels[kind]))
    return [], model.coef_[0], float(model.intercept_[0])


def layer(chosen, kind):
    """The same with a small layer before it, nothing of which is below zero."""
    torch.manual_seed(0)
    xs, ys = map(torch.tensor, rows(chosen, labels[kind].astype(np.float32)))
    scale = xs.shape[1] ** 0.5  # what goes in is about one in size
    inner, outer = torch.nn.Linear(xs.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, 1)
    optimiser = torch.optim.AdamW([*inner.parameters(), *outer.parameters()], RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS * -(-len(xs) // BATCH))
    for _ in range(ROUNDS):
        for some in torch.randperm(len(xs)).split(BATCH):
            hidden = F.dropout(inner(F.dropout(xs[some], 0.1) * scale).relu(), DROP)
            loss = F.binary_cross_entropy_with_logits(outer(hidden)[:, 0], ys[some])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    weights = lambda matrix: matrix.weight.detach().double().numpy()
    hidden = list(zip(weights(inner) * scale, inner.bias.tolist()))
    return hidden, weights(outer)[0], outer.bias.item()


def logits(head, xs):
    hidden, weights, bias = head
    for_hidden = np.stack([xs @ unit + own for unit, own in hidden], 1).clip(0) if hidden else xs
    return for_hidden @ weights + bias


heads = []
for kind in KINDS:
    learn = layer if kind == "PROMPT_ATTACK" else line
    scores = np.full(len(texts), np.nan)
    for held in range(FOLDS):
        xs, _ = rows(folds == held, harmless)
        scores[folds == held] = logits(learn(folds != held, kind), xs)
    steps = [float(np.quantile(scores[harmless], 1 - rate)) for rate in RATES]
    own = labels[kind]
    area = roc_auc_score(np.r_[np.ones(own.sum()), np.zeros(harmless.sum())], np.r_[scores[own], scores[harmless]])
    found = [float(np.mean(scores[own] >= step)) for step in steps]
    print(f"{kind}: {own.sum()} texts, AUROC {area:.4f}, found at low, medium, high: {found[0]:.3f} {found[1]:.3f} {found[2]:.3f}")
    hidden, weights, bias = learn(np.ones(len(texts), bool), kind)
    short = lambda numbers: [round(float(number), 4) for number in numbers]
    head = {"kind": kind, "bias": round(bias, 4), "steps": short(steps), "weights": short(weights)}
    heads.append(head | ({"hidden": [{"bias": round(own, 4), "weights": short(unit)} for unit, own in hidden]} if hidden else {}))
if len(sys.argv) > 3:
    lines = ",\n".join(json.dumps(head, separators=(",", ":")) for head in heads)
    pathlib.Path(sys.argv[3]).write_text(f'{{"trunk":"{TRUNK}","heads":[\n{lines}\n]}}\n')
