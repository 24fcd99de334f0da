#!/usr/bin/env python3
"""Compares the catalogue with LiteLLM's price table: a second opinion, collected by other people.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install --no-deps litellm==1.109.1
    python cross_check.py --litellm /tmp/venv -- cargo run -q -p limpid-settle --example price_lines

`--litellm` is a virtual environment, or the table itself (`model_prices_and_context_window_backup.json`). For each model
that both know under a name (at most `--models` of each of eight providers, the same each time) it generates usages,
prices them by LiteLLM's numbers with this file's arithmetic and by limpid, and sorts every difference into a class.
It exits 1 where a difference has no class: either a price changed since the table below was written, or limpid is wrong.

LiteLLM's table has no dates, so all is priced at one moment, that of limpid's table.
"""

import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
from decimal import Decimal

WHOLE = Decimal(1)
VERSION = '1.109.1'
MILLION = 1_000_000

# limpid's provider, LiteLLM's, and the prefix that LiteLLM's names of it have.
PROVIDERS = {
    'openai': ('openai', ''), 'anthropic': ('anthropic', ''), 'google': ('gemini', 'gemini/'),
    'mistral': ('mistral', 'mistral/'), 'deepseek': ('deepseek', 'deepseek/'), 'x-ai': ('xai', 'xai/'),
    'azure': ('azure', 'azure/'), 'groq': ('groq', 'groq/'), 'perplexity': ('perplexity', 'perplexity/'),
    'moonshotai': ('moonshot', 'moonshot/'), 'cohere': ('cohere_chat', ''), 'together': ('together_ai', 'together_ai/'),
    'fireworks': ('fireworks_ai', 'fireworks_ai/'),
}

# LiteLLM's suffix of a tier's prices.
TIERS = {None: '', 'batch': '_batches', 'flex': '_flex', 'priority': '_priority'}


# Differences in the standard price, each looked at: whose number the provider's page bears out, as far as LiteLLM's
# `source`, its dates and the catalogue's tell. docs/prices.md has the reasons. The numbers are limpid's and LiteLLM's for
# a million input tokens: should either change, the difference is unexplained again.
KNOWN = {
    ('deepseek', 'deepseek-chat'): ('0.27', '0.28'),
    ('deepseek', 'deepseek-reasoner'): ('0.55', '0.28'),
    ('deepseek', 'deepseek-v3.2'): ('0.2288', '0.28'),
    ('fireworks', 'accounts/fireworks/models/deepseek-v4-flash-0731'): ('0.14', '0.22'),
    ('fireworks', 'accounts/fireworks/models/deepseek-v4-pro'): ('1.74', '1.2'),
    ('fireworks', 'accounts/fireworks/models/gemma-3-27b-it'): ('0.1', '0.9'),
    ('fireworks', 'accounts/fireworks/models/llama-v3p1-8b-instruct'): ('0.2', '0.1'),
    ('groq', 'openai/gpt-oss-safeguard-20b'): ('0.075', '0.075'),
    ('mistral', 'magistral-medium-latest'): ('2', '1.5'),
    ('mistral', 'magistral-small-latest'): ('0.5', '0.15'),
    ('mistral', 'mistral-large-4'): ('0.7', '1.36'),
    ('mistral', 'mistral-large-4-0'): ('0.7', '1.36'),
    ('mistral', 'mistral-large-latest'): ('2', '0.5'),
    ('mistral', 'mistral-medium'): ('0.4', '1.5'),
    ('mistral', 'open-mistral-nemo'): ('0.15', '0.3'),
    ('together', 'NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO'): ('0.9', '0.6'),
    ('together', 'Qwen/Qwen3.7-Max'): ('2.5', '1.5'),
    ('together', 'Qwen/Qwen3.8-2.4T-A95B'): (None, None),
    ('together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo'): ('0.88', '1.04'),
    ('together', 'mistralai/Mixtral-8x7B-Instruct-v0.1'): ('0.9', '0.6'),
    ('x-ai', 'grok-code-fast'): ('0.2', '1'),
    ('x-ai', 'grok-code-fast-1'): ('0.2', '1'),
    ('x-ai', 'grok-code-fast-1-0825'): ('0.2', '1'),
}


