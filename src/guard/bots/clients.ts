// Which client a request is of, for what is remembered: a keyed hash of address, User-Agent and TLS library, so that one
// person behind a NAT is not taken for all of it, where that can be told. Also what a User-Agent claims, read once for
// each text. Bounded: beyond its size the cache begins anew.

import { type HashStart, hashKey, hashStart, type KeyHash } from '../../policy/limit/key-hash.ts'
import { type Agent, agentOf, type Crawler, crawlerOf } from '../../policy/risk/index.ts'
import { tlsLibrary } from '../binding.ts'
import type { Passage } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'

export interface KnownAgent {
  readonly agent: Agent
  /** Whom it claims to be; null: no crawler. */
  readonly crawler: Crawler | null
  /** Where hashes of this User-Agent's clients go on from, by JA4; '' = none is known. */
  readonly starts: Map<string, HashStart>
  readonly text: string
}

const agentsMax = 2_048
/** Of one User-Agent: a browser has a few. */
const startsMax = 16

export class Clients {
  readonly #secret: readonly [number, number]
  readonly #crawlers: readonly Crawler[]
  readonly #subjects: HashStart
  readonly #agents = new Map<string, KnownAgent>()
  /** The last hash; written anew by each call. */
  readonly hash: KeyHash = { low: 0, high: 0 }

  constructor(secret: readonly [number, number], crawlers: readonly Crawler[]) {
    this.#secret = secret
    this.#crawlers = crawlers
    this.#subjects = hashStart(secret, 'subject')
  }

  known(userAgent: string): KnownAgent {
    const found = this.#agents.get(userAgent)
    if (found !== undefined) return found
    if (this.#agents.size >= agentsMax) this.#agents.clear()
    // A slice would keep the whole head that it was cut from alive.
    const text = Buffer.from(userAgent, 'latin1').latin1Slice()
    const known: KnownAgent = {
      agent: agentOf(text),
      crawler: crawlerOf(text, this.#crawlers),
      starts: new Map(),
      text,
    }
    this.#agents.set(text, known)
    return known
  }

  /** Into `hash`. */
  hashClient(passage: Passage, visit: GuardVisit, known: KnownAgent): void {
    const ja4 = passage.client?.hello?.ja4 ?? ''
    hashKey(known.starts.get(ja4) ?? this.#startOf(known, ja4), visit.addressKey, this.hash)
  }

  /** The library has no blank: no two clients' texts read alike. */
  #startOf({ starts, text }: KnownAgent, ja4: string): HashStart {
    const start = hashStart(this.#secret, `client ${ja4 === '' ? '-' : tlsLibrary(ja4)} ${text}`)
    if (starts.size >= startsMax) starts.clear()
    starts.set(ja4, start)
    return start
  }

  /** Into `hash`. */
  hashNetwork(asn: string): void {
    hashKey(this.#subjects, `network ${asn}`, this.hash)
  }

  /** Into `hash`: the account, or the session; false: neither is known. */
  hashSubject({ account, session }: GuardVisit): boolean {
    if (account === '' && session === '') return false
    hashKey(this.#subjects, account !== '' ? `account ${account}` : `session ${session}`, this.hash)
    return true
  }
}
