// Files by the calls of Windows. Everyone may read, write, rename and remove what we have open, as on POSIX; what
// is mapped cannot be replaced or removed there, so the sweep of a store finds such a file again later.
#if defined(_WIN32)
#include "system/files.hpp"
#include "system/windows.hpp"

#include <algorithm>
#include <cerrno>
#include <cwchar>
#include <utility>

#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr size_t kPiece = size_t{16} << 20;          // read or written at once
constexpr uint64_t kLockedByte = uint64_t{1} << 62;  // locks are held against readers here: beyond every file's end

constexpr int kAttempts = 500;  // to replace a file that somebody reads
constexpr DWORD kPause = 2;     // milliseconds between two of them

// The errno of the last error, for the ones that are told apart; a full disk is one, whoever says so.
int code_of(DWORD error) {
    switch (error) {
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_INVALID_NAME:
        case ERROR_BAD_NETPATH: return ENOENT;
        case ERROR_FILE_EXISTS:
        case ERROR_ALREADY_EXISTS: return EEXIST;
        case ERROR_ACCESS_DENIED:
        case ERROR_SHARING_VIOLATION:
        case ERROR_LOCK_VIOLATION:
        case ERROR_USER_MAPPED_FILE:
        case ERROR_WRITE_PROTECT: return EACCES;
        case ERROR_DISK_FULL:
        case ERROR_HANDLE_DISK_FULL: return ENOSPC;
        case ERROR_NOT_ENOUGH_MEMORY:
        case ERROR_OUTOFMEMORY: return ENOMEM;
        case ERROR_TOO_MANY_OPEN_FILES: return EMFILE;
        case ERROR_DIRECTORY: return ENOTDIR;
        default: return EIO;
    }
}

[[noreturn]] void fail_last(const std::string& what, const std::string& path) {
    errno = code_of(GetLastError());
    fail_file(what, path);
}

OVERLAPPED at(uint64_t offset) {
    OVERLAPPED place{};
    place.Offset = static_cast<DWORD>(offset);
    place.OffsetHigh = static_cast<DWORD>(offset >> 32);
    return place;
}

DWORD attributes_of(const std::string& path) { return GetFileAttributesW(wide(path).c_str()); }

}  // namespace

std::wstring wide(const std::string& path) {
    const auto bytes = static_cast<int>(path.size());
    const int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), bytes, nullptr, 0);
    if (size == 0 && bytes)
        throw std::invalid_argument("path '" + path + "': not UTF-8, which Windows' paths are here");
    std::wstring name(static_cast<size_t>(size), 0);
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), bytes, &name[0], size);
    return name;
}

File::File(std::string path, Access access) : path_(std::move(path)) {
    const bool writes = access != Access::read;
    const DWORD how = access == Access::create       ? OPEN_ALWAYS
                      : access == Access::create_new ? CREATE_NEW
                                                     : OPEN_EXISTING;
    HANDLE handle = CreateFileW(
        wide(path_).c_str(), GENERIC_READ | (writes ? GENERIC_WRITE : 0),
        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, how,
        FILE_ATTRIBUTE_NORMAL | FILE_FLAG_BACKUP_SEMANTICS | (writes ? FILE_FLAG_OPEN_REPARSE_POINT : 0), nullptr);
    if (handle == INVALID_HANDLE_VALUE) fail_last(how == OPEN_EXISTING ? "cannot open" : "cannot create", path_);
    handle_ = handle;
    BY_HANDLE_FILE_INFORMATION about{};
    const bool known = GetFileType(handle) == FILE_TYPE_DISK && GetFileInformationByHandle(handle, &about);
    const bool link = writes && known && about.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT;
    const bool directory = known && about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY;
    if (known && !link && !directory) return;
    close();
    if (link)
        throw FileError("'" + path_ + "' is a symbolic link, and what it names would be overwritten; remove the link",
                        ELOOP);
    throw FormatError("'" + path_ + "' is " + (directory ? "a directory" : "no regular file") +
                      " where a file is expected; an index that is kept in a directory is opened with Index.open()");
}

void File::close(Handle handle) noexcept { CloseHandle(handle); }

uint64_t File::size() const {
    LARGE_INTEGER size;
    if (!GetFileSizeEx(handle_, &size)) fail_last("cannot read", path_);
    return static_cast<uint64_t>(size.QuadPart);
}

size_t File::read(uint64_t offset, void* out, size_t size) const {
    size_t done = 0;
    while (done < size) {
        OVERLAPPED place = at(offset + done);
        DWORD got = 0;
        const auto wanted = static_cast<DWORD>(std::min(size - done, kPiece));
        if (!ReadFile(handle_, static_cast<char*>(out) + done, wanted, &got, &place) &&
            GetLastError() != ERROR_HANDLE_EOF)
            fail_last("cannot read", path_);
        if (got == 0) break;
        done += got;
        if (done < size) poll();
    }
    return done;
}

void File::write(uint64_t offset, std::initializer_list<Part> parts) const {
    for (const Part& part : parts)
        for (size_t done = 0; done < part.size;) {
            OVERLAPPED place = at(offset);
            DWORD wrote = 0;
            const auto wanted = static_cast<DWORD>(std::min(part.size - done, kPiece));
            if (!WriteFile(handle_, static_cast<const char*>(part.data) + done, wanted, &wrote, &place))
                fail_last("cannot write", path_);
            if (wrote == 0) {
                errno = ENOSPC;
                fail_file("cannot write", path_);
            }
            done += wrote;
            offset += wrote;
        }
}

