#!/usr/bin/env python3
"""How far limpid's token estimates are from what tokenizers count. Prints the table of docs/tokens.md.

    cargo build -p limpid-settle --example token_lines
    target/test-venv/bin/python tests/real/token_table.py [--tokenizer FAMILY=tokenizer.json]… FILE…

FILE are texts; the table has a line for each and a column for each family. `--tokenizer` takes a Hugging Face
`tokenizer.json` (package `tokenizers`) as the truth of a family; Mistral's comes with the package `mistral-common`,
OpenAI's with `tiktoken`. A family whose truth is not there has no column. Tables of tiktoken are read from the copy that
the tiktoken-rs crate carries, which tiktoken checks by its hash: nothing is downloaded.
"""
import argparse, glob, hashlib, importlib.util, json, os, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
OPENAI = {"gpt-4o": "o200k_base", "gpt-4": "cl100k_base", "text-davinci-003": "p50k_base", "davinci": "r50k_base"}


def tiktoken_offline(folder: str) -> None:
    """Puts the crate's tables where tiktoken looks for them before it downloads."""
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    (assets,) = sorted(glob.glob(f"{home}/registry/src/*/tiktoken-rs-*/assets"))[-1:] or sys.exit("build limpid first")
    for name in OPENAI.values():
        place = pathlib.Path(folder, hashlib.sha1(URL.format(name).encode()).hexdigest())
        place.write_bytes(pathlib.Path(assets, f"{name}.tiktoken").read_bytes())
    os.environ["TIKTOKEN_CACHE_DIR"] = folder


def estimates(lines: list[dict]) -> list[dict]:
    """What limpid makes of each line; see crates/settle/examples/token_lines.rs."""
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    program = pathlib.Path(os.environ.get("TOKEN_LINES", f"{target}/debug/examples/token_lines"))
    done = subprocess.run([program], input="\n".join(map(json.dumps, lines)), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def truths(tokenizers: list[str], cache: str) -> dict:
    """A counter for each model's name."""
    found = {}
    if has("tiktoken"):
        tiktoken_offline(cache)
        import tiktoken

        for model, name in OPENAI.items():
            found[model] = lambda text, e=tiktoken.get_encoding(name): len(e.encode_ordinary(text))
    if has("mistral_common"):
        import mistral_common
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        table = Tekkenizer.from_file(pathlib.Path(mistral_common.__file__).parent / "data/tekken_240911.json")
        found["mistral"] = lambda text: len(table.encode(text, bos=False, eos=False))
    for pair in tokenizers:
        from tokenizers import Tokenizer

        family, file = pair.split("=", 1)
        found[family] = lambda text, t=Tokenizer.from_file(file): len(t.encode(text, add_special_tokens=False).ids)
    return found


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--tokenizer", action="append", default=[], metavar="FAMILY=FILE")
    args.add_argument("files", nargs="+", type=pathlib.Path)
    args = args.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        counters = truths(args.tokenizer, cache)
        texts = [file.read_text(encoding="utf-8") for file in args.files]
        asked = [{"model": model, "text": text} for model in counters for text in texts]
        tokens = iter(answer["tokens"] for answer in estimates(asked))
        columns = {m: [100 * (next(tokens) / count(t) - 1) for t in texts] for m, count in counters.items()}
    print("| text |", " | ".join(columns), "|")
    print("|---|" + "---|" * len(columns))
    for row, file in enumerate(args.files):
        print(f"| {file.name} |", " | ".join(f"{errors[row]:+.1f}" for errors in columns.values()), "|")
    size = lambda errors: f"{sum(map(abs, errors)) / len(errors):.1f} / {max(map(abs, errors)):.1f}"
    print("| mean / largest |", " | ".join(map(size, columns.values())), "|")


if __name__ == "__main__":
    main()
