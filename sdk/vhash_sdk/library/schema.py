"""The tables of a library, as they came to be: each format is a migration from the one before.

One table is no part of any format, as not every library has it: that of ``sounds``.
"""

from __future__ import annotations

APPLICATION_ID = 0x76684C31  # "vhL1", so that `file` and we know it from other SQLite files

_FORMAT_1 = """
CREATE TABLE library (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uuid TEXT NOT NULL,
  generation TEXT NOT NULL,
  created REAL NOT NULL,
  spec TEXT NOT NULL,           -- the model's specification, canonical JSON
  model_name TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  bits INTEGER NOT NULL,
  source TEXT NOT NULL          -- what Encoder() takes: name of a bundled model, or path of a file
);
CREATE TABLE video (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  digest BLOB NOT NULL,         -- scan.content_digest
  duration REAL,                -- seconds
  width INTEGER,
  height INTEGER,
  rate REAL,
  codec TEXT,
  added REAL NOT NULL           -- seconds since 1970
);
CREATE INDEX video_digest ON video (digest);
CREATE TABLE code (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  video INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('full', 'box', 'segment')),
  t0 REAL NOT NULL,             -- seconds
  t1 REAL,                      -- seconds; NULL: to the end
  confidence REAL,
  code BLOB NOT NULL
);
CREATE INDEX code_video ON code (video);
CREATE TABLE failure (
  path BLOB PRIMARY KEY,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,           -- class in vhash_sdk.errors
  message TEXT NOT NULL,
  seen REAL NOT NULL
) WITHOUT ROWID;
"""
_FORMAT_2 = """
CREATE TABLE not_a_match (      -- what a person has said about two contents, wherever their files are
  a BLOB NOT NULL,              -- scan.content_digest, the smaller one first
  b BLOB NOT NULL,
  noted REAL NOT NULL,          -- seconds since 1970
  PRIMARY KEY (a, b),
  CHECK (a < b)
) WITHOUT ROWID;
"""
_FORMAT_3 = """
ALTER TABLE video ADD COLUMN unreliable TEXT;  -- why it is kept out of automatic matches; NULL: it is not
CREATE TABLE trajectory (       -- how frames change, for a second look at near videos; see verification
  video INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('full', 'box')),
  steps BLOB NOT NULL,
  PRIMARY KEY (video, kind)
) WITHOUT ROWID;
"""
_FORMAT_4 = """
ALTER TABLE video ADD COLUMN damaged TEXT;  -- what of the file is missing; NULL: nothing known
"""
_FORMAT_5 = """
ALTER TABLE video ADD COLUMN frames_rule INTEGER;  -- video.rules.DECODING that coded it; NULL: 1
"""
_FORMAT_6 = """
CREATE TABLE code_6 (           -- kinds have grown, which SQLite lets no table do
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  video INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('full', 'box', 'pane', 'segment')),
  t0 REAL NOT NULL,             -- seconds
  t1 REAL,                      -- seconds; NULL: to the end
  confidence REAL,
  code BLOB NOT NULL,
  place INTEGER NOT NULL DEFAULT 0  -- which of the panes of its video
);
INSERT INTO code_6 (id, video, kind, t0, t1, confidence, code)
  SELECT id, video, kind, t0, t1, confidence, code FROM code WHERE video IN (SELECT id FROM video);
DELETE FROM sqlite_sequence WHERE name = 'code_6';
INSERT INTO sqlite_sequence (name, seq) SELECT 'code_6', seq FROM sqlite_sequence WHERE name = 'code';
DROP TABLE code;
ALTER TABLE code_6 RENAME TO code;
CREATE INDEX code_video ON code (video);
CREATE TABLE trajectory_6 (
  video INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('full', 'box', 'pane')),
  place INTEGER NOT NULL DEFAULT 0,
  steps BLOB NOT NULL,
  PRIMARY KEY (video, kind, place)
) WITHOUT ROWID;
INSERT INTO trajectory_6 (video, kind, steps) SELECT video, kind, steps FROM trajectory
  WHERE video IN (SELECT id FROM video);
DROP TABLE trajectory;
ALTER TABLE trajectory_6 RENAME TO trajectory;
"""
# MIGRATIONS[n] takes format n to format n + 1; never edit one that has been released
MIGRATIONS = (_FORMAT_1, _FORMAT_2, _FORMAT_3, _FORMAT_4, _FORMAT_5, _FORMAT_6)
