"""A cascade of real data, in the export and as a Python object."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfrec_div as td
from tests.serving.test_export import ASK, decoded
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import ranking_lists
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.dpp import DPP
from tfrec_div.serving.export import export

SHARED = Path(os.environ.get("TFREC_DIV_SHARED") or Path(__file__).parents[3] / "shared")


@pytest.mark.slow
def test_the_export_of_a_cascade_answers_as_the_object_for_all_users(tmp_path):
    folder = SHARED / "data" / "ml-100k-multimodal"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder} (TFREC_DIV_SHARED names the folder that holds it)")
    data = td.load_folder(folder)
    before, after = data.split("temporal")
    members = {"ease": td.EASE(data.schema), "popular": td.MostPopular(data.schema)}
    for model in members.values():
        model.fit(before.batches(1024))
    retriever = td.Ensemble(members)
    lists = ranking_lists(retriever, before, after, num_candidates=100)
    ranker = Ranker(data.schema, retriever.signal_names, tasks=("relevance", "rating"))
    ranker.fit(lists, epochs=2, verbose=0)
    rec = Recommender(
        retriever, before, DPP(k=10, diversity=0.5), num_candidates=100, ranker=ranker.calibrate(lists)
    )
    version = export(td.load(rec.save(tmp_path / "saved")), tmp_path / "movies", verify=False)

    users = [*rec.schema.user_ids, "nobody"]
    items = rec.catalog.ids[np.random.default_rng(0).integers(0, len(rec.catalog), (len(users), 50))]
    requests = [
        ("serving_default", {"user_id": np.array(users)}),
        ("rank", {"user_id": np.array(users), "item_ids": items.astype(str)}),
    ]
    (tmp_path / "asked").write_bytes(pickle.dumps(requests))
    command = [sys.executable, "-c", ASK, str(version), str(tmp_path / "asked"), str(tmp_path / "answered")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    pages, ranked = pickle.loads((tmp_path / "answered").read_bytes())

    expected = rec.recommend(users)
    assert len(users) == 944
    np.testing.assert_allclose(pages["scores"], expected.scores, rtol=1e-4, atol=1e-5)
    # Two items of one score may change places, since products are summed in another order in one large batch.
    other = decoded(pages) != expected.item_ids
    assert np.isclose(pages["scores"], expected.scores, rtol=1e-5, atol=1e-6)[other].all()
    assert other.any(axis=1).mean() < 0.01
    assert list(ranked) == ["scores"]
    np.testing.assert_allclose(ranked["scores"], rec.rank(users, items.tolist()), rtol=1e-4, atol=1e-5)
    # These are not the retriever's pages.
    assert (rec.with_ranker(None).recommend(users).rows != expected.rows).any(axis=1).mean() > 0.9
