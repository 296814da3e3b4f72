// What a sample of a snapshot tells of the distances from a query, for guesses before a scan.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "hamming/hamming.hpp"
#include "index/rows.hpp"

namespace vhash {

constexpr size_t kSamplePlaces = 64;  // of a sample

// Codes of live rows from all over the snapshot, some neighbours at each place; returns how many.
inline size_t take_sample(const Snapshot& s, std::vector<uint64_t>& codes, size_t places = kSamplePlaces) {
    constexpr size_t kNeighbours = 16;
    codes.resize(places * kNeighbours * s.words);
    size_t taken = 0;
    for (size_t place = 0; place < places; ++place) {
        const uint64_t row = s.rows * place / places;
        const Chunk& chunk = s.chunk_of(row);
        const size_t from = row - chunk.start, to = std::min<size_t>(chunk.rows, from + kNeighbours);
        for (size_t r = from; r < to; ++r)
            if (chunk.is_live(r))
                std::copy_n(chunk.codes.get() + r * s.words, s.words, codes.data() + s.words * taken++);
    }
    return taken;
}

// Mean and standard deviation of the distances of a sample from a query.
inline std::pair<double, double> spread(const Kernels& kernels, const std::vector<uint64_t>& sample, size_t rows,
                                        size_t words, const uint64_t* query) {
    uint64_t sum = 0, squares = 0;
    kernels.moments(sample.data(), rows, words, query, &sum, &squares);
    const double n = static_cast<double>(rows), mean = static_cast<double>(sum) / n;
    return {mean, std::sqrt(std::max(0.0, static_cast<double>(squares) / n - mean * mean))};
}

// The z for which a normal variable is below -z with probability p < 0.5 (Abramowitz and Stegun, 26.2.23).
inline double normal_tail(double p) {
    const double t = std::sqrt(-2 * std::log(p));
    return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

}  // namespace vhash
