// From how a database is meant to what its failovers are decided by.

import { type FailoverMember, type FailoverSettings, failoverDefaults } from '../../policy/index.ts'
import type { DatabaseSpec } from '../contract.ts'

/** Between two looks at a server. */
export const lookEveryMs = 100

export function failoverSettings(
  spec: DatabaseSpec,
  overrides: Partial<FailoverSettings> = {},
): FailoverSettings {
  const { automatic, detectTimeoutMs } = spec.failover
  return {
    ...failoverDefaults,
    durability: spec.durability,
    automatic,
    canFence: spec.servers.kind === 'embedded',
    members: membersOf(spec),
    detectMs: detectTimeoutMs,
    ...overrides,
  }
}

export function membersOf(spec: DatabaseSpec): readonly FailoverMember[] {
  if (spec.servers.kind === 'embedded') return spec.servers.members
  return spec.servers.urls.map((_, index) => ({
    id: `${spec.name}-${index + 1}`,
    from: 'primary',
    delayMs: 0,
  }))
}

/** Half of the time to detect, as two looks must be bad; never so short that an ordinary pause is one. */
export function lookTimeoutMs(detectMs: number): number {
  return Math.max(100, Math.floor(detectMs / 2))
}
