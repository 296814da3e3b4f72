"""What the README and the pages in docs/ show: tables of figures, the picture of a report, the sample clips."""
