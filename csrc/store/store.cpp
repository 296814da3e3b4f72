// Opening, changing and following a store; sealing and merging is in maintenance.cpp.
#include "store/store.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "hamming/hamming.hpp"
#include "index/model.hpp"
#include "store/lock.hpp"
#include "system/machine.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr uint64_t kSealBytes = uint64_t{16} << 20;
constexpr int kAttempts = 1000;  // of a reader whose files a compaction replaces

thread_local const Store* maintaining = nullptr;  // the store that this thread is sealing, merging or refreshing

uint64_t rows_per_log(unsigned bits) { return std::max<uint64_t>(1u << 16, kSealBytes / (8 + (bits + 63) / 64 * 8)); }

void require_store(const std::string& directory, const StoreOptions& options) {
    if (file_exists(manifest_path(directory))) return;
    const bool there = file_exists(directory);
    if (there && has_store_files(directory))
        throw FormatError("store '" + directory + "' has segments or logs but no MANIFEST; restore '" +
                          manifest_path(directory) + "' from a copy");
    if (!options.writable)
        throw StoreError("store '" + directory +
                             "' does not exist: there is no MANIFEST; a writer creates it with mode=\"rw\" and bits",
                         ENOENT);
    if (options.bits == 0)
        throw StoreError("store '" + directory + "' does not exist: there is no MANIFEST; pass bits to create it",
                         ENOENT);
}

void create_store(const std::string& directory, const StoreOptions& options) {
    if (options.bits < 1 || options.bits > kMaxBits)
        throw std::invalid_argument("bits=" + std::to_string(options.bits) + ": a code has between 1 and " +
                                    std::to_string(kMaxBits) + " bits");
    Manifest manifest;
    manifest.bits = options.bits;
    manifest.model = options.model;
    manifest.generation = 1;
    replace_manifest(directory, manifest);
    sync_directory(directory);
    sync_directory(directory_of(directory));
}

bool one_model(const std::string& a, const std::string& b) {
    const size_t n = std::min(a.size(), b.size());
    return a.compare(0, n, b, 0, n) == 0;  // a text code carries eight digits only
}

void check_options(const std::string& directory, const StoreOptions& options, const Manifest& manifest) {
    if (options.bits && options.bits != manifest.bits)
        throw std::invalid_argument("bits=" + std::to_string(options.bits) + ": store '" + directory +
                                    "' holds codes of " + std::to_string(manifest.bits) +
                                    " bits; leave bits out, or choose another directory");
    if (!one_model(options.model, manifest.model))
        throw ModelMismatch("store '" + directory + "' holds codes of model " + manifest.model.substr(0, 8) +
                            ", not of " + options.model.substr(0, 8) +
                            "; open it with that model, or choose another directory");
}

}  // namespace

std::unique_ptr<Store> Store::open(const std::string& given, const StoreOptions& options) {
    check_path(given);
    check_model(options.model);
    try {
        const std::string directory = absolute_path(given);  // the working directory may change
        require_store(directory, options);
        File lock;
        if (options.writable) {
            make_directory(directory);
            lock = take_lock(directory);
            if (!file_exists(manifest_path(directory))) create_store(directory, options);
        }
        const Manifest manifest = read_manifest(directory);
        check_options(directory, options, manifest);
        std::unique_ptr<Store> store(new Store(directory, options, manifest));
        store->lock_ = std::move(lock);
        if (options.writable) store->load_writable();
        else store->refresh();
        store->index_.set_journal(store.get());
        if (options.writable && options.model.size() > manifest.model.size()) store->index_.set_model(options.model);
        if (options.writable && options.background)
            store->worker_->thread = std::thread([raw = store.get()] { raw->work(); });
        return store;
    } catch (const FileError& e) {
        throw StoreError(std::string(e.what()) + "; store '" + given + "' was not opened", e.code);
    }
}

Store::Store(const std::string& directory, const StoreOptions& options, const Manifest& manifest)
    : directory_(directory),
      options_(options),
      seal_rows_(options.seal_rows ? options.seal_rows : rows_per_log(manifest.bits)),
      owner_(process_id()),
      index_(manifest.bits, manifest.model),
      manifest_(manifest),
      rotate_at_(seal_rows_) {}

Store::~Store() { close(); }

