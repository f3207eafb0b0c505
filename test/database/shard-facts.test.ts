// What is found in the text of a query, held against a real server: random queries over tables that lie whole in one schema
// and in pieces in others, as if on shards. Wherever the answer of one piece, or of all one behind the other, is said to be
// the whole answer, it must be.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadModule, parseSync } from 'libpg-query'
import pg from 'pg'
import { type ShardFacts, type ShardRules, shardFacts } from '../../src/database/sql/shards/index.ts'
import type { Tree } from '../../src/database/sql/tree.ts'
import { type Random, seededRandom } from '../../src/kit/random.ts'
import { startServers } from '../tools/servers-harness.ts'

const shards = 3
const customers = 5
const columns: Readonly<Record<string, readonly string[]>> = {
  orders: ['customer', 'id', 'film', 'total'],
  lines: ['customer', 'id', 'film', 'amount'],
  tickets: ['seat', 'id', 'film'],
  films: ['film', 'id', 'title'],
}
const keyOf: Readonly<Record<string, string>> = { orders: 'customer', lines: 'customer', tickets: 'seat' }
const rules: ShardRules = {
  table(name) {
    if (name === 'films') return { name, kind: 'everywhere', columns: [], group: '' }
    const key = keyOf[name]
    return key === undefined ? null : { name, kind: 'sharded', columns: [key], group: key }
  },
  columns: name => columns[name] ?? null,
  isAggregate: name => ['count', 'sum', 'max', 'min'].includes(name),
}

test('what is said to be answered shard by shard is answered rightly', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? 7_001)
  const rounds = Number(process.env.TENFOLD_TEST_ROUNDS ?? 1_500)
  t.diagnostic(`seed ${seed}`)
  await loadModule()
  const group = await startServers(t, { replicas: 0, access: { web: 'owner' } })
  const client = new pg.Client({ connectionString: group.url('main-1', 'svc_web', 'app') })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  const random = seededRandom(seed)
  await client.query(tables(random))
  const rowsOf = async (schema: string, sql: string): Promise<string[]> => {
    const { rows } = await client
      .query({ text: `SET search_path = ${schema}; ${sql}`, rowMode: 'array' })
      .then(results => (results as unknown as pg.QueryArrayResult[])[1] as pg.QueryArrayResult)
    return rows.map(row => JSON.stringify(row)).sort()
  }
  const met = { complete: 0, one: 0, replicated: 0, mixed: 0, refused: 0 }
  for (let round = 0; round < rounds; round++) {
    const sql = new Queries(random).query(2)
    let whole: string[]
    try {
      whole = await rowsOf('whole', sql)
    } catch (error) {
      // Ambiguous names and the like.
      assert.match(String((error as { code?: string }).code), /^42/, `${sql}\n${String(error)}`)
      met.refused++
      continue
    }
    const facts = shardFacts(
      (parseSync(sql) as unknown as { stmts: { stmt: Tree }[] }).stmts[0]!.stmt,
      rules,
    ) as ShardFacts
    const only = onlyShard(facts)
    if (only !== null) {
      met.one++
      assert.deepEqual(await rowsOf(`s${only}`, sql), whole, `on shard ${only} alone: ${sql}`)
    }
    if (facts.spread === 'replicated') {
      met.replicated++
      assert.deepEqual(await rowsOf('s1', sql), whole, `on any shard: ${sql}`)
    } else if (facts.spread === 'partitioned' && facts.complete) {
      met.complete++
      const parts: string[] = []
      for (let shard = 0; shard < shards; shard++) parts.push(...(await rowsOf(`s${shard}`, sql)))
      assert.deepEqual(parts.sort(), whole, `on all shards: ${sql}`)
    } else met.mixed++
  }
  t.diagnostic(JSON.stringify(met))
  for (const [name, count] of Object.entries(met))
    if (name !== 'refused') assert.ok(count > rounds / 100, `${name} was met ${count} times`)
})

