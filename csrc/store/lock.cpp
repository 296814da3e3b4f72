#include "store/lock.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <set>

#include "system/fork.hpp"
#include "system/machine.hpp"

namespace vhash {
namespace {

std::string lock_path(const std::string& directory) { return directory + "/LOCK"; }

// The lock is one of the open file description: it goes with the process, however that ends. A child of
// fork() shares it and must not keep it for its parent, so it closes what is listed here.
struct Locks final : ForkLock {
    std::mutex mutex;
    std::set<File::Handle> held;

    Locks() : ForkLock(ForkOrder::lock_files) { adopt(); }
    void hold() override { mutex.lock(); }
    void let_go(bool child) override {
        if (child)
            for (const File::Handle handle : held) File::close(handle);
        mutex.unlock();
    }
};
Locks& locks() {
    static Locks* const instance = new Locks;  // never freed: a child may be forked while the process ends
    return *instance;
}

}  // namespace

File take_lock(const std::string& directory) {
    Locks& all = locks();
    std::lock_guard<std::mutex> guard(all.mutex);
    File file(lock_path(directory), Access::create);
    if (!file.lock()) {
        char pid[24] = {};
        const bool known = file.read(0, pid, sizeof pid - 1) > 0;
        throw StoreError("store '" + directory + "' is being written by " +
                             (known ? "process " + std::string(pid) : "another process") +
                             "; close it there, or open this one with mode=\"r\" to search",
                         EAGAIN);
    }
    // Nothing but a number is ever written here: what holds more may be another's file, under this name too.
    char before[32] = {};
    const size_t size = file.read(0, before, sizeof before);
    if (size == sizeof before ||
        !std::all_of(before, before + size, [](char c) { return c == 0 || (c >= '0' && c <= '9'); }))
        throw StoreError(
            "'" + file.path() +
            "' is not the lock of a store: it holds something else than the number of a process; move it elsewhere");
    const std::string pid = std::to_string(process_id());
    file.truncate(0);
    file.write(0, pid.data(), pid.size());
    all.held.insert(file.handle());
    return file;
}

void release_lock(File& file) {
    if (!file) return;
    Locks& all = locks();
    std::lock_guard<std::mutex> guard(all.mutex);
    all.held.erase(file.handle());
    file.close();
}

bool has_writer(const std::string& directory) {
    File file;
    try {
        file = File(lock_path(directory), Access::read);
    } catch (const FileError& e) {
        if (e.code == ENOENT) return false;
        throw;
    }
    return file.is_locked();
}

uint64_t new_session() {
    return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) ^ (process_id() << 40);
}

}  // namespace vhash
