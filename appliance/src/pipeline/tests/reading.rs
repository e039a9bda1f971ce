//! The walk beside an embedding model that reads question and sentence together.

use super::{bench::Reader, *};

const DELIVERY: &str = "Delivery vans leave at noon. The charge is four dollars. Parcels for the ward go first. \
                        Delivery by van is free of stairs.";

/// Answers to costs are the sentences with dollars, and nothing else answers anything.
const READS: Reader =
    |question, sentence| Some(if question.contains("cost") && sentence.contains("dollars") { 20.0 } else { -20.0 });

fn delivering(reader: Reader) -> Bench {
    Bench::new().holding(passage("delivery.md", DELIVERY, 0.8, 0.9)).reading(reader)
}

#[tokio::test]
async fn the_sentence_that_reads_as_the_answer_is_quoted_alone_however_like_the_others_are() {
    let answer = delivering(READS).ask("What does delivery by van cost?").await.unwrap();
    assert_eq!((answer.lane(), answer.text()), (Lane::Quoted, "The charge is four dollars."));
    assert!(answer.outcome().counts["answers_permille"] > 990);
}

#[tokio::test]
async fn a_question_that_no_sentence_reads_as_answering_is_declined_however_like_they_are() {
    for composed in [false, true] {
        let mut bench = delivering(READS).composing(Scripted::saying("Delivery vans leave at noon."));
        bench.settings.composed = composed;
        let answer = bench.ask("Who drives the delivery vans that leave at noon?").await.unwrap();
        assert_eq!(answer.lane(), Lane::Abstain);
        assert!(bench.model.heard().is_empty(), "a model was shown sentences that do not answer");
    }
}

#[tokio::test]
async fn a_model_is_shown_the_sentence_that_answers_and_not_those_that_are_only_likely_worded() {
    let bench = delivering(READS).composing(Scripted::saying("The charge is four dollars."));
    let answer = bench.ask("What does delivery by van cost?").await.unwrap();
    assert_eq!((answer.lane(), answer.text()), (Lane::Composed, "The charge is four dollars."));
    let heard = &bench.model.heard()[0].0;
    assert!(heard.contains("four dollars") && !heard.contains("noon"), "{heard}");
}

#[tokio::test]
async fn weak_evidence_that_reads_as_an_answer_is_quoted_and_without_a_reader_it_is_not() {
    let weak = || Bench::new().holding(passage("delivery.md", DELIVERY, 0.3, 0.2));
    let question = "What does it cost?";
    assert_eq!(weak().reading(READS).ask(question).await.unwrap().text(), "The charge is four dollars.");
    assert_eq!(weak().ask(question).await.unwrap().lane(), Lane::Abstain);
}

#[tokio::test]
async fn a_question_that_is_not_read_whole_is_held_to_likeness_too() {
    // Its beginning reads as answered; what it asks stands behind what the model reads.
    let preamble = "cost ".repeat(200);
    let weak = Bench::new().holding(passage("delivery.md", DELIVERY, 0.3, 0.2)).reading(READS);
    let answer = weak.ask(&format!("{preamble}. Who painted the hall?")).await.unwrap();
    assert_eq!(answer.lane(), Lane::Abstain);
    let mut near = delivering(READS);
    near.settings.sentence = 1.2;
    assert_eq!(near.ask(&format!("{preamble}. Who painted the hall?")).await.unwrap().lane(), Lane::Abstain);
}

#[tokio::test]
async fn a_long_heading_leaves_room_for_the_sentence_under_it() {
    let reader: Reader = |_, sentence| {
        let seen: Vec<&str> = sentence.split_whitespace().take(100).collect();
        Some(if seen.join(" ").contains("dollars") { 20.0 } else { -20.0 })
    };
    let mut under = passage("delivery.md", DELIVERY, 0.8, 0.9);
    (under.title, under.headings) = ("A title ".repeat(200), vec!["of no end ".repeat(200)]);
    let answer = Bench::new().holding(under).reading(reader).ask("What does delivery by van cost?").await.unwrap();
    assert_eq!(answer.text(), "The charge is four dollars.");
}

#[tokio::test]
async fn what_let_a_curated_answer_in_is_recorded() {
    let bench = Bench::new().pair("What is the price of delivery?", "Four dollars.", 0.93);
    let outcome = bench.ask("What is the price of delivery").await.unwrap().outcome();
    assert_eq!((outcome.counts.get("by_wording"), outcome.counts.get("by_likeness")), (Some(&1), None));
}

#[tokio::test]
async fn a_reader_that_is_busy_or_gives_no_number_fails_the_question() {
    let busy: Reader = |_, _| None;
    let broken: Reader = |_, _| Some(f32::NAN);
    for (reader, kind) in [(busy, "busy"), (broken, "internal")] {
        let Err(stop) = delivering(reader).ask("What does delivery by van cost?").await else { panic!("{kind}") };
        assert_eq!(stop.kind(), kind);
    }
}

#[tokio::test]
async fn a_busy_reader_keeps_no_curated_answer_back() {
    let busy: Reader = |_, _| None;
    let bench = delivering(busy).pair("What is the price of delivery?", "Four dollars.", 0.93);
    let answer = bench.ask("What is the price of delivery").await.unwrap();
    assert_eq!((answer.lane(), answer.text()), (Lane::Verified, "Four dollars."));
}

#[tokio::test]
async fn where_the_best_sentence_does_not_answer_no_lesser_one_is_quoted() {
    // By words and likeness the first is far ahead, and reads as no answer; another reads as one.
    let reader: Reader = |_, sentence| Some(if sentence.contains("stairs") { -0.5 } else { 0.5 });
    let mut bench = delivering(reader);
    bench.settings.answers = 0.67;
    let answer = bench.ask("Is delivery by van free of stairs?").await.unwrap();
    assert_eq!(answer.lane(), Lane::Abstain, "{}", answer.text());
}
