"""A network like Deep Speech 2, and bigLSTM, layer by layer."""

from __future__ import annotations

from halfsim.training.accounting.layers import Layer, Network

__all__ = ["BIG_LSTM", "DEEP_SPEECH"]

_FRAMES = 100  # one spectrum every 10 ms
_BINS = 161
_WIDTH = 2640
_CHARACTERS = 29


def _convolution(name: str, bins: int, frames: int, kernel: tuple[int, int], inputs: int) -> Layer:
    """Return 32 filters with batch norm; kept are their outputs before and after batch norm and clipped ReLU."""
    weights = kernel[0] * kernel[1] * inputs * 32
    return Layer(name=name, parameters=weights + 2 * 32, activations=2 * bins * frames * 32)


def _gru(name: str, frames: int, inputs: int, width: int) -> Layer:
    """Return a layer of gated recurrent units.

    Of every step it keeps two gates, the candidate, its recurrent part, which the reset gate multiplies, and the state.
    """
    return Layer(name=name, parameters=3 * width * (inputs + width + 1), activations=5 * width * frames)


def _deep_speech() -> tuple[Layer, ...]:
    # Strides of 2 × 2 and 2 × 1, bins by frames.
    half, quarter, frames = 81, 41, _FRAMES // 2
    return (
        Layer(name="input", activations=_BINS * _FRAMES),
        _convolution("conv1", half, frames, (41, 11), 1),
        _convolution("conv2", quarter, frames, (21, 11), 32),
        _gru("gru1", frames, 32 * quarter, _WIDTH),
        _gru("gru2", frames, _WIDTH, _WIDTH),
        _gru("gru3", frames, _WIDTH, _WIDTH),
        Layer(name="lookahead", parameters=21 * _WIDTH, activations=_WIDTH * frames),
        Layer(name="output", parameters=(_WIDTH + 1) * _CHARACTERS, activations=_CHARACTERS * frames),
        Layer(name="softmax", activations=_CHARACTERS * frames),
    )


DEEP_SPEECH = Network(
    name="DeepSpeech-2-like",
    example="second of speech",
    layers=_deep_speech(),
    batch=32 * 7,
    source="Amodei et al. [@amodei2016]; GRU layers and the total of 115 M: Micikevicius et al. [@micikevicius2018]",
)
"""Two convolutions, three forward layers of GRUs, a lookahead (row) convolution over 20 future frames, and the output.

The filters are those of the paper on Deep Speech 2 [@amodei2016]. That on mixed precision [@micikevicius2018] gives the
kinds of layers and the total of the English model, 115 million; no source prints the width, so 2640, the multiple of 16
that comes closest to the total, stands for it. A batch of 32 utterances of 7 seconds is a convention of this table.
"""

_VOCABULARY, _EMBEDDING, _CELLS, _SAMPLES = 793_471, 1024, 8192, 8192


def _lstm(name: str, inputs: int, cells: int, projection: int) -> Layer:
    """Return a layer of LSTM cells whose output is projected, and fed back projected.

    Of every step it keeps four gates, the cell, its tanh, the gated output, and the projection of that.
    """
    gates = 4 * cells * (inputs + projection + 1)
    return Layer(name=name, parameters=gates + cells * projection, activations=7 * cells + projection)


BIG_LSTM = Network(
    name="bigLSTM",
    example="token",
    layers=(
        Layer(
            name="embedding",
            parameters=_VOCABULARY * _EMBEDDING,
            activations=_EMBEDDING,
            touched=(0, _EMBEDDING),
        ),
        _lstm("lstm1", _EMBEDDING, _CELLS, 1024),
        _lstm("lstm2", 1024, _CELLS, 1024),
        Layer(
            name="sampled softmax",
            parameters=_VOCABULARY * (1024 + 1),
            activations=2 * (_SAMPLES + 1),
            touched=(_SAMPLES * (1024 + 1), 1024 + 1),
        ),
    ),
    batch=128 * 20,
    source="Jozefowicz et al. [@jozefowicz2016]; 8 K samples: Micikevicius et al. [@micikevicius2018]",
)
"""Two LSTM layers of 8192 cells projected to 1024, 793,471 words, a softmax over 8192 samples and the target.

A step has gradients for the words of its batch and for the samples only [@jozefowicz2016]. A batch of 128 sequences of
20 words per GPU is a convention of this table.
"""
