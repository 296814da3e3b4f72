// What can be saved of a damaged store.
#include <cerrno>

#include "store/store.hpp"

namespace vhash {
namespace {

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

void set_aside(const std::string& path) {
    if (file_exists(path)) rename_file(path, path + ".damaged");
}

void copy_aside(const std::string& path) {
    const File from(path, Access::read), to = File::create(path + ".damaged");
    const uint64_t size = from.size();
    to.write(0, from.read_all(size).get(), size);
}

// What is wrong with it; empty: nothing.
template <class Body>
std::string trouble_of(const Body& body) {
    try {
        body();
        return {};
    } catch (const FormatError& e) {
        return e.what();
    } catch (const FileError& e) {
        if (e.code != ENOENT) throw;
        return e.what();
    }
}

void repair_segments(const std::string& directory, Manifest& manifest, std::vector<std::string>& lost) {
    std::vector<SegmentEntry> kept;
    for (const SegmentEntry& entry : manifest.segments) {
        const std::string trouble = trouble_of([&] { open_segment(directory, manifest, entry); });
        if (trouble.empty()) {
            kept.push_back(entry);
            continue;
        }
        const std::string path = segment_path(directory, entry.number);
        lost.push_back(name_of(path) + ": its " + std::to_string(entry.live) + " codes are lost (" + trouble + ")");
        set_aside(path);
        if (entry.live_number) set_aside(live_path(directory, entry.live_number));
    }
    manifest.segments = kept;
}

void repair_logs(const std::string& directory, Manifest& manifest, std::vector<std::string>& lost) {
    uint64_t next = manifest.sealed + 1;
    std::vector<LogEntry> kept;
    bool cut = false;
    for (const LogEntry& entry : manifest.logs) {
        const std::string path = log_path(directory, entry.number);
        if (cut || entry.first_sequence != next) {
            cut = true;
            lost.push_back(name_of(path) + ": its changes are lost: earlier ones are missing");
            set_aside(path);
            continue;
        }
        Log log;
        std::string trouble =
            trouble_of([&] { log = Log::open(path, manifest.bits, entry.number, entry.first_sequence, true); });
        if (!trouble.empty()) {
            cut = true;
            lost.push_back(name_of(path) + ": its changes are lost (" + trouble + ")");
            set_aside(path);
            continue;
        }
        const bool active = &entry == &manifest.logs.back();
        const auto ignore = [](const LogFrame&) {};
        trouble = trouble_of([&] {
            if (active) log.read(log.start(), log.size(), log.mark().length, ignore);
            else log.read_rest(log.start(), ignore);
        });
        const LogPosition end = log.intact();
        if (!trouble.empty()) {
            cut = true;
            lost.push_back(name_of(path) + ": its changes from number " + std::to_string(end.next_sequence) +
                           " on are lost (" + trouble + ")");
            copy_aside(path);
            log.resume(end, new_session());
        }
        kept.push_back(entry);
        next = end.next_sequence;
    }
    manifest.logs = kept;
}

}  // namespace

std::vector<std::string> repair_store(const std::string& directory) {
    check_path(directory);
    try {
        File lock = take_lock(directory);
        try {
            Manifest manifest = read_manifest(directory);
            std::vector<std::string> lost;
            repair_segments(directory, manifest, lost);
            repair_logs(directory, manifest, lost);
            if (!lost.empty()) {
                ++manifest.generation;
                sync_directory(directory);
                replace_manifest(directory, manifest);
                sync_directory(directory);
            }
            release_lock(lock);
            return lost;
        } catch (...) {
            release_lock(lock);
            throw;
        }
    } catch (const FileError& e) {
        throw StoreError(std::string(e.what()) + "; store '" + directory + "' was not repaired", e.code);
    }
}

}  // namespace vhash
