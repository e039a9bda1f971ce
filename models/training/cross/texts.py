"""What is learned from: invented sites with questions, evidence with claims, and public texts for the first stage."""
import json
import pathlib
import random
import re

import numpy as np

MARK = re.compile(r"^([-*+•]|\d+[.)])\s+")
NEAREST = 24  # sentences of a site that a question is read beside
HELD_OUT = 12  # one in so many lines of claims


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().split("\n") if line.strip()]


def plain(text):
    return re.sub(r"\W+", " ", text.lower()).strip()


def sentences(text):
    """Sentences of a Markdown document: what each stands under, title and innermost heading; what is written; and what the product reads of it, a row
    of a table with its headers, an item of a list with its mark."""
    found, paragraph, mark, title, heads, headers = [], [], "", "", [], []

    def close():
        nonlocal mark
        whole = re.sub(r"\s+", " ", " ".join(paragraph))
        paragraph.clear()
        written = [one for one in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(*])", whole) if one.strip()]
        found.extend((" / ".join([title, *heads[-1:]]), one, one if at else mark + one) for at, one in enumerate(written))
        mark = ""

    for line in map(str.strip, text.split("\n")):
        heading, item = re.match(r"(#+)\s+(.*)", line), MARK.match(line)
        if heading or not line or line.startswith("|") or item:
            close()
        if not line.startswith("|"):
            headers = []
        if heading:
            title, heads = (heading[2], []) if len(heading[1]) == 1 else (title, heads[:len(heading[1]) - 2] + [heading[2]])
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not headers:
                headers = cells
            elif not re.fullmatch(r"[|\s:-]+", line):
                told = "; ".join(f"{header}: {cell}" if header else cell for header, cell in zip(headers, cells) if cell)
                found.append((" / ".join([title, *heads[-1:]]), line, told))
        elif line:
            if item:
                mark = f"{item[1]} " if item[1][0].isdigit() else "- "
            paragraph.append(MARK.sub("", line))
    close()
    return found


