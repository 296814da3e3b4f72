// What an x86 processor can, asked of itself. __builtin_cpu_supports asks the run-time library of the compiler, and
// that of some toolchains (zig's) never asks anybody and says no to everything.
#pragma once

#if defined(__x86_64__)

namespace vhash {

// Instruction sets that this processor has and whose registers the system keeps.
struct X86 {
    bool sse42 = false;
    bool popcnt = false;
    bool avx2 = false;             // with BMI1
    bool avx512 = false;           // F, BW, DQ and VL
    bool avx512vpopcntdq = false;  // beside them
    bool amx_int8 = false;         // the processor alone: a process has to ask for its registers
};
const X86& x86();

}  // namespace vhash
#endif
