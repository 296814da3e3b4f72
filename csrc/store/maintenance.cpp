// Sealing logs and merging segments: files become other files, and a new MANIFEST makes it so. The
// index in memory is not touched. Old files go last: who has them mapped keeps them.
#include <algorithm>

#include "store/store.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {
constexpr uint64_t kStep = 4096;  // rows that are written before it is asked whether to go on
}

// The background thread: woken by a full log, it works until nothing is left to do.
void Store::work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
        if (manifest_.logs.size() < 2) {
            worker_->wake.wait(lock, [&] { return stop_ || manifest_.logs.size() > 1; });
            continue;
        }
        lock.unlock();
        std::string trouble;
        try {
            const Maintenance maintenance(*this);
            maintain();
        } catch (const std::exception& e) {
            trouble = e.what();
        }
        lock.lock();
        if (stop_) return;
        trouble_ = trouble;
        // After a failure (a full disk) the logs stay as they are; the next full log tries again.
        if (!trouble.empty()) {
            const uint64_t seen = manifest_.generation;
            worker_->wake.wait(lock, [&] { return stop_ || manifest_.generation != seen; });
        }
    }
}

void Store::go_on() const {
    if (stop_)
        throw StoreError("store '" + directory_ +
                         "' was closed while it was compacted; nothing is lost, open it and compact it again");
    poll();
}

void Store::maintain() {
    check_still_ours();
    const auto stopped = [&] {
        std::lock_guard<std::mutex> lock(mutex_);
        return stop_ || !failed_.empty();
    };
    while (!stopped() && seal_next()) {}
    while (!stopped()) {
        const std::vector<size_t> chosen = worth_merging(segments_);
        if (chosen.empty()) return;
        merge_segments(chosen);
    }
}

// Seals the oldest log that is no longer active; returns whether there was one.
bool Store::seal_next() {
    LogEntry entry;
    uint64_t segment_number, first_live_number;
    Manifest base;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (manifest_.logs.size() < 2) return false;
        entry = manifest_.logs.front();
        segment_number = manifest_.next_file++;
        first_live_number = manifest_.next_file;
        manifest_.next_file += segments_.size();
        base = manifest_;
    }
    const Log log = Log::open(log_path(directory_, entry.number), base.bits, entry.number, entry.first_sequence, false);
    Changes changes(base.bits);
    const LogPosition end = log.read_rest(log.start(), [&](const LogFrame& frame) {
        go_on();
        changes.take(frame);
    });
    changes.settle();
    const int64_t next_id = changes.next_id(base.next_id);

    std::vector<SegmentPtr> segments = segments_;
    std::vector<std::string> old_files{log.path()};
    for (size_t i = 0; i < segments.size(); ++i) {
        go_on();
        auto changed = std::make_shared<Segment>(*segments[i]);
        const uint64_t died = bury(*segments[i], changes.superseded(), &changed->live);
        if (!died) continue;
        if (changed->entry.live_number) old_files.push_back(live_path(directory_, changed->entry.live_number));
        changed->entry.live -= died;
        changed->entry.live_number = first_live_number + i;
        write_live(directory_, changed->entry.live_number, changed->entry, changed->live);
        segments[i] = changed;
    }
    if (!changes.empty())
        segments.push_back(
            write_segment(base, segment_number, next_id, [&](const RowVisitor& visit) { changes.visit(visit); }));

    std::lock_guard<std::mutex> lock(mutex_);
    Manifest next = manifest_;
    next.logs.erase(next.logs.begin());
    next.sealed = end.next_sequence - 1;
    next.next_id = next_id;
    publish_segments(std::move(next), std::move(segments), old_files);
    return true;
}

void Store::merge_segments(const std::vector<size_t>& chosen) {
    uint64_t number;
    Manifest base;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        number = manifest_.next_file++;
        base = manifest_;
    }
    std::vector<SegmentPtr> merged, segments;
    std::vector<std::string> old_files;
    uint64_t live = 0;
    for (size_t i = 0; i < segments_.size(); ++i) {
        if (std::find(chosen.begin(), chosen.end(), i) == chosen.end()) {
            segments.push_back(segments_[i]);
            continue;
        }
        const SegmentEntry& entry = segments_[i]->entry;
        merged.push_back(segments_[i]);
        live += entry.live;
        old_files.push_back(segment_path(directory_, entry.number));
        if (entry.live_number) old_files.push_back(live_path(directory_, entry.live_number));
    }
    if (live)
        segments.push_back(
            write_segment(base, number, base.next_id, [&](const RowVisitor& visit) { merge(merged, visit); }));
    std::lock_guard<std::mutex> lock(mutex_);
    publish_segments(manifest_, std::move(segments), old_files);
}

// A new segment file, read back: the rows it was made from go only when it is known to be whole.
SegmentPtr Store::write_segment(const Manifest& manifest, uint64_t number, int64_t next_id, const Rows& rows) const {
    const std::string path = segment_path(directory_, number);
    try {
        write_index_file(path, Before::whatever, manifest.bits, manifest.model, next_id, [&](const RowVisitor& visit) {
            uint64_t seen = 0;
            rows([&](int64_t id, const uint64_t* code) {
                if (seen++ % kStep == 0) go_on();
                visit(id, code);
            });
        });
        go_on();
        const IndexFile file = read_index_file(path, true, false);
        const SegmentEntry entry{number, file.count, file.count, file.file_size, 0, file.checksum, 0};
        return open_segment(directory_, manifest, entry);
    } catch (...) {
        discard_file(path);  // nothing names it, and its number is not given out again
        throw;
    }
}

void Store::publish_segments(Manifest next, std::vector<SegmentPtr> segments,
                             const std::vector<std::string>& old_files) {
    next.segments.clear();
    for (const SegmentPtr& segment : segments) next.segments.push_back(segment->entry);
    publish(std::move(next));
    segments_ = std::move(segments);
    for (const std::string& path : old_files) discard_file(path);
}

void Store::compact() {
    lock_usable().unlock();
    const Maintenance maintenance(*this);
    try {
        go_on();
        {
            const auto lock = lock_usable();
            if (log_->position().next_sequence > manifest_.logs.back().first_sequence)
                begin_log(log_->position().next_sequence);
        }
        while (seal_next()) go_on();
        std::vector<size_t> all;
        bool dead = false;
        for (size_t i = 0; i < segments_.size(); ++i) {
            all.push_back(i);
            dead = dead || segments_[i]->entry.live < segments_[i]->entry.rows;
        }
        if (all.size() > 1 || dead) merge_segments(all);
    } catch (const FileError& e) {
        throw StoreError(std::string(e.what()) + "; nothing is lost, free space and repeat the call", e.code);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    trouble_.clear();
}

}  // namespace vhash
