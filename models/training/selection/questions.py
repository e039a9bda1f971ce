#!/usr/bin/env python3
"""The questions on the documents in brackwater/, written by hand for training and calibrating the choice of sentences.

    questions.py > questions.jsonl

An answer is named by the beginning of a sentence, step or row; the whole line or sentence is looked up in the document.
The pharmacy, its plan and its clinic are invented.
"""
import json, pathlib, re, sys

MAIL, COST, INFUSION, WARFARIN, COLD, PROXY = (
    "mail-service.md", "costs.md", "infusion-clinic.md", "warfarin-staff.md", "cold-chain.md", "proxy-access.md")

ANSWERED = [
    (MAIL, "just signed up, how long till my first meds show up?", ["A first order takes"]),
    (MAIL, "my doctor wants to fax my script to you what number", ["Your prescriber can send it"]),
    (MAIL, "Can I just read my prescription to you on the phone?", ["We do not take a paper"]),
    (MAIL, "I'll be out of my blood pressure pills before the first box gets here, what now", ["If you will run out sooner"]),
    (MAIL, "when should I reorder", ["Order a refill when"]),
    (MAIL, "Once I've asked for a refill how quickly does it go out?", ["Refills leave the warehouse"]),
    (MAIL, "where can i reorder my tablets, is there an app or something", ["You can order on"]),
    (MAIL, "Is auto refill possible for my insulin pens?", ["Controlled medicines, injectables"]),
    (MAIL, "how much notice do I get before an automatic refill is sent", ["We send a text message"]),
    (MAIL, "I don't need this month's auto refill. Until when can I skip?", ["We send a text message"]),
    (MAIL, "what does it cost to get it the next day", ["Two-day shipping costs"]),
    (MAIL, "Do I pay for normal delivery?", ["Standard shipping is free"]),
    (MAIL, "Can a cold medicine go to my PO box?", ["We do not ship to post office boxes"]),
    (MAIL, "does someone have to be home to sign for oxycodone", ["| Controlled medicine |"]),
    (MAIL, "On which days do you send the packages with ice packs?", ["| Cold package |"]),
    (MAIL, "My cooler sat on the porch all weekend, how long does it stay cold?", ["A cold package holds"]),
    (MAIL, "the little strip in the box went red, is it still ok to use", ["If the strip inside"]),
    (MAIL, "My parcel never came. When may I call it lost?", ["Report a package as lost"]),
    (MAIL, "will i be charged again if the package got lost", ["We send it again once"]),
    (MAIL, "Why do I need another script for my lost Adderall?", ["For a controlled medicine"]),
    (COST, "how much for a month of a preferred brand at the store", ["| 3 |"]),
    (COST, "What's the three month mail price for the cheapest tier?", ["| 1 |"]),
    (COST, "can I get my specialty drug as 90 days by mail", ["| 4 |"]),
    (COST, "Do I have to meet a deductible for generics?", ["Tiers 1 and 2 have none"]),
    (COST, "how big is the yearly deductible", ["There is a deductible of"]),
    (COST, "When does the deductible reset?", ["It starts again on"]),
    (COST, "what needs to happen before you'd lower the tier of my med", ["Your prescriber may ask for"]),
    (COST, "how fast will I hear back on an exception if it's urgent", ["We answer within 72 hours"]),
    (COST, "They turned down my exception. How long have I got to appeal?", ["A denied request can"]),
    (COST, "can i pay cash", ["Checks are accepted by mail only"]),
    (COST, "do you take HSA cards", ["We take credit and debit"]),
    (COST, "I owe ninety bucks, can I still place an order?", ["A balance over $75"]),
    (COST, "Is interest charged when I pay in instalments?", ["You can ask for a payment plan"]),
    (INFUSION, "what do i need to bring to my first infusion", ["Bring the insurance card"]),
    (INFUSION, "Am I allowed to eat beforehand?", ["Eat a light meal"]),
    (INFUSION, "should I take my benadryl the morning of", ["Do not take antihistamines"]),
    (INFUSION, "how late are you there on fridays", ["The clinic treats patients"]),
    (INFUSION, "My infusion runs five hours. What's the latest it can begin?", ["The last infusion of four hours"]),
    (INFUSION, "open on saturday?", ["It is closed at weekends"]),
    (INFUSION, "How often will they take my blood pressure while I'm hooked up?", ["A nurse checks blood pressure"]),
    (INFUSION, "can I bring my 10 year old along to sit with me", ["One visitor over the age"]),
    (INFUSION, "whats the wifi situation", ["Wireless internet is free"]),
    (INFUSION, "My chest feels tight during the drip, what happens then?", ["Call the nurse at once", "The infusion is stopped"]),
    (INFUSION, "how far ahead do I have to cancel my visit", ["Cancel at least one full day"]),
    (INFUSION, "What if I just don't turn up a second time?", ["Two missed visits"]),
    (INFUSION, "I was put on amoxicillin on Monday, can I still come Thursday?", ["With a temperature of"]),
    (INFUSION, "got the sniffles but no fever, is it still on?", ["The clinic's pharmacist decides"]),
    (WARFARIN, "Target INR with a mechanical mitral valve?", ["For a mechanical mitral valve"]),
    (WARFARIN, "INR came back 1.3, what do I do with the dose", ["INR below 1.5"]),
    (WARFARIN, "patient is at 3.6 today, do we hold a dose?", ["INR from 3.1"]),
    (WARFARIN, "Result 4.7 and no bleeding. Next steps?", ["INR from 4.1"]),
    (WARFARIN, "when do I have to call the doctor about a high INR", ["INR above 5.0"]),
    (WARFARIN, "How often is a new patient tested?", ["A new patient is tested"]),
    (WARFARIN, "stable for over half a year, how long between checks can it be", ["A steady patient is tested"]),
    (WARFARIN, "Patient begins cipro tomorrow. When should the INR be checked?", ["Test within 5 days"]),
    (WARFARIN, "can a tech tell the patient the new dose", ["Technicians take the reading"]),
    (WARFARIN, "Who is permitted to adjust warfarin?", ["A pharmacist with the anticoagulation"]),
    (WARFARIN, "how long may someone keep a home meter", ["Meters are lent for"]),
    (WARFARIN, "What counts as passing the home meter training?", ["The patient is trained"]),
    (COLD, "what temp should the vaccine fridge be", ["Vaccine refrigerators are kept"]),
    (COLD, "How cold for chickenpox vaccine?", ["Freezers for varicella"]),
    (COLD, "how many times a day do we log the temperature", ["Read both thermometers"]),
    (COLD, "who reads out the data logger and when", ["The digital logger is read"]),
    (COLD, "How long do the temperature sheets have to be kept?", ["Sheets are kept"]),
    (COLD, "fridge alarm is going at 11 degrees, do I bin the stock?", ["Put a"]),
    (COLD, "where's the backup fridge", ["Move the vaccines to"]),
    (COLD, "Which form do I fill in after an excursion?", ["Fill in form CC-4"]),
    (COLD, "A box of flu vaccine froze overnight. Can we still give it?", ["A vaccine that has been frozen"]),
    (COLD, "power's out. how long will the fridge be ok", ["A closed refrigerator holds"]),
    (COLD, "Which outlets run on the generator?", ["The generator starts by itself"]),
    (COLD, "how soon must a delivery be unpacked", ["Deliveries are unpacked"]),
    (COLD, "the monitor in the shipping box is blinking", ["Look at the monitor"]),
    (PROXY, "can my daughter call in for me, what paperwork is that", ["A member may name", "Both sign form"]),
    (PROXY, "How long is form P-2 good for?", ["It holds for one year"]),
    (PROXY, "which pages of the power of attorney do you want", ["With a power of attorney"]),
    (PROXY, "My son is 15. Can I see his chats with the pharmacist?", ["From 13 to 17"]),
    (PROXY, "till what age do I run my kid's account", ["A parent or guardian manages"]),
    (PROXY, "when she turns eighteen do I lose access?", ["At 18 all access"]),
    (PROXY, "Can my helper change where the parcels go?", ["A helper cannot change"]),
    (PROXY, "is my brother allowed to pay my bill as my helper", ["A helper can order"]),
    (PROXY, "my husband passed away last week and there's an order coming", ["Tell us on", "Open orders are stopped"]),
    (PROXY, "Can we return the boxes he never opened?", ["Unopened packages cannot"]),
]
UNANSWERED = [
    "Do you ship to Canada?", "how many pharmacists work at the mail service", "what courier company brings the controlled meds",
    "can I pick my mail order up at the warehouse myself", "Which carrier tracking number format do you use?",
    "is there a discount when I order three meds together", "how late can I call 555-0130", "Do you offer automatic refill for my cat's medicine?",
    "What happens if I move in the middle of an order?", "can you send it to my work address instead", "what does same day shipping cost",
    "how much is a cold package weighing", "Does the strip turn red from light as well?", "why do first orders take so long",
    "what is the tier of atorvastatin", "How much would Humira be for me?", "is there a yearly out of pocket maximum", "do you take PayPal",
    "Is there a fee when my check bounces?", "how much is the deductible for my family of four", "Can I get a refund if my doctor stops the medicine?",
    "what's the copay for vaccines", "who decides about appeals, is it a doctor", "what phone number do I call for a tier exception",
    "Do you have chairs that recline at the infusion clinic?", "where do I park for my infusion", "can I bring my dog to the infusion",
    "how long does a Remicade infusion take", "Is lunch served during long infusions?", "What if my fever starts after the infusion?",
    "can i drive myself home if I feel fine", "do you do infusions at home", "Which antibiotic is safe with my infusion?",
    "what is the starting dose of warfarin", "How much vitamin K for an INR of 9?", "can the patient drink alcohol on warfarin",
    "What is the INR target after a hip replacement?", "does warfarin need to be stopped before a tooth is pulled", "how much does a home meter cost",
    "how do I switch a patient from warfarin to apixaban", "which pharmacists hold the anticoagulation certificate", "Is a finger stick as good as a blood draw?",
    "who is the cold chain lead this year", "how long is an opened vial of MMR good", "Can we store insulin in the vaccine fridge?",
    "what brand of thermometer do we have to buy", "what's the code for room B12", "How often is the freezer defrosted?",
    "when was the generator last tested", "what is the phone number of the vaccine manufacturer", "do we vaccinate walk ins",
    "how do I get form P-2 in Spanish", "Can I name two people to speak for me?", "my ex wants access to our kid's orders, do both parents get it",
    "what ID does my helper need to show", "does a will count as power of attorney", "Can a helper talk to the pharmacist about side effects?",
    "how long is the refund going to take after a death", "can the school nurse reorder my son's inhaler", "who won the game last night",
    "write me a poem about autumn", "What is the capital of Portugal?", "how do I renew my passport", "whats a good recipe for chili",
]

here = pathlib.Path(__file__).parent / "brackwater"
texts = {path.name: path.read_text() for path in here.glob("*.md")}
def whole(document, begin):
    """The sentence, step or row that begins so."""
    found = [m.start() for m in re.finditer(re.escape(begin), texts[document])]
    assert len(found) == 1, (document, begin, found)
    line = texts[document][found[0]:].split("\n")[0]
    if line.startswith("|") or re.search(r"^\d+\. $", texts[document][found[0] - 3:found[0]]):
        return line
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", line)[0]
for at, (document, question, answers) in enumerate(ANSWERED):
    sources = [{"document": document, "text": whole(document, begin)} for begin in answers]
    print(json.dumps({"id": f"b{at:03}", "question": question, "sources": sources}))
for at, question in enumerate(UNANSWERED):
    print(json.dumps({"id": f"u{at:03}", "question": question, "sources": []}))
