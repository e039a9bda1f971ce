#!/usr/bin/env python3
"""Makes ../larkfield/identifiers.jsonl: 400 texts as a pharmacy writes and receives them, a hundred of them without any identifier of a
person, with the places of identifiers in code points.

Templates and values are written for this suite; none of them stands in the fixtures that the detector was developed beside, and nobody in
them exists. `{KIND}` is an identifier, `{~KIND}` the same value once more. Run it without arguments after a change; the seed makes it the
same file every time.
"""
import json
import pathlib
import random
import re
import string

R = random.Random(20260712)

GIVEN = """Anneliese Bashir Consuelo Dmitri Esperanza Folasade Giovanni Hisako Ibrahim Jadwiga Kwame Lucinda Mohammed Nguyet Oluwaseun Paloma
Rashida Siobhan Tariq Urszula Viktor Wilhelmina Ximena Yasmin Zoltan Harriet Leonard Doris Eugene Marjorie Clifford Roberta Wendell Phyllis
Dwight Maxine Trevor Camille Jerome Nadine""".split()
SURNAME = """Adeyemi Brzezinski Cartwright Dussault Espinoza Fahrenkrug Gallagher Hovsepian Iwasaki Jaramillo Kaczmarek Lindholm Mukherjee
Nordstrom O'Sullivan Pettibone Quintanilla Rasmussen Szymanski Thornquist Uchenna Valdivieso Weatherby Yildirim Zamorano Haverford Milbank
Prescott-Lane Al-Mansour McTavish Tran Kowalski Beaumont Ferreira Nakashima Oyelaran Sandoval""".split()
TOWN = """Fort Wayne,IN;Amarillo,TX;Duluth,MN;Yonkers,NY;Fresno,CA;Savannah,GA;Cedar Rapids,IA;Worcester,MA;Eugene,OR;Lubbock,TX;Topeka,KS;Mobile,AL;
Green Bay,WI;Anchorage,AK""".replace("\n", "").split(";")
ROAD = "Hawthorn,Willow Bend,Fourth,Orchard Park,Chestnut,Prairie View,South 23rd,Mill Pond,Laurel,Stonebridge,Juniper,Meadow Creek".split(",")
ROADS = "Street,Avenue,Road,Lane,Drive,Court,Place,Blvd,Ave,St".split(",")
PLACE = """Saint Adalbert Medical Center,Riverbend Community Hospital,Oakhurst Family Clinic,Northgate Dialysis Center,Whispering Pines Nursing Home,
Copperfield Pharmacy,Mercy Valley Hospital,Prairie Lakes Pediatrics,Lakeside Oncology Clinic,Harmon County Hospital,Blue Spruce Rehabilitation Center,
Fairmont Urgent Care""".replace("\n", "").split(",")
MONTH = "January February March April May June July August September October November December".split()


def n(count, first="123456789"):
    return R.choice(first) + "".join(R.choice(string.digits) for _ in range(count - 1))


def c(count):
    return "".join(R.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(count))


def luhn(body):
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def date():
    month, day, year = R.randint(1, 12), R.randint(1, 28), R.randint(1928, 2026)
    name = MONTH[month - 1]
    return R.choice([f"{month}/{day}/{year}", f"{month:02}/{day:02}/{year}", f"{month:02}-{day:02}-{year}", f"{year}-{month:02}-{day:02}", f"{name} {day}, {year}",
                     f"{day} {name} {year}", f"{name[:3]} {day}, {year}", f"{day}-{name[:3].upper()}-{year}", f"{month}/{day}/{year % 100:02}"])


def phone():
    area, mid, last = n(3, "23456789"), n(3, "23456789"), n(4, string.digits)
    return R.choice([f"({area}) {mid}-{last}", f"{area}-{mid}-{last}", f"{area}.{mid}.{last}", f"+1 {area}-{mid}-{last}", f"{area} {mid} {last}"])


def npi():
    body = R.choice("12") + n(8, string.digits)
    return body + luhn("80840" + body)


def dea():
    digits = n(6, string.digits)
    value = [int(digit) for digit in digits]
    return R.choice("ABFGM") + c(1) + digits + str((value[0] + value[2] + value[4] + 2 * (value[1] + value[3] + value[5])) % 10)


