use candle_core::Device;
use candle_core::quantized::GgmlDType;

use crate::arch::candle;
use crate::arch::tiny::{Tiny, VOCABULARY, feed, load, same_logits, tokens, verified};
use crate::manifest::Task;
use crate::pool::PoolOptions;
use crate::task::generate::Piece;
use crate::weights::gguf::tests::Scalar;

fn tiny(changes: &[(&str, Scalar)]) -> Vec<u8> {
    Tiny::default().file(changes)
}

#[test]
fn logits_are_those_of_candles_own_implementation_token_by_token() {
    let bytes = tiny(&[]);
    let mut theirs = candle::llama(&bytes, &Device::Cpu);
    same_logits(&bytes, 3e-3, |token, position| theirs.forward(token, position).unwrap());
}

#[test]
fn a_prompt_gives_the_same_bits_in_one_step_and_in_many() {
    let mut model = load(&tiny(&[])).unwrap();
    let tokens = tokens(150);
    let (mut whole, mut steps) = (Vec::new(), Vec::new());
    feed(&mut model, 0, 0, &tokens, &mut whole).unwrap();
    for (at, token) in tokens.iter().enumerate() {
        feed(&mut model, 1, at, &[*token], &mut steps).unwrap();
    }
    assert_eq!(steps, whole);
}

#[test]
fn rows_of_a_guess_are_those_of_single_steps_and_what_was_wrong_is_written_over() {
    let mut model = load(&tiny(&[])).unwrap();
    let tokens = tokens(300);
    let (mut single, mut logits) = (Vec::new(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        feed(&mut model, 0, at, &[*token], &mut logits).unwrap();
        single.push(logits.clone());
    }
    for from in [20, 250, 270] {
        feed(&mut model, 1, 0, &tokens[..from], &mut logits).unwrap();
        let blocks: Vec<u32> = (16..32).collect();
        let wrong = [tokens[from], 5, 6, 7, 8];
        model.step(&[Piece { blocks: &blocks, position: from, tokens: &wrong, logits: 5 }], &mut logits).unwrap();
        assert_eq!(logits[..VOCABULARY], single[from]);
        let right = &tokens[from + 1..from + 9];
        model.step(&[Piece { blocks: &blocks, position: from + 1, tokens: right, logits: 8 }], &mut logits).unwrap();
        assert_eq!(logits, single[from + 1..from + 9].concat());
    }
}

#[test]
fn a_sequence_gives_the_same_bits_alone_and_among_others() {
    let mut model = load(&tiny(&[])).unwrap();
    let sequences: Vec<Vec<u32>> = (1..=16).map(|n| tokens(n * 13 % 60 + 1)).collect();
    let blocks: Vec<Vec<u32>> = (0..16u32).map(|n| vec![2 * n + 1, 2 * n]).collect();
    let piece = |n: usize| Piece { blocks: &blocks[n], position: 0, tokens: &sequences[n], logits: 1 };
    let mut alone = Vec::new();
    for n in 0..16 {
        let mut logits = Vec::new();
        model.step(&[piece(n)], &mut logits).unwrap();
        alone.extend(logits);
    }
    let mut together = Vec::new();
    model.step(&(0..16).map(piece).collect::<Vec<_>>(), &mut together).unwrap();
    assert_eq!(alone, together);
}

#[test]
fn sequences_that_share_their_beginning_go_on_bit_for_bit_as_fresh_ones() {
    let mut model = load(&tiny(&[])).unwrap();
    let tokens = tokens(200);
    let (mut fresh, mut shared) = (Vec::new(), Vec::new());
    feed(&mut model, 0, 0, &tokens, &mut fresh).unwrap();
    // The first four blocks are the other's.
    let blocks = [0, 1, 2, 3, 40, 41, 42];
    let piece = Piece { blocks: &blocks, position: 128, tokens: &tokens[128..], logits: 1 };
    model.step(&[piece], &mut shared).unwrap();
    assert_eq!(fresh, shared);
}

#[test]
fn a_step_that_does_not_fit_is_an_error() {
    let mut model = load(&tiny(&[])).unwrap();
    let mut logits = Vec::new();
    let mut step = |blocks: &[u32], position: usize, tokens: &[u32]| {
        model.step(&[Piece { blocks, position, tokens, logits: 1 }], &mut logits).is_err()
    };
    assert!(step(&[0], 0, &[]));
    assert!(step(&[9999], 0, &[1]));
    assert!(step(&[0], 0, &[VOCABULARY as u32]));
    assert!(step(&[0], 30, &[1, 2, 3]));
    assert!(step(&(0..17).collect::<Vec<_>>(), 512, &[1]));
    assert!(!step(&[0], 0, &[1]));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (change, word) in [
        (("llama.rope.scaling.type", Scalar::Text("yarn".to_owned())), "yarn"),
        (("llama.expert_count", Scalar::Unsigned(8)), "experts"),
        (("llama.block_count", Scalar::Unsigned(3)), "blk.2.attn_q.weight"),
        (("llama.embedding_length", Scalar::Unsigned(0)), "embedding_length"),
        (("llama.attention.head_count", Scalar::Unsigned(3)), "heads"),
        (("llama.feed_forward_length", Scalar::Unsigned(64)), "shape"),
    ] {
        let refusal = load(&tiny(&[change])).err().unwrap().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[test]
fn an_unknown_architecture_is_refused_by_name() {
    let (_folder, model, manifest) = verified(&tiny(&[("general.architecture", Scalar::Text("mamba".to_owned()))]));
    assert_eq!((manifest.task, manifest.architecture.as_str()), (Task::Generate, "mamba"));
    let refusal = crate::arch::load_generate(&model, &PoolOptions::default()).err().unwrap().to_string();
    assert!(refusal.starts_with("architecture mamba is not supported yet"), "{refusal}");
}

#[test]
fn quantised_weights_give_nearly_the_same_as_candle() {
    // candle rounds activations to 8 bits here, we to 16: near is all that can be asked.
    let bytes = tiny(&[]);
    let kind = |sides| if sides == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 };
    let quantised = candle::rewritten(&bytes, kind);
    let mut theirs = candle::llama(&quantised, &Device::Cpu);
    same_logits(&quantised, 0.05, |token, position| theirs.forward(token, position).unwrap());
}
