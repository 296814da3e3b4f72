"""What the pages show: each block is run, or says why not and is checked."""
