#include "store/log.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <thread>

#include "system/checksum.hpp"
#include "system/machine.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr char kMagic[8] = {'V', 'H', 'A', 'S', 'H', 'L', 'O', 'G'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kFrameMagic = 0x52464856;  // "VHFR"
constexpr uint64_t kMarkOffset = 512;
constexpr uint64_t kFrames = 4096;
constexpr uint32_t kExplicitIds = 1u << 16;

struct Header {
    char magic[8];
    uint32_t version;
    uint32_t bits;
    uint64_t number;
    uint64_t first_sequence;
    uint64_t born;  // makes the crc of two headers differ
    char reserved[20];
    uint32_t crc;
};
static_assert(sizeof(Header) == 64, "the log's layout is a file format");

struct MarkRecord {
    uint64_t length;
    uint64_t session;
    uint32_t reserved;
    uint32_t crc;
};
static_assert(sizeof(MarkRecord) == 24, "the log's layout is a file format");

struct FrameHeader {
    uint32_t magic;
    uint32_t crc;   // of all that follows
    uint64_t size;  // of the whole frame
    uint64_t sequence;
    uint32_t kind;  // Journal::Kind, and kExplicitIds
    uint32_t count;
    int64_t first_id;
};
static_assert(sizeof(FrameHeader) == 40, "the log's layout is a file format");
constexpr size_t kCheckedFrom = offsetof(FrameHeader, size);

void check(bool good, const std::string& path, const std::string& what) {
    if (!good) throw FormatError("log '" + path + "' " + what);
}

uint64_t padded(uint64_t size) { return (size + 7) / 8 * 8; }

uint64_t frame_size(const FrameHeader& h, unsigned bits) {
    const bool removal = (h.kind & 0xffff) == static_cast<uint32_t>(Journal::Kind::remove);
    const uint64_t ids = h.kind & kExplicitIds ? 8ull * h.count : 0;
    return padded(sizeof h + ids + (removal ? 0 : uint64_t{h.count} * ((bits + 7) / 8)));
}

// Whether a whole frame begins here; `salt` begins its checksum.
bool parse(const char* bytes, size_t size, unsigned bits, uint32_t salt, LogFrame* frame, uint64_t* length) {
    FrameHeader h;
    if (size < sizeof h) return false;
    std::memcpy(&h, bytes, sizeof h);
    const uint32_t kind = h.kind & 0xffff;
    if (h.magic != kFrameMagic || h.size > size || kind < 1 || kind > 3 || h.size != frame_size(h, bits)) return false;
    if (!(h.kind & kExplicitIds) && h.first_id > INT64_MAX - static_cast<int64_t>(h.count))
        return false;  // no ids run so far
    if (crc32c(salt, bytes + kCheckedFrom, h.size - kCheckedFrom) != h.crc) return false;
    const char* ids = bytes + sizeof h;
    frame->sequence = h.sequence;
    frame->kind = static_cast<Journal::Kind>(kind);
    frame->count = h.count;
    frame->first_id = h.first_id;
    frame->ids = h.kind & kExplicitIds ? reinterpret_cast<const int64_t*>(ids) : nullptr;
    const char* codes = ids + (frame->ids ? 8ull * h.count : 0);
    frame->codes = frame->kind == Journal::Kind::remove ? nullptr : reinterpret_cast<const uint8_t*>(codes);
    *length = h.size;
    return true;
}

}  // namespace

Log Log::create(const std::string& path, unsigned bits, uint64_t number, uint64_t first_sequence) {
    Header h{};
    std::memcpy(h.magic, kMagic, sizeof kMagic);
    h.version = kVersion;
    h.bits = bits;
    h.number = number;
    h.first_sequence = first_sequence;
    h.born = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) ^ (process_id() << 48);
    h.crc = crc32c(0, &h, offsetof(Header, crc));
    Log log;
    log.file_ = File::create(path);
    log.file_.truncate(kFrames);
    log.file_.write(0, &h, sizeof h);
    log.bits_ = bits;
    log.salt_ = h.crc;
    log.first_sequence_ = first_sequence;
    return log;
}

Log Log::open(const std::string& path, unsigned bits, uint64_t number, uint64_t first_sequence, bool writable) {
    Log log;
    log.file_ = File(path, writable ? Access::write : Access::read);
    Header h;
    check(log.file_.read(0, &h, sizeof h) == sizeof h && log.file_.size() >= kFrames, path,
          "is damaged: its beginning is missing; restore it from a copy");
    const bool intact = crc32c(0, &h, offsetof(Header, crc)) == h.crc;
    check(!std::memcmp(h.magic, kMagic, sizeof kMagic) && h.version >= 1, path,
          "is damaged: its first bytes are not VHASHLOG; restore it from a copy");
    check(h.version <= kVersion || !intact, path,
          "has format version " + std::to_string(h.version) + ", this vhash reads up to " + std::to_string(kVersion) +
              ": upgrade vhash");
    check(intact, path, "is damaged: its header does not match its checksum; restore it from a copy");
    check(h.bits == bits && h.number == number && h.first_sequence == first_sequence, path,
          "is not the one that the manifest names; restore the directory from a copy");
    log.bits_ = bits;
    log.salt_ = h.crc;
    log.first_sequence_ = first_sequence;
    return log;
}

Log::Mark Log::mark() const {
    for (int attempt = 0; attempt < 20; ++attempt) {  // it may be read while it is written
        MarkRecord r;
        if (attempt) std::this_thread::yield();
        if (file_.read(kMarkOffset, &r, sizeof r) == sizeof r && crc32c(salt_, &r, offsetof(MarkRecord, crc)) == r.crc)
            return {r.length, r.session};
    }
    return {};
}

