#include "index/multi_index.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "index/topk.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr unsigned kMaxSubstring = 24;  // bits: tables of at most 64 MiB of offsets
constexpr unsigned kRowShift = 12;
constexpr size_t kProbeBatch = 32;  // look-ups whose memory is on its way at once
constexpr size_t kCandidates = 512;
// Nanoseconds for a value looked up, a row met there and a step, found with ten million codes of 64 bits, where
// `python -m benchmarks.speed.search` times such searches (`near_duplicates` in its result). Index.explain()
// tells how many look-ups and rows a search took.
constexpr double kLookup = 36, kCandidate = 18, kStep = 60;

// Substrings of about log2(rows) bits: then a value has about one row.
unsigned substrings(unsigned bits, uint64_t rows) {
    const double width =
        std::clamp(std::log2(static_cast<double>(std::max<uint64_t>(rows, 2))), 8.0, double{kMaxSubstring});
    const unsigned least = (bits + kMaxSubstring - 1) / kMaxSubstring;
    return std::max(least, std::max(1u, static_cast<unsigned>(std::lround(bits / width))));
}

inline uint32_t substring(const uint64_t* code, unsigned from, unsigned bits) {
    const unsigned word = from / 64, shift = from % 64;
    uint64_t value = code[word] >> shift;
    if (shift + bits > 64) value |= code[word + 1] << (64 - shift);
    return static_cast<uint32_t>(value & ((uint64_t{1} << bits) - 1));
}

}  // namespace

MultiIndex::MultiIndex(const Snapshot& s, unsigned threads)
    : bits_(s.bits), rows_(s.rows), tables_(substrings(s.bits, s.rows)) {
    for (uint64_t row = 0; row < rows_; row += uint64_t{1} << kRowShift)
        chunk_at_.push_back(static_cast<uint32_t>(&s.chunk_of(row) - s.chunks.data()));
    const unsigned m = static_cast<unsigned>(tables_.size());
    parallel_for(m, threads, [&](size_t t) {
        Table& table = tables_[t];
        table.from = static_cast<unsigned>(bits_ * t / m);
        table.bits = static_cast<unsigned>(bits_ * (t + 1) / m) - table.from;
        table.offsets.assign((size_t{1} << table.bits) + 1, 0);
        const auto each_row = [&](const auto& visit) {
            for (const Chunk& chunk : s.chunks) {
                poll();
                for (size_t r = 0; r < chunk.rows; ++r)
                    if (chunk.is_live(r))
                        visit(substring(chunk.codes.get() + r * s.words, table.from, table.bits),
                              static_cast<uint32_t>(chunk.start + r));
            }
        };
        each_row([&](uint32_t value, uint32_t) { ++table.offsets[value]; });
        uint32_t sum = 0;
        for (uint32_t& offset : table.offsets) sum += std::exchange(offset, sum);
        table.rows.resize(sum);
        each_row([&](uint32_t value, uint32_t row) { table.rows[table.offsets[value]++] = row; });
        for (size_t v = table.offsets.size() - 1; v > 0; --v) table.offsets[v] = table.offsets[v - 1];
        table.offsets[0] = 0;
    });
    count_missed();
}

// Of all ways to choose the differing bits of a code, those that leave more of them in every substring than it was
// asked for: the coefficients of a product, of one polynomial for each substring.
void MultiIndex::count_missed() {
    constexpr unsigned kMostAsked = 6, kMostBits = 1000;  // bits of a substring; beyond, the numbers exceed a double
    if (bits_ > kMostBits) return;
    const auto choose = [](unsigned n) {
        std::vector<double> ways{1};
        for (unsigned k = 0; k < n; ++k) ways.push_back(ways.back() * (n - k) / (k + 1));
        return ways;
    };
    const std::vector<double> all = choose(bits_);
    const auto m = static_cast<unsigned>(tables_.size());
    std::vector<double> product, next(bits_ + 1);
    for (unsigned step = 0; step < m * kMostAsked; ++step) {
        poll();
        product.assign(bits_ + 1, 0);
        product[0] = 1;
        for (unsigned t = 0, sum = 0; t < m; sum += tables_[t++].bits) {
            const std::vector<double> ways = choose(tables_[t].bits);
            std::fill(next.begin(), next.end(), 0);
            for (unsigned i = step / m + (t <= step % m); i < ways.size(); ++i)
                for (unsigned d = 0; d <= sum; ++d) next[d + i] += product[d] * ways[i];
            product.swap(next);
        }
        for (unsigned d = 0; d <= bits_; ++d) missed_.push_back(static_cast<float>(product[d] / all[d]));
    }
}

double MultiIndex::missed(unsigned step, unsigned distance) const {
    const size_t place = size_t{step} * (bits_ + 1) + distance;
    return distance <= step ? 0 : place < missed_.size() ? missed_[place] : 1;
}

uint32_t MultiIndex::last_step(uint32_t distance, double recall) const {
    uint32_t step = recall < 1 ? 0 : distance;
    while (step < distance && missed(step, distance) > 1 - recall) ++step;
    return step;
}

double MultiIndex::predict(unsigned bits, uint64_t rows, uint32_t radius) {
    const unsigned m = substrings(bits, rows), width = (bits + m - 1) / m;
    const double each =
        kLookup + kCandidate * static_cast<double>(rows) / std::exp2(double(width)) * (1 + double(bits) / 512);
    double total = 0, ways = 1;
    for (unsigned j = 0; j <= radius / m && j <= width && total < 1e12; ++j) {
        const unsigned tables = std::min(m, radius + 1 - j * m);
        total += tables * (kStep + ways * each);
        ways = ways * (width - j) / (j + 1);
    }
    return total;
}

