#!/usr/bin/env python3
"""The adapter that makes all-MiniLM-L6-v2 a reader of question and sentence together.

    train.py first MODEL DATA PUBLIC START.pt         pip install numpy scikit-learn tokenizers torch
    train.py second MODEL PUBLIC START.pt SECOND.pt
    train.py third MODEL PUBLIC SECOND.pt THIRD.pt
    train.py fourth MODEL PUBLIC THIRD.pt FOURTH.pt
    train.py fifth MODEL PUBLIC FOURTH.pt FIFTH.pt
    train.py average MODEL THIRD.pt FOURTH.pt FIFTH.pt ADAPTER.safetensors

MODEL is the folder of the embedding model, DATA that of `../entailment/generate.py` with `medquad/qa.jsonl` beside, PUBLIC what it made of it. The
first stage teaches the model to tell of two texts read together what it tells of two vectors, which sentences are of a question's aspect, and what of
public texts is borne by what; the second, on what was written for it (`sites`, `claims`, and `selection`), what an answer is, what a claim rests on and
what asks the same; the third, all of that with more sites, and that a question which is worded as its answer may be answered all the same; the fourth,
mostly what an answer is; the fifth, what an answer on file answers, which stands under its own question. The adapter is the mean of the last three;
what it would say of claims is learned beside the rest, and left out of it.
"""
import pathlib
import random
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

import encoder
from encoder import batch
from texts import Site, claims, people_claims, public_claims, public_questions, same_questions

HERE = pathlib.Path(__file__).parent
LEARNED = ("brackwater", "sallow-river-rx")  # of `selection`
HELD = ("juniper-basin", "penhallow-desk", "marlow-callcentre", "norfolk-street-pharmacy")
ANSWERS, ENTAILS, CONTRADICTS, SAME = range(4)
torch.manual_seed(7)


class Training:
    """One optimiser over batches of several kinds."""

    def __init__(self, reader, rate, steps, decay=0.01, least=0.05):
        self.reader, self.losses, self.began = reader, {}, time.time()
        self.optimiser = torch.optim.AdamW(reader.parameters(), rate, weight_decay=decay)
        warm = 60
        course = lambda step: min(step / warm, 1) * (least + (1 - least) * 0.5 * (1 + np.cos(np.pi * min(1, step / steps))))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, course)
        reader.train()

    def step(self, loss, pairs, *labels):
        lost = loss(self.reader(*batch(pairs)), *labels)
        self.optimiser.zero_grad()
        lost.backward()
        torch.nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.losses.setdefault(loss.__name__, []).append(lost.item())

    def say(self, step):
        told = ", ".join(f"{name} {np.mean(lost[-60:]):.3f}" for name, lost in sorted(self.losses.items()))
        print(f"{step}: {told}, {time.time() - self.began:.0f} s", flush=True)


# The losses.

LISTED = 7
FILED = 0.3  # of families of questions those whose sentences stand as answers on file


def likeness(outputs, target, cosines):
    """First stage: as the vectors have it, and the own answer's sentences more."""
    answers = outputs[:, ANSWERS].reshape(-1, LISTED)
    return -(target * F.log_softmax(answers, -1)).sum(-1).mean() + 0.05 * ((answers - 10 * (cosines - 0.45)) ** 2).mean()


def of_claim(outputs):
    return torch.stack([outputs[:, ENTAILS], outputs[:, CONTRADICTS], torch.zeros(len(outputs))], 1)


def borne(outputs, label):
    """First stage: borne or not, whatever the reason."""
    entails = F.log_softmax(of_claim(outputs), -1)[:, 0]
    return -torch.where(label > 0, entails, torch.log1p(-torch.exp(entails.clamp(max=-1e-5)))).mean()


