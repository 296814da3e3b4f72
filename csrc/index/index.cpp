#include "index/index.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "hamming/hamming.hpp"
#include "index/file.hpp"
#include "index/model.hpp"
#include "index/multi_index.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

bool ascending(const int64_t* ids, size_t n) {
    return std::adjacent_find(ids, ids + n, [](int64_t a, int64_t b) { return a >= b; }) == ids + n;
}

}  // namespace

Index::Index(unsigned bits, std::string model) : bits_(bits), words_((bits + 63) / 64), model_(std::move(model)) {
    if (bits < 1 || bits > kMaxBits)
        throw std::invalid_argument("bits=" + std::to_string(bits) + ": a code has between 1 and " +
                                    std::to_string(kMaxBits) + " bits");
    check_model(model_);
    snapshot_ = empty_snapshot(bits_);
}

SnapshotPtr Index::snapshot() const {
    std::lock_guard<std::mutex> lock(current_);
    return snapshot_;
}

std::string Index::model() const {
    std::lock_guard<std::mutex> lock(current_);
    return model_;
}

void Index::change_model(const std::string& model, Journal* journal) {
    check_model(model);
    if (journal) journal->record_model(model);
    std::lock_guard<std::mutex> lock(current_);
    model_ = model;
}

int64_t Index::next_id() const {
    std::lock_guard<std::mutex> lock(current_);
    return next_id_;
}

void Index::set_next_id(int64_t next) {
    std::lock_guard<std::mutex> lock(current_);
    next_id_ = std::max(next_id_, next);
}

void Index::publish(Draft& draft) {
    std::lock_guard<std::mutex> lock(current_);
    snapshot_ = std::move(draft.next);
}

uint32_t Index::row_of(const Snapshot& snapshot, int64_t id) const {
    if (mapped_) return id_map_.find(snapshot, id);
    const auto& chunks = snapshot.chunks;  // ordered: ids ascend over the rows
    auto after = std::partition_point(chunks.begin(), chunks.end(),
                                      [&](const Chunk& c) { return c.rows == 0 || c.id(0) <= id; });
    if (after == chunks.begin()) return IdMap::kNone;
    const Chunk& chunk = *(after - 1);
    size_t low = 0, high = chunk.rows;
    if (!chunk.ids) {
        low = static_cast<uint64_t>(id) - static_cast<uint64_t>(chunk.id_base);
        high = std::min<size_t>(low + 1, high);
    }
    while (low + 1 < high) {
        const size_t middle = (low + high) / 2;
        (chunk.id(middle) <= id ? low : high) = middle;
    }
    const bool found = low < chunk.rows && chunk.id(low) == id && chunk.is_live(low);
    return found ? static_cast<uint32_t>(chunk.start + low) : IdMap::kNone;
}

bool Index::contains(int64_t id) const {
    uint32_t row;
    find_rows(&id, 1, &row);
    return row != IdMap::kNone;
}

SnapshotPtr Index::find_rows(const int64_t* ids, size_t n, uint32_t* rows) const {
    std::shared_lock<std::shared_mutex> lock(map_);
    SnapshotPtr now = snapshot();
    if (!now->ordered && !mapped_) {  // attached rows: the first to ask for an id builds the map
        lock.unlock();
        std::lock_guard<std::mutex> writer(writer_);
        need_map(*snapshot());
        lock.lock();
        now = snapshot();
    }
    const Chunk* last = nullptr;  // neighbours often share a chunk whose ids run on
    for (size_t i = 0; i < n; ++i) {
        const uint64_t r = last ? static_cast<uint64_t>(ids[i]) - static_cast<uint64_t>(last->id_base) : 0;
        if (last && r < last->rows) {
            rows[i] = last->is_live(r) ? static_cast<uint32_t>(last->start + r) : IdMap::kNone;
            continue;
        }
        rows[i] = row_of(*now, ids[i]);
        if (mapped_ || rows[i] == IdMap::kNone) continue;
        const Chunk& chunk = now->chunk_of(rows[i]);
        last = chunk.ids ? nullptr : &chunk;
    }
    return now;
}

void Index::codes(const int64_t* ids, size_t n, uint8_t* out) const {
    std::vector<uint32_t> rows(n);
    const SnapshotPtr now = find_rows(ids, n, rows.data());
    for (size_t i = 0; i < n; ++i) {
        if (rows[i] == IdMap::kNone)
            throw UnknownId("id " + std::to_string(ids[i]) + " is not in the index (" + std::to_string(now->live) +
                            " codes); ask with `in` first");
        std::memcpy(out + i * code_bytes(), now->code(rows[i]), code_bytes());
    }
}

