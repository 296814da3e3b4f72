// Search over a snapshot: which path answers which query, and which rows are scanned on which thread.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "hamming/hamming.hpp"
#include "index/multi_index.hpp"
#include "index/sample.hpp"
#include "index/scan.hpp"
#include "index/search.hpp"
#include "system/files.hpp"
#include "system/machine.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr size_t kSerialBytes = size_t{3} << 19;  // below this much work a second thread costs more than it saves
constexpr size_t kSparse = 32;                    // one row in this many: below, eligible rows are looked up one by one
constexpr size_t kQueryGroup = 1024;              // queries whose state is held at once
constexpr size_t kUsualL2 = size_t{512} << 10;    // bytes; of older processors
constexpr size_t kMostSinks = 16384;              // the same where each thread has its own of each query

// Rows from which the k-th distance is known well enough for a batch kernel to be quiet.
size_t warm_up(const TopK& top) { return std::max<size_t>(4096, 8 * top.k()); }
size_t warm_up(const Within&) { return 0; }

// Whether a batch kernel may be taken for n queries over so many rows: its table leaves room in the L2 cache.
bool fits(const BatchKernels& batch, const Snapshot& s, size_t n, uint64_t rows) {
    return n >= batch.min_batch && s.words >= batch.min_words && rows >= 4 * batch.tile &&
           2 * batch.table_bytes(s.words) <= std::max(l2_bytes(), kUsualL2) && (!batch.allowed || batch.allowed());
}

// The batch kernel for n queries over so many rows; null: none. `stops`: one that can stop early.
const BatchKernels* batch_kernel(const Kernels& kernels, const Snapshot& s, size_t n, uint64_t rows,
                                 bool stops = false) {
    if (s.bits < 16 || s.words > kBatchMaxWords) return nullptr;
    for (const BatchKernels* batch : kernels.batch)
        if (batch && (batch->stops || !stops) && fits(*batch, s, n, rows)) return batch;
    return nullptr;
}

// Instead of a kernel that cannot stop early one that can, if after three quarters of a code even the nearest of a tile
// is beyond the limit. By some of the queries and of the rows.
template <class Sink>
const BatchKernels* better_kernel(const BatchKernels* batch, const Kernels& kernels, const Snapshot& s, uint64_t span,
                                  const uint64_t* queries, size_t n, Scratch<Sink>& scratch, const Sink* sinks) {
    const BatchKernels* other = batch->stops ? nullptr : batch_kernel(kernels, s, n, span, true);
    if (!other) return batch;
    constexpr double kPart = 0.75, kNearest = 3.1;  // standard deviations that the nearest of 512 is below the mean
    constexpr size_t kAsked = 8;
    const size_t rows = take_sample(s, scratch.sample), step = std::max<size_t>(1, n / kAsked);
    if (rows < 64) return batch;
    double over = 0;
    for (size_t q = 0; q < n; q += step) {
        const auto [mean, deviation] = spread(kernels, scratch.sample, rows, s.words, queries + q * s.words);
        over += kPart * mean - kNearest * std::sqrt(kPart) * deviation - sinks[q].limit();
    }
    return over > 0 ? other : batch;
}

template <class Sink>
void scan_all(const Kernels& kernels, const Snapshot& s, uint64_t low, uint64_t high, const uint64_t* queries, size_t n,
              Scratch<Sink>& scratch, Sink* sinks) {
    const BatchKernels* batch = batch_kernel(kernels, s, n, high - low);
    if (!batch || warm_up(sinks[0]) >= (high - low) / 2)
        return scan_rows(kernels, s, low, high, queries, n, scratch, sinks);
    const uint64_t warm = std::min<uint64_t>(high, low + warm_up(sinks[0]));
    scan_rows(kernels, s, low, warm, queries, n, scratch, sinks);
    batch = better_kernel(batch, kernels, s, high - low, queries, n, scratch, sinks);
    TileScan<Sink>(kernels, *batch, s, queries, n, scratch, sinks).run(warm, high);
}

// A guess of how far the k-th nearest is, from the distances of a sample as if they were normal: k rows and some more
// are within it. What was guessed too near shows in the end, and that query is searched again without a guess.
void expect_bounds(const Kernels& kernels, const Snapshot& s, const uint64_t* queries, size_t n, Scratch<TopK>& scratch,
                   TopK* sinks) {
    const double k = static_cast<double>(sinks[0].k());
    const double share = (k + 3 * std::sqrt(k) + 6) / static_cast<double>(s.live);
    // a guess that is a bit too far is met by twice as many rows: of many neighbours that costs more than a sample does
    const size_t places = std::clamp(sinks[0].k() / 4, kSamplePlaces, 4 * kSamplePlaces);
    const size_t rows = share < 0.1 ? take_sample(s, scratch.sample, places) : 0;
    if (rows < 256) return;
    // less two and a half standard errors, of the mean and of the deviation of a sample
    const double tail = normal_tail(share),
                 z = tail - 2.5 * std::sqrt((1 + tail * tail / 2) / static_cast<double>(rows));
    const int slack = s.adaptive->slack.load(std::memory_order_relaxed);
    for (size_t q = 0; q < n; ++q) {
        const auto [mean, deviation] = spread(kernels, scratch.sample, rows, s.words, queries + q * s.words);
        sinks[q].expect(std::max(0, static_cast<int>(std::ceil(mean - z * deviation - 0.5)) + slack));
    }
}

