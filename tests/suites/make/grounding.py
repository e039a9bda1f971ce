#!/usr/bin/env python3
"""Makes ../larkfield/grounding.jsonl: answers that say what their source says, and answers with one error of twelve types.

Templates are written for this suite, on other subjects and in other sentences than the fixtures that the check was developed beside. In
a template `{slot}` is a value as the source has it, `{slot~}` the same in other words; an error changes one slot, or is an answer of its own.
Figures are made up and are no medical advice. Run it without arguments after a change; it draws nothing by chance.
"""
import json
import pathlib

# As the source has it, in other words, and wrong values.
VALUES = {
    "drug": [("levothyroxine", "Synthroid", ["liothyronine"]), ("hydrocodone", "hydrocodone", ["oxycodone"]), ("fluoxetine", "Prozac", ["paroxetine"]),
             ("celecoxib", "Celebrex", ["citalopram"]), ("glimepiride", "Amaryl", ["glipizide"]), ("rivaroxaban", "Xarelto", ["apixaban"]),
             ("valsartan", "Diovan", ["losartan"]), ("ranolazine", "Ranexa", ["risperidone"]), ("ticagrelor", "Brilinta", ["clopidogrel"]),
             ("methimazole", "methimazole", ["metolazone"]), ("cyclosporine", "cyclosporine", ["cycloserine"]), ("nifedipine", "nifedipine", ["nicardipine"])],
    "dose": [("12.5 mg", "12.5 milligrams", ["125 mg", "1.25 mg", "12.5 mcg", "12.5 g"]), ("150 mg", "0.15 g", ["1500 mg", "15 mg", "150 mcg", "150 g"]),
             ("0.5 mg", "500 mcg", ["5 mg", "0.05 mg", "0.5 g", "0.5 mcg"]), ("20 mg", "20 milligrams", ["200 mg", "2 mg", "20 mcg", "20 g"]),
             ("125 mcg", "125 micrograms", ["1250 mcg", "12.5 mcg", "125 mg", "125 units"]), ("8 units", "eight units", ["80 units", "0.8 units", "8 mL", "8 mg"]),
             ("5 mL", "5 millilitres", ["50 mL", "0.5 mL", "5 L", "5 mg"])],
    "cap": [("80 mg", "80 milligrams", ["800 mg", "8 mg", "80 mcg", "80 g"]), ("2.4 g", "2400 mg", ["24 g", "0.24 g", "2.4 mg", "2.4 mcg"]),
            ("300 mg", "300 milligrams", ["3000 mg", "30 mg", "300 mcg", "300 g"])],
    "route": [("by mouth", "orally", ["intravenously"]), ("under the skin", "subcutaneously", ["intravenously"]), ("intravenously", "IV", ["by mouth"]),
              ("into a muscle", "intramuscularly", ["under the skin"]), ("under the tongue", "sublingually", ["rectally"])],
    "often": [("once daily", "every day", ["twice daily", "once weekly"]), ("twice daily", "every 12 hours", ["four times daily", "once daily"]),
              ("every 8 hours", "three times a day", ["every 4 hours", "every 18 hours"]), ("every 6 hours", "four times daily", ["every 16 hours", "every 2 hours"]),
              ("once weekly", "every 7 days", ["once daily", "once monthly"])],
    "span": [("5 days", "five days", ["15 days", "5 weeks"]), ("21 days", "three weeks", ["12 days", "21 weeks"]), ("3 months", "three months", ["3 weeks", "13 months"]),
             ("48 hours", "two days", ["84 hours", "48 days"]), ("30 days", "30 days", ["13 days", "30 hours"])],
    "age": [("16 years", "16 years", ["6 years", "61 years"]), ("8 years", "8 years", ["18 years", "8 months"]), ("65 years", "65 years", ["56 years", "45 years"])],
    "weight": [("35 kg", "35 kg", ["53 kg", "35 lb"]), ("50 kg", "50 kg", ["15 kg", "5 kg"]), ("20 kg", "20 kg", ["2 kg", "40 kg"])],
    "phone": [("555-0172", "555-0172", ["555-0127", "555-0712"]), ("555-0188", "555-0188", ["555-0180", "555-0818"])],
    "clock": [("9:30 AM", "9:30 a.m.", ["9:30 PM", "9:00 AM"]), ("4:15 PM", "4:15 p.m.", ["4:45 PM", "4:15 AM"]), ("6:00 AM", "6 a.m.", ["6:00 PM", "8:00 AM"])],
    "money": [("$18", "$18", ["$80", "$81"]), ("$7.25", "$7.25", ["$72.50", "$7.52"]), ("$40", "$40", ["$14", "$400"])],
    "day": [("June 3, 2026", "3 June 2026", ["June 30, 2026", "July 3, 2026"]), ("November 12, 2025", "12 November 2025", ["November 21, 2025", "November 12, 2026"])],
}
SEVERE = {"drug", "tenfold", "unit", "route", "frequency", "bound", "population", "polarity", "release", "omission"}


