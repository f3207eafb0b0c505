// Which connections a worker takes: none of who is banned, and of one address no more than `guard.connectionsPerAddress`,
// counted with the other workers. Trusted proxies bring many clients on a connection: theirs are let in, and their requests
// judged by the address that they say; so are those of the allow list.

import { type AddressBlock, isInBlocks, parseBlock } from '../../policy/address.ts'
import { addressKey } from '../address-key.ts'
import type { Counts } from '../counts.ts'
import type { GuardSpec, GuardSurroundings } from '../part.ts'
import type { WorkerRulings } from '../rulings/worker-rulings.ts'
import { AddressCounts, connectionCount } from './address-counts.ts'

/** Name of the shared memory. */
export const connectionsMemory = 'connections'

/** Of one address the audit log hears once in so long. */
const tellAgainUs = 60_000_000
const toldMax = 1_000

export class Connections {
  readonly #surroundings: GuardSurroundings
  readonly #rulings: WorkerRulings
  readonly #counts: Counts
  readonly #addresses: AddressCounts
  readonly #told = new Map<string, number>()
  #trusted: readonly AddressBlock[] = []
  #spec: GuardSpec | null = null

  constructor(surroundings: GuardSurroundings, rulings: WorkerRulings, counts: Counts) {
    this.#surroundings = surroundings
    this.#rulings = rulings
    this.#counts = counts
    const memory = surroundings.memory[connectionsMemory] as SharedArrayBuffer
    this.#addresses = new AddressCounts(memory, surroundings.index)
  }

  /** Null: every connection is welcome. */
  take(spec: GuardSpec | null, trustedProxies: readonly string[]): void {
    this.#spec = spec
    this.#trusted = trustedProxies.map(parseBlock).filter(block => block !== null)
  }

  isBanned(address: string): boolean {
    return this.#rulings.banOf(address) !== null && !isInBlocks(address, this.#trusted)
  }

  /** What `closed` is to be told; -1: not welcome. */
  opened(address: string): number {
    const spec = this.#spec
    if (spec === null || isInBlocks(address, this.#trusted)) return connectionCount.uncounted
    if (this.#rulings.banOf(address) !== null) {
      this.#counts.closed('banned')
      return connectionCount.refused
    }
    const key = addressKey(address, 32, spec.ipv6PrefixBits)
    const entry = this.#addresses.open(key, spec.connectionsPerAddress)
    if (entry !== connectionCount.refused) return entry
    if (this.#rulings.isAllowed(address)) return connectionCount.uncounted
    this.#refused(key, spec)
    return entry
  }

  closed(token: number): void {
    this.#addresses.close(token)
  }

  #refused(key: string, { connectionsPerAddress }: GuardSpec): void {
    this.#counts.closed('tooMany')
    const now = this.#surroundings.clock.monotonic()
    const before = this.#told.get(key)
    if (before !== undefined && now - before < tellAgainUs) return
    if (this.#told.size >= toldMax) this.#told.clear()
    this.#told.set(key, now)
    const text = `${key} has ${connectionsPerAddress} connections open; further ones are closed`
    this.#surroundings.audit({ event: 'connections-capped', part: 'connections', text })
  }
}
