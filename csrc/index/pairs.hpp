// All pairs of codes within a radius: in one index, or between two. A stream of batches, so memory
// stays bounded whatever the number of pairs.
//
// With r differing bits and r + c blocks of bits, two codes agree on at least c blocks. So for each
// choice of c blocks the codes are sorted by those blocks and only those with equal ones are
// compared; a pair is reported for the first choice that brings it together. c, and whether to do
// this at all, follows from the predicted number of comparisons; without it every code is compared
// with every other by the batch kernels.
#pragma once

#include <vector>

#include "index/rows.hpp"

namespace vhash {

struct Pair {
    int64_t a, b;  // in one index: a < b
    uint32_t distance;
};

// A share of the work, for processes that divide it: of one choice of blocks (or of all), the rows whose
// key falls to one part. Over all choices and parts every pair comes once.
struct PairShare {
    int64_t choice = -1;  // -1: all
    uint64_t part = 0, parts = 1;
};

class PairJoin {
  public:
    // `other` null: pairs within `index`. Shares of one join need the same codes in each process.
    PairJoin(SnapshotPtr index, SnapshotPtr other, uint32_t radius, unsigned threads, PairShare share = {});

    // How many choices there are to share; 1 where every code is compared with every other.
    size_t choices() const;

    // Appends pairs until there are at least `wanted`; returns false when there are no more to come.
    // A pair comes once; the order depends on the codes only.
    bool next(size_t wanted, std::vector<Pair>& pairs);

  private:
    struct Side {
        SnapshotPtr rows;
        // live rows, of this share where there are several; then the same sorted by key
        std::vector<int64_t> ids, sorted_ids;
        std::vector<uint64_t> codes, sorted_codes, keys;  // key << 32 | place
    };
    struct Task {
        size_t a_from, a_to, b_from, b_to;
        bool batch;  // every a with every b of one long run; otherwise the short runs of [a_from, a_to)
    };

    void plan();
    bool next_choice();
    uint64_t key(const uint64_t* code, unsigned width) const;
    void select(Side& side) const;
    void sort_side(Side& side) const;
    bool next_task(Task& task);
    void compare(const Task& task, std::vector<Pair>& out) const;
    void take(size_t a, size_t b, uint32_t distance, std::vector<Pair>& out) const;
    const Side& second() const { return self_ ? a_ : b_; }

    const bool self_;
    const unsigned bits_;
    const size_t words_;
    const uint32_t radius_;
    const unsigned threads_;
    const PairShare share_;
    Side a_, b_;
    std::vector<unsigned> cuts_;    // where blocks begin, and the end
    std::vector<unsigned> choice_;  // the blocks of the key
    int64_t number_ = -1;           // of the choice
    uint64_t tasks_ = 0;
    bool sorted_ = false;
    size_t at_ = 0;  // the next row of a_ in key order
    Task run_{};     // a long run that is being cut into tasks; a_from, b_from: its next
    size_t run_begin_ = 0;
};

}  // namespace vhash
