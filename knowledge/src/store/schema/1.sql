-- A collection of documents. `changes` grows with every commit that touches it, `epoch` when its passages are cut anew.
CREATE TABLE collections (
    key     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    title   TEXT NOT NULL,
    created TEXT NOT NULL,
    epoch   INTEGER NOT NULL DEFAULT 0,
    changes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The vectors of one embedding model. One is active; a new one is built beside it; the one before is kept to go back.
CREATE TABLE generations (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    model      TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('building', 'active', 'old')),
    created    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX generations_one_per_state ON generations (collection, state);

-- A document across its versions. The handle is its own name for itself (`document:refill-policy`) or the file it came
-- from (`file:procedures/refills.pdf`).
CREATE TABLE documents (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    handle     TEXT NOT NULL,
    id         TEXT NOT NULL UNIQUE,
    UNIQUE (collection, handle)
) STRICT;

-- One state of a document. A row never changes but for `state`: retired rows keep their text, for old citations to be
-- read, and lose their passages.
CREATE TABLE versions (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    collection  INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    document    INTEGER NOT NULL REFERENCES documents (key) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('current', 'retired')),
    version     TEXT NOT NULL,
    title       TEXT,
    label       TEXT NOT NULL,
    effective   TEXT,
    expires     TEXT,
    supersedes  TEXT,
    metadata    TEXT NOT NULL,
    format      TEXT NOT NULL,
    pages       INTEGER,
    fingerprint BLOB NOT NULL,
    text_sha256 BLOB NOT NULL,
    text        TEXT NOT NULL,
    structure   TEXT NOT NULL,
    ingested    TEXT NOT NULL
) STRICT;
CREATE INDEX versions_by_collection ON versions (collection, name);
CREATE INDEX versions_by_document ON versions (document);

CREATE TABLE pairs (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    version        INTEGER NOT NULL REFERENCES versions (key) ON DELETE CASCADE,
    id             TEXT NOT NULL,
    question       TEXT NOT NULL,
    also           TEXT NOT NULL,
    topic          TEXT,
    effective      TEXT,
    expires        TEXT,
    label          TEXT,
    metadata       TEXT NOT NULL,
    question_start INTEGER NOT NULL,
    question_end   INTEGER NOT NULL,
    answer_start   INTEGER NOT NULL,
    answer_end     INTEGER NOT NULL,
    -- The answer once more, and where it begins in code points: a long list of pairs is not read for one of them.
    answer         TEXT NOT NULL,
    answer_char    INTEGER NOT NULL
) STRICT;
CREATE INDEX pairs_by_version ON pairs (version);

-- A passage. `title`, `headings`, `questions` and `body` are what the words index of the collection
-- (`words_KEY`, FTS5 over the view `words_KEY_rows`) holds. Offsets count from the start of the version's text.
CREATE TABLE chunks (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    version    INTEGER NOT NULL REFERENCES versions (key) ON DELETE CASCADE,
    pair       INTEGER REFERENCES pairs (key),
    ordinal    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    page       INTEGER,
    path       TEXT NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte   INTEGER NOT NULL,
    start_char INTEGER NOT NULL,
    end_char   INTEGER NOT NULL,
    title      TEXT NOT NULL,
    headings   TEXT NOT NULL,
    questions  TEXT NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX chunks_by_collection ON chunks (collection);
CREATE INDEX chunks_by_version ON chunks (version, ordinal);
CREATE INDEX chunks_by_pair ON chunks (pair);

-- One vector of a passage: parts below 1000 are stretches of its body, from 1000 on the questions of its pair.
-- `digest` is of the text that was embedded, so that the same text is never embedded twice.
CREATE TABLE vectors (
    chunk      INTEGER NOT NULL REFERENCES chunks (key) ON DELETE CASCADE,
    generation INTEGER NOT NULL REFERENCES generations (key) ON DELETE CASCADE,
    part       INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    vector     BLOB NOT NULL,
    PRIMARY KEY (chunk, generation, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX vectors_by_digest ON vectors (generation, digest);

-- Vectors of a document too large to be embedded in one breath, kept until it is stored, so that an interrupted ingest
-- goes on where it stopped. By digest alone: nothing here can be found by a search.
CREATE TABLE spare_vectors (
    generation INTEGER NOT NULL REFERENCES generations (key) ON DELETE CASCADE,
    digest     BLOB NOT NULL,
    vector     BLOB NOT NULL,
    PRIMARY KEY (generation, digest)
) STRICT, WITHOUT ROWID;
