#include "matching/frame_codes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "system/x86.hpp"

namespace vhash {
namespace {

constexpr double kLeast = 2;      // frames that two videos must share
constexpr double kMoving = 0.25;  // spread of the frames about their mean, as a share of the bits: full motion
constexpr double kNone = -std::numeric_limits<double>::infinity();

// Frames as vectors of -1 and 1 (0 where one shows nothing) appear only by their inner products, which are whole
// numbers: the bits that two of them have in common less those they have not.
class Products {
  public:
    Products(const FrameCodes& a, const FrameCodes& b) : columns_(b.frames), inner_(a.frames * b.frames) {
        const size_t words = (a.bytes + 7) / 8;
        const std::vector<uint64_t> x = words_of(a, words), y = words_of(b, words);
#if defined(__x86_64__)
        if (x86().popcnt) {
            fill_popcnt(x, y, words, 8 * a.bytes);
            return;
        }
#endif
        fill(x, y, words, 8 * a.bytes);
    }
    double operator()(size_t i, size_t j) const { return inner_[i * columns_ + j]; }

  private:
    static std::vector<uint64_t> words_of(const FrameCodes& video, size_t words) {
        std::vector<uint64_t> out(video.frames * words);
        for (size_t t = 0; t < video.frames; ++t)
            std::memcpy(&out[t * words], video.codes + t * video.bytes, video.bytes);
        return out;
    }

    __attribute__((always_inline)) void fill(const std::vector<uint64_t>& x, const std::vector<uint64_t>& y,
                                             size_t words, size_t bits) {
        const auto shows = [words](const uint64_t* code) {
            return std::any_of(code, code + words, [](uint64_t word) { return word != 0; });
        };
        float* out = inner_.data();
        for (const uint64_t* p = x.data(); p < x.data() + x.size(); p += words) {
            const bool shown = shows(p);
            for (const uint64_t* q = y.data(); q < y.data() + y.size(); q += words, ++out) {
                int different = 0;
                for (size_t w = 0; w < words; ++w) different += __builtin_popcountll(p[w] ^ q[w]);
                *out = shown && shows(q) ? static_cast<float>(static_cast<int>(bits) - 2 * different) : 0.0f;
            }
        }
    }
#if defined(__x86_64__)
    __attribute__((target("popcnt"))) void fill_popcnt(const std::vector<uint64_t>& x, const std::vector<uint64_t>& y,
                                                       size_t words, size_t bits) {
        fill(x, y, words, bits);
    }
#endif

    const size_t columns_;
    std::vector<float> inner_;
};

std::vector<double> shown_frames(const FrameCodes& video) {
    std::vector<double> shows(video.frames);
    for (size_t t = 0; t < video.frames; ++t) {
        const uint8_t* code = video.codes + t * video.bytes;
        shows[t] = std::any_of(code, code + video.bytes, [](uint8_t byte) { return byte != 0; }) ? 1 : 0;
    }
    return shows;
}

double sum_of(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum;
}

// What two videos have in common, one of them taken forwards or backwards.
struct Way {
    double ordered = 0, worst = 0, together = 0, pattern = 0, moving = 0;
};

// Two videos, and all that is asked of them again and again.
class Pair {
  public:
    Pair(const FrameCodes& a, const FrameCodes& b, const Lines& lines)
        : lines_(lines),
          bits_(8.0 * static_cast<double>(a.bytes)),
          ta_(a.frames),
          tb_(b.frames),
          shows_a_(shown_frames(a)),
          shows_b_(shown_frames(b)),
          inner_(a, b),
          own_a_(a, a),
          own_b_(b, b) {}

    Likeness likeness() const {
        Likeness found{};
        if (std::min(sum_of(shows_a_), sum_of(shows_b_)) < kLeast) return found;
        const Way one = way(false), other = way(true);
        const Way& straight = other.ordered > one.ordered ? other : one;
        const Way& moved = other.together > one.together ? other : one;
        const Way& patterned = other.pattern > one.pattern ? other : one;
        return {straight.ordered,
                straight.worst,
                std::max(mean_of_best(false), mean_of_best(true)),
                moved.moving * moved.together,
                moved.moving * (1 - moved.together),
                patterned.moving * patterned.pattern,
                patterned.moving * (1 - patterned.pattern)};
    }

  private:
    // Mean agreement of the frames of one video that show something with the most similar one of the other.
    double mean_of_best(bool second) const {
        const std::vector<double>&shows = second ? shows_b_ : shows_a_, &others = second ? shows_a_ : shows_b_;
        double sum = 0;
        for (size_t i = 0; i < shows.size(); ++i) {
            if (shows[i] == 0) continue;
            double best = -1;
            for (size_t j = 0; j < others.size(); ++j)
                if (others[j] != 0) best = std::max(best, (second ? inner_(j, i) : inner_(i, j)) / bits_);
            sum += best;
        }
        return sum / sum_of(shows);
    }

    // What one line says; `both` counts the frames that are compared.
    struct Line {
        double product, correlation, spread, both;
        bool enough;
    };

