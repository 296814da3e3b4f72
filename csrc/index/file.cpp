// One index as one file, laid out so that it can be searched in place:
//
//   0     header, 256 bytes (below), its CRC-32C in the last four
//   4096  codes: count rows of ceil(bits / 64) little-endian 64-bit words, padding bits zero
//   …     ids, aligned to 64 bytes: count int64; absent where they are id_base, id_base + 1, …
//
// Every version that was ever written is read for ever.
#include "index/file.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "hamming/hamming.hpp"
#include "index/model.hpp"
#include "index/rows.hpp"
#include "system/checksum.hpp"
#include "system/machine.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr char kMagic[8] = {'V', 'H', 'A', 'S', 'H', 'I', 'D', 'X'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kExplicitIds = 1;
constexpr uint64_t kCodesOffset = 4096;
constexpr size_t kBuffer = size_t{1} << 20;
constexpr size_t kPiece = size_t{16} << 20;  // of a file that is checked at once

struct Header {
    char magic[8];
    uint32_t version;
    uint32_t bits;
    uint64_t count;
    int64_t id_base;
    int64_t next_id;
    uint64_t codes_offset;
    uint64_t ids_offset;  // 0: no ids are stored
    uint64_t file_size;
    uint32_t flags;
    uint32_t codes_crc;
    uint32_t ids_crc;
    char model[64];  // fingerprint, padded with zeros
    char reserved[112];
    uint32_t header_crc;
};
static_assert(sizeof(Header) == 256 && offsetof(Header, header_crc) == 252, "the header's layout is a file format");

// Collects small pieces, writes big ones, and keeps the checksum of all.
class Writer {
  public:
    Writer(const File& file, uint64_t offset) : file_(file), offset_(offset) { buffer_.reserve(kBuffer); }

    void put(const void* data, size_t size) {
        if (buffer_.size() + size > kBuffer) flush();
        const char* bytes = static_cast<const char*>(data);
        buffer_.insert(buffer_.end(), bytes, bytes + size);
    }
    void flush() {
        crc_ = crc32c(crc_, buffer_.data(), buffer_.size());
        file_.write(offset_, buffer_.data(), buffer_.size());
        offset_ += buffer_.size();
        buffer_.clear();
    }
    uint32_t crc() const { return crc_; }
    uint64_t offset() const { return offset_; }

  private:
    const File& file_;
    uint64_t offset_;
    uint32_t crc_ = 0;
    std::vector<char> buffer_;
};

void write_rows(const File& file, const Rows& rows, Header& header) {
    const size_t row_bytes = (header.bits + 63) / 64 * 8;
    Writer codes(file, kCodesOffset);
    int64_t expected = 0;
    bool sequence = true;
    rows([&](int64_t id, const uint64_t* code) {
        if (header.count++ == 0) header.id_base = id;
        else sequence = sequence && id == expected;
        expected = id + 1;
        codes.put(code, row_bytes);
    });
    codes.flush();
    header.codes_crc = codes.crc();
    header.file_size = codes.offset();
    if (!sequence) {
        header.flags |= kExplicitIds;
        header.ids_offset = (codes.offset() + 63) / 64 * 64;
        Writer ids(file, header.ids_offset);
        rows([&](int64_t id, const uint64_t*) { ids.put(&id, sizeof id); });
        ids.flush();
        header.ids_crc = ids.crc();
        header.file_size = ids.offset();
    }
    header.header_crc = crc32c(0, &header, offsetof(Header, header_crc));
    file.write(0, &header, sizeof header);
    file.truncate(header.file_size);  // an empty index too
    file.sync();
}

void check(bool good, const std::string& path, const std::string& what) {
    if (!good) throw FormatError("index file '" + path + "' " + what);
}

