// What tests of the store do again and again.

import assert from 'node:assert/strict'
import type { Piece, StoredEntry, StoredMeta, StoreSpec, WorkerStore } from '../contract.ts'

export const spec: StoreSpec = {
  memoryBytes: 4_194_304,
  entriesMax: 2_000,
  objectBytesMax: 524_288,
  eviction: 's3-fifo',
}

export const meta: StoredMeta = {
  status: 200,
  receivedAtUs: 1e12,
  initialAgeUs: 5,
  freshForUs: 6e7,
  staleWhileRevalidateUs: 7,
  staleIfErrorUs: 8,
  flags: 9,
}

export const fields = 'Content-Type: text/plain\r\nETag: "\xe4"\r\n'

/** False: it was refused. */
export function put(store: WorkerStore, key: string, body: string, tags: readonly string[] = []): boolean {
  const fill = store.lead(key)
  assert.ok(fill !== null, `${key} is led by somebody`)
  if (!fill.begin(meta, fields, tags, body.length) || !fill.writeText(body)) return false
  fill.commit()
  return true
}

/** Of an entry that is whole. */
export function bodyOf(entry: StoredEntry): string {
  const piece: Piece = { bytes: Buffer.alloc(0), from: 0, to: 0 }
  let text = ''
  while (entry.piece(text.length, piece) !== null) text += piece.bytes.latin1Slice(piece.from, piece.to)
  assert.ok(entry.ended(text.length))
  return text
}

/** In the end; fails after a generous while. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !holds(); waited += 5) {
    assert.ok(waited < 30_000, what)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
