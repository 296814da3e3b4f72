// The k nearest of a stream of (distance, id), in the order (distance, id).
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace vhash {

struct Match {
    int64_t id;
    uint32_t distance;
};

inline bool operator<(const Match& a, const Match& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
}

// Some matches that lie elsewhere.
struct Matches {
    const Match* first;
    size_t count;
    const Match* begin() const { return first; }
    const Match* end() const { return first + count; }
    size_t size() const { return count; }
    const Match& operator[](size_t i) const { return first[i]; }
};

// Counting top-k: distances are small integers, so a histogram of what has been accepted gives the
// k-th distance after every push, and candidates beyond it are swept out only when their buffer is full.
class TopK {
  public:
    // `ordered`: ids arrive in ascending order, so a candidate at the k-th distance comes too late.
    void reset(size_t k, unsigned max_distance, bool ordered) {
        k_ = k;
        bound_ = widest_ = static_cast<int>(max_distance);
        within_ = 0;
        ordered_ = ordered;
        histogram_.assign(max_distance + 1, 0);
        room_ = k + std::max(kSlack, k / 2);
        count_ = 0;
    }

    // Takes for granted that k rows are within `distance`; complete() tells in the end whether they were.
    void expect(int distance) { bound_ = std::min(bound_, distance); }
    bool complete() const { return within_ >= k_ || bound_ == widest_; }

    size_t k() const { return k_; }
    // How far rows may be that still have to be met; negative: not known before k have been met.
    int reach() const { return within_ >= k_ ? bound_ : -1; }

    // The largest distance that can still matter; -1: none can.
    int limit() const { return k_ == 0 ? -1 : within_ < k_ || !ordered_ ? bound_ : bound_ - 1; }

    // Whether (distance, id) with distance <= limit() is accepted is decided here for good.
    void push(int64_t id, uint32_t distance) {
        if (static_cast<int>(distance) > limit()) return;
        if (count_ == room_) prune();
        if (count_ == matches_.size()) matches_.resize(std::min(room_, 2 * count_ + kSlack));
        Match* place = matches_.data() + count_++;
        *place = {id, distance};
        __builtin_prefetch(place + 4, 1);  // many queries take turns: by its next match the line would be far away
        ++histogram_[distance];
        ++within_;
        while (within_ - histogram_[static_cast<size_t>(bound_)] >= k_)
            within_ -= histogram_[static_cast<size_t>(bound_--)];
    }

    // The nearest at most k, in order. Valid until the next reset.
    Matches finish() {
        if (count_ > k_) prune();
        if (ordered_ && count_ >= kCounted) sort_by_counting();
        else std::sort(matches_.data(), matches_.data() + count_);
        return accepted();
    }

    // From here on ids may come in any order.
    void unordered() { ordered_ = false; }

    // What has been accepted, in no order: at least the k nearest. For merging.
    Matches accepted() const { return {matches_.data(), count_}; }

  private:
    static constexpr size_t kSlack = 64;
    static constexpr size_t kCounted = 64;  // matches from which counting is faster than comparing

    void prune() {
        uint64_t below = 0;
        for (int d = 0; d < bound_; ++d) below += histogram_[static_cast<size_t>(d)];
        const size_t ties = k_ - below;  // of those at bound_
        if (ordered_) {                  // the first of them
            size_t kept = 0, tied = 0;
            for (const Match& m : accepted()) {
                const int d = static_cast<int>(m.distance);
                matches_[kept] = m;
                kept += d < bound_ || (d == bound_ && tied++ < ties);
            }
            count_ = kept;
        } else {
            std::nth_element(matches_.data(), matches_.data() + k_, matches_.data() + count_);
            count_ = k_;
        }
        histogram_[static_cast<size_t>(bound_)] = static_cast<uint32_t>(ties);  // the others count no more
        within_ = k_;
    }

    // Ids ascend, so those at one distance stay as they are.
    void sort_by_counting() {
        std::fill(histogram_.begin(), histogram_.end(), 0);
        for (const Match& m : accepted()) ++histogram_[m.distance];
        uint32_t place = 0;
        for (uint32_t& count : histogram_) count = std::exchange(place, place + count);
        sorted_.resize(matches_.size());
        for (const Match& m : accepted()) sorted_[histogram_[m.distance]++] = m;
        matches_.swap(sorted_);
    }

    size_t k_ = 0, room_ = 0, count_ = 0;
    uint64_t within_ = 0;  // accepted with distance <= bound_
    int bound_ = 0, widest_ = 0;
    bool ordered_ = false;
    std::vector<uint32_t> histogram_;
    std::vector<Match> matches_, sorted_;  // longer than they are full
};

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
    int reach() const { return radius_; }
    Matches accepted() const { return {matches_.data(), matches_.size()}; }
    Matches finish() {
        std::sort(matches_.begin(), matches_.end());
        return accepted();
    }

  private:
    int radius_ = 0;
    std::vector<Match> matches_;
};

}  // namespace vhash
