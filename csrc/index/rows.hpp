// What an index is made of: rows of codes in chunks, and snapshots of them.
//
// Chunks only ever grow at their end; a snapshot says how many rows of each chunk it sees and which of
// them are live, so a removal copies one small bitmap and moves no code.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace vhash {

constexpr uint64_t kMaxRows = 0xfffffff0u;

struct Chunk {
    std::shared_ptr<const uint64_t> codes;  // rows × words
    std::shared_ptr<const int64_t> ids;     // null: row r has id id_base + r
    std::shared_ptr<const uint64_t> live;   // bitmap over the capacity; null: all rows live
    int64_t id_base = 0;
    uint64_t start = 0;     // rows in the chunks before
    uint32_t rows = 0;      // visible here
    uint32_t capacity = 0;  // room behind `codes` (and `ids`); equals `rows` for memory that is not ours
    uint32_t live_rows = 0;

    int64_t id(size_t row) const { return ids ? ids.get()[row] : id_base + static_cast<int64_t>(row); }
    bool is_live(size_t row) const { return !live || (live.get()[row / 64] >> (row % 64) & 1); }
};

class MultiIndex;

// What searches learn about an index, shared by its snapshots.
struct Adaptive {
    std::atomic<uint64_t> saved{0};  // nanoseconds that a multi-index would have saved so far
    std::atomic<int> slack{0};       // bits added to guesses of the k-th distance, because they were too small
};

struct Snapshot {
    unsigned bits = 0;
    size_t words = 0;
    std::vector<Chunk> chunks;
    uint64_t rows = 0;  // live or not
    uint64_t live = 0;
    bool ordered = true;                                  // ids ascend with the rows
    uint64_t generation = 0;                              // rows are numbered anew by each compaction
    std::shared_ptr<const MultiIndex> multi;              // over the first rows; null: none
    std::shared_ptr<const std::vector<uint32_t>> picked;  // few eligible rows, ascending; null: see the bitmaps
    std::shared_ptr<Adaptive> adaptive;

    // The chunk that holds a row below `rows`.
    const Chunk& chunk_of(uint64_t row) const;
    int64_t id(uint64_t row) const {
        const Chunk& c = chunk_of(row);
        return c.id(row - c.start);
    }
    bool is_live(uint64_t row) const {
        const Chunk& c = chunk_of(row);
        return c.is_live(row - c.start);
    }
    const uint64_t* code(uint64_t row) const {
        const Chunk& c = chunk_of(row);
        return c.codes.get() + (row - c.start) * words;
    }
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// A snapshot without rows. A new numbering of rows begins with each: no two have the same generation.
std::shared_ptr<Snapshot> empty_snapshot(unsigned bits);

// Rows of a full chunk: a multiple of a bitmap word, about 4 MiB of codes.
size_t chunk_rows(size_t words);

// Padded query or database rows: codes of ceil(bits / 8) bytes each become rows of words, padding zeroed.
void pack_rows(const uint8_t* codes, size_t n, unsigned bits, uint64_t* rows);

// The next snapshot while the writer works on it: edits on a private copy; codes are shared.
struct Draft {
    std::shared_ptr<Snapshot> next;
    std::vector<bool> own_live;  // chunks whose bitmap was copied for this draft

    explicit Draft(const Snapshot& base);

    void kill(uint64_t row);  // which must be live
    void push(Chunk chunk);   // after the others, with all its rows

    // Appends rows; `write(from, count, destination)` writes some of the codes. ids null: first_id + i.
    template <class WriteRows>
    void append(size_t n, const int64_t* ids, int64_t first_id, size_t words, const WriteRows& write) {
        for (size_t done = 0; done < n;) {
            Chunk& chunk = room(n - done, words);
            const size_t count = std::min<size_t>(n - done, chunk.capacity - chunk.rows);
            // Beyond the rows that any snapshot shows, so no reader looks here.
            write(done, count, const_cast<uint64_t*>(chunk.codes.get()) + size_t{chunk.rows} * words);
            write_ids(chunk, ids ? ids + done : nullptr, first_id + static_cast<int64_t>(done), count);
            chunk.rows += static_cast<uint32_t>(count);
            chunk.live_rows += static_cast<uint32_t>(count);
            next->rows += count;
            next->live += count;
            done += count;
        }
    }

  private:
    Chunk& room(size_t wanted, size_t words);
    void enlarge(Chunk& chunk, size_t capacity, size_t words);
    static void write_ids(Chunk& chunk, const int64_t* ids, int64_t first, size_t count);
};

}  // namespace vhash
