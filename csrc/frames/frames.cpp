// The resize defined in frames.hpp: weights, their cache, the order of the passes, and the
// scalar kernels. A row of the result is made from start to end before the next one, so that
// everything between the source and the result stays in the first-level cache.
#include "frames/frames.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "frames/kernels.hpp"

namespace vhash::frames {
namespace {

constexpr int kOne = 1 << kWeightBits;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && a < 0); }

// Adds the weights of output i to `row`, which starts at the cell returned.
std::int64_t weigh(std::int64_t S, std::int64_t s, std::int64_t D, Filter filter, std::int64_t i,
                   std::vector<std::int16_t>& row) {
    const std::int64_t n = (S + s - 1) / s;
    row.clear();
    if (filter == Filter::area && S > s * D) {
        const auto share = [&](std::int64_t j) {
            return (2 * kOne * std::clamp<std::int64_t>(j * s * D - i * S, 0, S) + S) / (2 * S);
        };
        const std::int64_t first = i * S / (s * D);
        for (std::int64_t j = first; j < n && j * s * D < (i + 1) * S; ++j)
            row.push_back(static_cast<std::int16_t>(share(j + 1) - share(j)));
        return first;
    }
    const std::int64_t a = (2 * i + 1) * S - s * D, b = 2 * s * D;
    const std::int64_t j = floor_div(a, b), f = a - b * j, w = (2 * kOne * f + b) / (2 * b);
    const std::int64_t first = std::clamp<std::int64_t>(j, 0, n - 1);
    if (std::clamp<std::int64_t>(j + 1, 0, n - 1) == first) {
        row.push_back(kOne);
    } else {
        row.push_back(static_cast<std::int16_t>(kOne - w));
        if (w != 0) row.push_back(static_cast<std::int16_t>(w));
    }
    return first;
}

void add_near(Taps& taps, std::int32_t most) {
    if (most > 4) return;
    for (std::int32_t k = 0; k < taps.outputs; ++k)
        if (taps.first[k] - taps.first[k & ~3] > 6) return;
    taps.near_pairs = (most + 1) / 2;
    taps.near.resize((taps.outputs + 7) / 8);
    for (std::int32_t k = 0; k < taps.outputs; ++k) {
        if (k % 4 == 0) taps.near_base.push_back(taps.first[k]);
        Taps::Near& near = taps.near[k / 8];
        const std::int32_t place = 2 * (taps.first[k] - taps.near_base.back());
        for (int byte = 0; byte < 4; ++byte) near.shuffle[k % 8 * 4 + byte] = static_cast<std::uint8_t>(place + byte);
        for (int tap = 0; tap < 4; ++tap)
            near.weights[tap / 2][k % 8 * 2 + tap % 2] = taps.weights[static_cast<std::size_t>(k) * taps.width + tap];
    }
    taps.near_base.resize(2 * taps.near.size());
}

// Fills the form with windows, in groups of `size` outputs, where the scale allows it.
void add_windows(Taps& taps, std::int32_t most, std::int32_t size) {
    std::int32_t span = 0;
    for (std::int32_t k = 0; k < taps.outputs; ++k)
        span = std::max(span, taps.first[k] - taps.first[k / size * size] + (most + 1) / 2 * 2);
    if (span > 64) return;
    const std::int32_t pairs = 16 / size;  // in one step
    taps.window_size = size;
    taps.window_wide = span > 32;
    taps.window_steps = (most + 2 * pairs - 1) / (2 * pairs);
    taps.windows.resize(static_cast<std::size_t>((taps.outputs + size - 1) / size) * taps.window_steps);
    for (std::int32_t k = 0; k < taps.outputs; ++k) {
        if (k % size == 0) taps.window_base.push_back(taps.first[k]);
        const std::int32_t place = taps.first[k] - taps.window_base.back();
        for (std::int32_t tap = 0; tap < most; ++tap) {
            Taps::Window& window = taps.windows[k / size * taps.window_steps + tap / (2 * pairs)];
            const std::int32_t at = 2 * (tap / 2 % pairs * size + k % size) + tap % 2;
            window.places[at] = static_cast<std::int16_t>(place + tap);
            window.weights[at] = taps.weights[static_cast<std::size_t>(k) * taps.width + tap];
        }
    }
}

using Key = std::tuple<std::int64_t, int, std::int64_t, Filter, std::int64_t, std::int64_t>;

