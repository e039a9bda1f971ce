//! Drugs in a text: which medicine a name stands for, with which salt and release, and which names are taken for one
//! another.
//!
//! **What it is not:** a drug database. It knows names, not doses, classes of effect or interactions.
//!
//! # Why
//! - **A brand counts as what it holds**, so that "Tylenol" bears out "acetaminophen", and "Advair" does not stand for
//!   fluticasone alone.
//! - **A word built like a drug's name is one**, though no table knows it: a name invented by a model is then missing
//!   from the evidence like any other.
//! - **A site's formulary is added, never a replacement**: a name that it forgets stays known.

mod endings;
mod formulary;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::OnceLock,
};

pub(crate) use endings::is_built_like_one;
pub use formulary::FormularyError;

use crate::words;

const GENERICS: &str = include_str!("drug/tables/generics.txt");
const BRANDS: &str = include_str!("drug/tables/brands.txt");
const LOOK_ALIKES: &str = include_str!("drug/tables/look_alikes.txt");

/// The names that are known.
#[derive(Debug, Clone, Default)]
pub struct Lexicon {
    /// By the first word of the name: its words and what it stands for; the longest name first.
    names: HashMap<String, Vec<Name>>,
    /// For each name of a look-alike group, the groups it stands in.
    groups: HashMap<String, Vec<usize>>,
    group_count: usize,
}

#[derive(Debug, Clone)]
struct Name {
    words: Vec<String>,
    product: Product,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Product {
    ingredients: Vec<String>,
    salt: Option<&'static str>,
    release: Option<Release>,
}

/// How a medicine sets its contents free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Release {
    /// Slowly: ER, XR, or one of the letters of [`Letters`].
    Extended(Letters),
    /// Late: DR, EC.
    Delayed,
    /// At once: IR.
    Immediate,
    /// Not slowly, where a slow product is spoken of beside it: "regular niacin". By itself such a word says nothing of a product:
    /// "standard heparin infusions".
    Plain,
}

/// Which of the products that set their contents free slowly. Of one drug there may be several, taken at different hours: bupropion SR
/// twice a day and XL once (confused names: ISMP's list).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Letters {
    /// Not said: ER, XR, "extended release".
    Any,
    /// XL.
    Xl,
    /// SR, "sustained release".
    Sr,
    /// CR, "controlled release".
    Cr,
    /// LA.
    La,
    /// CD.
    Cd,
    /// XT.
    Xt,
}

impl Release {
    /// The word for facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extended(Letters::Any) => "extended",
            Self::Extended(Letters::Xl) => "extended xl",
            Self::Extended(Letters::Sr) => "extended sr",
            Self::Extended(Letters::Cr) => "extended cr",
            Self::Extended(Letters::La) => "extended la",
            Self::Extended(Letters::Cd) => "extended cd",
            Self::Extended(Letters::Xt) => "extended xt",
            Self::Delayed => "delayed",
            Self::Immediate => "immediate",
            Self::Plain => Self::PLAIN,
        }
    }

    /// The word for a plain product.
    pub(crate) const PLAIN: &str = "plain";

    /// Whether the letters of a product stand in a fact's word.
    pub(crate) fn is_lettered(word: &str) -> bool {
        word.starts_with("extended ")
    }

    /// Whether two words of facts can be of one product: the same letters, or none in one of them.
    pub(crate) fn agree(one: &str, other: &str) -> bool {
        let slow = |word: &str| word.starts_with("extended");
        let at_once = |word: &str| matches!(word, "immediate" | Self::PLAIN);
        one == other
            || at_once(one) && at_once(other)
            || slow(one) && slow(other) && !(Self::is_lettered(one) && Self::is_lettered(other))
    }
}

/// One drug named in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// First byte of the name.
    pub start: usize,
    /// One past the last byte of the name, salt and release not counted.
    pub end: usize,
    /// What it stands for, in lower case, sorted: one generic name, or several for a combination.
    pub ingredients: Vec<String>,
    /// The salt, if it is named.
    pub salt: Option<&'static str>,
    /// The release, if the brand or the words right after the name say it.
    pub release: Option<Release>,
    /// Whether a table knows the name; otherwise it is only built like one.
    pub known: bool,
}

