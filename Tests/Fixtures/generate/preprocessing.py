"""Preprocessing layers: what comes out for given inputs; of random ones also what was drawn for it.

`adapt` is what the layer was adapted to, `strings` stand for inputs that are text.
"""

import json

from fixture import Fixture, tensor

import keras
import numpy as np
import tensorflow as tf

fixture = Fixture("preprocessing")
rng = np.random.default_rng(31)
L = keras.layers


def floats(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype("float32")


def plain(value):
    """Without NumPy's numbers."""
    return json.loads(json.dumps(value, default=lambda x: x.item() if hasattr(x, "item") else list(x)))


def record(layer, x, adapt=None, note=None, vocabulary=False, **arguments):
    config = plain(keras.saving.serialize_keras_object(layer))
    case = {"layer": {"class_name": config["class_name"], "config": config["config"]}}
    if adapt is not None:
        layer.adapt(adapt)
        case["adapt"] = tensor(adapt) if isinstance(adapt, np.ndarray) else adapt
    is_text = not isinstance(x, np.ndarray)
    y = layer(tf.constant(x) if is_text else x, **{k: v for k, v in arguments.items()})
    case["strings" if is_text else "input"] = x if is_text else tensor(x)
    case["output"] = tensor(y)
    if "count_weights" in arguments:
        case["count_weights"] = tensor(arguments["count_weights"])
    if vocabulary:
        case["vocabulary"] = plain(layer.get_vocabulary())
    if note:
        case["note"] = note
    fixture.add(**case)


# Numbers.
data = floats(20, 3, scale=2) + 1
record(L.Normalization(), floats(4, 3), adapt=data)
record(L.Normalization(axis=None), floats(4, 3), adapt=data)
record(L.Normalization(axis=(1, 2)), floats(2, 3, 2), adapt=floats(5, 3, 2))
record(L.Normalization(axis=1), floats(2, 3, 2), adapt=floats(5, 3, 2))
record(L.Normalization(invert=True), floats(4, 3), adapt=data)
record(L.Normalization(axis=None, mean=2.0, variance=4.0), floats(4, 3))
record(L.Normalization(axis=-1, mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 0.0]), floats(4, 3), note="a variance of 0")
record(L.Normalization(axis=-1, mean=[1.0, 2.0], variance=[4.0, 1.0], invert=True), floats(3, 4, 2))

classes = lambda n, *shape: rng.integers(0, n, shape).astype("int64")
for mode in ("one_hot", "multi_hot", "count"):
    record(L.CategoryEncoding(5, output_mode=mode), classes(5, 4))
    record(L.CategoryEncoding(5, output_mode=mode), classes(5, 4, 3))
    record(L.CategoryEncoding(5, output_mode=mode), classes(5, 4, 1))
record(L.CategoryEncoding(4, output_mode="count"), classes(4, 2, 3), count_weights=rng.random((2, 3)).astype("float32"))
for mode in ("int", "one_hot", "multi_hot", "count"):
    record(L.Discretization(bin_boundaries=[-1.0, 0.0, 0.5], output_mode=mode), floats(3, 4))
    record(L.Discretization(num_bins=4, output_mode=mode), floats(3, 4), adapt=floats(50, 2))
record(L.Discretization(bin_boundaries=[0.0, 1.0, 2.0]), np.array([-1, 0, 0.5, 1, 2, 3], "float32"), note="on the boundaries")
record(L.Discretization(num_bins=5, epsilon=0.1), floats(30), adapt=floats(200))
record(L.Discretization(num_bins=3, epsilon=0.5), floats(9), adapt=np.array([1, 1, 1, 2, 2, 7], "float32"), note="few values")
record(L.Discretization(num_bins=10), floats(50), adapt=floats(1000, scale=3))

# Hashes: of every length that has a way of its own.
texts = ["", "a", "bc", "def", "four", "seven77", "eight888", "abcdefghijklm", "x" * 16, "y" * 17, "ab" * 16, "z" * 33, "cd" * 32,
         "e" * 65, "long " * 30, "w" * 128, "v" * 129, "naïve – ünïcödé", "日本語"]
record(L.Hashing(1000003), texts)
record(L.Hashing(7), texts)
record(L.Hashing(1000003, salt=[133, 137]), texts)
record(L.Hashing(11, salt=99), texts)
record(L.Hashing(5, mask_value=""), texts)
record(L.Hashing(9), classes(1000, 3, 4) - 500)
record(L.Hashing(9, mask_value=0, salt=5), np.array([[0, 1], [2, 0], [-7, 123456789012]]))
for mode in ("one_hot", "multi_hot", "count"):
    record(L.Hashing(4, output_mode=mode), [["a", "b", "a"], ["c", "d", "e"]])

