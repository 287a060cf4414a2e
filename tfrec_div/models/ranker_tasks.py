"""What a ranker foresees, task by task, and how wrong it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfrec_div._keras import keras, tf
from tfrec_div.tasks.ranking import BinaryCrossEntropy, RankingLoss, SquaredError, make_ranking_loss
from tfrec_div.tasks.replicas import sum_replicas
from tfrec_div.tasks.uncertainty import UncertaintyWeighting
from tfrec_div.towers.experts import MixtureOfExperts

# Of the vector that the experts make for a task.
UNITS = 32
# Clicks at places that hardly anybody looks at count for so many times others at most.
MOST = 20.0


class RankerTasks(keras.layers.Layer):
    """A score for each task from what the features say together, and the loss of all of them.

    Several tasks share experts, each by a gate of its own, and their losses weigh by what is uncertain of them. The
    last layers start at zero.

    Args:
        tasks: Names; "relevance" is learned by the loss of that argument, "rating" by its squared error, and any other
            one by cross entropy.
        loss: A name of `tasks.ranking.RANKING_LOSSES`, or a loss.
        **kwargs: As for any Keras layer.
    """

    def __init__(self, tasks: Sequence[str], loss: str | RankingLoss, **kwargs):
        super().__init__(**kwargs)
        self.tasks = tuple(tasks)
        several = len(self.tasks) > 1
        self.experts = MixtureOfExperts(self.tasks, UNITS, name="experts") if several else None
        self.heads = {
            task: keras.layers.Dense(1, kernel_initializer="zeros", dtype="float32", name=f"head_{task}")
            for task in self.tasks
        }
        self.loss_of = {task: BinaryCrossEntropy() for task in self.tasks}
        # Propensities weigh what is relevant alone: weighing misses alike would leave the click rate where it was.
        options = {"weighted": "labels"} if loss == "binary_cross_entropy" else {}
        self.loss_of["relevance"] = make_ranking_loss(loss, **options)
        if "rating" in self.tasks:
            self.loss_of["rating"] = SquaredError()
        kinds = {task: "regression" if task == "rating" else "classification" for task in self.tasks}
        self.uncertainty = UncertaintyWeighting(kinds) if several else None

    def call(self, joined: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the score of each task, float32 [batch, n], of what an interaction made, float [batch, n, width]."""
        each = dict.fromkeys(self.tasks, joined) if self.experts is None else self.experts(joined)
        return {task: tf.squeeze(head(each[task]), axis=2) for task, head in self.heads.items()}

    def loss(self, inputs: Mapping[str, tf.Tensor], scores: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the loss of a batch; under a strategy this replica's share, and the shares add up to it.

        Args:
            inputs: A batch of `RankingLists`. A `propensity` weighs what is relevant by its inverse.
            scores: Of each task.

        Raises:
            ValueError: If the lists say nothing of a task.
        """
        there = inputs["candidates"] >= 0
        weights = None
        if "propensity" in inputs:
            weights = 1.0 / tf.maximum(tf.cast(inputs["propensity"], tf.float32), 1.0 / MOST)
        losses, present = {}, {}
        for task, loss in self.loss_of.items():
            name = "label" if task == "relevance" else task
            if name not in inputs:
                raise ValueError(f"tasks: the lists say nothing of {task!r}; they have {', '.join(inputs)}")
            labels = inputs[name]
            given = weights if task == "relevance" else None
            lessons = loss.lessons(labels, scores[task], there, given)
            present[task] = lessons > 0
            if task == "rating":
                known = there & ~tf.math.is_nan(labels)
                count = tf.reduce_sum(tf.cast(known, tf.float32), axis=1)
                everywhere = sum_replicas(tf.reduce_sum(count))
                # A rating counts for as much as any other, however many there are in its list.
                share = count * tf.math.divide_no_nan(lessons, everywhere)
                losses[task] = loss.mean(labels, scores[task], there, list_weights=share)
            else:
                losses[task] = loss.mean(labels, scores[task], there, given)
        if self.uncertainty is None:
            return losses[self.tasks[0]]
        return self.uncertainty(losses, present)
