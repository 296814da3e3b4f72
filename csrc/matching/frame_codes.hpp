// What the frames of two videos have in common, by the codes of their frames: the second look of the verdict.
// Measures and names are those of vhash_sdk/matching/frame_codes.py, which says what each of them means.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vhash {

// The codes of a video's frames, one after the other; a frame whose bits are all 0 shows nothing.
struct FrameCodes {
    const uint8_t* codes;
    size_t frames;
    size_t bytes;  // of a code
};

// Straight lines from the frames of one video (Ta) to places between those of another (Tb), row by row.
struct Lines {
    const float* shared;   // [count, Ta]: 1 where the frame has a counterpart
    const int64_t* low;    // [count, Ta]: the counterpart lies between this frame and the next one
    const float* part;     // [count, Ta]: how far towards the next one
    const float* weights;  // [count, Tb]: how much each frame of the other video takes part
    size_t count;
};

// In order, worst quarter, any order, change alike, otherwise, same pattern, another.
using Likeness = std::array<double, 7>;

// All 0 where hardly any frames show something. Everything has been checked: `low` is below Tb.
Likeness likeness(const FrameCodes& a, const FrameCodes& b, const Lines& lines);

}  // namespace vhash
