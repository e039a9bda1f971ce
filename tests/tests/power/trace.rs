//! What a program asked of the disk, read from what `strace -f -y -xx` wrote.
//!
//! A call counts from the moment it returned; a sync from the moment it began, as far as what it covers goes. What happens
//! before something else in the program stands before it here, because strace lets no thread go on before it has seen its
//! call return.

use std::{
    collections::HashMap,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// A step of the program, in the order of their ends.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The program said a line.
    Said(String),
    /// A file or folder was opened as a descriptor.
    Open { path: PathBuf, fd: i32, create: bool, truncate: bool, append: bool },
    /// Another descriptor for the same.
    Again { fd: i32, of: i32 },
    /// Bytes were written: at a place, or where the descriptor stood.
    Write { fd: i32, path: PathBuf, at: Option<u64>, bytes: Vec<u8> },
    /// The descriptor was moved.
    Seek { fd: i32, to: u64 },
    /// A file was cut, or made longer.
    Resize { fd: i32, path: PathBuf, length: u64, shorter: bool },
    /// Syncing began; of a file or of a folder's names.
    Sync { fd: i32, path: PathBuf, call: usize },
    /// Syncing that began as this call is done.
    Synced { call: usize },
    /// A name moved.
    Rename { from: PathBuf, to: PathBuf },
    /// A file got a second name.
    Link { from: PathBuf, to: PathBuf },
    /// A name of a file or an empty folder went.
    Unlink { path: PathBuf },
    /// A folder was made.
    Folder { path: PathBuf },
}

/// Reads what strace wrote. Steps outside `root` are left out.
///
/// # Panics
/// At a call inside `root` that is not understood: what it did to the disk would be missing.
pub(crate) fn events(written: &[u8], root: &Path) -> Vec<Event> {
    let mut reader = Reader { root, events: Vec::new(), begun: HashMap::new(), said: HashMap::new(), calls: 0 };
    for line in written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        reader.line(std::str::from_utf8(line).expect("strace writes ASCII with -xx"));
    }
    reader.events
}

