"""The tables of what only the service knows."""

from __future__ import annotations

APPLICATION_ID = 0x76687376  # "vhsv"
VERSION = 1

SCHEMA = """
CREATE TABLE session (hash BLOB PRIMARY KEY, user TEXT NOT NULL, created REAL NOT NULL,
  expires REAL NOT NULL);
CREATE TABLE place (device INTEGER NOT NULL, inode INTEGER NOT NULL);
CREATE TABLE password (user TEXT PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE job (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, user TEXT NOT NULL, created REAL NOT NULL,
  started REAL, ended REAL, done INTEGER NOT NULL DEFAULT 0, total INTEGER, current TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, message TEXT, counts TEXT NOT NULL DEFAULT '{}',
  problems TEXT NOT NULL DEFAULT '[]', options TEXT NOT NULL, result TEXT, revision INTEGER NOT NULL
);
CREATE INDEX job_revision ON job (revision);
CREATE TABLE run (kind TEXT PRIMARY KEY, job TEXT NOT NULL, ended REAL NOT NULL, generation TEXT NOT NULL,
  about TEXT NOT NULL);
CREATE TABLE grp (job TEXT NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL, near INTEGER NOT NULL,
  far INTEGER NOT NULL, members INTEGER NOT NULL, path TEXT NOT NULL, text TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE TABLE member (job TEXT NOT NULL, number INTEGER NOT NULL, video INTEGER NOT NULL,
  kept INTEGER NOT NULL, a BLOB NOT NULL, b BLOB NOT NULL, offered INTEGER NOT NULL,
  distance INTEGER NOT NULL, bytes INTEGER NOT NULL,
  because TEXT NOT NULL, PRIMARY KEY (job, number, video)) WITHOUT ROWID;
CREATE INDEX member_video ON member (video);
CREATE TABLE left_out (job TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE TABLE part (job TEXT NOT NULL, number INTEGER NOT NULL, relation TEXT NOT NULL, text TEXT NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE TABLE common_part (job TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE TABLE judging (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, user TEXT NOT NULL,
  recorded INTEGER NOT NULL DEFAULT 0, undone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE judged (judging INTEGER NOT NULL, place INTEGER NOT NULL, a BLOB NOT NULL, b BLOB NOT NULL,
  video_a INTEGER NOT NULL, video_b INTEGER NOT NULL, said TEXT, before TEXT,
  PRIMARY KEY (judging, place)) WITHOUT ROWID;
CREATE TABLE opinion (a BLOB NOT NULL, b BLOB NOT NULL, said TEXT NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE basket (video INTEGER PRIMARY KEY, kept INTEGER NOT NULL, number INTEGER NOT NULL,
  distance INTEGER NOT NULL, reason TEXT NOT NULL, bytes INTEGER NOT NULL, at REAL NOT NULL);
CREATE TABLE answer (user TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, status INTEGER,
  body BLOB, kind TEXT, at REAL NOT NULL, PRIMARY KEY (user, key)) WITHOUT ROWID;
"""

ADDED = """
CREATE TABLE IF NOT EXISTS related (job TEXT NOT NULL, number INTEGER NOT NULL, relation TEXT NOT NULL,
  text TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID;
"""
"""Tables that files of this version may lack. An older vhash leaves them as they are: rows of a job that is
not the last one may lie in them."""
