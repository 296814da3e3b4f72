"""Looks at an installation and says what works and what does not."""
