#!/usr/bin/env python3
"""The scorer of entailment, `appliance/guardrails/src/ground/entailment.bin`: what a claim's tokens find among those of its evidence.

    train.py PAIRS.jsonl COUNTS.jsonl VECTORS OUT        pip install numpy scikit-learn jax optax

PAIRS are what `generate.py` wrote; COUNTS and VECTORS what `cloister guardrail tokens` made of its texts. A tenth of the documents is held
out; the figures that are printed are of those. Decomposable attention (Parikh et al. 2016, arXiv:1606.01933) over vectors that are not
trained, at two depths of the embedding model: the upper one knows what a token is about, the lower one which word it was.
Deterministic on one machine.
"""
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.metrics import roc_auc_score

TRUNK = "0bc312444ef45971c199eb8d59ef2ff96e2f970524bb299dfa2e1dbfec6a5ef3"
VECTOR, INNER, HIDDEN = 384, 96, 64
WIDTH = 2 * VECTOR
CLAIM, EVIDENCE = 72, 448  # tokens that are read in training
BATCH, EPOCHS, RATE, DECAY = 96, 3, 2e-3, 1e-2
SEEDS = [1, 2]  # asked together, and as many times as dear
# Claims that people wrote count most, those that a rule turned round least; `joined` is not learned, and only tells what comes of two claims in a row.
WEIGHTS = {"claim": 8.0, "turned": 0.3, "negated": 0.3, "matrix": 1.5, "joined": 0.0}
# In the order of the file; the shapes are in `start`.
NAMES = ["look", "read", "sharp", "compare", "compare_bias", "judge", "judge_bias", "score", "score_bias"]


class Tokens:
    """The vectors of texts' tokens, without the first and the last, which the embedding model adds."""

    def __init__(self, counts, vectors):
        rows = [json.loads(line) for line in pathlib.Path(counts).read_text().splitlines()]
        ends = np.cumsum([row["tokens"] for row in rows])
        self.of = {row["id"]: (end - row["tokens"] + 1, end - 1) for row, end in zip(rows, ends)}
        flat = np.memmap(vectors, np.float32, "r").reshape(-1, WIDTH)
        self.rows = np.empty(flat.shape, np.float16)
        for at in range(0, len(flat), 1 << 16):
            self.rows[at:at + (1 << 16)] = flat[at:at + (1 << 16)]

    def length(self, name):
        return self.of[name][1] - self.of[name][0]

    def get(self, ids, most):
        return np.concatenate([self.rows[slice(*self.of[name])] for name in ids])[:most]


