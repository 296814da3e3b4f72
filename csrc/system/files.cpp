#include "system/files.hpp"

#include "system/threads.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace vhash {
namespace {
constexpr size_t kPiece = size_t{16} << 20;  // read at once
}

void fail_file(const std::string& what, const std::string& path) {
    const int code = errno;
    throw FileError(what + " '" + path + "': " + std::strerror(code), code);
}

File::File(std::string path, int flags) : path_(std::move(path)) {
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    // not blocking: a pipe would wait for its other end
    do fd_ = ::open(path_.c_str(), flags | O_CLOEXEC | O_NONBLOCK | (writes ? O_NOFOLLOW : 0), 0644);
    while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0 && errno == ELOOP && writes)
        throw FileError("'" + path_ + "' is a symbolic link, and what it names would be overwritten; remove the link",
                        ELOOP);
    if (fd_ < 0) fail_file(flags & O_CREAT ? "cannot create" : "cannot open", path_);
    struct stat status{};
    if (flags & O_DIRECTORY || (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode))) return;
    close();
    throw FormatError("'" + path_ + "' is " + (S_ISDIR(status.st_mode) ? "a directory" : "no regular file") +
                      " where a file is expected; an index that is kept in a directory is opened with Index.open()");
}

File File::create(const std::string& path) {
    discard_file(path);
    return File(path, O_RDWR | O_CREAT | O_EXCL);
}

File::File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        path_ = std::move(other.path_);
    }
    return *this;
}

File::~File() { close(); }

void File::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

uint64_t File::size() const {
    struct stat status;
    if (::fstat(fd_, &status) != 0) fail_file("cannot read", path_);
    return static_cast<uint64_t>(status.st_size);
}

size_t File::read(uint64_t offset, void* out, size_t size) const {
    size_t done = 0;
    while (done < size) {
        const ssize_t got = ::pread(fd_, static_cast<char*>(out) + done, std::min(size - done, kPiece),
                                    static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail_file("cannot read", path_);
        if (got == 0) break;
        done += static_cast<size_t>(got);
        if (done < size) poll();
    }
    return done;
}

void File::write(uint64_t offset, const void* data, size_t size) const {
    iovec part{const_cast<void*>(data), size};
    write(offset, &part, 1);
}

void File::write(uint64_t offset, iovec* parts, int count) const {
    while (count) {
        if (parts->iov_len == 0) {
            ++parts, --count;
            continue;
        }
        const ssize_t wrote = ::pwritev(fd_, parts, count, static_cast<off_t>(offset));
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
    do result = ::ftruncate(fd_, static_cast<off_t>(size));
    while (result != 0 && errno == EINTR);
    if (result != 0) fail_file("cannot set the length of", path_);
}

void File::sync() const {
    if (::fsync(fd_) != 0) fail_file("cannot flush", path_);
}

void File::sync_data() const {
    if (::fdatasync(fd_) != 0) fail_file("cannot flush", path_);
}

std::shared_ptr<char> File::map(size_t size) const {
    void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_, 0);
    if (memory == MAP_FAILED) fail_file("cannot map", path_);
    return std::shared_ptr<char>(static_cast<char*>(memory), [size](char* p) { ::munmap(p, size); });
}

std::shared_ptr<char> File::read_all(size_t size) const {
    void* memory = std::aligned_alloc(4096, (size + 4096) / 4096 * 4096);
    if (!memory) throw std::bad_alloc();
    std::shared_ptr<char> bytes(static_cast<char*>(memory), [](char* p) { std::free(p); });
    if (read(0, bytes.get(), size) != size) throw FormatError("file '" + path_ + "' ended while it was read");
    return bytes;
}

void check_path(const std::string& path) {
    if (path.empty()) throw std::invalid_argument("path '': empty; give the path of a file or directory");
    if (path.find('\0') != std::string::npos)
        throw std::invalid_argument("path '" + std::string(path.c_str()) +
                                    "\\0...': a NUL byte, which no path can hold; leave it out");
}

void sync_directory(const std::string& directory) { File(directory, O_RDONLY | O_DIRECTORY).sync(); }

std::string directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
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

void discard_file(const std::string& path) noexcept { ::unlink(path.c_str()); }

}  // namespace vhash
