"""What the README and the pages of docs/ show: figures, the picture of a report, the sample clips."""
