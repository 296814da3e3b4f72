// Files as the engine needs them: whole reads and writes, errors that carry the path and errno.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace vhash {

// A file that is not what it should be: damaged, of another kind or of a newer version.
struct FormatError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// The operating system refused a file operation; `code` is its errno.
struct FileError : std::runtime_error {
    int code;
    FileError(const std::string& what, int code) : std::runtime_error(what), code(code) {}
};

// Throws FileError: "<what> '<path>': <text of errno>".
[[noreturn]] void fail_file(const std::string& what, const std::string& path);

// An open file. Every method throws FileError.
class File {
  public:
    File() = default;
    // open(2) with O_CLOEXEC; mode 0644 where it creates. Throws FormatError where it is no regular file.
    // What may be written is never reached through a link: the directory may be another one's.
    File(std::string path, int flags);
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File();

    explicit operator bool() const { return fd_ >= 0; }
    int fd() const { return fd_; }
    const std::string& path() const { return path_; }
    void close();
    // A new file for writing; what has the name (what a crash left, a link) is removed first.
    static File create(const std::string& path);

    uint64_t size() const;
    // As many bytes as the file has there, at most `size`.
    size_t read(uint64_t offset, void* out, size_t size) const;
    void write(uint64_t offset, const void* data, size_t size) const;
    void write(uint64_t offset, iovec* parts, int count) const;  // changes `parts`
    void truncate(uint64_t size) const;
    void sync() const;       // fsync
    void sync_data() const;  // fdatasync

    // The first `size` bytes, mapped or read; they outlive the file object.
    std::shared_ptr<char> map(size_t size) const;
    std::shared_ptr<char> read_all(size_t size) const;

  private:
    int fd_ = -1;
    std::string path_;
};

// Throws std::invalid_argument where the system would see another path than the caller: empty, or a NUL.
void check_path(const std::string& path);
void sync_directory(const std::string& directory);
std::string directory_of(const std::string& path);
bool file_exists(const std::string& path);
void rename_file(const std::string& from, const std::string& to);
// Removes a file; that it is gone already, or stays, is no error: what nothing names is swept later.
void discard_file(const std::string& path) noexcept;

}  // namespace vhash
