// Whether a table can be split: findings, the estimate, and names; texts are held against a real server in test/shards.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ColumnFacts, TableFacts } from './contract.ts'
import { literal, quoted, tableNamed } from './names.ts'
import { planSplit, splitEstimate } from './plan.ts'
import { copyText, finishText } from './texts.ts'

const column = (name: string, more: Partial<ColumnFacts> = {}): ColumnFacts => ({
  name,
  type: 'text',
  collation: null,
  notNull: false,
  default: null,
  identity: '',
  generated: '',
  from: [],
  ownsSequence: false,
  storage: null,
  compression: null,
  width: 100,
  ...more,
})

const facts = (more: Partial<TableFacts> = {}): TableFacts => ({
  kind: 'r',
  persistence: 'p',
  owner: 'app',
  rowSecurity: false,
  inherits: false,
  columns: [column('id', { type: 'bigint', width: 8 }), column('title'), column('plot', { width: 900 })],
  key: ['id'],
  keyDeferrable: false,
  indexes: [],
  constraints: [],
  inbound: [],
  statistics: [],
  triggers: [],
  rules: [],
  dependents: [],
  publications: [],
  grants: [],
  taken: [],
  rows: 1_000,
  bytes: 1_100_000,
  fingerprint: 'f',
  ...more,
})

const ask = { schema: 'public', table: 'films', cold: ['plot'] }

function why(more: Partial<TableFacts>, cold: readonly string[] = ['plot']): string {
  const decision = planSplit({ ...ask, cold }, facts(more))
  return decision.kind === 'refused' ? decision.why.join('\n') : ''
}

test('a plain table is split; the plan keeps the order of its columns', () => {
  const decision = planSplit(
    { ...ask, cold: ['plot', 'title'] },
    facts({ columns: [...facts().columns, column('year')] }),
  )
  assert.equal(decision.kind, 'plan')
  if (decision.kind !== 'plan') return
  assert.deepEqual(decision.plan.cold, ['title', 'plot'])
  assert.deepEqual(decision.plan.key, ['id'])
  assert.ok(decision.warnings.some(one => /ON CONFLICT/.test(one)))
})

test('what a view could not keep is named', () => {
  assert.match(why({ kind: null }), /There is no table 'films'/)
  assert.match(why({ kind: 'p' }), /a partitioned table/)
  assert.match(why({ persistence: 't' }), /temporary/)
  assert.match(why({ keyDeferrable: true }), /deferrable/)
  assert.match(why({ inherits: true }), /inherits/)
  assert.match(why({ rules: ['r'] }), /rules \('r'\)/)
  assert.match(why({ dependents: ['a', 'b', 'c', 'd', 'e', 'f'] }), /'e', and 1 more read 'films'/)
  assert.match(
    why({ inbound: [{ name: 'child.fk', columns: ['plot'] }] }),
    /Foreign key child.fk points at 'plot'/,
  )
  const identity = [column('id', { identity: 'a' }), column('n', { identity: 'd' }), column('plot')]
  assert.match(why({ columns: identity }), /more than one identity column/)
  const index = {
    name: 'i',
    columns: ['plot'],
    primary: false,
    constraint: false,
    tail: null,
    unique: false,
    replicaIdentity: false,
  }
  assert.match(why({ indexes: [index] }), /Index 'i' could not be read/)
  assert.match(
    why({ indexes: [{ ...index, tail: 'USING btree (plot)', replicaIdentity: true }] }),
    /replica identity/,
  )
  assert.match(why({}, ['plot', 'title']), /Nothing but the key/)
  assert.match(why({}, []), /Which columns are cold/)
  const long = planSplit({ ...ask, table: 'ü'.repeat(28) }, facts())
  assert.match(long.kind === 'refused' ? long.why.join() : '', /more than 55 bytes/)
})

test('the estimate is made from widths, and is the whole table where nothing is known', () => {
  const { coldBytes, hotBytes } = splitEstimate(facts(), ['plot'], ['id'])
  assert.ok(coldBytes > 900_000 && coldBytes < 1_100_000, String(coldBytes))
  assert.ok(hotBytes < 300_000, String(hotBytes))
  assert.deepEqual(splitEstimate(facts({ rows: -1 }), ['plot'], ['id']), {
    coldBytes: 1_100_000,
    hotBytes: 1_100_000,
  })
})

test('names: with a schema, in quotes, with dots and quotes inside', () => {
  assert.deepEqual(tableNamed('films'), { schema: 'public', table: 'films' })
  assert.deepEqual(tableNamed('Shop.Films'), { schema: 'Shop', table: 'Films' })
  assert.deepEqual(tableNamed('"a.b"."c""d"'), { schema: 'a.b', table: 'c"d' })
  for (const bad of ['', 'a.b.c', '"open', 'a b', 'a.']) assert.equal(tableNamed(bad), null, bad)
  assert.equal(quoted('a"b'), '"a""b"')
  assert.equal(literal("it's \\ here"), "E'it''s \\\\ here'")
})

test('keys of pieces are values of their type, whatever is in them', () => {
  const decision = planSplit(
    ask,
    facts({ key: ['id', 'title'], columns: [...facts().columns, column('year')] }),
  )
  assert.equal(decision.kind, 'plan')
  if (decision.kind !== 'plan') return
  const text = copyText(decision.plan, ['7', "o'neill"], 100, 200)
  assert.match(text, /\(t\."id", t\."title"\) > \('7'::bigint, 'o''neill'::text\)/)
  assert.match(text, /LIMIT 100 FOR SHARE/)
  assert.match(
    finishText(decision.plan, 300),
    /LOCK TABLE "public"\."films" IN ACCESS EXCLUSIVE MODE;[\s\S]*DROP COLUMN "plot"/,
  )
})
