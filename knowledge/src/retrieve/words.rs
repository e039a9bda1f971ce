//! The words side: BM25 from FTS5, and how much of the question a passage covers.

use std::collections::{BTreeSet, HashMap};

use rusqlite::Connection;

use super::Place;
use crate::store::{Doing, StoreError};

/// Words that say nothing about what is asked. The usual English function words and contractions; negations are among
/// them because BM25 cannot tell what is negated.
const STOP: &str = "a about above after again against all also am an and any are as at be because been before being \
  below between both but by can cannot could did do does doing don down during each few for from further had has have \
  he he'd her here hers him his how i if in into is it its itself just may me might more most must my no nor not of \
  off on once only or other ought our ours out over own s same shall she should so some such t than that the their \
  theirs them themselves then there these they this those through to too under until up very was we were what when \
  where which while who whom why will with wont would you your yours yourself";

/// Words beyond these of one question are not looked up: a pasted page is no question.
const TERMS_MOST: usize = 64;

/// The content words of a question, each once, in their order. Where all are function words, all of them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Terms(Vec<String>);

impl Terms {
    pub(crate) fn of(question: &str) -> Self {
        let stop: BTreeSet<&str> = STOP.split_whitespace().collect();
        let mut seen = BTreeSet::new();
        let all: Vec<String> = question
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .filter(|word| seen.insert(word.clone()))
            .collect();
        let mut content: Vec<String> = all.iter().filter(|word| !stop.contains(word.as_str())).cloned().collect();
        if content.is_empty() {
            content = all;
        }
        content.truncate(TERMS_MOST);
        Self(content)
    }

    /// The words themselves.
    pub(crate) fn words(&self) -> &[String] {
        &self.0
    }

    /// As an FTS5 expression, every word a string of its own: nothing in it is an operator.
    fn expression(&self) -> String {
        self.0.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" OR ")
    }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}

/// BM25 of every passage that holds one of the words and that `find` lets through; higher is better.
pub(super) fn matches(
    connection: &Connection,
    collection: i64,
    terms: &Terms,
    find: &dyn Fn(i64) -> Option<Place>,
) -> Result<HashMap<Place, f32>, StoreError> {
    let mut matches = HashMap::new();
    if terms.0.is_empty() {
        return Ok(matches);
    }
    let table = format!("words_{collection}");
    let mut statement = connection
        .prepare_cached(&format!("SELECT rowid, bm25({table}, 1.0, 1.0, 1.0, 1.0) FROM {table} WHERE {table} MATCH ?1"))
        .doing("search words")?;
    let mut rows = statement.query([terms.expression()]).doing("search words")?;
    while let Some(row) = rows.next().doing("search words")? {
        if let Some(place) = find(row.get(0).doing("search words")?) {
            // FTS5 gives the negative, so that the best sort first.
            let bm25: f64 = row.get(1).doing("search words")?;
            #[expect(clippy::cast_possible_truncation, reason = "a score, needed to six digits")]
            matches.insert(place, (-bm25) as f32);
        }
    }
    Ok(matches)
}

/// What the collection knows of the question's words.
pub(super) struct WordHits {
    /// The share of the question, by rarity, in each passage that was asked about.
    pub(super) coverage: HashMap<Place, f32>,
    /// The share of it that occurs anywhere.
    pub(super) vocabulary: f32,
    /// The sum of the words' idf.
    pub(super) idf_sum: f32,
    /// How rare each word is, in the order of the terms: 1 for one that occurs nowhere, 0 for one that is everywhere.
    pub(super) rarity: Vec<f32>,
}

/// How much of the question the passages that `find` lets through cover. A word that occurs nowhere counts as the
/// rarest: it is missing evidence.
pub(super) fn coverage(
    connection: &Connection,
    collection: i64,
    terms: &Terms,
    passages: usize,
    find: &dyn Fn(i64) -> Option<Place>,
) -> Result<WordHits, StoreError> {
    let table = format!("words_{collection}");
    let mut statement =
        connection.prepare_cached(&format!("SELECT rowid FROM {table} WHERE {table} MATCH ?1")).doing("count words")?;
    let mut coverage: HashMap<Place, f32> = HashMap::new();
    let mut idf_sum = 0.0;
    let mut known = 0.0;
    let mut rarity = Vec::with_capacity(terms.0.len());
    let mut holders = Vec::new();
    for word in &terms.0 {
        holders.clear();
        let mut count = 0_usize;
        let mut rows = statement.query([quoted(word)]).doing("count words")?;
        while let Some(row) = rows.next().doing("count words")? {
            count += 1;
            holders.extend(find(row.get(0).doing("count words")?));
        }
        let idf = idf(passages.max(count), count);
        idf_sum += idf;
        rarity.push(idf / self::idf(passages.max(count), 0));
        known += if count > 0 { idf } else { 0.0 };
        for place in &holders {
            *coverage.entry(*place).or_default() += idf;
        }
    }
    let share = |part: f32| if idf_sum > 0.0 { part / idf_sum } else { 0.0 };
    coverage.values_mut().for_each(|part| *part = share(*part));
    Ok(WordHits { coverage, vocabulary: share(known), idf_sum, rarity })
}

/// The rarity of a word that `count` of `passages` hold, as BM25 weighs it, kept above zero.
#[expect(clippy::cast_precision_loss, reason = "counts, for a logarithm")]
fn idf(passages: usize, count: usize) -> f32 {
    let (passages, count) = (passages as f32, count as f32);
    (1.0 + (passages - count + 0.5) / (count + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_words_are_left_out_unless_there_is_nothing_else() {
        assert_eq!(
            Terms::of("How do I refill a Schedule II prescription?").0,
            ["refill", "schedule", "ii", "prescription"]
        );
        assert_eq!(Terms::of("What is it?").0, ["what", "is", "it"]);
    }

    #[test]
    fn no_question_is_an_operator_of_the_search_language() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE VIRTUAL TABLE words_1 USING fts5(a, b, c, d)").unwrap();
        connection.execute("INSERT INTO words_1 VALUES ('', '', '', 'near the end')", []).unwrap();
        for hostile in
            ["NEAR(\"", "a: b* ^c", "\" OR \"", "NOT", "end)", "{a b}: c", "", "\u{0}", "end -near + ( 'x' ; --"]
        {
            matches(&connection, 1, &Terms::of(hostile), &|_| Some((0, 0))).unwrap();
            coverage(&connection, 1, &Terms::of(hostile), 1, &|_| Some((0, 0))).unwrap();
        }
    }

    #[test]
    fn a_word_that_occurs_nowhere_lowers_the_coverage() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE VIRTUAL TABLE words_1 USING fts5(a, b, c, d)").unwrap();
        connection.execute("INSERT INTO words_1 VALUES ('', '', '', 'refill early')", []).unwrap();
        let found = coverage(&connection, 1, &Terms::of("refill submarine"), 1, &|_| Some((0, 0))).unwrap();
        assert!(found.vocabulary > 0.0 && found.vocabulary < 0.5, "{}", found.vocabulary);
        assert!((found.coverage[&(0, 0)] - found.vocabulary).abs() < 1e-6);
    }
}