def table(path):
    path = pathlib.Path(path)
    if path.is_dir():
        found = list(path.glob('lib/python*/site-packages/litellm/model_prices_and_context_window_backup.json'))
        version = list(path.glob(f'lib/python*/site-packages/litellm-{VERSION}.dist-info'))
        if not (found and version):
            sys.exit(f'cross_check.py: no litellm {VERSION} in {path}')
        path = found[0]
    return json.loads(path.read_text(), parse_float=Decimal, parse_int=int)


def price(entry, name, tier, total):
    """A price per token of LiteLLM's: that of the tier if it has one, above the longest threshold crossed."""
    def at(suffix):
        # A longer prompt's own key goes before the tier's plain one.
        crossed = None
        for key in entry:
            if key.startswith(f'{name}_above_') and key.endswith(f'k_tokens{suffix}'):
                edge = key[len(f'{name}_above_'):-len(f'k_tokens{suffix}')]
                if edge.isdigit() and total > int(edge) * 1000 and (crossed is None or int(edge) > crossed[0]):
                    crossed = (int(edge), entry[key])
        return crossed[1] if crossed else entry.get(name + suffix)
    told = at(TIERS[tier]) if tier else None
    return at('') if told is None else told


def theirs(entry, usage, tier):
    """What LiteLLM's numbers make of a usage: the same decomposition as limpid's, prices that it lacks fall back."""
    total, out = usage['input_tokens'], usage['output_tokens']
    base, said = price(entry, 'input_cost_per_token', tier, total), price(entry, 'output_cost_per_token', tier, total)
    cached, written = usage.get('cached_input_tokens', 0), usage.get('cache_write_input_tokens', 0)
    hour, thought = usage.get('cache_write_1h_input_tokens', 0), usage.get('reasoning_output_tokens', 0)
    read = price(entry, 'cache_read_input_token_cost', tier, total)
    write = price(entry, 'cache_creation_input_token_cost', tier, total)
    hourly = price(entry, 'cache_creation_input_token_cost_above_1hr', tier, total)
    think = price(entry, 'output_cost_per_reasoning_token', tier, total)

    def first(*prices):
        return next((p for p in prices if p is not None), Decimal(0))
    return {
        'cached_input': first(read, base) * cached,
        'cache_write_1h_input': first(hourly, write, base) * hour,
        'cache_write_input': first(write, base) * (written - hour),
        'input': first(base) * (total - cached - written),
        'reasoning_output': first(think, said) * thought,
        'output': first(said) * (out - thought),
    }


def lacks(entry, part, tier):
    """Whether LiteLLM has no price of its own for a part (in a tier)."""
    names = {'cached_input': ['cache_read_input_token_cost'], 'output': ['output_cost_per_token'],
             'input': ['input_cost_per_token'], 'reasoning_output': ['output_cost_per_reasoning_token'],
             'cache_write_input': ['cache_creation_input_token_cost'],
             'cache_write_1h_input': ['cache_creation_input_token_cost_above_1hr']}[part]
    return all(f'{name}{TIERS[tier]}' not in entry for name in names)


LINES = {
    line.split('\t')[0]: line for line in (pathlib.Path(__file__).parent / 'prices.tsv').read_text().splitlines()
}


def ours_text(ours):
    """The catalogue's line that priced it."""
    return LINES.get(ours['matched'], '')


def has_threshold(entry, tier):
    return any('_above_' in key and '_above_1hr' not in key and key.endswith(f'_tokens{TIERS[tier]}') for key in entry)


def share(entry, part, tier):
    """What LiteLLM's tier costs of its standard price."""
    name = {'cached_input': 'cache_read_input_token_cost', 'output': 'output_cost_per_token',
            'reasoning_output': 'output_cost_per_token', 'cache_write_input': 'cache_creation_input_token_cost',
            'cache_write_1h_input': 'cache_creation_input_token_cost_above_1hr'}.get(part, 'input_cost_per_token')
    standard = entry.get(name)
    return entry[name + TIERS[tier]] / standard if standard and name + TIERS[tier] in entry else WHOLE


