use super::*;

fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name, Zeroizing::new([seed; SEED_BYTES])).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "cloister/audit/1".to_owned(),
        size: 42,
        root: Hash::of_leaf(b"a tree"),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

#[test]
fn a_checkpoint_reads_back_and_bears_the_signature_of_its_key_alone() {
    let (ours, theirs) = (signer("cloister/audit/1", 1), signer("cloister/audit/1", 2));
    let read = SignedCheckpoint::parse(&sign(&checkpoint(), [&ours])).unwrap();
    assert_eq!(read.checkpoint, checkpoint());
    assert_eq!(read.signed_by(ours.verifier()), Ok(()));
    assert!(matches!(read.signed_by(theirs.verifier()), Err(NoteError::Unsigned(_))));
    assert!(matches!(read.signed_by(signer("another/log", 1).verifier()), Err(NoteError::OtherLog { .. })));
    let both = SignedCheckpoint::parse(&sign(&checkpoint(), [&ours, &theirs])).unwrap();
    assert!(both.signed_by(ours.verifier()).is_ok() && both.signed_by(theirs.verifier()).is_ok());
}

#[test]
fn no_character_of_a_signed_checkpoint_can_be_changed() {
    let signer = signer("cloister/audit/1", 1);
    let note = sign(&checkpoint(), [&signer]);
    for (at, character) in note.char_indices() {
        let mut bent = note.clone();
        bent.replace_range(at..at + character.len_utf8(), if character == 'A' { "B" } else { "A" });
        let holds = SignedCheckpoint::parse(&bent).is_ok_and(|read| read.signed_by(signer.verifier()).is_ok());
        assert!(!holds, "byte {at}: {bent}");
    }
}

#[test]
fn a_key_reads_back_and_a_mistyped_one_does_not() {
    let signer = signer("cloister/audit/1", 1);
    let text = signer.verifier().to_string();
    assert_eq!(&Verifier::parse(&text).unwrap(), signer.verifier());
    for wrong in ["", "a+b", "a b+00000000+AAAA", &text.replace("audit", "other"), &text[..text.len() - 4]] {
        assert_eq!(Verifier::parse(wrong), Err(NoteError::Key), "{wrong}");
    }
    assert!(!format!("{signer:?}").contains(&hex::encode([1; 8])));
}

/// An independent implementation reads what ours writes.
#[test]
fn another_implementation_accepts_our_notes_and_keys() {
    use signed_note::{Note, StandardVerifier, VerifierList};
    let signer = signer("cloister/audit/1", 1);
    let note = Note::from_bytes(sign(&checkpoint(), [&signer]).as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&signer.verifier().to_string()).unwrap();
    let (verified, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
}
