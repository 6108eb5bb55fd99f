"""The process that is always there: one per home."""
