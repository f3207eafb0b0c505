// Four databases of one server: three are shards, one is what their sum would be. A row's shard is its key modulo three.

import type { TestContext } from 'node:test'
import pg from 'pg'
import type { AcrossEnd, SeatRequest, ShardAnswer } from '../../src/database/shards/contract.ts'
import {
  type GatherInput,
  type GatherPlaces,
  gatherLimits,
  runAcross,
} from '../../src/database/shards/gather/index.ts'
import type { AcrossPlan, KeySource } from '../../src/database/sql/shards/contract.ts'
import type { Placed, ShardMap } from '../../src/policy/shard/contract.ts'
import { readDataRow, readReport, readRowDescription } from '../../src/wire/postgres/index.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { PlainSeat, PlainSeats } from './plain-seats.ts'

export const shardCount = 3

const map: ShardMap = { format: 1, version: 1, shards: ['1', '2', '3'], families: {}, tables: {} }

export function shardOf(key: number): number {
  return ((key % shardCount) + shardCount) % shardCount
}

function placed(text: string | null): Placed {
  if (text === null) return { refused: 'null-key', value: null }
  if (!/^-?\d+$/.test(text)) return { refused: 'not-a-value', value: text }
  return { shard: shardOf(Number(text)), slot: -1 }
}

const noRequest: SeatRequest = {
  sql: '',
  types: [],
  parameters: [],
  parameterFormats: [],
  resultFormats: [],
}

function placesFor(request: SeatRequest): GatherPlaces {
  const texts = (source: KeySource): string | null =>
    source.from === 'literal' ? source.text : (request.parameters[source.index]?.toString() ?? null)
  return {
    ofSources: (_family, keys) =>
      keys.map(([source]) => {
        const place = placed(texts(source as KeySource))
        return 'refused' in place ? place : [place.shard]
      }),
    ofValues: (_family, [value], format) => {
      if (format === 0 || value === null || value === undefined) return placed(value?.toString() ?? null)
      return placed(String(value.length === 8 ? value.readBigInt64BE() : value.readInt32BE()))
    },
  }
}

export interface Answered {
  readonly tag: string | null
  readonly code: string | null
  readonly detail: string | null
  readonly message: string | null
  readonly names: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/** Keeps what it gets; with `slow`, takes so many rows at a time. */
export class KeptAnswer implements ShardAnswer {
  names: readonly string[] = []
  descriptions = 0
  readonly rows: (readonly (string | null)[])[] = []
  readonly copied: Buffer[] = []
  copyHeads = 0
  count = 0
  readonly #slow: number
  readonly #pausing: () => void
  readonly #count: boolean

  constructor(slow = 0, pausing: () => void = () => {}, countOnly = false) {
    this.#slow = slow
    this.#pausing = pausing
    this.#count = countOnly
  }

  fields(frame: Buffer): void {
    this.descriptions++
    this.names = readRowDescription(frame, 5, frame.length)?.map(one => one.name) ?? ['unreadable']
  }

  row(bytes: Buffer, from: number, to: number): boolean {
    this.count++
    if (!this.#count) {
      const values = readDataRow(bytes, from + 5, to) ?? []
      this.rows.push(values.map(value => value?.toString() ?? null))
    }
    return this.#slow === 0 || this.count % this.#slow !== 0
  }

  async drained(): Promise<void> {
    this.#pausing()
    await new Promise(resolve => setImmediate(resolve))
  }

  notice(): void {}

  copyOut(): void {
    this.copyHeads++
  }

  copyData(bytes: Buffer, from: number, to: number): boolean {
    this.copied.push(Buffer.from(bytes.subarray(from + 5, to)))
    return true
  }
}

export interface Gathering {
  readonly seats: PlainSeats
  readonly reference: pg.Client
  /** Said to every shard and to the reference. */
  everywhere(sql: string): Promise<void>
  /** Rows into a table of the reference and, by the first column, of the shards. */
  fill(table: string, rows: readonly (readonly unknown[])[]): Promise<void>
  input(plan: AcrossPlan, sql: string, parameters?: readonly (string | null)[]): GatherInput
  run(
    plan: AcrossPlan,
    sql: string,
    parameters?: readonly (string | null)[],
    more?: Partial<GatherInput>,
  ): Promise<Answered>
  /** Rows of the reference, as texts. */
  expected(sql: string, parameters?: readonly unknown[]): Promise<readonly (readonly (string | null)[])[]>
}

export async function startGathering(t: Pick<TestContext, 'after'>): Promise<Gathering> {
  const server = await startPostgres(t)
  const asText = { getTypeParser: () => (value: string) => value } as never
  const clientOf = async (database: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server.url.replace(/app$/, database), types: asText })
    // The server may end first.
    client.on('error', () => {})
    await client.connect()
    t.after(() => client.end())
    return client
  }
  const reference = await clientOf('app')
  const databases = ['shard1', 'shard2', 'shard3']
  for (const name of databases) await reference.query(`CREATE DATABASE ${name}`)
  const direct = await Promise.all(databases.map(clientOf))
  const targets = databases.map(database => ({ host: server.host, port: server.port, database }))
  const all = await Promise.all(targets.map((target, shard) => PlainSeat.open(shard, target)))
  const seats = new PlainSeats(map, all, targets, placesFor(noRequest))
  t.after(() => {
    for (const seat of all) seat.close()
  })
  const input = (
    plan: AcrossPlan,
    sql: string,
    parameters: readonly (string | null)[] = [],
    answer: ShardAnswer = new KeptAnswer(),
  ): GatherInput => {
    const request: SeatRequest = {
      sql,
      types: [],
      parameters: parameters.map(value => (value === null ? null : Buffer.from(value))),
      parameterFormats: [],
      resultFormats: [],
    }
    const targets = [0, 1, 2]
    return { plan, request, targets, seats, places: placesFor(request), answer, limits: gatherLimits }
  }
  return {
    seats,
    reference,
    input,
    everywhere: async sql => {
      for (const client of [...direct, reference]) await client.query(sql)
    },
    fill: async (table, rows) => {
      for (const row of rows) {
        const sql = `INSERT INTO ${table} VALUES (${row.map((_, index) => `$${index + 1}`).join(', ')})`
        await (direct[shardOf(Number(row[0]))] as pg.Client).query(sql, [...row])
        await reference.query(sql, [...row])
      }
    },
    run: async (plan, sql, parameters, more = {}) => {
      const answer = new KeptAnswer()
      const end = await runAcross({ ...input(plan, sql, parameters, answer), ...more })
      return answered(end, answer)
    },
    expected: async (sql, parameters = []) =>
      (await reference.query({ text: sql, values: [...parameters], rowMode: 'array' })).rows,
  }
}

export function answered(end: AcrossEnd, { names, rows }: KeptAnswer): Answered {
  if ('tag' in end) return { tag: end.tag, code: null, detail: null, message: null, names, rows }
  const report = readReport(end.errorFrame, 5, end.errorFrame.length)
  return {
    tag: null,
    code: report?.code ?? '',
    detail: report?.detail ?? '',
    message: report?.message ?? '',
    names,
    rows,
  }
}

/** Rows as lines, in an order of their own. */
export function sorted(rows: readonly (readonly (string | null)[])[]): string[] {
  return rows.map(row => row.map(value => value ?? '\\N').join('|')).sort()
}
