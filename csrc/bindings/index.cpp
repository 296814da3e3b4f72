// Python's view of the index: converts arrays, releases the GIL, raises. Arguments have been checked
// by vhash_sdk/index/arguments.py; what is checked here keeps memory safe.
#include <pybind11/stl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bindings/module.hpp"
#include "hamming/hamming.hpp"
#include "index/index.hpp"
#include "index/pairs.hpp"
#include "index/search.hpp"
#include "system/checksum.hpp"
#include "system/files.hpp"
#include "system/machine.hpp"
#include "system/threads.hpp"

namespace py = pybind11;

namespace vhash {
namespace {

using Codes = py::array_t<uint8_t, py::array::c_style>;
using Ids = py::array_t<int64_t, py::array::c_style>;
using Distances = py::array_t<uint16_t, py::array::c_style>;

size_t rows_of(const Index& index, const Codes& codes) {
    if (codes.ndim() != 2 || static_cast<size_t>(codes.shape(1)) != index.code_bytes())
        throw std::invalid_argument("codes must be uint8[n, " + std::to_string(index.code_bytes()) + "]");
    return static_cast<size_t>(codes.shape(0));
}

const int64_t* ids_of(const Ids& ids, size_t n) {
    if (ids.ndim() != 1 || static_cast<size_t>(ids.shape(0)) != n)
        throw std::invalid_argument("ids must be int64[n], one for each code");
    return ids.data();
}

std::vector<uint64_t> packed(const Index& index, const Codes& queries) {
    const size_t n = rows_of(index, queries);
    std::vector<uint64_t> rows(n * index.words());
    pack_rows(queries.data(), n, index.bits(), rows.data());
    return rows;
}

int64_t add(Index& index, const Codes& codes, const std::optional<Ids>& ids) {
    const size_t n = rows_of(index, codes);
    const int64_t* wanted = ids ? ids_of(*ids, n) : nullptr;
    const uint8_t* bytes = codes.data();
    const Released release;
    return index.add(bytes, n, wanted);
}

void upsert(Index& index, const Codes& codes, const Ids& ids) {
    const size_t n = rows_of(index, codes);
    const int64_t* wanted = ids_of(ids, n);
    const uint8_t* bytes = codes.data();
    const Released release;
    index.upsert(bytes, n, wanted);
}

size_t remove(Index& index, const Ids& ids) {
    const auto n = static_cast<size_t>(ids.size());
    const int64_t* wanted = ids.data();
    const Released release;
    return index.remove(wanted, n);
}

Codes codes(const Index& index, const Ids& ids) {
    const auto n = static_cast<size_t>(ids.size());
    Codes out({n, index.code_bytes()});
    const int64_t* wanted = ids.data();
    uint8_t* bytes = out.mutable_data();
    const Released release;
    index.codes(wanted, n, bytes);
    return out;
}

// What a search runs on: the index as it is now, or only the ids of `among`. Called without the GIL.
SnapshotPtr eligible(const Index& index, const int64_t* among, size_t n) {
    if (!among) return index.snapshot();
    std::vector<uint32_t> rows(n);
    const SnapshotPtr now = index.find_rows(among, n, rows.data());
    rows.erase(std::remove(rows.begin(), rows.end(), IdMap::kNone), rows.end());
    return restrict_rows(*now, std::move(rows));
}

struct Among {
    const int64_t* ids = nullptr;
    size_t n = 0;
    explicit Among(const std::optional<Ids>& among) {
        static const int64_t none = 0;
        if (!among) return;
        n = static_cast<size_t>(among->size());
        ids = n ? among->data() : &none;
    }
};

py::tuple search(Index& index, const Codes& queries, size_t k, unsigned threads, const std::optional<Ids>& among,
                 double recall) {
    const auto rows = packed(index, queries);
    const size_t n = rows_of(index, queries);
    const Among only(among);
    SnapshotPtr now;
    {
        const Released release;
        now = eligible(index, only.ids, only.n);
    }
    const size_t found = std::min<uint64_t>(k, now->live);
    Ids ids({n, found});
    Distances distances({n, found});
    int64_t* id = ids.mutable_data();
    uint16_t* distance = distances.mutable_data();
    {
        const Released release;
        search_knn(*now, rows.data(), n, found, threads, id, distance, nullptr, recall);
        index.build_multi_index(threads);
    }
    return py::make_tuple(ids, distances);
}

py::tuple range_search(Index& index, const Codes& queries, uint32_t radius, std::optional<size_t> limit,
                       unsigned threads, const std::optional<Ids>& among, double recall) {
    const auto rows = packed(index, queries);
    const size_t n = rows_of(index, queries);
    const Among only(among);
    Ranges found;
    {
        const Released release;
        found = search_range(*eligible(index, only.ids, only.n), rows.data(), n, radius, limit.value_or(SIZE_MAX),
                             threads, nullptr, recall);
        index.build_multi_index(threads);
    }
    Ids splits(found.splits.size()), ids(found.matches.size());
    Distances distances(found.matches.size());
    std::copy(found.splits.begin(), found.splits.end(), splits.mutable_data());
    int64_t* id = ids.mutable_data();
    uint16_t* distance = distances.mutable_data();
    for (size_t i = 0; i < found.matches.size(); ++i) {
        id[i] = found.matches[i].id;
        distance[i] = static_cast<uint16_t>(found.matches[i].distance);
    }
    return py::make_tuple(ids, distances, splits);
}

// Runs a search for its trace: by k, or by radius where that is given.
py::dict explain(Index& index, const Codes& queries, size_t k, std::optional<uint32_t> radius, unsigned threads,
                 const std::optional<Ids>& among, double recall) {
    const auto rows = packed(index, queries);
    const size_t n = rows_of(index, queries);
    const Among only(among);
    Trace trace;
    SnapshotPtr now;
    {
        const Released release;
        now = eligible(index, only.ids, only.n);
        k = std::min<uint64_t>(k, now->live);
        std::vector<int64_t> ids(radius ? 0 : n * k);
        std::vector<uint16_t> distances(ids.size());
        if (radius) search_range(*now, rows.data(), n, *radius, SIZE_MAX, threads, &trace, recall);
        else search_knn(*now, rows.data(), n, k, threads, ids.data(), distances.data(), &trace, recall);
    }
    py::dict out;
    out["path"] = trace.path;
    out["simd"] = kernels().name;
    out["queries"] = trace.queries;
    out["rows"] = trace.rows;
    out["eligible"] = now->live;
    out["fallbacks"] = trace.fallbacks;
    out["lookups"] = trace.lookups;
    out["candidates"] = trace.candidates;
    out["scan_microseconds"] = trace.scan_cost / 1000;
    out["multi_index_microseconds"] = trace.multi_cost / 1000;
    out["multi_index"] = now->multi != nullptr;
    return out;
}

std::unique_ptr<PairJoin> pairs(const Index& index, const Index* other, uint32_t radius, unsigned threads,
                                int64_t choice, uint64_t part, uint64_t parts) {
    const Released release;
    return std::make_unique<PairJoin>(index.snapshot(), other ? other->snapshot() : nullptr, radius, threads,
                                      PairShare{choice, part, parts});
}

// The next batch (ids int64[n, 2], distances uint16[n]), or None at the end.
py::object next_pairs(PairJoin& join, size_t wanted) {
    std::vector<Pair> found;
    bool more = true;
    {
        const Released release;
        more = join.next(wanted, found);
    }
    if (found.empty() && !more) return py::none();
    Ids ids({found.size(), size_t{2}});
    Distances distances(found.size());
    int64_t* id = ids.mutable_data();
    uint16_t* distance = distances.mutable_data();
    for (size_t i = 0; i < found.size(); ++i) {
        id[2 * i] = found[i].a;
        id[2 * i + 1] = found[i].b;
        distance[i] = static_cast<uint16_t>(found[i].distance);
    }
    return py::make_tuple(ids, distances);
}

// The live rows of an index as it was at one moment, in the order of rows.
class Rows {
  public:
    explicit Rows(const Index& index) : snapshot_(index.snapshot()), bits_(index.bits()) {}
    uint64_t live() const { return snapshot_->live; }
    bool ordered() const { return snapshot_->ordered; }
    // Ids of the first and the last live row; None where there is none.
    py::object bounds() const {
        if (snapshot_->live == 0) return py::none();
        uint64_t first = 0, last = snapshot_->rows - 1;
        while (!snapshot_->is_live(first)) ++first;
        while (!snapshot_->is_live(last)) --last;
        return py::make_tuple(snapshot_->id(first), snapshot_->id(last));
    }