def T(source, answer, others, errors, question=""):
    TEMPLATES.append((source, answer, others, errors, question))


TEMPLATES = []
DOSING = [("drug", "{drug}"), ("tenfold", "{dose}"), ("unit", "{dose}"), ("route", "{route}"), ("frequency", "{often}")]
T("Thyroid clinic\nOn the morning of the visit the patient takes {drug} {dose} {route} {often} as before. Blood is drawn before breakfast. Biotin is stopped two days earlier.",
  "The patient takes {drug} {dose} {route} {often} as before.",
  ["{drug} {dose~} is taken {route} {often~} as before by the patient.", "As before, the patient takes {dose} of {drug} {route~} {often}."], DOSING)
T("Gout plan: start {drug} {dose} {often} and go on for {span} after the swelling has gone. Fluids help. Call if a rash comes up.",
  "Start {drug} {dose} {often} and go on for {span} after the swelling has gone.",
  ["Begin {drug} {dose} {often~} and go on for {span~} after the swelling has gone.", "After the swelling has gone, go on with {drug} {dose~} {often} for {span}."],
  [("drug", "{drug}"), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}"), ("duration", "{span}")])
T("Dental clinic sheet. One hour before the extraction the nurse gives {drug} {dose} {route}. The mouth is rinsed with salt water for {span} afterwards.",
  "One hour before the extraction the nurse gives {drug} {dose} {route}.",
  ["The nurse gives {dose~} of {drug} {route} one hour before the extraction.", "{drug} {dose} is given {route~} by the nurse one hour before the extraction."],
  [("drug", "{drug}"), ("tenfold", "{dose}"), ("unit", "{dose}"), ("route", "{route}")])
T("Dental clinic sheet. One hour before the extraction the nurse gives {drug} {dose} {route}. The mouth is rinsed with salt water for {span} afterwards.",
  "The mouth is rinsed with salt water for {span} afterwards.", ["Rinse the mouth with salt water for {span~} afterwards.", "Afterwards the mouth is rinsed with salt water for {span}."],
  [("duration", "{span}"), ("polarity", "The mouth is not rinsed with salt water afterwards."), ("polarity", "The mouth must not be rinsed with salt water for {span} afterwards.")])
T("The daily dose of {drug} must not exceed {cap}. The pharmacist reviews higher orders.", "The daily dose of {drug} must not exceed {cap}.",
  ["Do not exceed {cap~} of {drug} a day.", "The daily dose of {drug} is {cap} at most."],
  [("bound", "The daily dose of {drug} must be at least {cap}."), ("bound", "The daily dose of {drug} must exceed {cap}."), ("tenfold", "{cap}"), ("unit", "{cap}"), ("drug", "{drug}")])
T("Heart failure group: weigh yourself each morning. A gain of more than 2 kg in {span} is reported to the nurse at {phone}. Salt stays low.",
  "A gain of more than 2 kg in {span} is reported to the nurse at {phone}.", ["Report a gain of more than 2 kg in {span~} to the nurse at {phone}.", "The nurse is told at {phone} of a gain of more than 2 kg in {span}."],
  [("bound", "A gain of less than 2 kg in {span} is reported to the nurse at {phone}."), ("duration", "{span}"), ("contact", "{phone}"), ("tenfold", "A gain of more than 20 kg in {span} is reported to the nurse at {phone}.")])
T("Patients under {age} do not receive {drug}. Their doctor is asked for another medicine.", "Patients under {age} do not receive {drug}.",
  ["{drug} is not given to patients under {age}.", "Patients who are younger than {age} do not receive {drug}."],
  [("population", "{age}"), ("bound", "Patients over {age} do not receive {drug}."), ("polarity", "Patients under {age} receive {drug}."), ("drug", "{drug}")])
T("Malaria tablets: travelers of {weight} or more take {drug} {dose} {often}, from the day before the trip until {span} after it.",
  "Travelers of {weight} or more take {drug} {dose} {often}.", ["{drug} {dose} {often~} is taken by travelers of {weight} or more.", "Travelers who weigh {weight} or more take {dose~} of {drug} {often}."],
  [("population", "{weight}"), ("bound", "Travelers of {weight} or less take {drug} {dose} {often}."), ("drug", "{drug}"), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}")])
T("{drug} XR is swallowed whole {often} with the evening meal. The tablets are never split.", "{drug} XR is swallowed whole {often} with the evening meal.",
  ["With the evening meal, {drug} XR is swallowed whole {often~}.", "Swallow extended-release {drug} whole {often} with the evening meal."],
  [("release", "{drug} IR is swallowed whole {often} with the evening meal."), ("release", "Immediate-release {drug} is swallowed whole {often} with the evening meal."), ("frequency", "{often}"), ("drug", "{drug}")])
T("{drug} XR is swallowed whole {often} with the evening meal. The tablets are never split.", "The tablets are never split.", ["Do not split the tablets.", "The tablets must not be split."],
  [("polarity", "The tablets are split."), ("polarity", "The tablets may be split.")])
T("For the long-acting form, bupropion SR {dose} {often} is entered. The short form is not stocked.", "Bupropion SR {dose} {often} is entered.",
  ["Enter bupropion SR {dose~} {often}.", "Bupropion sustained-release {dose} {often~} is entered."],
  [("release", "Bupropion XL {dose} {often} is entered."), ("release", "Bupropion IR {dose} {often} is entered."), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}")])
T("Travel desk\nThe travel desk takes calls at {phone} from {clock} on weekdays. A consultation costs {money}. Forms are mailed the next day.",
  "The travel desk takes calls at {phone} from {clock} on weekdays.", ["Call the travel desk at {phone} from {clock~} on weekdays.", "On weekdays the travel desk takes calls from {clock} at {phone}."],
  [("contact", "{phone}"), ("contact", "{clock}"), ("contact", "The travel desk takes calls at {phone} from {clock} on weekends.")])
T("Travel desk\nThe travel desk takes calls at {phone} from {clock} on weekdays. A consultation costs {money}. Forms are mailed the next day.",
  "A consultation costs {money}.", ["The cost of a consultation is {money}.", "Patients pay {money} for a consultation."], [("contact", "{money}"), ("polarity", "A consultation does not cost {money}.")])
T("The fee for the mail kit rises to {money} on {day}. Kits ordered before that day keep the old fee.", "The fee for the mail kit rises to {money} on {day}.",
  ["On {day~} the fee for the mail kit rises to {money}.", "The mail kit's fee rises to {money} on {day}."], [("contact", "{money}"), ("contact", "{day}")])
T("Do not take antacids within {span} of {drug}. Milk is allowed.", "Do not take antacids within {span} of {drug}.", ["Antacids must not be taken within {span~} of {drug}.", "Within {span} of {drug}, do not take antacids."],
  [("polarity", "Take antacids within {span} of {drug}."), ("polarity", "Antacids may be taken within {span} of {drug}."), ("duration", "{span}"), ("drug", "{drug}")])
T("Pregnant women must not handle crushed {drug}. Gloves are in the second drawer.", "Pregnant women must not handle crushed {drug}.",
  ["Crushed {drug} must not be handled by pregnant women.", "Pregnant women do not handle crushed {drug}."],
  [("polarity", "Pregnant women may handle crushed {drug}."), ("polarity", "Pregnant women must handle crushed {drug}."), ("drug", "{drug}"), ("population", "Breastfeeding women must not handle crushed {drug}.")])
T("Sickle cell day unit: {drug} {dose} {route} is given {often} while the pain lasts, for {span} at the longest. Oxygen runs at 2 liters.",
  "{drug} {dose} {route} is given {often} while the pain lasts, for {span} at the longest.",
  ["While the pain lasts, {drug} {dose~} {route} is given {often}, for {span} at the longest.", "{drug} {dose} is given {route~} {often~} while the pain lasts, for {span~} at the longest."],
  DOSING + [("duration", "{span}")])
T("Children of 2 to 5 years get {dose} of the syrup {often}. Older ones get tablets. Do not give it to a child with a fever above 39 C.", "Children of 2 to 5 years get {dose} of the syrup {often}.",
  ["{dose~} of the syrup {often} is given to children of 2 to 5 years.", "The syrup, {dose} {often~}, is for children of 2 to 5 years."],
  [("population", "Children of 2 to 15 years get {dose} of the syrup {often}."), ("population", "Children of 12 to 15 years get {dose} of the syrup {often}."), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}")])
T("Take {dose} of {drug} {often}. Do not take more than {cap} in one day.", "Take {dose} of {drug} {often}.", [], [("omission", "Take {dose} of {drug} {often}."), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}"), ("drug", "{drug}")])
T("Inject {dose} of {drug} under the skin {often}. Warning: never inject it into a vein. Rotate the sites.", "Inject {dose} of {drug} under the skin {often}.", [],
  [("omission", "Inject {dose} of {drug} under the skin {often}."), ("route", "Inject {dose} of {drug} into a vein {often}."), ("drug", "{drug}"), ("tenfold", "{dose}"), ("unit", "{dose}")])
T("Chew one tablet of {dose} {often}. Stop at once if you vomit blood, and call 911.", "Chew one tablet of {dose} {often}.", [], [("omission", "Chew one tablet of {dose} {often}."), ("tenfold", "{dose}"), ("frequency", "{often}")])
T("Adults start with {dose} of {drug} {often}. Patients with liver disease must not take it.", "Adults start with {dose} of {drug} {often}.", [], [("omission", "Adults start with {dose} of {drug} {often}."), ("population", "Children start with {dose} of {drug} {often}.")])
T("Migraine nurse: {drug} {dose} may be taken again after {span} if the pain returns. Never take a third dose in the same day.", "{drug} {dose} may be taken again after {span} if the pain returns.", [],
  [("omission", "{drug} {dose} may be taken again after {span} if the pain returns."), ("duration", "{span}"), ("drug", "{drug}"), ("tenfold", "{dose}")])
T("Potassium below 3.0 is called to the ward within {span}. The ward repeats the test by {clock}.", "Potassium below 3.0 is called to the ward within {span}.",
  ["Call a potassium below 3.0 to the ward within {span~}.", "Within {span} a potassium under 3.0 is called to the ward."],
  [("bound", "Potassium above 3.0 is called to the ward within {span}."), ("duration", "{span}"), ("tenfold", "Potassium below 30 is called to the ward within {span}.")])
T("Allergy shots: the nurse gives the shot {route}, and the patient stays in the waiting room. Asthma patients bring their inhaler.", "The nurse gives the shot {route}.",
  ["The shot is given {route~} by the nurse.", "The nurse gives the shot {route~}."], [("route", "{route}"), ("polarity", "The nurse does not give the shot {route}.")])
T("Unused pens of {drug} go back to the clinic, used needles into the yellow box. The box is emptied on {day}.", "Unused pens of {drug} go back to the clinic, used needles into the yellow box.",
  ["Used needles go into the yellow box, unused pens of {drug} back to the clinic."], [("drug", "{drug}"), ("polarity", "Unused pens of {drug} do not go back to the clinic.")])
T("Ward round: hold {drug} if the pulse is below 55. Give it again when the pulse is 60 or more.", "Hold {drug} if the pulse is below 55.", ["If the pulse is under 55, hold {drug}.", "{drug} is held if the pulse is below 55."],
  [("bound", "Hold {drug} if the pulse is above 55."), ("polarity", "Give {drug} if the pulse is below 55."), ("drug", "{drug}"), ("tenfold", "Hold {drug} if the pulse is below 5.5.")])
T("Eczema sheet: apply the ointment {often} for {span}. Do not use it on the face. Wash the hands afterwards.", "Apply the ointment {often} for {span}.",
  ["The ointment is applied {often~} for {span}.", "For {span~}, apply the ointment {often}."], [("frequency", "{often}"), ("duration", "{span}"), ("polarity", "Do not apply the ointment {often} for {span}.")])
T("Eczema sheet: apply the ointment {often} for {span}. Do not use it on the face. Wash the hands afterwards.", "Do not use it on the face.", ["It must not be used on the face."],
  [("polarity", "Use it on the face."), ("polarity", "It may be used on the face.")])
T("Nursing homes\nOrders for {drug} from nursing homes are checked by two pharmacists before {clock}. Urgent ones are phoned to {phone}.",
  "Orders for {drug} from nursing homes are checked by two pharmacists before {clock}.",
  ["Before {clock~} two pharmacists check the orders for {drug} from nursing homes.", "Two pharmacists check orders for {drug} from nursing homes before {clock}."],
  [("drug", "{drug}"), ("contact", "{clock}"), ("polarity", "Orders for {drug} from nursing homes are not checked by two pharmacists before {clock}."), ("bound", "Orders for {drug} from nursing homes are checked by two pharmacists after {clock}.")])
T("Kidney patients with a creatinine clearance below 30 mL/min take {dose} of {drug} {often}. All others take twice that dose.",
  "Kidney patients with a creatinine clearance below 30 mL/min take {dose} of {drug} {often}.",
  ["{dose} of {drug} {often~} is taken by kidney patients with a creatinine clearance below 30 mL/min.", "With a creatinine clearance under 30 mL/min, kidney patients take {dose~} of {drug} {often}."],
  [("population", "Kidney patients with a creatinine clearance below 60 mL/min take {dose} of {drug} {often}."), ("bound", "Kidney patients with a creatinine clearance above 30 mL/min take {dose} of {drug} {often}."), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}"), ("drug", "{drug}")])
T("After heart surgery {drug} is continued for {span} and then stopped, unless the surgeon decides otherwise. Aspirin goes on for life.",
  "After heart surgery {drug} is continued for {span} and then stopped, unless the surgeon decides otherwise.",
  ["Unless the surgeon decides otherwise, {drug} is continued for {span~} after heart surgery and then stopped."],
  [("duration", "{span}"), ("drug", "{drug}"), ("polarity", "After heart surgery {drug} is not continued for {span}.")])
T("The metoprolol tartrate order reads {dose} {often}. Do not change it to the succinate.", "The metoprolol tartrate order reads {dose} {often}.", ["The order for metoprolol tartrate reads {dose~} {often}."],
  [("release", "The metoprolol succinate order reads {dose} {often}."), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}")])
T("Niacin ER {dose} is taken at bedtime with a snack. Regular niacin is another product.", "Niacin ER {dose} is taken at bedtime with a snack.", ["At bedtime, niacin extended-release {dose~} is taken with a snack."],
  [("release", "Niacin IR {dose} is taken at bedtime with a snack."), ("release", "Regular niacin {dose} is taken at bedtime with a snack."), ("tenfold", "{dose}"), ("unit", "{dose}")])
T("Morphine ER {dose} is ordered {often}; morphine solution is for breakthrough pain only.", "Morphine ER {dose} is ordered {often}.", ["Morphine extended-release {dose} is ordered {often~}."],
  [("release", "Morphine IR {dose} is ordered {often}."), ("release", "Immediate-release morphine {dose} is ordered {often}."), ("tenfold", "{dose}"), ("unit", "{dose}"), ("frequency", "{often}")])
ROUNDS = 12
MOST = 170


def value(slot, round_, template):
    values = VALUES[slot]
    return values[(round_ + 5 * template + len(slot)) % len(values)]


def fill(text, template, round_, wrong=None):
    out, rest = "", text
    while "{" in rest:
        before, rest = rest.split("{", 1)
        slot, rest = rest.split("}", 1)
        plain, other, _ = value(slot.rstrip("~"), round_, template)
        out += before
        if wrong and wrong[0] == slot.rstrip("~"):
            out += wrong[1]
        else:
            out += other if slot.endswith("~") else plain
    out += rest
    return out[:1].upper() + out[1:]


def errors(kind, what, answer, template, round_):
    """The answers that an error of this kind makes."""
    if not (what.startswith("{") and what.endswith("}") and what.count("{") == 1):
        return [fill(what, template, round_)]
    slot = what[1:-1]
    wrong = value(slot, round_, template)[2]
    if slot in ("dose", "cap"):
        wrong = wrong[:2] if kind == "tenfold" else wrong[2:]
    return [fill(answer, template, round_, (slot, bad)) for bad in wrong]


def main():
    made, faithful = {}, {}
    for template, (source, answer, others, wrong, question) in enumerate(TEMPLATES):
        for round_ in range(ROUNDS):
            context = fill(source, template, round_)
            for wording, said in [("verbatim", answer)] + [("paraphrase", other) for other in others]:
                # A warning that stands right after is no part of a whole answer: such templates are for what is left out.
                if not any(kind == "omission" for kind, _ in wrong):
                    faithful.setdefault((context, fill(said, template, round_)), (wording, template, round_))
            for kind, what in wrong:
                for bad in errors(kind, what, answer, template, round_):
                    made.setdefault((context, bad), (kind, template, round_))
    rows, counts = [], {}
    # Round by round, so that no template has more than its share of a type.
    for (context, said), (kind, template, round_) in sorted(made.items(), key=lambda item: (item[1][2], item[1][1])):
        if counts.get(kind, 0) < MOST and (context, said) not in faithful:
            counts[kind] = counts.get(kind, 0) + 1
            rows.append({"id": f"{kind}-{counts[kind]:03}", "context": context, "answer": said, "error": kind, "severe": kind in SEVERE, "group": f"template {template}"})
    kept = {}
    for (context, said), (wording, template, round_) in sorted(faithful.items(), key=lambda item: (item[1][2], item[1][1])):
        if kept.get(wording, 0) < 300:
            kept[wording] = kept.get(wording, 0) + 1
            rows.append({"id": f"{wording}-{kept[wording]:03}", "context": context, "answer": said, "wording": wording, "group": f"template {template}"})
    out = pathlib.Path(__file__).parent / "../larkfield/grounding.jsonl"
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    print(sum(counts.values()), "errors of", len(counts), "types", counts, kept, "from", len(TEMPLATES), "templates")


if __name__ == "__main__":
    main()
