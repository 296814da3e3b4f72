// Files by the calls of POSIX.
#if !defined(_WIN32)
#include "system/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr size_t kPiece = size_t{16} << 20;  // read at once

int flags_of(Access access) {
    switch (access) {
        case Access::read: return O_RDONLY;
        case Access::write: return O_RDWR;
        case Access::create: return O_RDWR | O_CREAT;
        case Access::create_new: return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

#if defined(F_OFD_SETLK)
struct flock whole_file() {
    struct flock range{};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    return range;
}
#endif

}  // namespace

File::File(std::string path, Access access) : path_(std::move(path)) {
    const int flags = flags_of(access);
    const bool writes = access != Access::read;
    // not blocking: a pipe would wait for its other end
    do handle_ = ::open(path_.c_str(), flags | O_CLOEXEC | O_NONBLOCK | (writes ? O_NOFOLLOW : 0), 0644);
    while (handle_ < 0 && errno == EINTR);
    if (handle_ < 0 && errno == ELOOP && writes)
        throw FileError("'" + path_ + "' is a symbolic link, and what it names would be overwritten; remove the link",
                        ELOOP);
    if (handle_ < 0) fail_file(flags & O_CREAT ? "cannot create" : "cannot open", path_);
    struct stat status{};
    if (::fstat(handle_, &status) == 0 && S_ISREG(status.st_mode)) return;
    close();
    throw FormatError("'" + path_ + "' is " + (S_ISDIR(status.st_mode) ? "a directory" : "no regular file") +
                      " where a file is expected; an index that is kept in a directory is opened with Index.open()");
}

void File::close(Handle handle) noexcept { ::close(handle); }

uint64_t File::size() const {
    struct stat status;
    if (::fstat(handle_, &status) != 0) fail_file("cannot read", path_);
    return static_cast<uint64_t>(status.st_size);
}

size_t File::read(uint64_t offset, void* out, size_t size) const {
    size_t done = 0;
    while (done < size) {
        const ssize_t got = ::pread(handle_, static_cast<char*>(out) + done, std::min(size - done, kPiece),
                                    static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail_file("cannot read", path_);
        if (got == 0) break;
        done += static_cast<size_t>(got);
        if (done < size) poll();
    }
    return done;
}

void File::write(uint64_t offset, std::initializer_list<Part> all) const {
    iovec left_over[kMostParts], *parts = left_over;
    int count = 0;
    for (const Part& part : all) left_over[count++] = {const_cast<void*>(part.data), part.size};
    while (count) {
        if (parts->iov_len == 0) {
            ++parts, --count;
            continue;
        }
        const ssize_t wrote = ::pwritev(handle_, parts, count, static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote == 0) errno = ENOSPC;
        if (wrote <= 0) fail_file("cannot write", path_);
        offset += static_cast<uint64_t>(wrote);
        for (auto left = static_cast<size_t>(wrote); left;) {
            const size_t taken = left < parts->iov_len ? left : parts->iov_len;
            parts->iov_base = static_cast<char*>(parts->iov_base) + taken;
            parts->iov_len -= taken;
            left -= taken;
            if (parts->iov_len == 0) ++parts, --count;
        }
    }
}

void File::truncate(uint64_t size) const {
    int result;
    do result = ::ftruncate(handle_, static_cast<off_t>(size));
    while (result != 0 && errno == EINTR);
    if (result != 0) fail_file("cannot set the length of", path_);
}

void File::sync() const {
#if defined(__APPLE__)  // where fsync leaves it in the drive's own memory
    if (::fcntl(handle_, F_FULLFSYNC) == 0) return;
#endif
    if (::fsync(handle_) != 0) fail_file("cannot flush", path_);
}

void File::sync_data() const {
#if defined(__APPLE__)
    sync();
#else
    if (::fdatasync(handle_) != 0) fail_file("cannot flush", path_);
#endif
}

bool File::lock() const {
#if defined(F_OFD_SETLK)
    struct flock range = whole_file();
    const int result = ::fcntl(handle_, F_OFD_SETLK, &range);
#else
    const int result = ::flock(handle_, LOCK_EX | LOCK_NB);
#endif
    if (result == 0) return true;
    if (errno != EAGAIN && errno != EACCES) fail_file("cannot lock", path_);
    return false;
}

bool File::is_locked() const {
#if defined(F_OFD_SETLK)
    struct flock query = whole_file();
    if (::fcntl(handle_, F_OFD_GETLK, &query) != 0) fail_file("cannot query the lock", path_);
    return query.l_type != F_UNLCK;
#else  // nobody tells, so it is tried
    if (::flock(handle_, LOCK_SH | LOCK_NB) == 0) {
        ::flock(handle_, LOCK_UN);
        return false;
    }
    if (errno != EAGAIN) fail_file("cannot query the lock", path_);
    return true;
#endif
}

bool File::has_its_name() const {
    struct stat ours, there;
    return ::fstat(handle_, &ours) == 0 && ::lstat(path_.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

void File::take_permissions_of(const std::string& path) const {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0 && ::fchmod(handle_, status.st_mode & 07777) != 0)
        fail_file("cannot set the permissions of", path_);
}

std::shared_ptr<char> File::map(size_t size) const {
    void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, handle_, 0);
    if (memory == MAP_FAILED) fail_file("cannot map", path_);
    return std::shared_ptr<char>(static_cast<char*>(memory), [size](char* p) { ::munmap(p, size); });
}

void make_directory(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) fail_file("cannot create", directory);
}

std::vector<std::string> list_directory(const std::string& directory) {
    DIR* dir = ::opendir(directory.c_str());
    if (!dir) fail_file("cannot list", directory);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir)) names.emplace_back(entry->d_name);
    ::closedir(dir);
    return names;
}

void sync_directory(const std::string& directory) {
    const int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) fail_file("cannot open", directory);
    const int result = ::fsync(handle), code = errno;
    ::close(handle);
    errno = code;
    if (result != 0) fail_file("cannot flush", directory);
}

std::string directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string absolute_path(const std::string& path) {
    if (!path.empty() && path[0] == '/') return path;
    std::string here(256, 0);
    while (!::getcwd(&here[0], here.size())) {
        if (errno != ERANGE) fail_file("cannot find the working directory for", path);
        here.resize(2 * here.size());
    }
    here.resize(std::strlen(here.c_str()));
    return here + (here.back() == '/' ? "" : "/") + path;
}

bool file_exists(const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno != ENOENT && errno != ENOTDIR) fail_file("cannot look at", path);
    return false;
}

void rename_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) fail_file("cannot replace", to);
}

std::string replaced_name(const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) {
        if (errno != ENOENT) fail_file("cannot look at", path);
        return path;
    }
    if (!S_ISREG(status.st_mode))
        throw FormatError("'" + path + "' is " + (S_ISDIR(status.st_mode) ? "a directory" : "no regular file") +
                          ", which a file would replace; name another one");
    char* const target = ::realpath(path.c_str(), nullptr);
    if (!target) fail_file("cannot look at", path);
    std::string name(target);
    std::free(target);
    return name;
}

void discard_file(const std::string& path) noexcept { ::unlink(path.c_str()); }

}  // namespace vhash
#endif
