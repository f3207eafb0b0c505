// What was verified, or refused, lately, by the hash of the credential: the way of most requests is one hash and one
// look-up. Bounded; the oldest go first. The credential itself is kept nowhere.

import { createHmac, hash, randomBytes } from 'node:crypto'
import type { IdentityFault, VerifiedIdentity } from './contract.ts'

const entriesMax = 10_000

interface Entry<T> {
  readonly value: T
  readonly untilMs: number
}

export type Known = VerifiedIdentity | IdentityFault

export class Remembered {
  readonly #known = new Map<string, Entry<Known>>()
  readonly #refused = new Map<string, Entry<Known>>()

  /** @param untilMs wall clock. */
  set(name: string, value: Known, untilMs: number): void {
    const map = 'method' in value ? this.#known : this.#refused
    map.set(name, { value, untilMs })
    if (map.size <= entriesMax) return
    // Refusals of a flood push out refusals only.
    const [oldest] = map.keys()
    if (oldest !== undefined) map.delete(oldest)
  }

  get(name: string, nowMs: number): Known | null {
    const found = this.#known.get(name) ?? this.#refused.get(name)
    if (found === undefined) return null
    if (nowMs <= found.untilMs) return found.value
    this.#known.delete(name)
    this.#refused.delete(name)
    return null
  }

  clear(): void {
    this.#known.clear()
    this.#refused.clear()
  }
}

/** Of secrets of many bits: a plain hash tells nobody anything. */
export const nameOfToken = (token: string): string => hash('sha256', token, 'base64')

const passwordKey = randomBytes(32)

/** Of secrets that could be guessed: by a key that dies with the process. */
export const nameOfPassword = (text: string): string =>
  createHmac('sha256', passwordKey).update(text, 'utf8').digest('base64')
