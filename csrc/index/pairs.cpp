#include "index/pairs.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "hamming/hamming.hpp"
#include "index/search.hpp"
#include "system/threads.hpp"

namespace vhash {
namespace {

constexpr size_t kLongRun = 1024;               // from here the batch kernels pay
constexpr size_t kBlock = 128, kPiece = 16384;  // rows of a batch task: at most 2 million pairs
constexpr size_t kShortTask = 2048;
constexpr size_t kPollRows = size_t{1} << 16;
constexpr unsigned kMaxKey = 32, kMaxChoices = 300;

// Nanoseconds to compare a code with another by the batch kernels, for each word. `python -m
// benchmarks.speed.search` shows it, as `range` in its result: 0.05 to 0.06 in the stored one
// (benchmarks/results/search.json: one thread of a two-core Intel Xeon with AVX-512), 0.10 to 0.11 with AVX2
// (search_avx2.json). The costs of sorting and of comparing within equal blocks, in plan(), are estimates; whole
// joins are timed by the same command, as `pairs`.
constexpr double kCompared = 0.06;

double choose(unsigned n, unsigned k) {
    double ways = 1;
    for (unsigned i = 0; i < k; ++i) ways = ways * (n - i) / (i + 1);
    return ways;
}

uint64_t bit_range(const uint64_t* code, unsigned from, unsigned to) {
    const unsigned word = from / 64, shift = from % 64, bits = to - from;
    uint64_t value = code[word] >> shift;
    if (shift + bits > 64) value |= code[word + 1] << (64 - shift);
    return bits == 64 ? value : value & ((uint64_t{1} << bits) - 1);
}

// By the upper half; equal keys stay in the order of their places.
void radix_sort(std::vector<uint64_t>& keys, unsigned bits) {
    constexpr unsigned kDigit = 11;
    std::vector<uint64_t> other(keys.size());
    for (unsigned done = 0; done < bits; done += kDigit) {
        size_t count[(1u << kDigit) + 1] = {};
        const auto digit = [&](uint64_t key) { return (key >> (32 + done)) & ((1u << kDigit) - 1); };
        poll();
        for (const uint64_t key : keys) ++count[digit(key) + 1];
        poll();
        for (size_t d = 1; d <= size_t{1} << kDigit; ++d) count[d] += count[d - 1];
        for (const uint64_t key : keys) other[count[digit(key)]++] = key;
        keys.swap(other);
    }
}

}  // namespace

PairJoin::PairJoin(SnapshotPtr index, SnapshotPtr other, uint32_t radius, unsigned threads, PairShare share)
    : self_(!other),
      bits_(index->bits),
      words_(index->words),
      radius_(std::min<uint32_t>(radius, index->bits)),
      threads_(std::clamp(threads, 1u, kMaxThreads)),
      share_(share) {
    if (other && other->bits != bits_) throw std::invalid_argument("indexes of different widths have no pairs");
    if (share.part >= share.parts) throw std::invalid_argument("no such share of the pairs");
    a_.rows = std::move(index);
    b_.rows = std::move(other);
    plan();
    if (share.choice >= static_cast<int64_t>(choices())) throw std::invalid_argument("no such share of the pairs");
}

size_t PairJoin::choices() const {
    return choice_.empty()
               ? 1
               : static_cast<size_t>(
                     choose(static_cast<unsigned>(cuts_.size() - 1), static_cast<unsigned>(choice_.size())) + 0.5);
}

void PairJoin::plan() {
    const double a = static_cast<double>(a_.rows->live), b = static_cast<double>(second().rows->live);
    const double pairs = self_ ? a * b / 2 : a * b, wide = static_cast<double>(words_);
    double best = pairs * kCompared * wide;
    unsigned blocks = 0, key = 0;
    for (unsigned c = 1; c <= 4 && radius_ + c <= bits_; ++c) {
        const unsigned m = radius_ + c, width = std::min(kMaxKey, c * (bits_ / m));
        const double choices = choose(m, c);
        if (choices > kMaxChoices) break;
        const double cost =
            choices * ((a + (self_ ? 0 : b)) * (20 + 4 * wide) + pairs / std::exp2(double(width)) * (1 + wide));
        if (cost >= best) continue;
        best = cost;
        blocks = m;
        key = c;
    }
    for (unsigned i = 0; i <= blocks && blocks; ++i) cuts_.push_back(bits_ * i / blocks);
    for (unsigned i = 0; i < key; ++i) choice_.push_back(i);
}

// The next choice of blocks in lexicographic order; without blocks there is one, which holds all.
bool PairJoin::next_choice() {
    if (++number_ == 0) return true;
    const size_t c = choice_.size();
    const auto blocks = static_cast<unsigned>(cuts_.empty() ? 0 : cuts_.size() - 1);
    for (size_t i = c; i-- > 0;) {
        if (choice_[i] + (c - i) >= blocks) continue;
        ++choice_[i];
        for (size_t j = i + 1; j < c; ++j) choice_[j] = choice_[j - 1] + 1;
        return true;
    }
    return false;
}

uint64_t PairJoin::key(const uint64_t* code, unsigned width) const {
    uint64_t key = 0;
    for (const unsigned block : choice_) {
        const unsigned taken = std::min(cuts_[block + 1] - cuts_[block], kMaxKey);
        key = key << taken ^ bit_range(code, cuts_[block], cuts_[block] + taken);
    }
    return key & ((uint64_t{1} << width) - 1);
}

// Copies the live rows and finds their keys. With several parts only those of this one are taken, for
// each choice anew, so that no process ever holds more than its part.
void PairJoin::select(Side& side) const {
    unsigned width = 0;
    for (const unsigned block : choice_) width += cuts_[block + 1] - cuts_[block];
    width = std::min(width, kMaxKey);
    side.keys.clear();
    const bool divide = share_.parts > 1 && width, copy = divide || side.ids.empty();
    if (copy) {
        side.ids.clear();
        side.codes.clear();
    }
    const size_t expected = divide ? side.rows->live / share_.parts * 9 / 8 + 64 : side.rows->live;
    side.keys.reserve(expected);
    if (!copy) {
        for (size_t i = 0; i < side.ids.size(); ++i) {
            if (i % kPollRows == 0) poll();
            side.keys.push_back(key(side.codes.data() + i * words_, width) << 32 | i);
        }
        return;
    }
    side.ids.reserve(expected);
    side.codes.reserve(expected * words_);
    for (const Chunk& chunk : side.rows->chunks) {
        poll();
        for (size_t r = 0; r < chunk.rows; ++r) {
            if (!chunk.is_live(r)) continue;
            const uint64_t* code = chunk.codes.get() + r * words_;
            const uint64_t k = key(code, width);
            // multiplied, so that parts are even where keys are not
            if (divide && (k * 0x9e3779b97f4a7c15u >> 32) % share_.parts != share_.part) continue;
            side.keys.push_back(k << 32 | side.ids.size());
            side.ids.push_back(chunk.id(r));
            side.codes.insert(side.codes.end(), code, code + words_);
        }
    }
}

void PairJoin::sort_side(Side& side) const {
    select(side);
    unsigned width = 0;
    for (const unsigned block : choice_) width += cuts_[block + 1] - cuts_[block];
    const size_t n = side.ids.size();
    side.sorted_ids.resize(n);
    side.sorted_codes.resize(n * words_);
    if (width) radix_sort(side.keys, std::min(width, kMaxKey));
    for (size_t i = 0; i < n; ++i) {
        if (i % kPollRows == 0) poll();
        const size_t place = side.keys[i] & 0xffffffffu;
        side.sorted_ids[i] = side.ids[place];
        std::copy_n(side.codes.data() + place * words_, words_, side.sorted_codes.data() + i * words_);
    }
}

// Cuts the sorted rows into pieces of bounded work and output.
bool PairJoin::next_task(Task& task) {
    const Side& b = second();
    const auto key = [](const Side& side, size_t i) { return side.keys[i] >> 32; };
    const auto run = [&](const Side& side, uint64_t k) {
        const auto low = std::lower_bound(side.keys.begin(), side.keys.end(), k << 32);
        const auto high = std::upper_bound(low, side.keys.end(), k << 32 | 0xffffffffu);
        return std::pair<size_t, size_t>(low - side.keys.begin(), high - side.keys.begin());
    };
    if (run_.a_from < run_.a_to) {  // the long run: blocks of a by pieces of b
        task = {run_.a_from, std::min(run_.a_from + kBlock, run_.a_to), run_.b_from,
                std::min(run_.b_from + kPiece, run_.b_to), true};
        run_.b_from = task.b_to;
        if (run_.b_from == run_.b_to) {
            run_.a_from = task.a_to;
            run_.b_from = self_ ? run_.a_from : run_begin_;
        }
        return true;
    }
    task = {at_, at_, 0, 0, false};
    while (at_ < a_.keys.size()) {
        const auto [a_low, a_high] = run(a_, key(a_, at_));
        const auto [b_low, b_high] = self_ ? std::pair<size_t, size_t>(a_low, a_high) : run(b, key(a_, at_));
        if (b_high - b_low >= kLongRun && a_high - a_low >= 32) {
            if (task.a_from < task.a_to) return true;  // the short ones before it first
            run_ = {a_low, a_high, b_low, b_high, true};
            run_begin_ = b_low;
            at_ = a_high;
            return next_task(task);
        }
        const size_t most = std::max<size_t>(1, kShortTask * kLongRun / std::max<size_t>(1, b_high - b_low));
        at_ = std::min(a_high, at_ + most);
        task.a_to = at_;
        if (task.a_to - task.a_from >= kShortTask || at_ < a_high) return true;
    }
    return task.a_from < task.a_to;
}

// Pairs are met under every choice on whose blocks they agree: this is the first of them if no other
// block before the last of the choice agrees.
void PairJoin::take(size_t a, size_t b, uint32_t distance, std::vector<Pair>& out) const {
    const uint64_t* x = a_.sorted_codes.data() + a * words_;
    const uint64_t* y = second().sorted_codes.data() + b * words_;
    const auto equal = [&](unsigned block) {
        unsigned from = cuts_[block];
        for (; from < cuts_[block + 1]; from += 32) {
            const unsigned to = std::min(from + 32, cuts_[block + 1]);
            if (bit_range(x, from, to) != bit_range(y, from, to)) return false;
        }
        return true;
    };
    for (size_t i = 0, block = 0; i < choice_.size(); ++block) {
        const bool chosen = choice_[i] == block;
        if (equal(static_cast<unsigned>(block)) != chosen) return;
        i += chosen;
    }
    int64_t first = a_.sorted_ids[a], other = second().sorted_ids[b];
    if (self_ && first > other) std::swap(first, other);
    out.push_back({first, other, distance});
}

void PairJoin::compare(const Task& task, std::vector<Pair>& out) const {
    const Side& b = second();
    if (task.batch) {
        Snapshot piece;  // ids are places in key order
        piece.bits = bits_;
        piece.words = words_;
        Chunk chunk;
        chunk.codes =
            std::shared_ptr<const uint64_t>(std::shared_ptr<void>(), b.sorted_codes.data() + task.b_from * words_);
        chunk.id_base = static_cast<int64_t>(task.b_from);
        chunk.rows = chunk.capacity = chunk.live_rows = static_cast<uint32_t>(task.b_to - task.b_from);
        piece.chunks.push_back(chunk);
        piece.rows = piece.live = chunk.rows;
        const Ranges found = search_range(piece, a_.sorted_codes.data() + task.a_from * words_, task.a_to - task.a_from,
                                          radius_, SIZE_MAX, 1);
        for (size_t q = 0; q + 1 < found.splits.size(); ++q)
            for (uint64_t i = found.splits[q]; i < found.splits[q + 1]; ++i)
                if (!self_ || static_cast<size_t>(found.matches[i].id) > task.a_from + q)
                    take(task.a_from + q, static_cast<size_t>(found.matches[i].id), found.matches[i].distance, out);
        return;
    }
    const Kernels& kernel = kernels();
    Hit hits[512];
    size_t begin = 0, end = 0;
    for (size_t a = task.a_from; a < task.a_to; ++a) {
        const uint64_t key = a_.keys[a] >> 32;
        if (a == task.a_from || key != a_.keys[a - 1] >> 32) {
            const auto from =
                self_ ? b.keys.begin() + static_cast<std::ptrdiff_t>(a)
                      : std::lower_bound(b.keys.begin() + static_cast<std::ptrdiff_t>(end), b.keys.end(), key << 32);
            begin = static_cast<size_t>(from - b.keys.begin());
            end = begin;
            while (end < b.keys.size() && b.keys[end] >> 32 == key) ++end;
        }
        for (size_t from = self_ ? a + 1 : begin; from < end;) {
            size_t count = 0;
            const size_t done = kernel.scan(b.sorted_codes.data() + from * words_, end - from, words_,
                                            a_.sorted_codes.data() + a * words_, radius_, nullptr, hits, 512, &count);
            for (size_t i = 0; i < count; ++i) take(a, from + hits[i].row, hits[i].distance, out);
            from += done;
        }
    }
}

bool PairJoin::next(size_t wanted, std::vector<Pair>& pairs) {
    while (pairs.size() < wanted) {
        poll();
        if (!sorted_) {
            do {
                if (!next_choice()) return false;
            } while (share_.choice >= 0 && number_ != share_.choice);
            parallel_for(self_ ? 1 : 2, threads_, [&](size_t side) { sort_side(side ? b_ : a_); });
            sorted_ = true;
            at_ = 0;
        }
        std::vector<Task> tasks;
        for (Task task; tasks.size() < 4 * size_t{threads_} && next_task(task);)
            // without blocks all rows have one key, and it is the comparisons that are shared out
            if (!choice_.empty() || tasks_++ % share_.parts == share_.part) tasks.push_back(task);
        if (tasks.empty()) {
            sorted_ = false;
            continue;
        }
        std::vector<std::vector<Pair>> found(tasks.size());
        parallel_for(tasks.size(), threads_, [&](size_t i) { compare(tasks[i], found[i]); });
        for (const auto& some : found) pairs.insert(pairs.end(), some.begin(), some.end());
    }
    return true;
}

}  // namespace vhash
