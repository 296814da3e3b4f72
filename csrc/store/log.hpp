// The log of a store: what was changed since the last segment was sealed, in frames that are on the
// disk before the call that made them returns.
//
//   0     header, 64 bytes (log.cpp), never changed
//   512   mark: how many bytes have been acknowledged; rewritten after each frame, in its own sector
//   4096  frames, each a multiple of 8 bytes:
//         magic, crc32c | size, sequence, kind, count, first id | ids (count × int64, unless they are
//         first id, first id + 1, …), codes (count × ceil(bits / 8) bytes; none for a removal), padding
//
// The crc begins with a number that is this log's own, so a frame of another log is never taken for one
// of this. Frame n + 1 is written only when frame n is on the disk, so a crash can only tear the last
// one: a broken frame with a whole one behind it, or before the mark, is damage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "index/journal.hpp"
#include "system/files.hpp"

namespace vhash {

struct LogFrame {
    uint64_t sequence;
    Journal::Kind kind;
    size_t count;
    const int64_t* ids;  // null: first_id, first_id + 1, …
    int64_t first_id;
    const uint8_t* codes;  // null: a removal

    int64_t id(size_t i) const { return ids ? ids[i] : first_id + static_cast<int64_t>(i); }
};

struct LogPosition {
    uint64_t offset = 0;         // 0: before the header was read
    uint64_t next_sequence = 0;  // of the frame there
};

class Log {
  public:
    // Writes the header; resume() flushes it, and the caller the directory.
    static Log create(const std::string& path, unsigned bits, uint64_t number, uint64_t first_sequence);
    // Throws FormatError where the file is not this log.
    static Log open(const std::string& path, unsigned bits, uint64_t number, uint64_t first_sequence, bool writable);

    struct Mark {
        uint64_t length = 0;   // bytes acknowledged; 0: no valid mark
        uint64_t session = 0;  // who wrote it
        bool operator==(const Mark& other) const { return length == other.length && session == other.session; }
    };
    Mark mark() const;

    using Visitor = std::function<void(const LogFrame&)>;
    // Shows the whole frames from `position` up to byte `end` and returns the position behind them. A rest
    // that is no frame is a torn tail and is left; it is damage, and throws FormatError, where it begins
    // before byte `acknowledged` or a whole frame follows.
    LogPosition read(LogPosition position, uint64_t end, uint64_t acknowledged, const Visitor& visit) const;
    // The same up to the end of the file, and nothing may be left.
    LogPosition read_rest(LogPosition position, const Visitor& visit) const;
    LogPosition start() const;
    // Behind the last of the whole frames from the start, whatever follows.
    LogPosition intact() const;

    // Ready to append: cuts what is behind `position`, flushes, writes the mark.
    void resume(LogPosition position, uint64_t session);
    // Returns when the frame is on the disk. When it throws FileError, the frame is not in the log; if
    // usable() is false then, nothing more can be appended before the log is opened again.
    void append(Journal::Kind kind, const uint8_t* codes, size_t n, const int64_t* ids, int64_t first_id);
    bool usable() const { return usable_; }
    const LogPosition& position() const { return position_; }
    const std::string& path() const { return file_.path(); }
    uint64_t size() const { return file_.size(); }

  private:
    void write_mark() const;
    [[noreturn]] void refuse(const LogPosition& position, const std::string& what) const;
    LogPosition scan(LogPosition position, const char* data, size_t size, const Visitor& visit) const;
    bool whole_frame_behind(const char* bytes, size_t size, uint64_t sequence) const;

    File file_;
    unsigned bits_ = 0;
    uint32_t salt_ = 0;
    uint64_t first_sequence_ = 0;
    uint64_t session_ = 0;
    LogPosition position_;
    bool usable_ = true;
};

}  // namespace vhash