// Frames of one video ask for the same four tables again and again.
std::shared_ptr<const Taps> cached_taps(std::int64_t source, int step, std::int64_t scaled, Filter filter,
                                        std::int64_t first_output, std::int64_t outputs) {
    static std::mutex mutex;
    static auto& tables = *new std::map<Key, std::shared_ptr<const Taps>>;  // outlives every thread
    static std::size_t bytes = 0;
    const Key key{source, step, scaled, filter, first_output, outputs};
    {
        const std::lock_guard lock(mutex);
        if (const auto found = tables.find(key); found != tables.end()) return found->second;
    }
    auto made = std::make_shared<const Taps>(make_taps(source, step, scaled, filter, first_output, outputs));
    const std::size_t size = made->weights.size() * sizeof(made->weights[0]) + made->near.size() * sizeof(Taps::Near) +
                             made->windows.size() * sizeof(Taps::Window);
    const std::lock_guard lock(mutex);
    if (tables.size() >= 256 || bytes + size > (32u << 20)) {
        tables.clear();
        bytes = 0;
    }
    if (tables.emplace(key, made).second) bytes += size;
    return made;
}

const Kernels& kernels(Level level) {
#if defined(__x86_64__)
    if (level == Level::avx512) return kAvx512;
    if (level == Level::avx2) return kAvx2;
#endif
    (void)level;
    return kScalar;
}

// Scales one plane of `channels` interleaved channels, row by row.
class Scaler {
  public:
    Scaler(const Kernels& kernels, const Plane& plane, int channels, std::int64_t height, int row_step,
           std::int64_t width, int column_step, const Target& stored)
        : kernels_(kernels),
          plane_(plane),
          channels_(channels),
          rows_(cached_taps(height, row_step, stored.scaled_height, stored.filter, stored.top, stored.height)),
          columns_(cached_taps(width, column_step, stored.scaled_width, stored.filter, stored.left, stored.width)),
          cells_(columns_->end_cell - columns_->first_cell),
          m_(static_cast<std::size_t>(channels) * cells_ + kPad + columns_->width) {
        if (channels > 1) split_.resize(channels * part_size());
    }

    // Row i of the target, into one row of q for each channel.
    void row(std::int64_t i, std::int16_t* const* q) {
        const std::uint8_t* p = plane_.data + (rows_->first_cell + rows_->first[i]) * plane_.stride +
                                static_cast<std::ptrdiff_t>(columns_->first_cell) * channels_;
        kernels_.rows(p, plane_.stride, rows_->weights.data() + i * rows_->width, rows_->count[i], cells_ * channels_,
                      m_.data());
        if (channels_ == 1) return kernels_.columns(m_.data(), *columns_, q[0]);
        std::int16_t* parts[3] = {};
        for (int c = 0; c < channels_; ++c) parts[c] = split_.data() + c * part_size();
        (channels_ == 2 ? kernels_.split2 : kernels_.split3)(m_.data(), cells_, parts);
        for (int c = 0; c < channels_; ++c) kernels_.columns(parts[c], *columns_, q[c]);
    }

  private:
    std::size_t part_size() const { return static_cast<std::size_t>(cells_) + kPad + columns_->width; }

    const Kernels& kernels_;
    Plane plane_;
    int channels_;
    std::shared_ptr<const Taps> rows_, columns_;
    std::int32_t cells_;
    std::vector<std::int16_t> m_, split_;
};

// Puts finished rows of the stored frame where they are shown.
class Writer {
  public:
    Writer(const Target& stored, std::uint8_t* out, std::ptrdiff_t stride)
        : stored_(stored), out_(out), stride_(stride), row_(stored.rotation == 0 ? 0 : 3 * stored.width) {
        if (stored.mirrored) {
            out_ += ((stored.rotation % 180 == 0 ? stored.height : stored.width) - 1) * stride;
            stride_ = -stride;
        }
    }

    // Where to make row i; then call done(i).
    std::uint8_t* row(std::int64_t i) { return stored_.rotation == 0 ? out_ + i * stride_ : row_.data(); }

    void done(std::int64_t i) {
        const std::int64_t h = stored_.height, w = stored_.width;
        if (stored_.rotation == 90) {
            copy(out_ + 3 * (h - 1 - i), stride_);
        } else if (stored_.rotation == 180) {
            copy(out_ + (h - 1 - i) * stride_ + 3 * (w - 1), -3);
        } else if (stored_.rotation == 270) {
            copy(out_ + (w - 1) * stride_ + 3 * i, -stride_);
        }
    }

