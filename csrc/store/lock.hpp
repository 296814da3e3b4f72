// One writer at a time: a lock on the file LOCK that goes with the process, however that ends.
#pragma once

#include <string>

#include "system/files.hpp"

namespace vhash {

// The store cannot do this: it is locked, read-only, closed, full; `code` is an errno or 0.
struct StoreError : std::runtime_error {
    int code;
    explicit StoreError(const std::string& what, int code = 0) : std::runtime_error(what), code(code) {}
};

// Throws StoreError where another process, or this one, holds it. A child of fork() does not keep it.
File take_lock(const std::string& directory);
void release_lock(File& lock);
// Whether anyone holds it.
bool has_writer(const std::string& directory);

// A number that tells one writer from the next.
uint64_t new_session();

}  // namespace vhash
