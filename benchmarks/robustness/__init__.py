"""How vhash stands up to files that nobody meant for it."""
