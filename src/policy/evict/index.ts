// The eviction policies by their names. All of them are pure: no clock, no randomness but the seed's, no allocation once
// they are made.

import { Arc } from './arc.ts'
import { Clock } from './clock.ts'
import type { EvictionFactory, EvictionKind, EvictionOptions, EvictionPolicy } from './contract.ts'
import { Fifo } from './fifo.ts'
import { Lfu } from './lfu.ts'
import { Lifo } from './lifo.ts'
import { Lru } from './lru.ts'
import { Memory } from './memory.ts'
import { Mru } from './mru.ts'
import { RandomEviction } from './random.ts'
import { S3Fifo } from './s3-fifo.ts'
import { Sieve } from './sieve.ts'
import { WindowTinyLfu } from './w-tinylfu.ts'

export type { EvictionFactory, EvictionKind, EvictionOptions, EvictionPolicy } from './contract.ts'

type Make = (memory: Memory, options: EvictionOptions) => EvictionPolicy

const makers: Readonly<Record<EvictionKind, Make>> = {
  fifo: (memory, { slots }) => new Fifo(memory, slots),
  lifo: (memory, { slots }) => new Lifo(memory, slots),
  lru: (memory, { slots }) => new Lru(memory, slots),
  mru: (memory, { slots }) => new Mru(memory, slots),
  lfu: (memory, { slots }) => new Lfu(memory, slots),
  random: (memory, options) => new RandomEviction(memory, options),
  clock: (memory, { slots }) => new Clock(memory, slots),
  sieve: (memory, { slots }) => new Sieve(memory, slots),
  's3-fifo': (memory, options) => new S3Fifo(memory, options),
  arc: (memory, options) => new Arc(memory, options),
  'w-tinylfu': (memory, options) => new WindowTinyLfu(memory, options),
}

export const evictionKinds: readonly EvictionKind[] = Object.keys(makers) as EvictionKind[]

export function evictionFactory(kind: EvictionKind): EvictionFactory {
  const make = makers[kind]
  const attach = (memory: ArrayBufferLike, byteOffset: number, options: EvictionOptions): EvictionPolicy =>
    make(new Memory(memory, byteOffset), options)
  const bytes = (options: EvictionOptions): number => {
    const measure = new Memory(null)
    make(measure, options)
    return measure.bytes
  }
  return { kind, bytes, attach, create: options => attach(new ArrayBuffer(bytes(options)), 0, options) }
}
