"""The preprocessing layers that gradients go through: outputs and gradients, as for other layers."""

from fixture import Fixture
from layer_cases import LayerCases

import keras

fixture = Fixture("preprocessing_gradients")
cases = LayerCases(fixture, 41)
record, floats, L = cases.record, cases.floats, keras.layers

record(L.Normalization(axis=None, mean=1.0, variance=2.0), floats(3, 4))
record(L.Normalization(axis=-1, mean=[1.0, 2.0, 0.5], variance=[2.0, 1.0, 4.0]), floats(2, 4, 3))
record(L.Normalization(axis=-1, mean=[1.0, 2.0], variance=[2.0, 1.0], invert=True), floats(5, 2))

for arguments in ({"mode": "psd"}, {"mode": "magnitude"}, {"mode": "log", "padding": "same"}, {"mode": "stft", "expand_dims": True},
                  {"mode": "real", "frame_step": 3}, {"mode": "imag", "fft_length": 16, "padding": "same"}):
    record(L.STFTSpectrogram(frame_length=8, **arguments), floats(2, 21, 2))

M = {"fft_length": 16, "sequence_stride": 6, "sampling_rate": 8000, "num_mel_bins": 4}
record(L.MelSpectrogram(**M), floats(2, 30))
record(L.MelSpectrogram(power_to_db=False, window="hamming", **M), floats(2, 30))
record(L.MelSpectrogram(mag_exp=1.0, window=None, max_freq=3000.0, **M), floats(1, 40))

record(L.Resizing(5, 7), floats(2, 4, 4, 2))
record(L.Resizing(3, 2), floats(1, 6, 5, 1))
record(L.Resizing(6, 6, crop_to_aspect_ratio=True), floats(1, 4, 7, 2))
record(L.Resizing(6, 6, pad_to_aspect_ratio=True, fill_value=0.5), floats(1, 4, 8, 2))
record(L.Resizing(5, 3, interpolation="nearest"), floats(1, 4, 4, 2))
record(L.Resizing(5, 3, interpolation="bicubic"), floats(1, 4, 4, 2))
record(L.CenterCrop(2, 3), floats(2, 5, 6, 2))
record(L.CenterCrop(5, 5), floats(1, 3, 4, 2))
record(L.CenterCrop(2, 2), floats(4, 4, 1))
fixture.write()
