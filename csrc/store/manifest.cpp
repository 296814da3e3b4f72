#include "store/manifest.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>

#include "hamming/hamming.hpp"
#include "index/model.hpp"
#include "index/rows.hpp"
#include "system/checksum.hpp"
#include "system/files.hpp"

namespace vhash {
namespace {

constexpr char kMagic[8] = {'V', 'H', 'A', 'S', 'H', 'M', 'A', 'N'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kLargest = uint64_t{1} << 30;      // of a manifest, in bytes
constexpr uint64_t kMostChanges = uint64_t{1} << 62;  // and files, and generations: no store lives so long

struct Header {
    char magic[8];
    uint32_t version;
    uint32_t bits;
    uint64_t generation;
    uint64_t sealed;
    uint64_t next_file;
    int64_t next_id;
    uint32_t segments;
    uint32_t logs;
    char model[64];  // fingerprint, padded with zeros
    char reserved[72];
};
static_assert(sizeof(Header) == 192 && sizeof(SegmentEntry) == 48 && sizeof(LogEntry) == 16,
              "the manifest's layout is a file format");

void check(bool good, const std::string& path, const std::string& what) {
    if (!good) throw FormatError("manifest '" + path + "' " + what);
}

std::string numbered(const std::string& directory, const char* kind, uint64_t number, const char* suffix) {
    return directory + "/" + kind + "-" + std::to_string(number) + suffix;
}

// Names of the directory's files that are ours: segment-*, live-*, log-*, MANIFEST.tmp.
std::vector<std::string> store_files(const std::string& directory) {
    std::vector<std::string> names;
    for (const std::string& name : list_directory(directory)) {
        const size_t dash = name.find('-');
        const std::string kind = name.substr(0, dash);
        const bool ours = dash != std::string::npos && dash + 1 < name.size() &&
                          (kind == "segment" || kind == "live" || kind == "log") &&
                          std::isdigit(static_cast<unsigned char>(name[dash + 1]));
        const bool kept = name.size() > 8 && name.compare(name.size() - 8, 8, ".damaged") == 0;
        if ((ours && !kept) || name == "MANIFEST.tmp") names.push_back(name);
    }
    return names;
}

template <class T>
void append(std::string& bytes, const T* values, size_t n) {
    bytes.append(reinterpret_cast<const char*>(values), n * sizeof(T));
}

// Whether the entries could belong to a store: files are numbered once, from 1, below the next number.
bool sound(const Manifest& manifest) {
    std::set<uint64_t> segments, bitmaps, logs;
    const auto number = [&](std::set<uint64_t>& taken, uint64_t n) {
        return n >= 1 && n < manifest.next_file && taken.insert(n).second;
    };
    for (const SegmentEntry& segment : manifest.segments) {
        if (!number(segments, segment.number) || (segment.live_number && !number(bitmaps, segment.live_number)))
            return false;
        if (segment.rows < 1 || segment.rows > kMaxRows || segment.live > segment.rows ||
            (!segment.live_number && segment.live != segment.rows))
            return false;
    }
    for (const LogEntry& log : manifest.logs)
        if (!number(logs, log.number) || log.first_sequence > kMostChanges) return false;
    return manifest.generation < kMostChanges && manifest.sealed < kMostChanges && manifest.next_file < kMostChanges &&
           manifest.next_id >= 0 && manifest.live() <= kMaxRows && is_model(manifest.model);
}

}  // namespace

uint64_t Manifest::live() const {
    uint64_t sum = 0;
    for (const SegmentEntry& segment : segments) sum += segment.live;
    return sum;
}

std::string manifest_path(const std::string& directory) { return directory + "/MANIFEST"; }
std::string segment_path(const std::string& directory, uint64_t number) {
    return numbered(directory, "segment", number, ".vhash");
}
std::string live_path(const std::string& directory, uint64_t number) {
    return numbered(directory, "live", number, ".bits");
}
std::string log_path(const std::string& directory, uint64_t number) {
    return numbered(directory, "log", number, ".vlog");
}

Manifest read_manifest(const std::string& directory) {
    const std::string path = manifest_path(directory);
    const File file(path, Access::read);
    const uint64_t size = file.size();
    Header h;
    check(size >= sizeof h + 4 && size < kLargest, path,
          "has " + std::to_string(size) + " bytes, which no manifest has; restore it from a copy");
    std::string bytes(size, 0);
    check(file.read(0, &bytes[0], size) == size, path, "ended while it was read");
    std::memcpy(&h, bytes.data(), sizeof h);
    check(!std::memcmp(h.magic, kMagic, sizeof kMagic), path,
          "is not that of a vhash store: the first bytes are not VHASHMAN");
    uint32_t crc;
    std::memcpy(&crc, bytes.data() + size - 4, 4);
    const bool intact = crc32c(0, bytes.data(), size - 4) == crc;
    check(h.version >= 1 && (h.version <= kVersion || !intact), path,
          "has format version " + std::to_string(h.version) + ", this vhash reads up to " + std::to_string(kVersion) +
              ": upgrade vhash");
    check(intact, path, "is damaged: it does not match its checksum; restore it from a copy");
    const uint64_t entries = uint64_t{h.segments} * sizeof(SegmentEntry) + uint64_t{h.logs} * sizeof(LogEntry);
    check(h.bits >= 1 && h.bits <= kMaxBits && size == sizeof h + entries + 4, path,
          "has a header that no vhash writes");
    Manifest manifest;
    manifest.bits = h.bits;
    manifest.model.assign(h.model, strnlen(h.model, sizeof h.model));
    manifest.generation = h.generation;
    manifest.sealed = h.sealed;
    manifest.next_file = h.next_file;
    manifest.next_id = h.next_id;
    manifest.segments.resize(h.segments);
    manifest.logs.resize(h.logs);
    const char* at = bytes.data() + sizeof h;
    if (h.segments) std::memcpy(manifest.segments.data(), at, h.segments * sizeof(SegmentEntry));
    if (h.logs) std::memcpy(manifest.logs.data(), at + h.segments * sizeof(SegmentEntry), h.logs * sizeof(LogEntry));
    check(sound(manifest), path, "has entries that no vhash writes; restore the directory from a copy");
    return manifest;
}

void replace_manifest(const std::string& directory, const Manifest& manifest) {
    Header h{};
    std::memcpy(h.magic, kMagic, sizeof kMagic);
    h.version = kVersion;
    h.bits = manifest.bits;
    h.generation = manifest.generation;
    h.sealed = manifest.sealed;
    h.next_file = manifest.next_file;
    h.next_id = manifest.next_id;
    h.segments = static_cast<uint32_t>(manifest.segments.size());
    h.logs = static_cast<uint32_t>(manifest.logs.size());
    std::memcpy(h.model, manifest.model.data(), std::min(manifest.model.size(), sizeof h.model));
    std::string bytes;
    append(bytes, &h, 1);
    append(bytes, manifest.segments.data(), manifest.segments.size());
    append(bytes, manifest.logs.data(), manifest.logs.size());
    const uint32_t crc = crc32c(0, bytes.data(), bytes.size());
    append(bytes, &crc, 1);
    const std::string temporary = manifest_path(directory) + ".tmp";
    try {
        const File file = File::create(temporary);
        file.write(0, bytes.data(), bytes.size());
        file.sync();
        rename_file(temporary, manifest_path(directory));
    } catch (...) {
        discard_file(temporary);
        throw;
    }
}

void sweep(const std::string& directory, const Manifest& manifest) {
    std::set<std::string> named;
    for (const SegmentEntry& segment : manifest.segments) {
        named.insert(segment_path(directory, segment.number));
        if (segment.live_number) named.insert(live_path(directory, segment.live_number));
    }
    for (const LogEntry& log : manifest.logs) named.insert(log_path(directory, log.number));
    for (const std::string& name : store_files(directory))
        if (!named.count(directory + "/" + name)) discard_file(directory + "/" + name);
}

bool has_store_files(const std::string& directory) {
    const auto names = store_files(directory);
    return std::any_of(names.begin(), names.end(), [](const std::string& name) { return name != "MANIFEST.tmp"; });
}

}  // namespace vhash
