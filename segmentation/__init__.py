"""Daily user segmentation that adjusts itself and remembers. Importing this loads nothing else."""

__version__ = "0.1.0"
