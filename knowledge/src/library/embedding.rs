//! Inputs of drafts to stored vectors: known ones are reused, the rest embedded in batches of like length.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::Library;
use crate::draft::Input;
use crate::store::StoreError;
use crate::store::passages::{keep_spare, known_vector, pack};
use crate::{Embed, EmbedError};

/// Texts per call of the embedding model. It makes its own batches of like length; this bounds what waits in memory
/// and how long the model is busy for others.
const TEXTS_PER_CALL: usize = 256;

/// Calls under way at once: while the model computes for one, the texts of the next are cut into tokens, and vectors are
/// kept.
const CALLS: usize = 2;

/// Documents with more inputs than this keep their vectors as they come, to resume after an interruption.
const RESUMABLE: usize = 1024;

/// How often a full queue is tried again before giving up: a bulk ingest waits behind questions, not for ever.
const PATIENCE: usize = 120;

/// The digest of an input and its vector as it is stored.
type Packed = ([u8; 16], Vec<u8>);

/// Why there are no vectors to store.
#[derive(Debug, thiserror::Error)]
pub(super) enum VectorError {
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a full queue means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenBusy {
    /// Tell the caller.
    Refuse,
    /// Wait and try again.
    Wait,
}

impl Library {
    /// One stored vector per input, in their order. `progress` hears how many more texts were embedded.
    pub(super) fn vectors(
        &self,
        generation: i64,
        inputs: &[&Input],
        when_busy: WhenBusy,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<u8>>, VectorError> {
        let mut known: HashMap<[u8; 16], Vec<u8>> = HashMap::with_capacity(inputs.len());
        let mut missing: Vec<&Input> = Vec::new();
        self.store.read(|db| {
            for input in inputs {
                if known.contains_key(&input.digest) {
                    continue;
                }
                if let Some(vector) = known_vector(db, generation, &input.digest)? {
                    known.insert(input.digest, vector);
                } else {
                    known.insert(input.digest, Vec::new());
                    missing.push(input);
                }
            }
            Ok::<_, StoreError>(())
        })?;
        missing.sort_by_key(|input| input.text.len());
        let keep = missing.len() > RESUMABLE;
        self.embed_all(&missing, when_busy, &mut |packed| {
            if keep {
                self.store.write(|db| keep_spare(db, generation, &packed))?;
            }
            progress(packed.len());
            known.extend(packed);
            Ok(())
        })?;
        Ok(inputs.iter().map(|input| known.get(&input.digest).cloned().unwrap_or_default()).collect())
    }

    /// Embeds inputs in batches and gives the vectors of each to `take`, in whatever order they are done. Ends with the
    /// first error, of the model or of `take`.
    fn embed_all(
        &self,
        inputs: &[&Input],
        when_busy: WhenBusy,
        take: &mut dyn FnMut(Vec<Packed>) -> Result<(), VectorError>,
    ) -> Result<(), VectorError> {
        let batches: Vec<&[&Input]> = inputs.chunks(TEXTS_PER_CALL).collect();
        let next = AtomicUsize::new(0);
        let (send, receive) = sync_channel(CALLS);
        std::thread::scope(|threads| {
            for _ in 0..CALLS.min(batches.len()) {
                let (send, batches, next) = (send.clone(), &batches, &next);
                threads.spawn(move || {
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let done = self.embed_batch(batch, when_busy);
                        let failed = done.is_err();
                        if send.send(done).is_err() || failed {
                            return;
                        }
                    }
                });
            }
            drop(send);
            // Returning drops the receiver, which ends the others after the call that they are in.
            receive.into_iter().try_for_each(|done| take(done?))
        })
    }

    fn embed_batch(&self, batch: &[&Input], when_busy: WhenBusy) -> Result<Vec<Packed>, EmbedError> {
        let texts: Vec<String> = batch.iter().map(|input| input.text.clone()).collect();
        let vectors = embed_checked(self.documents.as_ref(), &texts, when_busy)?;
        Ok(batch.iter().zip(&vectors).map(|(input, vector)| (input.digest, pack(vector))).collect())
    }
}

/// Vectors of unit length, one per text, all of their numbers finite.
pub(super) fn embed_checked(
    embed: &dyn Embed,
    texts: &[String],
    when_busy: WhenBusy,
) -> Result<Vec<Vec<f32>>, EmbedError> {
    let mut vectors = embed_patiently(embed, texts, when_busy)?;
    let dimensions = embed.identity().dimensions;
    if vectors.len() != texts.len() || vectors.iter().any(|vector| vector.len() != dimensions) {
        return Err(EmbedError::Failed("it returned vectors of another number or length".into()));
    }
    for vector in &mut vectors {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_normal() {
            return Err(EmbedError::Failed("it returned a vector without a direction".into()));
        }
        vector.iter_mut().for_each(|x| *x /= length);
    }
    Ok(vectors)
}

fn embed_patiently(embed: &dyn Embed, texts: &[String], when_busy: WhenBusy) -> Result<Vec<Vec<f32>>, EmbedError> {
    let mut tries = 0;
    loop {
        match embed.embed(texts) {
            Err(EmbedError::Busy { retry_after }) if when_busy == WhenBusy::Wait && tries < PATIENCE => {
                tries += 1;
                std::thread::sleep(retry_after.clamp(Duration::from_millis(20), Duration::from_secs(5)));
            }
            done => return done,
        }
    }
}
