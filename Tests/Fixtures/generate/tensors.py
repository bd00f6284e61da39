"""Tensor operations where semantics are easy to get wrong, by NumPy (top k, one-hot, log-sum-exp, bfloat16 by JAX), and
NumPy's str() of arrays to compare printing with."""

import os

os.environ["KERAS_BACKEND"] = "jax"
from fixture import Fixture, tensor

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

fixture = Fixture("tensors")
rng = np.random.default_rng(10)
f32 = lambda *values: np.array(values, "float32")
i32 = lambda *values: np.array(values, "int32")
floats = lambda *shape: rng.standard_normal(shape).astype("float32")
nan, inf = float("nan"), float("inf")


def record(operation, inputs, output, **arguments):
    fixture.add(operation=operation, arguments=arguments, inputs=[tensor(x) for x in inputs],
                outputs=[tensor(y) for y in (output if isinstance(output, tuple) else (output,))])


# Contractions.
for equation, *shapes in [
        ("ij,jk->ik", (3, 4), (4, 5)), ("ij->ji", (3, 4)), ("ii->i", (3, 3)), ("ii->", (3, 3)), ("ij->", (3, 4)),
        ("ij->j", (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)), ("i,j->ij", (3,), (4,)),
        ("i,i->", (5,), (5,)), ("...ij,...jk->...ik", (2, 3, 4, 5), (3, 5, 2)), ("...i->...", (2, 3, 4)),
        ("abc,cd,de->abe", (2, 3, 4), (4, 5), (5, 2)), ("ij,jk", (3, 4), (4, 2)), ("ba", (3, 4)), ("ij,ij->ij", (3, 4), (3, 4)),
        ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)), ("bhqk,bkhd->bqhd", (2, 2, 3, 5), (2, 5, 2, 4)),
        ("ijk,k->ji", (2, 3, 4), (4,)), ("ij,kl->", (2, 3), (2, 2)), ("ij,jk->ik", (3, 0), (0, 2)), ("iij->j", (3, 3, 2))]:
    operands = [floats(*shape) for shape in shapes]
    record("einsum", operands, np.einsum(equation, *operands, dtype="float64").astype("float32"), equation=equation)
for a, b in [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2)),
             ((2, 0), (0, 3)), ((0, 3), (3, 2)), ((5, 2, 3), (3,))]:
    x, y = floats(*a), floats(*b)
    record("matmul", [x, y], np.matmul(x.astype("float64"), y.astype("float64")).astype("float32"))

# Slices: a position, [start, stop, step], "newaxis" or "...". None reaches outside its axis: NumPy clips, Backprop stops.
CUBE = np.arange(60, dtype="int32").reshape(3, 4, 5)
for index in [
        [1], [-1], [[0, 2, 1]], [[None, None, -1]], [1, [None, None, -2]], [[None, None, 2], [3, 0, -2], [1, -1, 1]], ["...", 0],
        ["...", [None, 2, 1]], ["newaxis"], [1, "newaxis", [1, 3, 1]], [0, "...", "newaxis", -2], [[2, 2, 1]], [[-2, None, 1], -1],
        [[None, -1, 1], [4, None, -1]], [[None, None, -1], [None, None, -1], [None, None, -1]],
        [1, 2, 3], ["...", "newaxis", [None, None, -3]]]:
    key = tuple(np.newaxis if e == "newaxis" else Ellipsis if e == "..." else slice(*e) if isinstance(e, list) else e
                for e in index)
    record("slice", [CUBE], np.array(CUBE[key]), index=index)

# Broadcasting.
for a, b in [((3, 4), (4,)), ((3, 1), (1, 4)), ((2, 1, 4), (3, 1)), ((), (2, 3)), ((2, 3), (1, 1, 1)), ((0, 3), (1, 3)), ((1,), (0,)),
             ((2, 3, 1, 2, 1), (1, 4, 1, 3))]:
    x, y = floats(*a), floats(*b)
    record("add", [x, y], np.array(x + y, "float32"))
    record("multiply", [x, y], np.array(x * y, "float32"))

