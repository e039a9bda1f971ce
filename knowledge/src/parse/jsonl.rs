//! One JSON object a line: curated question-and-answer pairs, or documents.
//!
//! Such a file is taken whole or not at all. A curated answer that silently is not there is worse than a refused file
//! with the number of the line that is wrong.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::writer::{Writer, clean, one_line};
use super::{Format, Limits, LineFault, Pair, ParseError, Parsed, encoding};

/// Faults listed in an error; the rest are counted.
const FAULTS_SHOWN: usize = 20;

/// A line's object, its fields taken out one by one.
struct Line {
    number: usize,
    fields: Map<String, Value>,
}

pub(crate) fn pairs(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let mut writer = Writer::new(limits);
    let mut ids = HashSet::new();
    each_line(bytes, &mut writer, |line, writer| pair(line, &mut ids, writer))?;
    writer.finish(Format::Pairs)
}

pub(crate) fn documents(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let mut writer = Writer::new(limits);
    each_line(bytes, &mut writer, document)?;
    writer.finish(Format::Documents)
}

fn each_line(
    bytes: &[u8],
    writer: &mut Writer,
    mut take: impl FnMut(Line, &mut Writer) -> Result<(), String>,
) -> Result<(), ParseError> {
    let decoded = encoding::decode(bytes, None);
    writer.warnings.extend(decoded.warning);
    let (mut total, mut faults) = (0, Vec::new());
    for (index, text) in decoded.text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        if writer.is_full() {
            break;
        }
        let number = index + 1;
        let outcome = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => take(Line { number, fields }, writer),
            Ok(_) => Err("not a JSON object".to_owned()),
            Err(error) => Err(format!("not valid JSON at column {}", error.column())),
        };
        if let Err(why) = outcome {
            total += 1;
            if faults.len() < FAULTS_SHOWN {
                faults.push(LineFault { line: number, why });
            }
        }
    }
    if total > 0 { Err(ParseError::Lines { total, faults }) } else { Ok(()) }
}

fn pair(mut line: Line, ids: &mut HashSet<String>, writer: &mut Writer) -> Result<(), String> {
    let question = one_line(&line.text("question")?.ok_or("`question` is missing")?);
    let answer = clean(&line.text("answer")?.ok_or("`answer` is missing")?).trim().to_owned();
    if question.is_empty() || answer.is_empty() {
        return Err(format!("`{}` is empty", if question.is_empty() { "question" } else { "answer" }));
    }
    let id = line.text("id")?.map(|id| one_line(&id)).filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| format!("line-{}", line.number));
    let also = line.texts("also")?;
    let (topic, focus) = (line.text("topic")?, line.text("focus")?);
    let effective = match line.text("effective")? {
        None => None,
        Some(date) => Some(date.trim().parse::<Date>().map_err(|_| "`effective` is not a date such as 2026-01-31")?),
    };
    let topic = topic.or(focus).map(|topic| one_line(&topic)).filter(|topic| !topic.is_empty());
    let metadata = line.rest()?;
    if !ids.insert(id.clone()) {
        return Err("its `id` is that of an earlier line".into());
    }
    let Some((question_start, question_end)) = writer.heading(1, &question) else { return Ok(()) };
    let Some((answer_start, answer_end)) = writer.verbatim(&answer) else { return Ok(()) };
    let pair = Pair {
        id,
        question,
        also,
        answer,
        topic,
        effective,
        metadata,
        question_start,
        question_end,
        answer_start,
        answer_end,
    };
    writer.pair(pair);
    Ok(())
}

fn document(mut line: Line, writer: &mut Writer) -> Result<(), String> {
    let text = line.text("text")?.ok_or("`text` is missing")?;
    if text.trim().is_empty() {
        return Err("`text` is empty".into());
    }
    let (title, id) = (line.text("title")?, line.text("id")?);
    writer.heading(1, &title.or(id).unwrap_or_else(|| format!("line {}", line.number)));
    super::plain::write(&text, writer);
    Ok(())
}

impl Line {
    /// Takes out a text; a number counts as its digits, `null` as missing.
    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.fields.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(format!("`{key}` is not a text")),
        }
    }

    /// Takes out a list of texts; a single text is a list of one.
    fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        let values = match self.fields.remove(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(other) => vec![other],
        };
        let text = |value: Value| match value {
            Value::String(text) => Ok(one_line(&text)),
            _ => Err(format!("`{key}` holds something that is not a text")),
        };
        let texts: Vec<String> = values.into_iter().map(text).collect::<Result<_, _>>()?;
        Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// What is left: simple values by name, lists joined by commas.
    fn rest(&mut self) -> Result<BTreeMap<String, String>, String> {
        let simple = |value: &Value| match value {
            Value::String(text) => Some(one_line(text)),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        };
        let mut out = BTreeMap::new();
        for (key, value) in std::mem::take(&mut self.fields) {
            let text = match &value {
                Value::Null => continue,
                Value::Array(values) => {
                    values.iter().map(simple).collect::<Option<Vec<_>>>().map(|values| values.join(", "))
                }
                other => simple(other),
            };
            let text = text.ok_or_else(|| "a field holds an object: use texts, numbers or lists of them".to_owned())?;
            out.insert(key.to_lowercase(), text);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