impl Lexicon {
    /// The names that ship with the product.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: OnceLock<Lexicon> = OnceLock::new();
        BUILT_IN.get_or_init(|| {
            let mut lexicon = Self::default();
            for line in entries(GENERICS) {
                let names = line.split_once(':').map_or(line, |(_, names)| names);
                names.split(',').for_each(|name| lexicon.add_generic(name.trim()));
            }
            for line in entries(BRANDS) {
                if let Some((brand, stands_for)) = line.split_once('=') {
                    lexicon.add_brand(brand.trim(), stands_for.trim());
                }
            }
            entries(LOOK_ALIKES).for_each(|line| lexicon.add_group(line.split(',').map(str::trim)));
            lexicon
        })
    }

    /// These names and those of a site's formulary: one a line, a generic name, or `brand = generic [+ generic]` with
    /// salt and release; `#` begins a remark.
    ///
    /// # Errors
    /// [`FormularyError`] for the first line that is neither.
    pub fn with_formulary(&self, text: &str) -> Result<Self, FormularyError> {
        let mut lexicon = self.clone();
        for entry in formulary::read(text)? {
            match entry {
                formulary::Entry::Generic(name) => lexicon.add_generic(&name),
                formulary::Entry::Brand(brand, stands_for) => lexicon.add_brand(&brand, &stands_for),
            }
        }
        Ok(lexicon)
    }

    /// The drugs that `text` names, in order.
    pub fn mentions(&self, text: &str) -> Vec<Mention> {
        let words: Vec<(usize, String)> = words::lower(text).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((start, word)) = words.get(at) {
            let Some((product, used, known)) = self.name_at(&words, at, text) else {
                at += 1;
                continue;
            };
            let end = words.get(at + used - 1).map_or(start + word.len(), |(start, word)| start + word.len());
            at += used;
            let (salt, release, more) = qualifiers(&words, at, end, text);
            at += more;
            found.push(Mention {
                start: *start,
                end,
                ingredients: product.ingredients,
                salt: salt.or(product.salt),
                release: release.or(product.release),
                known,
            });
        }
        found
    }

    /// The generic names of all drugs that `text` names, each once.
    pub fn ingredients(&self, text: &str) -> BTreeSet<String> {
        self.mentions(text).into_iter().flat_map(|mention| mention.ingredients).collect()
    }

    /// Whether two generic names are taken for one another: they stand in one group of the table, or lie within two
    /// letters of each other.
    pub fn look_alike(&self, one: &str, other: &str) -> bool {
        if one == other {
            return false;
        }
        let grouped = self.groups.get(one).is_some_and(|groups| {
            self.groups.get(other).is_some_and(|others| groups.iter().any(|group| others.contains(group)))
        });
        grouped || (one.len().min(other.len()) >= 5 && distance(one, other) <= 2)
    }

    fn name_at(&self, words: &[(usize, String)], at: usize, text: &str) -> Option<(Product, usize, bool)> {
        let (start, word) = words.get(at)?;
        let singular = word.strip_suffix("'s").unwrap_or(word);
        let names = self.names.get(singular).or_else(|| self.names.get(singular.strip_suffix('s')?));
        let fits = |name: &&Name| {
            let followed = name.words.iter().enumerate().skip(1);
            let mut end = start + word.len();
            followed.into_iter().all(|(index, wanted)| {
                let Some((start, next)) = words.get(at + index) else { return false };
                let joined = text.get(end..*start).is_some_and(is_joint);
                end = start + next.len();
                joined && next == wanted
            })
        };
        if let Some(name) = names.into_iter().flatten().find(fits) {
            return Some((name.product.clone(), name.words.len(), true));
        }
        let built = is_built_like_one(singular);
        let product = || Product { ingredients: vec![words::stem(singular)], ..Product::default() };
        built.then(|| (product(), 1, false))
    }

    fn add_generic(&mut self, name: &str) {
        self.add(name, Product { ingredients: vec![name.to_lowercase()], ..Product::default() });
    }

    fn add_brand(&mut self, brand: &str, stands_for: &str) {
        let own = brand.rsplit([' ', '-']).next().and_then(release);
        let mut product = Product::default();
        for part in stands_for.split('+') {
            let mut name: Vec<&str> = part.split_whitespace().collect();
            if let Some(release) = name.last().and_then(|word| release(word)).filter(|_| name.len() > 1) {
                // The table says that it is slow; which of the slow ones its own name says.
                product.release = own.filter(|own| Release::agree(own.as_str(), release.as_str())).or(Some(release));
                name.pop();
            }
            let known = |name: &[&str]| self.knows(&name.join(" "));
            if let Some(salt) = name.last().and_then(|word| salt(word)).filter(|_| name.len() > 1 && !known(&name)) {
                product.salt = Some(salt);
                name.pop();
            }
            product.ingredients.push(name.join(" ").to_lowercase());
        }
        for ingredient in product.ingredients.clone() {
            if !self.knows(&ingredient) {
                self.add_generic(&ingredient);
            }
        }
        product.ingredients.sort();
        self.add(brand, product);
    }

    fn knows(&self, name: &str) -> bool {
        let words: Vec<String> = words::lower(name).map(|(_, word)| word).collect();
        words
            .first()
            .and_then(|first| self.names.get(first))
            .is_some_and(|names| names.iter().any(|n| n.words == words))
    }

    fn add(&mut self, name: &str, product: Product) {
        let words: Vec<String> = words::lower(name).map(|(_, word)| word).collect();
        let Some(first) = words.first().cloned() else { return };
        let names = self.names.entry(first).or_default();
        names.retain(|known| known.words != words);
        names.push(Name { words, product });
        names.sort_by_key(|name| std::cmp::Reverse(name.words.len()));
    }

    fn add_group<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            if !self.knows(name) {
                self.add_generic(name);
            }
            self.groups.entry(name.to_owned()).or_default().push(self.group_count);
        }
        self.group_count += 1;
    }
}

