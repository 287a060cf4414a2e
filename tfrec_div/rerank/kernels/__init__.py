"""Similarities between candidates, on vectors and on attributes, alone and mixed."""

from tfrec_div.rerank.kernels.base import Kernel, Similarity
from tfrec_div.rerank.kernels.cosine import Cosine
from tfrec_div.rerank.kernels.dot import Dot
from tfrec_div.rerank.kernels.equality import Equality
from tfrec_div.rerank.kernels.jaccard import Jaccard
from tfrec_div.rerank.kernels.mixture import Mixture
from tfrec_div.rerank.kernels.parse import make_kernel
from tfrec_div.rerank.kernels.rbf import RBF

__all__ = ["RBF", "Cosine", "Dot", "Equality", "Jaccard", "Kernel", "Mixture", "Similarity", "make_kernel"]
