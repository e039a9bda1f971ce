//! Which recent sequence a new prompt goes on from: the prefix cache's decisions, without any model.

/// What one slot of the model holds.
#[derive(Clone, Debug, Default)]
struct Slot {
    salt: u64,
    tokens: Vec<u32>,
    used: u64,
}

/// Where a prompt is computed and how much of it is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: usize,
    /// Tokens of the prompt that the slot holds already.
    pub(super) cached: usize,
    /// Copy the cached tokens from this slot first.
    pub(super) copy_from: Option<usize>,
}

/// The slots of a model. A prefix is shared only between requests of the same salt, so that nobody can learn from the
/// speed of an answer what another tenant has asked.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    clock: u64,
}

/// A prompt is computed in steps of this many tokens, and whole steps are what is shared: a prompt goes through the same steps
/// whether its beginning was there already or not, so the numbers are the same to the last bit. Small enough that a
/// cancelled request is noticed soon, large enough for the matrix products.
pub(super) const STEP: usize = 128;

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { slots: vec![Slot::default(); count.max(1)], clock: 0 }
    }

    /// Chooses the place for a prompt. At least its last token is left to compute, for its logits.
    pub(super) fn place(&mut self, salt: u64, prompt: &[u32]) -> Place {
        self.clock += 1;
        let limit = prompt.len().saturating_sub(1);
        let shared = |slot: &Slot| {
            if slot.salt != salt {
                return 0;
            }
            let same = slot.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count().min(limit);
            same / STEP * STEP
        };
        let best = self.slots.iter().enumerate().map(|(at, slot)| (shared(slot), slot.used, at)).max();
        let oldest = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used).map_or(0, |(at, _)| at);
        let (cached, _, from) = best.unwrap_or_default();
        let held = self.slots.get(from).map_or(0, |slot| slot.tokens.len());
        // A sequence that goes on stays in its slot; one that only begins alike leaves the other's rest alone.
        let place = if cached == 0 {
            Place { slot: oldest, cached: 0, copy_from: None }
        } else if cached * 2 >= held || from == oldest {
            Place { slot: from, cached, copy_from: None }
        } else {
            Place { slot: oldest, cached, copy_from: Some(from) }
        };
        if let Some(slot) = self.slots.get_mut(place.slot) {
            *slot = Slot { salt, tokens: prompt.get(..place.cached).unwrap_or_default().to_vec(), used: self.clock };
        }
        if let Some(slot) = place.copy_from.and_then(|from| self.slots.get_mut(from)) {
            slot.used = self.clock;
        }
        place
    }

    /// Records that a slot's prompt has grown. What is generated is not recorded: it was computed token by token, not in
    /// steps.
    pub(super) fn grew(&mut self, slot: usize, tokens: &[u32]) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.tokens.extend_from_slice(tokens);
        }
    }

    /// Forgets everything: what the model holds is not known.
    pub(super) fn reset(&mut self) {
        self.slots.iter_mut().for_each(|slot| *slot = Slot::default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hold(slots: &mut Slots, salt: u64, tokens: &[u32]) -> Place {
        let place = slots.place(salt, tokens);
        slots.grew(place.slot, &tokens[place.cached..]);
        place
    }

    fn prompt(steps: &[u32]) -> Vec<u32> {
        steps.iter().flat_map(|step| std::iter::repeat_n(*step, STEP)).chain([0]).collect()
    }

    #[test]
    fn a_conversation_that_goes_on_computes_only_what_is_new() {
        let mut slots = Slots::new(2);
        let first = hold(&mut slots, 1, &prompt(&[1, 2]));
        let next = hold(&mut slots, 1, &prompt(&[1, 2, 3]));
        assert_eq!(next, Place { slot: first.slot, cached: 2 * STEP, copy_from: None });
    }

    #[test]
    fn another_salt_shares_nothing() {
        let mut slots = Slots::new(2);
        hold(&mut slots, 1, &prompt(&[1, 2]));
        assert_eq!(hold(&mut slots, 2, &prompt(&[1, 2])).cached, 0);
    }

    #[test]
    fn a_common_beginning_is_copied_and_the_other_sequence_stays() {
        let mut slots = Slots::new(2);
        let first = hold(&mut slots, 1, &prompt(&[1, 2, 3, 4]));
        let second = hold(&mut slots, 1, &prompt(&[1, 9]));
        assert_eq!((second.cached, second.copy_from), (STEP, Some(first.slot)));
        assert_eq!(hold(&mut slots, 1, &prompt(&[1, 2, 3, 4])).cached, 4 * STEP);
    }

    #[test]
    fn the_last_token_of_a_prompt_is_always_computed() {
        let mut slots = Slots::new(1);
        let exact = vec![7; 2 * STEP];
        hold(&mut slots, 1, &exact);
        assert_eq!(hold(&mut slots, 1, &exact).cached, STEP);
        assert_eq!(hold(&mut slots, 1, &[9]).cached, 0);
    }

    proptest! {
        /// The slots are played against a plain list of what each holds: the cached part is always really there, in whole steps.
        #[test]
        fn what_is_called_cached_is_in_the_slot(
            prompts in prop::collection::vec((0u64..2, prop::collection::vec(0u32..2, 1..5), 0usize..40), 1..40), count in 1usize..4
        ) {
            let mut slots = Slots::new(count);
            let mut model: Vec<(u64, Vec<u32>)> = vec![(0, Vec::new()); count];
            for (salt, steps, cut) in prompts {
                let mut prompt = prompt(&steps);
                prompt.truncate(prompt.len() - cut);
                let place = slots.place(salt, &prompt);
                prop_assert!(place.cached < prompt.len() && place.cached.is_multiple_of(STEP));
                let source = place.copy_from.unwrap_or(place.slot);
                if place.cached > 0 {
                    prop_assert_eq!(model[source].0, salt);
                    prop_assert_eq!(&model[source].1[..place.cached], &prompt[..place.cached]);
                }
                model[place.slot] = (salt, prompt.clone());
                slots.grew(place.slot, &prompt[place.cached..]);
            }
        }
    }
}
