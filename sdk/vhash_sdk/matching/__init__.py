"""When two videos are one: sequences of codes, their alignment in time, and what a distance means."""
