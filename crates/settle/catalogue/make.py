#!/usr/bin/env python3
"""Writes the price catalogue from the Python package `genai-prices`.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install genai-prices==0.2.3
    /tmp/venv/bin/python make.py --date 2026-11-22 > prices.tsv

The format and what is left out are described in README.md beside this file. The script stops with a message where the
package's data holds something that the format cannot say, so an upgrade cannot lose prices in silence.
"""

import argparse
import itertools
import re
import sys
from importlib.metadata import version

from genai_prices import types as t
from genai_prices.data import providers

# Price keys of genai-prices (per million tokens, but `…_kcount` and `…_hours`) and limpid's names of the same units.
UNITS = {
    'input_mtok': 'input',
    'output_mtok': 'output',
    'cache_read_mtok': 'cached_input',
    'cache_write_mtok': 'cache_write_input',
    'cache_write_1h_mtok': 'cache_write_1h_input',
    'input_audio_mtok': 'audio_input',
    'cache_audio_read_mtok': 'cached_audio_input',
    'input_image_mtok': 'image_input',
    'cache_image_read_mtok': 'cached_image_input',
    'input_video_mtok': 'video_input',
    'output_audio_mtok': 'audio_output',
    'output_image_mtok': 'image_output',
    'output_video_mtok': 'video_output',
    'output_reasoning_mtok': 'reasoning_output',
    'output_citation_mtok': 'citation_output',
    'audio_hours': 'audio_ms',
    'input_audio_hours': 'audio_ms',
    'web_searches_kcount': 'web_search',
    'requests_kcount': 'request',
}

# Units that a reply's token counts do not tell: not priced by limpid, so not in the catalogue.
LEFT_OUT = {
    'social_searches_kcount', 'storage_searches_kcount', 'code_executions_kcount',
    'rerank_searches_kcount', 'output_audio_hours', 'input_mchars',
    'input_text_messages_kcount', 'input_document_kpages', 'input_annotated_document_kpages', 'input_gpixels',
}

# What is billed at least: a rule in genai-prices' code, not in its data (`ModelInfo.calc_price`).
LEAST = {('groq/whisper-large-v3', 'audio_ms'): 10_000, ('groq/whisper-large-v3-turbo', 'audio_ms'): 10_000}

# Contexts of price variants that a proxy sees (the tier in the reply); the others need a setting or a batch API.
VARIANTS = {('service_tier', v): v for v in ('default', 'priority', 'flex', 'fast')} | {('processing', 'batch'): 'batch'}
VARIANTS_LEFT_OUT = {'speed', 'route', 'search_type'}


def stop(what):
    sys.exit(f'make.py: {what}')


# --- match clauses: to a list of alternatives, each a list of atoms that must all hold --------------------------------

def plain(text):
    if re.search(r'[\s&]', text) or not text:
        stop(f'a match text cannot be written down: {text!r}')
    return text.lower()


def alternatives(clause):
    match type(clause).__name__:
        case 'ClauseEquals':
            return [['=' + plain(clause.equals)]]
        case 'ClauseStartsWith':
            return [['^' + plain(clause.starts_with)]]
        case 'ClauseEndsWith':
            return [['$' + plain(clause.ends_with)]]
        case 'ClauseContains':
            return [['*' + plain(clause.contains)]]
        case 'ClauseOr':
            return [a for c in clause.or_ for a in alternatives(c)]
        case 'ClauseAnd':
            return [sum(c, []) for c in itertools.product(*(alternatives(c) for c in clause.and_))]
        case 'ClauseRegex':
            return regex(clause.regex)
        case other:
            stop(f'unknown clause {other}')


# The regular expressions that are more than literals, digits, a small class and an optional group.
SPECIAL = {
    # no `-tts` as a whole segment
    r'^(?!.*-[tT][tT][sS](?:$|-))': [['!$-tts', '!*-tts-']],
    r'^o[134]': [['^o1'], ['^o3'], ['^o4']],
    # a Mistral name without a vendor's prefix
    r'^(?![^/]+/)(?:labs-)?(?:(?:mi|code|dev|magi|mini)stral|mixtral|pixtral|voxtral|open-(?:mistral|mixtral))': [
        [f'^{labs}{name}', '!*/']
        for labs in ('', 'labs-')
        for name in ('mistral', 'codestral', 'devstral', 'magistral', 'ministral', 'mixtral', 'pixtral', 'voxtral',
                     'open-mistral', 'open-mixtral')
    ],
}


def regex(source):
    """`^literal…$`, where a digit is written `#`: `~` the whole name, `%` its beginning."""
    if source in SPECIAL:
        return SPECIAL[source]
    body, whole = source.removeprefix('^'), source.endswith('$')
    body = body.removesuffix('$')
    variants = ['']
    token = re.compile(r'\\d(?:\{(\d+)\})?|\\([.\[\]])|\[([-@]+)\]|\(([^()]*)\)\?|([\w./=<>-])')
    at = 0
    while at < len(body):
        m = token.match(body, at)
        if not m or not source.startswith('^'):
            stop(f'a regular expression that needs a rule of its own: {source!r}')
        digits, escaped, choice, optional, literal = m.groups()
        if literal:
            more = [literal]
        elif escaped:
            more = [escaped]
        elif choice:
            more = list(choice)
        elif optional is not None:
            more = ['', *(a[0][1:] for a in regex('^' + optional + '$'))]
        else:
            more = ['#' * int(digits or 1)]
        variants = [v + x for v in variants for x in more]
        at = m.end()
    kind = '~' if whole else '%'
    for v in variants:
        # The pattern says the same as the expression on samples, or the script stops.
        sample = v.replace('#', '7')
        if not re.search(source, sample) or re.search(source, 'x' + sample):
            stop(f'{v!r} is not {source!r}')
    return [[('=' if '#' not in v and whole else kind) + plain(v)] for v in variants]


