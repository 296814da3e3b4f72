// Tables of weights, made by the CPU's own code and kept on the device, and the launches.
#include "cuda/frames.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "cuda/frames_kernels.cuh"

namespace vhash::cuda {
namespace {

constexpr std::size_t kTables = 64;  // that a scaler keeps

struct Table {
    frames::Taps taps;
    Memory memory;
    Axis axis{};

    Table(frames::Taps made, cudaStream_t stream) : taps(std::move(made)) {
        const std::size_t n = taps.first.size(), counts = taps.count.size(), weights = taps.weights.size();
        memory = Memory(4 * (n + counts) + 2 * weights);
        auto* first = memory.as<std::int32_t>();
        auto* count = first + n;
        auto* weight = reinterpret_cast<std::int16_t*>(count + counts);
        upload(first, taps.first.data(), 4 * n, stream);
        upload(count, taps.count.data(), 4 * counts, stream);
        upload(weight, taps.weights.data(), 2 * weights, stream);
        synchronize(stream);
        axis = {first, count, weight, taps.width, taps.first_cell};
    }

    // The most cells that `chunk` adjacent outputs need together.
    int span(int chunk) const {
        int most = 0;
        for (int first = 0; first < taps.outputs; first += chunk) {
            const int last = std::min(first + chunk, taps.outputs) - 1;
            most =
                std::max(most, taps.first[static_cast<std::size_t>(last)] + taps.count[static_cast<std::size_t>(last)] -
                                   taps.first[static_cast<std::size_t>(first)]);
        }
        return most;
    }
};

// What a tone map reads, on the device.
struct ToneTable {
    Memory memory;
    frames::Tone tone;

    ToneTable(const frames::Tone& host, cudaStream_t stream) : tone(host) {
        constexpr std::size_t linear = 4 * frames::kToneCodes, curve = 4 * frames::kToneCurve,
                              display = 2 * frames::kToneDisplay;
        memory = Memory(linear + curve + 2 * display);
        auto* at = memory.as<unsigned char>();
        const auto put = [&](const void* from, std::size_t size) {
            auto* to = at;
            if (from != nullptr) upload(to, from, size, stream);
            at += size;
            return to;
        };
        tone.linear = reinterpret_cast<const std::uint32_t*>(put(host.linear, linear));
        auto* bend = put(host.curve, curve);
        tone.display = reinterpret_cast<const std::uint16_t*>(put(host.display, display));
        auto* gain = put(host.gain, display);
        if (host.curve != nullptr) {
            tone.curve = reinterpret_cast<const std::uint32_t*>(bend);
            tone.gain = reinterpret_cast<const std::uint16_t*>(gain);
        }
        synchronize(stream);
    }
};

using Key = std::tuple<std::int64_t, int, std::int64_t, frames::Filter, std::int64_t, std::int64_t>;

}  // namespace

struct FrameScaler::State {
    int device = 0;
    std::mutex one;
    std::map<Key, std::shared_ptr<const Table>> tables;
    std::map<std::vector<std::int32_t>, std::unique_ptr<const ToneTable>> tones;  // few: one for each way to code HDR

