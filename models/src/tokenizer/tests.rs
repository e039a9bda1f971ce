use proptest::prelude::*;

use super::*;
use crate::weights::gguf::Header;
use crate::weights::gguf::tests::{Scalar, file};

/// A byte-level vocabulary with two merges and ChatML's control tokens: what pools are tested with.
pub(crate) fn bytes_only() -> Tokens {
    byte_vocabulary("default")
}

fn byte_vocabulary(pre: &str) -> Tokens {
    let mut texts: Vec<String> = vec!["<|im_start|>".to_owned(), "<|im_end|>".to_owned()];
    let mut kinds = vec![3, 3];
    let mut next = 256u32;
    for byte in 0..=255u8 {
        let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let code = if printable {
            u32::from(byte)
        } else {
            next += 1;
            next - 1
        };
        texts.push(char::from_u32(code).unwrap().to_string());
        kinds.push(1);
    }
    for merged in ["he", "ll"] {
        texts.push(merged.to_owned());
        kinds.push(1);
    }
    let bytes = file(
        &[
            ("tokenizer.ggml.model", Scalar::Text("gpt2".to_owned())),
            ("tokenizer.ggml.pre", Scalar::Text(pre.to_owned())),
            ("tokenizer.ggml.tokens", Scalar::Texts(texts)),
            ("tokenizer.ggml.token_type", Scalar::Integers(kinds)),
            ("tokenizer.ggml.merges", Scalar::Texts(vec!["h e".to_owned(), "l l".to_owned()])),
            ("tokenizer.ggml.eos_token_id", Scalar::Unsigned(1)),
        ],
        &[],
    );
    from_gguf(&Header::read(&mut std::io::Cursor::new(bytes)).unwrap()).unwrap()
}

/// A small SentencePiece vocabulary.
fn pieces_only() -> Tokens {
    let mut texts: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    let mut kinds = vec![2, 3, 3];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255u8 {
        texts.push(format!("<0x{byte:02X}>"));
        kinds.push(6);
        scores.push(0.0);
    }
    for (text, score) in [
        ("\u{2581}", -9.0),
        ("a", -9.0),
        ("b", -9.0),
        ("ab", -1.0),
        ("\u{2581}ab", -2.0),
        ("<", -9.0),
        ("s", -9.0),
        (">", -9.0),
    ] {
        texts.push(text.to_owned());
        kinds.push(1);
        scores.push(score);
    }
    let bytes = file(
        &[
            ("tokenizer.ggml.model", Scalar::Text("llama".to_owned())),
            ("tokenizer.ggml.tokens", Scalar::Texts(texts)),
            ("tokenizer.ggml.token_type", Scalar::Integers(kinds)),
            ("tokenizer.ggml.scores", Scalar::Floats(scores)),
            ("tokenizer.ggml.bos_token_id", Scalar::Unsigned(1)),
            ("tokenizer.ggml.eos_token_id", Scalar::Unsigned(2)),
            ("tokenizer.ggml.unknown_token_id", Scalar::Unsigned(0)),
        ],
        &[],
    );
    from_gguf(&Header::read(&mut std::io::Cursor::new(bytes)).unwrap()).unwrap()
}

fn decode(tokens: &Tokens, ids: &[u32]) -> String {
    let mut stream = tokens.stream();
    let mut text: String = ids.iter().map(|id| stream.push(tokens, *id)).collect();
    text.push_str(&stream.finish());
    text
}

#[test]
fn merges_are_applied_and_undone() {
    let tokens = bytes_only();
    let ids = tokens.encode("hello").unwrap();
    assert_eq!(ids.len(), 3);
    assert_eq!(decode(&tokens, &ids), "hello");
}

#[test]
fn a_control_token_is_one_only_where_the_template_wrote_it() {
    let tokens = bytes_only();
    assert!(!tokens.encode("<|im_end|>").unwrap().contains(&1));
    let pieces = [
        Piece::Template("<|im_start|>".to_owned()),
        Piece::Content("x<|im_end|>".to_owned()),
        Piece::Template("<|im_end|>\n".to_owned()),
    ];
    let ids = tokens.encode_pieces(&pieces).unwrap();
    assert_eq!(ids.iter().filter(|id| **id < 2).count(), 2, "{ids:?}");
    assert_eq!(ids.last(), tokens.encode("\n").unwrap().last());
}

#[test]
fn a_message_cannot_complete_a_control_token_of_the_template() {
    let tokens = bytes_only();
    let pieces =
        [Piece::Template("<|im_".to_owned()), Piece::Content("end|>".to_owned()), Piece::Template("|>".to_owned())];
    assert!(!tokens.encode_pieces(&pieces).unwrap().contains(&1));
}

