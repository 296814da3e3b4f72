// Which rows are scanned when, and how much room their hits get. Rows are scanned in segments, the first
// one small enough that all of it fits; after each one the k nearest so far are kept and their k-th distance
// becomes the limit of the next, which may therefore be many times as long. Rows ascend with ids, so a later
// row at the limit comes too late. A query whose part overflows all the same (codes sorted against it) is
// scanned again by itself in segments that always fit.
#include "cuda/hamming.hpp"

#include <algorithm>
#include <mutex>
#include <numeric>

#include "cuda/hamming_kernels.cuh"

namespace vhash::cuda {
namespace {

constexpr std::size_t kQueryGroup = 1024;                    // queries whose hits are held at once
constexpr std::size_t kKeyBudget = std::size_t{1} << 27;     // keys held at once (1 GiB)
constexpr std::uint64_t kRoom = 4096;                        // keys of a query
constexpr std::uint64_t kWideRoom = std::uint64_t{1} << 20;  // of a query that is scanned by itself
constexpr unsigned kMost = 0x7fffffff;

std::uint64_t power_of_two(std::uint64_t n) {
    std::uint64_t size = 1;
    while (size < n) size *= 2;
    return size;
}

// 64-bit words of a row on the device: what the kernels are there for.
unsigned words_of(unsigned bits) {
    const unsigned words = (bits + 63) / 64;
    return words <= 8 ? static_cast<unsigned>(power_of_two(words)) : (words + 1) / 2 * 2;
}

unsigned blocks_for(std::uint64_t work, std::uint64_t of_block, unsigned most = kMost) {
    return static_cast<unsigned>(std::clamp<std::uint64_t>((work + of_block - 1) / of_block, 1, most));
}

template <template <int> class Launch, class... A>
void by_words(unsigned words, A&&... arguments) {
    switch (words) {
        case 1: return Launch<1>::run(arguments...);
        case 2: return Launch<2>::run(arguments...);
        case 4: return Launch<4>::run(arguments...);
        default: return Launch<8>::run(arguments...);
    }
}

struct Target {
    unsigned sms;
    cudaStream_t stream;
};

template <int WORDS>
struct Few {
    static void run(Scan s, const Target& to) {
        const unsigned grid = blocks_for(s.to - s.from, few_rows<WORDS>(), 8 * to.sms);
        for (; s.n; s.n -= std::min(s.n, kFewQueries)) {
            if (s.n == 1) launch(scan_few<WORDS, 1>, grid, kFewThreads, 0, to.stream, s);
            else launch(scan_few<WORDS, kFewQueries>, grid, kFewThreads, 0, to.stream, s);  // padding has limit -1
            const unsigned done = std::min(s.n, kFewQueries);
            s.queries += done * WORDS, s.limits += done, s.start += done, s.counts += done;
        }
    }
};

template <int WORDS>
struct Popc {
    static void run(const Scan& s, const Target& to) {
        const unsigned columns = blocks_for(s.n, popc_queries<WORDS>());
        const dim3 grid(blocks_for(s.to - s.from, kPopcThreads * popc_rows<WORDS>(), 16 * to.sms), columns);
        launch(scan_popc<WORDS>, grid, kPopcThreads, 0, to.stream, s);
    }
};

template <int WORDS>
struct Slices {
    static void run(const Scan& s, const Target& to) {
        if constexpr (WORDS <= 2) {
            const dim3 grid(blocks_for(s.to - s.from, 32 * kSliceThreads, 16 * to.sms), blocks_for(s.n, kSliceQueries));
            launch(scan_slices<WORDS>, grid, kSliceThreads, 0, to.stream, s);
        }
    }
};

// Groups of 16 queries for one column of blocks, so that their fragments stay in the L1 cache.
unsigned groups_of_column(unsigned steps) { return std::max(1u, 64 / steps); }

template <int WORDS>
struct S8 {
    static void run(const Scan& s, const Target& to, const uint4* fragments) {
        const unsigned all = blocks_for(s.n, 16), groups = std::min(all, groups_of_column(2 * WORDS));
        const dim3 grid(blocks_for(s.to - s.from, 8 * s8_tiles<WORDS>() * kMmaWarps, 64 * to.sms),
                        blocks_for(all, groups));
        launch(scan_s8<WORDS>, grid, kMmaThreads, 0, to.stream, s, fragments, groups);
    }
};

template <int WORDS>
struct B1 {
    static void run(const Scan& s, const Target& to, const uint4* fragments) {
        const unsigned all = blocks_for(s.n, 16), groups = std::min(all, groups_of_column(WORDS == 1 ? 1 : WORDS / 2));
        const dim3 grid(blocks_for(s.to - s.from, 8 * b1_tiles<WORDS>() * kMmaWarps, 64 * to.sms),
                        blocks_for(all, groups));
        launch(scan_b1<WORDS>, grid, kMmaThreads, 0, to.stream, s, fragments, groups);
    }
};

}  // namespace

Method choose_method(unsigned bits, std::size_t queries) {
    return queries <= kFewQueries || words_of(bits) > 8 ? Method::few : Method::s8;
}

bool has_method(Method method, unsigned bits) {
    const unsigned words = words_of(bits);
    return method == Method::automatic || method == Method::few || words <= (method == Method::slices ? 2u : 8u);
}

struct DeviceIndex::State {
    unsigned bits = 0, words = 0, sms = 1;
    int device = 0;
    std::uint64_t capacity = 0, rows = 0;
    bool with_ids = false;
    std::int64_t id_base = 0;
    Memory codes, ids;
    std::mutex one;  // call at a time, for the scratch below
    Memory staged, queries, limits, start, counts, keys, overflow, fragments, result_start, result_ids,
        result_distances;
    std::vector<std::int32_t> host_limits;