const shardOf = (value: number): number => ((value % shards) + shards) % shards

/** The shard that all appearances are pinned to; null: there is none. */
function onlyShard({ uses }: ShardFacts): number | null {
  const all = new Set<number>()
  for (const { pins } of uses) {
    const values = pins[0]
    if (values == null || values.length === 0) return null
    for (const value of values) all.add(shardOf(value.kind === 'text' ? Number(value.text) : Number.NaN))
  }
  const [only] = all
  return all.size === 1 && only !== undefined && !Number.isNaN(only) ? only : null
}

function tables(random: Random): string {
  const schemas = ['whole', ...Array.from({ length: shards }, (_, shard) => `s${shard}`)]
  const made = schemas.map(
    schema => `CREATE SCHEMA ${schema};
      CREATE TABLE ${schema}.orders (customer int, id int, film int, total int);
      CREATE TABLE ${schema}.lines (customer int, id int, film int, amount int);
      CREATE TABLE ${schema}.tickets (seat int, id int, film int);
      CREATE TABLE ${schema}.films (film int, id int, title int);`,
  )
  const rows: string[] = []
  const value = (below: number) => (random.below(8) === 0 ? 'NULL' : String(random.below(below)))
  for (const [table, names] of Object.entries(columns))
    for (let id = 0; id < (table === 'films' ? 4 : 14); id++) {
      const key = random.below(customers)
      const first = table === 'films' ? value(4) : String(key)
      const rest = names.slice(2).map(() => value(4))
      const row = `(${[first, String(id), ...rest].join(', ')})`
      const places = table === 'films' ? schemas : ['whole', `s${shardOf(key)}`]
      for (const schema of places) rows.push(`INSERT INTO ${schema}.${table} VALUES ${row};`)
    }
  return [...made, ...rows].join('\n')
}

/** Random queries: joins of every kind, conditions that help and that do not, queries inside queries. */
class Queries {
  readonly #random: Random
  #names = 0

  constructor(random: Random) {
    this.#random = random
  }

  query(depth: number): string {
    const kind = depth > 0 ? this.#below(12) : 0
    if (kind === 11) return this.#union(depth - 1)
    if (kind === 10) {
      const name = this.#name('q')
      const inner = this.#select(depth - 1, [])
      return `WITH ${name} AS (${inner}) SELECT * FROM ${name}${this.#maybe(2) ? ` WHERE k = ${this.#constant()}` : ''}`
    }
    return this.#select(depth, [])
  }

  #union(depth: number): string {
    const word = this.#pick(['UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT'])
    const part = () =>
      `SELECT ${this.#pick(['k, v', 'k, v', 'v, k'])} FROM (${this.#select(depth, [])}) ${this.#name('p')}`
    return `${part()} ${word} ${part()}`
  }