// From here on the ids of `snapshot` are looked up in the map. Called by the writer.
void Index::need_map(const Snapshot& snapshot) const {
    if (mapped_) return;
    IdMap fresh;
    fresh.build(snapshot);
    std::unique_lock<std::shared_mutex> lock(map_);
    id_map_ = std::move(fresh);
    mapped_ = true;
}

// Throws where an id comes twice, or is there already unless it may be; fills `existing` with the rows.
void Index::check_new(const Snapshot& snapshot, const int64_t* ids, size_t n, bool may_exist,
                      std::vector<uint32_t>* existing) {
    if (!ascending(ids, n)) {
        std::vector<int64_t> sorted(ids, ids + n);
        std::sort(sorted.begin(), sorted.end());
        const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
        if (twice != sorted.end())
            throw std::invalid_argument("id " + std::to_string(*twice) +
                                        " comes twice; ids are unique within an index");
    }
    for (size_t i = 0; i < n; ++i) {
        if (ids[i] == std::numeric_limits<int64_t>::max())
            throw std::invalid_argument("id " + std::to_string(ids[i]) + " is reserved; ids are below it");
        const uint32_t row = row_of(snapshot, ids[i]);
        if (row == IdMap::kNone) continue;
        if (!may_exist)
            throw std::invalid_argument("id " + std::to_string(ids[i]) +
                                        " is already in the index; replace its code with upsert() or choose another");
        existing->push_back(row);
    }
}

namespace {

// Whether rows with these ids can follow without breaking the ascending order.
bool stays_ordered(const Snapshot& s, const int64_t* ids, size_t n) {
    return s.ordered && (s.rows == 0 || s.id(s.rows - 1) < ids[0]) && ascending(ids, n);
}

void check_room(const Snapshot& s, size_t n) {
    if (n > kMaxRows || s.rows > kMaxRows - n)
        throw std::invalid_argument("an index holds at most " + std::to_string(kMaxRows) +
                                    " codes; spread them over several");
}

}  // namespace

int64_t Index::add(const uint8_t* codes, size_t n, const int64_t* ids) { return add_rows(codes, n, ids, journal_); }

void Index::upsert(const uint8_t* codes, size_t n, const int64_t* ids) { upsert_rows(codes, n, ids, journal_); }

size_t Index::remove(const int64_t* ids, size_t n) { return remove_rows(ids, n, journal_); }

void Index::set_model(const std::string& model) { change_model(model, journal_); }

void Index::replay(Journal::Kind kind, const uint8_t* codes, size_t n, const int64_t* ids) {
    switch (kind) {
        case Journal::Kind::add: add_rows(codes, n, ids, nullptr); break;
        case Journal::Kind::upsert: upsert_rows(codes, n, ids, nullptr); break;
        case Journal::Kind::remove: remove_rows(ids, n, nullptr); break;
    }
}

void Index::replay_model(const std::string& model) { change_model(model, nullptr); }

int64_t Index::add_rows(const uint8_t* codes, size_t n, const int64_t* ids, Journal* journal) {
    std::lock_guard<std::mutex> writer(writer_);
    const SnapshotPtr base = snapshot();
    const int64_t first = ids && n ? ids[0] : next_id();
    if (n == 0) return first;
    check_room(*base, n);
    if (!ids && first > std::numeric_limits<int64_t>::max() - static_cast<int64_t>(n))
        throw std::invalid_argument("no free ids are left above " + std::to_string(first) + "; pass ids");
    Draft draft(*base);
    if (ids) {
        const bool ordered = stays_ordered(*base, ids, n);
        if (!ordered || ids[n - 1] == std::numeric_limits<int64_t>::max()) {
            need_map(*base);
            check_new(*base, ids, n, false, nullptr);
        }
        draft.next->ordered = ordered;
    }
    draft.append(n, ids, first, words_, [&](size_t from, size_t count, uint64_t* rows) {
        pack_rows(codes + from * code_bytes(), count, bits_, rows);
    });
    if (journal) journal->record(Journal::Kind::add, codes, n, ids, first);
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_)
        for (size_t i = 0; i < n; ++i)
            id_map_.insert(*draft.next, ids ? ids[i] : first + static_cast<int64_t>(i),
                           static_cast<uint32_t>(base->rows + i));
    set_next_id(1 + (ids ? *std::max_element(ids, ids + n) : first + static_cast<int64_t>(n) - 1));
    publish(draft);
    if (journal) journal->applied();
    return first;
}

