// HDR to SDR before the resize. The definition, and where the tables come from, is in
// sdk/vhash_sdk/video/tone.py; this is its arithmetic, the same for CPU and GPU.
#pragma once

#include "frames/kernels.hpp"

namespace vhash::frames {

constexpr int kToneCodes = 4096, kToneDisplay = 4096 + 4097, kToneCurve = 2 * 4096 + 4097, kToneNumbers = 16;

struct Tone {
    const std::uint32_t* linear = nullptr;   // kToneCodes
    const std::uint16_t* display = nullptr;  // kToneDisplay
    const std::uint16_t* gain = nullptr;     // kToneDisplay, for HLG; else null
    const std::uint32_t* curve = nullptr;    // kToneCurve, for HLG
    std::int32_t numbers[kToneNumbers] = {};
};

// Samples of 16 bits of which the picture's depth is used, from the lowest bit up once shifted
// right by `shift`. Strides are in samples; with interleaved chroma the columns of u and v are 2 apart.
struct DeepPlanes {
    const std::uint16_t *y = nullptr, *u = nullptr, *v = nullptr;
    std::ptrdiff_t y_stride = 0, c_stride = 0;
    int c_step = 1, shift = 0;
    std::int64_t height = 0, width = 0;       // of luma
    int chroma_rows = 2, chroma_columns = 2;  // luma pixels per chroma sample, each 1 or 2
};

// Where the SDR planes go; chroma as in DeepPlanes.
struct TonedPlanes {
    std::uint8_t *y = nullptr, *u = nullptr, *v = nullptr;
    std::ptrdiff_t y_stride = 0, c_stride = 0;
    int c_step = 1;
};

VHASH_DEVICE inline std::int32_t clamped(std::int32_t value, std::int32_t most) {
    return value < 0 ? 0 : value > most ? most : value;
}

VHASH_DEVICE inline std::int32_t displayed(const Tone& tone, std::int32_t light) {
    return light < 4096 ? tone.display[light] : tone.display[4096 + (light >> 6)];
}

// Scene light of HLG to light on the SDR display.
VHASH_DEVICE inline void display_hlg(const Tone& tone, std::int32_t* light) {
    const std::int64_t y = std::int64_t{1076} * light[0] + std::int64_t{2777} * light[1] + std::int64_t{243} * light[2];
    const auto luminance = static_cast<std::int32_t>((y + (1 << 15)) >> 16);
    const std::int64_t gain = luminance < 4096 ? tone.gain[luminance] : tone.gain[4096 + (luminance >> 6)];
    for (int c = 0; c < 3; ++c) {
        const auto d = static_cast<std::int32_t>((light[c] * gain + (1 << 13)) >> 14);
        const int at = d < 4096 ? d : d < (1 << 18) ? 4096 + (d >> 6) : 2 * 4096 + (d >> 10);
        light[c] = static_cast<std::int32_t>(tone.curve[at]);
    }
}

// The pixels of one chroma sample: their luma and its chroma.
VHASH_DEVICE inline void tone_cell(const DeepPlanes& in, const Tone& tone, const TonedPlanes& out, std::int64_t row,
                                   std::int64_t column) {
    const std::int32_t* n = tone.numbers;
    const std::ptrdiff_t at = row * in.c_stride + column * in.c_step;
    const std::int32_t u = (in.u[at] >> in.shift) - n[1], v = (in.v[at] >> in.shift) - n[1];
    const std::int32_t red = n[3] * v + (1 << 13), green = n[4] * u + n[5] * v + (1 << 13), blue = n[6] * u + (1 << 13);
    std::int32_t r_sum = 0, g_sum = 0, b_sum = 0;
    for (int i = 0; i < in.chroma_rows; ++i) {
        std::int64_t y_row = row * in.chroma_rows + i;
        if (y_row >= in.height) y_row = in.height - 1;
        for (int j = 0; j < in.chroma_columns; ++j) {
            std::int64_t x = column * in.chroma_columns + j;
            if (x >= in.width) x = in.width - 1;
            const std::int32_t y = n[2] * ((in.y[y_row * in.y_stride + x] >> in.shift) - n[0]);
            std::int32_t shown[3], light[3] = {y + red, y + green, y + blue};
            for (int c = 0; c < 3; ++c)
                light[c] = static_cast<std::int32_t>(tone.linear[clamped(light[c] >> 14, kToneCodes - 1)]);
            if (tone.curve != nullptr) display_hlg(tone, light);
            for (int c = 0; c < 3; ++c) {
                const std::int32_t* m = n + 7 + 3 * c;
                shown[c] = displayed(
                    tone, clamped((m[0] * light[0] + m[1] * light[1] + m[2] * light[2] + (1 << 11)) >> 12, 1 << 18));
            }
            out.y[y_row * out.y_stride + x] =
                static_cast<std::uint8_t>((1742 * shown[0] + 5859 * shown[1] + 591 * shown[2] + (1 << 18)) >> 19);
            r_sum += shown[0], g_sum += shown[1], b_sum += shown[2];
        }
    }
    const int k = (in.chroma_rows == 2) + (in.chroma_columns == 2);
    const std::int32_t middle = 257 << (18 + k);
    const std::ptrdiff_t to = row * out.c_stride + column * out.c_step;
    out.u[to] =
        static_cast<std::uint8_t>(clamped((-939 * r_sum - 3157 * g_sum + 4096 * b_sum + middle) >> (19 + k), 255));
    out.v[to] =
        static_cast<std::uint8_t>(clamped((4096 * r_sum - 3720 * g_sum - 376 * b_sum + middle) >> (19 + k), 255));
}

// Rows of chroma of the picture.
VHASH_DEVICE inline std::int64_t chroma_height(const DeepPlanes& in) {
    return (in.height + in.chroma_rows - 1) / in.chroma_rows;
}
VHASH_DEVICE inline std::int64_t chroma_width(const DeepPlanes& in) {
    return (in.width + in.chroma_columns - 1) / in.chroma_columns;
}

}  // namespace vhash::frames
