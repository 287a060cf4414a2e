"""Coverage, by hand; pyversity's picks are in test_pyversity.py."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.rerank import COVER

# Two alike, one near both, one alone.
VECTORS = np.array([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]])


def page(level, **options):
    layer = COVER(diversity=level, score_normalization="none", **options)
    return layer({"scores": [[0.4, 0.3, 0.2, 0.1]], "vectors": VECTORS}).numpy()[0].tolist()


def test_picks_by_hand():
    # Level 1, square roots: candidate 0 covers 1 + 1 + .894 + 0 = 2.894, candidate 2 .894 + .894 + 1 = 2.789,
    # candidate 3 only itself. After 0 the coverages are 1, 1, .8, 0: candidate 3 adds 1, candidate 1 adds
    # 2 (√2 − 1) + √1.6 − √.8 = 1.199, candidate 2 adds 2 (√1.8 − 1) + √1.8 − √.8 = 1.131.
    assert page(1.0, k=3) == [0, 1, 3]
    # With a lower gamma what is covered already counts less: 3 adds 1, 1 adds 2 (2^.1 − 1) + 1.6^.1 − .8^.1 = .214,
    # 2 adds 2 (1.8^.1 − 1) + 1.8^.1 − .8^.1 = .204.
    assert page(1.0, k=3, gamma=0.1) == [0, 3, 1]


def test_what_is_no_candidate_needs_no_cover():
    layer = COVER(k=1, diversity=1.0)
    scores = np.zeros((1, 4))
    assert layer({"scores": scores, "vectors": VECTORS}).numpy().tolist() == [[0]]
    mask = [[True, False, False, True]]  # the two that 0 covers do not count: 0 and 3 cover one each
    masked = layer({"scores": scores + [[0, 0, 0, 0]], "vectors": VECTORS, "candidate_mask": mask})
    assert masked.numpy().tolist() == [[0]]
    alone = np.array([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    assert layer({"scores": scores, "vectors": alone}).numpy().tolist() == [[1]]
    mask = [[True, True, False, False]]
    assert layer({"scores": scores, "vectors": alone, "candidate_mask": mask}).numpy().tolist() == [[0]]


def test_gamma_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"gamma must lie in \(0, 1\]; received 0"):
        COVER(gamma=0)
