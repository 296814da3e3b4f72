// Who is told of an index's changes before anyone sees them: a store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace vhash {

// Keeps changes for good (a store). The index calls it while it holds its writer's lock: record() when a
// change was checked and before anyone sees it, applied() when everyone does. What record() throws
// undoes the change.
class Journal {
  public:
    enum class Kind : uint32_t { add = 1, upsert = 2, remove = 3 };
    virtual ~Journal() = default;
    // `ids` null: first_id, first_id + 1, …; `codes` null for a removal, whose ids all exist.
    virtual void record(Kind kind, const uint8_t* codes, size_t n, const int64_t* ids, int64_t first_id) = 0;
    virtual void record_model(const std::string& model) = 0;
    virtual void applied() noexcept = 0;
};

}  // namespace vhash
