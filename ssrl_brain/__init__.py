"""Self-supervised speaker embeddings for SpeechBrain.

``embed``, ``cluster``, ``verify`` and ``train`` are for notebooks and scripts;
they are imported when they are first used, so that ``import ssrl_brain`` is
light.
"""

__version__ = "0.1.0"
__all__ = ["cluster", "embed", "train", "verify"]


def __getattr__(name):
    if name in __all__:
        from ssrl_brain import interface

        return getattr(interface, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
