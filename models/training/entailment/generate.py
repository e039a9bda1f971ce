#!/usr/bin/env python3
"""Claims and what they are held against, to train the scorer of entailment on.

    generate.py DATA OUT        pip install numpy scikit-learn

DATA is a folder with `scifact/` (docs.jsonl, grounding_train.jsonl, grounding_dev.jsonl), `pubmedqa/qa.jsonl` and `medhallu/dev.jsonl`; of the
two that are called dev only which abstracts and questions they hold, to leave those out. Writes OUT/texts.jsonl, {"id", "text"}, and OUT/pairs.jsonl, {"claim", "evidence": [ids of texts],
"label": 1 where the evidence bears the claim, "kind", "held_out"}. Deterministic.

What is true of an abstract is told by those who wrote it: its title and its conclusion are borne by the rest. What is not comes from an
abstract that is much like it, or is the same claim turned round. So that neither length, nor manner, nor a direction gives the label away, what
is not borne here is borne elsewhere: a foreign conclusion by its own abstract, a turned claim by evidence that is turned too.
"""
import hashlib
import itertools
import json
import pathlib
import random
import re
import sys

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

TURNED = 1500
WORDS = 140  # of a stretch: what the embedding model sees whole
HERE = pathlib.Path(__file__).parent
rng = random.Random(20261128)
data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)


