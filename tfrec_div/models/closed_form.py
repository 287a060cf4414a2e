"""Linear regression of each item on the others, solved at once; NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
from tqdm.auto import tqdm

from tfrec_div.data.interactions import Interactions

# Pairs of interactions, and cells of the matrix, that are counted at once: bounds the memory.
_PAIRS = 2**24
_CELLS = 2**26
# Rows of a matrix that are copied at once.
_ROWS = 1024


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How often two items stand in the same histories, by weight, distance and order.

    Args:
        interactions: The histories.
        weight: Of each interaction, float [interactions], above 0.
        window: Pairs count whose places in a history are at most this far apart.
        half_life: Places after which a pair counts half; None: all count alike.
        floor: What the weight of a pair falls to, a share in [0, 1].
        forward: Share of what comes before an item in what is to predict it, in [0, 1]; the rest is what comes
            after. 0.5 makes no difference between the two.
    """

    interactions: Interactions
    weight: np.ndarray
    window: int
    half_life: float | None
    floor: float
    forward: float

    def blocks(self, progress: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Counts the pairs of some items with all items, block by block.

        Yields:
            The items of a block, int [n], how often each stands beside every item, float32 [n, items] (a symmetric
            matrix over all blocks; with itself: the sum of its squared weights), and how often each item comes
            before it and after it, by `forward`, float32 [n, items]. Items without interactions are in no block.
        """
        log = self.interactions
        items, (_, starts) = log.num_items, log.histories()
        first, last = starts[log.user], starts[log.user + 1]
        place = np.arange(len(log))
        low, high = np.maximum(place - self.window, first), np.minimum(place + self.window + 1, last)
        # The interactions of an item stand together, so that each row of the matrix is written once.
        order = np.argsort(log.item, kind="stable")
        met, begins = np.unique(log.item[order], return_index=True)
        ends = np.append(begins[1:], len(order))
        pairs = np.add.reduceat((high - low)[order], begins) if len(met) else np.zeros(0, int)
        weight = self.weight.astype(np.float32)
        bar = tqdm(
            total=int(pairs.sum()), desc="counting pairs", unit="pair", unit_scale=True, disable=not progress
        )
        with bar:
            for block in _cut(pairs, _PAIRS, max(1, _CELLS // items)):
                rows = order[begins[block.start] : ends[block.stop - 1]]
                count = (high - low)[rows]
                mine = np.repeat(rows, count)
                other = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count - low[rows], count)
                beside = weight[mine] * weight[other] * self._nearness(np.abs(mine - other))
                before = (
                    beside
                    * np.float32(2)
                    * np.where(other < mine, self.forward, 1 - self.forward).astype("f")
                )
                splits = np.concatenate([[0], np.cumsum(pairs[block])])
                shape = (block.stop - block.start, items)
                yield (
                    met[block],
                    *(
                        scipy.sparse.csr_matrix((values, log.item[other], splits), shape).toarray()
                        for values in (beside, before)
                    ),
                )
                bar.update(int(pairs[block].sum()))

    def _nearness(self, distance: np.ndarray) -> np.ndarray:
        if self.half_life is None:
            return np.ones(len(distance), np.float32)
        table = self.floor + (1 - self.floor) * 2.0 ** (-np.arange(self.window + 1) / self.half_life)
        return table.astype(np.float32)[distance]


def solve_exactly(counts: PairCounts, l2: float, progress: bool = False) -> tuple[np.ndarray, float]:
    """Returns what each item adds to the score of each, float32 [items, items], and the loss.

    Column j minimises the squared error of predicting item j from the others, plus `l2` times the squared weights;
    its own entry is 0. One inverse gives all columns (Steck, 2019).

    Args:
        counts: Of the pairs.
        l2: Above 0.
        progress: Whether to show what is being done.

    Returns:
        The weights, and the share of the squares that they leave unexplained.
    """
    items = counts.interactions.num_items
    beside, before = np.zeros((items, items), np.float32), np.zeros((items, items), np.float32)
    for rows, symmetric, directed in counts.blocks(progress):
        beside[rows], before[rows] = symmetric, directed
    met = np.flatnonzero(beside.diagonal())
    if not len(met):
        return before, 1.0
    if len(met) < items:
        beside, before = beside[np.ix_(met, met)], before[np.ix_(met, met)]
    np.fill_diagonal(before, 0)
    squares = float(beside.trace())
    beside[np.diag_indices(len(met))] += np.float32(l2)
    with tqdm(total=2, desc="solving", disable=not progress) as bar:
        inverse = _inverse(beside)
        bar.update()
        # `before` has a row for each item that is predicted: columns of the right-hand side.
        weights = inverse @ before.T
        bar.update()
    own = weights.diagonal() / inverse.diagonal()
    for start in range(0, len(met), _ROWS):
        weights[start : start + _ROWS] -= inverse[start : start + _ROWS] * own
    np.fill_diagonal(weights, 0)
    explained = float(np.einsum("ij,ji->", before, weights, dtype=np.float64))
    if len(met) < items:
        full = np.zeros((items, items), np.float32)
        full[np.ix_(met, met)] = weights
        weights = full
    return weights, 1 - explained / (squares or 1.0)


def solve_locally(
    counts: PairCounts, l2: float, neighbors: int, progress: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Solves each column of `solve_exactly` over the items that alone would explain most of it; the rest are 0.

    The memory is that of all different pairs (8 bytes each) and not of the square of the catalogue.

    Args:
        counts: Of the pairs.
        l2: Above 0.
        neighbors: Items that each is predicted from.
        progress: Whether to show what is being done.

    Returns:
        By the predicting item: the predicted items int32 [n] and their weights float32 [n] end to end, and where
        those of each item begin, int32 [items + 1]; and the loss.
    """
    items = counts.interactions.num_items
    beside, chosen, wanted = [], {}, {}
    power = np.bincount(counts.interactions.item, counts.weight.astype(float) ** 2, items)
    squares = 0.0
    for rows, symmetric, directed in counts.blocks(progress):
        beside.append((rows, scipy.sparse.csr_matrix(symmetric)))
        itself = np.arange(len(rows)), rows
        squares += float(symmetric[itself].sum())
        # By how much each item alone would reduce the loss; an item neither explains itself nor is explained by one
        # that never occurs.
        gain = np.where(power > 0, directed * directed / (power + l2), -1)
        gain[itself] = -1
        best = np.argpartition(-gain, min(neighbors, items) - 1, axis=1)[:, :neighbors]
        for row, line, gains, some in zip(rows, directed, gain, best, strict=True):
            some = np.sort(some[gains[some] >= 0]).astype(np.int32)
            chosen[row], wanted[row] = some, line[some]
    table = _SymmetricTable(beside, items)
    values, explained = {}, 0.0
    for row in tqdm(chosen, desc="solving", unit="item", disable=not progress):
        some, right = chosen[row], wanted[row]
        if len(some):
            square = table.among(some)
            square[np.diag_indices(len(some))] += l2
            values[row] = scipy.linalg.solve(square, right, assume_a="pos", check_finite=False)
            explained += float(right @ values[row])
        else:
            values[row] = right
    # From columns to rows.
    empty = np.zeros(0, np.float32)
    predicted = np.repeat(list(chosen), [len(some) for some in chosen.values()])
    predicting = np.concatenate([*chosen.values(), empty.astype(np.int32)])
    matrix = scipy.sparse.csr_matrix(
        (np.concatenate([*values.values(), empty]), (predicting, predicted.astype(np.int32))), (items, items)
    )
    splits = matrix.indptr.astype(np.int32)
    return (
        matrix.indices.astype(np.int32),
        matrix.data.astype(np.float32),
        splits,
        1 - explained / (squares or 1),
    )


class _SymmetricTable:
    """The pair counts of items as a sparse matrix that gives small dense parts of itself."""

    def __init__(self, blocks: list[tuple[np.ndarray, scipy.sparse.csr_matrix]], items: int):
        lengths = np.zeros(items, np.int64)
        for rows, matrix in blocks:
            lengths[rows] = np.diff(matrix.indptr)
        self.items = items
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.columns = np.concatenate([m.indices for _, m in blocks] or [np.zeros(0, np.int32)])
        self.values = np.concatenate([m.data for _, m in blocks] or [np.zeros(0, np.float32)])

    def among(self, rows: np.ndarray) -> np.ndarray:
        """Returns the counts of the pairs of some items, float32 [n, n]; `rows` are sorted."""
        part = np.zeros((len(rows), len(rows)), np.float32)
        for number, row in enumerate(rows):
            low, high = self.starts[row], self.starts[row + 1]
            columns = self.columns[low:high]
            at = np.searchsorted(columns, rows[: number + 1])
            at = np.minimum(at, len(columns) - 1)
            found = columns[at] == rows[: number + 1]
            part[number, : number + 1] = np.where(found, self.values[low:high][at], 0)
        return np.tril(part) + np.tril(part, -1).T


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Returns the inverse of a symmetric positive definite float32 matrix, in its own memory."""
    lapack = scipy.linalg.lapack
    # The transpose of a symmetric matrix is itself, in the order that LAPACK works in.
    factor, failed = lapack.spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise ValueError(
            "l2: expected a value that makes the pair counts positive definite, got one too small"
        )
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = inverse.T
    # What is now the upper triangle holds the result.
    for start in range(0, len(inverse), _ROWS):
        stop = start + _ROWS
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
        corner = inverse[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
    return inverse


def _cut(pairs: np.ndarray, most: int, longest: int) -> Iterator[slice]:
    """Cuts a sequence into slices of about `most` pairs in sum and at most `longest` entries."""
    number = np.cumsum(pairs) // most
    start = 0
    while start < len(pairs):
        stop = int(min(np.searchsorted(number, number[start], side="right"), start + longest))
        yield slice(start, stop)
        start = stop
