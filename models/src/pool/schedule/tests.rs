use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::task::generate::StepTokens;
use crate::task::scripted::{Oracle, Written};

const BLOCK: usize = 32;

fn oracle(blocks: usize) -> Oracle {
    Oracle { written: Written::new(blocks), blocks }
}

/// Computes one step; returns what each sequence chose.
fn step(schedule: &mut Schedule, model: &mut Oracle, budget: usize) -> (Plan, Vec<(u64, u32)>) {
    let plan = schedule.plan(budget);
    let (work, pieces): (Vec<Work>, Vec<Piece<'_>>) =
        plan.work.iter().filter_map(|work| Some((*work, schedule.piece(work)?))).unzip();
    let mut logits = Vec::new();
    model.step(&pieces, &mut logits).unwrap();
    let mut rows = logits.chunks(300);
    let mut chosen = Vec::new();
    for work in work {
        schedule.done(&work);
        if work.last {
            let token = rows.next().unwrap().iter().position(|logit| *logit > 0.0).unwrap() as u32;
            schedule.append(work.id, token);
            chosen.push((work.id, token));
        }
    }
    (plan, chosen)
}

fn prompt(length: usize, seed: u32) -> Vec<u32> {
    (0..length as u32).map(|n| 2 + (n * 7 + seed) % 200).collect()
}

#[test]
fn running_sequences_go_on_while_a_long_prompt_is_taken_in_parts() {
    let (mut schedule, mut model) = (Schedule::new(32, BLOCK, 4), oracle(32));
    schedule.add(1, 0, prompt(10, 0));
    step(&mut schedule, &mut model, 64);
    schedule.add(2, 0, prompt(200, 1));
    for part in 0..4 {
        let (plan, chosen) = step(&mut schedule, &mut model, 64);
        let counts: Vec<(u64, usize)> = plan.work.iter().map(|work| (work.id, work.count)).collect();
        assert_eq!(counts, [(1, 1), (2, if part < 3 { 64 } else { 8 })]);
        assert_eq!(chosen.len(), if part < 3 { 1 } else { 2 });
    }
}

#[test]
fn ending_a_sequence_frees_its_blocks_at_once() {
    let (mut schedule, mut model) = (Schedule::new(8, BLOCK, 4), oracle(8));
    schedule.add(1, 0, prompt(100, 0));
    schedule.add(2, 0, prompt(60, 1));
    step(&mut schedule, &mut model, 40);
    assert!(schedule.available() < 8);
    schedule.remove(1);
    schedule.remove(2);
    assert_eq!(schedule.available(), 8);
    assert!(schedule.is_empty());
}

#[test]
fn without_room_the_youngest_is_put_back_and_finishes_later() {
    let (mut schedule, mut model) = (Schedule::new(4, BLOCK, 4), oracle(4));
    let prompts = [prompt(31, 0), prompt(31, 5)];
    schedule.add(1, 0, prompts[0].clone());
    schedule.add(2, 0, prompts[1].clone());
    let mut said: HashMap<u64, Vec<u32>> = HashMap::new();
    let mut put_back = false;
    for _ in 0..400 {
        let (plan, chosen) = step(&mut schedule, &mut model, 512);
        put_back |= plan.work.len() == 1 && said.len() == 2 && said.values().all(|said| said.len() < 70);
        for (id, token) in chosen {
            let said = said.entry(id).or_default();
            said.push(token);
            if said.len() == 70 {
                schedule.remove(id);
            }
        }
    }
    assert!(put_back && schedule.is_empty());
    for (id, prompt) in [(1, &prompts[0]), (2, &prompts[1])] {
        let mut sequence = prompt.clone();
        for token in &said[&id] {
            assert_eq!(*token, Oracle::next(&sequence));
            sequence.push(*token);
        }
        assert_eq!(said[&id].len(), 70);
    }
}

#[test]
fn a_conversation_that_goes_on_finds_prompt_and_answer() {
    let (mut schedule, mut model) = (Schedule::new(16, BLOCK, 4), oracle(16));
    schedule.add(1, 9, prompt(40, 0));
    let mut all = prompt(40, 0);
    for _ in 0..60 {
        all.extend(step(&mut schedule, &mut model, 512).1.iter().map(|(_, token)| token));
    }
    schedule.remove(1);
    all.extend(prompt(20, 3));
    schedule.add(2, 9, all);
    assert_eq!(step(&mut schedule, &mut model, 512).0.started, [(2, 96)]);
}

/// Runs of the test below; `CLOISTER_SCHEDULES` sets another number.
fn runs() -> ProptestConfig {
    let set = std::env::var("CLOISTER_SCHEDULES").ok().and_then(|runs| runs.parse().ok());
    ProptestConfig::with_cases(set.unwrap_or(200))
}

proptest! {
    #![proptest_config(runs())]
    /// Requests that come, leave and are put back at random: every token is the one that its own sequence asks for, nobody is stuck,
    /// and at the end no block is missing.
    #[test]
    fn no_answer_is_crossed_no_request_stuck_and_no_block_lost(
        blocks in 8usize..24,
        asked in prop::collection::vec((0u64..3, 1usize..180, 0u32..3, 1usize..60, prop::option::of(0usize..80)), 1..24),
        budgets in prop::collection::vec(1usize..200, 1..8),
    ) {
        let (mut schedule, mut model) = (Schedule::new(blocks, BLOCK, 6), oracle(blocks));
        let mut sequences: HashMap<u64, (Vec<u32>, usize, Option<usize>)> = HashMap::new();
        let mut coming = (0u64..).zip(asked);
        let mut steps = 0;
        loop {
            while schedule.room() > 0 {
                let Some((id, (salt, length, seed, wanted, leaves))) = coming.next() else { break };
                schedule.add(id, salt, prompt(length, seed));
                sequences.insert(id, (prompt(length, seed), wanted, leaves.map(|after| steps + after)));
            }
            let left: Vec<u64> = sequences.iter().filter(|(_, (_, _, leaves))| *leaves == Some(steps)).map(|(id, _)| *id).collect();
            for id in left {
                schedule.remove(id);
                sequences.remove(&id);
            }
            if schedule.is_empty() {
                break;
            }
            let (_, chosen) = step(&mut schedule, &mut model, budgets[steps % budgets.len()]);
            for (id, token) in chosen {
                let (sequence, wanted, _) = sequences.get_mut(&id).unwrap();
                prop_assert_eq!(token, Oracle::next(sequence));
                sequence.push(token);
                *wanted -= 1;
                if *wanted == 0 {
                    schedule.remove(id);
                    sequences.remove(&id);
                }
            }
            steps += 1;
            prop_assert!(steps < 20_000, "stuck");
        }
        prop_assert!(sequences.is_empty());
        prop_assert_eq!(schedule.available(), blocks);
    }
}