void Index::upsert_rows(const uint8_t* codes, size_t n, const int64_t* ids, Journal* journal) {
    if (n == 0) return;
    std::lock_guard<std::mutex> writer(writer_);
    const SnapshotPtr base = snapshot();
    check_room(*base, n);
    const bool ordered = stays_ordered(*base, ids, n);
    if (!ordered) need_map(*base);
    std::vector<uint32_t> replaced;
    check_new(*base, ids, n, true, &replaced);
    Draft draft(*base);
    draft.next->ordered = ordered;
    for (const uint32_t row : replaced) draft.kill(row);
    draft.append(n, ids, 0, words_, [&](size_t from, size_t count, uint64_t* rows) {
        pack_rows(codes + from * code_bytes(), count, bits_, rows);
    });
    if (journal) journal->record(Journal::Kind::upsert, codes, n, ids, 0);
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_) {
        for (const uint32_t row : replaced) id_map_.erase(*base, base->id(row));
        for (size_t i = 0; i < n; ++i) id_map_.insert(*draft.next, ids[i], static_cast<uint32_t>(base->rows + i));
    }
    set_next_id(1 + *std::max_element(ids, ids + n));
    compact(draft);
    publish(draft);
    if (journal) journal->applied();
}

size_t Index::remove_rows(const int64_t* ids, size_t n, Journal* journal) {
    std::lock_guard<std::mutex> writer(writer_);
    const SnapshotPtr base = snapshot();
    if (!base->ordered) need_map(*base);
    std::vector<uint32_t> rows;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t row = row_of(*base, ids[i]);
        if (row != IdMap::kNone) rows.push_back(row);
    }
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    if (rows.empty()) return 0;
    Draft draft(*base);
    for (const uint32_t row : rows) draft.kill(row);
    if (journal) {
        std::vector<int64_t> removed;
        for (const uint32_t row : rows) removed.push_back(base->id(row));
        journal->record(Journal::Kind::remove, nullptr, removed.size(), removed.data(), 0);
    }
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_)
        for (const uint32_t row : rows) id_map_.erase(*base, base->id(row));
    compact(draft);
    publish(draft);
    if (journal) journal->applied();
    return rows.size();
}

// When most rows are dead, the live ones move to new chunks: each removal pays for at most one move.
// Row numbers change, so this runs while the writer holds the map.
void Index::compact(Draft& draft) {
    constexpr uint64_t kWorthwhile = 1024;
    const Snapshot& old = *draft.next;
    if (old.rows - old.live <= std::max(old.live, kWorthwhile)) return;
    Snapshot empty = *empty_snapshot(bits_);
    empty.ordered = old.live == 0 || old.ordered;
    empty.adaptive = old.adaptive;
    Draft fresh(empty);
    for (const Chunk& chunk : old.chunks) {
        std::vector<int64_t> ids;
        std::vector<uint32_t> rows;
        for (uint32_t r = 0; r < chunk.rows; ++r) {
            if (!chunk.is_live(r)) continue;
            rows.push_back(r);
            ids.push_back(chunk.id(r));
        }
        if (rows.empty()) continue;
        fresh.append(rows.size(), ids.data(), 0, words_, [&](size_t from, size_t count, uint64_t* out) {
            for (size_t i = 0; i < count; ++i)
                std::memcpy(out + i * words_, chunk.codes.get() + size_t{rows[from + i]} * words_, words_ * 8);
        });
    }
    id_map_.clear();
    mapped_ = !empty.ordered;
    if (mapped_)
        for (const Chunk& chunk : fresh.next->chunks)
            for (size_t r = 0; r < chunk.rows; ++r)
                id_map_.insert(*fresh.next, chunk.id(r), static_cast<uint32_t>(chunk.start + r));
    draft = std::move(fresh);
}

