// Is a client the crawler that it claims to be? By the owner's address ranges at once; else by the name of its address,
// confirmed forwards, which is looked up beside the request: until that is known, and while DNS does not answer, the claim
// is unproven. Bounded in what is remembered and in how many look-ups run.

import type { ReverseNames } from '../../io/reverse-names.ts'
import { addressBytes } from '../../kit/address.ts'
import { isInBlocks, parseBlock } from '../../policy/address.ts'
import { type Crawler, isHostOf } from '../../policy/risk/index.ts'
import type { CrawlerBook } from './crawler-book.ts'

export const crawlerProof = { unproven: 0, proven: 1, refuted: 2 } as const

/** No crawler of the world comes from these (RFC 1918, 4193, 6598, loopback, link-local). */
const privateBlocks = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
].map(block => parseBlock(block)!)

const rememberedMax = 10_000
const lookupsMax = 32
const namesMs = 6 * 3_600_000
const noNamesMs = 3_600_000
const failedMs = 60_000

interface Remembered {
  /** Null: asked and not answered. */
  readonly names: readonly string[] | null
  /** Monotonic, milliseconds. */
  readonly until: number
}

export class CrawlerCheck {
  readonly #names: ReverseNames
  readonly #byAddress = new Map<string, Remembered>()
  readonly #asking = new Set<string>()
  readonly #nowMs: () => number

  constructor(names: ReverseNames, nowMs: () => number) {
    this.#names = names
    this.#nowMs = nowMs
  }

  /** One of `crawlerProof`. */
  proof(address: string, crawler: Crawler, book: CrawlerBook): number {
    for (const name of book.ranges.find(address)) if (name === crawler.name) return crawlerProof.proven
    if (crawler.hosts.length === 0)
      return book.ranged.has(crawler.name) || isPrivate(address)
        ? crawlerProof.refuted
        : crawlerProof.unproven
    if (isPrivate(address)) return crawlerProof.refuted
    const names = this.#namesOf(address)
    if (names === null) return crawlerProof.unproven
    return names.some(name => isHostOf(name, crawler)) ? crawlerProof.proven : crawlerProof.refuted
  }

  /** Null: not known now; it is being asked, if there is room. */
  #namesOf(address: string): readonly string[] | null {
    const now = this.#nowMs()
    const known = this.#byAddress.get(address)
    if (known !== undefined && known.until > now) return known.names
    if (!this.#asking.has(address) && this.#asking.size < lookupsMax) void this.#ask(address)
    // A name that was confirmed stays good while it is asked for anew.
    return known?.names ?? null
  }

  async #ask(address: string): Promise<void> {
    this.#asking.add(address)
    let names: readonly string[] | null = null
    try {
      names = await this.#names.confirmed(address)
    } catch {
      // DNS is away: the claim stays unproven, and is asked about again soon.
    }
    this.#asking.delete(address)
    const ms = names === null ? failedMs : names.length === 0 ? noNamesMs : namesMs
    if (this.#byAddress.size >= rememberedMax) this.#forgetOldest()
    this.#byAddress.delete(address)
    this.#byAddress.set(address, { names, until: this.#nowMs() + ms })
  }

  #forgetOldest(): void {
    for (const address of this.#byAddress.keys()) {
      this.#byAddress.delete(address)
      return
    }
  }

  close(): void {
    this.#names.close()
  }
}

function isPrivate(address: string): boolean {
  return addressBytes(address) === null || isInBlocks(address, privateBlocks)
}