def answer(outputs, groups, answered, apart):
    """Which sentence answers, or none of them; each by itself; and a question that a sentence answers before one that only looks like it."""
    answers = outputs[:, ANSWERS]
    lost = []
    for start, end, right in groups:
        among = F.log_softmax(torch.cat([answers[start:end], torch.zeros(1)]), 0)
        lost.append(-among[0 if right else -1])
    contrast = F.softplus(answers[[wrong for _, wrong in apart]] - answers[[right for right, _ in apart]]).mean() if apart else 0
    return torch.stack(lost).mean() + F.binary_cross_entropy_with_logits(answers, answered) + 0.5 * contrast


def claim(outputs, label):
    return F.cross_entropy(of_claim(outputs), label)


def on_file(*told):
    return answer(*told)


def same(outputs, label):
    return F.binary_cross_entropy_with_logits(outputs[:, SAME], label)


def first(model, data, public, start, steps=1600):
    chosen, texts, reader = random.Random(5), encoder.Texts(model), encoder.Reader(model, drop=0.05)
    told, questions, vectors, asked = public_questions(data, reader, texts)
    print(len(told), "sentences,", len(questions), "questions", flush=True)
    pairs = public_claims(public, chosen)
    training = Training(reader, 1e-3, steps, least=0.3)
    for step in range(1, steps + 1):
        if step % 3 == 0:
            rows = [pairs[(step // 3 * 24 + at) % len(pairs)] for at in range(24)]
            training.step(borne, [texts.pair(one, evidence, 160) for one, evidence, _ in rows], torch.tensor([float(label) for *_, label in rows]))
        else:
            listed, targets, cosines = [], [], []
            for _ in range(8):
                at = chosen.randrange(len(questions))
                forms, own, others = questions[at]
                near = vectors @ asked[at]
                picked = chosen.sample(own, min(2, len(own)))
                picked += sorted(chosen.sample(others, min(6, len(others))), key=lambda one: -near[one])[:3]
                order = [int(one) for one in np.argsort(-near)[:60] if one not in own]
                picked += [one for one in [chosen.choice(order[:10]), chosen.choice(order[10:])] if one not in picked]
                while len(picked) < LISTED:
                    picked.append(chosen.randrange(len(told)))
                weight = np.exp(15 * (near[picked] - near[picked].max()) + 2.5 * np.isin(picked, own))
                targets.append(weight / weight.sum())
                cosines.append(near[picked])
                question = chosen.choice(forms)
                listed += [texts.pair(question, told[one], 88) for one in picked]
            training.step(likeness, listed, torch.tensor(np.array(targets, np.float32)), torch.tensor(np.array(cosines, np.float32)))
        if step % 100 == 0:
            training.say(step)
    torch.save(reader.state_dict(), start)


class Deck:
    """Rows dealt in batches, shuffled anew when they run out; of a kind that is sorted by length, like lengths together."""

    def __init__(self, rows, size, chosen, length=None):
        self.rows, self.size, self.chosen, self.length, self.left = list(rows), size, chosen, length, []

    def deal(self):
        if not self.left:
            self.chosen.shuffle(self.rows)
            rows = self.rows[:len(self.rows) // self.size * self.size]
            rows = sorted(rows, key=self.length) if self.length else rows
            self.left = [rows[at:at + self.size] for at in range(0, len(rows), self.size)]
            self.chosen.shuffle(self.left)
        return self.left.pop()


def near(question, count, chosen, without=()):
    """Sentences near a question that do not answer it."""
    others = [one for one in question["near"] if one not in question["answers"] and one not in without]
    weights, picked = [(1 + at) ** -0.7 for at in range(len(others))], []
    while len(picked) < count:
        one = chosen.choices(others, weights)[0]
        if one not in picked:
            picked.append(one)
    return picked


def read_beside(rows, texts, chosen, filed_share=0.0):
    """Pairs of some families of questions, and what `answer` wants to know of them: a question with a sentence that answers it and others; one that
    looks like it with that very sentence and another; one beyond what is told with another."""
    pairs, groups, answered, apart = [], [], [], []
    for site, family in rows:
        own = None
        filed, others_filed = (filed_share > 0 and chosen.random() < filed_share for _ in range(2))
        for form in (chosen.choice([form for form in ("question", "again") if form in family]), "near", "beyond"):
            if form not in family:
                continue
            question = site.questions[family[form]]
            if question["answers"]:
                own = chosen.choice(sorted(question["answers"]))
                picked = [own, *near(question, 3, chosen)]
                mark = len(pairs)
            elif form == "near" and own is not None:
                picked = [own, *near(question, 1, chosen, (own,))]
                apart.append((mark, len(pairs)))
            else:
                picked = near(question, 2, chosen)
            groups.append((len(pairs), len(pairs) + len(picked), bool(question["answers"])))
            answered += [float(one in question["answers"]) for one in picked]
            pairs += [texts.pair(question["question"], site.told(one, filed if one == own else others_filed, question["question"], chosen), 96) for one in picked]
    return pairs, groups, torch.tensor(answered), apart


def read_on_file(rows, texts, chosen):
    """As `read_beside`, of answers on file: two wordings of a curated question with a sentence of its answer and some of others' answers, and one that
    only looks like it with that very sentence."""
    pairs, groups, answered, apart = [], [], [], []
    for row in rows:
        own = chosen.choice(row["told"])
        for label, form in ((1, chosen.choice(row["same"])), (1, chosen.choice(row["same"])), (0, chosen.choice(row["near"]))):
            picked = [own, *chosen.sample(row["others"][:10], 2)] if label else [own]
            groups.append((len(pairs), len(pairs) + len(picked), bool(label)))
            apart += [] if label else [(len(pairs) - 6 + 3 * which, len(pairs)) for which in range(2)]
            answered += [float(label and one is own) for one in picked]
            pairs += [texts.pair(form, one, 96) for one in picked]
    return pairs, groups, torch.tensor(answered), apart


def evaluate(reader, texts, sites, pairs, held):
    for name, site in sites.items():
        told = [(at, one, texts.pair(question["question"], site.sentences[one], 96)) for at, question in enumerate(site.questions) for one in question["near"][:8]]
        scores = [{} for _ in site.questions]
        for (at, one, _), output in zip(told, reader.outputs([pair for *_, pair in told])):
            scores[at][one] = output[ANSWERS]
        best = [max(found, key=lambda one: found[one] + 6 * dict(zip(question["near"], question["likeness"]))[one]) for found, question in zip(scores, site.questions)]
        most, has = np.array([found[one] for found, one in zip(scores, best)]), np.array([bool(question["answers"]) for question in site.questions])
        right = np.array([one in question["answers"] for one, question in zip(best, site.questions)])
        before = np.array([question["near"][0] in question["answers"] for question in site.questions])
        near = np.array([question["likeness"][0] for question in site.questions])
        least = np.quantile(most[has], 0.08)
        print(f"  {name}: first right {right[has].mean():.3f} ({before[has].mean():.3f} by likeness), AUROC of being answered "
              f"{roc_auc_score(has, most):.3f} ({roc_auc_score(has, near):.3f}); where 0.08 of the answerable are declined (below {least:.2f}): "
              f"{(most[~has] < least).mean():.3f} of the others; right of what is said {right[most >= least].mean():.3f}")
    if held:
        found, label = reader.outputs([texts.pair(one, evidence, 224) for one, evidence, _ in held]), np.array([label for *_, label in held])
        share = F.softmax(of_claim(torch.tensor(found)), -1).numpy()
        print(f"  claims: borne AUROC {roc_auc_score(label == 0, share[:, 0]):.3f}, beside refuted {roc_auc_score(label[label != 2] == 0, share[label != 2, 0]):.3f}, "
              f"beside unsaid {roc_auc_score(label[label != 1] == 0, share[label != 1, 0]):.3f}; refuted {roc_auc_score(label == 1, share[:, 1]):.3f}; right {(share.argmax(1) == label).mean():.3f}")
    found, label = reader.outputs([texts.pair(one, other, 96) for one, other, _ in pairs])[:, SAME], np.array([label for *_, label in pairs])
    order = np.argsort(-found, kind="stable")
    precision = np.cumsum(label[order]) / np.arange(1, len(order) + 1)
    at = lambda least: max((label[order[:one + 1]].sum() / label.sum() for one in range(len(order)) if precision[one] >= least), default=0.0)
    print(f"  same question: AUROC {roc_auc_score(label, found):.3f}, found at precision 0.97 {at(0.97):.3f}, 0.90 {at(0.90):.3f}, 0.80 {at(0.80):.3f}", flush=True)


def learn(model, start, path, plan, steps, rate, last=False, more_claims=(), most=192, filed=0.0):
    chosen, texts, reader = random.Random(3), encoder.Texts(model), encoder.Reader(model, drop=0.1)
    reader.load_state_dict(torch.load(start))
    folders = [*sorted(HERE.glob("sites/*")), *(HERE.parent / "selection" / name for name in LEARNED), *(sorted(HERE.glob("more/*")) if last else [])]
    held_folders = [HERE.parent / "selection" / name for name in HELD]
    sites = [Site(folder, reader, texts, last) for folder in folders]
    held_sites = {folder.name: Site(folder, reader, texts) for folder in held_folders}
    learned, held = claims(HERE)
    decks = {
        answer: Deck([(site, family) for site in sites for family in site.families], 8, chosen),
        on_file: Deck([row for site in sites for row in site.curated], 12, chosen),
        claim: Deck([*learned, *more_claims], 32, chosen, lambda row: len(row[1]) // 200),
        same: Deck([pair for folder in folders for pair in same_questions(folder, reader, texts)], 96, chosen),
    }
    held_pairs = [pair for folder in held_folders for pair in same_questions(folder, reader, texts)]
    print({kind.__name__: len(deck.rows) for kind, deck in decks.items()}, steps, "steps", flush=True)
    training = Training(reader, rate, steps)
    for step in range(1, steps + 1):
        kind = plan[step % len(plan)]
        rows = decks[kind].deal()
        if kind is answer:
            pairs, *labels = read_beside(rows, texts, chosen, filed)
        elif kind is on_file:
            pairs, *labels = read_on_file(rows, texts, chosen)
        else:
            pairs = [texts.pair(one, other, most if kind is claim else 96) for one, other, _ in rows]
            labels = (torch.tensor([label for *_, label in rows], dtype=torch.long if kind is claim else torch.float32),)
        training.step(kind, pairs, *labels)
        if step % 100 == 0:
            training.say(step)
    evaluate(reader, texts, held_sites, held_pairs, held)
    torch.save(reader.state_dict(), path.with_suffix(".pt"))


def second(model, public, start, path):
    learn(model, start, path, [answer, answer, same, answer, same, claim], 4400, 6e-4, more_claims=people_claims(public))


def third(model, public, start, path):
    learn(model, start, path, [answer, answer, answer, same, answer, claim], 1200, 3e-4, last=True, more_claims=people_claims(public))


def fourth(model, public, start, path):
    learn(model, start, path, [answer, answer, answer, answer, same, answer, answer, claim], 900, 4e-4, last=True, more_claims=people_claims(public))


def fifth(model, public, start, path):
    learn(model, start, path, [answer, on_file, answer, same, answer, on_file, answer, claim], 1000, 4e-4, last=True, more_claims=people_claims(public), most=240, filed=FILED)


def average(model, *paths):
    """The mean of what several stages came to: better than either on text that none has seen (Wortsman et al. 2022, arXiv:2203.05482)."""
    *stages, path = paths
    states, reader = [torch.load(stage) for stage in stages], encoder.Reader(model)
    reader.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
    reader.write(path, [ANSWERS, SAME])


if __name__ == "__main__":
    stages = {"first": first, "second": second, "third": third, "fourth": fourth, "fifth": fifth, "average": average}
    stages[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
