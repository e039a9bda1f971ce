use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::task::generate::StepTokens;
use crate::task::scripted::{Oracle, Written};

const BLOCK: usize = 32;

fn oracle(blocks: usize) -> Oracle {
    Oracle { written: Written::new(blocks), blocks }
}

/// Computes one step; returns what each sequence chose, proposals that were right included.
fn step(schedule: &mut Schedule, model: &mut Oracle, budget: usize) -> (Plan, Vec<(u64, u32)>) {
    let plan = schedule.plan(budget);
    let (work, pieces): (Vec<Work>, Vec<Piece<'_>>) =
        plan.work.iter().filter_map(|work| Some((*work, schedule.piece(work)?))).unzip();
    let mut logits = Vec::new();
    model.step(&pieces, &mut logits).unwrap();
    let mut rows = logits.chunks(300).map(|row| row.iter().position(|logit| *logit > 0.0).unwrap() as u32);
    let mut chosen = Vec::new();
    for work in work {
        let rows: Vec<u32> = rows.by_ref().take(work.logits).collect();
        let proposed = schedule.tokens(work.id).1.to_vec();
        assert_eq!(proposed.len(), work.proposed());
        let right = rows.iter().zip(&proposed).take_while(|(row, proposed)| row == proposed).count();
        schedule.done(&work, right);
        if let Some(token) = rows.get(right) {
            schedule.append(work.id, *token);
        }
        chosen.extend(rows.iter().take(right + 1).map(|token| (work.id, *token)));
    }
    (plan, chosen)
}

/// A step without a model: every next token is the same.
fn dry(schedule: &mut Schedule, budget: usize) -> Plan {
    let plan = schedule.plan(budget);
    let work: Vec<Work> = plan.work.iter().copied().filter(|work| schedule.piece(work).is_some()).collect();
    for work in &work {
        schedule.done(work, 0);
        if work.logits > 0 {
            schedule.append(work.id, 3);
        }
    }
    Plan { work, started: plan.started }
}

fn of(priority: Priority, tenant: u64) -> Standing {
    Standing { priority, tenant }
}

fn ids(plan: &Plan) -> Vec<u64> {
    plan.work.iter().map(|work| work.id).collect()
}

fn prompt(length: usize, seed: u32) -> Vec<u32> {
    (0..length as u32).map(|n| 2 + (n * 7 + seed) % 200).collect()
}

#[test]
fn running_sequences_go_on_while_a_long_prompt_is_taken_in_parts() {
    let (mut schedule, mut model) = (Schedule::new(32, BLOCK, 4), oracle(32));
    schedule.add(1, of(Priority::Interactive, 0), prompt(10, 0));
    step(&mut schedule, &mut model, 64);
    schedule.add(2, of(Priority::Interactive, 0), prompt(200, 1));
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
    schedule.add(1, of(Priority::Interactive, 0), prompt(100, 0));
    schedule.add(2, of(Priority::Interactive, 0), prompt(60, 1));
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
    schedule.add(1, of(Priority::Interactive, 0), prompts[0].clone());
    schedule.add(2, of(Priority::Interactive, 0), prompts[1].clone());
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
    schedule.add(1, of(Priority::Interactive, 9), prompt(40, 0));
    let mut all = prompt(40, 0);
    for _ in 0..60 {
        all.extend(step(&mut schedule, &mut model, 512).1.iter().map(|(_, token)| token));
    }
    schedule.remove(1);
    all.extend(prompt(20, 3));
    schedule.add(2, of(Priority::Interactive, 9), all);
    assert_eq!(step(&mut schedule, &mut model, 512).0.started, [(2, 96)]);
}

#[test]
fn a_more_urgent_sequence_takes_a_place_at_once_and_the_oldest_of_the_others_goes_on() {
    let mut schedule = Schedule::new(256, BLOCK, 4);
    (1..=6).for_each(|id| schedule.add(id, of(Priority::Batch, 0), prompt(20, id as u32)));
    dry(&mut schedule, 128);
    assert_eq!(ids(&dry(&mut schedule, 128)), [1, 2, 3, 4]);
    (7..=9).for_each(|id| schedule.add(id, of(Priority::Interactive, 0), prompt(20, id as u32)));
    assert_eq!(ids(&dry(&mut schedule, 128)), [7, 8, 9, 1]);
    schedule.remove(7);
    schedule.remove(8);
    // Those that gave way come back, the first that came first.
    assert_eq!(ids(&dry(&mut schedule, 128)), [9, 1, 2]);
}

#[test]
fn what_is_less_urgent_gets_an_eighth_of_a_step() {
    let mut schedule = Schedule::new(256, BLOCK, 4);
    schedule.add(1, of(Priority::Ingest, 0), prompt(900, 0));
    schedule.add(2, of(Priority::Batch, 0), prompt(900, 1));
    schedule.add(3, of(Priority::Interactive, 0), prompt(200, 2));
    let counts = |plan: Plan| plan.work.iter().map(|work| (work.id, work.count)).collect::<Vec<_>>();
    assert_eq!(counts(dry(&mut schedule, 128)), [(3, 112), (2, 14), (1, 2)]);
    assert_eq!(counts(dry(&mut schedule, 128)), [(3, 88), (2, 14), (1, 2)]);
    schedule.remove(3);
    assert_eq!(counts(dry(&mut schedule, 128)), [(2, 112), (1, 16)]);
}

#[test]
fn a_batch_is_done_in_bounded_time_however_many_questions_come() {
    let (most, answer) = (4, 30);
    let mut schedule = Schedule::new(24, BLOCK, most);
    let (mut next, mut said, mut begun) = (10, HashMap::new(), Vec::new());
    for steps in 0.. {
        // When all places are taken.
        if steps == 20 {
            schedule.add(1, of(Priority::Batch, 0), prompt(150, 0));
            schedule.add(2, of(Priority::Ingest, 0), prompt(150, 1));
        }
        assert!(steps < 2 * plan::PATIENCE + 1000, "stuck");
        while schedule.room(of(Priority::Interactive, 0)) > 0 {
            schedule.add(next, of(Priority::Interactive, 0), prompt(120, next as u32));
            next += 1;
        }
        let plan = dry(&mut schedule, 128);
        begun.extend(plan.started.iter().map(|(id, _)| *id).filter(|id| *id < 10));
        for work in plan.work.iter().filter(|work| work.logits > 0) {
            let said = said.entry(work.id).or_insert(0);
            *said += 1;
            if *said == answer {
                schedule.remove(work.id);
            }
        }
        assert!(steps != 100 || begun.is_empty(), "nothing was held up");
        if said.get(&1) == Some(&answer) && said.get(&2) == Some(&answer) {
            break;
        }
    }
    assert_eq!(begun, [1, 2]);
}

#[test]
fn tenants_that_always_have_something_waiting_are_served_alike() {
    let (most, budget, longest) = (8, 128, 400 + 2 * 90);
    let mut schedule = Schedule::new(400, BLOCK, most);
    let (mut next, mut wanted) = (1, HashMap::new());
    // Many short answers, few long ones, and long prompts.
    let shapes = [(1, 30, 10), (2, 100, 90), (3, 400, 4)];
    // The second and the third come when the first has all places.
    let (mut furthest, mut from) = (0, [0; 3]);
    for steps in 0..6000 {
        for (tenant, length, answer) in shapes {
            let standing = of(Priority::Interactive, tenant);
            while (tenant == 1 || steps >= 50) && schedule.room(standing) > 0 {
                schedule.add(next, standing, prompt(length, next as u32));
                wanted.insert(next, answer);
                next += 1;
            }
        }
        for work in dry(&mut schedule, budget).work.iter().filter(|work| work.logits > 0) {
            let left = wanted.get_mut(&work.id).unwrap();
            *left -= 1;
            if *left == 0 {
                schedule.remove(work.id);
            }
        }
        let served = [1, 2, 3].map(|tenant| schedule.served(of(Priority::Interactive, tenant)));
        if steps == 50 {
            from = served;
        }
        if steps >= 50 {
            let since: Vec<u64> = served.iter().zip(from).map(|(now, then)| now - then).collect();
            furthest = furthest.max(since.iter().max().unwrap() - since.iter().min().unwrap());
        }
    }
    let bound = plan::TURN as usize + longest + most * (2 * most + budget);
    assert!(furthest as usize <= bound, "{furthest} over {bound}");
    let least = [1, 2, 3].map(|tenant| schedule.served(of(Priority::Interactive, tenant)) - from[tenant as usize - 1]);
    assert!(least.iter().all(|served| *served > 30_000), "{least:?}");
}

#[test]
fn what_is_proposed_and_right_is_kept_and_the_rest_taken_back_with_its_block() {
    let (mut schedule, mut model) = (Schedule::new(8, BLOCK, 4), oracle(8));
    let mut all = prompt(29, 0);
    schedule.add(1, of(Priority::Interactive, 0), all.clone());
    all.extend(step(&mut schedule, &mut model, 64).1.iter().map(|(_, token)| token));
    let mut follows = all.clone();
    (0..5).for_each(|_| follows.push(Oracle::next(&follows)));
    // One right, then four wrong: the block that only those needed is free again.
    schedule.propose(1, &[follows[30], 299, 299, 299, 299]);
    let (plan, chosen) = step(&mut schedule, &mut model, 64);
    assert_eq!(plan.work, [Work { id: 1, position: 29, count: 6, logits: 6 }]);
    assert_eq!(chosen, [(1, follows[30]), (1, follows[31])]);
    assert_eq!(schedule.available(), 7);
    schedule.propose(1, &follows[32..35]);
    assert_eq!(step(&mut schedule, &mut model, 64).1.len(), 4);
    assert_eq!(schedule.tokens(1).0[..35], follows);
    assert_eq!(schedule.available(), 6);
}

#[test]
fn nobody_is_put_back_for_what_is_only_proposed() {
    let mut schedule = Schedule::new(3, BLOCK, 4);
    schedule.add(1, of(Priority::Interactive, 0), prompt(28, 0));
    schedule.add(2, of(Priority::Interactive, 0), prompt(31, 0));
    (0..3).for_each(|_| drop(dry(&mut schedule, 64)));
    assert_eq!(schedule.available(), 0);
    schedule.propose(1, &[3; 7]);
    // One more fits the block that it has.
    let work = dry(&mut schedule, 64).work;
    assert_eq!(work.iter().map(|work| (work.id, work.count)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
}

/// Runs of the test below; `CLOISTER_SCHEDULES` sets another number.
fn runs() -> ProptestConfig {
    let set = std::env::var("CLOISTER_SCHEDULES").ok().and_then(|runs| runs.parse().ok());
    ProptestConfig::with_cases(set.unwrap_or(200))
}

/// A request of the test below: tenant, class, length and seed of its prompt, tokens wanted, and the step after which its caller leaves or
/// its deadline passes.
type Asked = (u64, usize, usize, u32, usize, Option<usize>);

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let one = (0u64..3, 0usize..3, 1usize..180, 0u32..3, 1usize..60, prop::option::of(0usize..80));
    prop::collection::vec(one, 1..24)
}

/// The tokens of a plan count as it says: the next ones of the first class are free, all others are not, and those of less urgent classes are few.
fn within_budget(plan: &Plan, budget: usize, class: impl Fn(u64) -> Priority) -> bool {
    let first = plan.work.iter().map(|work| class(work.id)).min();
    let (mut spent, mut others) = (0, 0);
    for work in &plan.work {
        let urgent = Some(class(work.id)) == first;
        spent += if urgent && !work.is_prompt() { work.proposed() } else { work.count };
        others += if urgent { 0 } else { work.count };
    }
    let mut once = ids(plan);
    once.sort_unstable();
    once.dedup();
    spent <= budget.max(16) && others <= (budget / 8).max(2) && once.len() == plan.work.len()
}

proptest! {
    #![proptest_config(runs())]
    /// Requests of all classes that come, leave, are guessed at rightly and wrongly and are put back at random: every token is the one that its
    /// own sequence asks for, no step is over its budget, nobody is stuck, and at the end no block is missing.
    #[test]
    fn no_answer_is_crossed_no_request_stuck_and_no_block_lost(
        blocks in 8usize..24,
        asked in asked(),
        budgets in prop::collection::vec(1usize..200, 1..8),
        guesses in prop::collection::vec(0usize..9, 1..8),
    ) {
        let (mut schedule, mut model) = (Schedule::new(blocks, BLOCK, 6), oracle(blocks));
        let mut sequences: HashMap<u64, (Vec<u32>, Priority, usize, Option<usize>)> = HashMap::new();
        let mut coming = (0u64..).zip(asked).peekable();
        let mut steps = 0;
        loop {
            while let Some((id, (tenant, class, length, seed, wanted, leaves))) = coming.peek().copied() {
                let standing = of(Priority::ALL[class], tenant);
                if schedule.room(standing) == 0 {
                    break;
                }
                coming.next();
                schedule.add(id, standing, prompt(length, seed));
                let leaves = leaves.map(|after| steps + after);
                sequences.insert(id, (prompt(length, seed), standing.priority, wanted, leaves));
            }
            let left: Vec<u64> =
                sequences.iter().filter(|(_, (.., leaves))| *leaves == Some(steps)).map(|(id, _)| *id).collect();
            for id in left {
                schedule.remove(id);
                sequences.remove(&id);
            }
            if schedule.is_empty() && coming.peek().is_none() {
                break;
            }
            for id in schedule.ready() {
                let right = guesses[(steps + id as usize) % guesses.len()];
                let mut guess = sequences[&id].0.clone();
                let from = guess.len();
                (0..right).for_each(|_| guess.push(Oracle::next(&guess)));
                guess.extend([299].iter().take(right % 2));
                // The model's context is the bound.
                guess.truncate(250);
                schedule.propose(id, guess.get(from..).unwrap_or_default());
            }
            let budget = budgets[steps % budgets.len()];
            let (plan, chosen) = step(&mut schedule, &mut model, budget);
            prop_assert!(within_budget(&plan, budget, |id| sequences[&id].1), "{:?} of {}", plan, budget);
            prop_assert!(schedule.running.len() <= 6);
            for (id, token) in chosen {
                // What was guessed beyond the end of an answer is not looked at.
                let Some((sequence, _, wanted, _)) = sequences.get_mut(&id) else { continue };
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
        prop_assert_eq!(schedule.room(of(Priority::Ingest, 0)), 6);
    }
}
