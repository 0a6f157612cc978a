"""What benchmarks/adjustment.py measures with: data, rules of movement, their measures, usefulness and its peers."""