# Vocabularies.
words = ["earth", "wind", "and", "fire"]
record(L.StringLookup(vocabulary=words), ["fire", "water", "and", "earth", ""], vocabulary=True)
record(L.StringLookup(vocabulary=words, mask_token=""), [["fire", ""], ["x", "and"]], vocabulary=True)
record(L.StringLookup(vocabulary=words, num_oov_indices=0), ["fire", "and"], vocabulary=True)
record(L.StringLookup(vocabulary=words, num_oov_indices=3), ["fire", "p", "q", "r", "stu", "and"], vocabulary=True)
record(L.StringLookup(vocabulary=words, num_oov_indices=3, salt=[3, 4]), ["fire", "p", "q", "r", "stu"])
for mode in ("one_hot", "multi_hot", "count"):
    record(L.StringLookup(vocabulary=words, output_mode=mode), ["fire", "water", "fire"])
    record(L.StringLookup(vocabulary=words, output_mode=mode, mask_token="", pad_to_max_tokens=True, max_tokens=8),
           [["fire", "", "fire"], ["x", "y", "and"]])
record(L.StringLookup(vocabulary=words, output_mode="tf_idf", idf_weights=[0.5, 1.0, 0.25, 2.0]),
       [["fire", "fire", "x"], ["and", "earth", "and"]])
counted = ["b", "a", "c", "b", "a", "b", "d", "ä", "d"]
record(L.StringLookup(), ["a", "b", "c", "d", "z"], adapt=counted, vocabulary=True)
record(L.StringLookup(max_tokens=4, mask_token="c"), ["a", "b", "c", "d", "z"], adapt=counted, vocabulary=True)
record(L.StringLookup(output_mode="tf_idf"), [["a", "b"], ["c", "z"]], adapt=[["a", "b"], ["a", "c"], ["d", "a"]], vocabulary=True)
record(L.IntegerLookup(vocabulary=[12, 36, 1138, 42]), np.array([[12, 1138, 42], [42, 1000, 36]]), vocabulary=True)
record(L.IntegerLookup(vocabulary=[12, 36, 1138, 42], mask_token=0), np.array([12, 0, 7, 42]), vocabulary=True)
record(L.IntegerLookup(vocabulary=[12, 36], num_oov_indices=3), np.array([12, 7, 8, 9, -4, 36]), vocabulary=True)
record(L.IntegerLookup(vocabulary=[12, 36], num_oov_indices=3, oov_method="farmhash"), np.array([12, 7, 8, 9, -4, 36]))
record(L.IntegerLookup(vocabulary=[12, 36], num_oov_indices=3, oov_method="farmhash", salt=7), np.array([12, 7, 8, 9, -4]))
record(L.IntegerLookup(vocabulary=[12, 36, 5], invert=True), np.array([0, 1, 2, 3]))
record(L.IntegerLookup(vocabulary=[12, 36, 5], invert=True, mask_token=0), np.array([[0, 1], [2, 4]]))
for mode in ("one_hot", "multi_hot", "count"):
    record(L.IntegerLookup(vocabulary=[12, 36, 5], output_mode=mode), np.array([[12, 5, 12], [7, 36, 8]]))
record(L.IntegerLookup(vocabulary=[12, 36, 5], output_mode="tf_idf", idf_weights=[0.5, 1.0, 2.0]), np.array([[12, 12, 7], [5, 36, 5]]))
record(L.IntegerLookup(), np.array([3, 1, 2]), adapt=np.array([1, 1, 2, 5, 5, 5]), vocabulary=True)
record(L.IntegerLookup(max_tokens=3), np.array([3, 1, 2, 5]), adapt=np.array([[1, 1, 2], [5, 5, 5]]), vocabulary=True)

sentences = ["The cat sat on the mat.", "A dog; a CAT!", "on  the\tmat,\nthe dog?", "ÜBER café (naïve)"]
V = L.TextVectorization
record(V(), sentences, adapt=sentences, vocabulary=True)
record(V(max_tokens=6, output_sequence_length=4), sentences, adapt=sentences, vocabulary=True)
record(V(standardize="lower", output_sequence_length=9), sentences, adapt=sentences, vocabulary=True)
record(V(standardize="strip_punctuation"), sentences, adapt=sentences, vocabulary=True)
record(V(standardize=None), sentences, adapt=sentences, vocabulary=True)
record(V(split="character", max_tokens=12), sentences, adapt=sentences, vocabulary=True)
record(V(ngrams=2), sentences, adapt=sentences, vocabulary=True)
record(V(ngrams=(1, 3), max_tokens=20), sentences, adapt=sentences, vocabulary=True)
for mode in ("multi_hot", "count", "tf_idf"):
    record(V(output_mode=mode), sentences, adapt=sentences, vocabulary=True)
    record(V(output_mode=mode, max_tokens=30, pad_to_max_tokens=True), sentences[:2], adapt=sentences)