struct Reader<'a> {
    root: &'a Path,
    events: Vec<Event>,
    /// Calls that began and did not return yet, by thread: what was written of them, and the sync that they are.
    begun: HashMap<String, (String, Option<usize>)>,
    /// What each thread said of a line so far.
    said: HashMap<String, String>,
    calls: usize,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let (thread, rest) = line.split_once(' ').expect("a thread's number");
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            return;
        }
        if let Some(head) = rest.strip_suffix("<unfinished ...>") {
            let sync = self.begin_sync(head);
            self.begun.insert(thread.to_owned(), (head.trim_end().to_owned(), sync));
        } else if rest.starts_with("<... ") {
            let (_, tail) = rest.split_once(" resumed>").expect("how strace goes on");
            let (head, sync) = self.begun.remove(thread).expect("a call that goes on began");
            self.call(thread, &format!("{head}{tail}"), sync);
        } else {
            let sync = self.begin_sync(rest);
            self.call(thread, rest, sync);
        }
    }

    /// If this is a sync, notes that it begins.
    fn begin_sync(&mut self, text: &str) -> Option<usize> {
        let arguments = text.strip_prefix("fsync(").or_else(|| text.strip_prefix("fdatasync("))?;
        let (fd, path) = descriptor(arguments.split(')').next()?.trim());
        let path = path.filter(|path| path.starts_with(self.root))?;
        self.calls += 1;
        self.events.push(Event::Sync { fd, path, call: self.calls });
        Some(self.calls)
    }

    /// A call that returned.
    fn call(&mut self, thread: &str, text: &str, sync: Option<usize>) {
        let (call, returned) = text.rsplit_once(" = ").unwrap_or_else(|| panic!("no result: {}", short(text)));
        let (name, arguments) = call.trim_end().split_once('(').expect("a call");
        let arguments = split(arguments.strip_suffix(')').unwrap_or_else(|| panic!("no end: {}", short(text))));
        let returned = returned.trim();
        if returned.starts_with('-') || returned.starts_with('?') {
            return;
        }
        let result = returned.split(['<', ' ']).next().and_then(|number| number.parse::<i64>().ok());
        match name {
            "write" if descriptor(&arguments[0]).0 == 1 => self.say(thread, &bytes(&arguments[1])),
            "fsync" | "fdatasync" => self.events.extend(sync.map(|call| Event::Synced { call })),
            "mmap" => self.mapped(&arguments),
            _ => {
                if let Some(event) = self.understood(name, &arguments, result) {
                    self.events.push(event);
                }
            }
        }
    }

    fn say(&mut self, thread: &str, bytes: &[u8]) {
        let said = self.said.entry(thread.to_owned()).or_default();
        said.push_str(std::str::from_utf8(bytes).expect("text"));
        while let Some(end) = said.find('\n') {
            let line: String = said.drain(..=end).collect();
            // The test runner says things too, on the same line.
            if let Some((_, acknowledged)) = line.trim_end().split_once("acknowledged ") {
                self.events.push(Event::Said(acknowledged.to_owned()));
            }
        }
    }

    /// A mapping that can be written reaches the disk unseen. SQLite has one, of a file that it makes anew after a crash.
    fn mapped(&self, arguments: &[String]) {
        let (protection, flags) = (&arguments[2], &arguments[3]);
        let (_, path) = descriptor(&arguments[4]);
        if let Some(path) = path.filter(|path| path.starts_with(self.root)) {
            let writes = protection.contains("PROT_WRITE") && flags.contains("MAP_SHARED");
            assert!(!writes || path.to_string_lossy().ends_with("-shm"), "{} is mapped to be written", path.display());
        }
    }

    fn understood(&self, name: &str, arguments: &[String], result: Option<i64>) -> Option<Event> {
        let inside = |path: PathBuf| path.starts_with(self.root).then_some(path);
        let fd = |at: usize| {
            let (fd, path) = descriptor(&arguments[at]);
            path.and_then(inside).map(|path| (fd, path))
        };
        let two = |from: PathBuf, to: PathBuf| match (inside(from), inside(to)) {
            (Some(from), Some(to)) => Some((from, to)),
            (None, None) => None,
            (from, to) => panic!("{name} leads in or out of the folder: {from:?} {to:?}"),
        };
        let number = |at: usize| arguments[at].parse::<u64>().unwrap_or_else(|_| panic!("{name}: {:?}", arguments[at]));
        let result = || result.unwrap_or_else(|| panic!("{name} without a result"));
        match name {
            "open" => self.opened(inside(plain(&arguments[0]))?, &arguments[1], result()),
            "openat" => self.opened(inside(beneath(arguments, 0))?, &arguments[2], result()),
            "write" => {
                fd(0).map(|(fd, path)| Event::Write { fd, path, at: None, bytes: taken(&arguments[1], result()) })
            }
            "pwrite64" => fd(0).map(|(fd, path)| Event::Write {
                fd,
                path,
                at: Some(number(3)),
                bytes: taken(&arguments[1], result()),
            }),
            "lseek" => fd(0).map(|(fd, _)| Event::Seek { fd, to: result().cast_unsigned() }),
            "ftruncate" => fd(0).map(|(fd, path)| Event::Resize { fd, path, length: number(1), shorter: true }),
            "fallocate" => fd(0).map(|(fd, path)| {
                assert_eq!(arguments[1], "0", "only room at the end of a file");
                Event::Resize { fd, path, length: number(2) + number(3), shorter: false }
            }),
            "rename" => two(plain(&arguments[0]), plain(&arguments[1])).map(|(from, to)| Event::Rename { from, to }),
            "renameat" | "renameat2" => {
                assert!(name == "renameat" || arguments[4] == "0", "a rename of a kind of its own: {}", arguments[4]);
                two(beneath(arguments, 0), beneath(arguments, 2)).map(|(from, to)| Event::Rename { from, to })
            }
            "link" => two(plain(&arguments[0]), plain(&arguments[1])).map(|(from, to)| Event::Link { from, to }),
            "linkat" => two(beneath(arguments, 0), beneath(arguments, 2)).map(|(from, to)| Event::Link { from, to }),
            "unlink" | "rmdir" => inside(plain(&arguments[0])).map(|path| Event::Unlink { path }),
            "unlinkat" => inside(beneath(arguments, 0)).map(|path| Event::Unlink { path }),
            "mkdir" => inside(plain(&arguments[0])).map(|path| Event::Folder { path }),
            "mkdirat" => inside(beneath(arguments, 0)).map(|path| Event::Folder { path }),
            "dup" | "dup2" | "dup3" => fd(0).map(|(of, _)| Event::Again { fd: descriptor_number(result()), of }),
            _ => {
                let hex: String =
                    self.root.as_os_str().as_encoded_bytes().iter().map(|b| format!("\\x{b:02x}")).collect();
                let touches = arguments.iter().any(|argument| argument.contains(&hex));
                assert!(!touches, "{name} is not understood");
                None
            }
        }
    }

    fn opened(&self, path: PathBuf, flags: &str, fd: i64) -> Option<Event> {
        assert!(!flags.contains("O_TMPFILE"), "a file without a name is not understood");
        let has = |flag: &str| flags.split('|').any(|given| given == flag);
        let fd = descriptor_number(fd);
        Some(Event::Open { path, fd, create: has("O_CREAT"), truncate: has("O_TRUNC"), append: has("O_APPEND") })
    }
}

