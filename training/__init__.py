"""Training and evaluation, from a clone of the repository; not part of the installed SDK."""
