#include "index/id_map.hpp"

#include <utility>

namespace vhash {
namespace {

uint64_t mix(uint64_t x) {  // splitmix64 finaliser
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

}  // namespace

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

}  // namespace vhash
