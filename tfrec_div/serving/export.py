"""Exports a recommender as a SavedModel for TensorFlow Serving."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.recommender import Recommendations, Recommender
from tfrec_div.serving.manifest import write_manifest
from tfrec_div.serving.signatures import ServingModule
from tfrec_div.serving.warmup import write_warmup
from tfrec_div.storage import new_folder

_SAMPLE = 20
# Runs in a process of its own that knows nothing of this package, as a server does.
_ASK_ALL = """
import json, sys
import tensorflow as tf, tensorflow_text
folder, users, answers = sys.argv[1:]
model = tf.saved_model.load(folder)
serve = model.signatures["serving_default"]
ids = json.load(open(users, encoding="utf-8"))
pages = {"item_ids": [], "scores": [], "ranked": []}
for start in range(0, len(ids), 256):
    page = serve(user_id=tf.constant(ids[start:start + 256], tf.string))
    pages["item_ids"] += [[item.decode() for item in row] for row in page["item_ids"].numpy()]
    pages["scores"] += page["scores"].numpy().tolist()
    asked = {"user_id": tf.constant(ids[start:start + 256], tf.string), "item_ids": page["item_ids"]}
    pages["ranked"] += model.signatures["rank"](**asked)["scores"].numpy().tolist()
assert "tfrec_div" not in sys.modules
json.dump(pages, open(answers, "w", encoding="utf-8"))
"""


def export(recommender: Recommender, path: str | Path, verify: bool = True) -> Path:
    """Writes the next version of a SavedModel: raw strings and pictures in, item ids out.

    Args:
        recommender: What to serve.
        path: Folder of the model; the export is its next numbered folder (1 for the first).
        verify: Whether to load the export in a fresh process that imports TensorFlow and tensorflow_text only, and
            compare its answer for every known user with the recommender's.

    Returns:
        The version folder. It holds the graph, the variables, warm-up requests and `manifest.json`.

    Raises:
        RuntimeError: If the export answers otherwise than the recommender, or holds an operation that stock
            TensorFlow Serving does not link. Then nothing is left behind.

    Example:
        >>> from tfrec_div import TwoTower, make_synthetic
        >>> import tempfile
        >>> data = make_synthetic(num_users=20, num_items=15, images=False)
        >>> model = TwoTower(data.schema, embedding_dim=8)
        >>> model.compile()
        >>> _ = model.fit(data.batches(64), verbose=0)
        >>> export(model.recommender(data), tempfile.mkdtemp() + "/shop", verify=False).name
        '1'
    """
    path = Path(path)
    module = ServingModule(recommender)
    version = path / str(_next_version(path))
    with new_folder(version) as draft:
        tf.saved_model.save(module, str(draft), signatures=module.functions)
        users = list(recommender.schema.user_ids)
        expected = recommender.recommend(users)
        write_warmup(draft, module.functions, users[:1], recommender.k)
        if verify:
            _verify(draft, recommender, users, expected)
        sample = {
            "user_id": users[:_SAMPLE],
            "item_ids": expected.item_ids[:_SAMPLE].tolist(),
            "scores": _rounded(expected.scores[:_SAMPLE]),
            # What the signature `rank` says of these items.
            "rank_scores": _rounded(recommender.rank(users[:_SAMPLE], expected.item_ids[:_SAMPLE].tolist())),
        }
        ranker = recommender.ranker
        settings = {
            "k": recommender.k,
            "num_candidates": recommender.num_candidates,
            "ranker": ranker and {"model": type(ranker).__name__, "signals": list(ranker.signal_names)},
            "ranker_weight": recommender.ranker_weight,
            "reranker": recommender.reranker and recommender.reranker.get_config(),
            "diversity": recommender.diversity,
            "tuned": recommender.tuned,
            "adaptive": recommender.adaptive and recommender.adaptive.get_config(),
            "users": len(users),
            "items": len(recommender.catalog),
            "verified_users": len(users) if verify else 0,
        }
        write_manifest(draft, module.functions, sample, settings)
    return version


def _next_version(path: Path) -> int:
    numbers = [int(p.name) for p in path.iterdir() if p.name.isdigit()] if path.is_dir() else []
    return max(numbers, default=0) + 1


def _rounded(scores: np.ndarray) -> list[list[float]]:
    return np.round(scores.astype(float), 5).tolist()


def _verify(folder: Path, recommender: Recommender, users: list[str], expected: Recommendations) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        asked, answered = Path(scratch, "users.json"), Path(scratch, "answers.json")
        asked.write_text(json.dumps(users), "utf-8")
        command = [sys.executable, "-c", _ASK_ALL, str(folder), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the export does not load in a fresh process:\n{done.stderr.strip()[-2000:]}")
        answers = json.loads(answered.read_text("utf-8"))
    served = np.array(answers["item_ids"], object).reshape(expected.item_ids.shape)
    # Two items of one score may change places, since products are summed in another order elsewhere.
    same = np.isclose(
        np.reshape(answers["scores"], expected.scores.shape), expected.scores, rtol=1e-5, atol=1e-6
    )
    differing = np.flatnonzero(((served != expected.item_ids) & ~same).any(axis=1))
    if len(differing):
        user = differing[0]
        raise RuntimeError(
            f"the export answers otherwise for {len(differing)} of {len(users)} users; for {users[user]!r}: expected "
            f"{expected.item_ids[user].tolist()}, got {served[user].tolist()}"
        )
    # Of the items that were served, so that an exchange of two items of one score above does not count twice.
    ranked = recommender.rank(users, served.tolist())
    close = np.isclose(np.reshape(answers["ranked"], ranked.shape), ranked, rtol=1e-4, atol=1e-5).all(axis=1)
    if not close.all():
        user = np.flatnonzero(~close)[0]
        raise RuntimeError(
            f"the export ranks otherwise for {(~close).sum()} of {len(users)} users; for {users[user]!r}: expected "
            f"{ranked[user].tolist()}, got {answers['ranked'][user]}"
        )