def held_out(group):
    """A tenth of the documents; a claim is never on both sides."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % 10 == 0


def rows(path):
    return [json.loads(line) for line in (data / path).read_text().split("\n") if line]


# Each word stands for the other.
OPPOSITES = [pair.split("/") for pair in (
    "increase/decrease increased/decreased increases/decreases increasing/decreasing higher/lower high/low more/less greater/smaller "
    "improve/worsen improved/worsened improves/worsens improvement/worsening before/after above/below effective/ineffective "
    "positive/negative positively/negatively upregulated/downregulated upregulation/downregulation promotes/prevents promote/prevent "
    "enhance/impair enhanced/impaired enhances/impairs activate/inhibit activates/inhibits activated/inhibited activation/inhibition "
    "better/worse longer/shorter early/late rise/fall reduces/raises reduce/raise reduced/raised reduction/rise safe/unsafe likely/unlikely "
    "benefit/harm beneficial/harmful common/rare frequent/infrequent sensitive/insensitive necessary/unnecessary sufficient/insufficient"
).split()]
TURN = {}
for one, other in OPPOSITES:
    TURN.setdefault(one, other)
    TURN.setdefault(other, one)
NEGATE = [(r"\b(is|are|was|were|does|do|did|can|may|should|has|have|had) not\b", r"\1"), (r"\bno significant\b", "a significant"),
          (r"\b(is|are|was|were|can|may|should)\b(?! not)", r"\1 not"), (r"\ba significant\b", "no significant")]


def turned(text):
    """Every word of a direction exchanged for its opposite; None where there is none."""
    found = 0

    def turn(match):
        nonlocal found
        word = match.group(0)
        other = TURN.get(word.lower())
        if other is None:
            return word
        found += 1
        return other.capitalize() if word[0].isupper() else other

    text = re.sub(r"[A-Za-z]+", turn, text)
    return text if found else None


def negated(text):
    for pattern, to in NEGATE:
        changed, count = re.subn(pattern, to, text, count=1)
        if count:
            return changed
    return None


def sentences(text):
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9(\"])", " ".join(text.split()))
    joined = []
    for part in parts:
        if joined and (len(joined[-1]) < 25 or re.search(r"(\b[A-Z]|vs|e\.g|i\.e|al|Fig|No|approx)\.$", joined[-1])):
            joined[-1] += " " + part
        else:
            joined.append(part)
    return [part for part in joined if len(part.split()) >= 4]


def stretches(parts):
    packed, count = [], WORDS
    for part in parts:
        words = len(part.split())
        if count + words > WORDS:
            packed.append([])
            count = 0
        packed[-1].append(part)
        count += words
    return [" ".join(part) for part in packed]


texts, numbers, pairs = [], {}, []


def text(content):
    if content not in numbers:
        numbers[content] = len(texts)
        texts.append({"id": str(len(texts)), "text": content})
    return str(numbers[content])


def pair(claim, evidence, label, kind, group):
    claim = claim.strip()
    if 4 <= len(claim.split()) <= 90:
        pairs.append({"claim": text(claim), "evidence": [text(part) for part in evidence], "label": label, "kind": kind,
                      "held_out": held_out(group)})


def nearest(contents, count=6):
    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2, dtype=np.float32).fit_transform(contents)
    near = []
    for start in range(0, len(contents), 512):
        likeness = (vectors[start:start + 512] @ vectors.T).toarray()
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = -1
        near += np.argsort(-likeness, axis=1, kind="stable")[:, :count].tolist()
    return near


def abstracts(docs, kind):
    """docs: (group, title or None, sentences of the body, sentences of the conclusion)."""
    near = nearest([" ".join(body + conclusion) for _, _, body, conclusion in docs], 40)
    for at, (group, title, body, conclusion) in enumerate(docs):
        beside = [docs[other] for other in near[at] if held_out(docs[other][0]) == held_out(group)]
        if not beside:
            continue
        rest, end, other = stretches(body), " ".join(conclusion), rng.choice(beside[:6])
        if title:
            pair(title, rest + [end], 1, f"{kind}-title", group)
            pair(other[1], rest + [end], 0, f"{kind}-other-title", group)
        pair(end, rest, 1, f"{kind}-conclusion", group)
        pair(" ".join(other[3]), rest, 0, f"{kind}-other-conclusion", group)
        if len(conclusion) > 1:
            # Of its conclusion one sentence is another's; and one alone.
            mixed = list(conclusion)
            mixed[rng.randrange(len(mixed))] = rng.choice(other[3])
            pair(" ".join(mixed), rest, 0, "joined-conclusion", group)
            pair(rng.choice(conclusion), rest, 1, "joined-part", group)


def turnings(docs, kind):
    """Claims turned round, before evidence as it is and evidence turned round."""
    done = 0
    for group, title, body, conclusion in docs:
        end = " ".join(conclusion)
        claim = end if turned(end) else title
        other = turned(claim or "")
        if not other or done == TURNED or not turned(" ".join(body)):
            continue
        done += 1
        rest, back = stretches(body), stretches([turned(part) or part for part in body])
        for said, held, label in [(claim, rest, 1), (other, rest, 0), (claim, back, 0), (other, back, 1)]:
            pair(said, held, label, f"{kind}-turned", group)
        if negated(claim):
            pair(negated(claim), rest, 0, f"{kind}-negated", group)


def scifact():
    docs, measured = [], {f"sf-{row['id'].split('-')[2]}" for row in rows("scifact/grounding_dev.jsonl")}
    for row in rows("scifact/docs.jsonl"):
        parts = sentences(row["text"])
        if len(parts) >= 4 and f"sf-{row['id']}" not in measured:
            docs.append((f"sf-{row['id']}", row["title"], parts[:-1], parts[-1:]))
    abstracts(docs, "scifact")
    turnings(rng.sample(docs, len(docs)), "scifact")
    for row in rows("scifact/grounding_train.jsonl"):
        group = f"sf-{row['id'].split('-')[2]}"
        if group not in measured:
            pair(row["claim"], stretches(sentences(row["context"])), int(row["label"]), f"claim-{row['nli'].lower()}", group)


def pubmedqa():
    shared = {row["question"] for row in rows("medhallu/dev.jsonl")}
    shared |= {row["context"][:80] for row in rows("medhallu/dev.jsonl")}
    docs = []
    for row in rows("pubmedqa/qa.jsonl"):
        body = sentences(" ".join(row["contexts"]))
        if row["question"] in shared or any(part[:80] in shared for part in row["contexts"]) or len(body) < 3:
            continue
        group = row["id"]
        docs.append((group, None, body, sentences(row["answer"])[:3] or [row["answer"]]))
        if row["final"] in ("yes", "no"):
            asked = row["question"].rstrip("?. ") + "."
            pair(asked, stretches(body), int(row["final"] == "yes"), "pubmedqa-asked", group)
    abstracts(docs, "pubmedqa")
    turnings(docs, "pubmedqa")


def written():
    """What was written for this: `matrix` beside this file, five or six claims for each question and what each of some snippets of evidence says of every
    one (S supports it, R refutes it, N neither), and the claims of `../cross`. A claim is never told from its evidence here, nor evidence from its claims:
    claims were written as if the evidence had not been seen, so that what is not borne is as near to it as what is."""
    def lines(folder):
        for path in sorted((HERE / folder).glob("*.jsonl")):
            for at, line in enumerate(path.read_text().splitlines()):
                yield f"{path.stem}-{at}", json.loads(line)

    def beside(claim, evidence, label, kind, group):
        pair(claim, stretches(sentences(evidence)), label, kind, group)

    for group, row in lines("matrix"):
        for claim, labels in zip(row["claims"], row["labels"]):
            for evidence, label in zip(row["evidence"], labels):
                beside(claim, evidence, int(label == "S"), f"matrix-{label}", f"matrix-{group}")
        for at, evidence in enumerate(row["evidence"]):
            said = {True: [], False: []}
            for claim, labels in zip(row["claims"], row["labels"]):
                said[labels[at] == "S"].append(claim)
            joined(evidence, said[True], said[False], f"matrix-{group}")
    for group, row in lines("../cross/claims"):
        for kind in ("supported", "contradicted", "unsaid"):
            for claim in row[kind]:
                beside(claim, row["evidence"], int(kind == "supported"), f"written-{kind}", f"written-{group}")
        joined(row["evidence"], row["supported"], row["contradicted"] + row["unsaid"], f"written-{group}")
    for group, row in lines("../cross/flips"):
        told = (row["evidence"], row["other"])
        for own, kind in enumerate("ab"):
            for claim in row[kind]:
                for which, evidence in enumerate(told):
                    beside(claim, evidence, int(own == which), "flip-S" if own == which else "flip-R", f"flip-{group}")
        for which, claim in enumerate(row["unsaid"]):
            beside(claim, told[which % 2], 0, "flip-N", f"flip-{group}")


def joined(evidence, borne, others, group):
    """Two claims in a row, which are borne where both are. They are not learned, and only tell what comes of reading two together."""
    both = list(itertools.combinations(borne, 2))
    mixed = list(itertools.product(borne, others))
    rng.shuffle(mixed)
    for label, found in ((1, both), (0, mixed[:max(1, len(both))])):
        for two in found:
            pair(" ".join(rng.sample(two, 2)), stretches(sentences(evidence)), label, f"joined-{label}", group)


scifact()
pubmedqa()
written()
for name, found in [("texts", texts), ("pairs", pairs)]:
    (out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
kinds = {}
for row in pairs:
    kinds.setdefault(row["kind"], [0, 0])[row["label"]] += 1
for kind, (without, borne) in sorted(kinds.items()):
    print(f"{kind}: {borne} borne, {without} not")
print(f"{len(texts)} texts, {sum(len(row['text'].split()) for row in texts)} words, {len(pairs)} pairs")
