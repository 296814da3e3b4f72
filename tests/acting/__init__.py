"""Plans, journals, what is done and undone by them; ``benchmarks.robustness.acting`` runs it long."""
