"""Intervals of system metrics: those of the slow way, at a fraction of the time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tfrec_div.evaluation import SYSTEM_METRICS, bootstrap_counts, bootstrap_rows
from tfrec_div.metrics import catalog_coverage, exposure_gini, gini, personalization, shannon_entropy


@pytest.mark.parametrize("padded", [0.0, 0.3], ids=["full lists", "lists of all lengths"])
def test_the_same_values_and_intervals_as_by_running_each_metric_on_each_sample(padded):
    rng = np.random.default_rng(0)
    rows = np.argsort(rng.random((60, 40)), axis=1)[:, :5]
    rows = np.where(rng.random(rows.shape) < padded, -1, rows)

    def one_by_one(sample):
        return np.array(
            [
                catalog_coverage(sample, 40),
                gini(sample, 40),
                exposure_gini(sample, 40),
                shannon_entropy(sample, 40, "lenskit"),
                personalization(sample, 40),
            ]
        )

    expected = np.stack(bootstrap_rows(one_by_one, rows, level=0.9, resamples=50, seed=3), axis=1)
    found = bootstrap_counts(SYSTEM_METRICS, rows, 40, level=0.9, resamples=50, seed=3)
    assert list(found) == ["coverage", "gini", "exposure_gini", "entropy", "personalization"]
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-12)


def test_blocks_of_samples_change_nothing(monkeypatch):
    from tfrec_div.evaluation import system

    rows = np.random.default_rng(1).integers(0, 30, size=(20, 3))
    whole = bootstrap_counts(SYSTEM_METRICS, rows, 30, resamples=25)
    monkeypatch.setattr(system, "_BLOCK", 90)  # three samples at a time
    assert bootstrap_counts(SYSTEM_METRICS, rows, 30, resamples=25) == whole


def test_any_metric_on_counts_may_be_asked_for():
    rows = np.array([[0, 1], [0, 2], [1, 2]])
    found = bootstrap_counts({"mean": lambda counts: counts.popularity(np.array([4.0, 2.0, 0.0]))}, rows, 3)
    assert found["mean"][0] == pytest.approx(2.0)  # 3, 2 and 1


def test_twenty_thousand_users_take_a_moment():
    rows = np.random.default_rng(2).integers(0, 10_000, size=(20_000, 20))
    start = time.perf_counter()
    bootstrap_counts(SYSTEM_METRICS, rows, 10_000)
    assert time.perf_counter() - start < 5.0  # by running the metrics on each sample: a quarter of a minute
