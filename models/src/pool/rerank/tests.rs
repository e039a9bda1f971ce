use std::time::Duration;

use super::*;
use crate::arch::small::{Small, directory};

const CONFIG: &str = r#"{"model_type":"bert","architectures":["BertForSequenceClassification"],"num_labels":1,"vocab_size":40,"hidden_size":32,"num_hidden_layers":1,"num_attention_heads":4,"intermediate_size":48,"hidden_act":"gelu","max_position_embeddings":16,"type_vocab_size":2,"layer_norm_eps":1e-12,"pad_token_id":0}"#;

fn verified() -> (tempfile::TempDir, Verified) {
    let mut small = Small::bert(1, 16);
    small.affine("pooler.dense", 32, 32, true);
    small.affine("classifier", 1, 32, true);
    let (folder, model, _) = directory(CONFIG, &small.tensors("bert.", &["classifier"]), &[]).unwrap();
    (folder, model)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn a_score_is_the_same_alone_and_among_others_and_lies_between_0_and_1() {
    let (_folder, model) = verified();
    let pool = RerankPool::start(model, &PoolOptions::default()).unwrap();
    let texts: Vec<String> = (4..30).map(|n| format!("w{n} w{}", n + 3)).collect();
    let all = pool.rerank_blocking("w5 w6", &texts, soon()).unwrap();
    assert_eq!(all.tokens, texts.len() * 7);
    for (text, score) in texts.iter().zip(&all.scores) {
        let alone = pool.rerank_blocking("w5 w6", std::slice::from_ref(text), soon()).unwrap();
        assert_eq!(alone.scores, [*score]);
        assert!((0.0..=1.0).contains(score));
    }
    assert!(all.scores.iter().any(|score| score != &all.scores[0]), "all texts score alike");
    assert!(pool.rerank_blocking("w5", &[], soon()).unwrap().scores.is_empty());
}

#[test]
fn the_end_of_a_long_text_is_not_read_and_a_long_query_is_refused() {
    let (_folder, model) = verified();
    let pool = RerankPool::start(model, &PoolOptions::default()).unwrap();
    let long = ["w7 ".repeat(11), "w7 ".repeat(40)];
    let found = pool.rerank_blocking("w5 w6", &long, soon()).unwrap();
    assert_eq!((found.scores[0], found.tokens), (found.scores[1], 32));
    let refusal = pool.rerank_blocking(&"w5 ".repeat(9), &long, soon()).unwrap_err();
    assert_eq!(refusal, PoolError::TooLong { tokens: 9, limit: 8 });
}

#[test]
fn a_model_of_another_task_is_refused() {
    let (_folder, model) = verified();
    let refusal = crate::pool::EmbedPool::start(model, &PoolOptions::default()).err().unwrap().to_string();
    assert!(refusal.contains("`rerank`") && refusal.contains("`embed`"), "{refusal}");
}
