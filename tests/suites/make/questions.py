#!/usr/bin/env python3
"""Makes ../larkfield/questions.jsonl: questions to the sample pharmacy, with the places that answer them, and questions that its
documents do not answer.

All of them are written by hand, as agents, patients and staff ask. `A` is one that has an answer: its topic, the question, where the
answer stands (`pair:ID` of sample/pairs.jsonl, `file#heading`, or `file`), what a right answer holds, and whether a curated question is the same
one. `U` is one without: its sort and the question. Run it without arguments after a change.
"""
import json
import pathlib

HERE = pathlib.Path(__file__).parent
SAMPLE = HERE / "../../../appliance/sample"
PAIRS = {pair["id"]: pair for pair in map(json.loads, (SAMPLE / "pairs.jsonl").read_text().splitlines())}

ANSWERED, UNANSWERED = [], []


def A(topic, question, places, expect=(), curated=None):
    ANSWERED.append((topic, question, [places] if isinstance(places, str) else places, [expect] if isinstance(expect, str) else list(expect), curated))


def U(sort, question):
    UNANSWERED.append((sort, question))


# ---- Curated questions in other words: the approved answer is the one to give ----
A("hours", "when do you guys open and close on weekdays", "pair:hours-open", ["7:30 AM", "8:00 PM"], True)
A("hours", "What are your weekend hours?", "pair:hours-open", ["9:00 AM", "10:00 AM"], True)
A("hours", "Are you open on Christmas Day?", ["pair:hours-holiday", "after-hours.md#Opening hours"], "December 25")
A("hours", "which floor is the pharmacy on, I'm in the hospital now", "pair:location", "ground floor", True)
A("hours", "How long will I wait if I bring in a new prescription?", "pair:wait-new-rx", "30 minutes", True)
A("hours", "I'd like to talk to the pharmacist, which number do I call?", ["pair:pharmacist-talk", "after-hours.md#Opening hours"], "555-0102", True)
A("refills", "My 30-day supply is running low. How early may I refill it?", ["pair:refill-early", "refills-v2.md#Early-refill window"], "3 days", True)
A("refills", "How do I ask for a refill?", "pair:refill-how", "555-0101", True)
A("refills", "If I request a refill at noon, will it be ready today?", ["pair:refill-ready", "refills-v2.md#Taking a request"], "2:00 PM", True)
A("refills", "What do you do when my prescription has no refills left?", ["pair:refill-none-left", "refills-v2.md#When no refills remain"], "2 business days", True)
A("refills", "Can you give me a few pills until my doctor answers the refill request?", ["pair:refill-emergency", "refills-v2.md#When no refills remain"], "72 hours", True)
A("refills", "I'm going on vacation, can I get extra medicine to take along?", ["pair:refill-vacation", "refills-v2.md#Vacation and replacement supplies"], "5 business days", True)
A("refills", "I spilled my pills down the sink. Can they be replaced?", ["pair:refill-lost", "refills-v2.md#Vacation and replacement supplies"], "12 months", True)
A("refills", "How does the automatic refill program work?", ["pair:refill-auto", "refills-v2.md#Automatic refill and uncollected orders"], "3 days", True)
A("refills", "How long can I use the refills on a prescription?", ["pair:refill-expire", "refills-v2.md#Taking a request"], "12 months", True)
A("refills", "How many days will you hold my prescription before you put it back?", ["pair:refill-hold", "refills-v2.md#Automatic refill and uncollected orders"], "10 calendar days", True)
A("transfers", "I want to move my prescriptions to Larkfield. What do you need from me?", ["pair:transfer-in", "transfers.md#Transfer in"], "date of birth", True)
A("transfers", "How can I have my prescription moved to another pharmacy?", ["pair:transfer-out", "transfers.md#Transfer out"], "1 business day", True)
A("transfers", "Can the refills of my Schedule IV medicine go to a different pharmacy?", ["pair:transfer-controlled", "transfers.md#What can be transferred"], (), True)
A("transfers", "Can a Schedule II script be transferred to another store?", ["pair:transfer-c2", "transfers.md#What can be transferred", "transfers.md#Unfilled electronic controlled prescriptions"], (), True)
A("transfers", "My prescription expired. Can it still be transferred?", ["pair:transfer-expired", "transfers.md#What can be transferred"], (), True)
A("prior authorization", "What does prior authorization mean?", "pair:pa-what", "information from your prescriber", True)
A("prior authorization", "How long does a prior authorization usually take?", ["pair:pa-time", "prior-authorization.docx#Decision times"], "2 to 5 business days", True)
A("prior authorization", "How quickly must a Medicare Part D plan decide on a coverage request?", ["pair:pa-medicare-time", "prior-authorization.docx#Decision times"], ["72 hours", "24 hours"], True)
A("prior authorization", "Can someone on Medicaid get medicine while the prior auth is pending?", ["pair:pa-medicaid", "prior-authorization.docx#Urgent cases", "prior-authorization.docx#Decision times"], "72-hour", True)
A("prior authorization", "Whom do I call to check on my prior authorization?", ["pair:pa-status", "prior-authorization.docx#Purpose"], "555-0110", True)
A("prior authorization", "My plan denied the drug. What can I do now?", ["pair:pa-denied", "prior-authorization.docx#Denials and appeals"], "65 calendar days", True)
A("prior authorization", "May I pay cash while waiting for the prior authorization?", ["pair:pa-cash", "prior-authorization.docx#Urgent cases"], "14 days", True)
A("controlled substances", "Can you refill a Schedule II medicine?", ["pair:cs-c2-refill", "controlled-substances.docx#Limits at a glance", "refills-v2.md#Early-refill window"], (), True)
A("controlled substances", "Do I have to show ID when I pick up a controlled medicine?", ["pair:cs-id", "controlled-substances.docx#Pickup", "controlled-substances.docx#Limits at a glance"], "photo ID", True)
A("controlled substances", "Can my brother collect my controlled prescription for me?", ["pair:cs-pickup-other", "controlled-substances.docx#Pickup", "pair:priv-pickup-other"], "photo ID", True)
A("controlled substances", "If I pay cash, can I have my controlled medicine early?", ["pair:cs-early", "refills-v2.md#Early-refill window"], (), True)
A("controlled substances", "Somebody stole my controlled medicine. Can I get more?", ["pair:cs-stolen", "refills-v2.md#Vacation and replacement supplies"], "555-0120", True)
A("controlled substances", "You only had part of my Schedule II prescription. When do I get the remainder?", ["pair:cs-partial", "controlled-substances.docx#Partial filling of Schedule II"], "72 hours", True)
A("controlled substances", "Am I allowed to share my controlled medicine with a family member?", "pair:cs-share", (), True)
A("delivery and mail", "How can I begin to use mail order?", ["pair:mail-start", "delivery-and-mail.html#Mail service"], "prescri", True)
A("delivery and mail", "How many days does mail order take?", ["pair:mail-time", "delivery-and-mail.html#Mail service"], "5 to 7 business days", True)
A("delivery and mail", "Can you mail controlled medicines?", ["pair:mail-controlled", "delivery-and-mail.html#Choosing the method", "controlled-substances.docx#Limits at a glance"], (), True)
A("delivery and mail", "How do you ship medicines that need a refrigerator?", ["pair:mail-cold", "delivery-and-mail.html#Mail service"], "overnight", True)
A("delivery and mail", "My mail order never came. What do I do?", ["pair:mail-lost", "delivery-and-mail.html#Late, lost or damaged parcels"], "3 business days", True)
A("delivery and mail", "Do you deliver prescriptions to people's homes?", ["pair:delivery-same-day", "delivery-and-mail.html#Courier delivery"], "15 miles", True)
A("delivery and mail", "What does it cost to have my medicine delivered?", ["pair:delivery-fee", "delivery-and-mail.html#Courier delivery"], "$5", True)
A("delivery and mail", "I wasn't home and missed my delivery. What now?", ["pair:delivery-missed", "delivery-and-mail.html#Courier delivery"], "next delivery day", True)
A("copays", "Why is my copay higher than last time?", "pair:copay-changed", (), True)
A("copays", "What is the out-of-pocket limit for Medicare Part D in 2026?", ["pair:copay-partd-cap", "copay-schedule.xlsx#Medicare and Medicaid 2026"], "$2,100", True)
A("copays", "How much will insulin cost me with Medicare?", ["pair:copay-insulin", "copay-schedule.xlsx#Medicare and Medicaid 2026"], "$35", True)
A("copays", "I can't afford my medicine. Can you help?", ["pair:copay-help", "copay-schedule.xlsx#Larkfield Cares"], (), True)
A("copays", "May I use a drug company's coupon together with Medicaid?", ["pair:copay-card-medicare", "copay-schedule.xlsx#Medicare and Medicaid 2026"], (), True)
A("copays", "Can my Medicare drug costs be spread over the year?", ["pair:copay-spread", "copay-schedule.xlsx#Medicare and Medicaid 2026"], (), True)
A("copays", "Which ways of paying do you accept?", ["pair:copay-methods", "copay-schedule.xlsx#Payments and refunds"], "mobile pay", True)
A("copays", "Can I pay what I owe in installments?", ["pair:copay-plan", "copay-schedule.xlsx#Payments and refunds"], "3 equal monthly payments", True)
A("copays", "Could I have a printout of my yearly pharmacy spending for my taxes?", ["pair:copay-receipt", "copay-schedule.xlsx#Payments and refunds", "privacy-identity.md#Requests for records"], (), True)
A("copays", "I have Medicaid but no money for the copay today. Do I still get my medicine?", ["pair:copay-medicaid", "copay-schedule.xlsx#Medicare and Medicaid 2026"], (), True)
A("returns and disposal", "Can I bring back medicine I haven't used for a refund?", ["pair:return-unused", "returns-disposal.html#Returns for refund or exchange"], (), True)
A("returns and disposal", "I think I was given the wrong medicine. What should I do?", ["pair:return-wrong", "events-and-errors.pdf#If the wrong medicine or label may have gone out"], (), True)
A("returns and disposal", "Where do I get rid of old medicines?", ["pair:disposal-kiosk", "returns-disposal.html#What goes in the kiosk"], "East Lobby", True)
A("returns and disposal", "How should I dispose of used needles and syringes?", ["pair:disposal-sharps", "returns-disposal.html#Sharps"], "vaccine desk", True)
A("returns and disposal", "What is the right way to throw medicine away at home?", ["pair:disposal-home", "returns-disposal.html#Disposal at home"], "coffee grounds", True)
A("storage", "My refrigerated medicine was left out overnight. Can I still use it?", ["pair:storage-left-out", "cold-chain.pdf#Reports from patients"], (), True)
A("storage", "My package arrived warm, what do I do with it?", ["pair:storage-warm-parcel", "cold-chain.pdf#Reports from patients"], (), True)
A("storage", "At what temperature should refrigerated medicine be stored?", ["pair:storage-fridge", "cold-chain.pdf#Temperature ranges"], "46", True)
A("storage", "Where is the best place at home for my medicines?", "pair:storage-room", (), True)
A("vaccines", "Can I just walk in for a vaccine or do I need an appointment?", ["pair:vax-walkin", "vaccine-schedule.xlsx#Visit steps"], (), True)
A("vaccines", "Can my 14 year old get a shot at the pharmacy?", ["pair:vax-age", "vaccine-schedule.xlsx#Age and consent"], "Tdap")
A("vaccines", "How long must I wait at the pharmacy after my vaccine?", ["pair:vax-wait", "vaccine-schedule.xlsx#Visit steps"], "15 minutes", True)
A("vaccines", "What do vaccines cost someone with Medicare?", ["pair:vax-cost-medicare", "copay-schedule.xlsx#Medicare and Medicaid 2026"], (), True)
A("vaccines", "Can I have my vaccine while I have a cold?", ["pair:vax-sick", "vaccine-schedule.xlsx#Visit steps"], "mild cold", True)
A("vaccines", "Do you give live vaccines like MMR?", ["pair:vax-travel", "vaccine-schedule.xlsx#Adult vaccines"], "Immunization Clinic", True)
A("language", "Do you have interpreters for patients?", ["pair:interp-free", "interpreter-services.md#Policy"], (), True)
A("language", "May my daughter interpret for me?", ["pair:interp-family", "interpreter-services.md#Family, friends and bilingual staff"], "18")
A("language", "How do I arrange an in-person sign language interpreter?", ["pair:interp-asl", "interpreter-services.md#Choosing the service"], "2 business days", True)
A("language", "Can you print my label in a language other than English?", ["pair:interp-label", "interpreter-services.md#Labels and leaflets"], "Haitian Creole", True)
A("recalls", "How can I find out whether my medicine was recalled?", ["pair:recall-affected", "recalls.pdf#Finding and contacting patients"], (), True)
A("recalls", "Should I stop taking my medicine because it was recalled?", ["pair:recall-stop", "recalls.pdf#Finding and contacting patients"], (), True)
A("recalls", "Will my recalled medicine be replaced?", ["pair:recall-refund", "recalls.pdf#Replacement and refund"], (), True)
A("after hours", "The pharmacy is closed and I have an urgent question about my medicine. Who can I call?", ["pair:after-urgent", "after-hours.md#Who to call when the pharmacy is closed"], "555-0146", True)
A("after hours", "Can I get my prescription after you close?", ["pair:after-locker", "after-hours.md#Pickup lockers"], "locker", True)
A("after hours", "Can the inpatient pharmacy fill my prescription tonight?", ["pair:after-inpatient", "after-hours.md#Who to call when the pharmacy is closed"], (), True)
A("privacy", "Can somebody else pick up my prescription for me?", ["pair:priv-pickup-other", "privacy-identity.md#Family, friends and caregivers", "privacy-identity.md#Identity checks"], "date of birth", True)
A("privacy", "Why am I asked for my date of birth when I call?", ["pair:priv-phone-id", "privacy-identity.md#Identity checks"], (), True)
A("privacy", "Can you tell me about my husband's prescriptions?", ["pair:priv-spouse", "privacy-identity.md#Family, friends and caregivers"], "LRP-F12", True)
A("privacy", "How can I get a copy of my pharmacy records?", ["pair:priv-records", "privacy-identity.md#Requests for records"], "LRP-F10", True)
A("privacy", "What do you say when you leave a voicemail?", ["pair:priv-voicemail", "privacy-identity.md#Messages"], (), True)
A("privacy", "The police are asking about a patient. What do I do?", ["pair:priv-police", "privacy-identity.md#Law enforcement, lawyers and agencies"], "555-0135", True)
A("privacy", "Where can I complain about my privacy?", ["pair:priv-complaint", "privacy-identity.md#Complaints"], (), True)
A("safety", "I think I am having a side effect. What should I do?", ["pair:ae-side-effect", "events-and-errors.pdf#First response by agents"], "911", True)
A("safety", "My toddler swallowed some pills. Who do I call?", ["pair:ae-overdose", "after-hours.md#Who to call when the pharmacy is closed"], "1-800-222-1222")
A("safety", "How can I report a side effect to the FDA?", ["pair:ae-report", "events-and-errors.pdf#External reporting"], "1-800-332-1088", True)
A("compounding", "How long until a compounded medicine is ready?", ["pair:comp-time", "nonsterile-compounding.docx#Taking the order"], "2 business days", True)
A("compounding", "Can you compound eye drops for me?", ["pair:comp-sterile", "nonsterile-compounding.docx#What we do and do not make"], "sterile", True)
A("compounding", "Does insurance pay for compounded medicines?", "pair:comp-insurance", (), True)
A("naloxone", "Do you need a prescription to buy naloxone?", ["pair:nal-rx", "naloxone.md#Ways to obtain it"], (), True)
A("naloxone", "Can I get naloxone without paying for it?", ["pair:nal-free", "naloxone.md#Ways to obtain it"], "county", True)
A("naloxone", "How is the naloxone spray used in an opioid overdose?", ["pair:nal-use", "naloxone.md#Dose"], ["911", "2 to 3 minutes"], True)
A("naloxone", "How should the naloxone spray be stored?", ["pair:nal-store", "naloxone.md#Storage and expiry"], "77", True)