  private:
    void copy(std::uint8_t* to, std::ptrdiff_t step) const {
        for (std::int64_t x = 0; x < stored_.width; ++x)
            for (int c = 0; c < 3; ++c) to[x * step + c] = row_[3 * x + c];
    }

    Target stored_;
    std::uint8_t* out_;
    std::ptrdiff_t stride_;
    std::vector<std::uint8_t> row_;
};

void scalar_rows(const std::uint8_t* p, std::ptrdiff_t stride, const std::int16_t* weights, int taps, int n,
                 std::int16_t* m) {
    constexpr int block = 512;
    std::int32_t sum[block];
    for (int start = 0; start < n; start += block) {
        const int size = std::min(block, n - start);
        std::fill_n(sum, size, 1 << 6);
        for (int k = 0; k < taps; ++k) {
            const std::uint8_t* row = p + k * stride + start;
            const std::int32_t weight = weights[k];
            for (int x = 0; x < size; ++x) sum[x] += weight * row[x];
        }
        for (int x = 0; x < size; ++x) m[start + x] = static_cast<std::int16_t>(sum[x] >> 7);
    }
}

void scalar_columns(const std::int16_t* m, const Taps& taps, std::int16_t* q) {
    for (std::int32_t k = 0; k < taps.outputs; ++k) {
        const std::int16_t* weights = taps.weights.data() + static_cast<std::size_t>(k) * taps.width;
        std::int32_t sum = 1 << 13;
        for (std::int32_t t = 0; t < taps.count[k]; ++t) sum += weights[t] * m[taps.first[k] + t];
        q[k] = static_cast<std::int16_t>(sum >> 14);
    }
}

template <int channels>
void scalar_split(const std::int16_t* m, int n, std::int16_t* const* parts) {
    for (int x = 0; x < n; ++x)
        for (int c = 0; c < channels; ++c) parts[c][x] = m[channels * x + c];
}

void scalar_colour(const std::int16_t* y, const std::int16_t* u, const std::int16_t* v, int n, const Colour& colour,
                   std::uint8_t* rgb) {
    for (int x = 0; x < n; ++x) {
        rgb[3 * x] = mix(colour.r, y[x], u[x], v[x]);
        rgb[3 * x + 1] = mix(colour.g, y[x], u[x], v[x]);
        rgb[3 * x + 2] = mix(colour.b, y[x], u[x], v[x]);
    }
}

void scalar_merge(const std::int16_t* r, const std::int16_t* g, const std::int16_t* b, int n, std::uint8_t* rgb) {
    for (int x = 0; x < n; ++x) {
        rgb[3 * x] = static_cast<std::uint8_t>((r[x] + 64) >> 7);
        rgb[3 * x + 1] = static_cast<std::uint8_t>((g[x] + 64) >> 7);
        rgb[3 * x + 2] = static_cast<std::uint8_t>((b[x] + 64) >> 7);
    }
}

}  // namespace

Target as_stored(Target t) {
    if (t.mirrored) t.left = t.scaled_width - t.left - t.width;
    if (t.rotation == 90 || t.rotation == 270) {
        std::swap(t.scaled_height, t.scaled_width);
        std::swap(t.height, t.width);
        std::swap(t.top, t.left);
    }
    if (t.rotation == 90 || t.rotation == 180) t.top = t.scaled_height - t.top - t.height;
    if (t.rotation == 180 || t.rotation == 270) t.left = t.scaled_width - t.left - t.width;
    if (t.mirrored) t.rotation = (t.rotation + 180) % 360;
    return t;
}

Colour colour_of(Matrix matrix, bool full_range) {
    struct Coefficients {
        std::int16_t cy, rv, gu, gv, bu;
    };
    static constexpr Coefficients table[2][2] = {
        {{9539, 13075, -3209, -6660, 16525}, {8192, 11485, -2819, -5850, 14516}},
        {{9539, 14686, -1747, -4366, 17305}, {8192, 12901, -1535, -3835, 15201}},
    };
    const Coefficients& k = table[matrix == Matrix::bt709][full_range];
    const std::int32_t base = (1 << 19) - k.cy * (full_range ? 0 : 16 << 7);
    return {{k.cy, 0, k.rv, base - k.rv * (1 << 14)},
            {k.cy, k.gu, k.gv, base - (k.gu + k.gv) * (1 << 14)},
            {k.cy, k.bu, 0, base - k.bu * (1 << 14)}};
}

