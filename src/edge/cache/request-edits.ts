// What the cache changes in a request on its way to an instance, beside what hooks wanted.

import type { Exchange } from '../exchange.ts'
import type { HeadEdits } from '../response-sink.ts'

export function editsWith(edits: HeadEdits | null, drop: readonly string[], add: string): HeadEdits {
  return edits === null ? { drop, add } : { drop: [...edits.drop, ...drop], add: edits.add + add }
}

export function addEdits(exchange: Exchange, drop: readonly string[], add: string): void {
  exchange.requestEdits = editsWith(exchange.requestEdits, drop, add)
}

/** Without the lines of a name, as this module or a gate wrote them. */
export function withoutEdits(edits: HeadEdits | null, ...names: readonly string[]): HeadEdits | null {
  if (edits === null) return null
  const lines = edits.add.split('\r\n').filter(line => line !== '')
  const kept = lines.filter(line => !names.some(name => line.startsWith(`${name}: `)))
  return { drop: edits.drop, add: kept.map(line => `${line}\r\n`).join('') }
}
