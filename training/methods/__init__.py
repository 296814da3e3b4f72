"""The hashing methods that the two papers compare with, and the best since: our own code, from their papers.

``python -m training.methods --list`` shows the table; ``training/README.md`` has it too.
"""
