"""What a network keeps in memory to be trained: rows of layers, counted in numbers, not in bytes.

Counted are the floating-point tensors that the backward pass reads: the input of the network and the outputs of its
layers. In the networks of the paper an activation function works in place, because its derivative follows from its
output, and what is no number (the masks of dropout, the places of maxima) is not counted. Never counted are the
gradients of activations, of which a backward pass needs two neighbours at a time, and the workspace of a library.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Layer", "Network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer: how many parameters it has, and how many numbers it keeps for every example of a batch.

    Parameters
    ----------
    name : str
        Name in tables.
    parameters : int
        Trainable parameters.
    activations : int
        Numbers kept per example for the backward pass, stored as activations are.
    exponentials : int
        Numbers kept per example in the arithmetic of the softmax.
    others : int
        Bytes kept per example of what is no number: labels, places of maxima.
    touched : (int, int), optional
        For a table of which a step reads a few rows only: an upper bound of the parameters that have a gradient,
        per step and per example. None when every parameter has one.

    Examples
    --------
    >>> from halfsim.training.accounting import Layer
    >>> Layer(name="fc", parameters=64 * 10 + 10, activations=10).gradients(batch=8)
    650
    """

    name: str
    parameters: int = 0
    activations: int = 0
    exponentials: int = 0
    others: int = 0
    touched: tuple[int, int] | None = None

    def gradients(self, batch: int) -> int:
        """Return how many numbers the gradient of the parameters takes for a batch.

        Parameters
        ----------
        batch : int
            Examples.

        Returns
        -------
        int
            All parameters, but of tables, of which a batch touches as many rows as it has tokens at most.

        Examples
        --------
        >>> from halfsim.training.accounting import Layer
        >>> table = Layer(name="embedding", parameters=1000, touched=(0, 10))
        >>> table.gradients(8), table.gradients(1000)
        (80, 1000)
        """
        if self.touched is None:
            return self.parameters
        step, example = self.touched
        return min(self.parameters, step + example * batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as a table of layers.

    Parameters
    ----------
    name : str
        Name in tables.
    example : str
        What one example is: an image, a second of speech, a token.
    layers : tuple of Layer
        The input first.
    batch : int
        Examples per step and device that are usual, or that the source names.
    source : str
        Where the layers come from.

    Examples
    --------
    >>> from halfsim.training.accounting import Layer, Network
    >>> two = Network(
    ...     name="two",
    ...     example="image",
    ...     layers=(Layer(name="input", activations=4), Layer(name="linear", parameters=15, activations=3)),
    ...     batch=8,
    ...     source="a textbook",
    ... )
    >>> two.parameters, two.activations, two.gradients(8)
    (15, 7, 15)
    """

    name: str
    example: str
    layers: tuple[Layer, ...]
    batch: int
    source: str

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def activations(self) -> int:
        """Numbers kept per example, stored as activations are."""
        return sum(layer.activations for layer in self.layers)

    @property
    def exponentials(self) -> int:
        """Numbers kept per example in the arithmetic of the softmax."""
        return sum(layer.exponentials for layer in self.layers)

    @property
    def others(self) -> int:
        """Bytes kept per example of what is no number."""
        return sum(layer.others for layer in self.layers)

    def gradients(self, batch: int) -> int:
        """Return how many numbers the gradients of all parameters take for a batch.

        Parameters
        ----------
        batch : int
            Examples.
        """
        return sum(layer.gradients(batch) for layer in self.layers)
