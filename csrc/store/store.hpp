// An index kept in a directory: what a call acknowledged is there after a crash.
//
//   MANIFEST            what the store consists of (manifest.hpp)
//   log-<n>.vlog        changes since the last segment, on the disk before the call returns (log.hpp)
//   segment-<n>.vhash   sealed rows, mapped and searched in place; an index file (index/file.hpp)
//   live-<n>.bits       which rows of a segment live (segment.hpp)
//   LOCK                locked by the one writer while it has the store open
//
// A full log is sealed into a segment, and segments are merged, by a thread that works on files only
// and publishes by a new MANIFEST; the index in memory holds the same rows before and after.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "index/index.hpp"
#include "store/lock.hpp"
#include "store/log.hpp"
#include "store/manifest.hpp"
#include "store/segment.hpp"

namespace vhash {

// The store holds codes of another model.
struct ModelMismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct StoreOptions {
    unsigned bits = 0;  // 0: those of the store, which must exist
    std::string model;  // empty: any
    bool writable = true;
    uint64_t seal_rows = 0;  // changes in a log before it is sealed; 0: 16 MiB of codes and ids
    bool background = true;  // false: sealed and merged by compact() only
};

struct StoreInfo {
    uint64_t generation, segments, logs, sealed_rows, dead_rows, log_bytes, sequence;
    std::string trouble;  // why the background work last failed; empty: it did not
};

// Keeps what is intact of a damaged store: leaves out damaged segments and cuts logs before their first
// damaged change, with all later changes. The damaged files stay beside it as *.damaged. Returns what was
// lost, a line for each file; throws what open() does where the MANIFEST itself is damaged.
std::vector<std::string> repair_store(const std::string& directory);

class Store : private Journal {
  public:
    // Throws StoreError, FormatError, ModelMismatch, std::invalid_argument.
    static std::unique_ptr<Store> open(const std::string& directory, const StoreOptions& options);
    ~Store() override;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    // Search and change it here; a change returns when it is on the disk. It lives as long as the store.
    Index& index() { return index_; }
    const std::string& directory() const { return directory_; }
    bool writable() const { return options_.writable; }

    // Brings a reader to what the writer has acknowledged; returns whether anything was new.
    bool refresh();
    // Seals the log and merges all segments into one without dead rows.
    void compact();
    // Ends the background work, has a compact() of another thread give up, and unlocks the directory; the
    // index can still be searched. May be called by any number of threads, and by what interrupts a compact().
    void close();
    StoreInfo info();

  private:
    Store(const std::string& directory, const StoreOptions& options, const Manifest& manifest);
    void record(Kind kind, const uint8_t* codes, size_t n, const int64_t* ids, int64_t first_id) override;
    void record_model(const std::string& model) override;
    void applied() noexcept override { unapplied_ = false; }

    void load_writable();
    void load_files();
    // How far a reader has come.
    struct Place {
        uint64_t log = 0;      // number of the log that it is in
        LogPosition position;  // up to which that was read
        uint64_t next = 0;     // sequence of the next change to apply: ahead of `position` when reading failed
    };
    void fill(Index& index, const Manifest& manifest, std::vector<SegmentPtr>& segments) const;
    // Added codes of a log on their way into an index that is being filled: as rows that are attached,
    // whose ids are known to be unique, they need no map of ids.
    struct Additions {
        std::vector<uint64_t> codes;
        std::vector<int64_t> ids;
        void take(const LogFrame& frame, unsigned bits);
        void flush(Index& index);
    };
    void follow(Index& index, const Manifest& manifest, Place& place, Additions* additions) const;
    LogPosition read_active(const Log& log, LogPosition from, const Log::Visitor& visit) const;
    void apply(Index& index, const Log& log, const LogFrame& frame, Additions* additions) const;

    std::unique_lock<std::mutex> lock_usable() const;  // throws StoreError
    void check_still_ours() const;
    void publish(Manifest next);              // mutex_ held
    void begin_log(uint64_t first_sequence);  // mutex_ held
    void fail(const std::string& why) noexcept;

    // One thread at a time seals, merges or refreshes.
    class Maintenance {
      public:
        explicit Maintenance(Store& store);  // throws StoreError where this very thread does so already
        ~Maintenance();
        Maintenance(const Maintenance&) = delete;
        Maintenance& operator=(const Maintenance&) = delete;

      private:
        Store& store_;
        std::unique_lock<std::mutex> lock_;
        const Store* const before_;
    };

    void go_on() const;  // throws where close() waits for the work to end, or the caller is interrupted
    void work();
    bool seal_next();
    void merge_segments(const std::vector<size_t>& chosen);
    SegmentPtr write_segment(const Manifest& manifest, uint64_t number, int64_t next_id, const Rows& rows) const;
    void publish_segments(Manifest next, std::vector<SegmentPtr> segments, const std::vector<std::string>& old_files);
    void maintain();

    const std::string directory_;
    const StoreOptions options_;
    const uint64_t seal_rows_;
    const uint64_t owner_;
    Index index_;

    mutable std::mutex mutex_;  // guards what follows, up to closed_
    Manifest manifest_;
    std::optional<Log> log_;
    uint64_t sequence_ = 0;  // of the last change in the index
    uint64_t log_rows_ = 0;
    uint64_t rotate_at_ = 0;
    std::string failed_;   // why nothing more can be written
    std::string trouble_;  // why the background work last failed
    bool closed_ = false;
    std::atomic<bool> unapplied_{false};  // a change is on the disk and not (yet) in the index

    std::mutex closing_;      // one thread at a time closes; taken before maintenance_
    std::mutex maintenance_;  // see Maintenance; taken before mutex_
    std::vector<SegmentPtr> segments_;
    Place place_;

    struct Worker {
        std::condition_variable wake;
        std::thread thread;
    };
    std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
    std::atomic<bool> stop_{false};         // close() has begun
    std::atomic<bool> close_again_{false};  // it was called from inside this thread's own maintenance
    File lock_;
    ForkMutex<std::mutex> mutex_at_fork_{mutex_, ForkOrder::store};
};

}  // namespace vhash