// Queries [first, first + n) by a batch kernel under guessed bounds. Those whose guess was too near are searched again.
template <class Reset, class Emit>
void scan_guessed(const Kernels& kernels, const BatchKernels* batch, const Snapshot& s, const uint64_t* queries,
                  size_t first, size_t n, Scratch<TopK>& scratch, const Reset& reset, const Emit& emit) {
    TopK* sinks = scratch.sinks.data();
    expect_bounds(kernels, s, queries, n, scratch, sinks);
    batch = better_kernel(batch, kernels, s, s.rows, queries, n, scratch, sinks);
    TileScan<TopK>(kernels, *batch, s, queries, n, scratch, sinks).run(0, s.rows);
    std::vector<size_t> again;
    std::vector<uint64_t> codes;
    for (size_t q = 0; q < n; ++q) {
        if (sinks[q].complete()) {
            emit(first + q, sinks[q]);
            continue;
        }
        again.push_back(first + q);
        codes.insert(codes.end(), queries + q * s.words, queries + (q + 1) * s.words);
    }
    if (again.empty()) return;
    if (again.size() * 16 > n)
        s.adaptive->slack.fetch_add(1 + static_cast<int>(s.bits / 64), std::memory_order_relaxed);
    for (size_t i = 0; i < again.size(); ++i) reset(sinks[i]);
    scan_all(kernels, s, 0, s.rows, codes.data(), again.size(), scratch, sinks);
    for (size_t i = 0; i < again.size(); ++i) emit(again[i], sinks[i]);
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
        if constexpr (std::is_same_v<Sink, TopK>) {
            if (const BatchKernels* batch = batch_kernel(kernel, s, count, s.rows))
                return scan_guessed(kernel, batch, s, queries + first * s.words, first, count, mine, reset, emit);
        }
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
                                    double recall, double budget, const Reset& reset, const Emit& emit, Trace& trace) {
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
            if (!s.multi->search(s, kernel, query, recall, budget, sink, probes[q])) continue;
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
// one (benchmarks/results/search.json: one thread of a two-core Intel Xeon with AVX-512) they are 0.3 to 0.5, 0.1
// and 0.04 to 0.05 for the ten nearest of a million codes and more; with AVX2 on such a machine (search_avx2.json)
// 0.3 to 0.5, 0.25 and 0.06 to 0.1. They only choose between this scan and the multi-index, whose cost grows so fast
// with the radius that a factor of two moves the choice by a bit or two.
constexpr double kAlone = 0.3, kBatched = 0.1, kSliced = 0.05;
constexpr double kStart = 2000;  // nanoseconds of a search of nothing

// Nanoseconds that one of n queries takes by scanning.
double scan_cost(const Snapshot& s, size_t n) {
    const Kernels& kernel = kernels();
    const bool sliced = batch_kernel(kernel, s, n, s.rows);
    const double by_rows = n > 1 ? kBatched : kAlone;
    return kStart + static_cast<double>(s.rows) * static_cast<double>(s.words) * (sliced ? kSliced : by_rows);
}

// The path of a search. `radius`: the largest distance asked for; unknown in advance for the k nearest.
template <class Sink, class Reset, class Emit>
void run(const Snapshot& s, const uint64_t* queries, size_t n, unsigned threads, int radius, double recall,
         const Reset& reset, const Emit& emit, Trace& trace) {
    trace.queries = n;
    trace.rows = s.rows;
    if (n == 0) return;
    if (s.picked) {
        trace.path = "gather";
        return gather_queries<Sink>(s, queries, n, threads, reset, emit);
    }
    trace.scan_cost = scan_cost(s, n);
    const BatchKernels* batch = batch_kernel(kernels(), s, n, s.rows);
    trace.path = batch ? batch->name : "scan";
    std::vector<uint32_t> left;
    if (s.multi) {
        const double predicted = radius < 0 ? 0 : s.multi->cost(static_cast<uint32_t>(radius), recall);
        trace.multi_cost = predicted;
        const bool exact = recall >= 1;
        if (predicted < trace.scan_cost && (radius >= 0 || s.multi->worth_a_try())) {
            const double budget = radius >= 0 ? INFINITY : trace.scan_cost / (exact ? 3 : 2);
            left = probe_queries<Sink>(s, queries, n, threads, recall, budget, reset, emit, trace);
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
                  uint16_t* distances, Trace* trace, double recall) {
    Trace ignored;
    if (!trace) trace = &ignored;
    k = std::min<uint64_t>(k, s.live);
    if (k == 0) return 0;
    run<TopK>(
        s, queries, n, threads, -1, recall, [&](TopK& top) { top.reset(k, s.bits, s.ordered); },
        [&](size_t q, TopK& top) {
            // Fewer than live rows: distances beyond the width, which only a damaged mapped file has.
            if (top.finish(ids + q * k, distances + q * k) < k)
                throw FormatError("codes of the index have padding bits set: its file was changed while it was "
                                  "searched; restore it from a copy");
        },
        *trace);
    if (!s.multi && s.rows >= kMultiMinRows)
        for (size_t q = 0; q < n; ++q)
            credit(s, *trace, MultiIndex::predict(s.bits, s.rows, distances[q * k + k - 1]), 1);
    return k;
}

Ranges search_range(const Snapshot& s, const uint64_t* queries, size_t n, uint32_t radius, size_t limit,
                    unsigned threads, Trace* trace, double recall) {
    Trace ignored;
    if (!trace) trace = &ignored;
    radius = std::min<uint32_t>(radius, s.bits);
    std::vector<std::vector<Match>> found(n);
    const auto emit = [&](size_t q, auto& sink) {
        const Matches matches = sink.finish();
        found[q].assign(matches.begin(), matches.end());
    };
    const int within = static_cast<int>(radius);
    if (limit < s.live)
        run<TopK>(
            s, queries, n, threads, within, recall, [&](TopK& top) { top.reset(limit, radius, s.ordered); }, emit,
            *trace);
    else run<Within>(s, queries, n, threads, within, recall, [&](Within& all) { all.reset(radius); }, emit, *trace);
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
