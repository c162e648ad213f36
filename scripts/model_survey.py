#!/usr/bin/env python3
"""Models that nobody here wrote, through export and verify in float32, into docs/models.md.

    python scripts/model_survey.py               all of them, two at a time
    python scripts/model_survey.py bert gpt2     some: their rows replace those that are there
    python scripts/model_survey.py --list

Weights are random, tiny configurations of the real classes; nothing is fetched. Packages that are not
installed leave their models out, and are named:

    pip install timm transformers ultralytics pytorch-tabnet silero-vad rapidocr-onnxruntime nudenet magika
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
START, END = "<!-- survey -->", "<!-- /survey -->"
LIMIT = 400  # seconds for one model
STAYS = "–"  # an ONNX file does not become TorchScript
RUNTIMES = {
    "torchscript": ("torchscript", "cpp-libtorch"),
    "onnx": ("onnxruntime", "cpp-onnxruntime"),
}


@dataclass(frozen=True)
class Subject:
    """`code` is Python that makes the model, or the path of a file inside `package`. `inputs` are
    tables of `[inputs]`, `keys` more of pipeline.toml."""

    name: str
    family: str
    package: str
    code: str
    inputs: dict[str, str] = field(default_factory=dict)
    keys: str = ""


def image(size: int, extra: str = "") -> dict[str, str]:
    return {"image": f'kind = "image"\nsize = [{size}, {size}]\n{extra}'}


def ids(most: int, length: int = 12) -> str:
    return (
        f'shape = ["batch", "length"]\ndtype = "int64"\nvalues = {{ min = 3, max = {most} }}\n'
        f"sizes = {{ length = [{length}, {length // 2}, {length * 2}] }}"
    )


def tensor(shape: str, more: str = "") -> str:
    return f"shape = {shape}\n{more}"


MASK = 'shape = ["batch", "length"]\ndtype = "int64"\nvalues = { one_of = [1] }'


def torchvision() -> Iterator[Subject]:
    small = (
        "alexnet vgg11 resnet18 resnext50_32x4d densenet121 squeezenet1_0 mobilenet_v2 "
        "mobilenet_v3_large mnasnet0_5 shufflenet_v2_x1_0 efficientnet_b0 regnet_x_400mf "
        "convnext_tiny swin_t swin_v2_t vit_b_32 maxvit_t"
    )
    for name in small.split():
        size = 224 if name.startswith(("vit", "maxvit", "alexnet")) else 96
        code = f"torchvision.models.get_model({name!r}, weights=None)"
        yield Subject(name, "classification", "torchvision", code, image(size))
    for name, size in (("googlenet", 96), ("inception_v3", 128)):
        code = f"torchvision.models.get_model({name!r}, weights=None, init_weights=False)"
        yield Subject(name, "classification", "torchvision", code, image(size))
    for name in ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50"):
        code = f"torchvision.models.get_model({name!r}, weights=None, weights_backbone=None)"
        yield Subject(name, "segmentation", "torchvision", code, image(96))
    detectors = (
        "ssdlite320_mobilenet_v3_large fasterrcnn_mobilenet_v3_large_320_fpn "
        "retinanet_resnet50_fpn fcos_resnet50_fpn"
    )
    for name in detectors.split():
        code = (
            f"One(torchvision.models.get_model({name!r}, weights=None, weights_backbone=None, "
            "min_size=160, max_size=160))"
            if "ssd" not in name
            else f"One(torchvision.models.get_model({name!r}, weights=None, weights_backbone=None))"
        )
        fixed = "[export]\ndynamic_batch = false\n"
        yield Subject(name, "detection", "torchvision", code, image(160), fixed)
    for name in ("r3d_18", "mc3_18", "r2plus1d_18", "swin3d_t"):
        frames, side = (16, 64) if name != "swin3d_t" else (8, 64)
        code = f"torchvision.models.video.{name}(weights=None)"
        clip = {"clip": tensor(f'["batch", 3, {frames}, {side}, {side}]')}
        yield Subject(name, "video", "torchvision", code, clip)
    flow = {f"image{n}": tensor('["batch", 3, 128, 128]') for n in (1, 2)}
    code = "torchvision.models.optical_flow.raft_small(weights=None)"
    yield Subject("raft_small", "optical flow", "torchvision", code, flow)


TIMM = (
    "resnet10t resnet14t resnet18d resnet26t seresnet18 legacy_seresnet18 skresnet18 ecaresnet26t "
    "resnetv2_18 gernet_s repvgg_a0 mobileone_s0 fastvit_t8 efficientnet_lite0 efficientnetv2_rw_t "
    "tf_efficientnet_b0 mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small lcnet_050 "
    "tinynet_e ghostnet_050 ghostnetv2_100 mixnet_s fbnetc_100 spnasnet_100 hardcorenas_a rexnet_100 "
    "dla34 dla46_c hrnet_w18_small vovnet39a regnetx_002 regnety_002 cspresnet50 "
    "cs3darknet_s convnext_atto convnextv2_atto inception_next_atto poolformer_s12 "
    "poolformerv2_s12 caformer_s18 vit_tiny_patch16_224 vit_small_patch32_224 deit_tiny_patch16_224 "
    "cait_xxs24_224 xcit_nano_12_p16_224 pvt_v2_b0 twins_svt_small crossvit_tiny_240 coat_tiny "
    "convit_tiny levit_128s mobilevit_xxs mobilevitv2_050 edgenext_xx_small efficientformer_l1 "
    "efficientvit_b0 tiny_vit_5m_224 mixer_s32_224 gmlp_ti16_224 resmlp_12_224 nest_tiny "
    "visformer_tiny starnet_s1 repghostnet_050 tresnet_m"
)
"""Of each family of timm a small one."""


def timm() -> Iterator[Subject]:
    for name in TIMM.split():
        code = f"timm.create_model({name!r})"
        yield Subject(name, "timm", "timm", code, {"image": 'kind = "image"'})


def hugging_face() -> Iterator[Subject]:
    text = "hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64"
    encoders = {
        "bert": ("Bert", text),
        "distilbert": ("DistilBert", "dim=32, n_layers=2, n_heads=4, hidden_dim=64"),
        "roberta": ("Roberta", text),
        "albert": ("Albert", f"{text}, embedding_size=16"),
        "electra": ("Electra", f"{text}, embedding_size=16"),
        "mpnet": ("MPNet", text),
        "deberta_v2": ("DebertaV2", f"{text}, relative_attention=True, pos_att_type=['p2c']"),
        "squeezebert": ("SqueezeBert", f"{text}, embedding_size=32"),
        "modernbert": ("ModernBert", f"{text}, pad_token_id=0"),
        "roformer": ("RoFormer", text),
    }
    for name, (kind, keys) in encoders.items():
        code = f"transformers.{kind}Model(transformers.{kind}Config(vocab_size=99, {keys}))"
        inputs = {"input_ids": ids(98), "attention_mask": MASK}
        yield Subject(name, "text encoder", "transformers", code, inputs)
    decoders = {
        "gpt2": ("GPT2LMHeadModel", "GPT2Config", "n_embd=32, n_layer=2, n_head=4"),
        "opt": ("OPTForCausalLM", "OPTConfig", "hidden_size=32, num_hidden_layers=2, "
                "num_attention_heads=4, ffn_dim=64, word_embed_proj_dim=32"),
        "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", text),
        "bloom": ("BloomForCausalLM", "BloomConfig", "hidden_size=32, n_layer=2, n_head=4"),
        "llama": ("LlamaForCausalLM", "LlamaConfig", text),
        "mistral": ("MistralForCausalLM", "MistralConfig", f"{text}, num_key_value_heads=2"),
        "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", f"{text}, num_key_value_heads=2"),
        "phi": ("PhiForCausalLM", "PhiConfig", text),
        "gemma": ("GemmaForCausalLM", "GemmaConfig", f"{text}, num_key_value_heads=2, head_dim=8"),
    }  # fmt: skip
    for name, (model, config, keys) in decoders.items():
        made = f"transformers.{model}(transformers.{config}(vocab_size=99, {keys}))"
        for cache in (False, True):
            title = f"{name} with past" if cache else name
            family = "text decoder, with past" if cache else "text decoder"
            code = f"Cached({made}, {cache})"
            yield Subject(title, family, "transformers", code, {"input_ids": ids(98)})
    both = {
        "t5": ("T5ForConditionalGeneration", "T5Config", "d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4"),
        "bart": ("BartForConditionalGeneration", "BartConfig", "d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64"),
        "marian": ("MarianMTModel", "MarianConfig", "d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=0"),
        "pegasus": ("PegasusForConditionalGeneration", "PegasusConfig", "d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64"),
    }  # fmt: skip
    for name, (model, config, keys) in both.items():
        code = f"Pair(transformers.{model}(transformers.{config}(vocab_size=99, {keys})))"
        inputs = {"input_ids": ids(98), "decoder_input_ids": ids(98).replace("length", "answer")}
        yield Subject(name, "encoder-decoder", "transformers", code, inputs)
    vision = f"{text}, image_size=32, patch_size=8"
    seen = {
        "vit": ("ViTForImageClassification", "ViTConfig", vision),
        "deit": ("DeiTForImageClassification", "DeiTConfig", vision),
        "beit": ("BeitForImageClassification", "BeitConfig", vision),
        "dinov2": ("Dinov2Model", "Dinov2Config", vision),
        "swin": ("SwinModel", "SwinConfig", "image_size=32, patch_size=2, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4"),
        "segformer": ("SegformerForSemanticSegmentation", "SegformerConfig", "num_encoder_blocks=2, depths=[1, 1], hidden_sizes=[16, 32], num_attention_heads=[1, 2], sr_ratios=[2, 1], patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2], decoder_hidden_size=16"),
        "mobilevit (transformers)": ("MobileViTModel", "MobileViTConfig", "image_size=64"),
        "convnext (transformers)": ("ConvNextModel", "ConvNextConfig", "hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]"),
        "resnet (transformers)": ("ResNetModel", "ResNetConfig", "embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type='basic'"),
    }  # fmt: skip
    for name, (model, config, keys) in seen.items():
        side = 64 if "mobilevit" in name or "convnext" in name or "segformer" in name else 32
        code = f"transformers.{model}(transformers.{config}({keys}))"
        pixels = {"pixel_values": tensor(f'["batch", 3, {side}, {side}]')}
        yield Subject(name, "vision (transformers)", "transformers", code, pixels)
    speech = (
        f"{text}, conv_dim=(16, 16), conv_kernel=(10, 3), conv_stride=(5, 2), "
        "num_feat_extract_layers=2, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2"
    )
    for name, kind in (("wav2vec2", "Wav2Vec2"), ("hubert", "Hubert"), ("unispeech", "UniSpeech")):
        code = f"transformers.{kind}Model(transformers.{kind}Config({speech}))"
        wave = tensor('["batch", "samples"]', "sizes = { samples = [1600, 2400] }")
        yield Subject(name, "speech", "transformers", code, {"input_values": wave})
    whisper = "d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=50"
    code = f"Spoken(transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(vocab_size=99, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, {whisper})))"
    heard = {"input_features": tensor('["batch", 80, 100]'), "decoder_input_ids": ids(98)}
    yield Subject("whisper", "speech", "transformers", code, heard)
    code = f"transformers.ASTModel(transformers.ASTConfig({text}, max_length=64, num_mel_bins=32))"
    mel = {"input_values": tensor('["batch", 64, 32]')}
    yield Subject("audio spectrogram transformer", "speech", "transformers", code, mel)
    clip = (
        f"transformers.CLIPModel(transformers.CLIPConfig(text_config=dict({text}, vocab_size=99, "
        f"eos_token_id=98), vision_config=dict({vision}), projection_dim=16))"
    )
    inputs = {
        "input_ids": ids(98),
        "pixel_values": tensor('["batch", 3, 32, 32]'),
    }
    yield Subject("clip", "text and pictures", "transformers", clip, inputs)


def others() -> Iterator[Subject]:
    for name in ("yolov8n", "yolov5n", "yolo11n", "yolov8n-seg", "yolov8n-pose", "yolov8n-cls"):
        kind = {"seg": "Segmentation", "pose": "Pose", "cls": "Classification"}.get(
            name.partition("-")[2], "Detection"
        )
        code = f"ultralytics.nn.tasks.{kind}Model({name + '.yaml'!r}, verbose=False)"
        letterbox = "" if kind == "Classification" else 'fit = "letterbox"'
        yield Subject(name, "YOLO", "ultralytics", code, image(96, letterbox))
    tabnet = "First(pytorch_tabnet.tab_network.TabNet(16, 3, n_d=4, n_a=4, n_steps=2, group_attention_matrix=torch.eye(16)))"
    yield Subject("tabnet", "tabular", "pytorch_tabnet", tabnet, {"x": tensor('["batch", 16]')})
    cell = 'shape = [2, "batch", 16]'
    for name, states in (("LSTM", 2), ("GRU", 1), ("RNN", 1)):
        state = ", ".join(("h", "c")[:states])
        code = f"Stateful(torch.nn.{name}(8, 16, 2), {states})"
        tables = {"x": tensor('["time", "batch", 8]'), **dict.fromkeys(state.split(", "), cell)}
        yield Subject(f"{name} with its state", "recurrent", "torch", code, tables)
    code = "torch.nn.LSTM(8, 16, 2, batch_first=True, bidirectional=True)"
    yield Subject("two-way LSTM", "recurrent", "torch", code, {"x": tensor('["batch", "time", 8]')})
    encoder = "torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(16, 2, 32), 2)"
    encoded = {"x": tensor('["time", "batch", 16]')}
    yield Subject("transformer encoder", "recurrent", "torch", encoder, encoded)
    yield Subject(
        "silero-vad",
        "third-party ONNX",
        "silero_vad",
        "data/silero_vad.onnx",
        {
            "input": tensor('["batch", 576]'),
            "state": tensor('[2, "batch", 128]'),
            "sr": 'shape = []\ndtype = "int64"\nvalues = { one_of = [16000] }',
        },
    )
    ocr = "rapidocr_onnxruntime"
    for name, shape in (
        ("ch_PP-OCRv4_det_infer", '["batch", 3, 96, 96]'),
        ("ch_ppocr_mobile_v2.0_cls_infer", '["batch", 3, 48, 192]'),
        ("ch_PP-OCRv4_rec_infer", '["batch", 3, 48, 160]'),
    ):
        yield Subject(name, "third-party ONNX", ocr, f"models/{name}.onnx", {"x": tensor(shape)})
    nude = {"images": tensor('["batch", 3, 320, 320]')}
    yield Subject("nudenet 320n", "third-party ONNX", "nudenet", "320n.onnx", nude)
    bytes_ = {"bytes": 'shape = ["batch", 2048]\ndtype = "int32"\nvalues = { min = 0, max = 256 }'}
    path = "models/standard_v3_3/model.onnx"
    yield Subject("magika", "third-party ONNX", "magika", path, bytes_)
    yield Subject(
        "silero-vad (TorchScript)",
        "third-party TorchScript",
        "silero_vad",
        "data/silero_vad.jit",
        {
            "x": tensor('["batch", 512]'),
            "sr": 'shape = []\ndtype = "int64"\nvalues = { one_of = [16000] }',
        },
    )


HELPERS = '''
import torch


class One(torch.nn.Module):
    """A detector of one picture: what it finds, as it finds it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model([image[0]])[0]