void Index::attach(std::shared_ptr<const uint64_t> codes, size_t n, std::shared_ptr<const int64_t> ids, int64_t id_base,
                   const uint64_t* live, bool unique) {
    if (n == 0) return;
    std::lock_guard<std::mutex> writer(writer_);
    const SnapshotPtr base = snapshot();
    check_room(*base, n);
    const int64_t first = ids ? ids.get()[0] : id_base;
    const int64_t last = ids ? ids.get()[n - 1] : id_base + static_cast<int64_t>(n) - 1;
    const bool after = base->rows == 0 || base->id(base->rows - 1) < first;
    const bool sorted = !ids || ascending(ids.get(), n);
    const bool ordered = base->ordered && after && sorted;
    Draft draft(*base);
    draft.next->ordered = ordered;
    const size_t piece = chunk_rows(words_);
    if (!sorted && !unique) {
        std::vector<int64_t> all(ids.get(), ids.get() + n);
        std::sort(all.begin(), all.end());
        const auto twice = std::adjacent_find(all.begin(), all.end());
        if (twice != all.end()) throw std::invalid_argument("id " + std::to_string(*twice) + " comes twice");
    }
    const int64_t largest = sorted ? last : *std::max_element(ids.get(), ids.get() + n);
    for (size_t from = 0; from < n; from += piece) {
        const size_t count = std::min(piece, n - from);
        Chunk chunk;
        chunk.codes = std::shared_ptr<const uint64_t>(codes, codes.get() + from * words_);
        if (ids) chunk.ids = std::shared_ptr<const int64_t>(ids, ids.get() + from);
        chunk.id_base = id_base + static_cast<int64_t>(from);
        chunk.rows = chunk.capacity = chunk.live_rows = static_cast<uint32_t>(count);
        draft.push(chunk);
        if (!live) continue;
        for (size_t r = 0; r < count; ++r)
            if (!(live[(from + r) / 64] >> ((from + r) % 64) & 1)) draft.kill(draft.next->chunks.back().start + r);
    }
    if (!ordered && !unique) {
        need_map(*base);
        for (uint64_t row = base->rows; row < draft.next->rows; ++row) {
            if (!draft.next->is_live(row)) continue;
            const int64_t id = draft.next->id(row);
            if (id_map_.find(*base, id) != IdMap::kNone)
                throw std::invalid_argument("id " + std::to_string(id) + " is already in the index");
        }
    }
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_)
        for (uint64_t row = base->rows; row < draft.next->rows; ++row)
            if (draft.next->is_live(row)) id_map_.insert(*draft.next, draft.next->id(row), static_cast<uint32_t>(row));
    set_next_id(largest == std::numeric_limits<int64_t>::max() ? largest : largest + 1);
    publish(draft);
}

void Index::assign(Index& other) {
    std::scoped_lock writers(writer_, other.writer_);
    std::scoped_lock maps(map_, other.map_);
    std::scoped_lock now(current_, other.current_);
    snapshot_ = std::exchange(other.snapshot_, empty_snapshot(bits_));
    id_map_ = std::exchange(other.id_map_, IdMap());
    mapped_ = std::exchange(other.mapped_, false);
    model_ = other.model_;
    next_id_ = std::max(next_id_, other.next_id_);
}

void Index::save(const std::string& path) const {
    check_path(path);
    const SnapshotPtr now = snapshot();
    write_index_file(path, Before::own, bits_, model(), next_id(), [&](const RowVisitor& visit) {
        for (const Chunk& chunk : now->chunks)
            for (size_t r = 0; r < chunk.rows; ++r) {
                if (r % 4096 == 0) poll();
                if (chunk.is_live(r)) visit(chunk.id(r), chunk.codes.get() + r * now->words);
            }
    });
}

std::unique_ptr<Index> Index::load(const std::string& path, bool map, bool verify) {
    check_path(path);
    const IndexFile file = read_index_file(path, map, verify);
    auto index = std::make_unique<Index>(file.bits, file.model);
    try {
        index->attach(file.codes, file.count, file.ids, file.id_base);
    } catch (const std::invalid_argument& e) {
        throw FormatError("index file '" + path + "' is damaged: " + e.what() + "; restore it from a copy");
    }
    index->set_next_id(file.next_id);
    return index;
}

void Index::build_multi_index(unsigned threads, bool now) {
    SnapshotPtr base = snapshot();
    const uint64_t covered = base->multi ? base->multi->rows() : 0;
    if (!now && (base->rows < kMultiMinRows || base->adaptive->saved < MultiIndex::build_cost(bits_, base->rows)))
        return;
    std::unique_lock<std::mutex> building(builder_, std::try_to_lock);
    if (!building) return;  // somebody does
    base->adaptive->saved = 0;
    if (base->rows == covered || base->rows == 0) return;
    auto multi = std::make_shared<const MultiIndex>(*base, threads);
    std::lock_guard<std::mutex> writer(writer_);
    const SnapshotPtr latest = snapshot();
    if (latest->generation != base->generation) return;  // compacted meanwhile: another time
    Draft draft(*latest);
    draft.next->multi = multi;
    publish(draft);
}

}  // namespace vhash
