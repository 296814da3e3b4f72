// Scans of a snapshot's rows into sinks (topk.hpp), on one thread: row by row, or a batch of queries by tiles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "hamming/hamming.hpp"
#include "index/rows.hpp"
#include "index/topk.hpp"
#include "system/threads.hpp"

namespace vhash {

constexpr size_t kTileBytes = size_t{24} << 10;  // codes that a scan by rows keeps in the L1 cache
constexpr size_t kHits = 1024;                   // hits taken from a kernel before the limit is looked at again
constexpr size_t kPollTiles = 16;                // some milliseconds at most

struct alignas(64) CacheLine {
    uint64_t words[8];
};

// What a thread keeps from call to call, so that a search touches no fresh memory.
template <class Sink>
struct Scratch {
    std::vector<Sink> sinks;
    std::vector<Hit> hits = std::vector<Hit>(kHits);
    std::vector<uint64_t> sample;         // codes
    std::vector<CacheLine> table, batch;  // a tile's codes and the queries as the batch kernel wants them
    std::vector<int> limits;              // those in `batch`
    std::vector<BatchHit> batch_hits;     // of a tile
    std::vector<uint32_t> distances;      // theirs
};

// Lends the thread's own; a search by a signal handler, inside a search of the same thread, gets another.
template <class Sink>
class Lease {
  public:
    Lease() : own_(!lent()), scratch_(own_ ? &instance() : new Scratch<Sink>) {
        if (own_) lent() = true;
    }
    ~Lease() {
        if (own_) lent() = false;
        else delete scratch_;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch<Sink>& operator*() const { return *scratch_; }

  private:
    static Scratch<Sink>& instance() {
        thread_local Scratch<Sink> scratch;
        return scratch;
    }
    static bool& lent() {
        thread_local bool lent = false;
        return lent;
    }
    const bool own_;
    Scratch<Sink>* const scratch_;
};

// Few at first, because each tightens the limit for the next.
inline size_t hits_wanted(const TopK& top) { return std::min(kHits, std::max(2 * kGroup, 2 * top.k())); }
inline size_t hits_wanted(const Within&) { return kHits; }

template <class Sink>
void scan(const Kernels& kernels, const Snapshot& s, const Chunk& chunk, size_t from, size_t to, const uint64_t* query,
          std::vector<Hit>& hits, Sink& sink) {
    while (from < to) {
        const int limit = sink.limit();
        if (limit < 0) return;
        size_t count = 0;
        const uint64_t* live = chunk.live ? chunk.live.get() + from / kGroup : nullptr;
        const size_t done = kernels.scan(chunk.codes.get() + from * s.words, to - from, s.words, query,
                                         static_cast<uint32_t>(limit), live, hits.data(), hits_wanted(sink), &count);
        for (size_t i = 0; i < count; ++i) sink.push(chunk.id(from + hits[i].row), hits[i].distance);
        from += done;
    }
}

// The part of a chunk that lies in rows [low, high) of the snapshot. A cut between two threads falls
// on a group of rows in both.
inline std::pair<size_t, size_t> inside(const Chunk& chunk, uint64_t low, uint64_t high) {
    const auto cut = [&](uint64_t row) {
        if (row <= chunk.start) return size_t{0};
        return std::min<size_t>(chunk.rows, (row - chunk.start + kGroup - 1) / kGroup * kGroup);
    };
    return {cut(low), cut(high)};
}

// Rows [low, high), queries [0, n) into sinks[0, n): tile by tile, so that a tile is read from memory
// once for all queries.
template <class Sink>
void scan_rows(const Kernels& kernels, const Snapshot& s, uint64_t low, uint64_t high, const uint64_t* queries,
               size_t n, Scratch<Sink>& scratch, Sink* sinks) {
    const size_t tile = n == 1 ? SIZE_MAX : std::max(kGroup, kTileBytes / (8 * s.words) / kGroup * kGroup);
    size_t tiles = 0;
    for (const Chunk& chunk : s.chunks) {
        if (chunk.live_rows == 0) continue;
        auto [from, end] = inside(chunk, low, high);
        while (from < end) {
            if (++tiles % kPollTiles == 0) poll();
            const size_t to = end - from > tile ? from + tile : end;
            for (size_t q = 0; q < n; ++q)
                scan(kernels, s, chunk, from, to, queries + q * s.words, scratch.hits, sinks[q]);
            from = to;
        }
    }
}

// After how many words of wide codes a batch kernel looks whether it may stop. What each place has saved
// lately is remembered, its neighbours are tried now and then.
class EarlyOut {
  public:
    explicit EarlyOut(size_t words) : words_(words), best_(words), at_(words - 1) {}

    // 0: not at all.
    size_t place() const { return at_ < words_ ? at_ : 0; }

    // `share` of the queries stopped there.
    void learn(double share) {
        if (words_ < 2) return;
        bool better = false;
        if (at_ < words_) {
            // in words; a branch that goes both ways costs about a third of one whenever it is guessed wrongly
            const double gain = share * static_cast<double>(words_ - at_) - 0.3 * std::min(share, 1 - share);
            better = gain > (best_ == words_ ? 0.05 : best_gain_) && best_ != at_;
            if (better) best_ = at_;
            if (best_ == at_) best_gain_ = gain;
            if (best_gain_ < 0.05) best_ = words_;
        }
        at_ = best_;
        if (++tiles_ % kTry == 0 || better) {
            const bool lower = better || tiles_ / kTry % 2 == 0;
            at_ = lower ? std::max<size_t>(best_ - 1, 1) : std::min(best_ + 1, words_ - 1);
        }
    }

