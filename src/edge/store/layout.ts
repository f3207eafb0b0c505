// The memory that all threads of an edge process share for the store: sizes, columns and views. Made by the main thread at
// the start, attached by each worker. What the numbers mean is told here; who may write them, in the files that do.
//
// The arena is cut into blocks of 256 bytes; a run is a row of blocks that belongs to one thing. An entry has a head run
// (its numbers, tags, key, fields, and a small body) and, for larger bodies, a chain of body runs. A slot is an entry's row
// in the columns; slot 0 and block 0 mean none.

import { type Columns, type Layout, layoutOf } from '../../kit/cells.ts'
import type { EvictionOptions, EvictionPolicy } from '../../policy/evict/contract.ts'
import { evictionFactory } from '../../policy/evict/index.ts'
import type { StoreSpec } from './contract.ts'

export const blockBytes = 256
/** Of an entry's head run before its tags: five times, then status, flags and sizes. */
export const headBytes = 80
/** Of each run of a body chain: next run, bytes it can hold, blocks. */
export const bodyRunHeadBytes = 16
/** A head and body of at most so many bytes lie in one run. */
export const inlineBytesMax = 65_536
/** Of the arena the eviction policy is told of: the rest is for what is on its way in, and for what evicted ones still send. */
const policyShare = 0.95
/** Clocks of purges, by hash: two slots a name, so that a needless purge takes two collisions. */
export const clockSlots = 262_144
export const leadSets = 4_096
export const leadWays = 4
export const aloneSlots = 4_096
/** Lists of free runs by size, and the words of their bitmap. */
export const runClasses = 256

export const entryState = { free: 0, filling: 1, stored: 2, doomed: 3 } as const

/** One row a slot. Written under the lock, but where it says otherwise. */
const entryFields = {
  hash: 'u32',
  next: 'i32',
  /** Atomics. Grows whenever what a reader copied is not what it would read now. */
  seq: 'i32',
  /** Atomics: `entryState`. */
  state: 'i32',
  /** First block of the head run in use. Atomics: a refreshed entry gets another. */
  head: 'i32',
  /** First block of the body: the head run that the entry began with, or a chain. */
  body: 'i32',
  /** Head runs that were replaced while somebody read them. */
  limbo: 'i32',
  /** Where the body begins in its run: `bodyRunHeadBytes` for a chain. */
  bodyAt: 'i32',
  /** -1: not known yet. Written by the fill. */
  bodyBytes: 'i32',
  /** Atomics; written by the fill. */
  gotBytes: 'i32',
  /** Atomics; written by the fill: all of the body is here. */
  whole: 'i32',
  /** Life of the worker that fills it. */
  owner: 'i32',
  /** Purges begun when the origin was asked. */
  serial: 'i32',
  /** Purges ended when it was last looked at and found untouched. Any thread that pins it. */
  checked: 'i32',
  /** All runs, in blocks: what the eviction policy was told. */
  blocks: 'i32',
} as const

/** One row a place for a key that is being filled. */
const leadFields = {
  finger: 'i32',
  fingerTwo: 'i32',
  /** Atomics. Odd: led. */
  turn: 'i32',
  /** Life of the leader. */
  owner: 'i32',
  /** Atomics. Its head is known: others may read along. */
  begun: 'i32',
  /** How the last turn ended. */
  end: 'i32',
} as const

/** One row a worker; the last row is the main thread's. */
const threadFields = {
  /** Changes with each thread that attaches as this worker: what a dead one held is told from what its successor holds. */
  life: 'i32',
  /** Waits that are open; others ring when it is not zero. Its own thread. */
  waiting: 'i32',
  /** Atomics; grows with each ring. */
  bell: 'i32',
} as const

const commonFields = {
  /** Life of the holder; 0: free. Atomics. */
  lock: 'i32',
  lockWaiters: 'i32',
  lives: 'i32',
  /** Purges begun, purges whose clocks are set. Atomics. */
  purgesBegun: 'i32',
  purgesEnded: 'i32',
  /** Grows when everything is dropped: fills that began before end. Atomics. */
  generation: 'i32',
  entries: 'i32',
  /** Chain of slots that were given back; beyond it, slots above `slotsUsed` were never used. */
  freeSlot: 'i32',
  slotsUsed: 'i32',
  usedBlocks: 'i32',
  evicted: 'i32',
  refused: 'i32',
  purges: 'i32',
  /** Atomics. The disk tier is there and takes what memory evicts. */
  diskOn: 'i32',
  diskEntries: 'i32',
  diskKilobytes: 'i32',
  diskFailures: 'i32',
  /** Of `spills`: written by who evicts, read by the main thread; both under the lock. */
  spillsIn: 'i32',
  spillsOut: 'i32',
  spillBlocks: 'i32',
} as const

/** One row a record on the disk that is known. Written by the main thread; `disk/disk-index.ts`. */
const diskFields = {
  hash: 'i32',
  second: 'i32',
  /** Atomics; 0: none. */
  segment: 'i32',
  /** In units of 64 bytes. */
  at64: 'u32',
  bytes64: 'u32',
  /** Any thread. */
  used: 'i32',
} as const

/** Slots that wait to be written to the disk. */
export const spillSlots = 1_024
export const diskWays = 8
/** Of an object on the disk; the index has room for so many. */
const diskObjectBytes = 8_192