# ---- Near misses: a curated question looks like it, and its answer is not the one ----
A("refills", "How early can a 90-day supply of a non-controlled medicine be refilled?", "refills-v2.md#Early-refill window", "7 days", False)
A("refills", "How early can I refill a Schedule III medicine?", ["refills-v2.md#Early-refill window", "pair:refill-early", "controlled-substances.docx#Limits at a glance"], "2 days")
A("transfers", "How often can a non-controlled prescription be transferred while it is valid?", "transfers.md#What can be transferred", "12 months", False)
A("prior authorization", "How long does the Larkfield Employee Health Plan have to decide an expedited request?", "prior-authorization.docx#Decision times", "1 business day", False)
A("copays", "How much does insulin cost a member of the Larkfield Employee Health Plan for 30 days?", "copay-schedule.xlsx#LEHP copays 2026", "$35", False)
A("copays", "What is the Medicare Part D deductible for 2026?", "copay-schedule.xlsx#Medicare and Medicaid 2026", "$615", False)
A("delivery and mail", "How much does expedited mail shipping cost?", "delivery-and-mail.html#Mail service", "$15", False)
A("delivery and mail", "What does courier delivery cost a patient approved for Larkfield Cares?", ["delivery-and-mail.html#Courier delivery", "copay-schedule.xlsx#Larkfield Cares", "pair:delivery-fee"], ())
A("vaccines", "How long does someone with a history of anaphylaxis stay after a vaccine?", ["vaccine-schedule.xlsx#Visit steps", "pair:vax-wait"], "30 minutes")
A("language", "How much notice does Interpreter Services need to make a written translation?", "interpreter-services.md#Labels and leaflets", "3 business days", False)
A("compounding", "What is the latest time for a rush order of a compound to be ready the same day?", "nonsterile-compounding.docx#Taking the order", "10:00 AM", False)
A("naloxone", "May a naloxone spray that was frozen still be used?", "naloxone.md#Storage and expiry", "15 minutes", False)
A("privacy", "How many years back does an accounting of disclosures go?", "privacy-identity.md#Requests for records", "six years", False)
A("controlled substances", "A patient asked for a partial fill of a Schedule II prescription. How long is the balance valid?", "controlled-substances.docx#Partial filling of Schedule II", "30 days", False)

