// Ids of requests and traces: unique over workers and restarts by a random prefix, unpredictable to nobody who looks
// hard: names, never secrets.

import { mix32 } from '../policy/hash.ts'

const digits = Array.from({ length: 65_536 }, (_, i) => i.toString(16).padStart(4, '0'))

export class RequestIds {
  readonly #request: string
  readonly #trace: string
  readonly #span: string
  #count = 0
  #last = ''

  /** @param seed 32 random hexadecimal digits */
  constructor(seed: string) {
    this.#request = seed.slice(0, 16)
    this.#trace = `00-${seed.slice(8, 32)}`
    this.#span = `-${seed.slice(0, 8)}`
  }

  /** 24 hexadecimal digits. */
  next(): string {
    const mixed = mix32(this.#count++)
    this.#last = (digits[mixed >>> 16] as string) + (digits[mixed & 0xffff] as string)
    return this.#request + this.#last
  }

  /** A `traceparent` that begins a trace with the request of the last `next` (W3C Trace Context, not sampled). */
  traceparent(): string {
    return `${this.#trace}${this.#last}${this.#span}${this.#last}-00`
  }
}

/** version 00, not all zero (W3C Trace Context 3.2.2). */
export function isTraceparent(value: string): boolean {
  return value.length === 55 && /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(value)
}

/** Ids of others are believed only in this form: they end up in logs and pages. */
export function isRequestId(value: string): boolean {
  return value.length > 0 && value.length <= 128 && /^[\w.:+/=@-]+$/.test(value)
}