    std::size_t row_bytes() const { return (bits + 7) / 8; }
    static std::size_t padded(std::size_t n) { return (n + 15) / 16 * 16; }
    Target target(cudaStream_t stream) const { return {sms, stream}; }

    void pack(const void* bytes, std::uint64_t n, std::uint64_t* out, cudaStream_t stream) const {
        if (n)
            launch(pack_codes, blocks_for(n * words, 256), 256, 0, stream, static_cast<const unsigned char*>(bytes), n,
                   bits, words, out);
    }

    // The queries as rows of words, and the fragments of the tensor-core methods.
    void load(const void* from, bool on_device, std::size_t n, Method method, cudaStream_t stream) {
        const std::size_t all = padded(n);
        queries.reserve(all * words * 8);
        check(cudaMemsetAsync(queries.as<void>(), 0, all * words * 8, stream), "cudaMemsetAsync");
        if (!on_device) {
            staged.reserve(n * row_bytes());
            upload(staged.as<void>(), from, n * row_bytes(), stream);
            from = staged.as<void>();
        }
        pack(from, n, queries.as<std::uint64_t>(), stream);
        if (method != Method::s8 && method != Method::b1) return;
        const bool b1 = method == Method::b1;
        const auto groups = static_cast<unsigned>(all / 16);
        const unsigned steps = !b1 ? 2 * words : words == 1 ? 1 : words / 2, lanes = groups * steps * 32;
        fragments.reserve(std::size_t{lanes} * sizeof(uint4));
        launch(query_fragments, blocks_for(lanes, 256), 256, 0, stream, queries.as<std::uint64_t>(), groups, words, b1,
               fragments.as<uint4>());
    }

    // Every query accepts distances up to `limit`; those after the n-th none.
    void set_limits(std::size_t n, std::int32_t limit, cudaStream_t stream) {
        host_limits.assign(padded(n), -1);
        std::fill_n(host_limits.begin(), n, limit);
        limits.reserve(host_limits.size() * sizeof(std::int32_t));
        upload(limits.as<void>(), host_limits.data(), host_limits.size() * sizeof(std::int32_t), stream);
        synchronize(stream);  // host_limits is pageable: CUDA may still be reading it
    }

    // Parts of `keys` for the hits, all empty.
    void set_parts(const std::vector<std::uint64_t>& parts, cudaStream_t stream) {
        const std::size_t n = parts.size() - 1;
        keys.reserve(parts.back() * sizeof(std::uint64_t));
        start.reserve(parts.size() * sizeof(std::uint64_t));
        counts.reserve(n * sizeof(unsigned long long));
        overflow.reserve(n * sizeof(std::int32_t));
        upload(start.as<void>(), parts.data(), parts.size() * sizeof(std::uint64_t), stream);
        check(cudaMemsetAsync(counts.as<void>(), 0, n * sizeof(unsigned long long), stream), "cudaMemsetAsync");
        check(cudaMemsetAsync(overflow.as<void>(), 0, n * sizeof(std::int32_t), stream), "cudaMemsetAsync");
        synchronize(stream);  // `parts` is the caller's
    }

