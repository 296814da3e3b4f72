// The exact Hamming index in memory: immutable snapshots that any number of readers search while
// one writer at a time adds and removes. A caller never sees half of a change.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "index/id_map.hpp"
#include "index/journal.hpp"
#include "index/rows.hpp"
#include "system/fork.hpp"

namespace vhash {

// An id that is not in the index.
struct UnknownId : std::out_of_range {
    using std::out_of_range::out_of_range;
};

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
    void attach(std::shared_ptr<const uint64_t> codes, size_t n, std::shared_ptr<const int64_t> ids, int64_t id_base,
                const uint64_t* live = nullptr, bool unique = false);

    // From here on every change goes through the journal first; before the index is shared.
    void set_journal(Journal* journal) { journal_ = journal; }
    // Make a change that the journal holds already, without recording it again: how a reader of a store
    // follows what its writer has stored. The arguments and errors are those of add(), upsert(), remove()
    // (whose `codes` is null) and set_model().
    void replay(Journal::Kind kind, const uint8_t* codes, size_t n, const int64_t* ids);
    void replay_model(const std::string& model);
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
    // The changes themselves; `journal` null: there is none, or it holds them already.
    int64_t add_rows(const uint8_t* codes, size_t n, const int64_t* ids, Journal* journal);
    void upsert_rows(const uint8_t* codes, size_t n, const int64_t* ids, Journal* journal);
    size_t remove_rows(const int64_t* ids, size_t n, Journal* journal);
    void change_model(const std::string& model, Journal* journal);
    void publish(Draft& draft);
    uint32_t row_of(const Snapshot& snapshot, int64_t id) const;
    void check_new(const Snapshot& snapshot, const int64_t* ids, size_t n, bool may_exist,
                   std::vector<uint32_t>* existing);
    void need_map(const Snapshot& snapshot) const;
    void compact(Draft& draft);

    const unsigned bits_;
    const size_t words_;
    Journal* journal_ = nullptr;
    std::mutex builder_;             // one multi-index is built at a time
    mutable std::mutex writer_;      // one writer at a time
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

}  // namespace vhash
