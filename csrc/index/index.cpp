#include "index/index.hpp"

#include "index/multi_index.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace vhash {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kChunkBytes = size_t{4} << 20;
constexpr size_t kFirstRows = 64;

// Codes are scanned from end to end, so whole huge pages pay: fewer TLB misses, longer prefetches.
template <class T>
std::shared_ptr<T> allocate(size_t count) {
    const size_t bytes = std::max<size_t>(64, count * sizeof(T));
    const size_t align = bytes >= kHugePage ? kHugePage : 64;
    void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
    if (!memory) throw std::bad_alloc();
    if (align == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
    return std::shared_ptr<T>(static_cast<T*>(memory), [](T* p) { std::free(p); });
}

// Rows of a full chunk: a multiple of a bitmap word, about kChunkBytes of codes.
size_t chunk_rows(size_t words) { return std::max<size_t>(4096, kChunkBytes / (8 * words)) / 64 * 64; }

std::shared_ptr<uint64_t> copy_live(const Chunk& chunk) {
    const size_t n = (std::max(chunk.capacity, chunk.rows) + 63) / 64;
    auto bitmap = allocate<uint64_t>(n);
    if (chunk.live) std::memcpy(bitmap.get(), chunk.live.get(), n * 8);
    else std::memset(bitmap.get(), 0xff, n * 8);
    return bitmap;
}

uint64_t mix(uint64_t x) {  // splitmix64 finaliser
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// A new numbering of rows begins with each: no two have the same generation.
std::shared_ptr<Snapshot> empty_snapshot(unsigned bits) {
    static std::atomic<uint64_t> generations{0};
    auto empty = std::make_shared<Snapshot>();
    empty->bits = bits;
    empty->words = (bits + 63) / 64;
    empty->generation = ++generations;
    empty->adaptive = std::make_shared<Adaptive>();
    return empty;
}

bool ascending(const int64_t* ids, size_t n) {
    return std::adjacent_find(ids, ids + n, [](int64_t a, int64_t b) { return a >= b; }) == ids + n;
}

}  // namespace

const Chunk& Snapshot::chunk_of(uint64_t row) const {
    const auto after = std::upper_bound(chunks.begin(), chunks.end(), row,
                                        [](uint64_t r, const Chunk& c) { return r < c.start; });
    return *(after - 1);
}

bool is_model(const std::string& text) {
    return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

namespace {
void check_model(const std::string& model) {
    if (!is_model(model)) throw std::invalid_argument("a model's fingerprint has at most 64 characters, printable ASCII; see ModelSpec.fingerprint");
}
}  // namespace

void pack_rows(const uint8_t* codes, size_t n, unsigned bits, uint64_t* rows) {
    const size_t bytes = (bits + 7) / 8, words = (bits + 63) / 64;
    if (bits % 64 == 0) {
        if (n) std::memcpy(rows, codes, n * bytes);
        return;
    }
    const uint64_t mask = (uint64_t{1} << (bits % 64)) - 1;
    for (size_t i = 0; i < n; ++i, rows += words, codes += bytes) {
        rows[words - 1] = 0;
        std::memcpy(rows, codes, bytes);
        rows[words - 1] &= mask;
    }
}

// ---- IdMap: open addressing over rows; the ids themselves are read from the chunks ----

size_t IdMap::slot(int64_t id) const { return mix(static_cast<uint64_t>(id)) & (rows_.size() - 1); }

void IdMap::clear() {
    rows_.clear();
    used_ = count_ = 0;
}

void IdMap::grow(const Snapshot& snapshot) {
    std::vector<uint32_t> old;
    size_t size = 64;
    while (size < 3 * (count_ + 1)) size *= 2;
    old.swap(rows_);
    rows_.assign(size, kNone);
    used_ = count_;
    for (const uint32_t row : old) {
        if (row >= kErased) continue;
        size_t at = slot(snapshot.id(row));
        while (rows_[at] != kNone) at = (at + 1) & (size - 1);
        rows_[at] = row;
    }
}

// All live rows at once: a block's slots are on their way from memory while the block before is placed.
void IdMap::build(const Snapshot& snapshot) {
    constexpr size_t kBlock = 64;
    size_t size = 64;
    while (size < 2 * (snapshot.live + 1)) size *= 2;
    rows_.assign(size, kNone);
    used_ = count_ = snapshot.live;
    std::pair<size_t, uint32_t> block[kBlock];
    size_t filled = 0;
    const auto place = [&] {
        for (size_t i = 0; i < filled; ++i) {
            size_t at = block[i].first;
            while (rows_[at] != kNone) at = (at + 1) & (size - 1);
            rows_[at] = block[i].second;
        }
        filled = 0;
    };
    for (const Chunk& chunk : snapshot.chunks)
        for (size_t r = 0; r < chunk.rows; ++r) {
            if (!chunk.is_live(r)) continue;
            block[filled] = {slot(chunk.id(r)), static_cast<uint32_t>(chunk.start + r)};
            __builtin_prefetch(&rows_[block[filled].first], 1);
            if (++filled == kBlock) place();
        }
    place();
}

void IdMap::insert(const Snapshot& snapshot, int64_t id, uint32_t row) {
    if (4 * (used_ + 1) > 3 * rows_.size()) grow(snapshot);
    size_t at = slot(id);
    while (rows_[at] != kNone) at = (at + 1) & (rows_.size() - 1);
    rows_[at] = row;
    ++used_;
    ++count_;
}

uint32_t IdMap::find(const Snapshot& snapshot, int64_t id) const {
    if (rows_.empty()) return kNone;
    for (size_t at = slot(id); rows_[at] != kNone; at = (at + 1) & (rows_.size() - 1))
        if (rows_[at] != kErased && snapshot.id(rows_[at]) == id) return rows_[at];
    return kNone;
}

void IdMap::erase(const Snapshot& snapshot, int64_t id) {
    for (size_t at = slot(id); rows_[at] != kNone; at = (at + 1) & (rows_.size() - 1)) {
        if (rows_[at] == kErased || snapshot.id(rows_[at]) != id) continue;
        rows_[at] = kErased;
        --count_;
        return;
    }
}

// ---- Draft: edits on a private copy of the snapshot; codes are shared ----

struct Index::Draft {
    std::shared_ptr<Snapshot> next;
    std::vector<bool> own_live;  // chunks whose bitmap was copied for this draft

    explicit Draft(const Snapshot& base) : next(std::make_shared<Snapshot>(base)) {
        own_live.resize(next->chunks.size());
    }

    void kill(uint64_t row) {
        const size_t at = static_cast<size_t>(&next->chunk_of(row) - next->chunks.data());
        Chunk& chunk = next->chunks[at];
        if (!own_live[at]) {
            chunk.live = copy_live(chunk);
            own_live[at] = true;
        }
        const size_t r = row - chunk.start;
        const_cast<uint64_t*>(chunk.live.get())[r / 64] &= ~(uint64_t{1} << (r % 64));
        --chunk.live_rows;
        --next->live;
    }

    void push(Chunk chunk) {
        chunk.start = next->rows;
        next->rows += chunk.rows;
        next->live += chunk.live_rows;
        next->chunks.push_back(std::move(chunk));
        own_live.push_back(false);
    }

    // Makes room behind the last chunk, in place where its memory has some, and returns it.
    Chunk& room(size_t wanted, size_t words) {
        const size_t full = chunk_rows(words);
        if (next->chunks.empty() || next->chunks.back().capacity <= next->chunks.back().rows) {
            const bool small = !next->chunks.empty() && next->chunks.back().capacity < full &&
                               size_t{next->chunks.back().rows} * 2 <= full;
            if (!small) {
                Chunk fresh;
                fresh.capacity = static_cast<uint32_t>(
                    std::min(full, (std::max(wanted, kFirstRows) + 63) / 64 * 64));
                fresh.codes = allocate<uint64_t>(fresh.capacity * words);
                push(fresh);
                return next->chunks.back();
            }
            enlarge(next->chunks.back(), std::min(full, std::max<size_t>(wanted, next->chunks.back().rows) +
                                                            next->chunks.back().rows), words);
        }
        return next->chunks.back();
    }

    // The last chunk moves to larger memory; readers keep the old one.
    void enlarge(Chunk& chunk, size_t capacity, size_t words) {
        capacity = (capacity + 63) / 64 * 64;
        auto codes = allocate<uint64_t>(capacity * words);
        std::memcpy(codes.get(), chunk.codes.get(), size_t{chunk.rows} * words * 8);
        if (chunk.ids) {
            auto ids = allocate<int64_t>(capacity);
            std::memcpy(ids.get(), chunk.ids.get(), size_t{chunk.rows} * 8);
            chunk.ids = ids;
        }
        if (chunk.live) {
            auto live = allocate<uint64_t>(capacity / 64);
            std::memset(live.get(), 0xff, capacity / 8);
            std::memcpy(live.get(), chunk.live.get(), (chunk.rows + 63) / 64 * 8);
            chunk.live = live;
            own_live.back() = true;
        }
        chunk.codes = codes;
        chunk.capacity = static_cast<uint32_t>(capacity);
    }

    // Appends rows; `row(i, destination)` writes the i-th code. ids null: first_id + i.
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

    // Ids that run on from those of the chunk take no memory.
    static void write_ids(Chunk& chunk, const int64_t* ids, int64_t first, size_t count) {
        if (chunk.rows == 0) chunk.id_base = ids ? ids[0] : first;
        if (!chunk.ids) {
            const int64_t expected = chunk.id_base + static_cast<int64_t>(chunk.rows);
            bool runs_on = ids ? true : first == expected;
            for (size_t i = 0; ids && i < count && runs_on; ++i) runs_on = ids[i] == expected + static_cast<int64_t>(i);
            if (runs_on) return;
            auto fresh = allocate<int64_t>(chunk.capacity);
            for (size_t r = 0; r < chunk.rows; ++r) fresh.get()[r] = chunk.id_base + static_cast<int64_t>(r);
            chunk.ids = fresh;
        }
        int64_t* out = const_cast<int64_t*>(chunk.ids.get()) + chunk.rows;
        for (size_t i = 0; i < count; ++i) out[i] = ids ? ids[i] : first + static_cast<int64_t>(i);
    }
};

// ---- Index ----

Index::Index(unsigned bits, std::string model) : bits_(bits), words_((bits + 63) / 64), model_(std::move(model)) {
    if (bits < 1 || bits > kMaxBits)
        throw std::invalid_argument("bits=" + std::to_string(bits) + ": a code has between 1 and " + std::to_string(kMaxBits) + " bits");
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

void Index::set_model(const std::string& model) {
    check_model(model);
    if (journal_) journal_->record_model(model);
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
    auto after = std::partition_point(chunks.begin(), chunks.end(), [&](const Chunk& c) { return c.rows == 0 || c.id(0) <= id; });
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
            throw std::invalid_argument("id " + std::to_string(*twice) + " comes twice; ids are unique within an index");
    }
    for (size_t i = 0; i < n; ++i) {
        if (ids[i] == std::numeric_limits<int64_t>::max())
            throw std::invalid_argument("id " + std::to_string(ids[i]) + " is reserved; ids are below it");
        const uint32_t row = row_of(snapshot, ids[i]);
        if (row == IdMap::kNone) continue;
        if (!may_exist)
            throw std::invalid_argument("id " + std::to_string(ids[i]) + " is already in the index; replace its code with upsert() or choose another");
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
        throw std::invalid_argument("an index holds at most " + std::to_string(kMaxRows) + " codes; spread them over several");
}

}  // namespace

int64_t Index::add(const uint8_t* codes, size_t n, const int64_t* ids) {
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
    if (journal_) journal_->record(Journal::Kind::add, codes, n, ids, first);
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_)
        for (size_t i = 0; i < n; ++i)
            id_map_.insert(*draft.next, ids ? ids[i] : first + static_cast<int64_t>(i), static_cast<uint32_t>(base->rows + i));
    set_next_id(1 + (ids ? *std::max_element(ids, ids + n) : first + static_cast<int64_t>(n) - 1));
    publish(draft);
    if (journal_) journal_->applied();
    return first;
}

void Index::upsert(const uint8_t* codes, size_t n, const int64_t* ids) {
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
    if (journal_) journal_->record(Journal::Kind::upsert, codes, n, ids, 0);
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_) {
        for (const uint32_t row : replaced) id_map_.erase(*base, base->id(row));
        for (size_t i = 0; i < n; ++i) id_map_.insert(*draft.next, ids[i], static_cast<uint32_t>(base->rows + i));
    }
    set_next_id(1 + *std::max_element(ids, ids + n));
    compact(draft);
    publish(draft);
    if (journal_) journal_->applied();
}

size_t Index::remove(const int64_t* ids, size_t n) {
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
    if (journal_) {
        std::vector<int64_t> removed;
        for (const uint32_t row : rows) removed.push_back(base->id(row));
        journal_->record(Journal::Kind::remove, nullptr, removed.size(), removed.data(), 0);
    }
    std::unique_lock<std::shared_mutex> lock(map_);
    if (mapped_)
        for (const uint32_t row : rows) id_map_.erase(*base, base->id(row));
    compact(draft);
    publish(draft);
    if (journal_) journal_->applied();
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

void Index::attach(std::shared_ptr<const uint64_t> codes, size_t n, std::shared_ptr<const int64_t> ids,
                   int64_t id_base, const uint64_t* live, bool unique) {
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

void Index::build_multi_index(unsigned threads, bool now) {
    SnapshotPtr base = snapshot();
    const uint64_t covered = base->multi ? base->multi->rows() : 0;
    if (!now && (base->rows < kMultiMinRows || base->adaptive->saved < MultiIndex::build_cost(bits_, base->rows))) return;
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
