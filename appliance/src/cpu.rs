//! The processor that this build needs, checked before anything else runs.
//!
//! # Why
//! x86-64 builds use the level x86-64-v3 (AVX2, FMA, F16C, BMI: the AMD64 psABI's third level, servers since about
//! 2015). On an older processor the program would die of an illegal instruction somewhere in the middle of its work;
//! this says so in words instead. The check asks the processor itself, since the standard library's detection macro
//! answers from the build's own assumptions.

/// What this processor lacks of the build's level, by the names that `/proc/cpuinfo` uses. Empty where it lacks nothing.
pub fn lacking() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    return x86::lacking(x86::present());
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

/// The refusal, if the processor is too old.
pub fn refusal() -> Option<String> {
    let lacking = lacking();
    (!lacking.is_empty()).then(|| {
        format!(
            "this processor lacks {}; this build needs the level x86-64-v3 (Intel Haswell, AMD Excavator or later): \
             run it on a newer machine, or build it on this one with RUSTFLAGS=\"-C target-cpu=native\"",
            lacking.join(", ")
        )
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use raw_cpuid::CpuId;

    /// The features of x86-64-v3 beyond v2, in the psABI's order, and whether the processor has each.
    pub(super) type Features = [(&'static str, bool); 8];

    pub(super) fn present() -> Features {
        let cpu = CpuId::new();
        let basic = cpu.get_feature_info();
        let extended = cpu.get_extended_feature_info();
        let identifiers = cpu.get_extended_processor_and_feature_identifiers();
        let of_basic = |has: fn(&raw_cpuid::FeatureInfo) -> bool| basic.as_ref().is_some_and(has);
        let of_extended = |has: fn(&raw_cpuid::ExtendedFeatures) -> bool| extended.as_ref().is_some_and(has);
        [
            ("avx", of_basic(|f| f.has_avx() && f.has_oxsave())),
            ("avx2", of_extended(raw_cpuid::ExtendedFeatures::has_avx2)),
            ("bmi1", of_extended(raw_cpuid::ExtendedFeatures::has_bmi1)),
            ("bmi2", of_extended(raw_cpuid::ExtendedFeatures::has_bmi2)),
            ("f16c", of_basic(raw_cpuid::FeatureInfo::has_f16c)),
            ("fma", of_basic(raw_cpuid::FeatureInfo::has_fma)),
            ("abm", identifiers.as_ref().is_some_and(raw_cpuid::ExtendedProcessorFeatureIdentifiers::has_lzcnt)),
            ("movbe", of_basic(raw_cpuid::FeatureInfo::has_movbe)),
        ]
    }

    pub(super) fn lacking(features: Features) -> Vec<&'static str> {
        features.into_iter().filter(|(_, has)| !has).map(|(name, _)| name).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_machine_that_runs_this_test_lacks_nothing() {
            assert_eq!(lacking(present()), Vec::<&str>::new());
        }

        #[test]
        fn an_older_processor_is_told_what_it_lacks() {
            let mut features = present();
            features[1].1 = false;
            features[5].1 = false;
            assert_eq!(lacking(features), ["avx2", "fma"]);
        }
    }
}
