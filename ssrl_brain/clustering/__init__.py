"""Groups of utterances: k-means and its kin, assignment inside of training.

What a label is worth once it is there is the matter of ``noisy_labels``.
"""