# Integer and float division, remainder, rounding, powers.
numerators, divisors = i32(7, -7, 7, -7, 6, -6, 0, 1, -1), i32(2, 2, -2, -2, 3, -3, 5, -4, 4)
record("floor_divide", [numerators, divisors], numerators // divisors)
record("remainder", [numerators, divisors], numerators % divisors)
x, y = f32(5.5, -5.5, 5.5, -5.5, 0.0, -0.0, 6, -6), f32(2, 2, -2, -2, 3, 3, 3, 3)
record("floor_divide", [x, y], x // y)
record("remainder", [x, y], x % y)
record("divide", [f32(1, -1, 0, 1), f32(0, 0, 0, -0.0)], np.divide(f32(1, -1, 0, 1), f32(0, 0, 0, -0.0)))
record("true_divide_integers", [numerators, divisors], (numerators / divisors).astype("float32"))
HALVES = f32(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.49999997, -0.2, 1e9, 8388609, -0.0)
for name in ("rint", "floor", "ceil"):
    record(name, [HALVES], getattr(np, name)(HALVES))
bases, exponents = f32(0, 0, -2, -2, 4, 2, inf, 1, -8), f32(0, 2, 3, 2, 0.5, -1, 0, nan, 1 / 3)
record("power", [bases, exponents], np.power(bases, exponents))
record("sign", [f32(-3, 0, 2, nan, inf, -inf)], np.sign(f32(-3, 0, 2, nan, inf, -inf)))
record("abs", [f32(-3, -0.0, nan, -inf)], np.abs(f32(-3, -0.0, nan, -inf)))
record("maximum", [f32(1, nan, 2, -inf), f32(nan, 1, 3, 0)], np.maximum(f32(1, nan, 2, -inf), f32(nan, 1, 3, 0)))
record("minimum", [f32(1, nan, 2, inf), f32(nan, 1, 3, 0)], np.minimum(f32(1, nan, 2, inf), f32(nan, 1, 3, 0)))
overflowing = i32(2147483647, -2147483648, 65536, 46341)
record("add", [overflowing, i32(1, -1, 65536, 1)], overflowing + i32(1, -1, 65536, 1))
record("multiply", [overflowing, i32(2, -1, 65536, 46341)], overflowing * i32(2, -1, 65536, 46341))

# Comparisons with NaN; equality of both zeros.
x, y = f32(1, nan, nan, 0, inf, 2), f32(2, nan, 1, -0.0, inf, 1)
for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    record(name, [x, y], getattr(np, name)(x, y))

# Casts.
fractions = f32(1.9, -1.9, 0.5, -0.5, 2.5, 100.99, 0, -0.0)
record("cast", [fractions], fractions.astype("int32"), dtype="int32")
record("cast", [fractions], fractions.astype("int64"), dtype="int64")
record("cast", [f32(0, 0.4, 1, 254.9, 255)], f32(0, 0.4, 1, 254.9, 255).astype("uint8"), dtype="uint8")
record("cast", [f32(0, -0.0, 0.1, nan, -3)], f32(0, -0.0, 0.1, nan, -3).astype("bool"), dtype="bool")
record("cast", [np.array([True, False])], np.array([1, 0], "float32"), dtype="float32")
record("cast", [i32(-1, 256, 300, 127, 128)], i32(-1, 256, 300, 127, 128).astype("uint8"), dtype="uint8")
record("cast", [i32(-1, 256, 300, 127, 128)], i32(-1, 256, 300, 127, 128).astype("int8"), dtype="int8")
record("cast", [np.array([2**24 + 1, 2**31, -2**40 - 1], "int64")], np.array([2**24 + 1, 2**31, -2**40 - 1], "int64").astype("float32"),
       dtype="float32")
record("cast", [np.array([2**32 + 5, -2**33 - 7], "int64")], np.array([2**32 + 5, -2**33 - 7], "int64").astype("int32"), dtype="int32")
thirds = np.array([1 / 3, 1e300, -1e-300, 16777217.0, nan, -inf], "float64")
record("cast", [thirds], thirds.astype("float32"), dtype="float32")
wide = f32(1, 1 / 3, 65504, 65519, 65520, 1e-8, 6e-8, 3.1e-5, 1.0009765, 1.0004883, 1.0014648, -0.0, nan, -inf, 3.3e38)
record("cast", [wide], wide.astype("float16"), dtype="float16")
record("cast", [wide], wide.astype(ml_dtypes.bfloat16), dtype="bfloat16")

# Reductions.
M = floats(3, 4, 5)
for name in ("sum", "mean", "var", "std", "max", "min", "prod"):
    for axes in (None, [0], [-1], [0, 2], [1, 2], [0, 1, 2]):
        for keep in (False, True):
            value = getattr(np, name)(M.astype("float64"), axis=None if axes is None else tuple(axes), keepdims=keep)
            record(name, [M], np.array(value, "float32"), axes=axes, keep_dims=keep)
record("sum", [np.zeros((0, 3), "float32")], np.zeros((0, 3), "float32").sum(0), axes=[0], keep_dims=False)
record("sum", [np.zeros((2, 0), "float32")], np.zeros((2, 0), "float32").sum(1), axes=[1], keep_dims=False)
record("prod", [np.zeros((0, 3), "float32")], np.ones(3, "float32"), axes=[0], keep_dims=False)
record("mean", [np.zeros((2, 0), "float32")], np.full(2, nan, "float32"), axes=[1], keep_dims=False)
shifted = (1e4 + rng.standard_normal(1000)).astype("float32")
record("var", [shifted], np.array(shifted.astype("float64").var(), "float32"), axes=None, keep_dims=False)
record("sum", [i32(1, 2, 3)], np.array(6), axes=None, keep_dims=False)
record("sum", [np.array([[True, False], [True, True]])], np.array([2, 1]), axes=[0], keep_dims=False)
record("sum", [np.full(70000, 1, "uint8")], np.array(70000), axes=None, keep_dims=False)
record("max", [f32(1, nan, 3)], np.array(nan, "float32"), axes=None, keep_dims=False)
record("min", [f32(1, nan, 3)], np.array(nan, "float32"), axes=None, keep_dims=False)
record("max", [f32(-inf, -inf)], np.array(-inf, "float32"), axes=None, keep_dims=False)
record("max", [np.array([[1, 7], [9, 2]], "int64")], np.array([9, 7]), axes=[0], keep_dims=False)
B = np.array([[True, False, True], [True, True, True], [False, False, False]])
for axes in (None, [0], [1]):
    axis = None if axes is None else axes[0]
    record("any", [B], np.array(B.any(axis=axis)), axes=axes, keep_dims=False)
    record("all", [B], np.array(B.all(axis=axis)), axes=axes, keep_dims=False)
record("any", [f32(0, -0.0, nan)], np.array(True), axes=None, keep_dims=False)
record("any", [np.zeros((2, 0), "bool")], np.zeros(2, "bool"), axes=[1], keep_dims=False)
record("all", [np.zeros((2, 0), "bool")], np.ones(2, "bool"), axes=[1], keep_dims=False)
for row in ([[1, 2, 3], [1e4, 0, -1e4], [-inf, -inf, -inf], [-inf, 0, 0], [inf, 0, 1], [nan, 0, 1], [-1e4, -1e4, -1e4]],):
    x = np.array(row, "float32")
    record("logsumexp", [x], jax.scipy.special.logsumexp(jnp.array(x), axis=1), axes=[1], keep_dims=False)

# Order: ties, NaN, descending.
TIES = np.array([[3, 1, 3, 2, 1], [0, -0.0, 0, -1, 5]], "float32")
NANS = f32(2, nan, -inf, inf, 1, nan, 2)
for x in (TIES, NANS, i32(5, -3, 5, 0), np.array([[2], [1]], "float32"), np.zeros((2, 0), "float32")):
    record("sort", [x], np.sort(x, axis=-1, kind="stable"), axis=-1, descending=False)
    record("argsort", [x], np.argsort(x, axis=-1, kind="stable"), axis=-1, descending=False)
record("sort", [TIES], np.sort(TIES, axis=0), axis=0, descending=False)
for x in (TIES, i32(5, -3, 5, 0)):
    order = np.asarray(jnp.argsort(jnp.array(x), axis=-1, stable=True, descending=True))
    record("argsort", [x], order, axis=-1, descending=True)
    record("sort", [x], np.take_along_axis(x, order, -1), axis=-1, descending=True)
for k in (1, 3, 5):
    x = TIES + 0  # JAX would put -0 after 0; there it is a tie for everybody else
    values, positions = jax.lax.top_k(jnp.array(x), k)
    record("top_k", [x], (values, positions), k=k)
for x, axis in ((TIES, None), (TIES, 0), (TIES, 1), (NANS, None), (f32(-inf, -inf), 0), (B, 1), (f32(0, -0.0), 0)):
    record("argmax", [x], np.array(np.argmax(x, axis=axis)), axis=axis)
    record("argmin", [x], np.array(np.argmin(x, axis=axis)), axis=axis)

# Cumulation.
C = i32(1, 2, 3, 4)
record("cumsum", [C], np.cumsum(C, dtype="int32"), axis=0, exclusive=False, reverse=False)
record("cumsum", [C], i32(0, 1, 3, 6), axis=0, exclusive=True, reverse=False)
record("cumsum", [C], i32(10, 9, 7, 4), axis=0, exclusive=False, reverse=True)
record("cumsum", [C], i32(9, 7, 4, 0), axis=0, exclusive=True, reverse=True)
for axis in (0, 1, -1):
    record("cumsum", [M], np.cumsum(M.astype("float64"), axis=axis).astype("float32"), axis=axis, exclusive=False, reverse=False)
record("cumprod", [f32(2, 0, 3, nan, 1)], np.cumprod(f32(2, 0, 3, nan, 1)), axis=0, exclusive=False, reverse=False)

# Movement and indexing.
A = np.arange(12, dtype="float32").reshape(3, 4)
record("pad", [A], np.pad(A, [(1, 0), (0, 2)], constant_values=-1), widths=[[1, 0], [0, 2]], value=-1)
record("tile", [A], np.tile(A, (2, 3)), repeats=[2, 3])
record("tile", [A], np.tile(A, (0, 1)), repeats=[0, 1])
record("flip", [CUBE], np.flip(CUBE, (0, 2)), axes=[0, 2])
record("transpose", [CUBE], CUBE.transpose(2, 0, 1), order=[2, 0, 1])
record("transpose", [CUBE], CUBE.transpose(), order=None)
record("take", [A, i32(2, 0, 2)], A[[2, 0, 2]], axis=0)
record("take", [A, np.array([[3, 0], [1, 1]], "int32")], np.take(A, [[3, 0], [1, 1]], axis=1), axis=1)
record("take_along_axis", [A, np.array([[3], [0], [1]], "int32")], np.take_along_axis(A, np.array([[3], [0], [1]]), 1), axis=1)
rows, into = floats(5, 2), np.zeros((4, 2), "float32")
np.add.at(into, [1, 3, 1, 0, 1], rows)
record("scatter_add", [rows, i32(1, 3, 1, 0, 1)], into, rows=4)
record("where", [np.array([[True], [False]]), f32(1, 2, 3), f32(9)], np.where([[True], [False]], f32(1, 2, 3), f32(9)))
record("one_hot", [i32(0, 2, 1)], np.eye(3, dtype="float32")[[0, 2, 1]], classes=3)
record("concatenate", [A, A[:1], A[:0]], np.concatenate([A, A[:1], A[:0]]), axis=0)
record("stack", [A, -A], np.stack([A, -A], axis=-1), axis=-1)
record("split", [A], tuple(np.split(A, 2, axis=1)), count=2, axis=1)
record("linspace", [], np.linspace(-1, 1, 7, dtype="float32"), start=-1, end=1, count=7)
record("arange", [], np.arange(10, -3, -4, dtype="int32"), start=10, end=-3, step=-4)

# Printing.
for x in [
        f32(), f32(1), f32(1, 2, 3), f32(0.1, 0.25, 100), f32(1e-3, 1, 1000), f32(1e-5, 1), f32(1e8, 1), f32(123456.789, 0.001),
        f32(1e-10, 1e10), f32(nan, inf, -inf, 1.5), f32(nan, nan), f32(-0.0, 0.0), f32(-0.0, 1.25, -3), f32(1 / 3, 2 / 3, 1), f32(16777216),
        f32(1e16, 1), f32(3.4e38, 1e-38), f32(0.00012345, 0.5), f32(99999.99, 1), f32(1.5, nan, 1e-6), np.array(3.14159274, "float32"),
        np.array(-0.0, "float32"), np.array(1e20, "float32"), np.array(7, "int32"), np.array(True), i32(), i32(1, -20, 300), i32(-1),
        np.array([2**40, -1], "int64"), np.array([0, 255, 7], "uint8"), np.array([True, False]), np.array([[True], [False]]), A, -A / 3,
        A.reshape(3, 2, 2), np.arange(2000, dtype="int32"), np.arange(2000, dtype="float32").reshape(40, 50) / 7,
        np.arange(1001, dtype="float32"), np.arange(1000, dtype="int32"), np.zeros((0, 3), "float32"), np.zeros((2, 0), "float32"),
        np.zeros((200, 3, 4), "float32"), np.arange(30, dtype="float32") * 1.37, np.arange(30, dtype="float32") * 1e6, np.arange(40),
        np.array([1 / 3, 1e-9], "float64"), np.array([1e-5, 12345.678], "float64"), np.array([1 / 3, 2 / 3]), np.array([[1e-3, nan], [inf, -2]], "float32"),
        np.arange(10000, dtype="float32").reshape(100, 100), np.linspace(-1, 1, 9, dtype="float32").reshape(3, 3),
        np.arange(5 * 5 * 50).reshape(5, 5, 50).astype("int32"), f32(1, 10, 100, 1000, 10000, 100000, 1000000, 10000000),
        f32(0.5, 1e8 + 8), f32(*[0.1] * 20), np.arange(24, dtype="float32").reshape(2, 3, 2, 2)]:
    fixture.add(operation="print", arguments={}, inputs=[tensor(x)], text=str(x))
fixture.write()