class Site:
    """Sentences, and questions with the sentences nearest to them and those that answer them; `plain` ones, worded as what answers them, too."""

    def __init__(self, folder, reader, texts, with_plain=False):
        told = [(path.name, *one) for path in sorted((folder / "docs").iterdir()) for one in sentences(path.read_text())]
        self.sentences = [f"{under}: {one}" for _, under, _, one in told]
        self.parts = [(under.split(" / ")[0], None if written.startswith("|") else written) for _, under, written, _ in told]
        stated = [plain(written) for _, _, written, _ in told]
        asked, self.families, self.filed = [], [], {}
        added = lines(folder / "plain.jsonl") if with_plain and (folder / "plain.jsonl").exists() else []
        for row in lines(folder / "questions.jsonl") + added:
            answers = {at for source in row["sources"] for at, (document, *_) in enumerate(told)
                       if document == source["document"] and len(stated[at]) > 8
                       and (plain(source["text"]) in stated[at] or stated[at] in plain(source["text"]))}
            if answers or not row["sources"]:
                family = {}
                for form in ("question", "again", "near", "beyond"):
                    if form in row:
                        family[form] = len(asked)
                        if form in ("question", "again"):
                            for at in answers:
                                self.filed.setdefault(at, []).append(row[form])
                        asked.append((row[form], answers if form in ("question", "again") else set(), form))
                self.families.append(family)
        vectors = reader.embed(texts, [f"{under.split(' / ')[-1]}: {one}" for _, under, _, one in told])
        words = [set(plain(one).split()) for one in self.sentences]
        self.questions = []
        for (question, answers, form), vector in zip(asked, reader.embed(texts, [question for question, *_ in asked])):
            own = set(plain(question).split())
            near = vectors @ vector + 0.25 * np.array([len(own & held) / max(1, len(own)) for held in words])
            order = np.argsort(-near, kind="stable")[:NEAREST]
            self.questions.append({"question": question, "form": form, "answers": answers, "near": [int(at) for at in order], "likeness": near[order]})
        self.curated = self.answers_on_file(folder, reader, texts, vectors)

    def answers_on_file(self, folder, reader, texts, vectors):
        """Curated questions with their wordings, what only looks like them, the sentences of their answers as the product reads them, under a subject
        (here the title that stands over the likest sentence) and their own question, and those of the others on file, the likest first."""
        rows = lines(folder / "curated.jsonl") if (folder / "curated.jsonl").exists() else []
        if not rows:
            return []
        own = reader.embed(texts, [row["answer"] for row in rows])
        asked = reader.embed(texts, [row["question"] for row in rows])
        found = []
        for row, vector in zip(rows, own):
            subject = self.parts[int(np.argmax(vectors @ vector))][0]
            found.append({**row, "told": [f"{subject} / {row['question']}: {one}" for one in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", row["answer"])]})
        for at, row in enumerate(found):
            order = [int(one) for one in np.argsort(-(asked @ asked[at])) if one != at][:6]
            row["others"] = [told for one in order for told in found[one]["told"]]
        return found

    def told(self, at, filed, asked, chosen):
        """A sentence as it stands in its document, or, where it is `filed`, as an answer on file to a question that it answers: never that which is `asked`."""
        title, written = self.parts[at]
        questions = [one for one in self.filed.get(at, ()) if one != asked]
        if filed and written and questions:
            return f"{title} / {chosen.choice(questions)}: {written}"
        return self.sentences[at]


def same_questions(folder, reader, texts):
    """Pairs of questions, one asked and one on file, and whether they ask the same; beside each that does, those on file that are nearest to it."""
    def told(name):
        return lines(folder / name) if (folder / name).exists() else []
    filed, asked = [], []  # of each on file: the question, what it is about, the list that it stands on
    for name in ("curated.jsonl", "reworded.jsonl"):
        for row in told(name):
            asked += [(one, len(filed), label) for kind, label in (("same", 1), ("near", 0)) for one in row[kind]]
            filed.append((row["question"], row["question"], name))
    for row in told("questions.jsonl"):
        if "again" in row:
            asked += [(row[form], len(filed), label) for form, label in (("again", 1), ("near", 0), ("beyond", 0)) if form in row]
            filed.append((row["question"], row["sources"][0]["text"], "questions.jsonl"))
    vectors = reader.embed(texts, [question for question, *_ in filed])
    pairs = []
    for (one, own, label), vector in zip(asked, reader.embed(texts, [one for one, *_ in asked])):
        pairs.append((one, filed[own][0], label))
        # What is on file twice, or stands on another list, is no sure case of another question.
        others = [at for at in np.argsort(-(vectors @ vector)) if filed[at][1] != filed[own][1] and filed[at][2] == filed[own][2]]
        # One that only looks like its own may well ask what another on file does.
        pairs += [(one, filed[at][0], 0) for at in others[:2 if label else 0]]
    return pairs


def claims(folder):
    """Claims, evidence, and whether it bears them (0), refutes them (1) or says nothing of them (2); the held out ones apart.

    In `flips`, evidence stands beside the same text with another message, so that what is borne by one is refuted by the other, and neither the claim by
    itself nor the words that both share tell which. Elsewhere whoever wrote a claim that its evidence refutes kept more of its words than one who told
    it in other words, so that a sentence of the evidence itself stands beside those that are borne.
    """
    learned, held = [], []
    for path in sorted(folder.glob("claims/*.jsonl")):
        for at, row in enumerate(lines(path)):
            for label, kind in enumerate(("supported", "contradicted", "unsaid")):
                (held if at % HELD_OUT == 0 else learned).extend((claim, row["evidence"], label) for claim in row[kind])
            whole = re.split(r"(?<=[.!?])\s+(?=[A-Z])", row["evidence"])
            if at % HELD_OUT:
                learned.append((whole[at % len(whole)], row["evidence"], 0))
    for path in sorted(folder.glob("flips/*.jsonl")):
        for at, row in enumerate(lines(path)):
            told = (row["evidence"], row["other"])
            found = [(claim, evidence, int(own != where)) for own, kind in enumerate("ab") for claim in row[kind] for where, evidence in enumerate(told)]
            found += [(claim, told[(at + which) % 2], 2) for which, claim in enumerate(row["unsaid"])]
            (held if at % HELD_OUT == 0 else learned).extend(found)
    return learned, held


def people_claims(folder):
    """Claims that people wrote, and conclusions, as `../entailment/generate.py` makes them, with what `claims` says of each; the former three times."""
    kinds = {"claim-support": 0, "claim-contradict": 1, "claim-noinfo": 2, "pubmedqa-conclusion": 0, "pubmedqa-negated": 1, "pubmedqa-other-conclusion": 2}
    text = {row["id"]: row["text"] for row in lines(folder / "texts.jsonl")}
    return [(text[row["claim"]], " ".join(text[one] for one in row["evidence"]), kinds[row["kind"]]) for row in lines(folder / "pairs.jsonl")
            if not row["held_out"] and row["kind"] in kinds for _ in range(3 if row["kind"].startswith("claim") else 1)]


ASPECTS = {
    r"^what is \(are\)": ["What is {}?", "what does {} mean", "Can you explain {} to me?", "doctor said {}, what is that", "{} explained", "Tell me what {} is.", "What do people mean by {}?"],
    r"^what are the treatments for": ["What are the treatments for {}?", "how do they treat {}", "What can be done about {}?", "which medicines or operations help with {}", "{}: therapy options",
                                      "My sister has {}. What will the doctors give her?", "Is there any cure for {}?"],
    r"^what research": ["What research is being done on {}?", "are there trials for {}", "Is anything new being studied for {}?", "{} clinical trials", "What are scientists finding out about {}?"],
    r"^what are the symptoms of": ["What are the symptoms of {}?", "how would i notice {}", "What does {} feel like?", "Signs of {}?", "how can you tell that somebody has {}", "What should I look out for with {}?"],
    r"^how to diagnose": ["How is {} diagnosed?", "which tests show {}", "How do doctors find out whether it is {}?", "{} diagnosis: examinations", "what will they do to make sure it's {}"],
    r"^what is the outlook for": ["What is the outlook for {}?", "will i get better with {}", "How long do people live with {}?", "{} prognosis", "does {} go away"],
    r"^who is at risk for": ["Who is at risk for {}?", "am i likely to get {}", "Which people get {} most often?", "{} risk factors", "What makes {} more likely?"],
    r"^what causes": ["What causes {}?", "why do people get {}", "Where does {} come from?", "{} reasons", "how did i get {}"],
    r"^what to do for": ["What should I do about {}?", "what do i eat with {}", "How do I live with {}?", "{} at home, what helps", "diet and habits for {}"],
    r"^how to prevent": ["How can {} be prevented?", "what keeps me from getting {}", "Can I avoid {}?", "{} prevention", "is there anything one can do against {} beforehand"],
    r"^what are the stages of": ["What are the stages of {}?", "how far can {} go, in steps", "Which stages does {} have?", "{} staging"],
    r"^what are the complications of": ["What are the complications of {}?", "what can go wrong with {}", "Can {} lead to something worse?"],
    r"^how many people are affected": ["How many people are affected by {}?", "is {} common", "How rare is {}?"],
}


def public_questions(data, reader, texts):
    """Questions of MedQuAD, by aspect and in several wordings, and of PubMedQA, and the sentences of their answers, for the first stage; what
    MedHallu asks too is left out. A question: its wordings, its own sentences, those on its subject that are of another aspect."""
    def cut(text):
        parts = re.split(r"(?<=[.!?])\s+|\n|(?<=\w)\s- ", re.sub(r"^Key Points", "", text))
        return [part.strip() for part in parts if 5 < len(part.split()) < 60]
    held = {row["question"] for row in lines(data / "medhallu/dev.jsonl")}
    subjects, told, questions = {}, [], []
    for row in lines(data / "medquad/qa.jsonl"):
        subjects.setdefault(row["focus"], []).append(row)
    for subject in sorted(subjects):
        answers = []
        for row in subjects[subject]:
            aspect = next((worded for form, worded in ASPECTS.items() if re.match(form, row["question"], re.IGNORECASE)), None)
            own = list(range(len(told), len(told) + len(cut(row["answer"])[:5])))
            told += [f"{subject}: {one}" for one in cut(row["answer"])[:5]]
            answers.append((aspect, own))
        for aspect, own in answers:
            others = [one for other, theirs in answers if other is not aspect for one in theirs]
            if aspect and own and len(others) > 2:
                questions.append(([form.format(subject) for form in aspect], own[:3], others))
    for row in lines(data / "pubmedqa/qa.jsonl"):
        if row["question"] not in held:
            own = cut(row["answer"])[:2]
            first = len(told)
            told += [f"Research: {one}" for one in [one for part in row["contexts"] for one in cut(part)][:5] + own]
            if own:
                questions.append(([row["question"]], list(range(len(told) - len(own), len(told))), list(range(first, len(told) - len(own)))))
    return told, questions, reader.embed(texts, told), reader.embed(texts, [forms[0] for forms, *_ in questions])


def public_claims(folder, random):
    """Pairs as `../entailment/generate.py` makes them, turned claims thinned: claim, evidence, whether it bears the claim."""
    text = {row["id"]: row["text"] for row in lines(folder / "texts.jsonl")}
    pairs = [row for row in lines(folder / "pairs.jsonl") if not row["held_out"]]
    pairs = [row for row in pairs if "turned" not in row["kind"] or random.random() >= 0.6]
    random.shuffle(pairs)
    return [(text[row["claim"]], " ".join(text[one] for one in row["evidence"]), row["label"]) for row in pairs]