def vin():
    value = {letter: number for letter, number in zip("ABCDEFGHJKLMNPRSTUVWXYZ", [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9])}
    weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]
    made = list(R.choice("1245") + "".join(R.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(9)) + c(1) + n(6))
    made[8] = "0"
    rest = sum((int(x) if x.isdigit() else value[x]) * weight for x, weight in zip(made, weights)) % 11
    made[8] = "X" if rest == 10 else str(rest)
    return "".join(made)


def card():
    body = R.choice(["4", "51"]) + n(14, string.digits)
    body = body[:15]
    number = body + luhn(body)
    return R.choice([number, "-".join(number[at:at + 4] for at in range(0, 16, 4)), " ".join(number[at:at + 4] for at in range(0, 16, 4))])


def imei():
    body = "86" + n(12, string.digits)
    return body + luhn(body)


def iban():
    body = "DEUTDEFF"[:4] + n(14, string.digits)
    number = int("".join(str(int(x, 36)) for x in body + "GB00"))
    return f"GB{98 - number % 97:02}{body}"


def name():
    return f"{R.choice(GIVEN)} {R.choice(SURNAME)}"


VALUES = {
    "NAME": name,
    "MIDDLE": lambda: f"{R.choice(GIVEN)} {c(1)}. {R.choice(SURNAME)}",
    "LASTFIRST": lambda: f"{R.choice(SURNAME)}, {R.choice(GIVEN)}",
    "MRS": lambda: f"{R.choice(['Mrs.', 'Mr.', 'Ms.'])} {R.choice(SURNAME)}",
    "DR": lambda: f"{R.choice(['Dr.', 'Dr'])} {R.choice(SURNAME)}",
    "GIVEN": lambda: R.choice(GIVEN),
    "SURNAME": lambda: R.choice(SURNAME),
    "DATE": date,
    "AGE": lambda: R.choice(["{} years old", "{}-year-old", "{} yo", "{}yo"]).format(R.randint(90, 103)),
    "PHONE": phone, "FAX": phone,
    "EMAIL": lambda: f"{R.choice(GIVEN).lower()}{R.choice(['.', '_', ''])}{R.choice(SURNAME).lower().replace(chr(39), '')}{R.choice(['', '84', '1951'])}@{R.choice(['mailbox.example', 'hollowayfamily.org', 'postbox.example.net'])}",
    "SSN": lambda: (lambda a, b, d: R.choice([f"{a}-{b}-{d}", f"{a} {b} {d}"]))(n(3, "12345"), n(2), n(4)),
    "MRN": lambda: R.choice([n(8), n(6), f"{c(1)}{n(7)}", f"{c(2)}{n(6)}", f"{n(3)}-{n(2)}-{n(3)}"]),
    "PLAN": lambda: R.choice([f"{c(3)}{n(9)}", f"{n(3)}{c(2)}{n(4)}", f"{c(1)}{n(2)}{c(1)}{n(5)}", n(11)]),
    "ACCOUNT": lambda: R.choice([n(9), n(12), f"{n(3)}-{n(6)}"]),
    "CARD": card, "IBAN": iban,
    "LICENSE": lambda: R.choice([f"{c(2)}{n(6)}", f"{c(1)}{n(3)}-{n(4)}", n(7)]),
    "DRIVER": lambda: R.choice([f"{c(1)}{n(3)}-{n(4)}-{n(4)}", f"{c(1)}{n(7)}"]),
    "PASSPORT": lambda: f"{c(1)}{n(8)}",
    "NPI": npi, "DEA": dea, "VIN": vin,
    "PLATE": lambda: R.choice([f"{c(3)}-{n(4)}", f"{c(3)} {n(3)}"]),
    "DEVICE": lambda: R.choice([f"{c(2)}{n(8)}", f"SN{n(9)}", f"{n(3)}-{c(2)}-{n(5)}"]),
    "IMEI": imei,
    "URL": lambda: R.choice(["https://my.{}.example/charts/{}", "www.{}-family.org/{}", "http://{}.example.net/p/{}"]).format(R.choice(SURNAME).lower().replace("'", ""), n(4)),
    "BIOMETRIC": lambda: R.choice([f"FP-{n(6)}", f"IRIS-{n(5)}", f"VOICE{n(6)}"]),
    "PHOTO": lambda: f"{R.choice(SURNAME).lower().replace(chr(39), '')}_face_{n(4)}.{R.choice(['jpg', 'png', 'jpeg'])}",
    "RX": lambda: R.choice([n(7), n(8), f"{n(2)}-{n(6)}"]),
    "STUDY": lambda: R.choice([f"{c(4)}-{n(3)}", f"{n(3)}-{n(4)}"]),
    "USER": lambda: f"{R.choice(GIVEN).lower()}{n(3)}",
    "CITY": lambda: R.choice(TOWN).split(",")[0],
    "CITYSTATE": lambda: R.choice(TOWN).replace(",", ", "),
    "STREET": lambda: f"{R.randint(3, 9900)} {R.choice(ROAD)} {R.choice(ROADS)}",
    "ZIP": lambda: R.choice([n(5), f"{n(5)}-{n(4)}"]),
    "PLACE": lambda: R.choice(PLACE),
}
VALUES["IP"] = lambda: f"{R.choice(['10.20', '172.16', '192.168'])}.{R.randint(2, 250)}.{R.randint(2, 250)}"
LABEL = {
    "MIDDLE": "NAME", "LASTFIRST": "NAME", "MRS": "NAME", "DR": "NAME", "GIVEN": "NAME", "SURNAME": "NAME", "SSN": "US_SOCIAL_SECURITY_NUMBER",
    "MRN": "MEDICAL_RECORD_NUMBER", "PLAN": "HEALTH_PLAN_NUMBER", "ACCOUNT": "ACCOUNT_NUMBER", "CARD": "CREDIT_DEBIT_CARD_NUMBER",
    "IBAN": "INTERNATIONAL_BANK_ACCOUNT_NUMBER", "LICENSE": "LICENSE_NUMBER", "DRIVER": "DRIVER_ID", "PASSPORT": "PASSPORT_NUMBER",
    "NPI": "NATIONAL_PROVIDER_IDENTIFIER", "DEA": "DEA_NUMBER", "VIN": "VEHICLE_IDENTIFICATION_NUMBER", "PLATE": "LICENSE_PLATE",
    "DEVICE": "DEVICE_IDENTIFIER", "IP": "IP_ADDRESS", "BIOMETRIC": "BIOMETRIC_IDENTIFIER", "PHOTO": "PHOTOGRAPH", "RX": "PRESCRIPTION_NUMBER",
    "STUDY": "STUDY_NUMBER", "USER": "USERNAME", "CITY": "LOCATION", "CITYSTATE": "LOCATION", "STREET": "ADDRESS", "ZIP": "ZIP_CODE", "PLACE": "FACILITY",
}