void Store::close() {
    if (process_id() != owner_) {  // a child after fork: thread and lock are the parent's
        (void)worker_.release();
        (void)new File(std::move(lock_));
        return;
    }
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    worker_->wake.notify_all();
    if (maintaining == this) {  // a signal handler, inside a compact() of this thread, which gives up now and closes
        close_again_ = true;
        return;
    }
    std::lock_guard<std::mutex> closing(closing_);
    if (worker_->thread.joinable()) worker_->thread.join();
    // The lock goes when nobody seals or merges any more: what is published after it would name files that
    // the next writer has swept.
    std::lock_guard<std::mutex> maintenance(maintenance_);
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    log_.reset();
    release_lock(lock_);
}

Store::Maintenance::Maintenance(Store& store) : store_(store), before_(maintaining) {
    if (maintaining == &store)
        throw StoreError("store '" + store.directory_ +
                         "' is being compacted or refreshed by this very thread; wait until that has returned");
    if (process_id() != store.owner_) {
        lock_ = std::unique_lock<std::mutex>(store.maintenance_, std::try_to_lock);
        if (!lock_)
            throw StoreError("store '" + store.directory_ +
                             "' was being read by another thread when this process was forked; open it again here");
    } else {
        lock_ = std::unique_lock<std::mutex>(store.maintenance_);
    }
    maintaining = &store;
}

Store::Maintenance::~Maintenance() {
    maintaining = before_;
    const bool close = store_.close_again_.exchange(false);
    lock_.unlock();
    if (close) store_.close();
}

// ---- loading ----

void Store::Additions::take(const LogFrame& frame, unsigned bits) {
    const size_t words = (bits + 63) / 64, before = codes.size();
    codes.resize(before + frame.count * words);
    pack_rows(frame.codes, frame.count, bits, codes.data() + before);
    for (size_t i = 0; i < frame.count; ++i) ids.push_back(frame.id(i));
}

void Store::Additions::flush(Index& index) {
    if (ids.empty()) return;
    const auto kept = std::make_shared<Additions>(std::move(*this));
    *this = {};
    index.attach({kept, kept->codes.data()}, kept->ids.size(), {kept, kept->ids.data()}, 0, nullptr, true);
}

// Puts a change of the log into an index. With `additions`, added codes are collected there, to be flushed
// at the end.
void Store::apply(Index& index, const Log& log, const LogFrame& frame, Additions* additions) const {
    try {
        const bool next = frame.kind == Kind::add && !frame.ids && frame.first_id == index.next_id();
        if (next && (!additions || additions->ids.empty()))
            return index.replay(frame.kind, frame.codes, frame.count, nullptr);
        if (frame.kind == Kind::add && additions) return additions->take(frame, index.bits());
        if (additions) additions->flush(index);
        std::vector<int64_t> ids(frame.count);
        for (size_t i = 0; i < frame.count; ++i) ids[i] = frame.id(i);
        index.replay(frame.kind, frame.codes, frame.count, ids.data());
    } catch (const std::invalid_argument& e) {
        throw FormatError("log '" + log.path() + "' does not follow from the segments (change " +
                          std::to_string(frame.sequence) + ": " + e.what() + "); restore the directory from a copy");
    }
}

// The rows of the manifest's segments; those in `segments` already are not read again.
void Store::fill(Index& index, const Manifest& manifest, std::vector<SegmentPtr>& segments) const {
    std::vector<SegmentPtr> opened(manifest.segments.size());
    parallel_for(opened.size(), available_threads(), [&](size_t i) {
        const SegmentEntry& entry = manifest.segments[i];
        for (const SegmentPtr& known : segments)
            if (!std::memcmp(&known->entry, &entry, sizeof entry)) opened[i] = known;
        if (!opened[i]) opened[i] = open_segment(directory_, manifest, entry);
    });
    segments = opened;
    std::sort(opened.begin(), opened.end(),
              [](const SegmentPtr& a, const SegmentPtr& b) { return a->file.id(0) < b->file.id(0); });
    for (const SegmentPtr& segment : opened)
        index.attach(segment->file.codes, segment->entry.rows, segment->file.ids, segment->file.id_base,
                     segment->live.empty() ? nullptr : segment->live.data(), true);
    index.set_next_id(manifest.next_id);
}

void Store::load_writable() {
    try {
        load_files();
    } catch (const FileError& e) {
        if (e.code != ENOENT) throw;
        throw FormatError(std::string(e.what()) + ", and the manifest names it; restore the directory from a copy");
    }
}