void File::truncate(uint64_t size) const {
    FILE_END_OF_FILE_INFO end{};
    end.EndOfFile.QuadPart = static_cast<LONGLONG>(size);
    if (!SetFileInformationByHandle(handle_, FileEndOfFileInfo, &end, sizeof end))
        fail_last("cannot set the length of", path_);
}

void File::sync() const {
    if (!FlushFileBuffers(handle_)) fail_last("cannot flush", path_);
}

void File::sync_data() const { sync(); }

bool File::lock() const {
    OVERLAPPED place = at(kLockedByte);
    if (LockFileEx(handle_, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) return true;
    if (GetLastError() != ERROR_LOCK_VIOLATION && GetLastError() != ERROR_IO_PENDING) fail_last("cannot lock", path_);
    return false;
}

bool File::is_locked() const {  // nobody tells, so it is tried
    OVERLAPPED place = at(kLockedByte);
    if (LockFileEx(handle_, LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) {
        UnlockFileEx(handle_, 0, 1, 0, &place);
        return false;
    }
    if (GetLastError() != ERROR_LOCK_VIOLATION && GetLastError() != ERROR_IO_PENDING)
        fail_last("cannot query the lock", path_);
    return true;
}

std::shared_ptr<char> File::map(size_t size) const {
    const HANDLE section = CreateFileMappingW(handle_, nullptr, PAGE_READONLY, 0, 0, nullptr);
    if (!section) fail_last("cannot map", path_);
    void* memory = MapViewOfFile(section, FILE_MAP_READ, 0, 0, size);
    const DWORD error = GetLastError();
    CloseHandle(section);  // the view keeps it
    SetLastError(error);
    if (!memory) fail_last("cannot map", path_);
    return std::shared_ptr<char>(static_cast<char*>(memory), [](char* p) { UnmapViewOfFile(p); });
}

void make_directory(const std::string& directory) {
    if (!CreateDirectoryW(wide(directory).c_str(), nullptr) && GetLastError() != ERROR_ALREADY_EXISTS)
        fail_last("cannot create", directory);
}

std::vector<std::string> list_directory(const std::string& directory) {
    WIN32_FIND_DATAW entry;
    const HANDLE search = FindFirstFileW((wide(directory) + L"\\*").c_str(), &entry);
    if (search == INVALID_HANDLE_VALUE) fail_last("cannot list", directory);
    std::vector<std::string> names;
    do {
        char name[4 * MAX_PATH];
        if (WideCharToMultiByte(CP_UTF8, 0, entry.cFileName, -1, name, sizeof name, nullptr, nullptr))
            names.emplace_back(name);
    } while (FindNextFileW(search, &entry));
    FindClose(search);
    return names;
}

// NTFS keeps its directories in a journal of its own, and lets nobody flush one.
void sync_directory(const std::string&) {}

bool File::has_its_name() const {
    const HANDLE other = CreateFileW(wide(path_).c_str(), 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                     nullptr, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, nullptr);
    if (other == INVALID_HANDLE_VALUE) return false;
    BY_HANDLE_FILE_INFORMATION ours, there;
    const bool known = GetFileInformationByHandle(handle_, &ours) && GetFileInformationByHandle(other, &there);
    CloseHandle(other);
    return known && ours.dwVolumeSerialNumber == there.dwVolumeSerialNumber &&
           ours.nFileIndexHigh == there.nFileIndexHigh && ours.nFileIndexLow == there.nFileIndexLow;
}

std::string absolute_path(const std::string& path) {
    const std::wstring name = wide(path);
    const DWORD size = GetFullPathNameW(name.c_str(), 0, nullptr, nullptr);
    std::wstring full(size, 0);
    const DWORD wrote = size ? GetFullPathNameW(name.c_str(), size, &full[0], nullptr) : 0;
    if (wrote == 0 || wrote >= size) fail_last("cannot find the working directory for", path);
    const int bytes =
        WideCharToMultiByte(CP_UTF8, 0, full.data(), static_cast<int>(wrote), nullptr, 0, nullptr, nullptr);
    std::string utf8(static_cast<size_t>(bytes), 0);
    WideCharToMultiByte(CP_UTF8, 0, full.data(), static_cast<int>(wrote), &utf8[0], bytes, nullptr, nullptr);
    return utf8;
}

std::string replaced_name(const std::string& path) { return path; }

void File::take_permissions_of(const std::string&) const {}  // a new file has those of its directory there

std::string directory_of(const std::string& path) {
    const size_t slash = path.find_last_of("/\\");
    if (slash == std::string::npos) return path.size() > 1 && path[1] == ':' ? path.substr(0, 2) + "." : ".";
    const bool root = slash == 0 || (slash == 2 && path[1] == ':');
    return path.substr(0, root ? slash + 1 : slash);
}

bool file_exists(const std::string& path) {
    if (attributes_of(path) != INVALID_FILE_ATTRIBUTES) return true;
    if (code_of(GetLastError()) != ENOENT && code_of(GetLastError()) != ENOTDIR) fail_last("cannot look at", path);
    return false;
}

void rename_file(const std::string& from, const std::string& to) {
    // A reader that has the old file open for a moment is in the way, unlike on POSIX; so it is tried for a while.
    for (int attempt = 0;; ++attempt) {
        if (MoveFileExW(wide(from).c_str(), wide(to).c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
            return;
        if (code_of(GetLastError()) != EACCES || attempt == kAttempts) fail_last("cannot replace", to);
        Sleep(kPause);
    }
}

void discard_file(const std::string& path) noexcept {
    try {
        DeleteFileW(wide(path).c_str());
    } catch (const std::exception&) {  // no memory for its name: it stays
    }
}

}  // namespace vhash
#endif
