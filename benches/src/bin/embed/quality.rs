//! What 8 bits cost: vectors and rankings beside those of floats.

use std::collections::HashMap;
use std::path::Path;

use cloister_benches::field;
use cloister_models::{EmbedPool, Precision};

use super::options::{Options, embed};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Prints the cosine of the vectors of both precisions: on average, and the least ones.
pub(crate) fn nearness(options: &Options, file: &Path, name: &str) -> Outcome<()> {
    let all: Vec<String> = std::fs::read_to_string(file)?.lines().filter_map(|line| field(line, name)).collect();
    // Evenly over the file, so that no one kind of text is all there is.
    let step = (all.len() / options.most.max(1)).max(1);
    let texts: Vec<String> = all.into_iter().step_by(step).take(options.most).collect();
    let (fast, exact) = (options.pool(Precision::Int8)?, options.pool(Precision::Float32)?);
    let mut cosines = Vec::with_capacity(texts.len());
    for texts in texts.chunks(256) {
        let (fast, exact) = (embed(&fast, texts)?, embed(&exact, texts)?);
        cosines.extend(fast.iter().zip(&exact).map(|(fast, exact)| dot(fast, exact)));
    }
    say(cosines);
    Ok(())
}

fn say(mut cosines: Vec<f32>) {
    cosines.sort_by(f32::total_cmp);
    let mean = cosines.iter().sum::<f32>() / cosines.len().max(1) as f32;
    println!("{} texts: cosine {mean:.5} on average, least {:?}", cosines.len(), cosines.get(..3).unwrap_or(&cosines));
}

/// Prints the normalised discounted cumulative gain at 10 of an exact search in both precisions, and how near the vectors of
/// the documents are to each other.
pub(crate) fn retrieval(options: &Options, folder: &Path) -> Outcome<()> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let whole = |line: &str| Some((field(line, "id")?, format!("{}. {}", field(line, "title")?, field(line, "text")?)));
    let documents: Vec<(String, String)> = read("docs.jsonl")?.lines().filter_map(whole).collect();
    let query = |line: &str| Some((field(line, "id")?, field(line, "query")?));
    let queries: Vec<(String, String)> = read("queries_dev.jsonl")?.lines().filter_map(query).collect();
    let mut wanted: HashMap<String, Vec<String>> = HashMap::new();
    for line in read("qrels_dev.jsonl")?.lines() {
        if let (Some(query), Some(document)) = (field(line, "query_id"), field(line, "doc_id")) {
            wanted.entry(query).or_default().push(document);
        }
    }
    let mut both = Vec::new();
    for precision in [Precision::Int8, Precision::Float32] {
        let pool = options.pool(precision)?;
        let (documents, queries) = (embed_all(&pool, &documents)?, embed_all(&pool, &queries)?);
        let gains: Vec<f64> =
            queries.iter().filter_map(|(id, vector)| Some(gain(&rank(&documents, vector), wanted.get(*id)?))).collect();
        let mean = gains.iter().sum::<f64>() / gains.len().max(1) as f64;
        println!("{precision:?}: nDCG@10 {mean:.4} over {} queries, {} documents", gains.len(), documents.len());
        both.push(documents.into_iter().map(|(_, vector)| vector).collect::<Vec<_>>());
    }
    if let [fast, exact] = both.as_slice() {
        say(fast.iter().zip(exact).map(|(fast, exact)| dot(fast, exact)).collect());
    }
    Ok(())
}

fn embed_all<'a>(pool: &EmbedPool, texts: &'a [(String, String)]) -> Outcome<Vec<(&'a str, Vec<f32>)>> {
    let mut all = Vec::with_capacity(texts.len());
    for texts in texts.chunks(256) {
        let vectors = embed(pool, &texts.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>())?;
        all.extend(texts.iter().map(|(id, _)| id.as_str()).zip(vectors));
    }
    Ok(all)
}

/// The nearest ten.
fn rank<'a>(documents: &[(&'a str, Vec<f32>)], query: &[f32]) -> Vec<&'a str> {
    let mut scored: Vec<(f32, &str)> = documents.iter().map(|(id, vector)| (dot(vector, query), *id)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(10).map(|(_, id)| id).collect()
}

fn gain(ranked: &[&str], wanted: &[String]) -> f64 {
    let discount = |at: usize| 1.0 / (at as f64 + 2.0).log2();
    let found = ranked.iter().enumerate().filter(|(_, id)| wanted.iter().any(|wanted| wanted == *id));
    let ideal: f64 = (0..wanted.len().min(10)).map(discount).sum();
    found.map(|(at, _)| discount(at)).sum::<f64>() / ideal.max(f64::MIN_POSITIVE)
}