void Store::load_files() {
    sync_directory(directory_);  // the MANIFEST that was read may not have been flushed yet
    sweep(directory_, manifest_);
    fill(index_, manifest_, segments_);
    LogPosition at{0, manifest_.sealed + 1};
    Additions additions;
    for (const LogEntry& entry : manifest_.logs) {
        Log log =
            Log::open(log_path(directory_, entry.number), manifest_.bits, entry.number, entry.first_sequence, true);
        const bool active = &entry == &manifest_.logs.back();
        if (entry.first_sequence != at.next_sequence)
            throw FormatError("log '" + log.path() + "' begins with change " + std::to_string(entry.first_sequence) +
                              " where " + std::to_string(at.next_sequence) +
                              " should follow; restore the directory from a copy");
        log_rows_ = 0;
        const auto take = [&](const LogFrame& frame) {
            log_rows_ += frame.count;
            apply(index_, log, frame, &additions);
        };
        at = active ? log.read(log.start(), log.size(), log.mark().length, take) : log.read_rest(log.start(), take);
        if (!active) continue;
        log.resume(at, new_session());
        log_ = std::move(log);
    }
    additions.flush(index_);
    std::lock_guard<std::mutex> lock(mutex_);
    sequence_ = at.next_sequence - 1;
    if (!log_) begin_log(at.next_sequence);
}

// ---- readers ----

// The frames of the active log that are acknowledged: those before the writer's mark. Where there is no
// writer, those that it would find when it opened the store: a crash of the machine may have lost the mark.
LogPosition Store::read_active(const Log& log, LogPosition from, const Log::Visitor& visit) const {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const Log::Mark mark = log.mark();
        if (has_writer(directory_)) {
            if (mark.length) return log.read(from, mark.length, mark.length, visit);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));  // it is opening the store
            continue;
        }
        // A writer that begins now makes a new mark before it appends. With the old one still there, the
        // frames just seen were no writer's unfinished work, and whole ones are never taken back.
        const LogPosition to = log.read(from, log.size(), mark.length, [](const LogFrame&) {});
        if (log.mark() == mark) return log.read(from, to.offset, mark.length, visit);
    }
    throw FormatError(
        "log '" + log.path() +
        "' has no valid mark while a writer has the store open; close the writer, it is repaired when it opens again");
}

// Puts what follows `place` into the index; `additions` as in apply().
void Store::follow(Index& index, const Manifest& manifest, Place& place, Additions* additions) const {
    for (const LogEntry& entry : manifest.logs) {
        if (entry.number < place.log) continue;
        const Log log =
            Log::open(log_path(directory_, entry.number), manifest.bits, entry.number, entry.first_sequence, false);
        if (entry.number != place.log && entry.first_sequence != place.next)
            throw FormatError("log '" + log.path() + "' begins with change " + std::to_string(entry.first_sequence) +
                              " where " + std::to_string(place.next) +
                              " should follow; restore the directory from a copy");
        const LogPosition from = entry.number == place.log ? place.position : log.start();
        const auto take = [&](const LogFrame& frame) {
            if (frame.sequence != place.next) return;  // applied before a failure
            apply(index, log, frame, additions);
            ++place.next;
        };
        const bool active = &entry == &manifest.logs.back();
        const LogPosition to = active ? read_active(log, from, take) : log.read_rest(from, take);
        place = {entry.number, to, to.next_sequence};
    }
}

bool Store::refresh() {
    if (options_.writable) return false;
    const Maintenance now_maintaining(*this);
    const uint64_t before = place_.next;
    for (;;) {
        const Manifest manifest = read_manifest(directory_);
        try {
            if (place_.next > manifest.sealed) {  // all that was sealed is here: only logs are new
                follow(index_, manifest, place_, nullptr);
            } else {
                Index fresh(manifest.bits, manifest.model);
                std::vector<SegmentPtr> segments = segments_;
                fill(fresh, manifest, segments);
                Place place;
                place.next = manifest.sealed + 1;
                Additions additions;
                follow(fresh, manifest, place, &additions);
                additions.flush(fresh);
                index_.assign(fresh);
                segments_ = segments;
                place_ = place;
            }
            if (manifest.model != index_.model()) index_.replay_model(manifest.model);
            std::lock_guard<std::mutex> lock(mutex_);
            manifest_ = manifest;
            sequence_ = place_.next - 1;
            return place_.next != before;
        } catch (const FileError& e) {
            // Between our reading MANIFEST and opening its files a compaction may have replaced them; its
            // files go after the MANIFEST that named them.
            if (e.code == ENOENT && read_manifest(directory_).generation != manifest.generation) continue;
            if (e.code == ENOENT)
                throw FormatError(std::string(e.what()) +
                                  ", and the manifest names it; restore the directory from a copy");
            throw StoreError(e.what(), e.code);
        }
    }
}

// ---- changes ----