NAMING = r"""
{NAME} is out of lisinopril and the next visit is {DATE}.
Pt {LASTFIRST} ({DATE}) wants to know if her apixaban is ready.
Voicemail from {MRS}: the albuterol inhaler did not arrive. Call back at {PHONE}.
Spoke with {DR} at {PLACE} about the tramadol order; change to 50 mg twice daily.
Prior auth for {NAME}: member {PLAN}, submitted {DATE}, waiting on the plan.
{MIDDLE} picked up oxycodone on {DATE}, showed driver's license {DRIVER}.
Shipping label: {NAME}, {STREET}, {CITYSTATE} {ZIP}
Hi, my name is {NAME} and I moved to {STREET} in {CITY}. Can you mail my metformin there?
Refill too soon for Rx# {RX}; last fill {DATE}.
MRN {MRN} - {LASTFIRST} - warfarin 5 mg - INR 2.4 on {DATE}
The patient's daughter, {GIVEN}, collects for her mother {NAME} on Fridays.
Fax the denial letter to {PLACE} at {FAX} before noon.
SSN on the old form was {SSN}. Please shred the form.
Card on file {CARD} was declined for the $35 copay.
He is {AGE} and lives alone at {STREET}.
Prescriber {DR}, NPI {NPI}, DEA {DEA}, phoned in hydrocodone.
Insulin pump (serial {DEVICE}) was replaced after the alarm on {DATE}.
License plate {PLATE} is waiting at curbside for {NAME}.
{EMAIL} wrote that the eye drops burn. Please reply to the patient today.
Portal user {USER} cannot open the lab letter at {URL}.
Last login from {IP} at 2:14 AM, not the patient's usual address.
Enrolled in trial {STUDY}; keep the study drug apart from the pill box.
Photo ID scan saved as {PHOTO} in the wrong profile.
Fingerprint record {BIOMETRIC} opens the medication cabinet for {NAME}.
Bank transfer from IBAN {IBAN} for invoice account {ACCOUNT}.
The van with VIN {VIN} carried the cold box to {CITY}.
Group policy number {PLAN} changed on {DATE}; the old card is void.
Her passport, number {PASSPORT}, was shown for the travel supply.
Medical license {LICENSE} of {DR} was checked with the board.
Phone with IMEI {IMEI} lost its link to the glucose sensor.
From: {NAME} <{EMAIL}>\nSubject: missing tablets\n\nThe bottle held 27 tablets and not 30. {GIVEN}
To whom it may concern: {NAME}, born {DATE}, has been a patient here since {DATE}.
Name: {NAME}\nDOB: {DATE}\nAllergies: sulfa\nMember ID: {PLAN}\nPhone: {PHONE}
PATIENT {LASTFIRST}  MRN {MRN}  DOB {DATE}  ROOM 12B
{{"name": "{NAME}", "dob": "{DATE}", "rx": "{RX}", "drug": "amlodipine 5 mg", "phone": "{PHONE}"}}
| Patient | Rx | Phone |\n|---|---|---|\n| {NAME} | {RX} | {PHONE} |\n| {NAME} | {RX} | {PHONE} |
Delivered to {STREET}, signed by {NAME}, {DATE} 4:10 PM.
{MRS} asked whether she may take loratadine with her lisinopril.
Counseling note: {NAME} understands how to use the naloxone spray; interpreter not needed.
{DR} wants to be paged at {PHONE} if the potassium is above 5.5.
Transferred from {PLACE} in {CITY}, original prescription {RX}.
Mother {NAME}, son {NAME}: both need flu vaccine forms.
Claim for {LASTFIRST} rejected with code 75; ID {PLAN}, account {ACCOUNT}.
Patient of {PLACE}, seen {DATE} by {DR} for cellulitis; cephalexin 500 mg.
Left message for {GIVEN} {SURNAME} at {PHONE}, no details given.
Send the receipt to {EMAIL} and the refund to card {CARD}.
Ms {SURNAME} says the pharmacist, {NAME}, told her to wait.
Certificate number {LICENSE} of the compounding course is in the binder.
Wheelchair serial no. {DEVICE}, battery changed {DATE}.
{NAME} ({AGE}) fell on {DATE}; hold the zolpidem until {DR} calls.
Date of birth does not match: caller said {DATE}, profile says {DATE}.
Zip {ZIP} is outside the courier's 15 miles.
Chart {MRN} belongs to {NAME}, not to {NAME}.
Clozapine registry: patient {NAME}, enrollment ID {STUDY}, ANC drawn {DATE}.
Home address on the bag: {STREET}, {CITYSTATE}. He says he lives in {CITY} now.
Emergency contact is {NAME}, {PHONE}, the neighbor.
{NAME} RN from {PLACE} called to confirm the vancomycin level.
Dear {MRS},\nyour prescription {RX} is ready.\nSincerely,\n{NAME}, PharmD
Voice print ID {BIOMETRIC} failed twice; caller gave date of birth {DATE}.
Camera still {PHOTO} shows the person who took the bag.
Camera 3 at {IP} recorded the counter on {DATE}.
See the profile at {URL} for the allergy list.
Buprenorphine: X-waiver no longer needed, DEA {DEA} on file.
Workers' comp claim {PLAN}, injured {DATE}, adjuster {NAME}, fax {FAX}.
Hold the order for {NAME} until {DATE}; she travels to {CITY}.
Account holder {NAME}, balance $62.10, account no. {ACCOUNT}.
{GIVEN} says Dad ({NAME}) takes the water pill twice by mistake.
DOB {DATE}; SSN {SSN}; MRN {MRN}: three identifiers on one sticker.
The state ID {DRIVER} expired on {DATE}.
Pacemaker model and serial {DEVICE}; avoid the MRI until cardiology answers.
Infusion pump MAC and IP: {IP}; rename it, it carries {MRS}'s name.
Donor {STUDY} and recipient {STUDY} must not be confused.
Her new surname is {SURNAME}; the old label says {NAME}.
Rx {RX} for {NAME}\nTake 1 tablet daily\nQty 30 Refills 2\nDr: {NAME}
{DR}'s office moved to {STREET}, {CITY}; new phone {PHONE}, new fax {FAX}.
""".strip().split("\n")