Header read_header(const File& file) {
    const std::string& path = file.path();
    Header h;
    check(file.read(0, &h, sizeof h) == sizeof h && !std::memcmp(h.magic, kMagic, sizeof kMagic), path,
          "is not a vhash index: the first bytes are not VHASHIDX; make one with Index.save()");
    check(h.version <= kVersion && h.version > 0, path,
          "has format version " + std::to_string(h.version) + ", this vhash reads up to " + std::to_string(kVersion) +
              ": upgrade vhash");
    check(crc32c(0, &h, offsetof(Header, header_crc)) == h.header_crc, path,
          "is damaged: its header does not match its checksum; restore it from a copy");
    const char* const foreign = "has a header that no vhash writes";
    const bool explicit_ids = h.flags & kExplicitIds;
    check(h.bits >= 1 && h.bits <= kMaxBits && h.count <= kMaxRows && h.codes_offset == kCodesOffset &&
              !(h.flags & ~kExplicitIds),
          path, foreign);
    check(explicit_ids || h.id_base <= std::numeric_limits<int64_t>::max() - static_cast<int64_t>(h.count), path,
          foreign);
    check(is_model(std::string(h.model, strnlen(h.model, sizeof h.model))), path, foreign);
    const uint64_t size = file.size();
    check(size == h.file_size, path,
          "has " + std::to_string(size) + " bytes where its header says " + std::to_string(h.file_size) +
              ": truncated or appended to; restore it from a copy");
    const uint64_t codes_end = kCodesOffset + h.count * ((h.bits + 63) / 64) * 8;  // at most 2^41
    const uint64_t ids_offset = explicit_ids ? (codes_end + 63) / 64 * 64 : 0;
    check(h.ids_offset == ids_offset && size == (explicit_ids ? ids_offset + 8 * h.count : codes_end), path, foreign);
    return h;
}

uint32_t checksum_of(const char* bytes, uint64_t size) {
    uint32_t crc = 0;
    for (uint64_t done = 0; done < size; done += kPiece) {
        poll();
        crc = crc32c(crc, bytes + done, std::min<uint64_t>(kPiece, size - done));
    }
    return crc;
}

// Distances count every bit of a row, also those beyond the width.
bool padding_is_zero(const uint64_t* codes, uint64_t count, unsigned bits) {
    if (bits % 64 == 0) return true;
    const size_t words = (bits + 63) / 64;
    const uint64_t* last = codes + words - 1;
    uint64_t found = 0;
    for (uint64_t row = 0; row < count; ++row, last += words) {
        if (row % kBuffer == 0) poll();
        found |= *last;
    }
    return found >> (bits % 64) == 0;
}

}  // namespace

IndexFile read_index_file(const std::string& path, bool map, bool verify) {
    const File file(path, Access::read);
    const Header h = read_header(file);
    IndexFile found;
    found.bits = h.bits;
    found.model.assign(h.model, strnlen(h.model, sizeof h.model));
    found.count = h.count;
    found.id_base = h.id_base;
    found.next_id = h.next_id;
    found.file_size = h.file_size;
    found.checksum = h.header_crc;
    const auto bytes = map ? file.map(h.file_size) : file.read_all(h.file_size);
    const size_t row = (h.bits + 63) / 64 * 8;
    if (verify) {
        check(checksum_of(bytes.get() + h.codes_offset, h.count * row) == h.codes_crc, path,
              "is damaged: its codes do not match their checksum; restore it from a copy");
        check(!(h.flags & kExplicitIds) || checksum_of(bytes.get() + h.ids_offset, 8 * h.count) == h.ids_crc, path,
              "is damaged: its ids do not match their checksum; restore it from a copy");
    }
    found.codes = {bytes, reinterpret_cast<const uint64_t*>(bytes.get() + h.codes_offset)};
    check(padding_is_zero(found.codes.get(), h.count, h.bits), path,
          "has codes with bits beyond their width, which no vhash writes; restore it from a copy");
    if (h.flags & kExplicitIds) found.ids = {bytes, reinterpret_cast<const int64_t*>(bytes.get() + h.ids_offset)};
    return found;
}

void write_index_file(const std::string& path, Before before, unsigned bits, const std::string& model, int64_t next_id,
                      const Rows& rows) {
    static std::atomic<unsigned> turn{0};
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.version = kVersion;
    header.bits = bits;
    header.next_id = next_id;
    header.codes_offset = kCodesOffset;
    std::memcpy(header.model, model.data(), model.size());
    const std::string name = before == Before::own ? replaced_name(path) : path;
    const File file = [&] {
        for (int attempt = 0;; ++attempt) {
            try {
                return File(name + ".tmp." + std::to_string(process_id()) + "." + std::to_string(turn++),
                            Access::create_new);
            } catch (const FileError& e) {  // left by a crash of a process with our number, or in use by one
                if (e.code != EEXIST || attempt == 1000) throw;
            }
        }
    }();
    try {
        if (before == Before::own) file.take_permissions_of(name);
        write_rows(file, rows, header);
        rename_file(file.path(), name);
    } catch (...) {
        discard_file(file.path());
        throw;
    }
    sync_directory(directory_of(name));
}

}  // namespace vhash
