"""The NVIDIA driver and what talks to it: nothing outside this package loads it."""
