#include "index/rows.hpp"

#include <algorithm>
#include <cstring>

#include "system/machine.hpp"

namespace vhash {
namespace {

constexpr size_t kChunkBytes = size_t{4} << 20;
constexpr size_t kFirstRows = 64;

// Codes are scanned from end to end, so whole huge pages pay: fewer TLB misses, longer prefetches.
template <class T>
std::shared_ptr<T> allocate(size_t count) {
    const size_t bytes = std::max<size_t>(64, count * sizeof(T));
    const size_t align = bytes >= kHugePage ? kHugePage : 64;
    return std::shared_ptr<T>(static_cast<T*>(aligned_memory(align, bytes)), free_aligned);
}

std::shared_ptr<uint64_t> copy_live(const Chunk& chunk) {
    const size_t n = (std::max(chunk.capacity, chunk.rows) + 63) / 64;
    auto bitmap = allocate<uint64_t>(n);
    if (chunk.live) std::memcpy(bitmap.get(), chunk.live.get(), n * 8);
    else std::memset(bitmap.get(), 0xff, n * 8);
    return bitmap;
}

}  // namespace

const Chunk& Snapshot::chunk_of(uint64_t row) const {
    const auto after =
        std::upper_bound(chunks.begin(), chunks.end(), row, [](uint64_t r, const Chunk& c) { return r < c.start; });
    return *(after - 1);
}

std::shared_ptr<Snapshot> empty_snapshot(unsigned bits) {
    static std::atomic<uint64_t> generations{0};
    auto empty = std::make_shared<Snapshot>();
    empty->bits = bits;
    empty->words = (bits + 63) / 64;
    empty->generation = ++generations;
    empty->adaptive = std::make_shared<Adaptive>();
    return empty;
}

size_t chunk_rows(size_t words) { return std::max<size_t>(4096, kChunkBytes / (8 * words)) / 64 * 64; }

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

Draft::Draft(const Snapshot& base) : next(std::make_shared<Snapshot>(base)) { own_live.resize(next->chunks.size()); }

void Draft::kill(uint64_t row) {
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

void Draft::push(Chunk chunk) {
    chunk.start = next->rows;
    next->rows += chunk.rows;
    next->live += chunk.live_rows;
    next->chunks.push_back(std::move(chunk));
    own_live.push_back(false);
}

// Makes room behind the last chunk, in place where its memory has some, and returns it.
Chunk& Draft::room(size_t wanted, size_t words) {
    const size_t full = chunk_rows(words);
    if (next->chunks.empty() || next->chunks.back().capacity <= next->chunks.back().rows) {
        const bool small = !next->chunks.empty() && next->chunks.back().capacity < full &&
                           size_t{next->chunks.back().rows} * 2 <= full;
        if (!small) {
            Chunk fresh;
            fresh.capacity = static_cast<uint32_t>(std::min(full, (std::max(wanted, kFirstRows) + 63) / 64 * 64));
            fresh.codes = allocate<uint64_t>(fresh.capacity * words);
            push(fresh);
            return next->chunks.back();
        }
        enlarge(next->chunks.back(),
                std::min(full, std::max<size_t>(wanted, next->chunks.back().rows) + next->chunks.back().rows), words);
    }
    return next->chunks.back();
}

// The last chunk moves to larger memory; readers keep the old one.
void Draft::enlarge(Chunk& chunk, size_t capacity, size_t words) {
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

// Ids that run on from those of the chunk take no memory.
void Draft::write_ids(Chunk& chunk, const int64_t* ids, int64_t first, size_t count) {
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

}  // namespace vhash
