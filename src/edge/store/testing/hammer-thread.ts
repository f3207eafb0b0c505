// A worker thread that uses the store as fast as it can and checks every byte it reads: of what it stores, each byte tells
// which key and version it belongs to. What it finds wrong it counts in shared memory.

import { threadContext } from '../../../io/threads.ts'
import { seededRandom } from '../../../kit/random.ts'
import type { Piece, StoredEntry, StoredMeta } from '../contract.ts'
import { ThreadStore } from '../worker-store.ts'
import { type HammerStart, hammerCell } from './hammer.ts'

const heldMax = 24

const { data } = threadContext<HammerStart>()
const { keys, bodyBytesMax, worker } = data
const cells = new Int32Array(data.cells)
const random = seededRandom(data.seed)
const store = new ThreadStore(data.memory, worker)
const source = Buffer.alloc(bodyBytesMax + 256)
for (let i = 0; i < source.length; i++) source[i] = i & 255
const held: StoredEntry[] = []
const piece: Piece = { bytes: source, from: 0, to: 0 }

function metaOf(key: number, version: number, length: number): StoredMeta {
  return {
    status: 200,
    receivedAtUs: key,
    initialAgeUs: version,
    freshForUs: length,
    staleWhileRevalidateUs: 0,
    staleIfErrorUs: 0,
    flags: 0,
  }
}

const fieldsOf = (key: number, version: number): string => `X-Key: ${key}\r\nX-Version: ${version}\r\n`

/** Byte i of a body is (key + version + i) modulo 256. */
function check(entry: StoredEntry): void {
  const { receivedAtUs: key, initialAgeUs: version, freshForUs: length } = entry.meta
  if (entry.key !== `h /${key}` || !entry.fields.startsWith(`X-Key: ${key}\r\n`))
    Atomics.add(cells, hammerCell.wrongHeads, 1)
  let at = 0
  for (; entry.piece(at, piece) !== null; at += piece.to - piece.from) {
    const from = (key + version + at) & 255
    for (let done = 0; done < piece.to - piece.from; done += bodyBytesMax) {
      const part = Math.min(bodyBytesMax, piece.to - piece.from - done)
      const start = (from + done) & 255
      if (piece.bytes.compare(source, start, start + part, piece.from + done, piece.from + done + part) !== 0)
        Atomics.add(cells, hammerCell.wrongBytes, 1)
    }
  }
  if (entry.ended(at) && at !== length) Atomics.add(cells, hammerCell.wrongHeads, 1)
  Atomics.add(cells, hammerCell.reads, 1)
}

function letGo(entry: StoredEntry): void {
  check(entry)
  entry.release()
}

function fill(key: number): void {
  const led = store.lead(`h /${key}`)
  if (led === null) return
  const version = random.below(1_000)
  const length = random.below(10) < 8 ? random.below(3_000) : random.below(bodyBytesMax)
  const declared = random.below(2) === 0 ? length : -1
  if (!led.begin(metaOf(key, version, length), fieldsOf(key, version), [`t${key % 50}`], declared)) return
  const from = (key + version) & 255
  for (let at = 0; at < length; ) {
    const part = Math.min(length - at, 1 + random.below(20_000))
    const start = (from + at) & 255
    if (!led.write(source, start, start + part)) return
    at += part
    if (random.below(200) === 0) {
      led.abort()
      return
    }
  }
  Atomics.add(cells, hammerCell.fills, 1)
  led.commit()
}

function step(): void {
  const key = Math.min(random.below(keys), random.below(keys))
  const entry = store.get(`h /${key}`)
  if (entry === null) fill(key)
  else {
    check(entry)
    if (random.below(20) === 0)
      store.freshen(entry, entry.meta, `X-Key: ${key}\r\n${'y'.repeat(random.below(900))}\r\n`)
    if (random.below(3) === 0) held.push(entry)
    else entry.release()
    if (random.below(100) === 0) fill(key)
  }
  if (held.length > heldMax) letGo(held.splice(random.below(held.length), 1)[0] as StoredEntry)
  const dice = random.below(3_000)
  if (dice === 0) store.purge({ tags: [`t${random.below(50)}`] })
  else if (dice === 1) store.purge({ tags: [`t${random.below(50)}`], soft: true })
  else if (dice < 10) store.remove(`h /${key}`)
}

function turn(): void {
  for (let i = 0; i < 500; i++) step()
  if (Atomics.load(cells, hammerCell.stop) === 0) {
    setImmediate(turn)
    return
  }
  for (const entry of held.splice(0)) letGo(entry)
  store.entries.payOwed()
  store.close()
  Atomics.add(cells, hammerCell.stopped, 1)
}
turn()
