//! From byte offsets to code points, which is what a citation counts in.

/// Turns byte offsets, asked for in rising order, into code points in one walk.
pub(super) struct Characters<'a> {
    text: &'a str,
    byte: usize,
    character: usize,
}

impl<'a> Characters<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, byte: 0, character: 0 }
    }

    /// The code points before `byte`.
    pub(super) fn at(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            *self = Self::new(self.text);
        }
        self.character += self.text.get(self.byte..byte).map_or(0, |stretch| stretch.chars().count());
        self.byte = byte;
        self.character
    }
}