# ---- Procedures: what staff look up ----
R = "refills-v2.md#"
A("refills", "Who may approve a fill outside the early-refill window?", R + "Early-refill window", "pharmacist")
A("refills", "Which reasons are accepted for filling outside the window?", R + "Early-refill window", "dose increase")
A("refills", "A 30-day supply was filled on June 1. What is its first refill day?", R + "Working out the date", "June 28")
A("refills", "How is the run-out date worked out?", R + "Working out the date", "days' supply")
A("refills", "When do we send the second renewal request to a prescriber who has not replied?", R + "When no refills remain", "2 business days")
A("refills", "After how many business days do we phone the prescriber about a renewal?", R + "When no refills remain", "3 business days")
A("refills", "How many emergency supplies of the same medicine may one patient have in six months?", R + "When no refills remain", "only one")
A("refills", "On which day is an uncollected prescription returned to stock?", R + "Automatic refill and uncollected orders", "day 11")
A("refills", "On which days are reminders sent for a prescription that waits for pickup?", [R + "Automatic refill and uncollected orders", "pair:refill-hold"], ["day 3", "day 7"])
A("refills", "When is a 90-day supply not offered after a dose change?", R + "Changing to a 90-day supply", "60 days")
A("refills", "Who approves each change to a 90-day supply?", R + "Changing to a 90-day supply", "pharmacist")
A("refills", "To whom do refusals go that a patient disputes?", R + "Escalation", "555-0105")
A("refills", "Why were the refill windows shortened?", R + "What changed in version 2", "90 percent")
A("refills", "What did the early window for Schedules III to V use to be in version 1?", R + "What changed in version 2", "3 days")
A("refills", "How many extra days can a plan's vacation override cover?", [R + "Vacation and replacement supplies", "pair:refill-vacation"], "30 extra days")
A("refills", "What do I do if the caller says that the dose has changed?", R + "Taking a request", "555-0102")
T = "transfers.md#"
A("transfers", "Which three sites share one prescription database?", T + "Shared-database exception", "Cancer Center Pharmacy")
A("transfers", "How soon must we contact the other pharmacy for a transfer in?", [T + "Transfer in", "pair:transfer-in"], "1 hour")
A("transfers", "When is a transfer in marked urgent?", T + "Transfer in", "fewer than 2")
A("transfers", "What do I do if the other pharmacy does not answer after two attempts?", T + "Transfer in", "new prescription")
A("transfers", "May we delay a transfer out because the patient owes money?", T + "Transfer out", "balance owed")
A("transfers", "A prescription is filled but not collected and the patient wants it transferred out. What comes first?", T + "Transfer out", "reverse the claim")
A("transfers", "May a technician give the details of a controlled substance to another pharmacy?", T + "Transfer out", "Technicians")
A("transfers", "How many years does Larkfield keep transfer records?", T + "What to record for Schedules III to V", "10 years")
A("transfers", "Which word does the pharmacist mark on a record when Schedule III refills are transferred out?", T + "What to record for Schedules III to V", "VOID")
A("transfers", "What happens when the other pharmacy's software cannot receive an unfilled electronic controlled prescription?", T + "Unfilled electronic controlled prescriptions", "cancel")
A("transfers", "Whom do I call about a suspected forged prescription?", T + "Escalation", "555-0105")
A("transfers", "Can a compounded preparation be transferred?", [T + "What can be transferred", "nonsterile-compounding.docx#Refills, transfers and returns"], "new prescription")
P = "prior-authorization.docx#"
A("prior authorization", "What does reject code 75 mean?", P + "Reading the rejection", "Prior authorization required")
A("prior authorization", "What does reject code 608 mean?", P + "Reading the rejection", "Step therapy")
A("prior authorization", "Which reject code means refill too soon?", P + "Reading the rejection", "79")
A("prior authorization", "What is the first action for reject 76, plan limitations exceeded?", P + "Reading the rejection", "quantity")
A("prior authorization", "A claim was rejected after 3:00 PM. By when is the request sent?", P + "Starting the request", "10:00 AM")
A("prior authorization", "Does the pharmacy write the clinical justification for a prior authorization?", P + "Starting the request", "prescriber's office")
A("prior authorization", "How often is the status of a prior authorization checked?", [P + "Following up", "pair:pa-time"], "2 business days")
A("prior authorization", "What happens after three unanswered contacts with the prescriber's office?", P + "Following up", "practice manager")
A("prior authorization", "Within how many hours is the claim run after the plan approves?", P + "Following up", "2 hours")
A("prior authorization", "How many days before the end date does an approval go on the renewal list?", P + "Following up", "30 days")
A("prior authorization", "When may a request be called expedited?", P + "Decision times", "seriously harm")
A("prior authorization", "Which medicines make a prior authorization urgent?", P + "Urgent cases", "anticoagulant")
A("prior authorization", "How fast does the PA specialist contact the prescriber in an urgent case?", P + "Urgent cases", "1 hour")
A("prior authorization", "Who qualifies for a Part D transition fill?", P + "Urgent cases", "90 days")
A("prior authorization", "How long does a Part D plan have to answer a redetermination?", P + "Denials and appeals", "7 days")
A("prior authorization", "When is a request closed if the prescriber does nothing?", P + "Denials and appeals", "30 calendar days")
A("prior authorization", "May an agent say that an approval is likely?", P + "What agents may and may not say", "May not say")
A("prior authorization", "Does the pharmacy charge the patient for prior authorization work?", P + "What agents may and may not say", "no charge")
C = "controlled-substances.docx#"
A("controlled substances", "How often is the monitoring program checked for Schedules III to V after the first fill?", C + "Before dispensing", "90 days")
A("controlled substances", "At how many MME a day must the prescriber be phoned for a patient new to that dose?", C + "Before dispensing", "90 MME")
A("controlled substances", "How many people count a Schedule II fill?", C + "Before dispensing", "Two people")
A("controlled substances", "Which three items on a Schedule II prescription are never changed?", C + "Correcting a Schedule II prescription", "signature")
A("controlled substances", "For how long is the balance of a Schedule II partial fill valid for a long-term care resident?", C + "Partial filling of Schedule II", "60 days")
A("controlled substances", "What must a written prescription that follows an oral emergency order say?", C + "Oral emergency Schedule II prescription", "Authorization for Emergency Dispensing")
A("controlled substances", "What is the largest quantity for an oral emergency Schedule II order?", C + "Oral emergency Schedule II prescription", "72-hour")
A("controlled substances", "Who is told if the emergency prescription never arrives?", C + "Oral emergency Schedule II prescription", "DEA office")
A("controlled substances", "Do we photocopy the ID at pickup of a controlled medicine?", C + "Pickup", "Do not photocopy")
A("controlled substances", "How much pseudoephedrine may one person buy in 30 days?", C + "Pseudoephedrine sales", "9 grams")
A("controlled substances", "How long is the pseudoephedrine log kept?", C + "Pseudoephedrine sales", "two years")
A("controlled substances", "How often is the Schedule II perpetual inventory reconciled?", C + "Counts, loss and theft", "monthly")
A("controlled substances", "When must the DEA Field Division Office be told about a theft?", C + "Counts, loss and theft", "one business day")
A("controlled substances", "Within how many days is DEA Form 106 due?", C + "Counts, loss and theft", "45 days")
A("controlled substances", "How are Schedule II order forms filed?", C + "Records", "apart")
A("controlled substances", "Within how many days of issue must a Schedule II prescription first be filled here?", C + "Limits at a glance", "90 days")
A("controlled substances", "Does a prescriber need a special waiver for buprenorphine for opioid use disorder?", C + "Before dispensing", "no special waiver")
D = "delivery-and-mail.html#"
A("delivery and mail", "What is the phone number for curbside pickup?", D + "Curbside pickup", "555-0118")
A("delivery and mail", "How fast does a technician bring a curbside order to the car?", D + "Curbside pickup", "10 minutes")
A("delivery and mail", "How can a patient pay at curbside?", D + "Curbside pickup", "card")
A("delivery and mail", "By when must a courier order be placed on Saturday?", D + "Courier delivery", "11:00 AM")
A("delivery and mail", "Is there courier delivery on Sunday?", D + "Courier delivery", "No courier")
A("delivery and mail", "How old must the person be who signs for a courier parcel?", D + "Courier delivery", "18")
A("delivery and mail", "On which days are refrigerated mail orders shipped?", [D + "Mail service", "pair:mail-cold"], "Monday to Wednesday")
A("delivery and mail", "What is added to refrigerated boxes from June to September?", D + "Mail service", "cold pack")
A("delivery and mail", "What if a patient does not answer before an automatic shipment?", D + "Mail service", "not shipped")
A("delivery and mail", "When is a carrier trace started for a late parcel?", [D + "Late, lost or damaged parcels", "pair:mail-lost"], "3 business days")
A("delivery and mail", "Does the patient pay a second copay for a lost parcel?", D + "Late, lost or damaged parcels", "without a second copay")
A("delivery and mail", "During which hours does Meds to Beds run?", D + "Meds to Beds", "5:00 PM")
A("delivery and mail", "Can a Schedule II medicine be handed over at curbside?", D + "Choosing the method", "counter only")
A("delivery and mail", "Who brings Schedule II medicines to the bedside?", D + "Choosing the method", "pharmacist")
S = "returns-disposal.html#"
A("returns and disposal", "Within how many days can an unopened over-the-counter item be returned?", S + "Returns for refund or exchange", "14 days")
A("returns and disposal", "A product was defective when received. How long does the patient have to report it?", S + "Returns for refund or exchange", "7 days")
A("returns and disposal", "Are inhalers accepted in the kiosk?", S + "What goes in the kiosk", "Inhalers")
A("returns and disposal", "How large may a bottle of liquid be for the kiosk?", S + "What goes in the kiosk", "4 ounces")
A("returns and disposal", "May staff take old medicine from a patient's hand and put it in the kiosk?", S + "Rules for staff at the kiosk", "hand")
A("returns and disposal", "What do I do when the kiosk is full?", S + "Rules for staff at the kiosk", "555-0104")
A("returns and disposal", "How many employees change the inner liner?", S + "Changing the inner liner", "Two pharmacy employees")
A("returns and disposal", "How often does the hauler collect the sealed liners?", S + "Changing the inner liner", "every second Thursday")
A("returns and disposal", "Where is a sealed liner stored until it is collected?", S + "Changing the inner liner", "Schedule II cabinet")
A("returns and disposal", "What does a one-quart sharps container cost?", S + "Sharps", "$4")
A("returns and disposal", "How full may a sharps container be before it is closed?", S + "Sharps", "three-quarters")
A("returns and disposal", "How many sharps containers may a patient bring per visit?", S + "Sharps", "Two containers")
A("returns and disposal", "How often does expired non-controlled stock go to the reverse distributor?", S + "Unused stock of the pharmacy", "every quarter")
A("returns and disposal", "Which form records the destruction of controlled stock?", S + "Unused stock of the pharmacy", "DEA Form 41")
K = "copay-schedule.xlsx#"
A("copays", "What does an employee plan member pay for a 30-day supply of a preferred brand?", K + "LEHP copays 2026", "$35")
A("copays", "What is the copay for a generic for 90 days under the employee plan?", K + "LEHP copays 2026", "$20")
A("copays", "What is the most an employee plan member pays for a specialty drug?", K + "LEHP copays 2026", "$200")
A("copays", "From what cost of a prescription is the Likely to Benefit notice given?", K + "Medicare and Medicaid 2026", "$600")
A("copays", "Which discount does a household at 250 percent of the poverty level get from Larkfield Cares?", K + "Larkfield Cares", "50 percent")
A("copays", "For how long is a Larkfield Cares approval valid?", K + "Larkfield Cares", "12 months")
A("copays", "Which form is needed to reduce a federal program copay?", K + "Larkfield Cares", "LRP-F22")
A("copays", "How long is a cash price quote valid?", K + "Payments and refunds", "7 days")
A("copays", "How long does a refund to a card take?", K + "Payments and refunds", "7 business days")
A("copays", "Who pays out cash refunds above $100?", K + "Payments and refunds", "Cashier office")
A("copays", "Can an employee pay by meal badge?", K + "Payments and refunds", "Not accepted")
H = "cold-chain.pdf#"
A("storage", "What is the set point of the refrigerators?", H + "Temperature ranges", "5 C")
A("storage", "What temperature range holds for the freezer?", H + "Temperature ranges", "-25 to -10")
A("storage", "How often is a temperature probe calibrated?", H + "Daily monitoring", "two years")
A("storage", "How long are temperature logs kept?", H + "Daily monitoring", "three years")
A("storage", "How often do the data loggers record the temperature?", H + "Daily monitoring", "15 minutes")
A("storage", "Who gets a refrigerator alarm when the pharmacy is closed?", H + "Alarms", "Security")
A("storage", "Where is the stock moved if a refrigerator is not back in range within 30 minutes?", H + "Responding to an excursion", "inpatient central pharmacy")
A("storage", "What do I do with a refrigerator reading below 0 C?", "cold-chain.pdf", "Quarantine")
A("storage", "How soon after arrival must cold parcels be opened?", H + "Deliveries to the pharmacy", "15 minutes")
A("storage", "From what estimated loss is the pharmacist in charge called the same day?", H + "Escalation", "$1,000")
A("storage", "How long does the pharmacist have to answer a patient about a warm parcel?", H + "Reports from patients", "2 hours")
V = "vaccine-schedule.xlsx#"
A("vaccines", "From which age is the shingles vaccine given to people with a normal immune system?", V + "Adult vaccines", "50")
A("vaccines", "How many doses of RSV vaccine are given?", V + "Adult vaccines", "1")
A("vaccines", "What is the interval between the two hepatitis B doses?", V + "Adult vaccines", "4 weeks")
A("vaccines", "How often is Td or Tdap repeated?", V + "Adult vaccines", "10 years")
A("vaccines", "Is a phone call from a parent enough for a 15 year old's flu shot?", V + "Age and consent", "not enough")
A("vaccines", "By when is a vaccination reported to the state registry?", V + "Visit steps", "1 business day")
A("vaccines", "When is the last walk-in for vaccines on Saturday?", V + "Visit steps", "2:30 PM")
A("vaccines", "What dose of epinephrine is given to a patient of 40 kg with anaphylaxis?", V + "Emergency response", "0.3 mg")
A("vaccines", "How often may the epinephrine dose be repeated?", V + "Emergency response", "5 to 15 minutes")
A("vaccines", "How many adult auto-injectors must the emergency kit hold?", V + "Emergency response", "3 adult")
A("vaccines", "What does a staff member do after a needlestick?", V + "Emergency response", "Employee Health")
L = "recalls.pdf#"
A("recalls", "How quickly must patients be contacted in a Class I recall?", L + "Recall classes and our deadlines", "24 hours")
A("recalls", "By when is the stock of a Class II recall quarantined?", L + "Recall classes and our deadlines", "close of business")
A("recalls", "How is a recall notice treated that FDA has not classified yet?", L + "Recall classes and our deadlines", "Class I")
A("recalls", "Within how many business days is the recall log closed?", L + "When a notice arrives", "10 business days")
A("recalls", "How many phone attempts are made to reach a patient about a recall?", L + "Finding and contacting patients", "two phone attempts")
A("recalls", "Who approves the script before patients are called about a recall?", L + "Finding and contacting patients", "pharmacist in charge")
A("recalls", "How long are recall records kept?", L + "Records", "six years")
A("recalls", "How fast must a mock recall list every affected patient?", L + "Records", "4 hours")
A("recalls", "Who stands in when the recall coordinator is away?", L + "Purpose", "lead technician")
I = "interpreter-services.md#"
A("language", "Which cost center do I give when I call the interpreter line?", I + "Using a telephone or video interpreter", "4410")
A("language", "What if no interpreter can be found within 20 minutes?", I + "Using a telephone or video interpreter", "language access coordinator")
A("language", "May a phone's automatic translation be used for counseling?", I + "Family, friends and bilingual staff", "may not be used")
A("language", "Which medicines always need a qualified interpreter for counseling?", I + "Family, friends and bilingual staff", "anticoagulants")
A("language", "How long does a braille label take?", I + "Labels and leaflets", "3 business days")
A("language", "How large is the print of a large print label?", I + "Labels and leaflets", "18 point")
A("language", "Where are the video carts kept?", I + "Choosing the service", "Window 3")
F = "after-hours.md#"
A("after hours", "What is the number of the Larkfield Nurse Line?", [F + "Who to call when the pharmacy is closed", "pair:after-urgent"], "555-0147")
A("after hours", "Which medicines never go into a pickup locker?", [F + "Pickup lockers", "pair:after-locker"], "compounded")
A("after hours", "A pickup locker does not open. Who helps?", F + "Pickup lockers", "555-0140")
A("after hours", "By when must the on-call pharmacist enter a note?", F + "On-call pharmacist", "8:00 AM")
A("after hours", "After how many minutes without the dispensing system is downtime declared?", F + "Computer downtime", "15 minutes")
A("after hours", "Within how many hours after the system returns are downtime fills entered?", F + "Computer downtime", "4 hours")
A("after hours", "Where is the red downtime binder opened?", F + "Computer downtime", "Window 1")
A("after hours", "The generator has not started after 2 minutes. Whom do we call?", F + "Power failure", "555-0155")
A("after hours", "Who may open or close the pharmacy?", F + "Closing checks", "Only a pharmacist")
E = "events-and-errors.pdf#"
A("safety", "What does category D mean on the severity index?", E + "Severity index", "monitoring")
A("safety", "By when is a near miss reported?", E + "Internal reporting times", "end of the")
A("safety", "Within how many business days is the root cause analysis of a sentinel event completed?", E + "Severity index", "45 business days")
A("safety", "What is the site's target for a VAERS report?", [E + "External reporting", "vaccine-schedule.xlsx#Emergency response"], "2 business")
A("safety", "Should the profile say that a SafeReport was filed?", E + "Writing the report", "Do not mention")
A("safety", "When is a look-alike pair separated on the shelf?", E + "Learning", "two reports in 90 days")
A("safety", "What is a near miss?", E + "Words used", "caught before it reached")
N = "nonsterile-compounding.docx#"
A("compounding", "Do you make preparations for animals?", N + "What we do and do not make", "Not offered")
A("compounding", "What is the beyond-use date of a preserved aqueous preparation?", N + "Beyond-use dates", "35 days")
A("compounding", "What is the beyond-use date of a nonaqueous oral liquid?", N + "Beyond-use dates", "90 days")
A("compounding", "May a compounded dose be given in teaspoons?", N + "Taking the order", "teaspoons")
A("compounding", "How long do hands have to be washed before compounding?", N + "Making and checking", "30 seconds")
A("compounding", "What comes with every compounded oral liquid?", N + "Label and release", "oral syringe")
A("compounding", "What is the number of the compounding lab?", N + "Scope", "555-0125")
O = "naloxone.md#"
A("naloxone", "How often is the offer of naloxone repeated?", O + "Who must be offered naloxone", "sixth opioid fill")
A("naloxone", "How many two-packs of naloxone must be on the shelf at least?", O + "Records and billing", "12 two-packs")
A("naloxone", "By when is the county tally sheet sent each month?", O + "Records and billing", "fifth day")
A("naloxone", "Which number do we call for an overdose inside the pharmacy?", O + "If an overdose happens in or near the pharmacy", "555-0199")
A("naloxone", "Is naloxone harmful if the person has taken no opioids?", O + "Counseling steps", "no harm")
X = "privacy-identity.md#"
A("privacy", "What do I do after two failed identity checks for one patient on one day?", X + "Identity checks", "555-0104")
A("privacy", "Do automatic text messages name the medicine?", X + "Messages", "do not name the medicine")
A("privacy", "How long does HIPAA give us for a larger records request?", X + "Requests for records", "30 days")
A("privacy", "A fax went to the wrong number. By when is it reported to the Privacy Office?", X + "Misdirected information", "end of your shift")
A("privacy", "Within how many days are patients told about a breach?", X + "Misdirected information", "60 calendar days")
A("privacy", "Who receives inspectors from the board of pharmacy?", X + "Law enforcement, lawyers and agencies", "pharmacist in charge")

