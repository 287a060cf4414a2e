"""Conditions on a page that compose with any re-ranker."""

from tfrec_div.rerank.constraints.at_least import AtLeast
from tfrec_div.rerank.constraints.at_most import AtMost
from tfrec_div.rerank.constraints.base import Constraint
from tfrec_div.rerank.constraints.listed import make_constraints
from tfrec_div.rerank.constraints.min_gap import MinGap

__all__ = ["AtLeast", "AtMost", "Constraint", "MinGap", "make_constraints"]
