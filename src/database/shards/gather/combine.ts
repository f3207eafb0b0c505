// The general case: rows of each table from all shards go into temporary tables of a session of its own on one shard, and
// the statement runs there over them, so that the answer is PostgreSQL's own. Rows stream through; their number and bytes
// are bounded. The scratch transaction is rolled back: nothing is left.

import type { AcrossPlan, CombinePart } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatCopy, SeatRequest, ShardSeat } from '../contract.ts'
import { binaryHeader, binaryTrailer, CopyOutlet, copyLine, isPortable, rowHeaderBytes } from './copy-form.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import type { GatherInput } from './input.ts'
import { quoted, quotedList } from './names.ts'
import { placedShards } from './places.ts'
import { combineTooLarge } from './refusals.ts'
import { cutFields } from './rows.ts'
import { typed, withText } from './typed.ts'

type CombinePlan = Extract<AcrossPlan, { how: 'combine' }>
type Input = GatherInput<CombinePlan>

/** Rows and bytes that have been shipped, of all parts together. */
interface Shipped {
  rows: number
  bytes: number
}

export async function combine(input: Input): Promise<AcrossEnd> {
  const { seats, targets, plan } = input
  const first = targets[0] as number
  // A scratch session does not see what this transaction has written to tables that are everywhere: they are parts, too.
  const { parts, sql } = seats.wrote ? plan.everywhere : plan
  const request = await typed(input.request, await seats.seat(first))
  const { seat: scratch, settings, release } = await seats.scratch(input.scratchShard ?? first)
  try {
    tagOf(await scratch.command('BEGIN READ WRITE'))
    for (const sql of settings) tagOf(await scratch.command(sql))
    await ship(input, parts, request, scratch)
    return await answered(input, withText(request, sql), scratch)
  } finally {
    if (!scratch.lost) await scratch.command('ROLLBACK').catch(() => {})
    release()
  }
}

async function ship(
  input: Input,
  parts: readonly CombinePart[],
  request: SeatRequest,
  scratch: ShardSeat,
): Promise<void> {
  const shipped: Shipped = { rows: 0, bytes: 0 }
  for (const part of parts) {
    tagOf(await scratch.command(creation(part)))
    const shards = await shardsOf(part, input)
    if (shards.length > 0) await shipPart(input, part, shards, request, scratch, shipped)
  }
}

async function shardsOf(part: CombinePart, input: Input): Promise<readonly number[]> {
  // What is the same everywhere is read where this transaction is anyway.
  if (part.once === true) return input.targets.slice(0, 1)
  return part.keys === null ? allShards(input) : placedShards(input.places, part.keys)
}

function allShards({ seats }: Input): readonly number[] {
  return seats.map.shards.map((_, index) => index)
}

function creation({ name, columns, primary }: CombinePart): string {
  const list = columns.map(column => {
    const collation = column.collation === '' || column.collation === 'default' ? '' : collationOf(column)
    return `${quoted(column.name)} ${column.type}${collation}`
  })
  if (primary !== undefined) list.push(`PRIMARY KEY (${quotedList(primary)})`)
  return `CREATE TEMPORARY TABLE ${quoted(name)} (${list.join(', ')}) ON COMMIT DROP`
}

function collationOf({ collation }: { collation: string }): string {
  return ` COLLATE ${collation.split('.').map(quoted).join('.')}`
}

async function shipPart(
  input: Input,
  part: CombinePart,
  shards: readonly number[],
  request: SeatRequest,
  scratch: ShardSeat,
  shipped: Shipped,
): Promise<void> {
  const all = await Promise.all(shards.map(shard => input.seats.seat(shard)))
  // Rows without columns have no text form: only how many they are counts.
  const binary = part.columns.length === 0 || part.columns.every(column => isPortable(column.type))
  const columns = part.columns.length === 0 ? '' : ` (${quotedList(part.columns.map(one => one.name))})`
  const format = binary ? ' WITH (FORMAT binary)' : ''
  const copy = await scratch.copyIn(`COPY pg_temp.${quoted(part.name)}${columns} FROM STDIN${format}`)
  if (!isCopy(copy)) {
    tagOf(copy)
    return
  }
  const fan = new Fan(all)
  const outlet = new CopyOutlet(copy)
  if (binary) outlet.add(binaryHeader, 0, binaryHeader.length)
  const ask = withText(request, part.sql, [binary ? 1 : 0])
  const take = taker(input, fan, outlet, binary, shipped)
  try {
    await fan.run(async seat => tagOf(await seat.run(ask, guarded(fan, { row: take }))))
  } catch (error) {
    await copy.fail('the statement was given up').catch(() => {})
    throw error
  }
  if (binary) outlet.add(binaryTrailer, 0, binaryTrailer.length)
  outlet.flush()
  tagOf(await copy.done())
}

export function isCopy(one: object): one is SeatCopy {
  return 'frame' in one
}

function taker(
  { limits }: Input,
  fan: Fan,
  outlet: CopyOutlet,
  binary: boolean,
  shipped: Shipped,
): (bytes: Buffer, from: number, to: number) => void {
  let waiting = false
  return (bytes, from, to) => {
    shipped.rows++
    shipped.bytes += to - from
    if (shipped.rows > limits.rowsMax) throw combineTooLarge(`${limits.rowsMax} rows`)
    if (shipped.bytes > limits.bytesMax) throw combineTooLarge(`${limits.bytesMax >> 20} MiB`)
    const line = binary ? null : copyLine(bytes, from, to)
    const taken =
      line === null ? outlet.add(bytes, from + rowHeaderBytes, to) : outlet.add(line, 0, line.length)
    if (taken || waiting) return
    waiting = true
    fan.pause()
    const go = (): void => {
      waiting = false
      fan.resume()
    }
    outlet.drained().then(go, go)
  }
}

async function answered(input: Input, request: SeatRequest, scratch: ShardSeat): Promise<AcrossEnd> {
  const { answer } = input
  const fan = new Fan([scratch])
  const sink = guarded(fan, {
    // The temporary tables are nothing that a client could look up.
    fields: frame => answer.fields(cutFields(frame, 0, true)),
    notice: frame => answer.notice(frame),
    row: (bytes, from, to) => {
      if (answer.row(bytes, from, to)) return
      fan.pause()
      answer.drained().then(
        () => fan.resume(),
        error => fan.fail(error),
      )
    },
  })
  const [tag] = await fan.run(async seat => tagOf(await seat.run(request, sink)))
  return { tag: tag as string }
}
