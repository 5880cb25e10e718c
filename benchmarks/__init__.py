"""Figures, as ratios against real peers in one run: ``python -m benchmarks [NAME...]``. See docs/benchmarks.md."""