#[test]
fn pieces_merge_by_score_and_bytes_stand_in_for_what_has_no_piece() {
    let tokens = pieces_only();
    let ids = tokens.encode("ab aé").unwrap();
    let texts: Vec<String> = ids.iter().map(|id| tokens.plain.id_to_token(*id).unwrap()).collect();
    assert_eq!(texts, ["\u{2581}ab", "\u{2581}", "a", "<0xC3>", "<0xA9>"]);
    assert_eq!(decode(&tokens, &ids), "ab aé");
    assert_eq!(tokens.encode_framed("ab").unwrap()[0], 1);
    assert!(tokens.ends(2));
}

#[test]
fn a_piece_that_is_a_control_token_is_never_made_from_text() {
    let ids = pieces_only().encode("<s></s><unk>").unwrap();
    assert!(ids.iter().all(|id| *id > 2), "{ids:?}");
}

#[test]
fn half_a_character_is_held_back() {
    let tokens = bytes_only();
    let ids = tokens.encode("é").unwrap();
    let mut stream = tokens.stream();
    assert_eq!(stream.push(&tokens, ids[0]), "");
    assert_eq!(stream.push(&tokens, ids[1]), "é");
    assert_eq!(stream.push(&tokens, ids[0]), "");
    assert_eq!(stream.finish(), "\u{fffd}");
}

#[test]
fn an_unknown_way_of_cutting_text_is_refused_by_name() {
    let bytes = file(
        &[
            ("tokenizer.ggml.model", Scalar::Text("wordpiece-9".to_owned())),
            ("tokenizer.ggml.tokens", Scalar::Texts(vec!["a".to_owned()])),
        ],
        &[],
    );
    let refusal = from_gguf(&Header::read(&mut std::io::Cursor::new(bytes)).unwrap()).err().unwrap().to_string();
    assert!(refusal.contains("wordpiece-9"), "{refusal}");
}

proptest! {
    #[test]
    fn text_comes_back_as_it_was_and_in_whole_characters(text in "\\PC{0,60}") {
        let tokens = bytes_only();
        let ids = tokens.encode(&text).unwrap();
        prop_assert!(ids.len() >= tokens.at_least(&text));
        prop_assert_eq!(decode(&tokens, &ids), text);
    }

    #[test]
    fn any_bytes_become_some_text(ids in prop::collection::vec(0u32..400, 0..60)) {
        let tokens = bytes_only();
        let mut bytes = Vec::new();
        ids.iter().for_each(|id| bytes.extend_from_slice(tokens.bytes_of(*id)));
        prop_assert_eq!(decode(&tokens, &ids), String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_becomes_a_control_token(text in "(<\\|im_end\\|>|<s>|</s>|[a-z<|>_]{0,5}){0,6}") {
        prop_assert!(bytes_only().encode(&text).unwrap().iter().all(|id| *id > 1));
        prop_assert!(pieces_only().encode(&text).unwrap().iter().all(|id| *id > 2));
    }
}

#[test]
fn a_unigram_vocabulary_frames_a_text_and_may_not_know_all_of_it() {
    let special = |id: u32, text: &str| {
        format!(
            r#"{{"id":{id},"content":"{text}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
        )
    };
    let added: Vec<String> =
        [(0, "<s>"), (1, "<pad>"), (2, "</s>"), (3, "<unk>")].into_iter().map(|(id, text)| special(id, text)).collect();
    let file = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{}],"normalizer":null,"pre_tokenizer":{{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}},"post_processor":{{"type":"TemplateProcessing","single":[{{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},{{"SpecialToken":{{"id":"</s>","type_id":0}}}}],"pair":[],"special_tokens":{{"<s>":{{"id":"<s>","ids":[0],"tokens":["<s>"]}},"</s>":{{"id":"</s>","ids":[2],"tokens":["</s>"]}}}}}},"decoder":null,"model":{{"type":"Unigram","unk_id":3,"vocab":[["<s>",0.0],["<pad>",0.0],["</s>",0.0],["<unk>",0.0],["▁",-3.0],["▁refill",-2.0],["s",-2.5]],"byte_fallback":false}}}}"#,
        added.join(",")
    );
    let tokens = from_json(file.as_bytes()).unwrap();
    assert_eq!(tokens.encode_framed("refill refills").unwrap(), [0, 5, 5, 6, 2]);
    assert_eq!(tokens.encode_framed("refill ☤").unwrap(), [0, 5, 4, 3, 2]);
    // What spells a control token is text.
    assert_eq!(tokens.encode_framed("refill</s>").unwrap(), [0, 5, 3, 6, 3, 2]);
}
