// The exact Hamming index in memory: immutable snapshots that any number of readers search while
// one writer at a time adds and removes. A caller never sees half of a change.
//
// Rows live in chunks that only ever grow at their end; a snapshot says how many rows of each chunk
// it sees and which of them are live, so a removal copies one small bitmap and moves no code.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "system/files.hpp"
#include "system/fork.hpp"
#include "hamming/hamming.hpp"
#include "index/topk.hpp"

namespace vhash {

constexpr uint64_t kMaxRows = 0xfffffff0u;

// Whether a text can be a model's fingerprint: at most 64 printable ASCII characters, or none.
bool is_model(const std::string& text);

// An id that is not in the index.
struct UnknownId : std::out_of_range {
    using std::out_of_range::out_of_range;
};

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
};

struct Snapshot {
    unsigned bits = 0;
    size_t words = 0;
    std::vector<Chunk> chunks;
    uint64_t rows = 0;  // live or not
    uint64_t live = 0;
    bool ordered = true;  // ids ascend with the rows
    uint64_t generation = 0;  // rows are numbered anew by each compaction
    std::shared_ptr<const MultiIndex> multi;                  // over the first rows; null: none
    std::shared_ptr<const std::vector<uint32_t>> picked;      // few eligible rows, ascending; null: see the bitmaps
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

// id -> row of the live rows, needed only where ids do not ascend with the rows.
class IdMap {
  public:
    static constexpr uint32_t kNone = 0xffffffffu;
    void clear();
    void build(const Snapshot& snapshot);  // of its live rows
    void insert(const Snapshot& snapshot, int64_t id, uint32_t row);  // the id must not be in it
    uint32_t find(const Snapshot& snapshot, int64_t id) const;        // row or kNone
    void erase(const Snapshot& snapshot, int64_t id);

  private:
    static constexpr uint32_t kErased = 0xfffffffeu;
    void grow(const Snapshot& snapshot);
    size_t slot(int64_t id) const;
    std::vector<uint32_t> rows_;
    size_t used_ = 0, count_ = 0;
};

// Keeps changes for good (a store). The index calls it while it holds its writer's lock: record() when a
// change was checked and before anyone sees it, applied() when everyone does. What record() throws
// undoes the change.
class Journal {
  public:
    enum class Kind : uint32_t { add = 1, upsert = 2, remove = 3 };
    virtual ~Journal() = default;
    // `ids` null: first_id, first_id + 1, …; `codes` null for a removal, whose ids all exist.
    virtual void record(Kind kind, const uint8_t* codes, size_t n, const int64_t* ids, int64_t first_id) = 0;
    virtual void record_model(const std::string& model) = 0;
    virtual void applied() noexcept = 0;
};

// Padded query or database rows: codes of `bytes` bytes each become rows of words, padding zeroed.
void pack_rows(const uint8_t* codes, size_t n, unsigned bits, uint64_t* rows);

class Index {
  public:
    explicit Index(unsigned bits, std::string model = {});
    Index(const Index&) = delete;
    Index& operator=(const Index&) = delete;

    unsigned bits() const { return bits_; }
    size_t code_bytes() const { return (bits_ + 7) / 8; }
    size_t words() const { return words_; }
    std::string model() const;  // fingerprint; empty: not known
    void set_model(const std::string& model);

    // What a reader works on: unchanged for as long as it is held.
    SnapshotPtr snapshot() const;

    // Adds n codes; `ids` null: the next free ones. Returns the first id given out. All or nothing:
    // throws std::invalid_argument when an id exists already or twice.
    int64_t add(const uint8_t* codes, size_t n, const int64_t* ids);
    // Adds, replacing the codes of ids that exist, in one step for readers.
    void upsert(const uint8_t* codes, size_t n, const int64_t* ids);
    // Removes those of the ids that exist; returns how many.
    size_t remove(const int64_t* ids, size_t n);
    // Takes rows that lie elsewhere (a mapped file) without a copy, kept alive by the pointers. `ids`
    // null: id_base + row. They are checked like those of add(), unless they are known to be `unique`:
    // then the map of ids is built only when one is asked for. `live` may be null.
    void attach(std::shared_ptr<const uint64_t> codes, size_t n, std::shared_ptr<const int64_t> ids,
                int64_t id_base, const uint64_t* live = nullptr, bool unique = false);