record(V(vocabulary=["cat", "dog", "mat"]), sentences, vocabulary=True)
record(V(vocabulary=["cat", "dog", "mat"], output_mode="tf_idf", idf_weights=[1.0, 0.5, 2.0]), sentences)

# Sound.
wave = lambda *shape: (floats(*shape, scale=0.1) + np.sin(np.arange(shape[1]) * 0.3).reshape(
    [1, -1] + [1] * (len(shape) - 2))).astype("float32")
for arguments in ({}, {"mode": "magnitude"}, {"mode": "psd"}, {"mode": "real"}, {"mode": "imag"}, {"mode": "stft"},
                  {"mode": "angle"}, {"expand_dims": True, "mode": "magnitude"}, {"padding": "same", "mode": "magnitude"},
                  {"padding": "same", "frame_step": 5, "fft_length": 32, "mode": "psd"},
                  {"window": "hamming", "scaling": "spectrum", "periodic": True, "mode": "magnitude"},
                  {"window": None, "scaling": None, "mode": "stft"}):
    record(L.STFTSpectrogram(frame_length=16, **{"frame_step": 8, **arguments}), wave(2, 50, 2))
for arguments in ({}, {"window": "hamming", "sequence_length": 24}, {"window": None, "power_to_db": False},
                  {"mag_exp": 1.0, "min_freq": 100.0, "max_freq": 3000.0, "top_db": 20.0}, {"ref_power": 5.0, "min_power": 1e-3}):
    record(L.MelSpectrogram(fft_length=32, sequence_stride=10, sampling_rate=8000, num_mel_bins=6, **arguments), wave(2, 70))
record(L.MelSpectrogram(fft_length=64, sequence_stride=16, sampling_rate=16000, num_mel_bins=10), wave(1, 200)[0])

# Images of other sizes.
image = lambda *shape: rng.uniform(0, 255, shape).astype("float32")
for interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"):
    record(L.Resizing(7, 5, interpolation=interpolation), image(1, 4, 9, 2))
    record(L.Resizing(3, 8, interpolation=interpolation), image(1, 7, 6, 1))
    record(L.Resizing(3, 4, interpolation=interpolation, antialias=True), image(1, 8, 10, 1))
record(L.Resizing(5, 5, crop_to_aspect_ratio=True), image(1, 4, 9, 2))
record(L.Resizing(4, 7, crop_to_aspect_ratio=True), image(9, 4, 1))
record(L.Resizing(5, 5, pad_to_aspect_ratio=True), image(1, 4, 9, 2))
record(L.Resizing(6, 3, pad_to_aspect_ratio=True, fill_value=7.0, interpolation="nearest"), image(1, 4, 9, 1))
record(L.CenterCrop(3, 4), image(2, 7, 8, 2))
record(L.CenterCrop(4, 4), image(5, 6, 1))
record(L.CenterCrop(6, 6), image(1, 4, 9, 2), note="larger than the image")
record(L.CenterCrop(2, 5), image(1, 6, 4, 1), note="wider than the image")


def record_random(layer, images, labels=None):
    box = {}
    if hasattr(layer, "_generate_batch_mask"):
        make = layer._generate_batch_mask

        def captured(shape, corners):
            box["corners"] = np.stack([np.array(c) for c in corners], axis=1)
            return make(shape, corners)

        layer._generate_batch_mask = captured
    images = tf.constant(images)
    t = layer.get_random_transformation(images, training=True)
    out = layer.transform_images(images, t, training=True)
    name = type(layer).__name__
    drawn = {
        "RandomFlip": lambda: [t["flips"]], "RandomRotation": lambda: [t["angle"]],
        "RandomZoom": lambda: [t["height_zoom"], t["width_zoom"]],
        "RandomTranslation": lambda: [t["translations"][:, 1:], t["translations"][:, :1]],
        "RandomCrop": lambda: [np.array(t[0], "int32"), np.array(t[1], "int32")],
        "RandomContrast": lambda: [t["contrast_factor"]], "RandomBrightness": lambda: [t["rgb_delta"]],
        "RandomErasing": lambda: [box["corners"], t["apply_erasing"], t["fill_value"]],
        "MixUp": lambda: [t["mix_weight"], np.array(t["permutation_order"], "int32")],
        "CutMix": lambda: [box["corners"], t["permutation_order"], np.reshape(np.array(t["mix_weight"]), -1)],
    }[name]()
    config = plain(keras.saving.serialize_keras_object(layer))
    case = {"layer": {"class_name": config["class_name"], "config": config["config"]}, "input": tensor(images),
            "drawn": [tensor(d) for d in drawn], "output": tensor(out), "inference": tensor(layer(images, training=False))}
    if labels is not None:
        case["labels"] = tensor(labels)
        case["mixed_labels"] = tensor(layer.transform_labels(tf.constant(labels), t, training=True))
    fixture.add(**case)


