"""Int8 graphs: near the float ones, each token by itself, and nothing a processor could cut off."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from engine.encoder.quantise import LARGEST, quantise

WIDTH, WORDS = 96, 64


def weights(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """A look-up, a multiplication and another of the same values, whole and as int8."""
    folder = tmp_path_factory.mktemp("graphs")
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"], axis=0),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("MatMul", ["x", "v"], ["z"]),
    ]
    made = {"table": weights(0, WORDS, WIDTH), "w": weights(1, WIDTH, 80), "v": weights(2, WIDTH, 48)}
    made["table"][0] = 0
    graph = helper.make_graph(
        nodes,
        "two multiplications",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [None, None])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "yz"],
        [numpy_helper.from_array(values, name) for name, values in made.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "full.onnx")
    )
    quantise(folder / "full.onnx", folder / "int8.onnx")
    return folder


@pytest.fixture(scope="module")
def run(graphs):
    sessions = {
        name: onnxruntime.InferenceSession(str(graphs / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        for name in ("full", "int8")
    }
    return lambda name, ids: sessions[name].run(None, {"ids": np.asarray(ids, np.int64)})


def test_int8_is_near_the_whole(run):
    ids = np.arange(WORDS).reshape(4, 16)
    for whole, small in zip(run("full", ids), run("int8", ids), strict=True):
        assert whole.shape == small.shape
        error = np.linalg.norm(whole - small, axis=-1)[ids > 0] / np.linalg.norm(whole, axis=-1)[ids > 0]
        assert error.max() < 0.03


@given(st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=6), st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=30))
def test_a_token_is_the_same_in_any_company(run, ids, others):
    alone = [run("int8", [[token]]) for token in ids]
    together = run("int8", [ids + others])
    for place, (y, z) in enumerate(alone):
        assert np.array_equal(together[0][0, place], y[0, 0])
        assert np.array_equal(together[1][0, place], z[0, 0])


def test_a_token_of_zeros_stays_zero(run):
    y, z = run("int8", [[0, 5]])
    assert not y[0, 0].any()
    assert not z[0, 0].any()
    assert np.isfinite(y).all()


def test_no_sum_of_two_products_leaves_sixteen_bits(graphs):
    graph = onnx.load(str(graphs / "int8.onnx")).graph
    made = {given.name: numpy_helper.to_array(given) for given in graph.initializer}
    used = [made[node.input[1]] for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(used) == 2
    for codes in used:
        assert codes.dtype == np.int8
        assert np.abs(codes.astype(int)).max() == LARGEST
        assert 2 * 255 * np.abs(codes.astype(int)).max() < 2**15


def test_the_values_of_one_token_are_made_bytes_once_and_float_weights_go(graphs):
    graph = onnx.load(str(graphs / "int8.onnx")).graph
    assert [node.op_type for node in graph.node].count("QuantizeLinear") == 1
    floats = [g for g in graph.initializer if g.data_type == TensorProto.FLOAT]
    assert max(np.prod(numpy_helper.to_array(g).shape, dtype=int) for g in floats) <= WIDTH
