"""Without padding a model gives what it gives with it, and a model that cannot run so is known."""

import numpy as np
import onnx
import onnxruntime
import pytest

from engine.encoder.graph import write_graph
from engine.encoder.unpadded import unpadded
from tiny_models import original, save_model

BATCHES = [["jacket"], ["wool scarf", "a", "waterproof jacket with a hood", ""], ["x " * 50, "tent"]]


def tokens(model, texts):
    given = model.tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
    return {name: given[name] for name in ("input_ids", "attention_mask")}


@pytest.fixture(scope="module", params=["bert", "xlm-roberta", "distilbert", "mpnet"])
def family(request, tmp_path_factory):
    return request.param, original(save_model(tmp_path_factory.mktemp("m") / "model", family=request.param, pooling="cls"), 64)


def test_the_vectors_are_those_of_the_padded_batch(family, tmp_path):
    import torch

    name, model = family
    before = model[0].auto_model.config._attn_implementation
    probe = tokens(model, BATCHES[1])
    with unpadded(model, probe["input_ids"], probe["attention_mask"]) as whole:
        assert (whole is None) == (name == "mpnet")  # its attention depends on distances
    assert model[0].auto_model.config._attn_implementation == before
    write_graph(model, tmp_path / "graph.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "graph.onnx"), providers=["CPUExecutionProvider"])
    for texts in BATCHES:
        given = tokens(model, texts)
        with torch.no_grad():
            expected = model.forward(dict(given))["sentence_embedding"].numpy()
        feed = {name: tensor.numpy() for name, tensor in given.items()}
        if len(session.get_inputs()) > 2:
            feed["token_type_ids"] = np.zeros_like(feed["input_ids"])
        got = session.run(None, feed)[0]
        np.testing.assert_allclose(got, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_multiplications_see_real_tokens_alone_where_that_can_be(family, tmp_path):
    name, model = family
    write_graph(model, tmp_path / "graph.onnx")
    graph = onnx.load(str(tmp_path / "graph.onnx"))
    weights = {given.name for given in graph.graph.initializer}
    watched = [node.output[0] for node in graph.graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    assert len(watched) >= 12
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(output) for output in watched)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    given = tokens(model, BATCHES[1])
    real = int(given["attention_mask"].sum())
    assert real < given["attention_mask"].numel()
    outputs = session.run(watched, {name: tensor.numpy() for name, tensor in given.items()})
    seen = given["attention_mask"].numel() if name == "mpnet" else real
    assert {int(np.prod(output.shape[:-1])) for output in outputs} == {seen}
