#!/usr/bin/env python3
"""Texts for the heads, of the templates beside this file and of public texts.

    generate.py OUT.jsonl [--public DATA]

Every template is filled several times, from a fixed seed. With `--public`, harmless text is added from a folder that holds
`medquad/qa.jsonl`, `clinical_notes/` (both CC BY 4.0), `va_gov/` and `fda_labels/` (both CC0), and misconduct from
`content/medsafetybench_train.jsonl` (MIT); nothing else is read there. A line is {"id", "text", "where",
"group", "labels"}; texts of one group are never parted between training and validation.
"""
import argparse
import json
import pathlib
import random
import re
import tomllib

HERE = pathlib.Path(__file__).parent
FILLS = {"attacks": 6, "contents": 6, "harmless": 10}  # of a template that has slots
PUBLIC = 3000  # of each kind of public text, at most


def fill(text, slots, dice):
    return re.sub(r"\{(\w+)\}", lambda slot: dice.choice(slots[slot[1]]), text)


def templates(name, dice):
    content = tomllib.loads((HERE / f"{name}.toml").read_text())
    for group in content["group"]:
        category = group.get("category", {"attacks": "prompt_attack", "harmless": "none"}.get(name))
        labels = [] if category == "none" else [category.upper()]
        for number, text in enumerate(group["texts"]):
            # Attacks are held out by the family: what is new about an attack is its kind.
            unit = f"{name}/{group['name']}" + ("" if name == "attacks" else f"/{number}")
            filled = {fill(text, content["slots"], dice) for _ in range(FILLS[name] if "{" in text else 1)}
            for text in sorted(filled):
                yield {"text": text, "where": group.get("where", "user"), "group": unit, "labels": labels}


def public(folder, dice):
    rows = [json.loads(line) for line in (folder / "medquad/qa.jsonl").read_text().splitlines()]
    dice.shuffle(rows)
    for number, row in enumerate(rows[:PUBLIC]):
        yield {"text": row["question"], "where": "user", "group": f"medquad/{number % 20}", "labels": []}
        words = row["answer"].split()
        if len(words) > 20:
            start = dice.randrange(max(1, len(words) - 120))
            text = " ".join(words[start : start + dice.choice([25, 60, 120])])
            yield {"text": text, "where": "document", "group": f"medquad/{number % 20}", "labels": []}
    for row in (folder / "content/medsafetybench_train.jsonl").read_text().splitlines():
        row = json.loads(row)
        yield {"text": row["text"], "where": "user", "group": f"medsafetybench/{row['id']}", "labels": ["MISCONDUCT"]}
    for kind in ("va_gov", "fda_labels", "clinical_notes"):
        passages = []
        for path in sorted((folder / kind).rglob("*")):
            if path.suffix not in (".jsonl", ".json", ".md", ".txt") or "adr_grounding" in str(path):
                continue
            text = re.sub(r"<[^>]+>|[\"{}\[\]\\]", " ", path.read_text(errors="replace"))
            words = text.split()
            passages += [" ".join(words[at : at + 80]) for at in range(0, len(words), 80)]
        dice.shuffle(passages)
        for number, text in enumerate(passages[:PUBLIC // 2]):
            yield {"text": text, "where": "document", "group": f"{kind}/{number % 10}", "labels": []}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--public", type=pathlib.Path)
    arguments = arguments.parse_args()
    dice = random.Random(7)
    rows = [row for name in FILLS for row in templates(name, dice)]
    rows += list(public(arguments.public, dice)) if arguments.public else []
    with arguments.out.open("w") as out:
        for number, row in enumerate(rows):
            out.write(json.dumps({"id": f"t{number}", **row}, ensure_ascii=False) + "\n")


main()
