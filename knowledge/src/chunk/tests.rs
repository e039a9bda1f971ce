use proptest::prelude::*;

use super::*;

fn words(text: &str) -> usize {
    text.split_whitespace().count() + 2
}

fn kind() -> impl Strategy<Value = BlockKind> {
    prop_oneof![
        Just(BlockKind::Heading { level: 1 }),
        Just(BlockKind::Heading { level: 2 }),
        Just(BlockKind::Paragraph),
        Just(BlockKind::Paragraph),
        Just(BlockKind::ListItem { number: Some(1) }),
        Just(BlockKind::ListItem { number: None }),
        Just(BlockKind::TableRow),
        Just(BlockKind::Code),
        Just(BlockKind::Quote),
    ]
}

/// Blocks with text from a few alphabets, one after another, headings as a parser nests them.
fn document() -> impl Strategy<Value = (String, Vec<Block>)> {
    let word = prop_oneof!["[a-z]{1,9}", "[äöß漢字🙂]{1,4}", "[0-9]{1,3} mg", "[A-Z][a-z]{2,5}\\. "];
    let body = proptest::collection::vec(word, 1..400).prop_map(|words| words.join(" "));
    proptest::collection::vec((kind(), body, "[ \n]{1,3}"), 0..14).prop_map(|parts| {
        let mut text = String::new();
        let mut blocks = Vec::new();
        let mut path: Vec<String> = Vec::new();
        for (kind, body, gap) in parts {
            let body = match kind {
                BlockKind::Heading { .. } => body.split_whitespace().take(6).collect::<Vec<_>>().join(" "),
                _ => body.trim().to_owned(),
            };
            if let BlockKind::Heading { level } = kind {
                path.truncate(usize::from(level) - 1);
            }
            let start = text.len();
            text.push_str(&body);
            blocks.push(Block { kind, start, end: text.len(), page: None, headings: path.clone() });
            text.push_str(&gap);
            if let BlockKind::Heading { .. } = kind {
                path.push(body);
            }
        }
        (text, blocks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passages_cover_every_block_in_order_and_cut_nothing_that_fits((text, blocks) in document()) {
        let ruler = Ruler::new(256, &words);
        let chunks = chunk(&text, &blocks, &ruler);
        let mut last = 0;
        for chunk in &chunks {
            prop_assert!(chunk.start >= last && chunk.start < chunk.end);
            last = chunk.end;
            let body = text.get(chunk.start..chunk.end);
            prop_assert!(body.is_some(), "at character boundaries");
            prop_assert!(ruler.tokens(body.unwrap_or_default()) <= BODY_MOST);
        }
        for block in &blocks {
            let body = &text[block.start..block.end];
            let within = chunks.iter().filter(|chunk| chunk.start < block.end && block.start < chunk.end);
            let within: Vec<&Chunk> = within.collect();
            let covered = text[block.start..block.end].char_indices().all(|(at, c)| {
                let at = block.start + at;
                c.is_whitespace() || within.iter().any(|chunk| chunk.start <= at && at < chunk.end)
            });
            match block.kind {
                BlockKind::Heading { .. } => {
                    let in_a_path = chunks.iter().any(|chunk| chunk.headings.iter().any(|heading| heading == body));
                    prop_assert!(covered || in_a_path, "heading lost");
                }
                _ => prop_assert!(covered, "text lost"),
            }
            let is_whole = matches!(block.kind, BlockKind::TableRow | BlockKind::ListItem { .. });
            if is_whole && ruler.tokens(body) <= BODY_MOST {
                prop_assert_eq!(within.len(), 1, "a row or a step was cut");
            }
            if !matches!(block.kind, BlockKind::Heading { .. }) {
                prop_assert!(within.iter().all(|chunk| chunk.headings == block.headings), "under another heading");
            }
        }
    }

    #[test]
    fn what_is_embedded_fits_the_model_and_leaves_no_word_out(
        body in proptest::collection::vec("[a-zé漢]{1,12}", 1..900),
        headings in proptest::collection::vec("[a-z ]{1,80}", 0..4),
        most in 12_usize..300,
    ) {
        let body = body.join(" ");
        let ruler = Ruler::new(most, &words);
        let texts = windows(Wording { title: "Title", headings: &headings }, &body, &ruler);
        prop_assert!(texts.iter().all(|text| words(text) <= most), "{:?}", texts.iter().map(|t| words(t)).collect::<Vec<_>>());
        let mut all = texts.iter().flat_map(|text| text.split_whitespace());
        for word in body.split_whitespace() {
            prop_assert!(all.any(|found| found == word), "{word} lost");
        }
    }
}

#[test]
fn a_lead_in_stays_with_the_row_that_follows_it() {
    let filler = "word ".repeat(200);
    let text = format!("{}\n\nMaximum quantities:\n\n{}", filler.trim(), "row ".repeat(60).trim());
    let first = filler.trim().len();
    let lead = first + 2;
    let row = lead + "Maximum quantities:".len() + 2;
    let block = |kind, start, end| Block { kind, start, end, page: None, headings: Vec::new() };
    let blocks = [
        block(BlockKind::ListItem { number: None }, 0, first),
        block(BlockKind::Paragraph, lead, row - 2),
        block(BlockKind::TableRow, row, text.len()),
    ];
    let chunks = chunk(&text, &blocks, &Ruler::new(256, &words));
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].start, lead);
}

#[test]
fn a_long_section_is_divided_evenly() {
    let sentence = "The pharmacist checks the label twice. ";
    let text = sentence.repeat(40);
    let block = Block { kind: BlockKind::Paragraph, start: 0, end: text.len(), page: None, headings: Vec::new() };
    let chunks = chunk(&text, &[block], &Ruler::new(256, &words));
    let tokens: Vec<usize> = chunks.iter().map(|chunk| words(&text[chunk.start..chunk.end]) - 2).collect();
    assert_eq!(tokens, [120, 120]);
}

#[test]
fn an_abbreviation_does_not_end_a_sentence() {
    let text = "Call Dr. Smith at once. Then wait.";
    let ruler = Ruler::new(256, &words);
    let pieces = split::pieces(text, false, 6, &ruler);
    let said: Vec<&str> = pieces.iter().map(|piece| &text[piece.start..piece.end]).collect();
    assert_eq!(said, ["Call Dr. Smith at once.", "Then wait."]);
}

#[test]
fn a_line_s_end_in_the_midst_of_a_sentence_does_not_end_it() {
    let text = "We answer from 8:00 a.m.\nto 4:30 p.m. each day. Ask Dr.\nRoe. Then wait.";
    let ruler = Ruler::new(256, &words);
    let pieces = split::pieces(text, false, 10, &ruler);
    let said: Vec<&str> = pieces.iter().map(|piece| &text[piece.start..piece.end]).collect();
    assert_eq!(said, ["We answer from 8:00 a.m.\nto 4:30 p.m. each day.", "Ask Dr.\nRoe.", "Then wait."]);
}