/// The lines of a table without remarks and empty ones.
fn entries(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// What may stand between two words of one name.
fn is_joint(between: &str) -> bool {
    between.chars().all(|c| c.is_whitespace() || matches!(c, '-' | '\u{2011}' | '/'))
}

/// Salt and release in the words right after a name, and how many words say them.
fn qualifiers(
    words: &[(usize, String)],
    from: usize,
    end: usize,
    text: &str,
) -> (Option<&'static str>, Option<Release>, usize) {
    let (mut found_salt, mut found_release, mut used, mut end) = (None, None, 0, end);
    while let Some((start, word)) = words.get(from + used) {
        if !text.get(end..*start).is_some_and(is_joint) {
            break;
        }
        let next = words.get(from + used + 1).map(|(_, word)| word.as_str()).unwrap_or_default();
        if let Some(salt) = salt(word).filter(|_| found_salt.is_none()) {
            found_salt = Some(salt);
            used += 1;
        } else if let Some((release, length)) = release_at(word, next).filter(|_| found_release.is_none()) {
            found_release = Some(release);
            used += length;
        } else {
            break;
        }
        end = words.get(from + used - 1).map_or(end, |(start, word)| start + word.len());
    }
    (found_salt, found_release, used)
}

/// The releases that `text` names anywhere, with their places: "extended-release", "ER". Two capitals count only as
/// capitals, since "er" and "la" are words of other kinds too.
pub(crate) fn releases(text: &str) -> Vec<(usize, usize, Release)> {
    let words: Vec<(usize, String)> = words::lower(text).collect();
    let mut found = Vec::new();
    for (index, (start, word)) in words.iter().enumerate() {
        let next = words.get(index + 1).map(|(_, word)| word.as_str()).unwrap_or_default();
        let written = text.get(*start..start + word.len()).unwrap_or_default();
        let shouted = written.chars().all(char::is_uppercase);
        if let Some((release, used)) = release_at(word, next).filter(|(_, used)| *used > 1 || shouted || word.len() > 2)
        {
            let last = words.get(index + used - 1);
            found.push((*start, last.map_or(start + word.len(), |(start, word)| start + word.len()), release));
        }
    }
    found
}

/// Words right before a name that tell the plain product from one that sets its contents free slowly.
const PLAIN: &[&str] = &["regular", "plain", "ordinary", "standard"];

/// Words before those that make them mean what somebody usually takes.
const OWN: &[&str] = &["your", "his", "her", "their", "my", "our", "its", "the", "patient's"];

/// The plain products that `text` names: "regular niacin", by the places of the words before the names. Regular insulin is a kind of its
/// own and no plain one.
pub(crate) fn plain(text: &str, mentions: &[Mention]) -> Vec<(usize, usize, Release)> {
    let words: Vec<(usize, String)> = words::lower(text).collect();
    let stands = |(index, (start, word)): (usize, &(usize, String))| {
        if !PLAIN.contains(&word.as_str()) {
            return None;
        }
        let before = index.checked_sub(1).and_then(|at| words.get(at)).map_or("", |(_, word)| word.as_str());
        let named = |mention: &&Mention| text.get(start + word.len()..mention.start).is_some_and(is_joint);
        let mention = mentions.iter().find(named).filter(|_| !OWN.contains(&before))?;
        let insulin = mention.ingredients.iter().any(|name| name.starts_with("insulin"));
        (!insulin).then_some((*start, start + word.len(), Release::Plain))
    };
    words.iter().enumerate().filter_map(stands).collect()
}

fn release_at(word: &str, next: &str) -> Option<(Release, usize)> {
    let spelled = next == "release" || next == "acting" || next == "coated" || next == "released";
    match word {
        "sustained" if spelled => Some((Release::Extended(Letters::Sr), 2)),
        "controlled" if spelled => Some((Release::Extended(Letters::Cr), 2)),
        "extended" | "prolonged" | "modified" | "slow" if spelled => Some((Release::Extended(Letters::Any), 2)),
        "delayed" | "enteric" if spelled => Some((Release::Delayed, 2)),
        "immediate" | "regular" if spelled => Some((Release::Immediate, 2)),
        _ => release(word).map(|release| (release, 1)),
    }
}

fn release(word: &str) -> Option<Release> {
    match word.to_lowercase().as_str() {
        "er" | "xr" => Some(Release::Extended(Letters::Any)),
        "xl" => Some(Release::Extended(Letters::Xl)),
        "sr" => Some(Release::Extended(Letters::Sr)),
        "cr" => Some(Release::Extended(Letters::Cr)),
        "la" => Some(Release::Extended(Letters::La)),
        "cd" => Some(Release::Extended(Letters::Cd)),
        "xt" => Some(Release::Extended(Letters::Xt)),
        "dr" | "ec" => Some(Release::Delayed),
        "ir" => Some(Release::Immediate),
        _ => None,
    }
}

fn salt(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "hydrochloride" | "hcl" => "hydrochloride",
        "tartrate" => "tartrate",
        "succinate" => "succinate",
        "maleate" => "maleate",
        "sodium" => "sodium",
        "potassium" => "potassium",
        "calcium" => "calcium",
        "magnesium" => "magnesium",
        "besylate" => "besylate",
        "mesylate" => "mesylate",
        "pamoate" => "pamoate",
        "sulfate" | "sulphate" => "sulfate",
        "phosphate" => "phosphate",
        "fumarate" => "fumarate",
        "citrate" => "citrate",
        "acetate" => "acetate",
        "bromide" => "bromide",
        "hydrobromide" => "hydrobromide",
        "carbonate" => "carbonate",
        "propionate" => "propionate",
        "furoate" => "furoate",
        "valerate" => "valerate",
        "decanoate" => "decanoate",
        "enanthate" => "enanthate",
        "cypionate" => "cypionate",
        "etexilate" => "etexilate",
        "mofetil" => "mofetil",
        _ => return None,
    })
}

/// How many letters must be added, dropped, changed or exchanged with their neighbour to turn one word into the other
/// (Damerau's distance, neighbours exchanged once).
fn distance(one: &str, other: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, against) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = (cell(&row, j) + usize::from(letter != against))
                .min(cell(&row, j + 1) + 1)
                .min(next.last().copied().unwrap_or_default() + 1);
            let exchanged = i > 0 && j > 0 && a.get(i - 1) == Some(against) && b.get(j - 1) == Some(letter);
            if exchanged {
                least = least.min(cell(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}
