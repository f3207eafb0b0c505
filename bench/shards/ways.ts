// Ways of placing keys: the policies of Tenfold, and npm's hashring.

import { createRequire } from 'node:module'
import type { KeyRange, KeyType } from '../../src/policy/shard/contract.ts'
import { firstMap, type RuleSpec } from '../../src/policy/shard/map.ts'
import { compilePlacement } from '../../src/policy/shard/placement.ts'

type Placer = (key: string) => number
export const shards: readonly string[] = ['1', '2', '3', '4', '5', '6', '7', '8']

function placer(rule: RuleSpec, type: KeyType): Placer {
  const table = { kind: 'sharded', key: ['k'], types: [type], with: null, rule } as const
  const placement = compilePlacement(firstMap({ shards, slots: 1_024, tables: { 'public.t': table } }))
  const values: string[] = ['']
  return key => {
    values[0] = key
    const placed = placement.place('public.t', values)
    if ('refused' in placed) throw new Error(`${placed.refused}: ${key}`)
    return placed.shard
  }
}

/** npm's `hashring`: md5, 160 points a server. */
function hashring(): Placer {
  const HashRing = createRequire(import.meta.url)('hashring') as new (
    names: readonly string[],
  ) => { get(key: string): string }
  const ring = new HashRing(shards)
  return key => Number(ring.get(key)) - 1
}

export const million = 1_000_000
const bounds = (count: number): KeyRange[] =>
  Array.from({ length: count }, (_, at) => ({
    from: String(at * Math.floor(million / count)),
    shard: at % shards.length,
  }))
const countries = Array.from({ length: 200 }, (_, at) => `country-${at}`)
const lists = shards.map((_, shard) => ({
  values: countries.filter((_, at) => at % shards.length === shard),
  shard,
}))

export const ways: Readonly<
  Record<string, { readonly make: () => Placer; readonly key: (at: number) => string }>
> = {
  'hash bigint': { make: () => placer({ by: 'hash' }, 'bigint'), key: String },
  'hash text': { make: () => placer({ by: 'hash' }, 'text'), key: at => `customer:${at}` },
  'hash uuid': {
    make: () => placer({ by: 'hash' }, 'uuid'),
    key: at => `00000000-0000-4000-8000-${at.toString(16).padStart(12, '0')}`,
  },
  'consistent text': {
    make: () => placer({ by: 'consistent', points: 1_000 }, 'text'),
    key: at => `customer:${at}`,
  },
  'range bigint, 1,000 bounds': {
    make: () => placer({ by: 'range', ranges: bounds(1_000) }, 'bigint'),
    key: String,
  },
  'list text, 200 values': {
    make: () => placer({ by: 'list', lists, otherwise: null }, 'text'),
    key: at => `country-${at % 200}`,
  },
  'hashring text': { make: hashring, key: at => `customer:${at}` },
}
