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
        room_ = k + std::max(kSlack, k);
        count_ = 0;
        space_ = std::min(room_, matches_.size());
        set_limit();
    }

    // Takes for granted that k rows are within `distance`; complete() tells in the end whether they were.
    void expect(int distance) {
        bound_ = std::min(bound_, distance);
        set_limit();
    }
    bool complete() const { return within_ >= k_ || bound_ == widest_; }

    size_t k() const { return k_; }
    // How far rows may be that still have to be met; negative: not known before k have been met.
    int reach() const { return within_ >= k_ ? bound_ : -1; }

    // The largest distance that can still matter; -1: none can.
    int limit() const { return limit_; }

    // Whether (distance, id) with distance <= limit() is accepted is decided here for good. Returns whether that has
    // changed the limit.
    bool push(int64_t id, uint32_t distance) {
        if (static_cast<int>(distance) > limit_) return false;
        if (count_ == space_) make_room();
        Match* place = matches_.data() + count_++;
        *place = {id, distance};
        __builtin_prefetch(place + 4, 1);  // many queries take turns: by its next match the line would be far away
        ++histogram_[distance];
        if (++within_ < k_) return false;
        while (within_ - histogram_[static_cast<size_t>(bound_)] >= k_)
            within_ -= histogram_[static_cast<size_t>(bound_--)];
        const int before = limit_;
        set_limit();
        return limit_ != before;
    }

    // The next push comes soon.
    void prepare() const {
        __builtin_prefetch(this, 1);
        __builtin_prefetch(&within_, 1);
    }

    // The nearest at most k, in order. Valid until the next reset.
    Matches finish() {
        if (count_ > k_) prune();
        if (ordered_ && count_ >= kCounted) sort_by_counting();
        else std::sort(matches_.data(), matches_.data() + count_);
        return accepted();
    }

    // The same, written to where they are wanted; returns how many. Whatever lies behind them there stays as it is.
    size_t finish(int64_t* ids, uint16_t* distances) {
        if (!ordered_ || count_ < kCounted) {
            const Matches nearest = finish();
            for (size_t i = 0; i < nearest.size(); ++i) {
                ids[i] = nearest[i].id;
                distances[i] = static_cast<uint16_t>(nearest[i].distance);
            }
            return nearest.size();
        }
        // Up to bound_ the histogram is of what has been accepted; what was before that tightened gets no place.
        const size_t some = std::min<size_t>(k_, within_);
        uint32_t place = 0;
        for (size_t d = 0; d < histogram_.size(); ++d) {
            const uint32_t count = std::exchange(histogram_[d], place);
            place = static_cast<int>(d) < bound_ ? place + count : static_cast<uint32_t>(some);
        }
        int64_t no_id;
        uint16_t no_distance;
        for (const Match& m : accepted()) {
            const uint32_t at = histogram_[m.distance]++;
            const bool counts = at < some;
            *(counts ? ids + at : &no_id) = m.id;
            *(counts ? distances + at : &no_distance) = static_cast<uint16_t>(m.distance);
        }
        return some;
    }

    // From here on ids may come in any order.
    void unordered() {
        ordered_ = false;
        set_limit();
    }

    // What has been accepted, in no order: at least the k nearest. For merging.
    Matches accepted() const { return {matches_.data(), count_}; }

  private:
    static constexpr size_t kSlack = 64;
    static constexpr size_t kCounted = 64;  // matches from which counting is faster than comparing

    void set_limit() { limit_ = k_ == 0 ? -1 : within_ < k_ || !ordered_ ? bound_ : bound_ - 1; }

    void make_room() {
        if (count_ == room_) prune();
        if (count_ == matches_.size()) matches_.resize(std::min(room_, 2 * count_ + kSlack));
        space_ = std::min(room_, matches_.size());
    }

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

    int limit_ = -1, bound_ = 0, widest_ = 0;
    bool ordered_ = false;
    size_t count_ = 0, space_ = 0;  // matches, and how many there can be before room has to be made
    std::vector<Match> matches_;    // longer than it is full
    std::vector<uint32_t> histogram_;
    uint64_t within_ = 0;  // accepted with distance <= bound_
    size_t k_ = 0, room_ = 0;
    std::vector<Match> sorted_;
};

// Everything within a radius.
class Within {
  public:
    void reset(uint32_t radius) {
        radius_ = static_cast<int>(radius);
        matches_.clear();
    }
    void prepare() const {}
    int limit() const { return radius_; }
    bool push(int64_t id, uint32_t distance) {
        matches_.push_back({id, distance});
        return false;
    }
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
