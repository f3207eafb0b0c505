import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planReshard } from '../policy/shard/changes.ts'
import { firstMap, mergeMap, type RuleSpec, type ShardsSpec } from '../policy/shard/map.ts'
import { ruleWish } from './reshard-rule.ts'

const specOf = (rule: RuleSpec, more: object = {}, shards = 3): ShardsSpec => ({
  shards: Array.from({ length: shards }, (_, at) => String(at + 1)),
  slots: 32,
  tables: {
    'public.orders': { kind: 'sharded', key: ['customer'], types: ['bigint'], with: null, rule, ...more },
    'public.lines': {
      kind: 'sharded',
      key: ['customer'],
      types: ['bigint'],
      with: 'public.orders',
      rule: null,
    },
    'public.films': { kind: 'everywhere' },
  },
})
const list = { by: 'list', lists: [{ values: ['7'], shard: 2 }], otherwise: 0 } as const
const ring = { by: 'consistent', points: 100 } as const

test('what a changed file says is what holds when the rows have moved', () => {
  const map = firstMap(specOf({ by: 'hash' }))
  for (const rule of [list, ring, { by: 'range', ranges: [{ from: null, shard: 1 }] }] as RuleSpec[])
    for (const said of ['public.orders', 'public.lines']) {
      const changed = specOf(rule)
      assert.equal(mergeMap(map, changed).kind, 'refused')
      const wish = ruleWish(map, changed, said)
      if (wish.kind === 'refused') throw new Error(wish.sentence)
      const plan = planReshard(map, wish.intent)
      if (plan.kind === 'refused') throw new Error(plan.why)
      assert.equal(mergeMap(plan.next, changed).kind, 'same')
    }
})

test('shards by their ids, whatever their order in the map is', () => {
  const map = { ...firstMap(specOf({ by: 'hash' })), shards: ['1', '3', '2'] }
  const wish = ruleWish(map, specOf(list), 'public.orders')
  assert.deepEqual(wish.kind === 'rule' && wish.intent.kind === 'rule' && wish.intent.rule, {
    ...list,
    lists: [{ values: ['7'], shard: 1 }],
  })
})

test('what can not be moved to is said', () => {
  const map = firstMap(specOf({ by: 'hash' }, {}, 2))
  const why = (spec: ShardsSpec, said = 'public.orders'): string => {
    const wish = ruleWish(map, spec, said)
    return wish.kind === 'refused' ? wish.sentence : ''
  }
  assert.match(why(specOf(list)), /names shard 3, which holds nothing yet/)
  assert.match(why(specOf(list), 'public.films'), /no table 'public.films' with a key/)
  assert.match(why(specOf(list), 'public.no'), /no table 'public.no'/)
  assert.match(why(specOf(list, { key: ['id'] })), /another key \(id bigint, not customer bigint\)/)
  assert.match(why(specOf(list, { types: ['text'] })), /another key \(customer text, not customer bigint\)/)
})