    // At most `wanted` of those that follow: (codes uint8[n, bytes], ids int64[n]), or None at the end.
    py::object next(size_t wanted) {
        const size_t bytes = (bits_ + 7) / 8;
        std::vector<uint64_t> rows;
        for (; row_ < snapshot_->rows && rows.size() < wanted; ++row_)
            if (snapshot_->is_live(row_)) rows.push_back(row_);
        if (rows.empty()) return py::none();
        Codes codes({rows.size(), bytes});
        Ids ids(rows.size());
        uint8_t* code = codes.mutable_data();
        int64_t* id = ids.mutable_data();
        for (size_t i = 0; i < rows.size(); ++i) {
            std::memcpy(code + i * bytes, snapshot_->code(rows[i]), bytes);  // rows are little-endian words
            id[i] = snapshot_->id(rows[i]);
        }
        return py::make_tuple(codes, ids);
    }

  private:
    SnapshotPtr snapshot_;
    unsigned bits_;
    uint64_t row_ = 0;
};

std::vector<std::string> levels() {
    std::vector<std::string> names;
    for (auto level = available_kernels(); *level; ++level) names.emplace_back((*level)->name);
    return names;
}

uint32_t crc32c_of(const py::buffer& buffer, uint32_t crc) {
    const py::buffer_info info = buffer.request();
    if (!PyBuffer_IsContiguous(info.view(), 'C')) throw std::invalid_argument("crc32c needs contiguous bytes");
    const Released release;
    return crc32c(crc, info.ptr, static_cast<size_t>(info.size * info.itemsize));
}

// Reads memory from end to end as fast as a core can: the bandwidth that a scan is measured against.
uint64_t read_memory(const py::buffer& buffer) {
    const py::buffer_info info = buffer.request();
    if (!PyBuffer_IsContiguous(info.view(), 'C')) throw std::invalid_argument("read_memory needs contiguous memory");
    const Released release;
    const auto* words = static_cast<const uint64_t*>(info.ptr);
    const size_t n = static_cast<size_t>(info.size * info.itemsize) / 8;
    uint64_t sum[16] = {};
    for (size_t i = 0; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 16; ++j) sum[j] |= words[i + j];
    for (size_t j = 1; j < 16; ++j) sum[0] |= sum[j];
    return sum[0];
}

// The engine's errors as those of vhash_sdk.errors.
void translate(std::exception_ptr error) {
    const auto raise = [](const char* name, const py::object& arguments) {
        const py::object type = py::module_::import("vhash_sdk.errors").attr(name);
        PyErr_SetObject(type.ptr(), arguments.ptr());
    };
    try {
        if (error) std::rethrow_exception(error);
    } catch (const FormatError& e) {
        raise("IndexFormatError", text(e.what()));
    } catch (const UnknownId& e) {
        raise("UnknownIdError", text(e.what()));
    } catch (const FileError& e) {
        const char* name = e.code == ENOENT ? "FileNotFoundError" : e.code == EACCES ? "PermissionError" : "OSError";
        const py::object type = py::module_::import("builtins").attr(name);
        PyErr_SetObject(type.ptr(), py::make_tuple(e.code, text(e.what())).ptr());
    } catch (const std::invalid_argument& e) {
        raise("OptionError", text(e.what()));
    }
}

}  // namespace

void bind_hamming(py::module_& module) {
    py::register_local_exception_translator(translate);
    module.def("simd_level", [] { return std::string(kernels().name); }, "The kernels in use.");
    module.def("simd_levels", levels, "The levels that this CPU has, slowest first.");
    module.def(
        "set_simd_level", [](const std::string& name) { set_simd_level(name.c_str()); }, py::arg("name"),
        "Forces the kernels of one level, or 'auto'.");
    module.attr("MAX_THREADS") = kMaxThreads;
    module.def("available_threads", available_threads, "CPUs that this process may use.");
    module.def("read_memory", read_memory, py::arg("data"), "Reads memory, for a measure of its bandwidth.");
    module.def("crc32c", crc32c_of, py::arg("data"), py::arg("crc") = 0, "CRC-32C of bytes, continuing `crc`.");
    py::class_<PairJoin>(module, "PairJoin", "A stream of pairs.")
        .def("next", next_pairs, py::arg("wanted"))
        .def_property_readonly("choices", &PairJoin::choices);
    py::class_<Rows>(module, "Rows", "The codes and ids of an index, as a stream.")
        .def_property_readonly("live", &Rows::live)
        .def_property_readonly("ordered", &Rows::ordered, "Whether ids ascend.")
        .def_property_readonly("bounds", &Rows::bounds, "Ids of the first and the last row.")
        .def("next", &Rows::next, py::arg("wanted"));
    py::class_<Index>(module, "HammingIndex", "The engine behind vhash_sdk.Index.")
        .def(py::init<unsigned, std::string>(), py::arg("bits"), py::arg("model") = "")
        .def_property_readonly("bits", &Index::bits)
        .def_property("model", &Index::model, &Index::set_model)
        .def_property_readonly("next_id", &Index::next_id)
        .def("__len__", &Index::size)
        .def("__contains__", &Index::contains, py::arg("id"))
        .def("add", add, py::arg("codes"), py::arg("ids"))
        .def("upsert", upsert, py::arg("codes"), py::arg("ids"))
        .def("remove", remove, py::arg("ids"))
        .def("codes", codes, py::arg("ids"))
        .def("search", search, py::arg("queries"), py::arg("k"), py::arg("threads"), py::arg("among"),
             py::arg("recall") = 1.0)
        .def("range_search", range_search, py::arg("queries"), py::arg("radius"), py::arg("limit"), py::arg("threads"),
             py::arg("among"), py::arg("recall") = 1.0)
        .def("explain", explain, py::arg("queries"), py::arg("k"), py::arg("radius"), py::arg("threads"),
             py::arg("among"), py::arg("recall") = 1.0)
        .def(
            "build_multi_index", [](Index& index, unsigned threads) { index.build_multi_index(threads, true); },
            py::arg("threads"), py::call_guard<Released>())
        .def("rows", [](const Index& index) { return Rows(index); })
        .def("pairs", pairs, py::arg("other").none(true), py::arg("radius"), py::arg("threads"), py::arg("choice") = -1,
             py::arg("part") = 0, py::arg("parts") = 1)
        .def("save", &Index::save, py::arg("path"), py::call_guard<Released>())
        .def_static("load", &Index::load, py::arg("path"), py::arg("mmap"), py::arg("verify"),
                    py::call_guard<Released>());
}

}  // namespace vhash
