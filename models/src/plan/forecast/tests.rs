use super::super::rates::{AttentionRate, EncoderRates, Line, ProductRate};
use super::*;
use crate::kernel::Format;

const GIB: u64 = 1 << 30;
const LARGE: Machine = Machine { available_bytes: 256 * GIB, total_bytes: 256 * GIB };

/// A machine that does everything at once but what a test sets.
fn rates() -> Rates {
    Rates {
        threads: 4,
        reading: Line(vec![(1.0, 1e30)]),
        products: Format::ALL.map(|format| ProductRate { format, seconds: Line(vec![(1.0, 0.0)]) }).to_vec(),
        overlap: 0.0,
        stall: 0.0,
        attention: vec![AttentionRate { size: 128, one: 0.0, four: 0.0, many: 0.0 }],
        between_one: (0.0, 0.0),
        between_many: (0.0, 0.0),
        layer: 0.0,
        logit: 0.0,
        encoder: EncoderRates { int8: 1e18, attention: Line(vec![(32.0, 0.0)]) },
    }
}

/// Products that take so many seconds per weight and row.
fn computing(per_row: f64) -> Vec<ProductRate> {
    let line = Line(vec![(1.0, per_row), (100.0, per_row * 100.0)]);
    Format::ALL.map(|format| ProductRate { format, seconds: line.clone() }).to_vec()
}

fn subject() -> Subject {
    Subject::named("8B", "Q8_0").unwrap()
}

fn model(subject: &Subject) -> &Language {
    match &subject.kind {
        Kind::Language { model, .. } => model,
        Kind::Encoder { .. } => panic!("it generates"),
    }
}

fn speeds(rates: &Rates, users: usize) -> (f64, f64, f64, usize) {
    let demand = Demand { users, ..Demand::default() };
    match Forecast::of(&subject(), rates, &LARGE, &demand).outlook {
        Outlook::Generates { first_token_seconds, tokens_per_second, all_tokens_per_second, users_at_once } => {
            (first_token_seconds, tokens_per_second, all_tokens_per_second, users_at_once)
        }
        Outlook::Embeds { .. } => panic!("it generates"),
    }
}

fn near(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} instead of {expected}");
}

#[test]
fn where_reading_is_the_limit_a_token_takes_the_bytes_of_weights_and_state_over_the_bandwidth() {
    let rates = Rates { reading: Line(vec![(1.0, 1e11)]), ..rates() };
    let subject = subject();
    let model = model(&subject);
    let weights = model.layers.iter().map(|part| part.bytes).sum::<f64>() + model.head.bytes;
    // Keys and values of 32 layers, 8 heads of 128 numbers, two bytes each, at position 1,248.
    let state = 1249.0 * f64::from(32 * 8 * 128 * 2 * 2);
    let (_, one, eight, _) = speeds(&rates, 8);
    near(one, 1e11 / (weights + state));
    near(eight, 8e11 / (weights + 8.0 * state));
}

#[test]
fn where_computing_is_the_limit_a_prompt_takes_every_weight_for_every_row() {
    let rates = Rates { products: computing(1e-12), ..rates() };
    let subject = subject();
    let model = model(&subject);
    let layers: f64 = model.layers.iter().map(|part| part.weights).sum();
    let (first, one, _, _) = speeds(&rates, 1);
    near(first, 1e-12 * (1200.0 * layers + model.head.weights));
    near(one, 1e12 / (layers + model.head.weights));
}

#[test]
fn what_is_hidden_is_the_shorter_of_two_but_for_its_share() {
    for (compute, memory, overlap, expected) in
        [(3.0, 2.0, 0.0, 3.0), (2.0, 3.0, 0.0, 3.0), (3.0, 2.0, 0.5, 4.0), (2.0, 3.0, 1.0, 5.0), (0.0, 1.0, 1.0, 1.0)]
    {
        assert_eq!(super::super::cost::join(compute, memory, overlap), expected);
    }
}

#[test]
fn attention_costs_what_is_seen_and_idle_threads_cost_too() {
    let mut rates = rates();
    rates.attention = vec![AttentionRate { size: 128, one: 1e-9, four: 4e-9, many: 1e-9 }];
    let subject = subject();
    let model = model(&subject);
    // Thirty-two heads ask, eight are asked, four threads.
    let step = |position, rows| model.step(&rates, &[Rows { position, rows }], 0);
    near(step(999, 1), 1e-9 * 32.0 * 32.0 * 1000.0);
    near(step(0, 64), 1e-9 * 32.0 * 32.0 * (1..=64).sum::<usize>() as f64);
    rates.threads = 16;
    near(model.step(&rates, &[Rows { position: 99, rows: 1 }], 0), 2.0 * 1e-9 * 32.0 * 32.0 * 100.0);
}

#[test]
fn a_window_bounds_what_is_seen() {
    let mut rates = rates();
    rates.attention = vec![AttentionRate { size: 128, one: 1e-9, four: 4e-9, many: 1e-9 }];
    let subject = subject();
    let mut model = model(&subject).clone();
    model.shape.windows = vec![Some(100); 32];
    let step = |position, rows| model.step(&rates, &[Rows { position, rows }], 0);
    near(step(999, 1), 1e-9 * 32.0 * 32.0 * 100.0);
    near(step(90, 20), 1e-9 * 32.0 * 32.0 * ((91..=100).sum::<usize>() + 10 * 100) as f64);
}

