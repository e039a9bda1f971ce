//! A disk that keeps for certain only what was synced.
//!
//! After a power loss:
//!
//! - A file holds what was synced of it. Each sector of 512 bytes that was written since holds any one of its states since
//!   then, independently of every other sector: writes are torn between sectors and reordered, and one sector never shows
//!   a later write without an earlier one. Where a file grew, a sector that was not written holds zeros.
//! - A file that was cut since is as long as before or as after, and holds nothing that was written after a cut that did not
//!   come about. Its length is any that it had since.
//! - A folder has the names that were synced, and of the changes since then all up to one: file systems with a journal keep
//!   the changes of names in order. A rename is one change.
//! - A sync of a file keeps the name under which the file was made, with the changes of that folder before it: ext4 and XFS
//!   make file and name in one transaction. SQLite relies on it where one connection made a write-ahead log and another
//!   writes to it first. A link, a rename, a removal and a new folder take a sync of the folder that holds the name.
//! - Folders go by themselves: a name in a new folder is there only if the folder's own name is.
//!
//! That is no file system in particular, but the worst of those that a hospital has: ext4 and XFS keep more, since a sync
//! of a file takes along whatever went before it in their one journal.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{dice::Dice, trace::Event};

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

type Id = usize;

pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    descriptors: HashMap<i32, Descriptor>,
    /// Syncs that began: of what, and how many changes they cover.
    syncing: HashMap<usize, (Id, usize)>,
}

#[derive(Clone, Copy)]
struct Descriptor {
    node: Id,
    at: usize,
    append: bool,
}

enum Node {
    File(Content),
    Folder(Names),
}

