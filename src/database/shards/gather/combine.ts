// The general case: rows of each table from all shards go into temporary tables of a session of its own on one shard, and
// the statement runs there over them, so that the answer is PostgreSQL's own. Rows stream through; their number and bytes
// are bounded. The scratch transaction is rolled back: nothing is left.

import type { AcrossPlan, CombinePart } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatCopy, SeatEnd, SeatRequest, ShardSeat } from '../contract.ts'
import { binaryHeader, binaryTrailer, CopyOutlet, copyLine, isPortable, rowHeaderBytes } from './copy-form.ts'
import { Fan, guarded, ShardError, tagOf } from './fan.ts'
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
    const shipments = await shipmentsOf(input, parts)
    const prepared = ['BEGIN READ WRITE', ...settings, ...parts.map(creation)]
    const copies: Promise<SeatEnd>[] = []
    if (shipments.length === 0) copies.push(scratch.command(prepared.join('; ')))
    const shipped: Shipped = { rows: 0, bytes: 0 }
    for (const shipment of shipments)
      copies.push(
        (await ship({ input, ...shipment, request, scratch, shipped, before: prepared.splice(0) })).end,
      )
    return await answered(input, withText(request, sql), scratch, copies)
  } finally {
    if (!scratch.lost && scratch.status !== 'I') await scratch.command('ROLLBACK').catch(() => {})
    release()
  }
}

interface Shipment {
  readonly part: CombinePart
  readonly shards: readonly number[]
}

/** Parts that have rows somewhere. */
async function shipmentsOf(input: Input, parts: readonly CombinePart[]): Promise<readonly Shipment[]> {
  const all: Shipment[] = []
  for (const part of parts) {
    const shards = await shardsOf(part, input)
    if (shards.length > 0) all.push({ part, shards })
  }
  return all
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

interface Shipping extends Shipment {
  readonly input: Input
  readonly request: SeatRequest
  readonly scratch: ShardSeat
  readonly shipped: Shipped
  /** Said before the COPY, in one go with it. */
  readonly before: readonly string[]
}

/**
 * Rows of one part. The shards are asked while the scratch session gets ready for them. Answers the end of the COPY when it is
 * under way: what is said to the scratch session next goes right behind it.
 */
async function ship(shipping: Shipping): Promise<{ readonly end: Promise<SeatEnd> }> {
  const { input, part, shards, request, scratch, shipped, before } = shipping
  const all = await Promise.all(shards.map(shard => input.seats.seat(shard)))
  // Rows without columns have no text form: only how many they are counts.
  const binary = part.columns.length === 0 || part.columns.every(column => isPortable(column.type))
  const columns = part.columns.length === 0 ? '' : ` (${quotedList(part.columns.map(one => one.name))})`
  const format = binary ? ' WITH (FORMAT binary)' : ''
  const text = `COPY pg_temp.${quoted(part.name)}${columns} FROM STDIN${format}`
  const fan = new Fan(all)
  const outlet = new CopyOutlet(null)
  const opening = opened(scratch.copyIn([...before, text].join('; ')), outlet)
  // Its failure is everybody's.
  opening.catch(error => fan.fail(error))
  if (binary) outlet.add(binaryHeader, 0, binaryHeader.length)
  const ask = withText(request, part.sql, [binary ? 1 : 0])
  const take = taker(input, fan, outlet, binary, shipped)
  try {
    await fan.run(async seat => tagOf(await seat.run(ask, guarded(fan, { row: take }))))
    await opening
  } catch (error) {
    const copy = await opening.catch(() => null)
    await copy?.fail('the statement was given up').catch(() => {})
    throw error
  }
  const copy = await opening
  if (binary) outlet.add(binaryTrailer, 0, binaryTrailer.length)
  outlet.flush()
  const end = copy.done()
  // Looked at once the statement behind it has ended.
  end.catch(() => {})
  return { end }
}

async function opened(opening: Promise<SeatCopy | SeatEnd>, outlet: CopyOutlet): Promise<SeatCopy> {
  const copy = await opening
  if (!isCopy(copy)) throw new ShardError(copy)
  outlet.open(copy)
  return copy
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

/** The statement itself, right behind what was copied, and the end of it all right behind that. */
async function answered(
  input: Input,
  request: SeatRequest,
  scratch: ShardSeat,
  copies: readonly Promise<SeatEnd>[],
): Promise<AcrossEnd> {
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
  const [tag] = await fan.run(async seat => {
    const end = await seat.run(request, sink, 'ROLLBACK')
    // Where a COPY failed, the statement behind it could not but fail.
    for (const copied of await Promise.all(copies)) tagOf(copied)
    return tagOf(end)
  })
  return { tag: tag as string }
}
