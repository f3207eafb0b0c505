// API keys of ours: found by their id, compared by hash. Never waits.

import type { CheckedKeys } from '../../../file/checked-guard.ts'
import type { Clock } from '../../../kit/clock.ts'
import type { Passage } from '../../passage.ts'
import type { IdentityAnswer, IdentityFault, IdentityVerifier } from '../contract.ts'
import { carriedAt, keyPrefix, several } from '../credentials.ts'
import { WatchedFile } from '../watched-file.ts'
import { findKey, parseKeys, type StoredKey } from './store.ts'

const unknown: IdentityFault = { reason: 'unknown-key', text: 'The API key is not known, or was revoked.' }
const twice: IdentityFault = { reason: 'malformed', text: 'The request carries more than one API key.' }

export class KeyVerifier implements IdentityVerifier {
  readonly method = 'key'
  readonly source: string
  readonly #settings: CheckedKeys
  readonly #clock: Clock
  readonly #file: WatchedFile<ReadonlyMap<string, StoredKey>>
  #keys: ReadonlyMap<string, StoredKey> | null = null

  constructor(source: string, settings: CheckedKeys, clock: Clock, tell: (text: string) => void) {
    this.source = source
    this.#settings = settings
    this.#clock = clock
    this.#file = new WatchedFile(settings.file, parseKeys, (keys, problem) => {
      this.#keys = keys
      if (keys === null) tell(`nobody is believed by an API key of '${source}': ${problem}`)
    })
  }

  start(): Promise<void> {
    return this.#file.start()
  }

  verify({ head }: Passage): IdentityAnswer {
    for (const place of this.#settings.from) {
      const text = carriedAt(head, place)
      // Behind `Bearer` a token of somebody else may stand too.
      if (text === null || (place.by === 'bearer' && text !== several && !text.startsWith(keyPrefix)))
        continue
      return text === several ? twice : this.#answer(text)
    }
    return null
  }

  #answer(text: string): IdentityAnswer {
    if (this.#keys === null)
      return { reason: 'outage', text: 'The file of API keys can not be read.', outage: true }
    const key = findKey(this.#keys, text)
    if (key === null) return unknown
    const untilMs = key.expires ?? Number.MAX_SAFE_INTEGER
    if (this.#clock.wall() / 1_000 > untilMs) return { reason: 'expired', text: 'The API key has expired.' }
    const { holder, scopes } = key
    return { method: 'key', source: this.source, subject: holder, scopes, claims: { sub: holder }, untilMs }
  }

  challenge(): string | null {
    return this.#settings.from.some(({ by }) => by === 'bearer') ? 'Bearer realm="api"' : null
  }

  async close(): Promise<void> {
    this.#file.close()
  }
}
