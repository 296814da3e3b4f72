#include "store/segment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <map>

#include "index/rows.hpp"
#include "system/checksum.hpp"

namespace vhash {
namespace {

constexpr char kMagic[8] = {'V', 'H', 'A', 'S', 'H', 'L', 'I', 'V'};
constexpr uint32_t kVersion = 1;
constexpr size_t kFanOut = 8;  // as many segments of one size become one of the next

struct LiveHeader {
    char magic[8];
    uint32_t version;
    uint32_t reserved;
    uint64_t segment;
    uint64_t rows;
    uint64_t live;
    uint32_t bitmap_crc;
    uint32_t header_crc;
};
static_assert(sizeof(LiveHeader) == 48, "the bitmap's layout is a file format");

size_t bitmap_words(uint64_t rows) { return (rows + 63) / 64; }

std::vector<uint64_t> read_live(const std::string& path, const SegmentEntry& entry) {
    const auto check = [&](bool good, const std::string& what) {
        if (!good) throw FormatError("bitmap '" + path + "' " + what);
    };
    const File file(path, Access::read);
    LiveHeader h;
    std::vector<uint64_t> live(bitmap_words(entry.rows));
    check(file.read(0, &h, sizeof h) == sizeof h && file.size() == sizeof h + live.size() * 8 &&
              !std::memcmp(h.magic, kMagic, sizeof kMagic),
          "is damaged: it has not the size or the first bytes of one; restore it from a copy");
    const bool intact = crc32c(0, &h, offsetof(LiveHeader, header_crc)) == h.header_crc;
    check(h.version >= 1 && (h.version <= kVersion || !intact), "has format version " + std::to_string(h.version) +
                                                                    ", this vhash reads up to " +
                                                                    std::to_string(kVersion) + ": upgrade vhash");
    check(intact && file.read(sizeof h, live.data(), live.size() * 8) == live.size() * 8 &&
              crc32c(0, live.data(), live.size() * 8) == h.bitmap_crc,
          "is damaged: it does not match its checksum; restore it from a copy");
    check(h.segment == entry.number && h.rows == entry.rows && h.live == entry.live,
          "is not the one that the manifest names; restore the directory from a copy");
    uint64_t alive = 0;
    for (const uint64_t word : live) alive += static_cast<uint64_t>(__builtin_popcountll(word));
    const bool beyond = entry.rows % 64 && live.back() >> (entry.rows % 64);
    check(alive == entry.live && !beyond,
          "marks other rows than it says; no vhash writes that: restore it from a copy");
    return live;
}

}  // namespace

SegmentPtr open_segment(const std::string& directory, const Manifest& manifest, const SegmentEntry& entry) {
    const std::string path = segment_path(directory, entry.number);
    auto segment = std::make_shared<Segment>();
    segment->entry = entry;
    segment->file = read_index_file(path, true, true);
    if (segment->file.bits != manifest.bits || segment->file.count != entry.rows ||
        segment->file.checksum != entry.checksum || segment->file.file_size != entry.file_size)
        throw FormatError("segment '" + path +
                          "' is not the one that the manifest names; restore the directory from a copy");
    const int64_t* ids = segment->file.ids.get();
    if (ids &&
        std::adjacent_find(ids, ids + entry.rows, [](int64_t a, int64_t b) { return a >= b; }) != ids + entry.rows)
        throw FormatError("segment '" + path +
                          "' holds ids that do not ascend, which no vhash writes; restore the directory from a copy");
    if (entry.live_number) segment->live = read_live(live_path(directory, entry.live_number), entry);
    return segment;
}

// ---- Changes ----

void Changes::take(const LogFrame& frame) {
    const size_t bytes = (bits_ + 7) / 8;
    for (size_t i = 0; i < frame.count; ++i) {
        const int64_t id = frame.id(i);
        rows_.push_back({id, frame.codes ? codes_.size() + i * bytes : kRemoved});
        if (frame.kind != Journal::Kind::add) replaced_.push_back(id);
        if (frame.codes) largest_ = std::max(largest_, id);
    }
    if (frame.codes) codes_.insert(codes_.end(), frame.codes, frame.codes + frame.count * bytes);
}

void Changes::settle() {
    const auto by_id = [](const Row& a, const Row& b) { return a.id < b.id; };
    if (!std::is_sorted(rows_.begin(), rows_.end(), by_id)) std::stable_sort(rows_.begin(), rows_.end(), by_id);
    size_t kept = 0;
    for (size_t i = 0; i < rows_.size(); ++i)
        if ((i + 1 == rows_.size() || rows_[i + 1].id != rows_[i].id) && rows_[i].code != kRemoved)
            rows_[kept++] = rows_[i];
    rows_.resize(kept);
    std::sort(replaced_.begin(), replaced_.end());
    replaced_.erase(std::unique(replaced_.begin(), replaced_.end()), replaced_.end());
    superseded_.swap(replaced_);
}

void Changes::visit(const RowVisitor& visitor) const {
    std::vector<uint64_t> row((bits_ + 63) / 64);
    for (const Row& r : rows_) {
        pack_rows(codes_.data() + r.code, 1, bits_, row.data());
        visitor(r.id, row.data());
    }
}

int64_t Changes::next_id(int64_t next_id) const {
    return largest_ < next_id ? next_id : largest_ == std::numeric_limits<int64_t>::max() ? largest_ : largest_ + 1;
}

// ---- bitmaps ----

uint64_t bury(const Segment& segment, const std::vector<int64_t>& ids, std::vector<uint64_t>* live) {
    *live = segment.live;
    if (live->empty()) {
        live->assign(bitmap_words(segment.entry.rows), ~uint64_t{0});
        if (segment.entry.rows % 64) live->back() = (uint64_t{1} << (segment.entry.rows % 64)) - 1;
    }
    uint64_t low = 0, died = 0;
    for (const int64_t id : ids) {
        uint64_t high = segment.entry.rows;
        while (low < high) {  // the first row whose id is not below
            const uint64_t middle = low + (high - low) / 2;
            if (segment.file.id(middle) < id) low = middle + 1;
            else high = middle;
        }
        if (low == segment.entry.rows) break;
        if (segment.file.id(low) != id || !segment.is_live(low)) continue;
        (*live)[low / 64] &= ~(uint64_t{1} << (low % 64));
        ++died;
    }
    return died;
}

void write_live(const std::string& directory, uint64_t number, const SegmentEntry& entry,
                const std::vector<uint64_t>& live) {
    LiveHeader h{};
    std::memcpy(h.magic, kMagic, sizeof kMagic);
    h.version = kVersion;
    h.segment = entry.number;
    h.rows = entry.rows;
    h.live = entry.live;
    h.bitmap_crc = crc32c(0, live.data(), live.size() * 8);
    h.header_crc = crc32c(0, &h, offsetof(LiveHeader, header_crc));
    const File file = File::create(live_path(directory, number));
    file.write(0, {{&h, sizeof h}, {live.data(), live.size() * 8}});
    file.sync();
    sync_directory(directory);
}

// ---- merging ----

void merge(const std::vector<SegmentPtr>& segments, const RowVisitor& visit) {
    struct Cursor {
        const Segment* segment;
        size_t words;
        uint64_t row = 0;
        bool settle() {  // on a live row
            while (row < segment->entry.rows && !segment->is_live(row)) ++row;
            return row < segment->entry.rows;
        }
        int64_t id() const { return segment->file.id(row); }
    };
    std::vector<Cursor> cursors;
    for (const SegmentPtr& segment : segments) {
        Cursor cursor{segment.get(), (segment->file.bits + 63) / 64};
        if (cursor.settle()) cursors.push_back(cursor);
    }
    while (!cursors.empty()) {
        // The cursor with the smallest id runs until another one's turn comes: where the ranges of ids
        // do not overlap, that is a whole segment.
        size_t first = 0;
        int64_t until = std::numeric_limits<int64_t>::max();
        for (size_t i = 1; i < cursors.size(); ++i) {
            if (cursors[i].id() < cursors[first].id()) {
                until = cursors[first].id();
                first = i;
            } else {
                until = std::min(until, cursors[i].id());
            }
        }
        Cursor& cursor = cursors[first];
        bool more = true;
        do {
            visit(cursor.id(), cursor.segment->file.codes.get() + cursor.row * cursor.words);
            ++cursor.row;
            more = cursor.settle();
        } while (more && (cursors.size() == 1 || cursor.id() < until));
        if (!more) cursors.erase(cursors.begin() + static_cast<ptrdiff_t>(first));
    }
}

std::vector<size_t> worth_merging(const std::vector<SegmentPtr>& segments) {
    constexpr uint64_t kMostRows = uint64_t{1} << 31;
    std::map<int, std::vector<size_t>> tiers;
    for (size_t i = 0; i < segments.size(); ++i) {
        const SegmentEntry& entry = segments[i]->entry;
        if (4 * (entry.rows - entry.live) > entry.rows) return {i};
        int tier = 0;
        for (uint64_t live = entry.live; live >= kFanOut; live /= kFanOut) ++tier;
        tiers[tier].push_back(i);
    }
    for (const auto& [tier, members] : tiers) {
        if (members.size() < kFanOut) continue;
        uint64_t rows = 0;
        for (const size_t i : members) rows += segments[i]->entry.live;
        if (rows <= kMostRows) return members;
    }
    return {};
}

}  // namespace vhash
