"""What can happen to a store: killed processes, damaged files, failing disks, lost writes.

Each module finds out at any length; ``benchmarks/robustness/durability.py`` runs them long and writes the
result, ``tests/index/test_durability.py`` runs them short.
"""
