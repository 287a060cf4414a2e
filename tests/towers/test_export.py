"""What a tower exports runs in a process that knows TensorFlow and TensorFlow Text only."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.text import TextEncoder

TEXTS = ["A toy story… İstanbul", "THE CITY IS HIS", "", "日本 " + "word " * 200]

PROGRAM = """
import sys
import numpy as np, tensorflow as tf, tensorflow_text
folder, images = sys.argv[1], [open(sys.argv[2], "rb").read(), b""]
module = tf.saved_model.load(folder)
texts = np.load(folder + "/texts.npy").tolist()
text = module.signatures["text"](tf.constant(texts))["vectors"]
image = module.signatures["image"](tf.constant(images))["vectors"]
assert not [name for name in sys.modules if name.split(".")[0] in ("tfrec_div", "transformers", "tf_keras")]
np.savez(folder + "/out.npz", text=text, image=image)
"""


class Towers(tf.Module):
    """Holds one tower whole and of the other only the variables: an export may do either."""

    def __init__(self, text: TextEncoder, image: ImageEncoder) -> None:
        super().__init__()
        self.text = text
        self.image_variables = image.variables
        self.embed_image = tf.function(
            lambda images: {"vectors": image(images)}, input_signature=[tf.TensorSpec([None], tf.string)]
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def embed_text(self, texts):
        return {"vectors": self.text(texts)}


def test_vectors_are_the_same_in_a_fresh_process(tiny, tmp_path):
    picture = tf.io.encode_jpeg(
        np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8), quality=90
    ).numpy()
    (tmp_path / "picture.jpg").write_bytes(picture)
    image = ImageEncoder(size=32, weights=None)
    towers, folder = Towers(tiny, image), str(tmp_path / "export")
    tf.saved_model.save(towers, folder, {"text": towers.embed_text, "image": towers.embed_image})
    np.save(folder + "/texts.npy", TEXTS)
    command = [sys.executable, "-c", PROGRAM, folder, str(tmp_path / "picture.jpg")]
    # A server may run in any language, and Turkish has its own rule for the capital I.
    environment = {**os.environ, "LC_ALL": "tr_TR.UTF-8"}
    del environment["TF_USE_LEGACY_KERAS"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    with np.load(folder + "/out.npz") as out:
        np.testing.assert_allclose(out["text"], tiny(tf.constant(TEXTS)), atol=1e-5)
        np.testing.assert_allclose(out["image"], image(tf.constant([picture, b""])), rtol=1e-5, atol=1e-5)
        assert not out["image"][1].any()
