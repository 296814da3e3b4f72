// Search over a snapshot: which path answers which query, and which rows are scanned on which thread.
#include <algorithm>
#include <cmath>

#include "hamming/hamming.hpp"
#include "index/multi_index.hpp"
#include "index/search.hpp"
#include "system/files.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr size_t kSerialBytes = size_t{3} << 19;  // below this much work a second thread costs more than it saves
constexpr size_t kTileBytes = size_t{24} << 10;   // codes that a batch keeps in the L1 cache
constexpr size_t kHits = 1024;                    // hits taken from a kernel before the limit is looked at again
constexpr size_t kSparse = 32;                    // one row in this many: below, eligible rows are looked up one by one
constexpr size_t kQueryGroup = 1024;              // queries whose state is held at once
constexpr size_t kMostSinks = 16384;              // the same where each thread has its own of each query

struct alignas(64) CacheLine {
    uint64_t words[8];
};

// What a thread keeps from call to call, so that a search touches no fresh memory.
template <class Sink>
struct Scratch {
    std::vector<Sink> sinks;
    std::vector<Hit> hits = std::vector<Hit>(kHits);
    std::vector<CacheLine> table;  // a tile's planes
    std::vector<uint16_t> slices;  // the queries as the bit-sliced kernel wants them
    std::vector<SliceHit> slice_hits;
    std::vector<int> limits;  // those in `slices`; kLoose: by rows
};
constexpr int kLoose = -2;

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

constexpr size_t kPollTiles = 16;  // some milliseconds at most