def names_of(litellm, provider):
    """LiteLLM's names of a provider's models that are billed by the token, without its prefix."""
    owner, prefix = PROVIDERS[provider]
    return {
        name[len(prefix):]: entry for name, entry in sorted(litellm.items())
        if entry.get('litellm_provider') == owner and name.startswith(prefix) and 'input_cost_per_token' in entry
        and entry.get('mode') in ('chat', 'responses', 'completion', 'embedding')
    }


def usage(rng, entry):
    size = rng.choice([50, 5_000, 90_000, 150_000, 250_000, 300_000])
    total, out = rng.randint(1, size), rng.randint(1, 20_000)
    u = {'input_tokens': total, 'output_tokens': 0 if entry['mode'] == 'embedding' else out}
    if entry['mode'] == 'embedding':
        return u
    if rng.random() < 0.5:
        u['cached_input_tokens'] = rng.randint(0, total)
    if rng.random() < 0.3:
        u['cache_write_input_tokens'] = rng.randint(0, total - u.get('cached_input_tokens', 0))
        if rng.random() < 0.5:
            u['cache_write_1h_input_tokens'] = rng.randint(0, u['cache_write_input_tokens'])
    if rng.random() < 0.3:
        u['reasoning_output_tokens'] = rng.randint(0, out)
    return u


def cases(rng, litellm, known, count, most):
    """Usages of models that limpid prices too, evenly."""
    models = []
    for provider in PROVIDERS:
        both = [(provider, name, entry) for name, entry in names_of(litellm, provider).items() if (provider, name) in known]
        models.extend(sorted(rng.sample(both, min(most, len(both))), key=lambda m: m[1]))
    for i in range(count):
        provider, name, entry = models[i % len(models)]
        yield provider, name, entry, rng.choice([None, None, None, *TIERS]), usage(rng, entry)


