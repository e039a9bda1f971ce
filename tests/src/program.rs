//! The program under test: a site that the demo has set up, and a server on it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Whether tests that need Node, root or package downloads are to run; where not, they say so by name.
///
/// ```
/// if !cloister_tests::everything("a test that needs Node") { return; }
/// ```
#[expect(clippy::print_stderr, reason = "a skipped test names itself to whoever runs the suite")]
pub fn everything(test: &str) -> bool {
    let wanted = std::env::var("CLOISTER_TESTS").is_ok_and(|value| value == "all");
    if !wanted {
        eprintln!("SKIPPED {test}: set CLOISTER_TESTS=all to run it");
    }
    wanted
}

/// The program's file, and how to run it.
#[derive(Debug, Clone)]
pub struct Program(PathBuf);

impl Program {
    /// The program at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// A command that runs the program and ends with this test.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env("CLOISTER_TEST_LEASH", "1").stdin(Stdio::piped());
        command
    }

    /// The same by a shell, which runs `script` first. The process is the program's in the end.
    pub fn command_after(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{script}; exec \"$0\" \"$@\"")).arg(&self.0);
        command.env("CLOISTER_TEST_LEASH", "1").stdin(Stdio::piped());
        command
    }

    /// Runs the program to its end. The pipe is held open until then.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[expect(clippy::expect_used, reason = "a test that cannot start the program has failed")]
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let leash = child.stdin.take();
        let output = child.wait_with_output().expect("the program ends");
        drop(leash);
        output
    }

    /// A site as the demo sets it up: keys, certificates, models, a tenant with the sample collections, accounts.
    ///
    /// # Panics
    /// If the set-up fails; its output is in the message.
    #[expect(clippy::expect_used, clippy::panic, reason = "a test without a site has failed")]
    pub fn site(&self) -> Site {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shown = folder.path().display().to_string();
        let output = self.run(["demo", "--dir", shown.as_str(), "--set-up-only"]);
        if !output.status.success() {
            panic!(
                "the demo set-up failed: {}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Site { program: self.clone(), folder }
    }

    /// Starts a server on a configuration whose data is in `data`, and waits until it says that it is ready.
    ///
    /// # Panics
    /// If the server does not start; its log is in the message.
    pub fn serve(&self, config: &Path, data: &Path) -> Server {
        self.launch(config, data, &[], &[])
    }

    fn launch(&self, config: &Path, data: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> Server {
        let mut command = self.command();
        command.arg("serve").args(arguments).envs(environment.iter().copied());
        Self::started(command, config, data)
    }

    #[expect(clippy::expect_used, clippy::panic, reason = "a test without a server has failed")]
    fn started(mut command: Command, config: &Path, data: &Path) -> Server {
        command.arg("--config").arg(config).args(["--set", "server.port=0"]);
        let log = data.join("server.log");
        let stderr = fs::OpenOptions::new().append(true).create(true).open(&log).expect("a log file");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let ready = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on https://").map(ToOwned::to_owned));
        let Some(address) = ready.and_then(|address| address.parse().ok()) else {
            let _gone = child.kill();
            panic!("the server did not become ready: {}", fs::read_to_string(&log).unwrap_or_default());
        };
        Server { child, address, authority: data.join("tls/ca.pem"), log }
    }
}

/// A site's folder.
#[derive(Debug)]
pub struct Site {
    program: Program,
    folder: TempDir,
}

impl Site {
    /// The site's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> String {
        self.path().join("cloister.toml").display().to_string()
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The API key of the demo account with that role.
    ///
    /// # Panics
    /// If there is none.
    #[expect(clippy::expect_used, reason = "a test without its key has failed")]
    pub fn key(&self, role: &str) -> String {
        let path = self.path().join("accounts").join(format!("{role}.key"));
        fs::read_to_string(path).expect("the demo account has a key").trim().to_owned()
    }

    /// Runs a command of the program on this site's configuration.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let config = self.config();
        let arguments: Vec<&str> = arguments.into_iter().collect();
        self.program.run(arguments.into_iter().chain(["--config", config.as_str()]))
    }

    /// Starts a server on a free port and waits until it says that it is ready.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same, with further `--set` values.
    pub fn serve_with(&self, settings: &[&str]) -> Server {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        self.launch(&arguments, &[])
    }

    /// The same, with any arguments, and with paths in its environment.
    ///
    /// # Panics
    /// If the server does not start; its log is in the message.
    pub fn launch(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Server {
        self.program.launch(Path::new(&self.config()), self.path(), arguments, environment)
    }

    /// The same by a command of the test's own, which ends in the arguments of `serve`.
    ///
    /// # Panics
    /// If the server does not start; its log is in the message.
    pub fn started(&self, command: Command) -> Server {
        Program::started(command, Path::new(&self.config()), self.path())
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// The certificate of the site's own authority, PEM.
    pub authority: PathBuf,
    /// What it logged.
    pub log: PathBuf,
}

impl Server {
    /// Takes over a server that the test started in a way of its own.
    pub fn adopt(child: Child, address: SocketAddr, site: &Site) -> Self {
        Self { child, address, authority: site.path().join("tls/ca.pem"), log: site.path().join("server.log") }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory now, in bytes, as the kernel counts it.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// Sends the process a signal until it ends of it, and says how it ended.
    ///
    /// # Panics
    /// If it has not ended within ten seconds.
    #[expect(clippy::expect_used, clippy::panic, reason = "a server that a signal does not end has failed its test")]
    pub fn ended_by(mut self, signal: &str) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            // Rust's own handler lets the first SIGSEGV pass that no access to memory caused.
            let sent = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status();
            assert!(sent.expect("`kill` runs").success(), "SIG{signal} cannot be sent");
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                return status;
            }
        }
        panic!("SIG{signal} does not end the server");
    }

    /// Everything logged so far.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