# ---- Not in the documents: advice about medicines ----
for question in """How much ibuprofen can I give my six year old?
Can I drink wine while I take metronidazole?
Is it safe to take lisinopril and potassium together?
What are the side effects of sertraline?
Can I take my metformin on an empty stomach?
Should I take my blood pressure pill in the morning or at night?
What should I do if I miss a dose of levothyroxine?
Does omeprazole interact with clopidogrel?
How many units of insulin glargine should I start with?
Can I crush my extended-release metoprolol?
Is amoxicillin safe during breastfeeding?
Which antihistamine makes me less sleepy, cetirizine or loratadine?
How long does prednisone stay in the body?
What is the maximum dose of acetaminophen in a day?
Can warfarin patients eat spinach?
Is gabapentin good for back pain?
Can I stop my antidepressant at once?
What is the difference between atorvastatin and rosuvastatin?
How do I taper off lorazepam?
Does birth control still work while I take rifampin?
What is a normal INR on warfarin?
Can children take loperamide?
Why does my inhaler make my heart race?
Should I take iron with orange juice?
How do I lower my cholesterol without pills?
Is my headache caused by the new pills?""".splitlines():
    U("advice about medicines", question)

# ---- Not in the documents: facts of this pharmacy and its work that they do not hold ----
for question in """What is the fax number of the insurance and prior authorization desk?
What is the name of the pharmacist in charge?
How many technicians work on a Saturday?
Which wholesaler delivers to the pharmacy?
Which dispensing software does the pharmacy use?
How much does the pharmacy charge for a flu shot without insurance?
What is the cash price of a naloxone two-pack?
Do you have semaglutide in stock?
Which brand of refrigerator is in the vaccine room?
What is the Tier 5 copay of the Larkfield Employee Health Plan?
How many pickup lockers are there?
What is the street address of the hospital?
Does the pharmacy sell crutches or wheelchairs?
Which bank holds the pharmacy's account?
How many prescriptions are filled here each day?
What is the e-mail address of the delivery desk?
Which courier company brings the parcels?
Which company runs the interpreter line?
How long is the lunch break of a technician?
What does the pharmacy pay a new technician per hour?
Do you offer blood pressure checks at the counter?
How much does a printed medication history cost a lawyer?
What is the deductible of the Larkfield Employee Health Plan?
Can I earn loyalty points on prescriptions?
Which sizes of pill organizers do you sell?
Who won employee of the month?
What is the password of the guest Wi-Fi?
Do you test for strep throat?
How many copies of a lost receipt can I get for last year's taxes by mail?
Does the pharmacy offer gift cards?
How long are camera recordings kept at the pharmacy?
Which printer makes the braille labels?
On which date was the last mock recall?
How many SafeReports were filed last month?
What was the pharmacy's vaccination rate last season?
Which vaccine manufacturer supplies the RSV vaccine?
What does parking cost for mail order customers?
Is there a discount for veterans at the counter?
Can I rent a breast pump from the pharmacy?
What is the dress code for pharmacy interns?
How many days of paid leave do pharmacists get?
What is the pharmacy's NPI number?
What is the DEA registration number of the outpatient pharmacy?
Which insurance plans are in network?
Does the pharmacy fill prescriptions from Canada?
How do I become a volunteer at the vaccine desk?
What is the code of the intrusion alarm?
When will the pharmacy move to its new rooms?
Which shelf is the insulin on?
What is the phone number of the board of pharmacy?""".splitlines():
    U("facts that are missing", question)

