// The k nearest of a stream of (distance, id), in the order (distance, id).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace vhash {

struct Match {
    int64_t id;
    uint32_t distance;
};

inline bool operator<(const Match& a, const Match& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
}

// Counting top-k: distances are small integers, so a histogram of what has been accepted gives the
// k-th distance after every push, and candidates beyond it are swept out only when their buffer is full.
class TopK {
  public:
    // `ordered`: ids arrive in ascending order, so a candidate at the k-th distance comes too late.
    void reset(size_t k, unsigned max_distance, bool ordered) {
        k_ = k;
        bound_ = static_cast<int>(max_distance);
        within_ = 0;
        ordered_ = ordered;
        histogram_.assign(max_distance + 1, 0);
        matches_.clear();
    }

    size_t k() const { return k_; }
    // Whether every row within `distance` bits having been pushed means that the k nearest are known.
    bool settled(uint32_t distance) const { return within_ >= k_ && bound_ <= static_cast<int>(distance); }

    // The largest distance that can still matter; -1: none can.
    int limit() const { return k_ == 0 ? -1 : within_ < k_ || !ordered_ ? bound_ : bound_ - 1; }

    // Whether (distance, id) with distance <= limit() is accepted is decided here for good.
    void push(int64_t id, uint32_t distance) {
        if (static_cast<int>(distance) > limit()) return;
        if (matches_.size() >= 2 * k_ + kSlack) prune();
        matches_.push_back({id, distance});
        ++histogram_[distance];
        ++within_;
        while (within_ - histogram_[static_cast<size_t>(bound_)] >= k_)
            within_ -= histogram_[static_cast<size_t>(bound_--)];
    }

    // The nearest at most k, in order. Valid until the next reset.
    const std::vector<Match>& finish() {
        if (matches_.size() > k_) prune();
        std::sort(matches_.begin(), matches_.end());
        return matches_;
    }

    // From here on ids may come in any order.
    void unordered() { ordered_ = false; }

    // What has been accepted, in no order: at least the k nearest. For merging.
    const std::vector<Match>& accepted() const { return matches_; }

  private:
    static constexpr size_t kSlack = 64;

    void prune() {
        const auto end = matches_.begin() + static_cast<std::ptrdiff_t>(k_);
        std::nth_element(matches_.begin(), end, matches_.end());
        matches_.resize(k_);
        uint64_t below = 0;  // those at bound_ that were swept out must not be counted any more
        for (int d = 0; d < bound_; ++d) below += histogram_[static_cast<size_t>(d)];
        histogram_[static_cast<size_t>(bound_)] = static_cast<uint32_t>(k_ - below);
        within_ = k_;
    }

    size_t k_ = 0;
    uint64_t within_ = 0;  // accepted with distance <= bound_
    int bound_ = 0;
    bool ordered_ = false;
    std::vector<uint32_t> histogram_;
    std::vector<Match> matches_;
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
    bool settled(uint32_t distance) const { return static_cast<int>(distance) >= radius_; }
    const std::vector<Match>& accepted() const { return matches_; }
    const std::vector<Match>& finish() {
        std::sort(matches_.begin(), matches_.end());
        return matches_;
    }

  private:
    int radius_ = 0;
    std::vector<Match> matches_;
};

}  // namespace vhash
