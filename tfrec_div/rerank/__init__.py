"""Re-ranking layers: from many scored candidates to a short list that is relevant and diverse."""

from tfrec_div.rerank.adaptive import Adaptive
from tfrec_div.rerank.aspect_reranker import AspectReranker
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.calibrated import Calibrated
from tfrec_div.rerank.constraints import AtLeast, AtMost, Constraint, MinGap
from tfrec_div.rerank.cover import COVER
from tfrec_div.rerank.diversify import diversify
from tfrec_div.rerank.dpp import DPP
from tfrec_div.rerank.dum import DUM
from tfrec_div.rerank.fair import FAIR
from tfrec_div.rerank.greedy import Selection
from tfrec_div.rerank.kernel_reranker import KernelReranker
from tfrec_div.rerank.kernels import RBF, Cosine, Dot, Equality, Jaccard, Kernel, Mixture, make_kernel
from tfrec_div.rerank.long_tail_xquad import LongTailXQuAD
from tfrec_div.rerank.methods import METHODS, make_reranker, reranker_class
from tfrec_div.rerank.mmr import MMR
from tfrec_div.rerank.msd import MSD
from tfrec_div.rerank.pm2 import PM2
from tfrec_div.rerank.pool import Pool
from tfrec_div.rerank.rows import Rows
from tfrec_div.rerank.scores import SCORE_NORMALIZATIONS, normalize_scores
from tfrec_div.rerank.ssd import SSD
from tfrec_div.rerank.xquad import XQuAD

__all__ = [
    "COVER",
    "DPP",
    "DUM",
    "FAIR",
    "METHODS",
    "MMR",
    "MSD",
    "PM2",
    "RBF",
    "SCORE_NORMALIZATIONS",
    "SSD",
    "Adaptive",
    "AspectReranker",
    "AtLeast",
    "AtMost",
    "Calibrated",
    "Constraint",
    "Cosine",
    "Dot",
    "Equality",
    "Jaccard",
    "Kernel",
    "KernelReranker",
    "LongTailXQuAD",
    "MinGap",
    "Mixture",
    "Pool",
    "Reranker",
    "Rows",
    "Selection",
    "XQuAD",
    "diversify",
    "make_kernel",
    "make_reranker",
    "normalize_scores",
    "reranker_class",
]
