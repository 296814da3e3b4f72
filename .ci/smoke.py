"""What a wheel must do before more of it is tried: the index works, with the kernels of this processor."""

import platform

import numpy as np

from vhash_sdk import Index
from vhash_sdk.index import simd_levels

index = Index(64)
index.add(np.eye(3, 8, dtype=np.uint8))
assert len(index) == 3 and index.search(np.eye(1, 8, dtype=np.uint8), 1).ids[0, 0] == 0
# every processor that Windows, macOS or a Linux of today runs on has more than the scalar kernels
assert len(simd_levels()) > 1, f"only scalar kernels on {platform.machine()}"
print(*simd_levels())
