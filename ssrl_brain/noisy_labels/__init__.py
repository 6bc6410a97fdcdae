"""Models of label noise and per-utterance memories."""