for mode in ("horizontal", "vertical", "horizontal_and_vertical"):
    record_random(L.RandomFlip(mode, seed=1), image(4, 3, 4, 1))
for fill in ("reflect", "wrap", "constant", "nearest"):
    record_random(L.RandomRotation(0.3, fill_mode=fill, seed=2), image(2, 5, 6, 1))
    record_random(L.RandomZoom(0.9, fill_mode=fill, seed=3), image(2, 5, 6, 1))
    record_random(L.RandomTranslation(0.9, 0.9, fill_mode=fill, seed=4), image(2, 5, 6, 1))
record_random(L.RandomRotation((-0.5, 0.1), interpolation="nearest", fill_mode="constant", fill_value=9.0, seed=5), image(2, 6, 5, 2))
record_random(L.RandomZoom((-0.5, -0.2), (0.1, 0.9), interpolation="nearest", seed=6), image(2, 6, 5, 2))
record_random(L.RandomTranslation((-0.5, 0.3), 0.2, interpolation="nearest", fill_mode="wrap", seed=7), image(2, 6, 5, 2))
record_random(L.RandomTranslation(1.0, 1.0, fill_mode="constant", fill_value=3.0, seed=8), image(3, 4, 4, 1))
record_random(L.RandomCrop(3, 4, seed=9), image(2, 6, 7, 1))
record_random(L.RandomCrop(2, 2, seed=10), image(2, 5, 3, 2))
record_random(L.RandomCrop(6, 4, seed=11), image(2, 5, 7, 1))
record_random(L.RandomContrast(0.8, seed=12), image(3, 3, 4, 2))
record_random(L.RandomContrast((0.5, 0.2), value_range=(0, 1), seed=13), image(3, 3, 4, 2) / 255)
record_random(L.RandomContrast((0.9, 0.9), seed=14), image(2, 4, 4, 1))
record_random(L.RandomBrightness(0.5, seed=15), image(3, 3, 4, 1))
record_random(L.RandomBrightness((-0.8, -0.2), seed=16), image(3, 3, 4, 1))
record_random(L.RandomBrightness(0.3, value_range=(0.0, 1.0), seed=17), image(3, 3, 4, 1) / 255)
record_random(L.RandomErasing(seed=18), image(3, 6, 5, 1))
record_random(L.RandomErasing(1.0, scale=(0.3, 0.6), fill_value=5.0, seed=19), image(3, 6, 5, 2))
record_random(L.RandomErasing((0.5, 0.9), scale=0.8, fill_value=(1.0, 2.0, 3.0), value_range=(0, 2), seed=20), image(4, 4, 4, 3))
for alpha, seed in ((0.2, 21), (1.0, 22), (5.0, 23)):
    record_random(L.MixUp(alpha, seed=seed), image(4, 3, 3, 1), np.eye(4, dtype="float32"))
for factor, seed in ((1.0, 24), ((0.5, 1.0), 25), (0.3, 26)):
    record_random(L.CutMix(factor, seed=seed), image(4, 5, 4, 2), np.eye(4, dtype="float32"))

# Much smaller than they were: most of an image goes into each place.
for interpolation in ("bilinear", "lanczos3"):
    record(L.Resizing(3, 2, interpolation=interpolation, antialias=True), image(1, 90, 40, 1))
record(L.Resizing(2, 3, antialias=True), image(1, 60, 70, 1).astype("int32"))

# A layer of images that whole numbers go through as well. Weights of eighths: halves are exact, and no rounding decides.
for size, dtype in ((2, "int32"), ((4, 2), "uint8"), ((2, 4), "int64")):
    record(L.UpSampling2D(size, interpolation="bilinear"), rng.integers(0, 256, (1, 3, 4, 2)).astype(dtype))
fixture.write()
