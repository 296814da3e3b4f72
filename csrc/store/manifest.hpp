// MANIFEST: the one file that says what a store consists of. A store is what its MANIFEST names;
// every change of files is published by replacing it, so there is no moment in between.
//
//   0   header, 192 bytes (below)
//       segments × SegmentEntry, then logs × LogEntry
//       CRC-32C of all before, 4 bytes
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vhash {

// A sealed segment: segment-<number>.vhash, an index file, and which of its rows are dead.
struct SegmentEntry {
    uint64_t number;
    uint64_t rows;
    uint64_t live;
    uint64_t file_size;
    uint64_t live_number;  // live-<number>.bits, the bitmap of its live rows; 0: all are
    uint32_t checksum;     // of the segment's header
    uint32_t reserved;
};

// log-<number>.vlog; the last one is active, those before wait to be sealed.
struct LogEntry {
    uint64_t number;
    uint64_t first_sequence;
};

struct Manifest {
    unsigned bits = 0;
    std::string model;
    uint64_t generation = 0;  // one more each time it is published
    uint64_t sealed = 0;      // sequence of the last change that is in the segments
    uint64_t next_file = 1;   // numbers of files are given out once
    int64_t next_id = 0;      // as of `sealed`
    std::vector<SegmentEntry> segments;
    std::vector<LogEntry> logs;

    uint64_t live() const;
};

std::string manifest_path(const std::string& directory);
std::string segment_path(const std::string& directory, uint64_t number);
std::string live_path(const std::string& directory, uint64_t number);
std::string log_path(const std::string& directory, uint64_t number);

// Throws FormatError, FileError.
Manifest read_manifest(const std::string& directory);
// Temporary file, fsync, rename. The caller then flushes the directory: if that fails, nobody knows
// which of the two a crash would leave.
void replace_manifest(const std::string& directory, const Manifest& manifest);

// Removes the store's files that the manifest does not name: what crashes and compaction leave.
void sweep(const std::string& directory, const Manifest& manifest);
// Whether the directory holds any file of a store other than LOCK and MANIFEST's temporary.
bool has_store_files(const std::string& directory);

}  // namespace vhash
