#!/usr/bin/env python3
"""The adapter that makes all-MiniLM-L6-v2 a reader of question and sentence together.

    train.py first MODEL DATA PUBLIC START.pkl         pip install numpy scikit-learn tokenizers jax optax
    train.py second MODEL START.pkl ADAPTER.safetensors

MODEL is the folder of the embedding model, DATA that of `../entailment/generate.py` with `medquad/qa.jsonl` beside, PUBLIC what it made of it. The
first stage teaches the model to tell of two texts read together what it tells of two vectors, and what of public texts is borne by what; the
second, on what was written for it (`sites`, `claims`, and `selection`), what an answer is, what a claim rests on and what asks the same.
"""
import pathlib
import pickle
import random
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.metrics import roc_auc_score

import encoder
from encoder import batch, read
from texts import Site, claims, public_claims, public_questions, same_questions

HERE = pathlib.Path(__file__).parent
LEARNED, HELD = ("brackwater", "sallow-river-rx"), ("juniper-basin", "penhallow-desk")  # of `selection`
ANSWERS, ENTAILS, CONTRADICTS, SAME = range(4)
jax.config.update("jax_default_prng_impl", "rbg")


class Training:
    """One optimiser over batches of several kinds."""

    def __init__(self, trunk, adapter, rate, steps, decay, least, lowest=0):
        schedule = optax.warmup_cosine_decay_schedule(0, rate, 30, steps, rate * least)
        self.optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=decay))
        self.adapter, self.state, self.trunk, self.lowest = adapter, self.optimiser.init(adapter), trunk, lowest
        self.key, self.losses, self.began, self.compiled = jax.random.PRNGKey(7), {}, time.time(), {}

    def step(self, loss, drop, pairs, *labels):
        if loss not in self.compiled:
            def run(adapter, state, key, tokens, kinds, mask, *labels):
                value = lambda adapter: loss(read(self.trunk, adapter, tokens, kinds, mask, drop, key, self.lowest), *labels)
                lost, slope = jax.value_and_grad(value)(adapter)
                change, state = self.optimiser.update(slope, state, adapter)
                return optax.apply_updates(adapter, change), state, lost
            self.compiled[loss] = jax.jit(run)
        self.key, key = jax.random.split(self.key)
        self.adapter, self.state, lost = self.compiled[loss](self.adapter, self.state, key, *batch(pairs, 32), *labels)
        self.losses.setdefault(loss.__name__, []).append(float(lost))

    def say(self, step):
        told = ", ".join(f"{name} {np.mean(lost[-40:]):.3f}" for name, lost in sorted(self.losses.items()))
        print(f"{step}: {told}, {time.time() - self.began:.0f} s", flush=True)


# The losses.

LISTED, READ_BESIDE = 7, 5


def likeness(outputs, target, cosines):
    """First stage: as the vectors have it, and the own answer's sentences a little more."""
    answers = outputs[:, ANSWERS].reshape(-1, LISTED)
    return -(target * jax.nn.log_softmax(answers, -1)).sum(-1).mean() + 0.1 * ((answers - 10 * (cosines - 0.45)) ** 2).mean()


def of_claim(outputs):
    return jnp.stack([outputs[:, ENTAILS], outputs[:, CONTRADICTS], jnp.zeros(len(outputs))], 1)


def borne(outputs, label):
    """First stage: borne or not, whatever the reason."""
    entails = jax.nn.log_softmax(of_claim(outputs), -1)[:, 0]
    return -jnp.where(label > 0, entails, jnp.log1p(-jnp.exp(jnp.minimum(entails, -1e-5)))).mean()


def answer(outputs, label, none):
    """Which sentence answers, or none of them; and each by itself."""
    answers = outputs[:, ANSWERS].reshape(-1, READ_BESIDE)
    among = jax.nn.log_softmax(jnp.concatenate([answers, jnp.zeros((len(answers), 1))], 1), -1)
    target = jnp.concatenate([label / jnp.maximum(label.sum(1, keepdims=True), 1), none[:, None]], 1)
    return -(target * among).sum(1).mean() + optax.sigmoid_binary_cross_entropy(answers, label).mean()


def claim(outputs, label):
    return optax.softmax_cross_entropy_with_integer_labels(of_claim(outputs), label).mean()


def same(outputs, label):
    return optax.sigmoid_binary_cross_entropy(outputs[:, SAME], label).mean()


