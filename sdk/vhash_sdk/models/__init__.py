"""Model files: the bundled ones beside this module, and how any is read."""
