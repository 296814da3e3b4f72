// The plain-C interface: converts, and lets no exception out.
#include "vhash.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "hamming/hamming.hpp"
#include "index/index.hpp"
#include "index/pairs.hpp"
#include "index/search.hpp"
#include "store/store.hpp"
#include "system/files.hpp"
#include "system/machine.hpp"
#include "system/threads.hpp"

struct vhash_index {
    std::shared_ptr<vhash::Index> engine;  // of the store, where there is one
    std::shared_ptr<vhash::Store> store;
    unsigned threads = 0;
};

struct vhash_pairs {
    vhash::PairJoin join;
    std::vector<vhash::Pair> found;
    std::vector<vhash_pair> batch;
};

namespace {

thread_local std::string last_error;

vhash_status failed(vhash_status status, const char* what) noexcept {
    try {
        last_error = what;
    } catch (...) {
        last_error.clear();
    }
    return status;
}

template <class Body>
vhash_status guarded(const Body& body) noexcept {
    try {
        body();
        return VHASH_OK;
    } catch (const std::invalid_argument& e) {
        return failed(VHASH_INVALID, e.what());
    } catch (const vhash::UnknownId& e) {
        return failed(VHASH_UNKNOWN_ID, e.what());
    } catch (const vhash::FormatError& e) {
        return failed(VHASH_FORMAT, e.what());
    } catch (const vhash::FileError& e) {
        return failed(VHASH_IO, e.what());
    } catch (const vhash::StoreError& e) {
        return failed(VHASH_STORE, e.what());
    } catch (const vhash::ModelMismatch& e) {
        return failed(VHASH_MODEL, e.what());
    } catch (const std::length_error&) {
        return failed(VHASH_INVALID, "more codes or ids than memory can hold; pass the number that the arrays have");
    } catch (const std::bad_alloc&) {
        return failed(VHASH_MEMORY, "out of memory");
    } catch (const std::exception& e) {
        return failed(VHASH_INTERNAL, e.what());
    } catch (...) {
        return failed(VHASH_INTERNAL, "unknown error");
    }
}

void require(const void* pointer, const char* name) {
    if (!pointer) throw std::invalid_argument(std::string(name) + " is null; pass a valid pointer");
}

// No array is so long: what follows multiplies by sizes and reads that many.
void require_room(size_t n, size_t each) {
    if (n > static_cast<size_t>(PTRDIFF_MAX) / each) throw std::length_error("array");
}

std::vector<uint64_t> packed(const vhash_index* index, const uint8_t* queries, size_t n) {
    require(index, "index");
    if (n) require(queries, "queries");
    require_room(n, 8 * index->engine->words());
    std::vector<uint64_t> rows(n * index->engine->words());
    vhash::pack_rows(queries, n, index->engine->bits(), rows.data());
    return rows;
}

vhash::Store& store_of(vhash_index* index) {
    require(index, "index");
    if (!index->store)
        throw std::invalid_argument("this index is not kept in a directory; open one with vhash_index_open");
    return *index->store;
}

unsigned threads_of(const vhash_index* index) { return index->threads ? index->threads : vhash::available_threads(); }

}  // namespace

