// One index as one file, laid out so that it can be searched in place:
//
//   0     header, 256 bytes (below), its CRC-32C in the last four
//   4096  codes: count rows of ceil(bits / 64) little-endian 64-bit words, padding bits zero
//   …     ids, aligned to 64 bytes: count int64; absent where they are id_base, id_base + 1, …
//
// Every version that was ever written is read for ever.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "checksum.hpp"
#include "index.hpp"

namespace vhash {
namespace {

constexpr char kMagic[8] = {'V', 'H', 'A', 'S', 'H', 'I', 'D', 'X'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kExplicitIds = 1;
constexpr uint64_t kCodesOffset = 4096;
constexpr size_t kBuffer = size_t{1} << 20;

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

[[noreturn]] void fail(const std::string& what, const std::string& path) {
    const int code = errno;
    throw FileError(what + " '" + path + "': " + std::strerror(code), code);
}

struct File {
    int fd = -1;
    explicit File(int descriptor) : fd(descriptor) {}
    File(const File&) = delete;
    ~File() {
        if (fd >= 0) ::close(fd);
    }
};

// Collects small pieces, writes big ones, and keeps the checksum of all.
class Writer {
  public:
    Writer(int fd, uint64_t offset, const std::string& path) : fd_(fd), offset_(offset), path_(path) { buffer_.reserve(kBuffer); }

    void put(const void* data, size_t size) {
        crc_ = crc32c(crc_, data, size);
        if (buffer_.size() + size > kBuffer) flush();
        if (size > kBuffer) return write_all(data, size);
        const char* bytes = static_cast<const char*>(data);
        buffer_.insert(buffer_.end(), bytes, bytes + size);
    }
    void flush() {
        write_all(buffer_.data(), buffer_.size());
        buffer_.clear();
    }
    uint32_t crc() const { return crc_; }
    uint64_t offset() const { return offset_; }

  private:
    void write_all(const void* data, size_t size) {
        const char* bytes = static_cast<const char*>(data);
        while (size) {
            const ssize_t written = ::pwrite(fd_, bytes, size, static_cast<off_t>(offset_));
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) fail("cannot write", path_);
            bytes += written;
            size -= static_cast<size_t>(written);
            offset_ += static_cast<uint64_t>(written);
        }
    }

    int fd_;
    uint64_t offset_;
    const std::string& path_;
    uint32_t crc_ = 0;
    std::vector<char> buffer_;
};

template <class Visit>
void for_each_live(const Snapshot& s, const Visit& visit) {
    for (const Chunk& chunk : s.chunks)
        for (size_t r = 0; r < chunk.rows; ++r)
            if (chunk.is_live(r)) visit(chunk, r);
}

void write_index(int fd, const std::string& path, const Snapshot& s, Header& header) {
    Writer codes(fd, kCodesOffset, path);
    int64_t expected = 0;
    bool first = true, sequence = true;
    for_each_live(s, [&](const Chunk& chunk, size_t row) {
        const int64_t id = chunk.id(row);
        if (first) header.id_base = id;
        else sequence = sequence && id == expected;
        first = false;
        expected = id + 1;
        codes.put(chunk.codes.get() + row * s.words, s.words * 8);
    });
    codes.flush();
    header.codes_crc = codes.crc();
    header.file_size = codes.offset();
    if (!sequence) {
        header.flags |= kExplicitIds;
        header.ids_offset = (codes.offset() + 63) / 64 * 64;
        Writer ids(fd, header.ids_offset, path);
        for_each_live(s, [&](const Chunk& chunk, size_t row) {
            const int64_t id = chunk.id(row);
            ids.put(&id, sizeof id);
        });
        ids.flush();
        header.ids_crc = ids.crc();
        header.file_size = ids.offset();
    }
    header.header_crc = crc32c(0, &header, offsetof(Header, header_crc));
    Writer head(fd, 0, path);
    head.put(&header, sizeof header);
    head.flush();
    if (::ftruncate(fd, static_cast<off_t>(header.file_size)) != 0) fail("cannot write", path);  // an empty index too
    if (::fsync(fd) != 0) fail("cannot flush", path);
}

void sync_directory(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    File dir(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir.fd < 0 || ::fsync(dir.fd) != 0) fail("cannot flush the directory", directory);
}

void check(bool good, const std::string& path, const std::string& what) {
    if (!good) throw FormatError("index file '" + path + "' " + what);
}

Header read_header(int fd, const std::string& path) {
    struct stat status;
    if (::fstat(fd, &status) != 0) fail("cannot read", path);
    Header h;
    const ssize_t got = ::pread(fd, &h, sizeof h, 0);
    if (got < 0) fail("cannot read", path);
    check(got == static_cast<ssize_t>(sizeof h) && !std::memcmp(h.magic, kMagic, sizeof kMagic), path,
          "is not a vhash index: the first bytes are not VHASHIDX; make one with Index.save()");
    check(h.version <= kVersion && h.version > 0, path,
          "has format version " + std::to_string(h.version) + ", this vhash reads up to " + std::to_string(kVersion) + ": upgrade vhash");
    check(crc32c(0, &h, offsetof(Header, header_crc)) == h.header_crc, path, "is damaged: its header does not match its checksum; restore it from a copy");
    check(h.bits >= 1 && h.bits <= kMaxBits && h.count < 0xfffffff0u && h.codes_offset == kCodesOffset, path, "has a header that no vhash writes");
    check(static_cast<uint64_t>(status.st_size) == h.file_size, path,
          "has " + std::to_string(status.st_size) + " bytes where its header says " + std::to_string(h.file_size) + ": truncated or appended to; restore it from a copy");
    const uint64_t codes = h.count * ((h.bits + 63) / 64) * 8;
    const uint64_t end = h.flags & kExplicitIds ? h.ids_offset + 8 * h.count : h.codes_offset + codes;
    check(end == h.file_size && (!(h.flags & kExplicitIds) || (h.ids_offset >= h.codes_offset + codes && h.ids_offset % 8 == 0)), path, "has a header that no vhash writes");
    return h;
}

std::shared_ptr<char> map_file(int fd, const std::string& path, size_t size) {
    void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) fail("cannot map", path);
    return std::shared_ptr<char>(static_cast<char*>(memory), [size](char* p) { ::munmap(p, size); });
}

std::shared_ptr<char> read_file(int fd, const std::string& path, size_t size) {
    void* memory = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (!memory) throw std::bad_alloc();
    std::shared_ptr<char> bytes(static_cast<char*>(memory), [](char* p) { std::free(p); });
    for (size_t at = 0; at < size;) {
        const ssize_t got = ::pread(fd, bytes.get() + at, size - at, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("cannot read", path);
        check(got > 0, path, "ended while it was read");
        at += static_cast<size_t>(got);
    }
    return bytes;
}

}  // namespace

void Index::save(const std::string& path) const {
    static std::atomic<unsigned> turn{0};
    const SnapshotPtr now = snapshot();
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.version = kVersion;
    header.bits = bits_;
    header.count = now->live;
    header.next_id = next_id();
    header.codes_offset = kCodesOffset;
    const std::string fingerprint = model();
    std::memcpy(header.model, fingerprint.data(), fingerprint.size());
    const std::string temporary = path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(turn++);
    File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file.fd < 0) fail("cannot create", temporary);
    try {
        write_index(file.fd, temporary, *now, header);
        if (::rename(temporary.c_str(), path.c_str()) != 0) fail("cannot replace", path);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    sync_directory(path);
}

std::unique_ptr<Index> Index::load(const std::string& path, bool map, bool verify) {
    File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd < 0) fail("cannot open", path);
    const Header h = read_header(file.fd, path);
    auto index = std::make_unique<Index>(h.bits, std::string(h.model, strnlen(h.model, sizeof h.model)));
    if (h.count) {
        const auto bytes = map ? map_file(file.fd, path, h.file_size) : read_file(file.fd, path, h.file_size);
        const size_t row = index->words() * 8;
        if (verify) {
            check(crc32c(0, bytes.get() + h.codes_offset, h.count * row) == h.codes_crc, path, "is damaged: its codes do not match their checksum; restore it from a copy");
            check(!(h.flags & kExplicitIds) || crc32c(0, bytes.get() + h.ids_offset, 8 * h.count) == h.ids_crc, path,
                  "is damaged: its ids do not match their checksum; restore it from a copy");
        }
        std::shared_ptr<const uint64_t> codes(bytes, reinterpret_cast<const uint64_t*>(bytes.get() + h.codes_offset));
        std::shared_ptr<const int64_t> ids;
        if (h.flags & kExplicitIds) ids = {bytes, reinterpret_cast<const int64_t*>(bytes.get() + h.ids_offset)};
        index->attach(codes, h.count, ids, h.id_base);
    }
    index->set_next_id(h.next_id);
    return index;
}

}  // namespace vhash
