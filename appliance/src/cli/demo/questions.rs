//! The demo's three questions, asked over HTTPS like anybody's.

use std::{net::SocketAddr, time::Instant};

use anyhow::Context;
use serde::Deserialize;

use super::{ask, say, set_up};

#[derive(Deserialize)]
struct Question {
    question: String,
    expect: String,
}

/// Asks them and prints what came. True if each went the way the demo is there to show.
pub(super) async fn ask(site: &set_up::Site, address: SocketAddr, began: Instant) -> anyhow::Result<bool> {
    let key = std::fs::read_to_string(site.key("agent")).context("reading the demo agent's key")?;
    let server = ask::Target::local(address.port(), &site.authority, key.trim())?;
    let text = String::from_utf8(set_up::sample("demo.jsonl")?)?;
    let mut well = true;
    let mut first = true;
    for line in text.lines() {
        let question: Question = serde_json::from_str(line)?;
        let asked = Instant::now();
        let answer = server.ask(&question.question).await?;
        say(&format!("\nQ: {}\n{}", question.question, ask::shown(&answer)));
        say(&format!("   [{:.1} s]", asked.elapsed().as_secs_f32()));
        if first {
            say(&format!("   first cited answer {:.1} s after the start", began.elapsed().as_secs_f32()));
            first = false;
        }
        let cited = !answer.citations.is_empty();
        let declined = answer.abstained;
        let went_well = if question.expect == "abstain" { declined && !cited } else { cited && !declined };
        if !went_well || answer.lane != question.expect {
            say(&format!("   expected the lane {}, got {}", question.expect, answer.lane));
        }
        well &= went_well;
    }
    say("");
    Ok(well)
}