    Way way(bool turned) const {
        std::vector<Line> found(lines_.count);
        size_t line = lines_.count, best = lines_.count;
        double agreement = kNone, correlation = kNone, pattern = -1;
        for (size_t l = 0; l < lines_.count; ++l) {
            found[l] = along(l, turned);
            if (!found[l].enough) continue;
            if (const double here = found[l].product / std::max(found[l].both, 1e-6); here > agreement)
                agreement = here, line = l;
            if (found[l].correlation > correlation) correlation = found[l].correlation, best = l;
            pattern = std::max(pattern, pattern_along(l, turned));
        }
        if (line == lines_.count || best == lines_.count) return {};
        return {found[line].product / found[line].both / bits_, worst_quarter(line, turned), correlation, pattern,
                std::min(1.0, found[best].spread / bits_ / kMoving)};
    }

    size_t place(size_t j, bool turned) const { return turned ? tb_ - 1 - j : j; }
    size_t above(size_t low) const { return std::min(low + 1, tb_ - 1); }

    Line along(size_t l, bool turned) const {
        const float* shared = lines_.shared + l * ta_;
        const float* weights = lines_.weights + l * tb_;
        const auto other = [&](size_t j) { return place(j, turned); };
        double frames = 0, product = 0, both = 0, own = 0, theirs = 0;
        for (size_t i = 0; i < ta_; ++i) {
            if (shared[i] == 0) continue;
            const auto low = static_cast<size_t>(lines_.low[l * ta_ + i]), high = above(low);
            const double part = lines_.part[l * ta_ + i], rest = 1 - part;
            const size_t p = other(low), q = other(high);
            frames += shared[i];
            product += (inner_(i, p) * rest + inner_(i, q) * part) * shared[i];
            both += shows_a_[i] * (shows_b_[p] * rest + shows_b_[q] * part) * shared[i];
            own += own_a_(i, i) * shared[i];
            const double neighbours = low + 1 < tb_ ? own_b_(p, q) : 0;
            theirs +=
                (own_b_(p, p) * rest * rest + own_b_(q, q) * part * part + 2 * neighbours * part * rest) * shared[i];
        }
        // the means of both sides, by their inner products
        double mean_a = 0, mean_b = 0, means = 0;
        for (size_t i = 0; i < ta_; ++i) {
            if (shared[i] == 0) continue;
            for (size_t k = 0; k < ta_; ++k) mean_a += shared[i] * shared[k] * own_a_(i, k);
            for (size_t j = 0; j < tb_; ++j) means += shared[i] * weights[j] * inner_(i, other(j));
        }
        for (size_t j = 0; j < tb_; ++j) {
            if (weights[j] == 0) continue;
            for (size_t k = 0; k < tb_; ++k) mean_b += weights[j] * weights[k] * own_b_(other(j), other(k));
        }
        const double count = std::max(frames, 1.0);
        const double spread = std::sqrt(std::max(own - mean_a / count, 1.0) * std::max(theirs - mean_b / count, 1.0));
        return {product / count, (product - means / count) / spread, spread / count, both / count,
                both / count * frames >= kLeast};
    }

    // Mean agreement of the quarter of the frames that agree least.
    double worst_quarter(size_t l, bool turned) const {
        std::vector<double> each;
        for (size_t i = 0; i < ta_; ++i) {
            if (lines_.shared[l * ta_ + i] == 0) continue;
            const auto low = static_cast<size_t>(lines_.low[l * ta_ + i]);
            const size_t p = place(low, turned), q = place(above(low), turned);
            const double part = lines_.part[l * ta_ + i], rest = 1 - part;
            if (shows_a_[i] * (shows_b_[p] * rest + shows_b_[q] * part) > 0.5)
                each.push_back((inner_(i, p) * rest + inner_(i, q) * part) / bits_);
        }
        if (each.empty()) return 0;
        std::sort(each.begin(), each.end());
        each.resize(std::max<size_t>(1, each.size() / 4));
        return sum_of(each) / static_cast<double>(each.size());
    }

    // Correlation of both videos' temporal self-similarity; between two frames the nearer one counts.
    double pattern_along(size_t l, bool turned) const {
        std::vector<std::pair<size_t, size_t>> taken;
        for (size_t i = 0; i < ta_; ++i) {
            const size_t next = static_cast<size_t>(lines_.low[l * ta_ + i]) + (lines_.part[l * ta_ + i] >= 0.5f);
            const size_t j = place(std::min(next, tb_ - 1), turned);
            if (lines_.shared[l * ta_ + i] != 0 && shows_a_[i] != 0 && shows_b_[j] != 0) taken.emplace_back(i, j);
        }
        double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
        for (size_t i = 0; i < taken.size(); ++i)
            for (size_t k = i + 1; k < taken.size(); ++k) {
                const double p = own_a_(taken[i].first, taken[k].first), q = own_b_(taken[i].second, taken[k].second);
                x += p, y += q, xx += p * p, yy += q * q, xy += p * q;
            }
        const double n = static_cast<double>(taken.size());
        const double count = std::max(n * (n - 1) / 2, 1.0);
        return (xy - x * y / count) / std::sqrt(std::max(xx - x * x / count, 1.0) * std::max(yy - y * y / count, 1.0));
    }

    const Lines& lines_;
    const double bits_;
    const size_t ta_, tb_;
    const std::vector<double> shows_a_, shows_b_;
    const Products inner_, own_a_, own_b_;
};

}  // namespace

Likeness likeness(const FrameCodes& a, const FrameCodes& b, const Lines& lines) { return Pair(a, b, lines).likeness(); }

}  // namespace vhash
