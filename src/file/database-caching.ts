// The keys of a database that are about caches: what they forget when rows change (`invalidate`), and which results the
// router keeps itself (`cacheQueries`).

import type { CheckedCachedQueries, CheckedInvalidation } from './checked-caches.ts'
import { tag } from './route-cache.ts'
import { either, into, listOf, strict } from './shapes.ts'
import { duration, leaf, off, Refused, type Schema, size, text } from './values.ts'

const table = text('A table.', "a table such as 'films' or 'shop.films'", {
  pattern: /^[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)?$/,
  lengthMax: 127,
})

/** Braces that hold something else than a column would be forgotten letter by letter, and match nothing. */
function unknownBraces(template: string): string | undefined {
  const rest = template.replace(/\{[A-Za-z_][A-Za-z0-9_$]*\}/g, '')
  return /[{}]/.test(rest) ? template : undefined
}

const url = leaf<string>({
  about: 'A URL.',
  allowed: "a path such as '/films/{id}', with a host before it or without, of at most 2048 characters",
  json: { type: 'string', minLength: 1, maxLength: 2048 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 2048) return undefined
    if (/^https?:\/\//.test(value))
      return new Refused('has a scheme', `Write '${value.replace(/^https?:\/\//, '')}'.`)
    return /^(?:[a-z0-9.-]+(?::\d{1,5})?)?\/[!-~]*$/.test(value) ? value : undefined
  },
})

const key = text('A key.', 'a key', { lengthMax: 500 })

const rule: Schema<CheckedInvalidation> = into(
  strict(
    {
      on: table,
      tags: listOf('Tags of the edge and of application caches.', tag, 50).prefault([]),
      urls: listOf('Pages of the edge.', url, 50).prefault([]),
      keys: listOf('Keys of application caches.', key, 50).prefault([]),
    },
    {
      about: 'A rule. `{column}` is filled in from the row as it was and as it is.',
      elsewhere: { table: "Did you mean 'on'?", tag: "Did you mean 'tags'?", url: "Did you mean 'urls'?" },
    },
  ),
  (keys): CheckedInvalidation | Refused => {
    const all = [...keys.tags, ...keys.urls, ...keys.keys]
    if (all.length === 0) return new Refused('names nothing', "Add tags: ['film:{id}'], urls or keys.")
    const wrong = all.map(unknownBraces).find(one => one !== undefined)
    return wrong === undefined
      ? keys
      : new Refused(`has '${wrong}', whose braces hold no column`, "Write '{id}', with a column's name.")
  },
)

export const invalidate: Schema<readonly CheckedInvalidation[]> = listOf(
  "What caches forget when rows of a table change, whoever changed them: `[{ on: 'films', tags: ['film:{id}'] }]`.",
  rule,
  500,
)

const cached = strict(
  {
    tables: listOf('Tables; reads of these alone are kept.', table, 100, 1),
    ttl: duration('How long at most.', '100ms', '30d').prefault('1m'),
  },
  { about: 'Reads whose results are kept.' },
)
type Rules = readonly { readonly tables: readonly string[]; readonly ttl: number }[]
const rules = listOf('Which reads.', cached, 100, 1)

const hints = either(
  'The longest time that a statement itself may ask for: `/* tenfold: cache=10s */`. `false`: none.',
  duration('The longest time.', '100ms', '30d'),
  off('None.'),
)

const sizes = {
  memory: size('Of all results together.', '64KB', '16GB').prefault('64MB'),
  resultMax: size('Larger results are not kept.', '1KB', '256MB').prefault('256KB'),
}

function queriesOf(
  list: Rules,
  memory: number,
  resultMax: number,
  hint: number | false,
): CheckedCachedQueries {
  return {
    bytesMax: memory,
    resultBytesMax: resultMax,
    rules: list.map(({ tables, ttl }) => ({ tables, ttlMs: ttl })),
    hintTtlMsMax: hint === false ? 0 : hint,
  }
}

export const cacheQueries: Schema<CheckedCachedQueries> = either(
  "The router keeps results of reads until their tables change: `[{ tables: ['films'], ttl: '10s' }]`. Left out: none.",
  into(rules, list => queriesOf(list, 64 * 1024 * 1024, 256 * 1024, false)),
  into(
    strict(
      { rules: rules.optional(), hints: hints.prefault(false), ...sizes },
      { about: 'With settings.', elsewhere: { tables: "'tables' is a key of 'rules'." } },
    ),
    (keys): CheckedCachedQueries | Refused => {
      if (keys.rules === undefined && keys.hints === false)
        return new Refused('keeps nothing', "Add rules: [{ tables: ['films'] }], or hints: '1m'.")
      if (keys.resultMax > keys.memory)
        return new Refused("has a 'resultMax' above its 'memory'", 'Write less.')
      return queriesOf(keys.rules ?? [], keys.memory, keys.resultMax, keys.hints)
    },
  ),
)
