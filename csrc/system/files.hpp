// Files as the engine needs them: whole reads and writes, errors that carry the path and errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

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

// What a file is opened for; what may be written may be read, too.
enum class Access { read, write, create, create_new };  // create: what is there is kept; create_new: nothing may be

// Some of the bytes that are written one after the other.
struct Part {
    const void* data;
    size_t size;
};

// An open file. Every method throws FileError. Paths are UTF-8 on Windows, the bytes of the system elsewhere.
class File {
  public:
#if defined(_WIN32)
    using Handle = void*;
#else
    using Handle = int;
#endif
    File() = default;
    // No child of exec has it; mode 0644 where it creates. Throws FormatError where it is no regular file.
    // What may be written is never reached through a link: the directory may be another one's.
    File(std::string path, Access access);
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File();

    explicit operator bool() const { return handle_ != kNone; }
    Handle handle() const { return handle_; }
    const std::string& path() const { return path_; }
    void close();
    static void close(Handle handle) noexcept;
    // A new file for writing; what has the name (what a crash left, a link) is removed first.
    static File create(const std::string& path);

    uint64_t size() const;
    // As many bytes as the file has there, at most `size`.
    size_t read(uint64_t offset, void* out, size_t size) const;
    void write(uint64_t offset, const void* data, size_t size) const;
    void write(uint64_t offset, std::initializer_list<Part> parts) const;  // at most kMostParts
    void truncate(uint64_t size) const;
    void sync() const;       // with what the directory says of it
    void sync_data() const;  // the bytes

    // Takes the lock of the whole file, which is let go when the file is closed, however that comes about; false:
    // somebody else has it. Who reads or writes does not ask for it.
    bool lock() const;
    bool is_locked() const;  // by anyone else
    // Whether its name still is that of this file: nobody has replaced or removed it.
    bool has_its_name() const;
    // Gives it the permissions of a file that it is to replace, if there is one.
    void take_permissions_of(const std::string& path) const;

    // The first `size` bytes, mapped or read; they outlive the file object.
    std::shared_ptr<char> map(size_t size) const;
    std::shared_ptr<char> read_all(size_t size) const;

    static constexpr size_t kMostParts = 4;

  private:
#if defined(_WIN32)
    static constexpr Handle kNone = nullptr;
#else
    static constexpr Handle kNone = -1;
#endif
    Handle handle_ = kNone;
    std::string path_;
};

// Throws std::invalid_argument where the system would see another path than the caller: empty, or a NUL.
void check_path(const std::string& path);
void make_directory(const std::string& directory);  // or it is there
std::vector<std::string> list_directory(const std::string& directory);
void sync_directory(const std::string& directory);
std::string directory_of(const std::string& path);
// The same place whatever the working directory becomes.
std::string absolute_path(const std::string& path);
bool file_exists(const std::string& path);
void rename_file(const std::string& from, const std::string& to);
// The name of what a person's file is replaced under: that of its target where it is a link. Throws FormatError where
// it is no regular file.
std::string replaced_name(const std::string& path);
// Removes a file; that it is gone already, or stays, is no error: what nothing names is swept later.
void discard_file(const std::string& path) noexcept;

}  // namespace vhash