def batch(tokens, pairs):
    def fill(texts, most):
        longest = -(-max(len(text) for text in texts) // 32) * 32
        rows = np.zeros((len(texts), min(longest, most), WIDTH), np.float32)
        mask = np.zeros(rows.shape[:2], np.float32)
        for at, text in enumerate(texts):
            rows[at, :len(text)] = text
            mask[at, :len(text)] = 1
        return rows, mask

    claims = fill([tokens.get([pair["claim"]], CLAIM) for pair in pairs], CLAIM)
    evidence = fill([tokens.get(pair["evidence"], EVIDENCE) for pair in pairs], EVIDENCE)
    return (*claims, *evidence)


def start(seed):
    keys = iter(jax.random.split(jax.random.key(seed), 16))

    def matrix(inputs, outputs, scale=1.0):
        return jax.random.normal(next(keys), (inputs, outputs)) * scale / np.sqrt(inputs)

    scale = 4.0 * np.sqrt(2)  # vectors have length one
    return {
        "look": matrix(WIDTH, INNER, scale), "read": matrix(WIDTH, INNER, scale), "sharp": jnp.array([8.0, 8.0, 1.0]),
        "compare": matrix(4 * INNER + 4, HIDDEN), "compare_bias": jnp.zeros(HIDDEN),
        "judge": matrix(2 * HIDDEN + 6, HIDDEN), "judge_bias": jnp.zeros(HIDDEN),
        "score": matrix(HIDDEN, 1)[:, 0], "score_bias": jnp.zeros(1),
    }


def logits(w, claims, claim_mask, evidence, evidence_mask, key=None):
    if key is not None:
        one, two = jax.random.split(key)
        claims = claims * jax.random.bernoulli(one, 0.9, claims.shape[:1] + (1, WIDTH)) / 0.9
        evidence = evidence * jax.random.bernoulli(two, 0.9, evidence.shape[:1] + (1, WIDTH)) / 0.9
    hidden = (1 - evidence_mask[:, None]) * -1e9
    count = jnp.maximum(claim_mask.sum(-1, keepdims=True), 1)

    def like(depth):
        part = slice(VECTOR * depth, VECTOR * (depth + 1))
        return jnp.einsum("bnd,bmd->bnm", claims[..., part], evidence[..., part])

    likes = [like(0), like(1)]
    look = jnp.einsum("bnd,bmd->bnm", claims @ w["look"], evidence @ w["look"])
    sharp = w["sharp"]
    seen = jax.nn.softmax(sharp[0] * likes[0] + sharp[1] * likes[1] + sharp[2] * look + hidden, axis=-1)
    best = [jnp.max(one + hidden, axis=-1) for one in likes]
    mean = [jnp.sum(seen * one, axis=-1) for one in likes]
    own = claims @ w["read"]
    other = seen @ (evidence @ w["read"])
    felt = jnp.concatenate([own, other, jnp.abs(own - other), own * other] + [one[..., None] for one in best + mean], -1)
    felt = jax.nn.relu(felt @ w["compare"] + w["compare_bias"]) * claim_mask[..., None]
    whole = [felt.sum(1) / count, felt.max(1)]
    for one in best:
        shared = (one * claim_mask).sum(-1, keepdims=True) / count
        least = jnp.min(one + (1 - claim_mask) * 9, -1, keepdims=True)
        spread = jnp.sqrt((((one - shared) ** 2) * claim_mask).sum(-1, keepdims=True) / count + 1e-6)
        whole += [shared, least, spread]
    whole = jnp.concatenate(whole, -1)
    return jax.nn.relu(whole @ w["judge"] + w["judge_bias"]) @ w["score"] + w["score_bias"][0]


def loss(w, inputs, labels, weights, key):
    return jnp.mean(weights * optax.sigmoid_binary_cross_entropy(logits(w, *inputs, key), labels))


def weight(kind):
    return WEIGHTS.get(kind.split("-")[0], WEIGHTS.get(kind.split("-")[-1], 1.0))


def batches(pairs, rng=None):
    # Alike in length, so that little is filled up.
    order = sorted(range(len(pairs)), key=lambda at: (pairs[at]["size"] + (rng.integers(40) if rng is not None else 0), at))
    chunks = [order[at:at + BATCH] for at in range(0, len(order), BATCH)]
    if rng is not None:
        rng.shuffle(chunks)
    return [[pairs[at] for at in chunk] for chunk in chunks]


def train(tokens, pairs, seed):
    rng = np.random.default_rng(seed)
    w = start(seed)
    steps = EPOCHS * -(-len(pairs) // BATCH)
    optimiser = optax.adamw(optax.warmup_cosine_decay_schedule(0, RATE, 200, steps), weight_decay=DECAY)
    state = optimiser.init(w)

    @jax.jit
    def step(w, state, inputs, labels, weights, key):
        value, slope = jax.value_and_grad(loss)(w, inputs, labels, weights, key)
        change, state = optimiser.update(slope, state, w)
        return optax.apply_updates(w, change), state, value

    keys = iter(jax.random.split(jax.random.key(seed + 100), steps + 1))
    for epoch in range(EPOCHS):
        total = []
        for chunk in batches(pairs, rng):
            labels = np.array([pair["label"] for pair in chunk], np.float32)
            weights = np.array([weight(pair["kind"]) for pair in chunk], np.float32)
            w, state, value = step(w, state, batch(tokens, chunk), labels, weights, next(keys))
            total.append(value)
        print(f"seed {seed}, epoch {epoch}: loss {np.mean(total):.4f}", flush=True)
    # As they are kept.
    return {name: np.asarray(value).astype(np.float16).astype(np.float32) for name, value in w.items()}


score = jax.jit(logits)


def evened(w, pairs):
    """The scorer for claims of which as many are borne as not, where of what it learned fewer were."""
    borne, others = (sum(weight(pair["kind"]) for pair in pairs if pair["label"] == label) for label in (1, 0))
    print(f"borne: {borne / (borne + others):.4f} of the weight")
    return {**w, "score_bias": np.float32(np.float16(w["score_bias"] - np.log(borne / others)))}


def scores(heads, tokens, pairs):
    found = np.zeros(len(pairs))
    at = {id(pair): place for place, pair in enumerate(pairs)}
    for chunk in batches(pairs):
        inputs = batch(tokens, chunk)
        for pair, one in zip(chunk, np.mean([np.asarray(score(w, *inputs)) for w in heads], axis=0)):
            found[at[id(pair)]] = one
    return found


def tell(pairs, found):
    labels = np.array([pair["label"] for pair in pairs])
    kinds = np.array([pair["kind"] for pair in pairs])
    learned = np.array([weight(kind) > 0 for kind in kinds])
    print(f"held out: AUROC {roc_auc_score(labels[learned], found[learned]):.4f} of {learned.sum()}")
    for family in sorted({kind.split("-")[0] for kind in kinds}):
        own = np.array([kind.startswith(family) for kind in kinds])
        print(f"  {family}: {roc_auc_score(labels[own], found[own]):.4f} of {own.sum()}")
    for kind in sorted(set(kinds)):
        own = kinds == kind
        others = own if labels[own].any() else own | (labels == 1)
        if labels[others].min() < labels[others].max():
            print(f"  {kind}: {roc_auc_score(labels[others], found[others]):.4f}")


def witness(heads):
    """Scores of vectors that the product's tests can make too."""
    def made(count, seed):
        angles = seed + (np.arange(count)[:, None, None] * 31 + np.arange(2)[:, None] * 17 + np.arange(VECTOR)) * 0.7
        rows = np.sin(angles)
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).reshape(count, WIDTH)[1:-1].astype(np.float32)

    evidence = np.concatenate([made(9, 0.5), made(6, 2.0)])[None]
    for seed in (0.6, 7.0, 20.0):
        claim = made(7, seed)[None]
        found = np.mean([logits(w, claim, np.ones(claim.shape[:2]), evidence, np.ones(evidence.shape[:2])) for w in heads])
        print(f"witness {seed}: log-odds {found:.4f}")


def main():
    pairs = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
    tokens = Tokens(sys.argv[2], sys.argv[3])
    for pair in pairs:
        pair["size"] = min(EVIDENCE, sum(tokens.length(name) for name in pair["evidence"]))
    own = [pair for pair in pairs if not pair["held_out"] and weight(pair["kind"]) > 0]
    held = [pair for pair in pairs if pair["held_out"]]
    heads = [evened(train(tokens, own, seed), own) for seed in SEEDS]
    tell(held, scores(heads, tokens, held))
    witness(heads)
    about = {"trunk": TRUNK, "vector": VECTOR, "inner": INNER, "hidden": HIDDEN, "heads": len(heads)}
    numbers = [np.asarray(head[name], "<f2").tobytes() for head in heads for name in NAMES]
    pathlib.Path(sys.argv[4]).write_bytes(json.dumps(about).encode() + b"\n" + b"".join(numbers))


if __name__ == "__main__":
    main()
