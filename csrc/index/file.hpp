// One index as one file; also what a sealed segment of a store is.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "system/files.hpp"

namespace vhash {

struct IndexFile {
    unsigned bits = 0;
    std::string model;
    uint64_t count = 0;
    int64_t id_base = 0;
    int64_t next_id = 0;
    uint64_t file_size = 0;
    uint32_t checksum = 0;                  // of the header, which holds those of codes and ids
    std::shared_ptr<const uint64_t> codes;  // count rows of words
    std::shared_ptr<const int64_t> ids;     // null: row r has id id_base + r

    int64_t id(uint64_t row) const { return ids ? ids.get()[row] : id_base + static_cast<int64_t>(row); }
};

// `map`: in place; otherwise read into memory. `verify`: check the checksums of codes and ids too, not
// only that of the header. Throws FormatError, FileError.
IndexFile read_index_file(const std::string& path, bool map, bool verify);

using RowVisitor = std::function<void(int64_t id, const uint64_t* code)>;
// Shows every row, in the same order each time it is called.
using Rows = std::function<void(const RowVisitor&)>;

// What has the name that is written: a person's own file, which hands on its permissions and may be a link; or whatever
// it is in a directory of ours, which is replaced.
enum class Before { own, whatever };
// Writes under a temporary name, flushes to the disk, renames.
void write_index_file(const std::string& path, Before before, unsigned bits, const std::string& model, int64_t next_id,
                      const Rows& rows);

}  // namespace vhash
