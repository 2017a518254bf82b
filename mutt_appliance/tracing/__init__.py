"""Following test events through the pipeline: what was seen, step by step, and where one got stuck."""
