//! The machine that a figure was measured on. Every row of a report carries it, so that a row taken out of its report still says so.

use cloister_models::fit::Machine as Memory;
use cloister_models::measure::Crew;
use serde::{Deserialize, Serialize};

/// What matters of a machine and of the program that ran on it. No name and no address is among it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as the system names it.
    pub processor: String,
    /// Cores that the program may use.
    pub cores: usize,
    /// Threads that computed.
    pub threads: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Instructions of generation and of embedding.
    pub instructions: String,
    /// Operating system and architecture.
    pub system: String,
    /// Version of the program.
    pub version: String,
    /// How it was compiled: `release`, or `development`, which is slower.
    pub build: String,
    /// Average number of programs that ran in the minute before; above 0 before a run begins means that others worked too.
    pub load: f64,
}

impl Machine {
    /// This machine, with so many threads (0: one per core).
    #[must_use]
    pub fn here(threads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (generation, embedding) = Crew::instructions();
        Self {
            processor: processor(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cores,
            threads: if threads == 0 { cores } else { threads },
            memory_bytes: Memory::here().total_bytes,
            instructions: format!("{generation} / {embedding}"),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: if cfg!(debug_assertions) { "development" } else { "release" }.to_owned(),
            load: load(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default()),
        }
    }

    /// The same machine as it is now: only its load differs.
    #[must_use]
    pub fn now(&self) -> Self {
        Self { load: load(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default()), ..self.clone() }
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{}, {} cores, {} threads, {:.0} GiB, {}, {}, version {} ({} build)",
            self.processor,
            self.cores,
            self.threads,
            self.memory_bytes as f64 / (1u64 << 30) as f64,
            self.instructions,
            self.system,
            self.version,
            self.build
        )
    }

    /// In what two machines differ, their loads aside.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = [
            ("processor", self.processor == other.processor),
            ("cores", self.cores == other.cores),
            ("threads", self.threads == other.threads),
            ("memory", self.memory_bytes == other.memory_bytes),
            ("instructions", self.instructions == other.instructions),
            ("system", self.system == other.system),
            ("build", self.build == other.build),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

fn processor(table: &str) -> String {
    let named = table.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    named.map_or("unknown processor", |(_, name)| name.trim()).to_owned()
}

fn load(table: &str) -> f64 {
    table.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_tables_are_read() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n"), "Some CPU @ 2 GHz");
        assert_eq!(processor(""), "unknown processor");
        assert_eq!((load("0.52 0.1 0.0 1/99 7\n"), load("")), (0.52, 0.0));
    }

    #[test]
    fn machines_differ_in_what_they_are_and_not_in_what_they_do() {
        let here = Machine::here(2);
        assert!(here.cores > 0 && here.memory_bytes > 0 && here.threads == 2, "{here:?}");
        assert!(here.differences(&Machine { load: 9.0, version: "other".to_owned(), ..here.clone() }).is_empty());
        let other = Machine { threads: 1, build: "x".to_owned(), ..here.clone() };
        assert_eq!(here.differences(&other), ["threads", "build"]);
    }
}
