//! Whether this processor has what the program was compiled for: x86-64-v3.
//!
//! The compiler takes the baseline for granted and folds `is_x86_feature_detected!` to `true`, so the processor itself is
//! asked, through `cpuid`. Call [`check`] before anything else.

use std::collections::BTreeSet;

/// What x86-64-v3 asks for beyond what every 64-bit processor has (System V ABI for x86-64, section "micro-architecture
/// levels"), by the names that `/proc/cpuinfo` gives them.
pub const NEEDED: [&str; 15] = [
    "cx16", "lahf_lm", "popcnt", "ssse3", "sse3", "sse4_1", "sse4_2", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma",
    "abm", "movbe",
];

/// The processor lacks instructions that the program is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this processor lacks {}: Cloister needs x86-64-v3, which Intel has had since Haswell (2013) and AMD since Excavator (2015); in a virtual machine, pass the host's processor through",
    missing.join(", ")
)]
pub struct Unsuitable {
    /// What it lacks.
    pub missing: Vec<&'static str>,
}

/// Refuses a processor below x86-64-v3. Other architectures have no such check.
pub fn check() -> Result<(), Unsuitable> {
    if cfg!(target_arch = "x86_64") { suitable(&features()) } else { Ok(()) }
}

/// Refuses a processor whose features, as [`NEEDED`] names them, do not include all of those.
pub fn suitable(features: &BTreeSet<&'static str>) -> Result<(), Unsuitable> {
    let missing: Vec<_> = NEEDED.into_iter().filter(|needed| !features.contains(needed)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Unsuitable { missing }) }
}

#[cfg(target_arch = "x86_64")]
fn features() -> BTreeSet<&'static str> {
    let cpu = raw_cpuid::CpuId::new();
    let mut found = BTreeSet::new();
    let mut add = |name: &'static str, has: bool| {
        if has {
            found.insert(name);
        }
    };
    if let Some(basic) = cpu.get_feature_info() {
        // Without OSXSAVE the operating system does not save the wide registers, so that AVX is there and unusable.
        let wide = basic.has_oxsave();
        add("cx16", basic.has_cmpxchg16b());
        add("popcnt", basic.has_popcnt());
        add("sse3", basic.has_sse3());
        add("ssse3", basic.has_ssse3());
        add("sse4_1", basic.has_sse41());
        add("sse4_2", basic.has_sse42());
        add("movbe", basic.has_movbe());
        add("avx", wide && basic.has_avx());
        add("f16c", wide && basic.has_f16c());
        add("fma", wide && basic.has_fma());
    }
    if let Some(extended) = cpu.get_extended_feature_info() {
        add("avx2", extended.has_avx2());
        add("bmi1", extended.has_bmi1());
        add("bmi2", extended.has_bmi2());
    }
    if let Some(identifiers) = cpu.get_extended_processor_and_feature_identifiers() {
        add("lahf_lm", identifiers.has_lahf_sahf());
        add("abm", identifiers.has_lzcnt());
    }
    found
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> BTreeSet<&'static str> {
    BTreeSet::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_lacks_something_is_refused_by_name() {
        let mut features = BTreeSet::from(NEEDED);
        assert_eq!(suitable(&features), Ok(()));
        features.remove("avx2");
        features.remove("fma");
        let refusal = suitable(&features).unwrap_err();
        assert_eq!(refusal.missing, ["avx2", "fma"]);
        assert!(refusal.to_string().starts_with("this processor lacks avx2, fma: Cloister needs x86-64-v3"));
    }

    #[test]
    fn this_processor_is_judged_as_the_kernel_does() {
        let Ok(cpuinfo) = std::fs::read_to_string("/proc/cpuinfo") else { return };
        let Some(flags) = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")) else { return };
        let kernel: BTreeSet<&str> = flags.split_whitespace().collect();
        // The kernel calls SSE3 by its old name.
        let missing =
            NEEDED.iter().filter(|name| !kernel.contains(if **name == "sse3" { "pni" } else { name })).count();
        assert_eq!(check().is_ok(), missing == 0);
    }
}
