// Sealed segments of a store: index files whose rows ascend by id, each with a bitmap of the rows that
// live. They are never changed; a new bitmap or a merged segment is a new file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "index/file.hpp"
#include "store/log.hpp"
#include "store/manifest.hpp"

namespace vhash {

struct Segment {
    SegmentEntry entry{};
    IndexFile file;
    std::vector<uint64_t> live;  // bitmap; empty: all rows live

    bool is_live(uint64_t row) const { return live.empty() || (live[row / 64] >> (row % 64) & 1); }
};
using SegmentPtr = std::shared_ptr<const Segment>;

// Maps a segment, verifying every checksum and that it is what the manifest says.
SegmentPtr open_segment(const std::string& directory, const Manifest& manifest, const SegmentEntry& entry);

// The changes of one log, reduced to what they leave: the last code of each id, and the ids whose
// codes in older segments are dead.
class Changes {
  public:
    explicit Changes(unsigned bits) : bits_(bits) {}
    void take(const LogFrame& frame);
    void settle();  // after the last one

    bool empty() const { return rows_.empty(); }
    void visit(const RowVisitor& visitor) const;  // by id
    const std::vector<int64_t>& superseded() const { return superseded_; }
    // One above the largest id given out, at least `next_id`.
    int64_t next_id(int64_t next_id) const;

  private:
    struct Row {
        int64_t id;
        uint64_t code;  // offset in codes_, or one of the two below
    };
    static constexpr uint64_t kRemoved = UINT64_MAX;
    const unsigned bits_;
    std::vector<Row> rows_;
    std::vector<uint8_t> codes_;
    std::vector<int64_t> replaced_, superseded_;
    int64_t largest_ = INT64_MIN;
};

// The segment's bitmap without these ids (ascending); returns how many rows that were alive died.
uint64_t bury(const Segment& segment, const std::vector<int64_t>& ids, std::vector<uint64_t>* live);
// Writes live-<number>.bits for the segment.
void write_live(const std::string& directory, uint64_t number, const SegmentEntry& entry,
                const std::vector<uint64_t>& live);

// Shows the live rows of all, by id.
void merge(const std::vector<SegmentPtr>& segments, const RowVisitor& visit);

// Which segments are worth merging now (indices); empty: none.
std::vector<size_t> worth_merging(const std::vector<SegmentPtr>& segments);

}  // namespace vhash
