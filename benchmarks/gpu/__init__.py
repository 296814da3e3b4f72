"""What only a GPU can tell: builds, tests, kernels, networks and decoding on one, in one command."""
