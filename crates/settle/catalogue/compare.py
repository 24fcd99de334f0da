#!/usr/bin/env python3
"""Prices random usages with genai-prices' own calculator and with limpid, and counts where they differ.

    /tmp/venv/bin/python compare.py --count 1000 --seed 1 -- cargo run -q -p limpid-settle --example price_lines

Run it in the workspace, with the version of genai-prices that `prices.tsv` was made from. It exits 1 on a difference.
What limpid declines to price on purpose, and the names that it takes beyond genai-prices (see README.md), are counted
apart and are no difference.
"""

import argparse
import collections
import datetime
import json
import random
import subprocess
import sys
from decimal import Decimal

import genai_prices
from genai_prices import types as t
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot

# limpid's members of a usage, and genai-prices'.
MEMBERS = {
    'input_tokens': 'input_tokens',
    'output_tokens': 'output_tokens',
    'cached_input_tokens': 'cache_read_tokens',
    'cache_write_input_tokens': 'cache_write_tokens',
    'cache_write_1h_input_tokens': 'cache_write_1h_tokens',
    'audio_input_tokens': 'input_audio_tokens',
    'image_input_tokens': 'input_image_tokens',
    'reasoning_output_tokens': 'output_reasoning_tokens',
    'audio_output_tokens': 'output_audio_tokens',
    'web_searches': 'web_searches',
}
TIERS = [None, None, None, 'default', 'priority', 'flex', 'fast', 'batch', 'auto']
# What was used and has no price, or a transcription without its length: genai-prices leaves it out of its sum, limpid
# has no sum.
ON_PURPOSE = {'no_price', 'partial_usage'}


def some(rng, most):
    return rng.choice([0, 1, rng.randint(0, most), rng.randint(0, most)]) if most else 0


def priced(model):
    """The price keys of a model, whatever the day."""
    sets = [model.prices] if isinstance(model.prices, t.ModelPrice) else [c.prices for c in model.prices]
    return {key for prices in sets for key, value in prices.__dict__.items() if value is not None}


def usage(rng, hard, keys):
    size = rng.choice([50, 5_000, 150_000, 300_000, 2_000_000])
    total, out = rng.randint(1, size), rng.choice([0, 1, rng.randint(1, 200_000)])
    u = {'input_tokens': total, 'output_tokens': out}
    if rng.random() < 0.6:
        u['cached_input_tokens'] = some(rng, total)
    if rng.random() < 0.4:
        u['cache_write_input_tokens'] = some(rng, total - u.get('cached_input_tokens', 0))
        if rng.random() < 0.5:
            u['cache_write_1h_input_tokens'] = some(rng, u['cache_write_input_tokens'])
    left = total - u.get('cached_input_tokens', 0) - u.get('cache_write_input_tokens', 0)
    if rng.random() < 0.15:
        u['audio_input_tokens'] = some(rng, left)
    elif rng.random() < 0.15:
        u['image_input_tokens'] = some(rng, left)
    if rng.random() < 0.4:
        u['reasoning_output_tokens'] = some(rng, out)
    if rng.random() < 0.1:
        u['audio_output_tokens'] = some(rng, out - u.get('reasoning_output_tokens', 0))
    # Mostly what the model's API can tell: an embedding has no output, a transcription has a length.
    if not any(k.startswith('output') for k in keys) and rng.random() < 0.95:
        u['output_tokens'] = 0
        for part in ('reasoning_output_tokens', 'audio_output_tokens'):
            u.pop(part, None)
    if rng.random() < (0.9 if keys & {'audio_hours', 'input_audio_hours'} else 0.002):
        u['audio_ms'] = some(rng, 7_200_000)
    if rng.random() < (0.3 if 'web_searches_kcount' in keys else 0.002):
        u['web_searches'] = rng.randint(0, 20)
    if hard and rng.random() < 0.1:  # contradictions
        u[rng.choice(list(u))] = rng.randint(0, 2 * size)
    return u


def model_name(rng, provider, model):
    names = [model.id]

    def walk(c):
        match c:
            case t.ClauseEquals():
                names.append(c.equals)
            case t.ClauseStartsWith():
                names.extend([c.starts_with, c.starts_with + '-preview', c.starts_with + '-20251211'])
            case t.ClauseEndsWith():
                names.append('eu.' + c.ends_with)
            case t.ClauseContains():
                names.extend([c.contains, f'eu.{c.contains}-v1:0'])
            case t.ClauseRegex():
                import re
                text = re.sub(r'\\d\{(\d+)\}', lambda m: '20261122'[: int(m[1])], c.regex)
                text = text.replace('\\d', '7').replace('[-@]', '@').strip('^$').replace('\\', '')
                names.append(text)
            case t.ClauseOr():
                [walk(x) for x in c.or_]
            case t.ClauseAnd():
                [walk(x) for x in c.and_]

    walk(model.match)
    name = rng.choice(names)
    return name.upper() if rng.random() < 0.05 else name