fn descriptor_number(number: i64) -> i32 {
    i32::try_from(number).expect("a descriptor")
}

fn short(text: &str) -> &str {
    text.get(..200).unwrap_or(text)
}

/// Arguments of a call. A comma within quotes, brackets or a descriptor's path parts nothing.
fn split(text: &str) -> Vec<String> {
    let (mut arguments, mut depth, mut quoted) = (vec![String::new()], 0_i32, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' | '(' | '<' if !quoted => depth += 1,
            ']' | '}' | ')' | '>' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(argument) = arguments.last_mut().filter(|argument| c != ' ' || !argument.is_empty()) {
            argument.push(c);
        }
    }
    arguments
}

/// A descriptor with the path that it stands for: `3<\x2f\x74\x6d\x70>`.
fn descriptor(argument: &str) -> (i32, Option<PathBuf>) {
    let (number, rest) = argument.split_once('<').unwrap_or((argument, ""));
    let path = rest.starts_with("\\x").then(|| {
        let hex = rest.split('>').next().unwrap_or_default();
        PathBuf::from(std::ffi::OsString::from_vec(unescaped(hex)))
    });
    (number.parse().unwrap_or(-1), path)
}

/// The path made of a folder's descriptor at `at` and the name after it.
fn beneath(arguments: &[String], at: usize) -> PathBuf {
    let (_, folder) = descriptor(&arguments[at]);
    folder.unwrap_or_default().join(plain(&arguments[at + 1]))
}

fn plain(argument: &str) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes(argument)))
}

/// So many bytes as were taken.
fn taken(argument: &str, count: i64) -> Vec<u8> {
    let mut bytes = bytes(argument);
    let count = usize::try_from(count).expect("a count");
    assert!(count <= bytes.len(), "strace cut what was written");
    bytes.truncate(count);
    bytes
}

fn bytes(argument: &str) -> Vec<u8> {
    let text = argument.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    unescaped(text.unwrap_or_else(|| panic!("not a whole string: {}", short(argument))))
}

fn unescaped(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks_exact(4).map(|four| digit(four[2]) << 4 | digit(four[3])).collect()
}