class Cached(torch.nn.Module):
    def __init__(self, model, cache):
        super().__init__()
        self.model, self.cache = model, cache

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=self.cache)


class Pair(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, decoder_input_ids):
        given = {"input_ids": input_ids, "decoder_input_ids": decoder_input_ids}
        return self.model(**given, use_cache=False).logits


class Spoken(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_features, decoder_input_ids):
        given = {"input_features": input_features, "decoder_input_ids": decoder_input_ids}
        return self.model(**given, use_cache=False).logits


class First(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[0]


class Stateful(torch.nn.Module):
    def __init__(self, cell, states):
        super().__init__()
        self.cell, self.states = cell, states

    def forward(self, x, h, c=None):
        return self.cell(x, (h, c) if self.states == 2 else h)
'''


def subjects() -> list[Subject]:
    return [*torchvision(), *timm(), *hugging_face(), *others()]


def write_project(subject: Subject, folder: Path) -> None:
    if "(" in subject.code:
        imports = f"import {subject.package}\nimport torchvision.models.optical_flow\n"
        imports += "import ultralytics.nn.tasks\n" if subject.package == "ultralytics" else ""
        imports += "import pytorch_tabnet.tab_network\n" if "tabnet" in subject.package else ""
        body = f"def build_model():\n    torch.manual_seed(0)\n    return {subject.code}\n"
        (folder / "model.py").write_text(f"{imports}{HELPERS}\n\n{body}", encoding="utf-8")
        model = 'entry = "model.py:build_model"'
    else:
        spec = find_spec(subject.package)
        assert spec is not None and spec.origin is not None
        file = Path(spec.origin).parent / subject.code
        key = "onnx" if file.suffix == ".onnx" else "torchscript"
        model = f"{key} = {json.dumps(str(file))}"
    tables = "".join(f"[inputs.{name}]\n{keys}\n" for name, keys in subject.inputs.items())
    (folder / "pipeline.toml").write_text(
        f'name = "it"\n[model]\n{model}\n{tables}{subject.keys}[quantize]\nrecipes = []\n'
        "[verify]\nsamples = 8\nbatch_size = 4\ndrift = false\n",
        encoding="utf-8",
    )


def attempt(subject: Subject) -> dict[str, Any]:
    """`pipeline verify` on it: by format what became of it, and why where it is no pass."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(subject, folder)
        command = Path(sys.executable).with_name("pipeline")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                [command, "verify", "-c", folder, "--json"],
                capture_output=True, text=True, check=False, timeout=LIMIT, env=environment,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"torchscript": f"longer than {LIMIT} s", "onnx": f"longer than {LIMIT} s"}
        verdict = folder / "runs" / "it" / "verify" / "verdict.json"
        rows = json.loads(verdict.read_text())["rows"] if verdict.exists() else []
        said = done.stderr + done.stdout
        cells: dict[str, Any] = {format: cell(rows, format, said) for format in RUNTIMES}
    if subject.code.endswith(".onnx"):
        cells["torchscript"] = STAYS
    if done.returncode not in (0, 1, 2) or "Traceback" in said:
        cells["code"] = done.returncode
    return {**cells, "seconds": round(time.monotonic() - started)}


def cell(rows: list[dict[str, Any]], format: str, said: str) -> str:
    mine = [row for row in rows if row["format"] == format]
    if not mine:
        return reason(said, format)
    wrong = [row for row in mine if row["verdict"] != "pass"]
    if wrong:
        why = [*wrong[0]["reasons"], *wrong[0]["open"]]
        return f"{wrong[0]['verdict']}: {why[0]}"
    largest = max(row["max_abs"] or 0.0 for row in mine)
    return f"pass {largest:.0e}" if largest else "pass 0"


def reason(said: str, format: str) -> str:
    """Why there is no file, of what the command said."""
    plain = re.sub(r"[│╭╰─╮╯]", " ", said)
    lines = [" ".join(line.split()) for line in plain.splitlines() if line.strip()]
    word = {"torchscript": "TorchScript", "onnx": "ONNX"}[format]
    for number, line in enumerate(lines):
        if line.startswith(f"! Left out: {word}"):
            return " ".join(lines[number : number + 3])[:300]
    text = " ".join(lines)
    if format == "onnx" and "ONNX: no exporter" in text:
        return text[text.index("ONNX: no exporter") :][:300]
    errors = [n for n, line in enumerate(lines) if "error" in line[:8]]
    return " ".join(lines[errors[-1] :] if errors else lines[-3:])[:300]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="models; all by default")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--results", type=Path, help="a JSON file that is continued, for a page later"
    )
    given = parser.parse_args()
    known = subjects()
    if given.list:
        print("\n".join(f"{one.name:40} {one.family}" for one in known))
        return
    missing = sorted({one.package for one in known if find_spec(one.package) is None})
    if missing:
        print(f"Left out for want of {', '.join(missing)}.", file=sys.stderr)
    chosen = [
        one
        for one in known
        if one.package not in missing and (not given.names or one.name in given.names)
    ]
    results: dict[str, Any] = {}
    if given.results and given.results.exists():
        results = json.loads(given.results.read_text())
    left = [one for one in chosen if given.names or one.name not in results]
    with ThreadPoolExecutor(given.jobs) as pool:
        for subject, result in zip(left, pool.map(attempt, left), strict=True):
            results[subject.name] = result
            print(f"{subject.name}: {json.dumps(result)}", flush=True)
            if given.results:
                given.results.write_text(json.dumps(results, indent=1))
    write_page(known, results)


def write_page(known: list[Subject], results: dict[str, Any]) -> None:
    rows = [one for one in known if one.name in results]
    lines, reasons = ["| model | family | TorchScript | ONNX |", "|---|---|---|---|"], []
    passed = dict.fromkeys(RUNTIMES, 0)
    for one in rows:
        cells = []
        for format in RUNTIMES:
            text = results[one.name][format]
            good = text.startswith("pass")
            passed[format] += good
            word = text.partition(":")[0]
            shown = word if word in ("fail", "inconclusive", STAYS) else "no"
            cells.append(text if good else shown)
            if not good and text != STAYS:
                reasons.append(f"- {one.name}, {format}: {text}")
        lines.append(f"| {one.name} | {one.family} | {' | '.join(cells)} |")
    some = sum(any(results[o.name][f].startswith("pass") for f in RUNTIMES) for o in rows)
    packages = sorted({one.package for one in rows} | {"torch"})
    versions = ", ".join(f"{name.replace('_', '-')} {version_or_none(name)}" for name in packages)
    families = len({one.family for one in rows})
    head = (
        f"{len(rows)} models of {families} families: {passed['torchscript']} pass in TorchScript, "
        f"{passed['onnx']} in ONNX, {some} in one of them at least, each in the Python and the C++ "
        f"runtime. With {versions}."
    )
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    body = "\n".join([START, "", head, "", *lines, "", "Why not:", "", *reasons, "", END])
    PAGE.write_text(f"{before}{body}{after}", encoding="utf-8")


def version_or_none(name: str) -> str:
    try:
        return version(name.replace("_", "-"))
    except Exception:
        return "?"


if __name__ == "__main__":
    main()
