//! The walls around a parser: limits on what it may use, no files, and only the system calls that computing needs.
//!
//! Limits and the system-call filter are required: where they cannot be set, nothing is parsed. Landlock needs a newer
//! kernel than some hospitals run, and opening files is forbidden by the filter too; its absence is reported.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetStatus};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::parse::Limits;

/// Files that may be open: standard input, output, error, and a few that the runtime keeps.
const OPEN_FILES: u64 = 16;

/// What is set for the process before its working thread starts. Says whether Landlock holds.
pub(super) fn before_threads(limits: &Limits) -> Result<bool, String> {
    let cpu = limits.seconds.max(1);
    // Where `core_pattern` is a pipe, the kernel takes no notice of the limit below (core(5)), but of this.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("core dumps cannot be forbidden: {error}"))?;
    // The program and its libraries are mapped already, and are no doing of the document's; those of a graphics processor alone are
    // larger than the limit.
    let memory = limits.memory_bytes.saturating_add(mapped()?);
    let all = [
        ("memory", Resource::As, memory, memory),
        // The soft limit ends the process with a signal of its own; the hard one is the kernel's last word.
        ("processor time", Resource::Cpu, cpu, cpu + 1),
        ("file size", Resource::Fsize, 0, 0),
        ("open files", Resource::Nofile, OPEN_FILES, OPEN_FILES),
        ("core dumps", Resource::Core, 0, 0),
    ];
    for (name, resource, soft, hard) in all {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
            .map_err(|error| format!("the limit on {name} cannot be set: {error}"))?;
    }
    Ok(no_files())
}

/// Bytes of address space that the process has (`VmSize` of proc_pid_status(5), in kibibytes).
fn mapped() -> Result<u64, String> {
    let unknown = |why: String| format!("what the program itself takes cannot be told: {why}");
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| unknown(error.to_string()))?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let size = size.and_then(|size| size.parse::<u64>().ok());
    size.map(|size| size.saturating_mul(1024)).ok_or_else(|| unknown("/proc/self/status has no VmSize".to_owned()))
}

/// Forbids the whole file system; `false` where the kernel has no Landlock.
fn no_files() -> bool {
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V5)).and_then(Ruleset::create);
    let status = ruleset.ok().and_then(|ruleset| ruleset.restrict_self().ok());
    status.is_some_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

/// Forbids all system calls but those that computing needs, for every thread, until the process ends.
pub(super) fn for_good() -> Result<(), String> {
    // No process and no thread after this one. For root the kernel does not count, so the filter forbids it as well.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Nproc, none).map_err(|error| format!("the limit on processes cannot be set: {error}"))?;
    // The narrow filter last: it forbids setting another.
    for filter in [deadly(), allowed()] {
        let program = filter.map_err(|error| format!("the system-call filter cannot be built: {error}"))?;
        seccompiler::apply_filter_all_threads(&program).map_err(|error| {
            format!("the system-call filter cannot be set: {error}; a kernel with seccomp is needed")
        })?;
    }
    Ok(())
}

type Built = Result<BpfProgram, seccompiler::BackendError>;

/// Everything else fails with "not permitted", which the runtime survives where it only tries.
fn allowed() -> Built {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in [
        libc::SYS_close,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_membarrier,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ] {
        rules.insert(call, Vec::new());
    }
    let is =
        |argument: u8, value: u64| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let masked = |argument: u8, mask: u64, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
    };
    // Read the request, write the answer and a last word: no descriptor that may have been left open.
    for call in [libc::SYS_read, libc::SYS_readv] {
        rules.insert(call, vec![SeccompRule::new(vec![is(0, 0)?])?]);
    }
    for call in [libc::SYS_write, libc::SYS_writev] {
        rules.insert(call, vec![SeccompRule::new(vec![is(0, 1)?])?, SeccompRule::new(vec![is(0, 2)?])?]);
    }
    // Memory that can be executed is never needed, and is what an exploit needs first.
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![masked(2, executable, 0)?])?]);
    }
    // Aborting is sending a signal to oneself.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, own)?])?]);
    compiled(rules, SeccompAction::Errno(libc::EPERM.unsigned_abs()), SeccompAction::Allow)
}

/// What no parser does even by mistake ends the process at once.
fn deadly() -> Built {
    let calls = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_memfd_create,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_init_module,
        libc::SYS_keyctl,
    ];
    let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    compiled(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

fn compiled(rules: BTreeMap<i64, Vec<SeccompRule>>, otherwise: SeccompAction, matched: SeccompAction) -> Built {
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()
}