def ask(command, questions, at):
    lines = [json.dumps({'provider': p, 'model': m, 'at': at, 'tier': tier, 'usage': u}) for p, m, tier, u in questions]
    answer = subprocess.run(command, input='\n'.join(lines) + '\n', text=True, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--litellm', required=True)
    parser.add_argument('--count', type=int, default=1000)
    parser.add_argument('--models', type=int, default=10, help='of each provider, at most')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--at', default='2026-11-22T12:00:00Z')
    parser.add_argument('command', nargs='+')
    args = parser.parse_args()
    litellm, rng = table(args.litellm), random.Random(args.seed)
    named = [(p, m) for p in PROVIDERS for m in names_of(litellm, p)]
    probe = {'input_tokens': 1, 'output_tokens': 0}
    answers = ask(args.command, [(p, m, None, probe) for p, m in named], args.at)
    known = {n for n, a in zip(named, answers, strict=True) if 'usd' in a}
    all_cases = list(cases(rng, litellm, known, args.count, args.models))
    answers = ask(args.command, [(p, m, tier, u) for p, m, _, tier, u in all_cases], args.at)
    report(all_cases, answers)


def report(all_cases, answers):
    same, classes, unexplained = 0, collections.defaultdict(set), []
    counts = collections.Counter()
    for (provider, name, entry, tier, u), ours in zip(all_cases, answers, strict=True):
        found = classify(provider, name, entry, tier, u, ours)
        if not found:
            same += 1
        for what, detail in found:
            counts[what] += 1
            classes[what].add((f'{provider}/{name}', detail))
            if what == 'UNEXPLAINED':
                unexplained.append((provider, name, tier, u, ours, detail))
    models = {(p, m) for p, m, *_ in all_cases}
    for what, n in sorted(counts.items()):
        print(f'{n:6} {what} ({len({m for m, _ in classes[what]})} models)')
    print(f'{len(all_cases):,} usages of {len(models)} models of {len({p for p, _ in models})} providers: '
          f'{same} the same, {len(all_cases) - same} differ, {len(unexplained)} unexplained differences')
    for model, detail in sorted(classes['UNEXPLAINED'])[:20]:
        print('UNEXPLAINED:', model, detail)
    sys.exit(1 if unexplained else 0)


def classify(provider, name, entry, tier, u, ours):
    """The classes of a case's differences; none if both say the same."""
    if ours.get('unpriced') == 'no_price':
        return [('limpid declines: its entry has no price of the output', 'no_price')]
    if 'usd' not in ours:
        return [('UNEXPLAINED', ours.get('unpriced'))]
    want = {part: usd for part, usd in theirs(entry, u, tier).items() if usd}
    got = {p['name']: (p['units'], Decimal(p['usd'])) for p in ours['parts']}
    total = u['input_tokens']
    found = []
    slack = Decimal('1e-9')
    if abs(sum(want.values(), Decimal(0)) - Decimal(ours['usd'])) <= slack:
        return []
    units = {
        'cached_input': u.get('cached_input_tokens', 0), 'cache_write_1h_input': u.get('cache_write_1h_input_tokens', 0),
        'cache_write_input': u.get('cache_write_input_tokens', 0) - u.get('cache_write_1h_input_tokens', 0),
        'reasoning_output': u.get('reasoning_output_tokens', 0),
    }
    units['input'] = total - u.get('cached_input_tokens', 0) - u.get('cache_write_input_tokens', 0)
    units['output'] = u['output_tokens'] - units['reasoning_output']
    ours_per = {p['name']: Decimal(p['usd_per_million']) for p in ours['parts']}
    fallback = {'cache_write_1h_input': ['cache_write_input', 'input'], 'cached_input': ['input'],
                'cache_write_input': ['input'], 'reasoning_output': ['output']}
    for part, n in units.items():
        if not n:
            continue
        their = want.get(part, Decimal(0)) / n * MILLION
        our = next((ours_per[k] for k in [part, *fallback.get(part, [])] if k in ours_per), None)
        if our is None or abs(our - their) <= Decimal('1e-6'):
            continue
        own = part in ours_per
        if not own and not lacks(entry, part, None):
            what = f'limpid lacks the price of {part}'
        elif tier and lacks(entry, part, tier):
            what = f'LiteLLM lacks the tier {tier}'
        elif tier and abs(our * share(entry, part, tier) - their) <= Decimal('1e-6'):
            what = f'limpid lacks the tier {tier}'
        elif '>' in ours_text(ours) and not has_threshold(entry, tier):
            what = "LiteLLM lacks the threshold" + (f' of the tier {tier}' if tier and has_threshold(entry, None) else '')
        elif provider == 'azure' and abs(our * Decimal('1.1') * share(entry, part, tier) - their) <= Decimal('5e-4'):
            what = "LiteLLM has Azure's price of a region or data zone, a tenth above the global one"
        elif 'off_peak_pricing' in entry:
            what = 'LiteLLM tells off-peak hours apart from the price that is compared'
        elif lacks(entry, part, None):
            what = f'LiteLLM lacks the price of {part}'
        elif known(provider, name, entry, ours_per):
            what = 'a standard price that differs, listed in docs/prices.md'
        else:
            what = 'UNEXPLAINED'
        found.append((what, f'{part} tier={tier} {total}: limpid {our}, LiteLLM {their.normalize():f}'))
    if 'request' in ours_per and 'search_context_cost_per_query' in entry:
        found.append(('LiteLLM prices a request by its search context, which no reply tells', 'request'))
    return found or [('UNEXPLAINED', f'{ours["usd"]} {want}')]


def known(provider, name, entry, ours_per):
    """Whether the difference is one that was looked at, and neither side has moved since."""
    if (provider, name) not in KNOWN:
        return False
    ours, theirs = KNOWN[provider, name]
    if ours is None:  # the price of cached input alone differs
        return True
    return ours_per.get('input', Decimal(ours)) == Decimal(ours) and entry['input_cost_per_token'] * MILLION == Decimal(theirs)


if __name__ == '__main__':
    main()
