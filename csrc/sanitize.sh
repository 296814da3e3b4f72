#!/usr/bin/env bash
# The engine under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer: builds libvhash and
# the example programs with each and runs them at every SIMD level; then, for address and undefined,
# the Python tests of the engine with a module built the same way.
#   csrc/sanitize.sh [address,undefined | thread]        both by default
#   PARTS="store module" csrc/sanitize.sh …              of programs, store, module, kernels; all by default
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export TSAN_OPTIONS="halt_on_error=1" UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
LEVELS=$(grep -q avx512_vpopcntdq /proc/cpuinfo 2>/dev/null && echo "scalar popcnt avx2 avx512 auto" || echo "scalar auto")

programs() {
    cmake -S csrc -B "$WORK/lib" -DVHASH_SANITIZE="$1" -DCMAKE_INSTALL_PREFIX="$WORK/prefix" >/dev/null
    cmake --build "$WORK/lib" -j2 --target install >/dev/null
    cmake -S csrc/examples -B "$WORK/examples" -DCMAKE_PREFIX_PATH="$WORK/prefix" >/dev/null
    cmake --build "$WORK/examples" -j2 >/dev/null
    for level in $LEVELS; do
        echo "== $1, $level"
        rm -rf "$WORK/duplicates.index"
        for program in "nearest $WORK/nearest.vhash" "duplicates $WORK/duplicates.index" readers_writer; do
            # shellcheck disable=SC2086
            VHASH_SIMD=$level LD_LIBRARY_PATH="$WORK/prefix/lib" "$WORK/examples/"$program
        done
    done
    rm -rf "$WORK"/*
}

# A store with its writer, its background thread and its readers in one process.
store() {
    local objects="" source object
    for source in csrc/*.cpp csrc/{hamming,index,store,system}/*.cpp; do
        object=$WORK/${source//\//_}.o
        g++ -std=c++17 -O1 -g -pthread -fsanitize="$1" -Icsrc -c "$source" -o "$object"
        objects="$objects $object"
    done
    # shellcheck disable=SC2086
    g++ -std=c++17 -O1 -g -Wall -Wextra -Werror -pthread -fsanitize="$1" -Icsrc tests/store_race.cpp $objects -o "$WORK/race"
    "$WORK/race" "$WORK/race.store"
    rm -rf "$WORK"/*
}

module() {
    local python=${PYTHON:-python3}
    VHASH_CUDA=0 VHASH_SANITIZE=$1 "$python" setup.py -q build_ext --build-temp "$WORK/temp" --build-lib "$WORK/module"
    mkdir -p "$WORK/sdk" && cp -r sdk/vhash_sdk "$WORK/sdk/" && rm -f "$WORK"/sdk/vhash_sdk/_core*.so
    cp "$WORK"/module/vhash_sdk/_core*.so "$WORK/sdk/vhash_sdk/"
    # libstdc++ beside libasan: otherwise the first C++ exception is missed by the interceptor
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
        PYTHONPATH="$WORK/sdk" "$python" -m pytest -p no:cacheprovider tests/index/test_hamming.py tests/index/test_index.py tests/index/test_store.py tests/index/test_store_model.py tests/index/test_golden.py tests/index/test_index_files.py tests/matching/test_frame_codes.py \
        -k "not environment and not light and not fork"
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
        PYTHONPATH="$WORK/sdk" "$python" -m pytest -p no:cacheprovider tests/test_fuzz.py -k "index or manifest or bitmap or log or segment or capi"
    rm -rf "$WORK"/*
}

# The CUDA kernels, on the emulator of the tests; compiled before, because a compiler with libasan is slow.
kernels() {
    local python=${PYTHON:-python3}
    PYTHONPATH=sdk "$python" -c "from tests import cuda_emulator; cuda_emulator.build(sanitize='$1')"
    VHASH_EMULATOR_SANITIZE=$1 LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
        PYTHONPATH=sdk "$python" -m pytest -p no:cacheprovider tests/index/test_cuda_index.py tests/video/test_cuda_frames.py -k "not real_module"
}

for kind in ${*:-address,undefined thread}; do
    for part in ${PARTS:-programs store module kernels}; do
        case $kind,$part in thread,module|thread,kernels) continue ;; esac
        echo "== $part, $kind"
        $part "$kind"
    done
done
echo "clean"
