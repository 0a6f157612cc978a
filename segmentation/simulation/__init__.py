"""A made-up shop with a planted, dated truth, to try the pipeline on. The pipeline never imports it."""
