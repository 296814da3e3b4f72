"""From checkpoints to model files; for use from a clone, not part of the wheel."""
