"""What is trained on: invented sites with questions, evidence with claims, and public texts for the first stage."""
import json
import pathlib
import random
import re

import numpy as np

from encoder import embed

MARK = re.compile(r"^([-*+•]|\d+[.)])\s+")
NEAREST = 24  # sentences of a site that a question is read beside
HELD_OUT = 12  # one in so many lines of claims


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().split("\n") if line.strip()]


def plain(text):
    return re.sub(r"\W+", " ", text.lower()).strip()


def sentences(text):
    """Sentences of a Markdown document, each behind the title and the innermost heading that it stands under."""
    found, paragraph, title, heads = [], [], "", []

    def close():
        whole = re.sub(r"\s+", " ", " ".join(paragraph))
        paragraph.clear()
        under = " / ".join([title, *heads[-1:]])
        found.extend(f"{under}: {one}" for one in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(*])", whole) if one.strip())

    for line in map(str.strip, text.split("\n")):
        heading = re.match(r"(#+)\s+(.*)", line)
        if heading or not line or line.startswith("|") or MARK.match(line):
            close()
        if heading:
            title, heads = (heading[2], []) if len(heading[1]) == 1 else (title, heads[:len(heading[1]) - 2] + [heading[2]])
        elif line.startswith("|"):
            if not re.fullmatch(r"[|\s:-]+", line):
                found.append(f"{' / '.join([title, *heads[-1:]])}: {line}")
        elif line:
            paragraph.append(MARK.sub("", line))
    close()
    return found


class Site:
    """Sentences, and questions with the sentences nearest to them and those that answer them."""

    def __init__(self, folder, trunk, texts):
        told = [(path.name, one) for path in sorted((folder / "docs").iterdir()) for one in sentences(path.read_text())]
        self.sentences = [one for _, one in told]
        stated = [plain(one.split(": ", 1)[-1]) for one in self.sentences]
        asked = []
        for row in lines(folder / "questions.jsonl"):
            answers = {at for source in row["sources"] for at, (document, _) in enumerate(told)
                       if document == source["document"] and len(stated[at]) > 8
                       and (plain(source["text"]) in stated[at] or stated[at] in plain(source["text"]))}
            if answers or not row["sources"]:
                asked += [(row[form], answers) for form in ("question", "again") if form in row]
                asked += [(row["near"], set())] if "near" in row else []
        vectors = embed(trunk, texts, [one.split(" / ")[-1] for one in self.sentences])
        words = [set(plain(one).split()) for one in self.sentences]
        self.questions = []
        for (question, answers), vector in zip(asked, embed(trunk, texts, [question for question, _ in asked])):
            own = set(plain(question).split())
            near = vectors @ vector + 0.25 * np.array([len(own & held) / max(1, len(own)) for held in words])
            order = np.argsort(-near, kind="stable")[:NEAREST]
            self.questions.append({"question": question, "answers": answers, "near": [int(at) for at in order], "likeness": near[order]})


def same_questions(folder):
    """Pairs of questions, and whether they ask the same."""
    if (folder / "curated.jsonl").exists():
        return [(asked, row["question"], label) for row in lines(folder / "curated.jsonl")
                for kind, label in (("same", 1), ("near", 0)) for asked in row[kind]]
    rows = lines(folder / "questions.jsonl")
    pairs = [pair for row in rows for pair in ((row["again"], row["question"], 1), (row["near"], row["question"], 0))]
    chosen = random.Random(3)
    for row in rows:
        other = chosen.choice(rows)
        if other is not row:
            pairs.append((other["question"], row["question"], 0))
    return pairs


def claims(folder):
    """Claims, evidence, and whether it bears them (0), refutes them (1) or says nothing of them (2); the held out ones apart.

    Whoever writes a claim that its evidence refutes keeps more of its words than one who tells it in other words, so that a sentence of the evidence
    itself stands beside those that are borne.
    """
    learned, held = [], []
    for path in sorted(folder.glob("*.jsonl")):
        for at, row in enumerate(lines(path)):
            for label, kind in enumerate(("supported", "contradicted", "unsaid")):
                (held if at % HELD_OUT == 0 else learned).extend((claim, row["evidence"], label) for claim in row[kind])
            whole = re.split(r"(?<=[.!?])\s+(?=[A-Z])", row["evidence"])
            if at % HELD_OUT:
                learned.append((whole[at % len(whole)], row["evidence"], 0))
    return learned, held


def public_questions(data, trunk, texts, random):
    """Questions of MedQuAD and PubMedQA and the sentences of their answers, for the first stage; what MedHallu asks too is left out."""
    def cut(text):
        parts = re.split(r"(?<=[.!?])\s+|\n|(?<=\w)\s- ", re.sub(r"^Key Points", "", text))
        return [part.strip() for part in parts if 5 < len(part.split()) < 60]
    held = {row["question"] for row in lines(data / "medhallu/dev.jsonl")}
    subjects = {}
    for row in lines(data / "medquad/qa.jsonl"):
        subjects.setdefault(row["focus"], []).append(row)
    chosen = [subject for subject in sorted(subjects) if len(subjects[subject]) >= 3]
    random.shuffle(chosen)
    told, questions = [], []
    for subject in chosen[:420]:
        for row in subjects[subject]:
            first = len(told)
            told += [f"{subject}: {one}" for one in cut(row["answer"])[:6]]
            question = row["question"].replace(" ?", "?").replace("(are) ", "").replace("(s)", "s")
            questions.append((question, list(range(first, len(told)))))
    for row in lines(data / "pubmedqa/qa.jsonl"):
        if row["question"] not in held:
            own = cut(row["answer"])[:2]
            told += [f"Research: {one}" for one in [one for part in row["contexts"] for one in cut(part)][:5] + own]
            questions.append((row["question"], list(range(len(told) - len(own), len(told)))))
    questions = [(question, own) for question, own in questions if own]
    return told, questions, embed(trunk, texts, told), embed(trunk, texts, [question for question, _ in questions])


def public_claims(folder, random):
    """Pairs as `../entailment/generate.py` makes them, turned claims thinned: claim, evidence, whether it bears the claim."""
    text = {row["id"]: row["text"] for row in lines(folder / "texts.jsonl")}
    pairs = [row for row in lines(folder / "pairs.jsonl") if not row["held_out"]]
    pairs = [row for row in pairs if "turned" not in row["kind"] or random.random() >= 0.6]
    random.shuffle(pairs)
    return [(text[row["claim"]], " ".join(text[one] for one in row["evidence"]), row["label"]) for row in pairs]