PLAIN = r"""
Take one tablet of amlodipine 5 mg every morning.
Is it true that clopidogrel works less well with omeprazole?
Refrigerate at 36 to 46 F and discard 28 days after opening.
A 45-year-old with an eGFR of 52 takes metformin 1000 mg twice daily.
The Cockcroft-Gault equation uses weight, age and creatinine.
Crohn's disease: is budesonide or prednisone preferred?
Count of 120 capsules, bottle of 500 left on the shelf.
Alzheimer's patients often forget the evening dose.
Order 24 boxes of lancets and 12 sharps containers.
Reject code 79 means refill too soon; code 75 means prior authorization.
NDC 00093-7212-56 was replaced by another generic.
Lot 4K2217 expires in 2027; put it behind the older lot.
Ask whether Graves disease or Hashimoto disease was the diagnosis.
Potassium 4.1, sodium 138, creatinine 0.9.
Apply a thin layer of the cream to both elbows twice a day.
How many days before the run-out date may a refill be processed?
The Apgar score was 9 at five minutes.
Use the Naranjo scale to judge the reaction.
Window 3 is closed for lunch from 12:30 to 1:00.
Vitamin D 2,000 units daily is fine with calcium.
The technician's huddle moved to the break room.
Schedule II medicines have no refills under federal law.
Lyme disease prophylaxis is one dose of 200 mg doxycycline.
The Mantoux test is read after 48 to 72 hours.
Shake well. Keep in the refrigerator. Discard after 14 days.
Bell's palsy: prednisone within three days helps most.
Compare Eliquis and Xarelto for a patient over 80.
Section 1557 of the Affordable Care Act covers interpreters.
She had two doses of hepatitis B vaccine four weeks apart.
The refrigerator alarm went off at 7:40 and stopped after 12 minutes.
Murphy's sign was positive; hold the statin?
In 2024 the guideline changed the target to below 130/80.
Dispense 90 tablets with 3 refills; generic substitution allowed.
He weighs 82 kg and is 178 cm tall.
Raynaud's may get worse with beta blockers.
Price per unit is $0.42; the plan pays $12.60 for 30.
The Braden score fell to 14 this week.
Take with a full glass of water and stay upright for 30 minutes.
Which is stronger, morphine 15 mg or oxycodone 10 mg?
A patient in her sixties asks about the shingles vaccine.
Tall man lettering: hydrOXYzine and hydrALAZINE.
The Bristol stool chart helps to describe it.
USP 795 sets the beyond-use dates for nonsterile preparations.
Insulin lispro 100 units per mL, ten mL vial.
Sjögren syndrome makes dry mouth worse with oxybutynin.
Two puffs every four hours as needed, no more than 12 in a day.
The Epworth scale asks about sleepiness in the daytime.
Form 222 is for Schedule II orders, Form 106 for theft or loss.
Nobody at the counter knew the answer, so we looked it up.
Heparin 5,000 units under the skin every eight hours.
""".strip().split("\n")


