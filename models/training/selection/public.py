#!/usr/bin/env python3
"""Documents and questions for training, of a public file of questions and answers.

    public.py QA.jsonl FOLDER [--subjects 170] [--headings]

QA.jsonl holds {"id", "question", "answer", "focus", "qtype"} a line, as MedQuAD (CC BY 4.0) and the Department of Veterans Affairs'
questions (public domain) do once they are brought into that form. Each subject becomes a document of its answers without the questions;
45 in 100 answers are left out, so that their questions are answered by nothing though their subject is there. Writes FOLDER/docs,
FOLDER/questions.jsonl and FOLDER/suite.toml. Seeded.
"""
import argparse
import collections
import json
import pathlib
import random
import zlib

LONGEST = 1500  # characters of an answer
KEPT = 0.55

parser = argparse.ArgumentParser()
parser.add_argument("answers", type=pathlib.Path)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--subjects", type=int)
parser.add_argument("--headings", action="store_true", help="half of the answers stand under what they are about")
arguments = parser.parse_args()
random.seed(7)

subjects = collections.defaultdict(list)
for row in map(json.loads, arguments.answers.read_text().splitlines()):
    if arguments.subjects is None or len(row["answer"]) < LONGEST:
        subjects[row["focus"]].append(row)
chosen = sorted(subjects.items())
if arguments.subjects is not None:
    chosen = [(subject, rows) for subject, rows in chosen if len(rows) >= 3]
    random.shuffle(chosen)
    chosen = chosen[: arguments.subjects]

(arguments.folder / "docs").mkdir(parents=True, exist_ok=True)
with (arguments.folder / "questions.jsonl").open("w") as questions:
    for at, (subject, rows) in enumerate(chosen):
        name, parts = f"subject-{at}.md", [f"# {subject}"]
        for row in rows:
            kept = random.random() < KEPT
            if kept and arguments.headings and zlib.crc32(row["id"].encode()) % 2:
                parts.append(f"## {row['qtype'].capitalize()}")
            if kept:
                parts.append(row["answer"].strip())
            sources = [{"document": name, "text": row["answer"]}] if kept else []
            question = row["question"].replace(" ?", "?")
            questions.write(json.dumps({"id": row["id"], "question": question, "sources": sources}) + "\n")
        (arguments.folder / "docs" / name).write_text("\n\n".join(parts) + "\n")
suite = '[[part]]\nid = "answers"\nkind = "lanes"\nfile = "questions.jsonl"\n'
(arguments.folder / "suite.toml").write_text(f'name = "{arguments.folder.name}"\nabout = "For training."\n{suite}')
