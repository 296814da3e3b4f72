"""How well copies are found, and how seldom a stranger is taken for one; beside other tools."""
