"""How good embeddings and labels are, true speakers included.

The only place that reads true speakers besides fine-tuning; nothing here
trains.
"""