    std::shared_ptr<const Table> table(const Key& key, cudaStream_t stream) {
        if (const auto found = tables.find(key); found != tables.end()) return found->second;
        if (tables.size() >= kTables) {
            check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");  // a launch may still be reading them
            tables.clear();
        }
        auto made = std::make_shared<const Table>(std::apply(frames::make_taps, key), stream);
        tables.emplace(key, made);
        return made;
    }
};

FrameScaler::FrameScaler(int device) : state_(new State) {
    check(cudaSetDevice(device), "cudaSetDevice");
    state_->device = device;
}

FrameScaler::~FrameScaler() = default;

void FrameScaler::run(const frames::Planes& format, const frames::Target& target, const std::vector<DeviceFrame>& batch,
                      std::int64_t stride, void* stream_handle, bool direct) {
    State& s = *state_;
    const std::lock_guard lock(s.one);
    check(cudaSetDevice(s.device), "cudaSetDevice");
    auto* const stream = static_cast<cudaStream_t>(stream_handle);
    const frames::Target stored = frames::as_stored(target);
    const auto table = [&](std::int64_t source, int step, std::int64_t scaled, std::int64_t first,
                           std::int64_t outputs) {
        return s.table({source, step, scaled, stored.filter, first, outputs}, stream);
    };
    const auto y_rows = table(format.height, 1, stored.scaled_height, stored.top, stored.height);
    const auto y_columns = table(format.width, 1, stored.scaled_width, stored.left, stored.width);
    const auto c_rows = table(format.height, format.chroma_rows, stored.scaled_height, stored.top, stored.height);
    const auto c_columns = table(format.width, format.chroma_columns, stored.scaled_width, stored.left, stored.width);
    FrameJob job{};
    job.y_rows = y_rows->axis, job.y_columns = y_columns->axis;
    job.c_rows = c_rows->axis, job.c_columns = c_columns->axis;
    job.height = static_cast<int>(stored.height), job.width = static_cast<int>(stored.width);
    job.rotation = stored.rotation;
    // see as_stored: rows from the last one to the first
    const std::int64_t last_row =
        stored.mirrored ? ((stored.rotation % 180 == 0 ? stored.height : stored.width) - 1) * stride : 0;
    job.interleaved = batch.empty() || batch.front().v == nullptr;
    job.y_bytes = static_cast<int>(format.width);
    job.c_bytes = static_cast<int>((format.width + format.chroma_columns - 1) / format.chroma_columns) *
                  (job.interleaved ? 2 : 1);
    job.stride = stored.mirrored ? -stride : stride;
    job.colour = frames::colour_of(format.matrix, format.full_range);
    int chunk = job.width;
    while (chunk > 1 && (y_columns->span(chunk) > kSums || c_columns->span(chunk) > kSums)) chunk = (chunk + 1) / 2;
    direct = direct || y_columns->span(chunk) > kSums || c_columns->span(chunk) > kSums;
    for (std::size_t first = 0; first < batch.size(); first += kFrameBatch) {
        FrameBatch part{};
        const std::size_t n = std::min<std::size_t>(kFrameBatch, batch.size() - first);
        std::copy_n(batch.begin() + static_cast<std::ptrdiff_t>(first), n, part.frame);
        for (std::size_t i = 0; i < n; ++i) part.frame[i].out += last_row;
        const auto frames_of_grid = static_cast<unsigned>(n);
        if (direct) {
            const auto pixels = static_cast<std::int64_t>(job.height) * job.width;
            launch(scale_frames_directly,
                   dim3(static_cast<unsigned>((pixels + kFrameThreads - 1) / kFrameThreads), frames_of_grid),
                   kFrameThreads, 0, stream, job, part);
        } else {
            const auto chunks = static_cast<unsigned>((job.width + chunk - 1) / chunk);
            launch(scale_frames, dim3(static_cast<unsigned>(job.height) * chunks, frames_of_grid), kFrameThreads, 0,
                   stream, job, part, chunk);
        }
    }
}

void FrameScaler::tone_map(const frames::DeepPlanes& in, const frames::Tone& tone, const frames::TonedPlanes& out,
                           void* stream_handle) {
    State& s = *state_;
    const std::lock_guard lock(s.one);
    check(cudaSetDevice(s.device), "cudaSetDevice");
    auto* const stream = static_cast<cudaStream_t>(stream_handle);
    std::vector<std::int32_t> key(tone.numbers, tone.numbers + frames::kToneNumbers);
    key.push_back(tone.curve != nullptr);
    auto& made = s.tones[key];
    if (!made) made = std::make_unique<const ToneTable>(tone, stream);
    const std::int64_t columns = frames::chroma_width(in), cells = frames::chroma_height(in) * columns;
    launch(tone_frame, static_cast<unsigned>((cells + kFrameThreads - 1) / kFrameThreads), kFrameThreads, 0, stream, in,
           made->tone, out, columns, cells);
}

void FrameScaler::thin(const std::uint8_t* rgb, std::int64_t count, std::int64_t height, std::int64_t width,
                       std::int64_t step, std::uint8_t* out, void* stream) {
    check(cudaSetDevice(state_->device), "cudaSetDevice");
    const std::int64_t rows = (height + step - 1) / step, columns = (width + step - 1) / step,
                       pixels = count * rows * columns;
    if (pixels == 0) return;
    launch(thin_frames, static_cast<unsigned>((pixels + 255) / 256), 256, 0, static_cast<cudaStream_t>(stream), rgb,
           height, width, step, rows, columns, pixels, out);
}

}  // namespace vhash::cuda