/// A file: what was synced, how long it is for programs, and what was done since.
#[derive(Default)]
struct Content {
    kept: Vec<u8>,
    length: usize,
    pending: Vec<Change>,
    /// Changes that were synced so far.
    synced: usize,
    /// The folder in which it was made, until it is synced.
    made_in: Option<Id>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A folder: names as they were synced, names as programs see them, and the changes between the two.
#[derive(Default)]
struct Names {
    kept: BTreeMap<OsString, Id>,
    seen: BTreeMap<OsString, Id>,
    pending: Vec<Naming>,
    synced: usize,
}

enum Naming {
    /// A new file or folder.
    Make(OsString, Id),
    /// One more name of a file.
    Add(OsString, Id),
    Remove(OsString),
    Move(OsString, OsString),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<OsString, Id>) {
        match self {
            Self::Make(name, id) | Self::Add(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Move(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}

impl Disk {
    /// An empty folder at `root`, itself synced.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            nodes: vec![Node::Folder(Names::default())],
            descriptors: HashMap::new(),
            syncing: HashMap::new(),
        }
    }

    pub(crate) fn play(&mut self, event: &Event) {
        match event {
            Event::Said(_) => {}
            Event::Open { path, fd, create, truncate, append } => self.open(path, *fd, (*create, *truncate, *append)),
            Event::Again { fd, of } => {
                let descriptor = self.descriptors[of];
                self.descriptors.insert(*fd, descriptor);
            }
            Event::Write { fd, path, at, bytes } => self.write(*fd, path, *at, bytes),
            Event::Seek { fd, to } => {
                if let Some(descriptor) = self.descriptors.get_mut(fd) {
                    descriptor.at = place(*to);
                }
            }
            Event::Resize { fd, path, length, shorter } => {
                let length = place(*length);
                let id = self.known(*fd, path);
                let file = self.file(id);
                if *shorter || length > file.length {
                    file.length = length;
                    file.pending.push(Change::Length(length));
                }
            }
            Event::Sync { fd, path, call } => {
                let id = self.known(*fd, path);
                let covered = match &self.nodes[id] {
                    Node::File(file) => file.synced + file.pending.len(),
                    Node::Folder(names) => names.synced + names.pending.len(),
                };
                self.syncing.insert(*call, (id, covered));
            }
            Event::Synced { call } => {
                if let Some((id, covered)) = self.syncing.remove(call) {
                    self.sync(id, covered);
                }
            }
            Event::Rename { from, to } => {
                assert_eq!(from.parent(), to.parent(), "a rename from folder to folder is not modelled");
                let (folder, from) = self.folder_of(from);
                let to = to.file_name().unwrap().to_owned();
                self.name(folder, Naming::Move(from, to));
            }
            Event::Link { from, to } => {
                let id = self.find(from).unwrap_or_else(|| panic!("{} is not there", from.display()));
                let (folder, name) = self.folder_of(to);
                self.name(folder, Naming::Add(name, id));
            }
            Event::Unlink { path } => {
                let (folder, name) = self.folder_of(path);
                self.name(folder, Naming::Remove(name));
            }
            Event::Folder { path } => {
                let (folder, name) = self.folder_of(path);
                let id = self.add(Node::Folder(Names::default()));
                self.name(folder, Naming::Make(name, id));
            }
        }
    }

    fn open(&mut self, path: &Path, fd: i32, (create, truncate, append): (bool, bool, bool)) {
        let node = self.find(path).unwrap_or_else(|| {
            assert!(create, "{} was opened and is not there", path.display());
            let (folder, name) = self.folder_of(path);
            let id = self.add(Node::File(Content { made_in: Some(folder), ..Content::default() }));
            self.name(folder, Naming::Make(name, id));
            id
        });
        if truncate && self.file(node).length > 0 {
            let file = self.file(node);
            file.length = 0;
            file.pending.push(Change::Length(0));
        }
        self.descriptors.insert(fd, Descriptor { node, at: 0, append });
    }

    fn write(&mut self, fd: i32, path: &Path, at: Option<u64>, bytes: &[u8]) {
        let id = self.known(fd, path);
        let descriptor = self.descriptors[&fd];
        let at = match at {
            Some(at) => place(at),
            None if descriptor.append => self.file(id).length,
            None => descriptor.at,
        };
        let end = at + bytes.len();
        if let Some(descriptor) = self.descriptors.get_mut(&fd) {
            descriptor.at = end;
        }
        let file = self.file(id);
        file.length = file.length.max(end);
        file.pending.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    fn sync(&mut self, id: Id, covered: usize) {
        match &mut self.nodes[id] {
            Node::File(file) => {
                let made_in = file.made_in.take();
                let count = covered.saturating_sub(file.synced).min(file.pending.len());
                file.synced += count;
                for change in file.pending.drain(..count) {
                    change.apply(&mut file.kept);
                }
                if let Some(Node::Folder(names)) = made_in.map(|folder| &mut self.nodes[folder]) {
                    let of_it = |naming: &Naming| matches!(naming, Naming::Make(_, made) if *made == id);
                    let count = names.pending.iter().position(of_it).map_or(0, |at| at + 1);
                    names.keep(count);
                }
            }
            Node::Folder(names) => {
                let count = covered.saturating_sub(names.synced).min(names.pending.len());
                names.keep(count);
            }
        }
    }

    /// What a descriptor stands for. That strace names the same file is how the model knows that it follows.
    fn known(&self, fd: i32, path: &Path) -> Id {
        let known = self.descriptors.get(&fd).map(|descriptor| descriptor.node);
        let known = known.unwrap_or_else(|| panic!("descriptor {fd} of {} was not seen to open", path.display()));
        let named = self.find(path);
        assert!(named.is_none_or(|named| named == known), "descriptor {fd} is not {}", path.display());
        known
    }

    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn name(&mut self, folder: Id, naming: Naming) {
        let Node::Folder(names) = &mut self.nodes[folder] else { panic!("a file holds no names") };
        naming.apply(&mut names.seen);
        names.pending.push(naming);
    }

    fn file(&mut self, id: Id) -> &mut Content {
        let Node::File(file) = &mut self.nodes[id] else { panic!("a folder has no content") };
        file
    }

    fn find(&self, path: &Path) -> Option<Id> {
        path.strip_prefix(&self.root).ok()?.components().try_fold(0, |id, part| match &self.nodes[id] {
            Node::Folder(names) => names.seen.get(part.as_os_str()).copied(),
            Node::File(_) => None,
        })
    }

    fn folder_of(&self, path: &Path) -> (Id, OsString) {
        let folder = path.parent().and_then(|folder| self.find(folder));
        let folder = folder.unwrap_or_else(|| panic!("the folder of {} is not there", path.display()));
        (folder, path.file_name().unwrap().to_owned())
    }

    /// Puts what a power loss leaves into the new folder `to`.
    pub(crate) fn lose_power(&self, to: &Path, dice: &mut Dice) {
        let mut left = vec![(0, to.to_owned())];
        // A file with two names is one file: what is left of it is decided once.
        let mut written: HashMap<Id, PathBuf> = HashMap::new();
        while let Some((id, path)) = left.pop() {
            match &self.nodes[id] {
                Node::Folder(names) => {
                    DirBuilder::new().mode(0o700).create(&path).unwrap();
                    left.extend(names.after_loss(dice).into_iter().map(|(name, id)| (id, path.join(name))));
                }
                Node::File(file) => {
                    if let Some(same) = written.get(&id) {
                        std::fs::hard_link(same, &path).unwrap();
                        continue;
                    }
                    let mut content = file.after_loss(dice);
                    if path.to_string_lossy().ends_with("-shm") && dice.percent(50) {
                        // Mapped memory: anything may have got to the disk.
                        content.fill_with(|| dice.next() as u8);
                    }
                    write(&path, &content);
                    written.insert(id, path);
                }
            }
        }
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("a place in a file")
}

/// Writes a file of mode 0600; a long end of zeros is left a hole.
fn write(path: &Path, content: &[u8]) {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    file.write_all(&content[..end]).unwrap();
    file.set_len(content.len() as u64).unwrap();
}

impl Names {
    /// The first `count` of the changes are synced.
    fn keep(&mut self, count: usize) {
        self.synced += count;
        for naming in self.pending.drain(..count) {
            naming.apply(&mut self.kept);
        }
    }

    fn after_loss(&self, dice: &mut Dice) -> BTreeMap<OsString, Id> {
        let mut names = self.kept.clone();
        let count = match dice.of(3) {
            0 => 0,
            1 => self.pending.len(),
            _ => dice.of(self.pending.len() + 1),
        };
        self.pending.iter().take(count).for_each(|naming| naming.apply(&mut names));
        names
    }
}

impl Change {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(content, at, &bytes),
            Self::Length(length) => content.resize(length, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

impl Content {
    fn after_loss(&self, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.kept.clone();
        if self.pending.is_empty() {
            return content;
        }
        // How likely a sector is to go on to its next state: never, now and then, nearly always, always.
        let moves = [0, 20, 50, 90, 99, 100][dice.of(6)];
        let mut cuts_left = dice.of(self.cuts() + 1);
        let mut lengths = vec![content.len()];
        let mut stopped: HashMap<usize, bool> = HashMap::new();
        let mut length = content.len();
        for change in &self.pending {
            match change {
                Change::Length(to) if *to < length => {
                    // The rest was written to blocks of a file that was never cut: nobody sees it.
                    if cuts_left == 0 {
                        break;
                    }
                    cuts_left -= 1;
                    length = *to;
                    content.truncate(length);
                    stopped.retain(|sector, _| sector * SECTOR < length);
                    lengths = vec![length];
                }
                Change::Length(to) => {
                    length = *to;
                    lengths.push(length);
                }
                Change::Write { at, bytes } => {
                    let mut from = *at;
                    while from < at + bytes.len() {
                        let sector = from / SECTOR;
                        let end = ((sector + 1) * SECTOR).min(at + bytes.len());
                        let stops = stopped.entry(sector).or_default();
                        *stops = *stops || !dice.percent(moves);
                        if !*stops {
                            put(&mut content, from, &bytes[from - at..end - at]);
                        }
                        from = end;
                    }
                    length = length.max(at + bytes.len());
                    lengths.push(length);
                }
            }
        }
        let kept = if dice.percent(50) { lengths.len() - 1 } else { dice.of(lengths.len()) };
        content.resize(lengths[kept], 0);
        content
    }

    /// How often it was made shorter since it was synced.
    fn cuts(&self) -> usize {
        let (mut length, mut cuts) = (self.kept.len(), 0);
        for change in &self.pending {
            match change {
                Change::Length(to) => {
                    cuts += usize::from(*to < length);
                    length = *to;
                }
                Change::Write { at, bytes } => length = length.max(at + bytes.len()),
            }
        }
        cuts
    }
}
