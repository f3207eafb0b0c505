// Which rows go where, table by table: the streams of a resharding, made from its maps and from what the tables are at their
// sources. The way back is the same rows, the other way.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { placedOnSql } from '../../../policy/shard/predicate.ts'
import type { ShardMove } from '../../../policy/shard/reshard-contract.ts'
import type { AskOne } from '../drift.ts'
import { halvedViews } from '../halved.ts'
import { literal } from './changes.ts'
import type { MovedTable, MoveStream, ShardEnd } from './contract.ts'
import { quotedName } from './places.ts'
import { prefixOf } from './servers.ts'

const askMs = 30_000

export interface StreamsWanted {
  readonly id: string
  readonly before: ShardMap
  readonly next: ShardMap
  readonly moves: readonly ShardMove[]
  readonly joining: readonly string[]
}

export interface Streams {
  readonly forth: readonly MoveStream[]
  /** Without tables that are everywhere: who writes to them writes to all shards. */
  readonly back: readonly MoveStream[]
}

/** Throws where a table is not there. */
export async function streamsOf(
  wanted: StreamsWanted,
  ask: AskOne,
  end: (shard: string) => ShardEnd,
): Promise<Streams> {
  const { before, next, moves, joining } = wanted
  const [model = ''] = before.shards
  const halved = await halvedViews(ask, model)
  const tables = Object.entries(before.tables).filter(([name]) => !halved.has(name))
  const shapes = await shapesOf(ask, model, Object.keys(before.tables))
  const pairs = new Map<string, MovedTable[]>()
  const add = (from: string, into: string, table: MovedTable): void => {
    const known = pairs.get(`${from}>${into}`) ?? []
    known.push(table)
    pairs.set(`${from}>${into}`, known)
  }
  for (const { family, from, into } of moves)
    for (const [name, place] of tables) {
      if (place.kind !== 'sharded' || place.family !== family) continue
      const columns = place.key.map(quotedName)
      const source = placedOnSql(before, family, columns, before.shards.indexOf(from))
      const target = placedOnSql(next, family, columns, next.shards.indexOf(into))
      add(from, into, {
        ...shapeOf(shapes, name),
        key: place.key,
        family,
        where: `(${source} AND ${target})`,
      })
    }
  for (const into of joining)
    for (const [name, place] of tables)
      if (place.kind === 'everywhere')
        add(model, into, { ...shapeOf(shapes, name), key: [], family: '', where: 'true' })
  const forth = [...pairs].map(([pair, tables]) => {
    const [from = '', into = ''] = pair.split('>')
    const slot = `${prefixOf(wanted.id)}${from}_${into}`
    return { from: end(from), into: end(into), tables, before, next, slot, publication: slot }
  })
  return { forth, back: forth.flatMap(one => reversed(one, wanted.id)) }
}

function reversed(stream: MoveStream, id: string): MoveStream[] {
  const tables = stream.tables.filter(table => table.family !== '')
  if (tables.length === 0) return []
  const { from, into, before, next } = stream
  const slot = `${prefixOf(id)}back_${into.shard}_${from.shard}`
  return [{ from: into, into: from, tables, before: next, next: before, slot, publication: slot }]
}

type Shape = Pick<MovedTable, 'schema' | 'name' | 'columns' | 'generated' | 'primary'>

function shapeOf(shapes: ReadonlyMap<string, Shape>, name: string): Shape {
  const shape = shapes.get(name)
  if (shape === undefined) throw new Error(`table '${name}' of the map is not there`)
  return shape
}

const columnsSql = (which: string): string =>
  `(SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated ${which})`

async function shapesOf(ask: AskOne, shard: string, tables: readonly string[]): Promise<Map<string, Shape>> {
  if (tables.length === 0) return new Map()
  const rows = await ask(
    shard,
    `SELECT n.nspname, c.relname, ${columnsSql("= ''")}, ${columnsSql("= 's'")},
      (SELECT coalesce(json_agg(a.attname ORDER BY k.at), '[]') FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, at)
        JOIN pg_attribute a ON a.attnum = k.number WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND n.nspname || '.' || c.relname IN (${tables.map(literal).join(', ')})`,
    askMs,
  )
  return new Map(
    rows.map(([schema, name, columns, generated, primary]) => [
      `${schema}.${name}`,
      {
        schema: schema ?? '',
        name: name ?? '',
        columns: JSON.parse(columns ?? '[]'),
        generated: JSON.parse(generated ?? '[]'),
        primary: JSON.parse(primary ?? '[]'),
      },
    ]),
  )
}
