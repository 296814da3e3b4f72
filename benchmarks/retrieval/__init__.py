"""Whether codes find other videos of the same kind, learned with labels and without them."""
