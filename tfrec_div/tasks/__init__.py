"""Losses that teach a query to find its item and to order candidates, and what makes probabilities of scores."""

from __future__ import annotations

from tfrec_div._lazy import lazy_names

# Where each public name lives; loaded when it is first used.
_NAMES = {
    "ApproxNDCG": "ranking",
    "BinaryCrossEntropy": "ranking",
    "BinaryOverItems": "binary",
    "Calibration": "calibration",
    "CALIBRATIONS": "calibration",
    "estimate_propensities": "ranking.propensity",
    "FullSoftmax": "retrieval",
    "InBatchSoftmax": "retrieval",
    "inverse_propensity_weights": "ranking.propensity",
    "IsotonicCalibration": "calibration",
    "LambdaLoss": "ranking",
    "ListSoftmax": "ranking",
    "logged_propensities": "ranking.propensity",
    "make_calibration": "calibration",
    "make_ranking_loss": "ranking",
    "MemoryNegatives": "negatives",
    "MinedNegatives": "negatives",
    "OrdinalLogistic": "ranking",
    "PairwiseLogistic": "ranking",
    "PairwiseMargin": "ranking",
    "PositionPropensities": "ranking.propensity",
    "RANKING_LOSSES": "ranking",
    "RankingLoss": "ranking",
    "ShownNegatives": "negatives",
    "SquaredError": "ranking",
    "TemperatureScaling": "calibration",
    "UncertaintyWeighting": "uncertainty",
    "UniformNegatives": "negatives",
}

__all__ = sorted(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