  /** Always shows `k` (a key, mostly) and `v`. */
  #select(depth: number, outer: readonly string[]): string {
    const from = this.#from(depth, outer)
    const names = from.names
    const one = this.#pick(names)
    const conditions = Array.from({ length: this.#below(3) }, () => this.#condition(names, outer, depth))
    if (outer.length > 0 && this.#maybe(1)) conditions.push(`${one}.k = ${this.#pick(outer)}.k`)
    const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
    const tail = `FROM ${from.text}${where}`
    switch (this.#below(9)) {
      case 0:
        return `SELECT ${one}.k, count(*)::int AS v ${tail} GROUP BY ${one}.k`
      case 1:
        return `SELECT max(${one}.k) AS k, sum(${one}.v)::int AS v ${tail}${this.#maybe(1) ? ` GROUP BY ${this.#pick(names)}.v` : ''}`
      case 2:
        return `SELECT DISTINCT ${one}.k, ${this.#pick(names)}.v AS v ${tail}`
      case 3:
        return `SELECT ${one}.v AS k, count(*) OVER (PARTITION BY ${one}.${this.#pick(['k', 'v'])})::int AS v ${tail}`
      case 4:
        return depth < 2
          ? `SELECT ${one}.k AS k, ${one}.v AS v ${tail} ORDER BY 1, 2 LIMIT ${1 + this.#below(4)}`
          : `SELECT ${one}.v AS v, ${one}.k AS k ${tail}`
      case 5:
        return depth > 0
          ? `SELECT ${one}.k AS k, (SELECT count(*)::int FROM (${this.#select(depth - 1, names)}) ${this.#name('c')}) AS v ${tail}`
          : `SELECT ${one}.k AS k, ${one}.v AS v ${tail}`
      default:
        return `SELECT ${one}.k AS k, ${this.#pick(names)}.v AS v ${tail}`
    }
  }

  #from(depth: number, outer: readonly string[]): { text: string; names: string[] } {
    const first = this.#source(depth, outer)
    const names = [first.name]
    let text = first.text
    for (let more = this.#below(3); more > 0; more--) {
      const next = this.#source(depth, outer)
      const join = this.#pick(['JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', ','])
      if (join === ',') text += ` CROSS JOIN ${next.text}`
      else {
        const before = this.#pick(names)
        const on = [
          `${before}.${this.#pick(['k', 'k', 'k', 'v'])} = ${next.name}.${this.#pick(['k', 'k', 'k', 'v'])}`,
        ]
        // FULL JOIN takes nothing but equalities that can be merged or hashed.
        if (join !== 'FULL JOIN' && this.#maybe(2))
          on.push(`${this.#pick([...names, next.name])}.k = ${this.#constant()}`)
        if (join !== 'FULL JOIN' && this.#maybe(3)) on.push(`${this.#pick(names)}.k = ${this.#pick(names)}.k`)
        text += ` ${join} ${next.text} ON ${on.join(' AND ')}`
      }
      names.push(next.name)
    }
    return { text, names }
  }

  #source(depth: number, _outer: readonly string[]): { text: string; name: string } {
    const name = this.#name('t')
    if (depth > 0 && this.#below(4) === 0) return { text: `(${this.#select(depth - 1, [])}) ${name}`, name }
    const table = this.#pick(['orders', 'orders', 'lines', 'lines', 'tickets', 'films'])
    const [key, id, film] = columns[table] as readonly string[]
    // Renamed by a query of its own, so that every source has `k` and `v`.
    const v = this.#pick([id, film])
    return { text: `(SELECT ${key} AS k, ${v} AS v FROM ${table}) ${name}`, name }
  }

  #condition(names: readonly string[], outer: readonly string[], depth: number): string {
    const one = this.#pick(names)
    const inner = () => this.#select(depth - 1, [...names, ...outer])
    switch (this.#below(depth > 0 ? 10 : 7)) {
      case 0:
      case 1:
        return `${one}.k = ${this.#constant()}`
      case 2:
        return `${one}.k IN (${this.#constant()}, ${this.#constant()})`
      case 3:
        return `${one}.k = ${this.#pick(names)}.k`
      case 4:
        return `(${one}.k = ${this.#constant()} OR ${this.#pick(names)}.${this.#pick(['k', 'v'])} = ${this.#constant()})`
      case 5:
        return `${one}.v < ${this.#constant()}`
      case 6:
        return `NOT (${one}.k = ${this.#constant()})`
      case 7:
        return `${this.#pick(['', 'NOT '])}EXISTS (${inner()})`
      case 8:
        return `${one}.k ${this.#pick(['IN', 'IN', 'NOT IN'])} (SELECT k FROM (${inner()}) ${this.#name('i')})`
      default:
        return `${one}.v = (SELECT max(v) FROM (${inner()}) ${this.#name('s')})`
    }
  }

  #constant(): string {
    return String(this.#below(customers))
  }

  #name(letter: string): string {
    return `${letter}${this.#names++}`
  }

  #below(bound: number): number {
    return this.#random.below(bound)
  }

  #maybe(outOf: number): boolean {
    return this.#random.below(outOf + 1) === 0
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T
  }
}
