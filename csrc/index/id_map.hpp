// Where the row of an id is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/rows.hpp"

namespace vhash {

// id -> row of the live rows, needed only where ids do not ascend with the rows. Open addressing
// over rows; the ids themselves are read from the chunks.
class IdMap {
  public:
    static constexpr uint32_t kNone = 0xffffffffu;
    void clear();
    void build(const Snapshot& snapshot);                             // of its live rows
    void insert(const Snapshot& snapshot, int64_t id, uint32_t row);  // the id must not be in it
    uint32_t find(const Snapshot& snapshot, int64_t id) const;        // row or kNone
    void erase(const Snapshot& snapshot, int64_t id);

  private:
    static constexpr uint32_t kErased = 0xfffffffeu;
    void grow(const Snapshot& snapshot);
    size_t slot(int64_t id) const;
    std::vector<uint32_t> rows_;
    size_t used_ = 0, count_ = 0;
};

}  // namespace vhash
