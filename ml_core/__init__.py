"""Fine-tune, evaluate and serve foundation models. Pure Python and torch: no web framework, no
queue.

Each package exports its public names lazily: ``from ml_core.serving import InferenceClient`` loads
neither torch nor transformers. What a package's ``__init__`` does not export is private to
``ml_core``.
"""

__version__ = "0.1.0"