void Store::fail(const std::string& why) noexcept {
    try {
        failed_ = why;
    } catch (...) {
        failed_.assign(1, '?');
    }
}

std::unique_lock<std::mutex> Store::lock_usable() const {
    const auto refuse = [&](const std::string& why) { throw StoreError("store '" + directory_ + "' " + why); };
    if (!options_.writable) refuse("is open for reading; open it with mode=\"rw\" to change it");
    if (process_id() != owner_) refuse("was opened before this process was forked; open it in the process that writes");
    std::unique_lock<std::mutex> lock(mutex_);
    if (closed_) refuse("is closed; open it again");
    if (!failed_.empty()) refuse("takes no more changes: " + failed_ + "; search still works, open it again to write");
    check_still_ours();
    return lock;
}

// The lock is one of a file: where another one has its name by now, there may be another writer, and what we wrote
// would destroy that one's store.
void Store::check_still_ours() const {
    if (lock_ && !lock_.has_its_name())
        throw StoreError("the directory of store '" + directory_ +
                         "' was removed or replaced while it was open for writing; nothing more is written there, "
                         "search still works: save() writes what it holds to a file");
}

void Store::record(Kind kind, const uint8_t* codes, size_t n, const int64_t* ids, int64_t first_id) {
    const auto lock = lock_usable();
    if (unapplied_)
        throw StoreError("store '" + directory_ +
                         "' holds a change that this process could not apply (out of memory); open it again");
    try {
        log_->append(kind, codes, n, ids, first_id);
    } catch (const FileError& e) {
        if (!log_->usable()) fail(e.what());
        throw StoreError(
            std::string(e.what()) +
                (log_->usable()
                     ? "; nothing of this call was stored, all before it is safe; free space and repeat the call"
                     : "; all before this call is safe; open the store again to see whether it was stored"),
            e.code);
    }
    unapplied_ = true;
    ++sequence_;
    log_rows_ += n;
    if (log_rows_ < rotate_at_) return;
    try {
        begin_log(log_->position().next_sequence);
    } catch (const std::exception& e) {  // the change itself is safe: the old log goes on, if it may
        trouble_ = e.what();
        rotate_at_ = log_rows_ + seal_rows_;
    }
}

void Store::record_model(const std::string& model) {
    const auto lock = lock_usable();
    Manifest next = manifest_;
    next.model = model;
    try {
        publish(next);
    } catch (const FileError& e) {
        throw StoreError(std::string(e.what()) + "; the model was not stored", e.code);
    }
}

// Where the directory cannot be flushed, a crash may leave either manifest: whatever were written now
// might belong to a log that only the other one names. So nothing more is.
void Store::publish(Manifest next) {
    if (closed_ || process_id() != owner_)  // the directory is another writer's
        throw StoreError("store '" + directory_ +
                         "' was closed; nothing more is published, what was acknowledged is safe");
    check_still_ours();
    next.next_file = std::max(next.next_file, manifest_.next_file);
    next.generation = manifest_.generation + 1;
    replace_manifest(directory_, next);
    manifest_ = std::move(next);
    try {
        sync_directory(directory_);
    } catch (const FileError& e) {
        fail(e.what());
        throw;
    }
}

// A new active log; the one before it waits to be sealed.
void Store::begin_log(uint64_t first_sequence) {
    const uint64_t number = manifest_.next_file++;
    const std::string path = log_path(directory_, number);
    try {
        Log fresh = Log::create(path, manifest_.bits, number, first_sequence);
        fresh.resume(fresh.start(), new_session());
        sync_directory(directory_);  // a manifest must not name a file that a crash takes away
        Manifest next = manifest_;
        next.logs.push_back({number, first_sequence});
        publish(std::move(next));
        log_ = std::move(fresh);
    } catch (...) {
        if (failed_.empty()) discard_file(path);
        throw;
    }
    log_rows_ = 0;
    rotate_at_ = seal_rows_;
    worker_->wake.notify_all();
}

StoreInfo Store::info() {
    std::lock_guard<std::mutex> lock(mutex_);
    StoreInfo info{};
    info.generation = manifest_.generation;
    info.segments = manifest_.segments.size();
    info.logs = manifest_.logs.size();
    for (const SegmentEntry& segment : manifest_.segments) {
        info.sealed_rows += segment.rows;
        info.dead_rows += segment.rows - segment.live;
    }
    info.log_bytes = log_ ? log_->position().offset : 0;
    info.sequence = sequence_;
    info.trouble = failed_.empty() ? trouble_ : failed_;
    return info;
}

}  // namespace vhash