def first(model, data, public, start, steps=480):
    chosen, texts, found = random.Random(5), encoder.Texts(model), encoder.tensors(model)
    trunk = encoder.frozen(found)
    told, questions, vectors, asked = public_questions(data, trunk, texts, chosen)
    pairs = public_claims(public, chosen)
    training = Training(trunk, encoder.fresh(found), 8e-4, steps, 0.01, 0.3)
    for step in range(1, steps + 1):
        if step % 4 == 0:
            rows = [pairs[(step // 4 * 24 + at) % len(pairs)] for at in range(24)]
            training.step(borne, 0.05, [texts.pair(one, evidence, 192) for one, evidence, _ in rows], np.array([label for *_, label in rows], np.float32))
        else:
            listed, targets, cosines = [], [], []
            for _ in range(8):
                at = chosen.randrange(len(questions))
                question, own = questions[at]
                near = vectors @ asked[at]
                order = [int(one) for one in np.argsort(-near)[:60]]
                read_beside = chosen.sample(own, min(2, len(own))) + chosen.sample([one for one in order[:20] if one not in own], 3)
                read_beside.append(chosen.choice(order[20:]))
                read_beside += [chosen.randrange(len(told)) for _ in range(LISTED - len(read_beside))]
                weight = np.exp(20 * (near[read_beside] - near[read_beside].max()) + 1.5 * np.isin(read_beside, own))
                targets.append(weight / weight.sum())
                cosines.append(near[read_beside])
                listed += [texts.pair(question, told[one], 96) for one in read_beside]
            training.step(likeness, 0.05, listed, np.array(targets, np.float32), np.array(cosines, np.float32))
        if step % 40 == 0:
            training.say(step)
    start.write_bytes(pickle.dumps(jax.tree.map(np.asarray, training.adapter)))


class Deck:
    """Rows dealt in batches, shuffled anew when they run out; of a kind that is sorted by length, like lengths together."""

    def __init__(self, rows, size, chosen, length=None):
        self.rows, self.size, self.chosen, self.length, self.left = list(rows), size, chosen, length, []

    def deal(self):
        if not self.left:
            self.chosen.shuffle(self.rows)
            rows = sorted(self.rows, key=self.length) if self.length else self.rows
            self.left = [rows[at:at + self.size] for at in range(0, len(rows) - self.size + 1, self.size)]
            self.chosen.shuffle(self.left)
        return self.left.pop()


def beside(question, chosen):
    """A sentence that answers and others that are near; where none answers, such alone."""
    others = [at for at in question["near"] if at not in question["answers"]]
    weights, picked = [(1 + at) ** -0.6 for at in range(len(others))], []
    while len(picked) < READ_BESIDE:
        one = chosen.choices(others, weights)[0]
        if one not in picked:
            picked.append(one)
    if question["answers"]:
        return [chosen.choice(sorted(question["answers"])), *picked[:-1]], [1, *[0] * (READ_BESIDE - 1)]
    return picked, [0] * READ_BESIDE


def outputs(trunk, adapter, pairs, run, step=32, size=32):
    order, found = np.argsort([len(tokens) for tokens, _ in pairs], kind="stable"), np.zeros((len(pairs), encoder.OUTPUTS), np.float32)
    for start in range(0, len(order), size):
        at = order[start:start + size]
        rows = [pairs[one] for one in at]
        found[at] = np.asarray(run(adapter, *batch(rows + [rows[-1]] * (size - len(rows)), step)))[:len(rows)]
    return found


def evaluate(trunk, adapter, texts, sites, pairs, held):
    run = jax.jit(lambda adapter, *told: read(trunk, adapter, *told))
    for name, site in sites.items():
        told = [(at, one, texts.pair(question["question"], site.sentences[one], 96)) for at, question in enumerate(site.questions) for one in question["near"][:16]]
        scores = [{} for _ in site.questions]
        for (at, one, _), output in zip(told, outputs(trunk, adapter, [pair for *_, pair in told], run)):
            scores[at][one] = output[ANSWERS]
        best = [max(found, key=found.get) for found in scores]
        most, has = np.array([found[one] for found, one in zip(scores, best)]), np.array([bool(question["answers"]) for question in site.questions])
        right = np.array([one in question["answers"] for one, question in zip(best, site.questions)])
        before = np.array([question["near"][0] in question["answers"] for question in site.questions])
        near = np.array([question["likeness"][0] for question in site.questions])
        least, least_near = np.quantile(most[has], 0.08), np.quantile(near[has], 0.08)
        print(f"  {name}: first right {right[has].mean():.3f} ({before[has].mean():.3f} by likeness), AUROC of being answered "
              f"{roc_auc_score(has, most):.3f} ({roc_auc_score(has, near):.3f}); where 0.08 of the answerable are declined (below {least:.2f}): "
              f"{(most[~has] < least).mean():.3f} of the others ({(near[~has] < least_near).mean():.3f}); right of what is said {right[most >= least].mean():.3f}")
    found, label = outputs(trunk, adapter, [texts.pair(one, evidence, 224) for one, evidence, _ in held], run), np.array([label for *_, label in held])
    share = np.asarray(jax.nn.softmax(of_claim(jnp.asarray(found)), -1))
    print(f"  claims: borne AUROC {roc_auc_score(label == 0, share[:, 0]):.3f}, beside refuted {roc_auc_score(label[label != 2] == 0, share[label != 2, 0]):.3f}, "
          f"beside unsaid {roc_auc_score(label[label != 1] == 0, share[label != 1, 0]):.3f}; refuted {roc_auc_score(label == 1, share[:, 1]):.3f}; right {(share.argmax(1) == label).mean():.3f}")
    found, label = outputs(trunk, adapter, [texts.pair(one, other, 96) for one, other, _ in pairs], run)[:, SAME], np.array([label for *_, label in pairs])
    order = np.argsort(-found, kind="stable")
    precision = np.cumsum(label[order]) / np.arange(1, len(order) + 1)
    at = lambda least: max((label[order[:one + 1]].sum() / label.sum() for one in range(len(order)) if precision[one] >= least), default=0.0)
    print(f"  same question: AUROC {roc_auc_score(label, found):.3f}, found at precision 0.97 {at(0.97):.3f}, 0.90 {at(0.90):.3f}, 0.80 {at(0.80):.3f}", flush=True)


def second(model, start, path, rounds=1, rate=5e-4):
    chosen, texts, found = random.Random(3), encoder.Texts(model), encoder.tensors(model)
    trunk = encoder.frozen(found)
    folders = [*sorted(path for path in (HERE / "sites").iterdir()), *(HERE.parent / "selection" / name for name in LEARNED)]
    sites = [Site(folder, trunk, texts) for folder in folders]
    held_folders = [HERE.parent / "selection" / name for name in HELD]
    held_sites = {folder.name: Site(folder, trunk, texts) for folder in held_folders}
    learned, held = claims(HERE / "claims")
    decks = {
        answer: Deck([(site, question) for site in sites for question in site.questions], 8, chosen),
        claim: Deck(learned, 24, chosen, lambda row: len(row[1]) // 200),
        same: Deck([pair for folder in folders for pair in same_questions(folder)], 48, chosen),
    }
    held_pairs = [pair for folder in held_folders for pair in same_questions(folder)]
    plan = [kind for kind, deck in decks.items() for _ in range(int(rounds * len(deck.rows)) // deck.size)]
    chosen.shuffle(plan)
    print({kind.__name__: len(deck.rows) for kind, deck in decks.items()}, len(plan), "steps", flush=True)
    training = Training(trunk, jax.tree.map(jnp.asarray, pickle.loads(start.read_bytes())), rate, len(plan), 0.02, 0.05, lowest=2)
    for step, kind in enumerate(plan, 1):
        rows = decks[kind].deal()
        if kind is answer:
            picked = [(site, question, *beside(question, chosen)) for site, question in rows]
            pairs = [texts.pair(question["question"], site.sentences[one], 96) for site, question, ones, _ in picked for one in ones]
            labels = np.array([label for *_, label in picked], np.float32), np.array([not question["answers"] for _, question, *_ in picked], np.float32)
        else:
            pairs = [texts.pair(one, other, 224 if kind is claim else 96) for one, other, _ in rows]
            labels = (np.array([label for *_, label in rows], np.int32 if kind is claim else np.float32),)
        training.step(kind, 0.1, pairs, *labels)
        if step % 60 == 0:
            training.say(step)
        if step % -(-len(plan) // 4) == 0 or step == len(plan):
            evaluate(trunk, training.adapter, texts, held_sites, held_pairs, held)
            path.write_bytes(encoder.written(training.adapter))


if __name__ == "__main__":
    {"first": first, "second": second}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
