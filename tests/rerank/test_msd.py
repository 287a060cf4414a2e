"""Maximal sum of distances, by hand; pyversity's picks are in test_pyversity.py."""

from __future__ import annotations

import numpy as np

from tfrec_div.rerank import MSD


def test_picks_by_hand():
    # Cosines to candidate 0: .8 (1), 0 (2), -1 (3).
    vectors = [[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]]]
    layer = MSD(k=4, diversity=0.5, score_normalization="none")
    # After 0: .45+.1=.55 (1), .2+.5=.7 (2), .05+1=1.05 (3: opposite is farther than orthogonal) -> 3.
    # After 3: 1 has .45+.1+.9=1.45, 2 has .2+.5+.5=1.2 -> 1.
    assert layer({"scores": [[1.0, 0.9, 0.4, 0.1]], "vectors": vectors}).numpy().tolist() == [[0, 3, 1, 2]]


def test_a_context_counts_as_selected():
    inputs = {"scores": [[1.0, 0.9]], "vectors": [[[1.0, 0.0], [0.0, 1.0]]]}
    layer = MSD(k=2, diversity=0.5, score_normalization="none")
    assert layer(inputs).numpy().tolist() == [[0, 1]]
    # Shown before: the vector of candidate 0. Now 0 has .5+0, 1 has .45+.5.
    assert layer({**inputs, "context_vectors": [[[3.0, 0.0]]]}).numpy().tolist() == [[1, 0]]


def test_at_level_one_only_the_first_pick_depends_on_the_scores():
    picks = MSD(k=3, diversity=1.0)({"scores": [[0.1, 0.2, 0.9]], "vectors": np.eye(3)[np.newaxis]}).numpy()
    assert picks.tolist() == [[2, 0, 1]]
