// What is the same on every system; the calls of each are in files_posix.cpp and files_windows.cpp.
#include "system/files.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "system/machine.hpp"

namespace vhash {

void fail_file(const std::string& what, const std::string& path) {
    const int code = errno;
    throw FileError(what + " '" + path + "': " + std::strerror(code), code);
}

File File::create(const std::string& path) {
    discard_file(path);
    return File(path, Access::create_new);
}

File::File(File&& other) noexcept : handle_(std::exchange(other.handle_, kNone)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
    if (this != &other) {
        close();
        handle_ = std::exchange(other.handle_, kNone);
        path_ = std::move(other.path_);
    }
    return *this;
}

File::~File() { close(); }

void File::close() {
    if (*this) close(std::exchange(handle_, kNone));
}

void File::write(uint64_t offset, const void* data, size_t size) const { write(offset, {{data, size}}); }

std::shared_ptr<char> File::read_all(size_t size) const {
    std::shared_ptr<char> bytes(static_cast<char*>(aligned_memory(4096, size + 1)), free_aligned);
    if (read(0, bytes.get(), size) != size) throw FormatError("file '" + path_ + "' ended while it was read");
    return bytes;
}

void check_path(const std::string& path) {
    if (path.empty()) throw std::invalid_argument("path '': empty; give the path of a file or directory");
    if (path.find('\0') != std::string::npos)
        throw std::invalid_argument("path '" + std::string(path.c_str()) +
                                    "\\0...': a NUL byte, which no path can hold; leave it out");
}

}  // namespace vhash