def cases(rng, count, hard):
    wanted = ['openai', 'anthropic', 'google', 'azure', 'aws', 'openrouter', 'deepseek', 'mistral', 'groq', 'x-ai',
              'together', 'fireworks', 'perplexity', 'cohere', 'moonshotai']
    pool = [p for p in providers if p.id in wanted]
    for _ in range(count):
        p = rng.choice(pool)
        source = p
        if p.fallback_model_providers and rng.random() < 0.4:
            source = next(x for x in providers if x.id == rng.choice(p.fallback_model_providers[:1]))
        m = rng.choice(source.models)
        at = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=rng.randint(0, 3 * 366 * 86400))
        if rng.random() < 0.5:
            at = datetime.datetime(2026, 11, 22, rng.randint(0, 23), rng.randint(0, 59), tzinfo=datetime.UTC)
        named = None if rng.random() < 0.1 else p.id
        yield named, model_name(rng, p, m), at, rng.choice(TIERS), usage(rng, hard, priced(m))


def theirs(provider, model, at, tier, u):
    context = {} if tier is None else {'service_tier': tier} | ({'processing': 'batch'} if tier == 'batch' else {})
    try:
        found = get_snapshot().find_provider_model(model, None, provider, None)[1]
        members = {MEMBERS[k]: v for k, v in u.items() if k in MEMBERS}
        if 'audio_ms' in u:  # priced as the whole or as its part, whichever the entry names
            members |= dict.fromkeys(('audio_seconds', 'input_audio_seconds'), Decimal(u['audio_ms']) / 1000)
        r = genai_prices.calc_price(genai_prices.Usage(**members), model,
                                    provider_id=provider, genai_request_timestamp=at, price_context=context or None)
        return r.total_price, found.id
    except LookupError:
        return 'unknown', None
    except ValueError:
        return 'error', found.id


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--count', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--hard', action='store_true', help='also usages that contradict themselves')
    parser.add_argument('command', nargs='+')
    args = parser.parse_args()
    rng = random.Random(args.seed)
    all_cases = list(cases(rng, args.count, args.hard))
    lines = [json.dumps({'provider': p, 'model': m, 'at': at.strftime('%Y-%m-%dT%H:%M:%SZ'), 'tier': tier, 'usage': u})
             for p, m, at, tier, u in all_cases]
    answer = subprocess.run(args.command, input='\n'.join(lines) + '\n', text=True, stdout=subprocess.PIPE, check=True)
    counts, differ, seen = collections.Counter(), [], set()
    for case, line in zip(all_cases, answer.stdout.splitlines(), strict=True):
        ours, (price, model) = json.loads(line), theirs(*case)
        if 'usd' in ours and isinstance(price, Decimal):
            # limpid rounds each part to whole pico-dollars, and prices to 12 digits.
            parts = ours.get('parts', ())
            slack = Decimal('0.5e-12') * (max(1, len(parts)) * 4 + sum(p['units'] for p in parts) // 1_000_000)
            same = abs(Decimal(ours['usd']) - price) <= slack
            same = same and ours['matched'].partition('/')[2] == model.lower()
            what = 'same price' if same else 'DIFFERENT'
            if same and Decimal(ours['usd']) == price:
                counts['… of these to the last digit'] += 1
        elif price == 'unknown' and ours.get('unpriced') != 'unknown_model':
            # Names that only limpid takes: an entry's own id, and more of them where no provider is given.
            asked = [p for p in providers if p.id == case[0]]
            resold = [p for p in providers if asked and p.id in (asked[0].fallback_model_providers or ())]
            entry = any(m.id.lower() == case[1].lower() for p in asked + resold for m in p.models)
            what = 'limpid alone: no provider given' if case[0] is None else (
                "limpid alone: the entry's own id" if entry else 'DIFFERENT')
        elif 'usd' in ours:
            what = 'DIFFERENT'
        else:
            reason = ours.get('unpriced', 'bad_line')
            both = {'unknown': {'unknown_model'}, 'error': {'inconsistent_usage', 'ambiguous_usage', 'no_price'}}
            if isinstance(price, str):
                what = f'both without a price: {reason}' if reason in both[price] else 'DIFFERENT'
            else:
                what = f'declined: {reason}, where genai-prices says {"a part" if price else "zero"}'
                what = what if reason in ON_PURPOSE else 'DIFFERENT'
        counts[what] += 1
        if 'usd' in ours:
            seen.add(ours['matched'])
        if what == 'DIFFERENT':
            differ.append((case, ours, price, model))
    for what, n in sorted(counts.items()):
        print(f'{n:6} {what}')
    print(f'{len(all_cases):,} usages, priced by {len(seen)} entries of {len({s.partition("/")[0] for s in seen})} '
          f'providers: {len(differ)} differences')
    for case, ours, price, model in differ[:10]:
        print('DIFFERENT:', *case, '| limpid:', ours, '| genai-prices:', price, model)
    sys.exit(1 if differ else 0)


if __name__ == '__main__':
    main()
