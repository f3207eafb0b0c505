// Where the router would put a row, held against what the server itself says by SQL: hashes of every key type, and the
// reading of literals.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { seededRandom } from '../../src/kit/random.ts'
import { type KeyType, ShardKey } from '../../src/policy/shard/key.ts'
import { startServers } from '../tools/servers-harness.ts'

const hashes: Readonly<Record<KeyType, string>> = {
  int2: 'hashint2extended',
  int4: 'hashint4extended',
  int8: 'hashint8extended',
  text: 'hashtextextended',
  varchar: 'hashtextextended',
  bpchar: 'hashbpcharextended',
  uuid: 'uuid_hash_extended',
  bytea: 'hashbyteaextended',
  date: 'hashdateextended',
  timestamp: 'timestamp_hash_extended',
  timestamptz: 'timestamptz_hash_extended',
  bool: 'hashboolextended',
}

test('keys of every type hash and compare as the server says', async t => {
  const seed = 20_261_122
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const whole = (below: number) => random.below(below)
  const pick = (letters: string) => letters[whole(letters.length)] as string
  const word = (max: number) => Array.from({ length: whole(max) }, () => pick('abcXYZ äß€ 漢_-9')).join('')
  const hex = (digits: number) => Array.from({ length: digits }, () => pick('0123456789abcdef')).join('')
  const two = (n: number) => String(n).padStart(2, '0')
  const day = () => `${1900 + whole(250)}-${two(1 + whole(12))}-${two(1 + whole(28))}`
  const clock = () => `${day()} ${two(whole(24))}:${two(whole(60))}:${two(whole(60))}.${whole(1e6)}`
  const samples: Readonly<Record<KeyType, () => string>> = {
    int2: () => String(whole(65_536) - 32_768),
    int4: () => String(whole(2 ** 32) - 2 ** 31),
    int8: () => String(BigInt.asIntN(64, (BigInt(whole(2 ** 32)) << 32n) | BigInt(whole(2 ** 32)))),
    text: () => word(60),
    varchar: () => word(30),
    bpchar: () => `${word(20)}${' '.repeat(whole(4))}`,
    uuid: () => hex(32),
    bytea: () => `\\x${hex(2 * whole(40))}`,
    date: day,
    timestamp: clock,
    timestamptz: () => `${clock()}${pick('+-')}${two(whole(14))}:30`,
    bool: () => pick('tf'),
  }
  const group = await startServers(t, { replicas: 0, access: { web: 'read' } })
  const client = new pg.Client({ connectionString: group.url('main-1', 'svc_web', 'app') })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  const into = { high: 0, low: 0 }
  for (const type of Object.keys(samples) as KeyType[]) {
    const texts = Array.from({ length: 300 }, samples[type])
    const { rows } = await client.query(
      `SELECT v, ${hashes[type]}(v::${type}, 0)::text AS hash FROM unnest($1::text[]) WITH ORDINALITY AS t(v, n) ORDER BY n`,
      [texts],
    )
    const key = new ShardKey(type)
    for (const { v, hash } of rows) {
      assert.ok(key.readText(v), `${v} is a ${type}`)
      key.hash(into)
      assert.equal(String((BigInt(into.high) << 32n) | BigInt(into.low >>> 0)), hash, `${type} ${v}`)
    }
  }
})
