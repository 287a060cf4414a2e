"""The state of a legacy optimizer in a `.keras` file."""

from __future__ import annotations

from tfrec_div._keras import keras, tfrs

_OPTIMIZER = "optimizer_"


class SavesOptimizerState(tfrs.models.Model):
    """A TFRS model that saves its optimizer's state where Keras does not: with an optimizer of the legacy kind.

    `LazyAdam` is of this kind, which lets an optimizer treat sparse gradients in its own way.
    """

    def save_own_variables(self, store) -> None:
        """Stores the model's own weights and the optimizer's state, which Keras leaves out of a legacy one."""
        super().save_own_variables(store)
        if isinstance(optimizer := self._legacy_optimizer(), keras.optimizers.legacy.Optimizer):
            for number, value in enumerate(optimizer.get_weights()):
                store[f"{_OPTIMIZER}{number}"] = value

    def load_own_variables(self, store) -> None:
        """Reads what `save_own_variables` stored."""
        names = list(store.keys())
        super().load_own_variables({name: store[name] for name in names if not name.startswith(_OPTIMIZER)})
        values = [
            store[f"{_OPTIMIZER}{n}"] for n in range(sum(name.startswith(_OPTIMIZER) for name in names))
        ]
        optimizer = self._legacy_optimizer()
        # A single value is the number of steps: there was no step yet.
        if len(values) > 1 and isinstance(optimizer, keras.optimizers.legacy.Optimizer):
            optimizer._create_all_weights(self.trainable_variables)
            optimizer.set_weights(values)

    def _legacy_optimizer(self):
        optimizer = getattr(self, "optimizer", None)
        return getattr(optimizer, "inner_optimizer", optimizer)