const Kernels kScalar = {scalar_rows, scalar_columns, scalar_split<2>, scalar_split<3>, scalar_colour, scalar_merge};

Taps make_taps(std::int64_t source, int step, std::int64_t scaled, Filter filter, std::int64_t first_output,
               std::int64_t outputs) {
    Taps taps;
    taps.outputs = static_cast<std::int32_t>(outputs);
    std::vector<std::int16_t> row;
    std::int32_t most = 0;
    for (std::int64_t k = 0; k < outputs; ++k) {
        taps.first.push_back(static_cast<std::int32_t>(weigh(source, step, scaled, filter, first_output + k, row)));
        taps.count.push_back(static_cast<std::int32_t>(row.size()));
        most = std::max(most, taps.count.back());
    }
    taps.width = most <= 8 ? 8 : (most + 15) / 16 * 16;
    taps.weights.resize(static_cast<std::size_t>((outputs + 7) / 8 * 8) * taps.width);
    taps.first_cell = taps.first.front();
    taps.end_cell = 0;
    for (std::int64_t k = 0; k < outputs; ++k) {
        weigh(source, step, scaled, filter, first_output + k, row);
        std::copy(row.begin(), row.end(), taps.weights.begin() + k * taps.width);
        taps.end_cell = std::max(taps.end_cell, taps.first[k] + taps.count[k]);
        taps.first[k] -= taps.first_cell;
    }
    add_near(taps, most);
    add_windows(taps, most, 16);
    if (taps.windows.empty()) add_windows(taps, most, 8);
    taps.first.resize((outputs + 7) / 8 * 8);
    return taps;
}

void planes_to_rgb(const Planes& planes, const Target& target, Level level, std::uint8_t* out, std::ptrdiff_t stride) {
    const Kernels& run = kernels(level);
    const Target stored = as_stored(target);
    const Colour colour = colour_of(planes.matrix, planes.full_range);
    const bool interleaved = planes.v.data == nullptr;
    const auto chroma = [&](const Plane& plane) {
        return Scaler(run, plane, interleaved ? 2 : 1, planes.height, planes.chroma_rows, planes.width,
                      planes.chroma_columns, stored);
    };
    Scaler y(run, planes.y, 1, planes.height, 1, planes.width, 1, stored);
    Scaler u = chroma(planes.u);
    std::optional<Scaler> v;
    if (!interleaved) v.emplace(chroma(planes.v));
    Writer writer(stored, out, stride);
    const std::size_t row_size = stored.width + kPad;
    std::vector<std::int16_t> q(3 * row_size);
    std::int16_t* const parts[3] = {q.data(), q.data() + row_size, q.data() + 2 * row_size};
    for (std::int64_t i = 0; i < stored.height; ++i) {
        y.row(i, parts);
        u.row(i, parts + 1);
        if (v) v->row(i, parts + 2);
        run.colour(parts[0], parts[1], parts[2], static_cast<int>(stored.width), colour, writer.row(i));
        writer.done(i);
    }
}

void rgb_to_rgb(const Rgb& rgb, const Target& target, Level level, std::uint8_t* out, std::ptrdiff_t stride) {
    const Kernels& run = kernels(level);
    const Target stored = as_stored(target);
    Scaler scaler(run, {rgb.data, rgb.stride}, 3, rgb.height, 1, rgb.width, 1, stored);
    Writer writer(stored, out, stride);
    const std::size_t row_size = stored.width + kPad;
    std::vector<std::int16_t> q(3 * row_size);
    std::int16_t* const parts[3] = {q.data(), q.data() + row_size, q.data() + 2 * row_size};
    for (std::int64_t i = 0; i < stored.height; ++i) {
        scaler.row(i, parts);
        run.merge(parts[0], parts[1], parts[2], static_cast<int>(stored.width), writer.row(i));
        writer.done(i);
    }
}

Level level_named(std::string_view name) {
    return name == "avx512" || name == "avx512bw" || name == "amx" ? Level::avx512
           : name == "avx2"                                        ? Level::avx2
                                                                   : Level::scalar;
}

}  // namespace vhash::frames
