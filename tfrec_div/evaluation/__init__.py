"""Evaluation of recommenders: per-user values, intervals, paired tests, exact ranks and baselines."""

from tfrec_div._lazy import lazy_names
from tfrec_div.evaluation.baselines import Popularity, Random
from tfrec_div.evaluation.budget import Budget
from tfrec_div.evaluation.evaluation import Evaluation
from tfrec_div.evaluation.evaluator import evaluate
from tfrec_div.evaluation.jackknife import jackknife_counts, jackknife_units
from tfrec_div.evaluation.ranks import target_ranks
from tfrec_div.evaluation.stats import (
    Interval,
    PairedTest,
    bootstrap_interval,
    bootstrap_rows,
    holm,
    paired_test,
)
from tfrec_div.evaluation.system import SYSTEM_METRICS, bootstrap_counts
from tfrec_div.evaluation.tuning import Tuning, tune

__all__ = [
    "SYSTEM_METRICS",
    "Budget",
    "CandidatePool",
    "Evaluation",
    "Interval",
    "PairedTest",
    "Popularity",
    "Random",
    "Tuning",
    "bootstrap_counts",
    "bootstrap_interval",
    "bootstrap_rows",
    "evaluate",
    "holm",
    "jackknife_counts",
    "jackknife_units",
    "paired_test",
    "stage_latency",
    "target_ranks",
    "tune",
]

# With TensorFlow, so imported when they are first used.
__getattr__ = lazy_names(__name__, {"CandidatePool": "candidate_pool", "stage_latency": "latency"})
