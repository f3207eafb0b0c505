// Host names that the edge serves as far as the file says so: of routes, certificates and ACME. Where challenges may be
// solved follows from them.

import type { CheckedRoute, CheckedTls } from './checked.ts'
import type { CheckedGuard } from './checked-guard.ts'

/** Exact names and addresses, each once; patterns such as `*.example` name no host. */
export function hostsServed(routes: readonly CheckedRoute[], tls: CheckedTls | undefined): readonly string[] {
  const all = [
    ...routes.flatMap(({ match }) => match.host ?? []),
    ...(tls?.certificates.flatMap(({ hosts }) => hosts) ?? []),
    ...(tls?.acme?.hosts ?? []),
  ]
  return [...new Set(all.filter(host => !host.includes('*')))]
}

/** Where Turnstile's hosts are left out, those of the file. */
export function withHostnames(
  guard: CheckedGuard,
  routes: readonly CheckedRoute[],
  tls: CheckedTls | undefined,
): CheckedGuard {
  const { turnstile } = guard.challenge
  if (turnstile === undefined || turnstile.hostnames.length > 0) return guard
  const hostnames = hostsServed(routes, tls)
  return { ...guard, challenge: { ...guard.challenge, turnstile: { ...turnstile, hostnames } } }
}
