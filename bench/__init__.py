"""Speed and memory of the vertical on this machine: generated CUR 2.0 → every step in its own process → docs/benchmarks.md."""