# ---- Not in the documents: other fields ----
for question in """What is the capital of Portugal?
How do I change a flat tire?
Who wrote Pride and Prejudice?
What time does the cafeteria serve breakfast?
How do I file for unemployment benefits?
Can you recommend a good Italian restaurant nearby?
What is the score of the game tonight?
How do I bake sourdough bread?
When is the next train to Springfield?
How do I renew my passport?
What are the symptoms of a broken wrist?
How do I pay my hospital room bill?
Which doctor should I see for knee pain?
What is the visiting policy of the maternity ward?
How do I get to the radiology department?
When is my MRI appointment?
How do I request time off in the HR system?
What is the weather like on Sunday?
Can you write a birthday poem for my nurse?
How do I reset the thermostat in room 204?
Which streaming service has old movies?
How many ounces are in a gallon?
How is a mortgage rate calculated?
What size of shoes should a marathon runner buy?
How do I train my puppy to sit?
What is the fastest land animal?
How do I clean a coffee machine?
Who is the mayor of the town?
What is the stock price of the hospital's owner?
How do I reach the lost and found of the parking garage?""".splitlines():
    U("other fields", question)


def source(place):
    if place.startswith("pair:"):
        pair = PAIRS[place.removeprefix("pair:")]
        return {"document": "pairs.jsonl", "section": pair["topic"], "text": pair["answer"]}
    document, _, section = place.partition("#")
    return {"document": document, **({"section": section} if section else {})}


def main():
    lines = []
    for number, (topic, question, places, expect, curated) in enumerate(ANSWERED, 1):
        item = {"id": f"a{number:03}", "question": question, "sources": [source(place) for place in places]}
        if expect:
            item["expect"] = expect
        if curated is not None:
            item["curated"] = curated
        lines.append({**item, "topic": topic})
    for number, (sort, question) in enumerate(UNANSWERED, 1):
        lines.append({"id": f"u{number:03}", "question": question, "sources": [], "topic": sort})
    out = HERE / "../larkfield/questions.jsonl"
    out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    print(len(ANSWERED), "answered,", len(UNANSWERED), "not,", sum(1 for a in ANSWERED if a[4]), "curated,", sum(1 for a in ANSWERED if a[4] is False), "near misses")


if __name__ == "__main__":
    main()
