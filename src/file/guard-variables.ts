// What services are told of the guard, for `tenfold/guard` in them: the key that verifies what the edge says of humans,
// and where the edge is asked. What the variables hold is known only when the system runs.

import type { CheckedListener, CheckedSystem, CommandService } from './checked.ts'

export interface GuardVariable {
  readonly variable: 'TENFOLD_GUARD_KEY' | 'TENFOLD_GUARD_URL'
  readonly holds: 'key' | 'url'
}

/** Without a guard: none. `TENFOLD_GUARD_URL` only where something listens that a service can ask. */
export function guardVariables(system: CheckedSystem, service: CommandService): readonly GuardVariable[] {
  if (system.guard === undefined) return []
  const all: GuardVariable[] = [
    { variable: 'TENFOLD_GUARD_KEY', holds: 'key' },
    ...(guardUrl(system) === undefined ? [] : [{ variable: 'TENFOLD_GUARD_URL', holds: 'url' } as const]),
  ]
  return all.filter(({ variable }) => !Object.hasOwn(service.env, variable))
}

/**
 * The first plain listener of a known port that answers itself: one that sends everything to https, or wants a PROXY
 * header from loopback, is of no use to a service beside it.
 */
export function guardUrl({ edge }: CheckedSystem): string | undefined {
  const found = edge.listeners.find(one => one.kind === 'http' && answers(one))
  if (found === undefined) return undefined
  const host = anyAddress[found.host] ?? found.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${found.port}`
}

const answers = (one: Extract<CheckedListener, { kind: 'http' }>): boolean =>
  one.tls !== true && one.port !== 0 && one.redirectToHttps === undefined && one.proxyProtocol === undefined

const anyAddress: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