def written(clauses):
    return ' '.join('&'.join(a) for a in clauses)


# --- prices ------------------------------------------------------------------------------------------------------------

def number(value, key):
    if key.endswith('_kcount'):
        value = value * 1000  # per thousand -> per million
    elif key.endswith('_hours'):
        value = value * 1_000_000 / 3_600_000  # per hour -> per million milliseconds
    # Whole pico-dollars per million: at most half a pico-dollar off for each million tokens. The source has a few
    # thirds and floats' tails (0.0833333333333333, 0.18000000000000002).
    whole = round(value, 12)
    if value < 0 or (value > 0 and whole == 0):
        stop(f'{value} is not a price in pico-dollars')
    text = format(whole.normalize(), 'f')
    return text


def price_set(prices, where):
    words = []
    for key, value in prices.__dict__.items():
        if value is None or key in LEFT_OUT:
            continue
        if key == 'audio_hours' and prices.__dict__.get('input_audio_hours') is not None:
            continue  # the price of the part holds for it
        if key not in UNITS:
            stop(f'{where}: unknown unit {key}')
        if isinstance(value, t.TieredPrices):
            tiers = ''.join(f'>{tier.start}:{number(tier.price, key)}' for tier in value.tiers)
            words.append(f'{UNITS[key]}={number(value.base, key)}{tiers}')
        else:
            least = LEAST.get((where, UNITS[key]))
            words.append(f'{UNITS[key]}={number(value, key)}' + (f'@{least}' if least else ''))
    order = list(UNITS.values())
    return sorted(words, key=lambda w: order.index(w.split('=')[0]))


def condition(constraint, where):
    match constraint:
        case None:
            return []
        case t.StartDateConstraint():
            return [f'from={constraint.start_date.isoformat()}']
        case t.TimeOfDateConstraint():
            for at in (constraint.start_time, constraint.end_time):
                if at.second or at.microsecond or (at.utcoffset() and at.utcoffset().total_seconds()):
                    stop(f'{where}: a time of day that is not a whole minute in UTC')
            return [f'hours={constraint.start_time:%H:%M}-{constraint.end_time:%H:%M}']
        case _:
            stop(f'{where}: unknown constraint {constraint}')


def sets(model, where):
    out = []
    if isinstance(model.prices, t.ModelPrice):
        base = [(None, model.prices)]
    else:
        base = [(c.constraint, c.prices) for c in model.prices]
    for constraint, prices in base:
        words = price_set(prices, where)
        if not words and not prices.__dict__ and model.id.endswith(':free'):
            words = ['input=0', 'output=0']  # free by its name; any other entry without prices is unknown
        out.append(condition(constraint, where) + words)
    for variant in model.price_variants or ():
        context = list(variant.when.items())
        if len(context) != 1:
            stop(f'{where}: a variant with several conditions')
        if context[0][0] in VARIANTS_LEFT_OUT:
            continue
        if context[0] not in VARIANTS:
            stop(f'{where}: unknown variant {variant.when}')
        words = price_set(variant.prices, where)
        if words:
            out.append([f'tier={VARIANTS[context[0]]}', *condition(variant.constraint, where), *words])
    return ' | '.join(' '.join(s) or '-' for s in out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--date', required=True, help='the day of this table, YYYY-MM-DD')
    date = parser.parse_args().date
    if not re.fullmatch(r'20\d\d-\d\d-\d\d', date):
        stop('--date is YYYY-MM-DD')
    print(f'# Prices of LLM APIs. Generated by make.py from genai-prices {version("genai-prices")}; do not edit.')
    print('# Source: https://github.com/pydantic/genai-prices')
    print('# Licence: MIT. Copyright (c) Pydantic Services Inc. 2025 to present. Full text: LICENSE.genai-prices')
    print('# Format: README.md. USD per million units. Prices can be out of date: your provider decides what you pay.')
    print(f'@table\t{date}')
    for p in providers:
        if not re.fullmatch(r'[a-z0-9_-]+', p.id):
            stop(f'provider id {p.id!r}')
        print('@provider', p.id, written(alternatives(p.provider_match)) if p.provider_match else '-',
              written(alternatives(p.model_match)) if p.model_match else '-',
              ','.join(p.fallback_model_providers or ()) or '-', sep='\t')
        for m in p.models:
            where = f'{p.id}/{m.id}'
            clauses = alternatives(m.match)
            if p.find_model(m.id) is None:
                clauses.append(['=' + plain(m.id)])  # its own id finds it too; nothing else claims that name
            seen = list(dict.fromkeys(map(tuple, clauses)))
            print(f'{p.id}/{plain(m.id)}', written(seen), sets(m, where), sep='\t')


if __name__ == '__main__':
    main()
