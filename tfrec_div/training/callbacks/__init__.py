"""Keras callbacks: what a training shows of itself."""

from tfrec_div.training.callbacks.beyond_accuracy import BeyondAccuracy
from tfrec_div.training.callbacks.embedding_projector import EmbeddingProjector
from tfrec_div.training.callbacks.training_logs import TrainingLogs

__all__ = ["BeyondAccuracy", "EmbeddingProjector", "TrainingLogs"]
