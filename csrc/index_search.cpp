// Search over a snapshot: which rows are scanned for which queries on which thread.
#include <algorithm>

#include "index.hpp"
#include "threads.hpp"

namespace vhash {
namespace {

constexpr size_t kSerialBytes = size_t{3} << 19;  // below this much work a second thread costs more than it saves
constexpr size_t kTileBytes = size_t{24} << 10;   // codes that a batch keeps in the L1 cache
constexpr size_t kHits = 1024;                    // hits taken from a kernel before the limit is looked at again
constexpr size_t kQueryGroup = 512;               // queries whose state is held at once

// Everything within a radius.
class Within {
  public:
    void reset(uint32_t radius) {
        radius_ = static_cast<int>(radius);
        matches_.clear();
    }
    int limit() const { return radius_; }
    void push(int64_t id, uint32_t distance) { matches_.push_back({id, distance}); }
    void unordered() {}
    const std::vector<Match>& accepted() const { return matches_; }
    const std::vector<Match>& finish() {
        std::sort(matches_.begin(), matches_.end());
        return matches_;
    }

  private:
    int radius_ = 0;
    std::vector<Match> matches_;
};

template <class Sink>
struct Scratch {
    std::vector<Sink> sinks;
    std::vector<Hit> hits = std::vector<Hit>(kHits);
};

template <class Sink>
Scratch<Sink>& scratch() {
    thread_local Scratch<Sink> instance;
    return instance;
}

template <class Sink>
void scan(const Kernels& kernels, const Snapshot& s, const Chunk& chunk, size_t from, size_t to,
          const uint64_t* query, std::vector<Hit>& hits, Sink& sink) {
    while (from < to) {
        const int limit = sink.limit();
        if (limit < 0) return;
        size_t count = 0;
        const uint64_t* live = chunk.live ? chunk.live.get() + from / kGroup : nullptr;
        const size_t done = kernels.scan(chunk.codes.get() + from * s.words, to - from, s.words, query,
                                         static_cast<uint32_t>(limit), live, hits.data(), hits.size(), &count);
        for (size_t i = 0; i < count; ++i) sink.push(chunk.id(from + hits[i].row), hits[i].distance);
        from += done;
    }
}

// Rows [low, high) of the snapshot, queries [0, n) into sinks[0, n): tile by tile, so that a tile is
// read from memory once for all queries.
template <class Sink>
void scan_all(const Kernels& kernels, const Snapshot& s, uint64_t low, uint64_t high, const uint64_t* queries,
              size_t n, std::vector<Hit>& hits, Sink* sinks) {
    const size_t tile = n == 1 ? SIZE_MAX : std::max(kGroup, kTileBytes / (8 * s.words) / kGroup * kGroup);
    for (const Chunk& chunk : s.chunks) {
        // A cut between two threads falls on a group of rows in both.
        const auto inside = [&](uint64_t row) {
            if (row <= chunk.start) return size_t{0};
            return std::min<size_t>(chunk.rows, (row - chunk.start + kGroup - 1) / kGroup * kGroup);
        };
        const size_t end = inside(high);
        for (size_t from = inside(low); from < end;) {
            const size_t to = end - from > tile ? from + tile : end;
            for (size_t q = 0; q < n; ++q) scan(kernels, s, chunk, from, to, queries + q * s.words, hits, sinks[q]);
            from = to;
        }
    }
}

// Runs every query over every row. `reset(sink)` readies a sink, `emit(q, matches)` takes the sorted
// answer of query q, on any thread, once for each q.
template <class Sink, class Reset, class Emit>
void run(const Snapshot& s, const uint64_t* queries, size_t n, unsigned threads, const Reset& reset, const Emit& emit) {
    if (n == 0) return;
    const Kernels& kernel = kernels();
    if (n * s.rows * s.words * 8 < kSerialBytes) threads = 1;
    if (n < threads) {  // few queries: the rows are split
        const size_t parts = s.rows < 4000000 ? threads : 4 * threads;
        std::vector<Sink> sinks(parts * n);
        parallel_for(parts, threads, [&](size_t part) {
            Sink* mine = sinks.data() + part * n;
            for (size_t q = 0; q < n; ++q) reset(mine[q]);
            scan_all(kernel, s, s.rows * part / parts, s.rows * (part + 1) / parts, queries, n, scratch<Sink>().hits, mine);
        });
        for (size_t q = 0; q < n; ++q) {
            sinks[q].unordered();
            for (size_t part = 1; part < parts; ++part)
                for (const Match& m : sinks[part * n + q].accepted()) sinks[q].push(m.id, m.distance);
            emit(q, sinks[q].finish());
        }
        return;
    }
    const size_t groups = std::max<size_t>(threads, (n + kQueryGroup - 1) / kQueryGroup);
    parallel_for(groups, threads, [&](size_t group) {
        const size_t first = n * group / groups, count = n * (group + 1) / groups - first;
        Scratch<Sink>& mine = scratch<Sink>();
        if (mine.sinks.size() < count) mine.sinks.resize(count);
        for (size_t q = 0; q < count; ++q) reset(mine.sinks[q]);
        scan_all(kernel, s, 0, s.rows, queries + first * s.words, count, mine.hits, mine.sinks.data());
        for (size_t q = 0; q < count; ++q) emit(first + q, mine.sinks[q].finish());
    });
}

}  // namespace

size_t search_knn(const Snapshot& s, const uint64_t* queries, size_t n, size_t k, unsigned threads, int64_t* ids,
                  uint16_t* distances) {
    k = std::min<uint64_t>(k, s.live);
    if (k == 0) return 0;
    run<TopK>(
        s, queries, n, threads, [&](TopK& top) { top.reset(k, s.bits, s.ordered); },
        [&](size_t q, const std::vector<Match>& matches) {
            for (size_t i = 0; i < k; ++i) {
                ids[q * k + i] = matches[i].id;
                distances[q * k + i] = static_cast<uint16_t>(matches[i].distance);
            }
        });
    return k;
}

Ranges search_range(const Snapshot& s, const uint64_t* queries, size_t n, uint32_t radius, size_t limit, unsigned threads) {
    radius = std::min<uint32_t>(radius, s.bits);
    std::vector<std::vector<Match>> found(n);
    const auto emit = [&](size_t q, const std::vector<Match>& matches) { found[q] = matches; };
    if (limit < s.live)
        run<TopK>(s, queries, n, threads, [&](TopK& top) { top.reset(limit, radius, s.ordered); }, emit);
    else
        run<Within>(s, queries, n, threads, [&](Within& all) { all.reset(radius); }, emit);
    Ranges out;
    out.splits.push_back(0);
    for (const auto& matches : found) out.splits.push_back(out.splits.back() + matches.size());
    out.matches.reserve(out.splits.back());
    for (const auto& matches : found) out.matches.insert(out.matches.end(), matches.begin(), matches.end());
    return out;
}

}  // namespace vhash