void Log::write_mark() const {
    MarkRecord r{position_.offset, session_, 0, 0};
    r.crc = crc32c(salt_, &r, offsetof(MarkRecord, crc));
    file_.write(kMarkOffset, &r, sizeof r);
}

LogPosition Log::start() const { return {kFrames, first_sequence_}; }

// Whether a frame that only a later change can have written begins somewhere in these bytes.
bool Log::whole_frame_behind(const char* bytes, size_t size, uint64_t sequence) const {
    LogFrame frame;
    uint64_t length;
    for (size_t at = 0; at + sizeof(FrameHeader) <= size; at += 8)
        if (parse(bytes + at, size - at, bits_, salt_, &frame, &length) && (at == 0 || frame.sequence > sequence))
            return true;
    return false;
}

// `data` lies at `position` in the file.
LogPosition Log::scan(LogPosition position, const char* data, size_t size, const Visitor& visit) const {
    LogFrame frame;
    uint64_t length;
    while (parse(data, size, bits_, salt_, &frame, &length) && frame.sequence == position.next_sequence) {
        poll();
        visit(frame);
        data += length;
        size -= length;
        position.offset += length;
        ++position.next_sequence;
    }
    return position;
}

LogPosition Log::read(LogPosition position, uint64_t end, uint64_t acknowledged, const Visitor& visit) const {
    const uint64_t from = position.offset;
    const size_t size = std::max(end, from) - from;
    const auto bytes = std::make_unique<uint64_t[]>(size / 8 + 1);  // aligned for the ids
    const char* data = reinterpret_cast<char*>(bytes.get());
    const size_t got = file_.read(from, bytes.get(), size);
    position = scan(position, data, got, visit);
    const size_t used = position.offset - from;
    if (position.offset < acknowledged)
        refuse(position, file_.size() < acknowledged ? "acknowledged changes behind it are cut off"
                                                     : "an acknowledged change is not whole");
    if (whole_frame_behind(data + used, got - used, position.next_sequence))
        refuse(position, "a change is not whole and others follow it");
    return position;
}

LogPosition Log::intact() const {
    const size_t size = file_.size() - start().offset;
    const auto bytes = std::make_unique<uint64_t[]>(size / 8 + 1);
    const size_t got = file_.read(start().offset, bytes.get(), size);
    return scan(start(), reinterpret_cast<char*>(bytes.get()), got, [](const LogFrame&) {});
}

LogPosition Log::read_rest(LogPosition position, const Visitor& visit) const {
    const LogPosition end = read(position, size(), mark().length, visit);
    if (end.offset != size()) refuse(end, "a change is not whole");
    return end;
}

void Log::refuse(const LogPosition& position, const std::string& what) const {
    throw FormatError("log '" + path() + "' is damaged at byte " + std::to_string(position.offset) + " of " +
                      std::to_string(size()) + ": " + what +
                      "; restore the directory from a copy, or keep what is intact with vhash_sdk.index.repair()");
}

void Log::resume(LogPosition position, uint64_t session) {
    position_ = position;
    session_ = session;
    if (file_.size() != position.offset) file_.truncate(position.offset);
    file_.sync();
    write_mark();
}

void Log::append(Journal::Kind kind, const uint8_t* codes, size_t n, const int64_t* ids, int64_t first_id) {
    static const char zeros[8] = {};
    bool sequence = ids != nullptr;
    for (size_t i = 1; i < n && sequence; ++i) sequence = ids[i] == ids[i - 1] + 1;
    if (sequence) {
        first_id = ids[0];
        ids = nullptr;
    }
    if (n > UINT32_MAX) throw std::invalid_argument("more than 2^32 - 1 codes in one call; add them in several");
    FrameHeader h{};
    h.magic = kFrameMagic;
    h.sequence = position_.next_sequence;
    h.kind = static_cast<uint32_t>(kind) | (ids ? kExplicitIds : 0);
    h.count = static_cast<uint32_t>(n);
    h.first_id = ids ? 0 : first_id;
    const size_t id_bytes = ids ? 8 * n : 0, code_bytes = codes ? n * ((bits_ + 7) / 8) : 0;
    const size_t used = sizeof h + id_bytes + code_bytes;
    h.size = padded(used);
    h.crc = crc32c(salt_, reinterpret_cast<const char*>(&h) + kCheckedFrom, sizeof h - kCheckedFrom);
    h.crc = crc32c(crc32c(crc32c(h.crc, ids, id_bytes), codes, code_bytes), zeros, h.size - used);
    try {
        file_.write(position_.offset, {{&h, sizeof h}, {ids, id_bytes}, {codes, code_bytes}, {zeros, h.size - used}});
    } catch (const FileError&) {
        try {
            file_.truncate(position_.offset);
        } catch (const FileError&) {
            usable_ = false;
        }
        throw;
    }
    try {
        file_.sync_data();
    } catch (const FileError&) {
        // What a failed flush left on the disk is unknown, and a second one may succeed without having
        // written anything: only what is read back after a new start can be trusted.
        usable_ = false;
        try {
            file_.truncate(position_.offset);
        } catch (const FileError&) {}
        throw;
    }
    position_.offset += h.size;
    ++position_.next_sequence;
    try {
        write_mark();
    } catch (const FileError&) {  // the frame itself is safe; only readers learn of it later
    }
}

}  // namespace vhash
