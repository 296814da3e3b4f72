"""From a video to its codes."""