uint64_t MultiIndex::build_cost(unsigned bits, uint64_t rows) {
    constexpr uint64_t kPerRow = 60;  // nanoseconds for each table, found with ten million rows
    return kPerRow * rows * substrings(bits, rows);
}

inline const uint64_t* MultiIndex::code(const Snapshot& s, uint32_t row) const {
    size_t chunk = chunk_at_[row >> kRowShift];
    while (row >= s.chunks[chunk].start + s.chunks[chunk].rows) ++chunk;
    return s.chunks[chunk].codes.get() + (row - s.chunks[chunk].start) * s.words;
}

struct MultiIndex::Query {
    const uint64_t* code;
    size_t n = 0;  // candidates
    uint32_t rows[kCandidates];
    const uint64_t* codes[kCandidates];
    Hit hits[kCandidates];
};

// Candidates to the sink, each only in the first step that meets it.
template <class Sink>
void MultiIndex::verify(const Snapshot& s, const Kernels& kernels, Query& query, unsigned step, Sink& sink) const {
    const unsigned m = static_cast<unsigned>(tables_.size()), at = step % m;
    const int j = static_cast<int>(step / m);
    const size_t n = std::exchange(query.n, 0);
    const int limit = sink.limit();
    if (limit < 0) return;
    const size_t found = kernels.gather(query.codes, n, s.words, query.code, static_cast<uint32_t>(limit), query.hits);
    for (size_t i = 0; i < found; ++i) {
        const Hit& hit = query.hits[i];
        if (!s.is_live(query.rows[hit.row])) continue;
        bool met = false;
        for (unsigned t = 0; t < m && !met; ++t) {
            const Table& table = tables_[t];
            const uint32_t differ =
                substring(query.codes[hit.row], table.from, table.bits) ^ substring(query.code, table.from, table.bits);
            met = __builtin_popcount(differ) <= (t < at ? j : j - 1);
        }
        if (!met) sink.push(s.id(query.rows[hit.row]), hit.distance);
    }
}

template <class Sink>
bool MultiIndex::search(const Snapshot& s, const Kernels& kernels, const uint64_t* code_of_query, double recall,
                        double budget, Sink& sink, Probes& probes) const {
    thread_local Query query;
    query.code = code_of_query;
    query.n = 0;
    const unsigned m = static_cast<unsigned>(tables_.size());
    double ways = 1, spent = 0;
    for (unsigned step = 0; step <= bits_; ++step) {
        const Table& table = tables_[step % m];
        const unsigned j = step / m;
        if (j > table.bits) continue;
        ways = 1;
        for (unsigned i = 0; i < j; ++i) ways = ways * (table.bits - i) / (i + 1);
        spent += kStep +
                 ways * (kLookup + kCandidate * static_cast<double>(table.rows.size()) / std::exp2(double(table.bits)));
        if (spent > budget) return false;
        const uint32_t value = substring(query.code, table.from, table.bits);
        const uint64_t end = uint64_t{1} << table.bits;
        uint64_t pattern = (uint64_t{1} << j) - 1;  // bits to flip: all patterns of j bits, in ascending order
        bool more = true;
        while (more) {
            uint32_t keys[kProbeBatch];
            size_t n = 0;
            while (n < kProbeBatch && more) {
                keys[n] = value ^ static_cast<uint32_t>(pattern);
                __builtin_prefetch(&table.offsets[keys[n++]]);
                if (pattern == 0) break;
                const uint64_t low = pattern & (~pattern + 1), next = pattern + low;  // Gosper's hack
                pattern = next | (((pattern ^ next) >> 2) / low);
                more = pattern < end;
            }
            if (pattern == 0) more = false;
            probes.lookups += n;
            for (size_t i = 0; i < n; ++i)
                if (table.offsets[keys[i]] != table.offsets[keys[i] + 1])
                    __builtin_prefetch(&table.rows[table.offsets[keys[i]]]);
            for (size_t i = 0; i < n; ++i) {
                const uint32_t last = table.offsets[keys[i] + 1];
                probes.candidates += last - table.offsets[keys[i]];
                for (uint32_t r = table.offsets[keys[i]]; r < last; ++r) {
                    query.rows[query.n] = table.rows[r];
                    query.codes[query.n] = code(s, table.rows[r]);
                    __builtin_prefetch(query.codes[query.n]);
                    if (++query.n == kCandidates) verify(s, kernels, query, step, sink);
                }
            }
        }
        if (query.n) verify(s, kernels, query, step, sink);
        const int reach = sink.reach();
        if (reach >= 0 && reach <= static_cast<int>(step)) return true;
        if (reach >= 0 && recall < 1 && missed(step, static_cast<unsigned>(reach)) <= 1 - recall) return true;
        // Clustered values make buckets longer than predicted: count what was really met.
        spent = std::max(
            spent, kLookup * static_cast<double>(probes.lookups) + kCandidate * static_cast<double>(probes.candidates));
    }
    return true;
}

template bool MultiIndex::search(const Snapshot&, const Kernels&, const uint64_t*, double, double, TopK&,
                                 Probes&) const;
template bool MultiIndex::search(const Snapshot&, const Kernels&, const uint64_t*, double, double, Within&,
                                 Probes&) const;

bool MultiIndex::worth_a_try() const {
    const uint32_t failures = std::min(failures_.load(std::memory_order_relaxed), 6u);
    return turn_.fetch_add(1, std::memory_order_relaxed) % (1u << failures) == 0;
}

void MultiIndex::learn(bool success) const {
    if (success) failures_.store(0, std::memory_order_relaxed);
    else failures_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace vhash
