"""tfrec_div: recommenders that are relevant and diverse, on TensorFlow and Keras.

Names are imported when they are first used, so `import tfrec_div` is quick and loads no TensorFlow.
"""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

__version__ = "0.1.0"

# Where each public name lives.
_NAMES = {
    "Batches": "data.batches",
    "BruteForce": "index.brute_force",
    "Cascade": "models.cascade",
    "Catalog": "data.catalog",
    "ContentToCollaborative": "models.content_to_collaborative",
    "DataError": "data.errors",
    "Dataset": "data.dataset",
    "DeepMF": "models.deep_mf",
    "diversify": "rerank.diversify",
    "EASE": "models.ease",
    "EncoderDecoder": "models.encoder_decoder",
    "Ensemble": "models.ensemble",
    "evaluate": "evaluation.evaluator",
    "Evaluation": "evaluation.evaluator",
    "export": "serving.export",
    "from_frames": "data.frames",
    "from_tfds": "data.tfds",
    "ImageEncoder": "towers.image",
    "Interactions": "data.interactions",
    "InterestFusion": "models.interest_fusion",
    "LazyAdam": "optimizers",
    "load_folder": "data.folder",
    "load_movielens": "data.movielens",
    "make_synthetic": "data.synthetic",
    "MostPopular": "models.most_popular",
    "MultiInterest": "models.multi_interest",
    "MultVAE": "models.mult_vae",
    "Ranker": "models.ranker",
    "rated_lists": "models.rated_lists",
    "ranking_lists": "models.ranking_lists",
    "RankingLists": "models.ranking_lists",
    "RatingModel": "models.rating_model",
    "Recommender": "recommender",
    "Schema": "data.schema",
    "shown_lists": "models.shown_lists",
    "TextEncoder": "towers.text",
    "tune": "evaluation.tuning",
    "tune_ensemble": "evaluation.ensemble_weights",
    "TwoTower": "models.two_tower",
    "validate_folder": "data.validate",
    "write_folder": "data.write",
}
_MODULES = (
    "data",
    "evaluation",
    "index",
    "metrics",
    "models",
    "rerank",
    "serving",
    "tasks",
    "towers",
    "training",
)

__getattr__ = lazy_names(__name__, {**_NAMES, **{module: module for module in _MODULES}})
__all__ = sorted(["__version__", "load", *_NAMES, *_MODULES])


def load(path):
    """Reads a recommender that `Recommender.save` wrote; it needs neither the data nor a network.

    Args:
        path: The folder.

    Returns:
        The `Recommender`.

    Raises:
        DataError: If `path` is no saved recommender.
    """
    from tfrec_div.storage import load_recommender

    return load_recommender(path)


def __dir__() -> list[str]:
    return __all__