def filled(template):
    out, spans, known = "", [], {}
    text = template.replace("\\n", "\n")
    at = 0
    for slot in re.finditer(r"\{\{|\}\}|\{(~?)([A-Z]+)\}", text):
        out += text[at:slot.start()]
        at = slot.end()
        if slot.group(0) in ("{{", "}}"):
            out += slot.group(0)[0]
            continue
        again, kind = slot.group(1), slot.group(2)
        value = known[kind] if again else VALUES[kind]()
        known[kind] = value
        spans.append({"start": len(out), "end": len(out) + len(value), "label": LABEL.get(kind, kind)})
        out += value
    return out + text[at:], spans


def main():
    rows = []
    for index in range(300):
        template = index % len(NAMING)
        text, spans = filled(NAMING[template])
        rows.append({"id": f"p{index:03}", "text": text, "spans": spans, "group": f"naming {template}"})
    for index in range(100):
        template = index % len(PLAIN)
        ending = ["", " Please check before release."][index // len(PLAIN)]
        rows.append({"id": f"n{index:03}", "text": PLAIN[template] + ending, "spans": [], "group": f"plain {template}"})
    out = pathlib.Path(__file__).parent / "../larkfield/identifiers.jsonl"
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    kinds = {span["label"] for row in rows for span in row["spans"]}
    print(len(rows), "texts,", sum(len(row["spans"]) for row in rows), "identifiers of", len(kinds), "kinds;", len(NAMING), "and", len(PLAIN), "templates")


if __name__ == "__main__":
    main()
