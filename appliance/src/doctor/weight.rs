//! Whether this machine's memory carries the models.

use cloister_models::fit::{Bytes, Estimate, Machine};

use super::Finding;

const MEND: &str = "choose smaller models in [models] (`cloister plan` says what this machine carries), or give the machine more memory";

/// Holds what the models need together against the machine. Memory that is not free now may be the running server's own, which
/// holds the same models: so that alone is no fault.
pub fn weigh(estimates: &[Estimate], machine: &Machine) -> Finding {
    let needed = estimates.iter().map(Estimate::bytes).fold(0, u64::saturating_add);
    let each: Vec<String> =
        estimates.iter().map(|estimate| format!("{} {}", estimate.name, Bytes(estimate.bytes()))).collect();
    let found = format!(
        "the models need {} ({}); {} of this machine's {} are free",
        Bytes(needed),
        each.join(", "),
        Bytes(machine.available_bytes),
        Bytes(machine.total_bytes)
    );
    if needed > machine.total_bytes {
        Finding::bad("model_memory", found, MEND)
    } else if needed > machine.available_bytes {
        let mend = "nothing if the server runs and holds them already; else end other programs, or choose smaller models in [models]";
        Finding::warning("model_memory", found, mend)
    } else {
        Finding::good("model_memory", found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn models_that_memory_cannot_carry_are_told_with_both_figures() {
        let estimate = |name: &str, gib: u64| Estimate {
            name: name.to_owned(),
            weights: gib << 30,
            widened: 0,
            state: 0,
            scratch: 0,
        };
        let models = [estimate("embedder", 1), estimate("writer", 40)];
        let machine =
            |available: u64, total: u64| Machine { available_bytes: available << 30, total_bytes: total << 30 };
        for (available, total, state) in
            [(22, 32, State::Bad), (22, 64, State::Warning), (41, 64, State::Good), (40, 41, State::Warning)]
        {
            let finding = weigh(&models, &machine(available, total));
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(
                finding.found.starts_with("the models need 41.0 GiB (embedder 1.0 GiB, writer 40.0 GiB)"),
                "{finding:?}"
            );
            assert!(
                finding.found.contains(&format!("{available}.0 GiB of this machine's {total}.0 GiB")),
                "{finding:?}"
            );
        }
    }
}