    void scan(std::uint64_t from, std::uint64_t to, std::size_t n, Method method, cudaStream_t stream) {
        if (from >= to) return;
        const Scan s{codes.as<std::uint64_t>(),
                     from,
                     to,
                     queries.as<std::uint64_t>(),
                     limits.as<std::int32_t>(),
                     static_cast<unsigned>(n),
                     words,
                     start.as<std::uint64_t>(),
                     counts.as<unsigned long long>(),
                     keys.as<std::uint64_t>()};
        const Target to_device = target(stream);
        if (words > 8) {
            const dim3 grid(blocks_for(to - from, 256, 16 * sms), blocks_for(n, kWideQueries));
            return launch(scan_wide, grid, 256, 0, stream, s);
        }
        if (method == Method::few) by_words<Few>(words, s, to_device);
        else if (method == Method::popc) by_words<Popc>(words, s, to_device);
        else if (method == Method::slices) by_words<Slices>(words, s, to_device);
        else if (method == Method::s8) by_words<S8>(words, s, to_device, fragments.as<uint4>());
        else by_words<B1>(words, s, to_device, fragments.as<uint4>());
    }

    void keep(std::size_t n, std::uint64_t k, std::uint64_t room, bool tighten, cudaStream_t stream) {
        const auto shared_keys = static_cast<unsigned>(std::min<std::uint64_t>(power_of_two(room), kRoom));
        launch(keep_nearest, static_cast<unsigned>(n), kSortThreads, shared_keys * sizeof(std::uint64_t), stream,
               start.as<std::uint64_t>(), counts.as<unsigned long long>(), keys.as<std::uint64_t>(), k, tighten,
               shared_keys, limits.as<std::int32_t>(), overflow.as<std::int32_t>());
    }

    // Finds the k nearest of the n loaded queries; the results are the first k keys of each part of `room`.
    void nearest(std::size_t n, std::uint64_t k, std::uint64_t room, bool grow, Method method, cudaStream_t stream) {
        std::vector<std::uint64_t> parts(n + 1);
        for (std::size_t q = 0; q <= n; ++q) parts[q] = q * room;
        set_parts(parts, stream);
        set_limits(n, static_cast<std::int32_t>(bits), stream);
        const Method at_first = n <= kFewQueries ? Method::few : Method::popc;  // every row is a hit
        std::uint64_t done = 0;
        while (done < rows) {
            std::uint64_t length = room / 2;
            if (done && grow)
                length = std::max(length, done / (4 * k) * (room - k));  // a quarter full if codes are exchangeable
            const std::uint64_t end = rows - done <= length ? rows : done + length / 2 * 2;
            scan(done, end, n, done ? method : at_first, stream);
            keep(n, k, room, true, stream);
            done = end;
        }
    }

    // Keys of the n queries' parts, each of `room`, to host arrays of n × k.
    void hand_out(std::size_t n, std::uint64_t k, cudaStream_t stream, std::int64_t* out_ids,
                  std::uint16_t* out_distances) {
        std::vector<std::uint64_t> splits(n + 1);
        for (std::size_t q = 0; q <= n; ++q) splits[q] = q * k;
        unpack(splits, k, stream, out_ids, out_distances);
    }

    void unpack(const std::vector<std::uint64_t>& splits, std::uint64_t longest, cudaStream_t stream,
                std::int64_t* out_ids, std::uint16_t* out_distances) {
        const std::uint64_t all = splits.back();
        result_start.reserve(splits.size() * sizeof(std::uint64_t));
        result_ids.reserve(all * sizeof(std::int64_t));
        result_distances.reserve(all * sizeof(std::uint16_t));
        upload(result_start.as<void>(), splits.data(), splits.size() * sizeof(std::uint64_t), stream);
        const dim3 grid(blocks_for(longest, 128, 1024), static_cast<unsigned>(splits.size() - 1));
        launch(unpack_keys, grid, 128, 0, stream, start.as<std::uint64_t>(), result_start.as<std::uint64_t>(),
               keys.as<std::uint64_t>(), with_ids ? ids.as<std::int64_t>() : nullptr, id_base,
               result_ids.as<std::int64_t>(), result_distances.as<std::uint16_t>());
        download(out_ids, result_ids.as<void>(), all * sizeof(std::int64_t), stream);
        download(out_distances, result_distances.as<void>(), all * sizeof(std::uint16_t), stream);
        synchronize(stream);
    }

    template <class T>
    std::vector<T> fetch(const Memory& memory, std::size_t n, cudaStream_t stream) const {
        std::vector<T> values(n);
        download(values.data(), memory.as<void>(), n * sizeof(T), stream);
        synchronize(stream);
        return values;
    }