  private:
    static constexpr size_t kTry = 16;
    size_t words_, best_, at_, tiles_ = 0;
    double best_gain_ = 0;
};

// A batch of queries over rows by a batch kernel.
template <class Sink>
class TileScan {
  public:
    TileScan(const Kernels& kernels, const BatchKernels& batch, const Snapshot& s, const uint64_t* queries, size_t n,
             Scratch<Sink>& scratch, Sink* sinks)
        : kernels_(kernels),
          batch_(batch),
          s_(s),
          widest_(static_cast<int>(64 * s.words)),
          queries_(queries),
          n_(n),
          scratch_(scratch),
          sinks_(sinks),
          early_(s.words) {
        const auto lines = [](size_t bytes) { return bytes / sizeof(CacheLine) + 1; };
        scratch.table.resize(lines(batch.table_bytes(s.words)));
        scratch.batch.resize(lines(batch.batch_bytes(s.words, n)));
        scratch.batch_hits.resize(4 * kHits + batch.tile * batch.group);
        scratch.distances.resize(scratch.batch_hits.size());
        scratch.limits.assign(n, kUnset);
        for (size_t q = 0; q < n; ++q) {
            batch.set_query(queries + q * s.words, s.words, q, scratch.batch.data());
            set_limit(q);
        }
    }

    void run(uint64_t low, uint64_t high) {
        size_t tiles = 0;
        for (const Chunk& chunk : s_.chunks) {
            if (chunk.live_rows == 0) continue;
            auto [from, end] = inside(chunk, low, high);
            for (; from + batch_.tile <= end; from += batch_.tile) {
                if (++tiles % kPollTiles == 0) poll();
                tile(chunk, from);
            }
            for (size_t q = 0; q < n_ && from < end; ++q) {
                scan(kernels_, s_, chunk, from, end, queries_ + q * s_.words, scratch_.hits, sinks_[q]);
                set_limit(q);
            }
        }
    }

  private:
    static constexpr int kUnset = -2;
    static constexpr size_t kDense = 8;  // from one hit for so many queries on, to ask each for some costs more

    // A query without a limit yet has every row as a hit: it goes by rows, under a threshold that few meet.
    bool loose(int limit) const { return limit >= widest_; }

    void set_limit(size_t q) {
        const int limit = sinks_[q].limit(), before = scratch_.limits[q];
        if (limit == before) return;
        loose_ += static_cast<size_t>(loose(limit)) - static_cast<size_t>(before != kUnset && loose(before));
        scratch_.limits[q] = limit;
        batch_.set_limit(loose(limit) || limit < 0 ? 0 : static_cast<uint32_t>(limit), s_.words, q,
                         scratch_.batch.data());
    }

    void tile(const Chunk& chunk, size_t from) {
        const uint64_t* codes = chunk.codes.get() + from * s_.words;
        if (loose_) {
            for (size_t q = 0; q < n_; ++q)
                if (loose(scratch_.limits[q]))
                    scan(kernels_, s_, chunk, from, from + batch_.tile, queries_ + q * s_.words, scratch_.hits,
                         sinks_[q]);
            if (loose_ == n_) return refresh();
        }
        batch_.build(codes, s_.words, scratch_.table.data());
        BatchScan scan{scratch_.table.data(), scratch_.batch.data(), s_.words, n_, early_.place(), dense_};
        size_t hit = 0;
        while (scan.next < n_) {
            BatchHit* hits = scratch_.batch_hits.data();
            const size_t count = batch_.scan(scan, hits, scratch_.batch_hits.size());
            hit += count;
            kernels_.measure(codes, s_.words, queries_, hits, count, scratch_.distances.data());
            take(chunk, from, hits, scratch_.distances.data(), count);
        }
        dense_ = hit > n_ / kDense;
        early_.learn(static_cast<double>(scan.given_up) / static_cast<double>(n_));
        if (loose_) refresh();
    }

    void take(const Chunk& chunk, size_t from, const BatchHit* hits, const uint32_t* distances, size_t count) {
        constexpr size_t kAhead = 8;
        for (size_t i = 0; i < count; ++i) {
            if (i + kAhead < count) sinks_[hits[i + kAhead].query].prepare();
            const size_t row = from + hits[i].row, q = hits[i].query;
            if ((loose_ && loose(scratch_.limits[q])) || !chunk.is_live(row)) continue;  // a loose one went by rows
            if (sinks_[q].push(chunk.id(row), distances[i])) set_limit(q);
        }
    }

    void refresh() {
        for (size_t q = 0; q < n_; ++q) set_limit(q);
    }

    const Kernels& kernels_;
    const BatchKernels& batch_;
    const Snapshot& s_;
    const int widest_;
    const uint64_t* queries_;
    const size_t n_;
    Scratch<Sink>& scratch_;
    Sink* sinks_;
    EarlyOut early_;
    size_t loose_ = 0;    // queries whose limit no row exceeds
    bool dense_ = false;  // whether many queries had a hit in the tile before
};

}  // namespace vhash
