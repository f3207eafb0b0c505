// The lines of the audit log: JSON, each with the SHA-256 of the line before it in its chain. A chain is what one process
// wrote without a break; its first line names a line that was there before, so that whole chains can't be taken out of the
// middle unseen. Pure but for hashing.

import { createHash } from 'node:crypto'
import type { RequestRecord } from '../messages.ts'
import type { GuardEvent } from '../part.ts'
import { shortText } from '../redact.ts'

export interface ChainLine {
  readonly chain: string
  /** From 1, without a gap. */
  readonly seq: number
  readonly at: string
  /** `refused`, `detected`, `ban`, `change`, `chain-begins`, `chain-ends`, `dropped`, ... */
  readonly event: string
  readonly [name: string]: unknown
  /** Of the line before; of the first line of a chain: of a line that was there, '' = there was none. */
  readonly prev: string
}

export const chainBegins = 'chain-begins'
export const chainEnds = 'chain-ends'

export function hashOf(line: string): string {
  return createHash('sha256').update(line, 'utf8').digest('hex')
}

/** What a line says beside its place in the chain. */
export type LineBody = Readonly<Record<string, unknown>> & { readonly event: string }

/** Writes one chain. */
export class Chain {
  readonly id: string
  #prev: string
  #seq = 0

  /** @param before hash of the last line that was there */
  constructor(id: string, before: string) {
    this.id = id
    this.#prev = before
  }

  /** The next line, without its end. */
  line(atMs: number, body: LineBody): string {
    this.#seq++
    const { event, ...rest } = body
    const line = JSON.stringify({
      chain: this.id,
      seq: this.#seq,
      at: new Date(atMs).toISOString(),
      event,
      ...rest,
      prev: this.#prev,
    })
    this.#prev = hashOf(line)
    return line
  }

  get head(): { readonly chain: string; readonly seq: number; readonly hash: string } {
    return { chain: this.id, seq: this.#seq, hash: this.#prev }
  }
}

export function bodyOfRecord({ outcome, atMs: _at, ...rest }: RequestRecord): LineBody {
  return { event: outcome, ...rest }
}

export function bodyOfEvent({ event, part, text, id }: GuardEvent): LineBody {
  return { event, part, text: shortText(text, 512), ...(id === undefined ? {} : { id: shortText(id, 128) }) }
}