// Few at first, because each tightens the limit for the next.
size_t hits_wanted(const TopK& top) { return std::min(kHits, std::max(2 * kGroup, 2 * top.k())); }
size_t hits_wanted(const Within&) { return kHits; }

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
std::pair<size_t, size_t> inside(const Chunk& chunk, uint64_t low, uint64_t high) {
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

// The same by the bit-sliced kernel.
template <class Sink>
class SliceScan {
  public:
    SliceScan(const Kernels& kernels, const Snapshot& s, const uint64_t* queries, size_t n, Scratch<Sink>& scratch,
              Sink* sinks)
        : kernels_(kernels),
          slice_(*kernels.slice),
          s_(s),
          queries_(queries),
          n_(n),
          stride_(slice_query_size(s.words)),
          scratch_(scratch),
          sinks_(sinks) {
        scratch.table.resize(slice_table_bytes(s.words, slice_.tile) / sizeof(CacheLine) + 1);
        scratch.slices.resize(n * stride_);
        scratch.slice_hits.resize(n);
        scratch.limits.assign(n, kLoose);
        for (size_t q = 0; q < n; ++q) {
            slice_query(queries + q * s.words, s.words, slice_.tile, scratch.slices.data() + q * stride_);
            set_limit(q);
        }
    }

    void run(uint64_t low, uint64_t high) {
        size_t tiles = 0;
        for (const Chunk& chunk : s_.chunks) {
            if (chunk.live_rows == 0) continue;
            auto [from, end] = inside(chunk, low, high);
            for (; from + slice_.tile <= end; from += slice_.tile) {
                if (++tiles % kPollTiles == 0) poll();
                tile(chunk, from);
            }
            for (size_t q = 0; q < n_ && from < end; ++q)
                scan(kernels_, s_, chunk, from, end, queries_ + q * s_.words, scratch_.hits, sinks_[q]);
        }
    }

  private:
    // A query without a limit yet has every row as a hit: it goes by rows, under a threshold that none meets.
    void set_limit(size_t q) {
        const int limit = sinks_[q].limit(), widest = static_cast<int>(64 * s_.words);
        if (limit == scratch_.limits[q]) return;
        const bool loose = limit >= widest;
        if (scratch_.limits[q] == kLoose) loose_ += loose;
        else loose_ += static_cast<size_t>(loose) - static_cast<size_t>(scratch_.limits[q] >= widest);
        scratch_.limits[q] = limit;
        slice_limit(loose || limit < 0 ? 0 : static_cast<uint32_t>(limit), s_.words,
                    scratch_.slices.data() + q * stride_);
    }

    void tile(const Chunk& chunk, size_t from) {
        const uint64_t* codes = chunk.codes.get() + from * s_.words;
        if (loose_) {
            const int widest = static_cast<int>(64 * s_.words);
            for (size_t q = 0; q < n_; ++q)
                if (scratch_.limits[q] >= widest)
                    scan(kernels_, s_, chunk, from, from + slice_.tile, queries_ + q * s_.words, scratch_.hits,
                         sinks_[q]);
            if (loose_ == n_) return refresh();
        }
        slice_.build(codes, s_.words, scratch_.table.data());
        SliceHit* hits = scratch_.slice_hits.data();
        const size_t count = slice_.scan(scratch_.table.data(), s_.words, scratch_.slices.data(), stride_, n_, hits);
        for (size_t i = 0; i < count; ++i) take(chunk, from, hits[i]);
        if (loose_) refresh();
    }

    void refresh() {
        for (size_t q = 0; q < n_; ++q) set_limit(q);
    }

    void take(const Chunk& chunk, size_t from, const SliceHit& hit) {
        const size_t q = hit.query;
        const int limit = sinks_[q].limit();
        if (limit < 0 || scratch_.limits[q] >= static_cast<int>(64 * s_.words)) return;  // by rows already
        const uint64_t* codes = chunk.codes.get() + from * s_.words;
        const uint64_t* place[512];
        size_t n = 0;
        for (size_t g = 0; g < slice_.tile / 64; ++g) {
            uint64_t mask = hit.mask[g];
            if (chunk.live) mask &= chunk.live.get()[from / 64 + g];
            for (; mask; mask &= mask - 1)
                place[n++] = codes + (64 * g + static_cast<size_t>(__builtin_ctzll(mask))) * s_.words;
        }
        if (n == 0) return;
        Hit* out = scratch_.hits.data();
        const size_t found =
            kernels_.gather(place, n, s_.words, queries_ + q * s_.words, static_cast<uint32_t>(limit), out);
        for (size_t i = 0; i < found; ++i)
            sinks_[q].push(chunk.id(from + static_cast<size_t>(place[out[i].row] - codes) / s_.words), out[i].distance);
        set_limit(q);
    }

    const Kernels& kernels_;
    const SliceKernels& slice_;
    const Snapshot& s_;
    const uint64_t* queries_;
    const size_t n_, stride_;
    Scratch<Sink>& scratch_;
    Sink* sinks_;
    size_t loose_ = 0;  // queries whose limit no row exceeds
};

// Rows from which the k-th distance is known well enough for the bit-sliced kernel to be quiet.
size_t warm_up(const TopK& top) { return std::max<size_t>(4096, 8 * top.k()); }
size_t warm_up(const Within&) { return 0; }

template <class Sink>
bool use_slices(const Kernels& kernels, const Snapshot& s, size_t n, uint64_t rows, const Sink& sink) {
    return kernels.slice && n >= kernels.slice->min_batch && s.bits >= 16 && s.words <= kSliceMaxWords &&
           rows >= 4 * kernels.slice->tile && warm_up(sink) < rows / 2 && sink.limit() <= static_cast<int>(s.bits);
}

template <class Sink>
void scan_all(const Kernels& kernels, const Snapshot& s, uint64_t low, uint64_t high, const uint64_t* queries, size_t n,
              Scratch<Sink>& scratch, Sink* sinks) {
    if (!use_slices(kernels, s, n, high - low, sinks[0]))
        return scan_rows(kernels, s, low, high, queries, n, scratch, sinks);
    const uint64_t warm = std::min<uint64_t>(high, low + warm_up(sinks[0]));
    scan_rows(kernels, s, low, warm, queries, n, scratch, sinks);
    SliceScan<Sink>(kernels, s, queries, n, scratch, sinks).run(warm, high);
}

// Runs every query over rows [first, s.rows). `reset(sink)` readies a sink, `emit(q, sink)` takes the
// finished one of query q, on any thread, once for each q.
template <class Sink, class Reset, class Emit>
void scan_queries(const Snapshot& s, const uint64_t* queries, size_t n, unsigned threads, const Reset& reset,
                  const Emit& emit) {
    if (n == 0) return;
    const Kernels& kernel = kernels();
    threads = n * s.rows * s.words * 8 < kSerialBytes ? 1 : std::clamp(threads, 1u, kMaxThreads);
    if (n < threads) {  // few queries: the rows are split
        const size_t parts =
            s.rows < 4000000 ? threads : std::max<size_t>(threads, std::min(4 * size_t{threads}, kMostSinks / n));
        std::vector<Sink> sinks(parts * n);
        parallel_for(parts, threads, [&](size_t part) {
            Sink* mine = sinks.data() + part * n;
            for (size_t q = 0; q < n; ++q) reset(mine[q]);
            const Lease<Sink> lease;
            scan_all(kernel, s, s.rows * part / parts, s.rows * (part + 1) / parts, queries, n, *lease, mine);
        });
        for (size_t q = 0; q < n; ++q) {
            sinks[q].unordered();
            for (size_t part = 1; part < parts; ++part)
                for (const Match& m : sinks[part * n + q].accepted()) sinks[q].push(m.id, m.distance);
            emit(q, sinks[q]);
        }
        return;
    }
    const size_t groups = std::max<size_t>(threads, (n + kQueryGroup - 1) / kQueryGroup);
    parallel_for(groups, threads, [&](size_t group) {
        const size_t first = n * group / groups, count = n * (group + 1) / groups - first;
        const Lease<Sink> lease;
        Scratch<Sink>& mine = *lease;
        if (mine.sinks.size() < count) mine.sinks.resize(count);
        for (size_t q = 0; q < count; ++q) reset(mine.sinks[q]);
        scan_all(kernel, s, 0, s.rows, queries + first * s.words, count, mine, mine.sinks.data());
        for (size_t q = 0; q < count; ++q) emit(first + q, mine.sinks[q]);
    });
}

// Rows [low, s.rows) where the cut need not fall on a group: the first ones by themselves.
template <class Sink>
void scan_from(const Kernels& kernels, const Snapshot& s, uint64_t low, const uint64_t* query, Scratch<Sink>& scratch,
               Sink& sink) {
    if (low >= s.rows) return;
    const Chunk& chunk = s.chunk_of(low);
    size_t row = low - chunk.start;
    for (; row < chunk.rows && row % kGroup && sink.limit() >= 0; ++row) {
        const uint64_t* code = chunk.codes.get() + row * s.words;
        Hit hit;
        if (chunk.is_live(row) && kernels.gather(&code, 1, s.words, query, static_cast<uint32_t>(sink.limit()), &hit))
            sink.push(chunk.id(row), hit.distance);
    }
    scan_rows(kernels, s, chunk.start + (row + kGroup - 1) / kGroup * kGroup, s.rows, query, 1, scratch, &sink);
}

// Few eligible rows: their codes one by one.
template <class Sink, class Reset, class Emit>
void gather_queries(const Snapshot& s, const uint64_t* queries, size_t n, unsigned threads, const Reset& reset,
                    const Emit& emit) {
    const Kernels& kernel = kernels();
    const std::vector<uint32_t>& rows = *s.picked;
    if (n * rows.size() * s.words * 8 < kSerialBytes) threads = 1;
    std::vector<const uint64_t*> place(rows.size());
    std::vector<int64_t> ids(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
        place[i] = s.code(rows[i]);
        ids[i] = s.id(rows[i]);
    }
    parallel_for(n, threads, [&](size_t q) {
        const Lease<Sink> lease;
        Scratch<Sink>& mine = *lease;
        if (mine.sinks.empty()) mine.sinks.resize(1);
        Sink& sink = mine.sinks[0];
        reset(sink);
        for (size_t from = 0; from < rows.size() && sink.limit() >= 0; from += kHits) {
            if (from % (kHits * kPollTiles) == 0) poll();
            const size_t count = std::min(kHits, rows.size() - from);
            const size_t found = kernel.gather(place.data() + from, count, s.words, queries + q * s.words,
                                               static_cast<uint32_t>(sink.limit()), mine.hits.data());
            for (size_t i = 0; i < found; ++i) sink.push(ids[from + mine.hits[i].row], mine.hits[i].distance);
        }
        emit(q, sink);
    });
}

// Queries through the multi-index, each within its budget; returns those that it gave up.
template <class Sink, class Reset, class Emit>
std::vector<uint32_t> probe_queries(const Snapshot& s, const uint64_t* queries, size_t n, unsigned threads,
                                    double budget, const Reset& reset, const Emit& emit, Trace& trace) {
    const Kernels& kernel = kernels();
    std::vector<char> done(n, 0);
    std::vector<Probes> probes(n);
    parallel_for((n + 7) / 8, n < 16 ? 1 : threads, [&](size_t block) {
        const Lease<Sink> lease;
        Scratch<Sink>& mine = *lease;
        if (mine.sinks.empty()) mine.sinks.resize(1);
        Sink& sink = mine.sinks[0];
        for (size_t q = block * 8; q < std::min(n, block * 8 + 8); ++q) {
            poll();
            reset(sink);
            sink.unordered();
            const uint64_t* query = queries + q * s.words;
            if (!s.multi->search(s, kernel, query, budget, sink, probes[q])) continue;
            scan_from(kernel, s, s.multi->rows(), query, mine, sink);
            emit(q, sink);
            done[q] = 1;
        }
    });
    std::vector<uint32_t> left;
    for (size_t q = 0; q < n; ++q) {
        trace.lookups += probes[q].lookups;
        trace.candidates += probes[q].candidates;
        if (!done[q]) left.push_back(static_cast<uint32_t>(q));
    }
    return left;
}

// Nanoseconds for each word of a row and each query, on one thread: alone, in a batch by rows, in a batch by
// the bit-sliced kernel. `python -m benchmarks.speed.search` shows them, as `knn` in its result. In the stored
// one (benchmarks/results/search.json: one thread of a two-core Intel Xeon with AVX-512) they are 0.3 to 0.5, 0.15
// and 0.04 to 0.06 for the ten nearest of a million codes and more; with AVX2 on such a machine (search_avx2.json)
// 0.5 to 1, 0.35 and 0.1. They only choose between this scan and the multi-index, whose cost grows so fast with
// the radius that a factor of two moves the choice by a bit or two.
constexpr double kAlone = 0.3, kBatched = 0.1, kSliced = 0.05;
constexpr double kStart = 2000;  // nanoseconds of a search of nothing

// Nanoseconds that one of n queries takes by scanning.
double scan_cost(const Snapshot& s, size_t n) {
    const Kernels& kernel = kernels();
    const bool sliced = kernel.slice && n >= kernel.slice->min_batch && s.words <= kSliceMaxWords;
    const double by_rows = n > 1 ? kBatched : kAlone;
    return kStart + static_cast<double>(s.rows) * static_cast<double>(s.words) * (sliced ? kSliced : by_rows);
}

// The path of a search. `radius`: the largest distance asked for; unknown in advance for the k nearest.
template <class Sink, class Reset, class Emit>
void run(const Snapshot& s, const uint64_t* queries, size_t n, unsigned threads, int radius, const Reset& reset,
         const Emit& emit, Trace& trace) {
    trace.queries = n;
    trace.rows = s.rows;
    if (n == 0) return;
    if (s.picked) {
        trace.path = "gather";
        return gather_queries<Sink>(s, queries, n, threads, reset, emit);
    }
    trace.scan_cost = scan_cost(s, n);
    const bool sliced = kernels().slice && n >= kernels().slice->min_batch && s.bits >= 16 && s.words <= kSliceMaxWords;
    trace.path = sliced ? "bitslice" : "scan";
    std::vector<uint32_t> left;
    if (s.multi) {
        const double predicted = radius < 0 ? 0 : s.multi->cost(static_cast<uint32_t>(radius));
        trace.multi_cost = predicted;
        if (predicted < trace.scan_cost && (radius >= 0 || s.multi->worth_a_try())) {
            left = probe_queries<Sink>(s, queries, n, threads, radius < 0 ? trace.scan_cost / 3 : INFINITY, reset, emit,
                                       trace);
            if (radius < 0) s.multi->learn(left.size() * 2 <= n);
            trace.fallbacks = left.size();
            trace.path = left.empty() ? "multi-index" : left.size() < n ? "multi-index, then scan" : trace.path;
            if (left.empty()) return;
        }
    }
    if (left.empty() || left.size() == n) return scan_queries<Sink>(s, queries, n, threads, reset, emit);
    std::vector<uint64_t> rest;
    for (const uint32_t q : left) rest.insert(rest.end(), queries + q * s.words, queries + (q + 1) * s.words);
    scan_queries<Sink>(s, rest.data(), left.size(), threads, reset, [&](size_t q, Sink& sink) { emit(left[q], sink); });
}

// What the multi-index would have saved; when that exceeds the price of building it, it is built.
void credit(const Snapshot& s, const Trace& trace, double multi_cost, size_t n) {
    if (s.multi || s.picked || s.rows < kMultiMinRows || multi_cost >= trace.scan_cost) return;
    const double saved = (trace.scan_cost - multi_cost) * static_cast<double>(n);
    s.adaptive->saved.fetch_add(static_cast<uint64_t>(saved));
}

}  // namespace