extern "C" {

const char* vhash_error(void) { return last_error.c_str(); }

vhash_status vhash_set_simd_level(const char* name) {
    return guarded([&] {
        require(name, "name");
        vhash::set_simd_level(name);
    });
}

const char* vhash_simd_level(void) {
    const char* name = "";
    guarded([&] { name = vhash::kernels().name; });
    return name;
}

vhash_status vhash_index_create(unsigned bits, const char* model, vhash_index** index) {
    return guarded([&] {
        require(index, "index");
        auto fresh = std::make_unique<vhash_index>();
        fresh->engine = std::make_shared<vhash::Index>(bits);
        if (model) fresh->engine->set_model(model);
        *index = fresh.release();
    });
}

void vhash_index_free(vhash_index* index) { delete index; }

unsigned vhash_index_bits(const vhash_index* index) { return index ? index->engine->bits() : 0; }

size_t vhash_index_size(const vhash_index* index) { return index ? index->engine->size() : 0; }

int vhash_index_contains(const vhash_index* index, int64_t id) {
    bool found = false;
    guarded([&] { found = index && index->engine->contains(id); });
    return found;
}

vhash_status vhash_index_model(const vhash_index* index, char model[65]) {
    return guarded([&] {
        require(index, "index");
        require(model, "model");
        const std::string text = index->engine->model();
        std::memcpy(model, text.c_str(), text.size() + 1);
    });
}

void vhash_index_set_threads(vhash_index* index, unsigned threads) {
    if (index) index->threads = std::min(threads, vhash::kMaxThreads);
}

vhash_status vhash_index_add(vhash_index* index, const uint8_t* codes, size_t n, const int64_t* ids,
                             int64_t* first_id) {
    return guarded([&] {
        require(index, "index");
        if (n) require(codes, "codes");
        require_room(n, 8 * index->engine->words());
        const int64_t first = index->engine->add(codes, n, ids);
        if (first_id) *first_id = first;
    });
}

vhash_status vhash_index_upsert(vhash_index* index, const uint8_t* codes, size_t n, const int64_t* ids) {
    return guarded([&] {
        require(index, "index");
        if (n) require(codes, "codes"), require(ids, "ids");
        require_room(n, 8 * index->engine->words());
        index->engine->upsert(codes, n, ids);
    });
}

vhash_status vhash_index_remove(vhash_index* index, const int64_t* ids, size_t n, size_t* removed) {
    return guarded([&] {
        require(index, "index");
        if (n) require(ids, "ids");
        require_room(n, sizeof *ids);
        const size_t count = index->engine->remove(ids, n);
        if (removed) *removed = count;
    });
}

vhash_status vhash_index_codes(const vhash_index* index, const int64_t* ids, size_t n, uint8_t* codes) {
    return guarded([&] {
        require(index, "index");
        if (n) require(ids, "ids"), require(codes, "codes");
        require_room(n, 8 * index->engine->words());
        index->engine->codes(ids, n, codes);
    });
}

vhash_status vhash_index_search(const vhash_index* index, const uint8_t* queries, size_t n, size_t k, int64_t* ids,
                                uint16_t* distances, size_t* found) {
    return guarded([&] {
        const auto rows = packed(index, queries, n);
        require(found, "found");
        if (n && k) require(ids, "ids"), require(distances, "distances");
        *found = vhash::search_knn(*index->engine->snapshot(), rows.data(), n, k, threads_of(index), ids, distances);
        index->engine->build_multi_index(threads_of(index));
    });
}

vhash_status vhash_index_search_among(const vhash_index* index, const uint8_t* queries, size_t n, size_t k,
                                      const int64_t* among, size_t eligible, int64_t* ids, uint16_t* distances,
                                      size_t* found) {
    return guarded([&] {
        const auto packed_queries = packed(index, queries, n);
        require(found, "found");
        if (eligible) require(among, "among");
        require_room(eligible, sizeof *among);
        if (n && k) require(ids, "ids"), require(distances, "distances");
        std::vector<uint32_t> rows(eligible);  // IdMap::kNone lies beyond the last row
        const vhash::SnapshotPtr now = index->engine->find_rows(among, eligible, rows.data());
        *found = vhash::search_knn(*vhash::restrict_rows(*now, std::move(rows)), packed_queries.data(), n, k,
                                   threads_of(index), ids, distances);
    });
}

vhash_status vhash_index_build_multi_index(vhash_index* index) {
    return guarded([&] {
        require(index, "index");
        index->engine->build_multi_index(threads_of(index), true);
    });
}

vhash_status vhash_index_pairs(const vhash_index* index, const vhash_index* other, unsigned radius,
                               vhash_pairs** pairs) {
    return guarded([&] {
        require(index, "index");
        require(pairs, "pairs");
        const vhash::SnapshotPtr second = other ? other->engine->snapshot() : nullptr;
        *pairs = new vhash_pairs{{index->engine->snapshot(), second, radius, threads_of(index)}, {}, {}};
    });
}

vhash_status vhash_pairs_next(vhash_pairs* pairs, size_t wanted, const vhash_pair** batch, size_t* n) {
    return guarded([&] {
        require(pairs, "pairs");
        require(batch, "batch");
        require(n, "n");
        if (!wanted) throw std::invalid_argument("wanted=0: 0 pairs mean the end; ask for at least 1");
        pairs->found.clear();
        pairs->batch.clear();
        pairs->join.next(wanted, pairs->found);
        for (const vhash::Pair& pair : pairs->found) pairs->batch.push_back({pair.a, pair.b, pair.distance});
        *batch = pairs->batch.data();
        *n = pairs->batch.size();
    });
}

void vhash_pairs_free(vhash_pairs* pairs) { delete pairs; }

vhash_status vhash_index_range(const vhash_index* index, const uint8_t* queries, size_t n, unsigned radius,
                               size_t limit, vhash_ranges* ranges) {
    return guarded([&] {
        const auto rows = packed(index, queries, n);
        require(ranges, "ranges");
        const vhash::Ranges found = vhash::search_range(*index->engine->snapshot(), rows.data(), n, radius,
                                                        limit ? limit : SIZE_MAX, threads_of(index));
        index->engine->build_multi_index(threads_of(index));
        auto splits = std::make_unique<uint64_t[]>(n + 1);
        auto ids = std::make_unique<int64_t[]>(found.matches.size());
        auto distances = std::make_unique<uint16_t[]>(found.matches.size());
        std::memcpy(splits.get(), found.splits.data(), (n + 1) * sizeof(uint64_t));
        for (size_t i = 0; i < found.matches.size(); ++i) {
            ids[i] = found.matches[i].id;
            distances[i] = static_cast<uint16_t>(found.matches[i].distance);
        }
        *ranges = {n, splits.release(), ids.release(), distances.release()};
    });
}

void vhash_ranges_free(vhash_ranges* ranges) {
    if (!ranges) return;
    delete[] ranges->splits;
    delete[] ranges->ids;
    delete[] ranges->distances;
    *ranges = {};
}

vhash_status vhash_index_save(const vhash_index* index, const char* path) {
    return guarded([&] {
        require(index, "index");
        require(path, "path");
        index->engine->save(path);
    });
}

vhash_status vhash_index_load(const char* path, int map, vhash_index** index) {
    return guarded([&] {
        require(path, "path");
        require(index, "index");
        auto fresh = std::make_unique<vhash_index>();
        fresh->engine = vhash::Index::load(path, map != 0, true);
        *index = fresh.release();
    });
}

vhash_status vhash_index_open(const char* directory, unsigned bits, const char* model, int writable,
                              vhash_index** index) {
    return guarded([&] {
        require(directory, "directory");
        require(index, "index");
        vhash::StoreOptions options;
        options.bits = bits;
        options.writable = writable != 0;
        if (model) options.model = model;
        auto fresh = std::make_unique<vhash_index>();
        fresh->store = vhash::Store::open(directory, options);
        fresh->engine = {fresh->store, &fresh->store->index()};
        *index = fresh.release();
    });
}

vhash_status vhash_index_refresh(vhash_index* index, int* changed) {
    return guarded([&] {
        const bool any = store_of(index).refresh();
        if (changed) *changed = any;
    });
}

vhash_status vhash_index_compact(vhash_index* index) {
    return guarded([&] { store_of(index).compact(); });
}

vhash_status vhash_index_close(vhash_index* index) {
    return guarded([&] { store_of(index).close(); });
}

}  // extern "C"
