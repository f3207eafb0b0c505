// Limits in one worker: its views of the shared tables, its connection to Redis where edges count together, the steps of
// policies. A snapshot changes steps and connection, never what has been counted.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import type { RedisLink } from '../../io/redis/link.ts'
import { deriveKey } from '../keys.ts'
import type { GuardedRoute, GuardPart, GuardSpec, GuardStep, GuardSurroundings } from '../part.ts'
import { countedLimit, type HashSecret } from './counted-limit.ts'
import { LimitStep } from './limit-step.ts'
import { LimitCells } from './memory.ts'
import { connectLimits, SharedLimits } from './shared-limits.ts'

/** Keys of clients are hashed under this: stable over restarts, unknown to clients. */
export function hashSecret(secretKey: string): HashSecret {
  const key = deriveKey(secretKey, 'keys of limits')
  return [key.readInt32LE(0), key.readInt32LE(4)]
}

export class LimitPart implements GuardPart {
  readonly name = 'limit'
  readonly #surroundings: GuardSurroundings
  readonly #cells: LimitCells
  #link: RedisLink | null = null
  #linkedTo = ''
  #shared: SharedLimits | null = null

  constructor(surroundings: GuardSurroundings) {
    this.#surroundings = surroundings
    this.#cells = new LimitCells(surroundings.memory, surroundings.index, surroundings.clock)
  }

  async prepare({ shared, policies }: GuardSpec): Promise<void> {
    const used = Object.values(policies).some(({ limits }) => limits.some(({ local }) => !local))
    const wanted = shared !== undefined && used ? shared : undefined
    const target = wanted === undefined ? '' : `${wanted.redis} ${wanted.timeoutMs}`
    if (target !== this.#linkedTo) {
      this.#link?.close()
      const { clock, random } = this.#surroundings
      this.#link = wanted === undefined ? null : connectLimits(wanted, clock, random)
      this.#linkedTo = target
      // The first requests are decided together too, if Redis is there.
      await this.#link?.attempted
    }
    this.#shared =
      wanted === undefined || this.#link === null ? null : new SharedLimits(wanted, this.#link, this.#cells)
  }

  step(policy: CheckedGuardPolicy, route: GuardedRoute, spec: GuardSpec): GuardStep | null {
    if (policy.limits.length === 0) return null
    const secret = hashSecret(spec.secretKey)
    const place = {
      shared: this.#shared !== null,
      share: spec.shared === undefined ? 1 : 1 / spec.shared.edges,
      detects: policy.detectOnly.includes('limit'),
    }
    const limits = policy.limits.map(limit => countedLimit(policy.name, limit, secret, place))
    return new LimitStep(limits, {
      cells: this.#cells,
      worker: this.#surroundings.index,
      serviceLoad: () => this.#surroundings.routeLoad?.(route.id) ?? 0,
      shared: this.#shared,
    })
  }

  async close(): Promise<void> {
    this.#link?.close()
  }
}