#[test]
fn every_layer_and_every_logit_has_its_price() {
    let rates = Rates { layer: 1e-3, logit: 1e-8, ..rates() };
    let (_, one, four, _) = speeds(&rates, 4);
    near(one, 1.0 / (32.0 * 1e-3 + 128_256.0 * 1e-8));
    near(four, 4.0 / (32.0 * 1e-3 + 4.0 * 128_256.0 * 1e-8));
}

#[test]
fn rows_are_touched_by_one_thread_or_by_all() {
    let rates = Rates { between_one: (4e-9, 8e-9), between_many: (1e-9, 2e-9), ..rates() };
    let subject = subject();
    let model = model(&subject);
    let (normalised, gated) = (2.0 * 4096.0 + 4096.0 + 4096.0 + 2.0 * 1024.0, 14_336.0);
    let step = |rows| model.step(&rates, &[Rows { position: 0, rows }], 0);
    near(step(1), 32.0 * (normalised * 1e-9 + gated * 2e-9));
    let mut narrow = model.clone();
    narrow.shape.width = 1024;
    let normalised = 2.0 * 1024.0 + 4096.0 + 4096.0 + 2.0 * 1024.0;
    near(narrow.step(&rates, &[Rows { position: 0, rows: 1 }], 0), 32.0 * (normalised * 4e-9 + gated * 8e-9));
}

#[test]
fn the_verdict_names_what_is_wrong() {
    let fast = Rates { layer: 1e-5, ..rates() };
    let verdict = |rates: &Rates, machine: &Machine| {
        Forecast::of(&subject(), rates, machine, &Demand::default()).verdict.to_string()
    };
    assert_eq!(verdict(&fast, &LARGE), "carries");
    // 8 GB of weights, four readers with 4,096 tokens each.
    let small = Machine { available_bytes: 6 * GIB, total_bytes: 8 * GIB };
    let refusal = verdict(&fast, &small);
    assert!(refusal.starts_with("does not carry: needs 1") && refusal.ends_with("GiB, has 6.0 GiB"), "{refusal}");
    let slow = Rates { logit: 3.2e-6, ..rates() };
    assert_eq!(verdict(&slow, &LARGE), "carries slowly: 0.6 tokens a second for each of 4 readers");
    let late = Rates { products: computing(2e-12), ..fast };
    assert_eq!(verdict(&late, &LARGE), "carries slowly: 17 s to the first token");
}

#[test]
fn readers_at_once_are_bounded_by_speed_by_memory_and_by_the_engine() {
    let per_row = |seconds: f64| Rates { products: computing(seconds), ..rates() };
    let readers = |rates: &Rates, available_bytes: u64| {
        let machine = Machine { available_bytes, total_bytes: available_bytes };
        match Forecast::of(&subject(), rates, &machine, &Demand::default()).outlook {
            Outlook::Generates { users_at_once, .. } => users_at_once,
            Outlook::Embeds { .. } => 0,
        }
    };
    assert_eq!(readers(&rates(), 256 * GIB), MOST);
    // Each costs 7.5e9 weights times 2.6e-12 seconds, 0.0195; ten are done in the 0.2 seconds that a reader gives.
    assert_eq!(readers(&per_row(2.6e-12), 256 * GIB), 10);
    assert_eq!(readers(&per_row(1e-9), 256 * GIB), 0);
    // A reader's 4,096 tokens take half a GiB.
    let (few, more) = (readers(&rates(), 10 * GIB), readers(&rates(), 12 * GIB));
    assert!(few > 0 && more == few + 4, "{few} {more}");
}

#[test]
fn an_encoder_is_planned_by_its_products_and_its_attention() {
    let entry = crate::catalogue::find("all-minilm-l6-v2").unwrap();
    let subject = Subject::listed(entry).unwrap();
    let mut rates = rates();
    rates.encoder = EncoderRates { int8: 1e11, attention: Line(vec![(32.0, 1e-9)]) };
    let forecast = Forecast::of(&subject, &rates, &LARGE, &Demand::default());
    let Outlook::Embeds { question_seconds, passages_per_second } = forecast.outlook else { panic!("it embeds") };
    let layer = f64::from(4 * 384 * 384 + 2 * 384 * 1536);
    near(question_seconds, 6.0 * (16.0 * layer / 1e11 + 12.0 * 256.0 * 1e-9));
    near(1.0 / passages_per_second, 6.0 * (128.0 * layer / 1e11 + 12.0 * 16_384.0 * 1e-9));
    let tiny = Machine { available_bytes: 1 << 20, total_bytes: 1 << 30 };
    let verdict = Forecast::of(&subject, &rates, &tiny, &Demand::default()).verdict;
    assert!(matches!(verdict, Verdict::DoesNotCarry { .. }), "{verdict:?}");
}
