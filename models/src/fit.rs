//! Whether a machine can carry a model.

use crate::manifest::{Manifest, Task};

/// What matters of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory that can be had without pushing others out.
    pub available_bytes: u64,
    /// Memory in all.
    pub total_bytes: u64,
}

impl Machine {
    /// This machine, limits of the process's control group included. Where the system does not say, nothing is free.
    #[must_use]
    pub fn here() -> Self {
        let Ok(mut system) = sysinfo::System::new() else {
            return Self { available_bytes: 0, total_bytes: 0 };
        };
        system.refresh_memory();
        let (mut available, mut total) = (system.available_memory(), system.total_memory());
        if let Some(limits) = system.cgroup_limits() {
            available = available.min(limits.free_memory);
            total = total.min(limits.total_memory);
        }
        Self { available_bytes: available, total_bytes: total }
    }
}

/// What a model is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Memory for weights, state and scratch.
    pub bytes: u64,
}

/// A machine is too small for a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "model `{name}` needs about {} MiB of memory, {} MiB are free; stop other models, choose a smaller one or a shorter context",
    needed >> 20,
    available >> 20
)]
pub struct FitError {
    /// Name of the model.
    pub name: String,
    /// Bytes it is expected to take.
    pub needed: u64,
    /// Bytes that are free.
    pub available: u64,
}

/// Estimates from the manifest alone, before anything is read: weights as they lie on disk, an eighth more for what is
/// repacked, and room for the state of sequences. An estimate for choosing, not a promise.
///
/// # Errors
/// [`FitError`] where the machine has less memory available.
pub fn fits(manifest: &Manifest, machine: &Machine) -> Result<Estimate, FitError> {
    const MIB: u64 = 1 << 20;
    let weights = manifest.weight_bytes();
    let scratch = match manifest.task {
        Task::Embed => 128 * MIB,
        // Keys and values of a few sequences grow with the model.
        Task::Generate => 256 * MIB + weights / 4,
    };
    let bytes = weights.saturating_add(weights / 8).saturating_add(scratch);
    if bytes > machine.available_bytes {
        return Err(FitError { name: manifest.name.clone(), needed: bytes, available: machine.available_bytes });
    }
    Ok(Estimate { bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_room_is_refused_in_words() {
        let manifest = crate::catalogue::find("smollm2-135m-instruct").unwrap().manifest();
        let small = Machine { available_bytes: 64 << 20, total_bytes: 128 << 20 };
        let refusal = fits(&manifest, &small).unwrap_err().to_string();
        assert!(refusal.contains("smollm2-135m-instruct") && refusal.contains("64 MiB are free"), "{refusal}");
        let large = Machine { available_bytes: 8 << 30, total_bytes: 16 << 30 };
        assert!(fits(&manifest, &large).unwrap().bytes > manifest.weight_bytes());
    }

    #[test]
    fn this_machine_has_memory() {
        let here = Machine::here();
        assert!(here.available_bytes > 0 && here.total_bytes >= here.available_bytes, "{here:?}");
    }
}
