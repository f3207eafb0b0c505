// Ids of requests and traces: unique over workers and restarts by a random prefix, unpredictable to nobody who looks
// hard: names, never secrets.

import { mix32 } from '../policy/hash.ts'

/** Small enough to stay in the nearest cache: a table of four digits was among the first lines of the profile. */
const digits = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

export class RequestIds {
  /** What all ids of this worker begin with: 16 digits. */
  readonly prefix: string
  readonly #trace: string
  readonly #span: string
  #count: number
  #flags = '-01'

  /** @param seed 32 random hexadecimal digits */
  constructor(seed: string) {
    this.prefix = seed.slice(0, 16)
    this.#count = Number.parseInt(seed.slice(24, 32), 16)
    this.#trace = `00-${seed.slice(8, 32)}`
    this.#span = `-${seed.slice(0, 8)}`
  }

  /** What tells one request of this worker from the next: 8 digits. Its id is `prefix` and this. */
  next(): string {
    const mixed = mix32(this.#count++)
    return `${digits[mixed >>> 24]}${digits[(mixed >>> 16) & 255]}${digits[(mixed >>> 8) & 255]}${digits[mixed & 255]}`
  }

  /**
   * A `traceparent` that begins a trace (W3C Trace Context). Sampled, as a first service of a trace would say: with the
   * bit off the default samplers of every service behind would fall silent. Where the edge itself traces, this is for
   * requests that it did not sample, and says so (`sampled`).
   */
  traceparent(suffix: string): string {
    return `${this.#trace}${suffix}${this.#span}${suffix}${this.#flags}`
  }

  set sampled(sampled: boolean) {
    this.#flags = sampled ? '-01' : '-00'
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