/** A power of two. */
export function diskSets({ disk }: StoreSpec): number {
  if (disk === undefined) return 1
  return 2 ** Math.ceil(Math.log2(Math.max(1_024, disk.bytes / diskObjectBytes) / diskWays))
}

const diskLayout: Layout<typeof diskFields> = layoutOf(diskFields)
const entryLayout: Layout<typeof entryFields> = layoutOf(entryFields)
const leadLayout: Layout<typeof leadFields> = layoutOf(leadFields)
const threadLayout: Layout<typeof threadFields> = layoutOf(threadFields)
const commonLayout: Layout<typeof commonFields> = layoutOf(commonFields)
const aloneLayout: Layout<{ untilUs: 'f64'; finger: 'i32' }> = layoutOf({ untilUs: 'f64', finger: 'i32' })

export interface StoreMemory {
  readonly spec: StoreSpec
  readonly workers: number
  /** Of all hashes: nobody outside can choose names that collide. */
  readonly seed: number
  readonly buffers: readonly SharedArrayBuffer[]
}

export interface StoreViews {
  readonly spec: StoreSpec
  readonly workers: number
  readonly seed: number
  readonly slots: number
  readonly blocks: number
  readonly entry: Columns<typeof entryFields>
  readonly lead: Columns<typeof leadFields>
  readonly thread: Columns<typeof threadFields>
  readonly common: Columns<typeof commonFields>
  readonly alone: Columns<{ untilUs: 'f64'; finger: 'i32' }>
  /** Heads of hash chains; a power of two. */
  readonly buckets: Int32Array
  /** One row a worker (and one of the main thread) of all slots: readers of an entry. Its own thread, by Atomics. */
  readonly pins: Uint16Array
  /** Uses since it came, up to 255; any thread, last writer wins. */
  readonly uses: Uint8Array
  /** Size of the run whose first or last block it is; negative: in use. */
  readonly edges: Int32Array
  /** Heads of the lists of free runs, then their bitmap. */
  readonly freeRuns: Int32Array
  readonly hardClocks: Int32Array
  readonly softClocks: Int32Array
  /** The arena as bytes, 4-byte and 8-byte numbers. */
  readonly bytes: Buffer
  readonly words: Int32Array
  readonly doubles: Float64Array
  readonly eviction: EvictionPolicy
  readonly disk: Columns<typeof diskFields>
  readonly spills: Int32Array
  /** The disk has it as it is. Any thread that pins it. */
  readonly kept: Uint8Array
}

/** Blocks of the arena, block 0 included. */
function blocksOf(spec: StoreSpec): number {
  return Math.floor(spec.memoryBytes / blockBytes) + 1
}

function bucketsOf(spec: StoreSpec): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1_024, spec.entriesMax)))
}

function evictionOptions(spec: StoreSpec, seed: number): EvictionOptions {
  return { slots: spec.entriesMax + 1, capacity: Math.floor(spec.memoryBytes * policyShare), seed }
}

/** Zeroed, at its real size; the system gives pages only as they are touched. `store-memory.ts` makes it a store. */
export function allocateMemory(spec: StoreSpec, workers: number, seed: number): StoreMemory {
  const slots = spec.entriesMax + 1
  const blocks = blocksOf(spec)
  const threads = workers + 1
  const sizes = [
    entryLayout.bytes(slots),
    leadLayout.bytes(leadSets * leadWays),
    threadLayout.bytes(threads),
    commonLayout.bytes(1),
    aloneLayout.bytes(aloneSlots),
    bucketsOf(spec) * 4,
    slots * threads * 2,
    slots,
    (blocks + 1) * 4,
    (runClasses + runClasses / 32) * 4,
    clockSlots * 4,
    clockSlots * 4,
    blocks * blockBytes,
    evictionFactory(spec.eviction).bytes(evictionOptions(spec, seed)),
    diskLayout.bytes(diskSets(spec) * diskWays),
    spillSlots * 4,
    slots,
  ]
  return { spec, workers, seed, buffers: sizes.map(size => new SharedArrayBuffer(size)) }
}

export function attachViews({ spec, workers, seed, buffers }: StoreMemory): StoreViews {
  const buffer = (at: number): SharedArrayBuffer => buffers[at] as SharedArrayBuffer
  const slots = spec.entriesMax + 1
  const factory = evictionFactory(spec.eviction)
  return {
    spec,
    workers,
    seed,
    slots,
    blocks: blocksOf(spec),
    entry: entryLayout.attach(buffer(0), slots).at,
    lead: leadLayout.attach(buffer(1), leadSets * leadWays).at,
    thread: threadLayout.attach(buffer(2), workers + 1).at,
    common: commonLayout.attach(buffer(3), 1).at,
    alone: aloneLayout.attach(buffer(4), aloneSlots).at,
    buckets: new Int32Array(buffer(5)),
    pins: new Uint16Array(buffer(6)),
    uses: new Uint8Array(buffer(7)),
    edges: new Int32Array(buffer(8)),
    freeRuns: new Int32Array(buffer(9)),
    hardClocks: new Int32Array(buffer(10)),
    softClocks: new Int32Array(buffer(11)),
    bytes: Buffer.from(buffer(12)),
    words: new Int32Array(buffer(12)),
    doubles: new Float64Array(buffer(12)),
    eviction: factory.attach(buffer(13), 0, evictionOptions(spec, seed)),
    disk: diskLayout.attach(buffer(14), diskSets(spec) * diskWays).at,
    spills: new Int32Array(buffer(15)),
    kept: new Uint8Array(buffer(16)),
  }
}
