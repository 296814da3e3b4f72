// Multi-index hashing (Norouzi, Punjani, Fleet: "Fast Search in Hamming Space with Multi-Index
// Hashing", 2012), exact.
//
// The bits are cut into m substrings with a table of rows by value for each. Two codes within r bits
// agree within floor(r / m) bits on at least one substring, more sharply: going through radius r =
// 0, 1, 2, …, table r mod m is asked for all values at distance exactly floor(r / m) from the
// query's; after step r every code within r bits has been met.
//
// Most codes that are further away have been met by then, too. If the bits in which a code differs lie anywhere with
// equal chance, the chance that it was missed is a matter of counting; an approximate search stops once that is
// small enough.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "hamming/hamming.hpp"
#include "index/rows.hpp"

namespace vhash {

constexpr uint64_t kMultiMinRows = 200000;  // below, a scan takes microseconds

struct Probes {
    uint64_t lookups = 0, candidates = 0;
};

class MultiIndex {
  public:
    MultiIndex(const Snapshot& snapshot, unsigned threads);

    uint64_t rows() const { return rows_; }  // those below; later ones have to be scanned

    // Nanoseconds that all radii up to `radius` take, predicted for codes without structure.
    static double predict(unsigned bits, uint64_t rows, uint32_t radius);
    // Those that a search within `radius` takes.
    double cost(uint32_t radius, double recall) const { return predict(bits_, rows_, last_step(radius, recall)); }
    static uint64_t build_cost(unsigned bits, uint64_t rows);

    // Pushes the live rows below rows() that matter to the sink, each with a chance of at least `recall` (1: all);
    // false: gave up because going on would have cost more than `budget` nanoseconds, and the sink is incomplete.
    template <class Sink>
    bool search(const Snapshot& snapshot, const Kernels& kernels, const uint64_t* query, double recall, double budget,
                Sink& sink, Probes& probes) const;

    // Nearest neighbours that are far away make the attempt a waste: after failures it is made ever
    // more rarely.
    bool worth_a_try() const;
    void learn(bool success) const;

  private:
    struct Table {
        unsigned from, bits;            // the substring
        std::vector<uint32_t> offsets;  // rows with value v: rows[offsets[v], offsets[v + 1])
        std::vector<uint32_t> rows;
    };
    struct Query;

    // The chance that a code at a distance has been met in no table after a step.
    double missed(unsigned step, unsigned distance) const;
    // The step after which a search for codes at a distance may stop.
    uint32_t last_step(uint32_t distance, double recall) const;
    void count_missed();

    const uint64_t* code(const Snapshot& snapshot, uint32_t row) const;
    template <class Sink>
    void verify(const Snapshot& snapshot, const Kernels& kernels, Query& query, unsigned step, Sink& sink) const;

    unsigned bits_;
    uint64_t rows_;
    std::vector<Table> tables_;
    std::vector<uint32_t> chunk_at_;  // the chunk of every 4096th row
    std::vector<float> missed_;       // [step][distance], for the first steps
    mutable std::atomic<uint32_t> failures_{0}, turn_{0};
};

}  // namespace vhash