    Method method_for(Method wanted, std::size_t n) const {
        return wanted == Method::automatic ? choose_method(bits, n) : wanted;
    }
};

DeviceIndex::DeviceIndex(unsigned bits, std::uint64_t capacity, int device, bool with_ids, std::int64_t id_base)
    : state_(new State) {
    State& s = *state_;
    check(cudaSetDevice(device), "cudaSetDevice");
    s.bits = bits, s.words = words_of(bits), s.device = device;
    s.capacity = capacity, s.with_ids = with_ids, s.id_base = id_base;
    s.sms = static_cast<unsigned>(attribute(cudaDevAttrMultiProcessorCount, device));
    s.codes = Memory((capacity + kPadRows) * s.words * 8);
    // what lies behind the codes is read too
    check(cudaMemsetAsync(s.codes.as<std::uint64_t>() + capacity * s.words, 0, kPadRows * s.words * 8, nullptr),
          "cudaMemsetAsync");
    if (with_ids) s.ids = Memory(capacity * sizeof(std::int64_t));
    synchronize(nullptr);
}

DeviceIndex::~DeviceIndex() = default;

unsigned DeviceIndex::bits() const { return state_->bits; }
int DeviceIndex::device() const { return state_->device; }
std::uint64_t DeviceIndex::size() const { return state_->rows; }

std::size_t DeviceIndex::bytes() const {
    std::size_t sum = 0;
    for (const Memory* memory : {&state_->codes, &state_->ids, &state_->staged, &state_->queries, &state_->keys,
                                 &state_->fragments, &state_->result_ids})
        sum += memory->bytes();
    return sum;
}

void DeviceIndex::append(const std::uint8_t* codes, std::size_t n, const std::int64_t* ids) {
    State& s = *state_;
    const std::lock_guard lock(s.one);
    if (s.capacity - s.rows < n || (n && s.with_ids != (ids != nullptr)))
        throw std::invalid_argument("more codes than the index has room for, or ids missing");
    check(cudaSetDevice(s.device), "cudaSetDevice");
    constexpr std::size_t chunk = std::size_t{1} << 22;
    for (std::size_t at = 0; at < n; at += chunk) {
        const std::size_t size = std::min(chunk, n - at);
        s.staged.reserve(size * s.row_bytes());
        upload(s.staged.as<void>(), codes + at * s.row_bytes(), size * s.row_bytes(), nullptr);
        s.pack(s.staged.as<void>(), size, s.codes.as<std::uint64_t>() + s.rows * s.words, nullptr);
        if (ids) upload(s.ids.as<std::int64_t>() + s.rows, ids + at, size * sizeof(std::int64_t), nullptr);
        synchronize(nullptr);
        s.rows += size;
    }
}

std::unique_ptr<DeviceIndex> DeviceIndex::take(const std::int64_t* rows, std::size_t n) const {
    const State& s = *state_;
    if (std::any_of(rows, rows + n,
                    [&](std::int64_t row) { return row < 0 || static_cast<std::uint64_t>(row) >= s.rows; }))
        throw std::invalid_argument("a row is not in the index");
    auto taken = std::make_unique<DeviceIndex>(s.bits, n, s.device, true, 0);
    State& t = *taken->state_;
    Memory places(n * sizeof(std::int64_t));
    upload(places.as<void>(), rows, n * sizeof(std::int64_t), nullptr);
    if (n)
        launch(gather_codes, blocks_for(n * s.words, 256), 256, 0, nullptr, s.codes.as<std::uint64_t>(),
               places.as<std::int64_t>(), n, s.words, t.codes.as<std::uint64_t>());
    std::vector<std::int64_t> ids(rows, rows + n);
    if (s.with_ids) {
        // a row of ids is a row of one word
        if (n)
            launch(gather_codes, blocks_for(n, 256), 256, 0, nullptr,
                   reinterpret_cast<const std::uint64_t*>(s.ids.as<std::int64_t>()), places.as<std::int64_t>(), n, 1,
                   reinterpret_cast<std::uint64_t*>(t.ids.as<std::int64_t>()));
    } else {
        for (std::int64_t& id : ids) id += s.id_base;
        upload(t.ids.as<void>(), ids.data(), n * sizeof(std::int64_t), nullptr);
    }
    synchronize(nullptr);
    t.rows = n;
    return taken;
}

void DeviceIndex::search(const void* queries, bool on_device, std::size_t n, std::size_t k, Method wanted,
                         void* stream_handle, std::int64_t* ids, std::uint16_t* distances) {
    State& s = *state_;
    const std::lock_guard lock(s.one);
    if (n == 0 || k == 0 || k > s.rows) return;
    check(cudaSetDevice(s.device), "cudaSetDevice");
    auto* const stream = static_cast<cudaStream_t>(stream_handle);
    const std::uint64_t room = std::max(kRoom, power_of_two(16 * k));
    const std::size_t group = std::clamp<std::size_t>(kKeyBudget / room, 1, kQueryGroup);
    const auto* bytes = static_cast<const std::uint8_t*>(queries);
    for (std::size_t first = 0; first < n; first += group) {
        const std::size_t size = std::min(group, n - first);
        const Method method = s.method_for(wanted, size);
        s.load(bytes + first * s.row_bytes(), on_device, size, method, stream);
        s.nearest(size, k, room, true, method, stream);
        s.hand_out(size, k, stream, ids + first * k, distances + first * k);
        const auto overflow = s.fetch<std::int32_t>(s.overflow, size, stream);
        for (std::size_t q = 0; q < size; ++q) {
            if (!overflow[q]) continue;
            s.load(bytes + (first + q) * s.row_bytes(), on_device, 1, Method::few, stream);
            s.nearest(1, k, std::max(kWideRoom, power_of_two(4 * k)), false, Method::few, stream);
            s.hand_out(1, k, stream, ids + (first + q) * k, distances + (first + q) * k);
        }
    }
}

RangeResult DeviceIndex::range(const void* queries, bool on_device, std::size_t n, std::uint32_t radius,
                               std::uint64_t limit, Method wanted, void* stream_handle) {
    State& s = *state_;
    const std::lock_guard lock(s.one);
    check(cudaSetDevice(s.device), "cudaSetDevice");
    auto* const stream = static_cast<cudaStream_t>(stream_handle);
    RangeResult result;
    result.splits.push_back(0);
    const auto* bytes = static_cast<const std::uint8_t*>(queries);
    for (std::size_t first = 0; first < n; first += kQueryGroup) {
        const std::size_t size = std::min(kQueryGroup, n - first);
        const Method method = s.method_for(wanted, size);
        s.load(bytes + first * s.row_bytes(), on_device, size, method, stream);
        s.set_limits(size, static_cast<std::int32_t>(std::min(radius, s.bits)), stream);
        std::vector<std::uint64_t> parts(size + 1), splits(size + 1);
        for (std::size_t q = 0; q <= size; ++q) parts[q] = q * kRoom;
        std::vector<unsigned long long> counts;
        for (bool fits = false; !fits;) {  // twice at most: then the room is what was counted
            s.set_parts(parts, stream);
            s.scan(0, s.rows, size, method, stream);
            counts = s.fetch<unsigned long long>(s.counts, size, stream);
            fits = true;
            for (std::size_t q = 0; q < size; ++q) fits = fits && counts[q] <= parts[q + 1] - parts[q];
            if (!fits)
                for (std::size_t q = 0; q < size; ++q)
                    parts[q + 1] = parts[q] + power_of_two(std::max<std::uint64_t>(1, counts[q]));
        }
        std::uint64_t room = 0, longest = 1;
        for (std::size_t q = 0; q < size; ++q) {
            const std::uint64_t kept = std::min<std::uint64_t>(counts[q], limit);
            room = std::max(room, parts[q + 1] - parts[q]), longest = std::max(longest, kept);
            splits[q + 1] = splits[q] + kept;
        }
        s.keep(size, limit, room, false, stream);
        const std::size_t before = result.ids.size();
        result.ids.resize(before + splits[size]);
        result.distances.resize(before + splits[size]);
        s.unpack(splits, longest, stream, result.ids.data() + before, result.distances.data() + before);
        for (std::size_t q = 0; q < size; ++q)
            result.splits.push_back(static_cast<std::int64_t>(before + splits[q + 1]));
    }
    return result;
}

std::uint64_t DeviceIndex::scan_only(const void* queries, std::size_t n, std::int32_t radius, Method wanted,
                                     void* stream_handle) {
    State& s = *state_;
    const std::lock_guard lock(s.one);
    check(cudaSetDevice(s.device), "cudaSetDevice");
    auto* const stream = static_cast<cudaStream_t>(stream_handle);
    const Method method = s.method_for(wanted, n);
    s.load(queries, false, n, method, stream);
    s.set_limits(n, radius, stream);
    std::vector<std::uint64_t> parts(n + 1);
    for (std::size_t q = 0; q <= n; ++q) parts[q] = q;
    s.set_parts(parts, stream);
    s.scan(0, s.rows, n, method, stream);
    const auto counts = s.fetch<unsigned long long>(s.counts, n, stream);
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace vhash::cuda
