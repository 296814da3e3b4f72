// Search over a snapshot of an index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/rows.hpp"
#include "index/topk.hpp"

namespace vhash {

// How a search was answered; costs are predictions in nanoseconds per query.
struct Trace {
    const char* path = "none";  // scan, bitslice, products, gather, multi-index
    size_t queries = 0, fallbacks = 0;
    uint64_t rows = 0, lookups = 0, candidates = 0;
    double scan_cost = 0, multi_cost = 0;
};

// Results of one query after the other: those of query q are [splits[q], splits[q + 1]).
struct Ranges {
    std::vector<Match> matches;
    std::vector<uint64_t> splits;
};

// The k nearest live rows of each query (rows of words), in the order (distance, id): writes
// min(k, live) of each to ids and distances, and returns that number. `recall` below 1: each of them is found with
// at least that chance (multi_index.hpp), and where one is missed, a farther one takes its place.
size_t search_knn(const Snapshot& snapshot, const uint64_t* queries, size_t n, size_t k, unsigned threads, int64_t* ids,
                  uint16_t* distances, Trace* trace = nullptr, double recall = 1);

// The live rows within `radius` bits (inclusive) of each query, in the order (distance, id); with
// `limit`, at most that many of the nearest of each. `recall` below 1: each is found with at least that chance.
Ranges search_range(const Snapshot& snapshot, const uint64_t* queries, size_t n, uint32_t radius, size_t limit,
                    unsigned threads, Trace* trace = nullptr, double recall = 1);

// The same snapshot with only these rows eligible (and live).
SnapshotPtr restrict_rows(const Snapshot& snapshot, std::vector<uint32_t> rows);

}  // namespace vhash