size_t search_knn(const Snapshot& s, const uint64_t* queries, size_t n, size_t k, unsigned threads, int64_t* ids,
                  uint16_t* distances, Trace* trace) {
    Trace ignored;
    if (!trace) trace = &ignored;
    k = std::min<uint64_t>(k, s.live);
    if (k == 0) return 0;
    run<TopK>(
        s, queries, n, threads, -1, [&](TopK& top) { top.reset(k, s.bits, s.ordered); },
        [&](size_t q, TopK& top) {
            const std::vector<Match>& matches = top.finish();
            // Fewer than live rows: distances beyond the width, which only a damaged mapped file has.
            if (matches.size() < k)
                throw FormatError("codes of the index have padding bits set: its file was changed while it was "
                                  "searched; restore it from a copy");
            for (size_t i = 0; i < k; ++i) {
                ids[q * k + i] = matches[i].id;
                distances[q * k + i] = static_cast<uint16_t>(matches[i].distance);
            }
        },
        *trace);
    if (!s.multi && s.rows >= kMultiMinRows)
        for (size_t q = 0; q < n; ++q)
            credit(s, *trace, MultiIndex::predict(s.bits, s.rows, distances[q * k + k - 1]), 1);
    return k;
}

Ranges search_range(const Snapshot& s, const uint64_t* queries, size_t n, uint32_t radius, size_t limit,
                    unsigned threads, Trace* trace) {
    Trace ignored;
    if (!trace) trace = &ignored;
    radius = std::min<uint32_t>(radius, s.bits);
    std::vector<std::vector<Match>> found(n);
    const auto emit = [&](size_t q, auto& sink) { found[q] = sink.finish(); };
    const int within = static_cast<int>(radius);
    if (limit < s.live)
        run<TopK>(
            s, queries, n, threads, within, [&](TopK& top) { top.reset(limit, radius, s.ordered); }, emit, *trace);
    else run<Within>(s, queries, n, threads, within, [&](Within& all) { all.reset(radius); }, emit, *trace);
    if (!s.multi && s.rows >= kMultiMinRows) credit(s, *trace, MultiIndex::predict(s.bits, s.rows, radius), n);
    Ranges out;
    out.splits.push_back(0);
    for (const auto& matches : found) out.splits.push_back(out.splits.back() + matches.size());
    out.matches.reserve(out.splits.back());
    for (const auto& matches : found) out.matches.insert(out.matches.end(), matches.begin(), matches.end());
    return out;
}

SnapshotPtr restrict_rows(const Snapshot& s, std::vector<uint32_t> rows) {
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    while (!rows.empty() && rows.back() >= s.rows) rows.pop_back();
    auto out = std::make_shared<Snapshot>(s);
    out->live = 0;
    auto row = rows.begin();
    for (Chunk& chunk : out->chunks) {
        auto live =
            std::shared_ptr<uint64_t>(new uint64_t[(chunk.rows + 63) / 64 + 1](), std::default_delete<uint64_t[]>());
        uint32_t count = 0;
        for (; row != rows.end() && *row < chunk.start + chunk.rows; ++row) {
            const size_t r = *row - chunk.start;
            if (!chunk.is_live(r)) continue;
            live.get()[r / 64] |= uint64_t{1} << (r % 64);
            ++count;
        }
        chunk.live = live;
        chunk.live_rows = count;
        out->live += count;
    }
    if (rows.size() <= s.rows / kSparse) {
        rows.erase(std::remove_if(rows.begin(), rows.end(), [&](uint32_t r) { return !out->is_live(r); }), rows.end());
        out->picked = std::make_shared<const std::vector<uint32_t>>(std::move(rows));
    }
    return out;
}

}  // namespace vhash