    // From here on every change goes through the journal first; before the index is shared.
    void set_journal(Journal* journal) { journal_ = journal; }
    // Takes over what `other` holds, in one step for readers; `other` is left empty.
    void assign(Index& other);

    size_t size() const { return snapshot()->live; }
    bool contains(int64_t id) const;
    // Codes of ids, in their order; throws UnknownId.
    void codes(const int64_t* ids, size_t n, uint8_t* out) const;
    // Rows of ids in a snapshot taken at the same moment; IdMap::kNone where there is none.
    SnapshotPtr find_rows(const int64_t* ids, size_t n, uint32_t* rows) const;

    // Searches of snapshots leave word of what a multi-index would have saved them; once that exceeds
    // the price of building one, this builds it. Call it after a search. `now`: build it in any case.
    void build_multi_index(unsigned threads, bool now = false);

    int64_t next_id() const;
    void set_next_id(int64_t next);

    // One file: written under a temporary name, flushed to the disk, then renamed.
    void save(const std::string& path) const;
    // `map`: search the file in place; otherwise it is read into memory. `verify`: check the checksums
    // of codes and ids too, not only that of the header. Throws FormatError, FileError.
    static std::unique_ptr<Index> load(const std::string& path, bool map, bool verify);

  private:
    struct Draft;  // the next snapshot while the writer works on it
    void publish(Draft& draft);
    uint32_t row_of(const Snapshot& snapshot, int64_t id) const;
    void check_new(const Snapshot& snapshot, const int64_t* ids, size_t n, bool may_exist, std::vector<uint32_t>* existing);
    void need_map(const Snapshot& snapshot) const;
    void compact(Draft& draft);

    const unsigned bits_;
    const size_t words_;
    Journal* journal_ = nullptr;
    std::mutex builder_;             // one multi-index is built at a time
    mutable std::mutex writer_;              // one writer at a time
    mutable std::shared_mutex map_;  // guards map and its snapshot while ids are looked up
    mutable std::mutex current_;     // guards the four below, for a few instructions
    SnapshotPtr snapshot_;
    std::string model_;
    int64_t next_id_ = 0;
    mutable IdMap id_map_;
    mutable bool mapped_ = false;  // id_map_ is in use
    ForkMutex<std::mutex> writer_at_fork_{writer_, ForkOrder::writer};
    ForkMutex<std::shared_mutex> map_at_fork_{map_, ForkOrder::map};
    ForkMutex<std::mutex> current_at_fork_{current_, ForkOrder::current};
};

// How a search was answered; costs are predictions in nanoseconds per query.
struct Trace {
    const char* path = "none";  // scan, bitslice, gather, multi-index
    size_t queries = 0, fallbacks = 0;
    uint64_t rows = 0, lookups = 0, candidates = 0;
    double scan_cost = 0, multi_cost = 0;
};

// Results of one query after the other: those of query q are [splits[q], splits[q + 1]).
struct Ranges {
    std::vector<Match> matches;
    std::vector<uint64_t> splits;
};

// The k nearest live rows of each query (rows of words), in the order (distance, id): writes
// min(k, live) of each to ids and distances, and returns that number.
size_t search_knn(const Snapshot& snapshot, const uint64_t* queries, size_t n, size_t k, unsigned threads,
                  int64_t* ids, uint16_t* distances, Trace* trace = nullptr);

// The live rows within `radius` bits (inclusive) of each query, in the order (distance, id); with
// `limit`, at most that many of the nearest of each.
Ranges search_range(const Snapshot& snapshot, const uint64_t* queries, size_t n, uint32_t radius, size_t limit,
                    unsigned threads, Trace* trace = nullptr);

// The same snapshot with only these rows eligible (and live).
SnapshotPtr restrict_rows(const Snapshot& snapshot, std::vector<uint32_t> rows);

}  // namespace vhash
