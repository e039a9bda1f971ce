use super::*;
use crate::tokenizer::from_json;
use crate::weights::gguf::tests::{Scalar, file};

fn tokens(values: &[(&str, Scalar)]) -> Result<Tokens, LoadError> {
    encoder_from_gguf(&Header::read(&mut std::io::Cursor::new(file(values, &[]))).unwrap())
}

fn texts(texts: &[&str]) -> Scalar {
    Scalar::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// The double-struck R is in BERT's vocabulary of lower case; `[PAD11]` fills up one of some converters'.
const WORDS: [&str; 13] = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "\u{2581}refill",
    "s",
    "able",
    "\u{2581}the",
    "\u{2581}.",
    "\u{2581}caf",
    "e",
    "\u{2581}\u{211d}",
    "[PAD12]",
];

fn word_pieces(words: &[&str]) -> Result<Tokens, LoadError> {
    tokens(&[
        ("tokenizer.ggml.model", Scalar::Text("bert".to_owned())),
        ("tokenizer.ggml.tokens", texts(words)),
        (
            "tokenizer.ggml.token_type",
            Scalar::Integers([3, 3, 3, 3].into_iter().chain(std::iter::repeat_n(1, words.len() - 4)).collect()),
        ),
    ])
}

#[test]
fn word_pieces_are_those_of_the_same_vocabulary_in_json() {
    let ours = word_pieces(&WORDS).unwrap();
    let vocab: Vec<String> = WORDS
        .iter()
        .enumerate()
        .map(|(at, text)| match text.strip_prefix('\u{2581}') {
            Some(word) => format!("\"{word}\":{at}"),
            None if at < 4 => format!("\"{text}\":{at}"),
            None => format!("\"##{text}\":{at}"),
        })
        .collect();
    let json = format!(
        r###"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":{{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}},"pre_tokenizer":{{"type":"BertPreTokenizer"}},"post_processor":{{"type":"TemplateProcessing","single":[{{"SpecialToken":{{"id":"[CLS]","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},{{"SpecialToken":{{"id":"[SEP]","type_id":0}}}}],"pair":[],"special_tokens":{{"[CLS]":{{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]}},"[SEP]":{{"id":"[SEP]","ids":[3],"tokens":["[SEP]"]}}}}}},"decoder":null,"model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{{{}}}}}}}"###,
        vocab.join(",")
    );
    let theirs = from_json(json.as_bytes()).unwrap();
    for text in ["The refills.", "REFILLABLE the", "Café cafe", "refill[SEP]", "unheard of", "", "药 the"] {
        assert_eq!(ours.encode_framed(text).unwrap(), theirs.encode_framed(text).unwrap(), "{text}");
    }
    assert_eq!(ours.encode_framed("The refills.").unwrap(), [2, 7, 4, 5, 8, 3]);
}

#[test]
fn words_with_upper_case_keep_it() {
    let cased = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u{2581}Refill", "s", "\u{2581}refill"];
    let tokens = word_pieces(&cased).unwrap();
    assert_eq!(tokens.encode("Refills refill").unwrap(), [4, 5, 6]);
}

#[test]
fn what_the_file_says_of_case_holds() {
    for lowercase in [false, true] {
        let mut values = vec![
            ("tokenizer.ggml.model", Scalar::Text("bert".to_owned())),
            ("tokenizer.ggml.tokens", texts(&WORDS)),
            ("tokenizer.ggml.normalizer.lowercase", Scalar::Flag(lowercase)),
        ];
        values.push(("tokenizer.ggml.unknown_token_id", Scalar::Unsigned(1)));
        let tokens = tokens(&values).unwrap();
        assert_eq!(tokens.encode("THE").unwrap(), [if lowercase { 7 } else { 1 }]);
    }
}

#[test]
fn words_whose_beginnings_are_not_marked_are_refused() {
    let refusal = word_pieces(&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "refill", "##s"]).err().unwrap().to_string();
    assert!(refusal.contains("not marked"), "{refusal}");
}

fn pieces(map: Option<Vec<u8>>) -> Result<Tokens, LoadError> {
    let mut values = vec![
        ("tokenizer.ggml.model", Scalar::Text("t5".to_owned())),
        ("tokenizer.ggml.tokens", texts(&["<s>", "<pad>", "</s>", "<unk>", "\u{2581}", "\u{2581}refill", "s"])),
        ("tokenizer.ggml.token_type", Scalar::Integers(vec![3, 3, 3, 2, 1, 1, 1])),
        ("tokenizer.ggml.scores", Scalar::Floats(vec![0.0, 0.0, 0.0, 0.0, -3.0, -2.0, -2.5])),
        ("tokenizer.ggml.bos_token_id", Scalar::Unsigned(0)),
        ("tokenizer.ggml.eos_token_id", Scalar::Unsigned(2)),
        ("tokenizer.ggml.unknown_token_id", Scalar::Unsigned(3)),
    ];
    values.extend(map.map(|map| ("tokenizer.ggml.precompiled_charsmap", Scalar::Bytes(map))));
    tokens(&values)
}

#[test]
fn a_unigram_vocabulary_frames_a_text_and_a_pair_and_may_not_know_all_of_it() {
    // A map of characters with nothing in it: the length of its trie, a trie of empty units, no texts.
    let empty = [0, 4, 0, 0].into_iter().chain(std::iter::repeat_n(0, 1024)).collect();
    for map in [None, Some(empty)] {
        let tokens = pieces(map).unwrap();
        assert_eq!(tokens.encode_framed("refill refills").unwrap(), [0, 5, 5, 6, 2]);
        assert_eq!(tokens.encode_framed("  refill   ☤").unwrap(), [0, 5, 4, 3, 2]);
        // The name that a control token is hidden under cannot be spelt.
        assert_eq!(tokens.encode_framed("refill\u{10fffe}2").unwrap(), [0, 5, 3, 2]);
        // What spells a control token is text.
        assert_eq!(tokens.encode_framed("refill</s>").unwrap(), [0, 5, 3, 6, 3, 2]);
        let pair = tokens.pair(&[5], &[5, 6, 5], 8).unwrap();
        assert_eq!(pair.tokens, [0, 5, 2, 2, 5, 6, 5, 2]);
        assert_eq!(pair.second, 8);
    }
    let refusal = pieces(Some(vec![1, 2])).err().unwrap().to_string();
    assert!(refusal.contains("map of characters"), "{refusal}");
}

#[test]
fn a_vocabulary_of_another_kind_is_refused_by_name() {
    let refusal =
        tokens(&[("tokenizer.ggml.model", Scalar::Text("rwkv".to_owned())), ("tokenizer.ggml.tokens", texts(&["a"]))]);
    let refusal = refusal.err().unwrap().to_string();
    assert!(refusal.contains("rwkv"), "{refusal}");
}
